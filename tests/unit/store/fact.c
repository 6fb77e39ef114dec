/* SPDX-License-Identifier: Apache-2.0 */
/* Facts: put, replace, get, bytes of every kind, limits. */
#include "store/fact.c"

#include "shelf.h"

static struct str get_ok(struct shelf *sh, struct str scope, struct str key) {
    struct str value;
    SHELF_OK(sh, store_fact_get(sh->s, scope, key, &sh->a, &value, &sh->e));
    return value;
}

static void facts(void **state) {
    struct shelf *sh = *state;
    struct str value = LIT("untouched"), odd = {"a'b\0c\n\"", 7};
    SHELF_FAILS(sh, NOT_FOUND, "no fact 'cpu' 'conv'",
                store_fact_get(sh->s, LIT("cpu"), LIT("conv"), &sh->a, &value, &sh->e));
    assert_true(str_is(value, "untouched"));
    SHELF_OK(sh, store_fact_put(sh->s, LIT("cpu"), LIT("conv"), LIT("dnnl"), &sh->e));
    SHELF_OK(sh, store_fact_put(sh->s, LIT("cpu"), LIT("gemm"), odd, &sh->e));
    SHELF_OK(sh, store_fact_put(sh->s, LIT("other"), LIT("conv"), (struct str){0}, &sh->e));
    assert_true(str_is(get_ok(sh, LIT("cpu"), LIT("conv")), "dnnl"));
    assert_true(str_eq(get_ok(sh, LIT("cpu"), LIT("gemm")), odd));
    assert_int_equal(get_ok(sh, LIT("other"), LIT("conv")).n, 0);
    SHELF_OK(sh, store_fact_put(sh->s, LIT("cpu"), LIT("conv"), LIT("winograd"), &sh->e));
    assert_true(str_is(get_ok(sh, LIT("cpu"), LIT("conv")), "winograd"));
}

static void limits(void **state) {
    struct shelf *sh = *state;
    struct span big = shelf_bytes(sh, FACT_VALUE_MAX + 1, 1);
    struct str value = {(const char *)big.p, big.n};
    SHELF_FAILS(sh, LIMIT, "limit 1048576",
                store_fact_put(sh->s, LIT("a"), LIT("b"), value, &sh->e));
    value.n--;
    SHELF_OK(sh, store_fact_put(sh->s, LIT("a"), LIT("b"), value, &sh->e));
    assert_true(str_eq(get_ok(sh, LIT("a"), LIT("b")), value));
    SHELF_FAILS(sh, INVALID, "control",
                store_fact_put(sh->s, LIT("a\n"), LIT("b"), LIT(""), &sh->e));
    SHELF_FAILS(sh, INVALID, "key of a fact",
                store_fact_put(sh->s, LIT("a"), value, LIT(""), &sh->e));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(facts), TEST(limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

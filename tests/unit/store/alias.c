/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases: moving, rolling back, dropping, and what is refused. */
#include "store/alias.c"

#include "shelf.h"

static struct store_alias only(struct shelf *sh) {
    struct store_alias *list;
    size_t n;
    SHELF_OK(sh, store_aliases(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 1);
    return list[0];
}

static void moving(void **state) {
    struct shelf *sh = *state;
    uint64_t to = 77;
    for (uint64_t seed = 1; seed <= 3; seed++)
        shelf_add_seed(sh, "m", seed);
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    assert_true(only(sh).version == 1 && only(sh).previous == 0);
    SHELF_FAILS(sh, NOT_FOUND, "nothing to go back to",
                store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 2, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 3, &sh->e));
    assert_true(only(sh).version == 3 && only(sh).previous == 2);
    SHELF_OK(
        sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 3, &sh->e)); /* to where it is: no move */
    assert_true(only(sh).version == 3 && only(sh).previous == 2);
    SHELF_OK(sh, store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e));
    assert_true(to == 2 && only(sh).version == 2 && only(sh).previous == 3 &&
                only(sh).moved_us > 0);
    SHELF_OK(sh,
             store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e)); /* and forth again */
    assert_int_equal(to, 3);
    SHELF_OK(sh, store_remove(sh->s, LIT("m"), 2, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "m@prod cannot go back: model 'm' has no version 2",
                store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e));
    assert_true(to == 3 && only(sh).version == 3);
}

static void refused(void **state) {
    struct shelf *sh = *state;
    uint64_t to;
    struct store_alias *list;
    size_t n;
    shelf_add_seed(sh, "m", 1);
    SHELF_FAILS(sh, INVALID, "version number",
                store_alias_set(sh->s, LIT("m"), LIT("12"), 1, &sh->e));
    SHELF_FAILS(sh, INVALID, "alias name", store_alias_set(sh->s, LIT("m"), LIT("a b"), 1, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no version 2",
                store_alias_set(sh->s, LIT("m"), LIT("prod"), 2, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no model 'x'",
                store_alias_set(sh->s, LIT("x"), LIT("prod"), 1, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no alias 'prod'",
                store_alias_drop(sh->s, LIT("m"), LIT("prod"), &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no alias 'prod'",
                store_alias_rollback(sh->s, LIT("m"), LIT("prod"), &to, &sh->e));
    SHELF_FAILS(sh, NOT_FOUND, "no model 'x'",
                store_aliases(sh->s, LIT("x"), &sh->a, &list, &n, &sh->e));
    SHELF_OK(sh, store_aliases(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 0);
}

static void dropping(void **state) {
    struct shelf *sh = *state;
    struct store_alias *list;
    size_t n;
    shelf_add_seed(sh, "m", 1);
    shelf_add_seed(sh, "n", 1); /* the same alias name in another model */
    SHELF_OK(sh, store_alias_set(sh->s, LIT("m"), LIT("prod"), 1, &sh->e));
    SHELF_OK(sh, store_alias_set(sh->s, LIT("n"), LIT("prod"), 1, &sh->e));
    SHELF_OK(sh, store_alias_drop(sh->s, LIT("m"), LIT("prod"), &sh->e));
    SHELF_OK(sh, store_aliases(sh->s, LIT("m"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 0);
    SHELF_OK(sh, store_aliases(sh->s, LIT("n"), &sh->a, &list, &n, &sh->e));
    assert_int_equal(n, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, shelf_setup, shelf_teardown)
    const struct CMUnitTest tests[] = {TEST(moving), TEST(refused), TEST(dropping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

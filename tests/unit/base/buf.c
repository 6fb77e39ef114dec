/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.c"

#include "check.h"

static void grows_and_keeps(void **state) {
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    buf_drop_front(&b, 0); /* of nothing: there is no memory yet */
    for (int at = 0; at < 10000; at++)
        buf_printf(&b, "%d,", at % 10);
    assert_int_equal(b.n, 20000);
    assert_ok(buf_check(&b, "text", &e));
    assert_memory_equal(b.p + 19996, "8,9,", 4);
    buf_drop_front(&b, 19996);
    assert_str(buf_str(&b), "8,9,");
    buf_deinit(&b);
    assert_null(b.p);
}

static void the_cap_sticks(void **state) {
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 10);
    buf_put_text(&b, "123456789");
    buf_put_text(&b, "ab");
    buf_put_byte(&b, 'c'); /* would fit, but the first failure sticks */
    assert_str(buf_str(&b), "123456789");
    assert_fails(buf_check(&b, "answer", &e), TOO_LARGE, "answer: over the limit of 10 bytes");
    buf_clear(&b);
    assert_ok(buf_check(&b, "answer", &e));
    buf_put_text(&b, "1234567890");
    assert_int_equal(b.n, 10);
    assert_null(buf_extend(&b, SIZE_MAX));
    assert_int_equal(b.code, ERR_LIMIT);
    buf_deinit(&b);
}

static void nothing_is_put_for_nothing(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    buf_put(&b, NULL, 0);
    buf_put_str(&b, (struct str){NULL, 0});
    assert_int_equal(b.code, OK);
    assert_null(b.p);
    buf_put_byte(&b, 'x');
    assert_int_equal(b.code, ERR_LIMIT);
    buf_deinit(&b);
}

static void reserve_counts_nothing(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_true(buf_reserve(&b, 100));
    assert_int_equal(b.n, 0);
    uint64_t before = mem_count();
    memset(buf_extend(&b, 100), 'x', 100);
    assert_int_equal(mem_count(), before);
    assert_false(buf_reserve(&b, 1));
    buf_deinit(&b);
}

/* printf needs room for its NUL even at the cap: exactly full is not an error. */
static void printf_up_to_the_cap(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_printf(&b, "%s", "1234");
    assert_str(buf_str(&b), "1234");
    assert_int_equal(b.code, OK);
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(the_cap_sticks),
        cmocka_unit_test(nothing_is_put_for_nothing),
        cmocka_unit_test(reserve_counts_nothing),
        cmocka_unit_test(printf_up_to_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena_buf.c"

#include "check.h"

static void test_bufs_are_reused(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    arena_init(&a, 1 << 20);
    arena_buf_forget();
    for (int round = 0; round < 3; round++) {
        uint64_t before = mem_count();
        struct buf *b = arena_buf(&a, 1 << 20, 1000, "test", &e);
        assert_non_null(b);
        assert_true(round == 0 || mem_count() - before <= 1); /* the arena's first chunk */
        assert_int_equal(b->n, 0);
        buf_put_text(b, "text");
        arena_deinit(&a);
        assert_int_equal(kept.n, 1);
    }
    /* large: not from the kept ones, and not kept */
    assert_non_null(arena_buf(&a, 1 << 20, ARENA_BUF_KEPT_BYTES + 1, "test", &e));
    arena_deinit(&a);
    assert_int_equal(kept.n, 1);
    arena_buf_forget();
    assert_int_equal(kept.n, 0);
}

static void test_no_room_is_said(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    arena_init(&a, 1 << 20);
    assert_null(arena_buf(&a, 100, 101, "values", &e));
    assert_non_null(strstr(e.text, "values"));
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bufs_are_reused),
        cmocka_unit_test(test_no_room_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

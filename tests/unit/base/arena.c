/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.c"

#include "check.h"

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 300; n++) {
        unsigned char *p = arena_push(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t at = 0; at < n; at++)
            assert_int_equal(p[at], 0);
        memset(p, 0xee, n);
    }
    for (size_t align = 1; align <= 4096; align *= 2)
        assert_int_equal((uintptr_t)arena_push_aligned(&a, 3, align) % align, 0);
    arena_deinit(&a);
}

static void reused_memory_is_zeroed_again(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct arena_mark start = arena_mark(&a);
    memset(arena_push(&a, 1000), 0xee, 1000);
    arena_reset(&a, start);
    unsigned char *p = arena_push(&a, 1000);
    for (size_t at = 0; at < 1000; at++)
        assert_int_equal(p[at], 0);
    arena_deinit(&a);
}

static void the_cap_holds(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    arena_init(&a, 1000);
    assert_non_null(arena_push(&a, 600));
    assert_null(arena_push(&a, 401));
    assert_non_null(arena_push(&a, 400));
    assert_null(arena_push(&a, 1));
    assert_non_null(arena_push(&a, 0));
    assert_int_equal(arena_fail(&a, 401, "tensor", &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "tensor: 401 bytes"));
    assert_null(arena_push(&a, SIZE_MAX));
    assert_null(arena_push_array(&a, SIZE_MAX, 2));
    arena_deinit(&a);
    arena_init(&a, SIZE_MAX);
    assert_null(arena_push_aligned(&a, SIZE_MAX - 8, 64));
    arena_deinit(&a);
}

static void a_reset_arena_does_not_allocate(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct arena_mark start = arena_mark(&a);
    arena_push(&a, 2000);
    uint64_t before = mem_count();
    for (int round = 0; round < 100; round++) {
        arena_reset(&a, start);
        assert_non_null(arena_push(&a, 2000));
        assert_int_equal(a.used_bytes, 2000);
    }
    assert_int_equal(mem_count(), before);
    arena_deinit(&a);
}

static void a_mark_keeps_what_is_older(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 10 << 20);
    char *old = arena_strdup(&a, LIT("old"));
    struct arena_mark mark = arena_mark(&a);
    for (int push = 0; push < 100; push++)
        assert_non_null(arena_push(&a, 50000));
    arena_reset(&a, mark);
    assert_string_equal(old, "old");
    assert_int_equal(a.used_bytes, 4);
    assert_true(arena_strdup(&a, LIT("new")) != old);
    arena_deinit(&a);
}

static char order[8];
static int n_order;
static void note(void *letter) { order[n_order++] = *(char *)letter; }

static void cleanups_run_newest_first(void **state) {
    (void)state;
    struct arena a;
    char letters[] = "abc";
    n_order = 0;
    arena_init(&a, 1 << 20);
    assert_true(arena_defer(&a, note, &letters[0]));
    struct arena_mark mark = arena_mark(&a);
    assert_true(arena_defer(&a, note, &letters[1]));
    assert_true(arena_defer(&a, note, &letters[2]));
    arena_reset(&a, mark);
    assert_int_equal(n_order, 2);
    arena_deinit(&a);
    assert_int_equal(n_order, 3);
    assert_memory_equal(order, "cba", 3);
    arena_deinit(&a);
    assert_int_equal(n_order, 3);
}

static void defer_says_when_there_is_no_room(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 8);
    n_order = 0;
    assert_false(arena_defer(&a, note, NULL));
    arena_deinit(&a);
    assert_int_equal(n_order, 0);
}

static void text_is_copied(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, 100);
    struct str copy = arena_str(&a, LIT("abc"));
    assert_str(copy, "abc");
    assert_int_equal(copy.p[3], 0);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    assert_null(arena_printf(&a, "%200d", 7));
    struct str none = arena_str(&a, (struct str){copy.p, 200});
    assert_null(none.p);
    assert_int_equal(none.n, 0);
    assert_non_null(arena_str(&a, (struct str){NULL, 0}).p);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(reused_memory_is_zeroed_again),
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(a_reset_arena_does_not_allocate),
        cmocka_unit_test(a_mark_keeps_what_is_older),
        cmocka_unit_test(cleanups_run_newest_first),
        cmocka_unit_test(defer_says_when_there_is_no_room),
        cmocka_unit_test(text_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

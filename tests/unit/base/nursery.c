/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nursery.c"

#include "base/arena.h"

#include "check.h"

enum { BYTES = 8 << 20, MANY = 100 };

static void without_one_there_is_nothing(void **state) {
    (void)state;
    int on_the_stack = 0;
    assert_false(nursery_is_open());
    assert_null(nursery_take(1));
    assert_false(nursery_has(&on_the_stack));
}

static void what_is_taken_is_zero_and_apart(void **state) {
    (void)state;
    unsigned char *taken[MANY], *before = NULL;
    nursery_open(BYTES);
    nursery_open(1); /* once */
    for (int k = 0; k < MANY; k++) {
        assert_non_null(taken[k] = nursery_take(1000));
        assert_int_equal((uintptr_t)taken[k] % MEM_LINE, 0);
        assert_true(nursery_has(taken[k]) && nursery_has(taken[k] + 999));
        assert_true(!before || taken[k] >= before + 1000);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(taken[k][i], 0);
        memset(taken[k], 1, 1000);
        before = taken[k];
    }
}

static void full_is_no_crash(void **state) {
    (void)state;
    assert_null(nursery_take(BYTES));
    assert_null(nursery_take(SIZE_MAX));
    assert_non_null(nursery_take(BYTES / 2));
    assert_null(nursery_take(BYTES / 2));
    assert_false(nursery_has((const char *)nursery.from + BYTES));
}

/* Its memory and the heap's in one arena, which is emptied, used again and ended. */
static void an_arena_goes_on_behind_it(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct arena_mark empty = arena_mark(&a);
    int young = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t k = 0; k < 64; k++) {
            unsigned char *p = arena_push(&a, 200 << 10);
            assert_non_null(p);
            young += nursery_has(p);
            for (size_t i = 0; i < 200 << 10; i += 1 << 10)
                assert_int_equal(p[i], 0);
            memset(p, 255, 200 << 10);
        }
        arena_reset(&a, empty);
    }
    arena_deinit(&a);
    assert_in_range(young, 1, 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_one_there_is_nothing),
                                       cmocka_unit_test(what_is_taken_is_zero_and_apart),
                                       cmocka_unit_test(full_is_no_crash),
                                       cmocka_unit_test(an_arena_goes_on_behind_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

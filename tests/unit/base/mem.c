/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.c"

#include "check.h"

static void sizes_are_checked(void **state) {
    (void)state;
    size_t n = 7;
    assert_false(mul_size(SIZE_MAX, 2, &n));
    assert_false(add_size(SIZE_MAX, 1, &n));
    assert_int_equal(n, 7);
    assert_true(mul_size(3, 5, &n) && n == 15);
    assert_true(add_size(SIZE_MAX - 1, 1, &n) && n == SIZE_MAX);
    assert_int_equal(mem_round_up(0, 64), 0);
    assert_int_equal(mem_round_up(1, 64), 64);
    assert_int_equal(mem_round_up(64, 64), 64);
}

static void memory_comes_and_is_counted(void **state) {
    (void)state;
    uint64_t before = mem_count();
    void *none = mem_alloc(0), *zeroed = mem_zalloc(3, 7), *line = mem_alloc_aligned(100, MEM_LINE);
    char *text = mem_strdup("text");
    assert_non_null(none);
    assert_memory_equal(zeroed, (uint8_t[21]){0}, 21);
    assert_int_equal((uintptr_t)line % MEM_LINE, 0);
    assert_string_equal(text, "text");
    none = mem_realloc(none, 1000);
    assert_non_null(none);
    assert_int_equal(mem_count() - before, 5);
    mem_free(none);
    mem_free(zeroed);
    mem_free(line);
    mem_free(text);
    mem_free(NULL);
}

static void impossible_sizes_give_nothing(void **state) {
    (void)state;
    volatile size_t most = SIZE_MAX;
    assert_null(mem_alloc_aligned(most - 8, MEM_LINE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(memory_comes_and_is_counted),
        cmocka_unit_test(impossible_sizes_give_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

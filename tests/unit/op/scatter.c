/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the scatter operators. */
#include "op/scatter.c"

#include "op_case.h"

static void elements_with_every_reduction(void **state) {
    (void)state;
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    static const float want[][3] = {{4, 2, 3}, {1 + 5 + 4, 2, 3}, {20, 2, 3}, {1, 2, 3}, {5, 2, 3}};
    for (int k = 0; k < 5; k++) {
        struct op_case c = op_case("scatter_elements", 18), whole = op_case("scatter_elements", 18);
        op_case_str(&c, "reduction", names[k]);
        op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_in(&c, T_I64(DIMS(2), 0, -3));
        op_case_in(&c, T_F32(DIMS(2), 5, 4));
        op_case_out(&c, T_F32(DIMS(3), want[k][0], want[k][1], want[k][2]));
        op_case_check(&c);
        op_case_str(&whole, "reduction", names[k]);
        op_case_in(&whole, T_I8(DIMS(3), 1, 2, 3));
        op_case_in(&whole, T_I64(DIMS(2), 0, -3));
        op_case_in(&whole, T_I8(DIMS(2), 5, 4));
        op_case_out(&whole, T_I8(DIMS(3), (int8_t)want[k][0], 2, 3));
        op_case_check(&whole);
    }
}

static void nd_writes_slices(void **state) {
    (void)state;
    struct op_case c = op_case("scatter_nd", 18), shape = op_case("scatter_nd", 18);
    op_case_in(&c, T_F32(DIMS(3, 2), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_I64(DIMS(2, 1), 2, 0));
    op_case_in(&c, T_F32(DIMS(2, 2), 9, 8, 7, 6));
    op_case_out(&c, T_F32(DIMS(3, 2), 7, 6, 3, 4, 9, 8));
    op_case_check(&c);
    op_case_in(&shape, T_F32(DIMS(3), 1, 2, 3));
    op_case_in(&shape, T_I64(DIMS(1, 2), 0, 0));
    op_case_in(&shape, T_F32(DIMS(1), 9));
    op_case_out(&shape, T_F32(DIMS(3), 1, 2, 3));
    op_case_refuse(&shape, ERR_INVALID, "do not fit data [3]");
}

static void every_index_is_checked(void **state) {
    (void)state;
    static const int64_t wrong[] = {3, -4, INT64_MIN};
    for (int k = 0; k < 3; k++) {
        struct op_case c = op_case("scatter_elements", 18), nd = op_case("scatter_nd", 18);
        op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_in(&c, T_I64(DIMS(1), wrong[k]));
        op_case_in(&c, T_F32(DIMS(1), 5));
        op_case_out(&c, T_F32(DIMS(3), 1, 2, 3));
        op_case_refuse(&c, ERR_INVALID, "outside an axis of 3");
        op_case_in(&nd, T_F32(DIMS(3), 1, 2, 3));
        op_case_in(&nd, T_I64(DIMS(1, 1), wrong[k]));
        op_case_in(&nd, T_F32(DIMS(1), 5));
        op_case_out(&nd, T_F32(DIMS(3), 1, 2, 3));
        op_case_refuse(&nd, ERR_INVALID, "outside an axis of 3");
    }
}

static void a_cache_is_written_in_place(void **state) {
    (void)state;
    struct op_case c = op_case("tensor_scatter", 24), around = op_case("tensor_scatter", 24),
                   wrong = op_case("tensor_scatter", 24);
    op_case_in(&c, T_F32(DIMS(2, 3, 1), 1, 2, 3, 4, 5, 6));
    op_case_in(&c, T_F32(DIMS(2, 1, 1), 9, 8));
    op_case_in(&c, T_I64(DIMS(2), 2, 0));
    op_case_out(&c, T_F32(DIMS(2, 3, 1), 1, 2, 9, 8, 5, 6));
    op_case_check(&c);
    op_case_str(&around, "mode", "circular");
    op_case_in(&around, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_in(&around, T_F32(DIMS(1, 2, 1), 9, 8));
    op_case_in(&around, T_I64(DIMS(1), 2));
    op_case_out(&around, T_F32(DIMS(1, 3, 1), 8, 2, 9));
    op_case_check(&around);
    op_case_in(&wrong, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_in(&wrong, T_F32(DIMS(1, 2, 1), 9, 8));
    op_case_in(&wrong, T_I64(DIMS(1), 2));
    op_case_out(&wrong, T_F32(DIMS(1, 3, 1), 1, 2, 3));
    op_case_refuse(&wrong, ERR_INVALID, "write index 2");
}

/* What max_pool took goes back to where it was; by output_shape into a larger plane. */
static void unpool_puts_values_back(void **state) {
    (void)state;
    struct op_case c = op_case("max_unpool", 11), larger = op_case("max_unpool", 11),
                   outside = op_case("max_unpool", 11);
    struct op_case *all[] = {&c, &larger, &outside};
    for (int k = 0; k < 3; k++) {
        op_case_ints(all[k], "kernel_shape", 2, (int64_t[]){2, 2});
        op_case_ints(all[k], "strides", 2, (int64_t[]){2, 2});
        op_case_in(all[k], T_F32(DIMS(1, 1, 1, 2), 5, 6));
    }
    op_case_in(&c, T_I64(DIMS(1, 1, 1, 2), 4, 3));
    op_case_out(&c, T_F32(DIMS(1, 1, 2, 4), 0, 0, 0, 6, 5, 0, 0, 0));
    op_case_check(&c);
    op_case_in(&larger, T_I64(DIMS(1, 1, 1, 2), 4, 3));
    op_case_in(&larger, T_I64(DIMS(4), 1, 1, 2, 5));
    op_case_out(&larger, T_F32(DIMS(1, 1, 2, 5), 0, 0, 0, 6, 0, 5, 0, 0, 0, 0));
    op_case_check(&larger);
    op_case_in(&outside, T_I64(DIMS(1, 1, 1, 2), 8, 3));
    op_case_out(&outside, T_F32(DIMS(1, 1, 2, 4), 0, 0, 0, 0, 0, 0, 0, 0));
    op_case_refuse(&outside, ERR_INVALID, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_with_every_reduction),
        cmocka_unit_test(nd_writes_slices),
        cmocka_unit_test(every_index_is_checked),
        cmocka_unit_test(a_cache_is_written_in_place),
        cmocka_unit_test(unpool_puts_values_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

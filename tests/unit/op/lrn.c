/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of lrn. */
#include "op/lrn.c"

#include "op_case.h"

static void neighbours(enum dtype dtype, struct shape dims, int64_t size) {
    struct op_case c = op_case("lrn", 13);
    struct tensor x = op_case_random(&c, dtype, dims, 1), y = x;
    y.data = arena_push_aligned(&c.arena, tensor_bytes(&x), 64);
    const int64_t channels = dims.dims[1];
    const size_t pixels = tensor_count(&x) / (size_t)(dims.dims[0] * channels);
    for (size_t k = 0; k < tensor_count(&x); k++) {
        int64_t ch = (int64_t)(k / pixels) % channels;
        double sum = 0;
        for (int64_t d = -((size - 1) / 2); d <= size / 2; d++)
            if (ch + d >= 0 && ch + d < channels)
                sum += pow(tensor_f64(&x, (size_t)((int64_t)k + d * (int64_t)pixels)), 2);
        operand_put(&y, k, tensor_f64(&x, k) / pow(2 + 0.5 / (double)size * sum, 0.75));
    }
    op_case_int(&c, "size", size);
    op_case_float(&c, "alpha", 0.5f);
    op_case_float(&c, "bias", 2);
    op_case_in(&c, x);
    op_case_out(&c, y);
    if (dtype == DT_F16)
        c.relative = c.absolute = 2e-3;
    op_case_check(&c);
}

static void sizes(void **state) {
    (void)state;
    for (int64_t size = 1; size < 8; size++) {
        neighbours(DT_F32, DIMS(2, 5, 3, 4), size);
        neighbours(DT_F32, DIMS(1, 3, 17, 17), size);
        neighbours(DT_F64, DIMS(2, 5, 3), size);
        neighbours(DT_F16, DIMS(2, 5, 3), size);
    }
    neighbours(DT_F32, DIMS(1, 96, 5, 5), 5);
    neighbours(DT_F32, DIMS(2, 4), 3);
}

static void a_window_of_nothing_is_refused(void **state) {
    (void)state;
    struct op_case c = op_case("lrn", 13);
    op_case_in(&c, T_F32(DIMS(1, 1), 1));
    op_case_out(&c, T_F32(DIMS(1, 1), 1));
    op_case_refuse(&c, ERR_INVALID, "size = 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(a_window_of_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

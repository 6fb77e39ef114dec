/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise operators and averages on quantised bytes. */
#include "op/qlinear.c"

#include "base/cpu.h"
#include "op_case.h"

static void test_add_and_mul(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (uint64_t i = 0; i < 10; i++)
        for (int form = 0; form < 12; form++) {
            bool multiply = form & 1, is_signed = form & 2;
            int shape = form / 4; /* 0: same, 1: one element, 2: per channel */
            enum dtype t = is_signed ? DT_I8 : DT_U8;
            struct op_case c = op_case(multiply ? "q_linear_mul" : "q_linear_add", 1);
            struct tensor a = op_case_random(&c, t, DIMS(2, sizes[i], 3), i),
                          b = op_case_random(&c, t,
                                             shape == 0   ? DIMS(2, sizes[i], 3)
                                             : shape == 1 ? DIMS(1)
                                                          : DIMS(sizes[i], 1),
                                             i + 1);
            struct tensor y = op_case_random(&c, t, DIMS(2, sizes[i], 3), 1);
            for (size_t k = 0; k < tensor_count(&y); k++) {
                double u = (double)(tensor_i64(&a, k) - 3) * 0.5,
                       v = (double)(tensor_i64(&b, shape == 0   ? k
                                                   : shape == 1 ? 0
                                                                : k / 3 % (size_t)sizes[i]) -
                                    5) *
                           0.25;
                ((uint8_t *)y.data)[k] = quantised(multiply ? u * v : u + v, 2, 7, is_signed);
            }
            const int8_t zeros[3] = {3, 5, 7};
            op_case_in(&c, a);
            op_case_in(&c, T_F32(SCALAR, 0.5f));
            op_case_in(&c, (struct tensor){.dtype = t, .data = (void *)(uintptr_t)&zeros[0]});
            op_case_in(&c, b);
            op_case_in(&c, T_F32(SCALAR, 0.25f));
            op_case_in(&c, (struct tensor){.dtype = t, .data = (void *)(uintptr_t)&zeros[1]});
            op_case_in(&c, T_F32(SCALAR, 2));
            op_case_in(&c, (struct tensor){.dtype = t, .data = (void *)(uintptr_t)&zeros[2]});
            op_case_out(&c, y);
            op_case_check(&c);
        }
}

static void one(const char *name, struct tensor x, struct tensor y) {
    struct op_case c = op_case(name, 1);
    op_case_in(&c, x);
    op_case_in(&c, T_F32(SCALAR, 0.5f));
    op_case_in(&c, T_U8(SCALAR, 10));
    op_case_in(&c, T_F32(SCALAR, 0.125f));
    op_case_in(&c, T_U8(SCALAR, 2));
    op_case_out(&c, y);
    op_case_check(&c);
}

static void test_tables(void **state) {
    (void)state;
    one("q_linear_sigmoid", T_U8(DIMS(3), 10, 12, 200),
        T_U8(DIMS(3), 6, 8, 10)); /* 0.5, 0.731, 1 */
    one("q_linear_leaky_relu", T_U8(DIMS(3), 10, 0, 14), T_U8(DIMS(3), 2, 2, 18));
}

static void test_average(void **state) {
    (void)state;
    one("q_linear_global_average_pool", T_U8(DIMS(1, 2, 2, 2), 10, 11, 12, 13, 20, 20, 21, 20),
        T_U8(DIMS(1, 2, 1, 1), 8, 43));
    struct op_case c = op_case("q_linear_global_average_pool", 1);
    struct tensor x = op_case_random(&c, DT_U8, DIMS(2, 130, 3, 3), 5),
                  y = op_case_random(&c, DT_U8, DIMS(2, 130, 1, 1), 1);
    for (size_t plane = 0; plane < 260; plane++) {
        double sum = 0;
        for (size_t i = 0; i < 9; i++)
            sum += ((uint8_t *)x.data)[plane * 9 + i];
        ((uint8_t *)y.data)[plane] = quantised((sum / 9 - 10) * 0.5, 0.5, 1, false);
    }
    op_case_in(&c, x);
    op_case_in(&c, T_F32(SCALAR, 0.5f));
    op_case_in(&c, T_U8(SCALAR, 10));
    op_case_in(&c, T_F32(SCALAR, 0.5f));
    op_case_in(&c, T_U8(SCALAR, 1));
    op_case_out(&c, y);
    op_case_check(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_mul),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_average),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

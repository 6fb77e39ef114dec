/* SPDX-License-Identifier: Apache-2.0 */
/* Products of bytes: the examples of the specification, batches, parameters per row and column,
 * sizes. */
#include "op/qmatmul.c"

#include "base/cpu.h"
#include "op_case.h"

static void test_linear_example(void **state) {
    (void)state;
    for (int batches = 1; batches <= 2; batches++) { /* ONNX: test_qlinearmatmul_2D_uint8_float32 */
        struct op_case c = op_case("q_linear_mat_mul", 10);
        op_case_in(&c, batches == 1 ? T_U8(DIMS(2, 4), 208, 236, 0, 238, 3, 214, 255, 29)
                                    : T_U8(DIMS(2, 2, 4), 208, 236, 0, 238, 3, 214, 255, 29, 208,
                                           236, 0, 238, 3, 214, 255, 29));
        op_case_in(&c, T_F32(DIMS(1), 0.0066f));
        op_case_in(&c, T_U8(DIMS(1), 113));
        op_case_in(&c, T_U8(DIMS(4, 3), 152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247));
        op_case_in(&c, T_F32(DIMS(1), 0.00705f));
        op_case_in(&c, T_U8(DIMS(1), 114));
        op_case_in(&c, T_F32(DIMS(1), 0.0107f));
        op_case_in(&c, T_U8(DIMS(1), 118));
        op_case_out(&c, batches == 1 ? T_U8(DIMS(2, 3), 168, 115, 255, 1, 66, 151)
                                     : T_U8(DIMS(2, 2, 3), 168, 115, 255, 1, 66, 151, 168, 115, 255,
                                            1, 66, 151));
        op_case_check(&c);
    }
}

static void test_integer_example(void **state) {
    (void)state;
    struct op_case c = op_case("mat_mul_integer", 10);
    op_case_in(&c, T_U8(DIMS(4, 3), 11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0));
    op_case_in(&c, T_U8(DIMS(3, 2), 1, 4, 2, 5, 3, 6));
    op_case_in(&c, T_U8(DIMS(1), 12));
    op_case_in(&c, T_U8(DIMS(1), 0));
    op_case_out(&c, T_I32(DIMS(4, 2), -38, -83, -44, -98, -50, -113, -56, -128));
    op_case_check(&c);
    c = op_case("mat_mul_integer", 10); /* zero points per row and per column */
    op_case_in(&c, T_U8(DIMS(2, 2), 1, 2, 3, 4));
    op_case_in(&c, T_I8(DIMS(2, 2), 1, -1, 2, 0));
    op_case_in(&c, T_U8(DIMS(2), 1, 2));
    op_case_in(&c, T_I8(DIMS(2), 0, 1));
    op_case_out(&c, T_I32(DIMS(2, 2), 2, -1, 5, -4));
    op_case_check(&c);
}

/* u8 by i8 of every size, constant and not, against sums in 64 bits. */
static void test_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (uint64_t i = 0; i < 10; i++)
        for (uint64_t j = 0; j < 10; j++) {
            int64_t m = sizes[i] * (i == 9 && j == 9 ? 2 : 1), n = sizes[j],
                    k = sizes[(i + j) % 10] * (i == 9 && j == 9 ? 8 : 1);
            for (unsigned constant = 0; constant < 2; constant++) {
                struct op_case c = op_case("q_linear_mat_mul", 10);
                struct tensor a = op_case_random(&c, DT_U8, DIMS(m, k), i),
                              b = op_case_random(&c, DT_I8, DIMS(k, n), j);
                struct tensor scale = op_case_random(&c, DT_F32, DIMS(n), 3),
                              y = op_case_random(&c, DT_U8, DIMS(m, n), 1);
                for (int64_t col = 0; col < n; col++)
                    ((float *)scale.data)[col] = 0.01f * (float)(col % 5 + 1);
                for (int64_t at = 0; at < m * n; at++) {
                    int64_t sum = 0;
                    for (int64_t x = 0; x < k; x++)
                        sum += (((uint8_t *)a.data)[at / n * k + x] - 100) *
                               ((int8_t *)b.data)[x * n + at % n];
                    double v = __builtin_rint((double)sum * 0.02 *
                                              (double)((float *)scale.data)[at % n] / 0.3) +
                               128;
                    ((uint8_t *)y.data)[at] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
                }
                op_case_in(&c, a);
                op_case_in(&c, T_F32(SCALAR, 0.02f));
                op_case_in(&c, T_U8(SCALAR, 100));
                op_case_in(&c, b);
                op_case_in(&c, scale);
                op_case_in(&c, T_I8(SCALAR, 0));
                op_case_in(&c, T_F32(SCALAR, 0.3f));
                op_case_in(&c, T_U8(SCALAR, 128));
                op_case_out(&c, y);
                c.absolute = 1; /* ties */
                c.constant = constant ? 0xfe : 0;
                op_case_check(&c);
            }
        }
}

/* Batches of both operands, large enough to be shared by a team; zero points per column; an odd
 * k. B of both signs. */
static void test_batches(void **state) {
    (void)state;
    enum { BATCH = 3, M = 40, K = 65, N = 300 };
    for (enum dtype t = DT_I8; t <= DT_U8; t += DT_U8 - DT_I8) {
        struct op_case c = op_case("mat_mul_integer", 10);
        struct tensor a = op_case_random(&c, DT_I8, DIMS(BATCH, M, K), 1),
                      b = op_case_random(&c, t, DIMS(BATCH, K, N), 2),
                      zero = op_case_random(&c, t, DIMS(N), 3),
                      y = op_case_random(&c, DT_I32, DIMS(BATCH, M, N), 4);
        for (size_t at = 0; at < BATCH * M * N; at++) {
            const size_t batch = at / (M * N), row = at / N % M, col = at % N;
            int64_t sum = 0;
            for (size_t k = 0; k < K; k++)
                sum += (tensor_i64(&a, (batch * M + row) * K + k) - 7) *
                       (tensor_i64(&b, (batch * K + k) * N + col) - tensor_i64(&zero, col));
            ((int32_t *)y.data)[at] = (int32_t)sum;
        }
        op_case_in(&c, a);
        op_case_in(&c, b);
        op_case_in(&c, T_I8(SCALAR, 7));
        op_case_in(&c, zero);
        op_case_out(&c, y);
        op_case_check(&c);
    }
}

static void test_gemm(void **state) {
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct op_case c = op_case("q_gemm", 1);
        op_case_int(&c, "transB", 1);
        op_case_in(&c, T_U8(DIMS(1, 3), 11, 12, 13));
        op_case_in(&c, T_F32(SCALAR, 0.5f));
        op_case_in(&c, T_U8(SCALAR, 10));
        op_case_in(&c, T_I8(DIMS(2, 3), 1, 2, 3, -1, 0, 4));
        op_case_in(&c, T_F32(DIMS(2), 0.5f, 1));
        op_case_in(&c, T_I8(SCALAR, 0));
        op_case_in(&c, T_I32(DIMS(2), 2, -1));
        if (whole) {
            op_case_in(&c, T_F32(SCALAR, 2));
            op_case_in(&c, T_U8(SCALAR, 1));
            op_case_out(&c,
                        T_U8(DIMS(1, 2), 3, 3)); /* 4 and 5 over 2: 2 and 2.5, to even, plus 1 */
        } else {
            op_case_out(&c, T_F32(DIMS(1, 2), 4, 5));
        }
        op_case_check(&c);
    }
}

/* A large product with a row of C, where everything is constant but A. */
static void test_gemm_with_constants(void **state) {
    (void)state;
    struct op_case c = op_case("q_gemm", 1);
    const int64_t m = 3, n = 100, k = 4000;
    struct tensor a = op_case_random(&c, DT_U8, DIMS(m, k), 1),
                  b = op_case_random(&c, DT_I8, DIMS(n, k), 2);
    struct tensor bias = op_case_random(&c, DT_I32, DIMS(n), 3),
                  y = op_case_random(&c, DT_U8, DIMS(m, n), 1);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)bias.data)[i] *= 100;
    for (int64_t at = 0; at < m * n; at++) {
        int64_t sum = ((int32_t *)bias.data)[at % n];
        for (int64_t x = 0; x < k; x++)
            sum += (((uint8_t *)a.data)[at / n * k + x] - 100) * ((int8_t *)b.data)[at % n * k + x];
        double v = __builtin_rint((double)sum * 0.02 * 0.01 / 3) + 128;
        ((uint8_t *)y.data)[at] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    op_case_int(&c, "transB", 1);
    op_case_in(&c, a);
    op_case_in(&c, T_F32(SCALAR, 0.02f));
    op_case_in(&c, T_U8(SCALAR, 100));
    op_case_in(&c, b);
    op_case_in(&c, T_F32(SCALAR, 0.01f));
    op_case_in(&c, T_I8(SCALAR, 0));
    op_case_in(&c, bias);
    op_case_in(&c, T_F32(SCALAR, 3));
    op_case_in(&c, T_U8(SCALAR, 128));
    op_case_out(&c, y);
    c.absolute = 1;
    c.constant = 0x1fe;
    op_case_check(&c);
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("mat_mul_integer", 10);
    op_case_in(&c, T_U8(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_U8(DIMS(1, 2), 1, 2));
    op_case_out(&c, T_I32(DIMS(1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "do not multiply");
    c = op_case("mat_mul_integer", 10);
    op_case_in(&c, T_U8(DIMS(1, 1), 1));
    op_case_in(&c, T_U8(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_U8(DIMS(3), 1, 2, 3));
    op_case_out(&c, T_I32(DIMS(1, 2), 0, 0));
    op_case_refuse(&c, ERR_INVALID, "parameter of A");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_example), cmocka_unit_test(test_integer_example),
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_batches),
        cmocka_unit_test(test_gemm),           cmocka_unit_test(test_gemm_with_constants),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

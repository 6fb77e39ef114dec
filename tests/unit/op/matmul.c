/* SPDX-License-Identifier: Apache-2.0 */
/* mat_mul and gemm: shapes, transposes, C, types, constant and runtime B, posts. */
#include "op/matmul.c"

#include "base/cpu.h"
#include "op_case.h"

static void two(struct tensor a, struct tensor b, struct tensor y) {
    for (int constant = 0; constant < 2; constant++) {
        struct op_case c = op_case("mat_mul", 13);
        c.constant = constant ? 2 : 0;
        op_case_in(&c, a);
        op_case_in(&c, b);
        op_case_out(&c, y);
        op_case_check(&c);
    }
}

static void test_mat_mul(void **state) {
    (void)state;
    two(T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6), T_F32(DIMS(3, 2), 1, 0, 0, 1, 1, 1),
        T_F32(DIMS(2, 2), 4, 5, 10, 11));
    two(T_F32(DIMS(3), 1, 2, 3), T_F32(DIMS(3, 2), 1, 0, 0, 1, 1, 1), T_F32(DIMS(2), 4, 5));
    two(T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6), T_F32(DIMS(3), 1, 1, 1), T_F32(DIMS(2), 6, 15));
    two(T_F32(DIMS(3), 1, 2, 3), T_F32(DIMS(3), 1, 1, 1), T_F32(SCALAR, 6));
    two(T_F32(DIMS(2, 1, 2), 1, 2, 3, 4), T_F32(DIMS(2, 1), 10, 1), T_F32(DIMS(2, 1, 1), 12, 34));
    two(T_F32(DIMS(2, 1, 1, 2), 1, 2, 3, 4), T_F32(DIMS(2, 2, 1), 1, 0, 0, 1),
        T_F32(DIMS(2, 2, 1, 1), 1, 2, 3, 4));
    two(T_F64(DIMS(1, 2), 0.5, 2), T_F64(DIMS(2, 1), 2, 0.25), T_F64(DIMS(1, 1), 1.5));
    two(T_I32(DIMS(1, 2), -3, 2), T_I32(DIMS(2, 2), 2, 1, 4, INT32_MAX), T_I32(DIMS(1, 2), 2, -5));
    two(T_F16(DIMS(1, 2), 0x3c00, 0x4000), T_F16(DIMS(2, 1), 0x3c00, 0x4000),
        T_F16(DIMS(1, 1), 0x4500)); /* 5 */
    two(T_EMPTY(DT_F32, DIMS(0, 3)), T_F32(DIMS(3, 1), 1, 2, 3), T_EMPTY(DT_F32, DIMS(0, 1)));
}

static double element(const struct tensor *t, size_t row, size_t col, bool transposed) {
    size_t cols = (size_t)t->shape.dims[1];
    return (double)((const float *)t->data)[transposed ? col * cols + row : row * cols + col];
}

struct form {
    int64_t m, n, k;
    bool ta, tb;
    int third; /* 0 none, 1 row, 2 column, 3 whole, 4 scalar */
    float alpha, beta;
    enum post_kind post;
};

static struct op_case make(const struct form *f, uint64_t seed) {
    struct op_case c = op_case("gemm", 13);
    c.relative = c.absolute = 1e-4;
    op_case_in(&c, op_case_random(&c, DT_F32, f->ta ? DIMS(f->k, f->m) : DIMS(f->m, f->k), seed));
    op_case_in(&c,
               op_case_random(&c, DT_F32, f->tb ? DIMS(f->n, f->k) : DIMS(f->k, f->n), seed + 1));
    const struct shape thirds[] = {SCALAR, DIMS(f->n), DIMS(f->m, 1), DIMS(f->m, f->n), DIMS(1)};
    if (f->third)
        op_case_in(&c, op_case_random(&c, DT_F32, thirds[f->third], seed + 2));
    op_case_int(&c, "transA", f->ta);
    op_case_int(&c, "transB", f->tb);
    op_case_float(&c, "alpha", f->alpha);
    op_case_float(&c, "beta", f->beta);
    struct tensor y = op_case_random(&c, DT_F32, DIMS(f->m, f->n), 1);
    for (size_t row = 0; row < (size_t)f->m; row++)
        for (size_t col = 0; col < (size_t)f->n; col++) {
            double sum = 0;
            for (size_t k = 0; k < (size_t)f->k; k++)
                sum += element(&c.in[0], row, k, f->ta) * element(&c.in[1], k, col, f->tb);
            const float *third = c.in[2].data;
            size_t at = f->third == 1   ? col
                        : f->third == 2 ? row
                        : f->third == 3 ? row * (size_t)f->n + col
                                        : 0;
            sum = (double)f->alpha * sum + (f->third ? (double)f->beta * (double)third[at] : 0);
            if (f->post == POST_RELU)
                sum = sum > 0 ? sum : 0;
            ((float *)y.data)[row * (size_t)f->n + col] = (float)sum;
        }
    if (f->post) {
        c.n_post = 1;
        c.post[0].kind = f->post;
    }
    op_case_out(&c, y);
    return c;
}

static void both(const struct form *f, uint64_t seed) {
    struct op_case c = make(f, seed);
    op_case_check(&c);
    c = make(f, seed);
    c.constant = 2;
    op_case_check(&c);
}

static void test_gemm(void **state) {
    (void)state;
    for (int flags = 0; flags < 4; flags++)
        for (int third = 0; third < 5; third++) {
            both(&(struct form){5, 7, 6, flags & 1, flags & 2, third, 1, 1, POST_NONE}, 3);
            both(&(struct form){5, 7, 6, flags & 1, flags & 2, third, 0.5f, 2, POST_RELU}, 4);
        }
    both(&(struct form){1, 1000, 300, false, true, 1, 1, 1, POST_NONE}, 5);
    both(&(struct form){130, 200, 300, false, false, 1, 1, 1, POST_RELU},
         6); /* large enough for oneDNN */
    both(&(struct form){130, 200, 300, true, true, 3, 1, 1, POST_RELU}, 7);
}

static void test_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (uint64_t i = 0; i < 10; i++)
        for (uint64_t j = 0; j < 10; j++)
            both(&(struct form){sizes[i], sizes[j], sizes[(i + j) % 10], i % 2, j % 2, 1, 1, 1,
                                POST_NONE},
                 i * 10 + j);
}

/* (2, m, k) by (k, n), plus a row, and plus all before or after the ReLU. */
static void check_posts(int64_t m, int64_t k, int64_t n, bool before) {
    struct op_case c = op_case("mat_mul", 13);
    c.relative = c.absolute = 1e-4;
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(2, m, k), 1));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(k, n), 2));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(n), 3));
    op_case_in(&c, op_case_random(&c, DT_F32, DIMS(2, m, n), 4));
    c.n_post = 3;
    c.post[0] = (struct post){.kind = POST_ADD, .input = 2};
    c.post[before ? 2 : 1] = (struct post){.kind = POST_RELU};
    c.post[before ? 1 : 2] = (struct post){.kind = POST_ADD, .input = 3};
    c.constant = 2;
    struct tensor y = op_case_random(&c, DT_F32, DIMS(2, m, n), 5);
    for (int64_t i = 0; i < 2 * m * n; i++) {
        const double all = (double)((float *)c.in[3].data)[i];
        double sum = (double)((float *)c.in[2].data)[i % n] + (before ? all : 0);
        for (int64_t j = 0; j < k; j++)
            sum += (double)((float *)c.in[0].data)[i / n * k + j] *
                   (double)((float *)c.in[1].data)[j * n + i % n];
        ((float *)y.data)[i] = (float)((sum > 0 ? sum : 0) + (before ? 0 : all));
    }
    op_case_out(&c, y);
    op_case_check(&c);
}

static void test_batch_posts(void **state) {
    (void)state;
    for (int before = 0; before < 2; before++) {
        check_posts(3, 4, 5, before);
        check_posts(70, 200, 160, before);
        check_posts(70, 768, 256, before);  /* Strassen's algorithm */
        check_posts(150, 400, 160, before); /* oneDNN */
    }
}

static void test_refusals(void **state) {
    (void)state;
    struct op_case c = op_case("mat_mul", 13);
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_in(&c, T_F32(DIMS(3), 1, 2, 3));
    op_case_out(&c, T_F32(SCALAR, 0));
    op_case_refuse(&c, ERR_INVALID, "do not multiply");
    c = op_case("gemm", 13);
    op_case_in(&c, T_F32(DIMS(1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(2, 1), 1, 2));
    op_case_in(&c, T_F32(DIMS(2), 1, 2));
    op_case_out(&c, T_F32(DIMS(1, 1), 0));
    op_case_refuse(&c, ERR_INVALID, "C does not broadcast");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mat_mul),  cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_batch_posts),
        cmocka_unit_test(test_refusals),
    };
    struct err e;
    if (cpu_setup(&e) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

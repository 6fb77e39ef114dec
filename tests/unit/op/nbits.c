/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of mat_mul_n_bits. */
#include "op/nbits.c"

#include "op_case.h"

static struct op_case begin(int64_t k, int64_t n, int64_t bits) {
    struct op_case c = op_case("mat_mul_n_bits", 1);
    op_case_int(&c, "K", k);
    op_case_int(&c, "N", n);
    op_case_int(&c, "bits", bits);
    op_case_int(&c, "block_size", 16);
    return c;
}

/* Two columns of 17 positions: a block of 16 and one of 1. Numbers 0x8f: 15 then 8. */
static void blocks_and_zeros(void **state) {
    (void)state;
    uint8_t w[2 * 2 * 8];
    float a[17];
    for (size_t k = 0; k < sizeof w; k++)
        w[k] = 0x8f;
    for (size_t k = 0; k < 17; k++)
        a[k] = 1;
    for (int given = 0; given < 2; given++) {
        struct op_case c = begin(17, 2, 4);
        op_case_in(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 17), .data = a});
        op_case_in(&c, (struct tensor){.dtype = DT_U8, .shape = DIMS(2, 2, 8), .data = w});
        op_case_in(&c, T_F32(DIMS(4), 1, 2, 0.5F, 1));
        if (given) /* zeros 7 and 8 of column 0, 15 and 15 of column 1 */
            op_case_in(&c, T_U8(DIMS(2), 0x87, 0xff));
        else /* 8 */
            op_case_in(&c, T_ABSENT);
        op_case_in(&c, T_ABSENT);
        op_case_in(&c, T_F32(DIMS(2), 100, 0));
        if (given)
            op_case_out(&c, T_F32(DIMS(1, 2), 100 + 8 * (8 + 1) + 2 * 7, 0.5F * 8 * (0 - 7)));
        else
            op_case_out(&c, T_F32(DIMS(1, 2), 100 + 8 * 7 + 2 * 7, 0.5F * 8 * 7 + 7));
        op_case_check(&c);
    }
}

/* Positions that were reordered: group 1 holds the first, group 0 the rest. */
static void groups(void **state) {
    (void)state;
    float a[32] = {2, 1};
    uint8_t w[32] = {3, 5};
    int32_t group[32] = {1};
    struct op_case c = begin(32, 1, 8);
    op_case_in(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 32), .data = a});
    op_case_in(&c, (struct tensor){.dtype = DT_U8, .shape = DIMS(1, 2, 16), .data = w});
    op_case_in(&c, T_F32(DIMS(2), 1, 10));
    op_case_in(&c, T_F32(DIMS(2), 0, 1));
    op_case_in(&c, (struct tensor){.dtype = DT_I32, .shape = DIMS(32), .data = group});
    op_case_out(&c, T_F32(DIMS(1, 1), 2 * (3 - 1) * 10 + 5));
    op_case_check(&c);
    group[3] = 2;
    struct op_case bad = begin(32, 1, 8);
    op_case_in(&bad, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 32), .data = a});
    op_case_in(&bad, (struct tensor){.dtype = DT_U8, .shape = DIMS(1, 2, 16), .data = w});
    op_case_in(&bad, T_F32(DIMS(2), 1, 10));
    op_case_in(&bad, T_ABSENT);
    op_case_in(&bad, (struct tensor){.dtype = DT_I32, .shape = DIMS(32), .data = group});
    op_case_out(&bad, T_F32(DIMS(1, 1), 0));
    op_case_refuse(&bad, ERR_INVALID, "g_idx[3]");
}

/* (rows, 90) * (37, 90), blocks of 32 but for the last: answers by the definition, in doubles. */
enum { ROWS = 30, WIDE_K = 90, WIDE_N = 37, WIDE_BLOCK = 32, WIDE_BLOCKS = 3 };
struct matrices {
    float a[ROWS * 96], scales[WIDE_N * WIDE_BLOCKS], bias[WIDE_N], y[ROWS * WIDE_N];
    uint8_t w[WIDE_N * 96], zeros[WIDE_N * WIDE_BLOCKS];
};

static unsigned number_of(const uint8_t *p, int i, int bits) {
    return bits == 8 ? p[i] : p[i / 2] >> i % 2 * 4 & 15u;
}

static void fill(struct matrices *m, int k, int bits, bool zeros) {
    const int row_bytes = WIDE_BLOCKS * WIDE_BLOCK * bits / 8,
              zero_row = (WIDE_BLOCKS * bits + 7) / 8;
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof m->w; i++)
        m->w[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < sizeof m->zeros; i++)
        m->zeros[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (int i = 0; i < ROWS * k; i++)
        m->a[i] = (float)(i * 37 % 101 - 50) / 50;
    for (int i = 0; i < WIDE_N * WIDE_BLOCKS; i++)
        m->scales[i] = 0.001F * (float)(1 + i % 7);
    for (int i = 0; i < WIDE_N; i++)
        m->bias[i] = (float)i / 8;
    for (int row = 0; row < ROWS; row++)
        for (int n = 0; n < WIDE_N; n++) {
            double sum = (double)m->bias[n];
            for (int i = 0; i < k; i++) {
                const int b = i / WIDE_BLOCK,
                          zero = zeros ? (int)number_of(m->zeros + n * zero_row, b, bits)
                                       : 1 << (bits - 1);
                sum += (double)m->a[row * k + i] * (double)m->scales[n * WIDE_BLOCKS + b] *
                       ((int)number_of(m->w + n * row_bytes, i, bits) - zero);
            }
            m->y[row * WIDE_N + n] = (float)sum;
        }
}

static void check_wide(int rows, int k, int bits, bool zeros, int level, bool constant,
                       double tolerance) {
    static struct matrices m;
    fill(&m, k, bits, zeros);
    struct op_case c = op_case("mat_mul_n_bits", 1);
    op_case_int(&c, "K", k);
    op_case_int(&c, "N", WIDE_N);
    op_case_int(&c, "bits", bits);
    op_case_int(&c, "block_size", WIDE_BLOCK);
    op_case_int(&c, "accuracy_level", level);
    op_case_in(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(rows, k), .data = m.a});
    op_case_in(&c, (struct tensor){.dtype = DT_U8,
                                   .shape = DIMS(WIDE_N, WIDE_BLOCKS, WIDE_BLOCK * bits / 8),
                                   .data = m.w});
    op_case_in(&c, (struct tensor){
                       .dtype = DT_F32, .shape = DIMS(WIDE_N * WIDE_BLOCKS), .data = m.scales});
    op_case_in(&c, zeros ? (struct tensor){.dtype = DT_U8,
                                           .shape = DIMS(WIDE_N * ((WIDE_BLOCKS * bits + 7) / 8)),
                                           .data = m.zeros}
                         : T_ABSENT);
    op_case_in(&c, T_ABSENT);
    op_case_in(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(WIDE_N), .data = m.bias});
    op_case_out(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(rows, WIDE_N), .data = m.y});
    c.constant = constant ? 1 << 1 | 1 << 2 | 1 << 3 : 0;
    c.relative = tolerance, c.absolute = tolerance;
    op_case_check(&c);
}

static void numbers_as_they_lie(void **state) {
    (void)state;
    const int rows[] = {1, 3, 6, ROWS};
    for (int i = 0; i < 4; i++)
        for (int bits = 4; bits <= 8; bits += 4)
            for (int zeros = 0; zeros < 2; zeros++)
                check_wide(rows[i], WIDE_K, bits, zeros, 0, i % 2, 2e-5);
}

/* accuracy_level 4: what rounding a to bytes does, 1/254 of the largest of 32, shows; not where
 * what it asks for is missing (whole blocks, constants, 8 bits around 128), and then a little. */
static void activations_as_bytes(void **state) {
    (void)state;
    const int rows[] = {1, 5, ROWS};
    for (int i = 0; i < 3; i++) {
        check_wide(rows[i], 96, 4, false, 4, true, 2e-2);
        check_wide(rows[i], 96, 4, true, 4, true, 2e-2);
        check_wide(rows[i], 96, 8, false, 4, true, 2e-1); /* weights up to 128 steps */
        check_wide(rows[i], 96, 8, true, 4, true, 2e-5);
        check_wide(rows[i], 96, 4, true, 4, false, 2e-5);
        check_wide(rows[i], WIDE_K, 4, false, 4, true, 2e-5);
    }
}

/* Scales of 16 bits: widened when it is planned, where they are constant, or by each run. */
static void half_scales(void **state) {
    (void)state;
    uint16_t ones[2 * 32];
    uint8_t w[2 * 16];
    for (size_t i = 0; i < 64; i++)
        ones[i] = 0x3c00;
    memset(w, 0x99, sizeof w); /* 9 is 1 above the middle */
    for (unsigned constant = 0; constant < 2; constant++) {
        struct op_case c = op_case("mat_mul_n_bits", 1);
        op_case_int(&c, "K", 32);
        op_case_int(&c, "N", 2);
        op_case_int(&c, "block_size", 32);
        op_case_in(&c, (struct tensor){.dtype = DT_F16, .shape = DIMS(2, 32), .data = ones});
        op_case_in(&c, (struct tensor){.dtype = DT_U8, .shape = DIMS(2, 1, 16), .data = w});
        op_case_in(&c, T_F16(DIMS(2, 1), 0x3c00, 0xc000));                  /* 1 -2 */
        op_case_out(&c, T_F16(DIMS(2, 2), 0x5000, 0xd400, 0x5000, 0xd400)); /* 32 -64 */
        c.constant = constant ? 1 << 1 | 1 << 2 : 0;
        op_case_check(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_and_zeros), cmocka_unit_test(groups),
                                       cmocka_unit_test(numbers_as_they_lie),
                                       cmocka_unit_test(activations_as_bytes),
                                       cmocka_unit_test(half_scales)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

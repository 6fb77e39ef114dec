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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_and_zeros),
                                       cmocka_unit_test(groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

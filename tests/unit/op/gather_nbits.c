/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of gather_n_bits. */
#include "op/gather_nbits.c"

#include "op_case.h"

/* Two rows of 32 numbers in blocks of 16: 1 2 1 2 ..., and 15 0 15 0 ... */
static struct op_case begin(uint8_t table[2][16]) {
    struct op_case c = op_case("gather_n_bits", 1);
    memset(table[0], 0x21, 16);
    memset(table[1], 0x0f, 16);
    op_case_int(&c, "bits", 4);
    op_case_int(&c, "block_size", 16);
    op_case_in(&c, (struct tensor){.dtype = DT_U8, .shape = DIMS(2, 16), .data = table});
    return c;
}

static void rows(void **state) {
    (void)state;
    uint8_t table[2][16];
    float want[3][32];
    for (int i = 0; i < 32; i++) {
        want[0][i] = (i < 16 ? 10.0F : 100.0F) * (i % 2 ? -8 : 7); /* row 1, from behind */
        want[1][i] = (float)(i % 2 ? 2 : 1) - 8;
        want[2][i] = 0; /* no such row */
    }
    for (int i = 16; i < 32; i++)
        want[1][i] *= 2;
    struct op_case c = begin(table);
    op_case_in(&c, T_OF(DT_I64, int64_t, DIMS(3), -1, 0, 2));
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 2, 10, 100));
    op_case_out(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(3, 32), .data = want});
    op_case_check(&c);
}

static void zeros(void **state) {
    (void)state;
    uint8_t table[2][16];
    float want[32];
    for (int i = 0; i < 32; i++)
        want[i] = (float)(i % 2 ? 2 : 1) - (i < 16 ? 1 : 2);
    struct op_case c = begin(table);
    op_case_in(&c, T_OF(DT_I32, int32_t, DIMS(1), 0));
    op_case_in(&c, T_F32(DIMS(2, 2), 1, 1, 1, 1));
    op_case_in(&c, T_U8(DIMS(2, 1), 0x21, 0x43));
    op_case_out(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 32), .data = want});
    op_case_check(&c);
}

static void refused(void **state) {
    (void)state;
    uint8_t table[2][16];
    struct op_case c = begin(table);
    op_case_in(&c, T_OF(DT_I64, int64_t, DIMS(1), 0));
    op_case_in(&c, T_F32(DIMS(2, 1), 1, 1));
    op_case_out(&c, T_F32(DIMS(1), 0));
    op_case_refuse(&c, ERR_INVALID, "scales");
    struct op_case axis = begin(table);
    op_case_int(&axis, "gather_axis", 1);
    op_case_in(&axis, T_OF(DT_I64, int64_t, DIMS(1), 0));
    op_case_in(&axis, T_F32(DIMS(2, 2), 1, 1, 1, 1));
    op_case_out(&axis, T_F32(DIMS(1), 0));
    op_case_refuse(&axis, ERR_UNSUPPORTED, "first axis");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(zeros),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of mat_mul_bnb4. */
#include "op/bnb4.c"

#include "op_case.h"

static struct op_case product(int64_t type, int64_t n, int64_t k) {
    struct op_case c = op_case("mat_mul_bnb4", 1);
    op_case_int(&c, "N", n);
    op_case_int(&c, "K", k);
    op_case_int(&c, "block_size", 16);
    op_case_int(&c, "quant_type", type);
    return c;
}

/* K = 3, N = 6: 18 numbers, of which the last two have a scale of their own. */
static void blocks_do_not_end_with_rows(void **state) {
    (void)state;
    struct op_case c = product(1, 6, 3), half = product(0, 1, 3);
    op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 0, 0, 1));
    op_case_in(&c, T_U8(DIMS(9), 0xf7, 0x70, 0x77, 0x77, 0x77, 0x77, 0x77, 0x7f, 0xff));
    op_case_in(&c, T_F32(DIMS(2), 2, 10));
    /* rows: 1 0 0 | -1 0 0 | 0 0 0 | 0 0 0 | 0 0 0 | 1 1 1, times 2, 2, ..., 2 and 10 10 */
    op_case_out(&c, T_F32(DIMS(2, 6), 2, -2, 0, 0, 0, 2 + 20 + 30, 0, 0, 0, 0, 0, 10));
    op_case_check(&c);
    op_case_in(&half, T_F16(DIMS(1, 3), 0x3c00, 0x4000, 0x4000)); /* 1 2 2 */
    op_case_in(&half, T_U8(DIMS(2), 0x3d, 0x70));                 /* 1 -0.5 0.25 */
    op_case_in(&half, T_F16(DIMS(1), 0x4000));
    op_case_out(&half, T_F16(DIMS(1, 1), 0x3c00)); /* 2 * (1 - 1 + 0.5) */
    op_case_check(&half);
}

static void refuses(void **state) {
    (void)state;
    struct op_case type = product(2, 1, 16), odd = product(1, 1, 16), huge = product(1, 1, 16);
    struct op_case *each[] = {&type, &odd, &huge};
    huge.attrs[0].i = INT32_MAX;
    huge.attrs[1].i = INT32_MAX;
    for (int k = 0; k < 3; k++) {
        op_case_in(each[k], op_case_random(each[k], DT_F32, DIMS(1, 16), 1));
        op_case_in(each[k], op_case_random(each[k], DT_U8, DIMS(k == 1 ? 7 : 8), 2));
        op_case_in(each[k], T_F32(DIMS(1), 1));
        op_case_out(each[k], T_F32(DIMS(1, 1), 0));
    }
    op_case_refuse(&type, ERR_UNSUPPORTED, "quant_type 2");
    op_case_refuse(&odd, ERR_INVALID, "the operands do not fit K 16 and N 1");
    op_case_refuse(&huge, ERR_INVALID, "the operands do not fit");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_do_not_end_with_rows),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

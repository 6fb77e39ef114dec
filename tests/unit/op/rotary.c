/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of rotary_embedding: angles of 0, 90 and 180 degrees. */
#include "op/rotary.c"

#include "op_case.h"

static void turned(enum dtype t, bool flat, bool interleaved, int64_t turned, bool chosen,
                   const float *want) {
    static const float x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const float cos[8] = {0, 0, -1, -1, 1, 1, 0, 1}, sin[8] = {1, 1, 0, 0, 0, 0, 1, 0};
    struct op_case c = op_case("rotary_embedding", 23);
    const int64_t half = turned ? turned / 2 : 2;
    struct shape shape = flat ? DIMS(1, 2, 8) : DIMS(1, 2, 2, 4),
                 table = chosen ? DIMS(4, half) : DIMS(1, 2, half);
    const struct shape shapes[] = {shape, table, table, shape};
    const float *from[] = {x, cos, sin, want};
    struct tensor made[4];
    for (int k = 0; k < 4; k++) {
        struct err e;
        assert_int_equal(tensor_new(&c.arena, t, &shapes[k], &made[k], &e), OK);
        for (size_t at = 0; at < tensor_count(&made[k]); at++)
            operand_put(&made[k], at, (double)from[k][at]);
    }
    op_case_int(&c, "interleaved", interleaved);
    op_case_int(&c, "rotary_embedding_dim", turned);
    if (flat)
        op_case_int(&c, "num_heads", 2);
    for (int k = 0; k < 3; k++)
        op_case_in(&c, made[k]);
    if (chosen)
        op_case_in(&c, T_I64(DIMS(1, 2), 1, 0));
    op_case_out(&c, made[3]);
    op_case_check(&c);
}

static void pairs(void **state) {
    (void)state;
    static const enum dtype types[] = {DT_F32, DT_F64, DT_F16, DT_BF16};
    for (int k = 0; k < 4; k++) {
        enum dtype t = types[k];
        /* rows of a head are positions 0 (90 degrees) and 1 (180) */
        turned(t, false, false, 0, false,
               (float[]){-3, -4, 1, 2, -5, -6, -7, -8, -11, -12, 9, 10, -13, -14, -15, -16});
        turned(t, false, true, 0, false,
               (float[]){-2, 1, -4, 3, -5, -6, -7, -8, -10, 9, -12, 11, -13, -14, -15, -16});
        turned(t, false, false, 2, false, /* both rows: 90 degrees, two elements of four */
               (float[]){-2, 1, 3, 4, -6, 5, 7, 8, -10, 9, 11, 12, -14, 13, 15, 16});
        turned(t, false, false, 0, true, /* positions 1, 0 */
               (float[]){-1, -2, -3, -4, -7, -8, 5, 6, -9, -10, -11, -12, -15, -16, 13, 14});
        turned(t, true, false, 0, false, /* (S, H, D) */
               (float[]){-3, -4, 1, 2, -7, -8, 5, 6, -9, -10, -11, -12, -13, -14, -15, -16});
    }
}

static void a_position_outside_is_refused(void **state) {
    (void)state;
    struct op_case c = op_case("rotary_embedding", 23);
    op_case_in(&c, T_F32(DIMS(1, 1, 1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(2, 1), 1, 1));
    op_case_in(&c, T_F32(DIMS(2, 1), 0, 0));
    op_case_in(&c, T_I64(DIMS(1, 1), 2));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 2), 1, 2));
    op_case_refuse(&c, ERR_INVALID, "position 2 is outside the 2 of the tables");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(a_position_outside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of linear_attention, causal_conv_with_state: known sums, and that a call split in two with
 * the state carried over answers as one call. */
#include "op/state.c"

#include "op_case.h"

static void linear_rule_adds_up(void **state) {
    (void)state;
    struct op_case c = op_case("linear_attention", 27), delta = op_case("linear_attention", 27);
    struct op_case *both[] = {&c, &delta};
    for (int k = 0; k < 2; k++) {
        op_case_int(both[k], "q_num_heads", 1);
        op_case_int(both[k], "kv_num_heads", 1);
        op_case_float(both[k], "scale", 1);
        op_case_str(both[k], "update_rule", k ? "delta" : "linear");
        op_case_in(both[k], T_F32(DIMS(1, 2, 1), 1, 2));   /* q */
        op_case_in(both[k], T_F32(DIMS(1, 2, 1), 1, 1));   /* k */
        op_case_in(both[k], T_F32(DIMS(1, 2, 1), 10, 20)); /* v */
        op_case_in(both[k], T_F32(DIMS(1, 1, 1, 1), 5));
    }
    op_case_out(&c, T_F32(DIMS(1, 2, 1), 15, 70));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 1), 35));
    op_case_check(&c);
    op_case_in(&delta, T_ABSENT);
    op_case_in(&delta, T_F32(DIMS(1, 2, 1), 1, 0.5F)); /* 5 -> 10 -> 15 */
    op_case_out(&delta, T_F32(DIMS(1, 2, 1), 10, 30));
    op_case_out(&delta, T_F32(DIMS(1, 1, 1, 1), 15));
    op_case_check(&delta);
}

static void decay_and_shared_heads(void **state) {
    (void)state;
    struct op_case c = op_case("linear_attention", 27), wrong = op_case("linear_attention", 27);
    op_case_int(&c, "q_num_heads", 2);
    op_case_int(&c, "kv_num_heads", 1);
    op_case_float(&c, "scale", 2);
    op_case_str(&c, "update_rule", "gated");
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 3));
    op_case_in(&c, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_in(&c, T_F32(DIMS(1, 1, 1, 2), 8, 8));
    op_case_in(&c, T_F32(DIMS(1, 1, 1), logf(0.5F)));
    op_case_out(&c, T_F32(DIMS(1, 1, 4), 10, 12, 30, 36));
    op_case_out(&c, T_F32(DIMS(1, 1, 1, 2), 5, 6));
    op_case_check(&c);
    op_case_int(&wrong, "q_num_heads", 3);
    op_case_int(&wrong, "kv_num_heads", 2);
    op_case_in(&wrong, T_F32(DIMS(1, 1, 3), 1, 3, 3));
    op_case_in(&wrong, T_F32(DIMS(1, 1, 2), 1, 1));
    op_case_in(&wrong, T_F32(DIMS(1, 1, 2), 1, 2));
    op_case_out(&wrong, T_F32(DIMS(1), 1));
    op_case_refuse(&wrong, ERR_FORMAT, "3 query heads share 2");
}

static void causal_conv_carries_its_tail(void **state) {
    (void)state;
    struct op_case whole = op_case("causal_conv_with_state", 27),
                   later = op_case("causal_conv_with_state", 27),
                   silu = op_case("causal_conv_with_state", 27);
    op_case_in(&whole, T_F32(DIMS(1, 1, 4), 1, 2, 3, 4));
    op_case_in(&whole, T_F32(DIMS(1, 1, 3), 100, 10, 1));
    op_case_in(&whole, T_F32(DIMS(1), 0.5F));
    op_case_out(&whole, T_F32(DIMS(1, 1, 4), 1.5F, 12.5F, 123.5F, 234.5F));
    op_case_out(&whole, T_F32(DIMS(1, 1, 2), 3, 4));
    op_case_check(&whole);
    op_case_in(&later, T_F32(DIMS(1, 1, 1), 4));
    op_case_in(&later, T_F32(DIMS(1, 1, 3), 100, 10, 1));
    op_case_in(&later, T_ABSENT);
    op_case_in(&later, T_F32(DIMS(1, 1, 2), 2, 3));
    op_case_out(&later, T_F32(DIMS(1, 1, 1), 234));
    op_case_out(&later, T_F32(DIMS(1, 1, 2), 3, 4));
    op_case_check(&later);
    op_case_str(&silu, "activation", "silu");
    op_case_in(&silu, T_F32(DIMS(1, 1, 1), 2));
    op_case_in(&silu, T_F32(DIMS(1, 1, 1), 1));
    op_case_out(&silu, T_F32(DIMS(1, 1, 1), 1.7615942F));
    op_case_check(&silu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_rule_adds_up),
        cmocka_unit_test(decay_and_shared_heads),
        cmocka_unit_test(causal_conv_carries_its_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

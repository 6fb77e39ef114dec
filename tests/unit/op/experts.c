/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of mixture_of_experts and its form with weights of few bits. */
#include "op/experts.c"

#include "op_case.h"

/* Three experts of one number each: H = I = 1; expert x has weights x + 1 and 2. */
static struct op_case begin(const char *act, int64_t k, int64_t normalize) {
    struct op_case c = op_case("mixture_of_experts", 1);
    op_case_str(&c, "activation_type", act);
    op_case_int(&c, "k", k);
    op_case_int(&c, "normalize_routing_weights", normalize);
    op_case_in(&c, T_F32(DIMS(2, 1), 1, -1));
    op_case_in(&c, T_F32(DIMS(2, 3), 0, logf(3), logf(2), logf(6), 0, logf(3)));
    return c;
}

static void layers(struct op_case *c) {
    op_case_in(c, T_F32(DIMS(3, 1, 1), 1, 2, 3));
    op_case_in(c, T_F32(DIMS(3, 1), 0, 1, 0));
    op_case_in(c, T_F32(DIMS(3, 1, 1), 2, 2, 2));
    op_case_in(c, T_F32(DIMS(3, 1), 0, 0, 5));
}

/* Token 0 likes experts 1 and 2 (3/6, 2/6), token 1 experts 0 and 2 (6/10, 3/10). */
static void weighs(void **state) {
    (void)state;
    for (int normalize = 0; normalize < 2; normalize++) {
        const float a = normalize ? 6.0F / 5 : 1, b = normalize ? 10.0F / 9 : 1;
        struct op_case c = begin("identity", 2, normalize);
        layers(&c);
        op_case_out(&c, T_F32(DIMS(2, 1), a * (0.5F * 6 + 2 * 11 / 6.0F),
                              b * (0.6F * -2 + 0.3F * (-6 + 5))));
        c.relative = 1e-6, c.absolute = 1e-6;
        op_case_check(&c);
    }
    struct op_case c = begin("relu", 1, 0);
    layers(&c);
    op_case_out(&c, T_F32(DIMS(2, 1), 0.5F * 6, 0));
    op_case_check(&c);
}

/* Gates and values in turns: gate * sigmoid(gate) * (value + 1), both within 2. */
static void gates(void **state) {
    (void)state;
    for (int fusion = 1; fusion <= 2; fusion++) {
        struct op_case c = op_case("mixture_of_experts", 1);
        op_case_str(&c, "activation_type", "swiglu");
        op_case_int(&c, "swiglu_fusion", fusion);
        op_case_float(&c, "swiglu_limit", 2);
        op_case_float(&c, "activation_beta", 1);
        op_case_in(&c, T_F32(DIMS(1, 1), 1));
        op_case_in(&c, T_F32(DIMS(1, 1), 4));
        op_case_in(&c, fusion == 1 ? T_F32(DIMS(1, 4, 1), 1, -3, 9, 1)
                                   : T_F32(DIMS(1, 4, 1), 1, 9, -3, 1));
        op_case_in(&c, T_ABSENT);
        op_case_in(&c, T_F32(DIMS(1, 1, 2), 1, 10));
        op_case_out(&c, T_F32(DIMS(1, 1),
                              1 / (1 + expf(-1)) * (-2 + 1) + 10 * 2 / (1 + expf(-2)) * (1 + 1)));
        c.relative = 1e-6;
        op_case_check(&c);
    }
}

/* A row of 32 fours: (4 - zero) * scale each, times ones. */
static void few_bits(void **state) {
    (void)state;
    uint8_t w[32 * 16];
    float ones[32], want[32];
    memset(w, 0x44, sizeof w);
    for (int blocks = 0; blocks < 2; blocks++)
        for (int zeros = 0; zeros < 2; zeros++) {
            float scales[32];
            uint8_t zero[32];
            struct op_case c = op_case("mixture_of_experts_n_bits", 1);
            op_case_str(&c, "activation_type", "identity");
            if (blocks)
                op_case_int(&c, "block_size", 32);
            for (int i = 0; i < 32; i++) {
                ones[i] = 1, scales[i] = 0.25F;
                zero[i] = blocks ? 2 : 0x22;
                const float each = zeros ? 0.5F : -1; /* 4 - 2, 4 - 8, times the scale */
                want[i] = 32 * each * 32 * each;
            }
            const struct tensor numbers = {.dtype = DT_U8, .shape = DIMS(1, 32, 16), .data = w},
                                scale = {.dtype = DT_F32,
                                         .shape = blocks ? DIMS(1, 32, 1) : DIMS(1, 32),
                                         .data = scales},
                                zero_points = {.dtype = DT_U8,
                                               .shape = blocks ? DIMS(1, 32, 1) : DIMS(1, 16),
                                               .data = zero};
            op_case_in(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 32), .data = ones});
            op_case_in(&c, T_F32(DIMS(1, 1), 1));
            for (int layer = 0; layer < 2; layer++) {
                op_case_in(&c, numbers);
                op_case_in(&c, scale);
                op_case_in(&c, T_ABSENT);
            }
            for (int i = 0; i < 3; i++)
                op_case_in(&c, T_ABSENT);
            for (int layer = 0; layer < 2; layer++)
                op_case_in(&c, zeros ? zero_points : T_ABSENT);
            op_case_out(&c, (struct tensor){.dtype = DT_F32, .shape = DIMS(1, 32), .data = want});
            op_case_check(&c);
        }
}

static void refused(void **state) {
    (void)state;
    struct op_case many = begin("relu", 4, 0);
    layers(&many);
    op_case_out(&many, T_F32(DIMS(2, 1), 0, 0));
    op_case_refuse(&many, ERR_INVALID, "3 experts, 4 chosen");
    struct op_case act = begin("softsign", 1, 0);
    layers(&act);
    op_case_out(&act, T_F32(DIMS(2, 1), 0, 0));
    op_case_refuse(&act, ERR_UNSUPPORTED, "softsign");
    struct op_case lone = begin("swiglu", 1, 0);
    layers(&lone);
    op_case_out(&lone, T_F32(DIMS(2, 1), 0, 0));
    op_case_refuse(&lone, ERR_INVALID, "swiglu needs");
    struct op_case thin = begin("relu", 1, 0);
    op_case_in(&thin, T_F32(DIMS(3, 1, 1), 1, 2, 3));
    op_case_in(&thin, T_ABSENT);
    op_case_in(&thin, T_F32(DIMS(2, 1, 1), 1, 2));
    op_case_out(&thin, T_F32(DIMS(2, 1), 0, 0));
    op_case_refuse(&thin, ERR_INVALID, "layer 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(weighs), cmocka_unit_test(gates),
                                       cmocka_unit_test(few_bits), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

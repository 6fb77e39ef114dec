/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of attention. The f64 path is the definition and has known numbers; the f32 and 16-bit
 * paths must agree with it. */
#include "op/attention.c"

#include "op_case.h"

/* One head, D = 1: with log weights the softmax is easy to see. */
static void known_numbers(void **state) {
    (void)state;
    const double half = 0.6931471805599453; /* exp gives 2 */
    struct op_case c = op_case("attention", 23);
    op_case_float(&c, "scale", 1);
    op_case_in(&c, T_F64(DIMS(1, 1, 2, 1), 1, 0));
    op_case_in(&c, T_F64(DIMS(1, 1, 2, 1), 0, half));
    op_case_in(&c, T_F64(DIMS(1, 1, 2, 2), 3, 30, 6, 60));
    op_case_out(&c, T_F64(DIMS(1, 1, 2, 2), 5, 50, 4.5, 45));
    op_case_out(&c, T_ABSENT);
    op_case_out(&c, T_ABSENT);
    op_case_out(&c, T_F64(DIMS(1, 1, 2, 2), 0, half, 0, 0));
    op_case_check(&c);
    struct op_case causal = op_case("attention", 23);
    op_case_int(&causal, "is_causal", 1);
    op_case_in(&causal, T_F64(DIMS(1, 1, 2, 1), 1, 0));
    op_case_in(&causal, T_F64(DIMS(1, 1, 2, 1), 0, 1));
    op_case_in(&causal, T_F64(DIMS(1, 1, 2, 1), 3, 6));
    op_case_out(&causal, T_F64(DIMS(1, 1, 2, 1), 3, 4.5));
    op_case_check(&causal);
    struct op_case hidden = op_case("attention", 23);
    op_case_in(&hidden, T_F64(DIMS(1, 1, 2, 1), 1, 0));
    op_case_in(&hidden, T_F64(DIMS(1, 1, 2, 1), 0, 1));
    op_case_in(&hidden, T_F64(DIMS(1, 1, 2, 1), 3, 6));
    op_case_in(&hidden, T_BOOL(DIMS(2, 2), 0, 0, 0, 1));
    op_case_out(&hidden, T_F64(DIMS(1, 1, 2, 1), 0, 6));
    op_case_check(&hidden);
}

struct setting {
    int64_t b, h, g, s, p, t_new, d, e;
    bool flat, causal, lengths;
    float cap;
    int64_t mode, left, right;
    enum dtype mask; /* DT_NONE: none */
    int mask_rank;
    int64_t mask_keys; /* 0: all */
};

static struct tensor as(struct op_case *c, const struct tensor *x, enum dtype t) {
    struct tensor y;
    struct err e;
    if (x->dtype == DT_NONE || !dtype_is_float(x->dtype))
        return *x;
    assert_int_equal(tensor_new(&c->arena, t, &x->shape, &y, &e), OK);
    for (size_t k = 0; k < tensor_count(x); k++)
        operand_put(&y, k, tensor_f64(x, k));
    return y;
}

static struct op_case build(const struct setting *s, enum dtype t) {
    struct op_case c = op_case("attention", 25);
    const int64_t keys = s->p + s->t_new;
    struct shape q = DIMS(s->b, s->h, s->s, s->d), k = DIMS(s->b, s->g, s->t_new, s->d),
                 v = DIMS(s->b, s->g, s->t_new, s->e);
    if (s->flat) {
        q = DIMS(s->b, s->s, s->h * s->d);
        k = DIMS(s->b, s->t_new, s->g * s->d);
        v = DIMS(s->b, s->t_new, s->g * s->e);
        op_case_int(&c, "q_num_heads", s->h);
        op_case_int(&c, "kv_num_heads", s->g);
    }
    op_case_int(&c, "is_causal", s->causal);
    op_case_float(&c, "softcap", s->cap);
    op_case_int(&c, "qk_matmul_output_mode", s->mode);
    op_case_int(&c, "left_window_size", s->left - 1); /* a setting of 0: unbounded */
    op_case_int(&c, "right_window_size", s->right - 1);
    struct tensor in[7] = {op_case_random(&c, DT_F64, q, 1), op_case_random(&c, DT_F64, k, 2),
                           op_case_random(&c, DT_F64, v, 3)};
    if (s->mask != DT_NONE) {
        struct shape mask = {.rank = s->mask_rank};
        const int64_t dims[4] = {s->b, s->h, s->s, s->mask_keys ? s->mask_keys : keys};
        for (int a = 0; a < mask.rank; a++)
            mask.dims[a] = dims[4 - mask.rank + a];
        in[IN_MASK] = op_case_random(&c, s->mask == DT_BOOL ? DT_BOOL : DT_F64, mask, 4);
    }
    if (s->p) {
        in[IN_PAST_K] = op_case_random(&c, DT_F64, DIMS(s->b, s->g, s->p, s->d), 5);
        in[IN_PAST_V] = op_case_random(&c, DT_F64, DIMS(s->b, s->g, s->p, s->e), 6);
    }
    if (s->lengths) {
        struct err e;
        assert_int_equal(tensor_new(&c.arena, DT_I64, &DIMS(s->b), &in[IN_LENGTHS], &e), OK);
        for (int64_t b = 0; b < s->b; b++)
            ((int64_t *)in[IN_LENGTHS].data)[b] = keys - b - 1;
    }
    for (int i = 0; i < 7; i++)
        op_case_in(&c, as(&c, &in[i], t));
    const struct shape outs[] = {
        s->flat ? DIMS(s->b, s->s, s->h * s->e) : DIMS(s->b, s->h, s->s, s->e),
        DIMS(s->b, s->g, keys, s->d), DIMS(s->b, s->g, keys, s->e), DIMS(s->b, s->h, s->s, keys)};
    for (int i = 0; i < 4; i++)
        op_case_out(&c, T_EMPTY(t, outs[i]));
    return c;
}

static void agrees(struct setting s) {
    struct op_case defined = build(&s, DT_F64);
    op_case_run(&defined);
    static const enum dtype types[] = {DT_F32, DT_F16};
    for (int k = 0; k < 2; k++)
        for (int outputs = 4; outputs >= 1; outputs -= 3) {
            struct op_case c = build(&s, types[k]);
            c.n_out = outputs;
            for (int i = 0; i < outputs; i++)
                c.out[i] = as(&c, &defined.got[i], types[k]);
            c.relative = c.absolute = k ? 4e-3 : 2e-5;
            op_case_check(&c);
        }
    arena_deinit(&defined.arena);
}

static void every_feature(void **state) {
    (void)state;
    for (int64_t mode = RAW; mode <= PROBABILITIES; mode++)
        for (int flat = 0; flat < 2; flat++) {
            struct setting s = {
                .b = 2, .h = 4, .g = 2, .s = 5, .t_new = 7, .d = 8, .e = 6, .flat = flat};
            s.mode = mode;
            agrees(s);
            s.causal = true;
            s.cap = 2;
            agrees(s);
            s.p = 3;
            agrees(s);
            s.mask = DT_BOOL;
            s.mask_rank = 2;
            agrees(s);
            s.mask = DT_F64;
            s.mask_rank = 4;
            s.mask_keys = 8;
            agrees(s);
            s.causal = false;
            s.left = 3;
            s.right = 2;
            agrees(s);
            s.p = 0;
            s.mask_keys = 0;
            s.mask_rank = 3;
            s.lengths = true;
            agrees(s);
            s.causal = true;
            agrees(s);
        }
}

static void sizes(void **state) {
    (void)state;
    static const int64_t n[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 127};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) {
        agrees((struct setting){
            .b = 1, .h = 2, .g = 1, .s = n[k], .t_new = n[k], .d = 16, .e = 16, .causal = true});
        agrees((struct setting){.b = 1,
                                .h = 1,
                                .g = 1,
                                .s = 1,
                                .p = n[k],
                                .t_new = 1,
                                .d = n[k],
                                .e = 5,
                                .flat = true});
    }
    agrees((struct setting){.b = 1, .h = 2, .g = 2, .s = 300, .t_new = 700, .d = 4, .e = 4});
    agrees((struct setting){.b = 1, .h = 2, .g = 2, .s = 3, .t_new = 0, .d = 4, .e = 4});
}

static void shapes_that_do_not_fit(void **state) {
    (void)state;
    struct op_case c = op_case("attention", 23), heads = op_case("attention", 23),
                   mask = op_case("attention", 23);
    struct tensor x = T_F32(DIMS(1, 1, 1, 2), 1, 2), flat = T_F32(DIMS(1, 1, 2), 1, 2);
    op_case_in(&c, x);
    op_case_in(&c, T_F32(DIMS(1, 1, 1, 1), 1));
    op_case_in(&c, x);
    op_case_out(&c, x);
    op_case_refuse(&c, ERR_INVALID, "query, key and value do not fit");
    for (int k = 0; k < 3; k++)
        op_case_in(&heads, flat);
    op_case_out(&heads, flat);
    op_case_refuse(&heads, ERR_INVALID, "does not split into 0 heads");
    for (int k = 0; k < 3; k++)
        op_case_in(&mask, x);
    op_case_in(&mask, T_F32(DIMS(1, 2), 1, 2));
    op_case_out(&mask, x);
    op_case_refuse(&mask, ERR_INVALID, "a mask of shape [1,2] does not fit");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(every_feature),
        cmocka_unit_test(sizes),
        cmocka_unit_test(shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

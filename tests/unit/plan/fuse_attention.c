/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fuse_attention.c"

#include "toy.h"

enum { H = 3, S = 5, T = 5, D = 4, ROW = H * D };

static value_id number(struct toy *t, float v) { return toy_number(t, v); }

static value_id turn(struct toy *t, value_id x, const int64_t *perm) {
    value_id y = toy_node(t, "transpose", IDS(x));
    toy_attr_ints(t, "perm", 4, perm);
    return y;
}

/* (2, S, H * D) times weights, as (2, S, H, D). */
static value_id projected(struct toy *t, value_id x, unsigned seed) {
    value_id y = toy_node(t, "mat_mul", IDS(x, toy_weights(t, SHAPE(ROW, ROW), seed)));
    return toy_node(t, "reshape", IDS(y, INTS(t, 2, S, H, D)));
}

enum mask { NONE, ADDED, SEEN, HIDDEN };

struct spelling {
    bool scale_parts; /* q and k^T each times a number, else a quotient of the scores */
    bool swapped;     /* k turned once, else twice */
    bool cleared;     /* Where(IsNaN(p), 0, p) */
    enum mask mask;
    bool back; /* to (2, S, H * D) */
};

static value_id masked_scores(struct toy *t, value_id s, enum mask mask) {
    const bool see[2 * T] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
    bool hide[2 * T];
    for (int i = 0; i < 2 * T; i++)
        hide[i] = !see[i];
    const struct shape *shape = SHAPE(2, 1, 1, T);
    if (mask == ADDED)
        return toy_node(t, "add", IDS(toy_weights(t, shape, 5), s));
    value_id which = toy_constant(t, t->g, DT_BOOL, shape, mask == SEEN ? see : hide);
    which = toy_node(t, "expand", IDS(which, INTS(t, 2, 1, S, T)));
    if (mask == HIDDEN)
        return toy_node(t, "where", IDS(which, number(t, -FLT_MAX), s));
    value_id bias = toy_node(t, "where", IDS(which, number(t, 0), number(t, -INFINITY)));
    return toy_node(t, "add", IDS(s, bias));
}

static value_id attention(struct toy *t, value_id x, const struct spelling *p) {
    value_id q = turn(t, projected(t, x, 1), HEADS_FIRST), k = projected(t, x, 2);
    k = p->swapped ? turn(t, k, HEADS_FIRST_SWAPPED) : turn(t, turn(t, k, HEADS_FIRST), SWAP_LAST);
    if (p->scale_parts) {
        q = toy_node(t, "mul", IDS(q, number(t, 0.7F)));
        k = toy_node(t, "mul", IDS(number(t, 0.7F), k));
    }
    value_id s = toy_node(t, "mat_mul", IDS(q, k));
    if (!p->scale_parts)
        s = toy_node(t, "div", IDS(s, number(t, 2)));
    if (p->mask)
        s = masked_scores(t, s, p->mask);
    s = toy_node(t, "softmax", IDS(s));
    toy_int(t, "axis", -1);
    if (p->cleared)
        s = toy_node(t, "where", IDS(toy_node(t, "is_nan", IDS(s)), number(t, 0), s));
    value_id v = turn(t, projected(t, x, 3), HEADS_FIRST);
    s = toy_node(t, "mat_mul", IDS(s, v));
    return p->back ? toy_node(t, "reshape", IDS(turn(t, s, HEADS_FIRST), INTS(t, 0, 0, ROW))) : s;
}

static value_id begin(struct toy *t) {
    toy_init(t);
    return toy_input(t, "x", DT_F32, SHAPE(2, S, ROW));
}

static void check(struct toy *t, value_id out, const char *steps) {
    toy_output(t, out);
    struct tensor x = toy_tensor(t, SHAPE(2, S, ROW), 3);
    struct session *s = toy_open(t, 0);
    if (steps)
        assert_string_equal(toy_steps(t, s, &x), steps);
    else
        assert_null(strstr(toy_steps(t, s, &x), "attention"));
    session_close(s);
    toy_equivalent(t, &x, 1e-5);
    toy_deinit(t);
}

/* Nothing but the projections and the operator is left: nothing is moved. */
static void flat(void **unused) {
    (void)unused;
    for (int i = 0; i < 32; i++) {
        struct spelling p = {i & 1, i & 2, i & 4, (enum mask)(i / 8), .back = true};
        struct toy t;
        value_id x = begin(&t);
        check(&t, attention(&t, x, &p), "mat_mul mat_mul mat_mul attention ");
    }
}

/* Where the result stays in heads, the operands do. */
static void heads(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    check(&t, attention(&t, x, &(struct spelling){.mask = ADDED}),
          "mat_mul transpose mat_mul transpose mat_mul transpose attention ");
}

/* k^T as its only form, and a result in heads: left alone. */
static void turned_only(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    check(&t, attention(&t, x, &(struct spelling){.swapped = true}), NULL);
}

/* Whoever else reads the probabilities wants them made. */
static void read_elsewhere(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id y = attention(&t, x, &(struct spelling){.back = true});
    for (int i = 0; i < t.g->n_nodes; i++)
        if (str_is(t.g->nodes[i].op_name, "softmax"))
            toy_output(&t, t.g->nodes[i].out[0]);
    check(&t, y, NULL);
}

/* A mask that the scale bends too is another function. */
static void scaled_mask(void **unused) {
    (void)unused;
    struct toy t;
    value_id x = begin(&t);
    value_id q = turn(&t, projected(&t, x, 1), HEADS_FIRST), k = projected(&t, x, 2);
    value_id s = toy_node(&t, "mat_mul", IDS(q, turn(&t, k, HEADS_FIRST_SWAPPED)));
    s = masked_scores(&t, s, ADDED);
    s = toy_node(&t, "softmax", IDS(toy_node(&t, "mul", IDS(s, number(&t, 0.5F)))));
    toy_int(&t, "axis", 3);
    s = toy_node(&t, "mat_mul", IDS(s, turn(&t, projected(&t, x, 3), HEADS_FIRST)));
    check(&t, toy_node(&t, "reshape", IDS(turn(&t, s, HEADS_FIRST), INTS(&t, 2, S, ROW))), NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat),        cmocka_unit_test(heads),
        cmocka_unit_test(turned_only), cmocka_unit_test(read_elsewhere),
        cmocka_unit_test(scaled_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

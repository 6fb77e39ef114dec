/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of rnn, gru, lstm against the formulas written out in double precision. */
#include "op/rnn.c"

#include "op_case.h"

#include <math.h>

enum { GATES_MAX = 4 };

struct setup {
    const char *op;
    int gates, steps, batch, inputs, hidden, directions;
    bool reverse, batch_first, bias, lengths, states, peephole, coupled;
    float clip;
};

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }
static double limit(const struct setup *s, double v) {
    return s->clip > 0 ? fmax(-s->clip, fmin(s->clip, v)) : v;
}

struct net { /* operands of one case */
    struct tensor x, w, r, b, lengths, h, c, p, y, y_h, y_c;
};

static double at(const struct tensor *t, int a, int b, int c) {
    const int64_t *d = t->shape.dims;
    return (double)((const float *)t->data)[(a * d[1] + b) * (t->shape.rank > 2 ? d[2] : 1) + c];
}

/* Sum of weights times inputs, for row `row` of direction d. */
static double dot(const struct tensor *m, int d, int row, const double *v, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += at(m, d, row, k) * v[k];
    return sum;
}

static double bias(const struct setup *s, const struct net *net, int d, int row, bool recurrent) {
    int rows = s->gates * s->hidden;
    return s->bias ? ((const float *)net->b.data)[d * 2 * rows + row + (recurrent ? rows : 0)] : 0;
}

/* One step of one entry: x (I), h and c (H) are replaced. */
static void step_of(const struct setup *s, const struct net *net, int d, const double *x, double *h,
                    double *c) {
    int H = s->hidden;
    double wx[GATES_MAX * 64], rh[GATES_MAX * 64], next[64], reset[64];
    for (int row = 0; row < s->gates * H; row++) {
        wx[row] = dot(&net->w, d, row, x, s->inputs) + bias(s, net, d, row, false);
        rh[row] = dot(&net->r, d, row, h, H) + bias(s, net, d, row, true);
    }
    for (int k = 0; k < H && s->gates == 3; k++)
        reset[k] = sigmoid(limit(s, wx[H + k] + rh[H + k])) * h[k];
    for (int k = 0; k < H; k++) {
        const float *p = s->peephole ? (const float *)net->p.data + d * 3 * H : NULL;
        if (s->gates == 1) {
            next[k] = tanh(limit(s, wx[k] + rh[k]));
        } else if (s->gates == 3) {
            double z = sigmoid(limit(s, wx[k] + rh[k])),
                   r = sigmoid(limit(s, wx[H + k] + rh[H + k]));
            double inner = s->coupled ? r * rh[2 * H + k]
                                      : dot(&net->r, d, 2 * H + k, reset, H) +
                                            bias(s, net, d, 2 * H + k, true);
            next[k] = (1 - z) * tanh(limit(s, wx[2 * H + k] + inner)) + z * h[k];
        } else {
            double i = sigmoid(limit(s, wx[k] + rh[k] + (p ? p[k] * c[k] : 0)));
            double f =
                sigmoid(limit(s, wx[2 * H + k] + rh[2 * H + k] + (p ? p[2 * H + k] * c[k] : 0)));
            c[k] =
                (s->coupled ? 1 - i : f) * c[k] + i * tanh(limit(s, wx[3 * H + k] + rh[3 * H + k]));
            double o = sigmoid(limit(s, wx[H + k] + rh[H + k] + (p ? p[H + k] * c[k] : 0)));
            next[k] = o * tanh(c[k]);
        }
    }
    memcpy(h, next, (size_t)H * sizeof *h);
}

static void walk(const struct setup *s, struct net *net, int d, int b) {
    int H = s->hidden, length = s->lengths ? ((const int32_t *)net->lengths.data)[b] : s->steps;
    int state = (s->batch_first ? b * s->directions + d : d * s->batch + b) * H;
    double h[64] = {0}, c[64] = {0}, x[64];
    for (int k = 0; k < H && s->states; k++) {
        h[k] = (double)((const float *)net->h.data)[state + k];
        c[k] = s->gates == 4 ? (double)((const float *)net->c.data)[state + k] : 0;
    }
    for (int n = 0; n < length; n++) {
        int t = s->reverse || d == 1 ? length - 1 - n : n;
        for (int k = 0; k < s->inputs; k++)
            x[k] = s->batch_first ? at(&net->x, b, t, k) : at(&net->x, t, b, k);
        step_of(s, net, d, x, h, c);
        int to = s->batch_first ? (b * s->steps + t) * s->directions + d
                                : (t * s->directions + d) * s->batch + b;
        for (int k = 0; k < H; k++)
            ((float *)net->y.data)[to * H + k] = (float)h[k];
    }
    for (int k = 0; k < H; k++) {
        ((float *)net->y_h.data)[state + k] = (float)h[k];
        ((float *)net->y_c.data)[state + k] = (float)c[k];
    }
}

static struct tensor fresh(struct op_case *c, struct shape shape) {
    struct tensor t;
    struct err e;
    assert_int_equal(tensor_new(&c->arena, DT_F32, &shape, &t, &e), OK);
    return t;
}

static void attributes(struct op_case *c, const struct setup *s) {
    op_case_str(c, "direction",
                s->directions == 2 ? "bidirectional"
                : s->reverse       ? "reverse"
                                   : "forward");
    op_case_int(c, "hidden_size", s->hidden);
    op_case_int(c, "layout", s->batch_first);
    if (s->clip > 0)
        op_case_float(c, "clip", s->clip);
    if (s->coupled)
        op_case_int(c, s->gates == 3 ? "linear_before_reset" : "input_forget", 1);
}

static void check(const struct setup *s) {
    struct op_case c = op_case(s->op, 22);
    int64_t T = s->steps, B = s->batch, D = s->directions, H = s->hidden, G = s->gates;
    struct shape state = s->batch_first ? DIMS(B, D, H) : DIMS(D, B, H);
    struct net net = {
        .x = op_case_random(&c, DT_F32,
                            s->batch_first ? DIMS(B, T, s->inputs) : DIMS(T, B, s->inputs), 1),
        .w = op_case_random(&c, DT_F32, DIMS(D, G * H, s->inputs), 2),
        .r = op_case_random(&c, DT_F32, DIMS(D, G * H, H), 3),
        .b = op_case_random(&c, DT_F32, DIMS(D, 2 * G * H), 4),
        .h = op_case_random(&c, DT_F32, state, 5),
        .c = op_case_random(&c, DT_F32, state, 6),
        .p = op_case_random(&c, DT_F32, DIMS(D, 3 * H), 7),
        .y = fresh(&c, s->batch_first ? DIMS(B, T, D, H) : DIMS(T, D, B, H)),
        .y_h = fresh(&c, state),
        .y_c = fresh(&c, state)};
    int32_t lengths[8];
    for (int b = 0; b < s->batch; b++)
        lengths[b] = (b * 2 + 1) % (s->steps + 1);
    net.lengths = (struct tensor){.dtype = DT_I32, .shape = DIMS(B), .data = lengths};
    for (int d = 0; d < D; d++)
        for (int b = 0; b < B; b++)
            walk(s, &net, d, b);
    attributes(&c, s);
    op_case_in(&c, net.x);
    op_case_in(&c, net.w);
    op_case_in(&c, net.r);
    op_case_in(&c, s->bias ? net.b : T_ABSENT);
    op_case_in(&c, s->lengths ? net.lengths : T_ABSENT);
    op_case_in(&c, s->states ? net.h : T_ABSENT);
    if (s->gates == 4) {
        op_case_in(&c, s->states ? net.c : T_ABSENT);
        op_case_in(&c, s->peephole ? net.p : T_ABSENT);
    }
    op_case_out(&c, net.y);
    op_case_out(&c, net.y_h);
    if (s->gates == 4)
        op_case_out(&c, net.y_c);
    c.relative = 1e-4;
    c.absolute = 1e-5;
    op_case_check(&c);
}

static void every_combination(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int gates;
    } ops[] = {{"rnn", 1}, {"gru", 3}, {"lstm", 4}};
    static const int hidden[] = {1, 3, 4, 7, 8, 15, 16, 17, 31};
    for (int o = 0; o < 3; o++)
        for (unsigned bits = 0; bits < 256; bits++) {
            struct setup s = {.op = ops[o].name,
                              .gates = ops[o].gates,
                              .steps = 3 + (int)(bits % 2),
                              .batch = 1 + (int)(bits % 3),
                              .inputs = 1 + (int)(bits % 5),
                              .hidden = hidden[bits % 9],
                              .directions = bits & 1 ? 2 : 1,
                              .reverse = (bits & 3) == 2,
                              .batch_first = bits & 4,
                              .bias = bits & 8,
                              .lengths = bits & 16,
                              .states = bits & 32,
                              .peephole = bits & 64,
                              .coupled = bits & 128,
                              .clip = bits % 7 == 0 ? 0.5F : 0};
            if (s.gates == 1 && s.coupled)
                continue;
            check(&s);
        }
}

static void activations_are_named_by_attribute(void **state) {
    (void)state;
    struct op_case c = op_case("rnn", 14), wrong = op_case("rnn", 14);
    struct op_case *both[] = {&c, &wrong};
    for (int k = 0; k < 2; k++) {
        op_case_strs(both[k], "activations", 1, &(struct str){k ? "Sine" : "Affine", k ? 4 : 6});
        op_case_floats(both[k], "activation_alpha", 1, (float[]){2});
        op_case_floats(both[k], "activation_beta", 1, (float[]){1});
        op_case_in(both[k], T_F32(DIMS(2, 1, 1), 1, 2));
        op_case_in(both[k], T_F32(DIMS(1, 1, 1), 3));
        op_case_in(both[k], T_F32(DIMS(1, 1, 1), 1));
        op_case_out(both[k], T_F32(DIMS(2, 1, 1, 1), 7, 2 * (6 + 7) + 1));
    }
    op_case_check(&c);
    op_case_refuse(&wrong, ERR_UNSUPPORTED, "activation 'Sine'");
}

static void every_activation(void **state) {
    (void)state;
    struct recurrent_act a = {.alpha = 0.5F, .beta = 2};
    static const float want[][2] = {[ACT_TANH] = {-0.9640276F, 0.7615942F},
                                    [ACT_SIGMOID] = {0.1192029F, 0.7310586F},
                                    [ACT_RELU] = {0, 1},
                                    [ACT_AFFINE] = {1, 2.5F},
                                    [ACT_LEAKY_RELU] = {-1, 1},
                                    [ACT_THRESHOLDED_RELU] = {0, 1},
                                    [ACT_SCALED_TANH] = {-0.4996646F, 0.4820138F},
                                    [ACT_HARD_SIGMOID] = {1, 1},
                                    [ACT_ELU] = {-0.4323324F, 1},
                                    [ACT_SOFTSIGN] = {-0.6666667F, 0.5F},
                                    [ACT_SOFTPLUS] = {0.1269280F, 1.3132617F}};
    for (int k = 0; k <= ACT_SOFTPLUS; k++) {
        float x[2] = {-2, 1};
        a.kind = (enum recurrent_kind)k;
        recurrent_apply(&a, x, 2);
        assert_float_equal(x[0], want[k][0], 1e-5);
        assert_float_equal(x[1], want[k][1], 1e-5);
    }
}

static void refuses(void **state) {
    (void)state;
    struct op_case shape = op_case("lstm", 14), length = op_case("rnn", 14);
    op_case_in(&shape, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&shape, T_F32(DIMS(1, 4, 1), 1, 2, 3, 4));
    op_case_in(&shape, T_F32(DIMS(1, 4, 2), 1, 2, 3, 4, 5, 6, 7, 8));
    op_case_out(&shape, T_F32(DIMS(1, 1, 1, 1), 1));
    op_case_refuse(&shape, ERR_INVALID, "W has the shape [1,4,1], expected [1,8,1]");
    op_case_in(&length, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&length, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&length, T_F32(DIMS(1, 1, 1), 1));
    op_case_in(&length, T_ABSENT);
    op_case_in(&length, T_I32(DIMS(1), 2));
    op_case_out(&length, T_F32(DIMS(1, 1, 1, 1), 1));
    op_case_refuse(&length, ERR_INVALID, "sequence_lens[0] is 2, X has 1 steps");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination),
        cmocka_unit_test(activations_are_named_by_attribute),
        cmocka_unit_test(every_activation),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

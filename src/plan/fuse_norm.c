/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations written out in arithmetic become one operator again.
 *
 *   layer norm  d / sqrt(mean(d^2) + epsilon) * gamma + beta, d = x - mean(x), means over the last
 * axis rms norm    x / sqrt(mean(x^2) + epsilon) * gamma softmax     exp(x - max(x)) / sum(exp(x -
 * max(x))), over one axis
 *
 * The division may be a product with a reciprocal, or a power of -1/2; the square a product, or a
 * power of 2. gamma and beta are constants of one element per position of the last axis. f32 only.
 */
#include "plan/match.h"
#include "plan/pass.h"

/* --- parts --- */

/* n reduces over the last axis alone, keeping it as 1. */
static bool over_last(struct rewire *w, const struct node *n) {
    const struct shape *s = match_shape(w, rewire_in(w, n, 0));
    const int64_t *axes = NULL;
    size_t count = 0;
    int axis;
    if (!s || !attr_int(n, "keepdims", 1))
        return false;
    const struct tensor *given = rewire_constant_of(w, rewire_in(w, n, 1));
    if (attr_ints(n, "axes", &axes, &count))
        return count == 1 && shape_axis(axes[0], s->rank, &axis) && axis == s->rank - 1;
    return given && tensor_count(given) == 1 && shape_axis(tensor_i64(given, 0), s->rank, &axis) &&
           axis == s->rank - 1;
}

/* v = reduce(x) over the last axis. */
static bool reduced(struct rewire *w, value_id v, const char *op_name, value_id *x) {
    const struct node *n = match_producer(w, v, op_name);
    if (!n || !over_last(w, n))
        return false;
    *x = rewire_in(w, n, 0);
    return true;
}

/* v = x * x */
static bool squared(struct rewire *w, value_id v, value_id *x) {
    const struct node *n = rewire_producer(w, v);
    double c;
    if (!n || n->n_post)
        return false;
    if (match_scalar_right(w, n, "pow", x, &c))
        return c == 2;
    *x = rewire_in(w, n, 0);
    return str_is(n->op_name, "mul") && n->n_in == 2 && *x == rewire_in(w, n, 1);
}

/* v = sqrt(mean(x^2) + epsilon) */
static bool deviation(struct rewire *w, value_id v, value_id *x, double *epsilon) {
    const struct node *root = match_producer(w, v, "sqrt");
    const struct node *sum = root ? rewire_producer(w, rewire_in(w, root, 0)) : NULL;
    value_id mean, square;
    return sum && match_scalar(w, sum, "add", &mean, epsilon) &&
           reduced(w, mean, "reduce_mean", &square) && squared(w, square, x);
}

/* v = (mean(x^2) + epsilon)^(-1/2) */
static bool inverse_deviation(struct rewire *w, value_id v, value_id *x, double *epsilon) {
    const struct node *n = rewire_producer(w, v);
    double c;
    value_id inner, square;
    if (!n || n->n_post)
        return false;
    if (str_is(n->op_name, "reciprocal"))
        return deviation(w, rewire_in(w, n, 0), x, epsilon);
    if (str_is(n->op_name, "div") && n->n_in == 2 && match_number(w, rewire_in(w, n, 0), &c) &&
        c == 1)
        return deviation(w, rewire_in(w, n, 1), x, epsilon);
    if (!match_scalar_right(w, n, "pow", &inner, &c) || c != -0.5)
        return false;
    const struct node *sum = rewire_producer(w, inner);
    return sum && match_scalar(w, sum, "add", &inner, epsilon) &&
           reduced(w, inner, "reduce_mean", &square) && squared(w, square, x);
}

/* v = d / deviation(d) */
static bool normalised(struct rewire *w, value_id v, value_id *d, double *epsilon) {
    const struct node *n = rewire_producer(w, v);
    value_id x;
    if (!n || n->n_post || n->n_in != 2)
        return false;
    value_id a = rewire_in(w, n, 0), b = rewire_in(w, n, 1);
    *d = a;
    if (str_is(n->op_name, "div"))
        return deviation(w, b, &x, epsilon) && x == a;
    if (!str_is(n->op_name, "mul"))
        return false;
    if (inverse_deviation(w, b, &x, epsilon) && x == a)
        return true;
    *d = b;
    return inverse_deviation(w, a, &x, epsilon) && x == b;
}

/* d = x - mean(x) */
static bool centred(struct rewire *w, value_id d, value_id *x) {
    const struct node *n = match_producer(w, d, "sub");
    value_id of;
    if (!n || !reduced(w, rewire_in(w, n, 1), "reduce_mean", &of))
        return false;
    *x = rewire_in(w, n, 0);
    return of == *x;
}

/* v = f * g with a constant g of one number per position of v's last axis. */
static bool scaled(struct rewire *w, value_id v, const char *op_name, value_id *f, value_id *g) {
    const struct node *n = match_producer(w, v, op_name);
    const struct shape *s = match_shape(w, v);
    if (!n || !s || s->rank < 1)
        return false;
    for (int k = 0; k < 2; k++) {
        const struct tensor *t = rewire_constant_of(w, rewire_in(w, n, k));
        if (!t || t->dtype != DT_F32 || t->shape.rank < 1 ||
            !match_per_channel(t, s->rank, s->rank - 1, s->dims[s->rank - 1]) ||
            (int64_t)tensor_count(t) != s->dims[s->rank - 1])
            continue;
        *g = rewire_in(w, n, k);
        *f = rewire_in(w, n, 1 - k);
        return true;
    }
    return false;
}

/* gamma and beta as the operators want them: rank 1. */
static value_id flat(struct rewire *w, value_id v) {
    const struct tensor *t = rewire_constant_of(w, v);
    if (t->shape.rank == 1)
        return v;
    struct tensor *made;
    value_id out =
        rewire_new_constant(w, DT_F32, &(struct shape){1, {(int64_t)tensor_count(t)}}, &made);
    if (out != VALUE_NONE)
        memcpy(made->data, rewire_constant_of(w, v)->data, tensor_bytes(made));
    return out;
}

/* --- rules --- */

static bool to_norm(struct rewire *w, struct node *n, const char *op_name, const value_id in[3],
                    double epsilon) {
    value_id ids[3] = {in[0], flat(w, in[1]), in[2] == VALUE_NONE ? VALUE_NONE : flat(w, in[2])};
    if (w->full || !rewire_become(w, n, op_name, in[2] == VALUE_NONE ? 2 : 3, ids))
        return false;
    n->opset = 23;
    return rewire_attr_float(w, n, "epsilon", (float)epsilon) && rewire_attr_int(w, n, "axis", -1);
}

static bool rule_layer_norm(struct rewire *w, struct node *n) {
    value_id scaled_part, core, gamma, beta, d, x;
    double epsilon;
    if (!scaled(w, n->out[0], "add", &scaled_part, &beta) ||
        !scaled(w, scaled_part, "mul", &core, &gamma) || !normalised(w, core, &d, &epsilon) ||
        !centred(w, d, &x))
        return false;
    return to_norm(w, n, "layer_normalization", (value_id[]){x, gamma, beta}, epsilon);
}

static bool rule_rms_norm(struct rewire *w, struct node *n) {
    value_id core, gamma, d, x;
    double epsilon;
    if (!scaled(w, n->out[0], "mul", &core, &gamma) || !normalised(w, core, &d, &epsilon))
        return false;
    if (centred(
            w, d,
            &x)) /* a layer norm: its bias may follow, so it is taken at the add or not at all */
        return false;
    return to_norm(w, n, "rms_normalization", (value_id[]){d, gamma, VALUE_NONE}, epsilon);
}

static bool rule_softmax(struct rewire *w, struct node *n) {
    value_id x, of;
    if (!str_is(n->op_name, "div") || n->n_in != 2 ||
        !reduced(w, rewire_in(w, n, 1), "reduce_sum", &of) || of != rewire_in(w, n, 0))
        return false;
    const struct node *exp_ = match_producer(w, of, "exp");
    const struct node *sub = exp_ ? match_producer(w, rewire_in(w, exp_, 0), "sub") : NULL;
    if (!sub || !reduced(w, rewire_in(w, sub, 1), "reduce_max", &of))
        return false;
    x = rewire_in(w, sub, 0);
    if (x != of || !rewire_become(w, n, "softmax", 1, &x))
        return false;
    n->opset = 13;
    return rewire_attr_int(w, n, "axis", -1);
}

static void visit(struct rewire *w, struct node *n) {
    if (n->n_out != 1 || n->n_post || match_dtype(w, n->out[0]) != DT_F32)
        return;
    if (!rule_layer_norm(w, n) && !rule_rms_norm(w, n))
        (void)rule_softmax(w, n);
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_fuse_norm = {.name = "fuse_norm", .stages = PASS_PLAN, .run = run};

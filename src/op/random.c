/* SPDX-License-Identifier: Apache-2.0 */
/* Random tensors: random_normal, random_uniform and their _like forms, bernoulli, multinomial,
 * dropout.
 *
 * 1. A node with a seed gives the same numbers at every run, those of ONNX's reference; without one
 *    they come from the run's own seed.
 * 2. dropout passes its input on unless training_mode (12) is true; before 12 there is no such
 *    input. The kept elements are scaled by 1 / (1 - ratio). Before 10 the mask has the data's
 * type. */
#include "op/operand.h"

#include <math.h>

/* --- numbers --- */

enum { MT_N = 624, MT_M = 397 };

/* With a seed: MT19937 (Matsumoto, Nishimura 1998), seeded and turned into doubles as numpy's
 * RandomState does it, so that a node answers as ONNX's reference. Without: splitmix64 (Steele,
 * Lea, Flood 2014) from the run's seed. */
struct chance {
    bool seeded, has_spare;
    uint64_t state;
    uint32_t key[MT_N];
    int at;
    double spare; /* normals come in pairs */
};

static void chance_begin(const struct op_call *c, struct chance *s) {
    const struct attr *seed = attr_find(c->node, "seed");
    s->seeded = seed && (seed->kind == ATTR_INT || seed->kind == ATTR_FLOAT);
    s->has_spare = false;
    if (!s->seeded) {
        s->state = c->host->random(c->host);
        return;
    }
    double number = seed->kind == ATTR_INT ? (double)seed->i : (double)seed->f;
    uint32_t word = fabs(number) < 0x1p62 ? (uint32_t)(int64_t)number : 0;
    for (int k = 0; k < MT_N; k++) {
        s->key[k] = word;
        word = 1812433253U * (word ^ word >> 30) + (uint32_t)k + 1;
    }
    s->at = MT_N;
}

static uint32_t mt_mix(uint32_t high, uint32_t low, uint32_t far) {
    uint32_t y = (high & 0x80000000U) | (low & 0x7FFFFFFFU);
    return far ^ y >> 1 ^ (y & 1 ? 0x9908B0DFU : 0);
}

static uint32_t mt_next(struct chance *s) {
    if (s->at == MT_N) {
        for (int k = 0; k < MT_N; k++)
            s->key[k] = mt_mix(s->key[k], s->key[(k + 1) % MT_N], s->key[(k + MT_M) % MT_N]);
        s->at = 0;
    }
    uint32_t y = s->key[s->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680U;
    y ^= y << 15 & 0xEFC60000U;
    return y ^ y >> 18;
}

/* [0, 1), 53 bits */
static double next_uniform(struct chance *s) {
    if (s->seeded) {
        uint32_t high = mt_next(s) >> 5, low = mt_next(s) >> 6;
        return (high * 67108864.0 + low) * 0x1p-53;
    }
    uint64_t z = s->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Marsaglia's polar method */
static double next_normal(struct chance *s) {
    double x, y, square;
    if (s->has_spare) {
        s->has_spare = false;
        return s->spare;
    }
    do {
        x = 2 * next_uniform(s) - 1;
        y = 2 * next_uniform(s) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double f = sqrt(-2 * log(square) / square);
    s->spare = f * x;
    s->has_spare = true;
    return f * y;
}

/* --- random_normal, random_uniform, and like --- */

/* The attribute dtype, or else this type; must be one of floats. */
static enum code float_type(const struct op_infer *c, enum dtype otherwise, enum dtype *out,
                            struct err *e) {
    bool given = attr_find(c->node, "dtype") != NULL;
    enum dtype t = given ? operand_dtype(attr_int(c->node, "dtype", 0)) : otherwise;
    if (!dtype_is_float(t))
        return operand_fail(c, e, INVALID, "random elements of type %s", dtype_name(t));
    *out = t;
    return OK;
}

static enum code infer_by_attribute(struct op_infer *c, struct err *e) {
    struct operand_ints dims;
    struct shape out = {.rank = 0};
    enum dtype t;
    bool present;
    TRY(operand_need(c, 0, e));
    TRY(float_type(c, DT_F32, &t, e));
    TRY(operand_attr_ints(OPERAND_AT(c), "shape", &dims, &present, e));
    if (!present || dims.n > SHAPE_MAX)
        return operand_fail(c, e, FORMAT, "attribute 'shape' is needed, of at most %d dims",
                            SHAPE_MAX);
    for (int k = 0; k < dims.n; k++)
        out.dims[out.rank++] = dims.v[k];
    return operand_out(c, 0, t, &out, e);
}

static enum code infer_like(struct op_infer *c, struct err *e) {
    enum dtype t;
    TRY(operand_need(c, 1, e));
    TRY(float_type(c, c->in[0].dtype, &t, e));
    operand_out_later(c, 0, t);
    return c->in[0].known ? operand_out(c, 0, t, &c->in[0].shape, e) : OK;
}

static enum code run_normal(const struct op_call *c, struct err *e) {
    (void)e;
    struct chance s;
    chance_begin(c, &s);
    double mean = (double)attr_float(c->node, "mean", 0),
           scale = (double)attr_float(c->node, "scale", 1);
    for (size_t k = 0, n = tensor_count(c->out[0]); k < n; k++)
        operand_put(c->out[0], k, mean + scale * next_normal(&s));
    return OK;
}

static enum code run_uniform(const struct op_call *c, struct err *e) {
    (void)e;
    struct chance s;
    chance_begin(c, &s);
    double low = (double)attr_float(c->node, "low", 0),
           high = (double)attr_float(c->node, "high", 1);
    for (size_t k = 0, n = tensor_count(c->out[0]); k < n; k++)
        operand_put(c->out[0], k, low + (high - low) * next_uniform(&s));
    return OK;
}

/* --- bernoulli --- */

static enum code infer_bernoulli(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t))
        return operand_fail(c, e, INVALID, "probabilities of type %s", dtype_name(t));
    if (attr_find(c->node, "dtype"))
        t = operand_dtype(attr_int(c->node, "dtype", 0));
    if (!dtype_is_float(t) && !dtype_is_integer(t) && t != DT_BOOL)
        return operand_fail(c, e, UNSUPPORTED, "a result of type %s", dtype_name(t));
    operand_out_later(c, 0, t);
    return c->in[0].known ? operand_out(c, 0, t, &c->in[0].shape, e) : OK;
}

static enum code run_bernoulli(const struct op_call *c, struct err *e) {
    (void)e;
    struct chance s;
    chance_begin(c, &s);
    for (size_t k = 0, n = tensor_count(c->out[0]); k < n; k++)
        operand_put(c->out[0], k, next_uniform(&s) < tensor_f64(c->in[0], k));
    return OK;
}

/* --- multinomial: classes drawn by unnormalised log-probabilities (batch, classes) --- */

static enum code infer_multinomial(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    enum dtype t =
        attr_find(c->node, "dtype") ? operand_dtype(attr_int(c->node, "dtype", 0)) : DT_I32;
    int64_t samples = attr_int(c->node, "sample_size", 1);
    if (!dtype_is_float(c->in[0].dtype) || (t != DT_I32 && t != DT_I64) || samples < 1)
        return operand_fail(c, e, INVALID, "%lld samples as %s of %s", (long long)samples,
                            dtype_name(t), dtype_name(c->in[0].dtype));
    operand_out_later(c, 0, t);
    if (!c->in[0].known)
        return OK;
    const struct shape *in = &c->in[0].shape;
    if (in->rank != 2 || in->dims[1] < 1)
        return operand_fail(c, e, INVALID, "the input must be (batch, classes)");
    return operand_out(c, 0, t, &(struct shape){.rank = 2, .dims = {in->dims[0], samples}}, e);
}

/* The class where the running sum of probabilities passes `at` (0 to 1). */
static int64_t draw(const struct tensor *in, size_t row, size_t classes, double at) {
    double top = -INFINITY, total = 0, sum = 0;
    for (size_t k = 0; k < classes; k++)
        top = fmax(top, tensor_f64(in, row * classes + k));
    for (size_t k = 0; k < classes; k++)
        total += exp(tensor_f64(in, row * classes + k) - top);
    for (size_t k = 0; k < classes; k++) {
        sum += exp(tensor_f64(in, row * classes + k) - top);
        if (sum > at * total)
            return (int64_t)k;
    }
    return (int64_t)classes - 1;
}

static enum code run_multinomial(const struct op_call *c, struct err *e) {
    (void)e;
    struct chance s;
    chance_begin(c, &s);
    size_t classes = (size_t)c->in[0]->shape.dims[1], samples = (size_t)c->out[0]->shape.dims[1];
    for (size_t k = 0, n = tensor_count(c->out[0]); k < n; k++) {
        int64_t chosen = draw(c->in[0], k / samples, classes, next_uniform(&s));
        memcpy((char *)c->out[0]->data + k * dtype_size(c->out[0]->dtype), &chosen,
               dtype_size(c->out[0]->dtype)); /* little-endian */
    }
    return OK;
}

/* --- dropout --- */

static enum code infer_dropout(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    enum dtype mask = c->node->opset >= 10 ? DT_BOOL : c->in[0].dtype;
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    operand_out_later(c, 1, mask);
    return c->in[0].known ? operand_out(c, 1, mask, &c->in[0].shape, e) : OK;
}

static enum code dropout_ratio(const struct op_call *c, double *out, struct err *e) {
    const struct tensor *ratio = operand_in(c, 1), *training = operand_in(c, 2);
    double on = 0;
    *out = 0;
    if (c->node->opset < 12 || !training)
        return OK;
    TRY(operand_number(OPERAND_AT(c), training, "training_mode", &on, e));
    if (on == 0)
        return OK;
    *out = 0.5;
    if (ratio)
        TRY(operand_number(OPERAND_AT(c), ratio, "the ratio", out, e));
    if (!(*out >= 0 && *out < 1))
        return operand_fail(c, e, INVALID, "the ratio is %g", *out);
    return OK;
}

static enum code run_dropout(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct tensor *out = c->out[0], *mask = operand_to(c, 1);
    double ratio;
    size_t n = tensor_count(in);
    TRY(dropout_ratio(c, &ratio, e));
    if (ratio == 0) {
        if (out && n && out->data != in->data)
            memcpy(out->data, in->data, tensor_bytes(in));
        for (size_t k = 0; mask && k < n; k++)
            operand_put(mask, k, 1);
        return OK;
    }
    struct chance s;
    chance_begin(c, &s);
    for (size_t k = 0; k < n; k++) {
        bool kept = next_uniform(&s) >= ratio;
        if (out)
            operand_put(out, k, kept ? tensor_f64(in, k) / (1 - ratio) : 0);
        if (mask)
            operand_put(mask, k, kept);
    }
    return OK;
}

#define RANDOM(which, infers, runs)                                                                \
    const struct op op_##which = {.name = #which, .flags = OP_RANDOM, .infer = infers, .run = runs}
RANDOM(random_normal, infer_by_attribute, run_normal);
RANDOM(random_uniform, infer_by_attribute, run_uniform);
RANDOM(random_normal_like, infer_like, run_normal);
RANDOM(random_uniform_like, infer_like, run_uniform);
RANDOM(bernoulli, infer_bernoulli, run_bernoulli);
RANDOM(multinomial, infer_multinomial, run_multinomial);
const struct op op_dropout = {
    .name = "dropout", .flags = OP_RANDOM | OP_INPLACE, .infer = infer_dropout, .run = run_dropout};

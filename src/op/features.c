/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of ai.onnx.ml 1 that prepare features, each column (the last dim) by its own numbers:
 * scaler, normalizer, imputer, feature_vectorizer, one_hot_encoder. Results are f32 but for the
 * imputer's, which keeps its type. */
#include "op/scores.h"

#include <math.h>

static enum code need_numbers(const struct op_infer *c, int i, struct err *e) {
    const enum dtype t = c->in[i].dtype;
    if (!dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(t));
    return OK;
}

/* Output 0 is f32 of input 0's shape. */
static enum code infer_f32(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    TRY(need_numbers(c, 0, e));
    operand_out_later(c, 0, DT_F32);
    return c->in[0].known ? operand_out(c, 0, DT_F32, &c->in[0].shape, e) : OK;
}

static size_t columns_of(const struct shape *s) {
    return s->rank ? (size_t)s->dims[s->rank - 1] : 1;
}

/* A list of one number for all columns, or of one per column. */
static enum code per_column(const struct op_infer *c, size_t n, const char *name, struct err *e) {
    if (c->in[0].known && n > 1 && n != columns_of(&c->in[0].shape))
        return operand_fail(c, e, FORMAT, "attribute '%s' has %zu numbers for %zu columns", name, n,
                            columns_of(&c->in[0].shape));
    return OK;
}

/* --- scaler: (x - offset) * scale --- */

static enum code infer_scaler(struct op_infer *c, struct err *e) {
    size_t n_offset, n_scale;
    (void)scores_floats(c->node, "offset", &n_offset);
    (void)scores_floats(c->node, "scale", &n_scale);
    TRY(infer_f32(c, e));
    TRY(per_column(c, n_offset, "offset", e));
    return per_column(c, n_scale, "scale", e);
}

static enum code run_scaler(const struct op_call *c, struct err *e) {
    (void)e;
    const size_t columns = columns_of(&c->in[0]->shape);
    size_t n_offset, n_scale;
    const float *offset = scores_floats(c->node, "offset", &n_offset),
                *scale = scores_floats(c->node, "scale", &n_scale);
    for (size_t k = 0; k < tensor_count(c->in[0]); k++) {
        float v = (float)tensor_f64(c->in[0], k);
        v -= offset ? offset[n_offset > 1 ? k % columns : 0] : 0;
        ((float *)c->out[0]->data)[k] = v * (scale ? scale[n_scale > 1 ? k % columns : 0] : 1);
    }
    return OK;
}

/* --- normalizer: rows divided by their norm; one of norm 0 stays --- */

enum norm { NORM_MAX, NORM_L1, NORM_L2 };

static enum code norm_of(const struct operand_at *at, enum norm *out, struct err *e) {
    static const char *const words[] = {"MAX", "L1", "L2"};
    const struct str word = attr_str(at->node, "norm", "MAX");
    for (int k = 0; k < 3; k++)
        if (str_is(word, words[k])) {
            *out = (enum norm)k;
            return OK;
        }
    return operand_fail(at, e, FORMAT, "norm '%.*s' is not known", STR(word));
}

static enum code infer_normalizer(struct op_infer *c, struct err *e) {
    enum norm norm;
    TRY(norm_of(OPERAND_AT(c), &norm, e));
    return infer_f32(c, e);
}

static double norm_row(enum norm norm, const struct tensor *x, size_t at, size_t n) {
    double sum = 0, top = -INFINITY;
    for (size_t k = 0; k < n; k++) {
        double v = tensor_f64(x, at + k);
        top = fmax(top, v);
        sum += norm == NORM_L1 ? fabs(v) : v * v;
    }
    return norm == NORM_MAX ? top : norm == NORM_L1 ? sum : sqrt(sum);
}

static enum code run_normalizer(const struct op_call *c, struct err *e) {
    const size_t columns = columns_of(&c->in[0]->shape), count = tensor_count(c->in[0]);
    enum norm norm;
    TRY(norm_of(OPERAND_AT(c), &norm, e));
    for (size_t at = 0; columns && at < count; at += columns) {
        double by = norm_row(norm, c->in[0], at, columns);
        for (size_t k = at; k < at + columns; k++)
            ((float *)c->out[0]->data)[k] =
                (float)(by != 0 ? tensor_f64(c->in[0], k) / by : tensor_f64(c->in[0], k));
    }
    return OK;
}

/* --- imputer: what is missing becomes a number --- */

struct imputed {
    const float *floats;
    const int64_t *ints;
    size_t n;
};

static struct imputed imputed_of(const struct node *n, enum dtype t) {
    struct imputed v = {0};
    if (dtype_is_float(t))
        v.floats = scores_floats(n, "imputed_value_floats", &v.n);
    else
        (void)attr_ints(n, "imputed_value_int64s", &v.ints, &v.n);
    return v;
}

static enum code infer_imputer(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    TRY(need_numbers(c, 0, e));
    struct imputed v = imputed_of(c->node, c->in[0].dtype);
    if (!v.n)
        return operand_fail(c, e, FORMAT, "imputed values for %s are missing",
                            dtype_name(c->in[0].dtype));
    return per_column(c, v.n, "imputed_value", e);
}

static enum code run_imputer(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *x = c->in[0];
    const size_t columns = columns_of(&x->shape);
    const struct imputed v = imputed_of(c->node, x->dtype);
    const double missing = v.floats ? (double)attr_float(c->node, "replaced_value_float", 0)
                                    : (double)attr_int(c->node, "replaced_value_int64", 0);
    for (size_t k = 0; k < tensor_count(x); k++) {
        double is = tensor_f64(x, k);
        size_t at = v.n > 1 ? k % columns : 0;
        if (is == missing || (isnan(is) && isnan(missing)))
            is = v.floats ? (double)v.floats[at] : (double)v.ints[at];
        operand_put(c->out[0], k, is);
    }
    return OK;
}

/* --- feature_vectorizer: columns of all inputs side by side --- */

/* Columns that input i gives: inputdimensions, or as many as it has. */
static size_t given_columns(const struct node *n, int i, const struct shape *s) {
    const int64_t *dims;
    size_t count;
    if (attr_ints(n, "inputdimensions", &dims, &count) && (size_t)i < count && dims[i] >= 0 &&
        dims[i] < INT32_MAX)
        return (size_t)dims[i];
    return columns_of(s);
}

static enum code infer_feature_vectorizer(struct op_infer *c, struct err *e) {
    size_t rows, features, columns = 0, all = 1;
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, DT_F32);
    for (int i = 0; i < c->node->n_in; i++) {
        if (!operand_given(c, i))
            return operand_fail(c, e, FORMAT, "input %d is missing", i);
        TRY(need_numbers(c, i, e));
        if (!c->in[i].known)
            return OK;
        TRY(scores_rows(OPERAND_AT(c), &c->in[i].shape, &rows, &features, e));
        if (i && rows != all)
            return operand_fail(c, e, INVALID, "input %d has %zu rows, input 0 has %zu", i, rows,
                                all);
        all = rows;
        columns += given_columns(c->node, i, &c->in[i].shape);
    }
    return operand_out(c, 0, DT_F32, &(struct shape){2, {(int64_t)all, (int64_t)columns}}, e);
}

static enum code run_feature_vectorizer(const struct op_call *c, struct err *e) {
    const size_t columns = (size_t)c->out[0]->shape.dims[1];
    size_t first = 0, rows, has;
    for (int i = 0; i < c->node->n_in; i++) {
        const size_t wide = given_columns(c->node, i, &c->in[i]->shape);
        TRY(scores_rows(OPERAND_AT(c), &c->in[i]->shape, &rows, &has, e));
        for (size_t row = 0; row < rows; row++)
            for (size_t k = 0; k < wide; k++)
                ((float *)c->out[0]->data)[row * columns + first + k] =
                    k < has ? (float)tensor_f64(c->in[i], row * has + k) : 0;
        first += wide;
    }
    return OK;
}

/* --- one_hot_encoder --- */

struct categories {
    const struct str *texts;
    const int64_t *numbers;
    size_t n;
};

static enum code categories_of(const struct operand_at *at, enum dtype t, struct categories *out,
                               struct err *e) {
    const struct attr *texts = attr_find(at->node, "cats_strings");
    *out = (struct categories){0};
    if (t == DT_STRING && texts && texts->kind == ATTR_STRS) {
        out->texts = texts->strs;
        out->n = texts->n;
    } else if (t != DT_STRING) {
        (void)attr_ints(at->node, "cats_int64s", &out->numbers, &out->n);
    }
    if (!out->n)
        return operand_fail(at, e, FORMAT, "categories for %s are missing", dtype_name(t));
    return OK;
}

static enum code infer_one_hot_encoder(struct op_infer *c, struct err *e) {
    struct categories cats;
    TRY(operand_need(c, 1, e));
    if (c->in[0].dtype != DT_STRING)
        TRY(need_numbers(c, 0, e));
    TRY(categories_of(OPERAND_AT(c), c->in[0].dtype, &cats, e));
    operand_out_later(c, 0, DT_F32);
    if (!c->in[0].known)
        return OK;
    struct shape y = c->in[0].shape;
    if (y.rank == SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the result would have %d dims", y.rank + 1);
    y.dims[y.rank++] = (int64_t)cats.n;
    return operand_out(c, 0, DT_F32, &y, e);
}

static bool is_category(const struct categories *cats, size_t at, const struct tensor *x,
                        size_t k) {
    if (cats->texts)
        return str_eq(cats->texts[at], ((const struct str *)x->data)[k]);
    if (!dtype_is_float(x->dtype))
        return cats->numbers[at] == tensor_i64(x, k);
    double v = tensor_f64(x, k);
    return v >= -0x1p62 && v <= 0x1p62 && cats->numbers[at] == (int64_t)v;
}

static enum code run_one_hot_encoder(const struct op_call *c, struct err *e) {
    struct categories cats;
    const bool zeros = attr_int(c->node, "zeros", 1) != 0;
    float *y = c->out[0]->data;
    TRY(categories_of(OPERAND_AT(c), c->in[0]->dtype, &cats, e));
    for (size_t k = 0; k < tensor_count(c->in[0]); k++) {
        bool any = false;
        for (size_t at = 0; at < cats.n; at++) {
            bool is = is_category(&cats, at, c->in[0], k);
            any = any || is;
            y[k * cats.n + at] = is;
        }
        if (!any && !zeros)
            return operand_fail(c, e, INVALID, "element %zu is of no category", k);
    }
    return OK;
}

const struct op op_scaler = {
    .name = "scaler", .flags = OP_PURE, .infer = infer_scaler, .run = run_scaler};
const struct op op_normalizer = {
    .name = "normalizer", .flags = OP_PURE, .infer = infer_normalizer, .run = run_normalizer};
const struct op op_imputer = {
    .name = "imputer", .flags = OP_PURE, .infer = infer_imputer, .run = run_imputer};
const struct op op_feature_vectorizer = {.name = "feature_vectorizer",
                                         .flags = OP_PURE,
                                         .infer = infer_feature_vectorizer,
                                         .run = run_feature_vectorizer};
const struct op op_one_hot_encoder = {.name = "one_hot_encoder",
                                      .flags = OP_PURE,
                                      .infer = infer_one_hot_encoder,
                                      .run = run_one_hot_encoder};

/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of ai.onnx.ml that turn values into others: label_encoder, category_mapper, binarizer.
 *
 * category_mapper: cats_strings to cats_int64s, or back.
 * label_encoder: ml opset 1 maps between classes_strings and their positions; since 2 there are
 * lists of keys and values; since 4 they may be tensors of any type. The first of equal keys
 * counts; NaN equals NaN. */
#include "op/operand.h"

#include <math.h>
#include <stdlib.h>

/* --- label_encoder --- */

struct table {
    struct tensor keys, values, otherwise; /* lists, borrowed from the attributes; one value */
    int64_t number;                        /* storage for otherwise */
    float real;
    struct str text;
    uint32_t *order; /* (n) positions of the keys, sorted; prepare */
};

/* The attribute PREFIX_strings, _int64s, _floats or _tensor as a list; dtype DT_NONE: none. */
static struct tensor list_of(const struct node *n, const char *prefix) {
    static const struct {
        const char *ending;
        enum attr_kind kind;
        enum dtype dtype;
    } forms[] = {{"strings", ATTR_STRS, DT_STRING},
                 {"int64s", ATTR_INTS, DT_I64},
                 {"floats", ATTR_FLOATS, DT_F32},
                 {"tensor", ATTR_TENSOR, DT_NONE}};
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s_%s", prefix, forms[k].ending);
        const struct attr *a = attr_find(n, name);
        if (!a || a->kind != forms[k].kind)
            continue;
        if (a->kind == ATTR_TENSOR)
            return *a->tensor;
        return (struct tensor){.dtype = forms[k].dtype,
                               .shape = {.rank = 1, .dims = {(int64_t)a->n}},
                               .data = (void *)(uintptr_t)a->ints}; /* read only */
    }
    return (struct tensor){.dtype = DT_NONE};
}

/* category_mapper: which side is the keys is told by the input. */
static void mapper_lists(const struct operand_at *at, enum dtype in, struct table *t) {
    struct tensor texts = list_of(at->node, "cats"), numbers = {.dtype = DT_NONE};
    const struct attr *a = attr_find(at->node, "cats_int64s");
    if (a && a->kind == ATTR_INTS)
        numbers = (struct tensor){.dtype = DT_I64,
                                  .shape = {.rank = 1, .dims = {(int64_t)a->n}},
                                  .data = (void *)(uintptr_t)a->ints};
    t->keys = in == DT_STRING ? texts : numbers;
    t->values = in == DT_STRING ? numbers : texts;
}

static void read_default(const struct node *n, struct table *t) {
    const struct attr *a = attr_find(n, "default_tensor");
    t->number = attr_int(n, "default_int64", -1);
    t->real = attr_float(n, "default_float", -0.0F);
    t->text = attr_str(n, "default_string", "_Unused");
    t->otherwise = (struct tensor){.dtype = t->values.dtype, .data = NULL};
    if (a && a->kind == ATTR_TENSOR)
        t->otherwise = *a->tensor;
    else if (t->values.dtype == DT_STRING)
        t->otherwise.data = &t->text;
    else if (t->values.dtype == DT_I64)
        t->otherwise.data = &t->number;
    else if (t->values.dtype == DT_F32)
        t->otherwise.data = &t->real;
}

static enum code table_read(const struct operand_at *at, enum dtype in, struct table *t,
                            struct err *e) {
    struct tensor classes = list_of(at->node, "classes");
    if (str_is(at->node->op_name, "category_mapper")) {
        mapper_lists(at, in, t);
    } else if (at->node->opset < 2) { /* the missing side is the position */
        t->keys =
            in == DT_STRING ? classes : (struct tensor){.dtype = DT_I64, .shape = classes.shape};
        t->values =
            in == DT_STRING ? (struct tensor){.dtype = DT_I64, .shape = classes.shape} : classes;
    } else {
        t->keys = list_of(at->node, "keys");
        t->values = list_of(at->node, "values");
    }
    if (t->keys.dtype == DT_NONE || t->values.dtype == DT_NONE || t->keys.dtype != in ||
        tensor_count(&t->keys) != tensor_count(&t->values) || tensor_count(&t->keys) > UINT32_MAX)
        return operand_fail(at, e, FORMAT, "%zu keys of %s, %zu values of %s, an input of %s",
                            tensor_count(&t->keys), dtype_name(t->keys.dtype),
                            tensor_count(&t->values), dtype_name(t->values.dtype), dtype_name(in));
    read_default(at->node, t);
    if (!t->otherwise.data || t->otherwise.dtype != t->values.dtype ||
        tensor_count(&t->otherwise) != 1)
        return operand_fail(at, e, FORMAT, "the default is not one %s",
                            dtype_name(t->values.dtype));
    return OK;
}

static enum code infer_label_encoder(struct op_infer *c, struct err *e) {
    struct table t;
    TRY(operand_need(c, 1, e));
    TRY(table_read(OPERAND_AT(c), c->in[0].dtype, &t, e));
    operand_out_later(c, 0, t.values.dtype);
    return c->in[0].known ? operand_out(c, 0, t.values.dtype, &c->in[0].shape, e) : OK;
}

/* Element i of one list against element j of another of the same type. */
static int compare_items(const struct tensor *a, size_t i, const struct tensor *b, size_t j) {
    if (a->dtype == DT_STRING)
        return str_cmp(((const struct str *)a->data)[i], ((const struct str *)b->data)[j]);
    if (!dtype_is_float(a->dtype)) {
        int64_t x = tensor_i64(a, i), y = tensor_i64(b, j);
        return (x > y) - (x < y);
    }
    double x = tensor_f64(a, i), y = tensor_f64(b, j);
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

static int compare_keys(const void *a, const void *b, void *context) {
    const struct tensor *keys = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int order = compare_items(keys, i, keys, j);
    return order ? order : (i > j) - (i < j);
}

static enum code prepare_label_encoder(struct op_prepare *c, struct err *e) {
    struct table *t = ARENA_NEW(c->arena, struct table);
    if (!t)
        return arena_fail(c->arena, sizeof *t, "a table of labels", e);
    TRY(table_read(OPERAND_AT(c), c->in[0].dtype, t, e));
    size_t n = tensor_count(&t->keys);
    c->state = t;
    if (!t->keys.data)
        return OK; /* keys are positions */
    t->order = ARENA_ARRAY(c->arena, n + 1, uint32_t);
    if (!t->order)
        return arena_fail(c->arena, n * sizeof *t->order, "a table of labels", e);
    for (size_t k = 0; k < n; k++)
        t->order[k] = (uint32_t)k;
    qsort_r(t->order, n, sizeof *t->order, compare_keys, &t->keys);
    return OK;
}

/* The position of a key, or -1. */
static int64_t find_key(const struct table *t, const struct tensor *in, size_t k) {
    size_t low = 0, high = tensor_count(&t->keys), n = high;
    if (!t->order) {
        int64_t at = tensor_i64(in, k);
        return at >= 0 && (size_t)at < n ? at : -1;
    }
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare_items(&t->keys, t->order[mid], in, k) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < n && compare_items(&t->keys, t->order[low], in, k) == 0)
        return t->order[low];
    return -1;
}

static enum code run_label_encoder(const struct op_call *c, struct err *e) {
    (void)e;
    const struct table *t = c->state;
    size_t bytes = dtype_size(t->values.dtype);
    for (size_t k = 0; k < tensor_count(c->in[0]); k++) {
        int64_t at = find_key(t, c->in[0], k);
        const void *from = &at; /* values are positions, unless there is a list */
        if (at < 0)
            from = t->otherwise.data;
        else if (t->values.data)
            from = (const char *)t->values.data + (size_t)at * bytes;
        memcpy((char *)c->out[0]->data + k * bytes, from, bytes);
    }
    return OK;
}

/* --- binarizer --- */

static enum code infer_binarizer(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    return OK;
}

static enum code run_binarizer(const struct op_call *c, struct err *e) {
    (void)e;
    double threshold = (double)attr_float(c->node, "threshold", 0);
    for (size_t k = 0; k < tensor_count(c->in[0]); k++)
        operand_put(c->out[0], k, tensor_f64(c->in[0], k) > threshold);
    return OK;
}

const struct op op_label_encoder = {.name = "label_encoder",
                                    .flags = OP_PURE,
                                    .infer = infer_label_encoder,
                                    .prepare = prepare_label_encoder,
                                    .run = run_label_encoder};
const struct op op_binarizer = {.name = "binarizer",
                                .flags = OP_PURE | OP_INPLACE,
                                .infer = infer_binarizer,
                                .run = run_binarizer};
const struct op op_category_mapper = {.name = "category_mapper",
                                      .flags = OP_PURE,
                                      .infer = infer_label_encoder,
                                      .prepare = prepare_label_encoder,
                                      .run = run_label_encoder};

/* SPDX-License-Identifier: Apache-2.0 */
/* Maps (ai.onnx.ml 1): zip_map makes one per row, dict_vectorizer and cast_map make tensors of one.
 *
 * A map is a sequence marked `map` of two lists of equal length: keys (i64 or string), values. */
#include "op/scores.h"

#include <float.h>
#include <math.h>

/* --- zip_map --- */

static enum code infer_zip_map(struct op_infer *c, struct err *e) {
    struct scores_labels labels;
    size_t rows, columns;
    TRY(operand_need(c, 1, e));
    TRY(scores_labels_of(OPERAND_AT(c), &labels, e));
    operand_out_later(c, 0, DT_SEQUENCE);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "scores of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &columns, e));
    if (columns != labels.n)
        return operand_fail(c, e, INVALID, "%zu columns for %zu labels", columns, labels.n);
    return OK;
}

static enum code run_zip_map(const struct op_call *c, struct err *e) {
    struct scores_labels labels;
    const struct tensor *x = c->in[0];
    size_t rows, columns;
    void *memory[4];
    TRY(scores_labels_of(OPERAND_AT(c), &labels, e));
    TRY(scores_rows(OPERAND_AT(c), &x->shape, &rows, &columns, e));
    if (columns != labels.n)
        return operand_fail(c, e, INVALID, "%zu columns for %zu labels", columns, labels.n);
    TRY(operand_alloc(c, 1, sizeof(struct sequence), &memory[0], e));
    TRY(operand_alloc(c, rows, sizeof(struct tensor), &memory[1], e));
    TRY(operand_alloc(c, rows, sizeof(struct sequence), &memory[2], e));
    TRY(operand_alloc(c, 2 * rows, sizeof(struct tensor), &memory[3], e));
    struct sequence *all = memory[0], *maps = memory[2];
    struct tensor *items = memory[1], *sides = memory[3], kept = {0};
    TRY(operand_keep(c, x, &kept, e));
    const size_t bytes = dtype_size(x->dtype) * columns;
    const void *keys = labels.texts ? (const void *)labels.texts : labels.numbers;
    const struct shape list = {1, {(int64_t)columns}};
    for (size_t row = 0; row < rows; row++) {
        sides[2 * row] = (struct tensor){.dtype = scores_labels_dtype(&labels),
                                         .shape = list,
                                         .data = (void *)(uintptr_t)keys}; /* never written */
        sides[2 * row + 1] = (struct tensor){
            .dtype = x->dtype, .shape = list, .data = (char *)kept.data + row * bytes};
        maps[row] = (struct sequence){.n = 2, .items = &sides[2 * row], .map = true};
        items[row] = (struct tensor){.dtype = DT_SEQUENCE, .data = &maps[row]};
    }
    *all = (struct sequence){.n = rows, .items = items};
    if (c->out[0])
        *c->out[0] = (struct tensor){.dtype = DT_SEQUENCE, .data = all};
    return OK;
}

/* --- tensors of one map --- */

static enum code map_in(const struct op_call *c, const struct tensor **keys,
                        const struct tensor **values, struct err *e) {
    const struct tensor *t = c->in[0];
    const struct sequence *s = t && t->dtype == DT_SEQUENCE ? t->data : NULL;
    if (!s || !s->map || s->n != 2 || s->items[0].dtype == DT_SEQUENCE ||
        s->items[1].dtype == DT_SEQUENCE ||
        tensor_count(&s->items[0]) != tensor_count(&s->items[1]))
        return operand_fail(c, e, INVALID, "the input is not a map");
    *keys = &s->items[0];
    *values = &s->items[1];
    return OK;
}

static enum code infer_dict_vectorizer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, DT_NONE); /* the type of the map's values */
    return OK;
}

/* Where a key stands in the vocabulary, of which one list is NULL; n: nowhere. */
static size_t word_at(const struct tensor *keys, size_t k, const struct attr *texts,
                      const int64_t *numbers, size_t n) {
    size_t at = 0;
    if (keys->dtype == DT_STRING && texts)
        while (at < n && !str_eq(texts->strs[at], ((const struct str *)keys->data)[k]))
            at++;
    else if (keys->dtype == DT_I64 && numbers)
        while (at < n && numbers[at] != ((const int64_t *)keys->data)[k])
            at++;
    else
        return n;
    return at;
}

static enum code run_dict_vectorizer(const struct op_call *c, struct err *e) {
    const struct tensor *keys, *values;
    const struct attr *texts = attr_find(c->node, "string_vocabulary");
    const int64_t *numbers = NULL;
    size_t n = 0;
    TRY(map_in(c, &keys, &values, e));
    texts = texts && texts->kind == ATTR_STRS ? texts : NULL;
    if (texts)
        n = texts->n;
    else
        (void)attr_ints(c->node, "int64_vocabulary", &numbers, &n);
    TRY(op_output(c, 0, values->dtype, &(struct shape){2, {1, (int64_t)n}}, e));
    if (!c->out[0] || !n)
        return OK;
    const size_t bytes = dtype_size(values->dtype);
    memset(c->out[0]->data, 0, n * bytes); /* 0, and "" */
    for (size_t k = 0; k < tensor_count(keys); k++) {
        size_t at = word_at(keys, k, texts, numbers, n);
        if (at < n)
            memcpy((char *)c->out[0]->data + at * bytes, (const char *)values->data + k * bytes,
                   bytes);
    }
    return OK;
}

static enum dtype cast_map_type(const struct node *n) {
    const struct str to = attr_str(n, "cast_to", "TO_FLOAT");
    return str_is(to, "TO_STRING") ? DT_STRING : str_is(to, "TO_INT64") ? DT_I64 : DT_F32;
}

static enum code infer_cast_map(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, cast_map_type(c->node));
    return OK;
}

/* Value k of a map as an element of another type. */
static enum code cast_value(const struct op_call *c, const struct tensor *values, size_t k,
                            size_t at, struct err *e) {
    struct tensor *to = c->out[0];
    char text[DBL_MAX_10_EXP + 16]; /* the longest that %f writes */
    void *copy;
    if (values->dtype == DT_STRING && to->dtype == DT_STRING) {
        ((struct str *)to->data)[at] = ((const struct str *)values->data)[k];
        return OK;
    }
    if (to->dtype == DT_STRING) {
        int n = snprintf(text, sizeof text, "%f", tensor_f64(values, k));
        TRY(operand_alloc(c, (size_t)n, 1, &copy, e));
        memcpy(copy, text, (size_t)n);
        ((struct str *)to->data)[at] = (struct str){copy, (size_t)n};
        return OK;
    }
    double v = 0;
    if (values->dtype == DT_STRING) {
        struct str s = ((const struct str *)values->data)[k];
        snprintf(text, sizeof text, "%.*s", STR(s));
        v = strtod(text, NULL);
    } else {
        v = tensor_f64(values, k);
    }
    operand_put(to, at, v);
    return OK;
}

static enum code run_cast_map(const struct op_call *c, struct err *e) {
    const struct tensor *keys, *values;
    const bool sparse = str_is(attr_str(c->node, "map_form", "DENSE"), "SPARSE");
    int64_t most = attr_int(c->node, "max_map", 1);
    TRY(map_in(c, &keys, &values, e));
    const size_t count = tensor_count(keys);
    if (keys->dtype != DT_I64 || most < 1)
        return operand_fail(c, e, INVALID, "keys of type %s, max_map %lld", dtype_name(keys->dtype),
                            (long long)most);
    TRY(op_output(c, 0, cast_map_type(c->node),
                  &(struct shape){2, {1, sparse ? most : (int64_t)count}}, e));
    if (!c->out[0] || !tensor_bytes(c->out[0]))
        return OK;
    memset(c->out[0]->data, 0, tensor_bytes(c->out[0]));
    for (size_t k = 0; k < count; k++) {
        int64_t key = ((const int64_t *)keys->data)[k], at = 0;
        for (size_t other = 0; other < count && !sparse; other++) /* in the order of the keys */
            at += ((const int64_t *)keys->data)[other] < key;
        at = sparse ? key : at;
        if (at < 0 || at >= (sparse ? most : (int64_t)count))
            return operand_fail(c, e, INVALID, "key %lld, max_map is %lld", (long long)key,
                                (long long)most);
        TRY(cast_value(c, values, k, (size_t)at, e));
    }
    return OK;
}

const struct op op_zip_map = {
    .name = "zip_map", .flags = OP_DYNAMIC, .infer = infer_zip_map, .run = run_zip_map};
const struct op op_dict_vectorizer = {.name = "dict_vectorizer",
                                      .flags = OP_DYNAMIC,
                                      .infer = infer_dict_vectorizer,
                                      .run = run_dict_vectorizer};
const struct op op_cast_map = {
    .name = "cast_map", .flags = OP_DYNAMIC, .infer = infer_cast_map, .run = run_cast_map};

/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX ValueInfoProto and TypeProto: what a value is declared to be. */
#include "format/onnx_read.h"

enum { NAME = 1, TYPE = 2 };                                                  /* ValueInfoProto */
enum { TENSOR_TYPE = 1, SEQUENCE_TYPE = 4, MAP_TYPE = 5, OPTIONAL_TYPE = 9 }; /* TypeProto */
enum { ELEM_TYPE = 1, SHAPE = 2, DIM = 1 }; /* Tensor, TensorShapeProto */
enum { DIM_VALUE = 1, DIM_PARAM = 2 };      /* Dimension */

/* A dim below zero, and a parameter, are free. */
static enum code take_dim(const struct pb_field *f, struct onnx_type *t, struct err *e) {
    struct pb r;
    struct pb_field g;
    bool more;
    if (t->shape.rank == SHAPE_MAX) {
        t->too_deep = true;
        return OK;
    }
    int64_t value = -1;
    struct str name = {0};
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            break;
        if (g.number == DIM_VALUE)
            TRY(pb_i64(&g, &value, e));
        if (g.number == DIM_PARAM)
            TRY(pb_str(&g, &name, e));
    }
    t->dim_names[t->shape.rank] = name;
    t->shape.dims[t->shape.rank++] = value < 0 || name.n ? -1 : value;
    return OK;
}

static enum code take_shape(const struct pb_field *f, struct onnx_type *t, struct err *e) {
    struct pb r;
    struct pb_field g;
    bool more;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            break;
        if (g.number == DIM)
            TRY(take_dim(&g, t, e));
    }
    t->ranked = !t->too_deep;
    return OK;
}

static enum code take_tensor(const struct pb_field *f, struct onnx_type *t, struct err *e) {
    struct pb r;
    struct pb_field g;
    bool more;
    int64_t type = 0;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            break;
        if (g.number == ELEM_TYPE)
            TRY(pb_i64(&g, &type, e));
        if (g.number == SHAPE)
            TRY(take_shape(&g, t, e));
    }
    t->dtype = onnx_tensor_dtype(type);
    return OK;
}

static enum code take_type(const struct pb_field *f, struct onnx_type *t, struct err *e) {
    struct pb r;
    struct pb_field g;
    bool more;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            return OK;
        if (g.number == TENSOR_TYPE)
            TRY(take_tensor(&g, t, e));
        if (g.number == SEQUENCE_TYPE || g.number == MAP_TYPE || g.number == OPTIONAL_TYPE)
            t->dtype = DT_SEQUENCE;
    }
}

enum code onnx_type_parse(struct span message, struct onnx_type *out, struct err *e) {
    struct onnx_type t = {0};
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            break;
        if (f.number == NAME)
            TRY(pb_str(&f, &t.name, e));
        if (f.number == TYPE)
            TRY(take_type(&f, &t, e));
    }
    *out = t;
    return OK;
}

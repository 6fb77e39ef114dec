/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto and Example: see tfproto.h. Field numbers: tensor.proto, types.proto, example.proto,
 * feature.proto of TensorFlow. */
#include "job/tfproto.h"

#include "base/arena_buf.h"
#include "tensor/cast.h"

enum { LIST_BYTES = 1 << 30 }; /* of one tensor's values */

enum list { /* how a type's list is written */
            LIST_NONE,
            LIST_F32,
            LIST_F64,
            LIST_VARINT,
            LIST_TEXT
};

static const struct row {
    enum dtype dtype;
    uint8_t number, field; /* of DataType; of the list in TensorProto */
    enum list list;
} rows[] = {
    {DT_F32, 1, 5, LIST_F32},       {DT_F64, 2, 6, LIST_F64},       {DT_I32, 3, 7, LIST_VARINT},
    {DT_U8, 4, 7, LIST_VARINT},     {DT_I16, 5, 7, LIST_VARINT},    {DT_I8, 6, 7, LIST_VARINT},
    {DT_STRING, 7, 8, LIST_TEXT},   {DT_C64, 8, 9, LIST_F32},       {DT_I64, 9, 10, LIST_VARINT},
    {DT_BOOL, 10, 11, LIST_VARINT}, {DT_BF16, 14, 13, LIST_VARINT}, {DT_U16, 17, 7, LIST_VARINT},
    {DT_C128, 18, 12, LIST_F64},    {DT_F16, 19, 13, LIST_VARINT},  {DT_U32, 22, 16, LIST_VARINT},
    {DT_U64, 23, 17, LIST_VARINT},
};

static const struct row *row_of(enum dtype t) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].dtype == t)
            return &rows[i];
    return NULL;
}

static const struct row *row_of_number(uint64_t number) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].number == number)
            return &rows[i];
    return NULL;
}

int tfproto_number(enum dtype t) {
    const struct row *row = row_of(t);
    return row ? row->number : 0;
}

/* --- TensorProto in --- */

static enum code take_dim(const struct pb_field *f, struct shape *s, struct err *e) {
    struct pb_field d;
    struct pb p;
    bool more;
    int64_t size = 0;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &d, &more, e));
        if (!more)
            break;
        if (d.number == 1)
            TRY(pb_i64(&d, &size, e));
    }
    if (size < 0 || s->rank == SHAPE_MAX)
        return fail(e, INVALID, "tensor_shape: up to %d dims, none negative", SHAPE_MAX);
    s->dims[s->rank++] = size;
    return OK;
}

static enum code take_shape(const struct pb_field *f, struct shape *s, struct err *e) {
    struct pb_field d;
    struct pb p;
    bool more;
    TRY(pb_sub(f, &p, e));
    for (;;) {
        TRY(pb_next(&p, &d, &more, e));
        if (!more)
            return OK;
        if (d.number == 2)
            TRY(take_dim(&d, s, e));
        if (d.number == 3 && d.value)
            return fail(e, INVALID, "tensor_shape: the rank of a tensor must be known");
    }
}

struct proto {
    const struct row *row;
    struct shape shape;
    struct span content;
    bool has_content;
};

static enum code take_head(struct span bytes, struct str name, struct proto *out, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    uint64_t number = 0;
    *out = (struct proto){0};
    pb_init(&p, bytes);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1)
            TRY(pb_u64(&f, &number, e));
        if (f.number == 2)
            TRY(take_shape(&f, &out->shape, e));
        if (f.number == 4)
            TRY(pb_bytes(&f, &out->content, e));
    }
    out->has_content = out->content.n > 0;
    out->row = row_of_number(number);
    return out->row ? OK
                    : fail(e, INVALID, "input '%.*s': DataType %llu is not supported", STR(name),
                           (unsigned long long)number);
}

static size_t width_of(const struct row *row) {
    switch (row->list) {
    case LIST_F32: return 4;
    case LIST_F64: return 8;
    case LIST_TEXT: return sizeof(struct str);
    case LIST_VARINT:
    case LIST_NONE: break;
    }
    return 8;
}

static enum code take_values(const struct pb_field *f, enum list list, struct buf *b,
                             struct err *e) {
    struct str text;
    switch (list) {
    case LIST_F32: return pb_f32s(f, b, e);
    case LIST_F64: return pb_f64s(f, b, e);
    case LIST_TEXT:
        TRY(pb_str(f, &text, e));
        buf_put(b, &text, sizeof text);
        return buf_check(b, "strings", e);
    case LIST_VARINT:
    case LIST_NONE: break;
    }
    return pb_u64s(f, b, e);
}

static enum code take_list(struct span bytes, const struct row *row, struct buf *b, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, bytes);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == row->field)
            TRY(take_values(&f, row->list, b, e));
    }
}

/* n values of `width` bytes at p become elements of `size` bytes of out; the last one repeats. */
static void spread(const char *p, size_t n, size_t width, size_t size, enum dtype t, char *out,
                   size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *from = p + (i < n ? i : n - 1) * width;
        memcpy(out + i * size, from, size);
        if (t == DT_BOOL)
            out[i] = out[i] != 0;
    }
}

static enum code from_list(struct arena *a, struct span bytes, const struct proto *proto,
                           struct str name, struct tensor *out, struct err *e) {
    size_t count, size = dtype_size(proto->row->dtype), width = width_of(proto->row);
    struct buf *b = arena_buf(a, LIST_BYTES, bytes.n / 2, "tensor", e);
    if (!b)
        return e->code;
    TRY(take_list(bytes, proto->row, b, e));
    if (proto->row->dtype == DT_C64 || proto->row->dtype == DT_C128)
        width = size; /* pairs */
    size_t n = b->n / width;
    if (!shape_count(&proto->shape, &count) || n > count || b->n % width)
        return fail(e, INVALID, "input '%.*s': %zu values for a shape of %zu elements", STR(name),
                    n, shape_count(&proto->shape, &count) ? count : 0);
    if (n == count && width == size && proto->row->dtype != DT_BOOL) {
        out->data = b->p;
        return OK;
    }
    TRY(tensor_new(a, out->dtype, &proto->shape, out, e)); /* zeros */
    if (n)
        spread(b->p, n, width, size, out->dtype, out->data, count);
    return OK;
}

static enum code from_content(struct arena *a, const struct proto *proto, struct str name,
                              struct tensor *out, struct err *e) {
    size_t count, size = dtype_size(proto->row->dtype);
    if (proto->row->dtype == DT_STRING)
        return fail(e, INVALID, "input '%.*s': strings come in string_val", STR(name));
    if (!shape_count(&proto->shape, &count) || proto->content.n % size ||
        proto->content.n / size != count)
        return fail(e, INVALID,
                    "input '%.*s': tensor_content has %zu bytes, not those of its shape", STR(name),
                    proto->content.n);
    out->data = (void *)(uintptr_t)proto->content.p;
    if ((uintptr_t)proto->content.p % size == 0 && out->dtype != DT_BOOL)
        return OK;
    TRY(tensor_new(a, out->dtype, &proto->shape, out, e));
    spread((const char *)proto->content.p, count, size, size, out->dtype, out->data, count);
    return OK;
}

enum code tfproto_take(struct arena *a, struct span bytes, struct str name, struct tensor *out,
                       struct err *e) {
    struct proto proto;
    TRY(take_head(bytes, name, &proto, e));
    *out = (struct tensor){.dtype = proto.row->dtype, .shape = proto.shape};
    return proto.has_content ? from_content(a, &proto, name, out, e)
                             : from_list(a, bytes, &proto, name, out, e);
}

/* --- TensorProto out --- */

static void put_shape(struct buf *b, const struct shape *s) {
    size_t at = pb_put_begin(b, 2);
    for (int d = 0; d < s->rank; d++) {
        size_t dim = pb_put_begin(b, 2);
        pb_put_i64(b, 1, s->dims[d]);
        pb_put_end(b, dim);
    }
    pb_put_end(b, at);
}

static void put_varints(struct buf *b, const struct row *row, const struct tensor *t, size_t n) {
    const uint16_t *bits = t->data;
    bool half = row->field == 13; /* half_val: the pattern of 16 bits */
    size_t at = pb_put_begin(b, row->field);
    for (size_t i = 0; i < n; i++)
        pb_put_varint(b, half ? bits[i] : (uint64_t)tensor_i64(t, i));
    pb_put_end(b, at);
}

enum code tfproto_put(struct buf *b, uint32_t field, const struct tensor *t, struct err *e) {
    const struct row *row = row_of(t->dtype);
    const struct str *text = t->data;
    size_t n = tensor_count(t);
    if (!row)
        return fail(e, UNSUPPORTED, "type %s has no name in TensorFlow", dtype_name(t->dtype));
    size_t at = pb_put_begin(b, field);
    pb_put_u64(b, 1, row->number);
    put_shape(b, &t->shape);
    if (row->list == LIST_VARINT && n)
        put_varints(b, row, t, n);
    else if (row->list == LIST_TEXT)
        for (size_t i = 0; i < n; i++)
            pb_put_str(b, row->field, text[i]);
    else if (n)
        pb_put_bytes(b, row->field, t->data, tensor_bytes(t));
    pb_put_end(b, at);
    return OK;
}

/* --- examples --- */

struct examples {
    struct span *all; /* (n) */
    size_t n;
    struct span context; /* .p NULL: none */
};

/* Input: {1 ExampleList, 2 ExampleListWithContext}; each: 1 examples, 2 context. */
static enum code take_examples(struct arena *a, struct span input, struct examples *out,
                               struct err *e) {
    struct pb_field f;
    struct pb p, list = {0};
    bool more;
    *out = (struct examples){0};
    pb_init(&p, input);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1 || f.number == 2)
            TRY(pb_sub(&f, &list, e));
    }
    struct buf *b = arena_buf(a, LIST_BYTES, 64 * sizeof(struct span), "tensor", e);
    if (!b)
        return e->code;
    while (list.p) {
        struct span one;
        TRY(pb_next(&list, &f, &more, e));
        if (!more)
            break;
        if (f.number == 2)
            TRY(pb_bytes(&f, &out->context, e));
        if (f.number != 1)
            continue;
        TRY(pb_bytes(&f, &one, e));
        buf_put(b, &one, sizeof one);
    }
    TRY(buf_check(b, "examples", e));
    out->all = (struct span *)(void *)b->p;
    out->n = b->n / sizeof(struct span);
    return out->n ? OK : fail(e, INVALID, "Input is empty.");
}

/* The feature called `name` of an Example; *n_features: how many there are. */
static enum code find_feature(struct span example, struct str name, struct span *out,
                              size_t *n_features, struct err *e) {
    struct pb_field f, g;
    struct pb p, features = {0};
    bool more;
    *n_features = 0;
    pb_init(&p, example);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1)
            TRY(pb_sub(&f, &features, e));
    }
    while (features.p) {
        struct str key = {0};
        struct span value = {0};
        struct pb entry;
        TRY(pb_next(&features, &f, &more, e));
        if (!more)
            break;
        if (f.number != 1)
            continue;
        TRY(pb_sub(&f, &entry, e));
        for (;;) {
            TRY(pb_next(&entry, &g, &more, e));
            if (!more)
                break;
            if (g.number == 1)
                TRY(pb_str(&g, &key, e));
            if (g.number == 2)
                TRY(pb_bytes(&g, &value, e));
        }
        ++*n_features;
        if (str_eq(key, name) || name.n == 0)
            *out = value;
    }
    return OK;
}

/* Feature: {1 BytesList, 2 FloatList, 3 Int64List}, each 1 repeated value. */
static enum code take_feature(struct span feature, struct buf *values, enum dtype *type,
                              struct err *e) {
    static const enum dtype types[] = {DT_NONE, DT_STRING, DT_F32, DT_I64};
    static const enum list lists[] = {LIST_NONE, LIST_TEXT, LIST_F32, LIST_VARINT};
    struct pb_field f, g;
    struct pb p, list;
    bool more;
    pb_init(&p, feature);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number < 1 || f.number > 3)
            continue;
        *type = types[f.number];
        TRY(pb_sub(&f, &list, e));
        for (;;) {
            TRY(pb_next(&list, &g, &more, e));
            if (!more)
                break;
            if (g.number == 1)
                TRY(take_values(&g, lists[f.number], values, e));
        }
    }
}

/* All examples' values of one input, one behind the other. */
static enum code gather(struct arena *a, const struct examples *x, const struct live_io *io,
                        bool sole, struct buf **out, enum dtype *type, struct err *e) {
    *type = DT_NONE;
    struct buf *b = *out = arena_buf(a, LIST_BYTES, 1024, "tensor", e);
    if (!b)
        return e->code;
    for (size_t i = 0; i < x->n; i++) {
        struct span feature = {0};
        enum dtype t = DT_NONE;
        size_t n, before = b->n;
        TRY(find_feature(x->all[i], io->name, &feature, &n, e));
        if (!feature.p && sole && n == 1)
            TRY(find_feature(x->all[i], (struct str){0}, &feature, &n, e));
        if (!feature.p && x->context.p)
            TRY(find_feature(x->context, io->name, &feature, &n, e));
        if (feature.p)
            TRY(take_feature(feature, b, &t, e));
        if (t == DT_NONE || (*type != DT_NONE && *type != t))
            return fail(e, INVALID, "example %zu: feature '%.*s' is missing or of another type", i,
                        STR(io->name));
        *type = t;
        if (i && (b->n - before) * i != before)
            return fail(e, INVALID, "example %zu: feature '%.*s' has another length than before", i,
                        STR(io->name));
    }
    return OK;
}

/* [N, ...] of the signature with the one dim that is not known made to fit. */
static enum code fit_shape(const struct live_io *io, size_t n_rows, size_t count, struct shape *out,
                           struct err *e) {
    size_t known = 1, each = count / n_rows;
    int open = -1;
    *out = io->shape;
    if (io->shape.rank == 0)
        *out = (struct shape){.rank = 1};
    out->dims[0] = (int64_t)n_rows;
    for (int d = 1; d < out->rank; d++)
        if (out->dims[d] >= 0)
            known *= (size_t)out->dims[d];
        else
            open = d;
    for (int d = 1; d < out->rank; d++)
        if (out->dims[d] < 0)
            out->dims[d] = d == open && known ? (int64_t)(each / known) : 1;
    size_t n;
    if (!shape_count(out, &n) || n != count)
        return fail(e, INVALID, "feature '%.*s': %zu values an example do not fit its input",
                    STR(io->name), each);
    return OK;
}

static enum code fill_input(struct arena *a, const struct examples *x, const struct live_io *io,
                            bool sole, struct ask_tensor *out, struct err *e) {
    enum dtype type;
    struct buf *b;
    struct shape shape;
    TRY(gather(a, x, io, sole, &b, &type, e));
    size_t count = b->n / (type == DT_STRING ? sizeof(struct str) : dtype_size(type));
    if ((type == DT_STRING) != (io->dtype == DT_STRING))
        return fail(e, INVALID, "feature '%.*s': the model takes %s", STR(io->name),
                    dtype_name(io->dtype));
    TRY(fit_shape(io, x->n, count, &shape, e));
    *out = (struct ask_tensor){.name = io->name,
                               .tensor = {.dtype = io->dtype, .shape = shape, .data = b->p}};
    if (type == io->dtype)
        return OK;
    TRY(tensor_new(a, io->dtype, &shape, &out->tensor, e));
    return cast_elements(io->dtype, out->tensor.data, type, b->p, count, true, a, e);
}

enum code tfproto_examples(struct arena *a, struct span input, const struct live_io *io,
                           size_t n_io, struct ask_tensor *out, size_t *n, struct err *e) {
    struct examples x;
    size_t required = 0;
    *n = 0;
    TRY(take_examples(a, input, &x, e));
    for (size_t i = 0; i < n_io; i++)
        required += live_io_required(&io[i]);
    for (size_t i = 0; i < n_io; i++)
        if (live_io_required(&io[i]))
            TRY(fill_input(a, &x, &io[i], required == 1, &out[(*n)++], e));
    return OK;
}

enum code tfproto_signature(struct str name, struct err *e) {
    if (name.n == 0 || str_is(name, "serving_default") || str_is(name, "predict"))
        return OK;
    return fail(e, INVALID,
                "Serving signature key \"%.*s\" not found; there is \"serving_default\"",
                STR(str_sub(name, 0, 200)));
}

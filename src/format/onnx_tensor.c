/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX tensors. The element count comes from the dims, the bytes from the data: nothing is
 * allocated before both agree, so a tensor cannot claim more than it brings. */
#include "format/onnx_tensor.h"

#include "tensor/nibble.h"

/* TensorProto */
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    SEGMENT = 3,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    NAME = 8,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    EXTERNAL_DATA = 13,
    DATA_LOCATION = 14,
};

static const uint8_t dtypes[] = {
    /* by TensorProto.DataType */
    [1] = DT_F32,       [2] = DT_U8,          [3] = DT_I8,      [4] = DT_U16,
    [5] = DT_I16,       [6] = DT_I32,         [7] = DT_I64,     [8] = DT_STRING,
    [9] = DT_BOOL,      [10] = DT_F16,        [11] = DT_F64,    [12] = DT_U32,
    [13] = DT_U64,      [14] = DT_C64,        [15] = DT_C128,   [16] = DT_BF16,
    [17] = DT_F8E4M3FN, [18] = DT_F8E4M3FNUZ, [19] = DT_F8E5M2, [20] = DT_F8E5M2FNUZ,
    [21] = DT_U4,       [22] = DT_I4,         [23] = DT_F4E2M1, [24] = DT_F8E8M0,
    [25] = DT_U2,       [26] = DT_I2,
};

enum dtype onnx_tensor_dtype(int64_t elem_type) {
    bool known = elem_type > 0 && elem_type < (int64_t)sizeof dtypes;
    return known ? (enum dtype)dtypes[elem_type] : DT_NONE;
}

#define TENSOR(t) "tensor '%.*s'", STR((t)->name)

/* --- the message --- */

enum code onnx_tensor_dims(const struct pb_field *f, struct shape *s, struct err *e) {
    struct buf b;
    buf_init(&b, f->bytes.n * sizeof(int64_t) + sizeof(int64_t));
    enum code code = pb_i64s(f, &b, e);
    size_t n = b.n / sizeof(int64_t);
    if (code == OK && (size_t)s->rank + n > SHAPE_MAX)
        code = fail(e, LIMIT, "more than %d dims", SHAPE_MAX);
    if (code == OK && n) {
        memcpy(s->dims + s->rank, b.p, b.n);
        s->rank += (int)n;
    }
    buf_deinit(&b);
    return code;
}

/* StringStringEntryProto: location, offset, length; a checksum is not ours to check. */
static enum code parse_external(const struct pb_field *f, struct onnx_tensor *t, struct err *e) {
    struct pb r;
    struct pb_field g;
    struct str key = {0}, value = {0};
    bool more;
    TRY(pb_sub(f, &r, e));
    for (;;) {
        TRY(pb_next(&r, &g, &more, e));
        if (!more)
            break;
        if (g.number == 1)
            TRY(pb_str(&g, &key, e));
        if (g.number == 2)
            TRY(pb_str(&g, &value, e));
    }
    if (str_is(key, "location"))
        t->location = value;
    bool is_offset = str_is(key, "offset"), is_length = str_is(key, "length");
    if ((is_offset || is_length) && !str_to_u64(value, is_offset ? &t->offset : &t->length))
        return fail(e, FORMAT, "external data: %.*s '%.*s' is no number", STR(key), STR(value));
    t->has_length |= is_length;
    return OK;
}

static enum code parse_field(const struct pb_field *f, struct onnx_tensor *t, int64_t *type,
                             struct err *e) {
    int64_t location = 0;
    switch (f->number) {
    case DIMS: return onnx_tensor_dims(f, &t->shape, e);
    case DATA_TYPE: return pb_i64(f, type, e);
    case SEGMENT: return fail(e, UNSUPPORTED, "tensors in segments are not supported");
    case NAME: return pb_str(f, &t->name, e);
    case RAW_DATA: t->has_raw = true; return pb_bytes(f, &t->raw, e);
    case EXTERNAL_DATA: return parse_external(f, t, e);
    case DATA_LOCATION:
        TRY(pb_i64(f, &location, e));
        t->external = location == 1;
        return OK;
    default: return OK;
    }
}

static enum code parse_fields(struct onnx_tensor *t, int64_t *type, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, t->message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        TRY(parse_field(&f, t, type, e));
    }
}

enum code onnx_tensor_parse(struct span message, struct onnx_tensor *out, struct err *e) {
    struct onnx_tensor t = {.message = message};
    int64_t type = 0;
    char text[SHAPE_TEXT];
    if (parse_fields(&t, &type, e) != OK)
        return err_prefix(e, TENSOR(&t));
    t.dtype = onnx_tensor_dtype(type);
    if (t.dtype == DT_NONE)
        return fail(e, UNSUPPORTED, "tensor '%.*s': element type %lld is not supported",
                    STR(t.name), (long long)type);
    size_t ignored;
    if (!shape_count(&t.shape, &t.count) || !shape_bytes(&t.shape, dtype_size(t.dtype), &ignored))
        return fail(e, FORMAT, "tensor '%.*s': shape %s is impossible", STR(t.name),
                    shape_print(&t.shape, text));
    *out = t;
    return OK;
}

/* --- the data --- */

/* The field that carries t's elements when they are not raw. */
static uint32_t typed_field(enum dtype t) {
    switch (t) {
    case DT_F32:
    case DT_C64: return FLOAT_DATA;
    case DT_F64:
    case DT_C128: return DOUBLE_DATA;
    case DT_I64: return INT64_DATA;
    case DT_U32:
    case DT_U64: return UINT64_DATA;
    case DT_STRING: return STRING_DATA;
    default: return INT32_DATA;
    }
}

/* How many of those it takes. */
static size_t typed_count(const struct onnx_tensor *t) {
    size_t n = t->count;
    if (t->dtype == DT_C64 || t->dtype == DT_C128)
        n *= 2;
    else if (nibble_bits(t->dtype))
        (void)nibble_bytes(t->dtype, t->count, &n);
    return n;
}

static enum code mismatch(const struct onnx_tensor *t, size_t need, size_t have, const char *what,
                          struct err *e) {
    char text[SHAPE_TEXT];
    return fail(e, FORMAT, "tensor '%.*s': shape %s of %s needs %zu %s, the file holds %zu",
                STR(t->name), shape_print(&t->shape, text), dtype_name(t->dtype), need, what, have);
}

static enum code load_raw(const struct onnx_tensor *t, struct tensor *out, struct span *at,
                          struct err *e) {
    size_t need;
    if (t->dtype == DT_STRING)
        return fail(e, FORMAT, "tensor '%.*s': strings cannot be raw data", STR(t->name));
    if (!nibble_bytes(t->dtype, t->count, &need) || need != t->raw.n)
        return mismatch(t, need, t->raw.n, "bytes", e);
    if (!nibble_bits(t->dtype) && need)
        out->data = (void *)(uintptr_t)t->raw.p;
    *at = t->raw;
    return OK;
}

/* Calls for each field of the number that carries data. */
struct fields {
    struct pb r;
    uint32_t number;
};

static enum code next_field(struct fields *s, struct pb_field *f, bool *more, struct err *e) {
    do {
        TRY(pb_next(&s->r, f, more, e));
    } while (*more && f->number != s->number);
    return OK;
}

static struct fields data_fields(const struct onnx_tensor *t) {
    struct fields s = {.number = typed_field(t->dtype)};
    pb_init(&s.r, t->message);
    return s;
}

static enum code load_strings(const struct onnx_tensor *t, struct arena *a, struct tensor *out,
                              struct err *e) {
    size_t n = 0;
    struct pb_field f;
    bool more;
    struct fields s = data_fields(t);
    for (;; n++) {
        TRY(next_field(&s, &f, &more, e));
        if (!more)
            break;
    }
    if (n != t->count)
        return mismatch(t, t->count, n, "strings", e);
    struct str *text = ARENA_ARRAY(a, n, struct str);
    if (!text)
        return arena_fail(a, n * sizeof *text, "strings of a tensor", e);
    s = data_fields(t);
    for (size_t i = 0; i < n; i++) {
        TRY(next_field(&s, &f, &more, e));
        TRY(pb_str(&f, &text[i], e));
    }
    out->data = n ? text : NULL;
    return OK;
}

/* float_data and double_data are packed little-endian elements: the bytes themselves. False when
 * they came in pieces. */
static enum code find_packed(const struct onnx_tensor *t, struct span *out, bool *found,
                             struct err *e) {
    struct pb_field f, again;
    bool more;
    struct fields s = data_fields(t);
    *found = false;
    TRY(next_field(&s, &f, &more, e));
    if (!more || f.wire != PB_LEN)
        return OK;
    TRY(next_field(&s, &again, &more, e));
    *found = !more;
    *out = f.bytes;
    return OK;
}

/* Appends the numbers of every data field, each 8 bytes for integers. */
static enum code collect(const struct onnx_tensor *t, struct buf *b, struct err *e) {
    struct pb_field f;
    bool more;
    struct fields s = data_fields(t);
    for (;;) {
        TRY(next_field(&s, &f, &more, e));
        if (!more)
            return OK;
        if (s.number == FLOAT_DATA)
            TRY(pb_f32s(&f, b, e));
        else if (s.number == DOUBLE_DATA)
            TRY(pb_f64s(&f, b, e));
        else
            TRY(pb_u64s(&f, b, e));
    }
}

/* 64-bit carrier values to elements of t's size. The wire keeps an i32 as its sign-extended 64
 * bits, so cutting is exact unless the value was out of range. */
static bool narrow(const struct onnx_tensor *t, const uint64_t *from, size_t n, void *out) {
    uint64_t beyond = 0;
    const size_t size = nibble_bits(t->dtype) ? 1 : dtype_size(t->dtype);
    const bool with_sign = t->dtype == DT_I8 || t->dtype == DT_I16 || t->dtype == DT_I32;
    const unsigned bits = (unsigned)size * 8;
    for (size_t i = 0; i < n && bits < 64; i++) {
        uint64_t high = from[i] >> bits, all_ones = ~(uint64_t)0 >> bits;
        bool top = from[i] >> (bits - 1) & 1;
        bool extended = high == all_ones && (top || !with_sign);
        beyond |= !(extended || (high == 0 && !(with_sign && top)));
    }
    for (size_t i = 0; i < n; i++) /* little-endian: the low bytes come first */
        memcpy((char *)out + i * size, &from[i], size);
    return !beyond;
}

static enum code decode(const struct onnx_tensor *t, const struct buf *b, struct arena *a,
                        struct tensor *out, struct err *e) {
    bool floats = typed_field(t->dtype) == FLOAT_DATA || typed_field(t->dtype) == DOUBLE_DATA;
    size_t size = typed_field(t->dtype) == FLOAT_DATA ? 4 : 8, n = b->n / size;
    if (n != typed_count(t))
        return mismatch(t, typed_count(t), n, "numbers", e);
    void *data = arena_push_aligned(a, t->count * dtype_size(t->dtype), MEM_LINE);
    if (!data)
        return arena_fail(a, t->count * dtype_size(t->dtype), "data of a tensor", e);
    out->data = t->count ? data : NULL;
    if (floats) {
        if (b->n)
            memcpy(data, b->p, b->n);
        return OK;
    }
    if (t->dtype == DT_BOOL) {
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)data)[i] = ((const uint64_t *)(const void *)b->p)[i] != 0;
        return OK;
    }
    if (!nibble_bits(t->dtype))
        return narrow(t, (const uint64_t *)(const void *)b->p, n, data)
                   ? OK
                   : fail(e, FORMAT, "tensor '%.*s': a number does not fit into %s", STR(t->name),
                          dtype_name(t->dtype));
    uint8_t *bytes = ARENA_ARRAY(a, n, uint8_t);
    if (!bytes)
        return arena_fail(a, n, "data of a tensor", e);
    (void)narrow(t, (const uint64_t *)(const void *)b->p, n, bytes);
    nibble_open(t->dtype, data, bytes, t->count);
    return OK;
}

static enum code load_typed(const struct onnx_tensor *t, struct arena *a, struct tensor *out,
                            struct span *at, struct err *e) {
    uint32_t field = typed_field(t->dtype);
    struct span packed = {0};
    bool found = false;
    if (field == FLOAT_DATA || field == DOUBLE_DATA)
        TRY(find_packed(t, &packed, &found, e));
    if (found && packed.n != t->count * dtype_size(t->dtype))
        return mismatch(t, t->count * dtype_size(t->dtype), packed.n, "bytes", e);
    if (found) {
        out->data = t->count ? (void *)(uintptr_t)packed.p : NULL;
        *at = packed;
        return OK;
    }
    /* An element takes at least a byte of the message, so this bounds the buffer before anything is
     * allocated. */
    if (typed_count(t) > t->message.n)
        return mismatch(t, typed_count(t), 0, "numbers", e);
    struct buf numbers;
    buf_init(&numbers, t->message.n * 8);
    enum code code = collect(t, &numbers, e);
    if (code == OK)
        code = decode(t, &numbers, a, out, e);
    buf_deinit(&numbers);
    return code;
}

enum code onnx_tensor_load(const struct onnx_tensor *t, struct arena *a, struct tensor *out,
                           struct span *at, struct err *e) {
    struct tensor got = {.dtype = t->dtype, .shape = t->shape};
    struct span where = {0};
    enum code code;
    if (t->external)
        return fail(e, UNSUPPORTED, "tensor '%.*s': external data cannot be used here",
                    STR(t->name));
    if (t->has_raw)
        code = load_raw(t, &got, &where, e);
    else if (t->dtype == DT_STRING)
        code = load_strings(t, a, &got, e);
    else
        code = load_typed(t, a, &got, &where, e);
    if (code != OK)
        return code;
    *out = got;
    if (at)
        *at = where;
    return OK;
}

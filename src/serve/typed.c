/* SPDX-License-Identifier: Apache-2.0 */
/* Typed JSON: see typed.h. */
#include "serve/typed.h"

#include "base/base64.h"
#include "serve/answer.h"

#include <math.h>

enum { GUESS_MAX = 16 << 20 }; /* bytes reserved on a guess */

bool typed_number(enum dtype t, enum json_number *out) {
    static const struct {
        enum dtype dtype;
        enum json_number number;
    } map[] = {{DT_F32, JN_F32}, {DT_F64, JN_F64}, {DT_I8, JN_I8},    {DT_I16, JN_I16},
               {DT_I32, JN_I32}, {DT_I64, JN_I64}, {DT_U8, JN_U8},    {DT_U16, JN_U16},
               {DT_U32, JN_U32}, {DT_U64, JN_U64}, {DT_BOOL, JN_BOOL}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (map[i].dtype == t) {
            *out = map[i].number;
            return true;
        }
    return false;
}

/* What is read for a tensor of type t; NONE: JSON cannot carry it. */
static enum dtype carrier(enum dtype t) {
    enum json_number ignored;
    if (t == DT_F16 || t == DT_BF16)
        return DT_F32;
    return t == DT_STRING || typed_number(t, &ignored) ? t : DT_NONE;
}

enum code typed_begin(struct typed *t, struct request *r, enum dtype dtype, size_t elements,
                      struct err *e) {
    size_t bytes;
    *t = (struct typed){.r = r, .dtype = dtype};
    if (carrier(dtype) == DT_NONE)
        return fail(e, UNSUPPORTED,
                    "a tensor of type %s cannot be sent as JSON; send it as binary or .npy",
                    dtype_name(dtype));
    if (!mul_size(elements, dtype_size(carrier(dtype)), &bytes) || bytes > GUESS_MAX)
        bytes = GUESS_MAX;
    t->bytes = answer_buf(r, bytes, e);
    return t->bytes ? OK : e->code;
}

/* --- strings --- */

static enum code take_b64(struct typed *t, struct json *j, struct str *out, struct err *e) {
    struct str key, text;
    bool more;
    TRY(json_enter_object(j, e));
    TRY(json_next_key(j, &key, &more, e));
    if (!more || !str_is(key, "b64"))
        return json_fail(j, e, "expected a string or {\"b64\": \"...\"}");
    TRY(json_string(j, &text, e));
    struct buf *b = answer_buf(t->r, text.n / 4 * 3 + 3, e);
    if (!b)
        return e->code;
    enum code code = base64_take(text, b, e);
    if (code != OK) {
        struct err inner = *e;
        return json_fail(j, e, "%s", inner.text);
    }
    *out = buf_str(b);
    TRY(json_next_key(j, &key, &more, e));
    return more ? json_fail(j, e, "an object with \"b64\" holds nothing else, found \"%.*s\"",
                            STR(key))
                : OK;
}

/* Nested arrays of strings; dims[depth] is -1 until an array of that depth has ended; *rank
 * likewise until a leaf. */
static enum code take_strings(struct typed *t, struct json *j, int depth, struct json_tensor *shape,
                              struct err *e) {
    if (json_peek(j) != JSON_ARRAY) {
        struct str text;
        if (shape->rank >= 0 && shape->rank != depth)
            return json_fail(j, e, "nested %d deep here, %d deep before", depth, shape->rank);
        shape->rank = depth;
        if (json_peek(j) == JSON_OBJECT)
            TRY(take_b64(t, j, &text, e));
        else
            TRY(json_string(j, &text, e));
        buf_put(t->bytes, &text, sizeof text);
        return OK;
    }
    if (depth == JSON_RANK)
        return json_fail(j, e, "nested deeper than %d", JSON_RANK);
    int64_t n = 0;
    bool more;
    TRY(json_enter_array(j, e));
    for (;; n++) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(take_strings(t, j, depth + 1, shape, e));
    }
    if (n == 0 && shape->rank < 0)
        shape->rank = depth + 1;
    if (shape->dims[depth] >= 0 && shape->dims[depth] != n)
        return json_fail(j, e, "an array of %lld here, of %lld before", (long long)n,
                         (long long)shape->dims[depth]);
    shape->dims[depth] = n;
    return OK;
}

/* --- values --- */

static enum code take_value(struct typed *t, struct json *j, struct shape *out, struct err *e) {
    struct json_tensor s = {.rank = -1, .dims = {-1, -1, -1, -1, -1, -1, -1, -1}};
    enum json_number number = JN_F32;
    if (t->dtype == DT_STRING) {
        TRY(take_strings(t, j, 0, &s, e));
    } else {
        (void)typed_number(carrier(t->dtype), &number);
        TRY(json_tensor(j, number, t->bytes, &s, e));
    }
    *out = (struct shape){.rank = s.rank};
    for (int d = 0; d < s.rank; d++)
        out->dims[d] = s.dims[d] < 0 ? 0 : s.dims[d];
    return buf_check(t->bytes, "tensor", e);
}

enum code typed_take(struct typed *t, struct json *j, struct err *e) {
    struct shape shape;
    char first[SHAPE_TEXT], here[SHAPE_TEXT];
    TRY(take_value(t, j, &shape, e));
    if (t->values && !shape_eq(&shape, &t->shape))
        return json_fail(j, e, "value %zu has shape %s, the ones before it %s", t->values,
                         shape_print(&shape, here), shape_print(&t->shape, first));
    t->shape = shape;
    t->values++;
    return OK;
}

static void narrow(enum dtype to, const float *from, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = to == DT_F16 ? dtype_f32_to_f16(from[i]) : dtype_f32_to_bf16(from[i]);
}

enum code typed_end(struct typed *t, bool stacked, struct tensor *out, struct err *e) {
    struct shape shape = t->shape;
    if (stacked) {
        if (shape.rank == SHAPE_MAX)
            return fail(e, INVALID, "rows of %d dims: a tensor has at most %d", shape.rank,
                        SHAPE_MAX);
        memmove(shape.dims + 1, shape.dims, sizeof shape.dims - sizeof *shape.dims);
        shape.dims[0] = (int64_t)t->values;
        shape.rank++;
    }
    *out = (struct tensor){.dtype = t->dtype, .shape = shape, .data = t->bytes->p};
    if (t->dtype == carrier(t->dtype))
        return OK;
    size_t n = t->bytes->n / sizeof(float);
    uint16_t *narrowed = ARENA_ARRAY(t->r->arena, n + 1, uint16_t);
    if (!narrowed)
        return arena_fail(t->r->arena, n * sizeof *narrowed, "tensor", e);
    narrow(t->dtype, (const float *)(const void *)t->bytes->p, n, narrowed);
    out->data = narrowed;
    return OK;
}

enum code typed_read(struct request *r, struct json *j, enum dtype dtype, struct tensor *out,
                     struct err *e) {
    struct typed t;
    TRY(typed_begin(&t, r, dtype, (size_t)(j->end - j->p) / 4, e));
    TRY(typed_take(&t, j, e));
    return typed_end(&t, false, out, e);
}

/* --- writing --- */

enum code typed_writable(struct arena *a, struct tensor *t, struct err *e) {
    struct tensor wide;
    if (carrier(t->dtype) == DT_NONE)
        return fail(e, UNSUPPORTED,
                    "an output of type %s cannot be written as JSON; ask for it as binary or .npy",
                    dtype_name(t->dtype));
    if (carrier(t->dtype) == t->dtype)
        return OK;
    TRY(tensor_new(a, DT_F32, &t->shape, &wide, e));
    const uint16_t *from = t->data;
    float *to = wide.data;
    size_t n = tensor_count(t);
    for (size_t i = 0; i < n; i++)
        to[i] = t->dtype == DT_F16 ? dtype_f16_to_f32(from[i]) : dtype_bf16_to_f32(from[i]);
    *t = wide;
    return OK;
}

static bool all_finite(const struct tensor *t) {
    size_t n = tensor_count(t);
    const float *f = t->data;
    const double *d = t->data;
    bool finite = true;
    if (t->dtype == DT_F32)
        for (size_t i = 0; i < n; i++)
            finite &= isfinite(f[i]) != 0;
    if (t->dtype == DT_F64)
        for (size_t i = 0; i < n; i++)
            finite &= isfinite(d[i]) != 0;
    return finite;
}

static void put_text(struct json_out *w, struct str text, unsigned form) {
    if (!(form & TYPED_B64)) {
        json_put_str(w, text);
        return;
    }
    json_put_object(w);
    json_put_key(w, "b64");
    json_put_raw(w, LIT("\""));
    base64_put((struct span){(const uint8_t *)text.p, text.n}, w->b);
    buf_put_byte(w->b, '"');
    json_put_object_end(w);
}

static void put_one(struct json_out *w, const struct tensor *t, size_t index, unsigned form) {
    if (t->dtype == DT_STRING) {
        put_text(w, ((const struct str *)t->data)[index], form);
        return;
    }
    double v = tensor_f64(t, index);
    if (!isfinite(v))
        json_put_null(w);
    else if (t->dtype == DT_F32)
        json_put_f32(w, (float)v);
    else
        json_put_f64(w, v);
}

/* Element by element: strings, and floats among which are some that JSON has no number for. */
static void put_slowly(struct json_out *w, const struct tensor *t, int axis, size_t *index,
                       unsigned form) {
    if (axis == t->shape.rank) {
        put_one(w, t, (*index)++, form);
        return;
    }
    json_put_array(w);
    for (int64_t i = 0; i < t->shape.dims[axis]; i++)
        put_slowly(w, t, axis + 1, index, form);
    json_put_array_end(w);
}

void typed_put(struct json_out *w, const struct tensor *t, unsigned form) {
    struct tensor flat = *t;
    enum json_number number;
    if (form & TYPED_FLAT) {
        flat.shape.rank = 1;
        flat.shape.dims[0] = (int64_t)tensor_count(t);
    }
    if (!typed_number(flat.dtype, &number) || ((form & TYPED_NULL) && !all_finite(&flat))) {
        size_t index = 0;
        put_slowly(w, &flat, 0, &index, form);
    } else {
        json_put_tensor(w, number, flat.data, flat.shape.rank, flat.shape.dims);
    }
}

void typed_put_row(struct json_out *w, const struct tensor *t, size_t row, unsigned form) {
    struct tensor one = *t;
    one.shape.rank--;
    memmove(one.shape.dims, t->shape.dims + 1, sizeof one.shape.dims - sizeof *one.shape.dims);
    one.data = (char *)t->data + row * tensor_bytes(&one);
    typed_put(w, &one, form);
}

void typed_put_output_row(struct json_out *w, const struct ask_tensor *o, size_t row,
                          unsigned form) {
    if (!o->columns) {
        typed_put_row(w, &o->tensor, row, form);
        return;
    }
    size_t columns = (size_t)o->tensor.shape.dims[1];
    json_put_object(w);
    for (size_t k = 0; k < columns; k++) {
        json_put_key_str(w, o->columns[k]);
        put_one(w, &o->tensor, row * columns + k, form);
    }
    json_put_object_end(w);
}

void typed_put_output(struct json_out *w, const struct ask_tensor *o, unsigned form) {
    if (!o->columns) {
        typed_put(w, &o->tensor, form);
        return;
    }
    json_put_array(w);
    for (int64_t row = 0; row < o->tensor.shape.dims[0]; row++)
        typed_put_output_row(w, o, (size_t)row, form);
    json_put_array_end(w);
}

size_t typed_text_bytes(const struct tensor *t) {
    size_t bytes;
    if (!mul_size(tensor_count(t), t->dtype == DT_F64 ? 20 : 12, &bytes) || bytes > GUESS_MAX)
        bytes = GUESS_MAX;
    return bytes + 64;
}

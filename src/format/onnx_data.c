/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX values that stand alone: the files of the backend tests (TensorProto, SequenceProto,
 * OptionalProto), and sparse tensors made dense. */
#include "format/onnx_tensor.h"

#include "tensor/nibble.h"

enum { DEPTH_MAX = 8 };

/* SequenceProto and OptionalProto share their numbers where it matters: 2 is the kind of the
 * elements. */
enum { KIND = 2, KIND_TENSOR = 1, KIND_SEQUENCE = 3, KIND_OPTIONAL = 5 };
enum { SEQUENCE_TENSORS = 3, SEQUENCE_SEQUENCES = 5, SEQUENCE_MAPS = 6, SEQUENCE_OPTIONALS = 7 };
enum { MAP_KEYS = 3, MAP_STRING_KEYS = 4, MAP_VALUES = 5 };
enum { OPTIONAL_TENSOR = 3, OPTIONAL_SEQUENCE = 5, OPTIONAL_OPTIONAL = 7 };

/* --- tensors --- */

/* A copy of whatever load() left in the message. */
static enum code own(struct arena *a, struct span at, struct tensor *t, struct err *e) {
    size_t count = tensor_count(t), n = count * dtype_size(t->dtype);
    if (!at.p)
        return OK;
    uint8_t *data = arena_push_aligned(a, n, MEM_LINE);
    if (!data)
        return arena_fail(a, n, "data of a tensor", e);
    if (nibble_bits(t->dtype))
        nibble_open(t->dtype, data, at.p, count);
    else if (n)
        memcpy(data, at.p, n);
    for (size_t i = 0; t->dtype == DT_BOOL && i < n; i++)
        data[i] = data[i] != 0;
    t->data = data;
    return OK;
}

static enum code own_strings(struct arena *a, struct tensor *t, struct err *e) {
    struct str *s = t->data;
    for (size_t i = 0, n = tensor_count(t); i < n; i++) {
        struct str copy = arena_str(a, s[i]);
        if (!copy.p)
            return arena_fail(a, s[i].n, "strings of a tensor", e);
        s[i] = copy;
    }
    return OK;
}

enum code onnx_tensor_read(struct span file, struct arena *a, struct tensor *out, struct err *e) {
    struct onnx_tensor t;
    struct tensor got;
    struct span at;
    TRY(onnx_tensor_parse(file, &t, e));
    TRY(onnx_tensor_load(&t, a, &got, &at, e));
    TRY(t.dtype == DT_STRING ? own_strings(a, &got, e) : own(a, at, &got, e));
    *out = got;
    return OK;
}

/* --- sequences and optionals --- */

static enum code read_sequence(struct span message, struct arena *a, int depth, struct tensor *out,
                               struct err *e);
static enum code read_optional(struct span message, struct arena *a, int depth, struct tensor *out,
                               struct err *e);

static struct sequence *new_sequence(struct arena *a, size_t n, struct tensor *out) {
    struct sequence *s = ARENA_NEW(a, struct sequence);
    if (!s || !(s->items = ARENA_ARRAY(a, n, struct tensor)))
        return NULL;
    *out = (struct tensor){.dtype = DT_SEQUENCE, .data = s};
    return s;
}

/* One element; handled says whether the field was one. */
static enum code read_element(const struct pb_field *f, struct arena *a, int depth,
                              struct tensor *out, struct err *e) {
    if (depth > DEPTH_MAX)
        return fail(e, LIMIT, "values are nested deeper than %d", DEPTH_MAX);
    switch (f->number) {
    case SEQUENCE_TENSORS: return onnx_tensor_read(f->bytes, a, out, e);
    case SEQUENCE_SEQUENCES: return read_sequence(f->bytes, a, depth, out, e);
    case SEQUENCE_MAPS: return onnx_tensor_read_map(f->bytes, a, out, e);
    default: return read_optional(f->bytes, a, depth, out, e);
    }
}

static bool is_element(const struct pb_field *f) {
    return f->wire == PB_LEN && (f->number == SEQUENCE_TENSORS || f->number == SEQUENCE_SEQUENCES ||
                                 f->number == SEQUENCE_MAPS || f->number == SEQUENCE_OPTIONALS);
}

static enum code count_elements(struct span message, size_t *n, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (*n = 0;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.wire == PB_LEN && f.number == 4)
            return fail(e, UNSUPPORTED, "sparse tensors in test data are not supported");
        *n += is_element(&f);
    }
}

/* --- maps: a list of keys, and a sequence that holds the list of values --- */

struct map_parts {
    struct buf numbers, texts; /* int64_t, struct str */
    struct tensor values;      /* the sequence */
};

static enum code take_map_part(const struct pb_field *f, struct arena *a, struct map_parts *m,
                               struct err *e) {
    struct str text;
    if (f->number == MAP_KEYS)
        return pb_i64s(f, &m->numbers, e);
    if (f->number == MAP_STRING_KEYS) {
        TRY(pb_str(f, &text, e));
        text = arena_str(a, text);
        if (!text.p)
            return arena_fail(a, text.n, "keys of a map", e);
        buf_put(&m->texts, &text, sizeof text);
        return m->texts.code == OK ? OK : fail(e, LIMIT, "a map with too many keys");
    }
    if (f->number != MAP_VALUES)
        return OK;
    struct span bytes;
    TRY(pb_bytes(f, &bytes, e));
    return read_sequence(bytes, a, DEPTH_MAX - 1, &m->values, e);
}

static enum code parse_map(struct span message, struct arena *a, struct map_parts *m,
                           struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        TRY(take_map_part(&f, a, m, e));
    }
}

static enum code own_map(const struct map_parts *m, struct arena *a, struct tensor *out,
                         struct err *e) {
    const struct sequence *values = m->values.data;
    const bool texts = m->texts.n > 0;
    const struct buf *keys = texts ? &m->texts : &m->numbers;
    const size_t n = keys->n / (texts ? sizeof(struct str) : sizeof(int64_t));
    struct tensor got;
    if (!values || values->n != 1 || values->items[0].shape.rank != 1 ||
        tensor_count(&values->items[0]) != n)
        return fail(e, FORMAT, "a map whose %zu keys are not as many as its values", n);
    struct sequence *s = new_sequence(a, 2, &got);
    if (!s)
        return arena_fail(a, sizeof *s, "a map", e);
    *s = (struct sequence){.n = 2, .items = s->items, .map = true};
    TRY(tensor_new(a, texts ? DT_STRING : DT_I64, &(struct shape){1, {(int64_t)n}}, &s->items[0],
                   e));
    if (n)
        memcpy(s->items[0].data, keys->p, keys->n);
    s->items[1] = values->items[0];
    *out = got;
    return OK;
}

enum code onnx_tensor_read_map(struct span file, struct arena *a, struct tensor *out,
                               struct err *e) {
    struct map_parts m = {0};
    buf_init(&m.numbers, 1 << 26);
    buf_init(&m.texts, 1 << 26);
    enum code code = parse_map(file, a, &m, e);
    if (code == OK)
        code = own_map(&m, a, out, e);
    buf_deinit(&m.numbers);
    buf_deinit(&m.texts);
    return code;
}

static enum code read_sequence(struct span message, struct arena *a, int depth, struct tensor *out,
                               struct err *e) {
    size_t n;
    struct tensor got;
    struct pb r;
    struct pb_field f;
    bool more;
    TRY(count_elements(message, &n, e));
    struct sequence *s = new_sequence(a, n, &got);
    if (!s)
        return arena_fail(a, n * sizeof *s->items, "a sequence", e);
    pb_init(&r, message);
    while (s->n < n) {
        TRY(pb_next(&r, &f, &more, e));
        if (!is_element(&f))
            continue;
        TRY(read_element(&f, a, depth + 1, &s->items[s->n], e));
        s->n++;
    }
    *out = got;
    return OK;
}

static enum code read_optional(struct span message, struct arena *a, int depth, struct tensor *out,
                               struct err *e) {
    struct tensor got;
    TRY(read_sequence(message, a, depth, &got, e)); /* the same fields, at most one of them */
    struct sequence *s = got.data;
    if (s->n > 1)
        return fail(e, FORMAT, "an optional with %zu values", s->n);
    s->absent = s->n == 0;
    *out = got;
    return OK;
}

enum code onnx_tensor_read_sequence(struct span file, struct arena *a, struct tensor *out,
                                    struct err *e) {
    return read_sequence(file, a, 0, out, e);
}

enum code onnx_tensor_read_optional(struct span file, struct arena *a, struct tensor *out,
                                    struct err *e) {
    return read_optional(file, a, 0, out, e);
}

/* --- sparse --- */

struct sparse {
    struct tensor values, indices;
    struct shape shape;
    struct str name;
};

enum { SPARSE_VALUES = 1, SPARSE_INDICES = 2, SPARSE_DIMS = 3 };

static enum code take_part(const struct pb_field *f, struct arena *a, struct str *name,
                           struct tensor *out, struct err *e) {
    struct onnx_tensor t;
    struct span bytes, at;
    TRY(pb_bytes(f, &bytes, e));
    TRY(onnx_tensor_parse(bytes, &t, e));
    TRY(onnx_tensor_load(&t, a, out, &at, e));
    *name = t.name;
    return t.dtype == DT_STRING ? OK : own(a, at, out, e);
}

static enum code parse_sparse(struct span message, struct arena *a, struct sparse *s,
                              struct err *e) {
    struct pb r;
    struct pb_field f;
    struct str ignored;
    bool more;
    pb_init(&r, message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == SPARSE_VALUES)
            TRY(take_part(&f, a, &s->name, &s->values, e));
        if (f.number == SPARSE_INDICES)
            TRY(take_part(&f, a, &ignored, &s->indices, e));
        if (f.number == SPARSE_DIMS)
            TRY(onnx_tensor_dims(&f, &s->shape, e));
    }
}

/* Position of entry i in the dense tensor: indices are linear (NNZ) or coordinates (NNZ, rank).
 * False outside. */
static bool position(const struct sparse *s, size_t i, size_t count, size_t *out) {
    const int64_t *index = s->indices.data;
    if (s->indices.shape.rank == 1) {
        *out = (size_t)index[i];
        return index[i] >= 0 && (size_t)index[i] < count;
    }
    size_t at = 0;
    for (int d = 0; d < s->shape.rank; d++) {
        int64_t x = index[i * (size_t)s->shape.rank + (size_t)d];
        if (x < 0 || x >= s->shape.dims[d])
            return false;
        at = at * (size_t)s->shape.dims[d] + (size_t)x;
    }
    *out = at;
    return true;
}

static bool parts_fit(const struct sparse *s) {
    const struct shape *v = &s->values.shape, *i = &s->indices.shape;
    return s->values.dtype != DT_NONE && s->values.dtype != DT_STRING && v->rank == 1 &&
           s->indices.dtype == DT_I64 && (i->rank == 1 || i->rank == 2) &&
           i->dims[0] == v->dims[0] && (i->rank == 1 || i->dims[1] == s->shape.rank);
}

enum code onnx_tensor_dense(struct span message, struct arena *a, struct str *name,
                            struct tensor *out, struct err *e) {
    struct sparse s = {0};
    struct tensor got;
    size_t bytes;
    TRY(parse_sparse(message, a, &s, e));
    if (!parts_fit(&s))
        return fail(e, FORMAT, "sparse tensor '%.*s': values, indices and dims disagree",
                    STR(s.name));
    size_t size = dtype_size(s.values.dtype);
    if (!shape_bytes(&s.shape, size, &bytes) || bytes > ONNX_DENSE_MAX)
        return fail(e, LIMIT, "sparse tensor '%.*s' would take more than %d MiB", STR(s.name),
                    ONNX_DENSE_MAX >> 20);
    TRY(tensor_new(a, s.values.dtype, &s.shape, &got, e));
    for (size_t i = 0, n = tensor_count(&s.values); i < n; i++) {
        size_t at;
        if (!position(&s, i, tensor_count(&got), &at))
            return fail(e, FORMAT, "sparse tensor '%.*s': index %zu lies outside", STR(s.name), i);
        memcpy((char *)got.data + at * size, (const char *)s.values.data + i * size, size);
    }
    *name = s.name;
    *out = got;
    return OK;
}

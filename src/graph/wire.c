/* SPDX-License-Identifier: Apache-2.0 */
/* A model as bytes: docs/formats/wire.md has the layout.
 *
 * Numbers are LEB128 varints (signed ones zigzag), text is a length and bytes, ids are written plus
 * one so that "none" is 0. wire_take trusts nothing: it comes from a child that parsed a hostile
 * file, or from a disk.
 *
 * 1. Every read is checked against the end; every count is at most the bytes left, so no small
 * input asks for much memory beyond what the arena's cap allows.
 * 2. What is taken is only well-formed, not yet sound: graph_verify decides that.
 * 3. Text and inline data are copied into the arena. Ranges of files are borrowed from resolve(),
 * and copied only where they cannot be used in place: elements not naturally aligned, bools other
 * than 0 and 1, 4- and 2-bit types. */
#include "graph/model.h"

#include "tensor/nibble.h"

enum { WIRE_VERSION = 1, DEPTH_MAX = 24 };
static const char magic[4] = {'S', 'L', 'W', 'G'};

/* --- put --- */

static void put_u64(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buf_put_byte(b, (char)(v | 0x80));
    buf_put_byte(b, (char)v);
}

static void put_i64(struct buf *b, int64_t v) {
    put_u64(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_str(struct buf *b, struct str s) {
    put_u64(b, s.n);
    buf_put(b, s.p, s.n);
}

static void put_f32(struct buf *b, float f) { buf_put(b, &f, sizeof f); }

static void put_ids(struct buf *b, const value_id *ids, int n) {
    put_u64(b, (uint64_t)n);
    for (int i = 0; i < n; i++)
        put_u64(b, (uint64_t)(ids[i] + 1));
}

static void put_shape(struct buf *b, const struct shape *s) {
    put_u64(b, (uint64_t)s->rank);
    for (int d = 0; d < s->rank; d++)
        put_i64(b, s->dims[d]);
}

/* origin may be NULL: inline. */
static void put_tensor(struct buf *b, const struct tensor *t, const struct origin *o) {
    put_u64(b, t->dtype);
    put_shape(b, &t->shape);
    if (o && o->file >= 0) {
        put_u64(b, (uint64_t)o->file + 1);
        put_u64(b, o->offset);
        put_u64(b, o->length);
        return;
    }
    put_u64(b, 0);
    if (t->dtype == DT_STRING) {
        const struct str *s = t->data;
        for (size_t i = 0, n = tensor_count(t); i < n; i++)
            put_str(b, s[i]);
        return;
    }
    size_t n = tensor_bytes(t);
    put_u64(b, n);
    buf_put(b, t->data, n);
}

enum { HAS_RANK = 1, HAS_CONSTANT = 2 };

static void put_value(struct buf *b, const struct value *v) {
    put_str(b, v->name);
    put_u64(b, v->dtype);
    put_u64(b, (v->ranked ? HAS_RANK : 0) | (v->constant ? HAS_CONSTANT : 0));
    if (v->ranked) {
        put_shape(b, &v->shape);
        for (int d = 0; d < v->shape.rank; d++)
            put_str(b, v->dim_names[d]);
    }
    if (v->constant)
        put_tensor(b, v->constant, &v->origin);
    put_u64(b, (uint64_t)(v->capture + 1));
    put_u64(b, (uint64_t)(v->producer + 1));
}

static void put_graph(struct buf *b, const struct graph *g);

static void put_attr(struct buf *b, const struct attr *a) {
    put_str(b, a->name);
    put_u64(b, a->kind);
    bool list = a->kind == ATTR_INTS || a->kind == ATTR_FLOATS || a->kind == ATTR_STRS ||
                a->kind == ATTR_TENSORS || a->kind == ATTR_GRAPHS;
    size_t n = list ? a->n : 1;
    if (list)
        put_u64(b, n);
    for (size_t i = 0; i < n; i++) {
        switch (a->kind) {
        case ATTR_NONE: break;
        case ATTR_INT: put_i64(b, a->i); break;
        case ATTR_FLOAT: put_f32(b, a->f); break;
        case ATTR_STR: put_str(b, a->s); break;
        case ATTR_INTS: put_i64(b, a->ints[i]); break;
        case ATTR_FLOATS: put_f32(b, a->floats[i]); break;
        case ATTR_STRS: put_str(b, a->strs[i]); break;
        case ATTR_TENSOR: put_tensor(b, a->tensor, &a->origin); break;
        case ATTR_TENSORS: put_tensor(b, &a->tensors[i], NULL); break;
        case ATTR_GRAPH: put_graph(b, a->graph); break;
        case ATTR_GRAPHS: put_graph(b, a->graphs[i]); break;
        }
    }
}

static void put_node(struct buf *b, const struct node *n) {
    put_str(b, n->name);
    put_str(b, n->op_type);
    put_str(b, n->domain);
    put_str(b, n->op_name);
    put_i64(b, n->opset);
    put_ids(b, n->in, n->n_in);
    put_ids(b, n->out, n->n_out);
    put_u64(b, (uint64_t)n->n_attrs);
    for (int i = 0; i < n->n_attrs; i++)
        put_attr(b, &n->attrs[i]);
    put_u64(b, (uint64_t)n->n_post);
    for (int i = 0; i < n->n_post; i++) {
        put_u64(b, n->post[i].kind);
        put_f32(b, n->post[i].alpha);
        put_f32(b, n->post[i].beta);
        put_i64(b, n->post[i].input);
    }
}

static void put_graph(struct buf *b, const struct graph *g) {
    put_str(b, g->name);
    put_u64(b, (uint64_t)g->n_values);
    for (int v = 0; v < g->n_values; v++)
        put_value(b, &g->values[v]);
    put_u64(b, (uint64_t)g->n_nodes);
    for (int n = 0; n < g->n_nodes; n++)
        put_node(b, &g->nodes[n]);
    put_ids(b, g->inputs, g->n_inputs);
    put_ids(b, g->outputs, g->n_outputs);
}

enum code wire_put(const struct model *m, struct buf *out, struct err *e) {
    buf_put(out, magic, sizeof magic);
    put_u64(out, WIRE_VERSION);
    put_u64(out, (uint64_t)m->n_files);
    for (int f = 0; f < m->n_files; f++) {
        put_str(out, m->files[f].name);
        put_u64(out, m->files[f].size);
    }
    put_str(out, m->format);
    put_str(out, m->producer);
    put_i64(out, m->opset);
    put_i64(out, m->ir_version);
    put_u64(out, (uint64_t)m->n_meta);
    for (int i = 0; i < m->n_meta; i++) {
        put_str(out, m->meta[i].key);
        put_str(out, m->meta[i].value);
    }
    put_graph(out, m->main);
    if (m->n_facts)
        put_u64(out, (uint64_t)m->n_facts);
    for (int i = 0; i < m->n_facts; i++)
        put_attr(out, &m->facts[i]);
    return buf_check(out, "the model in wire form", e);
}

/* --- take --- */

struct wire {
    const uint8_t *begin, *p, *end;
    struct arena *a;
    wire_resolve_fn *resolve;
    void *ctx;
    struct model *m;
};

static enum code broken(const struct wire *w, struct err *e) {
    return fail(e, FORMAT, "model in wire form: broken at byte %zu of %zu",
                (size_t)(w->p - w->begin), (size_t)(w->end - w->begin));
}

static size_t left(const struct wire *w) { return (size_t)(w->end - w->p); }

static void *push(struct wire *w, size_t n, size_t bytes) {
    return arena_push_array(w->a, n, bytes);
}
static enum code full(const struct wire *w, size_t bytes, struct err *e) {
    return arena_fail(w->a, bytes, "model in wire form", e);
}

static enum code take_u64(struct wire *w, uint64_t *out, struct err *e) {
    uint64_t v = 0;
    if (w->p < w->end && *w->p < 0x80) { /* most are: a forest has millions */
        *out = *w->p++;
        return OK;
    }
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (w->p == w->end)
            return broken(w, e);
        uint8_t byte = *w->p++;
        if (shift == 63 && byte > 1)
            return broken(w, e);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return OK;
        }
    }
    return broken(w, e);
}

static enum code take_i64(struct wire *w, int64_t *out, struct err *e) {
    uint64_t v = 0;
    TRY(take_u64(w, &v, e));
    *out = (int64_t)(v >> 1 ^ (0 - (v & 1)));
    return OK;
}

/* A number in 0..most. */
static enum code take_upto(struct wire *w, uint64_t most, int *out, struct err *e) {
    uint64_t v = 0;
    TRY(take_u64(w, &v, e));
    if (v > most || v > INT32_MAX)
        return broken(w, e);
    *out = (int)v;
    return OK;
}

/* How many of something follow: each takes at least a byte. */
static enum code take_count(struct wire *w, int *out, struct err *e) {
    return take_upto(w, left(w), out, e);
}

static enum code take_int(struct wire *w, int *out, struct err *e) {
    int64_t v;
    TRY(take_i64(w, &v, e));
    if (v < INT32_MIN || v > INT32_MAX)
        return broken(w, e);
    *out = (int)v;
    return OK;
}

static enum code take_bytes(struct wire *w, struct span *out, struct err *e) {
    uint64_t n;
    TRY(take_u64(w, &n, e));
    if (n > left(w))
        return broken(w, e);
    *out = (struct span){w->p, (size_t)n};
    w->p += n;
    return OK;
}

static enum code take_str(struct wire *w, struct str *out, struct err *e) {
    struct span s = {0};
    TRY(take_bytes(w, &s, e));
    *out = arena_str(w->a, (struct str){(const char *)s.p, s.n});
    return out->p ? OK : full(w, s.n + 1, e);
}

static enum code take_f32(struct wire *w, float *out, struct err *e) {
    if (left(w) < sizeof *out)
        return broken(w, e);
    memcpy(out, w->p, sizeof *out);
    w->p += sizeof *out;
    return OK;
}

static enum code take_ids(struct wire *w, value_id **out, int *n, struct err *e) {
    int count;
    TRY(take_count(w, &count, e));
    value_id *ids = push(w, (size_t)count, sizeof *ids);
    if (!ids)
        return full(w, (size_t)count * sizeof *ids, e);
    for (int i = 0; i < count; i++) {
        TRY(take_upto(w, INT32_MAX, &ids[i], e));
        ids[i]--;
    }
    *out = ids;
    *n = count;
    return OK;
}

static enum code take_shape(struct wire *w, struct shape *out, struct err *e) {
    TRY(take_upto(w, SHAPE_MAX, &out->rank, e));
    for (int d = 0; d < out->rank; d++)
        TRY(take_i64(w, &out->dims[d], e));
    return OK;
}

/* --- take: tensors --- */

static bool odd_bools(const uint8_t *p, size_t n) {
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= p[i];
    return all > 1;
}

static size_t natural_alignment(enum dtype t) {
    size_t n = dtype_size(t);
    if (n == 0) /* blocks: read byte by byte */
        return 1;
    return t == DT_C64 || t == DT_C128 ? n / 2 : n;
}

/* bytes: as a file holds them, of the right length; in place where that is possible, unless copy.
 */
static enum code place(struct wire *w, struct tensor *t, struct span bytes, bool is_inline,
                       struct err *e) {
    size_t count = tensor_count(t), n = tensor_bytes(t);
    bool packed = nibble_bits(t->dtype), bools = t->dtype == DT_BOOL && odd_bools(bytes.p, bytes.n);
    bool aligned = (uintptr_t)bytes.p % natural_alignment(t->dtype) == 0;
    if (!is_inline && !packed && !bools && aligned) {
        t->data = (void *)(uintptr_t)bytes.p; /* never written through: model.h */
        return OK;
    }
    uint8_t *data = arena_push_aligned(w->a, n, MEM_LINE);
    if (!data)
        return full(w, n, e);
    t->data = data;
    if (packed && !is_inline)
        nibble_open(t->dtype, data, bytes.p, count);
    else if (n)
        memcpy(data, bytes.p, n);
    for (size_t i = 0; bools && i < n; i++)
        data[i] = data[i] != 0;
    return OK;
}

/* Inline 4- and 2-bit elements, one per byte: whatever their upper bits were, they end in range. */
static void cut_upper_bits(struct tensor *t) {
    uint8_t *p = t->data, low;
    for (size_t i = 0, n = tensor_count(t), per_byte = 8 / (size_t)nibble_bits(t->dtype); i < n;
         i++) {
        low = (uint8_t)(p[i] & ((1u << 8 / per_byte) - 1));
        nibble_open(t->dtype, &p[i], &low, 1);
    }
}

static enum code take_inline(struct wire *w, struct tensor *t, size_t bytes, struct err *e) {
    struct span s = {0};
    if (t->dtype == DT_STRING) {
        size_t n = tensor_count(t);
        struct str *text = n > left(w) ? NULL : push(w, n, sizeof *text);
        if (!text)
            return n > left(w) ? broken(w, e) : full(w, bytes, e);
        t->data = text;
        for (size_t i = 0; i < n; i++)
            TRY(take_str(w, &text[i], e));
        return OK;
    }
    TRY(take_bytes(w, &s, e));
    if (s.n != bytes)
        return broken(w, e);
    TRY(place(w, t, s, true, e));
    if (nibble_bits(t->dtype))
        cut_upper_bits(t);
    return OK;
}

static enum code take_range(struct wire *w, struct tensor *t, struct origin *o, struct err *e) {
    struct span s = {0};
    size_t bytes;
    TRY(take_u64(w, &o->offset, e));
    TRY(take_u64(w, &o->length, e));
    if (t->dtype == DT_STRING || !nibble_bytes(t->dtype, tensor_count(t), &bytes) ||
        bytes != o->length)
        return broken(w, e);
    TRY(w->resolve(w->ctx, o->file, o->offset, o->length, &s, e));
    if (s.n != o->length)
        return broken(w, e);
    return place(w, t, s, false, e);
}

static enum code take_tensor(struct wire *w, struct tensor *t, struct origin *o, struct err *e) {
    int type, file;
    size_t bytes;
    TRY(take_upto(w, DT_N - 1, &type, e));
    t->dtype = (enum dtype)type;
    TRY(take_shape(w, &t->shape, e));
    if (type == DT_NONE || type == DT_SEQUENCE || !tensor_size(t->dtype, &t->shape, &bytes))
        return broken(w, e);
    TRY(take_upto(w, (uint64_t)w->m->n_files, &file, e));
    o->file = file - 1;
    return file ? take_range(w, t, o, e) : take_inline(w, t, bytes, e);
}

/* --- take: graphs --- */

static enum code take_constant(struct wire *w, const struct tensor **out, struct origin *o,
                               struct err *e) {
    struct tensor *t = push(w, 1, sizeof *t);
    if (!t)
        return full(w, sizeof *t, e);
    TRY(take_tensor(w, t, o, e));
    *out = t;
    return OK;
}

static enum code take_value(struct wire *w, struct value *v, struct err *e) {
    int type, flags;
    *v = (struct value){.origin = {.file = -1}};
    TRY(take_str(w, &v->name, e));
    TRY(take_upto(w, DT_N - 1, &type, e));
    v->dtype = (enum dtype)type;
    TRY(take_upto(w, HAS_RANK | HAS_CONSTANT, &flags, e));
    v->ranked = flags & HAS_RANK;
    if (v->ranked) {
        TRY(take_shape(w, &v->shape, e));
        for (int d = 0; d < v->shape.rank; d++)
            TRY(take_str(w, &v->dim_names[d], e));
    }
    if (flags & HAS_CONSTANT) {
        const struct tensor *t = NULL;
        TRY(take_constant(w, &t, &v->origin, e));
        v->constant = (struct tensor *)(uintptr_t)t;
    }
    TRY(take_upto(w, INT32_MAX, &v->capture, e));
    TRY(take_upto(w, INT32_MAX, &v->producer, e));
    v->capture--;
    v->producer--;
    return OK;
}

static enum code take_graph(struct wire *w, struct graph *parent, int depth, struct graph **out,
                            struct err *e);

struct take_at { /* where an attribute is being taken */
    struct graph *owner;
    int depth;
};

/* Of one or two bytes, as most numbers of a forest are: without asking for each byte. */
static enum code take_ints(struct wire *w, int64_t *list, int n, struct err *e) {
    for (int i = 0; i < n; i++) {
        const uint8_t *p = w->p;
        if (left(w) < 2 || (p[0] & p[1]) >= 0x80) {
            TRY(take_i64(w, &list[i], e));
            continue;
        }
        const unsigned two = p[0] >> 7, v = (p[0] & 0x7fu) | (two ? (unsigned)p[1] << 7 : 0);
        list[i] = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
        w->p = p + 1 + two;
    }
    return OK;
}

static enum code take_floats(struct wire *w, float *list, size_t n, struct err *e) {
    if (left(w) / sizeof *list < n)
        return broken(w, e);
    if (n)
        memcpy(list, w->p, n * sizeof *list);
    w->p += n * sizeof *list;
    return OK;
}

/* Of a list: equal ones in a row, as a forest's modes are, are kept once. */
static enum code take_next_str(struct wire *w, struct str *out, bool first, struct err *e) {
    const uint8_t *mark = w->p;
    struct span s = {0};
    TRY(take_bytes(w, &s, e));
    if (!first && str_eq(out[-1], (struct str){(const char *)s.p, s.n})) {
        *out = out[-1];
        return OK;
    }
    w->p = mark;
    return take_str(w, out, e);
}

static enum code take_list(struct wire *w, struct attr *a, const struct take_at *at,
                           struct err *e) {
    static const size_t sizes[] = {
        [ATTR_INTS] = sizeof(int64_t),          [ATTR_FLOATS] = sizeof(float),
        [ATTR_STRS] = sizeof(struct str),       [ATTR_TENSORS] = sizeof(struct tensor),
        [ATTR_GRAPHS] = sizeof(struct graph *),
    };
    int n;
    TRY(take_count(w, &n, e));
    void *list = push(w, (size_t)n, sizes[a->kind]);
    if (!list)
        return full(w, (size_t)n * sizes[a->kind], e);
    struct origin ignored = {.file = -1};
    const uint8_t *from = w->p;
    if (a->kind == ATTR_INTS)
        TRY(take_ints(w, list, n, e));
    else if (a->kind == ATTR_FLOATS)
        TRY(take_floats(w, list, (size_t)n, e));
    for (int i = 0; i < n && a->kind != ATTR_INTS && a->kind != ATTR_FLOATS; i++) {
        switch (a->kind) {
        case ATTR_STRS: TRY(take_next_str(w, (struct str *)list + i, i == 0, e)); break;
        case ATTR_TENSORS: TRY(take_tensor(w, (struct tensor *)list + i, &ignored, e)); break;
        default: TRY(take_graph(w, at->owner, at->depth + 1, (struct graph **)list + i, e)); break;
        }
    }
    a->n = (size_t)n;
    a->ints = list;
    a->origin.offset = (uint64_t)(from - w->begin);
    a->origin.length = (uint64_t)(w->p - from);
    return OK;
}

static enum code take_attr(struct wire *w, struct attr *a, const struct take_at *at,
                           struct err *e) {
    int kind;
    a->origin.file = -1;
    TRY(take_str(w, &a->name, e));
    TRY(take_upto(w, ATTR_GRAPHS, &kind, e));
    a->kind = (enum attr_kind)kind;
    switch (a->kind) {
    case ATTR_NONE: return OK;
    case ATTR_INT: return take_i64(w, &a->i, e);
    case ATTR_FLOAT: return take_f32(w, &a->f, e);
    case ATTR_STR: return take_str(w, &a->s, e);
    case ATTR_TENSOR: return take_constant(w, &a->tensor, &a->origin, e);
    case ATTR_GRAPH: return take_graph(w, at->owner, at->depth + 1, &a->graph, e);
    default: return take_list(w, a, at, e);
    }
}

static enum code take_posts(struct wire *w, struct node *n, struct err *e) {
    TRY(take_upto(w, POST_MAX, &n->n_post, e));
    for (int i = 0; i < n->n_post; i++) {
        int kind;
        TRY(take_upto(w, POST_MUL, &kind, e));
        n->post[i].kind = (enum post_kind)kind;
        TRY(take_f32(w, &n->post[i].alpha, e));
        TRY(take_f32(w, &n->post[i].beta, e));
        TRY(take_int(w, &n->post[i].input, e));
    }
    return OK;
}

static enum code take_node(struct wire *w, struct node *n, const struct take_at *at,
                           struct err *e) {
    TRY(take_str(w, &n->name, e));
    TRY(take_str(w, &n->op_type, e));
    TRY(take_str(w, &n->domain, e));
    TRY(take_str(w, &n->op_name, e));
    TRY(take_int(w, &n->opset, e));
    TRY(take_ids(w, &n->in, &n->n_in, e));
    TRY(take_ids(w, &n->out, &n->n_out, e));
    TRY(take_count(w, &n->n_attrs, e));
    n->attrs = push(w, (size_t)n->n_attrs, sizeof *n->attrs);
    if (!n->attrs)
        return full(w, (size_t)n->n_attrs * sizeof *n->attrs, e);
    for (int i = 0; i < n->n_attrs; i++)
        TRY(take_attr(w, &n->attrs[i], at, e));
    return take_posts(w, n, e);
}

static enum code take_graph(struct wire *w, struct graph *parent, int depth, struct graph **out,
                            struct err *e) {
    if (depth > DEPTH_MAX)
        return broken(w, e);
    struct graph *g = graph_new(w->m, parent);
    if (!g)
        return full(w, sizeof *g, e);
    *out = g;
    TRY(take_str(w, &g->name, e));
    TRY(take_count(w, &g->n_values, e));
    g->room_values = g->n_values;
    g->values = push(w, (size_t)g->n_values, sizeof *g->values);
    if (!g->values)
        return full(w, (size_t)g->n_values * sizeof *g->values, e);
    for (int v = 0; v < g->n_values; v++)
        TRY(take_value(w, &g->values[v], e));
    TRY(take_count(w, &g->n_nodes, e));
    g->room_nodes = g->n_nodes;
    g->nodes = push(w, (size_t)g->n_nodes, sizeof *g->nodes);
    if (!g->nodes)
        return full(w, (size_t)g->n_nodes * sizeof *g->nodes, e);
    for (int n = 0; n < g->n_nodes; n++)
        TRY(take_node(w, &g->nodes[n], &(struct take_at){g, depth}, e));
    TRY(take_ids(w, &g->inputs, &g->n_inputs, e));
    return take_ids(w, &g->outputs, &g->n_outputs, e);
}

/* --- take: models --- */

static enum code take_files(struct wire *w, struct model_file **files, int *n_files,
                            struct err *e) {
    uint64_t version;
    int n;
    if (left(w) < sizeof magic || memcmp(w->p, magic, sizeof magic) != 0)
        return fail(e, FORMAT, "not a model in wire form");
    w->p += sizeof magic;
    TRY(take_u64(w, &version, e));
    if (version != WIRE_VERSION)
        return fail(e, UNSUPPORTED, "model in wire form: version %llu, this build knows %d",
                    (unsigned long long)version, WIRE_VERSION);
    TRY(take_count(w, &n, e));
    struct model_file *list = push(w, (size_t)n, sizeof *list);
    if (!list)
        return full(w, (size_t)n * sizeof *list, e);
    for (int f = 0; f < n; f++) {
        TRY(take_str(w, &list[f].name, e));
        TRY(take_u64(w, &list[f].size, e));
    }
    *files = list;
    *n_files = n;
    return OK;
}

/* They come last, and not at all in a model that has none. */
static enum code take_facts(struct wire *w, struct model *m, struct err *e) {
    if (w->p == w->end)
        return OK;
    TRY(take_count(w, &m->n_facts, e));
    m->facts = push(w, (size_t)m->n_facts, sizeof *m->facts);
    if (!m->facts)
        return full(w, (size_t)m->n_facts * sizeof *m->facts, e);
    for (int i = 0; i < m->n_facts; i++)
        TRY(take_attr(w, &m->facts[i], &(struct take_at){m->main, 0}, e));
    return OK;
}

static enum code take_model(struct wire *w, struct err *e) {
    struct model *m = w->m;
    TRY(take_str(w, &m->format, e));
    TRY(take_str(w, &m->producer, e));
    TRY(take_int(w, &m->opset, e));
    TRY(take_int(w, &m->ir_version, e));
    TRY(take_count(w, &m->n_meta, e));
    m->meta = push(w, (size_t)m->n_meta, sizeof *m->meta);
    if (!m->meta)
        return full(w, (size_t)m->n_meta * sizeof *m->meta, e);
    for (int i = 0; i < m->n_meta; i++) {
        TRY(take_str(w, &m->meta[i].key, e));
        TRY(take_str(w, &m->meta[i].value, e));
    }
    TRY(take_graph(w, NULL, 0, &m->main, e));
    TRY(take_facts(w, m, e));
    return w->p == w->end ? OK : broken(w, e);
}

enum code wire_take_files(struct span bytes, struct arena *a, struct model_file **files, int *n,
                          struct err *e) {
    struct wire w = {.begin = bytes.p, .p = bytes.p, .end = bytes.p + bytes.n, .a = a};
    return take_files(&w, files, n, e);
}

enum code wire_take(struct span bytes, struct arena *a, wire_resolve_fn *resolve, void *ctx,
                    struct model **out, struct err *e) {
    struct wire w = {.begin = bytes.p, .p = bytes.p, .end = bytes.p + bytes.n, .a = a};
    w.resolve = resolve;
    w.ctx = ctx;
    w.m = push(&w, 1, sizeof *w.m);
    if (!w.m)
        return full(&w, sizeof *w.m, e);
    w.m->arena = a;
    TRY(take_files(&w, &w.m->files, &w.m->n_files, e));
    TRY(take_model(&w, e));
    *out = w.m;
    return OK;
}

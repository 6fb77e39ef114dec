/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX AttributeProto. Its `type` says which field counts; files of IR 1 and 2 leave it out, then
 * the field that is there decides. TYPE_PROTO attributes carry nothing our operators read and are
 * dropped. */
#include "format/onnx_read.h"

enum { /* AttributeProto */
       NAME = 1,
       F = 2,
       I = 3,
       S = 4,
       T = 5,
       G = 6,
       FLOATS = 7,
       INTS = 8,
       STRINGS = 9,
       TENSORS = 10,
       GRAPHS = 11,
       TYPE = 20,
       REF = 21,
       SPARSE = 22,
};

struct form {
    uint32_t field;
    enum attr_kind kind;
};
static const struct form forms[] = {
    /* by AttributeProto.AttributeType */
    {0, ATTR_NONE},       {F, ATTR_FLOAT},         {I, ATTR_INT},         {S, ATTR_STR},
    {T, ATTR_TENSOR},     {G, ATTR_GRAPH},         {FLOATS, ATTR_FLOATS}, {INTS, ATTR_INTS},
    {STRINGS, ATTR_STRS}, {TENSORS, ATTR_TENSORS}, {GRAPHS, ATTR_GRAPHS}, {SPARSE, ATTR_TENSOR},
};
enum { N_FORMS = sizeof forms / sizeof forms[0], TYPE_SPARSE_LIST = 12, TYPE_PROTO_LIST = 14 };

struct header {
    struct str name, ref;
    int64_t type;
    size_t n[SPARSE + 1]; /* fields of each number */
};

static enum code parse_header(struct span message, struct header *out, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        if (f.number <= SPARSE)
            out->n[f.number]++;
        if (f.number == NAME)
            TRY(pb_str(&f, &out->name, e));
        if (f.number == REF)
            TRY(pb_str(&f, &out->ref, e));
        if (f.number == TYPE)
            TRY(pb_i64(&f, &out->type, e));
    }
}

/* The form of an attribute: of its type, or else of the first field present. */
static enum code form_of(const struct header *h, struct form *out, struct err *e) {
    *out = forms[0];
    if (h->type < 0 || h->type > TYPE_PROTO_LIST)
        return fail(e, FORMAT, "attribute '%.*s' has unknown type %lld", STR(h->name),
                    (long long)h->type);
    if (h->type == TYPE_SPARSE_LIST)
        return fail(e, UNSUPPORTED, "attribute '%.*s': lists of sparse tensors are not supported",
                    STR(h->name));
    if (h->type > 0) {
        if (h->type < N_FORMS)
            *out = forms[h->type];
        return OK;
    }
    for (int i = 1; i < N_FORMS && out->kind == ATTR_NONE; i++)
        if (h->n[forms[i].field])
            *out = forms[i];
    return OK;
}

/* --- values --- */

static enum code read_subgraph(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                               struct graph **out, struct err *e) {
    struct onnx_scope sub = {
        .up = s, .opsets = s->opsets, .env = s->env, .depth = s->depth + 1, .calls = s->calls};
    if (sub.depth > ONNX_DEPTH_MAX)
        return fail(e, LIMIT, "subgraphs are nested deeper than %d", ONNX_DEPTH_MAX);
    sub.g = graph_new(r->m, s->g);
    if (!sub.g)
        return arena_fail(r->a, sizeof *sub.g, "a subgraph", e);
    map_init(&sub.names, r->a);
    TRY(onnx_graph_read(r, &sub, message, e));
    *out = sub.g;
    return OK;
}

static enum code read_tensor(struct onnx_reader *r, const struct pb_field *f, struct tensor *out,
                             struct origin *at, struct err *e) {
    struct span message;
    struct str ignored;
    TRY(pb_bytes(f, &message, e));
    if (f->number == SPARSE) {
        *at = (struct origin){.file = -1};
        return onnx_constant_read_sparse(r, message, &ignored, out, e);
    }
    return onnx_constant_read(r, message, &ignored, out, at, e);
}

static enum code read_one(struct onnx_reader *r, struct onnx_scope *s, const struct pb_field *f,
                          struct attr *a, struct err *e) {
    struct span message = {0};
    switch (a->kind) {
    case ATTR_FLOAT: return pb_f32(f, &a->f, e);
    case ATTR_INT: return pb_i64(f, &a->i, e);
    case ATTR_STR: return pb_str(f, &a->s, e);
    case ATTR_GRAPH:
        TRY(pb_bytes(f, &message, e));
        return read_subgraph(r, s, message, &a->graph, e);
    default: break;
    }
    struct tensor *t = ARENA_NEW(r->a, struct tensor);
    if (!t)
        return arena_fail(r->a, sizeof *t, "a tensor attribute", e);
    TRY(read_tensor(r, f, t, &a->origin, e));
    a->tensor = t;
    return OK;
}

/* Numbers may come packed or one by one. */
static enum code read_numbers(struct onnx_reader *r, struct span message, uint32_t field,
                              struct attr *a, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more = true;
    struct buf b;
    size_t size = a->kind == ATTR_INTS ? sizeof(int64_t) : sizeof(float);
    enum code code = OK;
    buf_init(&b, message.n * sizeof(int64_t));
    pb_init(&p, message);
    while (code == OK && (code = pb_next(&p, &f, &more, e)) == OK && more) {
        if (f.number == field)
            code = a->kind == ATTR_INTS ? pb_i64s(&f, &b, e) : pb_f32s(&f, &b, e);
    }
    if (code == OK) {
        void *list = arena_push(r->a, b.n);
        if (list && b.n)
            memcpy(list, b.p, b.n);
        a->ints = list;
        a->n = b.n / size;
        code = list ? OK : arena_fail(r->a, b.n, "a list attribute", e);
    }
    buf_deinit(&b);
    return code;
}

/* Element i of a list of messages or strings. */
static enum code read_item(struct onnx_reader *r, struct onnx_scope *s, const struct pb_field *f,
                           struct attr *a, size_t i, struct err *e) {
    struct span message;
    struct origin at = {.file = -1};
    struct tensor *t = (struct tensor *)(uintptr_t)a->tensors + i;
    TRY(pb_bytes(f, &message, e));
    if (a->kind == ATTR_STRS)
        return pb_str(f, (struct str *)(uintptr_t)a->strs + i, e);
    if (a->kind == ATTR_GRAPHS)
        return read_subgraph(r, s, message, &a->graphs[i], e);
    TRY(read_tensor(r, f, t, &at, e));
    if (at.file > 0 || (at.file == 0 && !t->data))
        return fail(e, UNSUPPORTED, "external or packed tensors in a list are not supported");
    return OK;
}

static enum code read_items(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                            uint32_t field, struct attr *a, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    size_t size = a->kind == ATTR_STRS     ? sizeof(struct str)
                  : a->kind == ATTR_GRAPHS ? sizeof(struct graph *)
                                           : sizeof(struct tensor);
    void *list = arena_push_array(r->a, a->n, size);
    if (!list)
        return arena_fail(r->a, a->n * size, "a list attribute", e);
    a->strs = list;
    pb_init(&p, message);
    for (size_t i = 0; i < a->n;) {
        TRY(pb_next(&p, &f, &more, e));
        if (f.number == field)
            TRY(read_item(r, s, &f, a, i++, e));
    }
    return OK;
}

/* The last field of the number counts, as in every protobuf message. */
static enum code read_single(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                             uint32_t field, struct attr *a, struct err *e) {
    struct pb p;
    struct pb_field f, last = {0};
    bool more;
    pb_init(&p, message);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == field)
            last = f;
    }
    if (last.number)
        return read_one(r, s, &last, a, e);
    if (a->kind == ATTR_TENSOR || a->kind == ATTR_GRAPH)
        return fail(e, FORMAT, "attribute '%.*s' has no value", STR(a->name));
    return OK; /* zero, or empty text: what protobuf leaves out */
}

/* --- one attribute --- */

/* A reference takes the caller's attribute; one the caller left out is simply absent. */
static enum code follow(const struct onnx_scope *s, const struct header *h, struct attr *out,
                        struct err *e) {
    for (int i = 0; s->env && i < s->env->n; i++) {
        if (!str_eq(s->env->attrs[i].name, h->ref))
            continue;
        *out = s->env->attrs[i];
        out->name = h->name;
        if (out->kind == ATTR_GRAPH || out->kind == ATTR_GRAPHS)
            return fail(e, UNSUPPORTED, "attribute '%.*s': a graph cannot be passed to a function",
                        STR(h->name));
        return OK;
    }
    return OK;
}

static enum code read_attr(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                           struct attr *out, struct err *e) {
    struct header h = {0};
    struct form form;
    TRY(parse_header(message, &h, e));
    *out = (struct attr){.name = h.name, .origin = {.file = -1}};
    if (h.ref.n)
        return follow(s, &h, out, e);
    TRY(form_of(&h, &form, e));
    out->kind = form.kind;
    switch (form.kind) {
    case ATTR_NONE: return OK;
    case ATTR_INTS:
    case ATTR_FLOATS: return read_numbers(r, message, form.field, out, e);
    case ATTR_STRS:
    case ATTR_TENSORS:
    case ATTR_GRAPHS:
        out->n = h.n[form.field];
        return read_items(r, s, message, form.field, out, e);
    default: return read_single(r, s, message, form.field, out, e);
    }
}

static enum code count_fields(struct span message, uint32_t field, size_t *n, struct err *e) {
    struct pb r;
    struct pb_field f;
    bool more;
    pb_init(&r, message);
    for (*n = 0;; *n += f.number == field) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
    }
}

enum code onnx_attr_read_all(struct onnx_reader *r, struct onnx_scope *s, struct span message,
                             uint32_t field, struct attr **out, int *n, struct err *e) {
    struct pb p;
    struct pb_field f;
    bool more;
    size_t count;
    int filled = 0;
    TRY(count_fields(message, field, &count, e));
    struct attr *list = ARENA_ARRAY(r->a, count, struct attr);
    if (!list)
        return arena_fail(r->a, count * sizeof *list, "attributes", e);
    pb_init(&p, message);
    for (size_t seen = 0; seen < count;) {
        struct span one;
        TRY(pb_next(&p, &f, &more, e));
        if (f.number != field)
            continue;
        seen++;
        TRY(pb_bytes(&f, &one, e));
        TRY(read_attr(r, s, one, &list[filled], e));
        filled += list[filled].kind != ATTR_NONE;
    }
    *out = list;
    *n = filled;
    return OK;
}

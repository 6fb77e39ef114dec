/* SPDX-License-Identifier: Apache-2.0 */
/* One case of an operator's test: a node built by hand, its inputs, what must come out. A test file
 * of this folder holds cases only:
 *
 *     struct op_case c = op_case("transpose", 13);
 *     op_case_ints(&c, "perm", 2, (int64_t[]){1, 0});
 *     op_case_in(&c, T_F32(DIMS(2, 3), 1, 2, 3, 4, 5, 6));
 *     op_case_out(&c, T_F32(DIMS(3, 2), 1, 4, 2, 5, 3, 6));
 *     op_case_check(&c);
 *
 * op_case_check runs the node as the executor would, in every way its flags allow, and compares
 * each time: infer without data (must not be wrong about shapes it claims to know), infer with
 * data, prepare, run with 1 and 2 threads; in place when OP_INPLACE; in NHWC when OP_NHWC or
 * OP_NHWC_ALL and the rank is 3 or more. op_case_run only runs (PLAIN, 1 thread) and leaves the
 * results in c.got for a test with its own judgement. op_case_refuse expects infer or run to fail
 * with a code and a text. Every input and output buffer is exactly as large as its tensor and made
 * by malloc: ASan sees each step outside. Elementwise operators are run in NHWC too, with every
 * operand of full shape in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "op/op_list.h"
#include "tensor/compare.h"

enum { OP_CASE_OPERANDS = 24, OP_CASE_ATTRS = 16 };

struct op_case {
    const char *op_name;
    int opset;
    double relative, absolute; /* tolerances */
    double ways_absolute;      /* more of it, for ways that are asked for by number */
    int n_in, n_out, n_attrs;
    struct tensor in[OP_CASE_OPERANDS];  /* dtype DT_NONE: absent */
    struct tensor out[OP_CASE_OPERANDS]; /* expected; dtype DT_NONE: not wanted */
    struct attr attrs[OP_CASE_ATTRS];
    struct post post[POST_MAX];
    int n_post;
    unsigned constant;   /* bit i: prepare sees input i as a constant */
    struct graph *graph; /* of the node; NULL: an empty one */
    /* Stands in for the executor when the node has a body. */
    enum code (*run_graph)(struct op_host *h, const struct op_call *call, const struct graph *g,
                           const struct tensor *const *inputs, struct tensor *outputs,
                           struct err *e);
    struct arena arena; /* results of op_case_run, and whatever a test wants to keep */
    struct tensor got[OP_CASE_OPERANDS]; /* after op_case_run */
    int n_ways;                          /* as prepare said */
};

#define DIMS(...)                                                                                  \
    ((struct shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),             \
                    .dims = {__VA_ARGS__}})
#define SCALAR ((struct shape){.rank = 0})
#define T_OF(dt, type, dims, ...)                                                                  \
    ((struct tensor){.dtype = (dt), .shape = dims, .data = (type[]){__VA_ARGS__}})
#define T_F32(dims, ...) T_OF(DT_F32, float, dims, __VA_ARGS__)
#define T_F64(dims, ...) T_OF(DT_F64, double, dims, __VA_ARGS__)
#define T_F16(dims, ...) T_OF(DT_F16, uint16_t, dims, __VA_ARGS__)
#define T_I64(dims, ...) T_OF(DT_I64, int64_t, dims, __VA_ARGS__)
#define T_I32(dims, ...) T_OF(DT_I32, int32_t, dims, __VA_ARGS__)
#define T_I16(dims, ...) T_OF(DT_I16, int16_t, dims, __VA_ARGS__)
#define T_I8(dims, ...) T_OF(DT_I8, int8_t, dims, __VA_ARGS__)
#define T_U8(dims, ...) T_OF(DT_U8, uint8_t, dims, __VA_ARGS__)
#define T_BOOL(dims, ...) T_OF(DT_BOOL, uint8_t, dims, __VA_ARGS__)
#define T_STR(dims, ...) T_OF(DT_STRING, struct str, dims, __VA_ARGS__)
#define T_EMPTY(dt, dims) ((struct tensor){.dtype = (dt), .shape = dims})
#define T_ABSENT ((struct tensor){.dtype = DT_NONE})

static inline struct op_case op_case(const char *name, int opset) {
    struct op_case c = {.op_name = name, .opset = opset, .relative = 1e-5, .absolute = 1e-6};
    arena_init(&c.arena, 256u << 20);
    return c;
}

/* Compound literals end with their block: whatever a case is given is copied into its arena. */
static inline void *op_case_keep(struct op_case *c, const void *from, size_t bytes) {
    void *p = bytes && from ? arena_push_aligned(&c->arena, bytes, 64) : NULL;
    return p ? memcpy(p, from, bytes) : NULL;
}
static inline struct tensor op_case_tensor(struct op_case *c, struct tensor t) {
    t.data = op_case_keep(c, t.data, t.dtype == DT_NONE ? 0 : tensor_bytes(&t));
    if (t.dtype == DT_SEQUENCE && t.data) {
        struct sequence *s = t.data;
        s->items = op_case_keep(c, s->items, s->n * sizeof *s->items);
        for (size_t k = 0; k < s->n; k++)
            s->items[k] = op_case_tensor(c, s->items[k]);
    }
    return t;
}
static inline void op_case_in(struct op_case *c, struct tensor t) {
    c->in[c->n_in++] = op_case_tensor(c, t);
}
static inline void op_case_out(struct op_case *c, struct tensor t) {
    c->out[c->n_out++] = op_case_tensor(c, t);
}
static inline struct attr *op_case_attr(struct op_case *c, const char *name, enum attr_kind kind) {
    struct attr *a = &c->attrs[c->n_attrs++];
    a->name = str_of(name);
    a->kind = kind;
    a->origin.file = -1;
    return a;
}
static inline void op_case_int(struct op_case *c, const char *name, int64_t v) {
    op_case_attr(c, name, ATTR_INT)->i = v;
}
static inline void op_case_float(struct op_case *c, const char *name, float v) {
    op_case_attr(c, name, ATTR_FLOAT)->f = v;
}
static inline void op_case_str(struct op_case *c, const char *name, const char *v) {
    op_case_attr(c, name, ATTR_STR)->s = str_of(v);
}
static inline void op_case_ints(struct op_case *c, const char *name, size_t n, const int64_t *v) {
    struct attr *a = op_case_attr(c, name, ATTR_INTS);
    a->n = n;
    a->ints = op_case_keep(c, v, n * sizeof *v);
}
static inline void op_case_floats(struct op_case *c, const char *name, size_t n, const float *v) {
    struct attr *a = op_case_attr(c, name, ATTR_FLOATS);
    a->n = n;
    a->floats = op_case_keep(c, v, n * sizeof *v);
}
static inline void op_case_strs(struct op_case *c, const char *name, size_t n,
                                const struct str *v) {
    struct attr *a = op_case_attr(c, name, ATTR_STRS);
    a->n = n;
    a->strs = op_case_keep(c, v, n * sizeof *v);
}
static inline void op_case_graph(struct op_case *c, const char *name, struct graph *g) {
    op_case_attr(c, name, ATTR_GRAPH)->graph = g;
}

/* A dense tensor of small, exactly representable numbers in [-2, 2], the same for the same seed; in
 * c->arena. */
static inline struct tensor op_case_random(struct op_case *c, enum dtype dtype, struct shape shape,
                                           uint64_t seed) {
    struct tensor t;
    struct err e;
    if (tensor_new(&c->arena, dtype, &shape, &t, &e) != OK)
        fail_msg("%s", e.text);
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t k = 0; k < tensor_count(&t); k++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        int v = (int)(x >> 40) % 65 - 32; /* -32 .. 32 */
        switch (dtype_size(dtype)) {
        case 1: ((uint8_t *)t.data)[k] = dtype == DT_BOOL ? (uint8_t)(v & 1) : (uint8_t)v; break;
        case 2:
            ((uint16_t *)t.data)[k] = dtype == DT_F16    ? dtype_f32_to_f16((float)v / 16)
                                      : dtype == DT_BF16 ? dtype_f32_to_bf16((float)v / 16)
                                                         : (uint16_t)v;
            break;
        case 4:
            if (dtype == DT_F32)
                ((float *)t.data)[k] = (float)v / 16;
            else
                ((int32_t *)t.data)[k] = v;
            break;
        default:
            if (dtype == DT_F64)
                ((double *)t.data)[k] = (double)v / 16;
            else
                ((int64_t *)t.data)[k] = v;
        }
    }
    return t;
}

/* --- the smallest host --- */

struct op_case_host {
    struct op_host host;
    struct arena *arena;
    uint64_t seed;
};

static inline void *op_case_alloc(struct op_host *h, size_t bytes) {
    return arena_push_aligned(((struct op_case_host *)h)->arena, bytes ? bytes : 1, 64);
}
static inline enum code op_case_go_on(struct op_host *h, struct err *e) {
    (void)h;
    (void)e;
    return OK;
}
static inline uint64_t op_case_chance(struct op_host *h) {
    struct op_case_host *own = (struct op_case_host *)h;
    own->seed += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = own->seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* --- a run, as the executor does it --- */

struct op_case_way {
    int threads;
    enum layout layout;
    bool in_place;
    int number; /* op_prepare.way */
};

struct op_case_stage {
    struct op_case *c;
    const struct op *op;
    struct graph graph;
    struct model model;
    struct value values[2 * OP_CASE_OPERANDS];
    struct node node;
    value_id in_ids[OP_CASE_OPERANDS], out_ids[OP_CASE_OPERANDS];
    struct op_value in[OP_CASE_OPERANDS], out[OP_CASE_OPERANDS];
    struct tensor in_tensor[OP_CASE_OPERANDS], out_tensor[OP_CASE_OPERANDS];
    struct op_case_host host;
};

static inline void op_case_build(struct op_case_stage *s, struct op_case *c) {
    *s = (struct op_case_stage){.c = c, .op = op_find(str_of(c->op_name))};
    if (!s->op)
        fail_msg("no operator '%s'", c->op_name);
    s->host = (struct op_case_host){.host = {.alloc = op_case_alloc,
                                             .run_graph = c->run_graph,
                                             .check = op_case_go_on,
                                             .random = op_case_chance},
                                    .arena = &c->arena,
                                    .seed = 1};
    s->model = (struct model){.arena = &c->arena, .main = &s->graph, .opset = c->opset};
    s->graph =
        (struct graph){.model = &s->model, .values = s->values, .n_values = c->n_in + c->n_out};
    s->node = (struct node){.name = LIT("case"),
                            .op_type = str_of(c->op_name),
                            .op_name = str_of(c->op_name),
                            .op = s->op,
                            .opset = c->opset,
                            .in = s->in_ids,
                            .out = s->out_ids,
                            .n_in = c->n_in,
                            .n_out = c->n_out,
                            .attrs = c->attrs,
                            .n_attrs = c->n_attrs,
                            .n_post = c->n_post};
    memcpy(s->node.post, c->post, sizeof c->post);
    for (int i = 0; i < c->n_in + c->n_out; i++)
        s->values[i] = (struct value){.capture = VALUE_NONE, .producer = NODE_NONE};
    for (int i = 0; i < c->n_in; i++)
        s->in_ids[i] = c->in[i].dtype == DT_NONE ? VALUE_NONE : i;
    for (int i = 0; i < c->n_out; i++)
        s->out_ids[i] = c->out[i].dtype == DT_NONE ? VALUE_NONE : c->n_in + i;
    s->graph.nodes = &s->node;
    s->graph.n_nodes = 1;
}

static inline const struct graph *op_case_graph_of(const struct op_case_stage *s) {
    return s->c->graph ? s->c->graph : &s->graph;
}

static inline enum code op_case_infer(struct op_case_stage *s, bool with_data, struct err *e) {
    struct op_case *c = s->c;
    for (int i = 0; i < c->n_in; i++)
        s->in[i] =
            (struct op_value){.dtype = c->in[i].dtype,
                              .known = true,
                              .shape = c->in[i].shape,
                              .data = with_data && c->in[i].dtype != DT_NONE ? &c->in[i] : NULL};
    memset(s->out, 0, sizeof s->out);
    struct op_infer call = {.graph = op_case_graph_of(s),
                            .node = &s->node,
                            .in = s->in,
                            .out = s->out,
                            .scratch = &c->arena};
    return s->op->infer(&call, e);
}

/* What infer claims must be what is expected. */
static inline void op_case_claims(struct op_case_stage *s, bool all) {
    for (int i = 0; i < s->c->n_out; i++) {
        const struct tensor *want = &s->c->out[i];
        if (want->dtype == DT_NONE)
            continue;
        if (all && !(s->op->flags & OP_DYNAMIC) && !s->out[i].known)
            fail_msg("%s: output %d not known though all data was there", s->c->op_name, i);
        if (s->out[i].dtype != want->dtype &&
            !(s->op->flags & OP_DYNAMIC && s->out[i].dtype == DT_NONE))
            fail_msg("%s: output %d inferred as %s, expected %s", s->c->op_name, i,
                     dtype_name(s->out[i].dtype), dtype_name(want->dtype));
        char got[SHAPE_TEXT], text[SHAPE_TEXT];
        if (s->out[i].known && !shape_eq(&s->out[i].shape, &want->shape))
            fail_msg("%s: output %d inferred as %s, expected %s", s->c->op_name, i,
                     shape_print(&s->out[i].shape, got), shape_print(&want->shape, text));
    }
}

/* Moves elements between PLAIN and NHWC order. */
static inline void op_case_permute(const struct tensor *from, struct tensor *to) {
    size_t bytes = dtype_size(from->dtype), spatial = 1, position = 0;
    for (int k = 2; k < from->shape.rank; k++)
        spatial *= (size_t)from->shape.dims[k];
    size_t channels = (size_t)from->shape.dims[1];
    for (size_t n = 0; n < (size_t)from->shape.dims[0]; n++)
        for (size_t ch = 0; ch < channels; ch++)
            for (size_t at = 0; at < spatial; at++, position++) {
                size_t other = (n * spatial + at) * channels + ch;
                bool plain = from->layout == LAYOUT_PLAIN;
                memcpy((char *)to->data + (plain ? other : position) * bytes,
                       (const char *)from->data + (plain ? position : other) * bytes, bytes);
            }
}

static inline struct tensor op_case_exact(const struct tensor *like, enum layout layout) {
    struct tensor t = *like;
    size_t bytes = tensor_bytes(like);
    t.layout = layout;
    t.data = bytes ? malloc(bytes) : NULL;
    if (bytes)
        memset(t.data, 0xA5, bytes);
    return t;
}

/* Does input i travel in NHWC when the node does? */
static inline bool op_case_moves(const struct op_case_stage *s, int i) {
    const struct shape *shape = &s->c->in[i].shape;
    bool full = shape_eq(shape, &s->c->out[0].shape);
    if (s->op->flags & OP_NHWC_ALL)
        return shape->rank >= 3;
    for (int k = 0; k < s->c->n_post; k++)
        if (s->c->post[k].input == i && i > 0)
            return shape->rank >= 3 && full;
    return shape->rank >= 3 && (i == 0 || (s->op->flags & OP_ELEMENTWISE && full));
}

static inline void op_case_load(struct op_case_stage *s, const struct op_case_way *way) {
    struct op_case *c = s->c;
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].dtype == DT_NONE)
            continue;
        bool moves = way->layout == LAYOUT_NHWC && op_case_moves(s, i);
        s->in_tensor[i] = op_case_exact(&c->in[i], moves ? LAYOUT_NHWC : LAYOUT_PLAIN);
        s->in[i].layout = s->in_tensor[i].layout;
        if (moves)
            op_case_permute(&c->in[i], &s->in_tensor[i]);
        else if (s->in_tensor[i].data)
            memcpy(s->in_tensor[i].data, c->in[i].data, tensor_bytes(&c->in[i]));
    }
    for (int i = 0; i < c->n_out; i++) {
        s->out_tensor[i] = (struct tensor){.dtype = DT_NONE};
        s->out[i].layout = i == 0 ? way->layout : LAYOUT_PLAIN;
        if (c->out[i].dtype == DT_NONE || (s->op->flags & OP_DYNAMIC))
            continue;
        struct tensor like = {.dtype = s->out[i].dtype, .shape = s->out[i].shape};
        s->out_tensor[i] =
            i == 0 && way->in_place ? s->in_tensor[0] : op_case_exact(&like, s->out[i].layout);
    }
}

static inline void op_case_unload(struct op_case_stage *s, const struct op_case_way *way) {
    for (int i = 0; i < s->c->n_in; i++)
        if (s->c->in[i].dtype != DT_NONE)
            free(s->in_tensor[i].data);
    for (int i = way->in_place ? 1 : 0; i < s->c->n_out; i++)
        if (s->out_tensor[i].dtype != DT_NONE && !(s->op->flags & OP_DYNAMIC))
            free(s->out_tensor[i].data);
}

static inline bool op_case_same_strings(const struct tensor *a, const struct tensor *b) {
    for (size_t k = 0; k < tensor_count(a); k++)
        if (!str_eq(((const struct str *)a->data)[k], ((const struct str *)b->data)[k]))
            return false;
    return true;
}

static inline void op_case_compare(const struct op_case *c, int i, const struct tensor *got,
                                   const struct tensor *want) {
    struct compare cmp;
    struct err e;
    if (want->dtype == DT_SEQUENCE && got->dtype == DT_SEQUENCE) {
        const struct sequence *a = got->data, *b = want->data;
        if (a->n != b->n || a->absent != b->absent)
            fail_msg("%s: output %d is a sequence of %zu, expected %zu", c->op_name, i, a->n, b->n);
        for (size_t k = 0; k < a->n; k++)
            op_case_compare(c, i, &a->items[k], &b->items[k]);
        return;
    }
    if (want->dtype == DT_STRING && got->dtype == DT_STRING) {
        if (!shape_eq(&got->shape, &want->shape) || !op_case_same_strings(got, want))
            fail_msg("%s: output %d: other strings", c->op_name, i);
        return;
    }
    if (compare_tensors(got, want, c->relative, c->absolute, &cmp, &e) != OK)
        fail_msg("%s: output %d: %s", c->op_name, i, e.text);
    if (cmp.different)
        fail_msg("%s: output %d: %zu of %zu elements differ; at %zu got %.9g, expected %.9g",
                 c->op_name, i, cmp.different, cmp.count, cmp.worst, tensor_f64(got, cmp.worst),
                 tensor_f64(want, cmp.worst));
}

static inline void op_case_judge(struct op_case_stage *s) {
    for (int i = 0; i < s->c->n_out; i++) {
        if (s->c->out[i].dtype == DT_NONE)
            continue;
        struct tensor got = s->out_tensor[i];
        if (got.layout == LAYOUT_NHWC) {
            struct tensor plain = op_case_exact(&got, LAYOUT_PLAIN);
            op_case_permute(&got, &plain);
            op_case_compare(s->c, i, &plain, &s->c->out[i]);
            free(plain.data);
        } else {
            op_case_compare(s->c, i, &got, &s->c->out[i]);
        }
    }
}

/* prepare and run over tensors made by op_case_load. */
static inline enum code op_case_execute(struct op_case_stage *s, const struct op_case_way *way,
                                        struct err *e) {
    struct op_case *c = s->c;
    struct op_prepare p = {.graph = op_case_graph_of(s),
                           .node = &s->node,
                           .in = s->in,
                           .out = s->out,
                           .arena = &c->arena,
                           .threads = way->threads,
                           .way = way->number};
    if (s->op->prepare)
        TRY(s->op->prepare(&p, e));
    c->n_ways = p.n_ways;
    const struct tensor *in[OP_CASE_OPERANDS];
    struct tensor *out[OP_CASE_OPERANDS];
    for (int i = 0; i < c->n_in; i++)
        in[i] = c->in[i].dtype == DT_NONE ? NULL : &s->in_tensor[i];
    for (int i = 0; i < c->n_out; i++)
        out[i] = c->out[i].dtype == DT_NONE ? NULL : &s->out_tensor[i];
    void *scratch = p.scratch_bytes ? aligned_alloc(64, (p.scratch_bytes + 63) / 64 * 64) : NULL;
    if (scratch)
        memset(scratch, 0xA5, p.scratch_bytes);
    struct op_call call = {.graph = p.graph,
                           .node = &s->node,
                           .state = p.state,
                           .in = in,
                           .out = out,
                           .scratch = scratch,
                           .threads = way->threads,
                           .host = &s->host.host};
    enum code code = s->op->run(&call, e);
    free(scratch);
    if (s->op->release)
        s->op->release(p.state);
    return code;
}

static inline void op_case_one_way(struct op_case *c, struct op_case_way way) {
    struct op_case_stage *s = calloc(1, sizeof *s);
    struct err e = {0};
    op_case_build(s, c);
    if (op_case_infer(s, false, &e) != OK)
        fail_msg("%s: infer without data: %s", c->op_name, e.text);
    op_case_claims(s, false);
    if (op_case_infer(s, true, &e) != OK)
        fail_msg("%s: infer: %s", c->op_name, e.text);
    op_case_claims(s, true);
    op_case_load(s, &way);
    for (int i = 0; i < c->n_in; i++)
        s->in[i].data = c->constant >> i & 1 ? &s->in_tensor[i] : NULL;
    if (op_case_execute(s, &way, &e) != OK)
        fail_msg("%s: run: %s", c->op_name, e.text);
    op_case_judge(s);
    op_case_unload(s, &way);
    free(s);
}

static inline void op_case_check(struct op_case *c) {
    const struct op *op = op_find(str_of(c->op_name));
    op_case_one_way(c, (struct op_case_way){.threads = 1});
    op_case_one_way(c, (struct op_case_way){.threads = 2});
    bool alike = c->n_in > 0 && c->in[0].dtype == c->out[0].dtype &&
                 shape_eq(&c->in[0].shape, &c->out[0].shape);
    if (op->flags & OP_INPLACE && alike && tensor_count(&c->in[0]))
        op_case_one_way(c, (struct op_case_way){.threads = 1, .in_place = true});
    bool full = shape_eq(&c->in[0].shape, &c->out[0].shape);
    if ((op->flags & (OP_NHWC | OP_NHWC_ALL) || (op->flags & OP_ELEMENTWISE && full)) &&
        c->in[0].shape.rank >= 3 && c->out[0].shape.rank >= 3)
        for (int threads = 1; threads <= 2; threads++)
            op_case_one_way(c, (struct op_case_way){.threads = threads, .layout = LAYOUT_NHWC});
    c->absolute += c->ways_absolute;
    for (int way = 1; way <= c->n_ways; way++)
        for (int threads = 1; threads <= 2; threads++)
            op_case_one_way(
                c, (struct op_case_way){.threads = threads, .layout = LAYOUT_NHWC, .number = way});
    arena_deinit(&c->arena);
}

/* Runs once; c->got[i] then holds output i, until arena_deinit(&c->arena). Expected tensors give
 * only types (and for the absent ones, absence). */
static inline void op_case_run(struct op_case *c) {
    struct op_case_stage *s = calloc(1, sizeof *s);
    struct op_case_way way = {.threads = 1};
    struct err e = {0};
    op_case_build(s, c);
    if (op_case_infer(s, true, &e) != OK)
        fail_msg("%s: infer: %s", c->op_name, e.text);
    op_case_load(s, &way);
    if (op_case_execute(s, &way, &e) != OK)
        fail_msg("%s: run: %s", c->op_name, e.text);
    for (int i = 0; i < c->n_out; i++) {
        c->got[i] = s->out_tensor[i];
        size_t bytes = c->got[i].dtype == DT_NONE ? 0 : tensor_bytes(&c->got[i]);
        if (bytes && !(s->op->flags & OP_DYNAMIC)) {
            c->got[i].data = arena_push_aligned(&c->arena, bytes, 64);
            memcpy(c->got[i].data, s->out_tensor[i].data, bytes);
        }
    }
    op_case_unload(s, &way);
    free(s);
}

/* infer or run must fail with this code and a text that holds `part`. */
static inline void op_case_refuse(struct op_case *c, enum code code, const char *part) {
    struct op_case_stage *s = calloc(1, sizeof *s);
    struct op_case_way way = {.threads = 1};
    struct err e = {0};
    op_case_build(s, c);
    enum code got = op_case_infer(s, true, &e);
    if (got == OK) {
        op_case_load(s, &way);
        got = op_case_execute(s, &way, &e);
        op_case_unload(s, &way);
    }
    if (got != code)
        fail_msg("%s: got %s (%s), expected %s", c->op_name, err_name(got), e.text, err_name(code));
    if (!strstr(e.text, part))
        fail_msg("%s: '%s' does not say '%s'", c->op_name, e.text, part);
    free(s);
    arena_deinit(&c->arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors by name: see weights.h. Whatever a block may have besides is recognised by its tensors
 * being there. */
#include "llm/weights.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* --- finding --- */

struct binder {
    const struct model *model;
    const struct blueprint *plan;
    struct arena *arena;
    struct err *e;
    enum code code; /* of the first failure; later calls do nothing */
    const struct layer *layers;
    char name[96];
};

static const struct value *find(struct binder *b, const char *format, size_t layer,
                                const char *end) {
    snprintf(b->name, sizeof b->name, format, layer);
    size_t n = strlen(b->name);
    snprintf(b->name + n, sizeof b->name - n, "%s", end);
    const struct graph *g = b->model->main;
    value_id id = graph_find(g, str_of(b->name));
    return id == VALUE_NONE || !g->values[id].constant ? NULL : &g->values[id];
}

static void missing(struct binder *b) {
    if (b->code == OK)
        b->code = fail(b->e, FORMAT, "tensor '%s' is missing", b->name);
}

/* n floats of a vector, whatever its type; NULL where it is absent. */
static const float *vector(struct binder *b, const char *format, size_t layer, const char *end,
                           size_t n, float shift) {
    const struct value *v = find(b, format, layer, end);
    if (!v || b->code != OK)
        return NULL;
    const struct tensor *t = v->constant;
    if (tensor_count(t) != n || !dtype_is_float(t->dtype)) {
        b->code = fail(b->e, FORMAT, "tensor '%s': %zu floats wanted", b->name, n);
        return NULL;
    }
    float *y = arena_push_aligned(b->arena, n * sizeof *y + 1, MEM_LINE);
    if (!y) {
        b->code = arena_fail(b->arena, n * sizeof *y, b->name, b->e);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = (float)tensor_f64(t, i) + shift;
    return y;
}

static struct norm norm_of(struct binder *b, const char *format, size_t layer, size_t n) {
    struct norm norm = {0};
    float shift = b->plan->layer_norm ? 0 : b->plan->norm_shift;
    norm.weight = vector(b, format, layer, ".weight", n, shift);
    norm.bias = vector(b, format, layer, ".bias", n, 0);
    return norm;
}

static struct norm norm_needed(struct binder *b, const char *format, size_t layer, size_t n) {
    struct norm norm = norm_of(b, format, layer, n);
    if (!norm.weight) {
        find(b, format, layer, ".weight");
        missing(b);
    }
    return norm;
}

/* Rows [first, first + n) of a matrix and its bias; kind LINEAR_NONE where it is absent. */
static struct linear matrix_part(struct binder *b, const char *format, size_t layer, size_t first,
                                 size_t n, size_t all, size_t k) {
    struct linear l = {0};
    const struct value *v = find(b, format, layer, ".weight");
    if (!v || b->code != OK)
        return l;
    if (tensor_count(v->constant) != all * k)
        b->code = fail(b->e, FORMAT, "tensor '%s': (%zu, %zu) wanted", b->name, all, k);
    else
        b->code = linear_bind(&l, v, first, n, k, b->e);
    const float *bias = vector(b, format, layer, ".bias", all, 0);
    l.bias = bias ? bias + first : NULL;
    return l;
}

static struct linear matrix(struct binder *b, const char *format, size_t layer, size_t n,
                            size_t k) {
    return matrix_part(b, format, layer, 0, n, n, k);
}

static struct linear matrix_needed(struct binder *b, const char *format, size_t layer, size_t n,
                                   size_t k) {
    struct linear l = matrix(b, format, layer, n, k);
    if (l.kind == LINEAR_NONE) {
        find(b, format, layer, ".weight");
        missing(b);
    }
    return l;
}

/* --- a layer --- */

static void bind_attention(struct binder *b, struct layer *l, size_t i) {
    const struct blueprint *p = b->plan;
    size_t q = p->heads * p->head_dim, kv = p->kv_heads * p->head_dim, all = q + 2 * kv;
    if (find(b, "blk.%zu.attn_qkv", i, ".weight")) {
        l->q = matrix_part(b, "blk.%zu.attn_qkv", i, 0, q, all, p->width);
        l->k = matrix_part(b, "blk.%zu.attn_qkv", i, q, kv, all, p->width);
        l->v = matrix_part(b, "blk.%zu.attn_qkv", i, q + kv, kv, all, p->width);
    } else {
        l->q = matrix_needed(b, "blk.%zu.attn_q", i, q, p->width);
        l->k = matrix_needed(b, "blk.%zu.attn_k", i, kv, p->width);
        l->v = matrix_needed(b, "blk.%zu.attn_v", i, kv, p->width);
    }
    l->o = matrix_needed(b, "blk.%zu.attn_output", i, p->width, q);
    l->q_norm = norm_of(b, "blk.%zu.attn_q_norm", i, p->head_dim);
    l->k_norm = norm_of(b, "blk.%zu.attn_k_norm", i, p->head_dim);
    l->sinks = vector(b, "blk.%zu.attn_sinks", i, ".weight", p->heads, 0);
}

static struct linear expert_matrix(struct binder *b, const char *what, size_t layer, size_t expert,
                                   size_t n, size_t k) {
    char format[64];
    snprintf(format, sizeof format, "blk.%%zu.ffn_%s_exps", what);
    if (find(b, format, layer, ".weight"))
        return matrix_part(b, format, layer, expert * n, n, b->plan->experts * n, k);
    snprintf(format, sizeof format, "blk.%%zu.ffn_%s.%zu", what, expert);
    return matrix_needed(b, format, layer, n, k);
}

/* gate, then up, of each expert in one tensor. */
static struct linear half_expert(struct binder *b, size_t layer, size_t half) {
    size_t ffn = b->plan->expert_ffn;
    return matrix_part(b, "blk.%zu.ffn_gate_up_exps", layer, half * ffn, ffn,
                       b->plan->experts * 2 * ffn, b->plan->width);
}

static void bind_experts(struct binder *b, struct layer *l, size_t i) {
    const struct blueprint *p = b->plan;
    struct experts *x = ARENA_NEW(b->arena, struct experts);
    struct linear *all = ARENA_ARRAY(b->arena, 3 * p->experts, struct linear);
    if (!x || !all) {
        b->code = arena_fail(b->arena, 3 * p->experts * sizeof *all, "experts", b->e);
        return;
    }
    x->gate = all, x->up = all + p->experts, x->down = all + 2 * p->experts;
    x->router = matrix_needed(b, "blk.%zu.ffn_gate_inp", i, p->experts, p->width);
    bool both = find(b, "blk.%zu.ffn_gate_up_exps", i, ".weight");
    for (size_t expert = 0; expert < p->experts && b->code == OK; expert++) {
        x->gate[expert] = both ? half_expert(b, i, 2 * expert)
                               : expert_matrix(b, "gate", i, expert, p->expert_ffn, p->width);
        x->up[expert] = both ? half_expert(b, i, 2 * expert + 1)
                             : expert_matrix(b, "up", i, expert, p->expert_ffn, p->width);
        x->down[expert] = expert_matrix(b, "down", i, expert, p->width, p->expert_ffn);
    }
    x->shared_router = matrix(b, "blk.%zu.ffn_gate_inp_shexp", i, 1, p->width);
    l->experts = x;
}

/* The expert that all rows meet; as wide as its tensors are, the same in all layers. */
static void bind_shared(struct binder *b, struct layer *l, size_t i) {
    size_t width = b->plan->width;
    const struct value *up = find(b, "blk.%zu.ffn_up_shexp", i, ".weight");
    if (!up || b->code != OK)
        return;
    size_t ffn = tensor_count(up->constant) / width;
    if (i > 0 && b->layers[0].down.k != ffn) {
        b->code =
            fail(b->e, UNSUPPORTED, "tensor '%s': shared experts of different widths", b->name);
        return;
    }
    l->gate = matrix_needed(b, "blk.%zu.ffn_gate_shexp", i, ffn, width);
    l->up = matrix_needed(b, "blk.%zu.ffn_up_shexp", i, ffn, width);
    l->down = matrix_needed(b, "blk.%zu.ffn_down_shexp", i, width, ffn);
}

static void bind_ffn(struct binder *b, struct layer *l, size_t i) {
    const struct blueprint *p = b->plan;
    if (p->experts) {
        bind_experts(b, l, i);
        bind_shared(b, l, i);
        return;
    }
    const struct value *up = find(b, "blk.%zu.ffn_up", i, ".weight");
    if (up && tensor_count(up->constant) == 2 * p->ffn * p->width) { /* gate and up in one */
        l->gate = matrix_part(b, "blk.%zu.ffn_up", i, 0, p->ffn, 2 * p->ffn, p->width);
        l->up = matrix_part(b, "blk.%zu.ffn_up", i, p->ffn, p->ffn, 2 * p->ffn, p->width);
    } else {
        l->gate = matrix(b, "blk.%zu.ffn_gate", i, p->ffn, p->width);
        l->up = matrix_needed(b, "blk.%zu.ffn_up", i, p->ffn, p->width);
    }
    l->down = matrix_needed(b, "blk.%zu.ffn_down", i, p->width, p->ffn);
}

static void bind_layer(struct binder *b, struct layer *l, size_t i) {
    size_t width = b->plan->width;
    bind_attention(b, l, i);
    bind_ffn(b, l, i);
    if (b->plan->encoder) {
        l->attn_out = norm_needed(b, "blk.%zu.attn_output_norm", i, width);
        l->ffn_out = norm_needed(b, "blk.%zu.layer_output_norm", i, width);
        return;
    }
    l->attn_norm = norm_needed(b, "blk.%zu.attn_norm", i, width);
    l->ffn_norm = norm_needed(b, "blk.%zu.ffn_norm", i, width);
    l->attn_post = norm_of(b, "blk.%zu.post_attention_norm", i, width);
    l->ffn_post = norm_of(b, "blk.%zu.post_ffw_norm", i, width);
}

/* --- the model --- */

static void bind_ends(struct binder *b, struct weights *w) {
    const struct blueprint *p = b->plan;
    size_t half = p->rope_dims / 2;
    w->embedding = matrix_needed(b, "token_embd", 0, p->vocab, p->width);
    if (p->encoder) {
        const struct value *types = find(b, "token_types", 0, ".weight");
        w->positions = matrix(b, "position_embd", 0, p->context, p->width);
        if (types)
            w->types =
                matrix(b, "token_types", 0, tensor_count(types->constant) / p->width, p->width);
        w->embedding_norm = norm_of(b, "token_embd_norm", 0, p->width);
        return;
    }
    w->output_norm = norm_needed(b, "output_norm", 0, p->width);
    w->head = matrix(b, "output", 0, p->vocab, p->width);
    if (w->head.kind == LINEAR_NONE)
        w->head = w->embedding;
    w->rope_factors = vector(b, "rope_freqs", 0, ".weight", half, 0);
    if (!w->rope_factors)
        w->rope_factors = vector(b, "rope_factors_short", 0, ".weight", half, 0);
    w->rope_factors_long = vector(b, "rope_factors_long", 0, ".weight", half, 0);
}

enum code weights_bind(const struct model *m, const struct blueprint *p, struct arena *a,
                       struct weights *out, struct err *e) {
    struct binder b = {.model = m, .plan = p, .arena = a, .e = e};
    struct weights w = {.arena = a};
    w.layers = ARENA_ARRAY(a, p->layers, struct layer);
    if (!w.layers)
        return arena_fail(a, p->layers * sizeof *w.layers, "layers", e);
    b.layers = w.layers;
    bind_ends(&b, &w);
    for (size_t i = 0; i < p->layers && b.code == OK; i++)
        bind_layer(&b, &w.layers[i], i);
    if (b.code == OK)
        *out = w;
    return b.code;
}

static void each_expert(struct experts *x, size_t n, void (*fn)(void *ctx, struct linear *l),
                        void *ctx) {
    fn(ctx, &x->router);
    for (size_t i = 0; i < n; i++) {
        fn(ctx, &x->gate[i]);
        fn(ctx, &x->up[i]);
        fn(ctx, &x->down[i]);
    }
    if (x->shared_router.kind)
        fn(ctx, &x->shared_router);
}

void weights_each(struct weights *w, const struct blueprint *b,
                  void (*fn)(void *ctx, struct linear *l), void *ctx) {
    for (size_t i = 0; i < b->layers; i++) {
        struct layer *l = &w->layers[i];
        struct linear *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
            if (all[j]->kind)
                fn(ctx, all[j]);
        if (l->experts)
            each_expert(l->experts, b->experts, fn, ctx);
    }
    if (w->head.kind)
        fn(ctx, &w->head);
}

/* --- packing --- */

#define HUGE_PAGE ((size_t)2 << 20)
static const char layout[] = "strips"; /* kernel/packed.h, kernel/fixed.h */

/* Matrices of one tensor lie side by side: a keeper has them under the tensor's bytes. */
struct bundle {
    struct linear *const *matrix; /* (n) */
    size_t n;
    struct keeper_pack pack;
};

struct gathering { /* every matrix, by tensor, then by place in it */
    struct linear **all;
    size_t n, room;
};

static void gather_one(void *ctx, struct linear *l) {
    struct gathering *g = ctx;
    if (g->all)
        g->all[g->n] = l;
    g->n++;
}

static int by_place(const void *a, const void *b) {
    const struct linear *x = *(struct linear *const *)a, *y = *(struct linear *const *)b;
    if (x->of != y->of)
        return x->of < y->of ? -1 : 1;
    return x->raw < y->raw ? -1 : x->raw > y->raw;
}

static enum code gather(struct weights *w, const struct blueprint *b, struct gathering *g,
                        struct err *e) {
    *g = (struct gathering){0};
    weights_each(w, b, gather_one, g);
    g->all = mem_alloc(g->n * sizeof *g->all);
    if (!g->all)
        return fail(e, NOMEM, "a list of %zu matrices", g->n);
    g->n = 0;
    weights_each(w, b, gather_one, g);
    qsort(g->all, g->n, sizeof *g->all, by_place);
    return OK;
}

/* The bundle that starts at *at, which moves on behind it. packing: how the tensor is cut. */
static struct bundle next_bundle(const struct gathering *g, size_t *at) {
    const struct tensor *of = g->all[*at]->of;
    struct bundle b = {.matrix = g->all + *at,
                       .pack = {.constant = of->data,
                                .constant_bytes = tensor_bytes(of),
                                .layout = layout,
                                .revision = linear_revision(g->all[*at])}};
    uint64_t h = 0;
    for (; *at < g->n && g->all[*at]->of == of; ++*at, b.n++) {
        const struct linear *l = g->all[*at];
        size_t first = (size_t)(l->raw - (const char *)of->data) / l->raw_row;
        h = ((h * 31 + first) * 31 + l->n) * 31 + l->k;
        b.pack.bytes += linear_bytes(l);
    }
    b.pack.packing = h;
    return b;
}

static void place(const struct bundle *b, void *memory) {
    char *at = memory;
    for (size_t i = 0; i < b->n; i++) {
        linear_place(b->matrix[i], at);
        at += linear_bytes(b->matrix[i]);
    }
}

static void pack_one(const struct linear *l, int threads) {
    enum { PIECE = 16 }; /* strips */
    size_t strips = linear_strips(l), pieces = (strips + PIECE - 1) / PIECE;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t i = 0; i < pieces; i++)
        linear_pack(l, i * PIECE, (i + 1) * PIECE < strips ? (i + 1) * PIECE : strips);
}

/* Places every bundle that the keeper has; counts what the others need. */
static void find_all(struct weights *w, const struct gathering *g, struct keeper *k) {
    w->bytes = w->kept = 0;
    for (size_t i = 0; i < g->n;) {
        const struct bundle b = next_bundle(g, &i);
        const void *found = k ? k->find(k, &b.pack) : NULL;
        if (found)
            place(&b, (void *)(uintptr_t)found);
        *(found ? &w->kept : &w->bytes) += b.pack.bytes;
    }
}

static void pack_others(struct weights *w, const struct gathering *g, int threads) {
    char *at = w->memory;
    for (size_t i = 0; i < g->n;) {
        const struct bundle b = next_bundle(g, &i);
        if (b.matrix[0]->codes)
            continue;
        place(&b, at);
        at += b.pack.bytes;
        for (size_t j = 0; j < b.n; j++)
            pack_one(b.matrix[j], threads);
    }
}

static enum code pack_gathered(struct weights *w, const struct gathering *g, struct keeper *k,
                               int threads, struct err *e) {
    find_all(w, g, k);
    if (!w->bytes)
        return OK;
    w->bytes = mem_round_up(w->bytes, HUGE_PAGE);
    w->memory = mem_alloc_aligned(w->bytes, HUGE_PAGE);
    if (!w->memory)
        return fail(e, NOMEM, "packed weights of %zu bytes", w->bytes);
    madvise(w->memory, w->bytes, MADV_HUGEPAGE); /* a tenth faster to read; a wish */
    pack_others(w, g, threads);
    return OK;
}

enum code weights_pack(struct weights *w, const struct blueprint *b, struct keeper *k, int threads,
                       struct err *e) {
    struct gathering g;
    TRY(gather(w, b, &g, e));
    enum code code = pack_gathered(w, &g, k, threads, e);
    mem_free(g.all);
    return code;
}

static enum code keep_one(const struct bundle *b, struct keeper *k, struct err *e) {
    if (k->find(k, &b->pack))
        return OK;
    void *memory = mem_alloc_aligned(b->pack.bytes, HUGE_PAGE);
    if (!memory)
        return fail(e, NOMEM, "a packed tensor of %zu bytes", b->pack.bytes);
    memset(memory, 0, b->pack.bytes); /* between matrices */
    char *at = memory;
    for (size_t i = 0; i < b->n; i++) {
        struct linear l = *b->matrix[i];
        linear_place(&l, at);
        pack_one(&l, 1);
        at += linear_bytes(&l);
    }
    enum code code = k->keep(k, &b->pack, memory, e);
    mem_free(memory);
    return code;
}

enum code weights_keep(struct weights *w, const struct blueprint *b, struct keeper *k,
                       const atomic_bool *stop, struct err *e) {
    struct gathering g;
    TRY(gather(w, b, &g, e));
    enum code code = OK;
    for (size_t i = 0; i < g.n && code == OK && !(stop && atomic_load(stop));) {
        const struct bundle bundle = next_bundle(&g, &i);
        code = keep_one(&bundle, k, e);
    }
    mem_free(g.all);
    return code;
}

void weights_free(struct weights *w) {
    mem_free(w->memory);
    w->memory = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model for computing, and the two calls that compute: see forward.h. */
#include "llm/forward.h"

#include "base/clock.h"
#include "base/cores.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "llm/arch.h"
#include "llm/step.h"

#include <math.h>
#include <string.h>

#define VECTOR_CAP ((size_t)4 << 30) /* norms, biases, layers */

/* --- opening --- */

static size_t at_most(size_t n, size_t most) { return n < most ? n : most; }

static enum code page_kind_of(enum dtype t, enum page_kind *out, struct err *e) {
    switch ((int)t) {
    case DT_NONE:
    case DT_F16: *out = PAGE_F16; return OK;
    case DT_BF16: *out = PAGE_BF16; return OK;
    case DT_F32: *out = PAGE_F32; return OK;
    case DT_Q8_0: *out = PAGE_Q8; return OK;
    default: break;
    }
    return fail(e, UNSUPPORTED, "a cache of %s: f16, bf16, q8_0 or f32", dtype_name(t));
}

static enum code open_cache(struct forward *f, const struct forward_options *o, struct err *e) {
    enum { DEFAULT_CAP = 1 << 30 };
    const struct blueprint *p = &f->plan;
    struct kv_shape s = {.layers = p->layers,
                         .heads = p->kv_heads,
                         .dim = p->head_dim,
                         .context = f->context,
                         .sequences = f->max_sequences};
    TRY(page_kind_of(p->encoder ? DT_F32 : o->kv_dtype, &s.kind, e));
    size_t page = p->layers * p->kv_heads * 2 * page_half_bytes(s.kind, p->head_dim);
    size_t pages = (size_t)f->max_sequences * ((f->context + PAGE - 1) / PAGE);
    s.bytes = o->kv_bytes ? o->kv_bytes : at_most(pages * page, DEFAULT_CAP);
    return kv_open(&s, &f->kv, e);
}

static void want_intakes(struct forward *f) {
    const struct blueprint *p = &f->plan;
    f->in.k = f->out.k = p->width;
    f->attn.k = p->heads * p->head_dim;
    f->mid.k = f->weights.layers[0].down.kind ? f->weights.layers[0].down.k : p->ffn;
    for (size_t i = 0; i < p->layers; i++) {
        const struct layer *l = &f->weights.layers[i];
        const struct linear *in[] = {&l->q, &l->k, &l->v, &l->gate, &l->up};
        for (size_t j = 0; j < sizeof in / sizeof in[0]; j++)
            intake_want(&f->in, in[j]);
        intake_want(&f->attn, &l->o);
        intake_want(&f->mid, &l->down);
        if (!l->experts)
            continue;
        intake_want(&f->in, &l->experts->router);
        intake_want(&f->in, &l->experts->shared_router);
        for (size_t j = 0; j < p->experts; j++) {
            intake_want(&f->in, &l->experts->gate[j]);
            intake_want(&f->in, &l->experts->up[j]);
        }
    }
    intake_want(&f->out, &f->weights.head);
}

struct block { /* hands out pieces of one allocation; memory NULL: counts only */
    char *memory;
    size_t used;
};
static void *take(struct block *b, size_t bytes) {
    void *at = b->memory ? b->memory + b->used : NULL;
    b->used += mem_round_up(bytes, MEM_LINE);
    return at;
}

static void lay_out(struct forward *f, struct block *b) {
    const struct blueprint *p = &f->plan;
    size_t rows = f->max_rows, q = p->heads * p->head_dim, kv = p->kv_heads * p->head_dim;
    size_t sequences = (size_t)f->max_sequences, pages = (f->context + PAGE - 1) / PAGE;
    f->x = take(b, rows * p->width * sizeof(float));
    f->side = take(b, rows * p->width * sizeof(float));
    f->q = take(b, rows * q * sizeof(float));
    f->k = take(b, rows * kv * sizeof(float));
    f->v = take(b, rows * kv * sizeof(float));
    f->attended = take(b, rows * q * sizeof(float));
    for (int i = 0; i < 2; i++)
        f->angles[i] = take(b, rows * p->rope_dims * sizeof(float) + 1);
    f->pages = take(b, sequences * pages * sizeof *f->pages);
    f->lengths = take(b, sequences * sizeof *f->lengths);
    f->positions = take(b, rows * sizeof *f->positions);
    f->wanted = take(b, rows * sizeof *f->wanted);
    f->tiles.tile = take(b, rows * sizeof *f->tiles.tile);
    f->last_tiles.tile = take(b, rows * sizeof *f->tiles.tile);
    struct intake *all[] = {&f->in, &f->attn, &f->mid, &f->out};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        void *at = take(b, intake_bytes(all[i], rows));
        if (at)
            intake_place(all[i], rows, at);
    }
    float **room = take(b, (size_t)f->threads * sizeof *room);
    for (int i = 0; i < f->threads; i++) {
        float *at = take(b, f->thread_floats * sizeof *at);
        if (room)
            room[i] = at;
    }
    f->thread_room = room;
}

static enum code open_scratch(struct forward *f, struct err *e) {
    enum { GATE_FLOATS = 2 * 128 * SUPER }; /* step_gate's blocks */
    struct block b = {0};
    f->thread_floats = f->plan.width > GATE_FLOATS ? f->plan.width : GATE_FLOATS;
    want_intakes(f);
    lay_out(f, &b);
    f->memory = mem_alloc_aligned(b.used, MEM_LINE);
    if (!f->memory)
        return fail(e, NOMEM, "scratch of %zu bytes for %zu rows", b.used, f->max_rows);
    f->bytes += b.used;
    b = (struct block){.memory = f->memory};
    lay_out(f, &b);
    return f->plan.experts ? experts_open(f, e) : OK;
}

static enum code bind(const struct model *m, const struct llm_facts *facts, size_t context,
                      struct forward *f, struct err *e) {
    TRY(arch_plan(facts, &f->plan, e));
    TRY(weights_bind(m, &f->plan, &f->arena, &f->weights, e));
    f->plan.context = context ? at_most(context, f->plan.context) : f->plan.context;
    return arch_finish(facts, &f->weights, &f->arena, &f->plan, e);
}

static enum code open_into(const struct model *m, const struct llm_facts *facts,
                           const struct forward_options *o, struct forward *f, struct err *e) {
    TRY(bind(m, facts, o->context, f, e));
    f->threads = o->threads > 0 ? o->threads : cpu_cores();
    f->max_rows = o->max_rows ? o->max_rows : 512;
    f->max_sequences = o->max_sequences > 0 ? o->max_sequences : 1;
    f->context = f->plan.context;
    TRY(open_cache(f, o, e));
    TRY(open_scratch(f, e));
    TRY(weights_pack(&f->weights, &f->plan, o->keeper, f->threads, e));
    f->bytes += f->weights.bytes + f->weights.kept;
    return OK;
}

enum code forward_open(const struct model *m, const struct llm_facts *facts,
                       const struct forward_options *o, struct forward **out, struct err *e) {
    struct forward *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return fail(e, NOMEM, "forward pass");
    arena_init(&f->arena, VECTOR_CAP);
    enum code code = open_into(m, facts, o, f, e);
    if (code != OK) {
        forward_close(f);
        return code;
    }
    *out = f;
    return OK;
}

void forward_close(struct forward *f) {
    if (!f)
        return;
    weights_free(&f->weights);
    experts_close(f);
    kv_close(f->kv);
    mem_free(f->memory);
    mem_free(f->logits);
    arena_deinit(&f->arena);
    mem_free(f);
}

/* The model bound, nothing packed or allocated for computing. */
static enum code open_bound(const struct model *m, struct forward **out, struct err *e) {
    struct llm_facts facts;
    struct forward *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return fail(e, NOMEM, "check of a language model");
    arena_init(&f->arena, VECTOR_CAP);
    enum code code = llm_facts_read(m, &facts, e);
    if (code == OK)
        code = bind(m, &facts, 0, f, e);
    if (code == OK)
        *out = f;
    else
        forward_close(f);
    return code;
}

enum code forward_check(const struct model *m, struct err *e) {
    struct forward *f;
    TRY(open_bound(m, &f, e));
    forward_close(f);
    return OK;
}

enum code forward_keep(const struct model *m, struct keeper *k, const atomic_bool *stop,
                       struct err *e) {
    struct forward *f;
    TRY(open_bound(m, &f, e));
    enum code code = weights_keep(&f->weights, &f->plan, k, stop, e);
    forward_close(f);
    return code;
}

/* --- computing --- */

static enum code check_row(const struct forward *f, const struct forward_row *r, struct err *e) {
    if (r->token < 0 || (size_t)r->token >= f->plan.vocab)
        return fail(e, INVALID, "token %d: the vocabulary has %zu", r->token, f->plan.vocab);
    if (r->sequence < 0 || r->sequence >= f->max_sequences)
        return fail(e, INVALID, "sequence %d of %d", r->sequence, f->max_sequences);
    if (r->position < 0 || (size_t)r->position >= f->context)
        return fail(e, LIMIT, "position %d: the context holds %zu", r->position, f->context);
    if (kv_page(f->kv, r->sequence, (size_t)r->position / PAGE) < 0)
        return fail(e, INVALID, "position %d of sequence %d has no room in the cache", r->position,
                    r->sequence);
    return OK;
}

static enum code check_rows(const struct forward *f, const struct forward_row *rows, size_t n,
                            struct err *e) {
    if (n == 0 || n > f->max_rows)
        return fail(e, INVALID, "a step of %zu rows: 1 to %zu", n, f->max_rows);
    for (size_t i = 0; i < n; i++)
        TRY(check_row(f, &rows[i], e));
    return OK;
}

static enum code room_for_logits(struct forward *f, struct err *e) {
    size_t floats = f->n_wanted * f->plan.vocab;
    if (floats <= f->logits_room)
        return OK;
    float *logits = mem_alloc_aligned(floats * sizeof *logits, MEM_LINE);
    if (!logits)
        return fail(e, NOMEM, "logits of %zu rows", f->n_wanted);
    mem_free(f->logits);
    f->logits = logits;
    f->logits_room = floats;
    return OK;
}

/* On as many cores as are free: what it computes does not depend on their number. */
static void compute(struct forward *f) {
    int granted = cores_take_behind(team_size(&f->team, f->n_rows, f->threads));
    uint64_t began = clock_ns();
    step_run(f, granted);
    team_note(&f->team, f->n_rows, granted, f->threads, clock_ns() - began, f->crew.late_ns);
    cores_give(granted);
}

enum code forward_step(struct forward *f, const struct forward_row *rows, size_t n,
                       const float **logits, struct err *e) {
    if (f->plan.encoder)
        return fail(e, UNSUPPORTED, "an encoder has no next token: use embeddings");
    TRY(check_rows(f, rows, n, e));
    f->rows = rows, f->n_rows = n, f->all_rows = false;
    attention_tiles(f);
    TRY(room_for_logits(f, e));
    compute(f);
    *logits = f->n_wanted ? f->logits : NULL;
    return OK;
}

/* --- embeddings --- */

static void pool(const struct forward *f, const float *x, size_t rows, float *y) {
    size_t width = f->plan.width, first = 0, n = rows;
    if (f->plan.pooling == POOL_CLS)
        n = 1;
    if (f->plan.pooling == POOL_LAST)
        first = rows - 1, n = 1;
    memset(y, 0, width * sizeof *y);
    for (size_t row = first; row < first + n; row++)
        for (size_t i = 0; i < width; i++)
            y[i] += x[row * width + i];
    double square = 0;
    for (size_t i = 0; i < width; i++)
        square += (double)y[i] * (double)y[i];
    float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
    for (size_t i = 0; i < width; i++)
        y[i] *= scale;
}

static enum code embed_rows(struct forward *f, const struct forward_row *rows, size_t n, float *out,
                            struct err *e) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].sequence >= 0 && rows[i].sequence < f->max_sequences)
            TRY(kv_reserve(f->kv, rows[i].sequence, (size_t)rows[i].position + 1, e));
    TRY(check_rows(f, rows, n, e));
    f->rows = rows, f->n_rows = n, f->all_rows = true;
    attention_tiles(f);
    compute(f);
    for (size_t i = 0, end; i < n; i = end, out += f->plan.width) {
        for (end = i + 1; end < n && rows[end].sequence == rows[i].sequence;)
            end++;
        if (!f->plan.encoder)
            for (size_t row = i; row < end; row++)
                step_norm(f, &f->weights.output_norm, f->plan.width, f->x + row * f->plan.width,
                          f->x + row * f->plan.width);
        pool(f, f->x + i * f->plan.width, end - i, out);
    }
    return OK;
}

enum code forward_embed(struct forward *f, const struct forward_row *rows, size_t n, float *out,
                        struct err *e) {
    enum code code = embed_rows(f, rows, n, out, e);
    for (size_t i = 0; i < n; i++)
        if (rows[i].sequence >= 0 && rows[i].sequence < f->max_sequences)
            kv_release(f->kv, rows[i].sequence);
    return code;
}

/* --- facts --- */

struct kv *forward_kv(struct forward *f) {
    return f->kv;
}
size_t forward_vocab(const struct forward *f) { return f->plan.vocab; }
size_t forward_width(const struct forward *f) { return f->plan.width; }
size_t forward_context(const struct forward *f) { return f->context; }
size_t forward_max_rows(const struct forward *f) { return f->max_rows; }
bool forward_is_encoder(const struct forward *f) { return f->plan.encoder; }
size_t forward_packed_bytes(const struct forward *f) { return f->weights.bytes; }
size_t forward_bytes(const struct forward *f) { return f->bytes; }

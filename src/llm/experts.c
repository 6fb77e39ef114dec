/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts: a router picks a few feed-forward nets for each row. Experts are computed
 * one after the other, each for all rows that picked it; a row adds its experts' answers in the
 * order of their numbers, so its sum does not depend on the other rows. */
#include "llm/step.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

struct pick {
    int32_t row;
    float weight;
};

struct expert_room {
    float *scores;      /* (max_rows, experts) */
    float *shares;      /* (max_rows): of the shared expert */
    struct pick *picks; /* (experts, max_rows) */
    size_t *counts;     /* (experts) */
    float *y;           /* (max_rows, width) */
    struct intake in, mid;
    void *memory;
};

enum code experts_open(struct forward *f, struct err *e) {
    const struct blueprint *p = &f->plan;
    struct expert_room *r = mem_zalloc(1, sizeof *r);
    f->expert_room = r;
    if (!r)
        return fail(e, NOMEM, "scratch for experts");
    r->in = f->in;
    r->mid = (struct intake){.k = p->expert_ffn};
    for (size_t i = 0; i < p->layers; i++)
        for (size_t j = 0; j < p->experts; j++)
            intake_want(&r->mid, &f->weights.layers[i].experts->down[j]);
    size_t in = intake_bytes(&r->in, f->max_rows), mid = intake_bytes(&r->mid, f->max_rows);
    r->memory = mem_alloc_aligned(in + mid + MEM_LINE, MEM_LINE);
    r->scores = mem_zalloc(f->max_rows * (p->experts + 1), sizeof *r->scores);
    r->picks = mem_zalloc(f->max_rows * p->experts, sizeof *r->picks);
    r->counts = mem_zalloc(p->experts, sizeof *r->counts);
    r->y = mem_zalloc(f->max_rows * p->width, sizeof *r->y);
    if (!r->memory || !r->scores || !r->picks || !r->counts || !r->y)
        return fail(e, NOMEM, "scratch for experts");
    r->shares = r->scores + f->max_rows * p->experts;
    intake_place(&r->in, f->max_rows, r->memory);
    intake_place(&r->mid, f->max_rows, (char *)r->memory + in);
    return OK;
}

void experts_close(struct forward *f) {
    struct expert_room *r = f->expert_room;
    if (!r)
        return;
    mem_free(r->memory);
    mem_free(r->scores);
    mem_free(r->picks);
    mem_free(r->counts);
    mem_free(r->y);
    mem_free(r);
}

/* Scores of a row become weights: softmax, then all but the best `used` are 0. */
static void choose_row(const struct blueprint *p, float *s) {
    bool taken[256] = {0};
    float sum = 0;
    kernel_set()->softmax_f32(p->experts, s, s);
    for (size_t n = 0; n < p->experts_used; n++) {
        size_t best = p->experts;
        for (size_t i = 0; i < p->experts; i++) /* of equals the first */
            if (!taken[i] && (best == p->experts || s[i] > s[best]))
                best = i;
        taken[best] = true;
        sum += s[best];
    }
    for (size_t i = 0; i < p->experts; i++)
        s[i] = !taken[i] ? 0 : p->experts_normed && sum > 0 ? s[i] / sum : s[i];
}

static void list_picks(const struct blueprint *p, struct expert_room *r, size_t m, size_t max) {
    for (size_t i = 0; i < p->experts; i++) {
        r->counts[i] = 0;
        for (size_t row = 0; row < m; row++) {
            float weight = r->scores[row * p->experts + i];
            if (weight > 0)
                r->picks[i * max + r->counts[i]++] = (struct pick){(int32_t)row, weight};
        }
    }
}

static void add_rows(struct forward *f, const struct pick *picks, size_t n, float *x) {
    size_t width = f->plan.width, i, end;
    while (crew_take(&f->crew, n, 1, &i, &end)) {
        const float *y = f->expert_room->y + i * width;
        float *to = x + (size_t)picks[i].row * width;
        for (size_t j = 0; j < width; j++)
            to[j] += picks[i].weight * y[j];
    }
    crew_barrier(&f->crew);
}

static void one_expert(struct forward *f, const struct experts *x, size_t index, float *y,
                       int thread) {
    struct expert_room *r = f->expert_room;
    const struct pick *picks = r->picks + index * f->max_rows;
    size_t n = r->counts[index], i, end;
    const struct product down = {&x->down[index], r->y, f->plan.width, false};
    while (crew_take(&f->crew, n, 1, &i, &end))
        intake_copy(&r->in, i, &f->in, (size_t)picks[i].row);
    crew_barrier(&f->crew);
    step_gate(f, &r->in, &r->mid, n, &x->gate[index], &x->up[index], thread);
    crew_barrier(&f->crew);
    step_products(f, &r->mid, n, &down, 1);
    crew_barrier(&f->crew);
    add_rows(f, picks, n, y);
}

/* The expert that every row meets, weighed by a router of its own where there is one. */
static void shared_expert(struct forward *f, const struct layer *l, size_t m, float *y,
                          int thread) {
    struct expert_room *r = f->expert_room;
    const struct product down = {&l->down, r->y, f->plan.width, false};
    size_t width = f->plan.width, row, end;
    step_gate(f, &f->in, &f->mid, m, &l->gate, &l->up, thread);
    crew_barrier(&f->crew);
    step_products(f, &f->mid, m, &down, 1);
    crew_barrier(&f->crew);
    while (crew_take(&f->crew, m, 1, &row, &end)) {
        float share = l->experts->shared_router.kind ? 1 / (1 + expf(-r->shares[row])) : 1;
        for (size_t j = 0; j < width; j++)
            y[row * width + j] += share * r->y[row * width + j];
    }
    crew_barrier(&f->crew);
}

void experts_run(struct forward *f, const struct layer *l, size_t m, float *y, int thread) {
    struct expert_room *r = f->expert_room;
    const struct blueprint *p = &f->plan;
    const struct experts *x = l->experts;
    const struct product routers[] = {{&x->router, r->scores, p->experts, false},
                                      {&x->shared_router, r->shares, 1, false}};
    size_t row, end;
    step_products(f, &f->in, m, routers, x->shared_router.kind ? 2 : 1);
    crew_barrier(&f->crew);
    while (crew_take(&f->crew, m, 1, &row, &end))
        choose_row(p, r->scores + row * p->experts);
    crew_barrier(&f->crew);
    if (thread == 0)
        list_picks(p, r, m, f->max_rows);
    crew_barrier(&f->crew);
    for (size_t i = 0; i < p->experts; i++)
        if (r->counts[i])
            one_expert(f, x, i, y, thread);
    if (l->up.kind)
        shared_expert(f, l, m, y, thread);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: see counter.h.
 *
 * Every thread gets a stripe number when it first counts; a series keeps one padded row of cells
 * per stripe, so that two threads rarely share a cache line and never a lock. Threads beyond
 * STRIPES share rows, which is why cells are atomics. A gauge has a single cell: its last value
 * must be one value.
 *
 *   row of a TOTAL:      [count]
 *   row of a HISTOGRAM:  [bucket 0 .. bucket n_buckets (above all bounds)] [sum, as the bits of a
 * double]
 *
 * Owner: `table` below, behind `lock`; cells by anyone, lock-free. */
#include "base/counter.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

enum { STRIPES = 16, CELLS_PER_LINE = MEM_LINE / 8 };

typedef _Atomic uint64_t cell;

struct family { /* one registered counter_family, in order of first use */
    const struct counter_family *facts;
    struct counter *first, *last;
    struct family *next;
};

struct counter {
    struct family *family;
    struct counter *previous, *next;
    uint64_t owners;     /* counter_get less counter_drop */
    size_t row_cells;    /* per stripe, a multiple of CELLS_PER_LINE */
    cell *cells;         /* (stripes, row_cells) owned, aligned to MEM_LINE */
    struct str values[]; /* n_labels, their text behind them */
};

static struct {
    pthread_mutex_t lock;
    struct family *first, *last;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned stripe(void) {
    static _Atomic unsigned next;
    static _Thread_local unsigned mine; /* stripe + 1; 0 = none yet */
    if (__builtin_expect(mine == 0, 0))
        mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % STRIPES + 1;
    return mine - 1;
}

static size_t n_stripes(const struct counter_family *f) {
    return f->kind == COUNTER_GAUGE ? 1 : STRIPES;
}

static size_t n_cells(const struct counter_family *f) {
    return f->kind == COUNTER_HISTOGRAM ? (size_t)f->n_buckets + 2 : 1;
}

/* --- registration, under the lock --- */

static struct family *family_of(const struct counter_family *facts) {
    for (struct family *f = table.first; f; f = f->next)
        if (f->facts == facts)
            return f;
    struct family *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->facts = facts;
    *(table.last ? &table.last->next : &table.first) = f;
    table.last = f;
    return f;
}

static struct counter *find(const struct family *f, const struct str *values) {
    for (struct counter *c = f->first; c; c = c->next) {
        int same = 0;
        while (same < f->facts->n_labels && str_eq(c->values[same], values[same]))
            same++;
        if (same == f->facts->n_labels)
            return c;
    }
    return NULL;
}

static struct counter *create(struct family *f, const struct str *values) {
    size_t n = (size_t)f->facts->n_labels, text = 0;
    for (size_t label = 0; label < n; label++)
        text += values[label].n;
    struct counter *c = mem_zalloc(1, sizeof *c + n * sizeof *values + text);
    if (!c)
        return NULL;
    c->family = f;
    c->row_cells = mem_round_up(n_cells(f->facts), CELLS_PER_LINE);
    size_t bytes = n_stripes(f->facts) * c->row_cells * sizeof(cell);
    c->cells = mem_alloc_aligned(bytes, MEM_LINE);
    if (!c->cells) {
        mem_free(c);
        return NULL;
    }
    memset((void *)c->cells, 0, bytes);
    char *to = (char *)(c->values + n);
    for (size_t label = 0; label < n; to += values[label].n, label++) {
        c->values[label] = (struct str){to, values[label].n};
        if (values[label].n)
            memcpy(to, values[label].p, values[label].n);
    }
    c->previous = f->last;
    *(f->last ? &f->last->next : &f->first) = c;
    f->last = c;
    return c;
}

struct counter *counter_get(const struct counter_family *facts, const struct str *label_values) {
    pthread_mutex_lock(&table.lock);
    struct family *f = family_of(facts);
    struct counter *c = f ? find(f, label_values) : NULL;
    if (f && !c)
        c = create(f, label_values);
    if (c)
        c->owners++;
    pthread_mutex_unlock(&table.lock);
    return c;
}

void counter_drop(struct counter *c) {
    if (!c)
        return;
    pthread_mutex_lock(&table.lock);
    if (--c->owners) {
        pthread_mutex_unlock(&table.lock);
        return;
    }
    *(c->previous ? &c->previous->next : &c->family->first) = c->next;
    *(c->next ? &c->next->previous : &c->family->last) = c->previous;
    pthread_mutex_unlock(&table.lock);
    mem_free((void *)c->cells);
    mem_free(c);
}

/* --- updates --- */

static cell *row(struct counter *c) { return c->cells + stripe() * c->row_cells; }

static void bump(cell *at, uint64_t n) { atomic_fetch_add_explicit(at, n, memory_order_relaxed); }

void counter_add(struct counter *c, uint64_t n) {
    if (c)
        bump(row(c), n);
}

void counter_set(struct counter *c, int64_t v) {
    if (c)
        atomic_store_explicit(c->cells, (uint64_t)v, memory_order_relaxed);
}

void counter_move(struct counter *c, int64_t delta) {
    if (c)
        bump(c->cells, (uint64_t)delta);
}

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t to_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

void counter_observe(struct counter *c, double v) {
    if (!c || v != v)
        return;
    const struct counter_family *f = c->family->facts;
    int bucket = 0;
    while (bucket < f->n_buckets && v > f->buckets[bucket])
        bucket++;
    cell *mine = row(c), *sum = mine + f->n_buckets + 1;
    bump(mine + bucket, 1);
    uint64_t old = atomic_load_explicit(sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(sum, &old, to_bits(from_bits(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* --- reading --- */

static uint64_t sum_cell(const struct counter *c, size_t at) {
    uint64_t total = 0;
    for (size_t s = 0; s < n_stripes(c->family->facts); s++)
        total += atomic_load_explicit(&c->cells[s * c->row_cells + at], memory_order_relaxed);
    return total;
}

uint64_t counter_total(const struct counter *c) { return c ? sum_cell(c, 0) : 0; }

static void visit_one(const struct counter *c, counter_visit_fn *fn, void *ctx) {
    const struct counter_family *f = c->family->facts;
    int64_t values[COUNTER_BUCKETS + 1] = {0};
    double sum = 0;
    size_t n = f->kind == COUNTER_HISTOGRAM ? (size_t)f->n_buckets + 1 : 1;
    for (size_t at = 0; at < n; at++)
        values[at] = (int64_t)sum_cell(c, at);
    if (f->kind == COUNTER_HISTOGRAM)
        for (size_t s = 0; s < STRIPES; s++)
            sum += from_bits(
                atomic_load_explicit(&c->cells[s * c->row_cells + n], memory_order_relaxed));
    fn(ctx, f, c->values, values, sum);
}

void counter_visit(counter_visit_fn *fn, void *ctx) {
    pthread_mutex_lock(&table.lock);
    for (struct family *f = table.first; f; f = f->next)
        for (struct counter *c = f->first; c; c = c->next)
            visit_one(c, fn, ctx);
    pthread_mutex_unlock(&table.lock);
}

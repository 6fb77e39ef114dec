/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest elements are copied, row by row of the innermost axis that changes: what lies behind it
 * moves as one block, and a row that repeats the one before is copied whole. Weighted sums go one
 * axis at a time over (outer, axis, inner): with much behind the axis, rows of `inner` are blended
 * by a kernel; with little, each element gathers its taps. */
#include "op/resample.h"

#include "kernel/kernel.h"
#include "op/team.h"

#include <string.h>

enum { INNER_SMALL = 4 };

/* --- nearest --- */

struct copy {
    const struct resample *r;
    int last;     /* the innermost axis that changes */
    size_t block; /* bytes behind it */
    size_t rows;  /* positions of the axes before it, in y */
    const char *x, *fill;
    size_t bytes; /* of an element */
    char *y;
};

/* Byte offset in x of row `row` of y; -1: outside. */
static ptrdiff_t source_row(const struct copy *c, size_t row) {
    size_t offset = 0, step = c->r->axis[c->last].in * c->block;
    for (int k = c->last - 1; k >= 0; k--) {
        const struct resample_axis *a = &c->r->axis[k];
        size_t at = row % a->out;
        row /= a->out;
        ptrdiff_t from = a->taps ? a->start[at] : (ptrdiff_t)at;
        if (from < 0)
            return -1;
        offset += (size_t)from * step;
        step *= a->in;
    }
    return (ptrdiff_t)offset;
}

static void fill_block(const struct copy *c, char *to, size_t bytes) {
    for (size_t at = 0; at < bytes; at += c->bytes)
        memcpy(to + at, c->fill, c->bytes);
}

#define GATHER(type)                                                                               \
    for (size_t o = 0; o < a->out; o++)                                                            \
        if (a->start[o] >= 0)                                                                      \
            ((type *)(void *)to)[o] = ((const type *)(const void *)from)[a->start[o]];             \
        else                                                                                       \
            memcpy(to + o * sizeof(type), c->fill, sizeof(type));                                  \
    return

static void gather_row(const struct copy *c, const char *from, char *to) {
    const struct resample_axis *a = &c->r->axis[c->last];
    if (c->block == c->bytes)
        switch (c->block) {
        case 1: GATHER(uint8_t);
        case 2: GATHER(uint16_t);
        case 4: GATHER(uint32_t);
        case 8: GATHER(uint64_t);
        default: break;
        }
    for (size_t o = 0; o < a->out; o++, to += c->block) {
        if (a->start[o] >= 0)
            memcpy(to, from + (size_t)a->start[o] * c->block, c->block);
        else
            fill_block(c, to, c->block);
    }
}

static void copy_rows(const struct copy *c, size_t begin, size_t end) {
    const size_t row_bytes = c->r->axis[c->last].out * c->block;
    ptrdiff_t before = -2;
    for (size_t row = begin; row < end; row++) {
        char *to = c->y + row * row_bytes;
        ptrdiff_t from = source_row(c, row);
        if (from == before)
            memcpy(to, to - row_bytes, row_bytes);
        else if (from < 0)
            fill_block(c, to, row_bytes);
        else
            gather_row(c, c->x + from, to);
        before = from;
    }
}

void resample_nearest(const struct resample *r, size_t bytes, const void *x, const void *fill,
                      void *y) {
    struct copy c = {.r = r, .last = -1, .block = bytes, .rows = 1, .bytes = bytes};
    c.x = x;
    c.y = y;
    c.fill = fill;
    size_t total = bytes;
    for (int k = 0; k < r->rank; k++) {
        c.last = r->axis[k].taps ? k : c.last;
        total *= r->axis[k].out;
    }
    if (total == 0)
        return;
    if (c.last < 0) {
        memcpy(y, x, total);
        return;
    }
    for (int k = c.last + 1; k < r->rank; k++)
        c.block *= r->axis[k].in;
    for (int k = 0; k < c.last; k++)
        c.rows *= r->axis[k].out;
    const int threads = team_size(r->threads, (double)total * 0.1);
    if (threads == 1) {
        copy_rows(&c, 0, c.rows);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        copy_rows(&c, team_cut(c.rows, 1, threads, t), team_cut(c.rows, 1, threads, t + 1));
}

/* --- weighted --- */

/* (outer, in, inner) to (outer, out, inner) */
struct pass {
    const struct resample_axis *a;
    size_t outer, inner;
    const void *x;
    void *y;
    double fill;
    const float **rows; /* per thread: a->taps */
};

/* Rows of y, counted over (outer, out). */
static void blend_rows(const struct pass *p, size_t begin, size_t end, const float **rows) {
    const struct resample_axis *a = p->a;
    for (size_t row = begin; row < end; row++) {
        size_t o = row % a->out;
        const float *x = (const float *)p->x + row / a->out * a->in * p->inner;
        float *y = (float *)p->y + row * p->inner;
        for (size_t i = 0; i < p->inner && a->start[o] < 0; i++)
            y[i] = (float)p->fill;
        if (a->start[o] < 0)
            continue;
        for (size_t tap = 0; tap < a->taps; tap++)
            rows[tap] = x + ((size_t)a->start[o] + tap) * p->inner;
        kernel_set()->blend_f32(a->taps, rows, (const float *)a->weight + o * a->taps, p->inner, y);
    }
}

#define GATHER_TAPS(name, type)                                                                    \
    static void gather_##name(const struct pass *p, size_t begin, size_t end) {                    \
        const struct resample_axis *a = p->a;                                                      \
        for (size_t row = begin; row < end; row++) {                                               \
            const size_t o = row % a->out, inner = p->inner;                                       \
            const type *w = (const type *)a->weight + o * a->taps;                                 \
            const bool outside = a->start[o] < 0;                                                  \
            const type *x = (const type *)p->x +                                                   \
                            (row / a->out * a->in + (outside ? 0 : (size_t)a->start[o])) * inner;  \
            type *y = (type *)p->y + row * inner;                                                  \
            for (size_t i = 0; i < inner; i++) {                                                   \
                type sum = outside ? (type)p->fill : 0;                                            \
                for (size_t tap = 0; tap < a->taps && !outside; tap++)                             \
                    sum += w[tap] * x[tap * inner + i];                                            \
                y[i] = sum;                                                                        \
            }                                                                                      \
        }                                                                                          \
    }
GATHER_TAPS(f32, float)
GATHER_TAPS(f64, double)

/* Two taps, nothing behind the axis: pictures in plain layout made larger. */
static void gather_pairs(const struct pass *p, size_t begin, size_t end) {
    const struct resample_axis *a = p->a;
    const float *w = a->weight;
    for (size_t row = begin; row < end; row++) { /* rows over outer */
        const float *x = (const float *)p->x + row * a->in;
        float *y = (float *)p->y + row * a->out;
        for (size_t o = 0; o < a->out; o++) {
            const float *at = x + (a->start[o] < 0 ? 0 : a->start[o]);
            float sum = w[2 * o] * at[0] + w[2 * o + 1] * at[1];
            y[o] = a->start[o] < 0 ? (float)p->fill : sum;
        }
    }
}

static void pass_part(const struct pass *p, bool wide, int threads, int t) {
    const bool pairs = !wide && p->inner == 1 && p->a->taps == 2;
    const size_t n = pairs ? p->outer : p->outer * p->a->out;
    const size_t begin = team_cut(n, 1, threads, t), end = team_cut(n, 1, threads, t + 1);
    if (wide)
        gather_f64(p, begin, end);
    else if (pairs)
        gather_pairs(p, begin, end);
    else if (p->inner < INNER_SMALL)
        gather_f32(p, begin, end);
    else
        blend_rows(p, begin, end, p->rows + (size_t)t * p->a->taps);
}

static void run_pass(const struct pass *p, bool wide, int threads) {
    const double ns = p->inner < INNER_SMALL || wide ? 1 : 0.2;
    threads = team_size(threads, (double)p->outer * (double)p->a->out * (double)p->inner *
                                     (double)p->a->taps * ns);
    if (threads == 1) {
        pass_part(p, wide, 1, 0);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        pass_part(p, wide, threads, t);
}

/* The next axis to go along: the one that shrinks most; of equals the innermost, whose gathers are
 * the slowest. -1: none is left. */
static int next_axis(const struct resample *r, unsigned done) {
    int best = -1;
    double least = 0;
    for (int k = 0; k < r->rank; k++) {
        double ratio = (double)r->axis[k].out / (double)r->axis[k].in;
        if (r->axis[k].taps && !(done >> k & 1u) && (best < 0 || ratio <= least)) {
            best = k;
            least = ratio;
        }
    }
    return best;
}

static void run_passes(const struct resample *r, const struct resample_room *room, bool wide,
                       const void *x, double fill, void *y) {
    unsigned done = 0;
    size_t dims[SHAPE_MAX], total = wide ? sizeof(double) : sizeof(float);
    for (int k = 0; k < r->rank; k++) {
        dims[k] = r->axis[k].in;
        total *= r->axis[k].out;
    }
    if (total == 0)
        return;
    int axis = next_axis(r, done), turn = 0;
    if (axis < 0)
        memcpy(y, x, total);
    for (int next; axis >= 0; axis = next) {
        done |= 1u << axis;
        next = next_axis(r, done);
        struct pass p = {.a = &r->axis[axis], .outer = 1, .inner = 1, .x = x, .fill = fill};
        p.y = next < 0 ? y : room->between[turn];
        p.rows = room->rows;
        for (int k = 0; k < r->rank; k++)
            if (k != axis)
                *(k < axis ? &p.outer : &p.inner) *= dims[k];
        run_pass(&p, wide, r->threads);
        dims[axis] = r->axis[axis].out;
        x = p.y;
        turn = !turn;
    }
}

void resample_f32(const struct resample *r, const struct resample_room *room, const float *x,
                  float fill, float *y) {
    run_passes(r, room, false, x, (double)fill, y);
}
void resample_f64(const struct resample *r, const struct resample_room *room, const double *x,
                  double fill, double *y) {
    run_passes(r, room, true, x, fill, y);
}

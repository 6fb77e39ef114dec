/* SPDX-License-Identifier: Apache-2.0 */
/* A = [A1 A2; A3 A4], B = [B1 B2; B3 B4] and C likewise, halves of rows and of columns:
 *
 *   S1 = A3 + A4     S2 = S1 - A1     S3 = A1 - A3     S4 = A2 - S2
 *   T1 = B2 - B1     T2 = B4 - T1     T3 = B4 - B2     T4 = B3 - T2
 *
 *   U  = A1 B1            C1 = A2 B3 + U        U += S2 T2       V = S1 T1
 *   W  = S3 T3 + U        C3 = A4 T4 + W        C4 = W + V       C2 = S4 B4 + (U + V)
 *
 * The same packed B gives the usual product, in eight: C1 = A1 B1 + A2 B3, C2 = A1 B1 + A1 T1 +
 * A2 B4, and C3, C4 of A3, A4.
 *
 * 1. B's seven parts lie panel after panel: (n / 2 / nr, 7, k / 2, nr), in the order above.
 * 2. Pairs of rows are cut into tiles of the kernel; sums S of some tiles are held in scratch. For
 * a group of panels, one part after the other is multiplied by all tiles held; U, V and W stay in
 * cache. With an odd number of rows the last one is paired with zeros. */
#include "op/strassen.h"

#include "base/mem.h"
#include "op/scratch.h"
#include "op/team.h"

#include <math.h>
#include <string.h>

enum part { PART_B1, PART_B3, PART_T2, PART_T1, PART_T3, PART_T4, PART_B4, PARTS };
enum sums { S1, S2, S3, S4, SUMS };
enum partial { U, V, W, PARTIALS };
enum {
    PAIRS = 96,   /* of rows, held at a time */
    TOGETHER = 6, /* panels */
    ROWS_LEAST = 64,
    DEPTH_LEAST = 768, /* of products: below, halves do not keep the tile busy */
    WIDTH_LEAST = 256,
};
#define APART 4096.0F /* squares of the lengths of rows that are not added: 64 times as long */

static struct gemm_tile tile_size(void) {
    struct gemm_tile t;
    kernel_set()->gemm_tile_f32(&t);
    return t;
}

bool strassen_plan(struct strassen *p, size_t entries, size_t rows, size_t n, size_t k,
                   int threads) {
    const struct gemm_tile t = tile_size();
    if (rows < ROWS_LEAST || n < WIDTH_LEAST || k < DEPTH_LEAST || n % (2 * t.nr) || k % 2)
        return false;
    *p = (struct strassen){.entries = entries, .rows = rows, .n = n, .k = k};
    p->per_entry = panel_tiles((rows + 1) / 2);
    p->tiles = entries * p->per_entry;
    p->held = PAIRS / t.mr < p->tiles ? PAIRS / t.mr : p->tiles;
    p->team = team_size(threads, 0.02 * (double)(entries * rows) * (double)n * (double)k);
    p->share = p->tiles < p->held * (size_t)p->team;
    return true;
}

/* --- packing --- */

size_t strassen_floats(const struct strassen *p) { return p->n * p->k / 4 * PARTS; }

static float element(const float *b1, size_t below, size_t right, enum part part) {
    const float one = b1[0], two = b1[right], three = b1[below], four = b1[below + right];
    switch (part) {
    case PART_B1: return one;
    case PART_B3: return three;
    case PART_T1: return two - one;
    case PART_T2: return four - (two - one);
    case PART_T3: return four - two;
    case PART_T4: return three - (four - (two - one));
    case PART_B4:
    case PARTS: break;
    }
    return four;
}

void strassen_pack(const struct strassen *p, const float *b, float *to) {
    const size_t nr = tile_size().nr;
    for (size_t col = 0; col < p->n / 2; col += nr)
        for (enum part part = 0; part < PARTS; part++)
            for (size_t k = 0; k < p->k / 2; k++, to += nr)
                for (size_t i = 0; i < nr; i++)
                    to[i] = element(b + k * p->n + col + i, p->k / 2 * p->n, p->n / 2, part);
}

/* --- scratch: [zeros] [uneven] [sums], the last two shared or one for each thread; [partials] ---
 */

struct places {
    size_t zeros, uneven, sums, partials; /* bytes */
    size_t each_held, each_partials;      /* from one thread's to the next's */
    size_t total;
};

static struct places places_of(const struct strassen *p) {
    const struct gemm_tile t = tile_size();
    const size_t pairs = p->held * t.mr, owners = p->share ? 1 : (size_t)p->team;
    struct places at = {0};
    at.zeros = scratch_take(&at.total, p->k * sizeof(float));
    at.uneven = at.total;
    size_t each = 0;
    (void)scratch_take(&each, pairs);
    at.sums = at.uneven + each;
    (void)scratch_take(&each, SUMS * pairs * p->k / 2 * sizeof(float));
    at.each_held = each;
    at.partials = at.uneven + owners * each;
    at.each_partials = (size_t)PARTIALS * TOGETHER * pairs * t.nr * sizeof(float);
    at.total = at.partials + (size_t)p->team * at.each_partials;
    return at;
}

size_t strassen_scratch(const struct strassen *p) { return places_of(p).total; }

/* --- sums of rows --- */

struct tile {          /* pairs of rows */
    size_t row, below; /* the first of A's upper and lower half */
    size_t m, m_below; /* rows; below there may be one less */
    size_t pair;       /* of those held */
    bool uneven;
};

struct job {
    const struct strassen *p;
    const struct strassen_run *r;
    const float *zeros;
    bool *uneven;              /* (pairs held) */
    float *sums;               /* (pairs held, SUMS, k / 2) */
    float *partials[PARTIALS]; /* (TOGETHER, pairs held, nr) */
    size_t pairs, nr;          /* pairs: room for them */
    struct tile tiles[PAIRS];
    size_t n_tiles;
};

static const float *upper(const struct job *j, const struct tile *t, size_t i) {
    return j->r->a + (t->row + i) * j->p->k;
}

static const float *lower(const struct job *j, const struct tile *t, size_t i) {
    return i < t->m_below ? j->r->a + (t->below + i) * j->p->k : j->zeros;
}

static float *sum_of(const struct job *j, size_t pair, enum sums s) {
    return j->sums + (pair * SUMS + s) * (j->p->k / 2);
}

static void add(size_t n, const float *a, const float *b, float *y, binary_f32_fn *fn) {
    fn(&(struct binary_f32){.rows = 1, .n = n, .a = a, .b = b, .y = y});
}

static bool apart(size_t k, const float *a, const float *b) {
    const float x = kernel_set()->sum_sq_f32(k, a), y = kernel_set()->sum_sq_f32(k, b);
    return !(x <= APART * y && y <= APART * x && x + y < INFINITY);
}

static void sum_pair(const struct job *j, const struct tile *t, size_t i) {
    const struct kernel_set *set = kernel_set();
    const size_t half = j->p->k / 2, pair = t->pair + i;
    const float *a1 = upper(j, t, i), *a2 = a1 + half, *a3 = lower(j, t, i), *a4 = a3 + half;
    j->uneven[pair] = i < t->m_below && apart(2 * half, a1, a3);
    add(half, a3, a4, sum_of(j, pair, S1), set->add_f32);
    add(half, sum_of(j, pair, S1), a1, sum_of(j, pair, S2), set->sub_f32);
    add(half, a1, a3, sum_of(j, pair, S3), set->sub_f32);
    add(half, a2, sum_of(j, pair, S2), sum_of(j, pair, S4), set->sub_f32);
}

/* Tiles [from, to) of those held. */
static void make_sums(const struct job *j, size_t from, size_t to) {
    for (size_t k = from; k < to; k++)
        for (size_t i = 0; i < j->tiles[k].m; i++)
            sum_pair(j, &j->tiles[k], i);
}

/* --- products --- */

enum rows { ROWS_A1, ROWS_A2, ROWS_A3, ROWS_A4, ROWS_S };

/* A tile of rows of A or of sums (ROWS_S + S1 ...) by one part of B. */
struct step {
    int rows;
    enum part part;
    float *c;
    size_t c_row;
    const float *plus; /* rows as far apart as c's, or plus_row */
    size_t plus_row;
    const float *bias;
};

struct panel { /* a pair of panels, and what comes next */
    size_t at, in_group;
    const float *b, *ahead;
};

static void multiply(const struct job *j, const struct tile *t, const struct panel *b,
                     const struct step *s) {
    const float *a[PAIRS];
    const size_t half = j->p->k / 2;
    const bool below = s->rows == ROWS_A3 || s->rows == ROWS_A4;
    const size_t m = below ? t->m_below : t->m;
    if (m == 0)
        return;
    for (size_t i = 0; i < m; i++)
        a[i] = s->rows >= ROWS_S ? sum_of(j, t->pair + i, (enum sums)(s->rows - ROWS_S))
               : below           ? lower(j, t, i) + (s->rows == ROWS_A4 ? half : 0)
                                 : upper(j, t, i) + (s->rows == ROWS_A2 ? half : 0);
    kernel_set()->gemm_f32(&(struct gemm_f32){.m = m,
                                              .n = j->nr,
                                              .k = half,
                                              .taps = 1,
                                              .a = a,
                                              .b = b->b,
                                              .bias = s->bias,
                                              .c = s->c,
                                              .ldc = s->c_row,
                                              .plus = s->plus,
                                              .plus_row = s->plus_row,
                                              .ahead = b->ahead});
}

static float *partial(const struct job *j, const struct tile *t, const struct panel *b,
                      enum partial of) {
    return j->partials[of] + (b->in_group * j->pairs + t->pair) * j->nr;
}

static float *c_at(const struct job *j, size_t row, size_t col) {
    return j->r->c + row * j->p->n + col;
}

/* rows of nr numbers: y = a + b */
static void add_rows(const struct job *j, size_t rows, const float *a, const float *b, float *y,
                     size_t y_row) {
    kernel_set()->add_f32(&(struct binary_f32){.rows = rows,
                                               .n = j->nr,
                                               .a = a,
                                               .b = b,
                                               .y = y,
                                               .a_row = (ptrdiff_t)j->nr,
                                               .b_row = (ptrdiff_t)j->nr,
                                               .y_row = (ptrdiff_t)y_row});
}

static void even_tile(const struct job *j, const struct tile *t, enum part part,
                      const struct panel *b) {
    const size_t nr = j->nr, n = j->p->n, left = b->at * nr, right = left + n / 2;
    float *u = partial(j, t, b, U), *v = partial(j, t, b, V), *w = partial(j, t, b, W);
    const float *bias = j->r->bias, *bias_left = bias ? bias + left : NULL,
                *bias_right = bias ? bias + right : NULL;
    struct step s = {.part = part, .c_row = nr, .plus_row = nr};
    switch (part) {
    case PART_B1: s.rows = ROWS_A1, s.c = u; break;
    case PART_B3:
        s.rows = ROWS_A2, s.c = c_at(j, t->row, left), s.c_row = n;
        s.plus = u, s.bias = bias_left;
        break;
    case PART_T2: s.rows = ROWS_S + S2, s.c = u, s.plus = u; break;
    case PART_T1: s.rows = ROWS_S + S1, s.c = v, s.bias = bias_right; break;
    case PART_T3: s.rows = ROWS_S + S3, s.c = w, s.plus = u; break;
    case PART_T4:
        s.rows = ROWS_A4, s.c = c_at(j, t->below, left), s.c_row = n;
        s.plus = w, s.bias = bias_left;
        add_rows(j, t->m_below, w, v, c_at(j, t->below, right), n);
        add_rows(j, t->m, u, v, u, nr);
        break;
    case PART_B4:
        s.rows = ROWS_S + S4, s.c = c_at(j, t->row, right), s.c_row = n;
        s.plus = u;
        break;
    case PARTS: return;
    }
    multiply(j, t, b, &s);
}

/* The usual product of an upper or a lower half of rows. */
static void uneven_half(const struct job *j, const struct tile *t, enum part part,
                        const struct panel *b, bool below) {
    const size_t nr = j->nr, n = j->p->n, left = b->at * nr, right = left + n / 2,
                 row = below ? t->below : t->row;
    float *u = partial(j, t, b, below ? W : U);
    const float *bias = j->r->bias;
    const int first = below ? ROWS_A3 : ROWS_A1, second = below ? ROWS_A4 : ROWS_A2;
    struct step s = {.part = part, .rows = first, .c = u, .c_row = nr, .plus_row = nr};
    switch (part) {
    case PART_B1: break;
    case PART_B3:
        s.rows = second, s.c = c_at(j, row, left), s.c_row = n;
        s.plus = u, s.bias = bias ? bias + left : NULL;
        break;
    case PART_T1: s.plus = u, s.bias = bias ? bias + right : NULL; break;
    case PART_B4:
        s.rows = second, s.c = c_at(j, row, right), s.c_row = n;
        s.plus = u;
        break;
    case PART_T2:
    case PART_T3:
    case PART_T4:
    case PARTS: return;
    }
    multiply(j, t, b, &s);
}

static void finish(const struct job *j, size_t first, size_t n) {
    const size_t cols = n * j->nr, left = first * j->nr, right = left + j->p->n / 2;
    for (size_t k = 0; j->r->done && k < j->n_tiles; k++)
        for (size_t i = 0; i < j->tiles[k].m + j->tiles[k].m_below; i++) {
            const struct tile *t = &j->tiles[k];
            const size_t row = i < t->m ? t->row + i : t->below + i - t->m;
            j->r->done(j->r->context, row * j->p->n + left, cols);
            j->r->done(j->r->context, row * j->p->n + right, cols);
        }
}

/* Pairs of panels [first, first + n) by all tiles held. */
static void multiply_group(const struct job *j, size_t first, size_t n, size_t last) {
    const size_t floats = j->p->k / 2 * j->nr;
    for (enum part part = 0; part < PARTS; part++)
        for (size_t i = 0; i < n; i++) {
            struct panel b = {.at = first + i, .in_group = i};
            b.b = j->r->packed + (b.at * PARTS + part) * floats;
            const size_t next = i + 1 < n          ? b.at + 1
                                : part + 1 < PARTS ? first
                                : first + n < last ? first + n
                                                   : SIZE_MAX;
            const enum part next_part = i + 1 < n ? part : (part + 1) % PARTS;
            const float *ahead =
                next == SIZE_MAX ? NULL : j->r->packed + (next * PARTS + next_part) * floats;
            for (size_t k = 0; k < j->n_tiles; k++) {
                const struct tile *t = &j->tiles[k];
                b.ahead = ahead && k < 2 ? ahead + k * floats / 2 : NULL;
                if (!t->uneven) {
                    even_tile(j, t, part, &b);
                } else {
                    uneven_half(j, t, part, &b, false);
                    uneven_half(j, t, part, &b, true);
                }
            }
        }
    finish(j, first, n);
}

/* --- a run --- */

/* Holds tiles [from, from + n) of all. */
static void hold(struct job *j, size_t from, size_t n) {
    const struct strassen *p = j->p;
    const size_t top = (p->rows + 1) / 2;
    size_t pair = 0;
    j->n_tiles = n;
    for (size_t k = 0; k < n; k++) {
        const size_t entry = (from + k) / p->per_entry, i = (from + k) % p->per_entry,
                     first = panel_tile(top, p->per_entry, i),
                     m = panel_tile(top, p->per_entry, i + 1) - first,
                     left = p->rows - top - first; /* below */
        j->tiles[k] = (struct tile){.row = entry * p->rows + first,
                                    .below = entry * p->rows + top + first,
                                    .m = m,
                                    .m_below = m < left ? m : left,
                                    .pair = pair};
        pair += m;
    }
}

static void find_uneven(struct job *j) {
    for (size_t k = 0; k < j->n_tiles; k++)
        for (size_t i = 0; i < j->tiles[k].m; i++)
            j->tiles[k].uneven |= j->uneven[j->tiles[k].pair + i];
}

static void multiply_columns(struct job *j, size_t from, size_t to) {
    find_uneven(j);
    for (size_t first = from; first < to; first += TOGETHER)
        multiply_group(j, first, to - first < TOGETHER ? to - first : TOGETHER, to);
}

/* Where member `of` of the team holds sums and partials. */
static void seat(struct job *j, const struct places *at, size_t of) {
    char *scratch = j->r->scratch, *held = scratch + (j->p->share ? 0 : of) * at->each_held;
    float *partials = (float *)(void *)(scratch + at->partials + of * at->each_partials);
    j->zeros = (const float *)(void *)(scratch + at->zeros);
    j->uneven = (bool *)(held + at->uneven);
    j->sums = (float *)(void *)(held + at->sums);
    for (size_t k = 0; k < PARTIALS; k++)
        j->partials[k] = partials + k * TOGETHER * j->pairs * j->nr;
}

/* Tiles [from, to): all columns, by sums of its own. */
static void alone(struct job *j, size_t from, size_t to) {
    const size_t panels = j->p->n / 2 / j->nr;
    for (; from < to; from += j->p->held) {
        hold(j, from, to - from < j->p->held ? to - from : j->p->held);
        make_sums(j, 0, j->n_tiles);
        multiply_columns(j, 0, panels);
    }
}

static struct job job_of(const struct strassen *p, const struct strassen_run *r) {
    const struct gemm_tile t = tile_size();
    return (struct job){.p = p, .r = r, .nr = t.nr, .pairs = p->held * t.mr};
}

/* Tiles [from, from + n) by the whole team. */
static void together(const struct strassen *p, const struct strassen_run *r,
                     const struct places *at, size_t from, size_t n) {
    const size_t panels = p->n / 2 / tile_size().nr;
#pragma omp parallel num_threads(p->team)
    {
        struct job j = job_of(p, r);
        seat(&j, at, 0);
        hold(&j, from, n);
#pragma omp for schedule(static)
        for (int i = 0; i < p->team; i++)
            make_sums(&j, team_cut(n, 1, p->team, i), team_cut(n, 1, p->team, i + 1));
#pragma omp for schedule(static) nowait
        for (int i = 0; i < p->team; i++) {
            seat(&j, at, (size_t)i);
            multiply_columns(&j, team_cut(panels, 1, p->team, i),
                             team_cut(panels, 1, p->team, i + 1));
        }
    }
}

void strassen_run(const struct strassen *p, const struct strassen_run *r) {
    const struct places at = places_of(p);
    memset((char *)r->scratch + at.zeros, 0, p->k * sizeof(float));
    if (p->team == 1) {
        struct job j = job_of(p, r);
        seat(&j, &at, 0);
        alone(&j, 0, p->tiles);
        return;
    }
    for (size_t from = 0; p->share && from < p->tiles; from += p->held)
        together(p, r, &at, from, p->tiles - from < p->held ? p->tiles - from : p->held);
    if (p->share)
        return;
#pragma omp parallel for num_threads(p->team) schedule(static)
    for (int i = 0; i < p->team; i++) {
        struct job j = job_of(p, r);
        seat(&j, &at, (size_t)i);
        alone(&j, team_cut(p->tiles, 1, p->team, i), team_cut(p->tiles, 1, p->team, i + 1));
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of a step's rows over the paged cache. Work is cut into tiles of rows of one sequence,
 * times heads: the queries of a piece share a head's keys and values. How it is cut does not change
 * a number. */
#include "llm/rope.h"
#include "llm/step.h"

#include <math.h>
#include <string.h>

/* --- what a step attends to --- */

static size_t table_pages(const struct forward *f) { return (f->context + PAGE - 1) / PAGE; }

static void list_pages(struct forward *f, int32_t sequence) {
    const char **at = f->pages + (size_t)sequence * table_pages(f);
    int32_t page;
    for (size_t i = 0; (page = kv_page(f->kv, sequence, i)) >= 0; i++)
        at[i] = kv_page_memory(f->kv, page);
}

/* Appends the row to the last tile where it follows it, within `most` rows. */
static void add_row(struct forward *f, struct tiles *t, int32_t row, int32_t out, int32_t most) {
    struct tile *last = t->n ? &t->tile[t->n - 1] : NULL;
    const struct forward_row *r = &f->rows[row];
    if (last && last->sequence == r->sequence && last->row + last->rows == row &&
        last->rows < most) {
        last->rows++;
        return;
    }
    t->tile[t->n++] = (struct tile){row, 1, out, r->sequence};
}

/* Query heads of a piece: those of one key head, as far as there are lanes. */
static size_t piece_heads(const struct forward *f) {
    size_t group = f->plan.heads / f->plan.kv_heads;
    return group < LANES ? group : LANES;
}

void attention_tiles(struct forward *f) {
    int32_t most = (int32_t)(LANES / piece_heads(f)), sequence = -1;
    f->tiles.n = f->last_tiles.n = 0;
    f->n_wanted = 0;
    for (size_t i = 0; i < f->n_rows; i++) {
        const struct forward_row *r = &f->rows[i];
        f->positions[i] = r->position;
        f->lengths[r->sequence] = r->position + 1;
        if (r->sequence != sequence)
            list_pages(f, sequence = r->sequence);
        add_row(f, &f->tiles, (int32_t)i, (int32_t)i, most);
        if (r->want) {
            add_row(f, &f->last_tiles, (int32_t)i, (int32_t)f->n_wanted, most);
            f->wanted[f->n_wanted++] = (int32_t)i;
        }
    }
    const struct blueprint *p = &f->plan;
    if (!p->rope_dims)
        return;
    rope_angles(&p->rope, p->rope_dims, f->positions, f->n_rows, f->angles[0]);
    if (p->window > 0)
        rope_angles(&p->rope_local, p->rope_dims, f->positions, f->n_rows, f->angles[1]);
}

/* --- into the cache --- */

/* Norm, turn and scale the heads of one row of q or k. */
static void turn_heads(const struct forward *f, const struct norm *norm, const float *angles,
                       size_t heads, float scale, float *x) {
    const struct blueprint *p = &f->plan;
    for (size_t h = 0; h < heads; h++, x += p->head_dim) {
        if (norm->weight)
            step_norm(f, norm, p->head_dim, x, x);
        rope_turn(x, p->head_dim, p->rope_dims, p->rope_pairs, angles, scale);
    }
}

void attention_write(struct forward *f, const struct layer *l, size_t layer, size_t from,
                     size_t to) {
    const struct blueprint *p = &f->plan;
    const float *angles = f->angles[blueprint_local(p, layer)];
    size_t d = p->head_dim;
    for (size_t row = from; row < to; row++) {
        const struct forward_row *r = &f->rows[row];
        const float *turn = angles + row * p->rope_dims;
        float *k = f->k + row * p->kv_heads * d, *v = f->v + row * p->kv_heads * d;
        turn_heads(f, &l->q_norm, turn, p->heads, p->query_scale, f->q + row * p->heads * d);
        turn_heads(f, &l->k_norm, turn, p->kv_heads, 1, k);
        char *page = kv_page_memory(f->kv, kv_page(f->kv, r->sequence, (size_t)r->position / PAGE));
        for (size_t h = 0; h < p->kv_heads; h++) {
            char *keys = page + kv_keys_at(f->kv, layer, h);
            page_put(kv_kind(f->kv), d, (size_t)r->position % PAGE, k + h * d, v + h * d, keys,
                     keys + kv_values_after(f->kv));
        }
    }
}

/* --- out of it --- */

/* Rows of a tile times `heads` query heads from `head`. */
static void run_piece(struct forward *f, const struct layer *l, size_t layer, const struct tile *t,
                      size_t head, size_t heads) {
    const struct blueprint *p = &f->plan;
    const float *q[LANES];
    float *y[LANES], sink[LANES];
    int32_t first[LANES], last[LANES];
    size_t lanes = 0, d = p->head_dim, width = p->heads * d;
    for (int32_t i = 0; i < t->rows; i++)
        for (size_t h = 0; h < heads; h++, lanes++) {
            int32_t position = f->positions[t->row + i];
            q[lanes] = f->q + (size_t)(t->row + i) * width + (head + h) * d;
            y[lanes] = f->attended + (size_t)(t->out + i) * width + (head + h) * d;
            last[lanes] = p->encoder ? f->lengths[t->sequence] - 1 : position;
            first[lanes] =
                blueprint_local(p, layer) && position >= p->window ? position - p->window + 1 : 0;
            sink[lanes] = l->sinks ? l->sinks[head + h] : 0;
        }
    size_t keys = kv_keys_at(f->kv, layer, head / (p->heads / p->kv_heads));
    kernel_set()->attend(&(struct attend){.kind = kv_kind(f->kv),
                                          .lanes = lanes,
                                          .d = d,
                                          .q = q,
                                          .y = y,
                                          .first = first,
                                          .last = last,
                                          .pages = f->pages + (size_t)t->sequence * table_pages(f),
                                          .keys = keys,
                                          .values = keys + kv_values_after(f->kv),
                                          .soft_cap = p->score_cap,
                                          .sink = l->sinks ? sink : NULL});
    if (d % intake_grain(&f->attn))
        return; /* a phase of its own */
    for (size_t i = 0; i < lanes; i++)
        intake_put(&f->attn, (size_t)t->out + i / heads, (head + i % heads) * d, d, y[i]);
}

void attention_run(struct forward *f, const struct layer *l, size_t layer,
                   const struct tiles *tiles, int thread) {
    const struct blueprint *p = &f->plan;
    size_t group = p->heads / p->kv_heads, heads = piece_heads(f), from, to;
    (void)thread;
    if (tiles->n * p->heads / heads < 4 * (size_t)f->crew.n && f->crew.n > 1)
        heads = 1; /* few pieces: smaller ones */
    size_t per_group = (group + heads - 1) / heads, pieces = p->kv_heads * per_group;
    while (crew_take(&f->crew, tiles->n * pieces, 1, &from, &to)) {
        size_t tile = tiles->n - 1 - from / pieces; /* late rows see most: they come first */
        size_t kv = from % pieces / per_group, at = from % pieces % per_group * heads;
        size_t mine = group - at < heads ? group - at : heads;
        run_piece(f, l, layer, &tiles->tile[tile], kv * group + at, mine);
    }
}

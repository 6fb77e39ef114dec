/* SPDX-License-Identifier: Apache-2.0 */
/* The shared part of rnn, gru and lstm.
 *
 * 1. All inputs are projected at once: x (T*B, I) times packed W gives (T*B, G*H) with both biases;
 *    the row of step s and batch entry b is s * B + b, for the reverse direction too.
 * 2. Then, step by step, the product of the state with packed R is added in place and the cell
 * turns gates into the next state.
 * 3. An entry whose sequence is over keeps its state; its further outputs are zero.
 * 4. Constant weights are packed once per session, others at each run, into scratch. */
#include "op/recurrent.h"

#include "kernel/kernel.h"

#include <math.h>

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };
enum { PACKING = 0x52454355, TEAM_MULTIPLIES = 1 << 20 };

/* --- activations --- */

static const struct act_name {
    const char *name;
    bool alpha, beta; /* taken from the lists */
    float default_alpha, default_beta;
} act_names[] = {
    [ACT_TANH] = {"tanh", false, false, 0, 0},
    [ACT_SIGMOID] = {"sigmoid", false, false, 0, 0},
    [ACT_RELU] = {"relu", false, false, 0, 0},
    [ACT_AFFINE] = {"affine", true, true, 1, 0},
    [ACT_LEAKY_RELU] = {"leakyrelu", true, false, 0.01F, 0},
    [ACT_THRESHOLDED_RELU] = {"thresholdedrelu", true, false, 1, 0},
    [ACT_SCALED_TANH] = {"scaledtanh", true, true, 1, 1},
    [ACT_HARD_SIGMOID] = {"hardsigmoid", true, true, 0.2F, 0.5F},
    [ACT_ELU] = {"elu", true, false, 1, 0},
    [ACT_SOFTSIGN] = {"softsign", false, false, 0, 0},
    [ACT_SOFTPLUS] = {"softplus", false, false, 0, 0},
};
enum { N_ACTS = sizeof act_names / sizeof act_names[0] };

void recurrent_apply(const struct recurrent_act *act, float *x, size_t n) {
    const struct kernel_set *k = kernel_set();
    switch (act->kind) {
    case ACT_TANH: k->tanh_f32(n, x, x, 0, 0); return;
    case ACT_SIGMOID: k->sigmoid_f32(n, x, x, 0, 0); return;
    case ACT_RELU: k->relu_f32(n, x, x, 0, 0); return;
    case ACT_AFFINE: k->linear_f32(n, x, x, act->alpha, act->beta); return;
    case ACT_LEAKY_RELU: k->leaky_relu_f32(n, x, x, act->alpha, 0); return;
    case ACT_SCALED_TANH:
        k->linear_f32(n, x, x, act->beta, 0);
        k->tanh_f32(n, x, x, 0, 0);
        k->linear_f32(n, x, x, act->alpha, 0);
        return;
    case ACT_HARD_SIGMOID: k->hard_sigmoid_f32(n, x, x, act->alpha, act->beta); return;
    case ACT_ELU: k->elu_f32(n, x, x, act->alpha, 0); return;
    case ACT_SOFTPLUS: k->softplus_f32(n, x, x, 0, 0); return;
    case ACT_THRESHOLDED_RELU:
        for (size_t i = 0; i < n; i++)
            x[i] = x[i] > act->alpha ? x[i] : 0;
        return;
    case ACT_SOFTSIGN:
        for (size_t i = 0; i < n; i++)
            x[i] /= 1 + fabsf(x[i]);
        return;
    }
}

static bool act_find(struct str name, enum recurrent_kind *out) {
    for (int k = 0; k < N_ACTS; k++)
        if (str_eq_nocase(name, str_of(act_names[k].name))) {
            *out = (enum recurrent_kind)k;
            return true;
        }
    return false;
}

struct act_lists { /* alpha and beta are used up by the activations that take them */
    const float *alpha, *beta;
    size_t n_alpha, n_beta;
};

static void float_list(const struct node *n, const char *name, const float **out, size_t *count) {
    const struct attr *a = attr_find(n, name);
    bool there = a && a->kind == ATTR_FLOATS;
    *out = there ? a->floats : NULL;
    *count = there ? a->n : 0;
}

/* acts: (D, n_acts) */
static enum code read_acts(const struct operand_at *at, const struct recurrent_cell *cell,
                           size_t directions, struct recurrent_act acts[2][3], struct err *e) {
    const struct attr *names = attr_find(at->node, "activations");
    size_t want = directions * (size_t)cell->n_acts;
    struct act_lists lists;
    float_list(at->node, "activation_alpha", &lists.alpha, &lists.n_alpha);
    float_list(at->node, "activation_beta", &lists.beta, &lists.n_beta);
    if (names && names->n && (names->kind != ATTR_STRS || names->n != want))
        return operand_fail(at, e, INVALID, "%zu activations were expected", want);
    for (size_t k = 0; k < want; k++) {
        struct recurrent_act *act = &acts[k / (size_t)cell->n_acts][k % (size_t)cell->n_acts];
        struct str name =
            names && names->n ? names->strs[k] : str_of(cell->defaults[k % (size_t)cell->n_acts]);
        if (!act_find(name, &act->kind))
            return operand_fail(at, e, UNSUPPORTED, "activation '%.*s'", STR(name));
        const struct act_name *row = &act_names[act->kind];
        act->alpha = row->alpha && lists.n_alpha ? *lists.alpha++ : row->default_alpha;
        act->beta = row->beta && lists.n_beta ? *lists.beta++ : row->default_beta;
        lists.n_alpha -= row->alpha && lists.n_alpha;
        lists.n_beta -= row->beta && lists.n_beta;
    }
    return OK;
}

/* --- shapes --- */

static enum code read_directions(const struct operand_at *at, size_t *directions, bool *reverse,
                                 struct err *e) {
    struct str direction = attr_str(at->node, "direction", "forward");
    *reverse = str_is(direction, "reverse");
    *directions = str_is(direction, "bidirectional") ? 2 : 1;
    if (!*reverse && *directions == 1 && !str_is(direction, "forward"))
        return operand_fail(at, e, FORMAT, "direction '%.*s'", STR(direction));
    return OK;
}

/* x (T,B,I) or (B,T,I); r (D, G*H, H) */
static enum code read_dims(const struct operand_at *at, const struct recurrent_cell *cell,
                           const struct shape *x, const struct shape *r, struct recurrent_dims *d,
                           struct err *e) {
    bool reverse;
    int64_t layout = at->node->opset >= 14 ? attr_int(at->node, "layout", 0) : 0;
    d->batch_first = layout == 1;
    TRY(read_directions(at, &d->directions, &reverse, e));
    if (x->rank != 3 || r->rank != 3 || layout < 0 || layout > 1)
        return operand_fail(at, e, INVALID, "X of rank %d and R of rank %d, layout %lld", x->rank,
                            r->rank, (long long)layout);
    d->steps = (size_t)x->dims[d->batch_first ? 1 : 0];
    d->batch = (size_t)x->dims[d->batch_first ? 0 : 1];
    d->inputs = (size_t)x->dims[2];
    d->hidden = (size_t)r->dims[2];
    d->gates = (size_t)cell->gates;
    return OK;
}

static enum code expect_shape(const struct op_infer *c, int i, const char *name, struct shape want,
                              struct err *e) {
    if (!operand_given(c, i))
        return OK;
    char has[SHAPE_TEXT], needs[SHAPE_TEXT];
    if (!shape_eq(&c->in[i].shape, &want))
        return operand_fail(c, e, INVALID, "%s has the shape %s, expected %s", name,
                            shape_print(&c->in[i].shape, has), shape_print(&want, needs));
    return OK;
}

static struct shape shape3(size_t a, size_t b, size_t c) {
    return (struct shape){.rank = 3, .dims = {(int64_t)a, (int64_t)b, (int64_t)c}};
}

static struct shape shape2(size_t a, size_t b) {
    return (struct shape){.rank = 2, .dims = {(int64_t)a, (int64_t)b}};
}

/* States: (D,B,H), or (B,D,H) when batch comes first. */
static struct shape state_shape(const struct recurrent_dims *d) {
    return d->batch_first ? shape3(d->batch, d->directions, d->hidden)
                          : shape3(d->directions, d->batch, d->hidden);
}

static enum code expect_shapes(struct op_infer *c, const struct recurrent_cell *cell,
                               const struct recurrent_dims *d, struct err *e) {
    size_t rows = d->gates * d->hidden;
    TRY(expect_shape(c, IN_W, "W", shape3(d->directions, rows, d->inputs), e));
    TRY(expect_shape(c, IN_R, "R", shape3(d->directions, rows, d->hidden), e));
    TRY(expect_shape(c, IN_B, "B", shape2(d->directions, 2 * rows), e));
    TRY(expect_shape(c, IN_LENGTHS, "sequence_lens",
                     (struct shape){.rank = 1, .dims = {(int64_t)d->batch}}, e));
    TRY(expect_shape(c, IN_H, "initial_h", state_shape(d), e));
    if (cell->states < 2)
        return OK;
    TRY(expect_shape(c, IN_C, "initial_c", state_shape(d), e));
    return expect_shape(c, IN_P, "P", shape2(d->directions, 3 * d->hidden), e);
}

enum code recurrent_infer(struct op_infer *c, const struct recurrent_cell *cell, struct err *e) {
    struct recurrent_act acts[2][3];
    struct recurrent_dims d;
    TRY(operand_need(c, 3, e));
    for (int i = 0; i < c->node->n_in; i++)
        if (operand_given(c, i) && c->in[i].dtype != (i == IN_LENGTHS ? DT_I32 : DT_F32))
            return operand_fail(c, e, UNSUPPORTED, "input %d is %s", i, dtype_name(c->in[i].dtype));
    for (int i = 0; i <= cell->states; i++)
        operand_out_later(c, i, DT_F32);
    if (!operand_known(c))
        return OK;
    TRY(read_dims(OPERAND_AT(c), cell, &c->in[IN_X].shape, &c->in[IN_R].shape, &d, e));
    TRY(read_acts(OPERAND_AT(c), cell, d.directions, acts, e));
    TRY(expect_shapes(c, cell, &d, e));
    struct shape y = {.rank = 4}, state = state_shape(&d);
    const size_t order[2][4] = {{d.steps, d.directions, d.batch, d.hidden},
                                {d.batch, d.steps, d.directions, d.hidden}};
    for (int k = 0; k < 4; k++)
        y.dims[k] = (int64_t)order[d.batch_first][k];
    TRY(operand_out(c, 0, DT_F32, &y, e));
    for (int i = 1; i <= cell->states; i++)
        TRY(operand_out(c, i, DT_F32, &state, e));
    return OK;
}

/* --- packed weights: (N / nr panels, K, nr), zero beyond N --- */

static size_t panel_width(void) {
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    return tile.nr;
}

static bool packed_floats(size_t n, size_t k, size_t *out) {
    size_t nr = panel_width();
    return mul_size((n + nr - 1) / nr * nr, k, out);
}

/* w (N, K) row-major */
static void pack(float *to, const float *w, size_t n, size_t k) {
    size_t nr = panel_width();
    for (size_t first = 0; first < n; first += nr) {
        size_t here = n - first < nr ? n - first : nr;
        for (size_t i = 0; i < k; i++, to += nr) {
            for (size_t j = 0; j < here; j++)
                to[j] = w[(first + j) * k + i];
            memset(to + here, 0, (nr - here) * sizeof *to);
        }
    }
}

struct product { /* c[row][0..n) (+)= a[row] * packed (k, n) */
    const float *const *a;
    const float *packed, *bias;
    float *c;
    size_t rows, ldc, n, k;
    bool add;
};

static void multiply_panel(const struct product *p, size_t panel, const struct gemm_tile *tile) {
    size_t first = panel * tile->nr;
    struct gemm_f32 g = {.n = p->n - first < tile->nr ? p->n - first : tile->nr,
                         .k = p->k,
                         .taps = 1,
                         .b = p->packed + first * p->k,
                         .bias = p->bias ? p->bias + first : NULL,
                         .ldc = p->ldc,
                         .add = p->add};
    for (size_t row = 0; row < p->rows; row += tile->mr) {
        g.m = p->rows - row < tile->mr ? p->rows - row : tile->mr;
        g.a = p->a + row;
        g.c = p->c + row * p->ldc + first;
        kernel_set()->gemm_f32(&g);
    }
}

static void multiply(const struct product *p, int threads) {
    struct gemm_tile tile;
    kernel_set()->gemm_tile_f32(&tile);
    size_t panels = (p->n + tile.nr - 1) / tile.nr;
    bool team = threads > 1 && p->rows * p->n * p->k > TEAM_MULTIPLIES;
#pragma omp parallel for num_threads(threads) schedule(static) if (team)
    for (size_t panel = 0; panel < panels; panel++)
        multiply_panel(p, panel, &tile);
}

/* --- memory --- */

struct sizes {             /* floats per direction */
    size_t w, early, late; /* packed */
    size_t x, bias, state, rows;
    size_t weights, work;
};

static bool add_floats(size_t *sum, size_t n) {
    return n < SIZE_MAX / 64 && add_size(*sum, mem_round_up(n, 16), sum) && *sum < SIZE_MAX / 64;
}

static bool measure(const struct recurrent_dims *d, const struct recurrent_cell *cell,
                    struct sizes *s) {
    size_t all = d->gates * d->hidden, early = (size_t)cell->early * d->hidden, cells;
    *s = (struct sizes){0};
    if (!mul_size(d->steps, d->batch, &cells) || !mul_size(cells, all, &s->x) ||
        !mul_size(d->batch, d->hidden, &s->state) || !packed_floats(all, d->inputs, &s->w) ||
        !packed_floats(early, d->hidden, &s->early) ||
        !packed_floats(all - early, d->hidden, &s->late))
        return false;
    s->bias = all + d->hidden;
    s->rows = (cells > d->batch ? cells : d->batch) * (sizeof(void *) / 4); /* pointers */
    bool fits = add_floats(&s->weights, s->w) && add_floats(&s->weights, s->early) &&
                add_floats(&s->weights, s->late) && add_floats(&s->work, s->x) &&
                add_floats(&s->work, s->bias) && add_floats(&s->work, s->rows);
    for (int k = 0; k < 3; k++)
        fits = fits && add_floats(&s->work, s->state);
    return fits && add_floats(&s->work, d->inputs);
}

static float *take(float **room, size_t n) {
    float *p = *room;
    *room += mem_round_up(n, 16);
    return p;
}

struct weights { /* of one direction, packed */
    const float *w, *early, *late;
};

static struct weights lay_weights(float *room, const struct sizes *s) {
    struct weights at;
    at.w = take(&room, s->w);
    at.early = take(&room, s->early);
    at.late = take(&room, s->late);
    return at;
}

/* w, r: one direction, as in the file */
static void pack_weights(float *room, const struct sizes *s, const struct recurrent_dims *d,
                         const struct recurrent_cell *cell, const float *w, const float *r) {
    size_t all = d->gates * d->hidden, early = (size_t)cell->early * d->hidden;
    struct weights at = lay_weights(room, s);
    pack((float *)(uintptr_t)at.w, w, all, d->inputs);
    pack((float *)(uintptr_t)at.early, r, early, d->hidden);
    pack((float *)(uintptr_t)at.late, r + early * d->hidden, all - early, d->hidden);
}

static void pack_directions(float *room, const struct sizes *s, const struct recurrent_dims *d,
                            const struct recurrent_cell *cell, const float *w, const float *r) {
    size_t rows = d->gates * d->hidden;
    for (size_t k = 0; k < d->directions; k++)
        pack_weights(room + k * s->weights, s, d, cell, w + k * rows * d->inputs,
                     r + k * rows * d->hidden);
}

enum code recurrent_prepare(struct op_prepare *c, const struct recurrent_cell *cell,
                            struct err *e) {
    struct recurrent_dims d;
    struct sizes s;
    size_t bytes, work;
    TRY(read_dims(OPERAND_AT(c), cell, &c->in[IN_X].shape, &c->in[IN_R].shape, &d, e));
    if (!measure(&d, cell, &s) || !mul_size(s.work * sizeof(float), d.directions, &work) ||
        !mul_size(s.weights * sizeof(float), d.directions, &bytes))
        return operand_fail(c, e, LIMIT, "%zu steps of %zu x %zu are too large", d.steps, d.batch,
                            d.hidden);
    c->kernel = "packed gemm, steps in order";
    c->flops = 2.0 * (double)(d.directions * d.gates * d.hidden) * (double)(d.steps * d.batch) *
               (double)(d.inputs + d.hidden);
    c->scratch_bytes = work;
    const struct tensor *w = c->in[IN_W].data, *r = c->in[IN_R].data;
    if (!w || !r || !bytes) {
        c->scratch_bytes += bytes;
        return OK;
    }
    bool filled = false;
    void *room = c->packs ? c->packs->get(c->packs, w->data, PACKING ^ (uint64_t)(uintptr_t)r->data,
                                          bytes, false, &filled)
                          : arena_push_aligned(c->arena, bytes, MEM_LINE);
    if (!room)
        return operand_fail(c, e, NOMEM, "no memory for %zu bytes of packed weights", bytes);
    if (!filled)
        pack_directions(room, &s, &d, cell, w->data, r->data);
    c->state = room;
    return OK;
}

/* --- a run --- */

struct run { /* one direction */
    const struct op_call *c;
    const struct recurrent_cell *cell;
    const struct recurrent_dims *d;
    struct recurrent_lane lane;
    struct weights weights;
    size_t index; /* direction */
    bool reverse;
    float *x, *bias, *zero; /* (T*B, G*H); (G*H + H); (I) */
    const float **rows;
    int threads;
};

static size_t length_of(const struct run *r, size_t row) {
    const struct tensor *t = operand_in(r->c, IN_LENGTHS);
    return t ? (size_t)((const int32_t *)t->data)[row] : r->d->steps;
}

/* Where an entry's step lies in time. */
static size_t time_of(const struct run *r, size_t step, size_t length) {
    return r->reverse ? length - 1 - step : step;
}

static float *state_at(const struct run *r, const struct tensor *t, size_t row) {
    const struct recurrent_dims *d = r->d;
    size_t at = d->batch_first ? row * d->directions + r->index : r->index * d->batch + row;
    return (float *)t->data + at * d->hidden;
}

static void load_states(struct run *r) {
    const struct tensor *h = operand_in(r->c, IN_H);
    const struct tensor *c = r->cell->states > 1 ? operand_in(r->c, IN_C) : NULL;
    size_t n = r->d->hidden, bytes = n * sizeof(float);
    for (size_t row = 0; bytes && row < r->d->batch; row++) {
        memset(r->lane.h + row * n, 0, bytes);
        memset(r->lane.c + row * n, 0, bytes);
        if (h)
            memcpy(r->lane.h + row * n, state_at(r, h, row), bytes);
        if (c)
            memcpy(r->lane.c + row * n, state_at(r, c, row), bytes);
    }
}

static void store_states(const struct run *r) {
    size_t n = r->d->hidden, bytes = n * sizeof(float);
    struct tensor *to[2] = {operand_to(r->c, 1), r->cell->states > 1 ? operand_to(r->c, 2) : NULL};
    const float *from[2] = {r->lane.h, r->lane.c};
    for (int k = 0; k < 2; k++)
        for (size_t row = 0; to[k] && bytes && row < r->d->batch; row++)
            memcpy(state_at(r, to[k], row), from[k] + row * n, bytes);
}

/* Both biases of a gate are added once, with the projection; gru with linear_before_reset keeps the
 * recurrent bias of its last gate apart. */
static void load_bias(struct run *r) {
    const struct tensor *b = operand_in(r->c, IN_B);
    size_t all = r->d->gates * r->d->hidden, apart = all;
    if (r->cell->early < r->cell->gates && r->lane.coupled)
        apart = (size_t)r->cell->early * r->d->hidden;
    memset(r->bias, 0, (all + r->d->hidden) * sizeof *r->bias);
    if (!b)
        return;
    const float *w = (const float *)b->data + r->index * 2 * all, *h = w + all;
    for (size_t k = 0; k < all; k++)
        r->bias[k] = w[k] + (k < apart ? h[k] : 0);
    if (apart < all) {
        memcpy(r->bias + all, h + apart, (all - apart) * sizeof *h);
        r->lane.hidden_bias = r->bias + all;
    }
}

static void project(struct run *r) {
    const struct recurrent_dims *d = r->d;
    const float *x = r->c->in[IN_X]->data;
    memset(r->zero, 0, d->inputs * sizeof *r->zero);
    for (size_t row = 0; row < d->batch; row++) {
        size_t length = length_of(r, row);
        for (size_t step = 0; step < d->steps; step++) {
            size_t t = step < length ? time_of(r, step, length) : 0;
            size_t at = d->batch_first ? row * d->steps + t : t * d->batch + row;
            r->rows[step * d->batch + row] = step < length ? x + at * d->inputs : r->zero;
        }
    }
    struct product p = {.a = r->rows,
                        .packed = r->weights.w,
                        .bias = r->bias,
                        .c = r->x,
                        .rows = d->steps * d->batch,
                        .ldc = d->gates * d->hidden,
                        .n = d->gates * d->hidden,
                        .k = d->inputs};
    multiply(&p, r->threads);
}

static void point_rows(const struct run *r, const float *base) {
    for (size_t row = 0; row < r->d->batch; row++)
        r->rows[row] = base + row * r->d->hidden;
}

/* Adds the recurrent products to the gates (B, G*H) of one step. */
static void recur(const struct run *r, size_t step, float *gates) {
    size_t h = r->d->hidden, all = r->d->gates * h, early = (size_t)r->cell->early * h;
    struct product p = {.a = r->rows,
                        .packed = r->weights.early,
                        .c = gates,
                        .rows = r->d->batch,
                        .ldc = all,
                        .n = early,
                        .k = h,
                        .add = true};
    point_rows(r, r->lane.h);
    multiply(&p, r->threads);
    if (early == all)
        return;
    p.packed = r->weights.late;
    p.n = all - early;
    if (r->lane.coupled) {
        p.c = r->lane.spare;
        p.ldc = h;
        p.add = false;
        p.bias = r->lane.hidden_bias;
    } else {
        for (size_t row = 0; row < r->d->batch; row++)
            if (step < length_of(r, row))
                r->cell->first(&r->lane, row, gates + row * all);
        point_rows(r, r->lane.spare);
        p.c = gates + early;
    }
    multiply(&p, r->threads);
}

static float *output_at(const struct run *r, size_t t, size_t row) {
    const struct recurrent_dims *d = r->d;
    size_t at = d->batch_first ? (row * d->steps + t) * d->directions + r->index
                               : (t * d->directions + r->index) * d->batch + row;
    return (float *)r->c->out[0]->data + at * d->hidden;
}

static void run_lane(struct run *r) {
    const struct recurrent_dims *d = r->d;
    size_t all = d->gates * d->hidden, bytes = d->hidden * sizeof(float);
    load_bias(r);
    load_states(r);
    memset(r->lane.spare, 0, d->batch * bytes);
    project(r);
    for (size_t step = 0; bytes && step < d->steps; step++) {
        float *gates = r->x + step * d->batch * all;
        recur(r, step, gates);
        for (size_t row = 0; row < d->batch; row++) {
            size_t length = length_of(r, row);
            bool on = step < length;
            if (on)
                r->cell->last(&r->lane, row, gates + row * all);
            if (!r->c->out[0])
                continue;
            float *y = output_at(r, on ? time_of(r, step, length) : step, row);
            if (on)
                memcpy(y, r->lane.h + row * d->hidden, bytes);
            else
                memset(y, 0, bytes);
        }
    }
    store_states(r);
}

static enum code check_lengths(const struct op_call *c, const struct recurrent_dims *d,
                               struct err *e) {
    const struct tensor *t = operand_in(c, IN_LENGTHS);
    for (size_t row = 0; t && row < d->batch; row++) {
        int32_t n = ((const int32_t *)t->data)[row];
        if (n < 0 || (size_t)n > d->steps)
            return operand_fail(c, e, INVALID, "sequence_lens[%zu] is %d, X has %zu steps", row, n,
                                d->steps);
    }
    return OK;
}

static void lay_run(struct run *r, const struct sizes *s, float *room) {
    r->x = take(&room, s->x);
    r->bias = take(&room, s->bias);
    r->rows = (const float **)(void *)take(&room, s->rows);
    r->lane.h = take(&room, s->state);
    r->lane.c = take(&room, s->state);
    r->lane.spare = take(&room, s->state);
    r->zero = take(&room, r->d->inputs);
}

enum code recurrent_run(const struct op_call *c, const struct recurrent_cell *cell, struct err *e) {
    struct recurrent_dims d;
    struct sizes s;
    struct recurrent_act acts[2][3];
    bool reverse;
    TRY(read_dims(OPERAND_AT(c), cell, &c->in[IN_X]->shape, &c->in[IN_R]->shape, &d, e));
    TRY(read_acts(OPERAND_AT(c), cell, d.directions, acts, e));
    TRY(read_directions(OPERAND_AT(c), &d.directions, &reverse, e));
    TRY(check_lengths(c, &d, e));
    if (NEVER(!measure(&d, cell, &s)))
        return operand_fail(c, e, LIMIT, "the operands are too large");
    float *weights = c->state ? c->state : (float *)c->scratch + d.directions * s.work;
    if (!c->state && s.weights)
        pack_directions(weights, &s, &d, cell, c->in[IN_W]->data, c->in[IN_R]->data);
    const struct tensor *peephole = cell->states > 1 ? operand_in(c, IN_P) : NULL;
    struct run runs[2];
    for (size_t k = 0; k < d.directions; k++) {
        runs[k] = (struct run){
            .c = c,
            .cell = cell,
            .d = &d,
            .index = k,
            .reverse = reverse || k == 1,
            .threads = d.directions == 1 ? c->threads : 1,
            .weights = lay_weights(weights + k * s.weights, &s),
            .lane = {.d = &d,
                     .clip = attr_float(c->node, "clip", 0),
                     .coupled = cell->coupled && attr_int(c->node, cell->coupled, 0) != 0,
                     .peephole =
                         peephole ? (const float *)peephole->data + k * 3 * d.hidden : NULL}};
        memcpy(runs[k].lane.act, acts[k], sizeof acts[k]);
        lay_run(&runs[k], &s, (float *)c->scratch + k * s.work);
    }
    bool both = d.directions == 2 && c->threads > 1;
#pragma omp parallel for num_threads(2) schedule(static) if (both)
    for (size_t k = 0; k < d.directions; k++)
        run_lane(&runs[k]);
    return OK;
}

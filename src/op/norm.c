/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations with one scale and shift per channel of (N, C, spatial...): batch_normalization,
 * instance_normalization, group_normalization. All come down to y = x * alpha[c] + beta[c]; they
 * differ in where mean and variance come from: the model, one channel of one picture, a group of
 * channels, or (batch_normalization in training) a channel of the whole batch.
 *
 * 1. Moments are taken in two passes, the sum and then the squares around the mean. Sums of a
 * channel are kept in double.
 * 2. f32 by kernels in either layout; f16 and bf16 are widened first; f64 element by element.
 * 3. Before opset 9 batch_normalization may have spatial = 0: then every position of a picture is a
 * channel of its own.
 * 4. Before opset 14 batch_normalization trains when outputs beyond the first are named, from then
 * on when training_mode says so.
 * 5. Never in place: a post may read the input once more. */
#include "op/operand.h"
#include "op/post.h"
#include "op/team.h"
#include "op/wide.h"

#include <math.h>

enum { TAPS = 32, STRETCH = 256, UNIT = 8192 }; /* rows, channels, elements of a step */

/* How x lies: pictures of `channels` planes of `pixels`, or with `last` of pixels of channels. */
struct view {
    size_t pictures, channels, pixels;
    bool last;
};

static struct view view_of(const struct tensor *x) {
    const struct shape *s = &x->shape;
    struct view v = {.pictures = s->rank ? (size_t)s->dims[0] : 1, .channels = 1, .pixels = 1};
    if (s->rank > 1)
        v.channels = (size_t)s->dims[1];
    for (int axis = 2; axis < s->rank; axis++)
        v.pixels *= (size_t)s->dims[axis];
    v.last = x->layout == LAYOUT_NHWC || v.pixels == 1;
    return v;
}

/* Everything a run works with. Tables hold one number per (picture, channel). */
struct job {
    const struct op_call *call;
    struct view v;
    enum dtype dtype; /* f32 or f64 */
    const void *x;
    void *y;
    double *sums;         /* of a channel, then its mean; then squares, then its variance */
    double *mean, *scale; /* y = (x - mean) * scale + shift */
    const double *shift;
    float *alpha, *beta; /* y = x * alpha + beta */
    size_t row;          /* channels from one picture's alpha to the next: 0 when all share */
    int threads;
};

/* --- moments of channels [begin, end) of a picture --- */

static void add_columns(const struct job *j, const float *x, size_t begin, size_t n,
                        const float *shift, double *sums) {
    static const float ones[TAPS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct kernel_set *k = kernel_set();
    const size_t step = j->v.channels;
    for (size_t row = 0; row < j->v.pixels; row += TAPS) {
        size_t n_taps = j->v.pixels - row < TAPS ? j->v.pixels - row : TAPS;
        const float *from = x + row * step + begin;
        float total[STRETCH] = {0}, v[STRETCH];
        const float *taps[TAPS];
        for (size_t tap = 0; tap < n_taps; tap++, from += step) {
            taps[tap] = from;
            if (!shift)
                continue;
            k->sub_f32(&(struct binary_f32){.rows = 1, .n = n, .a = from, .b = shift, .y = v});
            k->square_f32(n, v, v, 0, 0);
            k->add_f32(&(struct binary_f32){.rows = 1, .n = n, .a = total, .b = v, .y = total});
        }
        if (!shift)
            k->blend_f32(n_taps, taps, ones, n, total);
        for (size_t i = 0; i < n; i++)
            sums[i] += (double)total[i];
    }
}

static void moments_f32(const struct job *j, size_t picture, size_t begin, size_t end,
                        bool squares) {
    const struct kernel_set *k = kernel_set();
    const size_t table = picture * j->v.channels, plane = j->v.pixels;
    const float *x = (const float *)j->x + table * plane;
    for (size_t c = begin; c < end && !j->v.last; c++)
        j->sums[table + c] =
            squares ? (double)k->spread_f32(plane, x + c * plane, (float)j->mean[table + c])
                    : (double)k->sum_f32(plane, x + c * plane);
    for (size_t c = begin; c < end && j->v.last; c += STRETCH) {
        size_t n = end - c < STRETCH ? end - c : STRETCH;
        float shift[STRETCH];
        for (size_t i = 0; i < n; i++) {
            shift[i] = squares ? (float)j->mean[table + c + i] : 0;
            j->sums[table + c + i] = 0;
        }
        add_columns(j, x, c, n, squares ? shift : NULL, j->sums + table + c);
    }
}

static void moments_f64(const struct job *j, size_t picture, size_t begin, size_t end,
                        bool squares) {
    const size_t table = picture * j->v.channels;
    const double *x = (const double *)j->x + table * j->v.pixels;
    const size_t from = j->v.last ? 1 : j->v.pixels, step = j->v.last ? j->v.channels : 1;
    for (size_t c = begin; c < end; c++) {
        double sum = 0, mean = squares ? j->mean[table + c] : 0;
        for (size_t p = 0; p < j->v.pixels; p++) {
            double d = x[c * from + p * step] - mean;
            sum += squares ? d * d : d;
        }
        j->sums[table + c] = sum;
    }
}

/* Fills sums for all pictures and channels. */
static void moments(const struct job *j, bool squares) {
    void (*some)(const struct job *, size_t, size_t, size_t, bool) =
        j->dtype == DT_F64 ? moments_f64 : moments_f32;
    const size_t c = j->v.channels, pictures = j->v.pictures;
    if (j->threads == 1) {
        for (size_t picture = 0; picture < pictures; picture++)
            some(j, picture, 0, c, squares);
        return;
    }
    const int threads = j->threads;
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        for (size_t picture = 0; picture < pictures; picture++)
            some(j, picture, team_cut(c, 16, threads, t), team_cut(c, 16, threads, t + 1), squares);
}

/* Replaces the sums of channels that are normalised together by their average: `group` channels
 * side by side, or (0) one channel of all pictures. Sums over `group` * pixels elements each. */
static void pool_sums(const struct job *j, size_t group, double *out) {
    const size_t c = j->v.channels, count = j->v.pictures * c;
    if (group == 0) {
        for (size_t k = 0; k < c; k++) {
            double sum = 0;
            for (size_t at = k; at < count; at += c)
                sum += j->sums[at];
            for (size_t at = k; at < count; at += c)
                out[at] = sum / ((double)j->v.pictures * (double)j->v.pixels);
        }
        return;
    }
    for (size_t at = 0; at < count; at += group) {
        double sum = 0;
        for (size_t k = 0; k < group; k++)
            sum += j->sums[at + k];
        for (size_t k = 0; k < group; k++)
            out[at + k] = sum / ((double)group * (double)j->v.pixels);
    }
}

/* --- y = x * alpha + beta --- */

/* Elements of the work that one step does: whole planes, or whole pixels. */
static size_t unit_of(const struct view *v) {
    const size_t grain = v->last ? v->channels : v->pixels;
    return grain >= UNIT ? 1 : UNIT / grain;
}

static void apply_f32(const struct job *j, size_t picture, size_t begin, size_t end) {
    const struct kernel_set *k = kernel_set();
    const struct view *v = &j->v;
    const size_t grain = v->last ? v->channels : v->pixels;
    const size_t first = picture * v->channels * v->pixels + begin * grain;
    const float *x = (const float *)j->x + first, *alpha = j->alpha + picture * j->row,
                *beta = j->beta + picture * j->row;
    float *y = (float *)j->y + first;
    if (v->last)
        k->scale_f32(end - begin, grain, x, alpha, beta, y);
    for (size_t c = begin; c < end && !v->last; c++)
        k->linear_f32(grain, x + (c - begin) * grain, y + (c - begin) * grain, alpha[c], beta[c]);
    if (j->call->node->n_post)
        post_apply(j->call, j->call->out[0], first, (end - begin) * grain);
}

static void apply_f64(const struct job *j, size_t picture, size_t begin, size_t end) {
    const struct view *v = &j->v;
    const size_t grain = v->last ? v->channels : v->pixels, table = picture * j->row;
    const size_t first = picture * v->channels * v->pixels;
    const double *x = (const double *)j->x + first;
    double *y = (double *)j->y + first;
    for (size_t p = begin * grain; p < end * grain; p++) {
        size_t c = v->last ? p % grain : p / grain;
        y[p] = (x[p] - j->mean[table + c]) * j->scale[table + c] + j->shift[c];
    }
}

/* Units [begin, end), counted over all pictures. */
static void apply_units(const struct job *j, size_t begin, size_t end) {
    const size_t n = j->v.last ? j->v.pixels : j->v.channels, unit = unit_of(&j->v);
    const size_t per_picture = (n + unit - 1) / unit;
    for (size_t u = begin; u < end; u++) {
        size_t from = u % per_picture * unit, to = from + unit < n ? from + unit : n;
        (j->dtype == DT_F64 ? apply_f64 : apply_f32)(j, u / per_picture, from, to);
    }
}

static void apply(struct job *j) {
    const size_t n = j->v.last ? j->v.pixels : j->v.channels, unit = unit_of(&j->v);
    const size_t units = (n + unit - 1) / unit * j->v.pictures;
    const size_t rows = j->row ? j->v.pictures : 1;
    for (size_t k = 0; k < rows * j->v.channels; k++) {
        j->alpha[k] = (float)j->scale[k];
        j->beta[k] = (float)(j->shift[k % j->v.channels] - j->mean[k] * j->scale[k]);
    }
    const int threads = j->threads;
    if (threads == 1) {
        apply_units(j, 0, units);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; t++)
        apply_units(j, team_cut(units, 1, threads, t), team_cut(units, 1, threads, t + 1));
}

/* --- the parts all share: scratch, widening --- */

/* sums, mean, scale (pictures, channels) and shift (channels) in f64; alpha, beta in f32; behind
 * them, for 16-bit types, x and y as f32. */
static bool room_of(const struct view *v, enum dtype t, size_t *tables, size_t *bytes) {
    size_t cells, count;
    if (!mul_size(v->pictures, v->channels, &cells) || !mul_size(cells, v->pixels, &count) ||
        !mul_size(cells, 4 * sizeof(double) + 2 * sizeof(float), tables) ||
        !mul_size(count, wide_half(t) ? 2 * sizeof(float) : 0, &count))
        return false;
    return add_size(*tables, count, bytes);
}

/* spatial = 0: every position is a channel. */
static struct view view_at(const struct node *n, const struct tensor *x) {
    struct view v = view_of(x);
    if (n->opset < 9 && !attr_int(n, "spatial", 1)) {
        v.channels *= v.pixels;
        v.pixels = 1;
        v.last = true;
    }
    return v;
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct tensor x = {.dtype = c->in[0].dtype, .shape = c->in[0].shape};
    struct view v = view_at(c->node, &x);
    size_t tables;
    if (!room_of(&v, x.dtype, &tables, &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the input is too large");
    return OK;
}

static struct job begin_job(const struct op_call *c, double **shift) {
    const struct tensor *x = c->in[0];
    struct job j = {.call = c, .v = view_at(c->node, x), .dtype = x->dtype};
    size_t cells = j.v.pictures * j.v.channels, count = tensor_count(x);
    double *at = c->scratch;
    j.sums = at;
    j.mean = at + cells;
    j.scale = at + 2 * cells;
    j.shift = *shift = at + 3 * cells;
    j.alpha = (float *)(at + 4 * cells);
    j.beta = j.alpha + cells;
    j.row = j.v.channels;
    j.x = x->data;
    j.y = c->out[0]->data;
    if (wide_half(x->dtype)) {
        float *wide = j.beta + cells;
        wide_load(x->dtype, x->data, 0, count, wide);
        j.dtype = DT_F32;
        j.x = wide;
        j.y = wide + count;
    }
    j.threads = team_size(c->threads, (double)count * (j.dtype == DT_F64 ? 2 : 0.3));
    return j;
}

static void end_job(const struct job *j) {
    const struct tensor *y = j->call->out[0];
    if (wide_half(y->dtype))
        wide_store(y->dtype, y->data, 0, tensor_count(y), j->y);
}

/* mean and scale from the data: scale is what 1 / sqrt(var + epsilon) is multiplied with. */
static void standardise(struct job *j, size_t group, double epsilon) {
    moments(j, false);
    pool_sums(j, group, j->mean);
    moments(j, true);
    pool_sums(j, group, j->scale); /* the variance, for now */
    const size_t cells = j->v.pictures * j->v.channels;
    for (size_t k = 0; k < cells; k++) {
        j->sums[k] = j->scale[k];
        j->scale[k] = 1 / sqrt(j->sums[k] + epsilon);
    }
}

/* --- batch_normalization --- */

static bool trains(const struct node *n) {
    if (n->opset >= 14)
        return attr_int(n, "training_mode", 0) != 0;
    if (n->opset < 7)
        return !attr_int(n, "is_test", 0);
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE)
            return true;
    return false;
}

static enum code check_table(const struct op_infer *c, int i, size_t count, struct err *e) {
    size_t got;
    if (!dtype_is_float(c->in[i].dtype))
        return operand_fail(c, e, INVALID, "input %d is %s", i, dtype_name(c->in[i].dtype));
    if (c->in[i].known && (!shape_count(&c->in[i].shape, &got) || got != count))
        return operand_fail(c, e, INVALID, "input %d has %zu elements, %zu were expected", i,
                            c->in[i].known ? got : 0, count);
    return OK;
}

static enum code infer_batch(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 5, e));
    TRY(operand_infer_same(c, e));
    for (int i = 1; i < c->node->n_out; i++)
        operand_out_later(c, i, c->in[i < 3 ? i + 2 : i].dtype);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known)
        return OK;
    struct view v = view_at(c->node, &(struct tensor){.shape = c->in[0].shape});
    for (int i = 1; i < 5; i++)
        TRY(check_table(c, i, v.channels, e));
    for (int i = 1; i < c->node->n_out && i < 5; i++)
        if (c->in[i < 3 ? i + 2 : i].known)
            TRY(operand_out(c, i, c->in[i < 3 ? i + 2 : i].dtype, &c->in[i < 3 ? i + 2 : i].shape,
                            e));
    return OK;
}

/* Index in a table of the model of the k-th channel as x lies: they differ with spatial = 0. */
static size_t table_index(const struct tensor *x, const struct view *v, size_t k) {
    const struct view whole = view_of(x);
    if (whole.channels == v->channels || !whole.last)
        return k;
    return k % whole.channels * whole.pixels + k / whole.channels;
}

/* Outputs 1 to 4: running mean and variance, and before opset 14 those of this batch. */
static void put_running(const struct job *j) {
    const struct op_call *c = j->call;
    const double momentum = (double)attr_float(c->node, "momentum", 0.9f);
    for (size_t k = 0; k < j->v.channels; k++) {
        size_t at = table_index(c->in[0], &j->v, k);
        const double now[2] = {j->mean[k], j->sums[k]};
        for (int i = 0; i < 2; i++) {
            const struct tensor *running = operand_to(c, 1 + i), *saved = operand_to(c, 3 + i);
            if (running)
                operand_put(running, at,
                            tensor_f64(c->in[3 + i], at) * momentum + now[i] * (1 - momentum));
            if (saved)
                operand_put(saved, at, now[i]);
        }
    }
}

static enum code run_batch(const struct op_call *c, struct err *e) {
    (void)e;
    double *shift;
    struct job j = begin_job(c, &shift);
    const double epsilon = (double)attr_float(c->node, "epsilon", 1e-5f);
    const bool training = trains(c->node);
    if (tensor_count(c->out[0]) == 0)
        return OK;
    if (training) {
        standardise(&j, 0, epsilon);
        put_running(&j);
    }
    for (size_t k = 0; k < j.v.channels; k++) {
        size_t at = table_index(c->in[0], &j.v, k);
        shift[k] = tensor_f64(c->in[2], at);
        if (!training) {
            j.mean[k] = tensor_f64(c->in[3], at);
            j.scale[k] = 1 / sqrt(tensor_f64(c->in[4], at) + epsilon);
        }
        j.scale[k] *= tensor_f64(c->in[1], at);
    }
    j.row = 0; /* what the first picture has, all have */
    apply(&j);
    end_job(&j);
    return OK;
}

/* --- instance_normalization, group_normalization --- */

static enum code infer_channels(struct op_infer *c, size_t n_tables, struct err *e) {
    const enum dtype t = c->in[0].dtype;
    if (!dtype_is_float(t))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    for (int i = 1; i < 3 && c->in[0].known; i++)
        TRY(check_table(c, i, n_tables, e));
    return OK;
}

static enum code infer_instance(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    TRY(operand_infer_same(c, e));
    struct view v = view_of(&(struct tensor){.shape = c->in[0].shape});
    return infer_channels(c, v.channels, e);
}

static enum code infer_group(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    TRY(operand_infer_same(c, e));
    struct view v = view_of(&(struct tensor){.shape = c->in[0].shape});
    int64_t groups = attr_int(c->node, "num_groups", 0);
    if (groups < 1 || (c->in[0].known && v.channels % (size_t)groups))
        return operand_fail(c, e, INVALID, "%zu channels do not make %lld groups", v.channels,
                            (long long)groups);
    return infer_channels(c, c->node->opset < 21 ? (size_t)groups : v.channels, e);
}

/* per_table: channels that share an element of scale and bias. */
static enum code run_groups(const struct op_call *c, size_t group, size_t per_table) {
    double *shift;
    struct job j = begin_job(c, &shift);
    if (tensor_count(c->out[0]) == 0)
        return OK;
    standardise(&j, group, (double)attr_float(c->node, "epsilon", 1e-5f));
    for (size_t k = 0; k < j.v.channels; k++)
        shift[k] = tensor_f64(c->in[2], k / per_table);
    for (size_t k = 0; k < j.v.pictures * j.v.channels; k++)
        j.scale[k] *= tensor_f64(c->in[1], k % j.v.channels / per_table);
    apply(&j);
    end_job(&j);
    return OK;
}

static enum code run_instance(const struct op_call *c, struct err *e) {
    (void)e;
    return run_groups(c, 1, 1);
}

static enum code run_group(const struct op_call *c, struct err *e) {
    (void)e;
    struct view v = view_of(c->in[0]);
    size_t group = v.channels / (size_t)attr_int(c->node, "num_groups", 1);
    return run_groups(c, group ? group : 1, c->node->opset < 21 && group ? group : 1);
}

const struct op op_batch_normalization = {
    "batch_normalization", OP_PURE | OP_NHWC | OP_POST, infer_batch, prepare, run_batch, NULL};
const struct op op_instance_normalization = {"instance_normalization",
                                             OP_PURE | OP_NHWC | OP_POST,
                                             infer_instance,
                                             prepare,
                                             run_instance,
                                             NULL};
const struct op op_group_normalization = {
    "group_normalization", OP_PURE | OP_NHWC | OP_POST, infer_group, prepare, run_group, NULL};

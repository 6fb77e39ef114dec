/* SPDX-License-Identifier: Apache-2.0 */
/* lrn, local response normalisation: each element is divided by (bias + alpha / size * the sum of
 * squares over `size` neighbouring channels) to the power of beta.
 *
 * f32 by kernels: in plain layout a stretch of pixels goes through all channels, in NHWC a pixel's
 * channels are one row, squared once into a row with zeros at both ends. Other types element by
 * element. Never in place: neighbours are read after they were written. */
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/team.h"

#include <math.h>

enum { STRETCH = 256 };

struct job {
    const struct tensor *x, *y;
    size_t channels, pixels;
    size_t before, after; /* neighbours on either side */
    float alpha, beta, bias;
    float *room; /* per thread: room_floats() */
};

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_infer_same(c, e));
    const int64_t size = attr_int(c->node, "size", 0);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(c->in[0].dtype));
    if (size < 1 || size > INT32_MAX)
        return operand_fail(c, e, INVALID, "size = %lld", (long long)size);
    if (c->in[0].known && c->in[0].shape.rank < 2)
        return operand_fail(c, e, INVALID, "an input of rank %d has no channels",
                            c->in[0].shape.rank);
    return OK;
}

/* Neighbours that exist: a window wider than the channels is cut to them. */
static void window_of(const struct node *n, size_t channels, size_t *before, size_t *after) {
    const size_t size = (size_t)attr_int(n, "size", 1), most = channels ? channels - 1 : 0;
    *before = (size - 1) / 2 < most ? (size - 1) / 2 : most;
    *after = size / 2 < most ? size / 2 : most;
}

static size_t room_floats(size_t channels, size_t before, size_t after) {
    return 2 * channels + before + after;
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    size_t before, after, channels = (size_t)c->in[0].shape.dims[1];
    window_of(c->node, channels, &before, &after);
    if (c->in[0].layout == LAYOUT_NHWC &&
        !mul_size(room_floats(channels, before, after), sizeof(float) * (size_t)c->threads,
                  &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "too many channels");
    return OK;
}

/* y = x * (bias + alpha * sums) ^ -beta; sums are used up. */
static void divide(const struct job *j, size_t n, const float *x, float *sums, float *y) {
    const struct kernel_set *k = kernel_set();
    k->linear_f32(n, sums, sums, j->alpha, j->bias);
    k->log_f32(n, sums, sums, 0, 0);
    k->linear_f32(n, sums, sums, -j->beta, 0);
    k->exp_f32(n, sums, sums, 0, 0);
    k->mul_f32(&(struct binary_f32){.rows = 1, .n = n, .a = x, .b = sums, .y = y});
}

static void add(size_t n, float *sums, const float *squares) {
    kernel_set()->add_f32(
        &(struct binary_f32){.rows = 1, .n = n, .a = sums, .b = squares, .y = sums});
}

/* Planes [begin, end) of all pictures. */
static void planes(const struct job *j, size_t begin, size_t end) {
    const float *x = j->x->data;
    float *y = j->y->data, sums[STRETCH], v[STRETCH];
    for (size_t plane = begin; plane < end; plane++) {
        const size_t c = plane % j->channels, low = c < j->before ? c : j->before,
                     high = j->channels - 1 - c < j->after ? j->channels - 1 - c : j->after;
        for (size_t p = 0; p < j->pixels; p += STRETCH) {
            size_t n = j->pixels - p < STRETCH ? j->pixels - p : STRETCH;
            memset(sums, 0, n * sizeof *sums);
            for (size_t at = plane - low; at <= plane + high; at++) {
                kernel_set()->square_f32(n, x + at * j->pixels + p, v, 0, 0);
                add(n, sums, v);
            }
            divide(j, n, x + plane * j->pixels + p, sums, y + plane * j->pixels + p);
        }
    }
}

/* Pixels [begin, end) of all pictures, in NHWC. */
static void pixels(const struct job *j, size_t begin, size_t end, float *room) {
    const size_t n = j->channels;
    float *squares = room, *sums = room + n + j->before + j->after;
    memset(room, 0, room_floats(n, j->before, j->after) * sizeof *room);
    for (size_t pixel = begin; pixel < end; pixel++) {
        const float *x = (const float *)j->x->data + pixel * n;
        kernel_set()->square_f32(n, x, squares + j->before, 0, 0);
        memset(sums, 0, n * sizeof *sums);
        for (size_t k = 0; k <= j->before + j->after; k++)
            add(n, sums, squares + k);
        divide(j, n, x, sums, (float *)j->y->data + pixel * n);
    }
}

/* Elements [begin, end), counted as they lie, of any type. */
static void elements(const struct job *j, size_t begin, size_t end) {
    const bool last = j->x->layout == LAYOUT_NHWC;
    const size_t step = last ? 1 : j->pixels;
    for (size_t at = begin; at < end; at++) {
        size_t c = last ? at % j->channels : at / j->pixels % j->channels;
        size_t low = c < j->before ? c : j->before,
               high = j->channels - 1 - c < j->after ? j->channels - 1 - c : j->after;
        double sum = 0, x = tensor_f64(j->x, at);
        for (size_t k = at - low * step; k <= at + high * step; k += step)
            sum += tensor_f64(j->x, k) * tensor_f64(j->x, k);
        operand_put(j->y, at, x / pow((double)j->bias + (double)j->alpha * sum, (double)j->beta));
    }
}

static void part(const struct job *j, int threads, int t) {
    const size_t count = tensor_count(j->x);
    const bool f32 = j->x->dtype == DT_F32, last = j->x->layout == LAYOUT_NHWC;
    const size_t n = !f32 ? count : last ? count / j->channels : count / j->pixels;
    const size_t begin = team_cut(n, 1, threads, t), end = team_cut(n, 1, threads, t + 1);
    if (!f32)
        elements(j, begin, end);
    else if (last)
        pixels(j, begin, end, j->room + (size_t)t * room_floats(j->channels, j->before, j->after));
    else
        planes(j, begin, end);
}

static enum code run(const struct op_call *c, struct err *e) {
    (void)e;
    struct job j = {.x = c->in[0], .y = c->out[0], .pixels = 1, .room = c->scratch};
    const size_t count = tensor_count(j.x);
    if (count == 0)
        return OK;
    j.channels = (size_t)j.x->shape.dims[1];
    for (int axis = 2; axis < j.x->shape.rank; axis++)
        j.pixels *= (size_t)j.x->shape.dims[axis];
    window_of(c->node, j.channels, &j.before, &j.after);
    j.alpha = attr_float(c->node, "alpha", 1e-4f) / (float)attr_int(c->node, "size", 1);
    j.beta = attr_float(c->node, "beta", 0.75f);
    j.bias = attr_float(c->node, "bias", 1);
    const double ns = (j.x->dtype == DT_F32 ? 0.3 : 10) * (double)(j.before + j.after + 4);
    const int threads = team_size(c->threads, (double)count * ns);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        part(&j, threads, t);
    return OK;
}

const struct op op_lrn = {"lrn", OP_PURE | OP_NHWC, infer, prepare, run, NULL};

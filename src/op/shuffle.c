/* SPDX-License-Identifier: Apache-2.0 */
/* channel_shuffle: channels (group, c) become (c, group). No file names it: the transpose pass
 * makes it of the Reshape, Transpose, Reshape that exporters write, so that the chain of layouts is
 * not broken for it. attribute: group. */
#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/team.h"

static const double NS_PER_BYTE = 0.1;

static enum code infer_shuffle(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    int64_t group = attr_int(c->node, "group", 1);
    if (group < 1 || dtype_size(c->in[0].dtype) > 8)
        return operand_fail(c, e, INVALID, "%lld groups of %s", (long long)group,
                            dtype_name(c->in[0].dtype));
    if (c->in[0].known && (c->in[0].shape.rank < 2 || c->in[0].shape.dims[1] % group))
        return operand_fail(c, e, INVALID, "the channels are not a multiple of %lld groups",
                            (long long)group);
    return operand_infer_same(c, e);
}

/* Channels last: each pixel is a small matrix (group, c), turned. */
static void shuffle_pixels(const struct op_call *c, size_t group, size_t channels, size_t pixels,
                           int threads) {
    const size_t bytes = dtype_size(c->in[0]->dtype), pixel = channels * bytes;
    transpose_fn *turn = kernel_transpose(bytes);
    const char *in = c->in[0]->data;
    char *out = c->out[0]->data;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t p = 0; p < pixels; p++)
        turn(group, channels / group, in + p * pixel, channels / group, out + p * pixel, group);
}

/* Plain: whole planes change places. */
static void shuffle_planes(const struct op_call *c, size_t group, size_t channels, size_t pixels,
                           int threads) {
    const size_t plane = pixels * dtype_size(c->in[0]->dtype), each = channels / group,
                 planes = (size_t)c->in[0]->shape.dims[0] * channels;
    const char *in = c->in[0]->data;
    char *out = c->out[0]->data;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (size_t p = 0; p < planes; p++) {
        size_t row = p / channels, at = p % channels;
        memcpy(out + p * plane, in + (row * channels + at % group * each + at / group) * plane,
               plane);
    }
}

static enum code run_shuffle(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0];
    size_t group = (size_t)attr_int(c->node, "group", 1), channels = (size_t)x->shape.dims[1];
    (void)e;
    if (tensor_count(x) == 0)
        return OK;
    int threads = team_size(c->threads, (double)tensor_bytes(x) * NS_PER_BYTE);
    size_t rows = (size_t)x->shape.dims[0], pixels = tensor_count(x) / rows / channels;
    if (x->layout == LAYOUT_NHWC)
        shuffle_pixels(c, group, channels, rows * pixels, threads);
    else
        shuffle_planes(c, group, channels, pixels, threads);
    return OK;
}

const struct op op_channel_shuffle = {.name = "channel_shuffle",
                                      .flags = OP_PURE | OP_NHWC,
                                      .infer = infer_shuffle,
                                      .run = run_shuffle};

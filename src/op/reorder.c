/* SPDX-License-Identifier: Apache-2.0 */
/* reorder: PLAIN <-> NHWC, an operator that only passes insert. A change of layout is a batch of
 * two-dimensional transposes of (channels, pixels), shared among the team by pictures and stretches
 * of pixels. */
#include "op/reorder.h"

#include "kernel/kernel.h"
#include "op/operand.h"
#include "op/team.h"

/* Elements of 16 bytes (strings): rare, so plain. */
static void planes_wide(const char *from, char *to, size_t n, size_t c, size_t s, size_t bytes) {
    for (size_t i = 0; i < n; i++)
        for (size_t row = 0; row < c; row++)
            for (size_t col = 0; col < s; col++)
                memcpy(to + ((i * s + col) * c + row) * bytes,
                       from + ((i * c + row) * s + col) * bytes, bytes);
}

/* Columns [begin, end) of one picture. */
static void columns(transpose_fn *fn, const char *from, char *to, size_t c, size_t s, size_t bytes,
                    size_t begin, size_t end) {
    fn(c, end - begin, from + begin * bytes, s, to + begin * c * bytes, c);
}

void reorder_planes(const void *from, void *to, size_t n, size_t c, size_t s, size_t bytes,
                    int threads) {
    const size_t picture = c * s * bytes, grain = 64;
    if (bytes > 8) {
        planes_wide(from, to, n, c, s, bytes);
        return;
    }
    if (c == 1 || s == 1) {
        if (n > 0 && picture > 0)
            memcpy(to, from, n * picture);
        return;
    }
    transpose_fn *fn = kernel_transpose(bytes);
    const int team = team_size(threads, 0.5 * (double)(n * c * s));
    const size_t stretch = (s / (size_t)team + grain) / grain * grain,
                 per = (s + stretch - 1) / stretch;
    if (team == 1) {
        for (size_t i = 0; i < n; i++)
            columns(fn, (const char *)from + i * picture, (char *)to + i * picture, c, s, bytes, 0,
                    s);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (size_t unit = 0; unit < n * per; unit++) {
        size_t i = unit / per, begin = unit % per * stretch,
               end = begin + stretch < s ? begin + stretch : s;
        columns(fn, (const char *)from + i * picture, (char *)to + i * picture, c, s, bytes, begin,
                end);
    }
}

void reorder_tensor(const struct tensor *from, const struct tensor *to, int threads) {
    size_t bytes = dtype_size(from->dtype), count = tensor_count(from);
    if (count == 0)
        return;
    if (from->layout == to->layout || from->shape.rank < 3) {
        memcpy(to->data, from->data, count * bytes);
        return;
    }
    size_t n = (size_t)from->shape.dims[0], c = (size_t)from->shape.dims[1], s = count / n / c;
    if (to->layout == LAYOUT_NHWC)
        reorder_planes(from->data, to->data, n, c, s, bytes, threads);
    else
        reorder_planes(from->data, to->data, n, s, c, bytes, threads);
}

static enum code infer_reorder(struct op_infer *c, struct err *e) {
    return operand_infer_same(c, e);
}

static enum code run_reorder(const struct op_call *c, struct err *e) {
    (void)e;
    reorder_tensor(c->in[0], c->out[0], c->threads);
    return OK;
}

const struct op op_reorder = {
    .name = "reorder", .flags = OP_PURE, .infer = infer_reorder, .run = run_reorder};

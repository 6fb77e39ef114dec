/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of pixels: depth_to_space, space_to_depth, col2im.
 *
 * Opsets: depth_to_space has mode (DCR, CRD) since 11. Both move between (N, C*b*b, H, W) and (N,
 * C, H*b, W*b), as one strided copy of six dims, in PLAIN and in NHWC. */
#include "op/operand.h"
#include "op/stride.h"

/* --- depth_to_space, space_to_depth --- */

struct space { /* the side with small H and W is the deep one */
    int64_t n, channels, height, width, block;
    bool crd; /* deep channel = (c, bh, bw); otherwise (bh, bw, c) */
};

static enum code space_block(const struct op_infer *c, int64_t *block, struct err *e) {
    *block = attr_int(c->node, "blocksize", 0);
    if (*block < 1 || *block > 1 << 15)
        return operand_fail(c, e, INVALID, "blocksize is %lld", (long long)*block);
    if (c->in[0].known && c->in[0].shape.rank != 4)
        return operand_fail(c, e, INVALID, "the input has rank %d, 4 was expected",
                            c->in[0].shape.rank);
    return OK;
}

static enum code space_mode(const struct operand_at *at, bool *crd, struct err *e) {
    struct str mode = attr_str(at->node, "mode", "DCR");
    *crd = str_is(mode, "CRD");
    if (!*crd && !str_is(mode, "DCR"))
        return operand_fail(at, e, FORMAT, "mode '%.*s' is not one of DCR, CRD", STR(mode));
    return OK;
}

static enum code infer_depth_to_space(struct op_infer *c, struct err *e) {
    int64_t b;
    bool crd;
    TRY(operand_need(c, 1, e));
    TRY(space_block(c, &b, e));
    TRY(space_mode(OPERAND_AT(c), &crd, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    const int64_t *in = c->in[0].shape.dims;
    if (in[1] % (b * b))
        return operand_fail(c, e, INVALID, "%lld channels are not a multiple of %lld",
                            (long long)in[1], (long long)(b * b));
    struct shape out = {.rank = 4, .dims = {in[0], in[1] / (b * b), in[2] * b, in[3] * b}};
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code infer_space_to_depth(struct op_infer *c, struct err *e) {
    int64_t b;
    bool crd;
    TRY(operand_need(c, 1, e));
    TRY(space_block(c, &b, e));
    TRY(space_mode(OPERAND_AT(c), &crd, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!c->in[0].known)
        return OK;
    const int64_t *in = c->in[0].shape.dims;
    if (in[2] % b || in[3] % b)
        return operand_fail(c, e, INVALID, "%lld x %lld is not a multiple of %lld",
                            (long long)in[2], (long long)in[3], (long long)b);
    struct shape out = {.rank = 4, .dims = {in[0], in[1] * b * b, in[2] / b, in[3] / b}};
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* Strides of an element (n, c, h, bh, w, bw), in this order, on the deep and on the flat side. */
static void space_strides(const struct space *s, enum layout layout, int64_t deep[6],
                          int64_t flat[6]) {
    int64_t b = s->block, deep_channels = s->channels * b * b;
    int64_t channel, row, column; /* of the deep side */
    if (layout == LAYOUT_NHWC) {
        channel = 1, column = deep_channels, row = s->width * column;
        flat[1] = 1, flat[5] = s->channels, flat[3] = s->width * b * s->channels;
    } else {
        column = 1, row = s->width, channel = s->height * row;
        flat[5] = 1, flat[3] = s->width * b, flat[1] = s->height * b * flat[3];
    }
    flat[4] = b * flat[5];
    flat[2] = b * flat[3];
    deep[1] = channel * (s->crd ? b * b : 1);
    deep[3] = channel * b * (s->crd ? 1 : s->channels);
    deep[5] = channel * (s->crd ? 1 : s->channels);
    deep[2] = row;
    deep[4] = column;
    deep[0] = flat[0] = deep_channels * s->height * s->width;
}

static enum code space_move(const struct op_call *c, bool to_flat, struct err *e) {
    const struct tensor *in = c->in[0], *out = c->out[0];
    const struct tensor *deep_side = to_flat ? in : out, *flat_side = to_flat ? out : in;
    int64_t deep[6], flat[6];
    struct space s = {.n = in->shape.dims[0],
                      .channels = flat_side->shape.dims[1],
                      .height = deep_side->shape.dims[2],
                      .width = deep_side->shape.dims[3],
                      .block = attr_int(c->node, "blocksize", 1)};
    TRY(space_mode(OPERAND_AT(c), &s.crd, e));
    space_strides(&s, in->layout, deep, flat);
    const int64_t dims[6] = {s.n, s.channels, s.height, s.block, s.width, s.block};
    static const int plain_order[6] = {0, 1, 2, 3, 4, 5}, nhwc_order[6] = {0, 2, 3, 4, 5, 1};
    static const int deep_plain[6] = {0, 3, 5, 1, 2, 4}, deep_crd[6] = {0, 1, 3, 5, 2, 4};
    static const int deep_nhwc[6] = {0, 2, 4, 3, 5, 1}, deep_nhwc_crd[6] = {0, 2, 4, 1, 3, 5};
    const int *order; /* dims in the order in which the output lies */
    if (to_flat)
        order = in->layout == LAYOUT_NHWC ? nhwc_order : plain_order;
    else if (in->layout == LAYOUT_NHWC)
        order = s.crd ? deep_nhwc_crd : deep_nhwc;
    else
        order = s.crd ? deep_crd : deep_plain;
    struct stride copy = {.rank = 0};
    for (int k = 0; k < 6; k++)
        stride_push(&copy, dims[order[k]], (to_flat ? flat : deep)[order[k]],
                    (to_flat ? deep : flat)[order[k]]);
    stride_copy(&copy, out->data, in->data, dtype_size(in->dtype), c->threads);
    return OK;
}

static enum code run_depth_to_space(const struct op_call *c, struct err *e) {
    return space_move(c, true, e);
}
static enum code run_space_to_depth(const struct op_call *c, struct err *e) {
    return space_move(c, false, e);
}

/* --- col2im: columns of blocks added back into an image --- */

struct col2im { /* per spatial dim */
    int n;
    int64_t image[SHAPE_MAX], block[SHAPE_MAX], dilation[SHAPE_MAX], stride[SHAPE_MAX],
        pad[SHAPE_MAX];
    int64_t columns[SHAPE_MAX]; /* block positions */
};

/* image, block: the inputs' data */
static enum code col2im_setup(const struct operand_at *at, const struct tensor *image,
                              const struct tensor *block, struct col2im *s, struct err *e) {
    struct operand_ints sizes, blocks;
    int64_t pads[2 * SHAPE_MAX];
    TRY(operand_ints(at, image, "image_shape", &sizes, e));
    TRY(operand_ints(at, block, "block_shape", &blocks, e));
    s->n = sizes.n;
    if (sizes.n < 1 || sizes.n > SHAPE_MAX - 2 || blocks.n != sizes.n)
        return operand_fail(at, e, INVALID, "an image of %d dims with blocks of %d", sizes.n,
                            blocks.n);
    const int64_t limit = INT64_C(1) << 32;
    TRY(operand_attr_each(at, "dilations", s->n, 1, 1, limit, s->dilation, e));
    TRY(operand_attr_each(at, "strides", s->n, 1, 1, limit, s->stride, e));
    TRY(operand_attr_each(at, "pads", 2 * s->n, 0, 0, limit, pads, e));
    for (int k = 0; k < s->n; k++) {
        if (sizes.v[k] < 1 || sizes.v[k] > limit || blocks.v[k] < 1 || blocks.v[k] > 1 << 24 ||
            s->dilation[k] > 1 << 24)
            return operand_fail(at, e, INVALID, "dim %d has %lld pixels and blocks of %lld", k,
                                (long long)sizes.v[k], (long long)blocks.v[k]);
        s->image[k] = sizes.v[k];
        s->block[k] = blocks.v[k];
        s->pad[k] = pads[k];
        int64_t room =
            s->image[k] + pads[k] + pads[k + s->n] - s->dilation[k] * (s->block[k] - 1) - 1;
        if (room < 0)
            return operand_fail(at, e, INVALID,
                                "the block is larger than the padded image along dim %d", k);
        s->columns[k] = room / s->stride[k] + 1;
    }
    return OK;
}

static enum code infer_col2im(struct op_infer *c, struct err *e) {
    struct col2im s;
    TRY(operand_need(c, 3, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, UNSUPPORTED, "elements of type %s", dtype_name(c->in[0].dtype));
    if (!c->in[0].known || !operand_data(c, 1) || !operand_data(c, 2))
        return OK;
    const struct shape *in = &c->in[0].shape;
    TRY(col2im_setup(OPERAND_AT(c), operand_data(c, 1), operand_data(c, 2), &s, e));
    int64_t block = 1, columns = 1;
    bool fits = in->rank == 3;
    for (int k = 0; fits && k < s.n; k++)
        fits = !__builtin_mul_overflow(block, s.block[k], &block) &&
               !__builtin_mul_overflow(columns, s.columns[k], &columns);
    if (!fits || in->dims[1] % block || in->dims[2] != columns) {
        char text[SHAPE_TEXT];
        return operand_fail(
            c, e, INVALID, "an input of shape %s does not hold %lld columns of %lld block elements",
            shape_print(in, text), (long long)columns, (long long)block);
    }
    struct shape out = {.rank = 2 + s.n, .dims = {in->dims[0], in->dims[1] / block}};
    memcpy(out.dims + 2, s.image, (size_t)s.n * sizeof *s.image);
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static void add_element(const struct tensor *to, size_t at, const struct tensor *from, size_t k) {
    switch (to->dtype) {
    case DT_F32: ((float *)to->data)[at] += ((const float *)from->data)[k]; return;
    case DT_F64: ((double *)to->data)[at] += ((const double *)from->data)[k]; return;
    case DT_F16:
        ((uint16_t *)to->data)[at] =
            dtype_f32_to_f16((float)(tensor_f64(to, at) + tensor_f64(from, k)));
        return;
    case DT_BF16:
        ((uint16_t *)to->data)[at] =
            dtype_f32_to_bf16((float)(tensor_f64(to, at) + tensor_f64(from, k)));
        return;
    default: break;
    }
    uint64_t v = (uint64_t)tensor_i64(to, at) + (uint64_t)tensor_i64(from, k);
    switch (dtype_size(to->dtype)) {
    case 1: ((uint8_t *)to->data)[at] = (uint8_t)v; return;
    case 2: ((uint16_t *)to->data)[at] = (uint16_t)v; return;
    case 4: ((uint32_t *)to->data)[at] = (uint32_t)v; return;
    default: ((uint64_t *)to->data)[at] = v;
    }
}

/* Digits of `index` in the mixed radix `dims`. */
static void unravel(int64_t index, const int64_t *dims, int n, int64_t *out) {
    for (int k = n - 1; k >= 0; k--) {
        out[k] = index % dims[k];
        index /= dims[k];
    }
}

static enum code run_col2im(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0];
    struct tensor *out = c->out[0];
    struct col2im s;
    TRY(col2im_setup(OPERAND_AT(c), c->in[1], c->in[2], &s, e));
    memset(out->data, 0, tensor_bytes(out));
    int64_t block = 1, columns = in->shape.dims[2], pixels = 1;
    for (int k = 0; k < s.n; k++) {
        block *= s.block[k];
        pixels *= s.image[k];
    }
    int64_t rows = in->shape.dims[0] * in->shape.dims[1];
    for (int64_t r = 0; r < rows; r++) { /* row: (n, channel, position in the block) */
        int64_t inside[SHAPE_MAX], column[SHAPE_MAX];
        unravel(r % block, s.block, s.n, inside);
        for (int64_t k = 0; k < columns; k++) {
            int64_t pixel = 0;
            bool visible = true;
            unravel(k, s.columns, s.n, column);
            for (int d = 0; d < s.n; d++) {
                int64_t at = column[d] * s.stride[d] + inside[d] * s.dilation[d] - s.pad[d];
                visible = visible && at >= 0 && at < s.image[d];
                pixel = pixel * s.image[d] + at;
            }
            if (visible)
                add_element(out, (size_t)(r / block * pixels + pixel), in,
                            (size_t)(r * columns + k));
        }
    }
    return OK;
}

const struct op op_depth_to_space = {.name = "depth_to_space",
                                     .flags = OP_PURE | OP_NHWC,
                                     .infer = infer_depth_to_space,
                                     .run = run_depth_to_space};
const struct op op_space_to_depth = {.name = "space_to_depth",
                                     .flags = OP_PURE | OP_NHWC,
                                     .infer = infer_space_to_depth,
                                     .run = run_space_to_depth};
const struct op op_col2im = {
    .name = "col2im", .flags = OP_PURE, .infer = infer_col2im, .run = run_col2im};

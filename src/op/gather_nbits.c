/* SPDX-License-Identifier: Apache-2.0 */
/* gather_n_bits: rows of a table of 2-, 4- or 8-bit numbers in bytes, low bits first, as floats
 * (com.microsoft's GatherBlockQuantized with data of type u8; an embedding).
 *
 * data (R, ..., C * bits / 8), indices of any shape, scales (R, ..., C / block_size), zero points
 * packed like data, or half of the range -> indices' shape + (..., C). An index outside gives
 * zeros. */
#include "kernel/kernel.h"
#include "op/operand.h"

enum { IN_DATA, IN_INDICES, IN_SCALES, IN_ZEROS };

struct sizes {
    size_t bits, block, entry; /* rows of C numbers that an index names */
    size_t c, blocks, rows;    /* C; of a row; R */
    size_t zero_row;           /* bytes */
};

static enum code sizes_of(const struct operand_at *at, const struct shape *data, struct sizes *z,
                          struct err *e) {
    const int64_t bits = attr_int(at->node, "bits", 4),
                  block = attr_int(at->node, "block_size", 128),
                  axis = attr_int(at->node, "quantize_axis", 1);
    if ((bits != 2 && bits != 4 && bits != 8) || block < 16 || block > 1 << 16 ||
        block & (block - 1))
        return operand_fail(at, e, INVALID, "bits %lld, block_size %lld", (long long)bits,
                            (long long)block);
    if (data->rank < 2 || attr_int(at->node, "gather_axis", 0) != 0 ||
        (axis != data->rank - 1 && axis != -1))
        return operand_fail(at, e, UNSUPPORTED,
                            "bytes are gathered along the first axis and quantised along the last");
    *z = (struct sizes){.bits = (size_t)bits, .block = (size_t)block, .entry = 1};
    for (int i = 1; i < data->rank - 1; i++)
        if (!mul_size(z->entry, (size_t)data->dims[i], &z->entry))
            return operand_fail(at, e, LIMIT, "the table is too large");
    z->rows = (size_t)data->dims[0];
    z->c = (size_t)data->dims[data->rank - 1] * (8 / z->bits);
    z->blocks = (z->c + z->block - 1) / z->block;
    z->zero_row = (z->blocks * z->bits + 7) / 8;
    return OK;
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct sizes z;
    TRY(operand_need(c, 3, e));
    const enum dtype t = c->in[IN_SCALES].dtype, i = c->in[IN_INDICES].dtype;
    if (c->in[IN_DATA].dtype != DT_U8 || (t != DT_F32 && t != DT_F16 && t != DT_BF16) ||
        (i != DT_I32 && i != DT_I64) ||
        (operand_given(c, IN_ZEROS) && c->in[IN_ZEROS].dtype != DT_U8))
        return operand_fail(c, e, INVALID, "inputs of %s, %s and %s",
                            dtype_name(c->in[IN_DATA].dtype), dtype_name(i), dtype_name(t));
    operand_out_later(c, 0, t);
    if (!operand_known(c))
        return OK;
    const struct shape *data = &c->in[IN_DATA].shape, *indices = &c->in[IN_INDICES].shape;
    TRY(sizes_of(OPERAND_AT(c), data, &z, e));
    struct shape scales = *data, zeros = *data, y = *indices;
    scales.dims[data->rank - 1] = (int64_t)z.blocks;
    zeros.dims[data->rank - 1] = (int64_t)z.zero_row;
    if (!shape_eq(&c->in[IN_SCALES].shape, &scales) ||
        (operand_given(c, IN_ZEROS) && !shape_eq(&c->in[IN_ZEROS].shape, &zeros)))
        return operand_fail(c, e, INVALID, "scales or zero points do not fit the data");
    if (indices->rank + data->rank - 1 > SHAPE_MAX)
        return operand_fail(c, e, LIMIT, "the output has too many dims");
    for (int k = 1; k < data->rank; k++)
        y.dims[y.rank++] = k < data->rank - 1 ? data->dims[k] : (int64_t)z.c;
    return operand_out(c, 0, t, &y, e);
}

static void row(const struct op_call *c, const struct sizes *z, size_t from, size_t to) {
    const struct tensor *scales = c->in[IN_SCALES], *zeros = operand_in(c, IN_ZEROS);
    const uint8_t *numbers = (const uint8_t *)c->in[IN_DATA]->data + from * (z->c * z->bits / 8),
                  *zero_row = zeros ? (const uint8_t *)zeros->data + from * z->zero_row : NULL;
    for (size_t i = 0; i < z->c; i++) {
        const size_t block = i / z->block;
        const int zero =
            zero_row ? (int)codes_number(zero_row, block, z->bits) : 1 << (z->bits - 1);
        operand_put(c->out[0], to * z->c + i,
                    ((int)codes_number(numbers, i, z->bits) - zero) *
                        tensor_f64(scales, from * z->blocks + block));
    }
}

static enum code run(const struct op_call *c, struct err *e) {
    struct sizes z;
    const struct tensor *indices = c->in[IN_INDICES];
    TRY(sizes_of(OPERAND_AT(c), &c->in[IN_DATA]->shape, &z, e));
    for (size_t k = 0; k < tensor_count(indices); k++) {
        int64_t index = tensor_i64(indices, k);
        index = index < 0 ? index + (int64_t)z.rows : index;
        const bool inside = index >= 0 && (size_t)index < z.rows;
        for (size_t i = 0; i < z.entry && inside; i++)
            row(c, &z, (size_t)index * z.entry + i, k * z.entry + i);
        for (size_t i = 0; i < z.entry * z.c && !inside; i++)
            operand_put(c->out[0], k * z.entry * z.c + i, 0);
    }
    return OK;
}

const struct op op_gather_n_bits = {
    .name = "gather_n_bits", .flags = OP_PURE, .infer = infer, .run = run};

/* SPDX-License-Identifier: Apache-2.0 */
/* n_gram_repeat_block: tokens that would repeat a stretch of ngram_size tokens already in a row get
 * the score minus infinity: ids (B, S), scores (B, V) -> (B, V) (com.microsoft's NGramRepeatBlock).
 */
#include "op/operand.h"

#include <math.h>

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, DT_F32);
    const struct op_value *ids = &c->in[0], *scores = &c->in[1];
    if (ids->dtype != DT_I64 || scores->dtype != DT_F32)
        return operand_fail(c, e, INVALID, "ids of %s and scores of %s", dtype_name(ids->dtype),
                            dtype_name(scores->dtype));
    if (attr_int(c->node, "ngram_size", 0) < 1)
        return operand_fail(c, e, INVALID, "ngram_size must be 1 or more");
    if (!operand_known(c))
        return OK;
    if (ids->shape.rank != 2 || scores->shape.rank != 2 ||
        ids->shape.dims[0] != scores->shape.dims[0])
        return operand_fail(c, e, INVALID, "ids must be (B, S) and scores (B, V)");
    return operand_out(c, 0, DT_F32, &scores->shape, e);
}

static enum code block_row(const struct op_call *c, const int64_t *ids, size_t n, float *scores,
                           int64_t vocabulary, struct err *e) {
    const size_t gram = (size_t)attr_int(c->node, "ngram_size", 0), same = gram - 1;
    for (size_t i = 0; i + gram <= n; i++) {
        const int64_t token = ids[i + same];
        if (same && memcmp(ids + i, ids + n - same, same * sizeof *ids) != 0)
            continue;
        if (token < 0 || token >= vocabulary)
            return operand_fail(c, e, INVALID, "token %lld of a vocabulary of %lld",
                                (long long)token, (long long)vocabulary);
        scores[token] = -INFINITY;
    }
    return OK;
}

static enum code run(const struct op_call *c, struct err *e) {
    const size_t rows = (size_t)c->in[0]->shape.dims[0], n = (size_t)c->in[0]->shape.dims[1];
    const int64_t vocabulary = c->in[1]->shape.dims[1];
    float *y = c->out[0]->data;
    if (tensor_bytes(c->out[0]))
        memcpy(y, c->in[1]->data, tensor_bytes(c->out[0]));
    for (size_t row = 0; row < rows; row++)
        TRY(block_row(c, (const int64_t *)c->in[0]->data + row * n, n, y + row * (size_t)vocabulary,
                      vocabulary, e));
    return OK;
}

const struct op op_n_gram_repeat_block = {
    .name = "n_gram_repeat_block", .flags = OP_PURE, .infer = infer, .run = run};

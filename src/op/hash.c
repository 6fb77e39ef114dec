/* SPDX-License-Identifier: Apache-2.0 */
/* murmur_hash3: MurmurHash3_x86_32 (Austin Appleby, public domain) of every element's bytes, or a
 * string's text (com.microsoft's MurmurHash3). Words are little-endian, whatever the machine is. */
#include "op/operand.h"

static uint32_t turn(uint32_t x, int by) { return x << by | x >> (32 - by); }

static uint32_t spread(uint32_t word) { return turn(word * 0xcc9e2d51u, 15) * 0x1b873593u; }

static uint32_t hash(const uint8_t *p, size_t n, uint32_t seed) {
    uint32_t h = seed, last = 0;
    for (size_t at = 0; at + 4 <= n; at += 4) {
        const uint32_t word = (uint32_t)p[at] | (uint32_t)p[at + 1] << 8 |
                              (uint32_t)p[at + 2] << 16 | (uint32_t)p[at + 3] << 24;
        h = turn(h ^ spread(word), 13) * 5 + 0xe6546b64u;
    }
    for (size_t i = 0; i < n % 4; i++)
        last |= (uint32_t)p[n - n % 4 + i] << 8 * i;
    h ^= spread(last) ^ (uint32_t)n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static enum code infer(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    const enum dtype t = c->in[0].dtype, out = attr_int(c->node, "positive", 1) ? DT_U32 : DT_I32;
    if (t != DT_STRING && dtype_size(t) != 4 && dtype_size(t) != 8)
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    operand_out_later(c, 0, out);
    return c->in[0].known ? operand_out(c, 0, out, &c->in[0].shape, e) : OK;
}

static enum code run(const struct op_call *c, struct err *e) {
    (void)e;
    const struct tensor *x = c->in[0];
    const uint32_t seed = (uint32_t)attr_int(c->node, "seed", 0);
    const size_t bytes = dtype_size(x->dtype);
    uint32_t *y = c->out[0]->data;
    for (size_t k = 0; k < tensor_count(x); k++) {
        const struct str *text = x->dtype == DT_STRING ? (const struct str *)x->data + k : NULL;
        y[k] = text ? hash((const uint8_t *)text->p, text->n, seed)
                    : hash((const uint8_t *)x->data + k * bytes, bytes, seed);
    }
    return OK;
}

const struct op op_murmur_hash3 = {
    .name = "murmur_hash3", .flags = OP_PURE, .infer = infer, .run = run};

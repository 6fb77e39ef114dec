/* SPDX-License-Identifier: Apache-2.0 */
/* See codes_q8.h. What the packed layout is, and why answers do not depend on m, is said in
 * kernel/packed.h. A block of w becomes GGUF's blocks of 32: Q4_0, Q4_1 (with a minimum, where zero
 * points are given) or Q8_0. */
#include "op/codes_q8.h"

#include "op/pack.h"
#include "op/scratch.h"
#include "op/team.h"

#include <math.h>
#include <string.h>

static enum block_type type_of(const struct codes *w) {
    return w->bits == 8 ? BLOCK_Q8_0 : w->zeros ? BLOCK_Q4_1 : BLOCK_Q4_0;
}

/* f16 holds the scales and minima of a row to 2^-25, which must be little beside its largest. */
static bool keeps(const float *scales, size_t n) {
    const float least = 6.2e-5F, most = 65504.0F / 15;
    float top = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(scales[i]) <= most))
            return false;
        top = fabsf(scales[i]) > top ? fabsf(scales[i]) : top;
    }
    return top == 0 || top >= least;
}

bool codes_q8_fits(const struct codes *w) {
    const size_t blocks = w->k / w->block;
    for (size_t row = 0; row < w->n; row++) {
        if (!keeps(w->scales + row * blocks, blocks))
            return false;
        for (size_t b = 0; w->bits == 8 && b < blocks; b++)
            if (codes_zero(w, row, b, (size_t)w->bits) != 128)
                return false;
    }
    return true;
}

/* --- packing --- */

/* 32 numbers as the file of a GGUF block would hold them, without its scales. */
static void put_block(const struct codes *w, size_t row, size_t at, uint8_t *to) {
    const uint8_t *from = w->w + row * codes_row(w) + at * (size_t)w->bits / 8;
    if (w->bits == 8) {
        for (size_t i = 0; i < GROUP; i++)
            to[i] = from[i] ^ 0x80; /* Q8_0 is signed */
        return;
    }
    for (size_t i = 0; i < GROUP / 2; i++) {
        to[i] = (uint8_t)(codes_number(from, i, 4) | codes_number(from, i + GROUP / 2, 4) << 4);
    }
}

static void pack_strip(const struct codes *w, size_t strip, uint8_t *codes) {
    enum { BLOCK_MOST = 34, SCALES_MOST = 4 * STRIP };
    const enum block_type type = type_of(w);
    const size_t bytes = (size_t)block_form(type)->bytes,
                 head = bytes - GROUP * (size_t)w->bits / 8, /* the block's scales */
        group = packed_code_bytes(type, GROUP), rows = w->n - strip < STRIP ? w->n - strip : STRIP;
    uint8_t blocks[STRIP * BLOCK_MOST] = {0}, ignored[SCALES_MOST];
    for (size_t at = 0; at < w->k; at += GROUP, codes += group) {
        for (size_t i = 0; i < rows; i++)
            put_block(w, strip + i, at, blocks + i * bytes + head);
        packed_strip(type, blocks, bytes, rows, GROUP, codes, ignored);
    }
}

static void pack_codes(const struct codes *w, size_t strip_bytes, uint8_t *codes, int threads) {
    const size_t strips = (w->n + STRIP - 1) / STRIP;
    const int team = team_size(threads, 2.0 * (double)w->n * (double)w->k);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (size_t i = 0; i < strips; i++)
        pack_strip(w, i * STRIP, codes + i * strip_bytes);
}

static void pack_scales(const struct codes *w, uint16_t *to) {
    const size_t blocks = w->k / w->block;
    const bool minimum = block_form(type_of(w))->minimum;
    for (size_t strip = 0; strip < w->n; strip += STRIP)
        for (size_t at = 0; at < w->k; at += GROUP) {
            float scale[STRIP] = {0}, low[STRIP] = {0};
            for (size_t i = 0; i < STRIP && strip + i < w->n; i++) {
                const size_t row = strip + i, b = at / w->block;
                scale[i] = w->scales[row * blocks + b];
                low[i] = -scale[i] * (float)codes_zero(w, row, b, (size_t)w->bits);
            }
            kernel_set()->narrow_f16(STRIP, scale, to);
            to += STRIP;
            if (minimum)
                kernel_set()->narrow_f16(STRIP, low, to), to += STRIP;
        }
}

/* Scales belong to their numbers, but those may have others elsewhere: told apart by where they
 * lie. */
static enum code scales_room(struct op_prepare *c, const struct codes *w, int scales, size_t bytes,
                             void **to, bool *filled, struct err *e) {
    const uint64_t which = (uint64_t)(uintptr_t)c->in[scales].data->data * 0x9e3779b97f4a7c15u ^
                           (uint64_t)(uintptr_t)w->zeros * 0xc2b2ae3d27d4eb4fu;
    return pack_room_passing(c, w->w, which, bytes, to, filled, e);
}

enum code codes_q8_prepare(struct op_prepare *c, const struct codes *w, int scales_in,
                           struct codes_q8 *q, struct err *e) {
    const enum block_type type = type_of(w);
    const size_t strips = (w->n + STRIP - 1) / STRIP;
    const struct kernel_set *k = kernel_set();
    void *codes, *scales;
    bool filled;
    *q = (struct codes_q8){.n = w->n,
                           .k = w->k,
                           .product = type == BLOCK_Q8_0   ? k->packed_q8_0
                                      : type == BLOCK_Q4_1 ? k->packed_q4_1
                                                           : k->packed_q4_0,
                           .codes_strip = packed_code_bytes(type, w->k),
                           .scales_strip = packed_scale_bytes(type, w->k)};
    TRY(pack_room(c, w->w, PACK_CODES + (uint64_t)w->bits, strips * q->codes_strip, &codes, &filled,
                  e));
    if (!filled)
        pack_codes(w, q->codes_strip, codes, c->threads);
    TRY(scales_room(c, w, scales_in, strips * q->scales_strip, &scales, &filled, e));
    if (!filled)
        pack_scales(w, scales);
    q->codes = codes;
    q->scales = scales;
    return OK;
}

/* --- a run --- */

struct parts { /* of the scratch */
    size_t bytes, groups, end;
};
static struct parts parts_of(const struct codes_q8 *q, size_t m) {
    struct parts p = {0};
    p.bytes = scratch_take(&p.end, m * q->k);
    p.groups = scratch_take(&p.end, m * (q->k / GROUP) * sizeof(struct q8_group));
    return p;
}
size_t codes_q8_scratch(const struct codes_q8 *q, size_t m) { return parts_of(q, m).end; }

static void some_columns(const struct codes_q8 *q, size_t m, size_t from, size_t to,
                         const char *scratch, const float *bias, float *y) {
    const struct parts parts = parts_of(q, m);
    const size_t strip = from / STRIP;
    if (from == to)
        return;
    q->product(&(struct packed_gemm){
        .m = m,
        .n = to - from,
        .k = q->k,
        .codes = q->codes + strip * q->codes_strip,
        .scales = q->scales + strip * q->scales_strip,
        .codes_strip = q->codes_strip,
        .scales_strip = q->scales_strip,
        .a = (const int8_t *)scratch + parts.bytes,
        .groups = (const struct q8_group *)(const void *)(scratch + parts.groups),
        .y = y + from,
        .y_row = q->n});
    if (bias)
        kernel_add_bias(m, to - from, bias + from, y + from, q->n);
}

void codes_q8_multiply(const struct codes_q8 *q, size_t m, const float *a, const float *bias,
                       float *y, void *scratch, int threads) {
    const struct parts parts = parts_of(q, m);
    int8_t *bytes = (int8_t *)scratch + parts.bytes;
    struct q8_group *groups = (struct q8_group *)(void *)((char *)scratch + parts.groups);
    const double ns = (double)q->n * (double)q->k * (0.01 + 0.003 * (double)m);
    const int team = team_size(threads, ns);
#pragma omp parallel num_threads(team) if (team > 1)
    {
#pragma omp for
        for (size_t row = 0; row < m; row++)
            kernel_set()->quantize_groups(q->k, GROUP, a + row * q->k, bytes + row * q->k,
                                          groups + row * (q->k / GROUP));
#pragma omp for
        for (int t = 0; t < team; t++)
            some_columns(q, m, team_cut(q->n, STRIP, team, t), team_cut(q->n, STRIP, team, t + 1),
                         scratch, bias, y);
    }
}

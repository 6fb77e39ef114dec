/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of up to LANES queries over a head's pages, folded in block by block (packed.h). The
 * widening of a page's numbers is paid once for all lanes. */
#pragma once

#include "kernel/kernel.h"

#include <string.h>

#include "kernel/simd/math.h"

enum { PARTS_PAGE = PAGE / VL, BLOCK_POSITIONS = PAGE * PAGE_BLOCK };

struct fold { /* a lane's state */
    float top, sum;
};

/* 16 positions of dim i, part of them; q8's scales are applied by the caller. */
SIMD vf key_at(const char *keys, size_t i, size_t part, const enum page_kind kind) {
    size_t at = i * PAGE + part * VL;
    switch (kind) {
    case PAGE_F32: return vf_load((const float *)keys + at);
    case PAGE_F16: return vf_load_f16((const uint16_t *)keys + at);
    case PAGE_BF16: return vf_load_bf16((const uint16_t *)keys + at);
    case PAGE_Q8: break;
    }
    return vf_of(vi_load_i8((const int8_t *)keys + at));
}

SIMD vf value_at(const char *values, size_t position, size_t i, size_t d,
                 const enum page_kind kind) {
    if (kind != PAGE_Q8)
        return key_at(values + (position * d + i) * (kind == PAGE_F32 ? 4 : 2), 0, 0, kind);
    const uint16_t *scale = (const uint16_t *)(values + PAGE * d) + position * (d / 32) + i / 32;
    float s;
    ISA(widen_f16)(1, scale, &s);
    return vf_mul(vf_of(vi_load_i8((const int8_t *)values + position * d + i)), vf_set(s));
}

/* Scores of one page for m lanes. */
SIMD void page_scores(const struct attend *c, const char *keys, float *scores, const size_t m,
                      const enum page_kind kind) {
    for (size_t part = 0; part < PARTS_PAGE; part++) {
        vf sum[LANES], piece[LANES];
#pragma GCC unroll 8
        for (size_t l = 0; l < m; l++)
            sum[l] = piece[l] = vf_zero();
        for (size_t i = 0; i < c->d; i++) {
            vf k = key_at(keys, i, part, kind);
#pragma GCC unroll 8
            for (size_t l = 0; l < m; l++)
                if (kind == PAGE_Q8)
                    piece[l] = vf_fma(vf_set(c->q[l][i]), k, piece[l]);
                else
                    sum[l] = vf_fma(vf_set(c->q[l][i]), k, sum[l]);
            if (kind != PAGE_Q8 || i % 32 != 31)
                continue;
            vf scale =
                vf_load_f16((const uint16_t *)(keys + PAGE * c->d) + i / 32 * PAGE + part * VL);
#pragma GCC unroll 8
            for (size_t l = 0; l < m; l++) {
                sum[l] = vf_fma(piece[l], scale, sum[l]);
                piece[l] = vf_zero();
            }
        }
#pragma GCC unroll 8
        for (size_t l = 0; l < m; l++)
            vf_store(scores + l * BLOCK_POSITIONS + part * VL, sum[l]);
    }
}

/* Scores outside the lane's positions to -inf; soft cap. */
SIMD void mask_scores(const struct attend *c, size_t lane, int32_t from, size_t n, float *s) {
    if (c->soft_cap > 0)
        for (size_t i = 0; i < n; i += VL)
            vf_store(s + i, vf_mul(math_tanh(vf_div(vf_load(s + i), vf_set(c->soft_cap))),
                                   vf_set(c->soft_cap)));
    for (int32_t i = 0; i < (int32_t)n; i++)
        if (from + i > c->last[lane] || from + i < c->first[lane])
            s[i] = -__builtin_inff();
}

/* Scores to weights under the running maximum; returns what the sum so far is to be scaled by. */
SIMD float fold_scores(struct fold *f, float *s, size_t n) {
    vf high = vf_set(-__builtin_inff());
    for (size_t i = 0; i < n; i += VL)
        high = vf_max(high, vf_load(s + i));
    float top = vf_highest(high), keep = 1;
    if (!(top > f->top))
        top = f->top;
    if (top == -__builtin_inff()) { /* nothing seen yet */
        memset(s, 0, n * sizeof *s);
        return 1;
    }
    if (top != f->top) {
        float lanes[VL];
        vf_store(lanes, math_exp(vf_set(f->top - top)));
        keep = f->top == -__builtin_inff() ? 0 : lanes[0];
    }
    vf sum = vf_zero();
    for (size_t i = 0; i < n; i += VL) {
        vf x = vf_load(s + i);
        vf w = vf_pick(vf_eq(x, vf_set(-__builtin_inff())), vf_zero(),
                       math_exp(vf_sub(x, vf_set(top))));
        sum = vf_add(sum, w);
        vf_store(s + i, w);
    }
    f->sum = f->sum * keep + vf_sum(sum);
    f->top = top;
    return keep;
}

/* y = y * keep + weights . values over the block's n positions, for two vectors of dims. */
SIMD void add_values(const struct attend *c, size_t page, size_t i, size_t n, const float *keep,
                     const float *weights, const size_t m, const size_t v,
                     const enum page_kind kind) {
    vf sum[LANES][2];
#pragma GCC unroll 8
    for (size_t l = 0; l < m; l++)
#pragma GCC unroll 2
        for (size_t p = 0; p < v; p++)
            sum[l][p] = vf_mul(vf_load(c->y[l] + i + p * VL), vf_set(keep[l]));
    for (size_t at = 0; at < n; at++) {
        const char *values = c->pages[page + at / PAGE] + c->values;
        vf x[2];
#pragma GCC unroll 2
        for (size_t p = 0; p < v; p++)
            x[p] = value_at(values, at % PAGE, i + p * VL, c->d, kind);
#pragma GCC unroll 8
        for (size_t l = 0; l < m; l++) {
            vf w = vf_set(weights[l * BLOCK_POSITIONS + at]);
#pragma GCC unroll 2
            for (size_t p = 0; p < v; p++)
                sum[l][p] = vf_fma(w, x[p], sum[l][p]);
        }
    }
#pragma GCC unroll 8
    for (size_t l = 0; l < m; l++)
#pragma GCC unroll 2
        for (size_t p = 0; p < v; p++)
            vf_store(c->y[l] + i + p * VL, sum[l][p]);
}

SIMD void attend_lanes(const struct attend *c, const size_t m, const enum page_kind kind) {
    struct fold fold[LANES];
    float weights[LANES * BLOCK_POSITIONS], keep[LANES];
    int32_t low = c->first[0], high = c->last[0];
    for (size_t l = 0; l < m; l++) {
        fold[l] = (struct fold){-__builtin_inff(), 0};
        if (c->sink)
            fold[l] = (struct fold){c->sink[l], 1};
        memset(c->y[l], 0, c->d * sizeof(float));
        low = c->first[l] < low ? c->first[l] : low;
        high = c->last[l] > high ? c->last[l] : high;
    }
    for (int32_t from = low / BLOCK_POSITIONS * BLOCK_POSITIONS; from <= high;
         from += BLOCK_POSITIONS) {
        size_t n = (size_t)(high - from + 1), page = (size_t)from / PAGE;
        n = n > BLOCK_POSITIONS ? BLOCK_POSITIONS : n;
        size_t whole = (n + PAGE - 1) / PAGE * PAGE;
        for (size_t at = 0; at < whole; at += PAGE)
            page_scores(c, c->pages[page + at / PAGE] + c->keys, weights + at, m, kind);
        for (size_t l = 0; l < m; l++) {
            mask_scores(c, l, from, whole, weights + l * BLOCK_POSITIONS);
            keep[l] = fold_scores(&fold[l], weights + l * BLOCK_POSITIONS, whole);
        }
        size_t i = 0;
        for (; i + 2 * VL <= c->d; i += 2 * VL)
            add_values(c, page, i, n, keep, weights, m, 2, kind);
        if (i < c->d)
            add_values(c, page, i, n, keep, weights, m, 1, kind);
    }
    for (size_t l = 0; l < m; l++)
        for (size_t i = 0; i < c->d; i += VL)
            vf_store(c->y[l] + i, vf_div(vf_load(c->y[l] + i), vf_set(fold[l].sum)));
}

SIMD void attend_kind(const struct attend *c, const enum page_kind kind) {
    switch (c->lanes) {
    case 1: attend_lanes(c, 1, kind); break;
    case 2: attend_lanes(c, 2, kind); break;
    case 3: attend_lanes(c, 3, kind); break;
    case 4: attend_lanes(c, 4, kind); break;
    case 5: attend_lanes(c, 5, kind); break;
    case 6: attend_lanes(c, 6, kind); break;
    case 7: attend_lanes(c, 7, kind); break;
    case 8: attend_lanes(c, 8, kind); break;
    default: break;
    }
}

void ISA(attend)(const struct attend *c) {
    switch (c->kind) {
    case PAGE_F32: attend_kind(c, PAGE_F32); break;
    case PAGE_F16: attend_kind(c, PAGE_F16); break;
    case PAGE_BF16: attend_kind(c, PAGE_BF16); break;
    case PAGE_Q8: attend_kind(c, PAGE_Q8); break;
    }
}

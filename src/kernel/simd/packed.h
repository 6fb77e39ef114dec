/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the products with packed weights (packed.h has the layout), over the vectors of an
 * instruction set and these of its dot products:
 *   vi vi_dot(vi sum, vi w, vi a)   four products of unsigned w and signed a per lane; where
 *                                   DOT_FULL is 0, w <= 127
 *   vi vi_dot_narrow(vi w, vi a), vi_add_narrow, vi_widen_add(vi sum, vi narrow)  the same by way
 *                                   of sums of two products in 16 bits; only where DOT_FULL is 0
 *   vi vi_dot_signed(vi sum, vi w, vi a)  of signed w; only where DOT_FULL is 0
 *   vi vi_lookup(vi table, vi nibbles)
 * The tile of results kept in registers is DOT_FEW x DOT_VECTORS when there are few rows, DOT_MANY
 * x DOT_VECTORS when there are many. */
#pragma once

#include "base/mem.h"
#include "kernel/simd/strips.h"

#include <string.h>

typedef uint32_t words __attribute__((vector_size(4 * VL), may_alias));
enum {
    PARTS = STRIP / VL, /* vectors of a strip */
    DOT_ROWS = DOT_FEW > DOT_MANY ? DOT_FEW : DOT_MANY,
    MANY = 24,   /* rows */
    AHEAD = 2048 /* bytes of codes fetched before they are needed */
};

struct form { /* block_form as constants */
    int bits, log_offset;
    enum code_table table;
    int sub;
    enum scale_kind scale;
    bool minimum, is_signed;
};

/* Codes of full bytes, which the dot product takes signed where it cannot take them unsigned. */
SIMD bool form_full(const struct form f) { return f.bits == 8 || f.table != TABLE_NONE; }

SIMD vi bits_of(vi v, int right, uint32_t mask) {
    words w = (words)v;
    w = right >= 0 ? w >> right : w << -right;
    return (vi)(w & mask);
}

/* Vector j of a group: codes, or table entries. */
SIMD vi weights_at(const uint8_t *p, const int j, const struct form f, vi table) {
    if (f.bits == 8)
        return vi_load_bytes(p + 64 * j);
    vi v;
    int place = 0; /* of the plane in the code */
    if (f.bits >= 4) {
        v = bits_of(vi_load_bytes(p + 64 * (j % 4)), 4 * (j / 4), 0x0f0f0f0f);
        if (f.table)
            return vi_lookup(table, v);
        p += 256, place = 4;
    }
    if (f.bits % 4 >= 2) {
        vi two =
            bits_of(vi_load_bytes(p + 64 * (j % 2)), 2 * (j / 2) - place, 0x03030303u << place);
        v = place ? vi_or(v, two) : two;
        p += 128, place += 2;
    }
    if (f.bits % 2) {
        vi one = bits_of(vi_load_bytes(p), j - place, 0x01010101u << place);
        v = place ? vi_or(v, one) : one;
    }
    return v;
}

struct scales {
    vf scale[2], minimum[2];
};

SIMD vf factor_at(const uint8_t *p, const struct form f) {
    return vf_of(f.is_signed ? vi_load_i8((const int8_t *)p) : vi_load_u8(p));
}

/* Of one vector of outputs, `part` of its strip. */
SIMD struct scales scales_at(const uint8_t *strip, size_t group, size_t part, const struct form f) {
    const size_t kinds = f.minimum ? 2 : 1, subs = SUPER / (size_t)f.sub;
    struct scales s;
    if (f.scale != SCALE_SUPER) {
        const uint16_t *p = (const uint16_t *)strip + group * kinds * STRIP + part * VL;
        s.scale[0] = f.scale == SCALE_F16 ? vf_load_f16(p) : vf_load_bf16(p);
        s.minimum[0] = f.minimum ? vf_load_f16(p + STRIP) : vf_zero();
        return s;
    }
    const uint8_t *p = strip + group / 8 * kinds * STRIP * (2 + subs);
    vf d = vf_load_f16((const uint16_t *)p + part * VL), dmin = vf_zero();
    if (f.minimum)
        dmin = vf_sub(vf_zero(), vf_load_f16((const uint16_t *)p + STRIP + part * VL));
    p += kinds * STRIP * (2 + group % 8 * (subs / 8)) + part * VL;
    for (int half = 0; half < GROUP / f.sub; half++, p += kinds * STRIP) {
        s.scale[half] = vf_mul(d, factor_at(p, f));
        if (f.minimum)
            s.minimum[half] = vf_mul(dmin, factor_at(p + STRIP, f));
    }
    return s;
}

SIMD vi four_bytes(const int8_t *a) {
    int32_t w;
    memcpy(&w, a, sizeof w);
    return vi_set(w);
}

/* What the integer sum of a group starts from: -offset * sum of activations. */
SIMD vi start_of(const struct q8_group *q, int half, const struct form f) {
    int log_offset = f.log_offset;
    if (form_full(f))
        log_offset = DOT_FULL ? 7 : -1;
    if (log_offset < 0)
        return vi_set(0);
    vi neg = vi_set(f.sub == GROUP ? q->neg : q->neg16[half]);
    return (vi)((words)neg << log_offset);
}

/* Step i of n: sum += w * a. Small codes are summed in 16 bits as long as nothing can overflow. */
SIMD void dot_step(vi *sum, vi *narrow, const int i, const int n, vi w, vi a, const struct form f) {
#if DOT_FULL
    (void)narrow, (void)i, (void)n, (void)f;
    *sum = vi_dot(*sum, w, a);
#else
    if (form_full(f)) {
        *sum = vi_dot_signed(*sum, f.bits == 8 ? (vi)((words)w ^ 0x80808080u) : w, a);
        return;
    }
    const int room = INT16_MAX / (((1 << f.bits) - 1) * 2 * 127);
    vi both = vi_dot_narrow(w, a);
    *narrow = i % room ? vi_add_narrow(*narrow, both) : both;
    if (i % room == room - 1 || i == n - 1)
        *sum = vi_widen_add(*sum, *narrow);
#endif
}

SIMD vi table_of(const struct form f) {
    if (!f.table)
        return vi_set(0);
    int8_t bytes[16];
    for (int i = 0; i < 16; i++)
        bytes[i] = (int8_t)(block_table(f.table)[i] ^ (DOT_FULL ? -128 : 0));
    return vi_repeat16(bytes);
}

/* One group of one strip of the next v vectors of outputs, on its way while these are multiplied.
 */
SIMD void fetch_next(const struct packed_gemm *g, const uint8_t *codes, const uint8_t *scales,
                     size_t group, size_t ahead, const struct form f) {
    const size_t group_bytes = 64 * (size_t)f.bits;
    codes += ahead * g->codes_strip;
    for (size_t i = 0; i < group_bytes; i += MEM_LINE)
        __builtin_prefetch(codes + i);
    if (group % 2 == 0)
        __builtin_prefetch(scales + ahead * g->scales_strip +
                           group * g->scales_strip * GROUP / g->k);
}

/* What memory is asked for while a group is multiplied. Few rows wait for memory: the same strips
 * AHEAD bytes on, or, at their end, the next ones. Where there are two tiles of rows, the first
 * asks for the first half of the next strips and the second for the second, so that memory works
 * all the time and not during the first tile only. */
SIMD void fetch_ahead(const struct packed_gemm *g, const uint8_t *codes, const uint8_t *scales,
                      size_t group, size_t row, const size_t m, const size_t v,
                      const struct form f) {
    const size_t group_bytes = 64 * (size_t)f.bits, left = g->k / GROUP - group;
    if (v > PARTS && g->m >= 2 * m) {
        if (row < 2 * m)
            fetch_next(g, codes, scales, group, v / PARTS + row / m, f);
        return;
    }
    if (row > 0)
        return;
    codes += AHEAD + (left * group_bytes <= AHEAD ? (v / PARTS - 1) * g->codes_strip : 0);
    for (size_t c = 0; c < v; c += PARTS)
        for (size_t i = 0; i < group_bytes; i += MEM_LINE)
            __builtin_prefetch(codes + c / PARTS * g->codes_strip + i);
}

/* Rows lie at multiples of one number; a compiler that knows it to stay the same keeps a pointer
 * for each of them, more than there are registers. */
#define PACKED_HIDE(n) __asm__("" : "+r"(n))
_Static_assert(sizeof(struct q8_group) == GROUP, "rows of bytes and of groups are as far apart");

SIMD const struct q8_group *group_of_row(const struct q8_group *q, size_t r, size_t row_bytes) {
    return (const struct q8_group *)((const char *)q + r * row_bytes);
}

/* m rows from `row`, v vectors of outputs from the strip: both constant after inlining. The first
 * rows are those that wait for memory. */
SIMD void packed_tile(const struct packed_gemm *g, size_t strip, size_t row, const size_t m,
                      const size_t v, const struct form f) {
    const size_t groups = g->k / GROUP, group_bytes = 64 * (size_t)f.bits;
    const uint8_t *codes = g->codes + strip * g->codes_strip;
    const uint8_t *scales = g->scales + strip * g->scales_strip;
    const int8_t *a = g->a + row * g->k;
    const struct q8_group *q = g->groups + row * groups;
    const vi table = table_of(f);
    vf acc[DOT_ROWS][DOT_VECTORS];
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 4
        for (size_t c = 0; c < v; c++)
            acc[r][c] = vf_zero();
    size_t row_bytes = g->k;
    for (size_t group = 0; group < groups; group++, codes += group_bytes, a += GROUP, q++) {
        PACKED_HIDE(row_bytes);
        vf both[DOT_ROWS][DOT_VECTORS];
        struct scales s[DOT_VECTORS];
        fetch_ahead(g, codes, scales, group, row, m, v, f);
#pragma GCC unroll 4
        for (size_t c = 0; c < v; c++)
            s[c] = scales_at(scales + c / PARTS * g->scales_strip, group, c % PARTS, f);
#pragma GCC unroll 2
        for (int half = 0; half < GROUP / f.sub; half++) {
            vi sum[DOT_ROWS][DOT_VECTORS], narrow[DOT_ROWS][DOT_VECTORS];
#pragma GCC unroll 16
            for (size_t r = 0; r < m; r++) {
                vi start = start_of(group_of_row(q, r, row_bytes), half, f);
#pragma GCC unroll 4
                for (size_t c = 0; c < v; c++)
                    sum[r][c] = start;
            }
#pragma GCC unroll 8
            for (int i = 0; i < f.sub / 4; i++) {
                int j = f.sub == GROUP ? i / 2 + i % 2 * 4 : half * 4 + i;
                vi w[DOT_VECTORS];
#pragma GCC unroll 4
                for (size_t c = 0; c < v; c++)
                    w[c] = weights_at(codes + c / PARTS * g->codes_strip + c % PARTS * 4 * VL, j, f,
                                      table);
#pragma GCC unroll 16
                for (size_t r = 0; r < m; r++) {
                    vi x = four_bytes(a + r * row_bytes + 4 * j);
#pragma GCC unroll 4
                    for (size_t c = 0; c < v; c++)
                        dot_step(&sum[r][c], &narrow[r][c], i, f.sub / 4, w[c], x, f);
                }
            }
#pragma GCC unroll 16
            for (size_t r = 0; r < m; r++)
#pragma GCC unroll 4
                for (size_t c = 0; c < v; c++) {
                    vf t = vf_of(sum[r][c]);
                    both[r][c] =
                        half ? vf_fma(t, s[c].scale[1], both[r][c]) : vf_mul(t, s[c].scale[0]);
                }
        }
#pragma GCC unroll 16
        for (size_t r = 0; r < m; r++) {
            const struct q8_group *x = group_of_row(q, r, row_bytes);
#pragma GCC unroll 4
            for (size_t c = 0; c < v; c++) {
                acc[r][c] = vf_fma(both[r][c], vf_set(x->d), acc[r][c]);
                if (f.minimum && f.sub == GROUP)
                    acc[r][c] = vf_fma(s[c].minimum[0], vf_set(x->ds), acc[r][c]);
                if (f.minimum && f.sub != GROUP) {
                    acc[r][c] = vf_fma(s[c].minimum[0], vf_set(x->ds16[0]), acc[r][c]);
                    acc[r][c] = vf_fma(s[c].minimum[1], vf_set(x->ds16[1]), acc[r][c]);
                }
            }
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < m; r++)
#pragma GCC unroll 4
        for (size_t c = 0; c < v; c++)
            strip_put(g->y + (row + r) * g->y_row, strip * STRIP + c * VL, g->n, acc[r][c], g->add);
}

/* Rows [row, m) in tiles of n; returns where they end. */
SIMD size_t packed_tiles(const struct packed_gemm *g, size_t strip, size_t row, const size_t n,
                         const size_t v, const struct form f) {
    for (; row + n <= g->m; row += n)
        packed_tile(g, strip, row, n, v, f);
    return row;
}

SIMD void packed_rows(const struct packed_gemm *g, size_t strip, const size_t v,
                      const struct form f) {
    size_t row = 0;
    if (v == DOT_VECTORS && g->m >= MANY)
        row = packed_tiles(g, strip, row, DOT_MANY, v, f);
    if (v == DOT_VECTORS && DOT_FEW > 4)
        row = packed_tiles(g, strip, row, DOT_FEW, v, f);
    row = packed_tiles(g, strip, row, 4, v, f);
    row = packed_tiles(g, strip, row, 2, v, f);
    packed_tiles(g, strip, row, 1, v, f);
}

/* One or two rows read strips one after the other: fewer streams from memory. */
SIMD void packed_all(const struct packed_gemm *g, const struct form f) {
    enum { STEP = DOT_VECTORS / PARTS };
    size_t strips = (g->n + STRIP - 1) / STRIP, strip = 0;
    if (STEP > 1 && g->m > 2)
        for (; strip + STEP <= strips; strip += STEP)
            packed_rows(g, strip, DOT_VECTORS, f);
    for (; strip < strips; strip++)
        packed_rows(g, strip, PARTS, f);
}

#define PACKED(name, ...)                                                                          \
    void ISA(packed_##name)(const struct packed_gemm *g) {                                         \
        packed_all(g, (struct form){__VA_ARGS__});                                                 \
    }
PACKED(q4_0, 4, 3, TABLE_NONE, 32, SCALE_F16, false, false)
PACKED(q4_1, 4, -1, TABLE_NONE, 32, SCALE_F16, true, false)
PACKED(q5_0, 5, 4, TABLE_NONE, 32, SCALE_F16, false, false)
PACKED(q5_1, 5, -1, TABLE_NONE, 32, SCALE_F16, true, false)
PACKED(q8_0, 8, 7, TABLE_NONE, 32, SCALE_F16, false, false)
PACKED(q2_k, 2, -1, TABLE_NONE, 16, SCALE_SUPER, true, false)
PACKED(q3_k, 3, 2, TABLE_NONE, 16, SCALE_SUPER, false, true)
PACKED(q4_k, 4, -1, TABLE_NONE, 32, SCALE_SUPER, true, false)
PACKED(q5_k, 5, -1, TABLE_NONE, 32, SCALE_SUPER, true, false)
PACKED(q6_k, 6, 5, TABLE_NONE, 16, SCALE_SUPER, false, true)
PACKED(iq4_nl, 4, -1, TABLE_IQ4, 32, SCALE_F16, false, false)
PACKED(iq4_xs, 4, -1, TABLE_IQ4, 32, SCALE_SUPER, false, true)
PACKED(mxfp4, 4, -1, TABLE_E2M1, 32, SCALE_BF16, false, false)

/* --- activations --- */

/* 32 floats to bytes under one scale, with their sums. */
SIMD void quantize_group(const float *x, float d, float inverse, int8_t *q, struct q8_group *g) {
    int32_t sums[2] = {0, 0};
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < STRIP; i += VL) {
            vi v = vi_of(vf_mul(vf_load(x + half * STRIP + i), vf_set(inverse)));
            vi_store_8(q + half * STRIP + i, v);
            sums[half] += (int32_t)vf_sum(vf_of(v)); /* exact: small integers */
        }
    int32_t all = sums[0] + sums[1];
    *g = (struct q8_group){.d = d,
                           .ds = d * (float)all,
                           .neg = -all,
                           .neg16 = {-sums[0], -sums[1]},
                           .ds16 = {d * (float)sums[0], d * (float)sums[1]}};
}

void ISA(quantize_groups)(size_t k, size_t span, const float *x, int8_t *q, struct q8_group *g) {
    for (size_t i = 0; i < k; i += span) {
        size_t n = k - i < span ? k - i : span;
        vf high = vf_zero();
        for (size_t j = 0; j < n; j += VL) /* NaN is the first operand, and passed over */
            high = vf_max(vf_abs(vf_load(x + i + j)), high);
        float top = vf_highest(high), d = top / 127.0f, inverse = top > 0 ? 127.0f / top : 0;
        if (!(inverse < __builtin_inff()) || !(d < __builtin_inff()))
            d = inverse = 0;
        for (size_t j = 0; j < n; j += GROUP)
            quantize_group(x + i + j, d, inverse, q + i + j, g + (i + j) / GROUP);
    }
}

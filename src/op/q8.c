/* SPDX-License-Identifier: Apache-2.0 */
/* See q8.h. */
#include "op/q8.h"

#include "kernel/kernel.h"
#include "op/team.h"

bool q8_quads(void) {
    const unsigned flags = cpu_flags(), wide = CPU_AVX512 | CPU_VNNI,
                   narrow = CPU_AVX2 | CPU_AVX_VNNI;
    return (flags & wide) == wide || (flags & narrow) == narrow;
}

int32_t q8_zero(const struct tensor *t, size_t i) {
    if (!t || tensor_count(t) == 0)
        return 0;
    return (int32_t)tensor_i64(t, tensor_count(t) > 1 ? i : 0);
}

float q8_scale(const struct tensor *t, size_t i) {
    if (!t || tensor_count(t) == 0)
        return 1;
    return (float)tensor_f64(t, tensor_count(t) > 1 ? i : 0);
}

bool q8_all_zero(const struct tensor *t) {
    for (size_t i = 0; t && i < tensor_count(t); i++)
        if (tensor_i64(t, i) != 0)
            return false;
    return true;
}

enum code q8_check(const struct operand_at *at, const struct op_value *v, int64_t channels,
                   const char *what, struct err *e) {
    size_t n;
    char text[SHAPE_TEXT];
    if (v->dtype == DT_NONE || !v->known)
        return OK;
    if (!shape_count(&v->shape, &n) || (n != 1 && (int64_t)n != channels))
        return operand_fail(at, e, INVALID, "%s has the shape %s, one entry or %lld were expected",
                            what, shape_print(&v->shape, text), (long long)channels);
    return OK;
}

#define WIDEN(name, type)                                                                          \
    static void name(const struct q8_widen *w, size_t begin, size_t end) {                         \
        const size_t even = 2 * q8_units(w->n);                                                    \
        for (size_t row = begin; row < end; row++) {                                               \
            const type *restrict x = (const type *)w->x + row * w->x_row;                          \
            int16_t *restrict y = w->y + row * even;                                               \
            for (size_t i = 0; i < w->n; i++)                                                      \
                y[i] = (int16_t)(x[i] - w->zero);                                                  \
            if (even > w->n)                                                                       \
                y[w->n] = 0;                                                                       \
        }                                                                                          \
    }
WIDEN(widen_u8, uint8_t)
WIDEN(widen_i8, int8_t)

void q8_widen(const struct q8_widen *w, int threads) {
    const int team = team_size(threads, 0.2 * (double)w->rows * (double)w->n);
#pragma omp parallel for num_threads(team) if (team > 1)
    for (int t = 0; t < team; t++)
        (w->is_signed ? widen_i8 : widen_u8)(w, team_cut(w->rows, 1, team, t),
                                             team_cut(w->rows, 1, team, t + 1));
}

void q8_narrow(const struct q8_narrow *c) {
    struct requant r = {.n = c->n,
                        .bias = c->bias,
                        .scale = c->scale,
                        .one = c->one,
                        .zero = c->zero,
                        .low = c->is_signed ? -128 : 0,
                        .high = c->is_signed ? 127 : 255};
    for (size_t row = 0; row < c->rows; row++) {
        r.sums = c->sums + row * c->n;
        r.y = (uint8_t *)c->y + row * c->n;
        kernel_set()->requant(&r);
    }
}

enum { SIDE = 64 };

/* n and is_signed: constant after inlining where it matters. */
static inline void add_bytes(const uint8_t *restrict x, const bool is_signed, const size_t n,
                             int32_t *restrict sums) {
    for (size_t i = 0; i < n; i++)
        sums[i] += is_signed ? (int8_t)x[i] : x[i];
}

void q8_add(const void *x, bool is_signed, size_t n, int32_t *sums) {
    const uint8_t *from = x;
    for (; n >= SIDE; n -= SIDE, from += SIDE, sums += SIDE)
        if (is_signed)
            add_bytes(from, true, SIDE, sums);
        else
            add_bytes(from, false, SIDE, sums);
    add_bytes(from, is_signed, n, sums);
}

void q8_table(struct q8_meaning x, struct q8_meaning y, bool is_signed, uint8_t to[Q8_BYTES]) {
    const struct kernel_set *k = kernel_set();
    uint8_t all[Q8_BYTES];
    float real[Q8_BYTES];
    for (int i = 0; i < Q8_BYTES; i++)
        all[i] = (uint8_t)i;
    if (is_signed) {
        k->dequantize_i8(Q8_BYTES, (const int8_t *)all, x.scale, x.zero, real);
        k->quantize_i8(Q8_BYTES, real, y.scale, y.zero, (int8_t *)to);
    } else {
        k->dequantize_u8(Q8_BYTES, all, x.scale, x.zero, real);
        k->quantize_u8(Q8_BYTES, real, y.scale, y.zero, to);
    }
}

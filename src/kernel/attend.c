/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of keys and values: how one position is put in, and the readable twin of attention over
 * them, which folds block after block as the fast rows do. */
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

static size_t element_bytes(enum page_kind kind) {
    return kind == PAGE_F32 ? 4 : kind == PAGE_Q8 ? 1 : 2;
}

size_t page_half_bytes(enum page_kind kind, size_t d) {
    size_t bytes = PAGE * d * element_bytes(kind);
    return kind == PAGE_Q8 ? bytes + d / GROUP * PAGE * 2 : bytes;
}

static float within_f16(float v) { return v > 65504 ? 65504 : v < -65504 ? -65504 : v; }

/* Numbers as the page holds them, `size` bytes each. */
static const void *as_held(enum page_kind kind, size_t n, const float *x, uint16_t *held) {
    const struct kernel_set *k = kernel_set();
    float within[HEAD_MAX];
    if (kind == PAGE_F32)
        return x;
    if (kind == PAGE_BF16) {
        k->narrow_bf16(n, x, held);
        return held;
    }
    k->clip_f32(n, x, within, -65504, 65504);
    k->narrow_f16(n, within, held);
    return held;
}

/* 32 numbers, `step` bytes apart in the page, under one f16 scale. */
static void put_bytes(const float *x, char *at, size_t step, char *scale) {
    float top = 0, d;
    uint16_t bits;
    for (int i = 0; i < GROUP; i++)
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    d = within_f16(top / 127.0f);
    narrow_f16_scalar(1, &d, &bits);
    memcpy(scale, &bits, sizeof bits);
    float inverse = top > 0 ? 127.0f / top : 0;
    for (int i = 0; i < GROUP; i++)
        at[(size_t)i * step] = (char)(int8_t)rintf(within_f16(x[i]) * inverse);
}

void page_put(enum page_kind kind, size_t d, size_t position, const float *key, const float *value,
              void *keys, void *values) {
    char *k = keys, *v = values;
    if (kind == PAGE_Q8) {
        for (size_t i = 0; i < d; i += GROUP) {
            put_bytes(key + i, k + i * PAGE + position, PAGE,
                      k + PAGE * d + (i / GROUP * PAGE + position) * 2);
            put_bytes(value + i, v + position * d + i, 1,
                      v + PAGE * d + (position * (d / GROUP) + i / GROUP) * 2);
        }
        return;
    }
    uint16_t held[HEAD_MAX];
    size_t bytes = element_bytes(kind);
    memcpy(v + position * d * bytes, as_held(kind, d, value, held), d * bytes);
    const void *x = as_held(kind, d, key, held);
    for (size_t i = 0; i < d; i++) /* a column of (d, 16) */
        if (bytes == 4)
            memcpy(k + (i * PAGE + position) * 4, (const char *)x + 4 * i, 4);
        else
            memcpy(k + (i * PAGE + position) * 2, (const char *)x + 2 * i, 2);
}

/* --- the twin --- */

static float f16_at(const char *p) {
    uint16_t bits;
    float v;
    memcpy(&bits, p, sizeof bits);
    widen_f16_scalar(1, &bits, &v);
    return v;
}

static float number_at(enum page_kind kind, const char *half, size_t index, size_t d,
                       size_t scale) {
    float v;
    uint16_t bits;
    switch (kind) {
    case PAGE_F32: memcpy(&v, half + 4 * index, sizeof v); return v;
    case PAGE_F16: return f16_at(half + 2 * index);
    case PAGE_BF16:
        memcpy(&bits, half + 2 * index, sizeof bits);
        widen_bf16_scalar(1, &bits, &v);
        return v;
    case PAGE_Q8: break;
    }
    return (float)(int8_t)half[index] * f16_at(half + PAGE * d + 2 * scale);
}

static float score_of(const struct attend *c, size_t lane, int32_t position) {
    const char *keys = c->pages[position / PAGE] + c->keys;
    size_t at = (size_t)position % PAGE;
    float sum = 0;
    for (size_t i = 0; i < c->d; i++)
        sum += c->q[lane][i] * number_at(c->kind, keys, i * PAGE + at, c->d, i / GROUP * PAGE + at);
    return c->soft_cap > 0 ? c->soft_cap * tanhf(sum / c->soft_cap) : sum;
}

void attend_scalar(const struct attend *c) {
    for (size_t l = 0; l < c->lanes; l++) {
        float top = c->sink ? c->sink[l] : -INFINITY, sum = c->sink ? 1 : 0, *y = c->y[l];
        memset(y, 0, c->d * sizeof *y);
        for (int32_t p = c->first[l]; p <= c->last[l]; p++) {
            float score = score_of(c, l, p), high = score > top ? score : top;
            float keep = top == high ? 1 : expf(top - high), weight = expf(score - high);
            size_t at = (size_t)p % PAGE;
            for (size_t i = 0; i < c->d; i++)
                y[i] = y[i] * keep + weight * number_at(c->kind, c->pages[p / PAGE] + c->values,
                                                        at * c->d + i, c->d,
                                                        at * (c->d / GROUP) + i / GROUP);
            sum = sum * keep + weight;
            top = high;
        }
        for (size_t i = 0; i < c->d; i++)
            y[i] /= sum;
    }
}

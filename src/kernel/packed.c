/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar twins of the products with packed weights, and of the quantisation of activations. Each
 * states the operations of one row and one output in their order; the fast rows do the same ones,
 * so the answers are equal bit for bit. */
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

static float f16_at(const uint8_t *p) {
    uint16_t bits;
    float v;
    memcpy(&bits, p, sizeof bits);
    widen_f16_scalar(1, &bits, &v);
    return v;
}
static float bf16_at(const uint8_t *p) {
    uint16_t bits;
    float v;
    memcpy(&bits, p, sizeof bits);
    widen_bf16_scalar(1, &bits, &v);
    return v;
}

/* --- a group of a strip --- */

struct cell { /* 32 weights of one output */
    int weight[GROUP];
    float scale[2], minimum[2]; /* of each half; the same where 32 share one */
};

static int code_at(int bits, const uint8_t *planes, size_t o, int i) {
    int j = i / 4, code = 0, shift = 0;
    const uint8_t *at = planes + 4 * o + i % 4;
    if (bits == 8)
        return at[64 * j];
    if (bits >= 4) {
        code = at[64 * (j % 4)] >> 4 * (j / 4) & 15;
        at += 256, shift = 4;
    }
    if (bits % 4 >= 2) {
        code |= (at[64 * (j % 2)] >> 2 * (j / 2) & 3) << shift;
        at += 128, shift += 2;
    }
    if (bits % 2)
        code |= (at[0] >> j & 1) << shift;
    return code;
}

static float factor_at(const struct block_form *f, const uint8_t *p) {
    return f->is_signed ? (float)(int8_t)*p : (float)*p;
}

static void super_scales(const struct block_form *f, const uint8_t *scales, size_t group, size_t o,
                         struct cell *c) {
    size_t kinds = f->minimum ? 2 : 1, subs = SUPER / (size_t)f->sub;
    const uint8_t *s = scales + group / 8 * kinds * STRIP * (2 + subs);
    float d = f16_at(s + 2 * o), dmin = f->minimum ? f16_at(s + 2 * STRIP + 2 * o) : 0;
    for (size_t half = 0; half < 2; half++) {
        size_t sub = (group % 8 * GROUP + half * GROUP / 2) / (size_t)f->sub;
        const uint8_t *at = s + kinds * STRIP * (2 + sub) + o;
        c->scale[half] = d * factor_at(f, at);
        c->minimum[half] = f->minimum ? -(dmin * factor_at(f, at + STRIP)) : 0;
    }
}

static void cell_of(enum block_type t, const struct packed_gemm *g, size_t n, size_t group,
                    struct cell *c) {
    const struct block_form *f = block_form(t);
    size_t strip = n / STRIP, o = n % STRIP, kinds = f->minimum ? 2 : 1;
    const uint8_t *planes = g->codes + strip * g->codes_strip + group * packed_code_bytes(t, GROUP);
    const uint8_t *scales = g->scales + strip * g->scales_strip;
    for (int i = 0; i < GROUP; i++) {
        int code = code_at(f->bits, planes, o, i);
        c->weight[i] = f->table ? block_table(f->table)[code] : code - f->offset;
    }
    if (f->scale == SCALE_SUPER) {
        super_scales(f, scales, group, o, c);
        return;
    }
    const uint8_t *s = scales + group * kinds * STRIP * 2 + 2 * o;
    c->scale[0] = c->scale[1] = f->scale == SCALE_F16 ? f16_at(s) : bf16_at(s);
    c->minimum[0] = c->minimum[1] = f->minimum ? f16_at(s + 2 * STRIP) : 0;
}

static float add_group(const struct block_form *f, const struct cell *c, const int8_t *a,
                       const struct q8_group *q, float sum) {
    int32_t dot[2] = {0, 0};
    for (int i = 0; i < GROUP; i++)
        dot[i / (GROUP / 2)] += c->weight[i] * a[i];
    if (f->sub == GROUP) {
        sum = fmaf((float)(dot[0] + dot[1]) * c->scale[0], q->d, sum);
        return f->minimum ? fmaf(c->minimum[0], q->ds, sum) : sum;
    }
    float both = fmaf((float)dot[1], c->scale[1], (float)dot[0] * c->scale[0]);
    sum = fmaf(both, q->d, sum);
    if (!f->minimum)
        return sum;
    return fmaf(c->minimum[1], q->ds16[1], fmaf(c->minimum[0], q->ds16[0], sum));
}

static void multiply(enum block_type t, const struct packed_gemm *g) {
    size_t groups = g->k / GROUP;
    struct cell c;
    for (size_t n = 0; n < g->n; n++)
        for (size_t row = 0; row < g->m; row++) {
            float sum = 0, *y = g->y + row * g->y_row + n;
            for (size_t i = 0; i < groups; i++) {
                cell_of(t, g, n, i, &c);
                sum = add_group(block_form(t), &c, g->a + row * g->k + i * GROUP,
                                g->groups + row * groups + i, sum);
            }
            *y = g->add ? *y + sum : sum;
        }
}

#define PACKED(name, type)                                                                         \
    void packed_##name##_scalar(const struct packed_gemm *g) { multiply(type, g); }
PACKED(q4_0, BLOCK_Q4_0)
PACKED(q4_1, BLOCK_Q4_1)
PACKED(q5_0, BLOCK_Q5_0)
PACKED(q5_1, BLOCK_Q5_1)
PACKED(q8_0, BLOCK_Q8_0)
PACKED(q2_k, BLOCK_Q2_K)
PACKED(q3_k, BLOCK_Q3_K)
PACKED(q4_k, BLOCK_Q4_K)
PACKED(q5_k, BLOCK_Q5_K)
PACKED(q6_k, BLOCK_Q6_K)
PACKED(iq4_nl, BLOCK_IQ4_NL)
PACKED(iq4_xs, BLOCK_IQ4_XS)
PACKED(mxfp4, BLOCK_MXFP4)

/* --- floats --- */

void wide_f32_scalar(const struct wide_gemm *g) {
    const float *w = g->w, *a = g->a;
    for (size_t row = 0; row < g->m; row++)
        for (size_t n = 0; n < g->n; n++) {
            float sum = 0, *y = g->y + row * g->y_row + n;
            for (size_t i = 0; i < g->k; i++)
                sum = fmaf(a[row * g->k + i], w[(n / STRIP * g->k + i) * STRIP + n % STRIP], sum);
            *y = g->add ? *y + sum : sum;
        }
}

void wide_bf16_scalar(const struct wide_gemm *g) {
    const uint16_t *w = g->w, *a = g->a;
    for (size_t row = 0; row < g->m; row++)
        for (size_t n = 0; n < g->n; n++) {
            float sum = 0, *y = g->y + row * g->y_row + n;
            for (size_t i = 0; i < g->k; i += 2)
                for (size_t odd = 2; odd-- > 0;) { /* the odd one first, as the instruction does */
                    float u, v;
                    size_t at = (n / STRIP * g->k / 2 + i / 2) * 2 * STRIP + n % STRIP * 2 + odd;
                    widen_bf16_scalar(1, &w[at], &v);
                    widen_bf16_scalar(1, &a[row * g->k + i + odd], &u);
                    sum = fmaf(u, v, sum);
                }
            *y = g->add ? *y + sum : sum;
        }
}

/* --- activations --- */

static void quantize_group(const float *x, float d, float inverse, int8_t *q, struct q8_group *g) {
    int32_t sums[2] = {0, 0};
    for (int i = 0; i < GROUP; i++) {
        q[i] = (int8_t)rintf(x[i] * inverse);
        sums[i / 16] += q[i];
    }
    *g = (struct q8_group){.d = d,
                           .ds = d * (float)(sums[0] + sums[1]),
                           .neg = -(sums[0] + sums[1]),
                           .neg16 = {-sums[0], -sums[1]},
                           .ds16 = {d * (float)sums[0], d * (float)sums[1]}};
}

void quantize_groups_scalar(size_t k, size_t span, const float *x, int8_t *q, struct q8_group *g) {
    for (size_t i = 0; i < k; i += span) {
        float top = 0;
        size_t n = k - i < span ? k - i : span;
        for (size_t j = 0; j < n; j++)
            top = fabsf(x[i + j]) > top ? fabsf(x[i + j]) : top; /* NaN is passed over */
        float d = top / 127.0f, inverse = top > 0 ? 127.0f / top : 0;
        if (!(inverse < __builtin_inff()) || !(d < __builtin_inff()))
            d = inverse = 0;
        for (size_t j = 0; j < n; j += GROUP)
            quantize_group(x + i + j, d, inverse, q + i + j, g + (i + j) / GROUP);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Raw loops over pointers, chosen once per process by what the CPU can do. list.h is the table of
 * contents: each slot has a readable scalar twin, which is the reference of the tests, and faster
 * rows for instruction sets.
 *
 * 1. Kernels know no tensor, no operator, no thread: the caller splits the work.
 * 2. No alignment is assumed; nothing outside the given lengths is read or written; y may be
 * exactly x, never overlap else.
 * 3. Nothing allocates, nothing fails. */
#pragma once

#include "base/cpu.h"
#include "kernel/fixed.h"
#include "kernel/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* y[i] = f(x[i]); alpha and beta mean what the function says (clip: low, high; elu: slope; linear:
 * alpha * x + beta). */
typedef void unary_f32_fn(size_t n, const float *x, float *y, float alpha, float beta);

/* y[row][i] = a[row][i] op b[row][i]. A step of 0 repeats one element along the row, a row stride
 * of 0 repeats the row. */
struct binary_f32 {
    size_t rows, n;
    const float *a, *b;
    float *y;
    ptrdiff_t a_row, b_row, y_row; /* elements from one row to the next */
    bool a_one, b_one;             /* step 0 */
};
typedef void binary_f32_fn(const struct binary_f32 *c);

typedef float fold_f32_fn(size_t n, const float *x); /* n elements to one; n >= 1 */
typedef void row_f32_fn(size_t n, const float *x, float *y);

/* y = (x - mean) * rsqrt(var + epsilon) * gamma + beta over one row; RMS: mean is not taken off. */
struct norm_f32 {
    size_t n;
    const float *x, *gamma, *beta; /* gamma, beta: (n) or NULL */
    float *y;
    float epsilon;
    bool rms;
};
typedef void norm_f32_fn(const struct norm_f32 *c);
/* Of each row: y = exp(x * scale + bias - the largest of them), and the sum of it: softmax whose
 * division is left to whoever reads y. A row of minus infinities gives zeros and the sum 0; what is
 * not a number is passed over in the search and stays in y and in the sum. */
struct weigh_f32 {
    size_t rows, n;        /* n >= 1 */
    const float *x, *bias; /* bias: (n) or NULL, of the first row */
    size_t row, bias_row;  /* elements from one row of x, and of y, to the next; of bias, or 0 */
    float scale;
    float *y;
    float *sums; /* (rows) */
};
typedef void weigh_f32_fn(const struct weigh_f32 *c);
/* Sum of (x - shift)^2: second pass of a variance. */
typedef float spread_f32_fn(size_t n, const float *x, float shift);

/* y[r][c] = x[r][c] * scale[c] + shift[c] */
typedef void scale_f32_fn(size_t rows, size_t n, const float *x, const float *scale,
                          const float *shift, float *y);

/* y[i] = sum over rows of x[row * stride + i] */
typedef void columns_f32_fn(size_t rows, size_t n, const float *x, size_t stride, float *y);

/* Weighted sum of n_taps rows of n elements: y[i] = sum over t of weight[t] * x[t][i]. */
typedef void blend_f32_fn(size_t n_taps, const float *const *x, const float *weight, size_t n,
                          float *y);
/* y[i] += sum over t of x[t][i] */
typedef void sums_bf16_fn(size_t n_taps, const uint16_t *const *x, size_t n, float *y);
/* y[i] = max over t of x[t][i]; NaN wins. */
typedef void tops_f32_fn(size_t n_taps, const float *const *x, size_t n, float *y);
typedef void tops_bf16_fn(size_t n_taps, const uint16_t *const *x, size_t n, uint16_t *y);
typedef void tops_u8_fn(size_t n_taps, const uint8_t *const *x, size_t n, uint8_t *y);
typedef void tops_i8_fn(size_t n_taps, const int8_t *const *x, size_t n, int8_t *y);

/* saturate(round_half_even(x / scale) + zero) */
typedef void quantize_u8_fn(size_t n, const float *x, float scale, int32_t zero, uint8_t *y);
typedef void quantize_i8_fn(size_t n, const float *x, float scale, int32_t zero, int8_t *y);
/* (x - zero) * scale */
typedef void dequantize_u8_fn(size_t n, const uint8_t *x, float scale, int32_t zero, float *y);
typedef void dequantize_i8_fn(size_t n, const int8_t *x, float scale, int32_t zero, float *y);
/* y = saturate(round(a * a_scale + b * b_scale + offset) + y_zero): a sum of quantised tensors
 * whose scales are divided by y's and whose zero points are in the offset. */
struct qadd {
    size_t n;
    const void *a, *b;
    void *y;
    float a_scale, b_scale, offset; /* finite */
    int32_t y_zero;
    bool b_one;  /* b is one element */
    int32_t low; /* 0 or -128, or y_zero where a ReLU follows */
};
typedef void qadd_fn(const struct qadd *c);
/* y[i] = saturate(round((sums[i] + bias[i]) * scale[i]) + zero); scale[0] for all when one. */
struct requant {
    size_t n;
    const int32_t *sums, *bias; /* bias: NULL for none */
    const float *scale;
    bool one;
    int32_t zero, low, high;
    void *y; /* bytes, signed or not: low and high say */
};
typedef void requant_fn(const struct requant *c);

typedef void widen_16_fn(size_t n, const uint16_t *x, float *y); /* f16 or bf16 to f32 */
typedef void narrow_16_fn(size_t n, const float *x,
                          uint16_t *y); /* f32 to f16 or bf16, to nearest even */

/* y (cols, rows) = transpose of x (rows, cols); ldx, ldy in elements. */
typedef void transpose_fn(size_t rows, size_t cols, const void *x, size_t ldx, void *y, size_t ldy);

/* One tile of C (m <= mr, n <= nr) = init + A * B, where row i of A is `taps` pieces of k elements,
 * piece t at a[t * m + i], and B is a packed panel: (taps * k, nr), zero-filled beyond n. A
 * convolution is a GEMM whose pieces are the pixels under the kernel window. */
struct gemm_f32 {
    size_t m, n, k, taps;
    const float *const *a; /* (taps, m) */
    const float *b;        /* (taps * k, nr) */
    const float *bias;     /* (n) or NULL: starts from 0 */
    float *c;
    size_t ldc;
    bool add;          /* starts from C instead */
    const float *plus; /* (m, n) rows plus_row apart, or NULL: added to the result... */
    size_t plus_row;
    bool relu;          /* ...of which this is taken last */
    const float *ahead; /* (taps * k, 16) or NULL: memory wanted next, fetched meanwhile */
    const float *scale; /* (n), finite: gemm_quads alone, as is... */
    const struct quads_finish *finish; /* ...this */
};
typedef void gemm_f32_fn(const struct gemm_f32 *c);
struct gemm_tile {
    size_t mr, nr;
};
typedef void gemm_tile_fn(
    struct gemm_tile *out); /* the tile of the gemm_f32 row of the same name */

/* Weights as MatMulNBits holds them: (n, k) numbers of 4 or 8 bits, low ones first, in blocks along
 * k that share a scale and a zero point. A weight is (number - zero) * scale. Rows of f32 that meet
 * such weights, and widened weights, hold 4-bit numbers in another order: of every CODES_GROUP
 * those at even places first, then those at odd ones. */
enum { CODES_GROUP = 32 };
struct codes {
    size_t n, k, block; /* k: whole blocks; block: a multiple of CODES_GROUP */
    int bits;           /* 4 or 8 */
    const uint8_t *w;
    const float *scales;  /* (n, k / block) */
    const uint8_t *zeros; /* packed like w, zeros_row bytes a row; NULL: half of the range */
    size_t zeros_row;
};
static inline size_t codes_row(const struct codes *c) { return c->k * (size_t)c->bits / 8; }
/* Number i of such a row; bits: 2 as well. */
static inline unsigned codes_number(const uint8_t *row, size_t i, size_t bits) {
    return (unsigned)row[i * bits / 8] >> i * bits % 8 & ((1U << bits) - 1);
}
/* The zero point of a block of a row; bits: c->bits, a literal where that is known. */
static inline int codes_zero(const struct codes *c, size_t row, size_t block, size_t bits) {
    return c->zeros ? (int)codes_number(c->zeros + row * c->zeros_row, block, bits)
                    : 1 << (bits - 1);
}
typedef void codes_widen_fn(const struct codes *c, size_t row, float *y); /* y: (k) */
/* y (m, n) = a (m, k) * w^T */
typedef void codes_dot_fn(const struct codes *c, size_t m, const float *a, float *y, size_t y_row);

/* Depthwise, channels last: `pixels` outputs of n channels; output p sums the taps x[t * pixels +
 * p], each of n channels, with w (taps, n). A tap outside the picture points to a row of zeros. */
struct depthwise_f32 {
    size_t pixels, taps, n;
    const float *const *x; /* (taps, pixels) */
    const float *w;        /* (taps, n) */
    const float *bias;     /* (n) or NULL */
    float *y;              /* (pixels, n) */
    size_t y_row;          /* elements between pixels of y */
};
typedef void depthwise_f32_fn(const struct depthwise_f32 *c);

/* Winograd's convolutions with windows of 3 x 3: a patch of pixels becomes as many numbers per
 * channel, whose products with those of the weights, summed over input channels, become a tile of
 * pixels.
 *   4X4      6 x 6 pixels, 36 products in the place of 144
 *   2X2      4 x 4 pixels, 16 in the place of 36, by sums and differences alone
 *   STRIDED  a window that moves by two: 5 x 5 pixels, 25 in the place of 36, likewise. Even rows
 *            are F(2, 2) with the outer two weights, odd ones the middle weight alone. */
enum winograd_form { WINOGRAD_4X4, WINOGRAD_2X2, WINOGRAD_STRIDED, WINOGRAD_FORMS };
enum { WINOGRAD_IN = 6, WINOGRAD_OUT = 4, WINOGRAD_POINTS = WINOGRAD_IN * WINOGRAD_IN };
enum { WINOGRAD2_IN = 4, WINOGRAD2_OUT = 2, WINOGRAD2_POINTS = WINOGRAD2_IN * WINOGRAD2_IN };
enum { WINOGRADS_IN = 5, WINOGRADS_OUT = 2 };
struct winograd_in {
    size_t n; /* channels */
    enum winograd_form form;
    const float *const *x; /* (36, 16 or 25) pixels; one outside the picture points to zeros */
    float *v;              /* number p of the patch at v + p * v_step */
    size_t v_step;
};
typedef void winograd_in_fn(const struct winograd_in *c);
struct winograd_out {
    size_t n;
    enum winograd_form form;
    const float *m; /* number p at m + p * m_step */
    size_t m_step;
    const float *bias; /* (n) or NULL */
    bool relu;
    float *const *y; /* (16, 4 or 4) pixels; NULL: not wanted */
};
typedef void winograd_out_fn(const struct winograd_out *c);

/* WINOGRAD_2X2 of bf16: what is rounded once more stays near what was there. */
struct winograd_in_bf16 {
    size_t n;                 /* channels */
    const uint16_t *const *x; /* (16) pixels; one outside the picture points to zeros */
    uint16_t *v;              /* number p of the patch at v + p * v_step */
    size_t v_step;
};
typedef void winograd_in_bf16_fn(const struct winograd_in_bf16 *c);
struct winograd_out_bf16 {
    size_t n;
    const float *m; /* number p at m + p * m_step */
    size_t m_step;
    const float *bias; /* (n) or NULL */
    bool relu;
    bool wide;      /* y is f32, else bf16 */
    void *const *y; /* (4) pixels; NULL: not wanted */
};
typedef void winograd_out_bf16_fn(const struct winograd_out_bf16 *c);

/* The tile of gemm_f32 with a pair of bf16 in the place of each float of A and B: a row of k pairs
 * holds 2k numbers. Sums and C are f32. m <= GEMM_BF16_MR, panels of GEMM_BF16_NR; plus and relu
 * are not looked at. */
enum { GEMM_BF16_MR = 12, GEMM_BF16_NR = 32 };
typedef void gemm_bf16_fn(const struct gemm_f32 *c);
/* The same of bytes, exact. V is B' x B in int16. The rows of G are taken 24, -6, -6, 24, 24 and 6
 * times, so that weights are integers within int16 too; the way back takes the factors out and
 * leaves 4 to 64 times 9 times each sum, modulo 2^32. 9 has an inverse there, so that sums within
 * 26 bits come out exactly. Channels: a multiple of WINOGRAD_Q8_CHANNELS. */
enum { WINOGRAD_Q8_CHANNELS = 32 };
struct winograd_in_q8 {
    size_t n;
    const uint8_t *const *x; /* (36) pixels */
    uint8_t flip;            /* 0x80 where bytes are signed: they become 128 more */
    int16_t *v;
    size_t v_step; /* int16 */
};
typedef void winograd_in_q8_fn(const struct winograd_in_q8 *c);
struct winograd_out_q8 {
    size_t n; /* a multiple of 16 will do */
    const int32_t *m;
    size_t m_step;
    const int32_t *bias; /* (n) */
    const float *scale;  /* (n), finite: y = saturate(round((sum + bias) * scale) + zero) */
    int32_t zero;
    bool is_signed;
    uint8_t *const *y; /* (16) pixels; NULL: not wanted */
};
typedef void winograd_out_q8_fn(const struct winograd_out_q8 *c);

/* The same tile with a pair of int16 in the place of each float of A and B, and int32 in that of C:
 * exact sums (modulo 2^32) of products of bytes from which zero points have been taken off, or of
 * numbers made of such. A row of k pairs holds 2k numbers; bias is int32; plus,
 * relu and what belongs to quads are not looked at. */
typedef void gemm_pairs_fn(const struct gemm_f32 *c);

/* Multiply-adds of registers, `rounds` times as many as keep one core busy; answers how many
 * operations that was, 2 for each. For measuring what a core can do at most. */
typedef double strain_fn(size_t rounds);
/* The same tile with four bytes in the place of each float of A (unsigned) and B (signed), whose
 * sums become bytes: bias is int32, c and plus are bytes, ldc and plus_row too; add and relu are
 * not looked at. n may be more than the tile's: the panels of B follow one another; so may m where
 * there is one tap.
 *   y = saturate(round(sum * scale[col]) + zero)
 * and where plus is given, which holds bytes of y's type,
 *   y = saturate(round(y * y_scale + plus * plus_scale + offset) + plus_zero)
 * as requant and qadd say. */
struct quads_finish {
    bool is_signed; /* y and plus */
    int32_t zero;
    float y_scale, plus_scale, offset; /* finite */
    int32_t plus_zero;
};
typedef void gemm_quads_fn(const struct gemm_f32 *c);

struct kernel_set {
#define SLOT(type, name, ulp, small) type##_fn *name;
#define KERNEL(name, isa, flags, score)
#include "kernel/list.h"
#undef SLOT
#undef KERNEL
};

/* The best rows for cpu_flags(), found once. */
const struct kernel_set *kernel_set(void);

/* Of elements of 1, 2, 4 or 8 bytes. */
static inline transpose_fn *kernel_transpose(size_t bytes) {
    const struct kernel_set *k = kernel_set();
    return bytes == 1   ? k->transpose_8
           : bytes == 2 ? k->transpose_16
           : bytes == 4 ? k->transpose_32
                        : k->transpose_64;
}

/* y (rows, n) += bias (n), rows y_row apart. */
static inline void kernel_add_bias(size_t rows, size_t n, const float *bias, float *y,
                                   size_t y_row) {
    kernel_set()->add_f32(&(struct binary_f32){.rows = rows,
                                               .n = n,
                                               .a = y,
                                               .b = bias,
                                               .y = y,
                                               .a_row = (ptrdiff_t)y_row,
                                               .y_row = (ptrdiff_t)y_row});
}

/* For tests and `doctor`: every row, with what it needs. */
struct kernel_row {
    const char *name, *isa;
    size_t slot; /* byte offset in kernel_set */
    unsigned flags;
    int score;
    void (*fn)(void);
};
size_t kernel_rows(const struct kernel_row **out);
/* The row's set: scalar everywhere but for rows whose flags are within `flags`. */
void kernel_choose(unsigned flags, struct kernel_set *out);

/* Prototypes of every row. */
#define SLOT(type, name, ulp, small) type##_fn name##_scalar;
#define KERNEL(name, isa, flags, score) __typeof__(name##_scalar) name##_##isa;
#include "kernel/list.h"
#undef SLOT
#undef KERNEL

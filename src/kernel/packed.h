/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of language models: blocks of 2 to 8 bits with scales, in one packed layout for every
 * CPU, and the shapes of the kernels that multiply them.
 *
 * Packed layout. A matrix (n, k) is cut into strips of 16 outputs, its inputs into groups of 32. A
 * group of a strip holds 16 x 32 codes as vectors of 64 bytes: vector j has inputs 4j..4j+3 of
 * output 0, then of output 1, ...: what a dot product of four bytes wants. Codes are unsigned and
 * stored in planes of bits: 4 (four vectors: vector i has j = i in its low and j = i + 4 in its
 * high nibbles), then 2 (two vectors: bits 2(j/2).. of vector j%2), then 1 (one vector: bit j);
 * 8-bit codes are eight vectors. Scales lie beside, strip by strip:
 *   SCALE_F16, SCALE_BF16   per group 16 scales of 2 bytes, then 16 minima where the type has them
 *   SCALE_SUPER             per 256 inputs: 16 d (f16), 16 dmin (f16) where it has them, then per
 *                           sub-block of `sub` inputs 16 factors of a byte, 16 factors of dmin
 * A weight is scale * (code - offset) + minimum, or scale * table[code]; the minimum of
 * SCALE_SUPER is -(dmin * factor). Outputs beyond n are zeros.
 *
 * Activations are signed bytes with a scale per 32 inputs and sums beside (struct q8_group).
 *
 * Every row of a product is computed by the same operations in the same order, however many rows
 * there are: results do not depend on the batch. All rows of a slot give the same bits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STRIP = 16, GROUP = 32, SUPER = 256 };

enum block_type {
    BLOCK_Q4_0,
    BLOCK_Q4_1,
    BLOCK_Q5_0,
    BLOCK_Q5_1,
    BLOCK_Q8_0,
    BLOCK_Q2_K,
    BLOCK_Q3_K,
    BLOCK_Q4_K,
    BLOCK_Q5_K,
    BLOCK_Q6_K,
    BLOCK_IQ4_NL,
    BLOCK_IQ4_XS,
    BLOCK_MXFP4,
    BLOCK_N
};

enum scale_kind { SCALE_F16, SCALE_BF16, SCALE_SUPER };
enum code_table { TABLE_NONE, TABLE_IQ4, TABLE_E2M1 };

struct block_form {
    int block, bytes;      /* elements and bytes of a block in the file */
    int bits, offset;      /* of a code */
    enum code_table table; /* code -> signed byte */
    int sub;               /* inputs that share a scale: 16 or 32 */
    enum scale_kind scale;
    bool minimum, is_signed; /* is_signed: the byte factors of SCALE_SUPER */
};

const struct block_form *block_form(enum block_type t);
const int8_t *block_table(enum code_table t);           /* (16) */
size_t packed_code_bytes(enum block_type t, size_t k);  /* of one strip */
size_t packed_scale_bytes(enum block_type t, size_t k); /* of one strip */
/* n weights (whole blocks) as floats, bit for bit what the format's definition says. */
void block_widen(enum block_type t, const void *blocks, size_t n, float *y);
/* One strip: rows (<= 16) of k weights, the first at `blocks`, row_bytes apart. */
void packed_strip(enum block_type t, const uint8_t *blocks, size_t row_bytes, size_t rows, size_t k,
                  uint8_t *codes, uint8_t *scales);

/* What goes with 32 activations x[i] ~ d * q[i]; sums are of q. */
struct q8_group {
    float d, ds;      /* ds = d * sum */
    int32_t neg;      /* -sum */
    int32_t neg16[2]; /* of each half */
    float ds16[2];
    int32_t unused;
};

/* k floats (a multiple of 32) to bytes; span: inputs that share a scale, 32 or 256. */
typedef void quantize_groups_fn(size_t k, size_t span, const float *x, int8_t *q,
                                struct q8_group *g);

/* y (m, n) = a (m, k) * w (n, k)^T, for n outputs from the first of a strip. */
struct packed_gemm {
    size_t m, n, k;
    const uint8_t *codes, *scales;    /* of the first strip */
    size_t codes_strip, scales_strip; /* bytes from strip to strip */
    const int8_t *a;                  /* (m, k) */
    const struct q8_group *groups;    /* (m, k / 32) */
    float *y;
    size_t y_row;
    bool add; /* y += */
};
typedef void packed_gemm_fn(const struct packed_gemm *g);

/* The same for floats: w is strips of (k, 16) f32, or of (k / 2, 16, 2) bf16 whose products are of
 * bf16 activations, summed in f32 (k is then even). */
struct wide_gemm {
    size_t m, n, k;
    const void *w;
    const void *a; /* (m, k) f32, or bf16 */
    float *y;
    size_t y_row;
    bool add;
};
typedef void wide_gemm_fn(const struct wide_gemm *g);

/* --- attention over a paged cache --- */

enum { PAGE = 16 /* positions of a page */, HEAD_MAX = 1024 /* dims of a head */ };

/* How a page holds the keys and values of one head:
 *   f32, f16, bf16   keys (d, 16): 16 positions of each dim side by side; values (16, d)
 *   q8               keys (d, 16) bytes, then (d / 32, 16) f16 scales; values (16, d) bytes, then
 *                    (16, d / 32) f16 scales */
enum page_kind { PAGE_F32, PAGE_F16, PAGE_BF16, PAGE_Q8 };
size_t page_half_bytes(enum page_kind kind, size_t d); /* of the keys, or of the values */
/* One position of one head into its page. Values beyond what f16 holds become its largest. */
void page_put(enum page_kind kind, size_t d, size_t position_in_page, const float *key,
              const float *value, void *keys, void *values);

/* y[lane] = sum over positions of softmax(q[lane] . key) * value. The lanes share a head's pages
 * and see positions first[lane]..last[lane]. Blocks of PAGE_BLOCK pages from position 0 are folded
 * in one after the other, so a lane's numbers do not depend on the other lanes. */
enum { PAGE_BLOCK = 8, LANES = 8 };
struct attend {
    enum page_kind kind;
    size_t lanes, d;             /* 1..LANES; d: a multiple of 16 (32 with PAGE_Q8) */
    const float *const *q;       /* (lanes) of (d), already scaled */
    float *const *y;             /* (lanes) of (d) */
    const int32_t *first, *last; /* (lanes) */
    const char *const *pages;    /* of position / 16 */
    size_t keys, values; /* bytes from a page's start to the head's keys, and to its values */
    float soft_cap;      /* 0: none; scores become cap * tanh(score / cap) */
    const float *sink;   /* (lanes) a score without a value, or NULL */
};
typedef void attend_fn(const struct attend *c);

/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix of a model, packed for the kernels, and what it is multiplied with. */
#pragma once

#include "graph/model.h"
#include "kernel/kernel.h"

enum linear_kind { LINEAR_NONE, LINEAR_PACKED, LINEAR_F32, LINEAR_F16, LINEAR_BF16 };

struct linear { /* y (m, n) = x (m, k) * w (n, k)^T + bias */
    enum linear_kind kind;
    enum block_type block; /* of LINEAR_PACKED */
    size_t n, k;
    const char *raw;         /* (n, k) rows as in the file; borrowed */
    const struct tensor *of; /* the tensor that the rows are part of; borrowed */
    size_t raw_row;          /* bytes */
    uint8_t *codes, *scales; /* packed; codes alone where the file has floats */
    size_t codes_strip, scales_strip;
    packed_gemm_fn *packed;
    wide_gemm_fn *wide;
    const float *bias; /* (n) or NULL */
};

/* Rows [first, first + rows) of a tensor whose last dim is k. */
MUST_USE enum code linear_bind(struct linear *l, const struct value *v, size_t first, size_t rows,
                               size_t k, struct err *e);
size_t linear_bytes(const struct linear *l); /* packed */
size_t linear_strips(const struct linear *l);
/* Says where the packed form lies: linear_bytes of memory, aligned to MEM_LINE. */
void linear_place(struct linear *l, void *memory);
void linear_pack(const struct linear *l, size_t from, size_t to); /* strips [from, to) */
const char *linear_revision(const struct linear *l);              /* of the packed form */
/* One row as floats (an embedding), from the file's bytes. */
void linear_row(const struct linear *l, size_t row, float *y);

/* Rows of activations in the forms that the matrices they meet want. */
struct intake {
    size_t k;
    bool want_bytes, want_fixed, want_f32, want_bf16;
    size_t span; /* inputs that share a scale: 32 or 256 */
    int8_t *bytes;
    struct q8_group *groups;
    int16_t *fixed;
    float *fixed_scales;
    float *f32;
    uint16_t *bf16;
};
void intake_want(struct intake *o, const struct linear *l); /* l will be multiplied with it */
size_t intake_bytes(const struct intake *o, size_t rows);
void intake_place(struct intake *o, size_t rows, void *memory);
size_t intake_grain(const struct intake *o); /* numbers that go in together */
/* n numbers of a row, from column `at`: whole grains, or what is left of the row. */
void intake_put(const struct intake *o, size_t row, size_t at, size_t n, const float *x);
/* Row `to` becomes row `from` of another intake of the same forms. */
void intake_copy(const struct intake *o, size_t to, const struct intake *other, size_t from);

/* Columns [from, to) (from: the first of a strip) of m rows from `row`; y: of column 0 of the
 * first of them. */
void linear_run(const struct linear *l, const struct intake *o, size_t row, size_t m, size_t from,
                size_t to, float *y, size_t y_row, bool add);

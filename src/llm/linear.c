/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices: see linear.h. Blocks keep their bits and become strips (kernel/packed.h); floats become
 * strips of the same 16 outputs, those of f16 as block floating point (kernel/fixed.h). */
#include "llm/linear.h"

#include "base/mem.h"

#include <string.h>

/* --- types --- */

static const struct {
    enum dtype dtype;
    enum block_type block;
    size_t slot; /* of the kernel */
} blocks[] = {
    {DT_Q4_0, BLOCK_Q4_0, offsetof(struct kernel_set, packed_q4_0)},
    {DT_Q4_1, BLOCK_Q4_1, offsetof(struct kernel_set, packed_q4_1)},
    {DT_Q5_0, BLOCK_Q5_0, offsetof(struct kernel_set, packed_q5_0)},
    {DT_Q5_1, BLOCK_Q5_1, offsetof(struct kernel_set, packed_q5_1)},
    {DT_Q8_0, BLOCK_Q8_0, offsetof(struct kernel_set, packed_q8_0)},
    {DT_Q2_K, BLOCK_Q2_K, offsetof(struct kernel_set, packed_q2_k)},
    {DT_Q3_K, BLOCK_Q3_K, offsetof(struct kernel_set, packed_q3_k)},
    {DT_Q4_K, BLOCK_Q4_K, offsetof(struct kernel_set, packed_q4_k)},
    {DT_Q5_K, BLOCK_Q5_K, offsetof(struct kernel_set, packed_q5_k)},
    {DT_Q6_K, BLOCK_Q6_K, offsetof(struct kernel_set, packed_q6_k)},
    {DT_IQ4_NL, BLOCK_IQ4_NL, offsetof(struct kernel_set, packed_iq4_nl)},
    {DT_IQ4_XS, BLOCK_IQ4_XS, offsetof(struct kernel_set, packed_iq4_xs)},
    {DT_MXFP4, BLOCK_MXFP4, offsetof(struct kernel_set, packed_mxfp4)},
};
enum { N_BLOCKS = sizeof blocks / sizeof blocks[0] };

static bool choose_kind(struct linear *l, enum dtype t) {
    const struct kernel_set *set = kernel_set();
    for (size_t i = 0; i < N_BLOCKS; i++)
        if (blocks[i].dtype == t) {
            l->kind = LINEAR_PACKED;
            l->block = blocks[i].block;
            memcpy(&l->packed, (const char *)set + blocks[i].slot, sizeof l->packed);
            return true;
        }
    l->kind = t == DT_F32    ? LINEAR_F32
              : t == DT_F16  ? LINEAR_F16
              : t == DT_BF16 ? LINEAR_BF16
                             : LINEAR_NONE;
    l->wide = t == DT_F32 ? set->wide_f32 : set->wide_bf16;
    return l->kind != LINEAR_NONE;
}

static size_t float_bytes(const struct linear *l) { return l->kind == LINEAR_F32 ? 4 : 2; }

static void set_sizes(struct linear *l) {
    if (l->kind != LINEAR_PACKED) {
        l->raw_row = l->k * float_bytes(l);
        l->codes_strip =
            l->kind == LINEAR_F16 ? fixed_strip_bytes(l->k) : l->k * STRIP * float_bytes(l);
        return;
    }
    const struct block_form *f = block_form(l->block);
    l->raw_row = l->k / (size_t)f->block * (size_t)f->bytes;
    l->codes_strip = packed_code_bytes(l->block, l->k);
    l->scales_strip = packed_scale_bytes(l->block, l->k);
}

enum code linear_bind(struct linear *l, const struct value *v, size_t first, size_t rows, size_t k,
                      struct err *e) {
    const struct tensor *t = v->constant;
    size_t all = tensor_count(t);
    if (t->shape.rank < 2 || (size_t)t->shape.dims[t->shape.rank - 1] != k || k == 0 ||
        all / k < first + rows || rows == 0)
        return fail(e, FORMAT, "tensor '%.*s': %zu rows of %zu wanted", STR(v->name), first + rows,
                    k);
    struct linear new = {.n = rows, .k = k, .of = t};
    if (!choose_kind(&new, t->dtype))
        return fail(e, UNSUPPORTED, "tensor '%.*s': matrices of %s are not multiplied here",
                    STR(v->name), dtype_name(t->dtype));
    if (new.kind == LINEAR_PACKED && k % (size_t)block_form(new.block)->block)
        return fail(e, FORMAT, "tensor '%.*s': rows of %zu are no whole blocks", STR(v->name), k);
    if (new.kind == LINEAR_BF16 && k % 2)
        return fail(e, UNSUPPORTED, "tensor '%.*s': rows of an odd length", STR(v->name));
    set_sizes(&new);
    new.raw = (const char *)t->data + first *new.raw_row;
    *l = new;
    return OK;
}

/* --- packing --- */

size_t linear_strips(const struct linear *l) { return (l->n + STRIP - 1) / STRIP; }

size_t linear_bytes(const struct linear *l) {
    size_t strips = linear_strips(l);
    return mem_round_up(strips * l->codes_strip, MEM_LINE) +
           mem_round_up(strips * l->scales_strip, MEM_LINE);
}

void linear_place(struct linear *l, void *memory) {
    l->codes = memory;
    l->scales = l->codes + mem_round_up(linear_strips(l) * l->codes_strip, MEM_LINE);
}

/* Rows of floats side by side: (k, 16), or (k / 2, 16, 2) of bf16. */
static void pack_floats(const struct linear *l, const char *raw, size_t rows, char *to) {
    if (rows < STRIP)
        memset(to, 0, l->codes_strip);
    for (size_t o = 0; o < rows; o++)
        for (size_t i = 0; i < l->raw_row / 4; i++)
            memcpy(to + (i * STRIP + o) * 4, raw + o * l->raw_row + 4 * i, 4);
}

static void pack_fixed(const struct linear *l, const char *raw, size_t rows, void *to) {
    enum { PIECE = 32 * GROUP };
    float w[PIECE];
    memset(to, 0, l->codes_strip);
    for (size_t o = 0; o < rows; o++)
        for (size_t i = 0; i < l->k; i += PIECE) {
            size_t n = l->k - i < PIECE ? l->k - i : PIECE;
            kernel_set()->widen_f16(n, (const uint16_t *)(raw + o * l->raw_row) + i, w);
            fixed_pack(l->k, i, n, w, o, to);
        }
}

void linear_pack(const struct linear *l, size_t from, size_t to) {
    for (size_t strip = from; strip < to; strip++) {
        size_t left = l->n - strip * STRIP, rows = left < STRIP ? left : STRIP;
        const char *raw = l->raw + strip * STRIP * l->raw_row;
        uint8_t *codes = l->codes + strip * l->codes_strip;
        if (l->kind == LINEAR_PACKED)
            packed_strip(l->block, (const uint8_t *)raw, l->raw_row, rows, l->k, codes,
                         l->scales + strip * l->scales_strip);
        else if (l->kind == LINEAR_F16)
            pack_fixed(l, raw, rows, codes);
        else
            pack_floats(l, raw, rows, (char *)codes);
    }
}

const char *linear_revision(const struct linear *l) { return l->kind == LINEAR_F16 ? "2" : "1"; }

void linear_row(const struct linear *l, size_t row, float *y) {
    const char *raw = l->raw + row * l->raw_row;
    const struct kernel_set *set = kernel_set();
    switch (l->kind) {
    case LINEAR_PACKED: block_widen(l->block, raw, l->k, y); break;
    case LINEAR_F32: memcpy(y, raw, l->raw_row); break;
    case LINEAR_F16: set->widen_f16(l->k, (const uint16_t *)raw, y); break;
    case LINEAR_BF16: set->widen_bf16(l->k, (const uint16_t *)raw, y); break;
    case LINEAR_NONE: break;
    }
}

/* --- intakes --- */

void intake_want(struct intake *o, const struct linear *l) {
    switch (l->kind) {
    case LINEAR_PACKED: {
        size_t span = block_form(l->block)->block == SUPER ? SUPER : GROUP;
        if (!o->want_bytes || span < o->span)
            o->span = span;
        o->want_bytes = true;
        break;
    }
    case LINEAR_F32: o->want_f32 = true; break;
    case LINEAR_F16: o->want_fixed = true; break;
    case LINEAR_BF16: o->want_bf16 = true; break;
    case LINEAR_NONE: break;
    }
}

static size_t bytes_of(const struct intake *o, size_t rows) {
    return mem_round_up(rows * o->k, MEM_LINE);
}
static size_t groups_of(const struct intake *o, size_t rows) {
    return mem_round_up(rows * (o->k / GROUP) * sizeof(struct q8_group), MEM_LINE);
}

static size_t fixed_of(const struct intake *o, size_t rows) {
    return mem_round_up(rows * fixed_groups(o->k) * GROUP * sizeof *o->fixed, MEM_LINE);
}
static size_t scales_of(const struct intake *o, size_t rows) {
    return mem_round_up(rows * fixed_groups(o->k) * sizeof *o->fixed_scales, MEM_LINE);
}

size_t intake_grain(const struct intake *o) {
    return o->want_bytes ? o->span : o->want_fixed ? GROUP : 1;
}

size_t intake_bytes(const struct intake *o, size_t rows) {
    size_t n = 0;
    if (o->want_bytes)
        n += bytes_of(o, rows) + groups_of(o, rows);
    if (o->want_fixed)
        n += fixed_of(o, rows) + scales_of(o, rows);
    if (o->want_f32)
        n += mem_round_up(rows * o->k * 4, MEM_LINE);
    if (o->want_bf16)
        n += mem_round_up(rows * o->k * 2, MEM_LINE);
    return n;
}

void intake_place(struct intake *o, size_t rows, void *memory) {
    char *at = memory;
    if (o->want_bytes) {
        o->bytes = (int8_t *)at;
        at += bytes_of(o, rows);
        o->groups = (struct q8_group *)at;
        at += groups_of(o, rows);
    }
    if (o->want_fixed) {
        o->fixed = (int16_t *)at;
        at += fixed_of(o, rows);
        o->fixed_scales = (float *)at;
        at += scales_of(o, rows);
    }
    if (o->want_f32) {
        o->f32 = (float *)at;
        at += mem_round_up(rows * o->k * 4, MEM_LINE);
    }
    if (o->want_bf16)
        o->bf16 = (uint16_t *)at;
}

void intake_put(const struct intake *o, size_t row, size_t at, size_t n, const float *x) {
    const struct kernel_set *set = kernel_set();
    size_t to = row * o->k + at;
    if (o->want_bytes)
        set->quantize_groups(n, o->span, x, o->bytes + to, o->groups + to / GROUP);
    if (o->want_fixed) {
        size_t group = row * fixed_groups(o->k) + at / GROUP;
        set->fixed_blocks(n, x, o->fixed + group * GROUP, o->fixed_scales + group);
    }
    if (o->want_f32)
        memcpy(o->f32 + to, x, n * sizeof *x);
    if (o->want_bf16)
        set->narrow_bf16(n, x, o->bf16 + to);
}

void intake_copy(const struct intake *o, size_t to, const struct intake *other, size_t from) {
    size_t k = o->k;
    if (o->want_bytes) {
        memcpy(o->bytes + to * k, other->bytes + from * k, k);
        memcpy(o->groups + to * (k / GROUP), other->groups + from * (k / GROUP),
               k / GROUP * sizeof *o->groups);
    }
    if (o->want_fixed) {
        size_t n = fixed_groups(k);
        memcpy(o->fixed + to * n * GROUP, other->fixed + from * n * GROUP,
               n * GROUP * sizeof *o->fixed);
        memcpy(o->fixed_scales + to * n, other->fixed_scales + from * n,
               n * sizeof *o->fixed_scales);
    }
    if (o->want_f32)
        memcpy(o->f32 + to * k, other->f32 + from * k, k * sizeof *o->f32);
    if (o->want_bf16)
        memcpy(o->bf16 + to * k, other->bf16 + from * k, k * sizeof *o->bf16);
}

/* --- products --- */

void linear_run(const struct linear *l, const struct intake *o, size_t row, size_t m, size_t from,
                size_t to, float *y, size_t y_row, bool add) {
    size_t strip = from / STRIP;
    const uint8_t *codes = l->codes + strip * l->codes_strip;
    if (l->kind == LINEAR_PACKED) {
        struct packed_gemm g = {.m = m,
                                .n = to - from,
                                .k = l->k,
                                .codes = codes,
                                .scales = l->scales + strip * l->scales_strip,
                                .codes_strip = l->codes_strip,
                                .scales_strip = l->scales_strip,
                                .a = o->bytes + row * l->k,
                                .groups = o->groups + row * (l->k / GROUP),
                                .y = y,
                                .y_row = y_row,
                                .add = add};
        l->packed(&g);
    } else if (l->kind == LINEAR_F16) {
        size_t group = row * fixed_groups(l->k);
        kernel_set()->fixed_gemm(&(struct fixed_gemm){.m = m,
                                                      .n = to - from,
                                                      .k = l->k,
                                                      .w = codes,
                                                      .a = o->fixed + group * GROUP,
                                                      .d = o->fixed_scales + group,
                                                      .y = y,
                                                      .y_row = y_row,
                                                      .add = add});
    } else {
        struct wide_gemm g = {.m = m,
                              .n = to - from,
                              .k = l->k,
                              .w = codes,
                              .a = l->kind == LINEAR_BF16 ? (const void *)(o->bf16 + row * l->k)
                                                          : o->f32 + row * l->k,
                              .y = y,
                              .y_row = y_row,
                              .add = add};
        l->wide(&g);
    }
    if (l->bias)
        kernel_add_bias(m, to - from, l->bias + from, y, y_row);
}

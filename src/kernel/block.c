/* SPDX-License-Identifier: Apache-2.0 */
/* Block formats of GGUF files, taken apart: ggml's layouts as docs/formats/gguf.md states them.
 * Each type has one function that splits a block into codes and scales; the rest (to floats, to
 * packed strips) is written once over the parts. */
#include "kernel/kernel.h"

#include <string.h>

static const struct block_form forms[BLOCK_N] = {
    [BLOCK_Q4_0] = {32, 18, 4, 8, TABLE_NONE, 32, SCALE_F16, false, false},
    [BLOCK_Q4_1] = {32, 20, 4, 0, TABLE_NONE, 32, SCALE_F16, true, false},
    [BLOCK_Q5_0] = {32, 22, 5, 16, TABLE_NONE, 32, SCALE_F16, false, false},
    [BLOCK_Q5_1] = {32, 24, 5, 0, TABLE_NONE, 32, SCALE_F16, true, false},
    [BLOCK_Q8_0] = {32, 34, 8, 128, TABLE_NONE, 32, SCALE_F16, false, false},
    [BLOCK_Q2_K] = {256, 84, 2, 0, TABLE_NONE, 16, SCALE_SUPER, true, false},
    [BLOCK_Q3_K] = {256, 110, 3, 4, TABLE_NONE, 16, SCALE_SUPER, false, true},
    [BLOCK_Q4_K] = {256, 144, 4, 0, TABLE_NONE, 32, SCALE_SUPER, true, false},
    [BLOCK_Q5_K] = {256, 176, 5, 0, TABLE_NONE, 32, SCALE_SUPER, true, false},
    [BLOCK_Q6_K] = {256, 210, 6, 32, TABLE_NONE, 16, SCALE_SUPER, false, true},
    [BLOCK_IQ4_NL] = {32, 18, 4, 0, TABLE_IQ4, 32, SCALE_F16, false, false},
    [BLOCK_IQ4_XS] = {256, 136, 4, 0, TABLE_IQ4, 32, SCALE_SUPER, false, true},
    [BLOCK_MXFP4] = {32, 17, 4, 0, TABLE_E2M1, 32, SCALE_BF16, false, false},
};

static const int8_t tables[][16] = {
    [TABLE_NONE] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    [TABLE_IQ4] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
    [TABLE_E2M1] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}, /* doubled */
};

const struct block_form *block_form(enum block_type t) { return &forms[t]; }
const int8_t *block_table(enum code_table t) { return tables[t]; }

size_t packed_code_bytes(enum block_type t, size_t k) {
    return k * STRIP * (size_t)forms[t].bits / 8;
}

size_t packed_scale_bytes(enum block_type t, size_t k) {
    const struct block_form *f = &forms[t];
    size_t kinds = f->minimum ? 2 : 1;
    if (f->scale != SCALE_SUPER)
        return k / GROUP * kinds * STRIP * 2;
    return k / SUPER * kinds * STRIP * (2 + SUPER / (size_t)f->sub);
}

/* --- blocks taken apart --- */

/* A block's content: what the format's definition multiplies. */
struct parts {
    uint8_t code[SUPER];
    uint16_t d, dmin; /* 2 bytes as SCALE_F16 or SCALE_BF16 means them */
    uint8_t factor[16], minimum[16];
};

static uint16_t u16_at(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

/* 16 bytes to 32 codes: low nibbles first. */
static void nibbles(const uint8_t *q, uint8_t *code) {
    for (int i = 0; i < 16; i++) {
        code[i] = q[i] & 15;
        code[i + 16] = q[i] >> 4;
    }
}

static void fifth_bits(const uint8_t *q, uint8_t *code) {
    uint32_t high = (uint32_t)u16_at(q) | (uint32_t)u16_at(q + 2) << 16;
    for (int i = 0; i < 32; i++)
        code[i] |= (uint8_t)((high >> i & 1) << 4);
}

static void split_q4_0(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b);
    nibbles(b + 2, p->code);
}

static void split_q4_1(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b), p->dmin = u16_at(b + 2);
    nibbles(b + 4, p->code);
}

static void split_q5_0(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b);
    nibbles(b + 6, p->code);
    fifth_bits(b + 2, p->code);
}

static void split_q5_1(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b), p->dmin = u16_at(b + 2);
    nibbles(b + 8, p->code);
    fifth_bits(b + 4, p->code);
}

static void split_q8_0(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b);
    for (int i = 0; i < 32; i++)
        p->code[i] = b[2 + i] ^ 0x80;
}

static void split_mxfp4(const uint8_t *b, struct parts *p) {
    /* 2^(e - 128), half of E8M0's, since the table is doubled; as bfloat16, denormals included */
    unsigned bits = b[0] >= 2 ? (unsigned)(b[0] - 1) << 7 : 0x20u << b[0];
    p->d = (uint16_t)bits;
    nibbles(b + 1, p->code);
}

/* Two low bits of 256 codes from 64 bytes: 32 bytes hold 128 codes. */
static void pairs_of_bits(const uint8_t *q, uint8_t *code) {
    for (int half = 0; half < 2; half++)
        for (int quarter = 0; quarter < 4; quarter++)
            for (int i = 0; i < 32; i++)
                code[128 * half + 32 * quarter + i] = q[32 * half + i] >> 2 * quarter & 3;
}

static void split_q2_k(const uint8_t *b, struct parts *p) {
    for (int i = 0; i < 16; i++)
        p->factor[i] = b[i] & 15, p->minimum[i] = b[i] >> 4;
    pairs_of_bits(b + 16, p->code);
    p->d = u16_at(b + 80), p->dmin = u16_at(b + 82);
}

static void split_q3_k(const uint8_t *b, struct parts *p) {
    const uint8_t *s = b + 96;
    pairs_of_bits(b + 32, p->code);
    for (int i = 0; i < SUPER; i++)
        p->code[i] |= (uint8_t)((b[i % 32] >> i / 32 & 1) << 2);
    for (int j = 0; j < 16; j++) {
        int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = s[8 + j % 4] >> 2 * (j / 4) & 3;
        p->factor[j] = (uint8_t)((low | high << 4) - 32);
    }
    p->d = u16_at(b + 108);
}

/* Factors of 6 bits of Q4_K and Q5_K: eight for scales, eight for minima in 12 bytes. */
static void six_bits(const uint8_t *s, struct parts *p) {
    for (int j = 0; j < 4; j++) {
        p->factor[j] = s[j] & 63, p->minimum[j] = s[j + 4] & 63;
        p->factor[j + 4] = (uint8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
        p->minimum[j + 4] = (uint8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
    }
}

/* 32 bytes hold 64 codes: low nibbles, then high ones. */
static void nibbles_64(const uint8_t *q, uint8_t *code) {
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 32; i++) {
            code[64 * part + i] = q[32 * part + i] & 15;
            code[64 * part + 32 + i] = q[32 * part + i] >> 4;
        }
}

static void split_q4_k(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b), p->dmin = u16_at(b + 2);
    six_bits(b + 4, p);
    nibbles_64(b + 16, p->code);
}

static void split_q5_k(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b), p->dmin = u16_at(b + 2);
    six_bits(b + 4, p);
    nibbles_64(b + 48, p->code);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 32; i++)
            p->code[32 * j + i] |= (uint8_t)((b[16 + i] >> j & 1) << 4);
}

static void split_q6_k(const uint8_t *b, struct parts *p) {
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + 64 * half, *high = b + 128 + 32 * half;
        uint8_t *code = p->code + 128 * half;
        for (int i = 0; i < 32; i++) {
            code[i] = (uint8_t)((low[i] & 15) | (high[i] & 3) << 4);
            code[i + 32] = (uint8_t)((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4);
            code[i + 64] = (uint8_t)(low[i] >> 4 | (high[i] >> 4 & 3) << 4);
            code[i + 96] = (uint8_t)(low[i + 32] >> 4 | high[i] >> 6 << 4);
        }
    }
    memcpy(p->factor, b + 192, 16);
    p->d = u16_at(b + 208);
}

static void split_iq4_xs(const uint8_t *b, struct parts *p) {
    p->d = u16_at(b);
    for (int j = 0; j < 8; j++) {
        int low = b[4 + j / 2] >> 4 * (j & 1) & 15, high = u16_at(b + 2) >> 2 * j & 3;
        p->factor[j] = (uint8_t)((low | high << 4) - 32);
        nibbles(b + 8 + 16 * j, p->code + 32 * j);
    }
}

typedef void split_fn(const uint8_t *block, struct parts *p);
static split_fn *const splits[BLOCK_N] = {
    [BLOCK_Q4_0] = split_q4_0,   [BLOCK_Q4_1] = split_q4_1,   [BLOCK_Q5_0] = split_q5_0,
    [BLOCK_Q5_1] = split_q5_1,   [BLOCK_Q8_0] = split_q8_0,   [BLOCK_Q2_K] = split_q2_k,
    [BLOCK_Q3_K] = split_q3_k,   [BLOCK_Q4_K] = split_q4_k,   [BLOCK_Q5_K] = split_q5_k,
    [BLOCK_Q6_K] = split_q6_k,   [BLOCK_IQ4_NL] = split_q4_0, [BLOCK_IQ4_XS] = split_iq4_xs,
    [BLOCK_MXFP4] = split_mxfp4,
};

/* --- to floats --- */

static float scale_of(enum scale_kind kind, uint16_t bits) {
    float v;
    if (kind == SCALE_BF16)
        widen_bf16_scalar(1, &bits, &v);
    else
        widen_f16_scalar(1, &bits, &v);
    return v;
}

static float factor_of(const struct block_form *f, uint8_t byte) {
    return f->is_signed ? (float)(int8_t)byte : (float)byte;
}

static void widen_block(const struct block_form *f, const struct parts *p, float *y) {
    const int8_t *table = tables[f->table];
    float d = scale_of(f->scale, p->d);
    float dmin = f->minimum ? scale_of(f->scale, p->dmin) : 0;
    for (int i = 0; i < f->block; i++) {
        int j = i / f->sub, code = p->code[i] - f->offset;
        float scale = d, low = dmin;
        if (f->scale == SCALE_SUPER) {
            scale = d * factor_of(f, p->factor[j]);
            low = -(dmin * factor_of(f, p->minimum[j]));
        }
        float v = scale * (float)(f->table ? table[code] : code);
        y[i] = f->minimum ? v + low : v;
    }
}

void block_widen(enum block_type t, const void *blocks, size_t n, float *y) {
    const struct block_form *f = &forms[t];
    struct parts p = {0};
    const uint8_t *b = blocks;
    for (size_t i = 0; i < n; i += (size_t)f->block, b += f->bytes) {
        splits[t](b, &p);
        widen_block(f, &p, y + i);
    }
}

/* --- to packed strips --- */

/* Four codes at a time: byte i of a word is code i. */
static uint32_t word_at(const uint8_t *p) {
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}
static void or_word(uint8_t *p, uint32_t w) {
    w |= word_at(p);
    memcpy(p, &w, sizeof w);
}

/* 32 codes of output `o` into the group's planes, which start as zeros. */
static void put_codes(const struct block_form *f, const uint8_t *code, size_t o, uint8_t *planes) {
    uint8_t *at = planes + 4 * o;
    int bits = f->bits;
    for (int j = 0; j < 8; j++) {
        uint32_t w = word_at(code + 4 * j);
        uint8_t *plane = at;
        if (bits == 8) {
            or_word(plane + 64 * j, w);
            continue;
        }
        if (bits >= 4) {
            or_word(plane + 64 * (j % 4), (w & 0x0f0f0f0f) << 4 * (j / 4));
            plane += 256, w = w >> 4 & 0x0f0f0f0f;
        }
        if (bits % 4 >= 2) {
            or_word(plane + 64 * (j % 2), (w & 0x03030303) << 2 * (j / 2));
            plane += 128, w = w >> 2 & 0x3f3f3f3f;
        }
        if (bits % 2)
            or_word(plane, (w & 0x01010101) << j);
    }
}

static void put_u16(uint8_t *p, uint16_t v) { memcpy(p, &v, sizeof v); }

static void put_scales(const struct block_form *f, const struct parts *p, size_t o,
                       uint8_t *scales) {
    size_t kinds = f->minimum ? 2 : 1;
    put_u16(scales + 2 * o, p->d);
    if (f->minimum)
        put_u16(scales + 2 * STRIP + 2 * o, p->dmin);
    if (f->scale != SCALE_SUPER)
        return;
    uint8_t *factors = scales + kinds * 2 * STRIP;
    for (int j = 0; j < SUPER / f->sub; j++, factors += kinds * STRIP) {
        factors[o] = p->factor[j];
        if (f->minimum)
            factors[STRIP + o] = p->minimum[j];
    }
}

void packed_strip(enum block_type t, const uint8_t *blocks, size_t row_bytes, size_t rows, size_t k,
                  uint8_t *codes, uint8_t *scales) {
    const struct block_form *f = &forms[t];
    size_t group_bytes = packed_code_bytes(t, GROUP), block = (size_t)f->block;
    size_t scale_bytes = packed_scale_bytes(t, block);
    struct parts p = {0};
    memset(codes, 0, packed_code_bytes(t, k));
    memset(scales, 0, packed_scale_bytes(t, k));
    for (size_t i = 0; i < k / block; i++)
        for (size_t o = 0; o < rows; o++) {
            splits[t](blocks + o * row_bytes + i * (size_t)f->bytes, &p);
            put_scales(f, &p, o, scales + i * scale_bytes);
            for (size_t j = 0; j < block / GROUP; j++)
                put_codes(f, p.code + GROUP * j, o, codes + (i * block / GROUP + j) * group_bytes);
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Element types: sizes, names, classes, and the two 16-bit floats. */
#include "tensor/dtype.h"

#include "tensor/tensor.h"

struct fact {
    const char *name;
    size_t bytes, block; /* of an element, or of a block of so many */
};

static const struct fact facts[DT_N] = {
    [DT_NONE] = {"none", 0},
    [DT_F32] = {"f32", 4},
    [DT_F64] = {"f64", 8},
    [DT_F16] = {"f16", 2},
    [DT_BF16] = {"bf16", 2},
    [DT_I8] = {"i8", 1},
    [DT_I16] = {"i16", 2},
    [DT_I32] = {"i32", 4},
    [DT_I64] = {"i64", 8},
    [DT_U8] = {"u8", 1},
    [DT_U16] = {"u16", 2},
    [DT_U32] = {"u32", 4},
    [DT_U64] = {"u64", 8},
    [DT_BOOL] = {"bool", 1},
    [DT_STRING] = {"string", sizeof(struct str)},
    [DT_C64] = {"c64", 8},
    [DT_C128] = {"c128", 16},
    [DT_F8E4M3FN] = {"f8e4m3fn", 1},
    [DT_F8E4M3FNUZ] = {"f8e4m3fnuz", 1},
    [DT_F8E5M2] = {"f8e5m2", 1},
    [DT_F8E5M2FNUZ] = {"f8e5m2fnuz", 1},
    [DT_F8E8M0] = {"f8e8m0", 1},
    [DT_I4] = {"i4", 1},
    [DT_U4] = {"u4", 1},
    [DT_I2] = {"i2", 1},
    [DT_U2] = {"u2", 1},
    [DT_F4E2M1] = {"f4e2m1", 1},
    [DT_SEQUENCE] = {"sequence", sizeof(struct sequence)},
    [DT_Q4_0] = {"q4_0", 18, 32},
    [DT_Q4_1] = {"q4_1", 20, 32},
    [DT_Q5_0] = {"q5_0", 22, 32},
    [DT_Q5_1] = {"q5_1", 24, 32},
    [DT_Q8_0] = {"q8_0", 34, 32},
    [DT_Q2_K] = {"q2_k", 84, 256},
    [DT_Q3_K] = {"q3_k", 110, 256},
    [DT_Q4_K] = {"q4_k", 144, 256},
    [DT_Q5_K] = {"q5_k", 176, 256},
    [DT_Q6_K] = {"q6_k", 210, 256},
    [DT_IQ4_NL] = {"iq4_nl", 18, 32},
    [DT_IQ4_XS] = {"iq4_xs", 136, 256},
    [DT_MXFP4] = {"mxfp4", 17, 32},
};

static bool in_range(enum dtype t) { return (unsigned)t < DT_N; }

size_t dtype_size(enum dtype t) { return in_range(t) && !facts[t].block ? facts[t].bytes : 0; }

size_t dtype_block(enum dtype t) { return in_range(t) && facts[t].block ? facts[t].block : 1; }

size_t dtype_block_bytes(enum dtype t) { return in_range(t) ? facts[t].bytes : 0; }

const char *dtype_name(enum dtype t) { return in_range(t) ? facts[t].name : "unknown"; }

bool dtype_from_name(struct str name, enum dtype *out) {
    for (int t = DT_NONE + 1; t < DT_N; t++) {
        if (str_is(name, facts[t].name)) {
            *out = (enum dtype)t;
            return true;
        }
    }
    return false;
}

bool dtype_is_float(enum dtype t) {
    return t == DT_F16 || t == DT_BF16 || t == DT_F32 || t == DT_F64;
}

bool dtype_is_signed(enum dtype t) {
    return (t >= DT_I8 && t <= DT_I64) || t == DT_I4 || t == DT_I2;
}

bool dtype_is_integer(enum dtype t) { return t >= DT_I8 && t <= DT_U64; }

static float from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* The exponent is moved by a multiplication, which also makes subnormals normal (F. Giesen). */
float dtype_f16_to_f32(uint16_t bits) {
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13, sign = (uint32_t)(bits & 0x8000) << 16;
    if (magnitude >= 0x7c00u << 13) /* infinity, NaN */
        return from_bits(sign | magnitude | 0x7f800000u);
    float scaled = from_bits(magnitude) * 0x1p112f;
    return from_bits(to_bits(scaled) | sign);
}

uint16_t dtype_f32_to_f16(float v) {
    uint32_t u = to_bits(v), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) /* NaN: quiet, keeps the upper payload */
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* subnormal: adding 2^-1 aligns the last bit at 2^-24 and rounds */
        uint32_t m = to_bits(from_bits(a) + 0.5f) - 0x3f000000u;
        return (uint16_t)(sign | m);
    }
    uint32_t odd = a >> 13 & 1;
    return (uint16_t)(sign | ((a - 0x38000000u + 0xfff + odd) >> 13));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Element types. Names as clients write them: "f32" (ours), "FP32" (OIP), "DT_FLOAT" (TF), 1 (ONNX)
 * live in the leaves. */
#pragma once

#include "base/str.h"

enum dtype {
    DT_NONE, /* absent input, or unknown */
    DT_F32,
    DT_F64,
    DT_F16,
    DT_BF16,
    DT_I8,
    DT_I16,
    DT_I32,
    DT_I64,
    DT_U8,
    DT_U16,
    DT_U32,
    DT_U64,
    DT_BOOL,   /* one byte, 0 or 1 */
    DT_STRING, /* struct str per element, text borrowed from whoever owns the tensor */
    DT_C64,    /* two f32 */
    DT_C128,   /* two f64 */
    DT_F8E4M3FN,
    DT_F8E4M3FNUZ,
    DT_F8E5M2,
    DT_F8E5M2FNUZ,
    DT_F8E8M0,
    DT_I4, /* 4- and 2-bit types are unpacked on import: one element per byte, sign- or
              zero-extended */
    DT_U4,
    DT_I2,
    DT_U2,
    DT_F4E2M1,
    DT_SEQUENCE, /* rank 0; data is a struct sequence: values of the sequence and optional operators
                  */
    /* Blocks of quantised weights as GGUF files hold them (llm/ computes with them, no operator
       does): consecutive elements of a row share scales. */
    DT_Q4_0,
    DT_Q4_1,
    DT_Q5_0,
    DT_Q5_1,
    DT_Q8_0,
    DT_Q2_K,
    DT_Q3_K,
    DT_Q4_K,
    DT_Q5_K,
    DT_Q6_K,
    DT_IQ4_NL,
    DT_IQ4_XS,
    DT_MXFP4,
    DT_N
};

size_t dtype_size(enum dtype t);        /* bytes of one element; 0 for DT_NONE and blocks */
size_t dtype_block(enum dtype t);       /* elements of a block; 1 for all other types */
size_t dtype_block_bytes(enum dtype t); /* bytes of a block; dtype_size for all other types */
const char *dtype_name(enum dtype t);   /* "f32", "i64", "bool", "string", ... */
bool dtype_from_name(struct str name, enum dtype *out);
bool dtype_is_float(enum dtype t);   /* f16, bf16, f32, f64 */
bool dtype_is_signed(enum dtype t);  /* signed integers */
bool dtype_is_integer(enum dtype t); /* 8 to 64 bits, not bool */

float dtype_f16_to_f32(uint16_t bits);
uint16_t dtype_f32_to_f16(float v); /* round to nearest even */
static inline float dtype_bf16_to_f32(uint16_t bits) {
    uint32_t u = (uint32_t)bits << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
/* Round to nearest even, NaN stays NaN. */
static inline uint16_t dtype_f32_to_bf16(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of elements.
 *
 * Twelve types C has ("wide": f32 f64 i8..u64 bool) convert directly: one loop per ordered pair,
 * generated below, each simple enough for the compiler to vectorise. All other numeric types
 * ("narrow") pass through a block of f32, which holds every one of their values exactly; 4- and
 * 2-bit integers are i8 or u8 whose upper bits are cut. f64 to a narrow float is first rounded to
 * odd, so that rounding twice equals rounding once (Boldo, Melquiond: "When double rounding is
 * odd"). */
#include "tensor/cast.h"

#include "base/cpu.h"
#include "tensor/minifloat.h"
#include "tensor/spell.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 512 };

/* --- wide to wide --- */

/* Float to integer: truncated, saturated at the ends, NaN gives 0. POWER is the first value too
 * large; the largest float below it is POWER * (1 - epsilon / 2). Written without branches on
 * purpose. */
#define SATURATE(name, T, F, POWER, LOW, MAX, EPSILON)                                             \
    static inline T name(F x) {                                                                    \
        const F high = (F)(POWER) * (1 - (EPSILON) / 2);                                           \
        F c = x < (F)(LOW) ? (F)(LOW) : x;                                                         \
        c = c < high ? c : high;                                                                   \
        T v = (T)c;                                                                                \
        v = x >= (F)(POWER) ? (MAX) : v;                                                           \
        return x == x ? v : 0;                                                                     \
    }
#define SATURATE_BOTH(t, T, POWER, LOW, MAX)                                                       \
    SATURATE(t##_from_f32, T, float, POWER, LOW, MAX, __FLT_EPSILON__)                             \
    SATURATE(t##_from_f64, T, double, POWER, LOW, MAX, __DBL_EPSILON__)
SATURATE_BOTH(i8, int8_t, 0x1p7, -0x1p7, INT8_MAX)
SATURATE_BOTH(i16, int16_t, 0x1p15, -0x1p15, INT16_MAX)
SATURATE_BOTH(i32, int32_t, 0x1p31, -0x1p31, INT32_MAX)
SATURATE_BOTH(i64, int64_t, 0x1p63, -0x1p63, INT64_MAX)
SATURATE_BOTH(u8, uint8_t, 0x1p8, 0, UINT8_MAX)
SATURATE_BOTH(u16, uint16_t, 0x1p16, 0, UINT16_MAX)
SATURATE_BOTH(u32, uint32_t, 0x1p32, 0, UINT32_MAX)
SATURATE_BOTH(u64, uint64_t, 0x1p64, 0, UINT64_MAX)

typedef void loop_fn(void *out, const void *in, size_t count);

#define LOOP(to, from, T, F, expression)                                                           \
    static void to##_of_##from(void *restrict out, const void *restrict in, size_t count) {        \
        T *o = out;                                                                                \
        const F *a = in;                                                                           \
        for (size_t i = 0; i < count; i++) {                                                       \
            F x = a[i];                                                                            \
            o[i] = expression;                                                                     \
        }                                                                                          \
    }
#define INTEGERS(K, to, T)                                                                         \
    K(to, i8, T, int8_t)                                                                           \
    K(to, i16, T, int16_t)                                                                         \
    K(to, i32, T, int32_t)                                                                         \
    K(to, i64, T, int64_t)                                                                         \
    K(to, u8, T, uint8_t)                                                                          \
    K(to, u16, T, uint16_t)                                                                        \
    K(to, u32, T, uint32_t)                                                                        \
    K(to, u64, T, uint64_t)                                                                        \
    K(to, flag, T, uint8_t)
#define PLAIN(to, from, T, F) LOOP(to, from, T, F, (T)x)
#define TRUTH(to, from, T, F) LOOP(to, from, T, F, x != 0)
#define TO_INTEGER(to, T)                                                                          \
    LOOP(to, f32, T, float, to##_from_f32(x))                                                      \
    LOOP(to, f64, T, double, to##_from_f64(x))                                                     \
    INTEGERS(PLAIN, to, T)
#define TO_FLOAT(to, T) PLAIN(to, f32, T, float) PLAIN(to, f64, T, double) INTEGERS(PLAIN, to, T)
TO_FLOAT(f32, float)
TO_FLOAT(f64, double)
TO_INTEGER(i8, int8_t)
TO_INTEGER(i16, int16_t)
TO_INTEGER(i32, int32_t)
TO_INTEGER(i64, int64_t)
TO_INTEGER(u8, uint8_t)
TO_INTEGER(u16, uint16_t)
TO_INTEGER(u32, uint32_t)
TO_INTEGER(u64, uint64_t)
TRUTH(flag, f32, uint8_t, float)
TRUTH(flag, f64, uint8_t, double)
INTEGERS(TRUTH, flag, uint8_t)

#define ROW(t)                                                                                     \
    {                                                                                              \
        [DT_F32] = t##_of_f32, [DT_F64] = t##_of_f64, [DT_I8] = t##_of_i8, [DT_I16] = t##_of_i16,  \
        [DT_I32] = t##_of_i32, [DT_I64] = t##_of_i64, [DT_U8] = t##_of_u8, [DT_U16] = t##_of_u16,  \
        [DT_U32] = t##_of_u32, [DT_U64] = t##_of_u64, [DT_BOOL] = t##_of_flag                      \
    }
static loop_fn *const loops[DT_BOOL + 1][DT_BOOL + 1] = {
    [DT_F32] = ROW(f32), [DT_F64] = ROW(f64), [DT_I8] = ROW(i8),     [DT_I16] = ROW(i16),
    [DT_I32] = ROW(i32), [DT_I64] = ROW(i64), [DT_U8] = ROW(u8),     [DT_U16] = ROW(u16),
    [DT_U32] = ROW(u32), [DT_U64] = ROW(u64), [DT_BOOL] = ROW(flag),
};

static bool is_wide(enum dtype t) { return t <= DT_BOOL && loops[DT_F32][t]; }

/* --- narrow floats, through f32 --- */

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) static size_t f16_to_f32_x8(float *restrict out,
                                                                 const uint16_t *restrict in,
                                                                 size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    return i;
}

__attribute__((target("avx2,f16c"))) static size_t f16_from_f32_x8(uint16_t *restrict out,
                                                                   const float *restrict in,
                                                                   size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

static bool have_f16c(void) { return cpu_flags() & CPU_AVX2; }
#else
static size_t f16_to_f32_x8(float *out, const uint16_t *in, size_t count) {
    return (void)out, (void)in, (void)count, 0;
}
static size_t f16_from_f32_x8(uint16_t *out, const float *in, size_t count) {
    return (void)out, (void)in, (void)count, 0;
}
static bool have_f16c(void) { return false; }
#endif

static void f16_to_f32(float *restrict out, const uint16_t *restrict in, size_t count) {
    for (size_t i = have_f16c() ? f16_to_f32_x8(out, in, count) : 0; i < count; i++)
        out[i] = dtype_f16_to_f32(in[i]);
}

static void f16_from_f32(uint16_t *restrict out, const float *restrict in, size_t count) {
    for (size_t i = have_f16c() ? f16_from_f32_x8(out, in, count) : 0; i < count; i++)
        out[i] = dtype_f32_to_f16(in[i]);
}

static bool is_narrow(enum dtype t) { return t == DT_F16 || t == DT_BF16 || minifloat_is(t); }

static void narrow_to_f32(float *restrict out, enum dtype from, const void *in, size_t count) {
    if (from == DT_F16) {
        f16_to_f32(out, in, count);
    } else if (from == DT_BF16) {
        for (size_t i = 0; i < count; i++)
            out[i] = dtype_bf16_to_f32(((const uint16_t *)in)[i]);
    } else {
        for (size_t i = 0; i < count; i++)
            out[i] = minifloat_to_f32(from, ((const uint8_t *)in)[i]);
    }
}

static void narrow_from_f32(void *restrict out, enum dtype to, const float *restrict in,
                            size_t count, bool saturate) {
    if (to == DT_F16) {
        f16_from_f32(out, in, count);
    } else if (to == DT_BF16) {
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)out)[i] = dtype_f32_to_bf16(in[i]);
    } else {
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = minifloat_from_f32(to, in[i], saturate);
    }
}

/* The nearest floats enclose x; when x is neither, the one with an odd last bit remembers that it
 * was not exact. */
static float round_to_odd(double x) {
    float f = (float)x;
    uint32_t u;
    if ((double)f == x || x != x)
        return f;
    memcpy(&u, &f, sizeof u);
    if (!(u & 1)) {
        bool too_large = __builtin_fabs((double)f) > __builtin_fabs(x);
        u = too_large ? u - 1 : u + 1;
    }
    memcpy(&f, &u, sizeof f);
    return f;
}

static void f32_of_f64_odd(void *restrict out, const void *restrict in, size_t count) {
    for (size_t i = 0; i < count; i++)
        ((float *)out)[i] = round_to_odd(((const double *)in)[i]);
}

/* At least one side is narrow, the other narrow or wide. */
static void cast_narrow(enum dtype to, void *out, enum dtype from, const void *in, size_t count,
                        bool saturate) {
    float block[BLOCK];
    const size_t out_bytes = dtype_size(to), in_bytes = dtype_size(from);
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        const char *a = (const char *)in + at * in_bytes;
        char *o = (char *)out + at * out_bytes;
        if (is_narrow(from))
            narrow_to_f32(block, from, a, n);
        else if (from == DT_F64)
            f32_of_f64_odd(block, a, n);
        else
            loops[DT_F32][from](block, a, n);
        if (is_narrow(to))
            narrow_from_f32(o, to, block, n, saturate);
        else
            loops[to][DT_F32](o, block, n);
    }
}

/* --- 4- and 2-bit integers --- */

static bool is_tiny(enum dtype t) { return t >= DT_I4 && t <= DT_U2; }

/* The type whose loops serve t: tiny integers lie in memory as i8 or u8. */
static enum dtype carrier(enum dtype t) {
    if (!is_tiny(t))
        return t;
    return t == DT_I4 || t == DT_I2 ? DT_I8 : DT_U8;
}

static void cut_tiny(enum dtype t, void *out, size_t count) {
    int drop = t == DT_I4 || t == DT_U4 ? 4 : 6;
    uint8_t *u = out;
    int8_t *s = out;
    for (size_t i = 0; i < count; i++) {
        uint8_t high = (uint8_t)(u[i] << drop);
        if (t == DT_I4 || t == DT_I2)
            s[i] = (int8_t)((int8_t)high >> drop);
        else
            u[i] = (uint8_t)(high >> drop);
    }
}

/* A tiny unsigned target is cut from a signed byte when the source is a float: -1.0 gives 15, not
 * 0. */
static enum dtype tiny_target(enum dtype to, enum dtype from) {
    bool from_float = is_narrow(from) || from == DT_F32 || from == DT_F64;
    return is_tiny(to) && from_float ? DT_I8 : carrier(to);
}

static void cast_numbers(enum dtype to, void *out, enum dtype from, const void *in, size_t count,
                         bool saturate) {
    enum dtype t = tiny_target(to, from), f = carrier(from);
    if (is_narrow(t) || is_narrow(f))
        cast_narrow(t, out, f, in, count, saturate);
    else
        loops[t][f](out, in, count);
    if (is_tiny(to))
        cut_tiny(to, out, count);
}

/* --- complex --- */

static bool is_complex(enum dtype t) { return t == DT_C64 || t == DT_C128; }

/* From a real type: imaginary part 0. From a complex one: both parts. */
static void cast_to_complex(enum dtype to, void *out, enum dtype from, const void *in,
                            size_t count) {
    enum dtype part = to == DT_C64 ? DT_F32 : DT_F64;
    size_t part_bytes = dtype_size(part), in_bytes = dtype_size(from);
    if (is_complex(from)) {
        loops[part][from == DT_C64 ? DT_F32 : DT_F64](out, in, 2 * count);
        return;
    }
    memset(out, 0, count * dtype_size(to));
    for (size_t i = 0; i < count; i++)
        cast_numbers(part, (char *)out + 2 * i * part_bytes, from, (const char *)in + i * in_bytes,
                     1, false);
}

/* --- strings --- */

static enum code cast_to_strings(struct str *out, enum dtype from, const void *in, size_t count,
                                 struct arena *a, struct err *e) {
    const char *element = in;
    char text[SPELL_TEXT];
    for (size_t i = 0; i < count; i++, element += dtype_size(from)) {
        struct str s = {text, spell_put(from, element, text)};
        struct str copy = arena_str(a, s);
        if (!copy.p)
            return arena_fail(a, s.n, "text of numbers", e);
        out[i] = copy;
    }
    return OK;
}

static enum code cast_from_strings(enum dtype to, void *out, const struct str *in, size_t count,
                                   struct err *e) {
    char *element = out;
    for (size_t i = 0; i < count; i++, element += dtype_size(to))
        if (!spell_take(to, in[i], element))
            return fail(e, INVALID, "element %zu: '%.*s' is not a number of type %s", i, STR(in[i]),
                        dtype_name(to));
    return OK;
}

static bool is_number(enum dtype t) { return is_wide(t) || is_narrow(t) || is_tiny(t); }

enum code cast_elements(enum dtype to, void *out, enum dtype from, const void *in, size_t count,
                        bool saturate, struct arena *a, struct err *e) {
    if (to == from && dtype_size(to) && to != DT_SEQUENCE) {
        if (count)
            memcpy(out, in, count * dtype_size(to));
        return OK;
    }
    if (to == DT_STRING && is_number(from) && a)
        return cast_to_strings(out, from, in, count, a, e);
    if (from == DT_STRING && is_number(to))
        return cast_from_strings(to, out, in, count, e);
    if (is_complex(to) && (is_number(from) || is_complex(from))) {
        cast_to_complex(to, out, from, in, count);
        return OK;
    }
    if (!is_number(to) || !is_number(from))
        return fail(e, UNSUPPORTED, "no conversion from %s to %s", dtype_name(from),
                    dtype_name(to));
    cast_numbers(to, out, from, in, count, saturate);
    return OK;
}

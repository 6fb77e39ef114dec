/* SPDX-License-Identifier: Apache-2.0 */
/* Floats of 8 and 4 bits, by one description per type: a code is sign, exponent, mantissa from the
 * top, and its value is mantissa * 2^(exponent - bias), without the hidden one when the exponent is
 * 0. */
#include "tensor/minifloat.h"

struct form {
    uint8_t sign; /* bit */
    int mantissa; /* bits */
    int bias;
    uint8_t max;      /* code of the largest finite value */
    uint8_t overflow; /* code above it: infinity, or NaN where there is none */
    uint8_t nan;
    bool signed_nan;    /* NaN carries a sign */
    bool negative_zero; /* FNUZ uses that code for NaN */
};

static const struct form forms[DT_N] = {
    [DT_F8E4M3FN] = {0x80, 3, 7, 0x7e, 0x7f, 0x7f, true, true},
    [DT_F8E4M3FNUZ] = {0x80, 3, 8, 0x7f, 0x80, 0x80, false, false},
    [DT_F8E5M2] = {0x80, 2, 15, 0x7b, 0x7c, 0x7f, true, true},
    [DT_F8E5M2FNUZ] = {0x80, 2, 16, 0x7f, 0x80, 0x80, false, false},
    [DT_F4E2M1] = {0x08, 1, 1, 0x07, 0x07, 0x08, false, true},
};

bool minifloat_is(enum dtype t) { return (t >= DT_F8E4M3FN && t <= DT_F8E8M0) || t == DT_F4E2M1; }

static float e8m0_to_f32(uint8_t code) {
    return code == 0xff ? __builtin_nanf("") : __builtin_ldexpf(1, code - 127);
}

float minifloat_to_f32(enum dtype t, uint8_t code) {
    if (t == DT_F8E8M0)
        return e8m0_to_f32(code);
    const struct form *f = &forms[t];
    uint8_t a = (uint8_t)(code & (f->sign - 1));
    bool minus = code & f->sign;
    if (t != DT_F4E2M1 && (a > f->max || (!f->negative_zero && code == f->nan))) {
        bool infinite = f->overflow != f->nan && a == f->overflow;
        float special = infinite ? __builtin_inff() : __builtin_nanf("");
        return minus ? -special : special;
    }
    int exponent = a >> f->mantissa, fraction = a & ((1 << f->mantissa) - 1);
    if (exponent)
        fraction |= 1 << f->mantissa;
    else
        exponent = 1;
    float v = __builtin_ldexpf((float)fraction, exponent - f->bias - f->mantissa);
    return minus ? -v : v;
}

uint8_t minifloat_e8m0(float v, bool saturate, enum minifloat_round mode) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    unsigned exponent = u >> 23 & 0xff;
    if (exponent == 0xff)
        return 0xff;
    uint32_t fraction = u & 0x7fffff;
    bool up = mode == MINIFLOAT_UP && fraction;
    if (mode == MINIFLOAT_NEAREST)
        up = fraction >= 0x400000;
    if (exponent == 0) /* a subnormal float: 2^-127, the value of code 0, is 0x400000 */
        up = mode == MINIFLOAT_UP ? fraction > 0x400000 : up && fraction >= 0x600000;
    if (up && !(saturate && exponent == 0xfe))
        exponent++;
    return (uint8_t)exponent;
}

/* Code of a finite magnitude: the significand is rounded at the scale of its exponent; a carry runs
 * into the exponent field by itself. */
static unsigned magnitude_code(const struct form *f, float a) {
    int e = a > 0 ? __builtin_ilogbf(a) : -1000;
    if (e < 1 - f->bias)
        e = 1 - f->bias;
    unsigned m = (unsigned)__builtin_rintf(__builtin_ldexpf(a, f->mantissa - e));
    return ((unsigned)(e + f->bias) << f->mantissa) + m - (1u << f->mantissa);
}

uint8_t minifloat_from_f32(enum dtype t, float v, bool saturate) {
    if (t == DT_F8E8M0)
        return minifloat_e8m0(v, saturate, MINIFLOAT_UP);
    const struct form *f = &forms[t];
    uint8_t sign = __builtin_signbit(v) ? f->sign : 0;
    if (v != v)
        return f->signed_nan ? (uint8_t)(sign | f->nan) : f->nan;
    float a = __builtin_fabsf(v);
    unsigned code = __builtin_isinf(a) ? 0x100 : magnitude_code(f, a);
    if (code > f->max)
        code = saturate ? f->max : f->overflow;
    if (code == 0 && !f->negative_zero)
        sign = 0;
    return (uint8_t)(sign | code);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one vector, written once over vf/vi/vm. Polynomials: exp, log, tanh after Cephes
 * (Moshier, single precision); erf after N. Juffa's two-piece fit. Each is within 4 ulp of the C
 * library over all floats (tests/unit/kernel), NaN gives NaN, infinities give what the mathematics
 * says. */
#pragma once

SIMD vf math_exp(vf x) {
    const vf low = vf_set(-104.0f), high = vf_set(89.0f);
    x = vf_min(high, vf_max(low, x)); /* NaN is the second operand both times, and stays */
    vf n = vf_round(vf_mul(x, vf_set(1.44269504088896341f)));
    vf r = vf_fnma(n, vf_set(0.693359375f), x);
    r = vf_fnma(n, vf_set(-2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(p, vf_mul(r, r), r);
    return vf_scale2(vf_add(p, vf_set(1.0f)), n);
}

SIMD vf math_log(vf x) {
    const vf tiny = vf_set(1.17549435e-38f), one = vf_set(1.0f);
    vm denormal = vf_lt(x, tiny);
    vf v = vf_pick(denormal, vf_mul(x, vf_set(8388608.0f)), x);
    vi bits = vf_bits(v);
    /* v = m * 2^n with m in [sqrt(1/2), sqrt(2)) */
    vi above = vi_sub(bits, vi_set(0x3f3504f3));
    vf n = vf_of(vi_shr(above, 23));
    n = vf_pick(denormal, vf_sub(n, vf_set(23.0f)), n);
    vf m = vi_floats(vi_add(vi_and(above, vi_set(0x007fffff)), vi_set(0x3f3504f3)));
    vf r = vf_sub(m, one), s = vf_mul(r, r);
    vf p = vf_set(7.0376836292e-2f);
    p = vf_fma(p, r, vf_set(-1.1514610310e-1f));
    p = vf_fma(p, r, vf_set(1.1676998740e-1f));
    p = vf_fma(p, r, vf_set(-1.2420140846e-1f));
    p = vf_fma(p, r, vf_set(1.4249322787e-1f));
    p = vf_fma(p, r, vf_set(-1.6668057665e-1f));
    p = vf_fma(p, r, vf_set(2.0000714765e-1f));
    p = vf_fma(p, r, vf_set(-2.4999993993e-1f));
    p = vf_fma(p, r, vf_set(3.3333331174e-1f));
    vf y = vf_mul(vf_mul(p, r), s);
    y = vf_fma(n, vf_set(-2.12194440e-4f), y);
    y = vf_fnma(vf_set(0.5f), s, y);
    y = vf_add(r, y);
    y = vf_fma(n, vf_set(0.693359375f), y);
    const vf inf = vf_set(__builtin_inff());
    y = vf_pick(vf_eq(x, inf), inf, y);
    y = vf_pick(vf_eq(x, vf_zero()), vf_set(-__builtin_inff()), y);
    y = vf_pick(vf_lt(x, vf_zero()), vf_set(__builtin_nanf("")), y);
    return vf_pick(vf_nan(x), x, y);
}

SIMD vf math_sigmoid(vf x) {
    vf e = math_exp(vf_sub(vf_zero(), x));
    return vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), e));
}

SIMD vf math_sign_of(vf magnitude, vf sign) { /* magnitude >= 0 */
    return vf_or(magnitude, vf_and(sign, vf_set(-0.0f)));
}

SIMD vf math_tanh(vf x) {
    vf t = vf_abs(x), s = vf_mul(x, x);
    vf p = vf_set(-5.70498872745e-3f);
    p = vf_fma(p, s, vf_set(2.06390887954e-2f));
    p = vf_fma(p, s, vf_set(-5.37397155531e-2f));
    p = vf_fma(p, s, vf_set(1.33314422036e-1f));
    p = vf_fma(p, s, vf_set(-3.33332819422e-1f));
    vf small = vf_fma(vf_mul(p, s), x, x);
    vf e = math_exp(vf_add(t, t));
    vf big = vf_sub(vf_set(1.0f), vf_div(vf_set(2.0f), vf_add(e, vf_set(1.0f))));
    return vf_pick(vf_lt(t, vf_set(0.625f)), small, math_sign_of(big, x));
}

SIMD vf math_erf(vf x) {
    vf t = vf_abs(x), s = vf_mul(x, x);
    vf r = vf_fma(vf_set(-1.72853470e-5f), t, vf_set(3.83197126e-4f));
    vf u = vf_fma(vf_set(-3.88396438e-3f), t, vf_set(2.42546219e-2f));
    r = vf_fma(r, s, u);
    r = vf_fma(r, t, vf_set(-1.06777877e-1f));
    r = vf_fma(r, t, vf_set(-6.34846687e-1f));
    r = vf_fma(r, t, vf_set(-1.28717512e-1f));
    r = vf_fma(r, t, vf_sub(vf_zero(), t));
    r = vf_min(vf_zero(), r); /* far out the quintic turns up again, and erf is 1 long before */
    vf big = vf_sub(vf_set(1.0f), math_exp(vf_pick(vf_gt(t, vf_set(4.5f)), vf_set(-104.0f), r)));
    vf p = vf_set(-5.96761703e-4f);
    p = vf_fma(p, s, vf_set(4.99119423e-3f));
    p = vf_fma(p, s, vf_set(-2.67681349e-2f));
    p = vf_fma(p, s, vf_set(1.12819925e-1f));
    p = vf_fma(p, s, vf_set(-3.76125336e-1f));
    p = vf_fma(p, s, vf_set(1.28379166e-1f));
    vf small = vf_fma(p, x, x);
    vf y = vf_pick(vf_gt(t, vf_set(0.927734375f)), math_sign_of(big, x), small);
    return vf_pick(vf_nan(x), x, y);
}

/* x where x > 0, less t * erfc(t / sqrt(2)) / 2 with t = |x|. erfc is taken as D(t)^-8 for a
 * polynomial D, fitted so that no result is off by more than 4.8e-8 in exact arithmetic; from 16 on
 * nothing is left of it. */
SIMD vf math_gelu_erf(vf x) {
    const vf t = vf_min(vf_set(16.0f), vf_abs(x)); /* NaN is the second operand, and stays */
    vf d = vf_set(2.9324914976314176e-6f);
    d = vf_fma(d, t, vf_set(-1.6747191693866625e-5f));
    d = vf_fma(d, t, vf_set(9.758208034327254e-5f));
    d = vf_fma(d, t, vf_set(1.1135105160064995e-4f));
    d = vf_fma(d, t, vf_set(9.806621819734573e-4f));
    d = vf_fma(d, t, vf_set(8.591631427407265e-3f));
    d = vf_fma(d, t, vf_set(4.4788800179958344e-2f));
    d = vf_fma(d, t, vf_set(9.973249584436417e-2f));
    d = vf_fma(d, t, vf_set(1.0f));
    d = vf_mul(d, d);
    d = vf_mul(d, d);
    d = vf_mul(d, d);
    return vf_sub(vf_max(vf_zero(), x), vf_div(vf_mul(vf_set(0.5f), t), d));
}

SIMD vf math_gelu_tanh(vf x) {
    vf cubic = vf_mul(vf_mul(vf_mul(x, x), x), vf_set(0.044715f));
    vf half = vf_mul(x, vf_set(0.5f));
    return vf_fma(half, math_tanh(vf_mul(vf_add(x, cubic), vf_set(0.79788456080286535f))), half);
}

SIMD vf math_hard_sigmoid(vf x, vf alpha, vf beta) {
    return vf_min(vf_set(1.0f), vf_max(vf_zero(), vf_fma(x, alpha, beta)));
}

/* e^x - 1, exact near 0. */
SIMD vf math_expm1(vf x) {
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, x, vf_set(1.3981999507e-3f));
    p = vf_fma(p, x, vf_set(8.3334519073e-3f));
    p = vf_fma(p, x, vf_set(4.1665795894e-2f));
    p = vf_fma(p, x, vf_set(1.6666665459e-1f));
    p = vf_fma(p, x, vf_set(5.0000001201e-1f));
    vf near = vf_fma(p, vf_mul(x, x), x);
    vf far = vf_sub(math_exp(x), vf_set(1.0f));
    return vf_pick(vf_lt(vf_abs(x), vf_set(0.34f)), near, far);
}

SIMD vf math_elu(vf x, vf alpha) {
    return vf_pick(vf_lt(x, vf_zero()), vf_mul(alpha, math_expm1(vf_min(vf_zero(), x))), x);
}

/* log(1 + e) for e in (0, 1]: exact for small e. */
SIMD vf math_log1p(vf e) {
    vf u = vf_add(vf_set(1.0f), e), d = vf_sub(u, vf_set(1.0f));
    vf y = vf_div(vf_mul(math_log(u), e), d); /* Kahan */
    return vf_pick(vf_eq(d, vf_zero()), e, y);
}

SIMD vf math_softplus(vf x) { /* max(x, 0) + log(1 + e^-|x|) */
    vf e = math_exp(vf_sub(vf_zero(), vf_abs(x)));
    return vf_add(vf_max(vf_zero(), x), math_log1p(e));
}

SIMD vf math_max(vf a, vf b) { return vf_pick(vf_nan(a), a, vf_max(a, b)); } /* NaN of either */
SIMD vf math_min(vf a, vf b) { return vf_pick(vf_nan(a), a, vf_min(a, b)); }

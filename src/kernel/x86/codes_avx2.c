/* SPDX-License-Identifier: Apache-2.0 */
/* simd/codes.h for AVX2. */
#include "kernel/simd/avx2.h"

struct level {
    vf scale;
    vi zero;
};
SIMD struct level level_of(float scale, int zero) {
    return (struct level){vf_set(scale), vi_set(zero)};
}
SIMD vf level_weight(const struct level *l, vi numbers) {
    return vf_mul(vf_of(vi_sub(numbers, l->zero)), l->scale);
}
SIMD vf level_low(const struct level *l, vi bytes) {
    return level_weight(l, vi_and(bytes, vi_set(15)));
}
SIMD vf level_high(const struct level *l, vi bytes) {
    return level_weight(l, vi_shr_logical(bytes, 4));
}

#include "kernel/simd/codes.h"

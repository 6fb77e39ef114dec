/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions: angle of pair i at position p is p * scale * base^(-2i / dims) / factor[i].
 * YaRN (arXiv 2309.00071) blends interpolated and original frequencies between two dims. */
#include "llm/rope.h"

#include <math.h>

/* Share of the original frequency of pair i, falling from 1 at low to 0 at high. */
static float yarn_share(const struct rope_plan *plan, size_t i) {
    float span = plan->high - plan->low, at = ((float)i - plan->low) / fmaxf(span, 0.001f);
    return 1 - fminf(1, fmaxf(0, at));
}

static float frequency(const struct rope_plan *plan, size_t dims, size_t i) {
    float f = powf(plan->base, -2.0f * (float)i / (float)dims);
    if (plan->factors)
        f /= plan->factors[i];
    if (plan->yarn_factor > 0) {
        float share = yarn_share(plan, i);
        return f / plan->yarn_factor * (1 - share) + f * share;
    }
    return f * plan->scale;
}

void rope_angles(const struct rope_plan *plan, size_t dims, const int32_t *positions, size_t rows,
                 float *angles) {
    for (size_t i = 0; i < dims / 2; i++) {
        float f = frequency(plan, dims, i);
        for (size_t row = 0; row < rows; row++) {
            float angle = (float)positions[row] * f, *at = angles + (row * (dims / 2) + i) * 2;
            at[0] = cosf(angle) * plan->magnitude;
            at[1] = sinf(angle) * plan->magnitude;
        }
    }
}

void rope_turn(float *x, size_t head_dim, size_t dims, bool pairs, const float *angles,
               float scale) {
    size_t half = dims / 2, step = pairs ? 2 : 1, other = pairs ? 1 : half;
    for (size_t i = 0; i < half; i++) {
        float c = angles[2 * i], s = angles[2 * i + 1], *at = x + i * step;
        float a = at[0], b = at[other];
        at[0] = (a * c - b * s) * scale;
        at[other] = (a * s + b * c) * scale;
    }
    for (size_t i = dims; i < head_dim; i++)
        x[i] *= scale;
}

void rope_llama3(float base, size_t dims, float factor, float low, float high, float original,
                 float *factors) {
    for (size_t i = 0; i < dims / 2; i++) {
        float wave = 2 * (float)M_PI * powf(base, 2.0f * (float)i / (float)dims);
        float share = (original / wave - low) / (high - low);
        if (wave < original / high)
            factors[i] = 1;
        else if (wave > original / low)
            factors[i] = factor;
        else
            factors[i] = 1 / ((1 - share) / factor + share);
    }
}

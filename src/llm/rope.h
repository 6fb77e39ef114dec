/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions: cosines and sines of a step's rows, and the turn of one head. */
#pragma once

#include "llm/blueprint.h"

/* angles (rows, dims / 2, 2): cosine, sine */
void rope_angles(const struct rope_plan *plan, size_t dims, const int32_t *positions, size_t rows,
                 float *angles);
/* x: one head, of which the first dims turn; times scale. angles: (dims / 2, 2) of its row */
void rope_turn(float *x, size_t head_dim, size_t dims, bool pairs, const float *angles,
               float scale);
/* Divisors of the frequencies as Llama 3.1 stretches them: factors (dims / 2) */
void rope_llama3(float base, size_t dims, float factor, float low, float high, float original,
                 float *factors);

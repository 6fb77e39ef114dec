/* SPDX-License-Identifier: Apache-2.0 */
/* Floats of 8 and 4 bits: OCP 8-bit floating point (E4M3, E5M2), their FNUZ variants, and the OCP
 * microscaling types E8M0 (a bare power of two) and E2M1. One code per byte. */
#pragma once

#include "tensor/dtype.h"

bool minifloat_is(enum dtype t);
float minifloat_to_f32(enum dtype t, uint8_t code);
/* Nearest, ties to even. Too large: the largest finite value when saturate, else infinity or NaN,
 * whichever t has (E2M1 has neither and always saturates). E8M0 rounds up, as ONNX Cast does by
 * default. */
uint8_t minifloat_from_f32(enum dtype t, float v, bool saturate);

enum minifloat_round { MINIFLOAT_UP, MINIFLOAT_DOWN, MINIFLOAT_NEAREST };
uint8_t minifloat_e8m0(float v, bool saturate, enum minifloat_round mode); /* of the magnitude */

/* SPDX-License-Identifier: Apache-2.0 */
/* Elements as text, the way ONNX Cast reads and writes them: "12", "-0.5", "1e-07", "NaN", "INF",
 * "-INF". */
#pragma once

#include "tensor/tensor.h"

enum { SPELL_TEXT = 32 };

/* Writes one element of a numeric type or bool; returns the length. */
size_t spell_put(enum dtype t, const void *element, char text[SPELL_TEXT]);
/* Reads one element of a numeric type or bool; false when the text is no number of that type. */
bool spell_take(enum dtype t, struct str text, void *element);

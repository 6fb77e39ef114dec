/* SPDX-License-Identifier: Apache-2.0 */
/* Resizing of images, bilinear, in the two ways the field means by that word:
 *   LINEAR     as OpenCV's INTER_LINEAR: two taps, whatever the scale
 *   ANTIALIAS  as Pillow's BILINEAR: a triangle as wide as the scale when shrinking
 * Both within 1 of 255 of the original (tests/unit/serve/resample.c holds results made by both). */
#pragma once

#include "serve/image.h"

enum resample_filter { RESAMPLE_LINEAR, RESAMPLE_ANTIALIAS };

/* out is fresh, owned by the caller. width, height >= 1. */
MUST_USE enum code resample(const struct image *in, int width, int height,
                            enum resample_filter filter, struct image *out, struct err *e);

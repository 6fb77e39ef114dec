/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG and PNG bytes as pixels: always 8-bit RGB, upright (EXIF orientation applied, as OpenCV's
 * imread does), alpha dropped, 16-bit samples cut to their high byte. Other formats: MEDIA_TYPE. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct image {
    uint8_t *pixels; /* (height, width, 3) owned; NULL: none */
    int width, height;
};

enum image_kind { IMAGE_NONE, IMAGE_JPEG, IMAGE_PNG };
enum image_kind image_kind(struct span bytes); /* by the first bytes */

/* max_pixels bounds the decoded size before anything is decoded; TOO_LARGE names the flag. */
MUST_USE enum code image_decode(struct span bytes, size_t max_pixels, struct image *out,
                                struct err *e);
void image_free(struct image *i); /* safe on a zeroed struct */

MUST_USE enum code image_new(int width, int height, struct image *out, struct err *e); /* zeroed */

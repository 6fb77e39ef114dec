/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of unsigned bytes with few channels, channels last, by the tile of quads (kernel.h):
 * what a line of outputs reads of the picture is copied into a band in which the bytes of each
 * column lie together, so that every window is one stretch of it and only its end is filled up to
 * a whole quad. */
#pragma once

#include "op/window.h"

struct quads_finish;

struct band {
    struct window w; /* as window_cube leaves it: dims 1 and 2 are lines and columns */
    size_t batch, channels, out;
    size_t column; /* bytes of a column of a band */
    size_t quads;  /* of a window */
    size_t slide;  /* bytes from a line's band to the next line's; 0: they share nothing */
};

/* false: more than two dims, many channels, a dilation along the lines, or windows that are pixels
 * of whole quads, which nothing has to copy. */
bool band_plan(struct band *b, const struct window *w, size_t batch, size_t channels, size_t out);

size_t band_packed(const struct band *b); /* bytes */
/* w: (out, in, taps). false: no memory. */
bool band_pack(const struct band *b, const int8_t *w, void *packed);
size_t band_scratch(const struct band *b, int threads); /* bytes */

struct band_run {
    const uint8_t *x;
    uint8_t padding; /* what lies outside the picture */
    const void *packed;
    const int32_t *bias; /* (out) */
    const float *scale;  /* (out) */
    const struct quads_finish *finish;
    const uint8_t *plus; /* like y, or NULL */
    uint8_t *y;
    void *scratch;
    int threads;
};
void band_run(const struct band *b, const struct band_run *r);

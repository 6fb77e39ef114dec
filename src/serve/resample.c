/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling: see resample.h. Separable: one axis into floats, then the other into bytes. The axis
 * whose intermediate is smaller goes first, so that a very long thin image does not need a very
 * large one. */
#include "serve/resample.h"

#include "base/mem.h"

#include <math.h>

enum { CHANNELS = 3 };

struct taps {       /* of one axis */
    int *from;      /* (out) first source index */
    int n;          /* taps per output */
    float *weights; /* (out, n) */
};

static void free_taps(struct taps *t) {
    mem_free(t->from);
    mem_free(t->weights);
    *t = (struct taps){0};
}

/* The source interval and the raw weight of source i for an output centre c (source coordinates,
 * pixel centres at .5). */
static double weight(enum resample_filter filter, double scale, double centre, int i) {
    double width = filter == RESAMPLE_ANTIALIAS && scale > 1 ? scale : 1,
           d = fabs(((double)i + 0.5 - centre) / width);
    return d < 1 ? 1 - d : 0;
}

static void fill_taps(struct taps *t, int in, int out, enum resample_filter filter) {
    double scale = (double)in / (double)out,
           reach = filter == RESAMPLE_ANTIALIAS && scale > 1 ? scale : 1;
    for (int o = 0; o < out; o++) {
        double centre = ((double)o + 0.5) * scale, sum = 0;
        int first = (int)floor(centre - reach + 0.5);
        float *w = t->weights + (size_t)o * (size_t)t->n;
        if (filter == RESAMPLE_LINEAR) { /* beyond an edge the edge pixel counts */
            double low = floor(centre - 0.5), fraction = centre - 0.5 - low;
            first = (int)low;
            if (first < 0) {
                first = 0;
                fraction = 0;
            }
            if (first >= in - 1) {
                first = in >= 2 ? in - 2 : 0;
                fraction = in >= 2 ? 1 : 0;
            }
            t->from[o] = first;
            w[0] = (float)(1 - fraction);
            if (t->n > 1)
                w[1] = (float)fraction;
            continue;
        }
        if (first < 0)
            first = 0;
        if (first > in - t->n) /* keep all taps inside: those that do not reach weigh nothing */
            first = in - t->n;
        t->from[o] = first;
        for (int k = 0; k < t->n; k++)
            sum += weight(filter, scale, centre, first + k);
        for (int k = 0; k < t->n; k++)
            w[k] = (float)(weight(filter, scale, centre, first + k) / sum);
    }
}

static enum code make_taps(int in, int out, enum resample_filter filter, struct taps *t,
                           struct err *e) {
    double scale = (double)in / (double)out;
    size_t bytes;
    int n = filter == RESAMPLE_ANTIALIAS && scale > 1 ? (int)ceil(scale) * 2 + 1
            : filter == RESAMPLE_ANTIALIAS            ? 3
                                                      : 2;
    *t = (struct taps){.n = n < in ? n : in};
    t->from = mem_zalloc((size_t)out, sizeof *t->from);
    t->weights =
        mul_size((size_t)out * sizeof *t->weights, (size_t)t->n, &bytes) ? mem_alloc(bytes) : NULL;
    if (!t->from || !t->weights) {
        free_taps(t);
        return fail(e, NOMEM, "resize: out of memory");
    }
    fill_taps(t, in, out, filter);
    return OK;
}

static uint8_t to_byte(float v) {
    return (uint8_t)(v < 0 ? 0 : v > 254.5f ? 255 : (int)(v + 0.5f));
}

/* --- the four passes: rows (across x) and columns (across y), from bytes and to bytes --- */

static void rows_to_floats(const struct image *in, const struct taps *t, int width, float *out) {
    for (int y = 0; y < in->height; y++) {
        const uint8_t *row = in->pixels + (size_t)y * (size_t)in->width * CHANNELS;
        for (int x = 0; x < width; x++, out += CHANNELS) {
            const float *w = t->weights + (size_t)x * (size_t)t->n;
            const uint8_t *p = row + (size_t)t->from[x] * CHANNELS;
            float r = 0, g = 0, b = 0;
            for (int k = 0; k < t->n; k++, p += CHANNELS) {
                r += w[k] * (float)p[0];
                g += w[k] * (float)p[1];
                b += w[k] * (float)p[2];
            }
            out[0] = r;
            out[1] = g;
            out[2] = b;
        }
    }
}

static void rows_to_bytes(const float *in, int in_width, int height, const struct taps *t,
                          const struct image *out) {
    uint8_t *to = out->pixels;
    for (int y = 0; y < height; y++, in += (size_t)in_width * CHANNELS)
        for (int x = 0; x < out->width; x++, to += CHANNELS) {
            const float *w = t->weights + (size_t)x * (size_t)t->n,
                        *p = in + (size_t)t->from[x] * CHANNELS;
            float sums[CHANNELS] = {0};
            for (int k = 0; k < t->n; k++)
                for (int c = 0; c < CHANNELS; c++)
                    sums[c] += w[k] * *p++;
            for (int c = 0; c < CHANNELS; c++)
                to[c] = to_byte(sums[c]);
        }
}

static void columns_to_floats(const struct image *in, const struct taps *t, int height,
                              float *out) {
    size_t row = (size_t)in->width * CHANNELS;
    for (int y = 0; y < height; y++, out += row) {
        const float *w = t->weights + (size_t)y * (size_t)t->n;
        memset(out, 0, row * sizeof *out);
        for (int k = 0; k < t->n; k++) {
            const uint8_t *p = in->pixels + (size_t)(t->from[y] + k) * row;
            for (size_t i = 0; i < row; i++)
                out[i] += w[k] * (float)p[i];
        }
    }
}

static void columns_to_bytes(const float *in, const struct taps *t, float *sums,
                             const struct image *out) {
    size_t row = (size_t)out->width * CHANNELS;
    for (int y = 0; y < out->height; y++) {
        const float *w = t->weights + (size_t)y * (size_t)t->n;
        uint8_t *to = out->pixels + (size_t)y * row;
        memset(sums, 0, row * sizeof *sums);
        for (int k = 0; k < t->n; k++) {
            const float *p = in + (size_t)(t->from[y] + k) * row;
            for (size_t i = 0; i < row; i++)
                sums[i] += w[k] * p[i];
        }
        for (size_t i = 0; i < row; i++)
            to[i] = to_byte(sums[i]);
    }
}

static enum code both(const struct image *in, const struct taps *across, const struct taps *down,
                      const struct image *out, struct err *e) {
    size_t rows_first = (size_t)in->height * (size_t)out->width,
           columns_first = (size_t)in->width * (size_t)out->height;
    size_t floats = (rows_first < columns_first ? rows_first : columns_first) + (size_t)out->width,
           bytes;
    float *middle = mul_size(floats, CHANNELS * sizeof *middle, &bytes) ? mem_alloc(bytes) : NULL;
    if (!middle)
        return fail(e, NOMEM, "resize %dx%d to %dx%d: out of memory", in->width, in->height,
                    out->width, out->height);
    if (rows_first < columns_first) {
        rows_to_floats(in, across, out->width, middle);
        columns_to_bytes(middle, down, middle + rows_first * CHANNELS, out);
    } else {
        columns_to_floats(in, down, out->height, middle);
        rows_to_bytes(middle, in->width, out->height, across, out);
    }
    mem_free(middle);
    return OK;
}

enum code resample(const struct image *in, int width, int height, enum resample_filter filter,
                   struct image *out, struct err *e) {
    struct taps across = {0}, down = {0};
    struct image fresh = {0};
    enum code code = image_new(width, height, &fresh, e);
    if (code == OK && width == in->width && height == in->height) {
        memcpy(fresh.pixels, in->pixels, (size_t)width * (size_t)height * CHANNELS);
        *out = fresh;
        return OK;
    }
    if (code == OK)
        code = make_taps(in->width, width, filter, &across, e);
    if (code == OK)
        code = make_taps(in->height, height, filter, &down, e);
    if (code == OK)
        code = both(in, &across, &down, &fresh, e);
    free_taps(&across);
    free_taps(&down);
    if (code != OK)
        image_free(&fresh);
    else
        *out = fresh;
    return code;
}

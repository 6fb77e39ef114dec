/* SPDX-License-Identifier: Apache-2.0 */
/* See band.h.
 *
 * A band: for each column of the padded picture, the bytes of the window's lines one after the
 * other, channels side by side: (columns, lines, channels). The window of the next output begins
 * `stride` columns on. The band of the next line of outputs begins `slide` bytes on in the same
 * memory: what both see is there already, and a column's new lines take the place of the next
 * column's old ones.
 *
 * Scratch: for each thread a band with room to slide, and pointers to the windows of a line. */
#include "op/band.h"

#include "base/mem.h"
#include "op/panel.h"
#include "op/team.h"

#include <string.h>

enum { CHANNELS = 4, DOWN = 1, ACROSS = 2 };

bool band_plan(struct band *b, const struct window *w, size_t batch, size_t channels, size_t out) {
    const size_t taps = window_taps(w);
    if (w->n > 2 || channels > CHANNELS || w->dilation[w->n - 1] != 1 ||
        (taps == 1 && channels == CHANNELS))
        return false;
    *b = (struct band){.w = *w, .batch = batch, .channels = channels, .out = out};
    window_cube(&b->w);
    const int64_t stride = b->w.stride[DOWN], lines = b->w.kernel[DOWN];
    b->column = (size_t)lines * channels;
    b->quads = (taps * channels + 3) / 4;
    b->slide = b->w.dilation[DOWN] == 1 && stride < lines ? (size_t)stride * channels : 0;
    return true;
}

/* --- weights --- */

size_t band_packed(const struct band *b) { return panel_floats(b->quads, b->out) * sizeof(float); }

/* A window's weights in the order of its bytes in a band; `to` is zeros. */
static void order(const struct band *b, const int8_t *w, int8_t *to) {
    const size_t lines = (size_t)b->w.kernel[DOWN], columns = (size_t)b->w.kernel[ACROSS];
    for (size_t in = 0; in < b->channels; in++)
        for (size_t line = 0; line < lines; line++)
            for (size_t column = 0; column < columns; column++)
                to[column * b->column + line * b->channels + in] = *w++;
}

bool band_pack(const struct band *b, const int8_t *w, void *packed) {
    const size_t window = window_taps(&b->w) * b->channels;
    float *rows = mem_zalloc(b->out, b->quads * sizeof *rows);
    if (!rows)
        return false;
    for (size_t out = 0; out < b->out; out++)
        order(b, w + out * window, (int8_t *)(rows + out * b->quads));
    panel_pack(&(struct panel_source){.b = rows,
                                      .taps = 1,
                                      .k = b->quads,
                                      .n = b->out,
                                      .k_step = 1,
                                      .n_step = (ptrdiff_t)b->quads},
               packed);
    mem_free(rows);
    return true;
}

/* --- run --- */

/* A window may end in the middle of a quad. */
static size_t band_bytes(const struct band *b) {
    const int64_t *in = b->w.in, *before = b->w.before, *after = b->w.after;
    const size_t columns = (size_t)(before[ACROSS] + in[ACROSS] + after[ACROSS]),
                 lines = (size_t)b->w.out[DOWN];
    return mem_round_up(columns * b->column + lines * b->slide + sizeof(float), MEM_LINE);
}
static size_t part_bytes(const struct band *b) {
    return mem_round_up(band_bytes(b) + (size_t)b->w.out[ACROSS] * sizeof(float *), MEM_LINE);
}

size_t band_scratch(const struct band *b, int threads) { return (size_t)threads * part_bytes(b); }

/* n pixels side by side become one line of n columns. channels: constant after inlining; spills:
 * the byte after a pixel may be written, and read but for the last one's. */
static inline void spread(const uint8_t *from, uint8_t *to, size_t n, size_t column,
                          const size_t channels, const bool spills) {
    size_t i = 0;
    for (; spills && i + 1 < n; i++, to += column, from += channels)
        memcpy(to, from, channels + 1);
    for (; i < n; i++, to += column, from += channels)
        memcpy(to, from, channels);
}

static void put_padding(const struct band *b, uint8_t padding, uint8_t *to, size_t columns) {
    for (size_t i = 0; i < columns; i++, to += b->column)
        memset(to, padding, b->channels);
}

/* Line `from` of a picture becomes that line of the columns at `to`; NULL: it is padding. */
static void put_line(const struct band *b, uint8_t padding, const uint8_t *from, uint8_t *to,
                     bool last) {
    const size_t before = (size_t)b->w.before[ACROSS], n = (size_t)b->w.in[ACROSS];
    put_padding(b, padding, to, from ? before : before + n);
    to += before * b->column;
    put_padding(b, padding, to + n * b->column, (size_t)b->w.after[ACROSS]);
    switch (from ? b->channels : 0) {
    case 1: spread(from, to, n, b->column, 1, false); break;
    case 2: spread(from, to, n, b->column, 2, false); break;
    case 3: spread(from, to, n, b->column, 3, !last); break; /* one move, not two */
    case 4: spread(from, to, n, b->column, 4, false); break;
    default: break;
    }
}

/* Lines [first, kernel) of the band of line `out` of a picture. */
static void put_lines(const struct band *b, const struct band_run *r, const uint8_t *picture,
                      size_t out, size_t first, uint8_t *band) {
    const struct window *w = &b->w;
    const int64_t lines = w->kernel[DOWN];
    const size_t line = (size_t)w->in[ACROSS] * b->channels;
    for (int64_t k = (int64_t)first; k < lines; k++) {
        const int64_t in = (int64_t)out * w->stride[DOWN] - w->before[DOWN] + k * w->dilation[DOWN];
        const bool inside = in >= 0 && in < w->in[DOWN];
        put_line(b, r->padding, inside ? picture + (size_t)in * line : NULL,
                 band + (size_t)k * b->channels, k + 1 == lines);
    }
}

/* A line of outputs, from its band. */
static void multiply_line(const struct band *b, const struct band_run *r, const uint8_t *band,
                          const float **windows, size_t y) {
    const size_t n = (size_t)b->w.out[ACROSS], step = (size_t)b->w.stride[ACROSS] * b->column;
    for (size_t i = 0; i < n; i++)
        windows[i] = (const float *)(const void *)(band + i * step);
    panel_multiply_rows(
        &(struct panel_rows){.m = n,
                             .n = b->out,
                             .k = b->quads,
                             .taps = 1,
                             .to = b->out,
                             .a = windows,
                             .panels = r->packed,
                             .bias = (const float *)(const void *)r->bias,
                             .c = (float *)(void *)(r->y + y),
                             .c_row = b->out,
                             .plus = r->plus ? (const float *)(const void *)(r->plus + y) : NULL,
                             .scale = r->scale,
                             .finish = r->finish});
}

/* Lines [begin, end) of the outputs of all pictures. */
static void lines(const struct band *b, const struct band_run *r, int index, size_t begin,
                  size_t end) {
    uint8_t *own = (uint8_t *)r->scratch + (size_t)index * part_bytes(b), *band = own;
    const float **windows = (const float **)(void *)(own + band_bytes(b));
    const size_t down = (size_t)b->w.out[DOWN], kernel = (size_t)b->w.kernel[DOWN];
    for (size_t at = begin; at < end; at++) {
        const size_t out = at % down;
        const uint8_t *picture = r->x + at / down * window_inputs(&b->w) * b->channels;
        const bool slides = b->slide && at > begin && out > 0;
        band = slides ? band + b->slide : own;
        put_lines(b, r, picture, out, slides ? kernel - (size_t)b->w.stride[DOWN] : 0, band);
        multiply_line(b, r, band, windows, at * (size_t)b->w.out[ACROSS] * b->out);
    }
}

void band_run(const struct band *b, const struct band_run *r) {
    const size_t n = b->batch * (size_t)b->w.out[DOWN];
    const int team = team_size(r->threads, (double)(n * (size_t)b->w.out[ACROSS]) * (double)b->out *
                                               (double)b->quads * 0.01);
    if (team == 1) {
        lines(b, r, 0, 0, n);
        return;
    }
#pragma omp parallel for num_threads(team) schedule(static)
    for (int i = 0; i < team; i++)
        lines(b, r, i, team_cut(n, 1, team, i), team_cut(n, 1, team, i + 1));
}

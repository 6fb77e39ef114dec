/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of the JSON codec on what requests are made of: a 224 x 224 x 3 image as nested arrays of
 * floats.
 *
 *     base_json [RUNS]      prints, per case, the text's size, and MB/s of text: best and median of
 * RUNS */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 224, WIDTH = 224, CHANNELS = 3, N = HEIGHT * WIDTH * CHANNELS, MOST_RUNS = 1000 };

struct task {
    const char *name;
    enum json_number type;
    const void *data; /* (HEIGHT, WIDTH, CHANNELS) */
};

static const int64_t dims[3] = {HEIGHT, WIDTH, CHANNELS};

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, const char *what, size_t bytes, double *seconds, int runs) {
    qsort(seconds, (size_t)runs, sizeof *seconds, by_size);
    double mb = (double)bytes / 1e6;
    printf("%-16s %-6s %6.2f MB  best %7.0f MB/s  median %7.0f MB/s  %5.1f ns/number\n", name, what,
           mb, mb / seconds[0], mb / seconds[runs / 2], seconds[runs / 2] * 1e9 / N);
}

static void write_once(const struct task *t, struct buf *text) {
    struct json_out w;
    buf_clear(text);
    json_out_init(&w, text, 0);
    json_put_tensor(&w, t->type, t->data, 3, dims);
}

static enum code read_once(const struct task *t, const struct buf *text, struct buf *back,
                           struct err *e) {
    struct json r;
    struct json_tensor shape;
    json_init(&r, buf_str(text), NULL);
    buf_clear(back);
    return json_tensor(&r, t->type, back, &shape, e);
}

static int measure(const struct task *t, int runs) {
    struct buf text, back;
    struct err e;
    double write_s[MOST_RUNS], read_s[MOST_RUNS];
    buf_init(&text, (size_t)1 << 30);
    buf_init(&back, (size_t)1 << 30);
    for (int run = 0; run < runs; run++) {
        uint64_t start = clock_ns();
        write_once(t, &text);
        uint64_t middle = clock_ns();
        if (read_once(t, &text, &back, &e) != OK) {
            fprintf(stderr, "%s: %s\n", t->name, e.text);
            return 1;
        }
        write_s[run] = (double)(middle - start) * 1e-9;
        read_s[run] = (double)(clock_ns() - middle) * 1e-9;
    }
    report(t->name, "write", text.n, write_s, runs);
    report(t->name, "read", text.n, read_s, runs);
    int same = memcmp(back.p, t->data, back.n) == 0;
    buf_deinit(&text);
    buf_deinit(&back);
    return !same;
}

static uint64_t next_random(uint64_t *state) { /* xorshift64 */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

int main(int argc, char **argv) {
    int runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 30;
    runs = runs < 1 ? 1 : runs > MOST_RUNS ? MOST_RUNS : runs;
    static float unit[N], pixels[N], wide[N];
    static double doubles[N];
    static int64_t integers[N];
    uint64_t state = 88172645463325252u;
    for (int at = 0; at < N; at++) {
        uint64_t v = next_random(&state);
        unit[at] = (float)(v >> 40) / 16777216.0f;
        pixels[at] = (float)(v >> 56);
        wide[at] = ((float)(v >> 40) / 8388608.0f - 1.0f) * 2.64f; /* a normalised image */
        doubles[at] = (double)(v >> 11) / 9007199254740992.0;
        integers[at] = (int64_t)(v >> 48) - 32768;
    }
    const struct task tasks[] = {
        {"f32 0..1", JN_F32, unit},        {"f32 -2.6..2.6", JN_F32, wide},
        {"f32 0..255", JN_F32, pixels},    {"f64 0..1", JN_F64, doubles},
        {"i64 16 bits", JN_I64, integers},
    };
    int wrong = 0;
    for (size_t at = 0; at < sizeof tasks / sizeof *tasks; at++)
        wrong |= measure(&tasks[at], runs);
    if (wrong)
        fprintf(stderr, "what was read differs from what was written\n");
    return wrong;
}

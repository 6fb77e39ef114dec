/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of kernel/list.h against its scalar twin: sizes around the vector lengths, unaligned,
 * special values, and guard bytes around what may be written. A new row is tested by being listed.
 */
#include "kernel/choose.c"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

enum { N_MAX = 400, GUARD = 64 };
static const size_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static uint64_t seed = 88172645463325252u;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}
static float uniform(float low, float high) {
    return low + (high - low) * (float)(next() >> 40) / 16777216.0f;
}

struct limit {
    const char *name;
    double ulp, small;
};

static void check_float(const struct limit *l, float want, float got, float at) {
    if (isnan(want) || isinf(want) || isinf(got)) {
        if (!(isnan(want) ? isnan(got) : want == got))
            fail_msg("%s(%.9g): %g, scalar %g", l->name, (double)at, (double)got, (double)want);
        return;
    }
    double size = fabs((double)want) > l->small ? fabs((double)want) : l->small;
    double ulp = size > 1.2e-38 ? ldexp(1.0, ilogb(size) - 23) : 1.4e-45;
    double error = fabs((double)want - (double)got) / ulp;
    if (!(error <= l->ulp))
        fail_msg("%s(%.9g): %.9g, scalar %.9g: %.1f ulp", l->name, (double)at, (double)got,
                 (double)want, error);
}

/* Memory for n bytes at an odd place, surrounded by guards. */
struct guarded {
    unsigned char bytes[GUARD + 4 * N_MAX * 40 + GUARD];
    size_t n, start;
};
static void *guard(struct guarded *g, size_t n, size_t start) {
    assert_true(n + start + GUARD <= sizeof g->bytes - GUARD);
    memset(g->bytes, 0xa5, GUARD + start + n + GUARD);
    g->n = n, g->start = GUARD + start;
    return g->bytes + g->start;
}
static void check_guard(const struct limit *l, const struct guarded *g) {
    for (size_t i = 0; i < g->start; i++)
        if (g->bytes[i] != 0xa5)
            fail_msg("%s wrote %zu bytes before y", l->name, g->start - i);
    for (size_t i = 0; i < GUARD; i++)
        if (g->bytes[g->start + g->n + i] != 0xa5)
            fail_msg("%s wrote %zu bytes past y", l->name, i + 1);
}
static struct guarded room, want_room;

static const float specials[] = {
    0.0f, -0.0f, 1,      -1,     0.5f,   -0.5f,  1e-30f, -1e-30f,  1e-42f,    88,    -88,
    89,   100,   -100,   1000,   -1000,  3e38f,  -3e38f, INFINITY, -INFINITY, NAN,   2.5f,
    3.5f, -2.5f, 0.624f, 0.626f, 0.927f, 0.928f, 3.9f,   4.1f,     5.5f,      -5.5f, 9.1f};
enum { N_SPECIALS = sizeof specials / sizeof specials[0] };

static float sample(size_t i) {
    return i % 5 == 4 ? specials[(i / 5 + i) % N_SPECIALS] : uniform(-6, 6);
}

static void check_unary_f32(const struct limit *l, unary_f32_fn *scalar, unary_f32_fn *fn) {
    static float x[4096], y[4096], want[4096];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t n = sizes[s];
        float *in = x + 1, *out = guard(&room, n * sizeof *out, 4);
        for (size_t i = 0; i < n; i++)
            in[i] = sample(i + s);
        scalar(n, in, want, 0.25f, 0.5f);
        fn(n, in, out, 0.25f, 0.5f);
        for (size_t i = 0; i < n; i++)
            check_float(l, want[i], out[i], in[i]);
        check_guard(l, &room);
    }
    for (int round = 0; round < 60; round++) { /* many values, dense and wide */
        float span = round % 3 == 0 ? 1 : round % 3 == 1 ? 12 : 95;
        for (size_t i = 0; i < 4096; i++)
            x[i] = uniform(-span, span);
        scalar(4096, x, want, 0.25f, 0.5f);
        fn(4096, x, y, 0.25f, 0.5f);
        for (size_t i = 0; i < 4096; i++)
            check_float(l, want[i], y[i], x[i]);
    }
}

static void check_binary_f32(const struct limit *l, binary_f32_fn *scalar, binary_f32_fn *fn) {
    static float a[N_MAX * 8], b[N_MAX * 8];
    for (size_t i = 0; i < N_MAX * 8; i++)
        a[i] = sample(i), b[i] = sample(i * 7 + 3);
    for (size_t s = 0; s < N_SIZES; s++)
        for (int steps = 0; steps < 16; steps++) {
            size_t n = sizes[s], n_rows = 3;
            struct binary_f32 c = {.rows = n_rows,
                                   .n = n,
                                   .a = a + 1,
                                   .b = b + 3,
                                   .y_row = (ptrdiff_t)n,
                                   .a_one = steps & 1,
                                   .b_one = steps & 2,
                                   .a_row = steps & 4 ? 0 : (ptrdiff_t)n,
                                   .b_row = steps & 8 ? 0 : (ptrdiff_t)n};
            float *want = c.y = guard(&want_room, n_rows * n * sizeof(float), 0);
            scalar(&c);
            float *got = c.y = guard(&room, n_rows * n * sizeof(float), 4);
            fn(&c);
            for (size_t i = 0; i < n_rows * n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

static void check_fold_f32(const struct limit *l, fold_f32_fn *scalar, fold_f32_fn *fn) {
    float x[N_MAX];
    for (int round = 0; round < 3; round++)
        for (size_t n = 1; n < 300; n++) {
            for (size_t i = 0; i < n; i++)
                x[i + 1] = uniform(round ? 0 : -1, 1);
            if (round == 2)
                x[1 + n / 2] = NAN;
            check_float(l, scalar(n, x + 1), fn(n, x + 1), (float)n);
        }
}

static void check_spread_f32(const struct limit *l, spread_f32_fn *scalar, spread_f32_fn *fn) {
    float x[N_MAX];
    for (size_t n = 1; n < 300; n++) {
        for (size_t i = 0; i < n; i++)
            x[i + 1] = uniform(-1, 1);
        check_float(l, scalar(n, x + 1, 0.3f), fn(n, x + 1, 0.3f), (float)n);
    }
}

static void check_row_f32(const struct limit *l, row_f32_fn *scalar, row_f32_fn *fn) {
    float x[N_MAX], want[N_MAX];
    for (int round = 0; round < 2; round++)
        for (size_t n = 1; n < 300; n++) {
            for (size_t i = 0; i < n; i++)
                x[i + 1] = uniform(-8, 8) + (round ? 1000.0f : 0);
            scalar(n, x + 1, want);
            float *got = guard(&room, n * sizeof *got, 4);
            fn(n, x + 1, got);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], x[i + 1]);
            check_guard(l, &room);
        }
}

/* Some rows apart from each other, and a bias for each or one for all. */
static void check_weigh_rows(const struct limit *l, weigh_f32_fn *scalar, weigh_f32_fn *fn) {
    enum { ROWS = 11, N = 37, ROW = N + 2 };
    float x[ROWS * ROW], bias[ROWS * ROW], sums[2][ROWS], want[ROWS * ROW];
    for (size_t i = 0; i < ROWS * ROW; i++)
        x[i] = uniform(-8, 8), bias[i] = uniform(-2, 2);
    for (size_t n = 1; n <= ROWS; n++)
        for (int with = 0; with < 3; with++) {
            float *got = guard(&room, sizeof want, 4);
            for (size_t i = 0; i < ROWS * ROW; i++)
                want[i] = got[i] = 7;
            struct weigh_f32 c = {.rows = n,
                                  .n = N,
                                  .x = x,
                                  .bias = with ? bias : NULL,
                                  .row = ROW,
                                  .bias_row = with == 2 ? ROW : 0,
                                  .scale = 0.3f,
                                  .y = want,
                                  .sums = sums[0]};
            scalar(&c);
            c.y = got;
            c.sums = sums[1];
            fn(&c);
            for (size_t row = 0; row < n; row++)
                check_float(l, sums[0][row], sums[1][row], (float)row);
            for (size_t i = 0; i < ROWS * ROW; i++)
                check_float(l, want[i], got[i], x[i]);
        }
}

/* Rows with and without a bias, with hidden numbers, hidden whole, and with what is not a number.
 */
static void check_weigh_f32(const struct limit *l, weigh_f32_fn *scalar, weigh_f32_fn *fn) {
    float x[N_MAX], bias[N_MAX], want[N_MAX];
    for (int with = 0; with < 5; with++)
        for (size_t n = 1; n < 300; n++) {
            for (size_t i = 0; i < n; i++) {
                x[i + 1] = uniform(-8, 8);
                bias[i + 3] = with == 3 || (with == 2 && i % 3) ? -INFINITY : uniform(-2, 2);
            }
            if (with == 4)
                x[1 + n / 2] = NAN;
            struct weigh_f32 c = {.rows = 1,
                                  .n = n,
                                  .x = x + 1,
                                  .bias = with ? bias + 3 : NULL,
                                  .scale = 0.3f,
                                  .y = want};
            float sum, other;
            c.sums = &sum;
            scalar(&c);
            c.sums = &other;
            float *got = c.y = guard(&room, n * sizeof *got, 4);
            fn(&c);
            check_float(l, sum, other, (float)n);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], x[i + 1]);
            check_guard(l, &room);
        }
    check_weigh_rows(l, scalar, fn);
}

static void check_norm_f32(const struct limit *l, norm_f32_fn *scalar, norm_f32_fn *fn) {
    float x[N_MAX], gamma[N_MAX], beta[N_MAX], want[N_MAX];
    for (size_t i = 0; i < N_MAX; i++)
        x[i] = uniform(-2, 5), gamma[i] = uniform(-2, 2), beta[i] = uniform(-1, 1);
    for (size_t n = 1; n < 300; n++)
        for (int with = 0; with < 8; with++) {
            struct norm_f32 c = {.n = n,
                                 .x = x + 1,
                                 .gamma = with & 1 ? gamma + 1 : NULL,
                                 .beta = with & 2 ? beta + 1 : NULL,
                                 .y = want,
                                 .epsilon = 1e-2f,
                                 .rms = with & 4};
            scalar(&c);
            float *got = c.y = guard(&room, n * sizeof *got, 4);
            fn(&c);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], x[i + 1]);
            check_guard(l, &room);
        }
}

static void check_scale_f32(const struct limit *l, scale_f32_fn *scalar, scale_f32_fn *fn) {
    static float x[3 * N_MAX], a[N_MAX], b[N_MAX], want[3 * N_MAX];
    for (size_t i = 0; i < 3 * N_MAX; i++)
        x[i] = uniform(-2, 2), a[i % N_MAX] = uniform(-2, 2), b[i % N_MAX] = uniform(-2, 2);
    for (size_t n = 1; n < 200; n++) {
        scalar(3, n, x + 1, a + 1, b + 1, want);
        float *got = guard(&room, 3 * n * sizeof *got, 4);
        fn(3, n, x + 1, a + 1, b + 1, got);
        for (size_t i = 0; i < 3 * n; i++)
            check_float(l, want[i], got[i], x[i + 1]);
        check_guard(l, &room);
    }
}

static void check_columns_f32(const struct limit *l, columns_f32_fn *scalar, columns_f32_fn *fn) {
    static float x[7 * N_MAX], want[N_MAX];
    for (size_t i = 0; i < 7 * N_MAX; i++)
        x[i] = uniform(-2, 2);
    for (size_t n_rows = 1; n_rows <= 6; n_rows++)
        for (size_t n = 1; n < 200; n++) {
            scalar(n_rows, n, x + 1, n + 3, want);
            float *got = guard(&room, n * sizeof *got, 4);
            fn(n_rows, n, x + 1, n + 3, got);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

static void check_blend_f32(const struct limit *l, blend_f32_fn *scalar, blend_f32_fn *fn) {
    static float x[5][N_MAX], want[N_MAX];
    float w[5];
    const float *rows_of[5];
    for (size_t t = 0; t < 5; t++) {
        rows_of[t] = x[t] + t;
        w[t] = uniform(-1, 1);
        for (size_t i = 0; i < N_MAX; i++)
            x[t][i] = uniform(-2, 2);
    }
    for (size_t taps = 1; taps <= 5; taps++)
        for (size_t n = 1; n < 200; n++) {
            scalar(taps, rows_of, w, n, want);
            float *got = guard(&room, n * sizeof *got, 4);
            fn(taps, rows_of, w, n, got);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

static void check_tops_f32(const struct limit *l, tops_f32_fn *scalar, tops_f32_fn *fn) {
    static float x[5][N_MAX], want[N_MAX];
    const float *rows_of[5];
    for (size_t t = 0; t < 5; t++) {
        rows_of[t] = x[t] + t;
        for (size_t i = 0; i < N_MAX; i++)
            x[t][i] = sample(i + t);
    }
    for (size_t taps = 1; taps <= 5; taps++)
        for (size_t n = 1; n < 200; n++) {
            scalar(taps, rows_of, n, want);
            float *got = guard(&room, n * sizeof *got, 4);
            fn(taps, rows_of, n, got);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

#define CHECK_TOPS(type)                                                                           \
    static void check_tops_##type(const struct limit *l, tops_##type##_fn *scalar,                 \
                                  tops_##type##_fn *fn) {                                          \
        static uint8_t x[5][N_MAX], want[N_MAX];                                                   \
        const void *rows_of[5];                                                                    \
        for (size_t t = 0; t < 5; t++) {                                                           \
            rows_of[t] = x[t] + t;                                                                 \
            for (size_t i = 0; i < N_MAX; i++)                                                     \
                x[t][i] = (uint8_t)next();                                                         \
        }                                                                                          \
        for (size_t taps = 1; taps <= 5; taps++)                                                   \
            for (size_t n = 1; n < 200; n++) {                                                     \
                scalar(taps, (void *)rows_of, n, (void *)want);                                    \
                uint8_t *got = guard(&room, n, 1);                                                 \
                fn(taps, (void *)rows_of, n, (void *)got);                                         \
                assert_memory_equal(want, got, n);                                                 \
                check_guard(l, &room);                                                             \
            }                                                                                      \
    }
CHECK_TOPS(u8)
CHECK_TOPS(i8)

static void check_tops_bf16(const struct limit *l, tops_bf16_fn *scalar, tops_bf16_fn *fn) {
    static uint16_t x[5][N_MAX], want[N_MAX];
    const uint16_t *rows_of[5];
    for (size_t t = 0; t < 5; t++) {
        rows_of[t] = x[t] + t;
        for (size_t i = 0; i < N_MAX; i++)
            x[t][i] = (uint16_t)next(); /* NaN and infinities among them */
    }
    for (size_t taps = 1; taps <= 5; taps++)
        for (size_t n = 1; n < 200; n++) {
            scalar(taps, rows_of, n, want);
            uint16_t *got = guard(&room, n * sizeof *got, 2);
            fn(taps, rows_of, n, got);
            for (size_t i = 0; i < n; i++) /* zeros of either sign are one maximum */
                if ((want[i] | got[i]) & 0x7fff)
                    assert_int_equal(want[i], got[i]);
            check_guard(l, &room);
        }
}

static void check_sums_bf16(const struct limit *l, sums_bf16_fn *scalar, sums_bf16_fn *fn) {
    static uint16_t x[5][N_MAX];
    static float want[N_MAX];
    const uint16_t *rows_of[5];
    for (size_t t = 0; t < 5; t++) {
        rows_of[t] = x[t] + t;
        for (size_t i = 0; i < N_MAX; i++) {
            float v = uniform(-2, 2);
            narrow_bf16_scalar(1, &v, &x[t][i]);
        }
    }
    for (size_t taps = 1; taps <= 5; taps++)
        for (size_t n = 1; n < 200; n++) {
            float *got = guard(&room, n * sizeof *got, 4);
            for (size_t i = 0; i < n; i++)
                want[i] = got[i] = (float)i / 64;
            scalar(taps, rows_of, n, want);
            fn(taps, rows_of, n, got);
            for (size_t i = 0; i < n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

static void check_depthwise_f32(const struct limit *l, depthwise_f32_fn *scalar,
                                depthwise_f32_fn *fn) {
    static float x[40 * 140], w[25 * 140], bias[140], want[5 * 150];
    const float *taps_of[25 * 5];
    for (size_t i = 0; i < 40 * 140; i++)
        x[i] = uniform(-1, 1), w[i % (25 * 140)] = uniform(-1, 1), bias[i % 140] = uniform(-1, 1);
    for (size_t s = 0; s < N_SIZES; s++)
        for (size_t taps = 1; taps <= 25; taps += taps == 9 ? 16 : taps == 1 ? 2 : 3) {
            size_t n = sizes[s];
            for (size_t i = 0; i < taps * 5; i++)
                taps_of[i] = x + next() % (39 * 140);
            struct depthwise_f32 c = {.pixels = 5,
                                      .taps = taps,
                                      .n = n,
                                      .x = taps_of,
                                      .w = w + 1,
                                      .bias = taps & 2 ? bias + 1 : NULL,
                                      .y = want,
                                      .y_row = n};
            scalar(&c);
            float *got = c.y = guard(&room, 5 * n * sizeof *got, 4);
            fn(&c);
            for (size_t i = 0; i < 5 * n; i++)
                check_float(l, want[i], got[i], (float)i);
            check_guard(l, &room);
        }
}

static const size_t winograd_sides[WINOGRAD_FORMS][2] =
    {/* of a patch, and of a tile */
     [WINOGRAD_4X4] = {WINOGRAD_IN, WINOGRAD_OUT},
     [WINOGRAD_2X2] = {WINOGRAD2_IN, WINOGRAD2_OUT},
     [WINOGRAD_STRIDED] = {WINOGRADS_IN, WINOGRADS_OUT}};

static void check_winograd_in(const struct limit *l, winograd_in_fn *scalar, winograd_in_fn *fn) {
    static float x[40 * 140], want[WINOGRAD_POINTS * 130];
    const float *pixels[WINOGRAD_POINTS];
    for (size_t i = 0; i < 40 * 140; i++)
        x[i] = uniform(-1, 1);
    for (size_t s = 0; s < N_SIZES * WINOGRAD_FORMS; s++) {
        const enum winograd_form form = (enum winograd_form)(s % WINOGRAD_FORMS);
        const size_t points = winograd_sides[form][0] * winograd_sides[form][0],
                     n = sizes[s / WINOGRAD_FORMS];
        for (size_t p = 0; p < points; p++)
            pixels[p] = x + next() % (39 * 140);
        struct winograd_in c = {.n = n, .form = form, .x = pixels, .v = want, .v_step = n};
        scalar(&c);
        float *got = c.v = guard(&room, points * n * sizeof *got, 4);
        fn(&c);
        for (size_t i = 0; i < points * n; i++)
            check_float(l, want[i], got[i], (float)i);
        check_guard(l, &room);
    }
}

static void check_winograd_out_of(const struct limit *l, winograd_out_fn *scalar,
                                  winograd_out_fn *fn, enum winograd_form form, size_t n,
                                  unsigned variant) {
    static float m[WINOGRAD_POINTS * 130 + 1], bias[140], want[WINOGRAD_OUT * WINOGRAD_OUT * 130];
    float *pixels[WINOGRAD_OUT * WINOGRAD_OUT];
    const size_t n_pixels = winograd_sides[form][1] * winograd_sides[form][1];
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++)
        m[i] = uniform(-1, 1), bias[i % 140] = uniform(-1, 1);
    struct winograd_out c = {.n = n,
                             .form = form,
                             .m = m + 1,
                             .m_step = n,
                             .bias = variant & 1 ? bias + 1 : NULL,
                             .relu = variant & 2,
                             .y = pixels};
    for (size_t p = 0; p < n_pixels; p++) /* some are outside the picture */
        pixels[p] = variant && p % 4 == 3 ? NULL : want + p * n;
    scalar(&c);
    float *got = guard(&room, n_pixels * n * sizeof *got, 4);
    for (size_t p = 0; p < n_pixels; p++)
        pixels[p] = pixels[p] ? got + p * n : NULL;
    fn(&c);
    for (size_t i = 0; i < n_pixels * n; i++)
        if (pixels[i / n])
            check_float(l, want[i], got[i], (float)i);
    check_guard(l, &room);
}

static void check_winograd_out(const struct limit *l, winograd_out_fn *scalar,
                               winograd_out_fn *fn) {
    for (size_t s = 0; s < N_SIZES * WINOGRAD_FORMS; s++)
        for (unsigned variant = 0; variant < 4; variant++)
            check_winograd_out_of(l, scalar, fn, (enum winograd_form)(s % WINOGRAD_FORMS),
                                  sizes[s / WINOGRAD_FORMS], variant);
}

static void check_winograd_in_bf16(const struct limit *l, winograd_in_bf16_fn *scalar,
                                   winograd_in_bf16_fn *fn) {
    static uint16_t x[40 * 140], want[WINOGRAD2_POINTS * 130];
    const uint16_t *pixels[WINOGRAD2_POINTS];
    for (size_t i = 0; i < 40 * 140; i++) {
        float v = uniform(-1, 1);
        narrow_bf16_scalar(1, &v, &x[i]);
    }
    for (size_t s = 0; s < N_SIZES; s++) {
        for (size_t p = 0; p < WINOGRAD2_POINTS; p++)
            pixels[p] = x + next() % (39 * 140);
        struct winograd_in_bf16 c = {.n = sizes[s], .x = pixels, .v = want, .v_step = sizes[s]};
        scalar(&c);
        uint16_t *got = c.v = guard(&room, WINOGRAD2_POINTS * c.n * sizeof *got, 2);
        fn(&c);
        assert_memory_equal(want, got, WINOGRAD2_POINTS * c.n * sizeof *got);
        check_guard(l, &room);
    }
}

/* Results of either type: of bf16 a rounding may fall to the other side. */
static void check_winograd_out_bf16(const struct limit *l, winograd_out_bf16_fn *scalar,
                                    winograd_out_bf16_fn *fn) {
    enum { PIXELS = WINOGRAD2_OUT * WINOGRAD2_OUT };
    static float m[WINOGRAD2_POINTS * 130 + 1], bias[140], want[PIXELS * 130];
    void *pixels[PIXELS];
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++)
        m[i] = uniform(-1, 1), bias[i % 140] = uniform(-1, 1);
    for (size_t s = 0; s < N_SIZES; s++)
        for (unsigned form = 0; form < 8; form++) {
            const size_t n = sizes[s], size = form & 4 ? sizeof(float) : sizeof(uint16_t);
            struct winograd_out_bf16 c = {.n = n,
                                          .m = m + 1,
                                          .m_step = n,
                                          .bias = form & 1 ? bias + 1 : NULL,
                                          .relu = form & 2,
                                          .wide = form & 4,
                                          .y = pixels};
            for (size_t p = 0; p < PIXELS; p++) /* some are outside the picture */
                pixels[p] = form && p == 3 ? NULL : (char *)want + p * n * size;
            scalar(&c);
            char *got = guard(&room, PIXELS * n * size, size);
            for (size_t p = 0; p < PIXELS; p++)
                pixels[p] = pixels[p] ? got + p * n * size : NULL;
            fn(&c);
            for (size_t i = 0; i < PIXELS * n; i++) {
                if (!pixels[i / n])
                    continue;
                if (c.wide)
                    check_float(l, want[i], ((float *)got)[i], (float)i);
                else
                    assert_in_range(((uint16_t *)got)[i] + 1 - ((uint16_t *)want)[i], 0, 2);
            }
            check_guard(l, &room);
        }
}

static void check_winograd_in_q8(const struct limit *l, winograd_in_q8_fn *scalar,
                                 winograd_in_q8_fn *fn) {
    static uint8_t x[40 * 140];
    static int16_t want[WINOGRAD_POINTS * 96];
    const uint8_t *pixels[WINOGRAD_POINTS];
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = next() % 3 ? (uint8_t)next() : next() % 2 ? 255 : 0;
    for (size_t n = WINOGRAD_Q8_CHANNELS; n <= 96; n += WINOGRAD_Q8_CHANNELS)
        for (unsigned flip = 0; flip <= 0x80; flip += 0x80) {
            for (size_t p = 0; p < WINOGRAD_POINTS; p++)
                pixels[p] = x + next() % (38 * 140);
            struct winograd_in_q8 c = {
                .n = n, .x = pixels, .flip = (uint8_t)flip, .v = want, .v_step = n};
            scalar(&c);
            int16_t *got = c.v = guard(&room, WINOGRAD_POINTS * n * sizeof *got, 2);
            fn(&c);
            assert_memory_equal(want, got, WINOGRAD_POINTS * n * sizeof *got);
            check_guard(l, &room);
        }
}

static void check_winograd_out_q8(const struct limit *l, winograd_out_q8_fn *scalar,
                                  winograd_out_q8_fn *fn) {
    enum { PIXELS = WINOGRAD_OUT * WINOGRAD_OUT };
    static int32_t m[WINOGRAD_POINTS * 96 + 1], bias[96];
    static float scale[96];
    static uint8_t want[PIXELS * 96];
    uint8_t *pixels[PIXELS];
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++)
        m[i] = (int32_t)next();
    for (size_t i = 0; i < 96; i++)
        bias[i] = (int32_t)(next() % 20000) - 10000, scale[i] = uniform(0, 1e-5f);
    for (size_t n = 16; n <= 96; n += 16)
        for (int form = 0; form < 4; form++) {
            struct winograd_out_q8 c = {.n = n,
                                        .m = m + 1,
                                        .m_step = n,
                                        .bias = bias,
                                        .scale = scale,
                                        .zero = form & 1 ? 100 : 0,
                                        .is_signed = form & 2,
                                        .y = pixels};
            for (size_t p = 0; p < PIXELS; p++) /* some are outside the picture */
                pixels[p] = form && p % 4 == 3 ? NULL : want + p * n;
            scalar(&c);
            uint8_t *got = guard(&room, PIXELS * n, 1);
            for (size_t p = 0; p < PIXELS; p++)
                pixels[p] = pixels[p] ? got + p * n : NULL;
            fn(&c);
            for (size_t i = 0; i < PIXELS * n; i++)
                if (pixels[i / n])
                    assert_int_equal(want[i], got[i]);
            check_guard(l, &room);
        }
}

static void check_gemm_tile(const struct limit *l, gemm_tile_fn *scalar, gemm_tile_fn *fn) {
    (void)scalar;
    struct gemm_tile t = {0};
    fn(&t);
    if (t.mr == 0 || t.mr > 32 || t.nr == 0 || t.nr > 64)
        fail_msg("%s: tile %zu x %zu", l->name, t.mr, t.nr);
}

/* The twin packs B by its own tile, so the expectation is made here from the definition. */
static gemm_tile_fn *tile_of(gemm_f32_fn *fn) {
    const char *isa = "";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].fn == (void (*)(void))fn)
            isa = strcmp(rows[i].isa, "vnni") == 0      ? "avx512"
                  : strcmp(rows[i].isa, "avxvnni") == 0 ? "avx2"
                                                        : rows[i].isa;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, "gemm_tile_f32") == 0 && strcmp(rows[i].isa, isa) == 0)
            return (gemm_tile_fn *)rows[i].fn;
    return NULL;
}

/* Twice the rounds are twice the operations; results go nowhere. */
static void check_strain(const struct limit *l, strain_fn *scalar, strain_fn *fn) {
    (void)scalar;
    double once = fn(1);
    if (!(once >= 2) || fn(1000) != 1000 * once)
        fail_msg("%s: %g operations in a round", l->name, once);
}

static void check_gemm_one(const struct limit *l, gemm_f32_fn *fn, const struct gemm_f32 *shape,
                           size_t nr) {
    static float x[20 * 140], b[3 * 40 * 64], bias[64], want[20 * 80], plus[20 * 70];
    const float *a[3 * 20];
    struct gemm_f32 g = *shape;
    for (size_t i = 0; i < 20 * 140; i++)
        x[i] = uniform(-1, 1);
    for (size_t i = 0; i < 64; i++)
        bias[i] = uniform(-1, 1);
    for (size_t i = 0; i < 20 * 70; i++)
        plus[i] = uniform(-1, 1);
    for (size_t i = 0; i < g.taps * g.k * nr; i++)
        b[i] = i % nr < g.n ? uniform(-1, 1) : 0;
    for (size_t i = 0; i < g.taps * g.m; i++)
        a[i] = x + next() % (19 * 140);
    float *got = guard(&room, ((g.m - 1) * g.ldc + g.n) * sizeof *got, 4);
    g.a = a, g.b = b, g.c = got, g.bias = g.bias ? bias : NULL;
    g.plus = g.plus ? plus : NULL, g.ahead = g.ahead ? b : NULL;
    for (size_t row = 0; row < g.m; row++)
        for (size_t col = 0; col < g.n; col++) {
            float start = uniform(-1, 1);
            got[row * g.ldc + col] = start;
            double sum = g.add ? (double)start : g.bias ? (double)bias[col] : 0;
            for (size_t t = 0; t < g.taps; t++)
                for (size_t k = 0; k < g.k; k++)
                    sum += (double)a[t * g.m + row][k] * (double)b[(t * g.k + k) * nr + col];
            sum += g.plus ? (double)plus[row * g.plus_row + col] : 0;
            want[row * 80 + col] = g.relu && sum < 0 ? 0 : (float)sum;
        }
    fn(&g);
    for (size_t row = 0; row < g.m; row++)
        for (size_t col = 0; col < g.n; col++)
            check_float(l, want[row * 80 + col], got[row * g.ldc + col], (float)col);
    check_guard(l, &room);
}

static void check_gemm_f32(const struct limit *l, gemm_f32_fn *scalar, gemm_f32_fn *fn) {
    (void)scalar;
    struct gemm_tile t;
    tile_of(fn)(&t);
    static const size_t depths[] = {1, 2, 3, 4, 5, 8, 17, 33};
    for (size_t m = 1; m <= t.mr; m++)
        for (size_t n = 1; n <= t.nr; n++)
            for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
                size_t mode = next() % 3;
                struct gemm_f32 g = {.m = m,
                                     .n = n,
                                     .k = depths[d],
                                     .taps = 1 + next() % 3,
                                     .ldc = n + next() % 3,
                                     .add = mode == 1,
                                     .bias = mode == 2 ? specials : NULL,
                                     .plus = next() % 2 ? specials : NULL,
                                     .plus_row = n + next() % 3,
                                     .relu = next() % 2,
                                     .ahead = next() % 2 ? specials : NULL};
                check_gemm_one(l, fn, &g, t.nr);
            }
}

static void check_pairs_one(const struct limit *l, gemm_pairs_fn *fn, const struct gemm_f32 *shape,
                            size_t nr) {
    static int16_t x[20 * 140 * 2], b[3 * 40 * 64 * 2];
    static int32_t bias[64], want[20 * 80];
    const float *a[3 * 20];
    struct gemm_f32 g = *shape;
    for (size_t i = 0; i < 20 * 140 * 2; i++)
        x[i] = (int16_t)(next() % 511) - 255;
    for (size_t i = 0; i < 64; i++)
        bias[i] = (int32_t)(next() % 20000) - 10000;
    for (size_t i = 0; i < g.taps * g.k * nr * 2; i++)
        b[i] = i / 2 % nr < g.n ? (int16_t)((int)(next() % 511) - 255) : 0;
    for (size_t i = 0; i < g.taps * g.m; i++)
        a[i] = (const float *)x + next() % (19 * 140);
    int32_t *got = guard(&room, ((g.m - 1) * g.ldc + g.n) * sizeof *got, 4);
    g.a = a, g.b = (const float *)b, g.c = (float *)got,
    g.bias = g.bias ? (const float *)bias : NULL;
    for (size_t row = 0; row < g.m; row++)
        for (size_t col = 0; col < g.n; col++) {
            got[row * g.ldc + col] = 7;
            int32_t sum = g.add ? 7 : g.bias ? bias[col] : 0;
            for (size_t t = 0; t < g.taps; t++)
                for (size_t k = 0; k < 2 * g.k; k++)
                    sum += ((const int16_t *)a[t * g.m + row])[k] *
                           b[((t * g.k + k / 2) * nr + col) * 2 + k % 2];
            want[row * 80 + col] = sum;
        }
    fn(&g);
    for (size_t row = 0; row < g.m; row++)
        assert_memory_equal(&want[row * 80], &got[row * g.ldc], g.n * sizeof *got);
    check_guard(l, &room);
}

static void check_gemm_pairs(const struct limit *l, gemm_pairs_fn *scalar, gemm_pairs_fn *fn) {
    (void)scalar;
    struct gemm_tile t;
    tile_of(fn)(&t);
    for (size_t m = 1; m <= t.mr; m++)
        for (size_t n = 1; n <= t.nr; n++)
            for (size_t k = 1; k < 20; k += 6) {
                size_t mode = next() % 3;
                struct gemm_f32 g = {.m = m,
                                     .n = n,
                                     .k = k,
                                     .taps = 1 + next() % 3,
                                     .ldc = n + next() % 3,
                                     .add = mode == 1,
                                     .bias = mode == 2 ? specials : NULL};
                check_pairs_one(l, fn, &g, t.nr);
            }
}

static void check_gemm_bf16(const struct limit *l, gemm_bf16_fn *scalar, gemm_bf16_fn *fn) {
    static uint16_t x[20 * 140 * 2], b[3 * 20 * GEMM_BF16_NR * 2];
    static float bias[GEMM_BF16_NR], want[GEMM_BF16_MR * 40];
    const float *a[3 * GEMM_BF16_MR];
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
        float v = uniform(-1, 1);
        narrow_bf16_scalar(1, &v, &x[i]);
        b[i % (sizeof b / sizeof b[0])] = x[i];
    }
    for (size_t i = 0; i < GEMM_BF16_NR; i++)
        bias[i] = uniform(-1, 1);
    for (size_t m = 1; m <= GEMM_BF16_MR; m++)
        for (size_t n = 1; n <= GEMM_BF16_NR; n++)
            for (size_t k = 1; k < 20; k += 6) {
                struct gemm_f32 g = {.m = m,
                                     .n = n,
                                     .k = k,
                                     .taps = 1 + next() % 3,
                                     .a = a,
                                     .b = (const float *)b,
                                     .ldc = n + next() % 3,
                                     .add = next() % 3 == 1,
                                     .bias = next() % 3 == 2 ? bias : NULL};
                for (size_t i = 0; i < g.taps * m; i++)
                    a[i] = (const float *)x + next() % (19 * 140);
                float *got = guard(&room, ((m - 1) * g.ldc + n) * sizeof *got, 4);
                for (size_t i = 0; i < (m - 1) * g.ldc + n; i++)
                    got[i] = want[i] = uniform(-1, 1);
                g.c = want;
                scalar(&g);
                g.c = got;
                fn(&g);
                for (size_t i = 0; i < (m - 1) * g.ldc + n; i++)
                    check_float(l, want[i], got[i], (float)i);
                check_guard(l, &room);
            }
}

/* One number of a quads' tile, from the definition: the twin's B lies in its own tile. */
static uint8_t finished(const struct gemm_f32 *g, size_t row, size_t col, size_t nr) {
    static float column[60][8];
    struct gemm_f32 one = *g;
    uint8_t y;
    const float *a[3];
    for (size_t t = 0; t < g->taps; t++) {
        a[t] = g->a[t * g->m + row];
        for (size_t k = 0; k < g->k; k++)
            column[t * g->k + k][0] =
                g->b[(col / nr * g->taps * g->k + t * g->k + k) * nr + col % nr];
    }
    one.m = one.n = 1, one.a = a, one.b = column[0], one.c = (float *)&y;
    one.bias = g->bias ? g->bias + col : NULL, one.scale = g->scale + col;
    one.plus = g->plus ? (const float *)((const uint8_t *)g->plus + row * g->plus_row + col) : NULL;
    gemm_quads_scalar(&one);
    return y;
}

enum { TILE_ROWS = 20, MANY_ROWS = 64 }; /* a tile's at most; where there is one tap */

static void check_quads_one(const struct limit *l, gemm_quads_fn *fn, const struct gemm_f32 *shape,
                            size_t nr) {
    static uint32_t x[20 * 140], b[3 * 20 * 64];
    static int32_t bias[64];
    static float scale[64];
    static uint8_t plus[MANY_ROWS * 80];
    const float *a[3 * MANY_ROWS];
    struct gemm_f32 g = *shape;
    for (size_t i = 0; i < 20 * 140; i++)
        x[i] = (uint32_t)next();
    for (size_t i = 0; i < 64; i++)
        bias[i] = (int32_t)(next() % 20000) - 10000, scale[i] = uniform(-0.001f, 0.004f);
    for (size_t i = 0; i < sizeof plus; i++)
        plus[i] = (uint8_t)next();
    for (size_t i = 0; i < (g.n + nr - 1) / nr * g.taps * g.k * nr; i++)
        b[i] = (uint32_t)next();
    for (size_t i = 0; i < g.taps * g.m; i++)
        a[i] = (const float *)x + next() % (19 * 140);
    uint8_t *got = guard(&room, (g.m - 1) * g.ldc + g.n, 1);
    g.a = a, g.b = (const float *)b, g.c = (float *)got, g.scale = scale;
    g.bias = g.bias ? (const float *)bias : NULL, g.plus = g.plus ? (const float *)plus : NULL;
    g.ahead = g.ahead ? g.b : NULL;
    memset(got, 7, (g.m - 1) * g.ldc + g.n);
    fn(&g);
    for (size_t row = 0; row < g.m; row++)
        for (size_t col = 0; col < g.ldc && row * g.ldc + col < (g.m - 1) * g.ldc + g.n; col++)
            assert_int_equal(got[row * g.ldc + col], col < g.n ? finished(&g, row, col, nr) : 7);
    check_guard(l, &room);
}

static void check_quads_of(const struct limit *l, gemm_quads_fn *fn, size_t m, size_t n, size_t nr,
                           bool plain) {
    for (size_t k = 1; k < 20; k += 6) {
        const struct quads_finish f = {.is_signed = !plain && next() % 2,
                                       .zero = (int32_t)(next() % 100),
                                       .y_scale = 0.7f,
                                       .plus_scale = 1.3f,
                                       .offset = -20.25f,
                                       .plus_zero = (int32_t)(next() % 100)};
        struct gemm_f32 g = {.m = m,
                             .n = n,
                             .k = k,
                             .taps = plain || m > TILE_ROWS ? 1 : 1 + next() % 3,
                             .ldc = n + next() % 3,
                             .bias = plain || next() % 2 ? specials : NULL,
                             .plus = next() % 2 ? specials : NULL,
                             .plus_row = n + next() % 3,
                             .ahead = next() % 2 ? specials : NULL,
                             .finish = &f};
        check_quads_one(l, fn, &g, nr);
    }
}

static void check_gemm_quads(const struct limit *l, gemm_quads_fn *scalar, gemm_quads_fn *fn) {
    (void)scalar;
    struct gemm_tile t;
    tile_of(fn)(&t);
    for (size_t m = 1; m <= t.mr; m++) {
        for (size_t n = 1; n <= 2 * t.nr; n += n < t.nr ? 1 : t.nr / 2)
            check_quads_of(l, fn, m, n, t.nr, false);
        for (int round = 0; round < 4; round++) /* as most convolutions are */
            check_quads_of(l, fn, m, 2 * t.nr, t.nr, true);
    }
    for (size_t m = TILE_ROWS + 1; m <= MANY_ROWS; m += 6)
        for (size_t n = t.nr / 2; n <= 2 * t.nr; n += t.nr / 2)
            for (int plain = 0; plain < 2; plain++)
                check_quads_of(l, fn, m, n, t.nr, plain);
}

#define CHECK_QUANTIZE(type, ctype)                                                                \
    static void check_quantize_##type(const struct limit *l, quantize_##type##_fn *scalar,         \
                                      quantize_##type##_fn *fn) {                                  \
        float x[N_MAX];                                                                            \
        ctype want[N_MAX];                                                                         \
        for (int round = 0; round < 20; round++)                                                   \
            for (size_t n = 1; n < 130; n++) {                                                     \
                for (size_t i = 0; i < n; i++)                                                     \
                    x[i + 1] = round % 2 ? sample(i) : (float)((int)(next() % 900) - 450) * 0.25f; \
                scalar(n, x + 1, 0.5f, 3, want);                                                   \
                ctype *got = guard(&room, n, 1);                                                   \
                fn(n, x + 1, 0.5f, 3, got);                                                        \
                assert_memory_equal(want, got, n);                                                 \
                check_guard(l, &room);                                                             \
            }                                                                                      \
    }                                                                                              \
    static void check_dequantize_##type(const struct limit *l, dequantize_##type##_fn *scalar,     \
                                        dequantize_##type##_fn *fn) {                              \
        ctype x[N_MAX];                                                                            \
        float want[N_MAX];                                                                         \
        for (size_t n = 1; n < 300; n++) {                                                         \
            for (size_t i = 0; i < n; i++)                                                         \
                x[i + 1] = (ctype)next();                                                          \
            scalar(n, x + 1, 0.37f, 5, want);                                                      \
            float *got = guard(&room, n * sizeof *got, 4);                                         \
            fn(n, x + 1, 0.37f, 5, got);                                                           \
            for (size_t i = 0; i < n; i++)                                                         \
                check_float(l, want[i], got[i], (float)x[i + 1]);                                  \
            check_guard(l, &room);                                                                 \
        }                                                                                          \
    }
CHECK_QUANTIZE(u8, uint8_t)
CHECK_QUANTIZE(i8, int8_t)

static void check_qadd(const struct limit *l, qadd_fn *scalar, qadd_fn *fn) {
    uint8_t a[N_MAX], b[N_MAX], want[N_MAX];
    for (size_t i = 0; i < N_MAX; i++)
        a[i] = (uint8_t)next(), b[i] = (uint8_t)next();
    for (size_t n = 1; n < 130; n++)
        for (int one = 0; one < 2; one++) {
            struct qadd c = {.n = n,
                             .a = a + 1,
                             .b = b + 3,
                             .y = want,
                             .a_scale = 0.7f,
                             .b_scale = 1.3f,
                             .offset = 0.3f,
                             .y_zero = 4,
                             .b_one = one,
                             .low = one                     ? 4
                                    : strstr(l->name, "i8") ? -128
                                                            : 0};
            scalar(&c);
            uint8_t *got = c.y = guard(&room, n, 1);
            fn(&c);
            assert_memory_equal(want, got, n);
            check_guard(l, &room);
        }
}

static void check_requant(const struct limit *l, requant_fn *scalar, requant_fn *fn) {
    int32_t sums[N_MAX + 8];
    float scale[N_MAX];
    uint8_t want[N_MAX];
    for (size_t i = 0; i < N_MAX; i++)
        sums[i] = (int32_t)(next() % 200000) - 100000, scale[i] = uniform(0, 0.002f);
    for (size_t n = 1; n < 300; n++)
        for (int one = 0; one < 2; one++) {
            struct requant c = {.n = n,
                                .sums = sums + 1,
                                .bias = n % 2 ? sums + 7 : NULL,
                                .scale = scale,
                                .one = one,
                                .zero = 5,
                                .low = one ? -128 : 0,
                                .high = one ? 127 : 255,
                                .y = want};
            scalar(&c);
            uint8_t *got = c.y = guard(&room, n, 1);
            fn(&c);
            assert_memory_equal(want, got, n);
            check_guard(l, &room);
        }
}

static void check_widen_16(const struct limit *l, widen_16_fn *scalar, widen_16_fn *fn) {
    static uint16_t x[65536];
    static float want[65536], got[65536];
    for (size_t i = 0; i < 65536; i++)
        x[i] = (uint16_t)i;
    for (size_t n = 65536; n > 65519; n--) {
        scalar(n, x, want);
        fn(n, x, got);
        for (size_t i = 0; i < n; i++)
            check_float(l, want[i], got[i], (float)i);
    }
}

static void check_narrow_16(const struct limit *l, narrow_16_fn *scalar, narrow_16_fn *fn) {
    static float x[4096];
    static uint16_t want[4096];
    for (int round = 0; round < 100; round++) {
        size_t n = 4096 - (size_t)round % 17;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)next();
            if (round % 2) /* in the range of f16, ties included */
                bits = (bits & 0x8000f000) |
                       (0x38000000 + (uint32_t)(next() % 0x10000000) / 0x1000 * 0x1000);
            memcpy(&x[i], &bits, sizeof bits);
            x[i] = isnan(x[i]) ? NAN : x[i];
        }
        scalar(n, x, want);
        uint16_t *got = guard(&room, n * 2, 2);
        fn(n, x, got);
        for (size_t i = 0; i < n; i++)
            if (got[i] != want[i])
                fail_msg("%s(%.9g): %04x, scalar %04x", l->name, (double)x[i], got[i], want[i]);
        check_guard(l, &room);
    }
}

static void check_transpose(const struct limit *l, transpose_fn *scalar, transpose_fn *fn) {
    static uint8_t x[70 * 70 * 8], want[70 * 70 * 8];
    size_t size = strchr(l->name, '8')    ? 1
                  : strstr(l->name, "16") ? 2
                  : strstr(l->name, "32") ? 4
                                          : 8;
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (uint8_t)next();
    for (size_t r = 0; r < N_SIZES - 3; r++)
        for (size_t c = 0; c < N_SIZES - 3; c++) {
            size_t n_rows = sizes[r], cols = sizes[c];
            scalar(n_rows, cols, x, cols, want, n_rows);
            uint8_t *got = guard(&room, n_rows * cols * size, 0);
            fn(n_rows, cols, x, cols, got, n_rows);
            assert_memory_equal(want, got, n_rows * cols * size);
            check_guard(l, &room);
        }
}

#include "codes.h"
#include "packed.h"

static bool usable(const struct kernel_row *r, const char *slot) {
    return strcmp(r->name, slot) == 0 && (r->flags & ~cpu_flags()) == 0;
}

static void test_every_row(void **state) {
    (void)state;
#define SLOT(type, slot_name, ulp_limit, small_limit)                                              \
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)                                      \
        if (usable(&rows[i], #slot_name))                                                          \
            check_##type(&(struct limit){#slot_name, (double)(ulp_limit), (double)(small_limit)},  \
                         slot_name##_scalar, (type##_fn *)rows[i].fn);
#define KERNEL(name, isa, flags, score)
#include "kernel/list.h"
#undef SLOT
#undef KERNEL
}

static void test_choose_takes_the_best(void **state) {
    (void)state;
    struct kernel_set set;
    kernel_choose(0, &set);
    assert_ptr_equal(set.exp_f32, exp_f32_scalar);
#if defined(__x86_64__)
    kernel_choose(CPU_AVX2, &set);
    assert_ptr_equal(set.exp_f32, exp_f32_avx2);
    kernel_choose(CPU_AVX2 | CPU_AVX512, &set);
    assert_ptr_equal(set.exp_f32, exp_f32_avx512);
    kernel_choose(CPU_AVX512, &set);
    assert_ptr_equal(set.transpose_32, transpose_32_scalar);
#endif
    for (size_t i = 0; i < sizeof set / sizeof(void (*)(void)); i++)
        assert_non_null(((void (**)(void)) & set)[i]);
}

/* A weight that is no number makes the results it takes part in such, and no others. */
static void test_fixed_passes_infinity_on(void **state) {
    (void)state;
    float w[2 * GROUP] = {1, [GROUP + 3] = INFINITY}, x[2 * GROUP] = {2}, d[2], y[2];
    static char strip[2 * STRIP * (GROUP + 1) * sizeof(uint16_t)];
    int16_t q[2 * GROUP];
    assert_true(sizeof strip == fixed_strip_bytes(2 * GROUP));
    fixed_pack(2 * GROUP, 0, 2 * GROUP, w, 0, strip);
    fixed_pack(2 * GROUP, 0, GROUP, w, 1, strip);
    fixed_blocks_scalar(2 * GROUP, x, q, d);
    fixed_gemm_scalar(&(struct fixed_gemm){
        .m = 1, .n = 2, .k = 2 * GROUP, .w = strip, .a = q, .d = d, .y = y, .y_row = 2});
    assert_true(isnan(y[0]));
    assert_float_equal(y[1], 2, 0);
}

/* The scalar twins themselves, against known values. */
static void test_scalar_twins(void **state) {
    (void)state;
    const float x[4] = {-1, 0, 1, 2};
    float y[4];
    gelu_erf_f32_scalar(4, x, y, 0, 0);
    assert_float_equal(y[2], 0.8413447f, 1e-6);
    hard_swish_f32_scalar(4, x, y, 1.0f / 6, 0.5f);
    assert_float_equal(y[3], 2.0f * 5 / 6, 1e-6);
    softmax_f32_scalar(4, x, y);
    assert_float_equal(y[3], 0.6439143f, 1e-6);
    uint8_t q[4];
    quantize_u8_scalar(4, (const float[]){0.25f, 0.75f, 1000, NAN}, 0.5f, 10, q);
    assert_int_equal(q[0], 10); /* 0.5 to even */
    assert_int_equal(q[1], 12); /* 1.5 to even */
    assert_int_equal(q[2], 255);
    uint16_t h[4];
    narrow_f16_scalar(4, (const float[]){65504, 65520, 5.9604645e-8f, 1}, h);
    assert_int_equal(h[0], 0x7bff);
    assert_int_equal(h[1], 0x7c00);
    assert_int_equal(h[2], 1);
    assert_int_equal(h[3], 0x3c00);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_passes_infinity_on),
        cmocka_unit_test(test_scalar_twins),
        cmocka_unit_test(test_choose_takes_the_best),
        cmocka_unit_test(test_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

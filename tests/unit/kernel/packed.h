/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the slots of kernel/packed.h and kernel/fixed.h, for the test that iterates the list
 * (choose.c, which includes this). Each row's products are also compared with those of the same row
 * alone: an answer must not depend on the batch. */
#pragma once

enum { K_MAX = 512, N_OUT = 71, M_MAX = 17, STRIPS = (N_OUT + STRIP - 1) / STRIP };

static const char *const block_names[BLOCK_N] = {"q4_0",   "q4_1",   "q5_0", "q5_1", "q8_0",
                                                 "q2_k",   "q3_k",   "q4_k", "q5_k", "q6_k",
                                                 "iq4_nl", "iq4_xs", "mxfp4"};

static enum block_type block_named(const char *slot) {
    for (int t = 0; t < BLOCK_N; t++)
        if (strcmp(slot + strlen("packed_"), block_names[t]) == 0)
            return (enum block_type)t;
    fail_msg("%s: no such block type", slot);
    return BLOCK_N;
}

/* Where the 2-byte scales of a block are; random bytes there would be infinities. */
static void tame(enum block_type t, uint8_t *block) {
    static const int places[BLOCK_N][2] = {{0, 0},     {0, 2}, {0, 0}, {0, 2},     {0, 0}, {80, 82},
                                           {108, 108}, {0, 2}, {0, 2}, {208, 208}, {0, 0}, {0, 0}};
    if (t == BLOCK_MXFP4) {
        block[0] = (uint8_t)(118 + next() % 12);
        return;
    }
    for (int i = 0; i < 2; i++) {
        float d = uniform(-0.02f, 0.02f);
        uint16_t bits;
        narrow_f16_scalar(1, &d, &bits);
        memcpy(block + places[t][i], &bits, 2);
    }
}

static uint8_t raw[N_OUT * K_MAX * 2], codes[STRIPS * STRIP * K_MAX],
    scales_of[STRIPS * STRIP * K_MAX];
static float acts[M_MAX * K_MAX], weights_f32[STRIPS * STRIP * K_MAX], dense[N_OUT * K_MAX];
static int8_t acts_q8[M_MAX * K_MAX];
static struct q8_group acts_groups[M_MAX * K_MAX / GROUP];

/* Random weights of n rows of k into codes, scales_of and dense. */
static void make_packed(enum block_type t, size_t k) {
    const struct block_form *f = block_form(t);
    size_t row = k / (size_t)f->block * (size_t)f->bytes;
    for (size_t i = 0; i < N_OUT * row; i++)
        raw[i] = (uint8_t)next();
    for (size_t i = 0; i < N_OUT * row; i += (size_t)f->bytes)
        tame(t, raw + i);
    for (size_t strip = 0; strip < STRIPS; strip++) {
        size_t n = N_OUT - strip * STRIP < STRIP ? N_OUT - strip * STRIP : STRIP;
        packed_strip(t, raw + strip * STRIP * row, row, n, k,
                     codes + strip * packed_code_bytes(t, k),
                     scales_of + strip * packed_scale_bytes(t, k));
    }
    for (size_t n = 0; n < N_OUT; n++)
        block_widen(t, raw + n * row, k, dense + n * k);
}

static void make_acts(size_t k, size_t span) {
    for (size_t i = 0; i < M_MAX * K_MAX; i++)
        acts[i] = uniform(-3, 3);
    for (size_t row = 0; row < M_MAX; row++)
        quantize_groups_scalar(k, span, acts + row * k, acts_q8 + row * k,
                               acts_groups + row * k / GROUP);
}

/* The twin against the definition: sums of products of widened weights. */
static void check_meaning(const struct limit *l, const struct packed_gemm *g) {
    for (size_t row = 0; row < g->m; row++)
        for (size_t n = 0; n < g->n; n++) {
            double want = 0, size = 0;
            for (size_t i = 0; i < g->k; i++) {
                double a =
                    (double)g->a[row * g->k + i] * (double)g->groups[(row * g->k + i) / GROUP].d;
                want += a * (double)dense[n * g->k + i];
                size += fabs(a * (double)dense[n * g->k + i]);
            }
            if (fabs(want - (double)g->y[row * g->y_row + n]) > 1e-5 * size)
                fail_msg("%s: %.9g, by definition %.9g", l->name, (double)g->y[row * g->y_row + n],
                         want);
        }
}

static void check_packed_gemm(const struct limit *l, packed_gemm_fn *scalar, packed_gemm_fn *fn) {
    static float want[M_MAX * N_OUT], alone[N_OUT];
    enum block_type t = block_named(l->name);
    size_t step = (size_t)block_form(t)->block;
    for (size_t k = step; k <= K_MAX; k += step == GROUP ? 5 * GROUP : step)
        for (size_t m = 1; m <= M_MAX; m += m < 9 ? 1 : 4) {
            make_packed(t, k);
            make_acts(k, m % 2 ? GROUP : SUPER);
            size_t n = m % 3 ? N_OUT : N_OUT - 1 - m;
            struct packed_gemm g = {.m = m,
                                    .n = n,
                                    .k = k,
                                    .codes = codes,
                                    .scales = scales_of,
                                    .codes_strip = packed_code_bytes(t, k),
                                    .scales_strip = packed_scale_bytes(t, k),
                                    .a = acts_q8,
                                    .groups = acts_groups,
                                    .y = want,
                                    .y_row = n};
            scalar(&g);
            check_meaning(l, &g);
            float *got = g.y = guard(&room, m * n * sizeof *got, 4);
            fn(&g);
            for (size_t i = 0; i < m * n; i++)
                check_float(l, want[i], got[i], (float)i);
            g.m = 1, g.y = alone, g.add = true;
            for (size_t row = 0; row < m; row++, g.a += k, g.groups += k / GROUP) {
                memset(alone, 0, sizeof alone);
                fn(&g);
                assert_memory_equal(alone, got + row * n, n * sizeof *got);
            }
            check_guard(l, &room);
        }
}

static void check_quantize_groups(const struct limit *l, quantize_groups_fn *scalar,
                                  quantize_groups_fn *fn) {
    static float x[K_MAX + 1];
    static int8_t want[K_MAX];
    static struct q8_group groups_want[K_MAX / GROUP], groups_got[K_MAX / GROUP];
    for (int round = 0; round < 40; round++)
        for (size_t span = GROUP; span <= SUPER; span += SUPER - GROUP) {
            size_t k = (size_t)GROUP * (1 + next() % (K_MAX / GROUP));
            float size = ldexpf(1, round * 3 - 60);
            for (size_t i = 0; i < k; i++)
                x[i + 1] = round == 39 ? 0 : uniform(-size, size);
            scalar(k, span, x + 1, want, groups_want);
            int8_t *got = guard(&room, k, 1);
            fn(k, span, x + 1, got, groups_got);
            assert_memory_equal(want, got, k);
            assert_memory_equal(groups_want, groups_got, k / GROUP * sizeof *groups_got);
            check_guard(l, &room);
        }
}

/* Activations of a round: of every size, with outliers, zeros, and what is no number. */
static void odd_acts(int round, size_t k, float *x) {
    float size = ldexpf(1, round * 6 - 150);
    for (size_t i = 0; i < k; i++)
        x[i] = round == 0 ? 0 : uniform(-size, size) * (next() % 16 ? 1 : 30);
    if (round % 4 == 3)
        x[next() % k] = round % 8 == 3 ? INFINITY : NAN;
}

static void check_fixed_blocks(const struct limit *l, fixed_blocks_fn *scalar,
                               fixed_blocks_fn *fn) {
    static float x[K_MAX + 1], d_want[K_MAX / GROUP], d_got[K_MAX / GROUP];
    static int16_t want[K_MAX];
    for (int round = 0; round < 44; round++) {
        size_t k = 1 + next() % K_MAX, groups = fixed_groups(k);
        odd_acts(round, k, x + 1);
        scalar(k, x + 1, want, d_want);
        int16_t *got = guard(&room, groups * GROUP * sizeof *got, 2);
        fn(k, x + 1, got, d_got);
        assert_memory_equal(want, got, groups * GROUP * sizeof *got);
        for (size_t i = 0; i < groups; i++) {
            double square = 0;
            for (size_t j = 0; j < GROUP; j++)
                square += (double)want[i * GROUP + j] * (double)want[i * GROUP + j];
            assert_true(square < 0x1p31);
            assert_true(isnan(d_want[i]) ? isnan(d_got[i]) : d_want[i] == d_got[i]);
        }
        check_guard(l, &room);
    }
}

static uint16_t fixed_room[STRIPS * STRIP * (K_MAX + K_MAX / GROUP)];

/* Random weights of n rows of k, as f16 has them, into fixed_room and dense. */
static void make_fixed(size_t k) {
    uint16_t half[K_MAX];
    memset(fixed_room, 0, sizeof fixed_room);
    for (size_t n = 0; n < N_OUT; n++) {
        float *w = dense + n * k;
        for (size_t i = 0; i < k; i++)
            w[i] = uniform(-1, 1) * (next() % 16 ? 0.1f : 5);
        narrow_f16_scalar(k, w, half);
        widen_f16_scalar(k, half, w);
        for (size_t i = 0, step = 3 * GROUP; i < k; i += step)
            fixed_pack(k, i, k - i < step ? k - i : step, w + i, n % STRIP,
                       (char *)fixed_room + n / STRIP * fixed_strip_bytes(k));
    }
}

/* What is a quarter of its block's largest or more is exact, nothing is off by more than half a
 * step. */
static void check_fixed_pack(const struct limit *l, size_t k) {
    for (size_t n = 0; n < N_OUT; n++)
        for (size_t i = 0; i < k; i++) {
            const uint16_t *strip = fixed_room + n / STRIP * fixed_strip_bytes(k) / 2;
            const float *block = dense + n * k + i / GROUP * GROUP;
            float top = 0, step;
            for (size_t j = 0; j < GROUP && i / GROUP * GROUP + j < k; j++)
                top = fmaxf(top, fabsf(block[j]));
            widen_bf16_scalar(1, strip + (fixed_groups(k) * GROUP + i / GROUP) * STRIP + n % STRIP,
                              &step);
            float want = dense[n * k + i],
                  got = (float)(int16_t)strip[(i / 2 * STRIP + n % STRIP) * 2 + i % 2] * step;
            if (fabsf(want) >= top / 4 ? got != want : fabsf(got - want) > step / 2)
                fail_msg("%s: weight %.9g became %.9g", l->name, (double)want, (double)got);
        }
}

/* The twin against the definition: off by no more than half a step of each number, which is the
 * length of its block / 46337 or the largest in it / 32767, twice that for weights. */
static void check_fixed_meaning(const struct limit *l, const struct fixed_gemm *g, const float *x) {
    for (size_t row = 0; row < g->m; row++)
        for (size_t n = 0; n < g->n; n++) {
            double want = 0, error = 0, got = (double)g->y[row * g->y_row + n];
            for (size_t i = 0; i < g->k; i += GROUP) {
                double a = 0, w = 0;
                for (size_t j = i; j < g->k && j < i + GROUP; j++) {
                    double u = (double)x[row * g->k + j], v = (double)dense[n * g->k + j];
                    want += u * v;
                    a += u * u, w += v * v;
                }
                error += sqrt(a * w) * 1.5 * sqrt(GROUP) / FIXED_MOST;
            }
            if (!(fabs(want - got) < error + 1e-5))
                fail_msg("%s: %.9g, by definition %.9g +- %.9g", l->name, got, want, error);
        }
}

static void check_fixed_gemm(const struct limit *l, fixed_gemm_fn *scalar, fixed_gemm_fn *fn) {
    static float want[M_MAX * N_OUT], alone[N_OUT], d[M_MAX * K_MAX / GROUP];
    static int16_t q[M_MAX * K_MAX];
    for (size_t k = 1; k <= 300; k += k < 3 ? 1 : 61)
        for (size_t m = 1; m <= M_MAX; m++) {
            size_t groups = fixed_groups(k), n = m % 2 ? N_OUT : m * 4;
            make_fixed(k);
            check_fixed_pack(l, k);
            make_acts(GROUP, GROUP);
            for (size_t row = 0; row < m; row++)
                fixed_blocks_scalar(k, acts + row * k, q + row * groups * GROUP, d + row * groups);
            struct fixed_gemm g = {
                .m = m, .n = n, .k = k, .w = fixed_room, .a = q, .d = d, .y = want, .y_row = n};
            scalar(&g);
            check_fixed_meaning(l, &g, acts);
            float *got = g.y = guard(&room, m * n * sizeof *got, 4);
            fn(&g);
            for (size_t i = 0; i < m * n; i++)
                check_float(l, want[i], got[i], (float)i);
            g.m = 1, g.y = alone, g.add = true;
            for (size_t row = 0; row < m; row++, g.a += groups * GROUP, g.d += groups) {
                memset(alone, 0, sizeof alone);
                fn(&g);
                assert_memory_equal(alone, got + row * n, n * sizeof *got);
            }
            check_guard(l, &room);
        }
}

static void check_wide_gemm(const struct limit *l, wide_gemm_fn *scalar, wide_gemm_fn *fn) {
    static float want[M_MAX * N_OUT], alone[N_OUT];
    static uint16_t half[STRIPS * STRIP * K_MAX], acts_16[M_MAX * K_MAX];
    bool b16 = strcmp(l->name, "wide_bf16") == 0;
    for (size_t k = 2; k <= 200; k += 66)
        for (size_t m = 1; m <= M_MAX; m++) {
            for (size_t i = 0; i < STRIPS * STRIP * k; i++)
                weights_f32[i] = uniform(-1, 1);
            make_acts(GROUP, GROUP);
            narrow_bf16_scalar(STRIPS * STRIP * k, weights_f32, half);
            narrow_bf16_scalar(M_MAX * k, acts, acts_16);
            size_t n = m % 2 ? N_OUT : m * 4, row_bytes = k * (b16 ? 2 : 4);
            struct wide_gemm g = {.m = m,
                                  .n = n,
                                  .k = k,
                                  .w = b16 ? (const void *)half : weights_f32,
                                  .a = b16 ? (const void *)acts_16 : acts,
                                  .y = want,
                                  .y_row = n};
            scalar(&g);
            float *got = g.y = guard(&room, m * n * sizeof *got, 4);
            fn(&g);
            for (size_t i = 0; i < m * n; i++)
                check_float(l, want[i], got[i], (float)i);
            g.m = 1, g.y = alone, g.add = true;
            for (size_t row = 0; row < m; row++, g.a = (const char *)g.a + row_bytes) {
                memset(alone, 0, sizeof alone);
                fn(&g);
                assert_memory_equal(alone, got + row * n, n * sizeof *got);
            }
            check_guard(l, &room);
        }
}

/* --- attention --- */

enum { D_MAX = 64, POSITIONS = 300, N_PAGES = (POSITIONS + PAGE - 1) / PAGE };

enum { HALF = D_MAX * PAGE * 4 };
static char page_room[N_PAGES][2 * HALF];
static float key_room[POSITIONS][D_MAX], value_room[POSITIONS][D_MAX];

/* Softmax over f32 keys and values, in doubles. */
static void attend_plainly(const float *q, size_t d, int32_t first, int32_t last, double *y) {
    double sum = 0, weight;
    memset(y, 0, d * sizeof *y);
    for (int32_t p = first; p <= last; p++) {
        double score = 0;
        for (size_t i = 0; i < d; i++)
            score += (double)q[i] * (double)key_room[p][i];
        sum += weight = exp(score);
        for (size_t i = 0; i < d; i++)
            y[i] += weight * (double)value_room[p][i];
    }
    for (size_t i = 0; i < d; i++)
        y[i] /= sum;
}

static void check_attend_one(const struct limit *l, attend_fn *scalar, attend_fn *fn,
                             struct attend *c) {
    static float q[LANES][D_MAX], want[LANES][D_MAX], got[LANES][D_MAX], alone[D_MAX];
    static const double limits[] = {1e-5, 2e-3, 2e-2, 2e-2};
    const float *q_of[LANES];
    float *want_of[LANES], *got_of[LANES], *alone_of[1] = {alone};
    int32_t first[LANES], last[LANES];
    for (size_t i = 0; i < c->lanes; i++) {
        q_of[i] = q[i], want_of[i] = want[i], got_of[i] = got[i];
        last[i] = (int32_t)(next() % POSITIONS);
        first[i] = next() % 2 ? 0 : (int32_t)(next() % (uint64_t)(last[i] + 1));
        for (size_t j = 0; j < c->d; j++)
            q[i][j] = uniform(-0.5f, 0.5f);
    }
    c->q = q_of, c->first = first, c->last = last;
    c->y = want_of;
    scalar(c);
    c->y = got_of;
    fn(c);
    size_t lanes = c->lanes;
    for (size_t i = 0; i < lanes; i++) {
        double plain[D_MAX];
        attend_plainly(q[i], c->d, first[i], last[i], plain);
        for (size_t j = 0; j < c->d; j++) {
            check_float(l, want[i][j], got[i][j], (float)j);
            if (c->soft_cap == 0 && fabs(plain[j] - (double)got[i][j]) > limits[c->kind])
                fail_msg("%s: %g, plainly %g", l->name, (double)got[i][j], plain[j]);
        }
        c->q = q_of + i, c->first = first + i, c->last = last + i, c->lanes = 1, c->y = alone_of;
        fn(c);
        assert_memory_equal(alone, got[i], c->d * sizeof(float));
    }
    c->lanes = lanes;
}

static void check_attend(const struct limit *l, attend_fn *scalar, attend_fn *fn) {
    const char *pages[N_PAGES];
    for (size_t i = 0; i < N_PAGES; i++)
        pages[i] = page_room[i];
    for (int kind = PAGE_F32; kind <= PAGE_Q8; kind++)
        for (size_t d = 32; d <= D_MAX; d += kind == PAGE_Q8 ? 32 : 16)
            for (size_t lanes = 1; lanes <= LANES; lanes++) {
                for (int p = 0; p < POSITIONS; p++) {
                    for (size_t i = 0; i < d; i++)
                        key_room[p][i] = uniform(-1, 1), value_room[p][i] = uniform(-1, 1);
                    page_put((enum page_kind)kind, d, (size_t)p % PAGE, key_room[p], value_room[p],
                             page_room[p / PAGE], page_room[p / PAGE] + HALF);
                }
                struct attend c = {.kind = (enum page_kind)kind,
                                   .lanes = lanes,
                                   .d = d,
                                   .pages = pages,
                                   .values = HALF,
                                   .soft_cap = lanes == 3 ? 2 : 0};
                check_attend_one(l, scalar, fn, &c);
            }
}

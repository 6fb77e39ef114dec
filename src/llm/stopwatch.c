/* SPDX-License-Identifier: Apache-2.0 */
/* Timing a forward pass: see stopwatch.h. */
#include "llm/stopwatch.h"

#include "base/clock.h"
#include "base/mem.h"

static int32_t token_at(const struct forward *f, size_t i) {
    return (int32_t)((100 + i) % forward_vocab(f));
}

static struct forward_row *new_rows(size_t n, struct err *e) {
    struct forward_row *rows = mem_alloc(n * sizeof *rows);
    if (!rows)
        (void)fail(e, NOMEM, "no memory for %zu rows", n);
    return rows;
}

static enum code prompt(struct forward *f, struct forward_row *rows, size_t n, struct err *e) {
    size_t most = forward_max_rows(f);
    const float *logits;
    TRY(kv_reserve(forward_kv(f), 0, n, e));
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct forward_row){token_at(f, 0), (int32_t)i, 0, i + 1 == n};
    for (size_t at = 0; at < n; at += most)
        TRY(forward_step(f, rows + at, n - at < most ? n - at : most, &logits, e));
    return OK;
}

enum code stopwatch_prefill(struct forward *f, size_t n, double *per_second, struct err *e) {
    struct forward_row *rows = new_rows(n, e);
    if (!rows)
        return e->code;
    kv_release(forward_kv(f), 0);
    uint64_t began = clock_ns();
    enum code code = prompt(f, rows, n, e);
    *per_second = (double)n * 1e9 / (double)(clock_ns() - began);
    kv_release(forward_kv(f), 0);
    mem_free(rows);
    return code;
}

static enum code answers(struct forward *f, struct forward_row *rows, int steps, int width,
                         uint64_t *began, struct err *e) {
    const float *logits;
    for (int s = 0; s < width; s++) {
        kv_release(forward_kv(f), s);
        TRY(kv_reserve(forward_kv(f), s, (size_t)steps + 1, e));
    }
    for (int i = 0; i <= steps; i++) {
        *began = i == 1 ? clock_ns() : *began;
        for (int s = 0; s < width; s++)
            rows[s] = (struct forward_row){token_at(f, (size_t)i), i, s, true};
        TRY(forward_step(f, rows, (size_t)width, &logits, e));
    }
    return OK;
}

enum code stopwatch_decode(struct forward *f, int steps, int width, double *per_second,
                           struct err *e) {
    struct forward_row *rows = new_rows((size_t)width, e);
    uint64_t began = 0;
    if (!rows)
        return e->code;
    enum code code = answers(f, rows, steps, width, &began, e);
    *per_second = (double)steps * width * 1e9 / (double)(clock_ns() - began);
    for (int s = 0; s < width; s++)
        kv_release(forward_kv(f), s);
    mem_free(rows);
    return code;
}

enum code stopwatch_depth(struct forward *f, size_t depth, int steps, double *prefill,
                          double *decode, struct err *e) {
    struct forward_row *rows = new_rows(depth, e);
    const float *logits;
    if (!rows)
        return e->code;
    kv_release(forward_kv(f), 0);
    uint64_t began = clock_ns();
    enum code code = prompt(f, rows, depth, e);
    uint64_t then = clock_ns();
    for (int i = 0; code == OK && i < steps; i++) {
        size_t position = depth + (size_t)i;
        code = kv_reserve(forward_kv(f), 0, position + 1, e);
        *rows = (struct forward_row){token_at(f, position), (int32_t)position, 0, true};
        if (code == OK)
            code = forward_step(f, rows, 1, &logits, e);
    }
    *prefill = (double)depth * 1e9 / (double)(then - began);
    *decode = steps * 1e9 / (double)(clock_ns() - then);
    kv_release(forward_kv(f), 0);
    mem_free(rows);
    return code;
}

enum code stopwatch_embed(struct forward *f, size_t n, size_t tokens, double *per_second,
                          struct err *e) {
    struct forward_row *rows = new_rows(n * tokens, e);
    float *out = mem_alloc(n * forward_width(f) * sizeof *out);
    enum code code = rows && out ? OK : fail(e, NOMEM, "no memory for %zu texts", n);
    for (size_t i = 0; code == OK && i < n * tokens; i++)
        rows[i] = (struct forward_row){token_at(f, 900 + i), (int32_t)(i % tokens),
                                       (int32_t)(i / tokens), false};
    uint64_t began = clock_ns();
    if (code == OK)
        code = forward_embed(f, rows, n * tokens, out, e);
    *per_second = (double)n * 1e9 / (double)(clock_ns() - began);
    mem_free(rows);
    mem_free(out);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bench --profile: warm runs, then runs whose nodes are timed; per node its best time, the speed
 * that makes, and which share that is of what the machine was found capable of a moment later.
 *
 * A node's bytes are its operands and results, each once: what must move when no cache helps. Where
 * caches do, GB/s may be more than memory gives. Operations are counted as the textbook has them:
 * Winograd's convolutions do with a quarter and may pass the peak. */
#include "cli/profile.h"

#include "base/clock.h"

#include <string.h>

enum { WARM_RUNS = 3, EVENTS = 200000 };

/* --- running --- */

static enum code one_run(const struct profile_ask *ask, struct profile *p, size_t k,
                         struct err *e) {
    struct session_run run;
    struct session_ask s = {.inputs = ask->inputs, .threads = ask->threads};
    s.trace = k < p->n_runs && ask->trace ? &p->trace : NULL;
    uint64_t began = clock_ns();
    TRY(session_begin(ask->session, &s, &run, e));
    uint64_t ended = clock_ns();
    p->measured_bytes = run.memory_bytes > p->measured_bytes ? run.memory_bytes : p->measured_bytes;
    session_end(ask->session, &run);
    if (k < p->n_runs) {
        p->runs[k][0] = began;
        p->runs[k][1] = ended;
    }
    return OK;
}

static enum code all_runs(const struct profile_ask *ask, struct profile *p, struct err *e) {
    struct session_ask s = {.inputs = ask->inputs, .threads = ask->threads};
    TRY(session_predict(ask->session, &s, &p->needs, e));
    for (int k = 0; k < WARM_RUNS; k++)
        TRY(one_run(ask, p, SIZE_MAX, e));
    for (size_t k = 0; k < p->n_runs; k++)
        TRY(one_run(ask, p, k, e));
    return session_explain(ask->session, &s, &p->cli->arena, &p->steps, &p->n_steps, e);
}

/* --- in words --- */

static double per_ns(double amount, uint64_t ns) { return ns ? amount / (double)ns : 0; }

static double share(const struct profile *p, const struct session_step *s) {
    double peak = peak_of(&p->peak, s->computes) * 1e-9;
    return peak > 0 ? 100 * per_ns(s->flops, s->min_ns) / peak : 0;
}

const char *profile_flops(struct arena *a, const struct session_step *s) {
    return s->flops > 0 ? print_count(a, (uint64_t)s->flops) : "";
}

const char *profile_bytes(struct arena *a, const struct session_step *s) {
    return s->bytes > 0 ? print_size(a, (uint64_t)s->bytes) : "";
}

const char *profile_node(struct arena *a, const struct session_step *s) {
    return arena_printf(a, "%*s%.*s", 2 * s->depth, "", STR(str_sub(s->node, 0, 40)));
}

const char *profile_kernel(struct arena *a, const struct session_step *s) {
    return arena_printf(a, "%.*s%s", STR(s->kernel.n ? s->kernel : s->op),
                        s->tried ? ", by trial" : "");
}

void profile_print_needs(struct arena *a, const struct session_needs *n, size_t measured) {
    printf("memory of a run: %s planned, %s of it alive at once", print_size(a, n->slab_bytes),
           print_size(a, n->live_bytes));
    if (n->late)
        printf("; %d step%s whose shapes only data tells take%s more", n->late,
               n->late == 1 ? "" : "s", n->late == 1 ? "s" : "");
    if (measured)
        printf("; measured: %s", print_size(a, measured));
    putchar('\n');
}

static void print_end(const struct profile *p, uint64_t total) {
    struct arena *a = &p->cli->arena;
    printf("sum of the nodes' best times: %s\n", print_duration(a, total));
    printf("peak of %d thread%s, measured now: f32 %.0f, bf16 %.0f GFLOP/s, int8 %.0f GOP/s, "
           "memory %.1f GB/s\n",
           p->peak.threads, p->peak.threads == 1 ? "" : "s", p->peak.f32 * 1e-9,
           p->peak.bf16 * 1e-9, p->peak.i8 * 1e-9, p->peak.read * 1e-9);
    profile_print_needs(a, &p->needs, p->measured_bytes);
}

static void put_cells(const struct profile *p, const struct session_step *s, uint64_t total,
                      const char **row) {
    struct arena *a = &p->cli->arena;
    bool timed = s->min_ns > 0;
    row[0] = profile_node(a, s);
    row[1] = profile_kernel(a, s);
    row[2] = arena_strdup(a, s->shapes);
    row[3] = arena_strdup(a, s->layout);
    row[4] = timed ? print_duration(a, s->min_ns) : "";
    row[5] = !timed || s->depth
                 ? ""
                 : arena_printf(a, "%.1f %%", total ? 100 * per_ns((double)s->min_ns, total) : 0);
    row[6] = timed && s->flops > 0 ? arena_printf(a, "%.1f", per_ns(s->flops, s->min_ns)) : "";
    row[7] = timed && s->flops > 0 ? arena_printf(a, "%.0f %%", share(p, s)) : "";
    row[8] = profile_bytes(a, s);
    row[9] = timed && s->bytes > 0 ? arena_printf(a, "%.1f", per_ns(s->bytes, s->min_ns)) : "";
}

static enum code as_text(const struct profile *p, struct err *e) {
    enum { COLUMNS = 10 };
    const char **cells = ARENA_ARRAY(&p->cli->arena, p->n_steps * COLUMNS + 1, const char *);
    uint64_t total = 0;
    if (!cells)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < p->n_steps; i++)
        total += p->steps[i].depth ? 0 : p->steps[i].min_ns;
    for (size_t i = 0; i < p->n_steps; i++)
        put_cells(p, &p->steps[i], total, cells + i * COLUMNS);
    for (size_t i = 0; i < p->n_steps * COLUMNS; i++)
        cells[i] = cells[i] ? cells[i] : "?";
    print_table(
        p->cli,
        &(struct table){
            .heads = {"NODE", "KERNEL", "SHAPES", "LAYOUT", "MIN", "SHARE", "GFLOP/s", "OF PEAK",
                      "BYTES", "GB/s"},
            .right = {[4] = true, [5] = true, [6] = true, [7] = true, [8] = true, [9] = true},
            .columns = COLUMNS,
            .cells = cells,
            .rows = p->n_steps});
    print_end(p, total);
    return OK;
}

/* --- as data --- */

void profile_put_step(struct json_out *w, const struct session_step *s) {
    json_put_member_str(w, "node", s->node);
    json_put_member_str(w, "op", s->op);
    json_put_member_str(w, "kernel", s->kernel);
    if (s->choice)
        json_put_member_text(w, "chosen", s->tried ? "trial" : "rule");
    json_put_member_str(w, "shapes", s->shapes);
    json_put_member_str(w, "layout", s->layout);
    json_put_member_text(w, "computes", dtype_name(s->computes));
    json_put_member_i64(w, "depth", s->depth);
    json_put_member_i64(w, "threads", s->threads);
    json_put_member_bool(w, "late", s->late);
    json_put_member_f64(w, "flops", s->flops);
    json_put_member_f64(w, "bytes", s->bytes);
}

void profile_put_needs(struct json_out *w, const struct session_needs *n, size_t measured) {
    json_put_key(w, "memory");
    json_put_object(w);
    json_put_member_i64(w, "planned_bytes", (int64_t)n->slab_bytes);
    json_put_member_i64(w, "alive_bytes", (int64_t)n->live_bytes);
    json_put_member_i64(w, "late_steps", n->late);
    if (measured)
        json_put_member_i64(w, "measured_bytes", (int64_t)measured);
    json_put_object_end(w);
}

static void put_peak(struct json_out *w, const struct peak *p) {
    json_put_key(w, "peak");
    json_put_object(w);
    json_put_member_i64(w, "threads", p->threads);
    json_put_member_f64(w, "f32_gflops", p->f32 * 1e-9);
    json_put_member_f64(w, "bf16_gflops", p->bf16 * 1e-9);
    json_put_member_f64(w, "int8_gops", p->i8 * 1e-9);
    json_put_member_f64(w, "read_gbs", p->read * 1e-9);
    json_put_object_end(w);
}

static void put_node(const struct profile *p, const struct session_step *s, struct json_out *w) {
    json_put_object(w);
    profile_put_step(w, s);
    json_put_member_i64(w, "calls", (int64_t)s->calls);
    json_put_member_f64(w, "min_ms", (double)s->min_ns / 1e6);
    json_put_member_f64(w, "total_ms", (double)s->total_ns / 1e6);
    json_put_member_f64(w, "gflops", per_ns(s->flops, s->min_ns));
    json_put_member_f64(w, "peak_share", share(p, s) / 100);
    json_put_member_f64(w, "gbs", per_ns(s->bytes, s->min_ns));
    json_put_object_end(w);
}

static enum code as_json(const struct profile *p, struct err *e) {
    struct buf out;
    struct json_out w;
    buf_init(&out, (size_t)64 << 20);
    json_out_init(&w, &out, 0);
    json_put_object(&w);
    put_peak(&w, &p->peak);
    profile_put_needs(&w, &p->needs, p->measured_bytes);
    json_put_key(&w, "nodes");
    json_put_array(&w);
    for (size_t i = 0; i < p->n_steps; i++)
        put_node(p, &p->steps[i], &w);
    json_put_array_end(&w);
    json_put_object_end(&w);
    enum code code = print_json(&out, e);
    buf_deinit(&out);
    return code;
}

enum code profile_run(struct cli *c, const struct profile_ask *ask, struct err *e) {
    struct profile p = {.cli = c, .model = ask->model, .n_runs = ask->runs};
    p.runs = arena_push_array(&c->arena, ask->runs + 1, sizeof *p.runs);
    p.trace.room = ask->trace ? EVENTS : 0;
    p.trace.events = ARENA_ARRAY(&c->arena, p.trace.room + 1, struct session_event);
    if (!p.runs || !p.trace.events)
        return fail(e, NOMEM, "out of memory");
    TRY(all_runs(ask, &p, e));
    TRY(peak_measure(ask->threads, &p.peak, e));
    if (ask->trace)
        TRY(timeline_write(&p, ask->trace, e));
    return c->json ? as_json(&p, e) : as_text(&p, e);
}

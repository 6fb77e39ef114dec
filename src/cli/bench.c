/* SPDX-License-Identifier: Apache-2.0 */
/* slipway bench: how fast a version runs here, by MLPerf Inference's scenarios.
 *
 * single:  SingleStream: one query at a time, the next when the last is done; all cores for each.
 * server:  queries arrive at random (Poisson) at --rate; latency counts from the *scheduled*
 * arrival, so a slow answer delays nobody's clock but its own; one core per query. offline:
 * everything is there at once; one core per run, as many runs at a time as cores. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cli/bench.h"
#include "cli/compare.h"
#include "cli/facts.h"
#include "cli/feed.h"
#include "cli/profile.h"
#include "cli/tune.h"
#include "base/cpu.h"
#include "host/loaded.h"
#include "base/cores.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 30, WARM_RUNS = 3, RUNS_MAX = 10000000, THREADS_MAX = 256 };

struct bench {
    struct cli *cli;
    const struct bench_options *o;
    struct loaded loaded;
    struct tensor *inputs;
    size_t n_inputs;
    int threads;
    int64_t batch;
    size_t runs;
    enum precision_choice choice;
    enum precision precision;
    enum dtype kv_dtype;
    double rate;  /* queries per second (server) */
    uint64_t *ns; /* (runs) latencies */
    uint64_t *at; /* (runs) scheduled arrivals, server only */
    uint64_t began, wall_ns;
    _Atomic size_t next, memory_bytes; /* memory: most that one run held */
    struct session_needs needs;
    _Atomic int code;
    struct err err; /* of the first run that failed */
};

static enum code once(struct bench *b, int threads, uint64_t *ns, struct err *e) {
    struct session_ask ask = {.inputs = b->inputs, .threads = threads};
    struct session_run run;
    uint64_t began = clock_ns();
    TRY(session_begin(b->loaded.session, &ask, &run, e));
    *ns = clock_ns() - began;
    if (run.memory_bytes > atomic_load_explicit(&b->memory_bytes, memory_order_relaxed))
        atomic_store_explicit(&b->memory_bytes, run.memory_bytes, memory_order_relaxed);
    session_end(b->loaded.session, &run);
    return OK;
}

static enum code warm(struct bench *b, int threads, struct err *e) {
    uint64_t ns;
    for (int i = 0; i < WARM_RUNS; i++)
        TRY(once(b, threads, &ns, e));
    return OK;
}

static enum code single(struct bench *b, struct err *e) {
    TRY(warm(b, b->threads, e));
    b->began = clock_ns();
    for (size_t i = 0; i < b->runs; i++)
        TRY(once(b, b->threads, &b->ns[i], e));
    b->wall_ns = clock_ns() - b->began;
    return OK;
}

void bench_sleep_until(uint64_t ns) {
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void *stream(void *arg) {
    struct bench *b = arg;
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < b->runs && atomic_load(&b->code) == OK;) {
        struct err e;
        uint64_t ns = 0;
        if (b->at)
            bench_sleep_until(b->began + b->at[i]);
        enum code code = once(b, 1, &ns, &e);
        int expected = OK;
        if (code != OK && atomic_compare_exchange_strong(&b->code, &expected, (int)code))
            b->err = e;
        b->ns[i] = b->at ? clock_ns() - (b->began + b->at[i]) : ns;
    }
    return NULL;
}

static enum code many(struct bench *b, struct err *e) {
    pthread_t threads[THREADS_MAX];
    int n = 0;
    enum code code = warm(b, 1, e);
    TRY(code);
    b->began = clock_ns();
    for (; n < b->threads && code == OK; n++)
        code = thread_start(&threads[n], "slipway-bench", stream, b, e);
    for (int i = 0; i < n - (code != OK); i++)
        pthread_join(threads[i], NULL);
    b->wall_ns = clock_ns() - b->began;
    TRY(code);
    if (atomic_load(&b->code) != OK) {
        *e = b->err;
        return e->code;
    }
    return OK;
}

/* Exponential gaps by inversion; splitmix64 with a fixed seed: the same schedule every time. */
void bench_schedule(double rate, uint64_t *at, size_t n) {
    uint64_t state = 42;
    double now = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = (state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        double u = (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
        now += -log(1 - u) / rate * 1e9;
        at[i] = (uint64_t)now;
    }
}

static enum code server(struct bench *b, struct err *e) {
    if (b->rate <= 0) { /* 70 % of what one core after the other can do */
        uint64_t ns, best = UINT64_MAX;
        TRY(warm(b, 1, e));
        for (int i = 0; i < 5; i++) {
            TRY(once(b, 1, &ns, e));
            best = ns < best ? ns : best;
        }
        b->rate = 0.7e9 / (double)best * b->threads;
    }
    b->at = ARENA_ARRAY(&b->cli->arena, b->runs, uint64_t);
    if (!b->at)
        return fail(e, NOMEM, "out of memory");
    bench_schedule(b->rate, b->at, b->runs);
    return many(b, e);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void bench_sort(uint64_t *ns, size_t n) { qsort(ns, n, sizeof *ns, by_value); }

static double ms(uint64_t ns) { return (double)ns / 1e6; }

uint64_t bench_percentile(const uint64_t *sorted, size_t n, double p) { /* nearest rank */
    size_t at = (size_t)ceil(p * (double)n);
    return sorted[at ? at - 1 : 0];
}

uint64_t bench_resident_bytes(void) {
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_shapes(const struct bench *b, struct json_out *w) {
    const struct session_io *io;
    session_inputs(b->loaded.session, &io);
    json_put_key(w, "shapes");
    json_put_object(w);
    for (size_t i = 0; i < b->n_inputs; i++) {
        if (b->inputs[i].dtype == DT_NONE)
            continue;
        json_put_key_str(w, io[i].name);
        json_put_array(w);
        for (int d = 0; d < b->inputs[i].shape.rank; d++)
            json_put_i64(w, b->inputs[i].shape.dims[d]);
        json_put_array_end(w);
    }
    json_put_object_end(w);
}

static enum code as_json(const struct bench *b, struct err *e) {
    struct buf out;
    struct json_out w;
    buf_init(&out, 1 << 20);
    json_out_init(&w, &out, 0);
    json_put_object(&w);
    json_put_member_text(&w, "scenario", b->o->scenario);
    json_put_member_i64(&w, "threads", b->threads);
    json_put_member_i64(&w, "batch", b->batch);
    json_put_member_text(&w, "precision", b->precision == PRECISION_BF16 ? "bf16" : "f32");
    json_put_member_text(&w, "cpu", cpu_level());
    put_shapes(b, &w);
    json_put_member_i64(&w, "runs", (int64_t)b->runs);
    json_put_member_f64(&w, "min_ms", ms(b->ns[0]));
    json_put_member_f64(&w, "median_ms", ms(bench_percentile(b->ns, b->runs, 0.5)));
    json_put_member_f64(&w, "p99_ms", ms(bench_percentile(b->ns, b->runs, 0.99)));
    json_put_member_f64(&w, "max_ms", ms(b->ns[b->runs - 1]));
    json_put_member_f64(&w, "per_second",
                        (double)b->runs * (double)b->batch / ((double)b->wall_ns * 1e-9));
    if (b->at)
        json_put_member_f64(&w, "rate", b->rate);
    json_put_member_f64(&w, "load_ms", ms(b->loaded.load_ns));
    json_put_member_i64(&w, "resident_bytes", (int64_t)bench_resident_bytes());
    profile_put_needs(&w, &b->needs, atomic_load(&b->memory_bytes));
    json_put_object_end(&w);
    enum code code = print_json(&out, e);
    buf_deinit(&out);
    return code;
}

static void as_text(const struct bench *b) {
    struct arena *a = &b->cli->arena;
    printf("%s, %d thread%s, batch %lld, %s, instructions up to %s, %zu runs\n", b->o->scenario,
           b->threads, b->threads == 1 ? "" : "s", (long long)b->batch,
           b->precision == PRECISION_BF16 ? "bf16" : "f32", cpu_level(), b->runs);
    if (b->at)
        printf("  rate      %.1f queries/s\n", b->rate);
    printf("  min       %s\n  median    %s\n  p99       %s\n  max       %s\n  rows/s    %.1f\n  "
           "load      %s\n"
           "  resident  %s\n",
           print_duration(a, b->ns[0]), print_duration(a, bench_percentile(b->ns, b->runs, 0.5)),
           print_duration(a, bench_percentile(b->ns, b->runs, 0.99)),
           print_duration(a, b->ns[b->runs - 1]),
           (double)b->runs * (double)b->batch / ((double)b->wall_ns * 1e-9),
           print_duration(a, b->loaded.load_ns), print_size(a, bench_resident_bytes()));
    profile_print_needs(a, &b->needs, atomic_load(&b->memory_bytes));
}

static enum code profile(struct bench *b, struct err *e) {
    return profile_run(b->cli,
                       &(struct profile_ask){.model = b->cli->args[0],
                                             .trace = b->o->trace,
                                             .session = b->loaded.session,
                                             .inputs = b->inputs,
                                             .threads = b->threads,
                                             .runs = b->runs},
                       e);
}

static enum code scenario(struct bench *b, struct err *e) {
    const char *s = b->o->scenario;
    if (strcmp(s, "single") == 0)
        return single(b, e);
    if (strcmp(s, "server") == 0)
        return server(b, e);
    return many(b, e);
}

static enum code measure(struct bench *b, struct err *e) {
    const struct session_io *io;
    b->n_inputs = session_inputs(b->loaded.session, &io);
    b->inputs = ARENA_ARRAY(&b->cli->arena, b->n_inputs + 1, struct tensor);
    b->ns = ARENA_ARRAY(&b->cli->arena, b->runs, uint64_t);
    if (!b->inputs || !b->ns)
        return fail(e, NOMEM, "out of memory");
    TRY(feed_random(b->loaded.session, &b->o->shapes, b->batch, 0, &b->cli->arena, b->inputs, e));
    enum code code = b->o->profile ? profile(b, e) : scenario(b, e);
    if (code != OK)
        return feed_blame(b->loaded.session, &b->o->shapes, e);
    if (b->o->profile)
        return OK;
    struct session_ask ask = {.inputs = b->inputs,
                              .threads = strcmp(b->o->scenario, "single") ? 1 : b->threads};
    TRY(session_predict(b->loaded.session, &ask, &b->needs, e));
    bench_sort(b->ns, b->runs);
    if (b->cli->json)
        return as_json(b, e);
    as_text(b);
    return OK;
}

static enum code check(struct bench_options *o, struct bench *b, struct err *e) {
    o->scenario = o->scenario ? o->scenario : "single";
    if (strcmp(o->scenario, "single") && strcmp(o->scenario, "server") &&
        strcmp(o->scenario, "offline"))
        return fail(e, USAGE, "--scenario: '%s' is not one of single, server, offline",
                    o->scenario);
    if (o->precision && precision_parse(str_of(o->precision), &b->choice, e) != OK)
        return fail(e, USAGE,
                    "--precision: '%s' is not one of f32, bf16, auto (int8 is a property of the "
                    "model)",
                    o->precision);
    if (o->against && !o->compare)
        return fail(e, USAGE, "--against goes with --compare");
    if (o->trace && !o->profile)
        return fail(e, USAGE, "--trace goes with --profile");
    if (o->threads < 0 || o->threads > THREADS_MAX || o->batch < 0 || o->runs < 0 ||
        o->runs > RUNS_MAX)
        return fail(e, USAGE, "--threads must be 1..%d, --batch at least 1, --runs 1..%d",
                    THREADS_MAX, RUNS_MAX);
    if (o->rate && (!str_to_f64(str_of(o->rate), &b->rate) || !(b->rate > 0)))
        return fail(e, USAGE, "--rate: '%s' is not a number of queries per second", o->rate);
    TRY(options_kv_type(o->kv_type, &b->kv_dtype, e));
    b->threads = o->threads ? (int)o->threads : cpu_cores();
    b->batch = o->batch;
    b->runs = (size_t)o->runs;
    return OK;
}

static enum code bench_graph(struct bench *b, const struct store_info *info, struct err *e) {
    b->precision = precision_of(b->cli->store, info->model, info->version, b->choice);
    struct session_options so = {.profile = b->o->profile, .precision = b->precision};
    b->runs = b->runs ? b->runs : RUNS;
    b->batch = b->batch ? b->batch : 1;
    TRY(loaded_open(b->cli->store, info->model, info->version, &so, &b->loaded, e));
    enum code code = measure(b, e);
    if (code == OK)
        loaded_keep(&b->loaded, true);
    loaded_close(&b->loaded);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    struct bench b = {.cli = c, .o = c->options};
    struct store_info info;
    TRY(check(c->options, &b, e));
    cores_setup(b.threads);
    if (b.o->compare)
        return bench_compare(c,
                             &(struct compare_ask){.name = c->args[0],
                                                   .other = b.o->against,
                                                   .precision = b.choice,
                                                   .shapes = &b.o->shapes,
                                                   .batch = b.batch ? b.batch : 1,
                                                   .threads = b.threads,
                                                   .turns = b.runs ? b.runs : RUNS},
                             e);
    TRY(facts_resolve(c->store, c->args[0], &c->arena, &info, e));
    if (b.o->tune)
        return bench_tune(c,
                          &(struct tune_ask){.name = c->args[0],
                                             .shapes = &b.o->shapes,
                                             .batch = b.batch ? b.batch : 1,
                                             .precision = precision_of(c->store, info.model,
                                                                       info.version, b.choice),
                                             .threads = b.threads,
                                             .runs = b.runs ? b.runs : RUNS},
                          e);
    TRY(loaded_open_model(c->store, info.model, info.version, &b.loaded, e));
    bool language = model_is_language(b.loaded.model);
    const struct bench_plan plan = {
        .o = b.o, .threads = b.threads, .rate = b.rate, .runs = b.runs, .kv_dtype = b.kv_dtype};
    enum code code = OK;
    if (language)
        code = bench_language(c, &b.loaded, &plan, e);
    else if (b.o->draft)
        code = fail(e, USAGE, "--draft is for language models, this is a graph");
    loaded_close(&b.loaded);
    return language || code != OK ? code : bench_graph(&b, &info, e);
}

static const struct option options[] = {
    {"scenario", 0, OPTION_TEXT, offsetof(struct bench_options, scenario), "NAME",
     "single (default), server or offline", NULL},
    {"threads", 't', OPTION_INT, offsetof(struct bench_options, threads), "N", "cores to use (all)",
     "SLIPWAY_THREADS"},
    {"batch", 'b', OPTION_INT, offsetof(struct bench_options, batch), "N",
     "first dim where it is free (1)", NULL},
    {"shape", 's', OPTION_LIST, offsetof(struct bench_options, shapes), "NAME=1,3,64,64",
     "shape of an input, repeatable", NULL},
    {"runs", 'n', OPTION_INT, offsetof(struct bench_options, runs), "N",
     "runs counted, after a warm-up (30; a language model: 3, or 64 requests)", NULL},
    {"rate", 0, OPTION_TEXT, offsetof(struct bench_options, rate), "QPS",
     "server: arrivals per second (70 % of capacity)", NULL},
    {"kv-type", 0, OPTION_TEXT, offsetof(struct bench_options, kv_type), "TYPE", OPTIONS_KV_TYPE,
     NULL},
    {"precision", 0, OPTION_TEXT, offsetof(struct bench_options, precision), "P",
     "f32 (default), bf16, or auto: bf16 where --compare found it good enough", NULL},
    {"compare", 0, OPTION_FLAG, offsetof(struct bench_options, compare), NULL,
     "f32 beside bf16 over kept requests, else made-up inputs; the report is stored", NULL},
    {"against", 0, OPTION_TEXT, offsetof(struct bench_options, against), "MODEL[@VERSION]",
     "compare with that version, both in one precision", NULL},
    {"draft", 0, OPTION_TEXT, offsetof(struct bench_options, draft), "MODEL[@VERSION]",
     "server, offline: a smaller language model that guesses for this one", NULL},
    {"tune", 0, OPTION_FLAG, offsetof(struct bench_options, tune), NULL,
     "try every kernel each node can take; what is faster is kept with the version", NULL},
    {"profile", 0, OPTION_FLAG, offsetof(struct bench_options, profile), NULL,
     "of every node: kernel, time, speed, share of the machine's peak, memory traffic", NULL},
    {"trace", 0, OPTION_TEXT, offsetof(struct bench_options, trace), "FILE",
     "with --profile: the timeline, for ui.perfetto.dev or chrome://tracing", NULL},
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .synopsis = "MODEL[@VERSION|@ALIAS]",
    .about = "Measure how fast a version runs on this machine.",
    .help =
        "Scenarios are those of MLPerf Inference: single (one query after the other), server "
        "(random arrivals,\n"
        "latency from the scheduled time) and offline (everything at once).\n\n"
        "A language model: prompt and answer speeds; server and offline send requests of 64 + 64 "
        "tokens.\n\n"
        "  slipway bench ocr --shape x=1,3,48,320\n"
        "  slipway bench ocr --scenario server --rate 50 --runs 1000\n"
        "  slipway bench ocr --profile --trace ocr.json\n"
        "  slipway bench ocr --compare                    # how far is bf16 from f32, and how "
        "fast\n"
        "  slipway bench ocr@4 --compare --against ocr@3\n"
        "  slipway bench ocr --tune --threads 2",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .options_bytes = sizeof(struct bench_options),
    .options = options,
    .run = run,
};

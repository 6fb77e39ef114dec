/* SPDX-License-Identifier: Apache-2.0 */
/* slipway bench: what its two halves share, for graphs (bench.c) and language models
 * (bench_language.c). */
#pragma once

#include "cli/command.h"

struct loaded;

struct bench_options {
    const char *scenario, *precision, *rate, *against, *draft, *kv_type, *trace;
    int64_t threads, batch, runs;
    struct option_list shapes;
    bool profile, compare, tune;
};

struct bench_plan { /* the options, checked and with their defaults */
    const struct bench_options *o;
    int threads;
    double rate; /* queries per second (server); 0: to be chosen */
    size_t runs; /* 0: to be chosen */
    enum dtype kv_dtype;
};

/* Random arrivals (Poisson) at `rate` a second, in ns from the beginning; the same every time. */
void bench_schedule(double rate, uint64_t *at, size_t n);
void bench_sleep_until(uint64_t ns);                                   /* monotonic */
void bench_sort(uint64_t *ns, size_t n);                               /* ascending */
uint64_t bench_percentile(const uint64_t *sorted, size_t n, double p); /* nearest rank */
uint64_t bench_resident_bytes(void);

/* A language model: prompts, answers of 1, 8, 16 and 64 sequences; `server`: requests at random
 * through the decoder, latencies from the scheduled arrival. */
MUST_USE enum code bench_language(struct cli *c, const struct loaded *l, const struct bench_plan *p,
                                  struct err *e);

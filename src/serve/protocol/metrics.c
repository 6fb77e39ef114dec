/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text on the two paths scrapers are configured with: everybody's and TensorFlow
 * Serving's. Beside our own series the few of TorchServe and Triton that dashboards and autoscalers
 * are set up with; `?name[]=` leaves out the others. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "watch/expose.h"

/* --- the names that other servers' dashboards and autoscalers look for --- */

static double micros(uint64_t ns) { return (double)ns / 1000; }
static double count(uint64_t n) { return (double)n; }

static double successes(const struct live_stats *s) { return count(s->success); }
static double failures(const struct live_stats *s) { return count(s->failed + s->rejected); }
static double all_asks(const struct live_stats *s) { return count(s->success + s->failed); }
static double rows(const struct live_stats *s) { return count(s->rows); }
static double runs(const struct live_stats *s) { return count(s->runs); }
static double total_us(const struct live_stats *s) { return micros(s->success_ns); }
static double queue_us(const struct live_stats *s) { return micros(s->queue_ns); }
static double compute_us(const struct live_stats *s) { return micros(s->compute_ns); }
static double waiting(const struct live_stats *s) { return (double)s->waiting; }

static const struct foreign {
    const char *name, *help, *kind, *model, *version; /* model, version: the labels' names */
    double (*value)(const struct live_stats *s);
} foreigners[] = {
    {"ts_inference_requests_total", "TorchServe: requests.", "counter", "model_name",
     "model_version", all_asks},
    {"ts_inference_latency_microseconds", "TorchServe: sum of latencies.", "counter", "model_name",
     "model_version", total_us},
    {"ts_queue_latency_microseconds", "TorchServe: sum of waiting times.", "counter", "model_name",
     "model_version", queue_us},
    {"nv_inference_request_success", "Triton: requests answered.", "counter", "model", "version",
     successes},
    {"nv_inference_request_failure", "Triton: requests failed.", "counter", "model", "version",
     failures},
    {"nv_inference_count", "Triton: rows.", "counter", "model", "version", rows},
    {"nv_inference_exec_count", "Triton: runs.", "counter", "model", "version", runs},
    {"nv_inference_request_duration_us", "Triton: sum of durations.", "counter", "model", "version",
     total_us},
    {"nv_inference_queue_duration_us", "Triton: sum of waiting times.", "counter", "model",
     "version", queue_us},
    {"nv_inference_compute_infer_duration_us", "Triton: sum of computing times.", "counter",
     "model", "version", compute_us},
    {"nv_inference_pending_request_count", "Triton: requests waiting.", "gauge", "model", "version",
     waiting},
};

static enum code put_foreign(struct request *r, struct buf *b, struct err *e) {
    struct live_info *all;
    size_t n;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    for (size_t k = 0; k < sizeof foreigners / sizeof *foreigners; k++) {
        const struct foreign *f = &foreigners[k];
        expose_family(b, f->name, f->help, f->kind);
        for (size_t i = 0; i < n; i++) {
            char version[24];
            struct live_stats s;
            if (!all[i].live)
                continue;
            live_stats(all[i].live, &s);
            snprintf(version, sizeof version, "%llu", (unsigned long long)all[i].version);
            const struct expose_label labels[] = {{f->model, all[i].model},
                                                  {f->version, str_of(version)}};
            expose_sample(b, f->name, labels, 2, f->value(&s));
        }
    }
    return OK;
}

/* --- ?name[]=FAMILY&name[]=FAMILY, as TorchServe's metrics API takes it: only those --- */

/* The next family asked for, taken off the query; false: there is none. */
static bool next_name(struct str *query, struct str *name) {
    while (query->n) {
        size_t end = query->n, at;
        str_find(*query, '&', &end);
        struct str pair = str_sub(*query, 0, end);
        *query = str_sub(*query, end + 1, query->n);
        if (!str_find(pair, '=', &at))
            continue;
        struct str key = str_sub(pair, 0, at);
        *name = str_sub(pair, at + 1, pair.n);
        if (str_is(key, "name[]") || str_eq_nocase(key, LIT("name%5b%5d")))
            return true;
    }
    return false;
}

static bool asks_for(struct str query, struct str family) {
    struct str name;
    while (next_name(&query, &name))
        if (str_eq(name, family))
            return true;
    return false;
}

/* Families begin with their HELP; those that nobody asked for go. */
static void keep_named(struct buf *b, struct str query) {
    static const char help[] = "# HELP ";
    struct str text = buf_str(b), ignored = query, name;
    size_t kept = 0, end;
    bool wanted = false;
    if (b->code != OK || !next_name(&ignored, &name))
        return;
    for (; text.n; text = str_sub(text, end, text.n)) {
        end = text.n;
        if (str_find(text, '\n', &end))
            end++;
        if (str_starts(text, help)) {
            size_t space = text.n;
            name = str_sub(text, sizeof help - 1, text.n);
            str_find(name, ' ', &space);
            wanted = asks_for(query, str_sub(name, 0, space));
        }
        if (wanted)
            memmove(b->p + kept, text.p, end);
        kept += wanted ? end : 0;
    }
    b->n = kept;
}

/* --- the page --- */

static enum code page(struct request *r, struct err *e) {
    struct buf *b = answer_buf(r, 16 << 10, e);
    if (!b)
        return e->code;
    expose_family(b, "slipway_build_info", "Always 1; the version is the label.", "gauge");
    expose_sample(b, "slipway_build_info", &(struct expose_label){"version", LIT(SLIPWAY_VERSION)},
                  1, 1);
    expose_text(b);
    TRY(put_foreign(r, b, e));
    keep_named(b, r->x->request.query);
    answer_type(r, 200, LIT(EXPOSE_TYPE));
    return answer_part(r, b, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/metrics", ROUTE_QUIET | ROUTE_INSIDE, page},
    {ROUTE_GET, "/monitoring/prometheus/metrics", ROUTE_QUIET | ROUTE_INSIDE, page},
};

const struct protocol protocol_metrics = {
    .name = "metrics",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};

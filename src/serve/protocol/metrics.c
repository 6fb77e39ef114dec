/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text on the two paths scrapers are configured with: everybody's and TensorFlow
 * Serving's. Beside our own series the few of TorchServe and Triton that dashboards and autoscalers
 * are set up with. */
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

static enum code page(struct request *r, struct err *e) {
    struct buf *b = answer_buf(r, 16 << 10, e);
    if (!b)
        return e->code;
    expose_family(b, "slipway_build_info", "Always 1; the version is the label.", "gauge");
    expose_sample(b, "slipway_build_info", &(struct expose_label){"version", LIT(SLIPWAY_VERSION)},
                  1, 1);
    expose_text(b);
    TRY(put_foreign(r, b, e));
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Request counters: see meter.h.
 *
 * counter_get takes a lock, so the series a loop has found are remembered in an open table of the
 * loop's own. Labels come only from models that exist and from our own protocol names, never from a
 * client's text; beyond 3/4 of the table all further series are counted as model "_other", so the
 * number of series is bounded whatever is deployed. */
#include "serve/meter.h"

#include "base/hash.h"

static const struct counter_family requests = {
    .name = "slipway_requests_total",
    .help = "Requests answered, by model (empty: none was asked for), protocol and HTTP status.",
    .kind = COUNTER_TOTAL,
    .n_labels = 4,
    .labels = {"model", "version", "protocol", "code"},
};
static const struct counter_family duration = {
    .name = "slipway_request_duration_seconds",
    .help = "From the first byte of a request to its answer handed to the kernel.",
    .kind = COUNTER_HISTOGRAM,
    .n_labels = 3,
    .labels = {"model", "version", "protocol"},
    .n_buckets = 14,
    .buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5,
                10},
};

static uint64_t hash_of(struct str model, uint64_t version, const char *protocol) {
    uint64_t h = hash_bytes(model.p, model.n) ^ version * 0x9e3779b97f4a7c15u ^
                 (uint64_t)(uintptr_t)protocol << 7;
    return h ? h : 1;
}

static void fill(struct meter_row *row, uint64_t hash, struct str model, uint64_t version,
                 const char *protocol) {
    *row = (struct meter_row){.hash = hash, .protocol = protocol};
    snprintf(row->model, sizeof row->model, "%.*s", STR(model));
    if (version)
        snprintf(row->version, sizeof row->version, "%llu", (unsigned long long)version);
    const struct str labels[] = {str_of(row->model), str_of(row->version), str_of(protocol)};
    row->duration = counter_get(&duration, labels);
}

static struct meter_row *find(struct meter *m, struct str model, uint64_t version,
                              const char *protocol) {
    uint64_t hash = hash_of(model, version, protocol);
    size_t at = hash % METER_ROWS;
    for (; m->rows[at].hash; at = (at + 1) % METER_ROWS)
        if (m->rows[at].hash == hash && m->rows[at].protocol == protocol &&
            str_is(model, m->rows[at].model))
            return &m->rows[at];
    if (m->n >= METER_ROWS * 3 / 4 && !str_is(model, "_other"))
        return find(m, LIT("_other"), 0, protocol);
    m->n++;
    fill(&m->rows[at], hash, model, version, protocol);
    return &m->rows[at];
}

static struct counter *total_of(struct meter_row *row, int status) {
    char text[12];
    for (int i = 0; i < METER_CODES; i++) {
        if (row->codes[i] == status)
            return row->totals[i];
        if (row->codes[i])
            continue;
        snprintf(text, sizeof text, "%d", status);
        const struct str labels[] = {str_of(row->model), str_of(row->version),
                                     str_of(row->protocol), str_of(text)};
        row->codes[i] = status;
        row->totals[i] = counter_get(&requests, labels);
        return row->totals[i];
    }
    return row->totals[METER_CODES - 1];
}

void meter_request(struct meter *m, struct str model, uint64_t version, const char *protocol,
                   int status, uint64_t ns) {
    struct meter_row *row = find(m, model, version, protocol);
    counter_add(total_of(row, status), 1);
    counter_observe(row->duration, (double)ns * 1e-9);
}

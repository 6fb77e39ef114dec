/* SPDX-License-Identifier: Apache-2.0 */
/* The trail requests leave: an access log of one JSON line per request, and a log line for each
 * slow one. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct trail_line { /* all text borrowed for the call */
    struct str request_id, traceparent, peer, method, target, protocol, model, error,
        key; /* its name, never the key */
    uint64_t version;
    int status;
    uint64_t bytes_in, bytes_out;
    uint64_t total_ns, queue_ns, compute_ns;
    size_t batch_rows; /* 0: no model ran */
};

/* One per thread that writes; never shared. Lines are gathered and go out whole, many per write. */
struct trail {
    int fd;
    bool access;
    uint64_t slow_ns; /* 0: never */
    uint64_t dropped; /* lines that could not be written */
    struct buf lines;
};

void trail_init(struct trail *t, int fd, bool access, uint64_t slow_ms);
void trail_deinit(struct trail *t); /* flushes */
void trail_put(struct trail *t, const struct trail_line *line,
               bool quiet);        /* quiet: not to the access log */
void trail_flush(struct trail *t); /* call every few hundred milliseconds */

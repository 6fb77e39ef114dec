/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted per request: slipway_requests_total{model,version,protocol,code} and
 * slipway_request_duration_seconds{model,version,protocol}. One per loop; never shared. */
#pragma once

#include "base/counter.h"

enum { METER_ROWS = 512, METER_CODES = 12 };

struct meter_row {
    uint64_t hash; /* of the three labels; 0: free */
    char model[129], version[24];
    const char *protocol;
    struct counter *duration;
    int codes[METER_CODES]; /* 0: free */
    struct counter *totals[METER_CODES];
};

struct meter {
    struct meter_row rows[METER_ROWS];
    size_t n;
};

void meter_request(struct meter *m, struct str model, uint64_t version, const char *protocol,
                   int status, uint64_t ns);

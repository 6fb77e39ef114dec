/* SPDX-License-Identifier: Apache-2.0 */
/* `slipway bench --tune`: every way a node can be computed, measured within the model. */
#pragma once

#include "cli/command.h"
#include "plan/session.h"

struct tune_ask {
    const char *name;
    const struct option_list *shapes;
    int64_t batch;
    enum precision precision;
    int threads;
    size_t runs; /* of each way */
};
MUST_USE enum code bench_tune(struct cli *c, const struct tune_ask *ask, struct err *e);

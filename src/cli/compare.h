/* SPDX-License-Identifier: Apache-2.0 */
/* `slipway bench --compare`: two sessions side by side, in words or JSON. */
#pragma once

#include "cli/command.h"
#include "host/quality.h"

struct compare_ask {
    const char *name, *other;        /* other: a second version, or NULL: the same in bf16 */
    enum precision_choice precision; /* of both, where there are two versions */
    const struct option_list *shapes;
    int64_t batch;
    int threads;
    size_t turns;
};
MUST_USE enum code bench_compare(struct cli *c, const struct compare_ask *ask, struct err *e);

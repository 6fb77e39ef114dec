/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one pure node on known data while planning: how constants are folded. Single-threaded; no
 * subgraphs. */
#pragma once

#include "graph/op.h"

/* in: (n_in), NULL: absent. in_values/out_values as infer left them (all shapes known). out:
 * (n_out), tensors made in `keep`; absent outputs have dtype DT_NONE. Fails as the operator fails;
 * `keep` then holds garbage until it ends. */
struct trial {
    const struct graph *graph;
    const struct node *node;
    const struct tensor *const *in;
    const struct op_value *in_values, *out_values;
    struct arena *keep;
};
MUST_USE enum code trial_run(const struct trial *t, struct tensor *out, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one pure node on known data while planning: how constants are folded. Single-threaded; no
 * subgraphs. */
#pragma once

#include "graph/op.h"

/* in: (n_in), NULL: absent. in_values/out_values as infer left them (all shapes known). out:
 * (n_out), tensors made in `keep`; absent outputs have dtype DT_NONE. Fails as the operator fails;
 * `keep` then holds garbage until it ends. LIMIT, before it runs, when the operator says that it
 * takes more than `most` operations; TIMEOUT when one that cannot say asks after a second of work
 * whether it should go on. */
struct trial {
    const struct graph *graph;
    const struct node *node;
    const struct tensor *const *in;
    const struct op_value *in_values, *out_values;
    struct arena *keep;
    double most;
    double flops; /* out: what the operator says, or 0 */
};
MUST_USE enum code trial_run(struct trial *t, struct tensor *out, struct err *e);

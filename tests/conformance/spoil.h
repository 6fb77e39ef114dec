/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a model that works, and its inputs, into ones that perhaps should not: extreme values,
 * other shapes and types, wrong attributes, missing operands, operands of other nodes, false
 * declarations, in bodies as well. The same seed spoils the same way.
 * What comes out still passes graph_verify, or spoil says so. */
#pragma once

#include "graph/model.h"

struct spoil {
    uint64_t state; /* the seed */
    struct arena *arena;
};

/* inputs (n) in the order of the model's; declared input types are changed along. False: no longer
 * a model. */
bool spoil_case(struct spoil *s, struct model *m, struct tensor *inputs, int n);

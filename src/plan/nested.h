/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of If, Loop and Scan: each is a small model of its own, with what it captures as further
 * inputs, and a shelf of plans. Made with the plan whose graph holds the node; ends with it. */
#pragma once

#include "plan/shelf.h"

struct nested {
    struct nested *next;
    const struct graph *body; /* in the plan's graph: the key */
    struct model *model;      /* lifted: inputs = the body's, then captures */
    value_id *captures;       /* (n_captures) ids in the plan's graph */
    int n_formal, n_captures;
    struct shelf shelf;
};
/* Lifts the bodies of all nodes of p->graph. */
MUST_USE enum code nested_make(struct plan *p, struct err *e);
struct nested *nested_find(const struct plan *p, const struct graph *body);
void nested_free(struct plan *p);

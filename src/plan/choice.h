/* SPDX-License-Identifier: Apache-2.0 */
/* What a trial found out: which of its ways a node is fastest done. Nodes are named by what they
 * compute and on how many threads, not by where they stand: equal layers share a choice, and one
 * list serves all shapes that were tried. */
#pragma once

#include "graph/op.h"

struct choice {
    uint64_t node; /* choice_node */
    int way;       /* op_prepare.way */
};

enum { CHOICE_RULE = -1 }; /* session_options.way: what no trial has touched */

uint64_t choice_node(const struct node *n, const struct op_value *in, const struct op_value *out,
                     int threads);
void choice_sort(struct choice *choices, size_t n); /* by nodes */
/* Of n choices in the order of their nodes; 0: there is none for this one. */
int choice_find(const struct choice *choices, size_t n, uint64_t node);

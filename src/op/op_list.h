/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of operators: every `const struct op op_NAME` of this folder, listed in list.h as
 * OP(NAME). */
#pragma once

#include "graph/op.h"

#define OP(name) extern const struct op op_##name;
#include "op/list.h"
#undef OP

const struct op *op_find(struct str name); /* by our name; NULL when unknown */
size_t op_count(void);
const struct op *op_at(size_t index);

/* Sets node->op from node->op_name in the main graph and all subgraphs; UNSUPPORTED names node and
 * operator. */
MUST_USE enum code op_resolve(struct model *m, struct err *e);

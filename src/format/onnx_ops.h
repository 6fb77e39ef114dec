/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX vocabulary: foreign operator names to ours. */
#pragma once

#include "base/arena.h"
#include "base/map.h"

struct onnx_op {
    const char *type; /* ONNX op_type */
    int since, until; /* opsets of its domain in which it may be used, inclusive; until 0: still */
    const char *name; /* ours, as in op/list.h */
};

/* Opsets of the default domain this build understands. */
enum { ONNX_OPSET_NEWEST = 28, ONNX_IR_NEWEST = 14 };

/* "ai.onnx" and "" are the same domain; both give "ai.onnx". */
struct str onnx_ops_domain(struct str domain);

/* Newest known opset of a domain; 0: the domain is unknown. */
int onnx_ops_newest(struct str domain);

/* An index over all rows, for a reader that asks once per node. */
struct onnx_ops {
    struct map rows; /* "domain:type" to the first of its rows */
};
MUST_USE enum code onnx_ops_index(struct onnx_ops *ops, struct arena *a, struct err *e);

/* The row for this opset; NULL: no such operator there. *other: a row of the same name for another
 * opset, or NULL. */
const struct onnx_op *onnx_ops_find(const struct onnx_ops *ops, struct str domain, struct str type,
                                    int opset, const struct onnx_op **other);

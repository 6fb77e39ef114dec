/* SPDX-License-Identifier: Apache-2.0 */
/* node->post: the functions and additions that passes have fused behind a node, applied to f32
 * results while they are still in cache. Operators with OP_POST call post_apply on each stretch
 * they have just written. */
#pragma once

#include "graph/op.h"
#include "kernel/dnnl.h"

/* Applies all of node->post to elements [begin, begin + count) of y, counted in the order they lie.
 * Any number of threads may work on different stretches. y is f32, operands of ADD and
 * MUL are f32, f16 or bf16. */
void post_apply(const struct op_call *c, const struct tensor *y, size_t begin, size_t count);

/* The same to elements that lie at `at`, as f32; y, of any type, says only shape and layout. */
void post_apply_at(const struct op_call *c, const struct tensor *y, float *at, size_t begin,
                   size_t count);

/* All but the first `done` posts. */
void post_apply_from(const struct op_call *c, const struct tensor *y, int done, size_t begin,
                     size_t count);

/* The same to all of y but for the first `done` posts, by a team where that pays. */
void post_apply_all(const struct op_call *c, const struct tensor *y, int done);

/* made: all of output 0 as f32, in its order. All posts, then rounded into the output, by a team
 * where that pays. */
void post_deliver(const struct op_call *c, float *made);

/* Nanoseconds per element, for team_size. */
double post_cost(const struct node *n);

/* node->post in oneDNN's terms, for an output in channels-last order (or rank 2, 3 rows of a matrix
 * product); operand i of ADD and MUL is node input node->post[i].input. false: an operand is in the
 * wrong layout or type. */
bool post_fused(const struct op_prepare *c, struct dnnl_fused out[DNNL_FUSED_MAX]);
/* For a matrix product, which oneDNN sees as (rows, n) whatever the output's shape: false when an
 * operand is neither one row nor all of them. */
bool post_flatten(struct dnnl_fused *f, int n, const struct shape *out, size_t rows);
/* The operands of a task whose posts, but for the first `done`, are fused. */
void post_extras(const struct op_call *c, bool fused, int done, struct dnnl_run *run);

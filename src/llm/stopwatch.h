/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a forward pass is, on tokens that mean nothing: one timing each, of a forward pass
 * nobody else uses meanwhile. Callers repeat and take the best. */
#pragma once

#include "llm/forward.h"

/* Tokens per second of a prompt of n. */
MUST_USE enum code stopwatch_prefill(struct forward *f, size_t n, double *per_second,
                                     struct err *e);
/* Of `width` sequences that get `steps` tokens each, after one step to warm up. */
MUST_USE enum code stopwatch_decode(struct forward *f, int steps, int width, double *per_second,
                                    struct err *e);
/* One sequence: a prompt of `depth` tokens, then `steps` more, one at a time. */
MUST_USE enum code stopwatch_depth(struct forward *f, size_t depth, int steps, double *prefill,
                                   double *decode, struct err *e);
/* An encoder's texts per second: n of `tokens` each, all in one step. */
MUST_USE enum code stopwatch_embed(struct forward *f, size_t n, size_t tokens, double *per_second,
                                   struct err *e);

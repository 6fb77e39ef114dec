/* SPDX-License-Identifier: Apache-2.0 */
/* Small questions that patterns are made of: is this node an add with a scalar constant, what made
 * this value, is that constant one number per channel. All answers follow the replacements of the
 * rewire at hand. */
#pragma once

#include "plan/rewire.h"

/* The producer of v when it is this operator and has no posts; NULL otherwise. */
struct node *match_producer(struct rewire *w, value_id v, const char *op_name);
/* The same, and v has no reader but the one at hand. */
struct node *match_only(struct rewire *w, value_id v, const char *op_name);

/* v is a constant with one element (any numeric type). */
bool match_number(const struct rewire *w, value_id v, double *out);
/* Binary operator with a one-element constant on either side, or on the right side only. *x: the
 * other operand. */
bool match_scalar(struct rewire *w, const struct node *n, const char *op_name, value_id *x,
                  double *c);
bool match_scalar_right(struct rewire *w, const struct node *n, const char *op_name, value_id *x,
                        double *c);
/* The operand of a binary node that is not v; VALUE_NONE when v is not an operand. Both being v
 * gives v. */
value_id match_other(const struct rewire *w, const struct node *n, value_id v);

/* a and b agree to float rounding. */
bool match_near(double a, double b);

/* t has one element, or exactly `channels`, lying on axis `axis` of a value of this rank (numpy
 * broadcasting). */
bool match_per_channel(const struct tensor *t, int rank, int axis, int64_t channels);
/* v's shape and type as last walked; NULL when not known. */
const struct shape *match_shape(const struct rewire *w, value_id v);
enum dtype match_dtype(const struct rewire *w, value_id v);

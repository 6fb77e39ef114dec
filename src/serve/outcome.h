/* SPDX-License-Identifier: Apache-2.0 */
/* What a version's outputs mean (the "labels" and "postprocess" of its recipe), as tensors, so that
 * every protocol can answer it:
 *
 *   labels, top, softmax   "classes" strings [N,k] (the label, or the class as digits), "scores"
 * f32 [N,k], best first ctc                    "text" strings [N], "confidence" f32 [N] boxes
 * "boxes" f32 [N,k,4] (x0 y0 x1 y1, pixels of the picture sent), "classes" [N,k], "scores" [N,k];
 * an image with fewer than k boxes has "" and 0 in the rest */
#pragma once

#include "serve/rank.h"
#include "serve/recipe.h"

enum { OUTCOME_MAX = 3 };

/* The names above; 0: the recipe declares nothing. */
size_t outcome_names(const struct recipe *r, struct str names[OUTCOME_MAX]);
/* The signature of outcome `name` (rank and dims, -1: free); false: there is none. */
bool outcome_io(const struct recipe *r, struct str name, struct live_io *out);
/* The output it is read from: a place in live_outputs. */
MUST_USE enum code outcome_source(const struct recipe *r, const struct live *l, size_t *at,
                                  struct err *e);
/* views: how the images lie in the input, one for each row; n_views 0: the tensor came as it is. */
MUST_USE enum code outcome_make(const struct recipe *r, const struct tensor *t,
                                const struct recipe_view *views, size_t n_views, struct arena *a,
                                struct ask_tensor out[OUTCOME_MAX], struct err *e);

/* The k best of elements [from, from + n) of t, as probabilities when the recipe says softmax. */
void outcome_rank(const struct recipe *r, const struct tensor *t, size_t from, size_t n,
                  struct ranked *out, size_t k);
/* How many classes are named out of n. */
size_t outcome_top(const struct recipe *r, size_t n);
/* The boxes of one row, in pixels of the picture sent. */
MUST_USE enum code outcome_boxes(const struct recipe *r, const struct tensor *t, size_t row,
                                 const struct recipe_view *view, struct arena *a, struct box **out,
                                 size_t *n, struct err *e);
/* The label, or digits in the arena. */
MUST_USE enum code outcome_label(const struct recipe *r, size_t class, struct arena *a,
                                 struct str *out, struct err *e);

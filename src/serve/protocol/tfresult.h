/* SPDX-License-Identifier: Apache-2.0 */
/* What TensorFlow Serving's Classify and Regress answer, out of an ask's outputs: the same over
 * REST and gRPC, which only write it. */
#pragma once

#include "serve/request.h"

struct tfresult {                /* of a classification: rows x classes scores, row by row */
    const struct tensor *scores; /* borrowed from the ask */
    size_t rows, classes;
    const struct str *names;     /* (rows x classes) the model's "classes"; NULL: none */
    const struct str *columns;   /* (classes) names of the scores' columns; NULL: none */
    const struct recipe *recipe; /* whose labels are the names else */
};

/* The output "scores", else the first one of floats. INVALID: there is none. */
MUST_USE enum code tfresult_classes(struct request *r, struct tfresult *out, struct err *e);
/* Of score `at` in rows x classes; an index is written into the arena. */
MUST_USE enum code tfresult_label(const struct tfresult *t, size_t at, struct arena *a,
                                  struct str *out, struct err *e);
/* The output "outputs", else the first one of floats: one number a row. */
MUST_USE enum code tfresult_values(const struct ask *a, const struct tensor **out, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/* All rows of a query as one array in an arena. */
#pragma once

#include "store/sqlite.h"

struct tuples {
    struct arena *arena; /* where the array and its texts go */
    size_t row_bytes;
    /* Fills one zeroed element from the query's current row. */
    enum code (*read)(const struct query *q, struct tuples *r, void *element, struct err *e);
    void *ctx; /* for read */
    void *p;   /* out: n elements */
    size_t n;
};

/* Steps a begun query to its end, and ends it whatever happens. */
MUST_USE enum code tuples_read(struct tuples *r, struct query *q, struct err *e);
/* A text column copied into r->arena. */
MUST_USE enum code tuples_text(struct tuples *r, const struct query *q, int column, struct str *out,
                               struct err *e);

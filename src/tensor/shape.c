/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes: products, broadcasting, strides. Nothing here trusts a dim: products are checked, strides
 * wrap. */
#include "tensor/shape.h"

#include "base/mem.h"

#include <stdio.h>

#define COUNT_MAX ((size_t)1 << 48) /* elements */

bool shape_eq(const struct shape *a, const struct shape *b) {
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

bool shape_known(const struct shape *s) {
    for (int d = 0; d < s->rank; d++)
        if (s->dims[d] < 0)
            return false;
    return true;
}

bool shape_count(const struct shape *s, size_t *out) {
    size_t n = 1;
    bool empty = false;
    for (int d = 0; d < s->rank; d++) {
        if (s->dims[d] < 0)
            return false;
        empty |= s->dims[d] == 0;
    }
    for (int d = 0; d < s->rank && !empty; d++)
        if (!mul_size(n, (size_t)s->dims[d], &n) || n > COUNT_MAX)
            return false;
    *out = empty ? 0 : n;
    return true;
}

bool shape_bytes(const struct shape *s, size_t element_bytes, size_t *out) {
    size_t n;
    return shape_count(s, &n) && mul_size(n, element_bytes, out);
}

bool shape_broadcast(const struct shape *a, const struct shape *b, struct shape *out) {
    struct shape r = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int d = 0; d < r.rank; d++) {
        int ia = d - (r.rank - a->rank), ib = d - (r.rank - b->rank);
        int64_t x = ia < 0 ? 1 : a->dims[ia], y = ib < 0 ? 1 : b->dims[ib];
        if (x != y && x != 1 && y != 1)
            return false;
        r.dims[d] = x == 1 ? y : x;
    }
    *out = r;
    return true;
}

void shape_strides(const struct shape *s, int64_t strides[SHAPE_MAX]) {
    uint64_t step = 1; /* unsigned: a shape that was never counted may wrap, harmlessly */
    for (int d = s->rank - 1; d >= 0; d--) {
        strides[d] = (int64_t)step;
        step *= (uint64_t)s->dims[d];
    }
}

void shape_strides_to(const struct shape *s, const struct shape *to, int64_t strides[SHAPE_MAX]) {
    int64_t own[SHAPE_MAX];
    shape_strides(s, own);
    for (int d = 0; d < to->rank; d++) {
        int from = d - (to->rank - s->rank);
        bool repeat = from < 0 || (s->dims[from] == 1 && to->dims[d] != 1);
        strides[d] = repeat ? 0 : own[from];
    }
}

bool shape_axis(int64_t axis, int rank, int *out) {
    if (axis < -(int64_t)rank || axis >= rank)
        return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* Rank 8 with 20 characters a dim fits in SHAPE_TEXT. */
const char *shape_print(const struct shape *s, char text[SHAPE_TEXT]) {
    size_t at = 0;
    text[at++] = '[';
    for (int d = 0; d < s->rank && d < SHAPE_MAX; d++)
        at += (size_t)snprintf(text + at, SHAPE_TEXT - at, d ? ",%lld" : "%lld",
                               (long long)s->dims[d]);
    text[at++] = ']';
    text[at] = '\0';
    return text;
}

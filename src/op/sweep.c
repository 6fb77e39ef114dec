/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting axes into swept and kept; see sweep.h. */
#include "op/sweep.h"

/* Appends an inner dim, joined to the last one where it continues it. */
static void push(struct sweep_dims *d, size_t dim, ptrdiff_t stride) {
    d->count *= dim;
    if (dim == 1)
        return;
    int last = d->rank - 1;
    if (last >= 0 && d->strides[last] == stride * (ptrdiff_t)dim) {
        d->dims[last] *= dim;
        d->strides[last] = stride;
        return;
    }
    d->dims[d->rank] = dim;
    d->strides[d->rank++] = stride;
}

/* Logical axis of x that stands at each place of the order: a kept axis where y has it, any other
 * where x has it. */
static int axis_order(const struct tensor *x, unsigned axes, const struct tensor *y,
                      int order[SHAPE_MAX]) {
    int place[SHAPE_MAX], n = 0;
    for (int axis = 0, own = 0; axis < x->shape.rank; axis++) {
        bool kept = !(axes >> axis & 1u), same = y && y->shape.rank == x->shape.rank;
        int in_y = same ? axis : own;
        own += kept;
        place[axis] = kept && y && (same || in_y < y->shape.rank) ? tensor_physical_axis(y, in_y)
                                                                  : tensor_physical_axis(x, axis);
    }
    for (int axis = 0; axis < x->shape.rank; axis++) { /* insertion keeps equal places in order */
        int at = n++;
        for (; at > 0 && place[order[at - 1]] > place[axis]; at--)
            order[at] = order[at - 1];
        order[at] = axis;
    }
    return n;
}

void sweep_plan(struct sweep *s, const struct tensor *x, unsigned axes, const struct tensor *y) {
    struct shape physical;
    int64_t strides[SHAPE_MAX];
    int order[SHAPE_MAX];
    tensor_physical_shape(x, &physical);
    shape_strides(&physical, strides);
    s->kept = s->swept = (struct sweep_dims){.count = 1};
    int n = axis_order(x, axes, y, order);
    for (int k = 0; k < n; k++)
        if (!(axes >> order[k] & 1u))
            push(&s->kept, (size_t)x->shape.dims[order[k]],
                 (ptrdiff_t)strides[tensor_physical_axis(x, order[k])]);
    for (int place = 0; place < n; place++)
        for (int axis = 0; axis < n; axis++)
            if (tensor_physical_axis(x, axis) == place && axes >> axis & 1u)
                push(&s->swept, (size_t)x->shape.dims[axis], (ptrdiff_t)strides[place]);
}

size_t sweep_position(const struct sweep_dims *d, size_t index) {
    size_t position = 0;
    for (int k = d->rank - 1; k >= 0; index /= d->dims[k], k--)
        position += index % d->dims[k] * (size_t)d->strides[k];
    return position;
}

void sweep_begin(const struct sweep_dims *d, size_t index, struct sweep_cursor *c) {
    *c = (struct sweep_cursor){0};
    for (int k = d->count ? d->rank - 1 : -1; k >= 0; index /= d->dims[k], k--) {
        c->at[k] = index % d->dims[k];
        c->position += c->at[k] * (size_t)d->strides[k];
    }
}

void sweep_next(const struct sweep_dims *d, struct sweep_cursor *c) {
    for (int k = d->rank - 1; k >= 0; k--) {
        c->position += (size_t)d->strides[k];
        if (++c->at[k] < d->dims[k])
            return;
        c->position -= (size_t)d->strides[k] * d->dims[k];
        c->at[k] = 0;
    }
}

bool sweep_line(const struct sweep_dims *d, ptrdiff_t *step) {
    *step = d->rank ? d->strides[d->rank - 1] : 1;
    return d->rank <= 1;
}

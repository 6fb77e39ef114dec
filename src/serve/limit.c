/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in flight: see limit.h. */
#include "serve/limit.h"

static bool take(_Atomic size_t *now, size_t most, size_t *before) {
    *before = atomic_fetch_add_explicit(now, 1, memory_order_relaxed);
    if (*before < most)
        return true;
    atomic_fetch_sub_explicit(now, 1, memory_order_relaxed);
    return false;
}

enum code limit_enter(struct limit *l, bool stream, struct err *e) {
    size_t before, half = (l->most + 1) / 2;
    if (stream && !take(&l->streams, half, &before))
        return fail(e, OVERLOAD,
                    "%zu streams are open, the limit is %zu (half of --max-requests); try again "
                    "later",
                    before, half);
    if (take(&l->requests, l->most, &before))
        return OK;
    if (stream)
        atomic_fetch_sub_explicit(&l->streams, 1, memory_order_relaxed);
    return fail(e, OVERLOAD,
                "%zu requests are in flight, the limit is %zu (--max-requests); try again later",
                before, l->most);
}

void limit_leave(struct limit *l, bool stream) {
    atomic_fetch_sub_explicit(&l->requests, 1, memory_order_relaxed);
    if (stream)
        atomic_fetch_sub_explicit(&l->streams, 1, memory_order_relaxed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in flight: see limit.h. */
#include "serve/limit.h"

enum code limit_enter(struct limit *l, struct err *e) {
    size_t before = atomic_fetch_add_explicit(&l->requests, 1, memory_order_relaxed);
    if (before < l->most)
        return OK;
    atomic_fetch_sub_explicit(&l->requests, 1, memory_order_relaxed);
    return fail(e, OVERLOAD,
                "%zu requests are in flight, the limit is %zu (--max-requests); try again later",
                before, l->most);
}

void limit_leave(struct limit *l) {
    atomic_fetch_sub_explicit(&l->requests, 1, memory_order_relaxed);
}

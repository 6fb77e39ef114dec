/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests may be between their head and their answer at one time, over all loops. (The
 * memory of bodies is bounded by net, waiting runs by the host's queues.) One atomic. */
#pragma once

#include "base/err.h"

#include <stdatomic.h>

struct limit {
    _Atomic size_t requests; /* now */
    size_t most;
};

MUST_USE enum code limit_enter(struct limit *l, struct err *e); /* OVERLOAD: nothing was taken */
void limit_leave(struct limit *l);

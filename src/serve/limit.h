/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests may be between their head and their answer at one time, over all loops. (The
 * memory of bodies is bounded by net, waiting runs by the host's queues.) Streams of messages may
 * be silent for as long as their clients like: they get no more than half, so that silence keeps
 * nobody out who asks. */
#pragma once

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

struct limit {
    _Atomic size_t requests, streams; /* now; streams are among the requests */
    size_t most;
};

/* OVERLOAD: nothing was taken. */
MUST_USE enum code limit_enter(struct limit *l, bool stream, struct err *e);
void limit_leave(struct limit *l, bool stream);

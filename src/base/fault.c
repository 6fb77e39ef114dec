/* SPDX-License-Identifier: Apache-2.0 */
/* Fault injection: see fault.h. */
#include "base/fault.h"

#ifdef SLIPWAY_FAULT
#include <stdatomic.h>

static _Atomic long remaining[FAULT_N]; /* 0 = not armed */
static _Atomic bool stays[FAULT_N];
static _Atomic bool fired;

void fault_arm(enum fault_site site, long nth, bool sticky) {
    atomic_store(&fired, false);
    atomic_store(&stays[site], sticky);
    atomic_store(&remaining[site], nth);
}

bool fault_hit(enum fault_site site) {
    long left = atomic_load_explicit(&remaining[site], memory_order_relaxed);
    if (left == 0)
        return false;
    if (left < 0) /* already fired and sticky */
        return true;
    if (atomic_fetch_sub(&remaining[site], 1) != 1)
        return false;
    atomic_store(&fired, true);
    if (atomic_load(&stays[site]))
        atomic_store(&remaining[site], -1);
    return true;
}

bool fault_fired(void) { return atomic_load(&fired); }
#endif

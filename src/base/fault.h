/* SPDX-License-Identifier: Apache-2.0 */
/* Fault injection: the Nth allocation, read, write, ... fails (SQLite's do_faultsim_test idea).
 *
 * Code that can fail for an outside reason asks FAULT(site) first and behaves as if the call had
 * failed. In release builds (option fault=false) FAULT is constant 0. Counters are process-wide
 * atomics. */
#pragma once

#include <stdbool.h>

enum fault_site {
    FAULT_ALLOC,
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_FSYNC,
    FAULT_RENAME,
    FAULT_MMAP,
    FAULT_SEND,
    FAULT_DB,
    FAULT_N
};

#ifdef SLIPWAY_FAULT
#define FAULT(site) __builtin_expect(fault_hit(site), 0)
bool fault_hit(enum fault_site site);
/* Arms one site: its nth call from now (1 = next) fails; sticky: all after it fail too. n = 0
 * disarms. */
void fault_arm(enum fault_site site, long nth, bool sticky);
bool fault_fired(void); /* since fault_arm */
#else
#define FAULT(site) 0
#endif

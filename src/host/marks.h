/* SPDX-License-Identifier: Apache-2.0 */
/* What was under way when a process died, in a file that outlives it: a version that takes the
 * whole process down is known to the next one.
 *
 *   STORE/run/serve-XXXXXX   one per serving process, mapped and locked while it lives: a mark per
 *                            loaded version
 *   STORE/run/crashes        a line per death a version was near: MODEL VERSION UNIX-SECONDS;
 *                            seconds 0: forgiven
 *
 * A version being loaded when its process died is blamed, however it died (what needs too much
 * memory is killed). One that was running is blamed when the process died by its own fault
 * (SIGSEGV, SIGABRT, ...), not when somebody killed it; of several marks in one process the first
 * hear of that. */
#pragma once

#include "base/err.h"
#include "store/store.h"

#include <stdatomic.h>

struct marks; /* opaque */

struct mark { /* of a version; in the mapped file */
    _Alignas(64) _Atomic uint32_t taken, loading, running;
    uint64_t version;
    char model[STORE_NAME_MAX + 1];
};

/* Blames what died before, then begins a file of its own. */
MUST_USE enum code marks_open(const struct store *s, struct marks **out, struct err *e);
void marks_close(struct marks *m); /* a good end: the file goes. NULL: nothing */

/* A mark for this version; NULL: there are too many, or m is NULL. Given back by mark_drop. */
struct mark *marks_take(struct marks *m, struct str model, uint64_t version);
void mark_drop(struct mark *k);

/* Any thread; k may be NULL. */
static inline void mark_running(struct mark *k, int delta) {
    if (k)
        atomic_fetch_add_explicit(&k->running, (uint32_t)delta, memory_order_relaxed);
}
static inline void mark_loading(struct mark *k, bool on) {
    if (k)
        atomic_store_explicit(&k->loading, on, memory_order_relaxed);
}

/* CONFLICT with the reason when this version took down the process several times within an hour. */
MUST_USE enum code marks_check(const struct marks *m, struct str model, uint64_t version,
                               struct err *e);
void marks_forgive(struct marks *m, struct str model, uint64_t version);

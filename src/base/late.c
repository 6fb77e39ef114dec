/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries opened late: see late.h. They stay open: what they made outlives whoever asked. */
#include "base/late.h"

#include <dlfcn.h>

enum late_state { UNKNOWN, THERE, MISSING };

static int look(const struct late *l) {
    void *so = dlopen(l->file, RTLD_LAZY | RTLD_LOCAL);
    for (size_t k = 0; so && k < l->n_names; k++)
        if (!(*l->names[k].at = dlsym(so, l->names[k].name)))
            return MISSING;
    return so ? THERE : MISSING;
}

bool late_open(struct late *l) {
    int state = atomic_load_explicit(&l->state, memory_order_acquire);
    if (state == UNKNOWN) {
        pthread_mutex_lock(&l->lock);
        state = atomic_load_explicit(&l->state, memory_order_relaxed);
        if (state == UNKNOWN)
            atomic_store_explicit(&l->state, state = look(l), memory_order_release);
        pthread_mutex_unlock(&l->lock);
    }
    return state == THERE;
}

enum code late_want(struct late *l, const char *what, struct err *e) {
    if (late_open(l))
        return OK;
    return fail(e, UNSUPPORTED, "%s needs %s, which is not installed here", what, l->file);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries opened late: see late.h. They stay open: what they made outlives whoever asked. */
#include "base/late.h"

#include <dlfcn.h>

static bool look(const struct late *l) {
    void *so = dlopen(l->file, RTLD_LAZY | RTLD_LOCAL);
    bool whole = so != NULL;
    for (size_t k = 0; whole && k < l->n_names; k++)
        whole = (*l->names[k].at = dlsym(so, l->names[k].name)) != NULL;
    if (so && !whole)
        dlclose(so);
    return whole;
}

/* A failure is not remembered: it may have been for want of descriptors or memory. */
bool late_open(struct late *l) {
    bool there = atomic_load_explicit(&l->there, memory_order_acquire);
    if (!there) {
        pthread_mutex_lock(&l->lock);
        there = atomic_load_explicit(&l->there, memory_order_relaxed) || look(l);
        atomic_store_explicit(&l->there, there, memory_order_release);
        pthread_mutex_unlock(&l->lock);
    }
    return there;
}

enum code late_want(struct late *l, const char *what, struct err *e) {
    if (late_open(l))
        return OK;
    return fail(e, UNSUPPORTED, "%s needs %s, which cannot be opened here", what, l->file);
}

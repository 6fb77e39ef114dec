/* SPDX-License-Identifier: Apache-2.0 */
/* The slabs of a session: a run borrows one that is large enough, whatever plan it runs. Many plans
 * (a model fed with ever new widths) therefore share as few slabs as there are runs at once. One
 * lock guards the list. */
#pragma once

#include "base/thread.h"

struct slab {
    struct slab *next;
    size_t bytes;
    void *data; /* 64-byte aligned; huge pages where large */
};

struct slabs {
    pthread_mutex_t lock;
    struct slab *idle;  /* owned */
    size_t total_bytes; /* of all alive, borrowed ones too */
};
void slabs_init(struct slabs *s);
void slabs_deinit(struct slabs *s);                     /* all must be back */
struct slab *slabs_take(struct slabs *s, size_t bytes); /* NULL: out of memory */
void slabs_give(struct slabs *s, struct slab *slab);
size_t slabs_total(struct slabs *s);

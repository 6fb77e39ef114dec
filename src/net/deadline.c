/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of few fixed delays: see deadline.h. */
#include "net/deadline.h"

#include <stddef.h>

void deadline_queue_init(struct deadline_queue *q, uint64_t delay_ms) {
    q->ring.next = q->ring.prev = &q->ring;
    q->delay_ms = delay_ms;
}

void deadline_clear(struct deadline *d) {
    if (!d->next)
        return;
    d->next->prev = d->prev;
    d->prev->next = d->next;
    d->next = d->prev = NULL;
}

void deadline_set(struct deadline_queue *q, struct deadline *d, uint64_t now_ms) {
    deadline_clear(d);
    d->at_ms = now_ms + q->delay_ms;
    d->next = &q->ring;
    d->prev = q->ring.prev;
    d->prev->next = d;
    q->ring.prev = d;
}

struct deadline *deadline_take(struct deadline_queue *q, uint64_t now_ms) {
    struct deadline *first = q->ring.next;
    if (first == &q->ring || first->at_ms > now_ms)
        return NULL;
    deadline_clear(first);
    return first;
}

uint64_t deadline_next_ms(const struct deadline_queue *q) {
    return q->ring.next == &q->ring ? UINT64_MAX : q->ring.next->at_ms;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of few fixed delays: a queue per delay, so that the queue in order of arrival is the
 * queue in order of time. Setting and clearing are a few pointer writes, the next to expire is the
 * front; no heap, no wheel, no timer handle per connection. Times are milliseconds of the loop's
 * clock. Owned by one thread; the nodes live in their owners.
 *
 * 1. A node is in at most one queue; setting it again moves it to the back.
 * 2. A queue's delay never changes while it holds nodes: the order depends on it.  */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    struct deadline *next, *prev; /* NULL when not set */
    uint64_t at_ms;
};

struct deadline_queue {
    struct deadline ring; /* next: first to expire */
    uint64_t delay_ms;
};

void deadline_queue_init(struct deadline_queue *q, uint64_t delay_ms);
void deadline_set(struct deadline_queue *q, struct deadline *d, uint64_t now_ms);
void deadline_clear(struct deadline *d); /* nothing when it is not set */
static inline bool deadline_is_set(const struct deadline *d) { return d->next != NULL; }

/* The first one that is due, taken out of the queue; NULL when none is. */
struct deadline *deadline_take(struct deadline_queue *q, uint64_t now_ms);
uint64_t deadline_next_ms(const struct deadline_queue *q); /* UINT64_MAX when empty */

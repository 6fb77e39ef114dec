/* SPDX-License-Identifier: Apache-2.0 */
/* The waiting asks of a live: one list, higher priorities first, within one the order they came.
 * Everything here is under queue_lock. */
#include "host/in.h"

#define PAUSE_NS 1e8

static int class_of(const struct ask *a) {
    int class = a->priority - PRIORITY_HIGH;
    return class < 0 ? 0 : class < PRIORITIES ? class : PRIORITIES - 1;
}

/* Gaps between asks, the last some ten of them; a pause is not one. */
static void note_arrival(struct live *l, const struct ask *a) {
    double gap = a->queued_ns > l->came_ns ? (double)(a->queued_ns - l->came_ns) : 0;
    gap = gap < PAUSE_NS ? gap : PAUSE_NS;
    l->gap_ns = l->came_ns ? 0.9 * l->gap_ns + 0.1 * gap : PAUSE_NS;
    l->came_ns = a->queued_ns;
}

void queue_put(struct host *h, struct live *l, struct ask *a) {
    int class = class_of(a);
    note_arrival(l, a);
    if (!l->first)
        batch_open_window(h, l, a);
    struct ask *after = NULL;
    for (int i = class; i >= 0 && !after; i--)
        after = l->last_of[i];
    a->next = after ? after->next : l->first;
    if (after)
        after->next = a;
    else
        l->first = a;
    l->last_of[class] = a;
    l->waiting++;
    h->n_waiting++;
    a->cost_ns = curve_run(&l->curve, a->rows);
    l->backlog[class] += a->cost_ns;
    h->backlog[class] += a->cost_ns;
}

/* Sums of doubles drift: an empty queue weighs nothing. */
static void take_cost(struct host *h, struct live *l, const struct ask *a, int class) {
    l->backlog[class] = l->last_of[class] ? l->backlog[class] - a->cost_ns : 0;
    h->backlog[class] = h->n_waiting ? h->backlog[class] - a->cost_ns : 0;
}

struct ask *queue_take(struct host *h, struct live *l, struct ask *before) {
    struct ask *a = before ? before->next : l->first;
    int class = class_of(a);
    if (before)
        before->next = a->next;
    else
        l->first = a->next;
    if (l->last_of[class] == a)
        l->last_of[class] = before && class_of(before) == class ? before : NULL;
    a->next = NULL;
    l->waiting--;
    h->n_waiting--;
    take_cost(h, l, a, class);
    return a;
}

static int worst_below(const struct live *l, int class) {
    for (int worst = PRIORITIES - 1; worst > class; worst--)
        if (l->last_of[worst])
            return worst;
    return -1;
}

bool queue_sheds(const struct live *l, const struct ask *for_whom) {
    return worst_below(l, class_of(for_whom)) >= 0;
}

struct ask *queue_shed(struct host *h, struct live *l, const struct ask *for_whom) {
    int worst = worst_below(l, class_of(for_whom));
    if (worst < 0)
        return NULL;
    struct ask *victim = l->last_of[worst], *before = NULL;
    for (struct ask *a = l->first; a != victim; a = a->next)
        before = a;
    return queue_take(h, l, before);
}

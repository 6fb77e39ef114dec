/* SPDX-License-Identifier: Apache-2.0 */
/* Slab layout, greedy by size: the largest buffer first, each at the lowest gap that is free during
 * its whole life (Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference",
 * 2020, §5.2). Within a few percent of the lower bound on real networks.
 *
 * Placed buffers are kept sorted by offset, so one buffer costs a walk over those before it: n^2 /
 * 2 steps in all, about a millisecond for a thousand buffers. */
#include "plan/memory.h"

#include "base/mem.h"

#include <stdlib.h>

static int larger_first(const void *a, const void *b, void *arg) {
    const struct memory_span *spans = arg;
    size_t x = spans[*(const int *)a].bytes, y = spans[*(const int *)b].bytes;
    if (x != y)
        return x > y ? -1 : 1;
    return *(const int *)a - *(const int *)b; /* the same plan every time */
}

static int alive_together(const struct memory_span *a, const struct memory_span *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* order[0..placed) are placed and sorted by offset: the lowest gap for s, best fit not sought. */
static size_t lowest_gap(const struct memory_span *spans, const int *order, int placed,
                         const struct memory_span *s) {
    size_t at = 0;
    for (int k = 0; k < placed; k++) {
        const struct memory_span *p = &spans[order[k]];
        if (!alive_together(p, s) || p->offset + p->bytes <= at)
            continue;
        if (p->offset >= at && p->offset - at >= s->bytes)
            break;
        at = p->offset + p->bytes;
    }
    return at;
}

static void insert_sorted(const struct memory_span *spans, int *order, int placed, int which) {
    int k = placed;
    for (; k > 0 && spans[order[k - 1]].offset > spans[which].offset; k--)
        order[k] = order[k - 1];
    order[k] = which;
}

size_t memory_place(struct memory_span *spans, int *order, int n) {
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        order[i] = i;
        spans[i].bytes = mem_round_up(spans[i].bytes ? spans[i].bytes : 1, MEM_LINE);
        if (spans[i].bytes > SIZE_MAX / 4 / ((size_t)n + 1)) /* no sum below can overflow */
            return SIZE_MAX;
    }
    qsort_r(order, (size_t)n, sizeof *order, larger_first, spans);
    for (int k = 0; k < n; k++) {
        int which = order[k];
        struct memory_span *s = &spans[which];
        s->offset = lowest_gap(spans, order, k, s);
        if (s->offset + s->bytes > total)
            total = s->offset + s->bytes;
        insert_sorted(spans, order, k, which);
    }
    return total;
}

size_t memory_live(const struct memory_span *spans, int n, size_t *room, int steps) {
    size_t now = 0, most = 0;
    for (int k = 0; k <= steps; k++)
        room[k] = 0;
    for (int i = 0; i < n; i++) { /* differences; what wraps around comes back in the sum */
        room[spans[i].first] += spans[i].bytes;
        room[spans[i].last + 1] -= spans[i].bytes;
    }
    for (int k = 0; k <= steps; k++) {
        now += room[k];
        most = now > most ? now : most;
    }
    return most;
}

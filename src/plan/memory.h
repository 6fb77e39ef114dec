/* SPDX-License-Identifier: Apache-2.0 */
/* Where buffers with known lifetimes lie in one slab: no two that are alive at the same step
 * overlap. */
#pragma once

#include <stddef.h>

struct memory_span {
    int first, last; /* steps, inclusive */
    size_t bytes;    /* rounded up to a cache line by the placing */
    size_t offset;   /* out */
};
/* Places n buffers; order: room for n ints. Returns the size of the slab; SIZE_MAX on overflow. */
size_t memory_place(struct memory_span *spans, int *order, int n);
/* The most that is alive at one step, after memory_place; room: for `steps` + 1 numbers, where
 * steps is more than any span's last. */
size_t memory_live(const struct memory_span *spans, int n, size_t *room, int steps);

/* SPDX-License-Identifier: Apache-2.0 */
/* Heap memory: see mem.h. */
#include "base/mem.h"

#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t count;

uint64_t mem_count(void) { return count; }

void *mem_alloc(size_t bytes) {
    if (FAULT(FAULT_ALLOC))
        return NULL;
    count++;
    return malloc(bytes ? bytes : 1);
}

void *mem_zalloc(size_t n, size_t bytes) {
    if (FAULT(FAULT_ALLOC))
        return NULL;
    count++;
    return calloc(n ? n : 1, bytes ? bytes : 1);
}

void *mem_realloc(void *old, size_t bytes) {
    if (FAULT(FAULT_ALLOC))
        return NULL;
    count++;
    return realloc(old, bytes ? bytes : 1);
}

void *mem_alloc_aligned(size_t bytes, size_t align) {
    size_t padded;
    if (FAULT(FAULT_ALLOC) || !add_size(bytes ? bytes : 1, align - 1, &padded))
        return NULL;
    count++;
    return aligned_alloc(align, padded & ~(align - 1));
}

void mem_free(void *p) { free(p); }

char *mem_strdup(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = mem_alloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

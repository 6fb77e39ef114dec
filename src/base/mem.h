/* SPDX-License-Identifier: Apache-2.0 */
/* Heap memory: the only callers of malloc. Counts allocations (per thread), honours FAULT_ALLOC. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL when out of memory; bytes 0 gives a unique pointer */
void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t count, size_t bytes); /* zeroed; NULL on overflow of the product too */
void *mem_realloc(void *old, size_t bytes);   /* NULL leaves old alone */
void *mem_alloc_aligned(size_t bytes, size_t align); /* freed by mem_free */
void mem_free(void *p);                              /* NULL allowed */
/* owned by the caller; NULL when out of memory */
char *mem_strdup(const char *text);

/* Allocations made by this thread since it started: tests subtract two readings. */
uint64_t mem_count(void);

/* Checked size arithmetic: false on overflow, *out then untouched. */
static inline bool mul_size(size_t a, size_t b, size_t *out) {
    size_t v;
    if (__builtin_mul_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}

static inline bool add_size(size_t a, size_t b, size_t *out) {
    size_t v;
    if (__builtin_add_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}

#define MEM_LINE 64 /* bytes of a cache line, and of an AVX-512 vector */
/* align: power of 2 */
static inline size_t mem_round_up(size_t n, size_t align) { return (n + align - 1) & ~(align - 1); }

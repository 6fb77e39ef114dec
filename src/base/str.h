/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed text and bytes: a pointer and a length, never NUL-terminated, never owned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* may be NULL when n == 0 */
    size_t n;
};

struct span {
    const uint8_t *p;
    size_t n;
};

/* For printf's "%.*s". */
#define STR(s) (int)((s).n < 4096 ? (s).n : 4096), ((s).p ? (s).p : "")
/* A struct str of a string literal. */
#define LIT(text) ((struct str){"" text, sizeof(text) - 1})

static inline struct str str_of(const char *text) { /* borrowed; text may be NULL */
    return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_eq(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *text) { return str_eq(a, str_of(text)); }

static inline bool str_starts(struct str a, const char *prefix) {
    size_t n = strlen(prefix);
    return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

static inline bool str_ends(struct str a, const char *suffix) {
    size_t n = strlen(suffix);
    return a.n >= n && memcmp(a.p + a.n - n, suffix, n) == 0;
}

static inline struct str str_sub(struct str a, size_t from, size_t to) { /* clamped to a */
    if (to > a.n)
        to = a.n;
    return from < to ? (struct str){a.p + from, to - from} : (struct str){NULL, 0};
}

int str_cmp(struct str a, struct str b);         /* like memcmp, shorter first */
bool str_eq_nocase(struct str a, struct str b);  /* ASCII */
bool str_find(struct str a, char c, size_t *at); /* first c in a */
/* whole text, decimal, optional '-'; false on overflow */
bool str_to_i64(struct str a, int64_t *out);
bool str_to_u64(struct str a, uint64_t *out);
/* whole text, a JSON number; false beyond f64 */
bool str_to_f64(struct str a, double *out);

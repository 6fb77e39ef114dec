/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffer with a ceiling (curl's dynbuf idea). Owned by one thread at a time.
 *
 * Writers never have to check every call: the first failure sticks (`code`), later writes do
 * nothing, and buf_check reports it once at the end. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p; /* owned; not NUL-terminated */
    size_t n, room, cap_bytes;
    enum code code; /* OK, ERR_LIMIT or ERR_NOMEM */
};

void buf_init(struct buf *b, size_t cap_bytes); /* allocates nothing yet */
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b); /* n = 0, code = OK; keeps the memory */

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_put_str(struct buf *b, struct str text);
void buf_put_text(struct buf *b, const char *text);
void buf_put_byte(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* n uninitialised bytes at the end, counted in b->n; NULL when failed */
void *buf_extend(struct buf *b, size_t n);
bool buf_reserve(struct buf *b, size_t n);    /* room for n more without counting them */
void buf_drop_front(struct buf *b, size_t n); /* n <= b->n; moves the rest down */

/* OK, or the failure that stuck */
MUST_USE enum code buf_check(const struct buf *b, const char *what, struct err *e);
static inline struct str buf_str(const struct buf *b) { return (struct str){b->p, b->n}; }

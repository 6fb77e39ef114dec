/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffer: see buf.h. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>

void buf_init(struct buf *b, size_t cap_bytes) { *b = (struct buf){.cap_bytes = cap_bytes}; }

void buf_deinit(struct buf *b) {
    mem_free(b->p);
    *b = (struct buf){.cap_bytes = b->cap_bytes};
}

void buf_clear(struct buf *b) {
    b->n = 0;
    b->code = OK;
}

bool buf_reserve(struct buf *b, size_t n) {
    size_t need;
    if (b->code != OK)
        return false;
    if (!add_size(b->n, n, &need) || need > b->cap_bytes) {
        b->code = ERR_LIMIT;
        return false;
    }
    if (need <= b->room)
        return true;
    size_t room = b->room < 128 ? 256 : b->room * 2;
    if (room < need)
        room = need;
    if (room > b->cap_bytes)
        room = b->cap_bytes;
    size_t bytes; /* one more than counted: where buf_printf's NUL may go */
    char *p = add_size(room, 1, &bytes) ? mem_realloc(b->p, bytes) : NULL;
    if (!p) {
        b->code = ERR_NOMEM;
        return false;
    }
    b->p = p;
    b->room = room;
    return true;
}

void *buf_extend(struct buf *b, size_t n) {
    if (!buf_reserve(b, n))
        return NULL;
    static char nothing; /* n == 0 of a buffer that has no memory yet: no bytes, but no failure */
    void *at = b->p ? b->p + b->n : &nothing;
    b->n += n;
    return at;
}

void buf_put(struct buf *b, const void *bytes, size_t n) {
    if (n == 0 || !buf_reserve(b, n))
        return;
    memcpy(b->p + b->n, bytes, n);
    b->n += n;
}

void buf_put_str(struct buf *b, struct str text) { buf_put(b, text.p, text.n); }
void buf_put_text(struct buf *b, const char *text) { buf_put(b, text, strlen(text)); }
void buf_put_byte(struct buf *b, char c) { buf_put(b, &c, 1); }

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0 && buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_drop_front(struct buf *b, size_t n) {
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

enum code buf_check(const struct buf *b, const char *what, struct err *e) {
    if (b->code == ERR_LIMIT)
        return fail(e, TOO_LARGE, "%s: over the limit of %zu bytes", what, b->cap_bytes);
    if (b->code != OK)
        return fail(e, NOMEM, "%s: out of memory", what);
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers that end with an arena: see arena_buf.h. */
#include "base/arena_buf.h"

#include "base/mem.h"

enum { KEPT_BUFS = 64 };

static _Thread_local struct {
    size_t n;
    struct {
        char *p; /* owned */
        size_t room;
    } slots[KEPT_BUFS];
} kept;

void arena_buf_forget(void) {
    while (kept.n)
        mem_free(kept.slots[--kept.n].p);
}

static void end_buf(void *arg) {
    struct buf *b = arg;
    if (b->room == 0 || b->room > ARENA_BUF_KEPT_BYTES || kept.n == KEPT_BUFS) {
        buf_deinit(b);
        return;
    }
    kept.slots[kept.n].p = b->p;
    kept.slots[kept.n++].room = b->room;
}

struct buf *arena_buf(struct arena *a, size_t cap_bytes, size_t reserve, const char *what,
                      struct err *e) {
    struct buf *b = ARENA_NEW(a, struct buf);
    if (!b || !arena_defer(a, end_buf, b)) {
        (void)arena_fail(a, sizeof *b, what, e);
        return NULL;
    }
    buf_init(b, cap_bytes);
    if (kept.n && reserve <= ARENA_BUF_KEPT_BYTES) {
        b->p = kept.slots[--kept.n].p;
        b->room = kept.slots[kept.n].room;
    }
    if (!buf_reserve(b, reserve))
        return buf_check(b, what, e) == OK ? b : NULL;
    return b;
}

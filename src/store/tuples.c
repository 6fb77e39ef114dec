/* SPDX-License-Identifier: Apache-2.0 */
/* Rows into arrays: see tuples.h. The array grows in a buffer and is copied once at the end. */
#include "store/tuples.h"

#include "base/buf.h"

#include <string.h>

enum code tuples_text(struct tuples *r, const struct query *q, int column, struct str *out,
                      struct err *e) {
    struct str text = query_text(q, column), copy = arena_str(r->arena, text);
    if (text.n > 0 && !copy.p)
        return arena_fail(r->arena, text.n, "text from the store", e);
    *out = copy;
    return OK;
}

static enum code fill(struct tuples *r, struct query *q, struct buf *b, struct err *e) {
    for (bool row;;) {
        TRY(query_step(q, &row, e));
        if (!row)
            return OK;
        void *element = buf_extend(b, r->row_bytes);
        if (!element)
            return b->code == ERR_NOMEM
                       ? fail(e, NOMEM, "store '%s': out of memory", q->db->folder)
                       : arena_fail(r->arena, b->n + r->row_bytes, "rows of the store", e);
        memset(element, 0, r->row_bytes);
        TRY(r->read(q, r, element, e));
    }
}

static enum code keep(struct tuples *r, const struct buf *b, struct err *e) {
    void *p = arena_push(r->arena, b->n);
    if (!p)
        return arena_fail(r->arena, b->n, "rows of the store", e);
    if (b->n > 0)
        memcpy(p, b->p, b->n);
    r->p = p;
    r->n = b->n / r->row_bytes;
    return OK;
}

enum code tuples_read(struct tuples *r, struct query *q, struct err *e) {
    struct buf b;
    buf_init(&b, r->arena->cap_bytes);
    enum code code = fill(r, q, &b, e);
    query_end(q);
    if (code == OK)
        code = keep(r, &b, e);
    buf_deinit(&b);
    return code;
}

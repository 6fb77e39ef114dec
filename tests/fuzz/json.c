/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the JSON codec. The first byte picks what is done with the rest:
 *
 *   skip      any value, strictly checked
 *   walk      the value is walked with the pull reader and written again; what was written must
 * read the same, and write the same bytes a second time tensor    json_tensor of each element type;
 * what was read is written, and must read back as the same bytes strings   json_strings
 *
 * And always: json_skip accepts exactly what the walk accepts. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 1 << 22 };

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static enum code copy_value(struct json *r, struct json_out *w, struct err *e);

static enum code copy_object(struct json *r, struct json_out *w, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(r, e));
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(r, &key, &more, e));
        if (!more)
            break;
        json_put_key_str(w, key);
        TRY(copy_value(r, w, e));
    }
    json_put_object_end(w);
    return OK;
}

static enum code copy_array(struct json *r, struct json_out *w, struct err *e) {
    bool more;
    TRY(json_enter_array(r, e));
    json_put_array(w);
    for (;;) {
        TRY(json_next_item(r, &more, e));
        if (!more)
            break;
        TRY(copy_value(r, w, e));
    }
    json_put_array_end(w);
    return OK;
}

static enum code copy_scalar(struct json *r, enum json_kind kind, struct json_out *w,
                             struct err *e) {
    struct str text;
    double number;
    bool yes;
    if (kind == JSON_STRING) {
        TRY(json_string(r, &text, e));
        json_put_str(w, text);
    } else if (kind == JSON_NUMBER) {
        TRY(json_f64(r, &number, e));
        json_put_f64(w, number);
    } else if (kind == JSON_BOOL) {
        TRY(json_bool(r, &yes, e));
        json_put_bool(w, yes);
    } else {
        TRY(json_null(r, e));
        json_put_null(w);
    }
    return OK;
}

static enum code copy_value(struct json *r, struct json_out *w, struct err *e) {
    enum json_kind kind = json_peek(r);
    if (kind == JSON_OBJECT)
        return copy_object(r, w, e);
    if (kind == JSON_ARRAY)
        return copy_array(r, w, e);
    return copy_scalar(r, kind, w, e);
}

static enum code copy_text(struct str text, bool allow_nan, struct arena *a, struct buf *out,
                           struct err *e) {
    struct json r;
    struct json_out w;
    json_init(&r, text, a);
    r.allow_nan = allow_nan;
    json_out_init(&w, out, 0);
    TRY(copy_value(&r, &w, e));
    return json_end(&r, e);
}

/* Where a complaint says "out of range", the number is well-formed JSON: only json_skip accepts it.
 */
static bool is_range(const struct err *e) { return strstr(e->text, "out of range") != NULL; }

static void check_err(const struct err *e) {
    MUST(e->code == ERR_INVALID || e->code == ERR_TOO_LARGE || e->code == ERR_LIMIT);
    MUST(e->code != ERR_INVALID || strncmp(e->text, "line ", 5) == 0);
}

static void walk(struct str text, bool allow_nan, struct arena *a) {
    struct buf first, second;
    struct json r;
    struct err e, f;
    buf_init(&first, CAP);
    buf_init(&second, CAP);
    enum code code = copy_text(text, allow_nan, a, &first, &e);
    json_init(&r, text, a);
    r.allow_nan = allow_nan;
    enum code skipped = json_skip(&r, NULL, &f);
    if (skipped == OK)
        skipped = json_end(&r, &f);
    if (code == OK) {
        MUST(skipped == OK);
        MUST(first.code == OK);
        MUST(copy_text(buf_str(&first), allow_nan, a, &second, &e) == OK);
        MUST(str_eq(buf_str(&first), buf_str(&second)));
    } else {
        check_err(&e);
        MUST(skipped != OK || is_range(&e) || e.code != ERR_INVALID);
    }
    buf_deinit(&first);
    buf_deinit(&second);
}

static void tensor(struct str text, enum json_number type) {
    struct buf bytes, again, written;
    struct json_tensor shape, shape_again;
    struct json r;
    struct json_out w;
    struct err e;
    buf_init(&bytes, CAP);
    buf_init(&again, CAP);
    buf_init(&written, (size_t)CAP * 32);
    json_init(&r, text, NULL);
    if (json_tensor(&r, type, &bytes, &shape, &e) == OK) {
        json_out_init(&w, &written, 0);
        json_put_tensor(&w, type, bytes.p, shape.rank, shape.dims);
        MUST(written.code == OK);
        json_init(&r, buf_str(&written), NULL);
        MUST(json_tensor(&r, type, &again, &shape_again, &e) == OK && json_end(&r, &e) == OK);
        MUST(str_eq(buf_str(&bytes), buf_str(&again)));
        MUST(shape.rank == shape_again.rank && shape.count == shape_again.count);
        MUST(memcmp(shape.dims, shape_again.dims, sizeof shape.dims) == 0);
    } else {
        check_err(&e);
        MUST(bytes.n == 0);
    }
    buf_deinit(&bytes);
    buf_deinit(&again);
    buf_deinit(&written);
}

static void strings(struct str text, struct arena *a) {
    struct buf out;
    struct json_tensor shape;
    struct json r;
    struct err e;
    buf_init(&out, CAP);
    json_init(&r, text, a);
    if (json_strings(&r, &out, &shape, &e) == OK)
        MUST(shape.count == out.n / sizeof(struct str));
    else
        check_err(&e);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    struct arena a;
    arena_init(&a, CAP);
    unsigned what = data[0] % 16;
    if (what <= JN_BOOL)
        tensor(text, what);
    else if (what == JN_BOOL + 1)
        strings(text, &a);
    else
        walk(text, what & 1, &a);
    arena_deinit(&a);
    return 0;
}

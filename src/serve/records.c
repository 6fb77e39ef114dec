/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and columns: see records.h. The forms are those of TensorFlow Serving's REST API
 * ("instances" and "inputs"), which everybody else copied. */
#include "serve/records.h"

#include "serve/media.h"
#include "serve/typed.h"

const char *records_names(const struct live_io *io, size_t n, char *text, size_t room) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n && used < room; i++)
        used +=
            (size_t)snprintf(text + used, room - used, "%s'%.*s'", i ? ", " : "", STR(io[i].name));
    return text;
}

const struct live_io *records_sole(const struct live *l) {
    const struct live_io *io, *sole = NULL;
    size_t n = live_inputs(l, &io);
    if (n == 1)
        return io;
    for (size_t i = 0; i < n; i++)
        if (live_io_required(&io[i])) {
            if (sole)
                return NULL;
            sole = &io[i];
        }
    return sole;
}

enum code records_room(struct request *r, size_t n, struct err *e) {
    r->ask.inputs = ARENA_ARRAY(r->arena, n + 1, struct ask_tensor);
    r->ask.n_inputs = 0;
    return r->ask.inputs ? OK : arena_fail(r->arena, n * sizeof *r->ask.inputs, "inputs", e);
}

/* Elements the next value is likely to hold: what the signature says, else by the length of the
 * text. */
static size_t likely(const struct live_io *io, const struct json *j) {
    struct shape s = io->shape;
    size_t n, text = (size_t)(j->end - j->p) / 4 + 1;
    for (int d = 0; d < s.rank; d++)
        if (s.dims[d] < 0)
            s.dims[d] = 1;
    return shape_count(&s, &n) && n > text ? text * 2 : text;
}

static int find(const struct live_io *io, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(io[i].name, name))
            return (int)i;
    return -1;
}

/* The object at j holds nothing but "b64". A copy of the reader looks ahead. */
static bool is_b64(struct json ahead) {
    struct str key;
    bool more;
    struct err ignored;
    return json_peek(&ahead) == JSON_OBJECT && json_enter_object(&ahead, &ignored) == OK &&
           json_next_key(&ahead, &key, &more, &ignored) == OK && more && str_is(key, "b64");
}

enum dtype records_kind(const struct live_io *io, struct json ahead) {
    bool more = true;
    struct err ignored;
    if (!media_takes(io))
        return io->dtype;
    while (json_peek(&ahead) == JSON_ARRAY && more)
        if (json_enter_array(&ahead, &ignored) != OK ||
            json_next_item(&ahead, &more, &ignored) != OK)
            return io->dtype;
    return json_peek(&ahead) == JSON_STRING || is_b64(ahead) ? DT_STRING : io->dtype;
}

static bool first_is_object(struct json ahead) {
    bool more;
    struct err ignored;
    return json_enter_array(&ahead, &ignored) == OK &&
           json_next_item(&ahead, &more, &ignored) == OK && more &&
           json_peek(&ahead) == JSON_OBJECT && !is_b64(ahead);
}

static enum code missing(const struct json *j, const struct live_io *io, size_t n,
                         const struct typed *columns, size_t rows, struct err *e) {
    char text[240];
    for (size_t i = 0; i < n; i++)
        if (live_io_required(&io[i]) && columns[i].values != rows)
            return json_fail(j, e, "'%.*s' is missing; the model takes %s", STR(io[i].name),
                             records_names(io, n, text, sizeof text));
    return OK;
}

/* One value of the row object into its input's column. */
static enum code take_cell(struct request *r, struct json *j, struct str key, size_t row,
                           struct typed *columns, struct err *e) {
    const struct live_io *io;
    char text[240];
    size_t n = live_inputs(r->ask.live, &io);
    int at = find(io, n, key);
    if (at < 0)
        return json_fail(j, e, "unexpected '%.*s'; the model takes %s", STR(key),
                         records_names(io, n, text, sizeof text));
    if (columns[at].values > row)
        return json_fail(j, e, "'%.*s' is given twice", STR(key));
    if (columns[at].values < row)
        return json_fail(j, e, "'%.*s' is not in the rows before this one", STR(key));
    if (!columns[at].bytes)
        TRY(typed_begin(&columns[at], r, records_kind(&io[at], *j), likely(&io[at], j), e));
    enum code code = typed_take(&columns[at], j, e);
    return code == OK ? OK : err_prefix(e, "input '%.*s'", STR(key));
}

static enum code take_row(struct request *r, struct json *j, size_t row, struct typed *columns,
                          struct err *e) {
    const struct live_io *io;
    struct str key;
    bool more;
    size_t n = live_inputs(r->ask.live, &io);
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return missing(j, io, n, columns, row + 1, e);
        TRY(take_cell(r, j, key, row, columns, e));
    }
}

static enum code end_columns(struct request *r, struct typed *columns, size_t n, bool stacked,
                             struct err *e) {
    const struct live_io *io;
    (void)live_inputs(r->ask.live, &io);
    TRY(records_room(r, n, e));
    for (size_t i = 0; i < n; i++) {
        if (!columns[i].values)
            continue;
        struct ask_tensor *t = &r->ask.inputs[r->ask.n_inputs++];
        t->name = io[i].name;
        TRY(typed_end(&columns[i], stacked, &t->tensor, e));
    }
    return OK;
}

static enum code named_rows(struct request *r, struct json *j, struct err *e) {
    const struct live_io *io;
    bool more;
    size_t n = live_inputs(r->ask.live, &io), row = 0;
    struct typed *columns = ARENA_ARRAY(r->arena, n + 1, struct typed);
    if (!columns)
        return arena_fail(r->arena, n * sizeof *columns, "inputs", e);
    TRY(json_enter_array(j, e));
    for (;; row++) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (json_peek(j) != JSON_OBJECT)
            return json_fail(j, e, "row %zu: expected an object like the rows before it", row);
        TRY(take_row(r, j, row, columns, e));
    }
    for (size_t i = 0; i < n; i++)
        if (columns[i].values && columns[i].values != row)
            return json_fail(j, e, "'%.*s' is in %zu of %zu rows", STR(io[i].name),
                             columns[i].values, row);
    return end_columns(r, columns, n, true, e);
}

static enum code sole_value(struct request *r, struct json *j, const struct live_io *io,
                            struct err *e) {
    struct typed t;
    TRY(records_room(r, 1, e));
    TRY(typed_begin(&t, r, records_kind(io, *j), likely(io, j), e));
    enum code code = typed_take(&t, j, e);
    if (code != OK)
        return err_prefix(e, "input '%.*s'", STR(io->name));
    r->ask.inputs[0].name = io->name;
    r->ask.n_inputs = 1;
    return typed_end(&t, false, &r->ask.inputs[0].tensor, e);
}

enum code records_rows(struct request *r, struct json *j, struct err *e) {
    char text[240];
    const struct live_io *io, *sole = records_sole(r->ask.live);
    size_t n = live_inputs(r->ask.live, &io);
    if (json_peek(j) != JSON_ARRAY)
        return json_fail(j, e, "expected an array of rows");
    if (first_is_object(*j))
        return named_rows(r, j, e);
    if (!sole)
        return json_fail(j, e,
                         "the model has %zu inputs, so each row must be an object of them: %s", n,
                         records_names(io, n, text, sizeof text));
    TRY(sole_value(r, j, sole, e));
    return r->ask.inputs[0].tensor.shape.dims[0]
               ? OK
               : json_fail(j, e, "there must be at least one row");
}

enum code records_columns(struct request *r, struct json *j, struct err *e) {
    char text[240];
    struct str key;
    bool more;
    const struct live_io *io, *sole = records_sole(r->ask.live);
    size_t n = live_inputs(r->ask.live, &io);
    if (json_peek(j) != JSON_OBJECT || is_b64(*j)) {
        if (!sole)
            return json_fail(j, e, "the model has %zu inputs, so an object of them is expected: %s",
                             n, records_names(io, n, text, sizeof text));
        return sole_value(r, j, sole, e);
    }
    struct typed *columns = ARENA_ARRAY(r->arena, n + 1, struct typed);
    if (!columns)
        return arena_fail(r->arena, n * sizeof *columns, "inputs", e);
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (find(io, n, key) < 0) /* TensorFlow Serving ignores names that the signature lacks */
            TRY(json_skip(j, NULL, e));
        else
            TRY(take_cell(r, j, key, 0, columns, e));
    }
    TRY(missing(j, io, n, columns, 1, e));
    return end_columns(r, columns, n, false, e);
}

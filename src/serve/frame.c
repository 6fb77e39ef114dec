/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: see frame.h. Records and CSV are rewritten as "split", the one form that is read. */
#include "serve/frame.h"

#include "serve/answer.h"
#include "serve/records.h"
#include "serve/typed.h"

enum { COLUMNS_MAX = 65536 };

/* --- what the columns are --- */

static int place(const struct live_io *io, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(io[i].name, name))
            return (int)i;
    return -1;
}

static bool all_inputs(const struct live *l, const struct str *columns, size_t n) {
    const struct live_io *io;
    size_t n_inputs = live_inputs(l, &io);
    for (size_t i = 0; i < n; i++)
        if (place(io, n_inputs, columns[i]) < 0)
            return false;
    return n > 0;
}

static enum code take_names(struct request *r, struct json *j, struct str **out, size_t *n,
                            struct err *e) {
    struct buf *b = answer_buf(r, 0, e);
    struct str name;
    bool more;
    if (!b)
        return e->code;
    TRY(json_enter_array(j, e));
    for (*n = 0;; ++*n) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (*n == COLUMNS_MAX)
            return json_fail(j, e, "more than %d columns", COLUMNS_MAX);
        if (json_peek(j) == JSON_STRING)
            TRY(json_string(j, &name, e));
        else
            TRY(json_skip(j, &name, e)); /* pandas' names of a frame without any: 0, 1, ... */
        buf_put(b, &name, sizeof name);
    }
    TRY(buf_check(b, "columns", e));
    *out = (struct str *)(void *)b->p;
    return OK;
}

/* --- a column for each input --- */

/* Scalars of [rows] stand for [rows,1] too. */
static void as_column(const struct live_io *io, struct tensor *t) {
    if (io->shape.rank == 2 && t->shape.rank == 1 && io->shape.dims[1] <= 1)
        t->shape = (struct shape){2, {t->shape.dims[0], 1}};
}

static enum code take_row(struct request *r, struct json *j, const struct str *columns, size_t n,
                          struct typed *values, struct err *e) {
    const struct live_io *io;
    size_t n_inputs = live_inputs(r->ask.live, &io);
    bool more;
    TRY(json_enter_array(j, e));
    for (size_t i = 0;; i++) {
        TRY(json_next_item(j, &more, e));
        if (!more && i == n)
            return OK;
        if (!more || i == n)
            return json_fail(j, e, "a row of %s than %zu columns", more ? "more" : "less", n);
        int at = place(io, n_inputs, columns[i]);
        if (!values[at].bytes)
            TRY(typed_begin(&values[at], r, records_kind(&io[at], *j), 0, e));
        enum code code = typed_take(&values[at], j, e);
        if (code != OK)
            return err_prefix(e, "column '%.*s'", STR(columns[i]));
    }
}

/* Two columns of one name would be read as twice the rows. */
static enum code check_twice(struct request *r, const struct json *j, const struct str *columns,
                             size_t n, struct err *e) {
    const struct live_io *io;
    size_t n_inputs = live_inputs(r->ask.live, &io);
    bool *seen = ARENA_ARRAY(r->arena, n_inputs + 1, bool);
    if (!seen)
        return arena_fail(r->arena, n_inputs * sizeof *seen, "inputs", e);
    for (size_t i = 0; i < n; i++) {
        int at = place(io, n_inputs, columns[i]);
        if (seen[at])
            return json_fail(j, e, "column '%.*s' is given twice", STR(columns[i]));
        seen[at] = true;
    }
    return OK;
}

static enum code take_columns(struct request *r, struct json *j, const struct str *columns,
                              size_t n, struct err *e) {
    const struct live_io *io;
    size_t n_inputs = live_inputs(r->ask.live, &io);
    bool more;
    struct typed *values = ARENA_ARRAY(r->arena, n_inputs + 1, struct typed);
    if (!values)
        return arena_fail(r->arena, n_inputs * sizeof *values, "inputs", e);
    TRY(check_twice(r, j, columns, n, e));
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(take_row(r, j, columns, n, values, e));
    }
    TRY(records_room(r, n_inputs, e));
    for (size_t i = 0; i < n_inputs; i++) {
        if (!values[i].values)
            continue;
        struct ask_tensor *t = &r->ask.inputs[r->ask.n_inputs++];
        t->name = io[i].name;
        TRY(typed_end(&values[i], true, &t->tensor, e));
        if (t->tensor.dtype == io[i].dtype)
            as_column(&io[i], &t->tensor);
    }
    return r->ask.n_inputs ? OK : json_fail(j, e, "there must be at least one row");
}

/* --- the whole table for one input --- */

static enum code take_table(struct request *r, struct json *j, size_t columns, struct err *e) {
    char names[240];
    const struct live_io *io, *sole = records_sole(r->ask.live);
    size_t n = live_inputs(r->ask.live, &io);
    if (!sole)
        return json_fail(j, e, "the columns must be the model's inputs: %s",
                         records_names(io, n, names, sizeof names));
    TRY(records_room(r, 1, e));
    r->ask.inputs[0].name = sole->name;
    r->ask.n_inputs = 1;
    struct tensor *t = &r->ask.inputs[0].tensor;
    enum code code = typed_read(r, j, records_kind(sole, *j), t, e);
    if (code != OK)
        return err_prefix(e, "input '%.*s'", STR(sole->name));
    if (t->shape.rank < 2 || (t->shape.dims[1] != (int64_t)columns && columns))
        return json_fail(j, e, "\"data\" must be rows of %zu columns", columns);
    if (columns == 1 && sole->shape.rank == t->shape.rank - 1) { /* one column of whole tensors */
        memmove(t->shape.dims + 1, t->shape.dims + 2,
                (size_t)(t->shape.rank - 2) * sizeof *t->shape.dims);
        t->shape.rank--;
    }
    return OK;
}

static enum code take_data(struct request *r, struct json *j, const struct str *columns, size_t n,
                           struct err *e) {
    return all_inputs(r->ask.live, columns, n) ? take_columns(r, j, columns, n, e)
                                               : take_table(r, j, n, e);
}

enum code frame_split(struct request *r, struct json *j, struct err *e) {
    struct json data = {0};
    struct str *columns = NULL, key;
    size_t n = 0;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "columns")) {
            TRY(take_names(r, j, &columns, &n, e));
        } else if (str_is(key, "data") && columns) {
            data.p = j->p;
            TRY(take_data(r, j, columns, n, e));
        } else {
            if (str_is(key, "data"))
                data = *j;
            TRY(json_skip(j, NULL, e));
        }
    }
    if (!data.p)
        return json_fail(j, e, "a frame needs \"data\"");
    return r->ask.inputs ? OK : take_data(r, &data, columns, n, e);
}

/* --- records --- */

struct table {                 /* cells of the rows in the order of the first row's columns */
    struct str *names, *cells; /* (n) */
    size_t n;
};

static enum code read_first(struct request *r, struct json ahead, struct table *t, struct err *e) {
    struct str key;
    bool more;
    struct buf *b = answer_buf(r, 0, e);
    if (!b)
        return e->code;
    TRY(json_enter_object(&ahead, e));
    for (;; t->n++) {
        TRY(json_next_key(&ahead, &key, &more, e));
        if (!more)
            break;
        if (t->n == COLUMNS_MAX)
            return json_fail(&ahead, e, "more than %d columns", COLUMNS_MAX);
        TRY(json_skip(&ahead, NULL, e));
        buf_put(b, &key, sizeof key);
    }
    TRY(buf_check(b, "columns", e));
    t->names = (struct str *)(void *)b->p;
    t->cells = ARENA_ARRAY(r->arena, t->n + 1, struct str);
    return t->cells ? OK : arena_fail(r->arena, t->n * sizeof *t->cells, "columns", e);
}

/* Rows have their columns in one order nearly always: `next` is where the key is looked for first.
 */
static size_t column_of(const struct table *t, struct str key, size_t next) {
    for (size_t i = 0; i < t->n; i++) {
        size_t at = next + i < t->n ? next + i : next + i - t->n;
        if (str_eq(t->names[at], key))
            return at;
    }
    return t->n;
}

static enum code read_record(struct json *j, struct table *t, struct json_out *w, struct err *e) {
    struct str key, text;
    bool more;
    size_t seen = 0;
    memset(t->cells, 0, t->n * sizeof *t->cells);
    TRY(json_enter_object(j, e));
    for (;; seen++) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        size_t at = column_of(t, key, seen);
        if (at == t->n)
            return json_fail(j, e, "column '%.*s' is not in the rows before this one", STR(key));
        if (t->cells[at].p)
            return json_fail(j, e, "column '%.*s' is given twice", STR(key));
        TRY(json_skip(j, &text, e));
        t->cells[at] = text;
    }
    if (seen != t->n)
        return json_fail(j, e, "this row has %zu columns, the first %zu", seen, t->n);
    json_put_array(w);
    for (size_t i = 0; i < t->n; i++)
        json_put_raw(w, t->cells[i]);
    json_put_array_end(w);
    return OK;
}

static enum code read_split(struct request *r, const struct buf *b, const struct str *names,
                            size_t n, struct err *e) {
    struct json rows;
    TRY(buf_check(b, "table", e));
    json_init(&rows, buf_str(b), r->arena);
    rows.allow_nan = true;
    return take_data(r, &rows, names, n, e);
}

enum code frame_records(struct request *r, struct json *j, struct err *e) {
    struct table t = {0};
    struct json_out w;
    bool more;
    struct buf *b = answer_buf(r, (size_t)(j->end - j->p), e);
    if (!b)
        return e->code;
    json_out_init(&w, b, 0);
    json_put_array(&w);
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (!t.cells)
            TRY(read_first(r, *j, &t, e));
        TRY(read_record(j, &t, &w, e));
    }
    json_put_array_end(&w);
    return t.n ? read_split(r, b, t.names, t.n, e)
               : json_fail(j, e, "there must be at least one row");
}

/* --- CSV --- */

/* The next cell; *last: it ended its line. Quotes inside a quoted cell are doubled (RFC 4180 §2.7):
 * such a cell is unescaped into the arena. */
static enum code next_cell(struct request *r, struct str *text, struct str *out, bool *quoted,
                           bool *last, struct err *e) {
    const char *p = text->p, *end = p + text->n;
    *quoted = p < end && *p == '"';
    if (!*quoted) {
        const char *from = p;
        while (p < end && *p != ',' && *p != '\n')
            p++;
        *out = (struct str){from, (size_t)(p - from)};
        if (out->n && out->p[out->n - 1] == '\r')
            out->n--;
    } else {
        char *copy = arena_push(r->arena, text->n + 1);
        size_t n = 0;
        if (!copy)
            return arena_fail(r->arena, text->n, "CSV", e);
        for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
            copy[n++] = *p;
            p += *p == '"';
        }
        if (p == end)
            return fail(e, INVALID, "CSV: a quoted cell does not end");
        p++;
        *out = (struct str){copy, n};
        if (p < end && *p == '\r')
            p++;
        if (p < end && *p != ',' && *p != '\n')
            return fail(e, INVALID, "CSV: text follows a quoted cell");
    }
    *last = p == end || *p == '\n';
    *text = (struct str){p < end ? p + 1 : p, (size_t)(end - (p < end ? p + 1 : p))};
    return OK;
}

static void put_cell(struct json_out *w, struct str cell, bool quoted) {
    double number;
    if (quoted)
        json_put_str(w, cell);
    else if (cell.n == 0)
        json_put_raw(w, LIT("NaN"));
    else if (str_to_f64(cell, &number))
        json_put_raw(w, cell);
    else if (str_eq_nocase(cell, LIT("true")) || str_eq_nocase(cell, LIT("false")))
        json_put_bool(w, cell.p[0] == 't' || cell.p[0] == 'T');
    else
        json_put_str(w, cell);
}

static enum code read_header(struct request *r, struct str *text, struct str **names, size_t *n,
                             bool *numbers, struct err *e) {
    struct buf *b = answer_buf(r, 0, e);
    bool quoted, last = false;
    struct str cell;
    double number;
    if (!b)
        return e->code;
    *numbers = true;
    for (*n = 0; !last; ++*n) {
        if (*n == COLUMNS_MAX)
            return fail(e, INVALID, "CSV: more than %d columns", COLUMNS_MAX);
        TRY(next_cell(r, text, &cell, &quoted, &last, e));
        *numbers &= !quoted && str_to_f64(cell, &number);
        buf_put(b, &cell, sizeof cell);
    }
    *names = (struct str *)(void *)b->p;
    return buf_check(b, "columns", e);
}

enum code frame_csv(struct request *r, struct str text, bool headed, struct err *e) {
    struct str *names = NULL, rest = text, cell;
    size_t n = 0, rows = 0;
    bool numbers = false, quoted, last;
    struct json_out w;
    TRY(read_header(r, &rest, &names, &n, &numbers, e));
    struct buf *b = answer_buf(r, text.n + text.n / 4 + 16, e);
    if (!b)
        return e->code;
    if (numbers && !headed)
        rest = text;
    json_out_init(&w, b, 0);
    json_put_array(&w);
    for (; rest.n; rows++) {
        size_t cells = 0;
        json_put_array(&w);
        for (last = false; !last; cells++) {
            TRY(next_cell(r, &rest, &cell, &quoted, &last, e));
            put_cell(&w, cell, quoted);
        }
        json_put_array_end(&w);
        if (cells != n)
            return fail(e, INVALID, "CSV: row %zu has %zu cells, the first line %zu", rows + 1,
                        cells, n);
    }
    json_put_array_end(&w);
    return rows ? read_split(r, b, names, n, e) : fail(e, INVALID, "CSV: there are no rows");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: see body.h.
 *
 * 1. What is sent is told by its bytes; Content-Type decides only where bytes cannot.
 * 2. A missing batch dim is added when the rest of the shape fits; nothing else is guessed about
 * shapes.
 * 3. An .npy of another number type is converted where no value can be lost but precision (f64 to
 * f32, integers to floats, integers to integers that hold them). */
#include "serve/body.h"

#include "serve/image.h"
#include "serve/media.h"
#include "serve/multipart.h"
#include "serve/records.h"
#include "serve/typed.h"
#include "tensor/cast.h"
#include "tensor/npy.h"

enum { NAMES_ROOM = 240, NAME_MOST = 100 };

/* --- inputs --- */

static const struct live_io *find_io(const struct live *l, struct str name) {
    const struct live_io *io;
    size_t n = live_inputs(l, &io);
    for (size_t i = 0; i < n; i++)
        if (str_eq(io[i].name, name))
            return &io[i];
    return NULL;
}

static enum code unexpected(struct request *r, struct str name, struct err *e) {
    const struct live_io *io;
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    return fail(e, INVALID, "unexpected '%.*s'; the model takes %s", STR(name),
                records_names(io, n, names, sizeof names));
}

static enum code add_input(struct request *r, const struct live_io *io, const struct tensor *t,
                           struct err *e) {
    const struct live_io *all;
    size_t n = live_inputs(r->ask.live, &all);
    if (!r->ask.inputs)
        TRY(records_room(r, n, e));
    for (size_t i = 0; i < r->ask.n_inputs; i++)
        if (str_eq(r->ask.inputs[i].name, io->name))
            return fail(e, INVALID, "input '%.*s' is given twice", STR(io->name));
    r->ask.inputs[r->ask.n_inputs++] = (struct ask_tensor){io->name, *t};
    return OK;
}

static bool tail_fits(const struct live_io *io, const struct shape *s) {
    for (int d = 0; d < s->rank; d++)
        if (io->shape.dims[d + 1] >= 0 && io->shape.dims[d + 1] != s->dims[d])
            return false;
    return true;
}

/* [4] for [-1,4] becomes [1,4]; [784] for [-1,1,28,28] becomes [1,1,28,28]. */
static void add_batch(const struct live_io *io, struct tensor *t) {
    struct shape want = io->shape;
    size_t count;
    if (io->shape.rank == 0 || t->shape.rank >= io->shape.rank ||
        (want.dims[0] != -1 && want.dims[0] != 1))
        return;
    want.dims[0] = 1;
    if (t->shape.rank == io->shape.rank - 1 && tail_fits(io, &t->shape)) {
        memcpy(want.dims + 1, t->shape.dims, (size_t)t->shape.rank * sizeof *want.dims);
        t->shape = want;
    } else if (t->shape.rank == 1 && shape_count(&want, &count) && count == tensor_count(t)) {
        t->shape = want;
    }
}

/* --- .npy --- */

static bool integer_fits(enum dtype to, const struct tensor *t) {
    static const struct {
        enum dtype dtype;
        int64_t low, high;
    } ranges[] = {{DT_I8, INT8_MIN, INT8_MAX},    {DT_I16, INT16_MIN, INT16_MAX},
                  {DT_I32, INT32_MIN, INT32_MAX}, {DT_I64, INT64_MIN, INT64_MAX},
                  {DT_U8, 0, UINT8_MAX},          {DT_U16, 0, UINT16_MAX},
                  {DT_U32, 0, UINT32_MAX},        {DT_U64, 0, INT64_MAX}};
    size_t n = tensor_count(t);
    for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
        for (size_t i = 0; ranges[k].dtype == to && i < n; i++) {
            int64_t v = tensor_i64(t, i);
            if (v < ranges[k].low || v > ranges[k].high || (t->dtype == DT_U64 && v < 0))
                return false;
        }
    return true;
}

static enum code convert(struct request *r, const struct live_io *io, struct tensor *t,
                         struct err *e) {
    bool whole = dtype_is_integer(t->dtype) || t->dtype == DT_BOOL;
    struct tensor out;
    if (t->dtype == io->dtype)
        return OK;
    bool may = dtype_is_float(io->dtype) ? whole || dtype_is_float(t->dtype)
                                         : dtype_is_integer(io->dtype) && whole;
    if (!may)
        return fail(e, INVALID, "input '%.*s': the array is %s, the model takes %s", STR(io->name),
                    dtype_name(t->dtype), dtype_name(io->dtype));
    if (!dtype_is_float(io->dtype) && !integer_fits(io->dtype, t))
        return fail(e, INVALID,
                    "input '%.*s': the array is %s and holds values that do not fit in %s",
                    STR(io->name), dtype_name(t->dtype), dtype_name(io->dtype));
    TRY(tensor_new(r->arena, io->dtype, &t->shape, &out, e));
    TRY(cast_elements(io->dtype, out.data, t->dtype, t->data, tensor_count(t), true, r->arena, e));
    *t = out;
    return OK;
}

static enum code take_npy(struct request *r, const struct live_io *io, struct span body,
                          struct err *e) {
    struct tensor t;
    TRY(npy_read(body, r->arena, &t, e));
    TRY(convert(r, io, &t, e));
    add_batch(io, &t);
    return add_input(r, io, &t, e);
}

/* --- JSON --- */

static enum code take_value(struct request *r, struct json *j, const struct live_io *io,
                            struct err *e) {
    struct tensor t;
    enum code code = typed_read(r, j, records_kind(io, *j), &t, e);
    if (code != OK)
        return err_prefix(e, "input '%.*s'", STR(io->name));
    if (t.dtype == io->dtype)
        add_batch(io, &t);
    return add_input(r, io, &t, e);
}

static enum code take_sole(struct request *r, struct json *j, struct err *e) {
    const struct live_io *io, *sole = records_sole(r->ask.live);
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    if (!sole)
        return json_fail(j, e, "the model has %zu inputs, send an object of them: %s", n,
                         records_names(io, n, names, sizeof names));
    return take_value(r, j, sole, e);
}

static bool is_noise(struct str key) {
    static const char *const known[] = {"id",      "signature_name", "parameters",
                                        "options", "model",          "version"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(key, known[i]))
            return true;
    return false;
}

static enum code unexpected_at(struct request *r, struct json *j, struct str key, struct err *e) {
    struct err inner;
    (void)unexpected(r, key, &inner);
    return json_fail(j, e, "%s", inner.text);
}

static void add_batches(struct request *r) {
    for (size_t i = 0; i < r->ask.n_inputs; i++) {
        const struct live_io *io = find_io(r->ask.live, r->ask.inputs[i].name);
        if (io)
            add_batch(io, &r->ask.inputs[i].tensor);
    }
}

static enum code take_member(struct request *r, struct json *j, struct str key, struct err *e) {
    const struct live_io *io = find_io(r->ask.live, key);
    if (io)
        return take_value(r, j, io, e);
    if (is_noise(key))
        return json_skip(j, NULL, e);
    if (r->ask.inputs && (str_is(key, "instances") || str_is(key, "inputs")))
        return json_fail(j, e, "'%.*s' beside other inputs", STR(key));
    if (str_is(key, "instances"))
        return records_rows(r, j, e);
    if (str_is(key, "inputs")) {
        TRY(records_columns(r, j, e));
        add_batches(r);
        return OK;
    }
    if (!records_sole(r->ask.live) || r->ask.inputs || json_peek(j) != JSON_ARRAY)
        return unexpected_at(r, j, key, e);
    return take_sole(
        r, j,
        e); /* {"x_test": [...]}, {"data": [...]}: whatever it is called, it is the one array */
}

static enum code take_json(struct request *r, struct span body, struct err *e) {
    struct json j;
    struct str key;
    bool more;
    json_init(&j, (struct str){(const char *)body.p, body.n}, r->arena);
    j.allow_nan = true;
    if (json_peek(&j) != JSON_OBJECT) {
        TRY(take_sole(r, &j, e));
        return json_end(&j, e);
    }
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        TRY(take_member(r, &j, key, e));
    }
    TRY(json_end(&j, e));
    const struct live_io *io;
    char names[NAMES_ROOM];
    size_t n = live_inputs(r->ask.live, &io);
    return r->ask.inputs ? OK
                         : json_fail(&j, e, "no input given; the model takes %s",
                                     records_names(io, n, names, sizeof names));
}

/* --- bodies --- */

static bool looks_like_json(struct span b) {
    size_t i = 0;
    while (i < b.n && (b.p[i] == ' ' || b.p[i] == '\n' || b.p[i] == '\r' || b.p[i] == '\t'))
        i++;
    return i < b.n && strchr("{[\"-0123456789tfnNI", b.p[i]) && b.p[i];
}

/* The whole of it as one string: [1], or [1,1] where the signature has two dims. */
static enum code take_text(struct request *r, const struct live_io *io, struct span body,
                           struct err *e) {
    struct tensor t = {.dtype = DT_STRING, .shape = {1, {1}}};
    struct str *text = ARENA_NEW(r->arena, struct str);
    if (!text)
        return arena_fail(r->arena, sizeof *text, "text", e);
    *text = (struct str){(const char *)body.p, body.n};
    t.data = text;
    add_batch(io, &t);
    return add_input(r, io, &t, e);
}

/* A part that names no input is the only one's when it may be: `whole`. */
static enum code take_part(struct request *r, struct str name, struct span bytes, bool whole,
                           struct err *e) {
    const struct live_io *io = find_io(r->ask.live, name);
    if (image_kind(bytes) != IMAGE_NONE)
        return media_take(r, io, bytes, e);
    if (!io && whole)
        io = records_sole(r->ask.live);
    if (!io)
        return unexpected(r, name, e);
    if (npy_is(bytes))
        return take_npy(r, io, bytes, e);
    if (io->dtype == DT_STRING && !looks_like_json(bytes))
        return take_text(r, io, bytes, e);
    struct json j;
    json_init(&j, (struct str){(const char *)bytes.p, bytes.n}, r->arena);
    j.allow_nan = true;
    TRY(take_value(r, &j, io, e));
    return json_end(&j, e);
}

static bool is_body(struct str name) { return str_is(name, "data") || str_is(name, "body"); }

enum code body_part(struct request *r, struct str name, struct span bytes, struct err *e) {
    enum code code = take_part(r, name, bytes, is_body(name), e);
    return code == OK ? OK : err_prefix(e, "input '%.*s'", STR(str_sub(name, 0, NAME_MOST)));
}

static enum code take_form(struct request *r, struct str content_type, struct err *e) {
    struct multipart m;
    struct multipart_part p;
    bool more;
    TRY(multipart_begin(&m, content_type, r->body, e));
    for (;;) {
        TRY(multipart_next(&m, &p, &more, e));
        if (!more)
            return r->ask.inputs ? OK : fail(e, INVALID, "the form holds no input");
        enum code code = take_part(r, p.name, p.body, p.file_name.n || is_body(p.name), e);
        if (code != OK)
            return err_prefix(e, "form field '%.*s'", STR(p.name));
    }
}

enum code body_take(struct request *r, struct err *e) {
    struct str type = http_header_get(&r->x->request, "content-type");
    const struct live_io *sole = records_sole(r->ask.live);
    if (type.n >= 19 && str_eq_nocase(str_sub(type, 0, 19), LIT("multipart/form-data")))
        return take_form(r, type, e);
    if (image_kind(r->body) != IMAGE_NONE)
        return media_take(r, NULL, r->body, e);
    if (npy_is(r->body))
        return sole ? take_npy(r, sole, r->body, e)
                    : fail(e, INVALID,
                           "the model has several inputs: send a form with one .npy file for each");
    if (sole && sole->dtype == DT_STRING && r->body.n &&
        (str_starts(type, "text/plain") || !looks_like_json(r->body)))
        return take_text(r, sole, r->body, e);
    if (looks_like_json(r->body))
        return take_json(r, r->body, e);
    if (r->body.n == 0)
        return fail(e, INVALID,
                    "the body is empty; send JSON, an .npy file, a JPEG or a PNG image");
    return fail(e, MEDIA_TYPE, "the body (%.*s) is neither JSON nor .npy nor a JPEG or PNG image",
                STR(type.n ? type : LIT("no Content-Type")));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs for a session: see feed.h. */
#include "cli/feed.h"

#include "base/file.h"
#include "serve/image.h"
#include "serve/recipe.h"
#include "serve/typed.h"
#include "tensor/cast.h"
#include "tensor/npy.h"

#include <string.h>
#include <unistd.h>

enum { FILE_CAP = 1 << 30, PIXELS_MAX = 1 << 26 };

enum code feed_index(const struct session_io *io, size_t n, struct str name, const char *what,
                     size_t *out, struct err *e) {
    char names[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(io[i].name, name)) {
            *out = i;
            return OK;
        }
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s'%.*s'", i ? ", " : "",
                                     STR(io[i].name));
    }
    return fail(e, INVALID, "no %s '%.*s'; the model has %s", what, STR(name), names);
}

/* --- made-up values --- */

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Whole numbers an input is made of: 0 to one below this. */
static double bound(const struct session_io *io) {
    enum { SMALL = 100, MIDDLE = 200 };
    const double most = io->dtype == DT_BOOL ? 2 : io->dtype == DT_I8 ? SMALL : MIDDLE;
    return io->rows && (double)io->rows < most ? (double)io->rows : most;
}

static enum code fill_random(const struct session_io *io, struct tensor *t, uint64_t *state,
                             struct arena *a, struct err *e) {
    size_t n = tensor_count(t);
    if (t->dtype == DT_STRING)
        return OK; /* zeroed: empty texts */
    float *values = ARENA_ARRAY(a, n + 1, float);
    if (!values)
        return arena_fail(a, n * sizeof *values, "input", e);
    for (size_t i = 0; i < n; i++) {
        double u = (double)(next_random(state) >> 40) * 0x1p-24;
        values[i] = dtype_is_float(t->dtype) ? (float)u : (float)(int)(u * bound(io));
    }
    return cast_elements(t->dtype, t->data, DT_F32, values, n, true, a, e);
}

static enum code parse_shape(struct str text, struct shape *out, struct err *e) {
    struct str rest = text;
    *out = (struct shape){0};
    while (rest.n) {
        size_t comma;
        if (!str_find(rest, ',', &comma))
            comma = rest.n;
        if (out->rank == SHAPE_MAX || !str_to_i64(str_sub(rest, 0, comma), &out->dims[out->rank]) ||
            out->dims[out->rank] < 0)
            return fail(e, USAGE, "'%.*s' is not a shape like 1,3,224,224", STR(text));
        out->rank++;
        rest = str_sub(rest, comma + 1, rest.n);
    }
    return OK;
}

static enum code apply_shapes(const struct session_io *io, size_t n,
                              const struct option_list *shapes, struct shape *out, struct err *e) {
    for (int i = 0; i < shapes->n; i++) {
        struct str item = str_of(shapes->items[i]);
        size_t equals, at;
        if (!str_find(item, '=', &equals))
            return fail(e, USAGE, "--shape: '%s' is not NAME=1,3,224,224", shapes->items[i]);
        TRY(feed_index(io, n, str_sub(item, 0, equals), "input", &at, e));
        TRY(parse_shape(str_sub(item, equals + 1, item.n), &out[at], e));
    }
    return OK;
}

enum code feed_random(const struct session *s, const struct option_list *shapes, int64_t batch,
                      uint64_t seed, struct arena *a, struct tensor *out, struct err *e) {
    const struct session_io *io;
    size_t n = session_inputs(s, &io);
    uint64_t state = 1 + (seed << 32);
    struct shape *want = ARENA_ARRAY(a, n + 1, struct shape);
    if (!want)
        return arena_fail(a, n * sizeof *want, "inputs", e);
    for (size_t i = 0; i < n; i++) {
        want[i] = io[i].shape;
        for (int d = 0; d < want[i].rank; d++)
            if (want[i].dims[d] < 0)
                want[i].dims[d] = d == 0 ? batch : 1;
    }
    TRY(apply_shapes(io, n, shapes, want, e));
    for (size_t i = 0; i < n; i++) {
        if (io[i].optional)
            continue;
        TRY(tensor_new(a, io[i].dtype, &want[i], &out[i], e));
        TRY(fill_random(&io[i], &out[i], &state, a, e));
    }
    return OK;
}

static bool shape_given(const struct option_list *shapes, struct str name) {
    for (int i = 0; i < shapes->n; i++)
        if (strncmp(shapes->items[i], name.p, name.n) == 0 && shapes->items[i][name.n] == '=')
            return true;
    return false;
}

enum code feed_blame(const struct session *s, const struct option_list *shapes, struct err *e) {
    const struct session_io *io;
    const size_t n = session_inputs(s, &io);
    for (size_t i = 0; i < n && e->code == ERR_INVALID; i++)
        for (int d = 1; d < io[i].shape.rank; d++)
            if (io[i].shape.dims[d] < 0 && !io[i].optional && !shape_given(shapes, io[i].name))
                return err_prefix(e,
                                  "dim %d of input '%.*s' is free and was taken as 1, --shape "
                                  "%.*s=... says otherwise",
                                  d, STR(io[i].name), STR(io[i].name));
    return e->code;
}

/* --- files --- */

static enum code read_input(const char *path, struct arena *a, struct span *out, struct err *e) {
    if (strcmp(path, "-") != 0)
        return file_read(path, FILE_CAP, a, out, e);
    struct buf b;
    buf_init(&b, FILE_CAP);
    for (ssize_t n = 1; n > 0;) {
        char *room = buf_reserve(&b, 1 << 16) ? b.p + b.n : NULL;
        n = room ? read(STDIN_FILENO, room, 1 << 16) : 0;
        b.n += n > 0 ? (size_t)n : 0;
    }
    enum code code = buf_check(&b, "standard input", e);
    if (code == OK) {
        struct str copy = arena_str(a, buf_str(&b));
        if (!copy.p)
            code = arena_fail(a, b.n, "standard input", e);
        *out = (struct span){(const uint8_t *)copy.p, copy.n};
    }
    buf_deinit(&b);
    return code;
}

static enum code from_json(struct span bytes, const struct session_io *io, struct arena *a,
                           struct tensor *out, struct err *e) {
    struct json r;
    struct json_tensor shape;
    struct buf *b = ARENA_NEW(a, struct buf);
    if (!b)
        return arena_fail(a, sizeof *b, "input", e);
    buf_init(b, FILE_CAP);
    if (!arena_defer(a, (void (*)(void *))buf_deinit, b))
        return arena_fail(a, sizeof *b, "input", e);
    json_init(&r, (struct str){(const char *)bytes.p, bytes.n}, a);
    r.allow_nan = true;
    enum json_number number;
    struct tensor t = {.dtype = io->dtype, .shape = {.rank = 0}};
    if (io->dtype == DT_STRING) {
        TRY(json_strings(&r, b, &shape, e));
    } else {
        if (!typed_number(io->dtype, &number)) { /* f16, bf16: read as f32, converted by fit() */
            number = JN_F32;
            t.dtype = DT_F32;
        }
        TRY(json_tensor(&r, number, b, &shape, e));
    }
    TRY(json_end(&r, e));
    t.data = b->p;
    t.shape.rank = shape.rank;
    for (int d = 0; d < shape.rank; d++)
        t.shape.dims[d] = shape.dims[d];
    *out = t;
    return OK;
}

static enum code from_text(struct span bytes, struct arena *a, struct tensor *out, struct err *e) {
    TRY(tensor_new(a, DT_STRING, &(struct shape){1, {1}}, out, e));
    *(struct str *)out->data = (struct str){(const char *)bytes.p, bytes.n};
    return OK;
}

/* A missing batch dim is added when the rest fits; other float types become the declared one. */
static enum code fit(const struct session_io *io, struct arena *a, struct tensor *t,
                     struct err *e) {
    if (t->shape.rank + 1 == io->shape.rank && t->shape.rank < SHAPE_MAX &&
        io->shape.dims[0] <= 1) {
        memmove(t->shape.dims + 1, t->shape.dims, (size_t)t->shape.rank * sizeof *t->shape.dims);
        t->shape.dims[0] = 1;
        t->shape.rank++;
    }
    if (t->dtype == io->dtype || t->dtype == DT_STRING || !dtype_is_float(io->dtype))
        return OK;
    struct tensor cast;
    TRY(tensor_new(a, io->dtype, &t->shape, &cast, e));
    TRY(cast_elements(io->dtype, cast.data, t->dtype, t->data, tensor_count(t), true, a, e));
    *t = cast;
    return OK;
}

/* A picture becomes the input by the version's recipe, as it would over HTTP. */
static enum code from_image(const struct session_io *io, const struct recipe *recipe,
                            struct span bytes, struct arena *a, struct tensor *out, struct err *e) {
    struct live_io as = {.name = io->name, .dtype = io->dtype, .shape = io->shape};
    struct recipe_view view;
    struct image image;
    TRY(image_decode(bytes, PIXELS_MAX, &image, e));
    enum code code = recipe_image(recipe, &as, &image, a, out, &view, e);
    image_free(&image);
    return code;
}

static enum code one_file(const struct session_io *io, const struct recipe *recipe,
                          const char *path, struct arena *a, struct tensor *out, struct err *e) {
    struct span bytes;
    TRY(read_input(path, a, &bytes, e));
    if (image_kind(bytes) != IMAGE_NONE)
        return from_image(io, recipe, bytes, a, out, e);
    if (npy_is(bytes))
        TRY(npy_read(bytes, a, out, e));
    else if (str_ends(str_of(path), ".txt"))
        TRY(from_text(bytes, a, out, e));
    else
        TRY(from_json(bytes, io, a, out, e));
    return fit(io, a, out, e);
}

enum code feed_files(const struct session *s, const struct recipe *recipe, char *const *items,
                     int n_items, struct arena *a, struct tensor *out, struct err *e) {
    const struct session_io *io;
    size_t n = session_inputs(s, &io), next = 0;
    for (int i = 0; i < n_items; i++) {
        struct str item = str_of(items[i]);
        size_t equals, at = next;
        const char *path = items[i];
        if (str_find(item, '=', &equals)) {
            TRY(feed_index(io, n, str_sub(item, 0, equals), "input", &at, e));
            path = items[i] + equals + 1;
        }
        if (at >= n)
            return fail(e, USAGE, "%d inputs given, the model has %zu", n_items, n);
        enum code code = one_file(&io[at], recipe, path, a, &out[at], e);
        if (code != OK)
            return err_prefix(e, "input '%.*s' from '%s'", STR(io[at].name), path);
        next = at + 1;
    }
    return OK;
}

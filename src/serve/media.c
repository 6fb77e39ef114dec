/* SPDX-License-Identifier: Apache-2.0 */
/* Media: see media.h. */
#include "serve/media.h"

#include "base/base64.h"
#include "serve/answer.h"
#include "serve/image.h"
#include "serve/protocol/protocol.h"
#include "serve/records.h"
#include "serve/server.h"
#include "serve/tokenize.h"

enum { IMAGE_RANK = 4, IMAGES_MAX = 1024 };

enum code media_read(struct request *r, struct err *e) {
    if (r->media)
        return OK;
    struct media *m = ARENA_NEW(r->arena, struct media);
    if (!m)
        return arena_fail(r->arena, sizeof *m, "request", e);
    TRY(recipe_read(live_part(r->ask.live, "preprocess"), r->arena, &m->recipe, e));
    r->media = m;
    return OK;
}

static const struct live_io *find(const struct live_io *io, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(io[i].name, name))
            return &io[i];
    return NULL;
}

bool media_takes(const struct live_io *io) {
    return io->dtype != DT_STRING && (io->text || io->shape.rank == IMAGE_RANK);
}

const struct live_io *media_input(const struct request *r) {
    const struct live_io *io, *found = NULL;
    size_t n = live_inputs(r->ask.live, &io);
    if (r->media && r->media->recipe.input.n)
        return find(io, n, r->media->recipe.input);
    if (n == 1)
        return io;
    for (size_t i = 0; i < n; i++)
        if (media_takes(&io[i])) {
            if (found)
                return NULL;
            found = &io[i];
        }
    return found;
}

enum code media_take(struct request *r, const struct live_io *io, struct span bytes,
                     struct err *e) {
    const struct live_io *all;
    size_t n = live_inputs(r->ask.live, &all);
    TRY(media_read(r, e));
    if (!io)
        io = media_input(r);
    if (!io)
        return fail(e, INVALID,
                    "the model has several inputs: say in a form which one the image is, or in its "
                    "\"preprocess\" part");
    if (!r->ask.inputs)
        TRY(records_room(r, n, e));
    for (size_t i = 0; i < r->ask.n_inputs; i++)
        if (str_eq(r->ask.inputs[i].name, io->name))
            return fail(e, INVALID, "input '%.*s' is given twice", STR(io->name));
    struct str *text = ARENA_NEW(r->arena, struct str);
    if (!text)
        return arena_fail(r->arena, sizeof *text, "image", e);
    *text = (struct str){(const char *)bytes.p, bytes.n};
    r->ask.inputs[r->ask.n_inputs++] =
        (struct ask_tensor){io->name, {.dtype = DT_STRING, .shape = {1, {1}}, .data = text}};
    return OK;
}

/* --- images in --- */

/* The input tensor i is an image for, NULL: it is what it is. */
static const struct live_io *image_input(const struct request *r, size_t i) {
    const struct live_io *io;
    size_t n = live_inputs(r->ask.live, &io);
    const struct ask_tensor *t = &r->ask.inputs[i];
    const struct live_io *to = t->name.n ? find(io, n, t->name) : i < n ? &io[i] : NULL;
    return t->tensor.dtype == DT_STRING && to && to->dtype != DT_STRING ? to : NULL;
}

bool media_images(const struct request *r) {
    for (size_t i = 0; r->ask.live && i < r->ask.n_inputs; i++)
        if (image_input(r, i))
            return true;
    return false;
}

/* Clients that have no bytes type send base64: of JPEG it begins "/9j/", of PNG "iVBORw0KGgo"; web
 * pages put "data:image/png;base64," before it. */
static enum code bytes_of(struct request *r, struct str text, struct span *out, struct err *e) {
    size_t comma;
    *out = (struct span){(const uint8_t *)text.p, text.n};
    if (image_kind(*out) != IMAGE_NONE)
        return OK;
    if (str_starts(text, "data:image/") && str_find(text, ',', &comma))
        text = str_sub(text, comma + 1, text.n);
    if (!str_starts(text, "/9j/") && !str_starts(text, "iVBORw0KGgo"))
        return OK; /* image_decode says what it is not */
    struct buf *b = answer_buf(r, text.n / 4 * 3 + 3, e);
    if (!b)
        return e->code;
    TRY(base64_take(text, b, e));
    *out = (struct span){(const uint8_t *)b->p, b->n};
    return OK;
}

static enum code one_image(struct request *r, const struct live_io *io, struct str text,
                           struct tensor *out, struct recipe_view *view, struct err *e) {
    struct span bytes;
    struct image image;
    TRY(bytes_of(r, text, &bytes, e));
    TRY(image_decode(bytes, r->options->image_pixels, &image, e));
    enum code code = recipe_image(&r->media->recipe, io, &image, r->arena, out, view, e);
    image_free(&image);
    return code;
}

/* Rows of one shape as one tensor. */
static enum code join(struct request *r, const struct tensor *rows, size_t n, struct tensor *out,
                      struct err *e) {
    char first[SHAPE_TEXT], here[SHAPE_TEXT];
    struct shape shape = rows[0].shape;
    for (size_t i = 1; i < n; i++)
        if (!shape_eq(&rows[i].shape, &rows[0].shape))
            return fail(e, INVALID, "image %zu becomes %s, the first %s: send them one by one", i,
                        shape_print(&rows[i].shape, here), shape_print(&rows[0].shape, first));
    shape.dims[0] = (int64_t)n;
    TRY(tensor_new(r->arena, rows[0].dtype, &shape, out, e));
    size_t bytes = tensor_bytes(&rows[0]);
    for (size_t i = 0; i < n; i++)
        memcpy((char *)out->data + i * bytes, rows[i].data, bytes);
    return OK;
}

static enum code take_images(struct request *r, const struct live_io *io, struct tensor *t,
                             struct err *e) {
    size_t n = tensor_count(t);
    const struct str *text = t->data;
    if (n == 0 || n > IMAGES_MAX)
        return fail(e, INVALID, "%zu images: 1 to %d are taken at once", n, IMAGES_MAX);
    struct media *m = r->media;
    struct tensor *rows = ARENA_ARRAY(r->arena, n, struct tensor);
    m->views = ARENA_ARRAY(r->arena, n, struct recipe_view);
    if (!rows || !m->views)
        return arena_fail(r->arena, n * sizeof *rows, "images", e);
    for (size_t i = 0; i < n; i++)
        TRY(one_image(r, io, text[i], &rows[i], &m->views[i], e));
    m->n_views = n;
    if (n > 1)
        return join(r, rows, n, t, e);
    *t = rows[0];
    return OK;
}

/* --- what is asked for --- */

/* The model's outputs that answer the names asked for, an outcome's source among them. */
static enum code translate_want(struct request *r, struct err *e) {
    struct media *m = r->media;
    const struct live_io *io;
    size_t n = live_outputs(r->ask.live, &io), source, want = 0;
    TRY(outcome_source(&m->recipe, r->ask.live, &source, e));
    struct str *names = ARENA_ARRAY(r->arena, r->ask.n_want + 1, struct str);
    if (!names)
        return arena_fail(r->arena, r->ask.n_want * sizeof *names, "outputs", e);
    m->asked = r->ask.want;
    m->n_asked = r->ask.n_want;
    for (size_t i = 0; i < m->n_asked; i++) {
        struct live_io outcome;
        if (!find(io, n, m->asked[i]) && outcome_io(&m->recipe, m->asked[i], &outcome))
            m->named = true;
        else
            names[want++] = m->asked[i];
    }
    m->named |= m->n_asked == 0;
    if (m->named)
        names[want++] = io[source].name;
    r->ask.want = names;
    r->ask.n_want = want;
    return OK;
}

enum code media_outputs_io(struct request *r, struct live_io **out, size_t *n, struct err *e) {
    const struct live_io *io;
    struct str names[OUTCOME_MAX];
    size_t own = live_outputs(r->ask.live, &io);
    TRY(media_read(r, e));
    struct live_io *all = ARENA_ARRAY(r->arena, own + OUTCOME_MAX, struct live_io);
    if (!all)
        return arena_fail(r->arena, own * sizeof *all, "outputs", e);
    memcpy(all, io, own * sizeof *io);
    size_t named = outcome_names(&r->media->recipe, names);
    *n = own;
    for (size_t i = 0; i < named; i++)
        if (!find(io, own, names[i]))
            (void)outcome_io(&r->media->recipe, names[i], &all[(*n)++]);
    *out = all;
    return OK;
}

size_t media_names(const struct request *r) {
    const struct live_io *io;
    return live_outputs(r->ask.live, &io) +
           (live_part(r->ask.live, "preprocess").n ? OUTCOME_MAX : 0);
}

enum code media_inputs(struct request *r, struct err *e) {
    struct str names[OUTCOME_MAX];
    bool raw = r->protocol->raw;
    TRY(tokenize_inputs(r, e));
    if (!media_images(r) && (raw || live_part(r->ask.live, "preprocess").n == 0))
        return OK;
    TRY(media_read(r, e));
    for (size_t i = 0; i < r->ask.n_inputs; i++) {
        const struct live_io *io = image_input(r, i);
        if (!io)
            continue;
        enum code code = take_images(r, io, &r->ask.inputs[i].tensor, e);
        if (code != OK)
            return err_prefix(e, "input '%.*s'", STR(io->name));
    }
    return raw || outcome_names(&r->media->recipe, names) == 0 ? OK : translate_want(r, e);
}

/* --- outcomes out --- */

static const struct ask_tensor *of_name(const struct ask_tensor *t, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(t[i].name, name))
            return &t[i];
    return NULL;
}

enum code media_outputs(struct request *r, struct err *e) {
    struct media *m = r->media;
    struct ask *a = &r->ask;
    const struct live_io *io;
    size_t source, n = 0;
    struct str names[OUTCOME_MAX];
    if (!m || !m->named)
        return OK;
    (void)live_outputs(a->live, &io);
    size_t made = outcome_names(&m->recipe, names);
    struct ask_tensor *outcomes = ARENA_ARRAY(r->arena, OUTCOME_MAX, struct ask_tensor);
    struct ask_tensor *all = ARENA_ARRAY(r->arena, m->n_asked + OUTCOME_MAX, struct ask_tensor);
    if (!outcomes || !all)
        return arena_fail(r->arena, sizeof *all, "answer", e);
    TRY(outcome_source(&m->recipe, a->live, &source, e));
    const struct ask_tensor *from = of_name(a->outputs, a->n_outputs, io[source].name);
    if (!from)
        return fail(e, INTERNAL, "output '%.*s' was not computed", STR(io[source].name));
    TRY(outcome_make(&m->recipe, &from->tensor, m->views, m->n_views, r->arena, outcomes, e));
    for (size_t i = 0; i < m->n_asked; i++) {
        const struct ask_tensor *t = of_name(a->outputs, a->n_outputs, m->asked[i]);
        t = t ? t : of_name(outcomes, made, m->asked[i]);
        if (t)
            all[n++] = *t;
    }
    a->outputs = m->n_asked ? all : outcomes;
    a->n_outputs = m->n_asked ? n : made;
    return OK;
}

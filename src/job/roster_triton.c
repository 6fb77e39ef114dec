/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's config.pbtxt (model_config.proto of triton-inference-server/common), and the folders of
 * a model repository.
 *
 *   followed  name, version_policy, max_batch_size; instance_group: its counts; dynamic_batching:
 *             delay, queue size, default priority; reshape; model_warmup
 *   kept      to be read back: preferred_batch_size, priority_levels, parameters
 *   refused   what would change answers or be missed: allow_ragged_batch, KIND_GPU, ensembles,
 *             sequences
 *   logged    everything else that has no meaning here, by name */
#include "job/roster.h"

#include "base/file.h"
#include "base/log.h"
#include "host/guise.h"
#include "job/warmup.h"
#include "tensor/cast.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>

enum { CONFIG_BYTES = 1 << 20, SAMPLES = 16, INPUTS = 64 };

enum content { CONTENT_ZERO, CONTENT_RANDOM, CONTENT_FILE };

struct sample {
    int64_t count, rows;
    struct ask_tensor inputs[INPUTS];
    enum content contents[INPUTS];
    struct str files[INPUTS];
    size_t n;
};

struct config {
    struct textproto t;
    struct arena *arena;
    struct roster_model *model;
    const char *folder;
    int64_t instances; /* of all groups; 0: none said */
    struct guise guise;
    struct sample *samples[SAMPLES]; /* of model_warmup */
    size_t n_samples;
    struct buf unused; /* names, with ", " between */
};

/* The next field of a message; more false: it has ended. */
static enum code next(struct config *c, struct textproto_field *f, bool *more, struct err *e) {
    return textproto_next(&c->t, f, more, e);
}

static enum code take_count(struct config *c, const struct textproto_field *f, int64_t *out,
                            struct err *e) {
    TRY(textproto_i64(&c->t, f, out, e));
    return *out >= 0 ? OK : textproto_fail(&c->t, e, "%.*s may not be negative", STR(f->name));
}

/* Of no use here; said once for all. */
static enum code leave(struct config *c, const struct textproto_field *f, struct err *e) {
    if (c->unused.n)
        buf_put_text(&c->unused, ", ");
    buf_put_str(&c->unused, str_sub(f->name, 0, 80));
    return textproto_skip(&c->t, f, e);
}

/* --- instances, batching --- */

static enum code take_group(struct config *c, struct err *e) {
    struct textproto_field f;
    int64_t count = 1;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            break;
        if (str_is(f.name, "kind") && str_is(f.value, "KIND_GPU"))
            return textproto_fail(&c->t, e, "an instance group on a GPU: there is none here");
        if (str_is(f.name, "count"))
            TRY(take_count(c, &f, &count, e));
        else if (str_is(f.name, "kind") || str_is(f.name, "name"))
            TRY(textproto_skip(&c->t, &f, e));
        else
            TRY(leave(c, &f, e));
    }
    c->instances += count;
    return OK;
}

static enum code take_queue_policy(struct config *c, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "max_queue_size"))
            TRY(take_count(c, &f, &c->model->advice.queue, e));
        else
            TRY(leave(c, &f, e));
    }
}

/* Read back, no more: how many rows are joined is measured (host/curve.h). */
static enum code take_preferred(struct config *c, const struct textproto_field *f, struct err *e) {
    if (c->guise.n_preferred == GUISE_SIZES)
        return textproto_fail(&c->t, e, "more than %d of preferred_batch_size", GUISE_SIZES);
    return take_count(c, f, &c->guise.preferred[c->guise.n_preferred++], e);
}

static enum code take_batching(struct config *c, struct err *e) {
    struct textproto_field f;
    bool more;
    c->model->advice.wait_us = 0; /* Triton's default: nothing waits */
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "max_queue_delay_microseconds"))
            TRY(take_count(c, &f, &c->model->advice.wait_us, e));
        else if (str_is(f.name, "priority_levels"))
            TRY(take_count(c, &f, &c->guise.levels, e));
        else if (str_is(f.name, "default_priority_level"))
            TRY(take_count(c, &f, &c->guise.level, e));
        else if (str_is(f.name, "preferred_batch_size"))
            TRY(take_preferred(c, &f, e));
        else if (f.message && str_is(f.name, "default_queue_policy"))
            TRY(take_queue_policy(c, e));
        else
            TRY(leave(c, &f, e));
    }
}

/* Levels 1 (first) to N become three: the upper ones, the middle, the lower ones. */
static enum code settle_priority(struct config *c, struct err *e) {
    int64_t level = c->guise.level, levels = c->guise.levels;
    if (level > levels)
        return fail(e, INVALID, "default_priority_level %lld of %lld priority_levels",
                    (long long)level, (long long)levels);
    if (!level)
        return OK;
    int64_t twice = 2 * level, middle = levels + 1;
    c->model->advice.prioritized = true;
    c->model->advice.priority = twice < middle   ? PRIORITY_HIGH
                                : twice > middle ? PRIORITY_LOW
                                                 : PRIORITY_NORMAL;
    return OK;
}

/* --- inputs and outputs: the signature is the model file's, but for how clients see it --- */

static enum code take_dim(struct config *c, const struct textproto_field *f, struct shape *s,
                          struct err *e) {
    int64_t v;
    TRY(textproto_i64(&c->t, f, &v, e));
    if (v < -1 || s->rank + 1 >= SHAPE_MAX)
        return textproto_fail(&c->t, e, "dims are -1 or more, and %d at most", SHAPE_MAX - 1);
    s->dims[s->rank++] = v;
    return OK;
}

static enum code take_reshape(struct config *c, struct shape *out, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return OK;
        if (!str_is(f.name, "shape"))
            return textproto_fail(&c->t, e, "a reshape has no field '%.*s'", STR(f.name));
        TRY(take_dim(c, &f, out, e));
    }
}

/* ModelInput, ModelOutput. */
static enum code take_tensor(struct config *c, bool output, struct err *e) {
    struct guise_tensor t = {.output = output};
    struct textproto_field f;
    bool more, ragged, reshaped = false;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return reshaped ? guise_add(&c->guise, &t, e) : OK;
        if (str_is(f.name, "name"))
            t.name = f.value;
        else if (str_is(f.name, "dims"))
            TRY(take_dim(c, &f, &t.wire, e));
        else if (f.message && str_is(f.name, "reshape")) {
            reshaped = true;
            TRY(take_reshape(c, &t.model, e));
        } else if (str_is(f.name, "allow_ragged_batch")) {
            TRY(textproto_bool(&c->t, &f, &ragged, e));
            if (ragged)
                return textproto_fail(&c->t, e,
                                      "\"allow_ragged_batch\" is not supported: slipway add --pad "
                                      "declares inputs that are filled up");
        } else {
            TRY(textproto_skip(&c->t, &f, e));
        }
    }
}

/* An entry of map<string, ModelParameter>. */
static enum code take_parameter(struct config *c, struct err *e) {
    struct guise_pair pair = {0};
    struct textproto_field f;
    bool more, inside = false;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more && !inside)
            break;
        if (!more)
            inside = false;
        else if (str_is(f.name, "key"))
            pair.name = f.value;
        else if (f.message && str_is(f.name, "value"))
            inside = true;
        else if (inside && str_is(f.name, "string_value"))
            pair.value = f.value;
        else
            return textproto_fail(&c->t, e, "a parameter has no field '%.*s'", STR(f.name));
    }
    if (c->guise.n_pairs == GUISE_PAIRS)
        return textproto_fail(&c->t, e, "more than %d parameters", GUISE_PAIRS);
    c->guise.pairs[c->guise.n_pairs++] = pair;
    return OK;
}

/* --- model_warmup --- */

/* "TYPE_FP32": our "f32". */
static enum code take_type(struct config *c, const struct textproto_field *f, enum dtype *out,
                           struct err *e) {
    char name[16];
    size_t n = 0;
    if (str_is(f->value, "TYPE_STRING")) {
        *out = DT_STRING;
        return OK;
    }
    for (size_t i = 5; i < f->value.n && n + 1 < sizeof name; i++) {
        char letter = (char)tolower((unsigned char)f->value.p[i]);
        bool dropped = (letter == 'n' || letter == 't') ||          /* i(nt)8, ui(nt)8 */
                       (letter == 'p' && n == 1) ||                 /* f(p)32 */
                       (letter == 'i' && n == 1 && name[0] == 'u'); /* u(i)nt8 */
        if (!dropped)
            name[n++] = letter;
    }
    if (str_starts(f->value, "TYPE_") && dtype_from_name((struct str){name, n}, out))
        return OK;
    return textproto_fail(&c->t, e, "data_type '%.*s' is not known", STR(str_sub(f->value, 0, 40)));
}

static enum code take_data(struct config *c, struct sample *s, struct err *e) {
    struct tensor *t = &s->inputs[s->n].tensor;
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "data_type")) {
            TRY(take_type(c, &f, &t->dtype, e));
        } else if (str_is(f.name, "dims")) {
            TRY(take_dim(c, &f, &t->shape, e));
            if (t->shape.dims[t->shape.rank - 1] < 0)
                return textproto_fail(&c->t, e, "dims of warm-up data are known ones");
        } else if (str_is(f.name, "input_data_file")) {
            s->contents[s->n] = CONTENT_FILE;
            s->files[s->n] = f.value;
        } else if (str_is(f.name, "random_data")) {
            s->contents[s->n] = CONTENT_RANDOM;
        } else if (!str_is(f.name, "zero_data")) {
            return textproto_fail(&c->t, e, "warm-up data has no field '%.*s'", STR(f.name));
        }
    }
}

/* An entry of map<string, Input>. */
static enum code take_entry(struct config *c, struct sample *s, struct err *e) {
    struct textproto_field f;
    bool more;
    if (s->n == INPUTS)
        return textproto_fail(&c->t, e, "more than %d inputs", INPUTS);
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            break;
        if (str_is(f.name, "key"))
            s->inputs[s->n].name = f.value;
        else if (f.message && str_is(f.name, "value"))
            TRY(take_data(c, s, e));
        else
            return textproto_fail(&c->t, e, "an input has key and value, not '%.*s'", STR(f.name));
    }
    s->n++;
    return OK;
}

static enum code take_sample(struct config *c, struct sample *s, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "batch_size"))
            TRY(take_count(c, &f, &s->rows, e));
        else if (str_is(f.name, "count"))
            TRY(take_count(c, &f, &s->count, e));
        else if (f.message && str_is(f.name, "inputs"))
            TRY(take_entry(c, s, e));
        else if (str_is(f.name, "name"))
            TRY(textproto_skip(&c->t, &f, e));
        else
            return textproto_fail(&c->t, e, "model_warmup has no field '%.*s'", STR(f.name));
    }
}

static enum code add_sample(struct config *c, struct err *e) {
    if (c->n_samples == SAMPLES)
        return textproto_fail(&c->t, e, "more than %d of model_warmup", SAMPLES);
    struct sample *s = c->samples[c->n_samples++] = ARENA_NEW(c->arena, struct sample);
    return s ? take_sample(c, s, e) : arena_fail(c->arena, sizeof *s, "model_warmup", e);
}

/* warmup/NAME below the model's folder: the elements, as they lie in memory. */
static enum code fill_from_file(struct config *c, struct str name, struct tensor *t,
                                struct err *e) {
    struct span bytes;
    size_t at;
    if (name.n == 0 || name.p[0] == '.' || str_find(name, '/', &at) || t->dtype == DT_STRING)
        return fail(e, INVALID, "input_data_file '%.*s': a file of numbers in the folder warmup",
                    STR(str_sub(name, 0, 80)));
    char *path = arena_printf(c->arena, "%s/warmup/%.*s", c->folder, STR(name));
    if (!path)
        return arena_fail(c->arena, name.n, "path", e);
    TRY(file_read(path, WARMUP_BYTES, c->arena, &bytes, e));
    if (bytes.n != tensor_bytes(t))
        return fail(e, INVALID, "%s has %zu bytes, its tensor %zu", path, bytes.n, tensor_bytes(t));
    if (bytes.n)
        memcpy(t->data, bytes.p, bytes.n);
    return OK;
}

/* Between 0 and 1; whole numbers are one of the two, which most models take as an index, too. */
static enum code fill_random(struct tensor *t, struct err *e) {
    uint64_t state = 0x9e3779b97f4a7c15u;
    size_t size = dtype_size(t->dtype);
    for (size_t i = 0; t->dtype != DT_STRING && i < tensor_count(t); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double v = (double)(state >> 40) * 0x1p-24;
        v = dtype_is_float(t->dtype) ? v : v < 0.5;
        TRY(cast_elements(t->dtype, (char *)t->data + i * size, DT_F64, &v, 1, true, NULL, e));
    }
    return OK;
}

/* Triton's dims leave the batch out exactly when max_batch_size is above 0. */
static void add_rows(const struct config *c, struct shape *s, int64_t rows) {
    if (c->model->advice.batch <= 0)
        return;
    memmove(&s->dims[1], &s->dims[0], (size_t)s->rank++ * sizeof s->dims[0]);
    s->dims[0] = rows;
}

static enum code fill(struct config *c, struct sample *s, size_t i, struct err *e) {
    struct tensor *t = &s->inputs[i].tensor;
    struct shape shape = t->shape;
    add_rows(c, &shape, s->rows > 0 ? s->rows : 1);
    if (t->dtype == DT_NONE)
        return fail(e, INVALID, "model_warmup: input '%.*s' has no data_type",
                    STR(str_sub(s->inputs[i].name, 0, 80)));
    TRY(tensor_new(c->arena, t->dtype, &shape, t, e));
    if (s->contents[i] == CONTENT_FILE)
        return fill_from_file(c, s->files[i], t, e);
    return s->contents[i] == CONTENT_RANDOM ? fill_random(t, e) : OK;
}

static enum code put_sample(struct config *c, struct sample *s, struct buf *tape, struct err *e) {
    for (size_t i = 0; i < s->n; i++)
        TRY(fill(c, s, i, e));
    if (s->count > WARMUP_RECORDS)
        return fail(e, LIMIT, "model_warmup: more than %d requests", WARMUP_RECORDS);
    struct tape t = {.inputs = s->inputs, .n_inputs = s->n};
    for (int64_t k = 0; k < (s->count ? s->count : 1); k++)
        tape_put(tape, &t);
    return buf_check(tape, "model_warmup", e);
}

static enum code make_warmup(struct config *c, struct err *e) {
    struct buf tape;
    enum code code = OK;
    buf_init(&tape, WARMUP_BYTES);
    for (size_t i = 0; code == OK && i < c->n_samples; i++)
        code = put_sample(c, c->samples[i], &tape, e);
    struct str kept = arena_str(c->arena, buf_str(&tape));
    if (code == OK && kept.n != tape.n)
        code = arena_fail(c->arena, tape.n, "model_warmup", e);
    c->model->warmup = (struct span){(const uint8_t *)kept.p, kept.n};
    buf_deinit(&tape);
    return code;
}

/* --- the file --- */

static enum code take_field(struct config *c, const struct textproto_field *f, struct err *e) {
    struct roster_model *m = c->model;
    if (str_is(f->name, "name")) {
        m->name = f->value;
        return OK;
    }
    if (str_is(f->name, "max_batch_size"))
        return take_count(c, f, &m->advice.batch, e);
    if (f->message && str_is(f->name, "version_policy"))
        return roster_take_policy(&c->t, m, e);
    if (f->message && str_is(f->name, "instance_group"))
        return take_group(c, e);
    if (f->message && str_is(f->name, "dynamic_batching"))
        return take_batching(c, e);
    if (f->message && (str_is(f->name, "input") || str_is(f->name, "output")))
        return take_tensor(c, str_is(f->name, "output"), e);
    if (f->message && str_is(f->name, "parameters"))
        return take_parameter(c, e);
    if (f->message && str_is(f->name, "model_warmup"))
        return add_sample(c, e);
    if (str_is(f->name, "ensemble_scheduling") || str_is(f->name, "sequence_batching"))
        return textproto_fail(&c->t, e, "'%.*s' is not supported", STR(f->name));
    if (str_is(f->name, "platform") || str_is(f->name, "backend"))
        return textproto_skip(&c->t, f, e); /* the format is found by its bytes */
    return leave(c, f, e);
}

static enum code make_guise(struct config *c, struct err *e) {
    struct buf text;
    buf_init(&text, GUISE_BYTES);
    c->guise.batch = c->model->advice.batch;
    if (c->guise.batch > 0)
        guise_batched(&c->guise);
    guise_write(&c->guise, &text);
    enum code code = buf_check(&text, "parameters", e);
    c->model->guise = arena_str(c->arena, buf_str(&text));
    if (code == OK && c->model->guise.n != text.n)
        code = arena_fail(c->arena, text.n, "guise", e);
    buf_deinit(&text);
    return code;
}

static enum code take_file(struct config *c, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(next(c, &f, &more, e));
        if (!more)
            break;
        TRY(take_field(c, &f, e));
    }
    TRY(settle_priority(c, e));
    if (c->instances)
        c->model->advice.instances = c->instances;
    TRY(make_guise(c, e));
    return make_warmup(c, e);
}

enum code roster_read_triton(struct str text, const char *folder, struct arena *a,
                             struct roster_model *out, struct err *e) {
    struct roster_model m = roster_model_default();
    struct config c = {.arena = a, .model = &m, .folder = folder};
    guise_init(&c.guise);
    textproto_init(&c.t, text, a);
    buf_init(&c.unused, CONFIG_BYTES);
    enum code code = take_file(&c, e);
    if (code == OK && c.unused.n)
        log_event(LOG_WARN, "config.pbtxt: of no use here", 2,
                  (struct log_field[]){LOG_S("folder", str_of(folder)),
                                       LOG_S("fields", buf_str(&c.unused))});
    buf_deinit(&c.unused);
    if (code == OK)
        *out = m;
    return code;
}

/* --- the repository --- */

static enum code read_model(const char *path, struct arena *a, struct roster_model *m,
                            struct err *e) {
    struct span text;
    char *config = arena_printf(a, "%s/config.pbtxt", path);
    if (!config)
        return arena_fail(a, strlen(path), "path", e);
    if (!file_exists(config))
        return OK;
    enum code code = file_read(config, CONFIG_BYTES, a, &text, e);
    if (code == OK)
        code = roster_read_triton((struct str){(const char *)text.p, text.n}, path, a, m, e);
    return code == OK ? OK : err_prefix(e, "%s", config);
}

static enum code add_folder(struct roster *r, const char *folder, const char *name, struct arena *a,
                            struct err *e) {
    struct roster_model m = roster_model_default();
    char *path = arena_printf(a, "%s/%s", folder, name);
    if (!path)
        return arena_fail(a, strlen(name), "path", e);
    TRY(read_model(path, a, &m, e));
    if (m.name.n == 0)
        m.name = arena_str(a, str_of(name));
    m.base_path = str_of(path);
    r->models[r->n++] = m;
    return OK;
}

enum code roster_repository(const char *folder, struct arena *a, struct roster *out,
                            struct err *e) {
    struct roster r = {.models = ARENA_ARRAY(a, ROSTER_MODELS, struct roster_model)};
    enum code code = OK;
    if (!r.models)
        return arena_fail(a, ROSTER_MODELS * sizeof *r.models, "repository", e);
    DIR *d = opendir(folder);
    if (!d)
        return fail_errno(e, errno, "model repository '%s'", folder);
    for (struct dirent *at; code == OK && (at = readdir(d)) && r.n < ROSTER_MODELS;)
        if (at->d_name[0] != '.')
            code = add_folder(&r, folder, at->d_name, a, e);
    closedir(d);
    *out = r;
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters written as text protobuf: model_config_list, batching parameters. */
#include "job/roster.h"

/* What is wrong with a value, at the reader's place. */
static enum code placed(const struct textproto *t, enum code code, struct err *e) {
    struct err why = *e;
    return code == OK ? OK : textproto_fail(t, e, "%s", why.text);
}

/* --- version policies --- */

static enum code take_specific(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    int64_t v;
    m->policy = ROSTER_SPECIFIC;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (!str_is(f.name, "versions"))
            return textproto_fail(t, e, "\"specific\" has no field '%.*s'", STR(f.name));
        TRY(textproto_i64(t, &f, &v, e));
        TRY(placed(t, roster_add_version(m, v, e), e));
    }
}

static enum code take_latest(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    m->policy = ROSTER_LATEST;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (!str_is(f.name, "num_versions"))
            return textproto_fail(t, e, "\"latest\" has no field '%.*s'", STR(f.name));
        TRY(textproto_i64(t, &f, &m->latest, e));
        if (m->latest < 1)
            return textproto_fail(t, e, "num_versions must be 1 or more");
    }
}

/* ServableVersionPolicy, and Triton's ModelVersionPolicy: the same fields. */
enum code roster_take_policy(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (f.message && str_is(f.name, "latest")) {
            TRY(take_latest(t, m, e));
        } else if (f.message && str_is(f.name, "specific")) {
            TRY(take_specific(t, m, e));
        } else if (f.message && str_is(f.name, "all")) {
            m->policy = ROSTER_ALL;
            TRY(textproto_skip(t, &f, e));
        } else {
            return textproto_fail(t, e, "a version policy is latest, specific or all, not '%.*s'",
                                  STR(f.name));
        }
    }
}

/* --- model_config_list --- */

static enum code take_label(struct textproto *t, struct roster_model *m, struct err *e) {
    struct roster_label label = {.version = 0};
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            break;
        if (str_is(f.name, "key"))
            label.name = f.value;
        else if (str_is(f.name, "value"))
            TRY(textproto_i64(t, &f, &label.version, e));
        else
            return textproto_fail(t, e, "a label has key and value, not '%.*s'", STR(f.name));
    }
    return placed(t, roster_add_label(m, label, e), e);
}

static enum code take_model(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    *m = roster_model_default();
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "name"))
            m->name = f.value;
        else if (str_is(f.name, "base_path"))
            m->base_path = f.value;
        else if (f.message && str_is(f.name, "model_version_policy"))
            TRY(roster_take_policy(t, m, e));
        else if (f.message && str_is(f.name, "version_labels"))
            TRY(take_label(t, m, e));
        else if (str_is(f.name, "model_platform") || str_is(f.name, "model_type") ||
                 str_is(f.name, "logging_config"))
            TRY(textproto_skip(t, &f, e)); /* the format is found by its bytes */
        else
            return textproto_fail(t, e, "a model config has no field '%.*s'", STR(f.name));
    }
}

static enum code take_list(struct textproto *t, struct roster *r, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (!f.message || !str_is(f.name, "config"))
            return textproto_fail(t, e, "model_config_list holds config, not '%.*s'", STR(f.name));
        if (r->n == ROSTER_MODELS)
            return textproto_fail(t, e, "more than %d models", ROSTER_MODELS);
        TRY(take_model(t, &r->models[r->n], e));
        TRY(placed(t, roster_add_model(r, e), e));
    }
}

/* How many configs there are at most, so that their room fits them. */
static size_t count_models(struct str text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '{' || text.p[i] == '<';
    return n < ROSTER_MODELS ? n : ROSTER_MODELS;
}

enum code roster_read(struct str text, struct arena *a, struct roster *out, struct err *e) {
    struct roster r = {.n = 0};
    struct textproto t;
    struct textproto_field f;
    bool more, found = false;
    size_t room = count_models(text) + 1;
    r.models = ARENA_ARRAY(a, room, struct roster_model);
    if (!r.models)
        return arena_fail(a, room * sizeof *r.models, "model config", e);
    textproto_init(&t, text, a);
    for (;;) {
        TRY(textproto_next(&t, &f, &more, e));
        if (!more)
            break;
        if (!f.message || !str_is(f.name, "model_config_list"))
            return textproto_fail(&t, e, "expected model_config_list, found '%.*s'", STR(f.name));
        found = true;
        TRY(take_list(&t, &r, e));
    }
    if (!found)
        return textproto_fail(&t, e, "there is no model_config_list");
    *out = r;
    return OK;
}

/* --- batching parameters --- */

/* {value: 128} */
static enum code take_wrapped(struct textproto *t, const struct textproto_field *f, uint64_t *out,
                              struct err *e) {
    struct textproto_field inside;
    int64_t v = 0;
    bool more;
    if (!f->message)
        return textproto_fail(t, e, "'%.*s' is a wrapped number: %.*s { value: 8 }", STR(f->name),
                              STR(f->name));
    for (;;) {
        TRY(textproto_next(t, &inside, &more, e));
        if (!more)
            break;
        TRY(textproto_i64(t, &inside, &v, e));
    }
    if (v < 1)
        return textproto_fail(t, e, "'%.*s' must be 1 or more", STR(f->name));
    *out = (uint64_t)v;
    return OK;
}

static enum code take_size(struct textproto *t, const struct textproto_field *f,
                           struct roster_batching *b, struct err *e) {
    int64_t v;
    TRY(textproto_i64(t, f, &v, e));
    if (v < 1 || (b->n_sizes && (uint64_t)v <= b->sizes[b->n_sizes - 1]))
        return textproto_fail(t, e, "allowed_batch_sizes must be positive and rising");
    if (b->n_sizes == ROSTER_SIZES)
        return textproto_fail(t, e, "more than %d allowed_batch_sizes", ROSTER_SIZES);
    b->sizes[b->n_sizes++] = (uint64_t)v;
    return OK;
}

enum code roster_read_batching(struct str text, struct arena *a, struct roster_batching *out,
                               struct err *e) {
    static const char *const others[] = {"batch_timeout_micros", "num_batch_threads",
                                         "thread_pool_name", "enable_large_batch_splitting"};
    struct roster_batching b = {0};
    uint64_t split = 0; /* of large batches; what comes here is never split */
    struct textproto t;
    struct textproto_field f;
    bool more;
    textproto_init(&t, text, a);
    for (;;) {
        TRY(textproto_next(&t, &f, &more, e));
        if (!more)
            break;
        size_t i = 0;
        while (i < sizeof others / sizeof *others && !str_is(f.name, others[i]))
            i++;
        if (str_is(f.name, "max_batch_size"))
            TRY(take_wrapped(&t, &f, &b.batch, e));
        else if (str_is(f.name, "max_enqueued_batches"))
            TRY(take_wrapped(&t, &f, &b.queue, e));
        else if (str_is(f.name, "max_execution_batch_size"))
            TRY(take_wrapped(&t, &f, &split, e));
        else if (str_is(f.name, "allowed_batch_sizes"))
            TRY(take_size(&t, &f, &b, e));
        else if (str_is(f.name, "pad_variable_length_inputs"))
            TRY(textproto_bool(&t, &f, &b.pad, e));
        else if (i < sizeof others / sizeof *others) /* what pays is measured here, not told */
            TRY(textproto_skip(&t, &f, e));
        else
            return textproto_fail(&t, e, "batching parameters have no field '%.*s'", STR(f.name));
    }
    if (b.n_sizes && b.sizes[b.n_sizes - 1] != (split ? split : b.batch))
        return fail(e, INVALID, "the last of allowed_batch_sizes must be max_batch_size");
    *out = b;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters: see roster.h. Reading first, then applying. */
#include "job/roster.h"

#include "base/file.h"
#include "host/policy.h"
#include "job/import.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

/* --- version policies --- */

static enum code take_specific(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    m->policy = ROSTER_SPECIFIC;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return m->n_versions ? OK : textproto_fail(t, e, "\"specific\" names no version");
        if (!str_is(f.name, "versions"))
            return textproto_fail(t, e, "\"specific\" has no field '%.*s'", STR(f.name));
        if (m->n_versions == ROSTER_VERSIONS)
            return textproto_fail(t, e, "more than %d versions", ROSTER_VERSIONS);
        TRY(textproto_i64(t, &f, &m->versions[m->n_versions], e));
        m->n_versions++;
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
static enum code take_policy(struct textproto *t, struct roster_model *m, struct err *e) {
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
    if (label.name.n == 0 || m->n_labels == ROSTER_LABELS)
        return textproto_fail(t, e, "a label needs a key, and a model has at most %d",
                              ROSTER_LABELS);
    m->labels[m->n_labels++] = label;
    return OK;
}

static enum code take_model(struct textproto *t, struct roster_model *m, struct err *e) {
    struct textproto_field f;
    bool more;
    *m = (struct roster_model){.latest = 1, .batch = -1};
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            break;
        if (str_is(f.name, "name"))
            m->name = f.value;
        else if (str_is(f.name, "base_path"))
            m->base_path = f.value;
        else if (f.message && str_is(f.name, "model_version_policy"))
            TRY(take_policy(t, m, e));
        else if (f.message && str_is(f.name, "version_labels"))
            TRY(take_label(t, m, e));
        else if (str_is(f.name, "model_platform") || str_is(f.name, "model_type") ||
                 str_is(f.name, "logging_config"))
            TRY(textproto_skip(t, &f, e)); /* the format is found by its bytes */
        else
            return textproto_fail(t, e, "a model config has no field '%.*s'", STR(f.name));
    }
    return m->name.n ? OK : textproto_fail(t, e, "a model config without a name");
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
        for (size_t i = 0; i < r->n; i++)
            if (str_eq(r->models[i].name, r->models[r->n].name))
                return textproto_fail(t, e, "model '%.*s' is listed twice", STR(r->models[i].name));
        r->n++;
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

/* --- config.pbtxt --- */

static enum code take_group(struct textproto *t, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "kind") && str_is(f.value, "KIND_GPU"))
            return textproto_fail(t, e, "an instance group on a GPU: there is none here");
        TRY(textproto_skip(t, &f, e));
    }
}

/* ModelInput, ModelOutput: the signature is the model file's, so a reshape would be lost. */
static enum code take_tensor(struct textproto *t, struct err *e) {
    struct textproto_field f;
    bool more;
    for (;;) {
        TRY(textproto_next(t, &f, &more, e));
        if (!more)
            return OK;
        if (str_is(f.name, "reshape"))
            return textproto_fail(t, e,
                                  "\"reshape\" is not supported: clients send the shape that "
                                  "the model file says");
        TRY(textproto_skip(t, &f, e));
    }
}

enum code roster_read_triton(struct str text, struct arena *a, struct roster_model *out,
                             struct err *e) {
    struct roster_model m = {.latest = 1, .batch = -1};
    struct textproto t;
    struct textproto_field f;
    bool more;
    textproto_init(&t, text, a);
    for (;;) {
        TRY(textproto_next(&t, &f, &more, e));
        if (!more)
            break;
        if (str_is(f.name, "name")) {
            m.name = f.value;
        } else if (str_is(f.name, "max_batch_size")) {
            TRY(textproto_i64(&t, &f, &m.batch, e));
            if (m.batch < 0)
                return textproto_fail(&t, e, "max_batch_size may not be negative");
        } else if (f.message && str_is(f.name, "version_policy")) {
            TRY(take_policy(&t, &m, e));
        } else if (f.message && str_is(f.name, "instance_group")) {
            TRY(take_group(&t, e));
        } else if (f.message && (str_is(f.name, "input") || str_is(f.name, "output"))) {
            TRY(take_tensor(&t, e));
        } else if (str_is(f.name, "ensemble_scheduling") || str_is(f.name, "sequence_batching")) {
            return textproto_fail(&t, e, "'%.*s' is not supported", STR(f.name));
        } else {
            TRY(textproto_skip(&t, &f, e));
        }
    }
    *out = m;
    return OK;
}

enum code roster_repository(const char *folder, struct arena *a, struct roster *out,
                            struct err *e) {
    struct roster r = {.models = ARENA_ARRAY(a, ROSTER_MODELS, struct roster_model)};
    DIR *d = opendir(folder);
    enum code code = OK;
    if (!r.models || !d) {
        if (d)
            closedir(d);
        return d ? arena_fail(a, ROSTER_MODELS * sizeof *r.models, "repository", e)
                 : fail_errno(e, errno, "model repository '%s'", folder);
    }
    for (struct dirent *at; code == OK && (at = readdir(d)) && r.n < ROSTER_MODELS;) {
        struct span text;
        struct roster_model m = {.latest = 1, .batch = -1};
        char *path = at->d_name[0] == '.' ? NULL : arena_printf(a, "%s/%s", folder, at->d_name);
        char *config = path ? arena_printf(a, "%s/config.pbtxt", path) : NULL;
        if (!config)
            continue;
        if (file_exists(config)) {
            code = file_read(config, 1 << 20, a, &text, e);
            if (code == OK)
                code = roster_read_triton((struct str){(const char *)text.p, text.n}, a, &m, e);
            if (code != OK)
                (void)err_prefix(e, "%s", config);
        }
        if (m.name.n == 0)
            m.name = arena_str(a, str_of(at->d_name));
        m.base_path = str_of(path);
        r.models[r.n++] = m;
    }
    closedir(d);
    *out = r;
    return code;
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

enum code roster_read_batching(struct str text, struct arena *a, struct roster_batching *out,
                               struct err *e) {
    static const char *const others[] = {
        "batch_timeout_micros",         "num_batch_threads",        "thread_pool_name",
        "enable_large_batch_splitting", "max_execution_batch_size", "allowed_batch_sizes",
        "pad_variable_length_inputs"};
    struct roster_batching b = {0};
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
        else if (i < sizeof others / sizeof *others) /* what pays is measured here, not told */
            TRY(textproto_skip(&t, &f, e));
        else
            return textproto_fail(&t, e, "batching parameters have no field '%.*s'", STR(f.name));
    }
    *out = b;
    return OK;
}

/* --- applying --- */

struct numbered { /* a version as the file numbers it, and as the store does */
    int64_t file;
    uint64_t store;
};

static int by_number(const void *x, const void *y) {
    const struct numbered *a = x, *b = y;
    return a->file < b->file ? -1 : a->file > b->file;
}

/* base_path's numbered folders; *n is 0 when there is no such folder. */
static enum code list_folders(const struct roster_model *m, struct arena *a, struct numbered **out,
                              size_t *n, struct err *e) {
    char *path = arena_strdup(a, m->base_path);
    DIR *d = path && m->base_path.n ? opendir(path) : NULL;
    *n = 0;
    if (!d)
        return OK;
    struct numbered *list = ARENA_ARRAY(a, ROSTER_MODELS, struct numbered);
    for (struct dirent *at; list && (at = readdir(d)) && *n < ROSTER_MODELS;)
        if (str_to_i64(str_of(at->d_name), &list[*n].file) && list[*n].file > 0)
            ++*n;
    closedir(d);
    if (!list)
        return arena_fail(a, ROSTER_MODELS * sizeof *list, "versions", e);
    qsort(list, *n, sizeof *list, by_number);
    *out = list;
    return OK;
}

/* The version that came from this folder before; 0: none. Folders of versions do not change. */
static uint64_t imported(struct store *s, struct str model, struct str path, struct arena *a) {
    struct store_info *all;
    struct err ignored;
    size_t n;
    if (store_list(s, model, a, &all, &n, &ignored) != OK)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].origin, path))
            return all[i].version;
    return 0;
}

/* The folder's own name may have leading zeros: it is looked for again. */
static enum code import_folder(struct store *s, const struct roster_model *m, struct numbered *v,
                               struct arena *a, struct err *e) {
    struct job_imported done;
    char *path = NULL;
    for (int zeros = 0; zeros < 20 && !(path && file_exists(path)); zeros++)
        path = arena_printf(a, "%.*s/%0*lld", STR(m->base_path), zeros, (long long)v->file);
    if (!path)
        return arena_fail(a, m->base_path.n, "path", e);
    v->store = imported(s, m->name, str_of(path), a);
    if (v->store)
        return OK;
    struct job_import j = {.path = path, .model = m->name, .origin = str_of(path)};
    TRY(job_import(s, &j, &done, e));
    v->store = done.added.version;
    return OK;
}

static enum code list_stored(struct store *s, const struct roster_model *m, struct arena *a,
                             struct numbered **out, size_t *n, struct err *e) {
    struct store_info *all;
    size_t n_all;
    enum code code = store_list(s, m->name, a, &all, &n_all, e);
    if (code == ERR_NOT_FOUND)
        return fail(e, NOT_FOUND, "model '%.*s': no versions in '%.*s', none in the store",
                    STR(m->name), STR(m->base_path));
    TRY(code);
    struct numbered *list = ARENA_ARRAY(a, n_all + 1, struct numbered);
    if (!list)
        return arena_fail(a, n_all * sizeof *list, "versions", e);
    for (size_t i = 0; i < n_all; i++)
        list[i] = (struct numbered){(int64_t)all[i].version, all[i].version};
    qsort(list, n_all, sizeof *list, by_number);
    *out = list;
    *n = n_all;
    return OK;
}

static bool wanted(const struct roster_model *m, const struct numbered *v, size_t at, size_t n) {
    if (m->policy == ROSTER_ALL)
        return true;
    if (m->policy == ROSTER_LATEST)
        return (int64_t)(n - at) <= m->latest;
    for (size_t i = 0; i < m->n_versions; i++)
        if (m->versions[i] == v->file)
            return true;
    return false;
}

static enum code set_labels(struct store *s, const struct roster_model *m,
                            const struct numbered *all, size_t n, struct err *e) {
    for (size_t k = 0; k < m->n_labels; k++) {
        size_t i = 0;
        while (i < n && all[i].file != m->labels[k].version)
            i++;
        if (i == n || !all[i].store)
            return fail(e, INVALID,
                        "model '%.*s': label '%.*s' names version %lld, which is not "
                        "served",
                        STR(m->name), STR(m->labels[k].name), (long long)m->labels[k].version);
        TRY(store_alias_set(s, m->name, m->labels[k].name, all[i].store, e));
    }
    return OK;
}

static enum code apply_model(struct store *s, const struct roster_model *m, struct arena *a,
                             struct str *refs, size_t *n_refs, struct err *e) {
    struct numbered *all = NULL;
    size_t n, before = *n_refs;
    TRY(list_folders(m, a, &all, &n, e));
    bool folders = n > 0;
    if (!folders)
        TRY(list_stored(s, m, a, &all, &n, e));
    for (size_t i = 0; i < n; i++) /* in rising order: so are the store's numbers */
        if (folders && wanted(m, &all[i], i, n))
            TRY(import_folder(s, m, &all[i], a, e));
    for (size_t i = n; i-- > 0;) { /* the newest first: it is what the name alone means */
        if (!wanted(m, &all[i], i, n))
            continue;
        char *ref = arena_printf(a, "%.*s@%llu", STR(m->name), (unsigned long long)all[i].store);
        if (!ref)
            return arena_fail(a, m->name.n, "models", e);
        if (*n_refs - before < ROSTER_VERSIONS)
            refs[(*n_refs)++] = str_of(ref);
    }
    if (*n_refs == before)
        return fail(e, NOT_FOUND, "model '%.*s': none of its versions is asked for", STR(m->name));
    TRY(set_labels(s, m, all, n, e));
    return m->batch < 0 ? OK : policy_keep_batch(s, m->name, (uint64_t)m->batch, a, e);
}

enum code roster_apply(struct store *s, const struct roster *r, struct arena *a, struct str **refs,
                       size_t *n, struct err *e) {
    *n = 0;
    *refs = ARENA_ARRAY(a, r->n * ROSTER_VERSIONS + 1, struct str);
    if (!*refs)
        return arena_fail(a, r->n * sizeof **refs, "models", e);
    for (size_t i = 0; i < r->n; i++)
        TRY(apply_model(s, &r->models[i], a, *refs, n, e));
    return OK;
}

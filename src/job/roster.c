/* SPDX-License-Identifier: Apache-2.0 */
/* Rosters: see roster.h. Putting one together, noticing what changed below its folders, applying.
 */
#include "job/roster.h"

#include "base/file.h"
#include "base/log.h"
#include "job/import.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* --- putting one together --- */

struct roster_model roster_model_default(void) {
    return (struct roster_model){.policy = ROSTER_LATEST, .latest = 1, .advice = POLICY_NO_ADVICE};
}

enum code roster_add_version(struct roster_model *m, int64_t version, struct err *e) {
    if (m->n_versions == ROSTER_VERSIONS)
        return fail(e, INVALID, "more than %d versions", ROSTER_VERSIONS);
    m->versions[m->n_versions++] = version;
    return OK;
}

enum code roster_add_label(struct roster_model *m, struct roster_label label, struct err *e) {
    if (label.name.n == 0 || m->n_labels == ROSTER_LABELS)
        return fail(e, INVALID, "a label needs a key, and a model has at most %d", ROSTER_LABELS);
    m->labels[m->n_labels++] = label;
    return OK;
}

enum code roster_add_model(struct roster *r, struct err *e) {
    const struct roster_model *m = &r->models[r->n];
    struct str name = str_sub(m->name, 0, STORE_NAME_MAX);
    if (m->name.n == 0)
        return fail(e, INVALID, "Illegal setting: a model config without a name");
    if (m->policy == ROSTER_SPECIFIC && m->n_versions == 0)
        return fail(e, INVALID, "model '%.*s': \"specific\" names no version", STR(name));
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->models[i].name, m->name))
            return fail(e, INVALID, "Illegal to list model %.*s multiple times in config list",
                        STR(name));
    r->n++;
    return OK;
}

/* --- keeping one --- */

static enum code copy_text(struct arena *a, struct str *text, struct err *e) {
    struct str copy = arena_str(a, *text);
    if (copy.n != text->n)
        return arena_fail(a, text->n, "model config", e);
    *text = copy;
    return OK;
}

enum code roster_copy(const struct roster *r, struct arena *a, struct roster *out, struct err *e) {
    struct roster c = *r;
    c.models = ARENA_ARRAY(a, r->n + 1, struct roster_model);
    if (!c.models)
        return arena_fail(a, r->n * sizeof *c.models, "model config", e);
    for (size_t i = 0; i < r->n; i++) {
        struct roster_model *m = &c.models[i];
        *m = r->models[i];
        TRY(copy_text(a, &m->name, e));
        TRY(copy_text(a, &m->base_path, e));
        for (size_t k = 0; k < m->n_labels; k++)
            TRY(copy_text(a, &m->labels[k].name, e));
        TRY(copy_text(a, &m->guise, e));
        struct str tape = {(const char *)m->warmup.p, m->warmup.n};
        TRY(copy_text(a, &tape, e));
        m->warmup = (struct span){(const uint8_t *)tape.p, tape.n};
    }
    *out = c;
    return OK;
}

/* --- whose folders --- */

static bool is_within(const char *path, const char *root) {
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/')
        n--;
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0 || n == 1);
}

static bool is_allowed(const char *real, const struct str *roots, size_t n, struct arena *a) {
    char resolved[PATH_MAX];
    for (size_t i = 0; i < n; i++) {
        char *root = arena_strdup(a, roots[i]);
        if (root && realpath(root, resolved) && is_within(real, resolved))
            return true;
    }
    return false;
}

enum code roster_confine(struct roster *r, const struct str *roots, size_t n, struct arena *a,
                         struct err *e) {
    char real[PATH_MAX];
    for (size_t i = 0; i < r->n; i++) {
        struct roster_model *m = &r->models[i];
        if (m->base_path.n == 0)
            continue;
        char *path = arena_strdup(a, m->base_path);
        if (!path || !realpath(path, real) || !is_allowed(real, roots, n, a))
            return fail(e, DENIED,
                        "model '%.*s': base_path '%.*s' is no folder below one that the server's "
                        "configuration or --allow-path names",
                        STR(str_sub(m->name, 0, STORE_NAME_MAX)),
                        STR(str_sub(m->base_path, 0, 200)));
        m->base_path = arena_str(a, str_of(real));
        if (m->base_path.n == 0)
            return arena_fail(a, strlen(real), "base_path", e);
    }
    return OK;
}

/* --- noticing --- */

/* Name, size and time of what lies at path; of a folder's entries, too, when deep. In any order. */
static uint64_t trace(const char *path, bool deep) {
    char below[PATH_MAX];
    struct stat s;
    if (stat(path, &s) != 0)
        return 0;
    uint64_t facts[] = {hash_bytes(path, strlen(path)), (uint64_t)s.st_size,
                        (uint64_t)s.st_mtim.tv_sec, (uint64_t)s.st_mtim.tv_nsec,
                        (uint64_t)s.st_ino};
    uint64_t all = hash_bytes(facts, sizeof facts);
    DIR *d = deep ? opendir(path) : NULL;
    for (struct dirent *at; d && (at = readdir(d));)
        if (at->d_name[0] != '.' &&
            snprintf(below, sizeof below, "%s/%s", path, at->d_name) < (int)sizeof below)
            all += trace(below, false);
    if (d)
        closedir(d);
    return all;
}

uint64_t roster_fingerprint(const struct roster *r) {
    char path[PATH_MAX], below[PATH_MAX];
    uint64_t all = 0;
    int64_t number;
    for (size_t i = 0; i < r->n; i++) {
        struct str base = r->models[i].base_path;
        if (base.n == 0 || base.n >= sizeof path)
            continue;
        snprintf(path, sizeof path, "%.*s", STR(base));
        DIR *d = opendir(path);
        for (struct dirent *at; d && (at = readdir(d));)
            if ((str_to_i64(str_of(at->d_name), &number) ||
                 str_is(str_of(at->d_name), "config.pbtxt") ||
                 str_is(str_of(at->d_name), "warmup")) &&
                snprintf(below, sizeof below, "%s/%s", path, at->d_name) < (int)sizeof below)
                all += trace(below, true);
        if (d)
            closedir(d);
    }
    return all;
}

bool roster_has_folders(const struct roster *r) {
    for (size_t i = 0; i < r->n; i++)
        if (r->models[i].base_path.n)
            return true;
    return false;
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

/* The version that came from this folder last, if it has what is said beside its files now; 0:
 * none. The files themselves do not change. */
static uint64_t imported(struct store *s, const struct job_import *j, struct arena *a) {
    struct store_info *all;
    struct err ignored;
    bool same;
    size_t n;
    if (store_list(s, j->model, a, &all, &n, &ignored) != OK)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].origin, j->origin))
            return job_import_same(s, j, all[i].version, &same, &ignored) == OK && same
                       ? all[i].version
                       : 0;
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
    struct job_import j = {.path = path,
                           .model = m->name,
                           .origin = str_of(path),
                           .guise = m->guise,
                           .tapes = m->warmup};
    v->store = imported(s, &j, a);
    if (v->store)
        return OK;
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

/* In rising order: so are the store's numbers. One that is left out makes another the newest. */
static enum code import_wanted(struct store *s, struct roster *r, const struct roster_model *m,
                               struct numbered *all, size_t *n, struct arena *a, struct err *e) {
    for (size_t i = 0; i < *n;) {
        if (!wanted(m, &all[i], i, *n) || all[i].store) {
            i++;
            continue;
        }
        enum code code = import_folder(s, m, &all[i], a, e);
        if (code == OK)
            continue;
        if (!r->keep_going)
            return code;
        log_event(LOG_ERROR, "version left out", 3,
                  (struct log_field[]){LOG_S("model", m->name), LOG_I("number", all[i].file),
                                       LOG_S("error", str_of(e->text))});
        r->left_out++;
        memmove(&all[i], &all[i + 1], (--*n - i) * sizeof *all);
        i = 0;
    }
    return OK;
}

static enum code apply_model(struct store *s, struct roster *r, const struct roster_model *m,
                             struct arena *a, struct str *refs, size_t *n_refs, struct err *e) {
    struct numbered *all = NULL;
    size_t n, before = *n_refs;
    TRY(list_folders(m, a, &all, &n, e));
    bool folders = n > 0;
    if (!folders)
        TRY(list_stored(s, m, a, &all, &n, e));
    if (folders)
        TRY(import_wanted(s, r, m, all, &n, a, e));
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
    return policy_advises(&m->advice) ? policy_keep(s, m->name, &m->advice, a, e) : OK;
}

enum code roster_apply(struct store *s, struct roster *r, struct arena *a, struct str **refs,
                       size_t *n, struct err *e) {
    *n = r->left_out = 0;
    *refs = ARENA_ARRAY(a, r->n * ROSTER_VERSIONS + 1, struct str);
    if (!*refs)
        return arena_fail(a, r->n * sizeof **refs, "models", e);
    for (size_t i = 0; i < r->n; i++)
        TRY(apply_model(s, r, &r->models[i], a, *refs, n, e));
    return OK;
}

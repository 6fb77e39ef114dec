/* SPDX-License-Identifier: Apache-2.0 */
/* Settings and documents of settings: see apply.h. The document is walked twice: once to check,
 * once to change. */
#include "job/apply.h"

#include "base/json.h"
#include "host/policy.h"
#include "host/rollout.h"

enum { CHANGES = 4096 };

struct walk {
    struct store *store;
    struct arena *arena;
    bool change; /* second walk */
    bool dry;
    struct apply_change *changes; /* (CHANGES) */
    size_t n;
};

/* --- one setting --- */

enum code job_setting(struct store *s, struct str model, struct str name, struct arena *a,
                      struct str *out, struct err *e) {
    struct store_setting *all;
    size_t n;
    TRY(store_settings(s, model, a, &all, &n, e));
    *out = (struct str){0};
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, name))
            *out = all[i].value;
    return OK;
}

static enum code has_version(struct store *s, struct str model, uint64_t version, struct err *e) {
    struct arena a;
    struct store_info info;
    struct store_ref r = {.model = model, .version = version};
    arena_init(&a, 1 << 20);
    enum code code = store_resolve(s, &r, &a, &info, e);
    arena_deinit(&a);
    return code;
}

static enum code check_route(struct store *s, struct str model, const struct rollout *r,
                             struct err *e) {
    for (int i = 0; i < r->n_arms; i++)
        TRY(has_version(s, model, r->arms[i].version, e));
    return r->shadow ? has_version(s, model, r->shadow, e) : OK;
}

/* In the one form that we write, so that equal settings are equal texts; .n == 0 when it says
 * nothing. The text is in b. */
static enum code route_text(struct store *s, struct str model, struct str json, struct buf *b,
                            struct str *out, struct err *e) {
    struct rollout r;
    *out = (struct str){0};
    if (json.n == 0 || str_is(json, "null"))
        return OK;
    TRY(rollout_parse(json, &r, e));
    TRY(check_route(s, model, &r, e));
    if (rollout_empty(&r))
        return OK;
    rollout_write(&r, b);
    *out = buf_str(b);
    return buf_check(b, "route", e);
}

static enum code policy_text(struct store *s, struct str model, struct str json, struct buf *b,
                             struct str *out, struct err *e) {
    struct policy p;
    (void)s;
    (void)model;
    *out = (struct str){0};
    if (json.n == 0 || str_is(json, "null"))
        return OK;
    TRY(policy_parse(json, &p, e));
    if (policy_is_default(&p))
        return OK;
    policy_write(&p, b);
    *out = buf_str(b);
    return buf_check(b, "policy", e);
}

enum code job_doubt_policy(struct store *s, struct str json, struct arena *a, struct str *out,
                           struct err *e) {
    struct policy p;
    struct store_ref ref;
    struct store_info info;
    struct err why;
    *out = (struct str){0};
    if (json.n == 0 || str_is(json, "null"))
        return OK;
    TRY(policy_parse(json, &p, e));
    if (!p.draft[0] || strcmp(p.draft, "none") == 0)
        return OK;
    TRY(store_ref_parse(str_of(p.draft), &ref, e));
    if (store_resolve(s, &ref, a, &info, &why) == OK)
        return OK;
    store_hide(s, why.text);
    char *text = arena_printf(
        a, "draft: %s; versions that are loaded before it is there go without", why.text);
    if (!text)
        return arena_fail(a, strlen(why.text), "warning", e);
    *out = str_of(text);
    return OK;
}

typedef enum code text_fn(struct store *s, struct str model, struct str json, struct buf *b,
                          struct str *out, struct err *e);

static enum code put(struct store *s, struct str model, struct str name, struct str value,
                     struct err *e) {
    struct arena a;
    struct str now;
    arena_init(&a, 1 << 20);
    enum code code = job_setting(s, model, name, &a, &now, e);
    if (code == OK && (value.n || now.n))
        code = store_setting_put(s, model, name, value, e);
    arena_deinit(&a);
    return code;
}

static enum code set(struct store *s, struct str model, struct str name, struct str json,
                     text_fn *text, struct err *e) {
    struct buf b;
    struct str value;
    buf_init(&b, STORE_SETTING_MAX);
    enum code code = text(s, model, json, &b, &value, e);
    if (code == OK)
        code = put(s, model, name, value, e);
    buf_deinit(&b);
    return code;
}

enum code job_set_route(struct store *s, struct str model, struct str json, struct err *e) {
    return set(s, model, ROLLOUT_SETTING, json, route_text, e);
}

enum code job_set_policy(struct store *s, struct str model, struct str json, struct err *e) {
    return set(s, model, POLICY_SETTING, json, policy_text, e);
}

/* --- a document --- */

static enum code note(struct walk *w, struct str model, const char *text, struct err *e) {
    if (!text)
        return arena_fail(w->arena, 256, "changes", e);
    if (w->n == CHANGES)
        return fail(e, LIMIT, "more than %d changes in one document", CHANGES);
    w->changes[w->n++] = (struct apply_change){arena_str(w->arena, model), str_of(text)};
    return OK;
}

static enum code note_doubt(struct walk *w, struct str model, struct str json, struct err *e) {
    struct str doubt;
    TRY(job_doubt_policy(w->store, json, w->arena, &doubt, e));
    return doubt.n ? note(w, model, arena_printf(w->arena, "warning: %.*s", STR(doubt)), e) : OK;
}

static enum code apply_setting(struct walk *w, struct json *j, struct str model, struct str name,
                               text_fn *text, struct err *e) {
    struct str raw, value, now;
    struct buf b;
    TRY(json_skip(j, &raw, e));
    buf_init(&b, STORE_SETTING_MAX);
    enum code code = text(w->store, model, raw, &b, &value, e);
    if (code == OK)
        code = job_setting(w->store, model, name, w->arena, &now, e);
    if (code == OK && w->change && !str_eq(now, value)) {
        if (!w->dry)
            code = put(w->store, model, name, value, e);
        if (code == OK)
            code = note(
                w, model,
                arena_printf(w->arena, "%.*s: %.*s", STR(name), STR(value.n ? value : LIT("none"))),
                e);
        if (code == OK && str_eq(name, POLICY_SETTING))
            code = note_doubt(w, model, value, e);
    }
    buf_deinit(&b);
    return code;
}

static uint64_t alias_now(const struct store_alias *all, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, name))
            return all[i].version;
    return 0;
}

static enum code apply_alias(struct walk *w, struct str model, struct str name, uint64_t before,
                             uint64_t version, struct err *e) {
    if (version)
        TRY(has_version(w->store, model, version, e));
    if (!w->change || before == version)
        return OK;
    if (!w->dry && version)
        TRY(store_alias_set(w->store, model, name, version, e));
    if (!w->dry && !version)
        TRY(store_alias_drop(w->store, model, name, e));
    return note(w, model,
                version ? arena_printf(w->arena, "alias %.*s: %llu -> %llu", STR(name),
                                       (unsigned long long)before, (unsigned long long)version)
                        : arena_printf(w->arena, "alias %.*s: dropped", STR(name)),
                e);
}

struct of_model { /* the part of the document that is about one */
    struct walk *w;
    struct str model;
    struct store_alias *aliases; /* as they are */
    size_t n_aliases;
};

static enum code take_alias(void *context, struct json *j, struct str name, struct err *e) {
    const struct of_model *m = context;
    int64_t version = 0;
    TRY(json_peek(j) == JSON_NULL ? json_null(j, e) : json_i64(j, &version, e));
    if (version < 0)
        return json_fail(j, e, "a version is a number from 1, or null");
    return apply_alias(m->w, m->model, name, alias_now(m->aliases, m->n_aliases, name),
                       (uint64_t)version, e);
}

static enum code take_part(void *context, struct json *j, struct str key, struct err *e) {
    struct of_model *m = context;
    if (str_is(key, "aliases")) {
        TRY(store_aliases(m->w->store, m->model, m->w->arena, &m->aliases, &m->n_aliases, e));
        return json_each_member(j, take_alias, m, e);
    }
    if (str_is(key, "route"))
        return apply_setting(m->w, j, m->model, ROLLOUT_SETTING, route_text, e);
    if (str_is(key, "policy"))
        return apply_setting(m->w, j, m->model, POLICY_SETTING, policy_text, e);
    return json_fail(j, e, "unexpected member \"%.*s\": aliases, route or policy",
                     STR(str_sub(key, 0, 80)));
}

static enum code take_model(void *context, struct json *j, struct str model, struct err *e) {
    struct of_model m = {.w = context, .model = model};
    return json_each_member(j, take_part, &m, e) == OK
               ? OK
               : err_prefix(e, "%.*s", STR(str_sub(model, 0, STORE_NAME_MAX)));
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    return str_is(key, "models")
               ? json_each_member(j, take_model, context, e)
               : json_fail(j, e, "unexpected member \"%.*s\": models", STR(str_sub(key, 0, 80)));
}

static enum code walk(struct walk *w, struct str text, struct err *e) {
    struct json j;
    json_init(&j, text, w->arena);
    TRY(json_each_member(&j, take_member, w, e));
    return json_end(&j, e);
}

enum code job_apply(struct store *s, struct str json, bool dry, struct arena *a,
                    struct apply_change **out, size_t *n, struct err *e) {
    struct walk w = {.store = s, .arena = a, .dry = dry};
    w.changes = ARENA_ARRAY(a, CHANGES, struct apply_change);
    if (!w.changes)
        return arena_fail(a, CHANGES * sizeof *w.changes, "changes", e);
    TRY(walk(&w, json, e));
    w.change = true;
    TRY(walk(&w, json, e));
    *out = w.changes;
    *n = w.n;
    return OK;
}

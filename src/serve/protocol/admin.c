/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API, on a listener of its own: what is loaded, where traffic goes, who may ask:
 * docs/protocols/admin.md.
 *
 * 1. Changes go to the store (signed with the key's name or the peer's address, so that they are in
 * the history) and are followed at once. The store may keep a writer waiting: all of it on a side
 * thread.
 * 2. Rollback is not kept waiting: the version is withdrawn in memory first, then the store
 * follows. */
#include "serve/protocol/protocol.h"

#include "base/clock.h"
#include "host/policy.h"
#include "job/apply.h"
#include "serve/answer.h"
#include "serve/auth.h"
#include "serve/server.h"

/* --- who --- */

static void sign(const struct request *r) {
    char who[STORE_NAME_MAX + 80];
    int n = r->key ? snprintf(who, sizeof who, "key:%s", r->key->name)
                   : snprintf(who, sizeof who, "admin:%s", r->x->peer);
    store_sign((struct str){who, (size_t)n}, (struct str){0});
}

static struct str body_of(const struct request *r) {
    return (struct str){(const char *)r->body.p, r->body.n};
}

/* doubt.n == 0: none */
static enum code done_but(struct request *r, struct str doubt, struct err *e) {
    struct answer_json j;
    host_poke(r->host);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    if (doubt.n)
        json_put_member_str(&j.w, "warning", doubt);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code done(struct request *r, struct err *e) { return done_but(r, (struct str){0}, e); }

/* --- what is there --- */

static void put_shadows(struct json_out *w, const struct live_stats *s) {
    static const char *const names[] = {"same", "different", "failed", "skipped"};
    uint64_t all = 0;
    for (int i = 0; i < SHADOW_N; i++)
        all += s->shadows[i];
    if (all == 0)
        return;
    json_put_key(w, "shadow");
    json_put_object(w);
    for (int i = 0; i < SHADOW_N; i++)
        json_put_member_i64(w, names[i], (int64_t)s->shadows[i]);
    json_put_object_end(w);
}

static void put_stats(struct json_out *w, const struct live *l) {
    struct live_stats s;
    live_stats(l, &s);
    json_put_member_i64(w, "mapped_bytes", (int64_t)s.mapped_bytes);
    json_put_member_i64(w, "packed_bytes", (int64_t)s.packed_bytes);
    json_put_member_f64(w, "load_ms", (double)s.load_ns / 1e6);
    json_put_member_i64(w, "waiting", (int64_t)s.waiting);
    json_put_member_i64(w, "success", (int64_t)s.success);
    json_put_member_i64(w, "failed", (int64_t)s.failed);
    json_put_member_i64(w, "rejected", (int64_t)s.rejected);
    put_shadows(w, &s);
}

static void put_version(struct json_out *w, const struct live_info *v) {
    json_put_object(w);
    json_put_member_str(w, "model", v->model);
    json_put_member_i64(w, "version", (int64_t)v->version);
    json_put_member_text(w, "state", live_state_name(v->state));
    if (v->loading_ms)
        json_put_member_i64(w, "loading_ms", (int64_t)v->loading_ms);
    json_put_member_i64(w, "bytes", (int64_t)v->size_bytes);
    json_put_member_bool(w, "default", v->is_default);
    json_put_member_bool(w, "withdrawn", v->withdrawn);
    json_put_key(w, "aliases");
    json_put_array(w);
    for (size_t i = 0; i < v->n_aliases; i++)
        json_put_str(w, v->aliases[i]);
    json_put_array_end(w);
    if (v->error.n)
        json_put_member_str(w, "error", v->error);
    if (v->live)
        put_stats(w, v->live);
    json_put_object_end(w);
}

static enum code models(struct request *r, struct err *e) {
    struct live_info *all;
    struct answer_json j;
    size_t n;
    bool found = r->model.n == 0;
    TRY(host_list(r->host, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "versions");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        if (r->model.n == 0 || str_eq(all[i].model, r->model)) {
            put_version(&j.w, &all[i]);
            found = true;
        }
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return found ? answer_json_end(r, &j, e)
                 : fail(e, NOT_FOUND, "no model '%.*s' here", STR(r->model));
}

static void put_event(struct json_out *w, const struct store_event *v) {
    char when[CLOCK_TEXT];
    json_put_object(w);
    json_put_member_str(w, "at", (struct str){when, clock_print(v->at_us, when)});
    json_put_member_str(w, "what", v->what);
    if (v->version)
        json_put_member_i64(w, "version", (int64_t)v->version);
    if (v->previous)
        json_put_member_i64(w, "previous", (int64_t)v->previous);
    if (v->alias.n)
        json_put_member_str(w, "alias", v->alias);
    if (v->who.n)
        json_put_member_str(w, "who", v->who);
    if (v->note.n)
        json_put_member_str(w, "note", v->note);
    json_put_object_end(w);
}

static enum code log_aside(struct request *r, struct err *e) {
    struct store_event *all;
    struct answer_json j;
    size_t n;
    TRY(store_log(request_store(r), r->model, r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        put_event(&j.w, &all[i]);
    json_put_array_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code log_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, log_aside);
    return OK;
}

/* --- settings --- */

static enum code get_setting(struct request *r, struct str name, struct err *e) {
    struct str text;
    TRY(job_setting(request_store(r), r->model, name, r->arena, &text, e));
    if (text.n == 0)
        text = LIT("{}");
    answer_type(r, 200, ANSWER_JSON);
    answer_span(r, (struct span){(const uint8_t *)text.p, text.n});
    return OK;
}

static enum code setting(struct request *r, struct str name,
                         enum code (*set)(struct store *, struct str, struct str, struct err *),
                         struct str doubt, struct err *e) {
    struct str method = r->x->request.method;
    if (str_is(method, "GET") || str_is(method, "HEAD"))
        return get_setting(r, name, e);
    if (str_is(method, "PUT") && r->body.n == 0)
        return fail(e, INVALID, "the body is empty: send the %.*s as JSON", STR(name));
    sign(r);
    TRY(set(request_store(r), r->model, str_is(method, "PUT") ? body_of(r) : (struct str){0}, e));
    return done_but(r, doubt, e);
}

static enum code route_aside(struct request *r, struct err *e) {
    return setting(r, ROLLOUT_SETTING, job_set_route, (struct str){0}, e);
}

static enum code route_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, route_aside);
    return OK;
}

/* A draft that is not there is taken, and the answer says so. */
static enum code policy_aside(struct request *r, struct err *e) {
    struct str doubt = {0};
    if (str_is(r->x->request.method, "PUT"))
        TRY(job_doubt_policy(request_store(r), body_of(r), r->arena, &doubt, e));
    return setting(r, POLICY_SETTING, job_set_policy, doubt, e);
}

static enum code policy_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, policy_aside);
    return OK;
}

static enum code apply_aside(struct request *r, struct err *e) {
    struct apply_change *changes;
    struct answer_json j;
    struct str dry;
    size_t n;
    bool only = http_query_get(&r->x->request, "dry_run", r->arena, &dry) && str_is(dry, "true");
    sign(r);
    TRY(job_apply(request_store(r), body_of(r), only, r->arena, &changes, &n, e));
    host_poke(r->host);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_key(&j.w, "changes");
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(&j.w);
        json_put_member_str(&j.w, "model", changes[i].model);
        json_put_member_str(&j.w, "change", changes[i].text);
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code apply_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, apply_aside);
    return OK;
}

/* --- aliases --- */

/* {"KEY": text or number}: the one member we want as text; others are refused. */
static enum code one_member(struct request *r, const char *name, struct str *text, int64_t *number,
                            struct err *e) {
    struct json j;
    struct str key;
    bool more;
    if (r->body.n == 0)
        return OK;
    json_init(&j, body_of(r), r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            return json_end(&j, e);
        if (!str_is(key, name))
            return json_fail(&j, e, "unexpected member \"%.*s\": %s", STR(str_sub(key, 0, 80)),
                             name);
        TRY(number ? json_i64(&j, number, e) : json_string(&j, text, e));
    }
}

static enum code alias_aside(struct request *r, struct err *e) {
    struct store *s = request_store(r);
    int64_t version = 0;
    sign(r);
    if (str_is(r->x->request.method, "DELETE")) {
        TRY(store_alias_drop(s, r->model, r->label, e));
        return done(r, e);
    }
    TRY(one_member(r, "version", NULL, &version, e));
    if (version < 1)
        return fail(e, INVALID, "send {\"version\": N}");
    TRY(store_alias_set(s, r->model, r->label, (uint64_t)version, e));
    return done(r, e);
}

static enum code alias_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, alias_aside);
    return OK;
}

struct rollback {
    struct str alias;
    uint64_t from, to; /* from 0: nothing was withdrawn */
};

static enum code rollback_aside(struct request *r, struct err *e) {
    struct rollback *b = r->notes;
    struct answer_json j;
    uint64_t version;
    sign(r);
    enum code code = store_alias_rollback(request_store(r), r->model, b->alias, &version, e);
    if (code != OK) {
        if (b->from)
            host_restore(r->host, r->model, b->from);
        return code;
    }
    host_poke(r->host);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "alias", b->alias);
    json_put_member_i64(&j.w, "version", (int64_t)version);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* Asks go back at once; a version before that is not loaded goes the slow way. */
static enum code rollback_page(struct request *r, struct err *e) {
    struct rollback *b = ARENA_NEW(r->arena, struct rollback);
    struct err ignored;
    if (!b)
        return arena_fail(r->arena, sizeof *b, "rollback", e);
    b->alias = LIT("prod");
    TRY(one_member(r, "alias", &b->alias, NULL, e));
    if (host_withdraw(r->host, r->model, b->alias, &b->from, &b->to, &ignored) != OK)
        b->from = 0;
    r->notes = b;
    request_aside(r, rollback_aside);
    return OK;
}

/* --- keys --- */

static void put_key(struct json_out *w, const struct store_key *k) {
    char when[CLOCK_TEXT];
    json_put_object(w);
    json_put_member_str(w, "name", k->name);
    json_put_key(w, "rights");
    json_put_raw(w, k->rights);
    json_put_member_str(w, "created", (struct str){when, clock_print(k->created_us, when)});
    if (k->revoked_us)
        json_put_member_str(w, "revoked", (struct str){when, clock_print(k->revoked_us, when)});
    json_put_object_end(w);
}

static enum code list_keys(struct request *r, struct err *e) {
    struct store_key *all;
    struct answer_json j;
    size_t n;
    TRY(store_keys(request_store(r), r->arena, &all, &n, e));
    TRY(answer_json(r, &j, e));
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++)
        put_key(&j.w, &all[i]);
    json_put_array_end(&j.w);
    return answer_json_end(r, &j, e);
}

/* {"name": "web", "rights": {...}} */
static enum code read_new_key(struct request *r, struct store_key *k, struct rights *rights,
                              struct err *e) {
    struct json j;
    struct str key, raw;
    bool more;
    json_init(&j, body_of(r), r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "name")) {
            TRY(json_string(&j, &k->name, e));
        } else if (str_is(key, "rights")) {
            TRY(json_skip(&j, &raw, e));
            TRY(rights_parse(raw, rights, e));
        } else {
            return json_fail(&j, e, "unexpected member \"%.*s\": name or rights",
                             STR(str_sub(key, 0, 80)));
        }
    }
    TRY(json_end(&j, e));
    return k->name.n && rights->scopes ? OK
                                       : fail(e, INVALID,
                                              "send {\"name\": ..., \"rights\": "
                                              "{\"scopes\": [\"predict\"]}}");
}

static enum code make_key(struct request *r, struct err *e) {
    struct rights rights = {0};
    struct store_key k = {{0}, {0}, {0}, 0, 0};
    struct answer_json j;
    char text[RIGHTS_KEY];
    TRY(read_new_key(r, &k, &rights, e));
    TRY(rights_new_key(text, k.digest, e));
    struct buf *b = answer_buf(r, 256, e);
    if (!b)
        return e->code;
    rights_write(&rights, b);
    TRY(buf_check(b, "rights", e));
    k.rights = buf_str(b);
    TRY(store_key_add(request_store(r), &k, e));
    host_poke(r->host);
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_str(&j.w, "name", k.name);
    json_put_member_text(&j.w, "key", text);
    json_put_key(&j.w, "rights");
    json_put_raw(&j.w, k.rights);
    json_put_object_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code keys_aside(struct request *r, struct err *e) {
    sign(r);
    if (str_is(r->x->request.method, "POST"))
        return make_key(r, e);
    if (!str_is(r->x->request.method, "DELETE"))
        return list_keys(r, e);
    TRY(store_key_revoke(request_store(r), r->label, e));
    return done(r, e);
}

static enum code keys_page(struct request *r, struct err *e) {
    (void)e;
    request_aside(r, keys_aside);
    return OK;
}

static const struct route routes[] = {
    {ROUTE_GET, "/admin/models", ROUTE_ADMIN, models},
    {ROUTE_GET, "/admin/models/{model}", ROUTE_ADMIN, models},
    {ROUTE_GET, "/admin/models/{model}/log", ROUTE_ADMIN, log_page},
    {ROUTE_GET | ROUTE_PUT | ROUTE_DELETE, "/admin/models/{model}/route", ROUTE_ADMIN, route_page},
    {ROUTE_GET | ROUTE_PUT | ROUTE_DELETE, "/admin/models/{model}/policy", ROUTE_ADMIN,
     policy_page},
    {ROUTE_PUT | ROUTE_DELETE, "/admin/models/{model}/aliases/{label}", ROUTE_ADMIN, alias_page},
    {ROUTE_POST, "/admin/models/{model}/rollback", ROUTE_ADMIN, rollback_page},
    {ROUTE_POST, "/admin/apply", ROUTE_ADMIN, apply_page},
    {ROUTE_GET | ROUTE_POST, "/admin/keys", ROUTE_ADMIN, keys_page},
    {ROUTE_DELETE, "/admin/keys/{label}", ROUTE_ADMIN, keys_page},
    {ROUTE_GET, "/admin/log", ROUTE_ADMIN, log_page},
};

const struct protocol protocol_admin = {
    .name = "admin",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};

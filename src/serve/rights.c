/* SPDX-License-Identifier: Apache-2.0 */
/* Rights of keys: see rights.h. */
#include "serve/rights.h"

#include "base/json.h"
#include "host/policy.h"
#include "host/host.h"

#include <sys/random.h>

enum { PARSE_BYTES = 64 << 10, KEY_BYTES = 24 };

enum code rights_new_key(char text[RIGHTS_KEY], uint8_t digest[SHA256_BYTES], struct err *e) {
    uint8_t bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return fail(e, IO, "no random bytes from the kernel");
    memcpy(text, "sk-", 3);
    hex_put(bytes, sizeof bytes, text + 3);
    sha256_of((struct span){(const uint8_t *)text, strlen(text)}, digest);
    return OK;
}

static const struct {
    const char *name;
    unsigned scope;
} scopes[] = {{"predict", SCOPE_PREDICT}, {"read", SCOPE_READ}, {"admin", SCOPE_ADMIN}};

enum code rights_scope(struct rights *r, struct str text, struct err *e) {
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (str_is(text, scopes[i].name)) {
            r->scopes |= scopes[i].scope;
            return OK;
        }
    return fail(e, INVALID, "scope '%.*s' is not one of predict, read, admin",
                STR(str_sub(text, 0, 40)));
}

enum code rights_model(struct rights *r, struct str pattern, struct err *e) {
    if (pattern.n == 0 || pattern.n > RIGHTS_NAME)
        return fail(e, INVALID, "a model's name has 1 to %d bytes", RIGHTS_NAME);
    if (r->n_models == RIGHTS_MODELS)
        return fail(e, LIMIT, "more than %d models; a name may end with *", RIGHTS_MODELS);
    memcpy(r->models[r->n_models], pattern.p, pattern.n);
    r->models[r->n_models++][pattern.n] = '\0';
    return OK;
}

bool rights_name(const struct rights *r, struct str model) {
    for (size_t i = 0; i < r->n_models; i++) {
        struct str pattern = str_of(r->models[i]);
        bool open = pattern.n && pattern.p[pattern.n - 1] == '*';
        if (open ? str_eq(str_sub(model, 0, pattern.n - 1), str_sub(pattern, 0, pattern.n - 1))
                 : str_eq(model, pattern))
            return true;
    }
    return r->n_models == 0;
}

static enum code take_scope(void *rights, struct json *j, struct err *e) {
    struct str text;
    TRY(json_string(j, &text, e));
    return rights_scope(rights, text, e);
}

static enum code take_model(void *rights, struct json *j, struct err *e) {
    struct str text;
    TRY(json_string(j, &text, e));
    return rights_model(rights, text, e);
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct rights *r = context;
    struct str text;
    int64_t n;
    if (str_is(key, "scopes"))
        return json_each_item(j, take_scope, r, e);
    if (str_is(key, "models"))
        return json_each_item(j, take_model, r, e);
    if (str_is(key, "rate")) {
        TRY(json_f64(j, &r->rate, e));
        return r->rate >= 0 ? OK : json_fail(j, e, "a rate is not negative");
    }
    if (str_is(key, "concurrency")) {
        TRY(json_i64(j, &n, e));
        r->concurrency = (uint64_t)n;
        return n >= 0 ? OK : json_fail(j, e, "a number of requests is not negative");
    }
    if (!str_is(key, "priority"))
        return json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)));
    TRY(json_string(j, &text, e));
    return priority_parse(text, &r->priority, e);
}

static enum code parse(struct json *j, struct rights *r, struct err *e) {
    TRY(json_each_member(j, take_member, r, e));
    TRY(json_end(j, e));
    return r->scopes ? OK : fail(e, INVALID, "\"scopes\" is missing: predict, read, admin");
}

enum code rights_parse(struct str text, struct rights *out, struct err *e) {
    struct rights r = {.priority = PRIORITY_HIGH};
    struct json j;
    struct arena a;
    arena_init(&a, PARSE_BYTES);
    json_init(&j, text, &a);
    enum code code = parse(&j, &r, e);
    arena_deinit(&a);
    if (code != OK)
        return err_prefix(e, "rights");
    *out = r;
    return OK;
}

void rights_write(const struct rights *r, struct buf *b) {
    struct json_out w;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_key(&w, "scopes");
    json_put_array(&w);
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (r->scopes & scopes[i].scope)
            json_put_text(&w, scopes[i].name);
    json_put_array_end(&w);
    if (r->n_models) {
        json_put_key(&w, "models");
        json_put_array(&w);
        for (size_t i = 0; i < r->n_models; i++)
            json_put_text(&w, r->models[i]);
        json_put_array_end(&w);
    }
    if (r->rate > 0)
        json_put_member_f64(&w, "rate", r->rate);
    if (r->concurrency)
        json_put_member_i64(&w, "concurrency", (int64_t)r->concurrency);
    if (r->priority > PRIORITY_HIGH)
        json_put_member_text(&w, "priority", priority_name(r->priority));
    json_put_object_end(&w);
}

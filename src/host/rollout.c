/* SPDX-License-Identifier: Apache-2.0 */
/* Splits of traffic: see rollout.h. */
#include "host/rollout.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>

enum { PARSE_BYTES = 64 << 10 };

enum code rollout_share(double percent, uint32_t *out, struct err *e) {
    if (!(percent >= 0 && percent <= 100))
        return fail(e, INVALID, "%g is not a percentage: 0 to 100", percent);
    *out = (uint32_t)lround(percent * (ROLLOUT_WHOLE / 100));
    return OK;
}

enum code rollout_sticky(struct rollout *r, struct str text, struct err *e) {
    static const struct {
        const char *prefix;
        enum sticky_kind kind;
    } kinds[] = {{"header:", STICKY_HEADER}, {"cookie:", STICKY_COOKIE}, {"field:", STICKY_FIELD}};
    if (str_is(text, "none")) {
        r->sticky = STICKY_NONE;
        return OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);
        if (!str_starts(text, kinds[i].prefix) || text.n == n)
            continue;
        if (text.n - n > ROLLOUT_NAME)
            return fail(e, LIMIT, "sticky '%.*s': the name has more than %d bytes", STR(text),
                        ROLLOUT_NAME);
        r->sticky = kinds[i].kind;
        memcpy(r->sticky_name, text.p + n, text.n - n);
        r->sticky_name[text.n - n] = '\0';
        return OK;
    }
    return fail(e, INVALID,
                "sticky '%.*s': write header:NAME, cookie:NAME, field:NAME (of a JSON body) or "
                "none",
                STR(str_sub(text, 0, 80)));
}

enum code rollout_check(const struct rollout *r, struct err *e) {
    uint32_t sum = 0;
    for (int i = 0; i < r->n_arms; i++) {
        sum += r->arms[i].share;
        for (int k = 0; k < i; k++)
            if (r->arms[k].version == r->arms[i].version)
                return fail(e, INVALID, "version %llu is named twice",
                            (unsigned long long)r->arms[i].version);
    }
    if (sum > ROLLOUT_WHOLE)
        return fail(e, INVALID, "the shares add up to %g %%, more than 100",
                    sum / (ROLLOUT_WHOLE / 100.0));
    return OK;
}

bool rollout_empty(const struct rollout *r) { return r->n_arms == 0 && r->shadow == 0; }

/* --- reading --- */

static enum code take_version(struct json *j, uint64_t *out, struct err *e) {
    int64_t v;
    TRY(json_i64(j, &v, e));
    if (v < 1)
        return json_fail(j, e, "a version is a number from 1");
    *out = (uint64_t)v;
    return OK;
}

static enum code take_share(struct json *j, uint32_t *out, struct err *e) {
    double percent;
    TRY(json_f64(j, &percent, e));
    return rollout_share(percent, out, e);
}

static enum code take_tolerance(struct json *j, double *out, struct err *e) {
    TRY(json_f64(j, out, e));
    return *out >= 0 ? OK : json_fail(j, e, "a tolerance is not negative");
}

struct target { /* an arm, or the shadow, which has two members more */
    struct rollout *rollout;
    bool shadow;
    uint64_t *version;
    uint32_t *share;
};

static enum code take_target_member(void *context, struct json *j, struct str key, struct err *e) {
    const struct target *t = context;
    if (str_is(key, "version"))
        return take_version(j, t->version, e);
    if (str_is(key, "percent"))
        return take_share(j, t->share, e);
    if (t->shadow && str_is(key, "relative"))
        return take_tolerance(j, &t->rollout->relative, e);
    if (t->shadow && str_is(key, "absolute"))
        return take_tolerance(j, &t->rollout->absolute, e);
    return json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)));
}

static enum code take_target(struct json *j, struct target *t, struct err *e) {
    TRY(json_each_member(j, take_target_member, t, e));
    return *t->version ? OK : json_fail(j, e, "\"version\" is missing");
}

static enum code take_arm(void *context, struct json *j, struct err *e) {
    struct rollout *r = context;
    if (r->n_arms == ROLLOUT_ARMS)
        return json_fail(j, e, "more than %d arms", ROLLOUT_ARMS);
    struct rollout_arm *arm = &r->arms[r->n_arms++];
    return take_target(j, &(struct target){r, false, &arm->version, &arm->share}, e);
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct rollout *r = context;
    struct str text;
    if (str_is(key, "arms"))
        return json_each_item(j, take_arm, r, e);
    if (str_is(key, "shadow"))
        return take_target(j, &(struct target){r, true, &r->shadow, &r->shadow_share}, e);
    if (!str_is(key, "sticky"))
        return json_fail(j, e, "unexpected member \"%.*s\": arms, sticky or shadow",
                         STR(str_sub(key, 0, 80)));
    TRY(json_string(j, &text, e));
    return rollout_sticky(r, text, e);
}

static enum code parse(struct json *j, struct rollout *r, struct err *e) {
    TRY(json_each_member(j, take_member, r, e));
    TRY(json_end(j, e));
    return rollout_check(r, e);
}

enum code rollout_parse(struct str text, struct rollout *out, struct err *e) {
    struct rollout r = {.shadow_share = ROLLOUT_WHOLE, .relative = 1e-3, .absolute = 1e-5};
    struct json j;
    struct arena a;
    arena_init(&a, PARSE_BYTES);
    json_init(&j, text, &a);
    enum code code = parse(&j, &r, e);
    arena_deinit(&a);
    if (code != OK)
        return err_prefix(e, "route");
    *out = r;
    return OK;
}

/* --- writing --- */

static void put_target(struct json_out *w, uint64_t version, uint32_t share) {
    json_put_object(w);
    json_put_member_i64(w, "version", (int64_t)version);
    json_put_member_f64(w, "percent", share / (ROLLOUT_WHOLE / 100.0));
}

void rollout_write(const struct rollout *r, struct buf *b) {
    static const char *const kinds[] = {"none", "header:", "cookie:", "field:"};
    struct json_out w;
    char text[ROLLOUT_NAME + 16];
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_key(&w, "arms");
    json_put_array(&w);
    for (int i = 0; i < r->n_arms; i++) {
        put_target(&w, r->arms[i].version, r->arms[i].share);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    if (r->sticky != STICKY_NONE) {
        snprintf(text, sizeof text, "%s%s", kinds[r->sticky], r->sticky_name);
        json_put_member_text(&w, "sticky", text);
    }
    if (r->shadow) {
        json_put_key(&w, "shadow");
        put_target(&w, r->shadow, r->shadow_share);
        json_put_member_f64(&w, "relative", r->relative);
        json_put_member_f64(&w, "absolute", r->absolute);
        json_put_object_end(&w);
    }
    json_put_object_end(&w);
}

/* --- choosing --- */

/* FNV-1a over model, a zero byte and key, then the finaliser of splitmix64: short keys differ in
 * every bit. Written down in docs/protocols/admin.md: it must not change. */
uint32_t rollout_bucket(struct str model, struct str key) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < model.n; i++)
        h = (h ^ (uint8_t)model.p[i]) * 0x100000001b3u;
    h *= 0x100000001b3u;
    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (uint8_t)key.p[i]) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    return (uint32_t)(h % ROLLOUT_WHOLE);
}

int rollout_arm(const struct rollout *r, uint32_t bucket) {
    uint32_t end = 0;
    for (int i = 0; i < r->n_arms; i++) {
        end += r->arms[i].share;
        if (bucket < end)
            return i;
    }
    return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects by key: see hf.h. The members are found in one walk; a value is parsed when it is
 * asked for. */
#include "format/hf.h"

#include "base/json.h"

enum { MEMBERS_MAX = 4096 };

static enum code collect(struct json *j, struct hf_object *o, struct err *e) {
    struct hf_member m = {0};
    size_t room = 0;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &m.key, &more, e));
        if (!more)
            return json_end(j, e);
        TRY(json_skip(j, &m.raw, e));
        if (o->n == MEMBERS_MAX)
            return fail(e, LIMIT, "an object with more than %d members", MEMBERS_MAX);
        if (o->n == room) {
            room = room ? 2 * room : 32;
            struct hf_member *bigger = ARENA_ARRAY(o->arena, room, struct hf_member);
            if (!bigger)
                return arena_fail(o->arena, room * sizeof *bigger, "JSON", e);
            if (o->n)
                memcpy(bigger, o->members, o->n * sizeof *bigger);
            o->members = bigger;
        }
        o->members[o->n++] = m;
    }
}

enum code hf_object_read(struct str text, struct arena *a, struct hf_object *out, struct err *e) {
    struct hf_object o = {.arena = a};
    struct json j;
    json_init(&j, text, a);
    j.allow_nan = true; /* Python writes Infinity */
    if (text.n)
        TRY(collect(&j, &o, e));
    *out = o;
    return OK;
}

bool hf_object_find(const struct hf_object *o, const char *key, struct str *raw) {
    for (size_t i = 0; i < o->n; i++)
        if (str_is(o->members[i].key, key)) {
            *raw = o->members[i].raw;
            return !str_is(*raw, "null");
        }
    return false;
}

static enum code wrong(const char *key, const char *want, struct str raw, struct err *e) {
    return fail(e, FORMAT, "'%s' is %.*s, not %s", key, STR(str_sub(raw, 0, 40)), want);
}

enum code hf_object_int(const struct hf_object *o, const char *key, bool *found, int64_t *out,
                        struct err *e) {
    struct str raw;
    struct json j;
    *found = hf_object_find(o, key, &raw);
    if (!*found)
        return OK;
    json_init(&j, raw, o->arena);
    return json_i64(&j, out, e) == OK ? OK : wrong(key, "a whole number", raw, e);
}

enum code hf_object_real(const struct hf_object *o, const char *key, bool *found, double *out,
                         struct err *e) {
    struct str raw;
    struct json j;
    *found = hf_object_find(o, key, &raw);
    if (!*found)
        return OK;
    json_init(&j, raw, o->arena);
    return json_f64(&j, out, e) == OK ? OK : wrong(key, "a number", raw, e);
}

enum code hf_object_bool(const struct hf_object *o, const char *key, bool *out, struct err *e) {
    struct str raw;
    struct json j;
    if (!hf_object_find(o, key, &raw))
        return OK;
    json_init(&j, raw, o->arena);
    return json_bool(&j, out, e) == OK ? OK : wrong(key, "true or false", raw, e);
}

enum code hf_object_text(const struct hf_object *o, const char *key, struct str *out,
                         struct err *e) {
    struct str raw;
    struct json j;
    if (!hf_object_find(o, key, &raw))
        return OK;
    json_init(&j, raw, o->arena);
    return json_string(&j, out, e) == OK ? OK : wrong(key, "text", raw, e);
}

enum code hf_object_object(const struct hf_object *o, const char *key, struct hf_object *out,
                           struct err *e) {
    struct str raw = {0};
    if (!hf_object_find(o, key, &raw))
        raw = (struct str){0};
    return hf_object_read(raw, o->arena, out, e) == OK ? OK : wrong(key, "an object", raw, e);
}

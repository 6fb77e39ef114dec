/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that are about the request: see trace.h. */
#include "serve/trace.h"

#include "base/clock.h"
#include "base/hash.h"
#include "host/policy.h"
#include "serve/answer.h"
#include "serve/auth.h"
#include "serve/server.h"

/* --- W3C trace context --- */

static bool lower_hex(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
            return false;
    return true;
}

static bool all_zero(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '0')
            return false;
    return true;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may go on after another '-'. */
static bool valid_parent(struct str t) {
    if (t.n < TRACE_PARENT || t.p[2] != '-' || t.p[35] != '-' || t.p[52] != '-')
        return false;
    struct str version = str_sub(t, 0, 2), trace = str_sub(t, 3, 35), span = str_sub(t, 36, 52);
    if (!lower_hex(version) || str_is(version, "ff") || !lower_hex(trace) || all_zero(trace) ||
        !lower_hex(span) || all_zero(span) || !lower_hex(str_sub(t, 53, 55)))
        return false;
    return t.n == TRACE_PARENT || (t.p[TRACE_PARENT] == '-' && !str_is(version, "00"));
}

void trace_begin(struct request *r, uint64_t span) {
    struct str parent = http_header_get(&r->x->request, "traceparent");
    if (!valid_parent(parent))
        return;
    char *text = arena_push(r->arena, TRACE_PARENT + 1);
    if (!text)
        return;
    memcpy(text, parent.p, TRACE_PARENT);
    memcpy(text, "00", 2);
    hex_put((const uint8_t *)&span, sizeof span, text + 36);
    text[52] = '-'; /* hex_put ended its text there */
    r->trace = (struct str){text, TRACE_PARENT};
}

/* --- sticky keys --- */

static struct str trimmed(struct str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* RFC 6265 §4.2: name=value pairs with ';' between. */
static struct str cookie(const struct http_request *q, const char *name) {
    struct str rest = http_header_get(q, "cookie");
    while (rest.n) {
        size_t end, at;
        struct str pair = rest;
        if (str_find(rest, ';', &end)) {
            pair.n = end;
            rest = str_sub(rest, end + 1, rest.n);
        } else {
            rest.n = 0;
        }
        pair = trimmed(pair);
        if (str_find(pair, '=', &at) && str_is(str_sub(pair, 0, at), name))
            return str_sub(pair, at + 1, pair.n);
    }
    return (struct str){0};
}

/* The text of member `name` as it is written there: a sort key, not a value. */
static struct str member(struct json *j, const char *name, bool deeper) {
    struct str key, raw;
    struct err ignored;
    bool more;
    if (json_enter_object(j, &ignored) != OK)
        return (struct str){0};
    while (json_next_key(j, &key, &more, &ignored) == OK && more) {
        if (deeper && str_is(key, "parameters") && json_peek(j) == JSON_OBJECT) {
            struct str found = member(j, name, false);
            if (found.n)
                return found;
            continue;
        }
        if (json_skip(j, &raw, &ignored) != OK)
            break;
        if (str_is(key, name))
            return raw;
    }
    return (struct str){0};
}

struct str trace_sticky(struct ask *a, enum sticky_kind kind, const char *name) {
    struct request *r = a->user;
    if (kind == STICKY_HEADER)
        return http_header_get(&r->x->request, name);
    if (kind == STICKY_COOKIE)
        return cookie(&r->x->request, name);
    struct json j;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    j.allow_nan = true;
    return r->body.n && r->body.p[0] == '{' ? member(&j, name, true) : (struct str){0};
}

/* --- terms --- */

/* No higher than its key may ask for. */
static void cap_priority(struct request *r) {
    if (r->key && r->ask.priority < r->key->rights.priority)
        r->ask.priority = r->key->rights.priority;
}

void trace_level(struct request *r, int64_t level) {
    if (level > 0)
        r->ask.priority = level == 1 ? PRIORITY_HIGH : level == 2 ? PRIORITY_NORMAL : PRIORITY_LOW;
    cap_priority(r);
}

void trace_timeout(struct request *r, int64_t us) {
    if (us <= 0 || us >= INT64_C(1) << 50)
        return;
    uint64_t deadline = clock_ns() + (uint64_t)us * 1000;
    if (!r->ask.deadline_ns || deadline < r->ask.deadline_ns)
        r->ask.deadline_ns = deadline;
}

enum code trace_terms(struct request *r, struct err *e) {
    struct str priority = http_header_get(&r->x->request, "x-priority"),
               timeout = http_header_get(&r->x->request, "x-timeout-ms");
    uint64_t ms;
    if (priority.n && priority_parse(priority, &r->ask.priority, e) != OK)
        return err_prefix(e, "X-Priority");
    cap_priority(r);
    if (timeout.n == 0)
        return OK;
    if (!str_to_u64(timeout, &ms) || ms == 0 || ms > 86400000)
        return fail(e, INVALID, "X-Timeout-Ms: '%.*s' is not a number of milliseconds",
                    STR(str_sub(timeout, 0, 40)));
    r->ask.deadline_ns = r->x->started_ns + ms * 1000000;
    return OK;
}

/* --- CORS --- */

static bool listed(const char *list, struct str origin) {
    struct str rest = str_of(list);
    while (rest.n) {
        size_t end = rest.n;
        (void)str_find(rest, ',', &end);
        struct str one = trimmed(str_sub(rest, 0, end));
        if (str_is(one, "*") || str_eq(one, origin))
            return true;
        rest = str_sub(rest, end + 1, rest.n);
    }
    return false;
}

void trace_cors(struct request *r) {
    const struct http_request *q = &r->x->request;
    struct str origin = r->options->cors ? http_header_get(q, "origin") : (struct str){0};
    if (origin.n == 0 || !listed(r->options->cors, origin))
        return;
    answer_header(r, "Access-Control-Allow-Origin", origin);
    answer_header(r, "Vary", LIT("Origin"));
    if (!r->allow || http_header_get(q, "access-control-request-method").n == 0) {
        answer_header(r, "Access-Control-Expose-Headers",
                      LIT("X-Request-Id, traceparent, X-Model-Version, Retry-After, "
                          "grpc-status, grpc-message, grpc-status-details-bin"));
        return;
    }
    struct str headers = http_header_get(q, "access-control-request-headers");
    answer_header(r, "Access-Control-Allow-Methods", str_of(r->allow));
    if (headers.n)
        answer_header(r, "Access-Control-Allow-Headers", headers);
    answer_header(r, "Access-Control-Max-Age", LIT("600"));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: see uri.h.
 *
 * Does not normalise: "." and ".." segments, "//" and letters' case stay as they were sent. No path
 * here ever names a file, and a router that compares whole segments finds no route for them. */
#include "net/uri.h"

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* One byte of the encoded text at *at, or -1. */
static int decode_one(struct str text, bool form, size_t *at) {
    char c = text.p[(*at)++];
    if (form && c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (text.n - *at < 2)
        return -1;
    int high = hex(text.p[*at]), low = hex(text.p[*at + 1]);
    *at += 2;
    if (high < 0 || low < 0)
        return -1;
    int value = high * 16 + low;
    bool refused = value == 0 || (!form && (value < 0x20 || value == 0x7f));
    return refused ? -1 : value;
}

size_t uri_decode(struct str text, bool form, char *to) {
    size_t n = 0;
    for (size_t at = 0; at < text.n;) {
        int byte = decode_one(text, form, &at);
        if (byte < 0)
            return SIZE_MAX;
        to[n++] = (char)byte;
    }
    return n;
}

bool uri_is_host(struct str host) {
    for (size_t i = 0; i < host.n; i++)
        if (!is_alnum(host.p[i]) && (host.p[i] == 0 || !strchr("-._~:[]%!$&'()*+;=", host.p[i])))
            return false;
    return true;
}

static bool starts_nocase(struct str text, struct str lower) {
    if (text.n < lower.n)
        return false;
    for (size_t i = 0; i < lower.n; i++)
        if (text.p[i] != lower.p[i] && (text.p[i] | 0x20) != lower.p[i])
            return false;
    return true;
}

static void split_query(struct str rest, struct uri_target *out) {
    size_t at;
    bool has = str_find(rest, '?', &at);
    out->path = has ? str_sub(rest, 0, at) : rest;
    out->query = has ? str_sub(rest, at + 1, rest.n) : (struct str){NULL, 0};
}

/* RFC 9112 §3.2.2: a server must accept the absolute form, whoever sends it. */
static const char *split_absolute(struct str rest, struct uri_target *out) {
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    out->authority = str_sub(rest, 0, n);
    if (n == 0 || !uri_is_host(out->authority))
        return "bad host in the request target";
    split_query(str_sub(rest, n, rest.n), out);
    if (out->path.n == 0)
        out->path = LIT("/");
    return NULL;
}

const char *uri_split(struct str method, struct str target, struct uri_target *out) {
    *out = (struct uri_target){0};
    if (str_is(method, "CONNECT"))
        return "CONNECT is not spoken: this is no proxy";
    if (target.n && target.p[0] == '/') {
        split_query(target, out);
        return NULL;
    }
    if (str_is(target, "*")) {
        out->path = target;
        return str_is(method, "OPTIONS") ? NULL : "target '*' is for OPTIONS only";
    }
    struct str schemes[] = {LIT("http://"), LIT("https://")};
    for (int i = 0; i < 2; i++)
        if (starts_nocase(target, schemes[i]))
            return split_absolute(str_sub(target, schemes[i].n, target.n), out);
    return "the request target must be a path beginning with '/' or an http URI";
}

/* Whether the encoded text decodes to `name`. */
static bool is_name(struct str encoded, struct str name) {
    size_t n = 0;
    for (size_t at = 0; at < encoded.n; n++)
        if (n >= name.n || decode_one(encoded, true, &at) != (unsigned char)name.p[n])
            return false;
    return n == name.n;
}

bool uri_query_find(struct str query, struct str name, struct str *value) {
    for (size_t from = 0, to; from < query.n; from = to + 1) {
        struct str rest = str_sub(query, from, query.n);
        size_t at;
        to = str_find(rest, '&', &at) ? from + at : query.n;
        struct str pair = str_sub(query, from, to);
        bool has_value = str_find(pair, '=', &at);
        if (!is_name(has_value ? str_sub(pair, 0, at) : pair, name))
            continue;
        *value = has_value ? str_sub(pair, at + 1, pair.n) : (struct str){NULL, 0};
        return true;
    }
    return false;
}

const char *uri_take_target(struct http_request *r, struct arena *a, int *status) {
    struct uri_target target;
    const char *wrong = uri_split(r->method, r->target, &target);
    *status = 400;
    if (wrong)
        return wrong;
    r->path = target.path;
    r->query = target.query;
    size_t at;
    if (!str_find(r->path, '%', &at))
        return NULL;
    char *decoded = arena_push_aligned(a, r->path.n, 1);
    *status = decoded ? 400 : 503;
    if (!decoded)
        return "no memory for the request path";
    r->path = (struct str){decoded, uri_decode(r->path, false, decoded)};
    return r->path.n == SIZE_MAX
               ? "request path: bad percent-encoding or an encoded control character"
               : NULL;
}

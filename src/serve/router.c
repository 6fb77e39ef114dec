/* SPDX-License-Identifier: Apache-2.0 */
/* Router: see router.h. A few dozen rows are compared one after the other: the literal beginnings
 * differ in their first bytes, so a row that does not match costs a few nanoseconds, less than
 * walking a tree would.
 *
 * 1. The first row whose path and method match wins; a path that matches only with other methods
 * collects them.
 * 2. A capture takes one or more bytes other than '/' and ':'. */
#include "serve/router.h"

static unsigned method_bit(struct str method) {
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"GET", ROUTE_GET}, {"HEAD", ROUTE_GET},      {"POST", ROUTE_POST},
                 {"PUT", ROUTE_PUT}, {"DELETE", ROUTE_DELETE}, {"OPTIONS", ROUTE_OPTIONS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(method, known[i].name))
            return known[i].bit;
    return 0;
}

static struct str *capture_of(struct router_match *m, const char *name, size_t n) {
    if (n == 5 && memcmp(name, "model", 5) == 0)
        return &m->model;
    if (n == 7 && memcmp(name, "version", 7) == 0)
        return &m->version;
    return n == 5 && memcmp(name, "label", 5) == 0 ? &m->label : NULL;
}

static bool match_rest(const char *pattern, struct str path, struct router_match *m) {
    size_t at = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (at == path.n || path.p[at] != *pattern)
                return false;
            at++;
            pattern++;
            continue;
        }
        const char *end = strchr(pattern, '}');
        struct str *into = capture_of(m, pattern + 1, (size_t)(end - pattern) - 1);
        size_t from = at;
        while (at < path.n && path.p[at] != '/' && path.p[at] != ':')
            at++;
        if (at == from)
            return false;
        *into = str_sub(path, from, at);
        pattern = end + 1;
    }
    return at == path.n;
}

static enum code check_row(const char *path, struct err *e) {
    struct router_match unused;
    for (const char *p = path; (p = strchr(p, '{')); p++) {
        const char *end = strchr(p, '}');
        if (!end || !capture_of(&unused, p + 1, (size_t)(end - p) - 1))
            return fail(e, INTERNAL, "route '%s': a capture is {model}, {version} or {label}",
                        path);
    }
    return *path == '/' ? OK : fail(e, INTERNAL, "route '%s' must begin with '/'", path);
}

enum code router_init(struct router *t, const struct protocol *const *protocols, size_t n,
                      struct err *e) {
    t->n = 0;
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < protocols[p]->n_routes; i++) {
            const struct route *route = &protocols[p]->routes[i];
            if (t->n == ROUTER_MAX)
                return fail(e, INTERNAL, "more than %d routes", ROUTER_MAX);
            TRY(check_row(route->path, e));
            t->rows[t->n++] = (struct router_row){protocols[p], route, strcspn(route->path, "{")};
        }
    return OK;
}

enum code router_alias(struct router *t, const char *path, const char *to, struct err *e) {
    if (*path != '/')
        return fail(e, USAGE, "'%s' is no path: it must begin with '/'", path);
    for (int i = 0; i < ROUTER_ALIASES; i++)
        if (t->aliases[i].path.n == 0) {
            t->aliases[i].path = str_of(path);
            t->aliases[i].to = str_of(to);
            return OK;
        }
    return fail(e, USAGE, "'%s': more than %d paths of one's own", path, ROUTER_ALIASES);
}

void router_find(const struct router *t, struct str method, struct str path,
                 struct router_match *out) {
    unsigned bit = method_bit(method);
    *out = (struct router_match){0};
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (int i = 0; i < ROUTER_ALIASES && t->aliases[i].path.n; i++)
        if (str_eq(path, t->aliases[i].path))
            path = t->aliases[i].to;
    for (size_t i = 0; i < t->n; i++) {
        const struct router_row *row = &t->rows[i];
        struct router_match m = {.protocol = row->protocol, .route = row->route};
        if (path.n < row->literal || memcmp(path.p, row->route->path, row->literal) != 0 ||
            !match_rest(row->route->path + row->literal, str_sub(path, row->literal, path.n), &m))
            continue;
        m.method_ok = (row->route->methods & bit) != 0;
        m.methods = out->methods | row->route->methods;
        if (m.method_ok || !out->route)
            *out = m;
        else
            out->methods = m.methods;
        if (m.method_ok)
            return;
    }
}

const char *router_allow(unsigned methods, char text[ROUTER_ALLOW]) {
    snprintf(text, ROUTER_ALLOW, "%s%s%s%sOPTIONS", methods & ROUTE_GET ? "GET, HEAD, " : "",
             methods & ROUTE_POST ? "POST, " : "", methods & ROUTE_PUT ? "PUT, " : "",
             methods & ROUTE_DELETE ? "DELETE, " : "");
    return text;
}

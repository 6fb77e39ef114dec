/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart bodies: see multipart.h. Delimiters stand at the beginning of a line; header lines end
 * with CRLF. */
#include "serve/multipart.h"

enum { BOUNDARY_MAX = 70 }; /* RFC 2046 §5.1.1 */

static struct str trim(struct str s) {
    while (s.n && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* The value of `; name=value` or `; name="value"`; .n == 0 when absent. */
static struct str parameter(struct str header, const char *name) {
    size_t at;
    while (str_find(header, ';', &at)) {
        header = trim(str_sub(header, at + 1, header.n));
        size_t n = strlen(name);
        if (header.n <= n || header.p[n] != '=' ||
            !str_eq_nocase(str_sub(header, 0, n), str_of(name)))
            continue;
        struct str value = str_sub(header, n + 1, header.n);
        if (value.n && value.p[0] == '"') {
            value = str_sub(value, 1, value.n);
            size_t end = 0;
            while (end < value.n && value.p[end] != '"')
                end++;
            return str_sub(value, 0, end);
        }
        size_t end = value.n;
        str_find(value, ';', &end);
        return trim(str_sub(value, 0, end));
    }
    return (struct str){NULL, 0};
}

enum code multipart_begin(struct multipart *m, struct str content_type, struct span body,
                          struct err *e) {
    *m = (struct multipart){.rest = body, .boundary = parameter(content_type, "boundary")};
    if (m->boundary.n == 0 || m->boundary.n > BOUNDARY_MAX)
        return fail(e, INVALID,
                    "multipart/form-data needs a boundary of 1 to %d characters in Content-Type",
                    BOUNDARY_MAX);
    return OK;
}

/* The next delimiter line's "--boundary", at the start of the text or after CRLF. *at: of its first
 * '-'. */
static bool find_delimiter(const struct multipart *m, size_t *at) {
    const uint8_t *p = m->rest.p, *end = p + m->rest.n;
    size_t n = m->boundary.n + 2;
    while ((size_t)(end - p) >= n) {
        const uint8_t *dash = memchr(p, '-', (size_t)(end - p) - n + 1);
        if (!dash)
            return false;
        bool line = dash == m->rest.p
                        ? !m->begun
                        : dash - m->rest.p >= 2 && dash[-1] == '\n' && dash[-2] == '\r';
        if (line && dash[1] == '-' && memcmp(dash + 2, m->boundary.p, m->boundary.n) == 0) {
            *at = (size_t)(dash - m->rest.p);
            return true;
        }
        p = dash + 1;
    }
    return false;
}

static void advance(struct multipart *m, size_t n) {
    m->rest.p += n;
    m->rest.n -= n;
}

/* Header lines up to the empty one. */
static enum code take_headers(struct multipart *m, struct multipart_part *out, struct err *e) {
    for (;;) {
        struct str rest = {(const char *)m->rest.p, m->rest.n};
        size_t end, colon;
        if (!str_find(rest, '\n', &end))
            return fail(e, INVALID, "multipart: a part's headers have no end");
        struct str line = trim(str_sub(rest, 0, end));
        advance(m, end + 1);
        if (line.n == 0)
            return OK;
        if (!str_find(line, ':', &colon))
            return fail(e, INVALID, "multipart: a header line without ':'");
        struct str name = trim(str_sub(line, 0, colon)),
                   value = trim(str_sub(line, colon + 1, line.n));
        if (str_eq_nocase(name, LIT("content-type")))
            out->content_type = value;
        if (str_eq_nocase(name, LIT("content-disposition"))) {
            out->name = parameter(value, "name");
            out->file_name = parameter(value, "filename");
        }
    }
}

enum code multipart_next(struct multipart *m, struct multipart_part *out, bool *more,
                         struct err *e) {
    size_t at, end;
    *out = (struct multipart_part){0};
    if (!find_delimiter(m, &at))
        return fail(
            e, INVALID,
            "multipart: no delimiter '--%.*s' found; the body is cut or has another boundary",
            STR(m->boundary));
    advance(m, at + 2 + m->boundary.n);
    m->begun = true;
    *more = !(m->rest.n >= 2 && m->rest.p[0] == '-' && m->rest.p[1] == '-');
    if (!*more)
        return OK;
    struct str rest = {(const char *)m->rest.p, m->rest.n};
    if (!str_find(rest, '\n', &end) || trim(str_sub(rest, 0, end)).n)
        return fail(e, INVALID, "multipart: something follows a delimiter on its line");
    advance(m, end + 1);
    TRY(take_headers(m, out, e));
    if (!find_delimiter(m, &at))
        return fail(e, INVALID, "multipart: part '%.*s' has no end", STR(out->name));
    out->body = (struct span){m->rest.p, at - 2};
    advance(m, at - 2); /* the CRLF before it belongs to the delimiter */
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a response: see reply.h. */
#include "net/reply.h"

#include <inttypes.h>
#include <stdio.h>

/* RFC 9110 §15 and RFC 6585; for others the empty reason phrase is as good (RFC 9112 §4). */
static const char *reason_of(int status) {
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "";
    }
}

void reply_date_update(struct reply_date *d, uint64_t wall_us) {
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t second = wall_us / 1000000;
    if (second == d->second && d->n)
        return;
    time_t t = (time_t)second;
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        return;
    d->n =
        snprintf(d->text, sizeof d->text, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                 days + 3 * (tm.tm_wday % 7), tm.tm_mday % 100, months + 3 * (tm.tm_mon % 12),
                 (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    d->second = second;
}

/* ---- what may be sent ---- */

static bool is_token_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value(struct str value) {
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    return true;
}

static bool is_name(struct str name) {
    static const struct str own[] = {
        {"content-length", 14}, {"transfer-encoding", 17}, {"connection", 10}, {"date", 4}};
    for (size_t i = 0; i < name.n; i++)
        if (!is_token_char(name.p[i]))
            return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_eq_nocase(name, own[i]))
            return false;
    return name.n > 0;
}

bool reply_has_body(int status) { return status != 204 && status != 304; }

bool reply_is_clean(const struct http_response *r) {
    if (r->status < 200 || r->status > 599 || r->n_parts < 0 || r->n_parts > HTTP_PARTS ||
        !is_value(r->content_type))
        return false;
    for (int i = 0; i < r->n_headers; i++)
        if (!is_name(r->headers[i].name) || !is_value(r->headers[i].value))
            return false;
    return true;
}

size_t reply_length(const struct http_response *r) {
    size_t n = 0;
    for (int i = 0; i < r->n_parts; i++)
        n += r->parts[i].n;
    return n;
}

/* ---- writing ---- */

struct writer {
    char *p;
    size_t n, room; /* n counts what did not fit too */
};

static void put(struct writer *w, const char *p, size_t n) {
    if (n && w->n + n <= w->room)
        memcpy(w->p + w->n, p, n);
    w->n += n;
}

#define PUT_LIT(w, text) put((w), "" text, sizeof(text) - 1)

static void put_number(struct writer *w, uint64_t v) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put(w, digits + at, sizeof digits - at);
}

static void put_field(struct writer *w, struct str name, struct str value) {
    put(w, name.p, name.n);
    PUT_LIT(w, ": ");
    put(w, value.p, value.n);
    PUT_LIT(w, "\r\n");
}

size_t reply_head(char *to, size_t room, const struct http_response *r,
                  enum reply_connection connection, enum reply_framing framing,
                  const struct reply_date *date) {
    struct writer w = {to, 0, room};
    const char *reason = reason_of(r->status);
    PUT_LIT(&w, "HTTP/1.1 ");
    put_number(&w, (uint64_t)r->status);
    PUT_LIT(&w, " ");
    put(&w, reason, strlen(reason));
    PUT_LIT(&w, "\r\n");
    put(&w, date->text, (size_t)date->n);
    if (r->content_type.n)
        put_field(&w, LIT("Content-Type"), r->content_type);
    if (reply_has_body(r->status) && framing == REPLY_CHUNKED)
        PUT_LIT(&w, "Transfer-Encoding: chunked\r\n");
    if (reply_has_body(r->status) && framing == REPLY_SIZED) {
        PUT_LIT(&w, "Content-Length: ");
        put_number(&w, reply_length(r));
        PUT_LIT(&w, "\r\n");
    }
    if (connection == REPLY_CLOSE)
        PUT_LIT(&w, "Connection: close\r\n");
    else if (connection == REPLY_KEEP_1_0)
        PUT_LIT(&w, "Connection: keep-alive\r\n");
    for (int i = 0; i < r->n_headers; i++)
        put_field(&w, r->headers[i].name, r->headers[i].value);
    PUT_LIT(&w, "\r\n");
    return w.n;
}

size_t reply_error_json(const char *text, char to[REPLY_ERROR_BYTES]) {
    struct writer w = {to, 0, REPLY_ERROR_BYTES};
    PUT_LIT(&w, "{\"error\":\"");
    for (; *text && w.n < REPLY_ERROR_BYTES - 8; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            PUT_LIT(&w, "\\");
        char shown = c < 0x20 || c >= 0x7f ? '?' : (char)c;
        put(&w, &shown, 1);
    }
    PUT_LIT(&w, "\"}");
    return w.n;
}

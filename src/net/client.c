/* SPDX-License-Identifier: Apache-2.0 */
/* Client: see client.h. Redirects are followed here, not by libcurl, so that each is checked. */
#include "net/client.h"

#include "base/late.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

enum {
    REDIRECTS = 5,
    CONNECT_S = 10,
    STALL_S = 30,
    STALL_BYTES = 1000,
    URL_SHOWN = 200,
    URL_BYTES = 8192
};

struct transfer { /* one address of a get */
    const struct client_get *get;
    int fd;
    uint64_t bytes;
    bool too_large;
    int write_errno;
};

/* Opened when something is fetched for the first time: linked, libcurl and what it needs would cost
 * every start of the program 15 ms and 4 MB (docs/decisions/0010-libcurl-when-needed.md). */
#define FUNCTIONS(X)                                                                               \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_perform)                                                                           \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_strerror)                                                                          \
    X(curl_easy_cleanup)                                                                           \
    X(curl_url)                                                                                    \
    X(curl_url_set)                                                                                \
    X(curl_url_get)                                                                                \
    X(curl_url_cleanup)                                                                            \
    X(curl_free)

static struct { FUNCTIONS(LATE_FIELD) } lib;
static struct late curl = LATE("libcurl.so.4", FUNCTIONS);
static bool usable; /* written by start_once */
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static void start(void) {
    usable = late_open(&curl) && lib.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool client_may(const char *hosts, struct str host, struct str port) {
    for (struct str rest = str_of(hosts ? hosts : ""); rest.n;) {
        size_t end = rest.n, colon;
        str_find(rest, ',', &end);
        struct str item = str_sub(rest, 0, end), name = item;
        rest = str_sub(rest, end + 1, rest.n);
        if (str_is(item, "*"))
            return true;
        bool ported = str_find(item, ':', &colon);
        if (ported)
            name = str_sub(item, 0, colon);
        if (str_eq_nocase(name, host) &&
            (!ported || str_eq(str_sub(item, colon + 1, item.n), port)))
            return true;
    }
    return false;
}

static enum code check(const struct client_get *g, const char *url, bool *secure, struct err *e) {
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    CURLU *u = lib.curl_url();
    enum code code = OK;
    if (!u || lib.curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        lib.curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        lib.curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        lib.curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        code = fail(e, INVALID, "'%.*s' is no address of http or https", URL_SHOWN, url);
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        code = fail(e, INVALID, "'%.*s': want http or https", URL_SHOWN, url);
    else if (lib.curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        code = fail(e, INVALID, "an address with a user's name in it is not fetched");
    else if (!client_may(g->hosts, str_of(host), str_of(port)))
        code = fail(e, DENIED, "nothing is fetched from '%.*s': serve with --allow-fetch %.*s:%s",
                    URL_SHOWN, host, URL_SHOWN, host, port);
    else
        *secure = strcmp(scheme, "https") == 0;
    lib.curl_free(user);
    lib.curl_free(port);
    lib.curl_free(host);
    lib.curl_free(scheme);
    lib.curl_url_cleanup(u);
    return code;
}

static size_t on_bytes(char *p, size_t one, size_t n, void *arg) {
    struct transfer *t = arg;
    n *= one;
    if (n > t->get->most - t->bytes) {
        t->too_large = true;
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t w = write(t->fd, p + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            t->write_errno = w < 0 ? errno : EIO;
            return 0;
        }
        done += (size_t)w;
    }
    t->bytes += n;
    return n;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up) {
    const struct transfer *t = arg;
    (void)total, (void)now, (void)up_total, (void)up;
    return t->get->cancel && *t->get->cancel;
}

static void set_up(CURL *c, const char *url, struct transfer *t) {
    (lib.curl_easy_setopt)(c, CURLOPT_URL, url);
    (lib.curl_easy_setopt)(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (lib.curl_easy_setopt)(c, CURLOPT_NOSIGNAL, 1L);
    (lib.curl_easy_setopt)(c, CURLOPT_FAILONERROR, 1L);
    (lib.curl_easy_setopt)(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    (lib.curl_easy_setopt)(c, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
    (lib.curl_easy_setopt)(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    (lib.curl_easy_setopt)(c, CURLOPT_USERAGENT, "slipway/" SLIPWAY_VERSION);
    (lib.curl_easy_setopt)(c, CURLOPT_WRITEFUNCTION, on_bytes);
    (lib.curl_easy_setopt)(c, CURLOPT_WRITEDATA, t);
    (lib.curl_easy_setopt)(c, CURLOPT_NOPROGRESS, 0L);
    (lib.curl_easy_setopt)(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (lib.curl_easy_setopt)(c, CURLOPT_XFERINFODATA, t);
}

static enum code complaint(const struct transfer *t, CURLcode got, long status, const char *url,
                           struct err *e) {
    if (t->too_large)
        return fail(e, TOO_LARGE, "'%.*s' has more than %llu bytes (--max-fetch)", URL_SHOWN, url,
                    (unsigned long long)t->get->most);
    if (t->write_errno)
        return fail_errno(e, t->write_errno, "writing what was fetched");
    if (got == CURLE_ABORTED_BY_CALLBACK)
        return fail(e, CANCELLED, "the client left");
    if (got == CURLE_HTTP_RETURNED_ERROR || got == CURLE_OK)
        return status == 404
                   ? fail(e, NOT_FOUND, "'%.*s' is not there (404)", URL_SHOWN, url)
                   : fail(e, UNAVAILABLE, "'%.*s' answers with status %ld", URL_SHOWN, url, status);
    return fail(e, UNAVAILABLE, "'%.*s': %s", URL_SHOWN, url, lib.curl_easy_strerror(got));
}

/* `url` becomes where it redirects to (*more), or the body was written. */
static enum code get_one(CURL *c, char url[URL_BYTES], struct transfer *t, bool *more,
                         struct err *e) {
    char *to = NULL;
    long status = 0;
    set_up(c, url, t);
    CURLcode got = lib.curl_easy_perform(c);
    (void)(lib.curl_easy_getinfo)(c, CURLINFO_RESPONSE_CODE, &status);
    if (got == CURLE_OK)
        (void)(lib.curl_easy_getinfo)(c, CURLINFO_REDIRECT_URL, &to);
    *more = to != NULL;
    if (got != CURLE_OK || (!to && status != 200))
        return complaint(t, got, status, url, e);
    if (!to)
        return OK;
    if (snprintf(url, URL_BYTES, "%s", to) >= URL_BYTES)
        return fail(e, INVALID, "a redirect to an address of more than %d bytes", URL_BYTES - 1);
    t->bytes = 0;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0)
        return fail_errno(e, errno, "writing what was fetched");
    return OK;
}

static enum code follow(CURL *c, const struct client_get *g, struct transfer *t, struct err *e) {
    bool secure = false, more = true;
    char url[URL_BYTES];
    if (g->url.n >= URL_BYTES)
        return fail(e, INVALID, "an address of more than %d bytes", URL_BYTES - 1);
    snprintf(url, sizeof url, "%.*s", STR(g->url));
    for (int hop = 0; more; hop++) {
        bool before = secure;
        TRY(check(g, url, &secure, e));
        if (before && !secure)
            return fail(e, DENIED, "'%.*s': a redirect from https to http", URL_SHOWN, url);
        if (hop > REDIRECTS)
            return fail(e, UNAVAILABLE, "more than %d redirects", REDIRECTS);
        TRY(get_one(c, url, t, &more, e));
    }
    return OK;
}

enum code client_get(const struct client_get *g, int fd, uint64_t *bytes, struct err *e) {
    struct transfer t = {.get = g, .fd = fd};
    (void)pthread_once(&start_once, start);
    if (!usable)
        return fail(e, UNSUPPORTED, "to fetch something the server needs libcurl (libcurl.so.4)");
    CURL *c = lib.curl_easy_init();
    if (!c)
        return fail(e, NOMEM, "out of memory");
    enum code code = follow(c, g, &t, e);
    lib.curl_easy_cleanup(c);
    if (code == OK)
        *bytes = t.bytes;
    return code;
}

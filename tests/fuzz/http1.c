/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 parser. The first byte of an input seeds where the rest is cut into pieces; the rest
 * is a stream of requests, one behind the other, until the end or a refusal. Parsed whole and in
 * pieces, which must come to the same: same events, same contents, same refusal, same end of every
 * message. Also: the input only ever moves forward, events never repeat without progress, a refusal
 * has a status and one line of text, a head that was accepted keeps the promises that a router
 * relies on. */
#include "base/mem.h"
#include "net/http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 2048, ARENA = 1 << 16, MOST_MESSAGES = 64 };

#define MUST(x)                                                                                    \
    do                                                                                             \
        if (!(x))                                                                                  \
            abort();                                                                               \
    while (0)

/* A running hash of everything that came out, so that two runs compare without keeping it. */
struct trace {
    uint64_t hash;
    size_t n_heads, n_ends, n_body_bytes;
    int status;
    size_t at; /* input bytes taken */
};

static void note(struct trace *t, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        t->hash = (t->hash ^ p[i]) * UINT64_C(0x100000001b3);
    t->hash = (t->hash ^ 0x1ff) * UINT64_C(0x100000001b3);
}

static void note_str(struct trace *t, struct str s) { note(t, s.p, s.n); }

static void check_head(struct trace *t, const struct http1 *p, const struct http_request *r) {
    int hosts = 0, lengths = 0, codings = 0;
    MUST(r->method.n > 0 && r->target.n > 0 && r->path.n > 0);
    MUST(r->path.p[0] == '/' || str_is(r->path, "*"));
    for (size_t i = 0; i < r->path.n; i++)
        MUST((unsigned char)r->path.p[i] >= 0x20 && r->path.p[i] != 0x7f);
    for (int i = 0; i < r->n_headers; i++) {
        struct str name = r->headers[i].name, value = r->headers[i].value;
        hosts += str_eq_nocase(name, LIT("host"));
        lengths += str_eq_nocase(name, LIT("content-length"));
        codings += str_eq_nocase(name, LIT("transfer-encoding"));
        MUST(name.n > 0);
        for (size_t at = 0; at < value.n; at++)
            MUST(value.p[at] != '\r' && value.p[at] != '\n' && value.p[at] != 0);
        note_str(t, name);
        note_str(t, value);
    }
    MUST(hosts == 1 || (hosts == 0 && p->http_1_0));
    MUST(lengths + codings <= 1);
    MUST(p->chunked == (codings == 1) && (lengths == 1 || r->content_length == 0));
    note_str(t, r->method);
    note_str(t, r->target);
    note_str(t, r->path);
    note_str(t, r->query);
    note(t, &r->content_length, sizeof r->content_length);
    note(t, &r->keep_alive, sizeof r->keep_alive);
}

struct run {
    struct http1 parser;
    struct http_request request;
    struct arena arena;
    struct trace trace;
    bool over;
};

static void begin(struct run *r) {
    arena_reset(&r->arena, (struct arena_mark){0});
    http1_begin(&r->parser, &r->request, &r->arena);
}

static void on_refused(struct run *r, const struct err *e) {
    size_t n = strlen(e->text);
    MUST(r->parser.status >= 400 && r->parser.status < 600 && e->code != OK && n > 0 &&
         n < sizeof e->text);
    r->trace.status = r->parser.status;
    note(&r->trace, e->text, n);
    r->over = true;
}

static void feed(struct run *r, struct span in) {
    struct trace *t = &r->trace;
    while (!r->over) {
        struct err e;
        struct span body = {0}, before = in;
        enum http1_event event = http1_next(&r->parser, &in, &body, &e);
        MUST(in.p + in.n == before.p + before.n && in.n <= before.n);
        if (event != HTTP1_REFUSED) /* where exactly a bad piece was left is nobody's business */
            t->at += before.n - in.n;
        if (event == HTTP1_MORE) {
            MUST(in.n == 0);
            return;
        }
        if (event == HTTP1_HEAD) {
            t->n_heads++;
            check_head(t, &r->parser, &r->request);
        } else if (event == HTTP1_BODY) {
            MUST(body.n > 0 && body.p >= before.p && body.p + body.n == in.p);
            for (size_t i = 0; i < body.n; i++) /* byte by byte: pieces may be cut anywhere */
                note(t, body.p + i, 1);
            t->n_body_bytes += body.n;
        } else if (event == HTTP1_END) {
            note(t, &t->at, sizeof t->at);
            r->over = ++t->n_ends == MOST_MESSAGES;
            begin(r);
        } else {
            on_refused(r, &e);
        }
    }
}

/* step 0: whole; otherwise pieces of pseudo-random length around `step`. */
static struct trace run(struct span in, unsigned step) {
    static struct run r;
    r = (struct run){.trace.hash = UINT64_C(0xcbf29ce484222325)};
    http1_init(&r.parser, LIMIT);
    arena_init(&r.arena, ARENA);
    begin(&r);
    uint32_t dice = step * 2654435761u + 1;
    while (in.n && !r.over) {
        dice = dice * 1664525 + 1013904223;
        size_t n = step ? 1 + (dice >> 16) % step : in.n;
        n = n < in.n ? n : in.n;
        uint8_t *piece = malloc(n); /* exact, so that a read beyond it is seen */
        MUST(piece);
        memcpy(piece, in.p, n);
        feed(&r, (struct span){piece, n});
        free(piece);
        in = (struct span){in.p + n, in.n - n};
    }
    http1_deinit(&r.parser);
    arena_deinit(&r.arena);
    return r.trace;
}

static void must_agree(const struct trace *a, const struct trace *b) {
    MUST(a->hash == b->hash && a->n_heads == b->n_heads && a->n_ends == b->n_ends);
    MUST(a->n_body_bytes == b->n_body_bytes && a->status == b->status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct span in = {data + 1, size - 1};
    struct trace whole = run(in, 0), bytes = run(in, 1), pieces = run(in, 2 + data[0] % 64);
    must_agree(&whole, &bytes);
    must_agree(&whole, &pieces);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every case is parsed whole, byte by byte, and split once at every position: the results must be
 * the same. */
#include "net/http1.c"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CRLF "\r\n"
#define GET "GET / HTTP/1.1" CRLF "Host: h" CRLF
#define POST "POST /p HTTP/1.1" CRLF "Host: h" CRLF
enum { LIMIT = 1024 };

/* What came of parsing one message: events and contents flattened to one line of text. */
struct outcome {
    char text[8192];
    size_t n;
    int status;  /* of the refusal, 0 when there was none */
    size_t rest; /* bytes left for the next message */
    bool complete;
    struct err err;
};

static void note(struct outcome *o, struct str text) {
    size_t room = sizeof o->text - o->n;
    size_t n = text.n < room ? text.n : room;
    if (n)
        memcpy(o->text + o->n, text.p, n);
    o->n += n;
}

static void note_head(struct outcome *o, const struct http1 *p, const struct http_request *r) {
    struct str parts[] = {r->method, r->target, r->path, r->query};
    for (int i = 0; i < 4; i++) {
        note(o, parts[i]);
        note(o, LIT("|"));
    }
    for (int i = 0; i < r->n_headers; i++) {
        note(o, r->headers[i].name);
        note(o, LIT("="));
        note(o, r->headers[i].value);
        note(o, LIT(";"));
    }
    note(o, r->keep_alive ? LIT("keep ") : LIT("close "));
    note(o, p->expects_continue ? LIT("expects [") : LIT("["));
}

struct session {
    struct http1 p;
    struct http_request r;
    struct arena a;
    struct outcome *o;
};

/* Feeds one piece; false when the message is over. */
static bool feed(struct session *s, struct span in) {
    for (;;) {
        struct span body, before = in;
        enum http1_event event = http1_next(&s->p, &in, &body, &s->o->err);
        assert_true(in.p >= before.p && in.p + in.n == before.p + before.n);
        switch (event) {
        case HTTP1_MORE: assert_int_equal(in.n, 0); return true;
        case HTTP1_HEAD: note_head(s->o, &s->p, &s->r); break;
        case HTTP1_BODY:
            assert_true(body.n > 0);
            note(s->o, (struct str){(const char *)body.p, body.n});
            break;
        case HTTP1_END:
            note(s->o, LIT("]"));
            s->o->complete = true;
            s->o->rest += in.n;
            return false;
        case HTTP1_REFUSED: s->o->status = s->p.status; return false;
        }
    }
}

/* Pieces of `first` bytes, then of `step` bytes each. */
static void parse_cut(struct str text, size_t first, size_t step, struct outcome *o) {
    struct session s = {.o = o};
    *o = (struct outcome){0};
    http1_init(&s.p, LIMIT);
    arena_init(&s.a, 1 << 20);
    http1_begin(&s.p, &s.r, &s.a);
    for (size_t at = 0; at < text.n;) {
        size_t n = at == 0 && first ? first : step;
        n = n < text.n - at ? n : text.n - at;
        /* A copy on the heap of exactly this size, so that a read beyond the piece is caught. */
        uint8_t *piece = mem_alloc(n);
        memcpy(piece, text.p + at, n);
        bool more = feed(&s, (struct span){piece, n});
        mem_free(piece);
        at += n;
        if (!more) {
            o->rest += text.n - at;
            break;
        }
    }
    http1_deinit(&s.p);
    arena_deinit(&s.a);
}

static void parse(struct str text, struct outcome *o) {
    parse_cut(text, 0, text.n ? text.n : 1, o);
    struct outcome other;
    for (size_t at = 0; at <= text.n; at++) {
        parse_cut(text, at, at ? text.n : 1, &other);
        assert_int_equal(other.status, o->status);
        assert_int_equal(other.complete, o->complete);
        assert_int_equal(other.n, o->n);
        assert_memory_equal(other.text, o->text, o->n);
        if (o->complete)
            assert_int_equal(other.rest, o->rest);
        if (o->status)
            assert_string_equal(other.err.text, o->err.text);
    }
}

#define accepts(text, want) accepts_n((struct str){"" text, sizeof(text) - 1}, want, __LINE__)
static void accepts_n(struct str text, const char *want, int line) {
    struct outcome o;
    parse(text, &o);
    if (o.status || !o.complete || o.n != strlen(want) || memcmp(o.text, want, o.n) != 0)
        fail_msg("line %d: got '%.*s' status %d %s", line, (int)o.n, o.text, o.status,
                 o.status ? o.err.text : "");
}

#define refuses(status, text) refuses_n(status, (struct str){"" text, sizeof(text) - 1}, __LINE__)
static void refuses_n(int status, struct str text, int line) {
    struct outcome o;
    parse(text, &o);
    if (o.status != status)
        fail_msg("line %d: wanted %d, got %d '%.*s'", line, status, o.status, (int)o.n, o.text);
    assert_true(strlen(o.err.text) > 0);
    assert_null(strchr(o.err.text, '\n'));
}

#define waits(text) waits_n((struct str){"" text, sizeof(text) - 1}, __LINE__)
static void waits_n(struct str text, int line) {
    struct outcome o;
    parse(text, &o);
    if (o.status || o.complete)
        fail_msg("line %d: status %d", line, o.status);
}

static void test_requests(void **state) {
    (void)state;
    accepts(GET CRLF, "GET|/|/||Host=h;keep []");
    accepts("DELETE /a%20b?x=%20 HTTP/1.1" CRLF "HOST: h" CRLF CRLF,
            "DELETE|/a%20b?x=%20|/a b|x=%20|HOST=h;keep []");
    accepts("GET http://h/x HTTP/1.1" CRLF "host:h" CRLF CRLF, "GET|http://h/x|/x||host=h;keep []");
    accepts("OPTIONS * HTTP/1.1" CRLF "Host:" CRLF CRLF, "OPTIONS|*|*||Host=;keep []");
    accepts("HEAD / HTTP/1.0" CRLF CRLF, "HEAD|/|/||close []");
    accepts("GET / HTTP/1.0" CRLF "Connection: Keep-Alive" CRLF CRLF,
            "GET|/|/||Connection=Keep-Alive;keep []");
    accepts(GET "Connection: foo, \t close ,bar" CRLF CRLF,
            "GET|/|/||Host=h;Connection=foo, \t close ,bar;close []");
    accepts(GET "X: \t a b\t c \t" CRLF "Y:" CRLF "Z: \t " CRLF CRLF,
            "GET|/|/||Host=h;X=a b\t c;Y=;Z=;keep []");
    accepts(GET "X: caf\xc3\xa9" CRLF CRLF, "GET|/|/||Host=h;X=caf\xc3\xa9;keep []");
    accepts(CRLF CRLF GET CRLF, "GET|/|/||Host=h;keep []"); /* RFC 9112 §2.2 */
    waits("");
    waits(CRLF);
    waits("GET / HTTP/1.1" CRLF "Host: h" CRLF);
}

static void test_bodies(void **state) {
    (void)state;
    accepts(POST "Content-Length: 5" CRLF CRLF "hello",
            "POST|/p|/p||Host=h;Content-Length=5;keep [hello]");
    accepts(POST "Content-Length: 0" CRLF CRLF, "POST|/p|/p||Host=h;Content-Length=0;keep []");
    accepts(POST "Content-Length: 005" CRLF CRLF "hello",
            "POST|/p|/p||Host=h;Content-Length=005;keep [hello]");
    accepts(POST "Transfer-Encoding: Chunked" CRLF CRLF "5" CRLF "hello" CRLF "0A" CRLF
                 "0123456789" CRLF "0" CRLF CRLF,
            "POST|/p|/p||Host=h;Transfer-Encoding=Chunked;keep [hello0123456789]");
    accepts(POST "Transfer-Encoding: chunked" CRLF CRLF "0" CRLF CRLF,
            "POST|/p|/p||Host=h;Transfer-Encoding=chunked;keep []");
    accepts(POST "Transfer-Encoding: chunked" CRLF CRLF "1;a=\"b\" ; c" CRLF "x" CRLF "0;end" CRLF
                 "Trail: er" CRLF "T2:" CRLF CRLF,
            "POST|/p|/p||Host=h;Transfer-Encoding=chunked;keep [x]");
    accepts(POST "Expect: 100-Continue" CRLF "Content-Length: 1" CRLF CRLF "x",
            "POST|/p|/p||Host=h;Expect=100-Continue;Content-Length=1;keep expects [x]");
    accepts(GET "Expect: 100-continue" CRLF CRLF, "GET|/|/||Host=h;Expect=100-continue;keep []");
    waits(POST "Content-Length: 5" CRLF CRLF "hell");
    waits(POST "Transfer-Encoding: chunked" CRLF CRLF "0" CRLF);
    waits(POST "Transfer-Encoding: chunked" CRLF CRLF "7fffffffffffffff" CRLF "some");
}

static void test_next_message_is_left_alone(void **state) {
    (void)state;
    struct outcome o;
    parse(LIT(POST "Content-Length: 2" CRLF CRLF "hi" GET CRLF), &o);
    assert_true(o.complete);
    assert_int_equal(o.rest, sizeof(GET CRLF) - 1);
    parse(LIT(POST "Transfer-Encoding: chunked" CRLF CRLF "0" CRLF CRLF "GARBAGE"), &o);
    assert_true(o.complete);
    assert_int_equal(o.rest, 7);
}

static void test_request_line_refused(void **state) {
    (void)state;
    refuses(400, " GET / HTTP/1.1" CRLF);
    refuses(400, "GET  / HTTP/1.1" CRLF);
    refuses(400, "GET /  HTTP/1.1" CRLF);
    refuses(400, "GET / HTTP/1.1 " CRLF);
    refuses(400, "GET /" CRLF); /* HTTP/0.9 */
    refuses(400, "GET / HTTP/1.1\n");
    refuses(400, "GET / HTTP/1.1\rX");
    refuses(400, "GET / http/1.1" CRLF);
    refuses(400, "GET / HTTP/1,1" CRLF);
    refuses(400, "GET / HTTP/1.10" CRLF);
    refuses(400, "GET / HTTP/+1.1" CRLF);
    refuses(505, "GET / HTTP/2.0" CRLF);
    refuses(505, "GET / HTTP/1.2" CRLF);
    refuses(505, "PRI * HTTP/2.0" CRLF CRLF "SM" CRLF CRLF);
    refuses(400, "G(T / HTTP/1.1" CRLF);
    refuses(400, "G\tT / HTTP/1.1" CRLF);
    refuses(400, "GET /\x01 HTTP/1.1" CRLF);
    refuses(400, "GET /\xc3\xa9 HTTP/1.1" CRLF);
    refuses(400, "GET /a#b HTTP/1.1" CRLF);
    refuses(400, "GET /\0 HTTP/1.1" CRLF);
    refuses(400, "\nGET / HTTP/1.1" CRLF);
    refuses(400, "\rGET / HTTP/1.1" CRLF);
    refuses(400, "\x16\x03\x01\x02"); /* TLS */
    refuses(400, "GET * HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    refuses(400, "GET /%00 HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    refuses(400, "GET /%0d%0a HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    refuses(400, "GET /%g0 HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    refuses(400, "CONNECT h:443 HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    refuses(400, "GET http://u@h/ HTTP/1.1" CRLF "Host: h" CRLF CRLF);
}

static void test_fields_refused(void **state) {
    (void)state;
    refuses(400, "GET / HTTP/1.1" CRLF CRLF);
    refuses(400, GET "Host: h" CRLF CRLF);
    refuses(400, "GET / HTTP/1.0" CRLF "Host: a" CRLF "Host: b" CRLF CRLF);
    refuses(400, "GET / HTTP/1.1" CRLF "Host: a, b" CRLF CRLF);
    refuses(400, "GET / HTTP/1.1" CRLF "Host: a b" CRLF CRLF);
    refuses(400, GET "X : y" CRLF CRLF);
    refuses(400, GET "X\t: y" CRLF CRLF);
    refuses(400, GET ": y" CRLF CRLF);
    refuses(400, GET "X y" CRLF CRLF);
    refuses(400, GET "X" CRLF CRLF);
    refuses(400, GET " X: y" CRLF CRLF);
    refuses(400, GET "X: y" CRLF " z" CRLF CRLF); /* obs-fold */
    refuses(400, GET "X: y" CRLF "\tz" CRLF CRLF);
    refuses(400, "GET / HTTP/1.1" CRLF " Host: h" CRLF CRLF);
    refuses(400, GET "X: y\nZ: w" CRLF CRLF);
    refuses(400, GET "X: y\rZ: w" CRLF CRLF);
    refuses(400, GET "X: y\r\rZ: w" CRLF CRLF);
    refuses(400, GET "X: a\0b" CRLF CRLF);
    refuses(400, GET "X\0: b" CRLF CRLF);
    refuses(400, GET "X: a\x7f" CRLF CRLF);
    refuses(400, GET "X: a\x0b" CRLF CRLF);
    refuses(400, GET "\xc3\xa9: y" CRLF CRLF);
    refuses(400, GET "\n");
    refuses(400, GET "\rX");
    refuses(417, GET "Expect: tea" CRLF CRLF);
}

static void test_framing_refused(void **state) {
    (void)state;
    refuses(400, POST "Content-Length: 5" CRLF "Transfer-Encoding: chunked" CRLF CRLF);
    refuses(400, POST "Transfer-Encoding: chunked" CRLF "Content-Length: 5" CRLF CRLF);
    refuses(400, POST "Content-Length: 5" CRLF "Content-Length: 5" CRLF CRLF);
    refuses(400, POST "Content-Length: 5" CRLF "content-length: 6" CRLF CRLF);
    const char *lengths[] = {"+5", "-5", "5, 5", "5,5", "", "0x5", "5 5", "5.0", "5a", "\xb2"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char text[256];
        int n = snprintf(text, sizeof text, POST "Content-Length: %s" CRLF CRLF, lengths[i]);
        refuses_n(400, (struct str){text, (size_t)n}, __LINE__);
    }
    refuses(413, POST "Content-Length: 18446744073709551616" CRLF CRLF);
    refuses(413, POST "Content-Length: 99999999999999999999999999999999" CRLF CRLF);
    const char *codings[] = {
        "gzip",     "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity", "",
        "xchunked", "chunked;q=1",   "\"chunked\"",   "chunked,",         "\vchunked"};
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        char text[256];
        int n = snprintf(text, sizeof text, POST "Transfer-Encoding: %s" CRLF CRLF, codings[i]);
        refuses_n(400, (struct str){text, (size_t)n}, __LINE__);
    }
    refuses(400, POST "Transfer-Encoding: chunked" CRLF "Transfer-Encoding: chunked" CRLF CRLF);
    refuses(400, POST "Transfer-Encoding: chunked" CRLF "Transfer-Encoding: identity" CRLF CRLF);
    refuses(400, POST "Transfer-Encoding : chunked" CRLF CRLF);
    refuses(400, "POST / HTTP/1.0" CRLF "Transfer-Encoding: chunked" CRLF CRLF);
}

#define CHUNKED POST "Transfer-Encoding: chunked" CRLF CRLF
static void test_chunks_refused(void **state) {
    (void)state;
    refuses(400, CHUNKED "g" CRLF);
    refuses(400, CHUNKED CRLF);
    refuses(400, CHUNKED ";x" CRLF);
    refuses(400, CHUNKED "0x5" CRLF);
    refuses(400, CHUNKED "+5" CRLF);
    refuses(400, CHUNKED "-1" CRLF);
    refuses(400, CHUNKED " 5" CRLF);
    refuses(400, CHUNKED "5 " CRLF);
    refuses(400, CHUNKED "5\t;x" CRLF);
    refuses(400, CHUNKED "5\nhello");
    refuses(400, CHUNKED "5\rhello");
    refuses(400, CHUNKED "5;x\nhello");
    refuses(400, CHUNKED "5;x\0" CRLF);
    refuses(400, CHUNKED "5;x\ry" CRLF);
    refuses(400, CHUNKED "5" CRLF "hellox");
    refuses(400, CHUNKED "5" CRLF "hello\n");
    refuses(400, CHUNKED "5" CRLF "hello\rx");
    refuses(400, CHUNKED "8000000000000000" CRLF);
    refuses(400, CHUNKED "ffffffffffffffff" CRLF);
    refuses(400, CHUNKED "10000000000000000" CRLF);
    refuses(400, CHUNKED "00000000000000005" CRLF);
    refuses(400, CHUNKED "0" CRLF "X : y" CRLF CRLF);
    refuses(400, CHUNKED "0" CRLF "X: y" CRLF " z" CRLF CRLF);
    refuses(400, CHUNKED "0" CRLF "X: y\n" CRLF);
    refuses(400, CHUNKED "0" CRLF "\n");
}

static size_t put(char *to, size_t at, const char *text) {
    memcpy(to + at, text, strlen(text));
    return at + strlen(text);
}

static void test_limits(void **state) {
    (void)state;
    char text[4 * LIMIT];
    memset(text, 'a', sizeof text);
    refuses_n(431, (struct str){text, sizeof text}, __LINE__); /* endless method */
    put(text, 0, "GET /");
    refuses_n(431, (struct str){text, sizeof text}, __LINE__); /* endless target */
    put(text, 0, GET "X: ");
    refuses_n(431, (struct str){text, sizeof text}, __LINE__); /* endless field */
    size_t n = put(text, 0, GET);
    for (int i = 1; i < HTTP_HEADERS; i++)
        n = put(text, n, "a:" CRLF);
    size_t full = put(text, n, CRLF);
    struct outcome o;
    parse((struct str){text, full}, &o);
    assert_true(o.complete);
    n = put(text, n, "b:" CRLF CRLF);
    refuses_n(431, (struct str){text, n}, __LINE__); /* one too many */
    for (n = 0; n < 2 * LIMIT;)
        n = put(text, n, CRLF);
    refuses_n(431, (struct str){text, n}, __LINE__); /* empty lines for ever */
}

/* A head of exactly the limit is fine, of one byte more is not. */
static void test_limit_is_exact(void **state) {
    (void)state;
    for (size_t size = LIMIT - 1; size <= LIMIT + 1; size++) {
        char text[2 * LIMIT];
        memset(text, 'a', sizeof text);
        put(text, 0, GET "X: ");
        put(text, size - 4, CRLF CRLF);
        struct outcome o;
        parse((struct str){text, size}, &o);
        assert_int_equal(o.status, size > LIMIT ? 431 : 0);
        assert_int_equal(o.complete, size <= LIMIT);
    }
}

static void test_chunk_overhead_is_limited(void **state) {
    (void)state;
    char text[8 * LIMIT];
    memset(text, 'e', sizeof text);
    size_t n = put(text, 0, CHUNKED "1;");
    refuses_n(431, (struct str){text, n + 2 * LIMIT}, __LINE__); /* one endless extension */
    n = put(text, 0, CHUNKED);
    while (n < 4 * LIMIT)
        n = put(text, n, "1;extension" CRLF "x" CRLF);
    refuses_n(431, (struct str){text, n}, __LINE__); /* many small ones */
    n = put(text, 0, CHUNKED "0" CRLF);
    while (n < 2 * LIMIT)
        n = put(text, n, "Trail: er" CRLF);
    refuses_n(431, (struct str){text, n}, __LINE__); /* trailers for ever */
    n = put(text, 0, CHUNKED);
    for (int i = 0; i < LIMIT; i++)
        n = put(text, n, "1" CRLF "x" CRLF);
    n = put(text, n, "0" CRLF CRLF);
    struct outcome o;
    parse_cut((struct str){text, n}, 0, n, &o); /* small chunks are slow, not wrong */
    assert_true(o.complete);
}

static void test_out_of_arena(void **state) {
    (void)state;
    struct outcome o = {0};
    struct session s = {.o = &o};
    http1_init(&s.p, LIMIT);
    arena_init(&s.a, 2);
    http1_begin(&s.p, &s.r, &s.a);
    struct str text = LIT("GET /a%20b HTTP/1.1" CRLF "Host: h" CRLF CRLF);
    assert_false(feed(&s, (struct span){(const uint8_t *)text.p, text.n}));
    assert_int_equal(o.status, 503);
    http1_deinit(&s.p);
    arena_deinit(&s.a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_next_message_is_left_alone),
        cmocka_unit_test(test_request_line_refused),
        cmocka_unit_test(test_fields_refused),
        cmocka_unit_test(test_framing_refused),
        cmocka_unit_test(test_chunks_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_chunk_overhead_is_limited),
        cmocka_unit_test(test_out_of_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

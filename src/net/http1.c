/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests out of bytes: see http1.h.
 *
 *            ┌──────────── head, kept ─────────────┐
 *   START ─▶ METHOD ─▶ TARGET ─▶ VERSION ─▶ LINE ─▶ FIELD ◀───────────┐
 *                                                   │ └▶ NAME ─▶ VALUE ┘
 *                                                   ▼
 *                                                HEAD_LF ─▶ BODY ─▶ END
 *                                                   │                ▲
 *                                                   └─▶ CHUNK_SIZE ─▶ CHUNK_DATA ─▶ … ─▶ trailers
 * by FIELD
 *
 * One small function per state eats as many bytes of the piece as belong to it. It sees the piece
 * only: what earlier pieces held is known by offsets, so the bytes are scanned where they are and
 * copied once per piece. Only when the head is complete do offsets become strings.
 *
 * Refused with 400 (RFC 9112 §2.2, §5, §6, §11.2): bare LF or CR, obs-fold, white space before ':'
 * or around the request line's parts, control characters, no or several Host, Content-Length with
 * Transfer-Encoding, several or non-digit Content-Length, codings other than one "chunked", chunk
 * sizes with white space or beyond 2^63. Accepted though unusual: empty lines before a request
 * (§2.2), the absolute form, trailers and chunk extensions, which are checked, counted and dropped
 * (§7.1.1, §7.1.2).  */
#include "net/http1.h"

#include "net/uri.h"

enum state {
    START,
    START_LF,
    METHOD,
    TARGET,
    VERSION,
    LINE_CR,
    LINE_LF,
    FIELD,
    NAME,
    VALUE_START,
    VALUE,
    VALUE_LF,
    HEAD_LF,
    BODY,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_CR,
    CHUNK_LF,
    END,
    REFUSED
};

/* A piece of input being scanned. */
struct scan {
    const uint8_t *first, *at, *end;
    size_t base; /* offset of `first` in the message's head, or in its chunk framing */
    struct err *e;
};

static size_t offset_of(const struct scan *s) { return s->base + (size_t)(s->at - s->first); }

/* ---- character classes ---- */

enum { TOKEN = 1, TARGET_CHAR = 2, FIELD_CHAR = 4 };

#define T (TOKEN | TARGET_CHAR | FIELD_CHAR)
#define V (TARGET_CHAR | FIELD_CHAR)
#define F FIELD_CHAR
/* RFC 9110 §5.6.2 (token), §5.5 (field-content, obs-text too); targets: visible ASCII but '#',
 * whose part never travels. */
static const uint8_t class_of[256] = {
    ['\t'] = F,        [' '] = F, ['!'] = T,           ['"'] = V,  ['#'] = TOKEN | F,
    ['$'] = T,         ['%'] = T, ['&'] = T,           ['\''] = T, ['('] = V,
    [')'] = V,         ['*'] = T, ['+'] = T,           [','] = V,  ['-'] = T,
    ['.'] = T,         ['/'] = V, ['0' ... '9'] = T,   [':'] = V,  [';'] = V,
    ['<'] = V,         ['='] = V, ['>'] = V,           ['?'] = V,  ['@'] = V,
    ['A' ... 'Z'] = T, ['['] = V, ['\\'] = V,          [']'] = V,  ['^'] = T,
    ['_'] = T,         ['`'] = T, ['a' ... 'z'] = T,   ['{'] = V,  ['|'] = T,
    ['}'] = V,         ['~'] = T, [0x80 ... 0xff] = F,
};
#undef T
#undef V
#undef F

static bool is_space(uint8_t c) { return c == ' ' || c == '\t'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Moves past the bytes of a class; true when one that is not of it was found. */
static bool skip(struct scan *s, uint8_t class) {
    while (s->at < s->end && class_of[*s->at] & class)
        s->at++;
    return s->at < s->end;
}

/* ---- refusals ---- */

static enum code code_of(int status) {
    switch (status) {
    case 413: return ERR_TOO_LARGE;
    case 431: return ERR_HEADER_LIMIT;
    case 503: return ERR_NOMEM;
    case 505:
    case 417: return ERR_UNSUPPORTED;
    default: return ERR_INVALID;
    }
}

static bool refuse(struct http1 *p, int status, struct err *e, const char *text) {
    p->state = REFUSED;
    p->status = status;
    err_set(e, code_of(status), __FILE__, __LINE__, "%s", text);
    return false;
}

/* 400 at the byte the scan stands on; line ends that are not CRLF are named as such, whatever was
 * expected. */
static bool bad_byte(struct http1 *p, struct scan *s, const char *text) {
    bool in_head = p->state <= HEAD_LF && !p->chunked;
    uint8_t c = *s->at;
    const char *what = c == '\n'   ? "line feed without carriage return"
                       : c == '\r' ? "misplaced carriage return"
                                   : text;
    if (c == 0)
        what = "NUL byte";
    p->state = REFUSED;
    p->status = 400;
    fail(s->e, INVALID, "malformed HTTP: byte %zu of the %s: %s", offset_of(s),
         in_head ? "head" : "chunk framing", what);
    return false;
}

static bool too_long(struct http1 *p, struct err *e) {
    const char *what = p->state <= TARGET ? "request line"
                       : p->chunked       ? "chunk extensions and trailers"
                                          : "header fields";
    p->state = REFUSED;
    p->status = 431;
    fail(e, HEADER_LIMIT, "%s longer than the limit of %zu bytes", what, p->header_bytes);
    return false;
}

/* ---- request line; RFC 9112 §3 ---- */

static bool expect(struct http1 *p, struct scan *s, char c, enum state then, const char *text) {
    if (*s->at != (uint8_t)c)
        return bad_byte(p, s, text);
    s->at++;
    p->state = then;
    return true;
}

static bool scan_start(struct http1 *p, struct scan *s) {
    if (*s->at == '\r') {
        s->at++;
        p->state = START_LF;
        return true;
    }
    p->mark = offset_of(s);
    p->state = METHOD;
    return true;
}

static bool scan_method(struct http1 *p, struct scan *s) {
    if (!skip(s, TOKEN))
        return true;
    size_t n = offset_of(s) - p->mark;
    if (*s->at != ' ' || n == 0)
        return bad_byte(p, s, "a method and one space must begin a request");
    p->method.at = (uint32_t)p->mark;
    p->method.n = (uint32_t)n;
    s->at++;
    p->mark = offset_of(s);
    p->state = TARGET;
    return true;
}

static bool scan_target(struct http1 *p, struct scan *s) {
    if (!skip(s, TARGET_CHAR))
        return true;
    size_t n = offset_of(s) - p->mark;
    if (*s->at != ' ' || n == 0)
        return bad_byte(p, s,
                        "a request target may hold visible ASCII only and ends with one space");
    p->target.at = (uint32_t)p->mark;
    p->target.n = (uint32_t)n;
    s->at++;
    p->mark = offset_of(s);
    p->state = VERSION;
    return true;
}

/* RFC 9112 §2.3: eight bytes, case-sensitive. Other versions are well-formed and not spoken: 505.
 */
static bool scan_version(struct http1 *p, struct scan *s) {
    static const char shape[] = "HTTP/0.0";
    for (; s->at < s->end; s->at++) {
        size_t i = offset_of(s) - p->mark;
        bool digit = i == 5 || i == 7;
        if (digit ? !is_digit(*s->at) : *s->at != (uint8_t)shape[i])
            return bad_byte(p, s, "the request line must end with HTTP/1.1 or HTTP/1.0");
        if (i == 5 && *s->at != '1')
            return refuse(p, 505, s->e,
                          "HTTP version not supported: this port speaks HTTP/1.1 and HTTP/1.0");
        if (i == 7 && *s->at > '1')
            return refuse(p, 505, s->e,
                          "HTTP version not supported: this port speaks HTTP/1.1 and HTTP/1.0");
        if (i == 7) {
            p->http_1_0 = *s->at == '0';
            p->state = LINE_CR;
            s->at++;
            return true;
        }
    }
    return true;
}

/* ---- header fields and trailers; RFC 9112 §5 ---- */

static bool scan_field(struct http1 *p, struct scan *s) {
    if (*s->at == '\r') {
        s->at++;
        p->state = HEAD_LF;
        return true;
    }
    if (is_space(*s->at))
        return bad_byte(p, s, "a line may not begin with white space (obs-fold)");
    if (!p->chunked && p->request->n_headers == HTTP_HEADERS) {
        p->state = REFUSED;
        p->status = 431;
        fail(s->e, HEADER_LIMIT, "more than %d header fields", HTTP_HEADERS);
        return false;
    }
    p->mark = offset_of(s);
    p->state = NAME;
    return true;
}

static bool scan_name(struct http1 *p, struct scan *s) {
    if (!skip(s, TOKEN))
        return true;
    size_t n = offset_of(s) - p->mark;
    if (*s->at != ':' || n == 0)
        return bad_byte(p, s, "a field name must be a token followed at once by ':'");
    if (!p->chunked) {
        p->names[p->request->n_headers].at = (uint32_t)p->mark;
        p->names[p->request->n_headers].n = (uint32_t)n;
    }
    s->at++;
    p->state = VALUE_START;
    return true;
}

static bool scan_value_start(struct http1 *p, struct scan *s) {
    while (s->at < s->end && is_space(*s->at))
        s->at++;
    if (s->at == s->end)
        return true;
    p->mark = p->value_end = offset_of(s);
    p->state = VALUE;
    return true;
}

static bool scan_value(struct http1 *p, struct scan *s) {
    const uint8_t *from = s->at;
    bool found = skip(s, FIELD_CHAR);
    const uint8_t *to = s->at;
    while (to > from && is_space(to[-1]))
        to--;
    if (to > from)
        p->value_end = s->base + (size_t)(to - s->first);
    if (!found)
        return true;
    if (*s->at != '\r')
        return bad_byte(p, s, "control character in a field value");
    s->at++;
    p->state = VALUE_LF;
    if (p->chunked)
        return true;
    int i = p->request->n_headers++;
    p->values[i].at = (uint32_t)p->mark;
    p->values[i].n = (uint32_t)(p->value_end - p->mark);
    return true;
}

/* ---- a complete head ---- */

static struct str head_text(const struct http1 *p, uint32_t at, uint32_t n) {
    return (struct str){p->head.p + at, n};
}

static bool set_target(struct http1 *p, struct err *e) {
    int status;
    const char *wrong = uri_take_target(p->request, p->arena, &status);
    return wrong ? refuse(p, status, e, wrong) : true;
}

/* What the fields say about framing, gathered before judging: RFC 9112 §6.3 needs them all. */
struct framing {
    int n_hosts, n_lengths, n_codings;
    bool length_ok, length_fits, coding_ok, host_ok, close, keep, expects, expects_other;
};

static void read_length(struct str value, struct http_request *r, struct framing *f) {
    f->n_lengths++;
    f->length_fits = true;
    f->length_ok = value.n > 0;
    uint64_t length = 0;
    for (size_t i = 0; i < value.n; i++) {
        f->length_ok = f->length_ok && is_digit((uint8_t)value.p[i]);
        f->length_fits = f->length_fits && length < (UINT64_C(1) << 59);
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    if (f->length_ok && f->length_fits)
        r->content_length = length;
}

/* A comma-separated list of tokens; RFC 9110 §7.6.1. */
static void read_connection(struct str value, struct framing *f) {
    for (size_t from = 0, to; from <= value.n; from = to + 1) {
        struct str rest = str_sub(value, from, value.n);
        size_t at;
        to = str_find(rest, ',', &at) ? from + at : value.n;
        struct str token = str_sub(value, from, to);
        while (token.n && is_space((uint8_t)token.p[0]))
            token = str_sub(token, 1, token.n);
        while (token.n && is_space((uint8_t)token.p[token.n - 1]))
            token.n--;
        f->close = f->close || str_eq_nocase(token, LIT("close"));
        f->keep = f->keep || str_eq_nocase(token, LIT("keep-alive"));
    }
}

static void read_field(const struct http_header *h, struct http_request *r, struct framing *f) {
    switch (h->name.n) {
    case 4:
        if (str_eq_nocase(h->name, LIT("host"))) {
            f->n_hosts++;
            f->host_ok = uri_is_host(h->value);
        }
        break;
    case 6:
        if (str_eq_nocase(h->name, LIT("expect"))) {
            bool known = str_eq_nocase(h->value, LIT("100-continue"));
            f->expects = f->expects || known;
            f->expects_other = f->expects_other || !known;
        }
        break;
    case 10:
        if (str_eq_nocase(h->name, LIT("connection")))
            read_connection(h->value, f);
        break;
    case 14:
        if (str_eq_nocase(h->name, LIT("content-length")))
            read_length(h->value, r, f);
        break;
    case 17:
        if (str_eq_nocase(h->name, LIT("transfer-encoding"))) {
            f->n_codings++;
            f->coding_ok = str_eq_nocase(h->value, LIT("chunked"));
        }
        break;
    default: break;
    }
}

static bool judge(struct http1 *p, const struct framing *f, struct err *e) {
    if (f->n_hosts > 1)
        return refuse(p, 400, e, "more than one Host field");
    if (f->n_hosts == 0 && !p->http_1_0)
        return refuse(p, 400, e, "no Host field: HTTP/1.1 requires one");
    if (f->n_hosts && !f->host_ok)
        return refuse(p, 400, e, "malformed Host field");
    if (f->n_codings && f->n_lengths)
        return refuse(p, 400, e, "both Content-Length and Transfer-Encoding: send one of them");
    if (f->n_codings > 1 || (f->n_codings && !f->coding_ok))
        return refuse(p, 400, e, "Transfer-Encoding: only a single 'chunked' is accepted");
    if (f->n_codings && p->http_1_0)
        return refuse(p, 400, e, "Transfer-Encoding in an HTTP/1.0 request");
    if (f->n_lengths > 1)
        return refuse(p, 400, e, "more than one Content-Length field");
    if (f->n_lengths && !f->length_ok)
        return refuse(p, 400, e, "Content-Length must be decimal digits only");
    if (f->n_lengths && !f->length_fits)
        return refuse(p, 413, e, "Content-Length is beyond any limit");
    if (f->expects_other && !p->http_1_0)
        return refuse(p, 417, e, "Expect: only 100-continue is understood");
    return true;
}

static bool finish_head(struct http1 *p, struct err *e) {
    struct http_request *r = p->request;
    r->method = head_text(p, p->method.at, p->method.n);
    r->target = head_text(p, p->target.at, p->target.n);
    struct framing f = {0};
    for (int i = 0; i < r->n_headers; i++) {
        r->headers[i].name = head_text(p, p->names[i].at, p->names[i].n);
        r->headers[i].value = head_text(p, p->values[i].at, p->values[i].n);
        read_field(&r->headers[i], r, &f);
    }
    if (!judge(p, &f, e) || !set_target(p, e))
        return false;
    r->keep_alive = !f.close && (!p->http_1_0 || f.keep);
    p->chunked = f.n_codings > 0;
    p->left = r->content_length;
    p->body_comes = p->chunked || p->left > 0;
    p->expects_continue = f.expects && !p->http_1_0 && p->body_comes;
    p->state = p->chunked ? CHUNK_SIZE : p->left ? BODY : END;
    return true;
}

/* ---- chunks; RFC 9112 §7.1 ---- */

static int hex(uint8_t c) {
    if (is_digit(c))
        return c - '0';
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool scan_chunk_size(struct http1 *p, struct scan *s) {
    for (; s->at < s->end && hex(*s->at) >= 0; s->at++) {
        if (++p->digits > 16 || p->left >> 59)
            return bad_byte(p, s, "chunk size beyond 63 bits");
        p->left = p->left * 16 + (uint64_t)hex(*s->at);
    }
    if (s->at == s->end)
        return true;
    if (p->digits == 0 || (*s->at != ';' && *s->at != '\r'))
        return bad_byte(p, s,
                        "a chunk size must be hexadecimal digits, then ';' or the line's end");
    p->state = *s->at == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    s->at++;
    return true;
}

static bool scan_chunk_extension(struct http1 *p, struct scan *s) {
    if (!skip(s, FIELD_CHAR))
        return true;
    return expect(p, s, '\r', CHUNK_SIZE_LF, "control character in a chunk extension");
}

static bool scan_chunk_size_lf(struct http1 *p, struct scan *s) {
    bool last = p->left == 0;
    return expect(p, s, '\n', last ? FIELD : CHUNK_DATA,
                  "a carriage return must be followed by a line feed");
}

static bool scan_chunk_lf(struct http1 *p, struct scan *s) {
    p->digits = 0;
    return expect(p, s, '\n', CHUNK_SIZE, "chunk data must be followed by CRLF");
}

/* ---- the machine ---- */

/* One step in the current state; false when refused. s holds at least one byte. */
static bool step(struct http1 *p, struct scan *s) {
    static const char bare_cr[] = "a carriage return must be followed by a line feed";
    switch ((enum state)p->state) {
    case START: return scan_start(p, s);
    case START_LF: return expect(p, s, '\n', START, bare_cr);
    case METHOD: return scan_method(p, s);
    case TARGET: return scan_target(p, s);
    case VERSION: return scan_version(p, s);
    case LINE_CR: return expect(p, s, '\r', LINE_LF, "the request line must end after its version");
    case LINE_LF: return expect(p, s, '\n', FIELD, bare_cr);
    case FIELD: return scan_field(p, s);
    case NAME: return scan_name(p, s);
    case VALUE_START: return scan_value_start(p, s);
    case VALUE: return scan_value(p, s);
    case VALUE_LF: return expect(p, s, '\n', FIELD, bare_cr);
    case HEAD_LF: return expect(p, s, '\n', END, bare_cr);
    case CHUNK_SIZE: return scan_chunk_size(p, s);
    case CHUNK_EXTENSION: return scan_chunk_extension(p, s);
    case CHUNK_SIZE_LF: return scan_chunk_size_lf(p, s);
    case CHUNK_CR: return expect(p, s, '\r', CHUNK_LF, "chunk data must be followed by CRLF");
    case CHUNK_LF: return scan_chunk_lf(p, s);
    case BODY:
    case CHUNK_DATA:
    case END:
    case REFUSED: break;
    }
    return !NEVER(true); /* data and the two ends are not stepped through */
}

static bool is_data(int state) { return state == BODY || state == CHUNK_DATA; }

/* Steps through the head. The piece is cut at the limit first: where the limit bites must not
 * depend on how the bytes came. */
static bool scan_head(struct http1 *p, struct span *in, struct err *e) {
    size_t used = p->head.n, room = p->header_bytes - used;
    struct scan s = {in->p, in->p, in->p + (in->n < room ? in->n : room), used, e};
    bool ok = true;
    while (ok && s.at < s.end && p->state != END)
        ok = step(p, &s);
    size_t eaten = (size_t)(s.at - s.first);
    *in = (struct span){in->p + eaten, in->n - eaten};
    return ok && p->state != END && eaten == room ? too_long(p, e) : ok;
}

static enum http1_event next_head(struct http1 *p, struct span *in, struct err *e) {
    const uint8_t *from = in->p;
    if (!scan_head(p, in, e))
        return HTTP1_REFUSED;
    buf_put(&p->head, from, (size_t)(in->p - from));
    if (p->head.code != OK) {
        refuse(p, 503, e, "no memory for the request head");
        return HTTP1_REFUSED;
    }
    if (p->state != END)
        return HTTP1_MORE;
    return finish_head(p, e) ? HTTP1_HEAD : HTTP1_REFUSED;
}

/* Whether bytes taken in this state are ones the client may not send without bound: chunk sizes and
 * line ends come with data, which has its own limit, extensions and trailers do not. */
static bool is_overhead(const struct http1 *p) {
    return p->state == CHUNK_EXTENSION || p->state <= HEAD_LF;
}

/* One step between two pieces of data. */
static bool scan_framing(struct http1 *p, struct span *in, struct err *e) {
    bool counted = is_overhead(p);
    size_t room = p->header_bytes - p->overhead;
    if (counted && room == 0)
        return too_long(p, e);
    struct scan s = {in->p, in->p, in->p + (counted && room < in->n ? room : in->n), p->framing, e};
    if (!step(p, &s))
        return false;
    size_t eaten = (size_t)(s.at - s.first);
    *in = (struct span){in->p + eaten, in->n - eaten};
    p->framing += eaten;
    p->overhead += counted ? eaten : 0;
    return counted && is_overhead(p) && p->overhead == p->header_bytes ? too_long(p, e) : true;
}

static enum http1_event next_data(struct http1 *p, struct span *in, struct span *body) {
    if (in->n == 0)
        return HTTP1_MORE;
    size_t n = in->n < p->left ? in->n : (size_t)p->left;
    *body = (struct span){in->p, n};
    *in = (struct span){in->p + n, in->n - n};
    p->left -= n;
    if (p->left == 0)
        p->state = p->chunked ? CHUNK_CR : END;
    return HTTP1_BODY;
}

enum http1_event http1_next(struct http1 *p, struct span *in, struct span *body, struct err *e) {
    if (http1_in_head(p))
        return next_head(p, in, e);
    while (p->state != END) {
        if (NEVER(p->state == REFUSED))
            return HTTP1_REFUSED;
        if (is_data(p->state))
            return next_data(p, in, body);
        if (in->n == 0)
            return HTTP1_MORE;
        if (!scan_framing(p, in, e))
            return HTTP1_REFUSED;
    }
    return HTTP1_END;
}

/* ---- life ---- */

void http1_init(struct http1 *p, size_t header_bytes) {
    *p = (struct http1){.header_bytes = header_bytes};
    buf_init(&p->head, header_bytes);
}

void http1_deinit(struct http1 *p) { buf_deinit(&p->head); }

void http1_begin(struct http1 *p, struct http_request *r, struct arena *a) {
    buf_clear(&p->head);
    p->request = r;
    p->arena = a;
    p->state = START;
    p->left = 0;
    p->overhead = p->framing = 0;
    p->digits = 0;
    p->chunked = p->body_comes = p->expects_continue = p->http_1_0 = false;
    r->n_headers = 0;
    r->content_length = 0;
    r->body = (struct span){0};
    r->method = r->target = r->path = r->query = (struct str){0};
    r->keep_alive = false;
}

bool http1_started(const struct http1 *p) { return p->state > START_LF; }
bool http1_in_head(const struct http1 *p) { return p->state <= HEAD_LF && !p->chunked; }
uint64_t http1_body_left(const struct http1 *p) { return is_data(p->state) ? p->left : 0; }

/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC: see grpc.h. PROTOCOL-HTTP2.md and PROTOCOL-WEB.md of the gRPC project. */
#include "serve/grpc.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/pb.h"
#include "serve/answer.h"
#include "serve/server.h"

enum { COMPRESSED = 1, TRAILERS_FRAME = 0x80, MESSAGE_MOST = 1000, TIMEOUT_DIGITS = 8 };

#define ENCODINGS "identity, deflate, gzip"

/* --- the head --- */

static enum code take_kind(struct grpc *g, struct str type, struct err *e) {
    static const struct {
        const char *name;
        enum grpc_kind kind;
        const char *answer;
    } known[] = {{"application/grpc-web-text", GRPC_WEB_TEXT, "application/grpc-web-text+proto"},
                 {"application/grpc-web", GRPC_WEB, "application/grpc-web+proto"},
                 {"application/grpc", GRPC_NATIVE, "application/grpc"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct str name = str_of(known[i].name);
        if (!str_starts(type, known[i].name))
            continue;
        struct str rest = str_sub(type, name.n, type.n);
        if (rest.n && rest.p[0] != '+' && rest.p[0] != ';')
            break;
        if (rest.n && rest.p[0] == '+' && !str_starts(rest, "+proto"))
            break;
        g->kind = known[i].kind;
        g->type = str_of(known[i].answer);
        return OK;
    }
    return fail(e, MEDIA_TYPE, "Content-Type '%.*s': want application/grpc or application/grpc-web",
                STR(str_sub(type, 0, 100)));
}

/* 1 to 8 digits and a unit. */
static enum code take_timeout(struct request *r, struct str text, struct err *e) {
    static const char units[] = "HMSmun";
    static const uint64_t ns[] = {3600000000000, 60000000000, 1000000000, 1000000, 1000, 1};
    uint64_t n;
    if (text.n == 0)
        return OK;
    const char *unit = strchr(units, text.p[text.n - 1]);
    if (text.n < 2 || text.n > TIMEOUT_DIGITS + 1 || !text.p[text.n - 1] || !unit ||
        !str_to_u64(str_sub(text, 0, text.n - 1), &n))
        return fail(e, INVALID, "grpc-timeout '%.*s': want up to 8 digits and one of H M S m u n",
                    STR(str_sub(text, 0, 40)));
    uint64_t *deadline = &r->grpc->deadline_ns;
    if (__builtin_mul_overflow(n, ns[unit - units], deadline) ||
        __builtin_add_overflow(*deadline, clock_ns(), deadline))
        *deadline = 0; /* centuries: as good as none */
    return OK;
}

static enum code take_coding(struct grpc *g, struct str text, struct err *e) {
    g->coding = coding_of(text);
    if (g->coding != CODING_UNKNOWN && g->coding != CODING_ZSTD)
        return OK;
    g->coding = CODING_NONE;
    return fail(e, UNSUPPORTED, "grpc-encoding '%.*s' is not supported: send " ENCODINGS,
                STR(str_sub(text, 0, 40)));
}

enum code grpc_begin(struct request *r, struct err *e) {
    const struct http_request *q = &r->x->request;
    struct str type = http_header_get(q, "content-type");
    if (!str_starts(type, "application/grpc"))
        return OK;
    struct grpc *g = ARENA_NEW(r->arena, struct grpc);
    if (!g)
        return arena_fail(r->arena, sizeof *g, "request", e);
    TRY(take_kind(g, type, e));
    if (g->kind == GRPC_NATIVE && !r->x->duplex)
        return fail(e, MEDIA_TYPE, "gRPC needs HTTP/2; over HTTP/1.1 send application/grpc-web");
    r->grpc = g;
    TRY(take_coding(g, http_header_get(q, "grpc-encoding"), e));
    return take_timeout(r, http_header_get(q, "grpc-timeout"), e);
}

/* --- messages in --- */

enum code grpc_next(struct request *r, struct span in, struct span *message, size_t *used,
                    bool *whole, struct err *e) {
    const struct grpc *g = r->grpc;
    *whole = false;
    if (in.n < GRPC_FRAME)
        return OK;
    size_t n = (size_t)in.p[1] << 24 | (size_t)in.p[2] << 16 | (size_t)in.p[3] << 8 | in.p[4];
    if (in.p[0] > COMPRESSED)
        return fail(e, INTERNAL, "gRPC frame: flags 0x%02x are not known", in.p[0]);
    if (n > r->options->http.body_bytes)
        return fail(e, OVERLOAD, "Received message larger than max (%zu vs. %zu)", n,
                    r->options->http.body_bytes);
    if (in.n - GRPC_FRAME < n)
        return OK;
    *whole = true;
    *used = GRPC_FRAME + n;
    *message = (struct span){in.p + GRPC_FRAME, n};
    if (in.p[0] == 0)
        return OK;
    if (g->coding == CODING_NONE)
        return fail(e, INTERNAL, "a message is compressed, but there is no grpc-encoding");
    struct buf *b = answer_buf(r, 0, e);
    if (!b)
        return e->code;
    b->cap_bytes = r->options->http.body_bytes;
    TRY(coding_undo(g->coding, *message, b, e));
    *message = (struct span){(const uint8_t *)b->p, b->n};
    return OK;
}

/* Base64 of pieces that were padded each: decoded by groups of four, none of them joined. */
static enum code undo_text(struct request *r, struct err *e) {
    struct str text = {(const char *)r->body.p, r->body.n};
    struct buf *b = answer_buf(r, r->body.n / 4 * 3 + 3, e);
    if (!b)
        return e->code;
    while (text.n) {
        size_t end = 0;
        while (end < text.n && text.p[end] != '=')
            end++;
        while (end < text.n && text.p[end] == '=')
            end++;
        TRY(base64_take(str_sub(text, 0, end), b, e));
        text = str_sub(text, end, text.n);
    }
    r->body = (struct span){(const uint8_t *)b->p, b->n};
    return OK;
}

enum code grpc_web_open(struct request *r, struct err *e) {
    return r->grpc->kind == GRPC_WEB_TEXT ? undo_text(r, e) : OK;
}

enum code grpc_open(struct request *r, struct err *e) {
    struct span message;
    size_t used;
    bool whole;
    TRY(grpc_web_open(r, e));
    TRY(grpc_next(r, r->body, &message, &used, &whole, e));
    if (!whole)
        return fail(e, INTERNAL, "the request ends inside a gRPC message (%zu bytes)", r->body.n);
    if (used != r->body.n)
        return fail(e, UNSUPPORTED, "this method takes one message, %zu bytes follow it",
                    r->body.n - used);
    r->body = message;
    return OK;
}

/* --- messages out --- */

static bool takes(const struct request *r, enum coding c) {
    struct str accepted = http_header_get(&r->x->request, "grpc-accept-encoding");
    for (size_t end; accepted.n; accepted = str_sub(accepted, end + 1, accepted.n)) {
        end = accepted.n;
        str_find(accepted, ',', &end);
        if (coding_of(str_sub(accepted, 0, end)) == c)
            return true;
    }
    return false;
}

static bool compresses(const struct request *r) {
    const struct grpc *g = r->grpc;
    return g->kind == GRPC_NATIVE && g->coding != CODING_NONE && takes(r, g->coding);
}

static enum code compress(struct request *r, struct err *e) {
    struct buf *b = answer_buf(r, answer_bytes(r) / 2, e);
    if (!b)
        return e->code;
    TRY(coding_apply(r->grpc->coding, r->response.parts, r->response.n_parts, b, e));
    r->response.n_parts = 0;
    return answer_part(r, b, e);
}

static void put_frame_head(uint8_t *to, int flags, size_t n) {
    to[0] = (uint8_t)flags;
    for (int i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(n >> (24 - 8 * i));
}

enum code grpc_frame(struct request *r, struct err *e) {
    bool compressed = compresses(r) && answer_bytes(r) > 0;
    if (compressed)
        TRY(compress(r, e));
    size_t n = answer_bytes(r);
    uint8_t *head = arena_push(r->arena, GRPC_FRAME);
    if (!head)
        return arena_fail(r->arena, GRPC_FRAME, "answer", e);
    if (n > UINT32_MAX || r->response.n_parts == HTTP_PARTS)
        return fail(e, TOO_LARGE, "the answer has %zu bytes, a gRPC message at most 4 GiB", n);
    put_frame_head(head, compressed, n);
    answer_front(r, (struct span){head, GRPC_FRAME});
    return OK;
}

/* Everything outside of visible ASCII, and '%', as %XX. */
static struct str percent_encode(struct arena *a, struct str text) {
    static const char digits[] = "0123456789ABCDEF";
    text.n = text.n < MESSAGE_MOST ? text.n : MESSAGE_MOST;
    char *out = arena_push_aligned(a, text.n * 3 + 1, 1);
    size_t n = 0;
    for (size_t i = 0; out && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c < 0x7f && c != '%') {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    return (struct str){out, n};
}

/* google.rpc.Status with an ErrorInfo, and a RetryInfo where another try may help. */
static struct str details(struct arena *a, const struct err *e) {
    char raw[2048], text[2800];
    struct buf b, out;
    buf_init(&b, sizeof raw);
    buf_init(&out, sizeof text);
    pb_put_i64(&b, 1, err_grpc(e->code));
    pb_put_str(&b, 2, str_of(e->text));
    size_t any = pb_put_begin(&b, 3);
    pb_put_str(&b, 1, LIT("type.googleapis.com/google.rpc.ErrorInfo"));
    size_t value = pb_put_begin(&b, 2);
    pb_put_str(&b, 1, str_of(err_name(e->code)));
    pb_put_str(&b, 2, LIT("slipway"));
    pb_put_end(&b, value);
    pb_put_end(&b, any);
    if (e->code == ERR_OVERLOAD || e->code == ERR_UNAVAILABLE || e->code == ERR_NOMEM) {
        any = pb_put_begin(&b, 3);
        pb_put_str(&b, 1, LIT("type.googleapis.com/google.rpc.RetryInfo"));
        value = pb_put_begin(&b, 2);
        size_t delay = pb_put_begin(&b, 1);
        pb_put_i64(&b, 1, 1); /* seconds */
        pb_put_end(&b, delay);
        pb_put_end(&b, value);
        pb_put_end(&b, any);
    }
    if (b.code == OK)
        base64_put((struct span){(const uint8_t *)b.p, b.n}, &out);
    struct str kept = out.code == OK ? arena_str(a, buf_str(&out)) : (struct str){0};
    buf_deinit(&b);
    buf_deinit(&out);
    return kept;
}

static void put_trailer(struct grpc *g, const char *name, struct str value) {
    g->trailers[g->n_trailers++] = (struct http_header){str_of(name), value};
}

void grpc_trailers(struct request *r, const struct err *e) {
    struct grpc *g = r->grpc;
    g->n_trailers = 0;
    g->status = e ? err_grpc(e->code) : 0;
    const char *status = e ? arena_printf(r->arena, "%d", g->status) : "0";
    put_trailer(g, "grpc-status", status ? str_of(status) : LIT("13"));
    if (!e)
        return;
    struct str more = details(r->arena, e);
    put_trailer(g, "grpc-message", percent_encode(r->arena, str_of(e->text)));
    if (more.n)
        put_trailer(g, "grpc-status-details-bin", more);
}

/* gRPC-Web: the trailers are the last frame of the body, as HTTP/1 fields. */
static enum code put_web_trailers(struct request *r, struct err *e) {
    struct grpc *g = r->grpc;
    struct buf *b = answer_buf(r, 256, e);
    if (!b)
        return e->code;
    uint8_t head[GRPC_FRAME] = {0};
    buf_put(b, head, GRPC_FRAME);
    for (int i = 0; i < g->n_trailers; i++) {
        buf_put_str(b, g->trailers[i].name);
        buf_put_text(b, ":");
        buf_put_str(b, g->trailers[i].value);
        buf_put_text(b, "\r\n");
    }
    if (b->code == OK)
        put_frame_head((uint8_t *)b->p, TRAILERS_FRAME, b->n - GRPC_FRAME);
    return answer_part(r, b, e);
}

static enum code put_text(struct request *r, struct err *e) {
    struct buf *raw = answer_buf(r, answer_bytes(r), e), *text;
    if (!raw || !(text = answer_buf(r, answer_bytes(r) / 3 * 4 + 4, e)))
        return e->code;
    for (int i = 0; i < r->response.n_parts; i++)
        buf_put(raw, r->response.parts[i].p, r->response.parts[i].n);
    TRY(buf_check(raw, "answer", e));
    base64_put((struct span){(const uint8_t *)raw->p, raw->n}, text);
    r->response.n_parts = 0;
    return answer_part(r, text, e);
}

void grpc_headers(struct request *r) {
    const struct grpc *g = r->grpc;
    answer_type(r, 200, g->type);
    answer_header(r, "grpc-accept-encoding", LIT(ENCODINGS));
    if (compresses(r))
        answer_header(r, "grpc-encoding", str_of(coding_name(g->coding)));
}

enum code grpc_web_form(struct request *r, struct err *e) {
    return r->grpc->kind == GRPC_WEB_TEXT ? put_text(r, e) : OK;
}

enum code grpc_web_end(struct request *r, struct err *e) {
    if (r->grpc->kind == GRPC_NATIVE)
        return OK;
    TRY(put_web_trailers(r, e));
    return grpc_web_form(r, e);
}

/* Trailers in their place: HTTP/2's own, or in the body. */
static enum code end(struct request *r, struct err *e) {
    struct grpc *g = r->grpc;
    grpc_headers(r);
    if (g->kind == GRPC_NATIVE) {
        r->response.trailers = g->trailers;
        r->response.n_trailers = g->n_trailers;
        return OK;
    }
    return grpc_web_end(r, e);
}

enum code grpc_close(struct request *r, struct err *e) {
    TRY(grpc_frame(r, e));
    grpc_trailers(r, NULL);
    return end(r, e);
}

/* Native: "trailers only", the fields of the trailers are those of the head. */
void grpc_fail(struct request *r, const struct err *e) {
    struct grpc *g = r->grpc;
    struct err ignored;
    r->response.n_parts = r->response.n_headers = r->response.n_trailers = 0;
    grpc_trailers(r, e);
    if (g->kind != GRPC_NATIVE && end(r, &ignored) == OK)
        return;
    r->response.n_parts = r->response.n_headers = 0;
    answer_type(r, 200, g->type);
    for (int i = 0; i < g->n_trailers; i++)
        answer_header(r, g->trailers[i].name.p, g->trailers[i].value);
    answer_header(r, "grpc-accept-encoding", LIT(ENCODINGS));
}

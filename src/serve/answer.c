/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: see answer.h.
 *
 * Compression: pages are compressed whenever the client takes gzip or deflate. Answers of models
 * are numbers, which shrink little and cost much, and every HTTP library says that it would take
 * gzip: they are compressed only when the client names exactly one coding, as those do that mean it
 * (tritonclient's response_compression_algorithm). */
#include "serve/answer.h"

#include "base/arena_buf.h"
#include "serve/coding.h"
#include "serve/grpc.h"
#include "serve/protocol/protocol.h"

enum {
    COMPRESS_MIN = 256,
    ERROR_BYTES = 16 << 10,
    ERROR_ROOM = 2 * ERROR_BYTES,
};

struct buf *answer_buf(struct request *r, size_t reserve, struct err *e) {
    return arena_buf(r->arena, ANSWER_BYTES, reserve, "answer", e);
}

void answer_span(struct request *r, struct span bytes) {
    if (bytes.n && ALWAYS(r->response.n_parts < HTTP_PARTS))
        r->response.parts[r->response.n_parts++] = bytes;
}

void answer_front(struct request *r, struct span bytes) {
    struct span *parts = r->response.parts;
    if (!ALWAYS(r->response.n_parts < HTTP_PARTS))
        return;
    memmove(parts + 1, parts, (size_t)r->response.n_parts++ * sizeof *parts);
    parts[0] = bytes;
}

enum code answer_part(struct request *r, const struct buf *b, struct err *e) {
    TRY(buf_check(b, "answer", e));
    answer_span(r, (struct span){(const uint8_t *)b->p, b->n});
    return OK;
}

void answer_type(struct request *r, int status, struct str content_type) {
    r->response.status = status;
    r->response.content_type = content_type;
}

void answer_header(struct request *r, const char *name, struct str value) {
    if (ALWAYS(r->response.n_headers < REQUEST_HEADERS)) {
        r->response.headers = r->headers;
        r->headers[r->response.n_headers++] = (struct http_header){str_of(name), value};
    }
}

enum code answer_json(struct request *r, struct answer_json *j, struct err *e) {
    j->b = answer_buf(r, 1024, e);
    if (!j->b)
        return e->code;
    json_out_init(&j->w, j->b, 0);
    return OK;
}

enum code answer_json_end(struct request *r, struct answer_json *j, struct err *e) {
    answer_type(r, 200, ANSWER_JSON);
    return answer_part(r, j->b, e);
}

/* --- errors --- */

struct str answer_error_body(const struct request *r, struct arena *a, const struct err *e) {
    struct str text = {0};
    struct json_out w;
    struct buf b;
    buf_init(&b, ERROR_BYTES);
    json_out_init(&w, &b, 0);
    if (r && r->protocol && r->protocol->error) {
        r->protocol->error(r, e, &w);
    } else {
        json_put_object(&w);
        json_put_member_text(&w, "error", e->text);
        json_put_object_end(&w);
    }
    if (b.code == OK)
        text = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return text.p ? text : LIT("{\"error\":\"out of memory\"}");
}

/* Whole seconds (RFC 9110 §10.2.3), rounded up. */
static struct str retry_text(struct request *r) {
    uint64_t seconds = (r->retry_ns + 999999999) / 1000000000;
    if (seconds <= 1)
        return LIT("1");
    const char *text = arena_printf(r->arena, "%llu", (unsigned long long)seconds);
    return text ? str_of(text) : LIT("1");
}

/* A request that used up all it may have still hears what was wrong. */
static void leave_room(struct arena *a) {
    if (a->cap_bytes - a->used_bytes < ERROR_ROOM)
        a->cap_bytes = a->used_bytes + ERROR_ROOM;
}

/* The request's data is kept out of it: only headers of the answer so far go. */
void answer_error(struct request *r, const struct err *e) {
    int status = err_http(e->code);
    if (r->grpc) {
        grpc_fail(r, e);
        return;
    }
    r->response.n_parts = 0;
    r->response.n_headers = 0;
    leave_room(r->arena);
    answer_type(r, status, ANSWER_JSON);
    struct str body = answer_error_body(r, r->arena, e);
    answer_span(r, (struct span){(const uint8_t *)body.p, body.n});
    if (status == 429 || status == 503)
        answer_header(r, "Retry-After", retry_text(r));
    if (status == 401)
        answer_header(r, "WWW-Authenticate", LIT("Bearer"));
    if (status == 405 && r->allow)
        answer_header(r, "Allow", str_of(r->allow));
}

/* --- compression --- */

size_t answer_bytes(const struct request *r) {
    size_t n = 0;
    for (int i = 0; i < r->response.n_parts; i++)
        n += r->response.parts[i].n;
    return n;
}

void answer_compress(struct request *r) {
    struct str header = http_header_get(&r->x->request, "accept-encoding");
    bool only;
    if (header.n == 0 || answer_bytes(r) < COMPRESS_MIN)
        return;
    enum coding c = coding_accepted(header, &only);
    if (c == CODING_NONE || !(only || (r->route && r->route->page)))
        return;
    struct err ignored; /* without memory the answer goes out as it is */
    struct buf *b = answer_buf(r, answer_bytes(r) / 2, &ignored);
    if (!b || coding_apply(c, r->response.parts, r->response.n_parts, b, &ignored) != OK)
        return;
    r->response.n_parts = 0;
    answer_span(r, (struct span){(const uint8_t *)b->p, b->n});
    answer_header(r, "Content-Encoding", str_of(coding_name(c)));
    answer_header(r, "Vary", LIT("Accept-Encoding"));
}

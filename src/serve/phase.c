/* SPDX-License-Identifier: Apache-2.0 */
/* Phases: see phase.h. Read from the bottom: the list of phases, the handler, then each phase
 * upwards. */
#include "serve/phase.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/answer.h"
#include "serve/bidi.h"
#include "serve/coding.h"
#include "serve/in.h"
#include "serve/media.h"
#include "serve/stream.h"
#include "serve/talk.h"
#include "serve/trace.h"

enum {
    ASIDE_BYTES = 128 << 10, /* longer bodies and answers are worked on by a side thread */
    COPY_BYTES = 4 << 20,    /* of those that are copied at most, not read or written as text */
    TEXT_BYTES = 8 << 10,    /* longer texts, too: they become tokens */
    REFUSED_BODY =
        64 << 10, /* a request refused at its head is read when its body is no longer than this */
    PAGE_BODY = 1 << 20,   /* of a page's request */
    ADMIT_BYTES = 4 << 10, /* longer bodies are not decoded for a model that could not run them */
};

static void advance(struct request *r, enum phase last);

/* --- from thread to thread --- */

static struct request *of_job(struct loop_job *job) {
    return (struct request *)(void *)((char *)job - offsetof(struct request, job));
}

static struct request *of_side(struct side_job *job) {
    return (struct request *)(void *)((char *)job - offsetof(struct request, side));
}

static void resumed(struct loop_job *job) { advance(of_job(job), PHASE_SEND); }

static void to_loop(struct request *r, enum phase next) {
    r->phase = next;
    r->job.fn = resumed;
    loop_post(r->x->loop, &r->job);
}

static void to_side(struct request *r, void (*fn)(struct side_job *)) {
    r->side.fn = fn;
    side_post(r->server->side, &r->side);
}

void request_wait(struct request *r) { r->waiting = true; }
void request_resume(struct request *r) { to_loop(r, PHASE_ENCODE); }

static void work_aside(struct side_job *job) {
    struct request *r = of_side(job);
    (void)r->aside(r, &r->err);
    request_resume(r);
}

void request_aside(struct request *r, enum code (*fn)(struct request *r, struct err *e)) {
    r->aside = fn;
    request_wait(r);
    to_side(r, work_aside);
}

struct store *request_store(const struct request *r) {
    return r->server->store;
}

bool request_ready(const struct request *r) {
    return !atomic_load(&r->server->unready) && host_ready(r->host);
}

/* --- ROUTE --- */

static bool usable_id(struct str id) {
    if (id.n == 0 || id.n > REQUEST_ID)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= 0x20 || id.p[i] >= 0x7f)
            return false;
    return true;
}

/* The client's X-Request-Id, else 16 hex digits that differ from request to request; and a span of
 * the client's trace. */
static void give_id(struct request *r) {
    r->id = http_header_get(&r->x->request, "x-request-id");
    bool theirs = usable_id(r->id);
    if (theirs && http_header_get(&r->x->request, "traceparent").n == 0)
        return;
    uint64_t z = r->thread->id_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    trace_begin(r, z | 1);
    if (theirs)
        return;
    char *text = arena_push(r->arena, 2 * sizeof z + 1);
    r->id = (struct str){0};
    if (!text)
        return;
    hex_put((const uint8_t *)&z, sizeof z, text);
    r->id = (struct str){text, 2 * sizeof z};
}

static void refuse_method(struct request *r, unsigned methods) {
    char text[ROUTER_ALLOW];
    r->allow = arena_strdup(r->arena, str_of(router_allow(methods, text)));
    if (!str_is(r->x->request.method, "OPTIONS"))
        (void)fail(&r->err, METHOD, "Method Not Allowed: %.*s %.*s; it answers %s",
                   STR(r->x->request.method), STR(r->x->request.path), text);
}

/* A browser asks whether it may ask: never a description of the API. */
static bool is_preflight(const struct request *r) {
    return http_header_get(&r->x->request, "access-control-request-method").n > 0;
}

static enum step route(struct request *r) {
    struct router_match m;
    give_id(r);
    router_find(&r->server->router, r->x->request.method, r->x->request.path, &m);
    r->protocol = m.protocol;
    r->route = m.route;
    r->model = m.model;
    r->version = m.version;
    r->label = m.label;
    if (grpc_begin(r, &r->err) != OK)
        return STEP_NEXT;
    if (!m.route && r->grpc) {
        (void)fail(&r->err, UNSUPPORTED, "unknown service or method '%.*s'",
                   STR(str_sub(r->x->request.path, 0, 200)));
    } else if (!m.route || ((m.route->flags & ROUTE_ADMIN) && !r->admin)) {
        r->protocol = NULL;
        r->route = NULL;
        (void)fail(&r->err, NOT_FOUND, "Not Found: no path '%.*s' here; /docs lists what is served",
                   STR(str_sub(r->x->request.path, 0, 200)));
    } else if (!m.method_ok || (m.route->methods == ROUTE_OPTIONS && is_preflight(r))) {
        refuse_method(r, m.methods);
    } else if ((m.route->flags & ROUTE_GRPC) && !r->grpc && !r->allow) {
        (void)fail(&r->err, MEDIA_TYPE, "a gRPC method: want Content-Type application/grpc");
    }
    return STEP_NEXT;
}

/* --- AUTH --- */

static unsigned scope_of(const struct route *route) {
    if (route->flags & (ROUTE_ADMIN | ROUTE_CONTROL))
        return SCOPE_ADMIN;
    if (route->flags & ROUTE_INSIDE)
        return SCOPE_READ;
    return route->page ? SCOPE_READ | SCOPE_PREDICT : SCOPE_PREDICT;
}

static enum code control_open(const struct request *r, struct err *e) {
    return r->options->allow_control || r->admin
               ? OK
               : fail(e, UNAVAILABLE,
                      "explicit model load / unload is not allowed: serve with --allow-control");
}

enum code request_control(struct request *r, struct err *e) {
    TRY(auth_allows(r->key, SCOPE_ADMIN, r->model, e));
    return control_open(r, e);
}

static enum step auth(struct request *r) {
    if ((r->route->flags & ROUTE_OPEN) || r->allow) /* OPTIONS: browsers send no key with it */
        return STEP_NEXT;
    if (auth_check(&r->server->auth, &r->x->request, &r->key, &r->err) == OK &&
        auth_allows(r->key, scope_of(r->route), r->model, &r->err) == OK &&
        (r->route->flags & ROUTE_CONTROL))
        (void)control_open(r, &r->err);
    return STEP_NEXT;
}

/* --- LIMIT --- */

static bool is_stream(const struct request *r) { return (r->route->flags & ROUTE_BIDI) != 0; }

static void enter(struct request *r) {
    if (auth_enter(r->key, r->x->started_ns, &r->retry_ns, &r->err) != OK)
        return;
    r->counted = limit_enter(&r->server->limit, is_stream(r), &r->err) == OK;
    if (!r->counted)
        auth_leave(r->key);
}

static bool short_body(const struct request *r) {
    return r->route->page && !(r->route->flags & ROUTE_BODY);
}

static size_t body_most(const struct request *r) {
    return short_body(r) ? PAGE_BODY : r->options->http.body_bytes;
}

static enum step limit(struct request *r) {
    const struct http_request *q = &r->x->request;
    size_t most = body_most(r);
    if (q->content_length > most)
        (void)fail(&r->err, TOO_LARGE, "the body has %llu bytes, the limit is %zu%s",
                   (unsigned long long)q->content_length, most,
                   short_body(r) ? "" : " (--max-body)");
    else if (atomic_load_explicit(&r->server->refusing, memory_order_relaxed) &&
             !(r->route->flags & ROUTE_OPEN))
        (void)fail(&r->err, UNAVAILABLE, "the server is draining");
    else
        enter(r);
    return STEP_NEXT;
}

/* --- DECODE --- */

static enum code undo_coding(struct request *r, struct err *e) {
    struct str header = http_header_get(&r->x->request, "content-encoding");
    r->body = r->x->request.body;
    if (header.n == 0)
        return OK;
    enum coding c = coding_of(header);
    if (c == CODING_UNKNOWN)
        return fail(e, MEDIA_TYPE,
                    "Content-Encoding '%.*s' is not supported: send gzip, deflate, zstd or none",
                    STR(header));
    if (c == CODING_NONE)
        return OK;
    struct buf *b = answer_buf(r, 0, e);
    if (!b)
        return e->code;
    b->cap_bytes = r->options->http.body_bytes;
    TRY(coding_undo(c, r->body, b, e));
    r->body = (struct span){(const uint8_t *)b->p, b->n};
    return OK;
}

enum code request_version(struct request *r, struct str text, struct err *e) {
    r->version = text;
    if (r->version.n && (!str_to_u64(r->version, &r->ask.version) || r->ask.version == 0))
        return fail(e, INVALID, "'%.*s' is not a version: versions are numbers from 1",
                    STR(r->version));
    return OK;
}

static void ask_done(struct ask *a);

static void limit_deadline(struct request *r) {
    uint64_t from = r->parent ? r->parent->began_ns : r->x->started_ns;
    uint64_t most = from + r->options->timeout_ms * 1000000;
    if (r->grpc && r->grpc->deadline_ns && r->grpc->deadline_ns < most)
        most = r->grpc->deadline_ns;
    if (r->ask.deadline_ns == 0 || r->ask.deadline_ns > most)
        r->ask.deadline_ns = most;
}

static enum code unwrap(struct request *r, struct err *e) { return r->grpc ? grpc_open(r, e) : OK; }

static void decode_now(struct request *r) {
    struct err *e = &r->err;
    if (!r->parent &&
        (undo_coding(r, e) != OK || request_version(r, r->version, e) != OK || unwrap(r, e) != OK))
        return;
    r->ask.model = r->model;
    r->ask.alias = r->label;
    r->ask.arena = r->arena;
    r->ask.done = ask_done;
    r->ask.user = r;
    r->ask.sticky = trace_sticky;
    if (trace_terms(r, e) != OK)
        return;
    limit_deadline(r);
    if (r->route->page)
        (void)r->route->page(r, e);
    else
        (void)r->protocol->decode(r, e);
}

/* What the version declares about its inputs; images are decoded on a side thread only. */
static void prepare_now(struct request *r) {
    if (r->err.code == OK)
        (void)media_inputs(r, &r->err);
}

static enum step run(struct request *r);

/* --- waiting for a version --- */

static bool may_park(const struct request *r) {
    return r->ask.loading && !r->ask.live && r->err.code == ERR_UNAVAILABLE && !r->waiting &&
           !atomic_load(&r->server->refusing) &&
           !__atomic_load_n(&r->ask.cancel, __ATOMIC_RELAXED) && clock_ns() < r->ask.deadline_ns;
}

/* On the loop: the version this request is for is being loaded; it decodes again when something
 * changed. */
static void park(struct loop_job *job) {
    struct request *r = of_job(job);
    r->parked_next = r->thread->parked;
    r->thread->parked = r;
}

static void park_later(struct request *r) {
    r->phase = PHASE_DECODE;
    r->job.fn = park;
    loop_post(r->x->loop, &r->job);
}

static void forget_try(struct request *r) {
    bool cancel = __atomic_load_n(&r->ask.cancel, __ATOMIC_RELAXED);
    r->ask = (struct ask){.cancel = cancel};
    r->err = (struct err){.code = OK};
    r->notes = NULL;
    r->media = NULL;
}

void phase_unpark(struct loop_thread *t) {
    struct request *all = t->parked;
    t->parked = NULL;
    for (struct request *r = all, *next; r; r = next) {
        next = r->parked_next;
        forget_try(r);
        advance(r, PHASE_SEND);
    }
}

static void prepare_aside(struct side_job *job) {
    struct request *r = of_side(job);
    prepare_now(r);
    if (r->err.code != OK && may_park(r))
        park_later(r);
    else if (r->err.code != OK || run(r) == STEP_NEXT)
        to_loop(r, PHASE_ENCODE);
}

static void decode_aside(struct side_job *job) {
    decode_now(of_side(job));
    prepare_aside(job);
}

static bool is_image(struct span body) {
    return body.n >= 4 &&
           (memcmp(body.p, "\xff\xd8\xff", 3) == 0 || memcmp(body.p, "\x89PNG", 4) == 0 ||
            memcmp(body.p, "--", 2) == 0); /* multipart: may hold one */
}

/* Where the binary tensors of a body begin (oip.c), when there are any. */
static bool tensors_at(const struct http_request *q, uint64_t *at) {
    return str_to_u64(http_header_get(q, "inference-header-content-length"), at);
}

/* Of a long body, what is read byte by byte: not the binary tensors behind its head. */
static size_t read_bytes(const struct http_request *q) {
    uint64_t head;
    bool split = tensors_at(q, &head);
    return split && head < q->body.n && q->body.n <= COPY_BYTES ? (size_t)head : q->body.n;
}

/* Pages stay on the loop: one that waits is resumed there, so it cannot end while its own call
 * still runs. */
static bool long_decode(const struct request *r) {
    const struct http_request *q = &r->x->request;
    if (r->route->page)
        return false;
    if (r->parent)
        return r->body.n > ASIDE_BYTES;
    const size_t most = r->route->flags & ROUTE_TEXT ? TEXT_BYTES : ASIDE_BYTES;
    return (q->body.n > most && read_bytes(q) > most) ||
           ((r->route->flags & ROUTE_IMAGE) && is_image(q->body)) ||
           (q->body.n > ASIDE_BYTES / 16 && http_header_get(q, "content-encoding").n);
}

static enum step decode(struct request *r) {
    if (r->allow) { /* OPTIONS */
        answer_header(r, "Allow", str_of(r->allow));
        answer_type(r, 204, (struct str){0});
        r->phase = PHASE_SEND - 1;
        return STEP_NEXT;
    }
    if (long_decode(r)) {
        to_side(r, decode_aside);
        return STEP_WAIT;
    }
    decode_now(r);
    if (r->waiting) /* nothing but `waiting`: another thread may have the rest by now */
        return STEP_WAIT;
    if (may_park(r)) {
        park_later(r);
        return STEP_WAIT;
    }
    if (r->route->page || r->err.code != OK)
        return STEP_NEXT;
    if (media_images(r)) {
        to_side(r, prepare_aside);
        return STEP_WAIT;
    }
    prepare_now(r);
    return STEP_NEXT;
}

/* --- RUN --- */

enum code request_may(struct request *r, struct str model, struct err *e) {
    return r->key ? auth_allows(r->key, scope_of(r->route), model, e) : OK;
}

enum code request_route(struct request *r, struct err *e) {
    TRY(request_may(r, r->ask.model, e));
    TRY(host_route(r->host, &r->ask, e));
    bool runs = r->route && !r->route->page;
    return runs && r->x->request.body.n >= ADMIT_BYTES ? host_admit(r->host, &r->ask, e) : OK;
}

static bool long_encode(const struct request *r) {
    size_t bytes = 0;
    for (size_t i = 0; i < r->ask.n_outputs; i++)
        bytes += tensor_bytes(&r->ask.outputs[i].tensor);
    return bytes > (r->as_it_lies ? COPY_BYTES : ASIDE_BYTES);
}

static void encode_now(struct request *r);

static void encode_aside(struct side_job *job) {
    struct request *r = of_side(job);
    encode_now(r);
    to_loop(r, PHASE_SEND);
}

static enum step take_answer(struct request *r) {
    if (r->ask.code != OK) {
        r->err = r->ask.err;
        r->err.code = r->ask.code;
    } else if (long_encode(r)) {
        to_side(r, encode_aside);
        return STEP_WAIT;
    }
    return STEP_NEXT;
}

/* On a worker of the host. */
static void ask_done(struct ask *a) {
    if (take_answer(a->user) == STEP_NEXT)
        to_loop(a->user, PHASE_ENCODE);
}

/* On the loop or on a side thread. */
static enum step run(struct request *r) {
    if (r->route->page)
        return STEP_NEXT;
    limit_deadline(r); /* the protocol may have set its own */
    if (r->talk)
        talk_run(r->talk);
    else if (host_submit(r->host, &r->ask))
        return take_answer(r);
    return STEP_WAIT;
}

/* --- ENCODE, SEND --- */

static void fault(struct request *r) {
    struct err cause = r->err;
    r->err.code = OK;
    r->response.n_parts = 0;
    (void)r->protocol->fault(r, &cause, &r->err);
}

static void encode_now(struct request *r) {
    if (r->err.code != OK && !r->admin && request_store(r))
        store_hide(request_store(r), r->err.text);
    if (r->err.code == OK && r->talk)
        (void)r->talk->form->whole(r->talk, &r->err);
    else if (r->err.code == OK && !r->route->page && media_outputs(r, &r->err) == OK)
        (void)r->protocol->encode(r, &r->err);
    if (r->ask.retry_ns)
        r->retry_ns = r->ask.retry_ns;
    if (r->err.code != OK && r->parent && r->protocol->fault)
        fault(r);
    if (r->err.code == OK && r->grpc)
        (void)(r->parent ? grpc_frame(r, &r->err) : grpc_close(r, &r->err));
    if (r->err.code != OK && !r->parent)
        answer_error(r, &r->err);
    if (!r->grpc)
        answer_compress(r);
}

static enum step encode(struct request *r) {
    encode_now(r);
    return STEP_NEXT;
}

/* Which version answered, when the traffic of its model is split. */
static struct str version_text(struct request *r) {
    return str_of(arena_printf(r->arena, "%llu", (unsigned long long)live_version(r->ask.live)));
}

static enum step send(struct request *r) {
    if (r->parent) {
        bidi_answer(r);
        return STEP_WAIT;
    }
    if (r->id.n)
        answer_header(r, "X-Request-Id", r->id);
    if (r->trace.n)
        answer_header(r, "traceparent", r->trace);
    if (r->ask.split && r->ask.live)
        answer_header(r, "X-Model-Version", version_text(r));
    trace_cors(r);
    r->phase = PHASE_RECORD;
    http_respond(r->x, &r->response);
    return STEP_WAIT;
}

/* --- RECORD --- */

void phase_probe(const struct request *r, int status, uint64_t total_ns) {
    if (!r->ask.live || r->route->page || !probe_hit(&r->server->probes, live_model(r->ask.live)))
        return;
    log_event(LOG_INFO, "trace", 8,
              (struct log_field[]){LOG_S("id", r->id), LOG_S("model", live_model(r->ask.live)),
                                   LOG_I("version", live_version(r->ask.live)),
                                   LOG_I("status", status),
                                   LOG_F("total_us", (double)total_ns / 1e3),
                                   LOG_F("queue_us", (double)r->ask.queue_ns / 1e3),
                                   LOG_F("compute_us", (double)r->ask.compute_ns / 1e3),
                                   LOG_I("rows", r->ask.batch_rows)});
}

static enum step record(struct request *r) {
    struct http_exchange *x = r->x;
    uint64_t now = clock_ns(), version = 0;
    struct str model = {0};
    int status = x->status ? x->status : err_http(ERR_CANCELLED);
    if (r->grpc && r->err.code != OK) /* HTTP's own is always 200 */
        status = err_http(r->err.code);
    const char *protocol = r->protocol ? r->protocol->name : "";
    if (r->ask.live) {
        model = live_model(r->ask.live);
        version = live_version(r->ask.live);
    }
    uint64_t total = now > x->started_ns ? now - x->started_ns : 0;
    meter_request(&r->thread->meter, model, version, protocol, status, total);
    struct trail_line line = {
        .request_id = r->id,
        .traceparent = r->trace,
        .key = r->key ? str_of(r->key->name) : (struct str){0},
        .peer = str_of(x->peer),
        .method = x->request.method,
        .target = x->request.target,
        .protocol = str_of(protocol),
        .model = model,
        .version = version,
        .status = status,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .total_ns = total,
        .queue_ns = r->ask.queue_ns,
        .compute_ns = r->ask.compute_ns,
        .batch_rows = r->ask.batch_rows,
        .error = r->err.code != OK ? str_of(r->err.text) : (struct str){0},
    };
    phase_probe(r, status, total);
    trail_put(&r->thread->trail, &line,
              r->route && (r->route->flags & ROUTE_QUIET) && status < 400);
    if (status >= 500 && r->err.code == ERR_INTERNAL)
        log_text(LOG_ERROR, "%s (%s:%d)", r->err.text, r->err.file ? r->err.file : "?",
                 r->err.line);
    if (r->counted) {
        limit_leave(&r->server->limit, is_stream(r));
        auth_leave(r->key);
    }
    auth_unref(r->key);
    ask_end(&r->ask);
    return STEP_NEXT;
}

/* --- the handler --- */

static void advance(struct request *r, enum phase last) {
    while (r->phase <= last) {
        if (phase_rows[r->phase].run(r) == STEP_WAIT)
            return;
        r->phase = r->err.code != OK && r->phase < PHASE_ENCODE ? PHASE_ENCODE : r->phase + 1;
    }
}

/* NULL: no memory. */
static struct request *new_request(const struct entrance *in, struct http_exchange *x) {
    struct loop_thread *t = in->thread;
    struct request *r = ARENA_NEW(&x->arena, struct request);
    if (!r)
        return NULL;
    r->x = x;
    r->arena = &x->arena;
    r->server = t->server;
    r->host = t->server->host;
    r->options = &t->server->options;
    r->thread = t;
    r->admin = in->admin;
    return r;
}

/* A refused request whose body is short is read to its end and answered like any other, with all
 * headers an answer has (Allow, Retry-After); one with a long body is answered by net at once. */
static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    struct request *r = new_request(ctx, x);
    if (!r)
        return arena_fail(&x->arena, sizeof *r, "request", e);
    x->user = r;
    advance(r, PHASE_LIMIT);
    if (r->err.code == OK && !r->allow && (r->route->flags & ROUTE_BIDI))
        (void)bidi_begin(r, &r->err);
    if (r->err.code == OK && !r->allow) {
        *body_limit = body_most(r);
        if (x->request.content_length > ADMIT_BYTES) /* long tensors are used where they lie */
            (void)tensors_at(&x->request, &x->body_aligned_at);
        return OK;
    }
    if (x->request.content_length > REFUSED_BODY) {
        *e = r->err.code != OK
                 ? r->err
                 : (struct err){.code = ERR_TOO_LARGE, .text = "no body is expected here"};
        return e->code;
    }
    *body_limit = REFUSED_BODY;
    return OK;
}

static void on_request(void *ctx, struct http_exchange *x) {
    struct request *r = x->user;
    (void)ctx;
    if (!r->bidi)
        advance(r, PHASE_SEND);
    else if (r->grpc->kind == GRPC_NATIVE)
        bidi_half_close(r);
    else
        bidi_whole(r, undo_coding(r, &r->err));
}

static void on_body(void *ctx, struct http_exchange *x, struct span piece) {
    (void)ctx;
    bidi_body(x->user, piece);
}

void phase_begin_sub(struct request *sub) { advance(sub, PHASE_SEND); }

static void on_gone(void *ctx, struct http_exchange *x) {
    struct request *r = x->user;
    (void)ctx;
    __atomic_store_n(&r->ask.cancel, true, __ATOMIC_RELAXED); /* a worker may be reading it */
    struct talk *t = __atomic_load_n(&r->talk, __ATOMIC_ACQUIRE);
    if (t)
        talk_gone(t);
    if (r->bidi)
        bidi_gone(r);
}

static void on_writable(void *ctx, struct http_exchange *x) {
    struct request *r = x->user;
    (void)ctx;
    if (r->bidi)
        bidi_writable(r);
    else
        stream_note_room(r);
}

static void on_done(void *ctx, struct http_exchange *x) {
    (void)ctx;
    if (x->user)
        (void)phase_rows[PHASE_RECORD].run(x->user);
}

/* What net refuses by itself; there is no request when its head could not be read. One that was too
 * large may still have said that gRPC's client waits for the answer. */
static void refuse(void *ctx, struct http_exchange *x, const struct err *e,
                   struct http_response *out) {
    struct request *known = x->user, *r = known ? known : new_request(ctx, x);
    struct err ignored;
    bool grpc = r && (known || grpc_begin(r, &ignored) == OK) && r->grpc;
    if (grpc) {
        grpc_fail(r, e);
        *out = r->response;
        return;
    }
    struct str body = answer_error_body(known, &x->arena, e);
    out->content_type = ANSWER_JSON;
    out->parts[0] = (struct span){(const uint8_t *)body.p, body.n};
    out->n_parts = 1;
}

void phase_handler(struct entrance *in, struct http_handler *out) {
    *out = (struct http_handler){.ctx = in,
                                 .on_head = on_head,
                                 .on_request = on_request,
                                 .on_body = on_body,
                                 .on_gone = on_gone,
                                 .on_writable = on_writable,
                                 .on_done = on_done,
                                 .refuse = refuse};
}

const struct phase_row phase_rows[PHASE_N] = {
    [PHASE_ROUTE] = {"route", route}, [PHASE_AUTH] = {"auth", auth},
    [PHASE_LIMIT] = {"limit", limit}, [PHASE_DECODE] = {"decode", decode},
    [PHASE_RUN] = {"run", run},       [PHASE_ENCODE] = {"encode", encode},
    [PHASE_SEND] = {"send", send},    [PHASE_RECORD] = {"record", record},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A request's way through the phases, without a network, a host or threads: what would go to
 * another thread waits in a list until the test runs it. Model "m" takes x [-1, 2]. */
#define http_respond note_answer
#define loop_post note_job
#define side_post note_side
#define host_submit note_ask
#include "serve/phase.c"

#include "serve/protocol/protocol.h"
#include "stand.h"

static struct stand s;
static struct err e;
static struct live_io x_io, y_io;
static struct loop_thread thread;
static struct entrance front;
static struct http_handler handler;
static size_t body_limit;

static int answers; /* since the request began */
static struct loop_job *posted;
static struct side_job *aside;
static struct ask *asked;
static bool answers_at_once; /* the host; else it waits for the test */
static float y[2] = {3, 4};

void note_answer(struct http_exchange *x, const struct http_response *r) {
    x->status = r->status;
    answers++;
    handler.on_done(handler.ctx, x);
}

void note_job(struct loop *l, struct loop_job *job) {
    (void)l;
    assert_null(posted);
    posted = job;
}

void note_side(struct side *side, struct side_job *job) {
    (void)side;
    assert_null(aside);
    aside = job;
}

static void fill_answer(struct ask *a) {
    a->outputs = ARENA_NEW(a->arena, struct ask_tensor);
    a->outputs[0] = (struct ask_tensor){LIT("y"), {DT_F32, LAYOUT_PLAIN, {2, {1, 2}}, y}, NULL};
    a->n_outputs = 1;
    a->code = OK;
}

bool note_ask(struct host *h, struct ask *a) {
    assert_ptr_equal(h, &s.host);
    asked = a;
    if (answers_at_once)
        fill_answer(a);
    return answers_at_once;
}

static void run_posted(void) {
    struct loop_job *job = posted;
    posted = NULL;
    assert_non_null(job);
    job->fn(job);
}

static void run_aside(void) {
    struct side_job *job = aside;
    aside = NULL;
    assert_non_null(job);
    job->fn(job);
}

static int begin(void **state) {
    size_t n;
    (void)state;
    const struct protocol *const *all = protocol_list(&n);
    x_io = stand_io("x", DT_F32, STAND_DIMS(-1, 2));
    y_io = stand_io("y", DT_F32, STAND_DIMS(-1, 2));
    stand_open(&s, &x_io, 1, &y_io, 1);
    s.options.timeout_ms = 60000;
    s.options.allow_control = false;
    s.host.threads = 1;
    s.host.options.queue = 8;
    s.server.host = &s.host;
    s.server.options = s.options;
    s.server.limit.most = 10;
    probes_init(&s.server.probes);
    thread = (struct loop_thread){.server = &s.server};
    trail_init(&thread.trail, -1, false, 0);
    front = (struct entrance){.thread = &thread};
    phase_handler(&front, &handler);
    answers_at_once = true;
    return router_init(&s.server.router, all, n, &e) != OK;
}

static int end(void **state) {
    (void)state;
    assert_true(!posted && !aside);
    assert_int_equal(atomic_load(&s.server.limit.requests), 0);
    assert_int_equal(atomic_load(&s.live.refs), 1 << 20);
    trail_deinit(&thread.trail);
    stand_close(&s);
    return 0;
}

/* The head, then, unless it was refused, the whole. */
static enum code ask(const char *method, const char *path, const char *body, size_t length) {
    stand_text(&s, body);
    s.x.request.method = str_of(method);
    s.x.request.path = s.x.request.target = str_of(path);
    s.x.request.content_length = length;
    s.x.user = NULL;
    s.x.status = 0;
    s.x.gone = false;
    s.x.started_ns = clock_ns();
    answers = 0;
    asked = NULL;
    enum code code = handler.on_head(handler.ctx, &s.x, &body_limit, &e);
    if (code != OK)
        handler.on_done(handler.ctx, &s.x);
    s.x.request.body = (struct span){(const uint8_t *)body, strlen(body)};
    if (code == OK)
        handler.on_request(handler.ctx, &s.x);
    return code;
}

static struct request *request(void) { return s.x.user; }

static const char *text(void) {
    s.r = *request();
    return stand_answer(&s);
}

static void a_page(void **state) {
    (void)state;
    assert_ok(ask("GET", "/v2/health/live", "", 0));
    assert_true(answers == 1 && s.x.status == 200);
    assert_string_equal(text(), "{\"live\":true}");
    assert_int_equal(strlen(stand_answer_header(&s, "X-Request-Id")), 16);
    assert_int_equal(body_limit, PAGE_BODY);
}

#define PREDICT "/v1/models/m:predict"
#define ROW "{\"instances\": [[1, 2]]}"

static void a_run(void **state) {
    (void)state;
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_true(answers == 1 && s.x.status == 200 && asked->live == NULL); /* let go by now */
    assert_string_equal(text(), "{\"predictions\":[[3.0,4.0]]}");
    answers_at_once = false;
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_true(answers == 0 && asked && asked->deadline_ns > clock_ns());
    fill_answer(asked);
    asked->done(asked); /* on a worker */
    assert_int_equal(answers, 0);
    run_posted();
    assert_true(answers == 1 && s.x.status == 200);
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    asked->code = ERR_OVERLOAD;
    asked->retry_ns = 2500000000;
    asked->err = (struct err){.code = ERR_OVERLOAD, .text = "full"};
    asked->done(asked);
    run_posted();
    assert_int_equal(s.x.status, 429);
    assert_string_equal(text(), "{\"error\":\"full\"}");
    assert_memory_equal(stand_answer_header(&s, "Retry-After"), "3", 1);
}

static void what_is_refused(void **state) {
    (void)state;
    assert_ok(ask("GET", "/nowhere", "", 0));
    assert_true(answers == 1 && s.x.status == 404);
    assert_ok(ask("GET", PREDICT, "", 0));
    assert_int_equal(s.x.status, 405);
    assert_non_null(strstr(text(), "it answers POST, OPTIONS"));
    assert_memory_equal(stand_answer_header(&s, "Allow"), "POST, OPTIONS", 13);
    assert_ok(ask("OPTIONS", PREDICT, "", 0));
    assert_true(s.x.status == 204 && answers == 1);
    assert_ok(ask("POST", PREDICT, "{", 1));
    assert_true(s.x.status == 400 && !asked);
    assert_ok(ask("POST", "/v1/models/z:predict", ROW, sizeof ROW - 1));
    assert_true(s.x.status == 404 && !asked);
    assert_fails(ask("POST", "/nowhere", "", REFUSED_BODY + 1), NOT_FOUND, "/nowhere");
    assert_int_equal(answers, 0); /* net answers */
    assert_fails(ask("POST", PREDICT, "", s.options.http.body_bytes + 1), TOO_LARGE,
                 "(--max-body)");
    assert_fails(ask("POST", "/v2/repository/index", "", PAGE_BODY + 1), TOO_LARGE, "the limit");
    assert_ok(ask("POST", "/v2/repository/models/m/load", "", 0));
    assert_int_equal(s.x.status, 503); /* without --allow-control */
    assert_ok(ask("GET", "/admin/models/m", "", 0));
    assert_int_equal(s.x.status, 404); /* it is on its own listener */
}

static void limits(void **state) {
    (void)state;
    s.server.limit.most = 1;
    answers_at_once = false;
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_int_equal(atomic_load(&s.server.limit.requests), 1);
    assert_fails(limit_enter(&s.server.limit, false, &e), OVERLOAD, "--max-requests");
    fill_answer(asked);
    asked->done(asked);
    run_posted();
    atomic_store(&s.server.refusing, true);
    atomic_store(&s.server.unready, true);
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_int_equal(s.x.status, 503);
    assert_non_null(strstr(text(), "draining"));
    assert_ok(ask("GET", "/v2/health/live", "", 0)); /* probes go on */
    assert_int_equal(s.x.status, 200);
    assert_ok(ask("GET", "/v2/health/ready", "", 0));
    assert_int_equal(s.x.status, 503);
}

/* A long body is read on a side thread, which submits the ask; the answer comes to the loop. */
static void a_long_body(void **state) {
    static char body[ASIDE_BYTES + 100];
    (void)state;
    memset(body, ' ', sizeof body - 1);
    memcpy(body, ROW, sizeof ROW - 1);
    assert_ok(ask("POST", PREDICT, body, sizeof body - 1));
    assert_true(answers == 0 && !asked);
    run_aside();
    assert_true(asked && answers == 0);
    run_posted();
    assert_true(answers == 1 && s.x.status == 200);
}

/* For a version that is being loaded it waits, tries again when something changed, and is decoded
 * for what is there then. */
static void a_version_that_comes(void **state) {
    (void)state;
    atomic_store(&s.live.state, LIVE_LOADING);
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_true(answers == 0 && !asked);
    run_posted();
    assert_ptr_equal(thread.parked, request());
    phase_unpark(&thread); /* something else changed */
    run_posted();
    assert_true(answers == 0 && thread.parked);
    atomic_store(&s.live.state, LIVE_READY);
    phase_unpark(&thread);
    assert_true(answers == 1 && s.x.status == 200 && !thread.parked);
    atomic_store(&s.live.state, LIVE_LOADING);
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    run_posted();
    handler.on_gone(handler.ctx, &s.x); /* it waits for nothing now */
    phase_unpark(&thread);
    assert_true(answers == 1 && s.x.status == 503 && !thread.parked);
    atomic_store(&s.live.state, LIVE_READY);
}

static void a_client_that_leaves(void **state) {
    (void)state;
    answers_at_once = false;
    assert_ok(ask("POST", PREDICT, ROW, sizeof ROW - 1));
    assert_false(asked->cancel);
    handler.on_gone(handler.ctx, &s.x);
    assert_true(asked->cancel && answers == 0);
    asked->code = ERR_CANCELLED;
    asked->err = (struct err){.code = ERR_CANCELLED, .text = "the client left"};
    asked->done(asked);
    run_posted();
    assert_int_equal(answers, 1); /* which net does not send */
}

static void what_net_refuses(void **state) {
    struct http_response r = {.status = 431};
    const struct err too_large = {.code = ERR_INVALID, .text = "headers"};
    (void)state;
    stand_text(&s, "");
    s.x.user = NULL; /* its head could not be read */
    handler.refuse(handler.ctx, &s.x, &too_large, &r);
    assert_true(r.n_parts == 1 && str_is(r.content_type, "application/json"));
    assert_true(
        str_is((struct str){(const char *)r.parts[0].p, r.parts[0].n}, "{\"error\":\"headers\"}"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page, begin, end),
        cmocka_unit_test_setup_teardown(a_run, begin, end),
        cmocka_unit_test_setup_teardown(what_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(limits, begin, end),
        cmocka_unit_test_setup_teardown(a_long_body, begin, end),
        cmocka_unit_test_setup_teardown(a_version_that_comes, begin, end),
        cmocka_unit_test_setup_teardown(a_client_that_leaves, begin, end),
        cmocka_unit_test_setup_teardown(what_net_refuses, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

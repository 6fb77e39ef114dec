/* SPDX-License-Identifier: Apache-2.0 */
/* The host with a real store: routing, binding, batches, swaps by another connection, failures that
 * stay local. */
#include "host/host.c"

#include "base/file.h"
#include "tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char folder[64];
static struct store *store;
static struct host *host;
static struct err e;

struct question {
    struct ask ask;
    struct arena arena;
    struct ask_tensor input;
    float values[4 * 64];
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool done;
};

static void on_done(struct ask *a) {
    struct question *q = a->user;
    pthread_mutex_lock(&q->lock);
    q->done = true;
    pthread_cond_signal(&q->change);
    pthread_mutex_unlock(&q->lock);
}

static void begin(struct question *q, const char *model, int64_t rows) {
    *q = (struct question){.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    arena_init(&q->arena, 1 << 20);
    for (int i = 0; i < rows * 4; i++)
        q->values[i] = (float)i;
    q->input = (struct ask_tensor){LIT("x"), {DT_F32, LAYOUT_PLAIN, {2, {rows, 4}}, q->values}};
    q->ask = (struct ask){.model = str_of(model),
                          .inputs = &q->input,
                          .n_inputs = 1,
                          .arena = &q->arena,
                          .done = on_done,
                          .user = q};
}

static void submit_one(struct question *q) {
    if (host_submit(host, &q->ask))
        on_done(&q->ask);
}

static enum code wait_for(struct question *q) {
    pthread_mutex_lock(&q->lock);
    while (!q->done)
        pthread_cond_wait(&q->change, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return q->ask.code;
}

static void end(struct question *q) {
    ask_end(&q->ask);
    arena_deinit(&q->arena);
}

static enum code ask_row(const char *model, float *first) {
    struct question q;
    begin(&q, model, 1);
    submit_one(&q);
    enum code code = wait_for(&q);
    if (code == OK)
        *first = ((const float *)q.ask.outputs[0].tensor.data)[0];
    else
        e = q.ask.err;
    end(&q);
    return code;
}

static void wait_ready(void) {
    for (int i = 0; i < 2000 && !host_ready(host); i++)
        usleep(5000);
    assert_true(host_ready(host));
}

static bool wait_answer(const char *model, float want) {
    for (int i = 0; i < 1000; i++) {
        float got;
        if (ask_row(model, &got) == OK && got == want)
            return true;
        usleep(5000);
    }
    return false;
}

static int open_all(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/slipway-host-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder) || store_open(folder, true, &store, &e) != OK)
        return 1;
    if (tiny_add(store, "plus", 1, NULL, &e) != OK || tiny_add(store, "other", 10, NULL, &e) != OK)
        return 1;
    cores_setup(2);
    struct host_options o = {.store = store, .threads = 2, .queue = 64, .poll_ms = 20};
    return host_open(&o, &host, &e) != OK;
}

static int close_all(void **state) {
    (void)state;
    host_drain(host);
    host_close(host);
    store_close(store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void answers(void **state) {
    (void)state;
    float got;
    wait_ready();
    assert_int_equal(ask_row("plus", &got), OK);
    assert_true(got == 1);
    assert_int_equal(ask_row("other", &got), OK);
    assert_true(got == 10);
}

static void refuses_wrong_asks(void **state) {
    (void)state;
    struct question q;
    float ignored;
    assert_int_equal(ask_row("nothing", &ignored), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "unknown model: 'nothing'"));

    begin(&q, "plus", 1);
    q.ask.version = 9;
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_NOT_FOUND);
    end(&q);

    begin(&q, "plus", 1);
    q.input.name = LIT("z");
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_INVALID);
    assert_non_null(strstr(q.ask.err.text, "'z'; the model has 'x'"));
    end(&q);

    begin(&q, "plus", 1);
    q.input.tensor.shape.dims[1] = 3;
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_INVALID);
    assert_non_null(strstr(q.ask.err.text, "expected shape [-1,4]"));
    end(&q);

    begin(&q, "plus", 1);
    q.ask.n_inputs = 0;
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_INVALID);
    assert_non_null(strstr(q.ask.err.text, "is missing"));
    end(&q);
}

/* Many askers at once, rows of 1 to 3: each gets its own rows back, whatever was joined. */
static void batches_keep_rows_apart(void **state) {
    (void)state;
    enum { N = 60 };
    struct question *q = calloc(N, sizeof *q);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) {
            begin(&q[i], "plus", 1 + i % 3);
            for (int k = 0; k < 4 * (1 + i % 3); k++)
                q[i].values[k] = (float)(1000 * i + k);
            submit_one(&q[i]);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(wait_for(&q[i]), OK);
            const struct tensor *y = &q[i].ask.outputs[0].tensor;
            assert_int_equal(y->shape.dims[0], 1 + i % 3);
            for (int k = 0; k < 4 * (1 + i % 3); k++)
                assert_true(((const float *)y->data)[k] == (float)(1000 * i + k + 1));
            end(&q[i]);
        }
    }
    free(q);
}

/* Two large answers that are being read at once lie in memory of their own, outside the arenas. */
static void large_outputs_are_lent(void **state) {
    (void)state;
    enum { ROWS = 8192, N = 2 };
    struct question q[N];
    float *x = malloc(N * ROWS * 4 * sizeof *x);
    for (int i = 0; i < N; i++) {
        begin(&q[i], "plus", 1);
        for (int k = 0; k < ROWS * 4; k++)
            x[i * ROWS * 4 + k] = (float)(i + k);
        q[i].input.tensor.shape.dims[0] = ROWS;
        q[i].input.tensor.data = x + i * ROWS * 4;
        submit_one(&q[i]);
        assert_int_equal(wait_for(&q[i]), OK);
        assert_true(q[i].arena.used_bytes < 64 << 10);
    }
    for (int i = 0; i < N; i++) {
        const float *y = q[i].ask.outputs[0].tensor.data;
        for (int k = 0; k < ROWS * 4; k++)
            assert_true(y[k] == (float)(i + k + 1));
        end(&q[i]);
        assert_null(q[i].ask.lent.runner);
    }
    free(x);
}

static void cancelled_and_late_asks_do_not_run(void **state) {
    (void)state;
    struct question q;
    begin(&q, "plus", 1);
    q.ask.cancel = true;
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_CANCELLED);
    end(&q);
    begin(&q, "plus", 1);
    q.ask.deadline_ns = 1;
    submit_one(&q);
    assert_int_equal(wait_for(&q), ERR_TIMEOUT);
    end(&q);
}

/* Another connection to the store, as another process would, adds and moves names; no ask fails
 * meanwhile. */
static void follows_the_store(void **state) {
    (void)state;
    struct store *second;
    float got;
    uint64_t version;
    assert_int_equal(store_open(folder, false, &second, &e), OK);
    assert_int_equal(tiny_add(second, "plus", 2, &version, &e), OK);
    assert_int_equal(version, 2);
    assert_true(wait_answer("plus", 2)); /* newest */
    assert_int_equal(store_alias_set(second, LIT("plus"), LIT("prod"), 1, &e), OK);
    assert_true(wait_answer("plus", 1)); /* prod wins */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            store_alias_set(second, LIT("plus"), LIT("prod"), 1 + (uint64_t)(i % 2), &e), OK);
        for (int k = 0; k < 40; k++) {
            assert_int_equal(ask_row("plus", &got), OK);
            assert_true(got == 1 || got == 2);
            usleep(1000);
        }
    }
    assert_int_equal(store_alias_rollback(second, LIT("plus"), LIT("prod"), &version, &e), OK);
    assert_true(wait_answer("plus", (float)version));
    store_close(second);
}

/* As if so many runs of one row had cost so much each. */
static struct live *pretend(const char *model, double ns, unsigned runs) {
    pthread_mutex_lock(&host->queue_lock);
    struct live *l = route_find(host, str_of(model))->chosen;
    l->curve.one.row_ns[0] = ns;
    l->curve.one.runs[0] = runs;
    pthread_mutex_unlock(&host->queue_lock);
    return l;
}

static bool answered_at_once(const char *model, int64_t rows, int priority) {
    struct question q;
    begin(&q, model, rows);
    q.ask.priority = priority;
    bool at_once = host_submit(host, &q.ask);
    if (at_once)
        on_done(&q.ask);
    assert_int_equal(wait_for(&q), OK);
    assert_true(((const float *)q.ask.outputs[0].tensor.data)[0] == 1);
    assert_int_equal(q.ask.batch_rows, rows);
    end(&q);
    return at_once;
}

static void warming_up_tells_what_runs_cost(void **state) {
    (void)state;
    wait_ready();
    pthread_mutex_lock(&host->queue_lock);
    assert_true(curve_single(&route_find(host, LIT("plus"))->chosen->curve) > 0);
    pthread_mutex_unlock(&host->queue_lock);
}

/* Whether it is placed to be answered at once; what would be run is not. */
static bool placed_at_once(struct question *q, enum code *code) {
    struct placed to = {0};
    q->ask.queued_ns = clock_ns();
    *code = place(host, q->ask.live, &q->ask, &to, &e);
    host->n_running -= to.brief;
    return to.brief;
}

/* Of two rows that wait and one that need not. */
static void brief_runs_overtake_what_waits(void **state) {
    (void)state;
    struct question waits, brief;
    struct live *l = pretend("plus", 1000, 100);
    enum { normal = PRIORITY_NORMAL - PRIORITY_HIGH };
    enum code code;
    begin(&waits, "plus", 2);
    begin(&brief, "plus", 1);
    assert_int_equal(host_route(host, &brief.ask, &e), OK);
    assert_int_equal(bind_ask(l, &brief.ask, &e), OK);
    pthread_mutex_lock(&host->queue_lock); /* no worker can take it meanwhile */
    waits.ask.rows = 2;
    queue_put(host, l, &waits.ask);
    l->backlog[normal] = host->backlog[normal] = 1e12;
    brief.ask.deadline_ns = clock_ns() + 10000000000u; /* sooner than what waits will be done */
    assert_true(placed_at_once(&brief, &code));
    assert_int_equal(code, OK);
    l->curve.one.row_ns[0] = 1e6; /* were it no brief run, it would wait, too: for too long */
    assert_false(placed_at_once(&brief, &code));
    assert_int_equal(code, ERR_OVERLOAD);
    assert_ptr_equal(queue_take(host, l, NULL), &waits.ask);
    pthread_mutex_unlock(&host->queue_lock);
    end(&brief);
    end(&waits);
}

/* Copies are run while nothing else is: one that had to wait for a brief run is run after it,
 * though nothing else comes. */
static void a_brief_run_leaves_no_copy_behind(void **state) {
    (void)state;
    struct question brief, copy;
    struct live *l = pretend("plus", 1000, 100);
    begin(&brief, "plus", 1);
    begin(&copy, "plus", 2);
    copy.ask.priority = PRIORITY_SHADOW;
    assert_int_equal(host_route(host, &brief.ask, &e), OK);
    assert_int_equal(bind_ask(l, &brief.ask, &e), OK);
    brief.ask.queued_ns = clock_ns();
    pthread_mutex_lock(&host->queue_lock);
    host->n_running++; /* as place does for a brief one */
    pthread_mutex_unlock(&host->queue_lock);
    submit_one(&copy);
    usleep(20000); /* for a worker to look, and to find that it may not */
    brief_run(host, l, &brief.ask);
    assert_int_equal(wait_for(&copy), OK);
    end(&copy);
    end(&brief);
}

static void brief_runs_are_answered_at_once(void **state) {
    (void)state;
    struct question q;
    pretend("plus", 1000, 2); /* not often enough to know */
    assert_false(answered_at_once("plus", 1, PRIORITY_NORMAL));
    pretend("plus", 1e6, 100); /* dear */
    assert_false(answered_at_once("plus", 1, PRIORITY_NORMAL));
    struct live *l = pretend("plus", 1000, 100);
    struct live_stats before, after;
    live_stats(l, &before);
    assert_true(answered_at_once("plus", 1, PRIORITY_NORMAL));
    live_stats(l, &after);
    assert_int_equal(after.success, before.success + 1);
    assert_int_equal(after.runs, before.runs + 1);
    assert_false(answered_at_once("plus", 2, PRIORITY_NORMAL));
    assert_false(answered_at_once("plus", 1, PRIORITY_SHADOW));
    pretend("plus", 1000, 100);
    begin(&q, "plus", 1);
    q.ask.cancel = true;
    assert_true(host_submit(host, &q.ask));
    assert_int_equal(q.ask.code, ERR_CANCELLED);
    end(&q);
}

struct outcome {
    _Atomic int done;
    enum code code;
};

static void on_outcome(void *ctx, enum code code, const struct err *why) {
    (void)why;
    struct outcome *o = ctx;
    o->code = code;
    atomic_store(&o->done, 1);
}

static enum code settled(struct outcome *o) {
    for (int i = 0; i < 2000 && !atomic_load(&o->done); i++)
        usleep(2000);
    assert_int_equal(atomic_load(&o->done), 1);
    return o->code;
}

static void unloads_and_loads_by_hand(void **state) {
    (void)state;
    struct outcome o = {0};
    float got;
    host_unload(host, LIT("other"), on_outcome, &o);
    assert_int_equal(settled(&o), OK);
    assert_int_equal(ask_row("other", &got), ERR_UNAVAILABLE);
    o = (struct outcome){0};
    host_load(host, LIT("other"), 0, on_outcome, &o);
    assert_int_equal(settled(&o), OK);
    assert_int_equal(ask_row("other", &got), OK);
    assert_true(got == 10);
    o = (struct outcome){0};
    host_load(host, LIT("nothing"), 0, on_outcome, &o);
    assert_int_equal(settled(&o), ERR_NOT_FOUND);
}

/* A version whose graph is broken fails with its reason; the one before keeps answering. */
static void a_bad_version_takes_nothing_down(void **state) {
    (void)state;
    float got;
    struct store_source source = {LIT("model.txt"), {(const uint8_t *)"bad", 3}, NULL, 0};
    struct store_part part = {LIT("graph"), {(const uint8_t *)"not a graph", 11}};
    struct store_new add = {.model = LIT("other"),
                            .format = LIT("test"),
                            .sources = &source,
                            .n_sources = 1,
                            .parts = &part,
                            .n_parts = 1};
    struct store_added added;
    assert_int_equal(store_add(store, &add, &added, &e), OK);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(ask_row("other", &got), OK);
        assert_true(got == 10);
        usleep(5000);
    }
    struct arena a;
    struct live_info info;
    arena_init(&a, 1 << 20);
    assert_int_equal(host_find(host, LIT("other"), added.version, (struct str){0}, &a, &info, &e),
                     OK);
    assert_int_equal(info.state, LIVE_FAILED);
    assert_true(info.error.n > 0);
    arena_deinit(&a);
}

/* A server that starts beside a broken newest version answers with the one before. */
static void the_newest_that_loads_is_the_default(void **state) {
    (void)state;
    struct host *first = host;
    struct host_options o = {.store = store, .threads = 2, .poll_ms = 20};
    float got = 0;
    assert_int_equal(host_open(&o, &host, &e), OK);
    wait_ready();
    assert_int_equal(ask_row("other", &got), OK);
    assert_true(got == 10);
    host_drain(host);
    host_close(host);
    host = first;
}

static void lists_every_version(void **state) {
    (void)state;
    struct arena a;
    struct live_info *infos;
    size_t n;
    arena_init(&a, 1 << 20);
    assert_int_equal(host_list(host, &a, &infos, &n, &e), OK);
    assert_int_equal(n, 4);
    assert_true(str_is(infos[0].model, "other") && infos[0].version == 2);
    assert_true(str_is(infos[2].model, "plus") && infos[3].version == 1);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warming_up_tells_what_runs_cost),
        cmocka_unit_test(answers),
        cmocka_unit_test(refuses_wrong_asks),
        cmocka_unit_test(batches_keep_rows_apart),
        cmocka_unit_test(large_outputs_are_lent),
        cmocka_unit_test(a_brief_run_leaves_no_copy_behind),
        cmocka_unit_test(brief_runs_are_answered_at_once),
        cmocka_unit_test(brief_runs_overtake_what_waits),
        cmocka_unit_test(cancelled_and_late_asks_do_not_run),
        cmocka_unit_test(follows_the_store),
        cmocka_unit_test(unloads_and_loads_by_hand),
        cmocka_unit_test(a_bad_version_takes_nothing_down),
        cmocka_unit_test(the_newest_that_loads_is_the_default),
        cmocka_unit_test(lists_every_version),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}

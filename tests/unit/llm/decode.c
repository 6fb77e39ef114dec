/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding over a model without weights whose answers show every wrong page, row or order. */
#include "llm/decode.c"

#include "../base/check.h"
#include "fake.h"

enum { ASKS = 64, PROMPT = 200 };

struct question {
    struct decode_ask ask;
    struct decode_part parts[4];
    int32_t prompt[PROMPT];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int wakes;
};

static void on_wake(struct decode_ask *a) {
    struct question *q = a->user;
    pthread_mutex_lock(&q->lock);
    q->wakes++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static void on_done(struct decode_ask *a) {
    struct question *q = a->user;
    pthread_mutex_lock(&q->lock);
    q->done = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static void question_init(struct question *q, unsigned seed, size_t n, size_t max_tokens) {
    uint64_t random = 0x9e3779b97f4a7c15u * (seed + 1);
    *q = (struct question){0};
    for (size_t i = 0; i < n; i++)
        q->prompt[i] = (int32_t)(check_random(&random) % 256);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    sample_options_default(&q->ask.sample);
    q->ask.sample.temperature = 0;
    q->ask.prompt = q->prompt;
    q->ask.n_prompt = n;
    q->ask.max_tokens = max_tokens;
    q->ask.wake = on_wake;
    q->ask.done = on_done;
    q->ask.user = q;
}

static void question_wait(struct question *q) {
    pthread_mutex_lock(&q->lock);
    while (!q->done)
        pthread_cond_wait(&q->changed, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

/* Its tokens and text so far, as choice k. */
static struct decode_part *question_take(struct question *q, int k) {
    decode_take(NULL, &q->ask, k, &q->parts[k]);
    return &q->parts[k];
}

static void question_end(struct question *q) {
    decode_ask_end(&q->ask);
    for (int k = 0; k < 4; k++)
        decode_part_end(&q->parts[k]);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->changed);
}

struct stand {
    struct forward forward, draft;
    struct decode *d;
};

static void stand_open(struct stand *s, size_t pages, size_t rows, int sequences,
                       struct decode_options o) {
    struct err e;
    fake_open(&s->forward, pages, rows, 512);
    fake_open(&s->draft, 2048, rows, 512);
    o.forward = &s->forward;
    o.sequences = sequences;
    o.rows = rows;
    o.queue = o.queue ? o.queue : 1000;
    o.model = LIT("fake");
    o.version = LIT("1");
    assert_ok(decode_open(&o, &s->d, &e));
}

static void stand_close(struct stand *s) {
    decode_close(s->d);
    assert_int_equal(s->forward.kv.free, s->forward.kv.pages); /* no page is lost */
    fake_close(&s->forward);
    fake_close(&s->draft);
}

/* Each of the 64 differs in length, sampling and how much it wants; some share beginnings. */
static void mixed(struct question *q, unsigned i) {
    question_init(q, i % 48, 1 + i * 37 % PROMPT, 1 + i * 13 % 60);
    if (i >= 48) { /* the same first 96 tokens as another */
        uint64_t random = 7;
        for (size_t k = 0; k < q->ask.n_prompt && k < 96; k++)
            q->prompt[k] = (int32_t)(check_random(&random) % 256);
    }
    if (i % 3 == 1) {
        q->ask.sample.temperature = 0.8f;
        q->ask.sample.top_p = 0.9f;
        q->ask.sample.seed = i;
        q->ask.sample.presence = 0.5f;
    }
    q->ask.priority = (int)(i % 5 == 0);
    q->ask.client = i % 4;
}

static void answers_of(struct stand *s, bool together, struct buf answers[ASKS]) {
    static struct question all[ASKS];
    for (unsigned i = 0; i < ASKS; i++) {
        mixed(&all[i], i);
        decode_submit(s->d, &all[i].ask);
        if (!together)
            question_wait(&all[i]);
    }
    for (unsigned i = 0; i < ASKS; i++) {
        question_wait(&all[i]);
        if (all[i].ask.code != OK)
            stop("request %u: %s", i, all[i].ask.err.text);
        struct decode_part *p = question_take(&all[i], 0);
        assert_int_not_equal(p->end, DECODE_GOING);
        buf_init(&answers[i], 1 << 20);
        buf_put(&answers[i], p->tokens.p, p->tokens.n);
        question_end(&all[i]);
    }
}

static void same_answers(struct buf a[ASKS], struct buf b[ASKS], const char *what) {
    for (unsigned i = 0; i < ASKS; i++) {
        if (!str_eq(buf_str(&a[i]), buf_str(&b[i])))
            stop("request %u differs: %s", i, what);
        buf_deinit(&b[i]);
    }
}

/* The same tokens alone, together, in small chunks, with pages so few that sequences go back, with
 * speculation by lookup and by another model. */
static void test_same_in_any_company(void **state) {
    struct stand s;
    struct buf alone[ASKS], other[ASKS];
    struct decode_stats stats;
    (void)state;
    stand_open(&s, 2048, 512, 1, (struct decode_options){0});
    answers_of(&s, false, alone);
    stand_close(&s);

    stand_open(&s, 2048, 512, 64, (struct decode_options){0});
    answers_of(&s, true, other);
    same_answers(alone, other, "64 together");
    answers_of(&s, true, other);
    same_answers(alone, other, "with all prefixes cached");
    decode_stats(s.d, &stats);
    assert_true(stats.prefix_blocks > 0);
    stand_close(&s);

    stand_open(&s, 2048, 32, 16, (struct decode_options){.chunk = 7});
    answers_of(&s, true, other);
    same_answers(alone, other, "in chunks of 7");
    stand_close(&s);

    stand_open(&s, 40, 64, 16, (struct decode_options){0});
    answers_of(&s, true, other);
    same_answers(alone, other, "in 40 pages");
    decode_stats(s.d, &stats);
    assert_true(stats.preempted > 0);
    stand_close(&s);

    stand_open(&s, 400, 512, 16, (struct decode_options){.speculate = 4, .always = true});
    answers_of(&s, true, other);
    same_answers(alone, other, "with prompt lookup");
    stand_close(&s);

    stand_open(&s, 400, 512, 16, (struct decode_options){.speculate = 5, .always = true});
    s.d->options.draft = &s.draft;
    answers_of(&s, true, other);
    same_answers(alone, other, "with a draft model");
    decode_stats(s.d, &stats);
    assert_true(stats.accepted > 20); /* greedy requests agree: it is the same model */
    stand_close(&s);

    stand_open(&s, 400, 512, 16, (struct decode_options){.speculate = 5, .always = true});
    s.draft.salt = 99;
    s.d->options.draft = &s.draft;
    answers_of(&s, true, other);
    same_answers(alone, other, "with a draft model that is always wrong");
    stand_close(&s);

    stand_open(&s, 400, 512, 16, (struct decode_options){.speculate = 5, .always = true});
    s.draft.vocab = 250; /* prompts and answers hold tokens it has not */
    s.d->options.draft = &s.draft;
    answers_of(&s, true, other);
    same_answers(alone, other, "with a draft model of fewer tokens");
    stand_close(&s);
    for (unsigned i = 0; i < ASKS; i++)
        buf_deinit(&alone[i]);
}

/* Text that repeats is guessed by lookup, in fewer steps. */
static void test_lookup_saves_steps(void **state) {
    size_t steps[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct stand s;
        struct question q;
        stand_open(&s, 256, 128, 1,
                   (struct decode_options){.speculate = k ? 8 : 0, .always = true});
        s.forward.repeats = 10;
        question_init(&q, 3, 40, 100);
        decode_submit(s.d, &q.ask);
        question_wait(&q);
        steps[k] = s.forward.steps;
        question_end(&q);
        stand_close(&s);
    }
    assert_true(steps[1] * 3 < steps[0]);
}

/* The second of two equal prompts computes only its last page. */
static void test_prefix_is_reused(void **state) {
    struct stand s;
    struct question q;
    size_t rows[2];
    (void)state;
    stand_open(&s, 256, 512, 4, (struct decode_options){0});
    for (int k = 0; k < 2; k++) {
        s.forward.n_rows = 0;
        question_init(&q, 3, 200, 1);
        decode_submit(s.d, &q.ask);
        question_wait(&q);
        rows[k] = s.forward.n_rows;
        assert_int_equal(q.ask.n_cached, k ? 199 / KV_PAGE * KV_PAGE : 0);
        question_end(&q);
    }
    assert_int_equal(rows[0], 200);
    assert_int_equal(rows[1], 200 - 199 / KV_PAGE * KV_PAGE);
    stand_close(&s);
}

static void test_choices(void **state) {
    struct stand s;
    struct question q;
    (void)state;
    stand_open(&s, 512, 512, 8, (struct decode_options){0});
    question_init(&q, 5, 150, 20);
    q.ask.sample.temperature = 1;
    q.ask.choices = 4;
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    assert_int_equal(q.ask.code, OK);
    for (int k = 0; k < 4; k++)
        question_take(&q, k);
    assert_false(str_eq(buf_str(&q.parts[0].tokens), buf_str(&q.parts[1].tokens)));
    assert_true(s.forward.n_rows < 150 + 4 * (20 + KV_PAGE)); /* the prompt was computed once */
    question_end(&q);

    question_init(&q, 5, 150, 20);
    q.ask.sample.temperature = 1;
    q.ask.best_of = 4;
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    assert_true(question_take(&q, 0)->tokens.n > 0);
    assert_int_equal(q.ask.n_made, 4);
    question_end(&q);
    stand_close(&s);
}

static void test_ends(void **state) {
    struct stand s;
    struct question q;
    (void)state;
    stand_open(&s, 512, 512, 8, (struct decode_options){0});
    question_init(&q, 1, 10, 7);
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    struct decode_part *p = question_take(&q, 0);
    assert_int_equal(p->end, DECODE_LENGTH);
    assert_int_equal(p->tokens.n / sizeof(struct decode_token), 7);
    char text[256];
    size_t n = p->text.n;
    memcpy(text, p->text.p, n);
    question_end(&q);

    question_init(&q, 1, 10, 7); /* the third byte of that answer as a stop string */
    const struct str stops[] = {{text + 2, 2}, LIT("never")};
    q.ask.stops = stops;
    q.ask.n_stops = 2;
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    p = question_take(&q, 0);
    assert_int_equal(p->end, DECODE_WORD);
    assert_int_equal(p->stop, 0);
    assert_true(str_eq(buf_str(&p->text), (struct str){text, 2}));
    question_end(&q);

    s.forward.end_bias = 100;
    question_init(&q, 1, 10, 7);
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    assert_int_equal(question_take(&q, 0)->end, DECODE_STOP);
    question_end(&q);

    question_init(&q, 1, 10, 7);
    q.ask.min_tokens = 3;
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    p = question_take(&q, 0);
    assert_int_equal(p->tokens.n / sizeof(struct decode_token), 4);
    question_end(&q);

    question_init(&q, 1, 100, 0); /* no limit but the context */
    q.ask.ignore_end = true;
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    p = question_take(&q, 0);
    assert_int_equal(p->end, DECODE_LENGTH);
    assert_int_equal(p->tokens.n / sizeof(struct decode_token), 412);
    question_end(&q);
    stand_close(&s);
}

static void test_grammar(void **state) {
    struct stand s;
    struct question q;
    struct grammar *g;
    struct err e;
    (void)state;
    assert_ok(
        grammar_parse(LIT("root ::= \"{\\\"\" [a-z]{1,6} \"\\\": \" [0-9]{1,3} \"}\""), &g, &e));
    stand_open(&s, 512, 512, 8, (struct decode_options){.speculate = 3, .always = true});
    for (unsigned i = 0; i < 20; i++) {
        question_init(&q, i, 10, 100);
        q.ask.grammar = g;
        q.ask.sample.temperature = i % 2 ? 1.0F : 0.0F;
        decode_submit(s.d, &q.ask);
        question_wait(&q);
        struct decode_part *p = question_take(&q, 0);
        assert_int_equal(p->end, DECODE_STOP);
        if (!grammar_matches(g, buf_str(&p->text)))
            stop("'%.*s' does not follow the grammar", STR(buf_str(&p->text)));
        question_end(&q);
    }
    stand_close(&s);
    grammar_close(g);
}

static void refused(struct stand *s, struct question *q, enum code code, const char *part) {
    decode_submit(s->d, &q->ask);
    question_wait(q);
    assert_int_equal(q->ask.code, code);
    if (!strstr(q->ask.err.text, part))
        stop("says \"%s\", expected \"%s\"", q->ask.err.text, part);
    question_end(q);
}

static void test_refused(void **state) {
    struct stand s;
    struct question q;
    static int32_t tall[600];
    (void)state;
    stand_open(&s, 20, 512, 8, (struct decode_options){0});
    question_init(&q, 1, 10, 7);
    q.ask.n_prompt = 0;
    refused(&s, &q, ERR_INVALID, "empty");
    question_init(&q, 1, 10, 7);
    q.ask.prompt = tall;
    q.ask.n_prompt = 600;
    refused(&s, &q, ERR_INVALID, "600 tokens and the context holds");
    question_init(&q, 1, 10, 7);
    q.prompt[3] = FAKE_VOCAB;
    refused(&s, &q, ERR_INVALID, "prompt token 3");
    question_init(&q, 1, 10, 7);
    q.ask.choices = 1000;
    refused(&s, &q, ERR_INVALID, "limit is 128");
    question_init(&q, 1, 10, 7);
    q.ask.sample.top_p = 2;
    refused(&s, &q, ERR_INVALID, "top_p");
    question_init(&q, 1, 10, 0);
    q.ask.deadline_ns = 1;
    refused(&s, &q, ERR_TIMEOUT, "deadline");
    s.forward.fail_at = s.forward.steps + 1;
    question_init(&q, 1, 10, 7);
    refused(&s, &q, ERR_INTERNAL, "the step failed");
    question_init(&q, 1, 10, 7); /* and the next one is served */
    refused(&s, &q, OK, "");
    stand_close(&s);
}

/* A full queue refuses at once; those it took are all answered. */
static void test_queue(void **state) {
    static struct question all[200];
    struct stand s;
    unsigned refused_n = 0;
    (void)state;
    stand_open(&s, 512, 64, 2, (struct decode_options){.queue = 10});
    for (unsigned i = 0; i < 200; i++) {
        question_init(&all[i], i, 100, 20);
        decode_submit(s.d, &all[i].ask);
    }
    for (unsigned i = 0; i < 200; i++) {
        question_wait(&all[i]);
        refused_n += all[i].ask.code == ERR_OVERLOAD;
        assert_true(all[i].ask.code == OK || all[i].ask.code == ERR_OVERLOAD);
        question_end(&all[i]);
    }
    assert_true(refused_n > 0 && refused_n < 200);
    stand_close(&s);
}

/* Whoever leaves is gone within a step: the endless ones end, the other goes on. */
static void test_cancel(void **state) {
    struct stand s;
    struct question endless[3], q;
    struct decode_slot slots[8];
    (void)state;
    stand_open(&s, 512, 64, 2, (struct decode_options){0}); /* the third waits */
    for (unsigned i = 0; i < 3; i++) {
        question_init(&endless[i], i, 100, 0);
        endless[i].ask.ignore_end = true;
        endless[i].ask.streamed = true;
        decode_submit(s.d, &endless[i].ask);
    }
    assert_int_equal(decode_slots(s.d, slots, 8), 2);
    for (unsigned i = 0; i < 3; i++)
        __atomic_store_n(&endless[i].ask.cancel, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 3; i++) {
        question_wait(&endless[i]);
        if (endless[i].ask.code != OK) /* unless it had come to the context's end */
            assert_int_equal(endless[i].ask.code, ERR_CANCELLED);
        question_end(&endless[i]);
    }
    question_init(&q, 9, 10, 5);
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    assert_int_equal(q.ask.code, OK);
    question_end(&q);
    stand_close(&s);
}

/* One slot, two who want it: the first leaves during a step, the second has the next one. */
static void test_room_within_a_step(void **state) {
    enum { LEAVES = 5, WANTED = 3 };
    struct stand s;
    struct question endless, q;
    struct decode_stats stats;
    (void)state;
    stand_open(&s, 512, 64, 1, (struct decode_options){0});
    question_init(&endless, 1, 20, 0);
    endless.ask.ignore_end = true;
    s.forward.leaves = &endless.ask.cancel;
    s.forward.leave_at = LEAVES;
    question_init(&q, 2, 20, WANTED);
    q.ask.ignore_end = true;
    decode_submit(s.d, &endless.ask);
    decode_submit(s.d, &q.ask);
    question_wait(&endless);
    question_wait(&q);
    assert_int_equal(endless.ask.code, ERR_CANCELLED);
    assert_int_equal(q.ask.code, OK);
    assert_int_equal(s.forward.steps, LEAVES + WANTED);
    decode_stats(s.d, &stats);
    assert_int_equal(stats.cancelled, 1);
    question_end(&endless);
    question_end(&q);
    stand_close(&s);
}

/* Holds the decoding thread until it is opened. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

static void wait_at_gate(struct decode_ask *a) {
    on_wake(a);
    pthread_mutex_lock(&gate.lock);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void open_gate(bool open) {
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* n questions: the others are there when the first has its first token. */
static void submit_together(struct stand *s, struct question *all, unsigned n) {
    open_gate(false);
    all[0].ask.streamed = true;
    all[0].ask.wake = wait_at_gate;
    decode_submit(s->d, &all[0].ask);
    pthread_mutex_lock(&all[0].lock);
    while (!all[0].done && all[0].wakes == 0)
        pthread_cond_wait(&all[0].changed, &all[0].lock);
    pthread_mutex_unlock(&all[0].lock);
    for (unsigned i = 1; i < n; i++)
        decode_submit(s->d, &all[i].ask);
    open_gate(true);
    for (unsigned i = 0; i < n; i++)
        question_wait(&all[i]);
}

/* One slot: higher priority first, then the client that has least, then who came first. */
static void test_who_is_next(void **state) {
    enum { N = 6 };
    static const struct {
        int priority;
        uint64_t client;
    } who[N] = {{0, 1}, {0, 1}, {0, 2}, {0, 2}, {1, 1}, {2, 1}};
    static const unsigned order[N] = {0, 5, 4, 1, 2, 3};
    static struct question all[N];
    struct stand s;
    (void)state;
    stand_open(&s, 512, 64, 1, (struct decode_options){0});
    for (unsigned i = 0; i < N; i++) {
        question_init(&all[i], i, 20, 10);
        all[i].ask.priority = who[i].priority;
        all[i].ask.client = who[i].client;
    }
    submit_together(&s, all, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(all[order[i]].ask.code, OK);
        assert_true(i == 0 || all[order[i - 1]].ask.started_ns <= all[order[i]].ask.started_ns);
        assert_true(i == 0 || all[order[i - 1]].ask.ended_ns <= all[order[i]].ask.ended_ns);
    }
    for (unsigned i = 0; i < N; i++)
        question_end(&all[i]);
    stand_close(&s);
}

/* Two slots, a client with many questions and one that has one: it need not wait for all. */
static void test_fairness(void **state) {
    enum { N = 6, OTHER = 5 };
    static struct question all[N];
    struct stand s;
    (void)state;
    stand_open(&s, 512, 64, 2, (struct decode_options){0});
    for (unsigned i = 0; i < N; i++) {
        question_init(&all[i], i, 20, i == 0 ? 40 : 10);
        all[i].ask.ignore_end = true;
        all[i].ask.client = i == OTHER ? 2 : 1;
    }
    submit_together(&s, all, N);
    for (unsigned i = 2; i < OTHER; i++)
        assert_true(all[OTHER].ask.started_ns <= all[i].ask.started_ns);
    for (unsigned i = 0; i < N; i++)
        question_end(&all[i]);
    stand_close(&s);
}

/* Once it has its first token. */
static void time_is_over(struct decode_ask *a) {
    a->deadline_ns = 1;
    on_wake(a);
}

/* Whoever's time is over is told so, in the queue and while running. */
static void test_deadline(void **state) {
    enum { N = 3 };
    static struct question all[N];
    struct stand s;
    (void)state;
    stand_open(&s, 512, 64, 1, (struct decode_options){0});
    for (unsigned i = 0; i < N; i++) {
        question_init(&all[i], i, 20, 30);
        all[i].ask.ignore_end = true;
        all[i].ask.deadline_ns = i == 1 ? clock_ns() + 1 : 0;
    }
    submit_together(&s, all, N);
    assert_int_equal(all[0].ask.code, OK);
    assert_int_equal(all[1].ask.code, ERR_TIMEOUT);
    assert_non_null(strstr(all[1].ask.err.text, "deadline"));
    assert_int_equal(all[2].ask.code, OK);
    for (unsigned i = 0; i < N; i++)
        question_end(&all[i]);

    question_init(&all[0], 0, 20, 30);
    all[0].ask.streamed = true;
    all[0].ask.wake = time_is_over;
    decode_submit(s.d, &all[0].ask);
    question_wait(&all[0]);
    assert_int_equal(all[0].ask.code, ERR_TIMEOUT);
    assert_int_equal(all[0].ask.n_generated, 1);
    question_end(&all[0]);
    stand_close(&s);
}

/* Streaming: wakes come, pieces joined are the whole; closing ends what runs. */
static void test_streaming(void **state) {
    struct stand s;
    struct question q;
    struct buf text;
    (void)state;
    stand_open(&s, 512, 64, 2, (struct decode_options){0});
    question_init(&q, 4, 30, 40);
    decode_submit(s.d, &q.ask);
    question_wait(&q);
    buf_init(&text, 1 << 20);
    buf_put_str(&text, buf_str(&question_take(&q, 0)->text));
    question_end(&q);

    struct buf pieces;
    buf_init(&pieces, 1 << 20);
    question_init(&q, 4, 30, 40);
    q.ask.streamed = true;
    decode_submit(s.d, &q.ask);
    pthread_mutex_lock(&q.lock);
    for (bool last = false; !last;) {
        while (!q.done && q.wakes == 0)
            pthread_cond_wait(&q.changed, &q.lock);
        q.wakes = 0;
        last = q.done;
        buf_put_str(&pieces, buf_str(&question_take(&q, 0)->text));
    }
    pthread_mutex_unlock(&q.lock);
    assert_true(str_eq(buf_str(&pieces), buf_str(&text)));
    assert_int_equal(q.parts[0].end, DECODE_LENGTH);
    question_end(&q);
    buf_deinit(&text);
    buf_deinit(&pieces);

    question_init(&q, 4, 30, 0);
    q.ask.ignore_end = true;
    decode_submit(s.d, &q.ask);
    decode_close(s.d);
    question_wait(&q);
    assert_true(q.ask.code == ERR_UNAVAILABLE || q.ask.code == OK);
    question_end(&q);
    fake_close(&s.forward);
    fake_close(&s.draft);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_in_any_company),
        cmocka_unit_test(test_lookup_saves_steps),
        cmocka_unit_test(test_prefix_is_reused),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_room_within_a_step),
        cmocka_unit_test(test_who_is_next),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_streaming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* slipway bench of a language model.
 *
 * single:  the forward pass alone: a prompt of 512 tokens, then answers of 1, 8, 16 and 64
 *          sequences at one time; the best of --runs rounds. An encoder: 64 texts of 64 tokens.
 * server:  requests through the decoder, as a server has them: random arrivals at --rate a second,
 *          64 tokens in, 64 out. TTFT is the time to the first token from the *scheduled* arrival,
 *          TPOT the time per token after it, latency that of the whole answer.
 * offline: the same with all requests there at once. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cli/bench.h"
#include "cli/facts.h"
#include "host/loaded.h"
#include "llm/stopwatch.h"

enum { WIDTHS = 4, PREFILL = 512, ROUNDS = 3, REQUESTS = 64, PROMPT = 64, ANSWER = 64, TEXTS = 64 };
static const int widths[WIDTHS] = {1, 8, 16, 64};

static double ms(uint64_t ns) { return (double)ns / 1e6; }

static const char *rate_text(struct cli *c, double v) {
    const char *text = arena_printf(&c->arena, v < 100 ? "%.1f" : "%.0f", v);
    return text ? text : "?";
}

/* --- single --- */

struct speeds { /* per second */
    double prefill, decode[WIDTHS], embed;
};

static void note(double now, double *best) { *best = now > *best ? now : *best; }

static enum code time_forward(struct forward *f, size_t rounds, struct speeds *s, struct err *e) {
    double now;
    for (size_t i = 0; i < rounds; i++) {
        if (forward_is_encoder(f)) {
            TRY(stopwatch_embed(f, TEXTS, PROMPT, &now, e));
            note(now, &s->embed);
            continue;
        }
        TRY(stopwatch_prefill(f, PREFILL, &now, e));
        note(now, &s->prefill);
        for (int k = 0; k < WIDTHS; k++) {
            TRY(stopwatch_decode(f, k ? 32 : 64, widths[k], &now, e));
            note(now, &s->decode[k]);
        }
    }
    return OK;
}

static void put_machine(struct json_out *w, const char *scenario, const struct bench_plan *p,
                        size_t runs) {
    json_put_member_text(w, "scenario", scenario);
    json_put_member_i64(w, "threads", p->threads);
    json_put_member_text(w, "cpu", cpu_level());
    json_put_member_i64(w, "runs", (int64_t)runs);
}

static enum code speeds_json(const struct speeds *s, const struct bench_plan *p, size_t rounds,
                             struct err *e) {
    struct json_out w;
    struct buf b;
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    put_machine(&w, "single", p, rounds);
    if (s->embed > 0) {
        json_put_member_f64(&w, "texts_per_second", s->embed);
    } else {
        json_put_member_f64(&w, "prefill_tokens_per_second", s->prefill);
        json_put_key(&w, "decode");
        json_put_array(&w);
        for (int k = 0; k < WIDTHS; k++) {
            json_put_object(&w);
            json_put_member_i64(&w, "sequences", widths[k]);
            json_put_member_f64(&w, "tokens_per_second", s->decode[k]);
            json_put_object_end(&w);
        }
        json_put_array_end(&w);
    }
    json_put_member_i64(&w, "resident_bytes", (int64_t)bench_resident_bytes());
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static void print_speeds(struct cli *c, const struct speeds *s, const struct bench_plan *p) {
    printf("%d thread%s, %s\n", p->threads, p->threads == 1 ? "" : "s", cpu_level());
    if (s->embed > 0) {
        printf("  embed %-12s %s texts/s\n", "64 x 64", rate_text(c, s->embed));
    } else {
        printf("  prefill %-10d %s tokens/s\n", PREFILL, rate_text(c, s->prefill));
        for (int k = 0; k < WIDTHS; k++)
            printf("  decode %-11d %s tokens/s\n", widths[k], rate_text(c, s->decode[k]));
    }
    printf("  resident %-9s %s\n", "", print_size(&c->arena, bench_resident_bytes()));
}

static enum code single(struct cli *c, const struct loaded *l, const struct bench_plan *p,
                        struct err *e) {
    struct forward_options o = {
        .threads = p->threads, .max_sequences = 64, .context = 1024, .kv_dtype = p->kv_dtype};
    size_t rounds = p->runs ? p->runs : ROUNDS;
    struct llm_facts facts;
    struct forward *f;
    struct speeds s = {0};
    TRY(llm_facts_read(l->model, &facts, e));
    o.max_rows = str_is(facts.arch, "bert") ? TEXTS * PROMPT : PREFILL;
    TRY(forward_open(l->model, &facts, &o, &f, e));
    enum code code = time_forward(f, rounds, &s, e);
    if (code == OK && c->json)
        code = speeds_json(&s, p, rounds, e);
    else if (code == OK)
        print_speeds(c, &s, p);
    forward_close(f);
    return code;
}

/* --- server, offline --- */

struct load;
struct question {
    struct decode_ask ask;
    struct load *load;
    uint64_t scheduled; /* monotonic */
    int32_t prompt[PROMPT];
};

struct load {
    struct question *all; /* (n) */
    size_t n;
    double rate;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t done;
    uint64_t wall_ns;
    bool guessed; /* a draft model helped: */
    uint64_t drafted, accepted, steps, skipped;
};

static void on_done(struct decode_ask *a) {
    struct load *l = ((struct question *)a->user)->load;
    pthread_mutex_lock(&l->lock);
    l->done++;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* Prompts that share no beginning: nothing comes from the prefix cache. */
static void make_question(struct load *l, size_t i, size_t vocab) {
    struct question *q = &l->all[i];
    uint64_t state = i + 1;
    *q = (struct question){.load = l};
    for (int k = 0; k < PROMPT; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        q->prompt[k] = (int32_t)((state >> 33) % vocab);
    }
    sample_options_default(&q->ask.sample);
    q->ask.sample.temperature = 0;
    q->ask.prompt = q->prompt;
    q->ask.n_prompt = PROMPT;
    q->ask.max_tokens = ANSWER;
    q->ask.ignore_end = true;
    q->ask.done = on_done;
    q->ask.user = q;
}

static enum code answer_all(struct load *l, struct decode *d, const uint64_t *at, struct err *e) {
    uint64_t began = clock_ns();
    for (size_t i = 0; i < l->n; i++) {
        l->all[i].scheduled = began + at[i];
        bench_sleep_until(l->all[i].scheduled);
        decode_submit(d, &l->all[i].ask);
    }
    pthread_mutex_lock(&l->lock);
    while (l->done < l->n)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
    l->wall_ns = clock_ns() - began;
    for (size_t i = 0; i < l->n; i++)
        if (l->all[i].ask.code != OK) {
            *e = l->all[i].ask.err;
            e->code = l->all[i].ask.code;
            return e->code;
        }
    return OK;
}

enum { TTFT, TPOT, LATENCY, TIMES };
static const char *const names[TIMES] = {"ttft", "tpot", "latency"};

static void take_times(const struct load *l, uint64_t *times[TIMES]) {
    for (size_t i = 0; i < l->n; i++) {
        const struct question *q = &l->all[i];
        times[TTFT][i] = q->ask.first_ns - q->scheduled;
        times[TPOT][i] = (q->ask.ended_ns - q->ask.first_ns) / (ANSWER - 1);
        times[LATENCY][i] = q->ask.ended_ns - q->scheduled;
    }
    for (int k = 0; k < TIMES; k++)
        bench_sort(times[k], l->n);
}

static const struct {
    const char *name;
    double p;
} ranks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
enum { RANKS = sizeof ranks / sizeof *ranks };

static enum code load_json(const struct load *l, const struct bench_plan *p, uint64_t *times[TIMES],
                           struct err *e) {
    struct json_out w;
    struct buf b;
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    put_machine(&w, p->o->scenario, p, l->n);
    if (l->rate > 0)
        json_put_member_f64(&w, "rate", l->rate);
    json_put_member_i64(&w, "prompt_tokens", PROMPT);
    json_put_member_i64(&w, "answer_tokens", ANSWER);
    json_put_member_f64(&w, "tokens_per_second", (double)l->n * ANSWER * 1e9 / (double)l->wall_ns);
    if (l->guessed) {
        json_put_member_i64(&w, "drafted_tokens", (int64_t)l->drafted);
        json_put_member_i64(&w, "accepted_tokens", (int64_t)l->accepted);
        json_put_member_i64(&w, "steps", (int64_t)l->steps);
        json_put_member_i64(&w, "skipped_steps", (int64_t)l->skipped);
    }
    for (int k = 0; k < TIMES; k++) {
        json_put_key_str(&w, str_of(names[k]));
        json_put_object(&w);
        for (int r = 0; r < RANKS; r++) {
            char key[16];
            snprintf(key, sizeof key, "%s_ms", ranks[r].name);
            json_put_member_f64(&w, key, ms(bench_percentile(times[k], l->n, ranks[r].p)));
        }
        json_put_object_end(&w);
    }
    json_put_member_i64(&w, "resident_bytes", (int64_t)bench_resident_bytes());
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static void print_load(struct cli *c, const struct load *l, const struct bench_plan *p,
                       uint64_t *times[TIMES]) {
    const char *cells[TIMES * (RANKS + 1)];
    const char *text;
    printf("%s, %d thread%s, %s, %zu requests of %d + %d tokens", p->o->scenario, p->threads,
           p->threads == 1 ? "" : "s", cpu_level(), l->n, PROMPT, ANSWER);
    if (l->rate > 0)
        printf(", %.2f a second", l->rate);
    printf(": %s tokens/s\n", rate_text(c, (double)l->n * ANSWER * 1e9 / (double)l->wall_ns));
    if (l->guessed)
        printf("  drafted %llu tokens, %llu were right; it did not pay in %llu of %llu steps\n",
               (unsigned long long)l->drafted, (unsigned long long)l->accepted,
               (unsigned long long)l->skipped, (unsigned long long)l->steps);
    for (int k = 0; k < TIMES; k++) {
        cells[k * (RANKS + 1)] = names[k];
        for (int r = 0; r < RANKS; r++) {
            text = print_duration(&c->arena, bench_percentile(times[k], l->n, ranks[r].p));
            cells[k * (RANKS + 1) + r + 1] = text ? text : "?";
        }
    }
    print_table(c, &(struct table){.heads = {"", "P50", "P90", "P99", "MAX"},
                                   .right = {[1] = true, [2] = true, [3] = true, [4] = true},
                                   .columns = RANKS + 1,
                                   .cells = cells,
                                   .rows = TIMES});
}

/* 70 % of what the machine does with many at one time, where no rate was given. */
static enum code choose_rate(struct language *g, const struct bench_plan *p, double *rate,
                             struct err *e) {
    double prefill, decode;
    *rate = p->rate;
    if (p->rate > 0 || strcmp(p->o->scenario, "offline") == 0)
        return OK;
    TRY(stopwatch_prefill(g->forward, PREFILL, &prefill, e));
    TRY(stopwatch_decode(g->forward, 16, 16, &decode, e));
    *rate = 0.7 / (PROMPT / prefill + ANSWER / decode);
    return OK;
}

static enum code run_load(struct cli *c, struct language *g, const struct bench_plan *p,
                          struct load *l, struct err *e) {
    uint64_t *at = ARENA_ARRAY(&c->arena, l->n, uint64_t), *times[TIMES];
    l->all = ARENA_ARRAY(&c->arena, l->n, struct question);
    for (int k = 0; k < TIMES; k++)
        times[k] = ARENA_ARRAY(&c->arena, l->n, uint64_t);
    if (!at || !l->all || !times[0] || !times[1] || !times[2])
        return arena_fail(&c->arena, l->n * sizeof *l->all, "requests", e);
    TRY(choose_rate(g, p, &l->rate, e));
    if (l->rate > 0)
        bench_schedule(l->rate, at, l->n);
    for (size_t i = 0; i < l->n; i++)
        make_question(l, i, forward_vocab(g->forward));
    struct decode_stats stats;
    enum code code = answer_all(l, g->decode, at, e);
    decode_stats(g->decode, &stats);
    l->guessed = g->draft != NULL;
    l->drafted = stats.drafted;
    l->accepted = stats.accepted;
    l->steps = stats.steps;
    l->skipped = stats.skipped;
    for (size_t i = 0; i < l->n; i++)
        decode_ask_end(&l->all[i].ask);
    TRY(code);
    take_times(l, times);
    if (c->json)
        return load_json(l, p, times, e);
    print_load(c, l, p, times);
    return OK;
}

/* --draft's, else the version's. */
static enum code load_draft(struct cli *c, const struct loaded *m, const char *wanted,
                            struct loaded *out, struct err *e) {
    struct store_info info;
    struct loaded_draft d = {.first = str_of(wanted ? wanted : "")};
    struct str name = loaded_draft_name(m, &d);
    *out = (struct loaded){0};
    if (!name.n)
        return OK;
    const char *text = arena_printf(&c->arena, "%.*s", STR(name));
    if (!text)
        return arena_fail(&c->arena, name.n + 1, "name", e);
    TRY(facts_resolve(c->store, text, &c->arena, &info, e));
    return loaded_open_model(c->store, info.model, info.version, out, e);
}

static enum code run_many(struct cli *c, const struct loaded *m, const struct loaded *draft,
                          const struct bench_plan *p, struct err *e) {
    struct load l = {.n = p->runs ? p->runs : REQUESTS};
    const struct language_options o = {.threads = p->threads,
                                       .context = 1024,
                                       .kv_dtype = p->kv_dtype,
                                       .queue = l.n,
                                       .model = LIT("bench"),
                                       .version = LIT("1")};
    struct language *g;
    TRY(language_open(m->model, draft->model, &o, &g, e));
    pthread_mutex_init(&l.lock, NULL);
    pthread_cond_init(&l.changed, NULL);
    enum code code = g->encoder ? fail(e, INVALID, "an encoder: only --scenario single measures it")
                                : run_load(c, g, p, &l, e);
    pthread_cond_destroy(&l.changed);
    pthread_mutex_destroy(&l.lock);
    language_close(g);
    return code;
}

static enum code many(struct cli *c, const struct loaded *m, const struct bench_plan *p,
                      struct err *e) {
    struct loaded draft;
    TRY(load_draft(c, m, p->o->draft, &draft, e));
    enum code code = run_many(c, m, &draft, p, e);
    loaded_close(&draft);
    return code;
}

enum code bench_language(struct cli *c, const struct loaded *l, const struct bench_plan *p,
                         struct err *e) {
    if (p->o->profile || p->o->shapes.n || p->o->batch)
        return fail(e, USAGE,
                    "--profile, --shape and --batch are for graphs, this is a language "
                    "model");
    if (p->o->draft && strcmp(p->o->scenario, "single") == 0)
        return fail(e, USAGE, "--draft: only --scenario server and offline decode with one");
    return strcmp(p->o->scenario, "single") == 0 ? single(c, l, p, e) : many(c, l, p, e);
}

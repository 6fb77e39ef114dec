/* SPDX-License-Identifier: Apache-2.0 */
/* slipway chat: talk to a language model in the terminal. Answers stream; Ctrl-C stops one (and, at
 * the prompt, ends); the conversation so far is the next question's history. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/thread.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "host/loaded.h"
#include "base/cores.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { HISTORY_BYTES = 16 << 20, MAX_TOKENS = 512 };

struct options {
    const char *system, *temperature, *kv_type;
    int64_t threads, max_tokens, seed, context;
};

struct talk { /* one conversation */
    const struct cli *cli;
    const struct options *options;
    struct language *language;
    struct buf turns; /* JSON objects with ',' between */
    struct sample_options sample;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool something, done;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* --- history --- */

static void add_turn(struct talk *t, const char *role, struct str text) {
    struct json_out w;
    if (t->turns.n)
        buf_put_byte(&t->turns, ',');
    json_out_init(&w, &t->turns, 0);
    json_put_object(&w);
    json_put_member_text(&w, "role", role);
    json_put_member_str(&w, "content", text);
    json_put_object_end(&w);
}

static void forget(struct talk *t) {
    buf_clear(&t->turns);
    if (t->options->system)
        add_turn(t, "system", str_of(t->options->system));
}

static enum code tokens_of(const struct talk *t, struct arena *a, int32_t **ids, size_t *n,
                           struct err *e) {
    struct str rendered;
    if (!t->language->chat)
        return fail(e, INVALID, "the model has no chat template");
    char *all = arena_push(a, t->turns.n + 2);
    if (!all)
        return arena_fail(a, t->turns.n, "the conversation", e);
    all[0] = '[';
    memcpy(all + 1, t->turns.p, t->turns.n);
    all[t->turns.n + 1] = ']';
    const struct chat_ask ask = {.messages_json = {all, t->turns.n + 2}, .generation_prompt = true};
    return chat_tokens(t->language->chat, &ask, a, ids, n, &rendered, e);
}

/* --- one answer --- */

static void notify(struct decode_ask *ask, bool done) {
    struct talk *t = ask->user;
    pthread_mutex_lock(&t->lock);
    t->something = true;
    t->done = t->done || done;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
static void on_wake(struct decode_ask *ask) { notify(ask, false); }
static void on_done(struct decode_ask *ask) { notify(ask, true); }

/* Waits for a piece; looks at each one, and every 100 ms, whether Ctrl-C was pressed. */
static bool wait_piece(struct talk *t, struct decode_ask *ask) {
    pthread_mutex_lock(&t->lock);
    do {
        if (interrupted)
            __atomic_store_n(&ask->cancel, true, __ATOMIC_RELAXED);
        if (!t->something)
            (void)thread_cond_wait_until(&t->changed, &t->lock, clock_ns() + 100000000);
    } while (!t->something);
    t->something = false;
    bool done = t->done;
    pthread_mutex_unlock(&t->lock);
    return done;
}

static void print_rates(const struct talk *t, const struct decode_ask *a) {
    double first = (double)(a->first_ns - a->queued_ns) / 1e6;
    double rest = (double)(a->ended_ns - a->first_ns) / 1e9;
    if (t->cli->terminal && !t->cli->quiet && a->first_ns && a->n_generated > 1)
        fprintf(stderr, "  [%zu tokens, first after %.0f ms, then %.1f a second]\n", a->n_generated,
                first, rest > 0 ? (double)(a->n_generated - 1) / rest : 0);
}

static enum code stream(struct talk *t, struct decode_ask *ask, struct buf *answer, struct err *e) {
    struct decode_part part = {0};
    t->something = t->done = false;
    decode_submit(t->language->decode, ask);
    for (bool done = false; !done;) {
        done = wait_piece(t, ask);
        decode_take(t->language->decode, ask, 0, &part);
        if (part.text.n) {
            fwrite(part.text.p, 1, part.text.n, stdout);
            fflush(stdout);
            buf_put_str(answer, buf_str(&part.text));
        }
    }
    interrupted = 0; /* it stopped this answer, not the next */
    printf("\n");
    if (part.end == DECODE_LENGTH)
        fprintf(stderr, "  [cut: --max-tokens or the context's end]\n");
    print_rates(t, ask);
    enum code code = ask->code;
    if (code != OK && code != ERR_CANCELLED)
        *e = ask->err;
    decode_part_end(&part);
    decode_ask_end(ask);
    return code == ERR_CANCELLED ? OK : code;
}

static enum code answer(struct talk *t, struct str question, struct err *e) {
    struct decode_ask ask = {.choices = 1, .streamed = true, .wake = on_wake, .done = on_done};
    struct arena a;
    struct buf text;
    int32_t *ids;
    arena_init(&a, HISTORY_BYTES * 8);
    buf_init(&text, HISTORY_BYTES);
    add_turn(t, "user", question);
    enum code code = tokens_of(t, &a, &ids, &ask.n_prompt, e);
    if (code == OK) {
        ask.prompt = ids;
        ask.user = t;
        ask.sample = t->sample;
        ask.max_tokens = t->options->max_tokens > 0 ? (size_t)t->options->max_tokens : MAX_TOKENS;
        code = stream(t, &ask, &text, e);
    }
    if (code == OK)
        add_turn(t, "assistant", buf_str(&text));
    buf_deinit(&text);
    arena_deinit(&a);
    return code;
}

/* --- the terminal --- */

static void print_help(void) {
    fprintf(stderr, "  /system TEXT  begin anew with these instructions\n"
                    "  /clear        forget the conversation\n"
                    "  /quit         leave (or Ctrl-D); Ctrl-C stops an answer\n");
}

/* true: leave */
static bool obey(struct talk *t, struct str line) {
    if (str_is(line, "/quit") || str_is(line, "/exit") || str_is(line, "/bye"))
        return true;
    if (str_is(line, "/clear")) {
        forget(t);
    } else if (str_starts(line, "/system ")) {
        buf_clear(&t->turns);
        add_turn(t, "system", str_sub(line, 8, line.n));
    } else {
        print_help();
    }
    return false;
}

/* Prompts and waits for a line of a terminal, which hands out whole ones; false: Ctrl-C. The signal
 * is let in only while waiting: one that came between the prompt and the read would be lost. */
static bool line_is_typed(void) {
    struct pollfd typed = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t interrupt, usual;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &usual);
    interrupted = 0;
    fprintf(stderr, "> ");
    while (ppoll(&typed, 1, NULL, &usual) < 0 && !interrupted)
        ; /* another signal than Ctrl-C's */
    pthread_sigmask(SIG_SETMASK, &usual, NULL);
    return !interrupted;
}

static enum code converse(struct talk *t, struct err *e) {
    char *line = NULL;
    size_t room = 0;
    enum code code = OK;
    bool prompts = isatty(STDIN_FILENO);
    if (prompts && !t->cli->quiet)
        fprintf(stderr, "  /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves\n");
    while (code == OK) {
        if (prompts && !line_is_typed())
            break;
        ssize_t n = getline(&line, &room, stdin);
        if (n < 0)
            break;
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        struct str text = {line, (size_t)n};
        if (text.n == 0)
            continue;
        if (text.p[0] == '/') {
            if (obey(t, text))
                break;
            continue;
        }
        code = answer(t, text, e);
    }
    free(line); /* getline's own */
    if (prompts)
        fprintf(stderr, "\n");
    return code;
}

static enum code open_talk(struct talk *t, struct loaded *l, struct err *e) {
    const struct options *o = t->options;
    t->language = l->language;
    if (!t->language || !t->language->decode)
        return fail(e, INVALID, "this model does not generate text");
    buf_init(&t->turns, HISTORY_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    thread_cond_init(&t->changed);
    sample_options_default(&t->sample);
    t->sample.temperature = 0.8f;
    t->sample.top_p = 0.95f;
    preset_apply(&t->language->preset, &t->sample);
    t->sample.seed = o->seed ? (uint64_t)o->seed : clock_ns();
    if (o->temperature) {
        double v;
        if (!str_to_f64(str_of(o->temperature), &v))
            return fail(e, USAGE, "--temperature: '%s' is not a number", o->temperature);
        t->sample.temperature = (float)v;
    }
    forget(t);
    return OK;
}

static enum code talk(struct cli *c, struct loaded *l, struct err *e) {
    struct talk t = {.cli = c, .options = c->options};
    struct sigaction on = {.sa_handler = on_interrupt};
    TRY(open_talk(&t, l, e));
    sigaction(SIGINT, &on, NULL);
    enum code code = OK;
    for (int i = 1; code == OK && i < c->n_args; i++)
        code = answer(&t, str_of(c->args[i]), e);
    if (code == OK && c->n_args < 2)
        code = converse(&t, e);
    buf_deinit(&t.turns);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    struct store_info info;
    struct loaded l;
    enum dtype kv_dtype;
    TRY(options_kv_type(o->kv_type, &kv_dtype, e));
    TRY(facts_resolve(c->store, c->args[0], &c->arena, &info, e));
    int threads = o->threads > 0 ? (int)o->threads : cpu_cores();
    cores_setup(threads);
    const struct language_options lo = {.threads = threads,
                                        .sequences = 1,
                                        .context = o->context > 0 ? (size_t)o->context : 0,
                                        .kv_dtype = kv_dtype,
                                        .model = info.model,
                                        .version = LIT("0")};
    TRY(loaded_open_any(c->store, info.model, info.version,
                        &(struct loaded_options){.language = &lo}, &l, e));
    enum code code =
        l.language ? talk(c, &l, e)
                   : fail(e, INVALID, "'%s' is not a language model: slipway predict", c->args[0]);
    loaded_close(&l);
    return code;
}

#define AT(field) offsetof(struct options, field)
static const struct option options[] = {
    {"system", 's', OPTION_TEXT, AT(system), "TEXT", "instructions for the model", NULL},
    {"temperature", 0, OPTION_TEXT, AT(temperature), "T",
     "0: always the likeliest word (the model's own, or 0.8)", NULL},
    {"max-tokens", 'n', OPTION_INT, AT(max_tokens), "N", "of one answer (512)", NULL},
    {"seed", 0, OPTION_INT, AT(seed), "N", "the same answers again", NULL},
    {"context", 0, OPTION_INT, AT(context), "N", "tokens of the whole conversation (the model's)",
     NULL},
    {"kv-type", 0, OPTION_TEXT, AT(kv_type), "TYPE", OPTIONS_KV_TYPE, NULL},
    {"threads", 't', OPTION_INT, AT(threads), "N", "cores to use (all)", "SLIPWAY_THREADS"},
    {0},
};

const struct command command_chat = {
    .name = "chat",
    .synopsis = "MODEL[@VERSION|@ALIAS] [QUESTION...]",
    .about = "Talk to a language model in the terminal.",
    .help = "With QUESTIONs it answers them and leaves; without, it reads lines.\n\n"
            "  slipway chat smollm2\n"
            "  slipway chat smollm2 'What is the capital of France?' --temperature 0\n"
            "  slipway chat smollm2 --system 'Answer in one word.'",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 64,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};

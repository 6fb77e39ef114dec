/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: see decode.h. The loop is at the bottom; above it what a step does, in order. */
#include "llm/decode_in.h"

#include "base/clock.h"
#include "base/mem.h"

static const char *end_name(enum decode_end end) {
    return end == DECODE_LENGTH ? "length" : end == DECODE_GOING ? "abort" : "stop";
}

/* --- asks --- */

size_t decode_context(const struct decode *d) { return d->context; }

void decode_part_end(struct decode_part *p) {
    buf_deinit(&p->text);
    buf_deinit(&p->tokens);
    buf_deinit(&p->logprobs);
}

void decode_ask_end(struct decode_ask *a) {
    for (int i = 0; a->parts && i < a->n_made; i++)
        decode_part_end(&a->parts[i]);
    if (a->parts)
        pthread_mutex_destroy(&a->lock);
    mem_free(a->parts);
    mem_free(a->strands);
    mem_free(a->kept);
    a->parts = NULL;
    a->strands = NULL;
    a->kept = NULL;
}

static enum code ask_check(const struct decode *d, struct decode_ask *a, struct err *e) {
    a->choices = a->choices > 0 ? a->choices : 1;
    a->n_made = a->best_of > a->choices ? a->best_of : a->choices;
    if (a->n_made > DECODE_CHOICES)
        return fail(e, INVALID, "%d answers asked for at once, the limit is %d", a->n_made,
                    DECODE_CHOICES);
    if (a->n_prompt == 0)
        return fail(e, INVALID, "the prompt is empty");
    if (a->n_prompt >= d->context)
        return fail(e, INVALID,
                    "the prompt has %zu tokens and the context holds %zu: shorten it, or serve "
                    "with a larger --context",
                    a->n_prompt, d->context);
    for (size_t i = 0; i < a->n_prompt; i++)
        if (a->prompt[i] < 0 || (size_t)a->prompt[i] >= d->vocab)
            return fail(e, INVALID, "prompt token %zu is %d, the vocabulary has %zu", i,
                        (int)a->prompt[i], d->vocab);
    return sample_options_check(&a->sample, d->vocab, e);
}

static enum code ask_begin(const struct decode *d, struct decode_ask *a, struct err *e) {
    enum { PART_BYTES = 256 << 20 };
    TRY(ask_check(d, a, e));
    a->parts = mem_zalloc((size_t)a->n_made, sizeof *a->parts);
    a->strands = mem_zalloc((size_t)a->n_made, sizeof(struct strand *));
    if (!a->parts || !a->strands) {
        mem_free(a->parts);
        a->parts = NULL;
        return fail(e, NOMEM, "no memory for %d answers", a->n_made);
    }
    pthread_mutex_init(&a->lock, NULL);
    for (int i = 0; i < a->n_made; i++) {
        buf_init(&a->parts[i].text, PART_BYTES);
        buf_init(&a->parts[i].tokens, PART_BYTES);
        buf_init(&a->parts[i].logprobs, PART_BYTES);
    }
    return OK;
}

static enum code enqueue(struct decode *d, struct decode_ask *a, struct err *e) {
    enum code code = OK;
    size_t n = (size_t)a->n_made;
    pthread_mutex_lock(&d->lock);
    if (d->closing) {
        code = fail(e, UNAVAILABLE, "the model is being unloaded");
    } else if (d->n_incoming + d->n_waiting + n > d->options.queue + (size_t)d->options.sequences) {
        code = fail(e, OVERLOAD, "the queue is full: %zu answers wait (--queue)",
                    d->n_incoming + d->n_waiting);
    } else {
        *d->incoming_end = a;
        d->incoming_end = &a->next;
        d->n_incoming += n;
        pthread_cond_signal(&d->work);
    }
    pthread_mutex_unlock(&d->lock);
    return code;
}

void decode_submit(struct decode *d, struct decode_ask *a) {
    a->next = NULL;
    a->code = OK;
    a->queued_ns = clock_ns();
    if (ask_begin(d, a, &a->err) == OK && enqueue(d, a, &a->err) == OK)
        return;
    a->code = a->err.code;
    a->done(a);
}

static void swap_bufs(struct buf *a, struct buf *b) {
    struct buf t = *a;
    *a = *b;
    *b = t;
    buf_clear(b);
}

void decode_take(struct decode *d, struct decode_ask *a, int k, struct decode_part *into) {
    if (!a->parts)
        return;
    if (into->text.cap_bytes == 0) {
        buf_init(&into->text, SIZE_MAX / 2);
        buf_init(&into->tokens, SIZE_MAX / 2);
        buf_init(&into->logprobs, SIZE_MAX / 2);
    }
    pthread_mutex_lock(&a->lock);
    struct decode_part *p = &a->parts[a->kept ? a->kept[k] : k];
    bool paused = p->text.n >= DECODE_PENDING || p->logprobs.n >= DECODE_PENDING;
    swap_bufs(&into->text, &p->text);
    swap_bufs(&into->tokens, &p->tokens);
    swap_bufs(&into->logprobs, &p->logprobs);
    into->end = p->end;
    into->stop = p->stop;
    a->woken = false;
    pthread_mutex_unlock(&a->lock);
    if (!paused || !d)
        return;
    pthread_mutex_lock(&d->lock);
    d->taken = true;
    pthread_cond_signal(&d->work);
    pthread_mutex_unlock(&d->lock);
}

static void wake(struct decode_ask *a) {
    pthread_mutex_lock(&a->lock);
    bool now = a->streamed && !a->woken;
    a->woken = a->woken || now;
    pthread_mutex_unlock(&a->lock);
    if (now)
        a->wake(a);
}

/* --- sequences' ends --- */

void decode_finish(struct decode *d, struct strand *s, enum decode_end end) {
    strand_end(s, end);
    schedule_release(d, s);
    s->state = STRAND_ENDED;
}

void decode_fail(struct decode *d, struct decode_ask *a, enum code code, const struct err *why) {
    a->code = code;
    a->err = *why;
    a->err.code = code;
    for (int i = 0; i < a->n_made; i++)
        if (a->strands[i] && a->strands[i]->state != STRAND_ENDED) {
            schedule_release(d, a->strands[i]);
            a->strands[i]->state = STRAND_ENDED;
        }
}

struct scored {
    double score;
    int index;
};

static int likelier(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1) : x->index - y->index;
}

/* best_of: the choices with the highest mean log probability per token. */
static void choose_best(struct decode_ask *a, const double *scores) {
    struct scored all[DECODE_CHOICES];
    if (a->n_made == a->choices || a->code != OK)
        return;
    for (int i = 0; i < a->n_made; i++)
        all[i] = (struct scored){scores[i], i};
    qsort(all, (size_t)a->n_made, sizeof *all, likelier);
    a->kept = mem_alloc((size_t)a->choices * sizeof *a->kept);
    for (int i = 0; a->kept && i < a->choices; i++)
        a->kept[i] = all[i].index;
}

static void ask_done(struct decode *d, struct decode_ask *a) {
    double scores[DECODE_CHOICES] = {0};
    const char *reason = "abort";
    for (int i = 0; i < a->n_made; i++) {
        struct strand *s = a->strands[i];
        if (s && strand_drawn(s))
            scores[i] = s->logprob / (double)strand_drawn(s);
        if (a->code == OK)
            reason = end_name(a->parts[i].end);
        strand_free(s);
        a->strands[i] = NULL;
    }
    choose_best(a, scores);
    a->ended_ns = clock_ns();
    tally_finished(&d->tally, reason, a->ended_ns - a->queued_ns);
    d->counts.finished++;
    d->counts.cancelled += a->code == ERR_CANCELLED;
    a->done(a);
}

static void leave(struct decode *d, struct strand *s) {
    struct decode_ask *a = s->ask;
    if (--a->n_live == 0)
        ask_done(d, a);
}

/* Ended sequences leave both lists, preempted ones go back to wait in their old place. */
static void sweep(struct decode *d) {
    int kept = 0;
    for (struct strand **at = &d->waiting; *at;) {
        struct strand *s = *at;
        if (s->state != STRAND_ENDED) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        leave(d, s);
    }
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i], **place = &d->waiting;
        if (s->state == STRAND_RUNNING) {
            d->running[kept++] = s;
        } else if (s->state == STRAND_ENDED) {
            leave(d, s);
        } else {
            while (*place && (*place)->order < s->order)
                place = &(*place)->next;
            s->next = *place;
            *place = s;
        }
    }
    d->n_running = kept;
}

/* --- a step --- */

static void expand(struct decode *d, struct decode_ask *a) {
    struct strand **end = &d->waiting;
    struct err e;
    size_t most = d->context;
    while (*end)
        end = &(*end)->next;
    if (a->max_tokens && a->max_tokens < most - a->n_prompt)
        most = a->n_prompt + a->max_tokens;
    for (int i = 0; i < a->n_made; i++) {
        struct strand *s = strand_new(a, i, d->options.tokenizer, most);
        if (!s)
            break;
        s->order = ++d->order;
        a->strands[i] = s;
        a->n_live++;
        *end = s;
        end = &s->next;
    }
    d->counts.tokens_in += a->n_prompt;
    tally_prompt(&d->tally, a->n_prompt);
    if (a->n_live == a->n_made)
        return;
    decode_fail(d, a, ERR_NOMEM, (fail(&e, NOMEM, "no memory for another sequence"), &e));
    if (a->n_live == 0)
        ask_done(d, a);
}

static size_t count_waiting(const struct decode *d) {
    size_t n = 0;
    for (const struct strand *s = d->waiting; s; s = s->next)
        n++;
    return n;
}

static void take_incoming(struct decode *d) {
    pthread_mutex_lock(&d->lock);
    struct decode_ask *a = d->incoming;
    d->incoming = NULL;
    d->incoming_end = &d->incoming;
    d->n_waiting += d->n_incoming;
    d->n_incoming = 0;
    pthread_mutex_unlock(&d->lock);
    for (struct decode_ask *next; a; a = next) {
        next = a->next;
        expand(d, a);
    }
}

static void check_ask(struct decode *d, struct decode_ask *a, uint64_t now) {
    struct err e;
    if (__atomic_load_n(&a->cancel, __ATOMIC_RELAXED))
        decode_fail(d, a, ERR_CANCELLED, (fail(&e, CANCELLED, "the client left"), &e));
    else if (a->deadline_ns && now > a->deadline_ns)
        decode_fail(d, a, ERR_TIMEOUT,
                    (fail(&e, TIMEOUT, "the deadline passed after %llu ms",
                          (unsigned long long)((now - a->queued_ns) / 1000000)),
                     &e));
}

static void check_asks(struct decode *d) {
    uint64_t now = clock_ns();
    for (struct strand *s = d->waiting; s; s = s->next)
        if (s->state == STRAND_WAITING)
            check_ask(d, s->ask, now);
    for (int i = 0; i < d->n_running; i++)
        if (d->running[i]->state == STRAND_RUNNING)
            check_ask(d, d->running[i]->ask, now);
    sweep(d);
}

static void note_time(struct decode *d, struct strand *s) {
    uint64_t now = clock_ns();
    if (strand_drawn(s) == 1)
        tally_first(&d->tally, now - s->ask->queued_ns);
    else
        tally_token(&d->tally, now - s->last_ns);
    if (s->ask->first_ns == 0)
        s->ask->first_ns = now;
    s->last_ns = now;
    s->ask->n_generated++;
    d->counts.tokens_out++;
}

/* The rows of one sequence: its next token, then one more for each draft that was right. */
static void draw(struct decode *d, struct strand *s, const float *logits) {
    enum decode_end end = DECODE_GOING;
    struct err e;
    size_t before = s->n;
    int right = 0;
    if (s->ask->no_answer) {
        decode_finish(d, s, DECODE_LENGTH);
        return;
    }
    for (int k = 0; k <= s->n_drafts && end == DECODE_GOING; k++) {
        bool hold = s->ask->ignore_end || strand_drawn(s) < s->ask->min_tokens;
        if (strand_draw(s, d->options.tokenizer, &d->sampler, logits + (size_t)k * d->vocab,
                        hold ? d->no_end : NULL, &end, &e) != OK) {
            decode_fail(d, s->ask, e.code, &e);
            return;
        }
        note_time(d, s);
        if (k == s->n_drafts || s->tokens[s->n - 1] != s->drafts[k])
            break;
        right++;
    }
    s->computed = before + (size_t)right;
    if (s->computed > s->n - 1)
        s->computed = s->n - 1;
    if (s->n_drafts) {
        kv_truncate(d->kv, s->slot, s->computed);
        d->counts.drafted += (uint64_t)s->n_drafts;
        d->counts.accepted += (uint64_t)right;
        tally_drafts(&d->tally, (size_t)s->n_drafts, (size_t)right);
    }
    draft_learn(s, right);
    schedule_remember(d, s);
    if (end != DECODE_GOING)
        decode_finish(d, s, end);
    wake(s->ask);
}

/* Rows of a prompt whose logits were wanted; returns how many. */
static size_t score(struct decode *d, struct strand *s, size_t took, const float *logits) {
    size_t k = 0;
    for (; s->ask->score && k < took && s->computed + k + 1 < s->n_prompt; k++)
        if (s->computed + k >= s->scored && s->state == STRAND_RUNNING)
            strand_score(s, logits + k * d->vocab, d->vocab, s->tokens[s->computed + k + 1]);
    return k;
}

static void apply(struct decode *d, const float *logits) {
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i];
        size_t took = d->take[i];
        if (took == 0)
            continue;
        logits += score(d, s, took, logits) * d->vocab;
        if (s->computed + took < s->n) { /* more of the prompt to come */
            s->computed += took;
            schedule_remember(d, s);
            continue;
        }
        size_t wanted = 1 + (size_t)s->n_drafts;
        if (s->state == STRAND_RUNNING) /* a sibling's failure may have ended it meanwhile */
            draw(d, s, logits);
        logits += wanted * d->vocab;
    }
}

static void fail_running(struct decode *d, const struct err *e) {
    for (int i = 0; i < d->n_running; i++)
        if (d->running[i]->state == STRAND_RUNNING)
            decode_fail(d, d->running[i]->ask, e->code, e);
}

/* false: nothing could be done (nobody is there, or all are paused). */
static bool step(struct decode *d) {
    const float *logits;
    struct err e;
    take_incoming(d);
    check_asks(d);
    schedule_admit(d);
    draft_all(d);
    size_t n = schedule_step(d);
    if (n) {
        if (forward_step(d->options.forward, d->rows, n, &logits, &e) == OK) {
            apply(d, logits);
            draft_measure(d);
        } else {
            fail_running(d, &e);
        }
        d->counts.steps++;
    }
    sweep(d);
    return n > 0;
}

/* --- the loop --- */

static void publish(struct decode *d) { /* under lock */
    size_t pages = kv_pages(d->kv), free = kv_free_pages(d->kv);
    d->n_waiting = count_waiting(d);
    d->counts.waiting = d->n_waiting;
    d->counts.running = (size_t)d->n_running;
    d->counts.kv_pages = pages;
    d->counts.kv_free = free;
    d->counts.prefix_blocks = prefix_blocks(d->prefix);
    d->stats = d->counts;
    for (int i = 0; i < d->options.sequences; i++)
        d->seen[i] = (struct decode_slot){0};
    for (int i = 0; i < d->n_running; i++) {
        const struct strand *s = d->running[i];
        d->seen[s->slot] =
            (struct decode_slot){s->n_prompt, strand_drawn(s), s->computed, s->most, true};
    }
    tally_load(&d->tally, d->counts.running, d->n_waiting, pages - free - prefix_idle(d->prefix),
               pages);
}

static void fail_all(struct decode *d) {
    struct err e;
    (void)fail(&e, UNAVAILABLE, "the model was unloaded");
    take_incoming(d);
    for (struct strand *s = d->waiting; s; s = s->next)
        if (s->state == STRAND_WAITING)
            decode_fail(d, s->ask, e.code, &e);
    fail_running(d, &e);
    sweep(d);
}

static void *decode_main(void *arg) {
    struct decode *d = arg;
    bool busy = false;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!busy && !d->closing && !d->incoming && !d->taken) {
            if (d->n_running + (d->waiting != NULL) == 0)
                pthread_cond_wait(&d->work, &d->lock);
            else /* all are paused: look again whether one left or is late */
                (void)thread_cond_wait_until(&d->work, &d->lock, clock_ns() + 50000000);
            busy = d->n_running > 0;
        }
        d->taken = false;
        if (d->closing)
            break;
        pthread_mutex_unlock(&d->lock);
        busy = step(d);
        pthread_mutex_lock(&d->lock);
        publish(d);
    }
    pthread_mutex_unlock(&d->lock);
    fail_all(d);
    return NULL;
}

static bool make_rooms(struct decode *d) {
    size_t n = (size_t)d->options.sequences, words = (d->vocab + 63) / 64;
    d->running = mem_zalloc(n, sizeof(struct strand *));
    d->slots = mem_zalloc(n, sizeof *d->slots);
    d->take = mem_zalloc(n, sizeof *d->take);
    d->seen = mem_zalloc(n, sizeof *d->seen);
    d->rows = mem_zalloc(d->options.rows, sizeof *d->rows);
    d->no_end = mem_zalloc(words, sizeof *d->no_end);
    if (!d->running || !d->slots || !d->take || !d->seen || !d->rows || !d->no_end)
        return false;
    for (size_t i = 0; i < d->vocab; i++)
        if (!tokenizer_ends(d->options.tokenizer, (int32_t)i))
            d->no_end[i / 64] |= (uint64_t)1 << i % 64;
    return true;
}

static void decode_free(struct decode *d) {
    tally_deinit(&d->tally);
    for (int i = 0; i < DECODE_MACHINES; i++)
        grammar_machine_close(d->machines[i].machine);
    grammar_vocab_close(d->words);
    prefix_close(d->prefix);
    sampler_deinit(&d->sampler);
    mem_free(d->running);
    mem_free(d->slots);
    mem_free(d->take);
    mem_free(d->seen);
    mem_free(d->rows);
    mem_free(d->no_end);
    mem_free(d);
}

enum code decode_open(const struct decode_options *o, struct decode **out, struct err *e) {
    struct decode *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return fail(e, NOMEM, "no memory for decoding");
    d->options = *o;
    d->kv = forward_kv(o->forward);
    d->vocab = forward_vocab(o->forward);
    size_t held = kv_pages(d->kv) * KV_PAGE;
    d->context = forward_context(o->forward) < held ? forward_context(o->forward) : held;
    d->incoming_end = &d->incoming;
    enum code code = sampler_init(&d->sampler, d->vocab, e);
    if (code == OK)
        code = prefix_open(d->kv, &d->prefix, e);
    if (code == OK && !make_rooms(d))
        code = fail(e, NOMEM, "no memory for decoding");
    if (code != OK) {
        decode_free(d);
        return code;
    }
    tally_init(&d->tally, o->model, o->version);
    pthread_mutex_init(&d->lock, NULL);
    thread_cond_init(&d->work);
    publish(d);
    code = thread_start(&d->thread, "decode", decode_main, d, e);
    if (code != OK) {
        decode_free(d);
        return code;
    }
    *out = d;
    return OK;
}

void decode_close(struct decode *d) {
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->closing = true;
    pthread_cond_signal(&d->work);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->work);
    decode_free(d);
}

void decode_stats(struct decode *d, struct decode_stats *out) {
    pthread_mutex_lock(&d->lock);
    *out = d->stats;
    out->waiting += d->n_incoming;
    pthread_mutex_unlock(&d->lock);
}

size_t decode_slots(struct decode *d, struct decode_slot *out, size_t room) {
    size_t n = (size_t)d->options.sequences;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < n && i < room; i++)
        out[i] = d->seen[i];
    pthread_mutex_unlock(&d->lock);
    return n;
}

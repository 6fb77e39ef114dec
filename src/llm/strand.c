/* SPDX-License-Identifier: Apache-2.0 */
/* One sequence: see strand.h. What it hands over goes into its choice's part under the ask's
 * lock; everything else is the decoding thread's. */
#include "llm/strand.h"

#include "base/clock.h"
#include "base/mem.h"
#include "llm/stop.h"

enum { PART_BYTES = 64 << 20, HELD_BYTES = 1 << 20 };

struct strand *strand_new(struct decode_ask *a, int choice, const struct tokenizer *t,
                          size_t most) {
    struct strand *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->room = a->n_prompt + 64;
    s->tokens = mem_alloc(s->room * sizeof *s->tokens);
    if (!s->tokens) {
        mem_free(s);
        return NULL;
    }
    memcpy(s->tokens, a->prompt, a->n_prompt * sizeof *s->tokens);
    s->ask = a;
    s->choice = choice;
    s->slot = -1;
    s->n = s->n_prompt = a->n_prompt;
    s->most = most;
    s->block = PREFIX_ROOT;
    s->accepted = 1;
    s->options = a->sample;
    s->options.seed += (uint64_t)choice;
    detokenizer_begin(&s->text, t);
    buf_init(&s->held, HELD_BYTES);
    return s;
}

void strand_free(struct strand *s) {
    if (!s)
        return;
    buf_deinit(&s->held);
    mem_free(s->tokens);
    mem_free(s);
}

static enum code append(struct strand *s, int32_t token, struct err *e) {
    if (s->n == s->room) {
        size_t room = s->room + s->room / 2;
        int32_t *more = mem_realloc(s->tokens, room * sizeof *more);
        if (!more)
            return fail(e, NOMEM, "no memory for %zu tokens", room);
        s->tokens = more;
        s->room = room;
    }
    s->tokens[s->n++] = token;
    return OK;
}

/* --- handing over --- */

static struct decode_part *part_of(struct strand *s) { return &s->ask->parts[s->choice]; }

static void put_logprobs(struct strand *s, const float *logits, size_t vocab, int32_t token,
                         struct decode_token *out) {
    struct sample_logprob all[SAMPLE_TOP + 1];
    int32_t n = s->options.logprobs;
    if (n < 0 && s->ask->n_made == s->ask->choices)
        return;
    sample_logprobs(logits, vocab, token, n > 0 ? n : 0, all);
    s->logprob += (double)all[0].logprob;
    if (n < 0)
        return;
    out->n_logprobs = (uint32_t)n + 1;
    buf_put(&part_of(s)->logprobs, all, out->n_logprobs * sizeof *all);
}

static void put_token(struct strand *s, const float *logits, size_t vocab, int32_t token) {
    struct decode_token t = {.id = token};
    pthread_mutex_lock(&s->ask->lock);
    put_logprobs(s, logits, vocab, token, &t);
    buf_put(&part_of(s)->tokens, &t, sizeof t);
    pthread_mutex_unlock(&s->ask->lock);
}

void strand_score(struct strand *s, const float *logits, size_t vocab, int32_t token) {
    double drawn = s->logprob;
    put_token(s, logits, vocab, token);
    s->logprob = drawn; /* best_of compares answers */
    s->scored++;
}

static void put_held(struct strand *s, size_t n) {
    pthread_mutex_lock(&s->ask->lock);
    buf_put(&part_of(s)->text, s->held.p, n);
    pthread_mutex_unlock(&s->ask->lock);
    buf_drop_front(&s->held, n);
}

/* Sends what may be sent; true: a stop string was met. */
static bool put_text(struct strand *s, struct str piece) {
    const struct decode_ask *a = s->ask;
    size_t found;
    buf_put_str(&s->held, piece);
    size_t safe = stop_scan(a->stops, a->n_stops, buf_str(&s->held), &found);
    if (found < a->n_stops) {
        part_of(s)->stop = (int)found;
        put_held(s, safe + (a->keep_stop ? a->stops[found].n : 0));
        buf_clear(&s->held);
        return true;
    }
    if (safe)
        put_held(s, safe);
    return false;
}

size_t strand_pending(struct strand *s) {
    pthread_mutex_lock(&s->ask->lock);
    size_t n = part_of(s)->text.n + part_of(s)->logprobs.n;
    pthread_mutex_unlock(&s->ask->lock);
    return n;
}

void strand_end(struct strand *s, enum decode_end end) {
    if (end != DECODE_WORD && put_text(s, detokenizer_end(&s->text)))
        end = DECODE_WORD;
    if (s->held.n)
        put_held(s, s->held.n);
    pthread_mutex_lock(&s->ask->lock);
    part_of(s)->end = end;
    pthread_mutex_unlock(&s->ask->lock);
}

/* --- drawing --- */

static struct str text_of(struct strand *s, int32_t token) {
    for (size_t i = 0; i < s->ask->n_shown; i++)
        if (s->ask->shown[i] == token)
            return detokenizer_show(&s->text, token);
    return detokenizer_push(&s->text, token);
}

static bool is_plain(const struct sample_options *o) {
    return o->temperature < 1e-5f && o->n_biases == 0 && o->repeat_penalty == 1 &&
           o->frequency == 0 && o->presence == 0;
}

static enum code choose(struct strand *s, struct sampler *sampler, const float *logits,
                        const uint64_t *no_end, int32_t *token, struct err *e) {
    struct sample_ask a = {.options = &s->options,
                           .tokens = s->tokens,
                           .n_prompt = s->n_prompt,
                           .n_drawn = strand_drawn(s),
                           .mu = &s->mu};
    if (s->machine && is_plain(&s->options)) { /* the likeliest of all, if allowed, is the answer */
        *token = sample_draw(sampler, logits, &a);
        if (*token >= 0 && grammar_allows(s->machine, s->grammar, *token))
            return OK;
    }
    a.allowed = no_end;
    if (s->machine)
        TRY(grammar_mask(s->machine, s->grammar, &a.allowed, e));
    *token = sample_draw(sampler, logits, &a);
    return *token >= 0
               ? OK
               : fail(e, INVALID,
                      "no token is left to draw: biases and constraints forbid all of them");
}

enum code strand_draw(struct strand *s, const struct tokenizer *t, struct sampler *sampler,
                      const float *logits, const uint64_t *no_end, enum decode_end *end,
                      struct err *e) {
    int32_t token;
    TRY(choose(s, sampler, logits, no_end, &token, e));
    bool last = tokenizer_ends(t, token) && !s->ask->ignore_end;
    TRY(append(s, token, e));
    put_token(s, logits, sampler->vocab, token);
    if (s->machine)
        TRY(grammar_push(s->machine, &s->grammar, token, e));
    *end = DECODE_GOING;
    if (last)
        *end = DECODE_STOP;
    else if (put_text(s, text_of(s, token)))
        *end = DECODE_WORD;
    else if (s->machine && grammar_must_end(s->machine, s->grammar))
        *end = DECODE_STOP;
    else if (s->n >= s->most)
        *end = DECODE_LENGTH;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Speculation: tokens guessed for a sequence, all checked in one step. By prompt lookup (what
 * followed the last few tokens when they last occurred), or by a draft model that decodes greedily.
 *
 * 1. A wrong guess costs rows, never a different token: see strand_draw's use in decode.c.
 * 2. How many are made follows the share that was right lately: text that does not repeat stops
 * paying for guesses.
 * 3. Whether any are made follows what steps with and without them take (pace.h). */
#include "llm/decode_in.h"

#include "base/clock.h"

enum { NGRAM_MOST = 4, NGRAM_LEAST = 2, RETRY_TOKENS = 16, READS = 4 };

void draft_learn(struct strand *s, int accepted) {
    if (s->n_drafts)
        s->accepted += 0.25f * ((float)accepted / (float)s->n_drafts - s->accepted);
    s->n_drafts = 0;
}

static int wanted(const struct decode *d, const struct strand *s) {
    int most = d->options.speculate < DECODE_DRAFT ? d->options.speculate : DECODE_DRAFT;
    if (s->accepted < 0.2f)
        return s->n % RETRY_TOKENS == 0 ? 1 : 0;
    int n = 1 + (int)(s->accepted * (float)(most - 1) + 0.5f);
    size_t left = s->most - s->n; /* the last token is never a guess that could run over */
    return (size_t)n < left ? n : (int)left;
}

static void look_up(struct strand *s, int most) {
    const int32_t *t = s->tokens;
    for (size_t gram = NGRAM_MOST; gram >= NGRAM_LEAST; gram--) {
        if (s->n <= gram)
            continue;
        const int32_t *last = t + s->n - gram;
        for (size_t at = s->n - gram; at-- > 0;) {
            if (memcmp(t + at, last, gram * sizeof *t) != 0)
                continue;
            for (size_t k = at + gram; k < s->n && s->n_drafts < most; k++)
                s->drafts[s->n_drafts++] = t[k];
            return;
        }
    }
}

static int32_t likeliest(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

static bool answers_now(const struct strand *s) {
    return s->state == STRAND_RUNNING && s->n - s->computed == 1;
}

static bool drafts_now(const struct decode *d, const struct strand *s) {
    return answers_now(s) && wanted(d, s) > 0;
}

/* One of the two vocabularies may be padded further than the other (language.h). */
static bool draft_knows(const struct decode *d, const struct strand *s) {
    size_t vocab = forward_vocab(d->options.draft);
    for (size_t i = s->drafted_to; i < s->n; i++)
        if ((size_t)s->tokens[i] >= vocab)
            return false;
    return true;
}

/* Rows that bring the draft model's cache up to the sequence's tokens; false: no room, too many for
 * one step, or a token the draft model has not. */
static bool catch_up(struct decode *d, struct strand *s, size_t *n) {
    struct kv *kv = forward_kv(d->options.draft);
    struct err ignored;
    size_t to = s->n;
    if (!draft_knows(d, s))
        return false;
    bool whole = to - s->drafted_to <= d->options.rows - *n;
    if (!whole)
        to = s->drafted_to + (d->options.rows - *n);
    if (kv_reserve(kv, s->slot, s->n + DECODE_DRAFT, &ignored) != OK)
        return false;
    for (; s->drafted_to < to; s->drafted_to++)
        d->rows[(*n)++] = (struct forward_row){s->tokens[s->drafted_to], (int32_t)s->drafted_to,
                                               s->slot, whole && s->drafted_to + 1 == to};
    return whole;
}

/* One more draft of every sequence whose logits the last step gave, in order. */
static size_t next_round(struct decode *d, bool *drafting, const float *logits) {
    size_t n = 0, k = 0, vocab = forward_vocab(d->options.draft);
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i];
        if (!drafting[i])
            continue;
        int32_t token = likeliest(logits + k++ * vocab, vocab < d->vocab ? vocab : d->vocab);
        s->drafts[s->n_drafts++] = token;
        drafting[i] = s->n_drafts < wanted(d, s);
        if (!drafting[i])
            continue;
        d->rows[n++] = (struct forward_row){token, (int32_t)s->drafted_to, s->slot, true};
        s->drafted_to++;
    }
    return n;
}

/* Reading what was said while nobody guessed is no part of what a guess costs. */
static void note_reading(struct decode *d, size_t rows, uint64_t began_ns) {
    d->guess.reads = rows > READS * d->guess.answering;
    if (d->guess.reads)
        pace_note_reading(&d->pace, rows, clock_ns() - began_ns);
}

static void ask_model(struct decode *d) {
    bool drafting[1024] = {false};
    const float *logits;
    struct err e;
    size_t n = 0;
    for (int i = 0; i < d->n_running && i < 1024; i++) {
        struct strand *s = d->running[i];
        if (!drafts_now(d, s) || n >= d->options.rows)
            continue;
        if (s->drafted_to >= s->n) { /* what was rejected is forgotten; the last is fed again */
            s->drafted_to = s->n - 1;
            kv_truncate(forward_kv(d->options.draft), s->slot, s->drafted_to);
        }
        drafting[i] = catch_up(d, s, &n);
    }
    for (int round = 0; n && round < DECODE_DRAFT; round++) {
        if (forward_step(d->options.draft, d->rows, n, &logits, &e) != OK)
            return;
        if (round == 0)
            note_reading(d, n, d->guess.began_ns);
        n = next_round(d, drafting, logits);
    }
}

/* How many sequences answer, and what the draft model has not read of them. */
static size_t count_answering(const struct decode *d, size_t *behind) {
    size_t n = 0;
    *behind = 0;
    for (int i = 0; i < d->n_running; i++) {
        const struct strand *s = d->running[i];
        if (!answers_now(s))
            continue;
        n++;
        if (d->options.draft && s->drafted_to < s->n)
            *behind += s->n - s->drafted_to;
    }
    return n;
}

static bool pays(struct decode *d) {
    size_t behind;
    d->guess.answering = count_answering(d, &behind);
    if (d->guess.answering == 0)
        return false;
    if (d->options.always || pace_guesses(&d->pace, d->guess.answering, behind))
        return true;
    d->counts.skipped++;
    tally_skipped(&d->tally);
    return false;
}

void draft_measure(struct decode *d) {
    if (d->guess.answering && d->prompt_rows == 0 && !d->guess.reads)
        pace_note(&d->pace, d->guess.answering, d->guess.guesses, clock_ns() - d->guess.began_ns,
                  d->counts.tokens_out - d->guess.tokens);
}

void draft_all(struct decode *d) {
    if (d->options.speculate <= 0)
        return;
    d->guess.began_ns = clock_ns();
    d->guess.tokens = d->counts.tokens_out;
    d->guess.reads = false;
    d->guess.guesses = pays(d);
    if (!d->guess.guesses)
        return;
    if (d->options.draft) {
        ask_model(d);
        return;
    }
    for (int i = 0; i < d->n_running; i++)
        if (drafts_now(d, d->running[i]))
            look_up(d->running[i], wanted(d, d->running[i]));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: one thread turns the prompts of many requests into tokens, a step at a time.
 *
 *   decode_submit ─▶ WAITING ─▶ RUNNING (prompt in chunks, then a token a step) ─▶ done
 *                       ▲            │ no KV page left: the youngest of the lowest priority
 *                       └────────────┘ goes back and computes again later
 *
 * 1. Each step takes one token of every running sequence, then fills up with pieces of prompts.
 * 2. A request's tokens are those it would get alone: numbers depend on its own sequence only
 * (forward.h), draws on its seed and position (sample.h). Speculation checks every drafted token
 * against the one that would have been drawn.
 * 3. The queue is bounded (OVERLOAD). Higher priority first, then the client with the least
 * running, then the order of arrival.
 * 4. cancel is looked at before every step: a client that left frees its slot within one.
 * 5. A choice whose text nobody takes is paused when DECODE_PENDING bytes wait; the others go on.
 * 6. Nothing is truncated silently: a prompt that does not fit is INVALID; an answer that meets the
 * context's end says LENGTH. */
#pragma once

#include "base/buf.h"
#include "base/counter.h"
#include "llm/forward.h"
#include "llm/sample.h"
#include "llm/tokenizer.h"

#include <pthread.h>

struct decode; /* opaque */
struct grammar;
struct strand;

enum { DECODE_CHOICES = 128, DECODE_PENDING = 64 << 10, DECODE_DRAFT = 16 };

struct decode_options {
    struct forward *forward;           /* borrowed; the decoding thread alone uses it */
    struct forward *draft;             /* borrowed; the same vocabulary; NULL: none */
    const struct tokenizer *tokenizer; /* borrowed */
    int sequences;                     /* running at one time; what forward was opened with */
    size_t rows;                       /* tokens of one step; what forward was opened with */
    size_t chunk;                      /* tokens of one prompt in a step; 0: all that fit */
    size_t queue;                      /* choices waiting */
    int speculate;                     /* most tokens drafted at a time; 0: no speculation */
    bool always;                       /* guess whether it pays (pace.h) or not */
    struct str model, version;         /* labels of the metrics; borrowed */
};
MUST_USE enum code decode_open(const struct decode_options *o, struct decode **out, struct err *e);
/* Fails what is waiting and running with UNAVAILABLE, then frees. */
void decode_close(struct decode *d);

enum decode_end {
    DECODE_GOING,
    DECODE_STOP,   /* an end-of-generation token, or the grammar's end */
    DECODE_WORD,   /* a stop string */
    DECODE_LENGTH, /* max_tokens, or the context's end */
};

struct decode_token { /* one generated token; text_n bytes of text came with it */
    int32_t id;
    uint32_t n_logprobs; /* records in `logprobs` that belong to it: its own, then alternatives */
};

struct decode_part {     /* what a choice made since the last decode_take; bufs keep their memory */
    struct buf text;     /* whole UTF-8 characters, without any stop string */
    struct buf tokens;   /* of struct decode_token */
    struct buf logprobs; /* of struct sample_logprob */
    enum decode_end end; /* so far */
    int stop;            /* index of the stop string met */
};

struct decode_ask {
    /* filled by the caller, borrowed until done */
    const int32_t *prompt;
    size_t n_prompt;
    struct sample_options sample; /* choice k draws with seed + k */
    const struct grammar *grammar;
    const struct str *stops;
    size_t n_stops;
    const int32_t *shown; /* control tokens whose spelling is text */
    size_t n_shown;
    size_t max_tokens; /* 0: as far as the context goes */
    size_t min_tokens;
    bool ignore_end;
    bool score; /* log probabilities of the prompt's tokens as well, but for the first: they come
                   before the tokens drawn */
    bool no_answer;  /* the prompt is computed and nothing drawn: LENGTH */
    bool keep_stop;  /* the stop string is part of the text */
    int choices;     /* n: 1 at least */
    int best_of;     /* made, of which the likeliest `choices` are kept; 0: choices. Not streamed */
    int priority;    /* higher first */
    uint64_t client; /* who asks, for fairness; 0: nobody in particular */
    uint64_t deadline_ns;
    bool streamed; /* wake at every piece; else only done */
    volatile bool cancel;
    /* Something to take; on the decoding thread, not again before decode_take. */
    void (*wake)(struct decode_ask *a);
    /* All choices ended, or a->code says why none did. The last touch; on the decoding thread or in
     * decode_submit. */
    void (*done)(struct decode_ask *a);
    void *user;
    /* filled before done */
    enum code code;
    struct err err;
    size_t n_cached,
        n_generated; /* prompt tokens found in the prefix cache; tokens of all choices */
    uint64_t queued_ns, started_ns, first_ns, ended_ns; /* monotonic; first_ns: the first token */
    /* private to decode */
    pthread_mutex_t lock;      /* parts, waking */
    struct decode_part *parts; /* (made) owned */
    struct strand **strands;   /* (made) owned */
    int n_made, n_live;
    int *kept; /* (choices): indexes into parts, once best_of chose */
    bool woken;
    struct decode_ask *next;
};

/* Any thread; never blocks. The ask's memory must live until done. Failing to queue calls done at
 * once: OVERLOAD, INVALID (does not fit), UNAVAILABLE (closing). */
void decode_submit(struct decode *d, struct decode_ask *a);
/* Any thread, one at a time per ask: moves what choice k made into *into (whose bufs are
 * exchanged: what was in them is gone). Wakes the sequence if it was paused. */
void decode_take(struct decode *d, struct decode_ask *a, int k, struct decode_part *into);
/* Frees what decode keeps in the ask; after done, by the caller. */
void decode_ask_end(struct decode_ask *a);
void decode_part_end(struct decode_part *p);
/* Positions one request may use: the model's context, or less when the KV cache holds less. */
size_t decode_context(const struct decode *d);

struct decode_slot { /* for pages that show what runs */
    size_t n_prompt, n_drawn, n_computed, max_tokens;
    bool busy;
};
struct decode_stats {
    size_t waiting, running, kv_pages, kv_free, prefix_blocks;
    uint64_t tokens_in, tokens_out, steps, preempted, prefix_queried, prefix_hit, drafted, accepted,
        skipped, /* steps without guesses, since they would not have paid */
        finished, cancelled;
};
void decode_stats(struct decode *d, struct decode_stats *out);
/* At most `room` slots; returns how many there are. */
size_t decode_slots(struct decode *d, struct decode_slot *out, size_t room);

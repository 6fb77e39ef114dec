/* SPDX-License-Identifier: Apache-2.0 */
/* What decode.c, schedule.c and draft.c share. All of it but what is marked is the decoding
 * thread's. */
#pragma once

#include "base/thread.h"
#include "llm/pace.h"
#include "llm/strand.h"
#include "llm/tally.h"

enum { DECODE_MACHINES = 16, DECODE_MACHINE_BYTES = 64 << 20 };

struct decode {
    struct decode_options options;
    struct kv *kv;
    size_t vocab, context;
    struct sampler sampler;
    struct prefix *prefix;
    struct tally tally;
    uint64_t *no_end; /* owned: bit per token that is no end of generation */

    struct grammar_vocab *words; /* made when the first grammar comes */
    struct {
        struct grammar_machine *machine;
        int users;
        uint64_t used; /* order of last use */
    } machines[DECODE_MACHINES];

    struct strand *waiting;  /* in order of arrival */
    struct strand **running; /* (options.sequences) */
    int n_running;
    bool *slots;              /* (options.sequences): taken */
    size_t *take;             /* (options.sequences): rows of running[i] in this step */
    struct forward_row *rows; /* (options.rows) */
    uint64_t order, uses;
    size_t turn; /* which prompt is first in this step */
    struct decode_stats counts;
    size_t prompt_rows; /* of this step */
    struct pace pace;
    struct {                       /* draft.c's: about this step */
        uint64_t began_ns, tokens; /* tokens: that had been drawn before it */
        size_t answering;          /* sequences that draw */
        bool guesses, reads;       /* reads: the draft model read more than a step's tokens */
    } guess;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* under lock */
    struct decode_ask *incoming, **incoming_end;
    size_t n_incoming, n_waiting; /* choices; n_waiting as of the last step */
    bool closing, taken;
    struct decode_stats stats;
    struct decode_slot *seen; /* (options.sequences): running, for pages */
};

/* decode.c: both mark sequences as ended; they leave the lists, and their ask is done, at the end
 * of the step. */
void decode_finish(struct decode *d, struct strand *s, enum decode_end end);
void decode_fail(struct decode *d, struct decode_ask *a, enum code code, const struct err *why);

/* schedule.c: who runs in this step, and with how many rows; returns the number of rows. */
void schedule_admit(struct decode *d);
size_t schedule_step(struct decode *d);
void schedule_release(struct decode *d, struct strand *s);  /* its slot, pages and machine */
void schedule_remember(struct decode *d, struct strand *s); /* full pages to the prefix cache */

/* draft.c: fills s->drafts where it pays; after the step, what that took. */
void draft_all(struct decode *d);
void draft_measure(struct decode *d);
void draft_learn(struct strand *s, int accepted);

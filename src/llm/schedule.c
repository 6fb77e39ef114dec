/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: who is admitted, who gets how many rows of a step, who goes back when the KV cache is
 * full.
 *
 * 1. Answers first: each running sequence gets its next token (and its drafts); prompts share what
 * is left of the step, beginning with another one each time.
 * 2. A sequence is admitted when its prompt's pages are free (or cached and unused); when a running
 * one needs a page and there is none, the youngest of the lowest priority goes back to wait and is
 * computed again, so the oldest always gets on. */
#include "llm/decode_in.h"

#include "base/clock.h"
#include "base/mem.h"

enum { SCORE_ROWS = 64 }; /* of a prompt whose logits are all wanted: they take memory */

static size_t pages_of(size_t positions) { return (positions + KV_PAGE - 1) / KV_PAGE; }

/* --- the prefix cache --- */

void schedule_remember(struct decode *d, struct strand *s) {
    for (; (s->n_blocks + 1) * KV_PAGE <= s->computed; s->n_blocks++)
        s->block = prefix_add(d->prefix, s->block, s->tokens + s->n_blocks * KV_PAGE,
                              kv_page(d->kv, s->slot, s->n_blocks));
}

/* At least one token is computed anew: its logits are wanted. Of a prompt to be scored, all are. */
static void adopt_prefix(struct decode *d, struct strand *s) {
    if (s->ask->score && s->scored + 1 < s->n_prompt)
        return;
    size_t most = (s->n - 1) / KV_PAGE * KV_PAGE;
    int32_t *pages = mem_alloc((most / KV_PAGE + 1) * sizeof *pages);
    if (!pages)
        return;
    s->n_blocks = prefix_find(d->prefix, s->tokens, most, pages, &s->block);
    kv_adopt(d->kv, s->slot, pages, s->n_blocks);
    s->computed = s->n_blocks * KV_PAGE;
    mem_free(pages);
    tally_prefix(&d->tally, s->n_prompt, s->computed);
    if (s->choice == 0 && s->ask->n_cached == 0)
        s->ask->n_cached = s->computed < s->n_prompt ? s->computed : s->n_prompt;
}

/* --- grammars --- */

static struct grammar_machine *machine_for(struct decode *d, const struct grammar *g,
                                           struct err *e) {
    int at = -1;
    for (int i = 0; i < DECODE_MACHINES; i++) {
        struct grammar_machine *m = d->machines[i].machine;
        if (m && str_eq(grammar_text(grammar_machine_grammar(m)), grammar_text(g))) {
            d->machines[i].users++;
            d->machines[i].used = ++d->uses;
            return m;
        }
        bool free = d->machines[i].users == 0;
        if (free && (at < 0 || d->machines[i].used < d->machines[at].used))
            at = i;
    }
    if (at < 0) {
        (void)fail(e, OVERLOAD, "more than %d different grammars at one time", DECODE_MACHINES);
        return NULL;
    }
    if (!d->words && grammar_vocab_open(d->options.tokenizer, &d->words, e) != OK)
        return NULL;
    grammar_machine_close(d->machines[at].machine);
    d->machines[at].machine = NULL;
    if (grammar_machine_open(g, d->words, &d->machines[at].machine, e) != OK)
        return NULL;
    d->machines[at].users = 1;
    d->machines[at].used = ++d->uses;
    return d->machines[at].machine;
}

static void let_machine_go(struct decode *d, struct strand *s) {
    for (int i = 0; s->machine && i < DECODE_MACHINES; i++)
        if (d->machines[i].machine == s->machine && --d->machines[i].users == 0 &&
            grammar_machine_bytes(s->machine) > DECODE_MACHINE_BYTES) {
            grammar_machine_close(s->machine);
            d->machines[i].machine = NULL;
        }
    s->machine = NULL;
}

/* --- slots --- */

static void release_slot(struct decode *d, struct strand *s) {
    if (s->slot < 0)
        return;
    prefix_unpin(d->prefix, s->block);
    kv_release(d->kv, s->slot);
    if (d->options.draft)
        kv_release(forward_kv(d->options.draft), s->slot);
    d->slots[s->slot] = false;
    s->slot = -1;
    s->block = PREFIX_ROOT;
    s->n_blocks = s->computed = s->drafted_to = 0;
    s->n_drafts = 0;
}

void schedule_release(struct decode *d, struct strand *s) {
    release_slot(d, s);
    let_machine_go(d, s);
}

/* Stays in the list of those running until decode.c sweeps it. */
static void preempt(struct decode *d, struct strand *s) {
    release_slot(d, s);
    s->state = STRAND_WAITING;
    d->counts.preempted++;
    tally_preempted(&d->tally);
}

/* --- admission --- */

static int running_of(const struct decode *d, uint64_t client) {
    int n = 0;
    for (int i = 0; i < d->n_running; i++)
        n += d->running[i]->ask->client == client;
    return n;
}

/* The other choices of a request wait until the first has computed the prompt they share. */
static bool waits_for_sibling(const struct strand *s) {
    if (s->choice == 0 || s->n > s->n_prompt)
        return false;
    const struct strand *first = s->ask->strands[0];
    return first->state == STRAND_WAITING ||
           (first->state == STRAND_RUNNING && first->computed + 1 < s->n_prompt);
}

static struct strand **best_waiting(struct decode *d) {
    struct strand **best = NULL;
    int best_load = 0;
    for (struct strand **at = &d->waiting; *at; at = &(*at)->next) {
        if ((*at)->state != STRAND_WAITING || waits_for_sibling(*at))
            continue;
        int load = running_of(d, (*at)->ask->client);
        int more = (*at)->ask->priority, most = best ? (*best)->ask->priority : 0;
        if (best && (more < most || (more == most && load >= best_load)))
            continue;
        best = at;
        best_load = load;
    }
    return best;
}

static bool make_room(struct decode *d, size_t pages) {
    while (kv_free_pages(d->kv) < pages)
        if (!prefix_evict(d->prefix))
            return false;
    return true;
}

static int free_slot(const struct decode *d) {
    for (int i = 0; i < d->options.sequences; i++)
        if (!d->slots[i])
            return i;
    return -1;
}

static enum code admit(struct decode *d, struct strand *s, struct err *e) {
    s->slot = free_slot(d);
    d->slots[s->slot] = true;
    adopt_prefix(d, s);
    if (!make_room(d, pages_of(s->n) - s->n_blocks + (size_t)d->n_running) && d->n_running) {
        release_slot(d, s);
        return OK;
    }
    if (s->ask->grammar && !s->machine) {
        s->machine = machine_for(d, s->ask->grammar, e);
        if (!s->machine)
            return e->code;
        TRY(grammar_begin(s->machine, &s->grammar, e));
    }
    if (s->ask->started_ns == 0) {
        s->ask->started_ns = clock_ns();
        tally_started(&d->tally, s->ask->started_ns - s->ask->queued_ns);
    }
    s->state = STRAND_RUNNING;
    return OK;
}

void schedule_admit(struct decode *d) {
    struct strand **at;
    while (d->n_running < d->options.sequences && (at = best_waiting(d))) {
        struct strand *s = *at;
        struct err e;
        if (admit(d, s, &e) != OK) {
            decode_fail(d, s->ask, e.code, &e);
            continue;
        }
        if (s->state != STRAND_RUNNING)
            return; /* no room in the KV cache; nobody overtakes */
        *at = s->next;
        d->running[d->n_running++] = s;
    }
}

/* --- one step --- */

static struct strand *victim(const struct decode *d, int *n) {
    struct strand *worst = NULL;
    *n = 0;
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i];
        if (s->state != STRAND_RUNNING)
            continue;
        ++*n;
        if (!worst || s->ask->priority < worst->ask->priority ||
            (s->ask->priority == worst->ask->priority && s->order > worst->order))
            worst = s;
    }
    return worst;
}

/* Pages for `more` positions of s; false: it was sent back itself, or failed. */
static bool reserve(struct decode *d, struct strand *s, size_t more) {
    struct err e;
    while (kv_reserve(d->kv, s->slot, s->computed + more, &e) != OK) {
        int n;
        if (e.code == ERR_OVERLOAD && prefix_evict(d->prefix))
            continue;
        struct strand *worst = victim(d, &n);
        if (e.code != ERR_OVERLOAD || n <= 1) {
            decode_fail(d, s->ask, ERR_LIMIT, &e);
            return false;
        }
        preempt(d, worst);
        if (worst == s)
            return false;
    }
    return true;
}

static bool is_paused(struct strand *s) {
    return s->ask->streamed && strand_pending(s) >= DECODE_PENDING;
}

static void give_answers(struct decode *d, size_t *left) {
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i];
        if (s->state != STRAND_RUNNING || s->n - s->computed != 1 || *left == 0 || is_paused(s))
            continue;
        if (1 + (size_t)s->n_drafts > *left)
            s->n_drafts = 0;
        if (!reserve(d, s, 1 + (size_t)s->n_drafts))
            continue;
        d->take[i] = 1 + (size_t)s->n_drafts;
        *left -= d->take[i];
    }
}

static void give_prompts(struct decode *d, size_t *left) {
    d->turn++;
    for (int k = 0; k < d->n_running && *left; k++) {
        int i = (int)((d->turn + (size_t)k) % (size_t)d->n_running);
        struct strand *s = d->running[i];
        size_t n = s->n - s->computed;
        if (s->state != STRAND_RUNNING || n <= 1)
            continue;
        n = n < *left ? n : *left;
        if (d->options.chunk && n > d->options.chunk)
            n = d->options.chunk;
        if (s->ask->score && n > SCORE_ROWS)
            n = SCORE_ROWS;
        if (!reserve(d, s, n))
            continue;
        d->take[i] = n;
        *left -= n;
    }
}

static size_t put_rows(struct decode *d) {
    size_t n = 0;
    for (int i = 0; i < d->n_running; i++) {
        struct strand *s = d->running[i];
        if (s->state != STRAND_RUNNING) /* it had rows, and lost them to an older one */
            d->take[i] = 0;
        for (size_t k = 0; k < d->take[i]; k++) {
            size_t at = s->computed + k;
            bool draft = at >= s->n;
            d->rows[n++] = (struct forward_row){
                .token = draft ? s->drafts[at - s->n] : s->tokens[at],
                .position = (int32_t)at,
                .sequence = s->slot,
                .want = at + 1 >= s->n || (s->ask->score && at + 1 < s->n_prompt),
            };
        }
    }
    return n;
}

size_t schedule_step(struct decode *d) {
    size_t left = d->options.rows;
    memset(d->take, 0, (size_t)d->options.sequences * sizeof *d->take);
    give_answers(d, &left);
    d->prompt_rows = left;
    give_prompts(d, &left);
    d->prompt_rows -= left;
    return put_rows(d);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Live models: load, warm, route, batch, drain. The floor where computing, keeping and watching
 * meet; it knows no protocol.
 *
 * 1. A `live` is one loaded version: session, mapped version, queue, counters. It is reference
 * counted: every ask holds one reference from route to answer, so a version is never unmapped under
 * a request.
 * 2. An alias or "newest" is resolved per request against an immutable routing table that is
 * swapped atomically; moving an alias under load fails no request.
 * 3. Loading, warming and unloading happen on a low-priority thread; the loop never waits. A new
 * version takes traffic only after its warm-up ran. A version that fails to load keeps its reason
 * and does not take the old one down.
 * 4. The store is polled (store_generation): what another process adds, aliases or removes is seen
 * without restart.
 * 5. Queues are bounded: a full one answers OVERLOAD at once. An ask whose client left (cancel)
 * before it ran is dropped. */
#pragma once

#include "graph/model.h"
#include "host/guise.h"
#include "host/quality.h"
#include "llm/language.h"
#include "plan/session.h"
#include "host/rollout.h"
#include "store/store.h"

struct host; /* opaque */
struct live; /* opaque */

struct host_options {
    struct store *store;             /* borrowed */
    int threads;                     /* cores for compute; 0: cpu_cores() */
    size_t queue;                    /* waiting asks per version; 0: 256 */
    size_t batch;                    /* most rows joined in one run; 0: 32, 1: never */
    const uint64_t *batch_sizes;     /* (n_batch_sizes) rising; no others are joined; borrowed */
    size_t n_batch_sizes;            /* 0: any */
    bool pad_all;                    /* pad what no version declares, too (host/pad.h) */
    enum precision_choice precision; /* of models whose policy says none */
    size_t run_bytes;                /* memory of one run; 0: the engine's */
    size_t memory_bytes;      /* of all loaded versions; beyond it they are loaded on demand and the
                                 least recently used goes; 0: everything stays loaded */
    const struct str *models; /* MODEL[@...] to serve; none: every model of the store */
    size_t n_models;
    bool only_named;                  /* none means none: a configuration says what is served */
    bool explicit_only;               /* load nothing but by host_load, and what host_wish names */
    uint64_t poll_ms;                 /* store polling; 0: 500 */
    struct language_options language; /* of language models; threads, model and version are the
                                         host's to say */
    struct str draft; /* MODEL[@...] that guesses for the other language models, where neither
                         their policy nor their version names one; .n == 0: none */
};
MUST_USE enum code host_open(const struct host_options *o, struct host **out,
                             struct err *e); /* starts loading; returns at once */
void host_drain(
    struct host *h); /* refuses new asks with UNAVAILABLE; returns when the queue is empty */
void host_close(struct host *h);
bool host_ready(
    struct host *h); /* everything asked for at start is loaded or has failed with a reason */

/* --- asking --- */
struct ask_tensor {
    struct str name;           /* .n == 0: by position */
    struct tensor tensor;      /* PLAIN; data borrowed until the answer */
    const struct str *columns; /* an output that is a map a row: what its last dim's columns are
                                  called; NULL: it is none */
};

/* Who goes first where several wait. Within one priority: the order they came. */
enum ask_priority { PRIORITY_HIGH = -1, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_SHADOW };

struct ask {
    /* who: filled by the protocol */
    struct str model;
    uint64_t version; /* 0: by alias, or the model's default */
    struct str alias; /* .n == 0: none */
    /* what */
    struct ask_tensor *inputs;
    size_t n_inputs;
    const struct str *want; /* output names; n_want 0: all */
    size_t n_want;
    bool cut_text; /* an encoder cuts texts that are too long for it, which it refuses otherwise */
    uint64_t deadline_ns; /* monotonic; 0: none */
    int priority;         /* enum ask_priority */
    /* The text that decides where this ask goes when the traffic of its model is split: the value
     * of a header, a cookie, a field; .n == 0: the client sent none. NULL: there never is one.
     * Called by host_route on its caller's thread. */
    struct str (*sticky)(struct ask *a, enum sticky_kind kind, const char *name);
    struct arena *arena;  /* the request's: outputs are copied there, or lent until ask_end. Used by
                             one thread at a time: the caller must not touch it between host_submit
                             and done */
    volatile bool cancel; /* set by the loop when the client leaves */
    void (*done)(struct ask *a); /* called once, on another thread, unless host_submit answered */
    void *user;
    struct loop_link {
        void *p[4];
    } link; /* room for the caller's own queueing (loop_job) */
    /* filled before done: */
    enum code code;
    struct err err;
    bool loading;               /* UNAVAILABLE because the version is being loaded: ask again when
                                   host_on_change said so */
    uint64_t retry_ns;          /* OVERLOAD: when it is worth to ask again, 0: not known */
    struct live *live;          /* reference held until ask_end; NULL when routing failed. Before
                                   host_submit: NULL, or from host_route */
    struct ask_tensor *outputs; /* to be read only, until ask_end */
    size_t n_outputs;
    uint64_t queue_ns, compute_ns;
    size_t batch_rows; /* of the run it was part of */
    /* private to host: */
    struct session_run lent; /* its memory holds the outputs, until ask_end; runner NULL: none */
    struct split *split;     /* reference until ask_end; not NULL: a split decided the version */
    struct shadow *shadow;   /* a copy is on its way to a second version */
    struct capture *capture; /* it is kept for later */
    struct ask *next;
    double cost_ns; /* expected, when it was queued */
    uint64_t queued_ns;
    struct tensor *bound; /* inputs in the model's order, dtype DT_NONE: default; in arena */
    bool *wanted;         /* per output; NULL: all; in arena */
    int64_t rows;         /* first dim of the inputs when the model batches, else 1 */
};
/* Resolves who (model, version, alias) and sets a->live, a reference let go by ask_end. NOT_FOUND,
 * or UNAVAILABLE with the reason when that version is not READY. For a caller that needs the
 * signature to decode; host_submit then takes a->live instead of resolving again (and runs it
 * though it began draining meanwhile), so that what was decoded for a version runs on that version
 * though an alias moved. Any thread; never blocks. */
MUST_USE enum code host_route(struct host *h, struct ask *a, struct err *e);
/* Whether an ask with a->live, priority and deadline would be queued now: OVERLOAD as host_submit
 * would say it, before the work of decoding it. */
MUST_USE enum code host_admit(struct host *h, struct ask *a, struct err *e);
/* Any thread; never waits. true: a is answered already, because it was refused or its run took no
 * longer than handing it over would have; done is not called. false: a lives until done. */
MUST_USE bool host_submit(struct host *h, struct ask *a);
void ask_end(struct ask *a); /* lets go of the outputs and of a->live */

/* --- looking --- */
enum live_state { LIVE_UNLOADED, LIVE_LOADING, LIVE_READY, LIVE_DRAINING, LIVE_FAILED };
const char *live_state_name(enum live_state s); /* "ready" */

struct live_info {                           /* strings live in the arena given */
    struct str model, format, digest, error; /* error: why LIVE_FAILED */
    uint64_t version;
    enum live_state state;
    bool is_default; /* what MODEL without a selector means */
    bool withdrawn;  /* fell back from: see host_withdraw */
    struct str *aliases;
    size_t n_aliases;
    const struct live *live; /* reference held by the arena; NULL when not loaded */
    uint64_t created_us, size_bytes;
    uint64_t loading_ms; /* so far; LIVE_LOADING only */
};
MUST_USE enum code host_list(struct host *h, struct arena *a, struct live_info **out, size_t *n,
                             struct err *e); /* all versions of all models known */
/* One version, by the same rules as an ask. NOT_FOUND / UNAVAILABLE with a clear text. */
MUST_USE enum code host_find(struct host *h, struct str model, uint64_t version, struct str alias,
                             struct arena *a, struct live_info *out, struct err *e);

struct live_io {
    struct str name;
    enum dtype dtype;
    struct shape shape;
    struct str dim_names[SHAPE_MAX];
    bool optional;
    const struct str *columns; /* as of ask_tensor: (last dim) */
    bool text;   /* token ids: strings may be sent for them, by the version's tokenizer */
    bool filled; /* what goes with those ids: made when it is not given */
};
const struct tokenizer *live_tokenizer(const struct live *l); /* of a graph; NULL: it has none */
static inline bool live_io_required(const struct live_io *io) {
    return !io->optional && !io->filled;
}
size_t live_inputs(const struct live *l, const struct live_io **out);
size_t live_outputs(const struct live *l, const struct live_io **out);
/* What a language model answers with; NULL: it is a graph. Lives as long as the live. */
struct language *live_language(const struct live *l);
struct str live_model(const struct live *l);
uint64_t live_version(const struct live *l);
bool live_batches(const struct live *l);
/* What its configuration said of how it is shown; NULL: nothing. Lives as long as the live. */
const struct guise *live_guise(const struct live *l);
/* Of its i-th input or output; NULL: the session's shape is the wire's. */
const struct guise_tensor *live_guise_of(const struct live *l, bool output, size_t i);
struct span live_part(const struct live *l,
                      const char *name); /* "preprocess": JSON; .n == 0 when absent */

struct live_limits { /* as its model's policy says; 0 and wait_us below 0: nothing */
    size_t batch, queue, instances;
    int64_t wait_us;
    int priority;
};
void live_limits(const struct live *l, struct live_limits *out);
size_t host_batch(const struct host *h); /* most rows joined where no policy says */

enum shadow_result { SHADOW_SAME, SHADOW_DIFFERENT, SHADOW_FAILED, SHADOW_SKIPPED, SHADOW_N };

struct live_stats {
    uint64_t shadows[SHADOW_N]; /* as the second version of a split: how its answers compared */
    uint64_t success, failed, rejected, cancelled;         /* asks */
    uint64_t success_ns, queue_ns, compute_ns, rows, runs; /* sums */
    uint64_t last_us;
    size_t waiting;
    uint64_t load_ns, mapped_bytes, packed_bytes;
};
void live_stats(const struct live *l, struct live_stats *out);

/* Takes what MODEL@alias (no alias: what MODEL alone) means out of traffic at once: asks go to the
 * version it meant before, which is kept warm. In memory only, and only until the name moves: the
 * caller then makes the store say so (store_alias_rollback). NOT_FOUND: nothing to go back to. *to:
 * the version that answers now. Any thread; never blocks. */
MUST_USE enum code host_withdraw(struct host *h, struct str model, struct str alias, uint64_t *from,
                                 uint64_t *to, struct err *e);
void host_restore(struct host *h, struct str model, uint64_t version); /* undoes it */
/* fn(ctx) is called on the loading thread after each look at the store that found a change, and
 * after each load that an ask waits for. Once, before traffic. */
void host_on_change(struct host *h, void (*fn)(void *ctx), void *ctx);
/* Look at the store now: this process, or another one that said so, changed it. Any thread. */
void host_poke(struct host *h);

/* --- changing --- asynchronous; done (may be NULL) is called on the loading thread with the
 * outcome. */
typedef void host_done_fn(void *ctx, enum code code, const struct err *e);
void host_load(struct host *h, struct str model, uint64_t version, host_done_fn *done,
               void *ctx); /* 0: what the default would be */
void host_unload(struct host *h, struct str model, host_done_fn *done,
                 void *ctx); /* drains, then frees */
/* What is served from now on, in the place of what host_open was told: MODEL[@...] each; 0: none.
 * Named versions are loaded first, then the models no longer named are unloaded. One that was named
 * before and unloaded by host_unload stays so, unless afresh. Strings are copied. done: when it is
 * so; UNAVAILABLE when one of them failed to load. */
void host_wish(struct host *h, const struct str *models, size_t n, bool afresh, host_done_fn *done,
               void *ctx);

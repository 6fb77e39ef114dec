/* SPDX-License-Identifier: Apache-2.0 */
/* Private to host/: what live.c, route.c, batch.c, worker.c, load.c and host.c share.
 *
 * Locks, in the order they may be taken together:
 *   routes_lock (rwlock): the routing table; readers hold it for a lookup only.
 *   queue_lock (mutex): every live's queue, the ring of lives with work, n_waiting.
 *   load_lock (mutex): the loader's command list.
 * A live's reference count and statistics are atomics. */
#pragma once

#include "base/counter.h"
#include "base/team.h"
#include "base/thread.h"
#include "host/curve.h"
#include "host/host.h"
#include "host/loaded.h"
#include "host/marks.h"
#include "host/pad.h"
#include "host/policy.h"

#include <stdatomic.h>

enum { PRIORITIES = PRIORITY_SHADOW - PRIORITY_HIGH + 1 };

struct live {
    _Atomic long refs;
    char *model; /* owned */
    uint64_t version;
    char digest[SHA256_HEX + 1], *format; /* owned */
    struct live_error {                   /* why FAILED; others may be reading the ones before */
        struct live_error *before;
        char text[];
    } * _Atomic error; /* owned; NULL: never failed */
    uint64_t created_us, size_bytes;
    _Atomic uint64_t loading_ns; /* when the latest load began */
    _Atomic int state;           /* enum live_state; written by the loader */
    struct loaded loaded;
    struct live_io *inputs, *outputs; /* in loaded.arena */
    size_t n_inputs, n_outputs;
    bool batches;
    /* What its configuration showed clients; in loaded.arena; NULL: it is shown as it is. Below:
     * (n_inputs), (n_outputs), there, too; each NULL where the session's shape is the wire's. */
    const struct guise *guise;
    const struct guise_tensor **input_guises, **output_guises;
    struct { /* pad.c; written before it is READY */
        bool on;
        size_t n_axes;
        struct pad_input *inputs;  /* (n_inputs) in loaded.arena */
        struct pad_follow *follow; /* (n_outputs) there, too */
    } padding;

    /* under queue_lock */
    struct ask *first, *last_of[PRIORITIES]; /* queue.c */
    _Atomic size_t waiting;                  /* changed under queue_lock */
    size_t running;                          /* runs of it that workers have begun */
    double backlog[PRIORITIES];              /* expected ns of compute of what waits */
    uint64_t came_ns;                        /* the last ask that was queued */
    double gap_ns;                           /* between two of them, of late */
    uint64_t ripe_ns; /* until then what waits may wait for company; 0: it may not */
    size_t company;   /* asks that are enough */
    bool in_ring;
    struct live *ring_next;
    _Atomic double weight; /* share of the cores beside others: 1 */
    double vtime;          /* ns of compute it was given, divided by its weight (worker.c) */
    /* routing by name goes to the version before this one */
    _Atomic enum withdrawal { NOT_WITHDRAWN, BY_HAND, BY_CIRCUIT } withdrawn;
    _Atomic uint64_t shadow_results[SHADOW_N];
    bool asked;           /* loaded because somebody asked for this version; loader only */
    struct policy policy; /* its model's; the loader's own. What others read of it: */
    _Atomic int priority;
    _Atomic size_t queue_limit, batch_limit, run_limit; /* 0: the server's; any number */
    _Atomic double wait_ns; /* most that an ask waits for company; below 0: what pays */
    _Atomic uint32_t capture_share, capture_turn; /* share: of a million */
    _Atomic uint64_t keep_bytes, keep_days;
    _Atomic uint64_t touched_ns; /* last run, or load */
    size_t bytes;                /* mapped and packed, once loaded; loader only */
    uint64_t loaded_ns;          /* when; loader only */
    _Atomic uint64_t
        again_ns; /* FAILED for want of memory: when it is worth another try; 0: it is not */
    _Atomic unsigned streak; /* failed runs without a good one between (circuit.c) */
    struct mark *mark;       /* in the file that outlives the process; written by the loader */

    struct curve curve; /* under queue_lock */
    struct team team;   /* there, too */

    _Atomic uint64_t success, failed, rejected, cancelled, success_ns, queue_ns, compute_ns, rows,
        runs, last_us;

    struct counter *c_queue_wait, *c_compute, *c_batch_rows, *c_queue_depth, *c_load, *c_bytes,
        *c_state;
};

struct split {
    _Atomic long refs;
    struct rollout spec;
    struct live *arms[ROLLOUT_ARMS]; /* references; NULL: no such version */
    struct live *shadow;
    _Atomic uint32_t turns, shadow_turns;
};

struct route_alias {
    char *name;
    struct live *live, *previous; /* references; previous: kept warm, or NULL */
};

struct route_model { /* immutable once published, but for publishing a new one in its place */
    char *name;
    struct live **lives; /* references; every version of the model known, newest first */
    size_t n_lives;
    struct route_alias *aliases;
    size_t n_aliases;
    struct live *chosen; /* what MODEL alone means; reference; NULL: nothing is ready */
    struct live *before; /* what it meant before: reference, or NULL */
    struct split *split; /* reference; NULL: all goes to chosen */
    bool by_hand; /* unloaded by a request, or not loaded yet with explicit_only: polling leaves it
                     alone */
};

struct command { /* for the loader thread */
    struct command *next;
    enum { COMMAND_LOAD, COMMAND_UNLOAD, COMMAND_DEMAND, COMMAND_WITHDRAW, COMMAND_WISH } kind;
    char model[STORE_NAME_MAX + 1];
    uint64_t version;
    char reason[160];    /* COMMAND_WITHDRAW */
    struct wish *wishes; /* COMMAND_WISH: (n_wishes) owned */
    size_t n_wishes;
    bool afresh; /* COMMAND_WISH */
    host_done_fn *done;
    void *ctx;
};

struct wish { /* a model named on the command line, or by host_wish */
    struct store_ref ref;
    char text[2 * STORE_NAME_MAX + 2];
};

struct host {
    struct host_options options;
    struct wish *wishes; /* (options.n_models); the loader's, once it runs */
    bool all;            /* every model of the store, not only those */
    bool told;           /* the wishes are host_wish's: explicit_only does not hold for them */
    struct marks *marks; /* NULL: the store is read only */
    int threads;

    pthread_rwlock_t routes_lock;
    struct route_model **models; /* sorted by name */
    size_t n_models;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_work, queue_express, queue_idle;
    struct live *ring_first; /* lives with waiting asks, in no order */
    size_t n_ring;
    double backlog[PRIORITIES];          /* as in live, of all */
    double vtime;                        /* of the live that was chosen last */
    size_t n_waiting, n_running, n_long; /* n_long: of the running, by workers not express */
    bool draining, stopping;
    _Atomic size_t n_shadows;

    pthread_mutex_t load_lock;
    pthread_cond_t load_work;
    struct command *commands;
    bool load_stopping, poked;
    void (*on_change)(void *ctx);
    void *on_change_ctx;
    _Atomic bool ready;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct capture *first;
        _Atomic size_t n; /* under way */
        bool stopping, started;
        pthread_t thread;
    } captures;

    pthread_t loader;
    pthread_t *workers; /* (n_workers): one per core, and the express one */
    int n_workers;
    bool loader_started;
};

/* live.c */
struct live *live_new(struct str model,
                      const struct store_info *info); /* one reference; NULL: out of memory */
struct live *live_ref(struct live *l);
void live_unref(struct live *l); /* the last one closes the session and unmaps */
void live_fail(struct live *l, const struct err *e);
const char *live_error(const struct live *l); /* the latest; lives as long as l */
MUST_USE enum code live_open(struct live *l, const struct host_options *o, struct err *e);

/* Of an input, as the session has it. */
struct shape live_session_shape(const struct live *l, size_t input);
/* A shape from the wire to the session's; of an output that was made to the wire's. */
MUST_USE enum code live_take_shape(const struct live *l, size_t input, struct shape *s,
                                   struct err *e);
MUST_USE enum code live_show_shape(const struct live *l, size_t output, struct shape *s,
                                   struct err *e);

bool live_usable(const struct live *l); /* READY and not withdrawn; NULL: no */

/* split.c */
struct split *split_new(const struct rollout *spec); /* NULL: out of memory */
struct split *split_ref(struct split *s);
void split_unref(struct split *s);
/* Takes the reference `stable`; a reference to the live this ask goes to. */
struct live *split_choose(struct split *s, struct ask *a, struct live *stable);
bool split_shadows(struct split *s, const struct live *primary); /* this ask is copied */

/* shadow.c */
void shadow_begin(struct host *h, struct ask *a); /* a is bound, not yet queued */
void shadow_answer(struct ask *a);                /* a is answered, not yet told */
/* Copies into the arena, texts too. */
MUST_USE enum code ask_copy_tensors(struct arena *a, const struct ask_tensor *from, size_t n,
                                    struct ask_tensor **out, struct err *e);

/* capture.c */
void capture_begin(struct host *h, struct live *l, struct ask *a); /* a is bound */
void capture_answer(struct ask *a);                                /* a is answered, not yet told */
void *capture_main(void *host);
void capture_stop(struct host *h); /* writes what is queued */

/* route.c */
struct route_model *route_find(const struct host *h,
                               struct str model); /* under routes_lock; NULL: unknown */
void route_publish(struct host *h,
                   struct route_model *m); /* takes m; replaces the old entry of that name */
void route_drop(struct host *h, const char *model);
void route_model_free(struct route_model *m);
void route_set_by_hand(struct host *h, struct route_model *m, bool by_hand);
bool route_by_hand(struct host *h, struct str model);
MUST_USE enum code route_ask(
    struct host *h, struct str model, uint64_t version, struct str alias, struct live **out,
    struct split **split,
    struct err *e); /* a reference to a live that is READY or will say why not; split (may be NULL
                       when nobody asks): a reference where one decides, else NULL */

/* bind.c */
MUST_USE enum code bind_ask(const struct live *l, struct ask *a,
                            struct err *e); /* fills bound, wanted, rows */

/* queue.c: under queue_lock */
void queue_put(struct host *h, struct live *l, struct ask *a);
/* The one behind `before`; NULL: the first. */
struct ask *queue_take(struct host *h, struct live *l, struct ask *before);
/* The last ask of the lowest priority below that of for_whom, taken out; NULL: there is none. */
struct ask *queue_shed(struct host *h, struct live *l, const struct ask *for_whom);
bool queue_sheds(const struct live *l, const struct ask *for_whom); /* there is one */

/* batch.c */
struct batch {
    struct ask *first;   /* linked by ->next */
    struct ask *dropped; /* cancelled or past their deadline: to be finished without a run */
    size_t n_asks;
    int64_t rows;
    struct pad_lengths widths; /* that what is padded gets, where `padded` */
    int cores;                 /* it is to run on; 0: as many as are free */
    bool padded, shadow;
};
/* Under queue_lock. alone: no other live has anything waiting. */
void batch_take(struct host *h, struct live *l, bool alone, struct batch *out);
struct batch_memory { /* per worker; grows, is kept */
    void *bytes;
    size_t room;
};
/* Joins what was taken and runs it; session_end lets go of *run. */
MUST_USE enum code batch_compute(struct live *l, struct batch *b, int threads,
                                 struct batch_memory *memory, struct session_run *run,
                                 struct err *e);
/* The rows [row, row + a->rows) of every wanted output, into the asker's arena; those of a run that
 * is lent as they lie. b NULL: all of them. */
MUST_USE enum code batch_give(const struct live *l, const struct session_run *run, struct ask *a,
                              int64_t row, const struct batch *b, struct err *e);
void batch_run(struct host *h, struct live *l, struct batch *b, int threads,
               struct batch_memory *memory);
/* One ask by itself, on the calling thread: whatever follows but ask_settle. brief: nobody looks
 * whether its deadline passes meanwhile. */
MUST_USE enum code batch_run_one(struct host *h, struct live *l, struct ask *a, int threads,
                                 bool brief, uint64_t now);
/* `first` is about to wait alone: sets ripe_ns and company by what joining saves. Under queue_lock.
 */
void batch_open_window(struct host *h, struct live *l, const struct ask *first);
int batch_cores(const struct live *l, int total);               /* under queue_lock */
void ask_settle(struct live *l, struct ask *a, enum code code); /* counts; all but a->done */
void ask_finish(struct live *l, struct ask *a, enum code code); /* settles and says so */

/* brief.c */
/* Whether this ask is answered fastest by the thread that asks. Under queue_lock. */
bool brief_may(const struct live *l, const struct ask *a);
/* Answers it; its caller has counted it among the running. */
void brief_run(struct host *h, struct live *l, struct ask *a);

/* speech.c: language models as takers of asks: an encoder embeds, the others generate by
 * talking to their decode (llm/decode.h). */
MUST_USE enum code speech_open(struct live *l, struct err *e);
MUST_USE enum code speech_run(struct live *l, struct ask *a, struct err *e);

/* worker.c */
void *worker_main(void *host);
void *worker_express(void *host);
void worker_wake(struct host *h, struct live *l); /* under queue_lock: l has work */

/* entry.c: the loading thread's */
struct known { /* of one model; in an arena, as long as one look at the store */
    const struct store_info *infos; /* versions, newest first */
    size_t n;
    const struct store_alias *aliases;
    size_t n_aliases;
    struct rollout rollout;
    struct policy policy;
};

struct str known_model(const struct known *k);
const struct wish *wish_in(const struct wish *wishes, size_t n, struct str model);
const struct wish *wish_for(const struct host *h, struct str model);
struct live *entry_live(const struct route_model *m, uint64_t version);
bool entry_wants(const struct host *h, const struct known *k, const struct live *l);
void entry_take_policy(struct live *l, const struct policy *p);
void entry_publish_known(struct host *h, const struct known *k);
void entry_publish_final(struct host *h, const struct known *k);
/* Publishes the model's entry with `to` wherever `from` was; false: out of memory. */
bool entry_replace(struct host *h, struct live *from, struct live *to);

/* budget.c: the loading thread's */
/* Room for a version of this size within the budget. evict: others may be unloaded for it. */
bool budget_room(struct host *h, uint64_t bytes, bool evict);
void budget_note(struct host *h, struct live *l); /* l was loaded: how much it really takes */

/* pad.c */
/* Once it is loaded: whether its requests are padded, and how. all: also what nobody declared. */
MUST_USE enum code pad_open(struct live *l, bool all, int threads, struct err *e);
struct pad_follow {          /* an output's dims, as an input's (pad.h) */
    uint8_t axes[SHAPE_MAX]; /* 1 and the axis: as long as the request is there */
};
bool pad_joins(const struct live *l, const struct ask *a, const struct ask *b);
/* What a run of them is filled up to; false: they are of one length, or are not padded. */
bool pad_widths(const struct live *l, const struct batch *b, struct pad_lengths *out);
/* A shape filled up. */
struct shape pad_shape(const struct pad_input *p, struct shape s, const struct pad_lengths *widths);
/* The tensor filled up; where the copy ends. */
char *pad_copy(const struct pad_input *p, const struct tensor *t, const struct pad_lengths *widths,
               char *to);
/* The shape of an output of a padded run, cut to this ask's lengths. */
struct shape pad_cut(const struct live *l, size_t output, const struct ask *a, struct shape whole);

/* warm.c */
MUST_USE enum code live_warm(struct live *l, int threads, struct err *e);

/* circuit.c */
void circuit_note(struct host *h, struct live *l, enum code code, const struct err *e);
/* It is not to be loaded: whatever leads to it goes back. */
void circuit_bar(struct host *h, struct live *l, const struct err *e);
MUST_USE enum code circuit_obey(struct host *h, const struct command *c, struct err *e);

/* load.c */
void *loader_main(void *host);
void loader_command(struct host *h, struct command *c); /* takes c */

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
#include "base/thread.h"
#include "host/host.h"
#include "host/loaded.h"

#include <stdatomic.h>

enum { BATCH_CLASSES = 8 }; /* runs of 1, 2, 4, ... 128 rows */

struct live {
    _Atomic long refs;
    char *model; /* owned */
    uint64_t version;
    char digest[SHA256_HEX + 1], *format, *error; /* owned; error: NULL unless FAILED */
    uint64_t created_us;
    _Atomic int state; /* enum live_state; written by the loader */
    struct loaded loaded;
    struct live_io *inputs, *outputs; /* in loaded.arena */
    size_t n_inputs, n_outputs;
    bool batches;

    /* under queue_lock */
    struct ask *first, *last;
    size_t waiting;
    bool in_ring;
    struct live *ring_next;
    bool pinned; /* loaded because somebody asked for this version; loader only */

    /* measured cost of a run by row class (batch.c); written under queue_lock */
    double row_ns[BATCH_CLASSES];
    unsigned row_runs[BATCH_CLASSES];

    _Atomic uint64_t success, failed, rejected, cancelled, success_ns, queue_ns, compute_ns, rows,
        runs, last_us;

    struct counter *c_queue_wait, *c_compute, *c_batch_rows, *c_queue_depth, *c_load, *c_bytes,
        *c_state;
};

struct route_alias {
    char *name;
    struct live *live; /* reference */
};

struct route_model { /* immutable once published, but for publishing a new one in its place */
    char *name;
    struct live **lives; /* references; every version of the model known, newest first */
    size_t n_lives;
    struct route_alias *aliases;
    size_t n_aliases;
    struct live *chosen; /* what MODEL alone means; reference; NULL: nothing is ready */
    bool by_hand; /* unloaded by a request, or not loaded yet with explicit_only: polling leaves it
                     alone */
};

struct command { /* for the loader thread */
    struct command *next;
    enum { COMMAND_LOAD, COMMAND_UNLOAD } kind;
    char model[STORE_NAME_MAX + 1];
    uint64_t version;
    host_done_fn *done;
    void *ctx;
};

struct wish { /* a model named on the command line */
    struct store_ref ref;
    char text[2 * STORE_NAME_MAX + 2];
};

struct host {
    struct host_options options;
    struct wish *wishes; /* (options.n_models) */
    int threads;

    pthread_rwlock_t routes_lock;
    struct route_model **models; /* sorted by name */
    size_t n_models;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_work, queue_idle;
    struct live *ring_first, *ring_last;
    size_t n_waiting, n_running;
    bool draining, stopping;

    pthread_mutex_t load_lock;
    pthread_cond_t load_work;
    struct command *commands;
    bool load_stopping;
    _Atomic bool ready;

    pthread_t loader;
    pthread_t *workers;
    int n_workers;
    bool loader_started;
};

/* live.c */
struct live *live_new(struct str model,
                      const struct store_info *info); /* one reference; NULL: out of memory */
struct live *live_ref(struct live *l);
void live_unref(struct live *l); /* the last one closes the session and unmaps */
void live_fail(struct live *l, const struct err *e);
MUST_USE enum code live_open(struct live *l, struct store *s, size_t memory_bytes, struct err *e);
MUST_USE enum code live_warm(struct live *l, int threads, struct err *e);

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
    struct err *e); /* a reference to a live that is READY or will say why not */

/* bind.c */
MUST_USE enum code bind_ask(const struct live *l, struct ask *a,
                            struct err *e); /* fills bound, wanted, rows */

/* batch.c */
struct batch {
    struct ask *first;   /* linked by ->next */
    struct ask *dropped; /* cancelled or past their deadline: to be finished without a run */
    size_t n_asks;
    int64_t rows;
};
void batch_take(struct live *l, size_t most_rows, struct batch *out); /* under queue_lock */
struct batch_memory { /* per worker; grows, is kept */
    void *bytes;
    size_t room;
};
void batch_run(struct host *h, struct live *l, struct batch *b, int threads,
               struct batch_memory *memory);
void batch_learn(struct live *l, int64_t rows, uint64_t compute_ns); /* under queue_lock */
int batch_cores(const struct live *l, int total);
void ask_finish(struct live *l, struct ask *a, enum code code);

/* worker.c */
void *worker_main(void *host);
void worker_wake(struct host *h, struct live *l); /* under queue_lock: l has work */

/* load.c */
void *loader_main(void *host);
void loader_command(struct host *h, struct command *c); /* takes c */

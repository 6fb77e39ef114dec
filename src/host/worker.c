/* SPDX-License-Identifier: Apache-2.0 */
/* Executor threads: choose a live with waiting asks, join a batch, run it, go on.
 *
 * 1. Higher priorities first. Among equals the live that was given the least compute so far,
 * divided by its weight, is next: cores are shared between models by weight, and a busy model does
 * not starve another. One that comes back after a pause has saved nothing up.
 * 2. The core ledger decides how many cores a run gets: all of them when nobody else waits, one
 * when others do. Where other programs keep its threads from their cores, as many as pay.
 * 3. When every worker is in the middle of something, short runs (measured) do not wait behind long
 * ones: the express worker takes them, on one core that it shares with whoever has it.
 * 4. What waits for company (batch_open_window) waits only while this is the last core that is
 * free: a core that nobody else uses loses nothing by running at once.
 * 5. A model whose policy limits its runs at one time waits for one of them to end.
 * 6. Shadows run only while nothing else is running or waiting, or on a core nobody uses. */
#include "host/in.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/cores.h"

#define SHORT_RUN_NS 5e6

static bool is_short(const struct live *l, int64_t rows) {
    double cost = curve_row(&l->curve);
    return cost > 0 && cost * (double)rows < SHORT_RUN_NS;
}

/* Every worker is in a long run. */
static bool all_long(const struct host *h) { return h->n_long >= (size_t)h->threads; }

void worker_wake(struct host *h, struct live *l) {
    if (!l->in_ring) {
        l->in_ring = true;
        h->n_ring++;
        l->ring_next = h->ring_first;
        h->ring_first = l;
        if (l->vtime < h->vtime)
            l->vtime = h->vtime;
    }
    /* busy workers look at the ring before they sleep */
    bool express = all_long(h) && is_short(l, l->first->rows);
    pthread_cond_signal(express ? &h->queue_express : &h->queue_work);
}

static bool may_shadow(const struct host *h) {
    size_t others = h->threads > 1 ? (size_t)h->threads - 1 : 1;
    return h->stopping || h->n_running < others;
}

/* The window of l's first ask is over, or does not matter. */
static bool is_ripe(const struct host *h, const struct live *l, uint64_t now) {
    return now >= l->ripe_ns || l->waiting >= l->company || h->draining || h->stopping ||
           h->n_running + 1 < (size_t)h->threads;
}

/* As many runs of it as its model's policy allows are under way. */
static bool is_full(const struct live *l) {
    size_t most = atomic_load_explicit(&l->run_limit, memory_order_relaxed);
    return most && l->running >= most;
}

/* Whether an express worker, or any, may take l's first ask. *wake: moved to when it may, if time
 * makes the difference. */
static bool eligible(const struct host *h, const struct live *l, bool express, uint64_t *wake) {
    if (is_full(l))
        return false;
    if (l->first->priority >= PRIORITY_SHADOW)
        return !express && may_shadow(h);
    if (express)
        return is_short(l, l->first->rows);
    if (!l->ripe_ns || is_ripe(h, l, clock_ns()))
        return true;
    if (!*wake || l->ripe_ns < *wake)
        *wake = l->ripe_ns;
    return false;
}

static bool goes_before(const struct live *a, const struct live *b) {
    if (a->first->priority != b->first->priority)
        return a->first->priority < b->first->priority;
    return a->vtime < b->vtime;
}

/* The live whose turn it is, taken out of the ring; NULL: nothing that this worker may take, before
 * *wake if that is not 0. */
static struct live *choose(struct host *h, bool express, uint64_t *wake) {
    struct live **best = NULL;
    *wake = 0;
    if (express && !all_long(h))
        return NULL;
    for (struct live **at = &h->ring_first; *at; at = &(*at)->ring_next)
        if (eligible(h, *at, express, wake) && (!best || goes_before(*at, *best)))
            best = at;
    if (!best)
        return NULL;
    struct live *l = *best;
    *best = l->ring_next;
    l->in_ring = false;
    h->n_ring--;
    h->vtime = l->vtime;
    return l;
}

static struct live *next_live(struct host *h, bool express) {
    pthread_cond_t *work = express ? &h->queue_express : &h->queue_work;
    struct live *l;
    uint64_t wake;
    while ((l = choose(h, express, &wake)) == NULL && !h->stopping)
        if (wake)
            (void)thread_cond_wait_until(work, &h->queue_lock, wake);
        else
            pthread_cond_wait(work, &h->queue_lock);
    if (l && wake) /* what still waits for company needs another who looks at the clock */
        pthread_cond_signal(&h->queue_work);
    return l;
}

static void finish_dropped(struct live *l, struct ask *a) {
    for (struct ask *next; a; a = next) {
        next = a->next;
        a->queue_ns = clock_ns() - a->queued_ns;
        if (__atomic_load_n(&a->cancel, __ATOMIC_RELAXED))
            ask_finish(l, a, fail(&a->err, CANCELLED, "the client left before the request ran"));
        else
            ask_finish(l, a,
                       fail(&a->err, TIMEOUT, "the deadline passed after %llu ms in the queue",
                            (unsigned long long)(a->queue_ns / 1000000)));
    }
}

struct spent {
    int most;             /* cores that it may have; of more than 1 it is learned how many pay */
    int cores;            /* wanted, 0: none from the ledger; then how many it ran on */
    uint64_t ns, late_ns; /* late: not on a core, waiting for other threads or for a core; looked at
                             where there is something to learn, for it takes two system calls */
};

static void run_batch(struct host *h, struct live *l, struct batch *b, struct spent *s,
                      struct batch_memory *m) {
    finish_dropped(l, b->dropped);
    if (!b->first)
        return;
    int taken = s->cores ? cores_take(s->cores) : 0;
    s->cores = taken ? taken : 1;
    const bool watched = s->most > 1;
    uint64_t began = clock_ns(), computed = watched ? clock_cpu_ns() : 0;
    mark_running(l->mark, 1);
    batch_run(h, l, b, s->cores, m);
    mark_running(l->mark, -1);
    s->ns = clock_ns() - began;
    computed = watched ? clock_cpu_ns() - computed : s->ns;
    s->late_ns = s->ns > computed ? s->ns - computed : 0;
    cores_give(taken);
}

/* Of at most `most` cores. */
static int wanted_cores(const struct host *h, struct live *l, const struct batch *b, int most) {
    if (b->cores)
        return b->cores;
    bool others = h->n_waiting > atomic_load_explicit(&h->n_shadows, memory_order_relaxed);
    if (others || b->shadow || most == 1)
        return 1;
    return team_size(&l->team, (size_t)b->rows, most);
}

static void learn(struct live *l, const struct batch *b, const struct spent *s) {
    curve_learn(&l->curve, b->rows, s->cores, s->ns);
    if (s->most > 1)
        team_note(&l->team, (size_t)b->rows, s->cores, s->most, s->ns,
                  s->late_ns * (uint64_t)s->cores);
}

/* One turn: under queue_lock on entry and exit. */
static void turn(struct host *h, struct live *l, bool express, struct batch_memory *m) {
    struct batch b;
    live_ref(l); /* the asks' references end with them */
    batch_take(h, l, h->ring_first == NULL, &b);
    if (l->waiting)
        worker_wake(h, l);
    struct spent s = {.most = 1};
    if (!express && !l->loaded.language) { /* a forward pass takes its cores itself */
        s.most = batch_cores(l, h->threads);
        s.cores = wanted_cores(h, l, &b, s.most);
    }
    counter_set(l->c_queue_depth, (int64_t)l->waiting);
    bool is_long = !express && !is_short(l, b.rows);
    h->n_running++;
    l->running++;
    h->n_long += is_long;
    if (is_long && all_long(h) && h->ring_first)
        pthread_cond_signal(&h->queue_express);
    pthread_mutex_unlock(&h->queue_lock);
    run_batch(h, l, &b, &s, m);
    pthread_mutex_lock(&h->queue_lock);
    if (s.ns && !express)
        learn(l, &b, &s);
    l->vtime += (double)s.ns / l->weight;
    h->n_running--;
    l->running--;
    h->n_long -= is_long;
    if (l->in_ring && atomic_load_explicit(&l->run_limit, memory_order_relaxed))
        pthread_cond_signal(&h->queue_work); /* it had to wait for this one */
    if (h->n_waiting == 0 && h->n_running == 0)
        pthread_cond_broadcast(&h->queue_idle);
    pthread_mutex_unlock(&h->queue_lock);
    live_unref(l); /* may close a session: not under the lock */
    pthread_mutex_lock(&h->queue_lock);
}

static void *work(struct host *h, bool express) {
    struct batch_memory memory = {0};
    pthread_mutex_lock(&h->queue_lock);
    for (struct live *l; (l = next_live(h, express)) != NULL;)
        turn(h, l, express, &memory);
    pthread_mutex_unlock(&h->queue_lock);
    mem_free(memory.bytes);
    return NULL;
}

void *worker_main(void *host) { return work(host, false); }
void *worker_express(void *host) { return work(host, true); }

/* SPDX-License-Identifier: Apache-2.0 */
/* Side threads: see side.h. One lock, one queue in order of arrival. */
#include "serve/side.h"

#include "base/arena_buf.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/answer.h"

enum { SIDE_THREADS = 16 };

struct side {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct side_job *first, *last;
    bool stopping;
    int n_threads;
    pthread_t threads[SIDE_THREADS];
};

static struct side_job *take(struct side *s) {
    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->stopping)
        pthread_cond_wait(&s->work, &s->lock);
    struct side_job *job = s->first;
    if (job) {
        s->first = job->next;
        if (!s->first)
            s->last = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return job;
}

static void *side_main(void *arg) {
    struct side *s = arg;
    for (struct side_job *job; (job = take(s)) != NULL;)
        job->fn(job);
    arena_buf_forget();
    return NULL;
}

enum code side_open(int threads, struct side **out, struct err *e) {
    struct side *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return fail(e, NOMEM, "side threads: out of memory");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    for (; s->n_threads < threads && s->n_threads < SIDE_THREADS; s->n_threads++) {
        enum code code = thread_start(&s->threads[s->n_threads], "side", side_main, s, e);
        if (code != OK) {
            side_close(s);
            return code;
        }
    }
    *out = s;
    return OK;
}

void side_post(struct side *s, struct side_job *job) {
    job->next = NULL;
    pthread_mutex_lock(&s->lock);
    bool stopped = s->stopping;
    if (!stopped && s->last)
        s->last->next = job;
    else if (!stopped)
        s->first = job;
    if (!stopped)
        s->last = job;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    if (stopped)
        job->fn(job);
}

void side_stop(struct side *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    s->n_threads = 0;
}

void side_close(struct side *s) {
    if (!s)
        return;
    side_stop(s);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

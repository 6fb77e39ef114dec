/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: see thread.h. */
#include "base/thread.h"

#include "base/fault.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    NAME_MAX_BYTES = 16, /* the kernel's limit, NUL included */
    BACK_NICE = 10,
};

struct start {
    void *(*fn)(void *);
    void *arg;
    char name[NAME_MAX_BYTES];
};

static void *run(void *p) {
    struct start s = *(struct start *)p;
    mem_free(p);
    pthread_setname_np(pthread_self(), s.name);
    return s.fn(s.arg);
}

/* New threads start with every signal blocked that is sent: those belong to the thread that waits
 * for them on purpose. Those that a thread causes itself would end the process unheard. */
static int create_here(pthread_t *t, struct start *s) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all, old;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int number = pthread_create(t, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return number;
}

/* --- threads that step back --- */

/* A thread has the priority of the one that creates it, and raising it again takes a privilege. So
 * one that stepped back has its threads created by another, which never did. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t asked, done;
    pthread_once_t once;
    bool runs;          /* set once */
    struct start *next; /* guarded by lock; NULL: nothing asked, or taken up */
    pthread_t *into;
    int *number; /* of the answer: -1 until it is there */
} starter = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .asked = PTHREAD_COND_INITIALIZER,
             .done = PTHREAD_COND_INITIALIZER,
             .once = PTHREAD_ONCE_INIT};

static _Thread_local bool is_back;

static void *starter_main(void *unused) {
    pthread_mutex_lock(&starter.lock);
    for (;;) {
        while (!starter.next)
            pthread_cond_wait(&starter.asked, &starter.lock);
        *starter.number = create_here(starter.into, starter.next);
        starter.next = NULL;
        pthread_cond_broadcast(&starter.done);
    }
    return unused;
}

static void start_starter(void) {
    pthread_t t;
    struct err ignored;
    starter.runs = thread_start(&t, "starter", starter_main, NULL, &ignored) == OK;
    if (starter.runs)
        pthread_detach(t);
}

static int create_by_starter(pthread_t *t, struct start *s) {
    int number = -1;
    pthread_mutex_lock(&starter.lock);
    while (starter.next)
        pthread_cond_wait(&starter.done, &starter.lock);
    starter.next = s, starter.into = t, starter.number = &number;
    pthread_cond_signal(&starter.asked);
    while (number < 0)
        pthread_cond_wait(&starter.done, &starter.lock);
    pthread_mutex_unlock(&starter.lock);
    return number;
}

static int create(pthread_t *t, struct start *s) {
    return is_back && starter.runs ? create_by_starter(t, s) : create_here(t, s);
}

void thread_step_back(void) {
    pthread_once(&starter.once, start_starter);
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + BACK_NICE);
    is_back = true;
}

/* --- starting, waiting --- */

enum code thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg,
                       struct err *e) {
    struct start *s = mem_alloc(sizeof *s);
    if (!s)
        return fail(e, NOMEM, "thread '%s': out of memory", name);
    *s = (struct start){.fn = fn, .arg = arg};
    snprintf(s->name, sizeof s->name, "%s", name);
    int number = create(t, s);
    if (number) {
        mem_free(s);
        return fail_errno(e, number, "cannot start thread '%s'", name);
    }
    return OK;
}

void thread_cond_init(pthread_cond_t *c) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

bool thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_ns) {
    struct timespec t = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                         .tv_nsec = (long)(deadline_ns % 1000000000u)};
    return pthread_cond_timedwait(c, m, &t) != ETIMEDOUT;
}

/* sched_setattr(2): for SCHED_OTHER the runtime is the slice of EEVDF. glibc 2.36 has no wrapper.
 */
void thread_answers_soon(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = sizeof attr, .nice = getpriority(PRIO_PROCESS, 0), .runtime = 100000};
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

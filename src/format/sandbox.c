/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox for parsers of foreign bytes.
 *
 *   parent                                        child
 *   all signals blocked, fork ------------------> handlers reset, signals open again
 *   reads the pipe until the frame is whole,      every descriptor closed but the pipe
 *   the deadline passes or the pipe ends          limits: CPU, address space, no files, no
 * processes, no core kills what is left, reaps                     no_new_privs, seccomp: all but a
 * few calls kill the process fn(), frame to the pipe, exit
 *
 * 1. The child maps nothing new but anonymous memory, opens nothing, sends nothing but its answer.
 * Whatever a parser can be talked into, that is all it can do.
 * 2. The parent believes only the frame's length, within its buffer's cap; the answer is checked by
 * whoever asked.
 *
 * Why a plain fork of a program with threads is safe here. After fork() only the calling thread
 * exists in the child, and a lock some other thread held stays locked for ever; POSIX therefore
 * allows only async-signal-safe calls. What fn uses beyond those is (a) malloc: glibc takes its own
 * locks around fork and gives them to the child in working order (documented for fork(3)
 * since 2.24); (b) vsnprintf into memory, which takes no lock; (c) libseccomp, which only uses
 * malloc and system calls. It uses no stdio stream, no OpenMP (whose threads are not there), no
 * log, no dlopen, no getenv. The hash seed (base/hash.c) is drawn before the fork, because the
 * child may not ask the kernel for it. If an allocator without glibc's care (a sanitizer's) should
 * ever leave a lock behind, the child hangs, and the deadline ends it.
 *
 * Under a sanitizer the address space holds terabytes of shadow, so RLIMIT_AS would forbid
 * everything: there the caps of arena and buffer alone bound the memory. stderr stays open there
 * for its reports. */
#include "format/sandbox.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_FD = 0, EXIT_SETUP = 3 };

struct frame { /* precedes the answer (OK) or the error's text */
    uint32_t code;
    uint32_t pad;
    uint64_t length;
};

/* --- child --- */

/* Not _exit: LeakSanitizer hooks that, and looks for leaks with calls that are forbidden by now. */
__attribute__((noreturn)) static void quit(int status) {
    for (;;)
        syscall(SYS_exit_group, status);
}

static void write_all(const void *bytes, size_t n) {
    for (const char *p = bytes; n;) {
        ssize_t put = write(PIPE_FD, p, n);
        if (put <= 0)
            quit(EXIT_SETUP);
        p += put;
        n -= (size_t)put;
    }
}

static void send_answer(enum code code, const struct buf *out, const struct err *e) {
    struct frame f = {.code = code, .length = code == OK ? out->n : strlen(e->text)};
    write_all(&f, sizeof f);
    write_all(code == OK ? out->p : e->text, f.length);
}

static void reset_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static enum code limit(int what, uint64_t soft, uint64_t hard, struct err *e) {
    struct rlimit r = {.rlim_cur = soft, .rlim_max = hard}, now;
    if (getrlimit(what, &now) == 0 && now.rlim_max < hard) { /* what we have is tighter */
        r.rlim_max = now.rlim_max;
        if (r.rlim_cur > r.rlim_max)
            r.rlim_cur = r.rlim_max;
    }
    if (setrlimit(what, &r) != 0)
        return fail_errno(e, errno, "cannot limit the import process");
    return OK;
}

/* Bytes of address space in use; 0 when /proc does not say. Called before the descriptors go. */
static uint64_t address_space(void) {
    char text[64];
    unsigned long long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (unsigned)(text[i] - '0');
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum code set_limits(const struct sandbox_limits *l, uint64_t used, struct err *e) {
    TRY(limit(RLIMIT_CPU, l->seconds, (uint64_t)l->seconds + 1, e));
    TRY(limit(RLIMIT_CORE, 0, 0, e));
    TRY(limit(RLIMIT_FSIZE, 0, 0, e));
    TRY(limit(RLIMIT_NOFILE, 1, 1, e));
    TRY(limit(RLIMIT_NPROC, 0, 0, e));
    if (SANITIZED || !used)
        return OK;
    return limit(RLIMIT_AS, used + l->memory_bytes, used + l->memory_bytes, e);
}

/* Every call that is not here kills the process. mmap only anonymous (no descriptor), mprotect
 * never executable. */
static int allow_calls(scmp_filter_ctx filter) {
    static const int calls[] = {
        SCMP_SYS(write),       SCMP_SYS(munmap),        SCMP_SYS(mremap),
        SCMP_SYS(brk),         SCMP_SYS(madvise),       SCMP_SYS(futex),
        SCMP_SYS(exit),        SCMP_SYS(exit_group),    SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sched_yield), SCMP_SYS(clock_gettime),
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof calls / sizeof calls[0]; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                              SCMP_A4(SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return rc ? rc : seccomp_load(filter);
}

static enum code confine(struct err *e) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_errno(e, errno, "cannot confine the import process");
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = filter ? allow_calls(filter) : -ENOMEM;
    /* The filter's memory is left to the process: it lives for this one parse. */
    return rc ? fail_errno(e, -rc, "cannot confine the import process (seccomp)") : OK;
}

/* The pipe becomes descriptor 0, nothing else stays. */
static enum code close_all(int pipe_fd, struct err *e) {
    if (dup2(pipe_fd, PIPE_FD) < 0)
        return fail_errno(e, errno, "cannot set up the import process");
    if (SANITIZED ? close(STDOUT_FILENO), close_range(3, ~0u, 0) : close_range(1, ~0u, 0))
        for (int fd = SANITIZED ? 3 : 1; fd < 1 << 16; fd++) /* before Linux 5.9 */
            close(fd);
    return OK;
}

static enum code enter(pid_t parent, int pipe_fd, const struct sandbox_limits *l, struct err *e) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        quit(EXIT_SETUP); /* it died between fork and here */
    prctl(PR_SET_DUMPABLE, 0);
    uint64_t used = address_space();
    TRY(close_all(pipe_fd, e));
    TRY(set_limits(l, used, e));
    return confine(e);
}

struct job {
    sandbox_fn *fn;
    void *ctx;
    const struct sandbox_limits *limits;
    pid_t parent;
};

__attribute__((noreturn)) static void child(const struct job *j, int pipe_fd, size_t cap_bytes) {
    struct err e = {0};
    struct buf out;
    buf_init(&out, cap_bytes);
    reset_signals();
    enum code code = enter(j->parent, pipe_fd, j->limits, &e);
    if (code == OK)
        code = j->fn(j->ctx, &out, &e);
    if (code == OK)
        code = buf_check(&out, "the answer", &e);
    send_answer(code, &out, &e);
    quit(0);
}

/* --- parent --- */

enum end { WHOLE, EARLY, LATE, FULL, BROKEN }; /* how reading the frame ended */

struct reading {
    int fd;
    uint64_t deadline_ns;
    struct buf *out; /* the answer */
    struct err *e;
};

/* Up to n bytes; 0: the pipe ended or the time is up (*end says). */
static size_t read_some(const struct reading *r, void *to, size_t n, enum end *end) {
    for (;;) {
        uint64_t now = clock_ns();
        if (now >= r->deadline_ns) {
            *end = LATE;
            return 0;
        }
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        int wait_ms = (int)((r->deadline_ns - now) / 1000000) + 1;
        if (poll(&p, 1, wait_ms) <= 0)
            continue;
        ssize_t got = read(r->fd, to, n);
        if (got > 0)
            return (size_t)got;
        if (got < 0 && errno == EINTR)
            continue;
        *end = EARLY;
        return 0;
    }
}

static enum end read_exactly(const struct reading *r, void *to, size_t n) {
    enum end end = WHOLE;
    for (size_t have = 0; have < n;) {
        size_t got = read_some(r, (char *)to + have, n - have, &end);
        if (!got)
            return end;
        have += got;
    }
    return WHOLE;
}

/* The child's error, made one printable line: a parser under attack may have written it. */
static enum end read_error(const struct reading *r, const struct frame *f) {
    char text[sizeof r->e->text];
    if (f->code >= ERR_N || f->length >= sizeof text)
        return BROKEN;
    enum end end = read_exactly(r, text, (size_t)f->length);
    if (end != WHOLE)
        return end;
    text[f->length] = '\0';
    err_set(r->e, (enum code)f->code, __FILE__, __LINE__, "%s", text);
    return WHOLE;
}

static enum end read_frame(const struct reading *r, struct frame *f) {
    enum end end = read_exactly(r, f, sizeof *f);
    if (end != WHOLE)
        return end;
    if (f->code != OK)
        return read_error(r, f);
    if (f->length > r->out->cap_bytes - r->out->n)
        return FULL;
    size_t before = r->out->n;
    void *to = buf_extend(r->out, (size_t)f->length);
    end = to ? read_exactly(r, to, (size_t)f->length) : FULL;
    if (end != WHOLE)
        r->out->n = before;
    return end;
}

static enum code fail_memory(const struct sandbox_limits *l, const char *what, struct err *e) {
    bool whole = l->memory_bytes >= (size_t)1 << 30 && l->memory_bytes % ((size_t)1 << 30) == 0;
    return fail(e, LIMIT, "%s was stopped: more than %zu %s of memory", what,
                l->memory_bytes >> (whole ? 30 : 20), whole ? "GiB" : "MiB");
}

static enum code fail_time(const struct sandbox_limits *l, const char *what, struct err *e) {
    return fail(e, LIMIT, "%s was stopped: more than %u seconds", what, l->seconds);
}

/* What a child that ended without an answer died of. */
static enum code fail_status(int status, const struct sandbox_limits *l, const char *what,
                             struct err *e) {
    if (!WIFSIGNALED(status))
        return fail(e, INTERNAL, "%s: the process ended without an answer", what);
    int number = WTERMSIG(status);
    switch (number) {
    case SIGXCPU: return fail_time(l, what, e);
    case SIGKILL: return fail(e, LIMIT, "%s was killed, perhaps for want of memory", what);
    case SIGINT:
    case SIGTERM: return fail(e, CANCELLED, "%s was interrupted", what);
    case SIGSYS:
        return fail(e, FORMAT, "%s was stopped: it tried a system call no parser needs", what);
    case SIGBUS: return fail(e, FORMAT, "%s failed: the file was cut short meanwhile", what);
    default:
        return fail(e, FORMAT, "%s crashed (%s): the file is malformed", what,
                    sigdescr_np(number) ? sigdescr_np(number) : "unknown signal");
    }
}

static int reap(pid_t pid) {
    int status = 0;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    return got == pid ? status : 0; /* somebody ignores SIGCHLD: the status is lost */
}

static enum code receive(pid_t pid, const struct reading *r, const struct sandbox_limits *l,
                         const char *what, struct err *e) {
    struct frame f = {0};
    enum end end = read_frame(r, &f);
    if (end != EARLY) /* its work is done, one way or another */
        kill(pid, SIGKILL);
    int status = reap(pid);
    switch (end) {
    case LATE: return fail_time(l, what, e);
    case FULL: return fail_memory(l, what, e);
    case BROKEN: return fail(e, FORMAT, "%s gave a broken answer: the file is malformed", what);
    case EARLY: return fail_status(status, l, what, e);
    case WHOLE: break;
    }
    if (f.code == ERR_NOMEM || f.code == ERR_TOO_LARGE) /* of the arena, of the answer */
        return fail_memory(l, what, e);
    return (enum code)f.code;
}

static pid_t fork_quietly(
    void) { /* with all signals held back, so that no handler of ours runs in the child */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int number = errno;
    if (pid != 0)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return pid;
}

enum code sandbox_run(sandbox_fn *fn, void *ctx, const struct sandbox_limits *l, const char *what,
                      struct buf *out, struct err *e) {
    struct job j = {fn, ctx, l, getpid()};
    int ends[2];
    (void)hash_bytes("", 0); /* draws its seed */
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno(e, errno, "%s: cannot make a pipe", what);
    pid_t pid = fork_quietly();
    if (pid == 0)
        child(&j, ends[1], out->cap_bytes - out->n);
    int number = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fail_errno(e, number, "%s: cannot start a process", what);
    }
    struct reading r = {.fd = ends[0],
                        .deadline_ns = clock_ns() + l->seconds * UINT64_C(1000000000),
                        .out = out,
                        .e = e};
    enum code code = receive(pid, &r, l, what, e);
    close(ends[0]);
    return code;
}

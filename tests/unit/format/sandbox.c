/* SPDX-License-Identifier: Apache-2.0 */
#include "format/sandbox.c"

#include "base/mem.h"

#include "../base/check.h"

#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static struct err e;
static const struct sandbox_limits limits = {.memory_bytes = 64 << 20, .seconds = 10};
static const struct sandbox_limits short_limits = {.memory_bytes = 64 << 20, .seconds = 1};

static enum code run_in(sandbox_fn *fn, void *ctx, const struct sandbox_limits *l, struct buf *out,
                        struct err *err) {
    return sandbox_run(fn, ctx, l, "the test", out, err);
}

/* Runs fn without expecting an answer. */
static enum code run_for_error(sandbox_fn *fn, const struct sandbox_limits *l) {
    struct buf out;
    buf_init(&out, 1 << 20);
    enum code code = run_in(fn, NULL, l, &out, &e);
    assert_int_equal(out.n, 0);
    buf_deinit(&out);
    return code;
}

static int open_files(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* --- what comes back --- */

static enum code say(void *ctx, struct buf *out, struct err *err) {
    (void)err;
    for (size_t i = 0; i < *(size_t *)ctx; i++)
        buf_put_byte(out, (char)(i * 7));
    return OK;
}

static void answers_come_back_whole(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 65535, 65536, 65537, 5000000};
    int before = open_files();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf out;
        size_t n = sizes[i];
        buf_init(&out, 8 << 20);
        buf_put_text(&out, "kept");
        assert_ok(run_in(say, &n, &limits, &out, &e));
        assert_int_equal(out.n, n + 4);
        assert_memory_equal(out.p, "kept", 4);
        for (size_t k = 0; k < n; k++)
            if (out.p[k + 4] != (char)(k * 7))
                fail_msg("byte %zu of %zu", k, n);
        buf_deinit(&out);
    }
    assert_int_equal(open_files(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody left to reap */
}

static enum code complain(void *ctx, struct buf *out, struct err *err) {
    (void)ctx;
    buf_put_text(out, "not sent");
    return err_set(err, ERR_UNSUPPORTED, __FILE__, __LINE__, "no %s today", "tensors");
}

static void errors_come_back(void **state) {
    (void)state;
    assert_fails(run_for_error(complain, &limits), UNSUPPORTED, "no tensors today");
}

/* --- what it may not do --- */

static enum code open_file(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    return open("/etc/passwd", O_RDONLY) < 0 ? ERR_IO : OK;
}
static enum code open_socket(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? ERR_IO : OK;
}
static enum code start_process(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    return fork() < 0 ? ERR_IO : OK;
}
static enum code execute(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    char *args[] = {NULL};
    execve("/bin/true", args, args);
    return OK;
}
static enum code kill_parent(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    kill(getppid(), SIGTERM);
    return OK;
}
static enum code map_code(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? ERR_IO : OK;
}
static enum code map_descriptor(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
    return p == MAP_FAILED ? ERR_IO : OK;
}
static enum code read_pipe(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    char c;
    return read(0, &c, 1) < 0 ? ERR_IO : OK;
}

static void forbidden_calls_end_it(void **state) {
    (void)state;
    sandbox_fn *const tries[] = {open_file,   open_socket, start_process,  execute,
                                 kill_parent, map_code,    map_descriptor, read_pipe};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
        assert_fails(run_for_error(tries[i], &limits), FORMAT,
                     "the test was stopped: it tried a system call no parser needs");
}

/* --- how it may end --- */

static enum code crash(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    __builtin_trap();
}
static enum code fault(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    raise(SIGSEGV);
    return OK;
}
static enum code leave(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    quit(0);
}

static void crashes_are_errors(void **state) {
    (void)state;
    assert_fails(run_for_error(crash, &limits), FORMAT, "the test crashed (Illegal instruction)");
    assert_fails(run_for_error(fault, &limits), FORMAT, "system call"); /* raise() is one */
    assert_fails(run_for_error(leave, &limits), INTERNAL, "ended without an answer");
}

static enum code spin(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    for (volatile int i = 0; i >= 0; i = i / 2) {
    }
    return OK;
}
static enum code sleep_for_ever(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out, (void)err;
    static int word = 0;
    while (word == 0)
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return OK;
}

static void hanging_is_stopped(void **state) {
    (void)state;
    uint64_t before = clock_ns();
    assert_fails(run_for_error(spin, &short_limits), LIMIT,
                 "the test was stopped: more than 1 seconds");
    assert_fails(run_for_error(sleep_for_ever, &short_limits), LIMIT, "more than 1 seconds");
    assert_true(clock_ns() - before < UINT64_C(5000000000));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static enum code take_all_memory(void *ctx, struct buf *out, struct err *err) {
    (void)ctx, (void)out;
    for (size_t got = 0; got < (size_t)256 << 20; got += 1 << 20) {
        char *p = mem_alloc(1 << 20);
        if (!p)
            return err_set(err, ERR_NOMEM, __FILE__, __LINE__, "no more");
        memset(p, 1, 1 << 20);
    }
    return OK;
}

static void memory_is_limited(void **state) {
    (void)state;
    size_t n = 5 << 20;
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_fails(run_in(say, &n, &limits, &out, &e), LIMIT,
                 "the test was stopped: more than 64 MiB of memory");
    buf_deinit(&out);
    if (SANITIZED)
        return; /* their shadow memory leaves no room for RLIMIT_AS */
    assert_fails(run_for_error(take_all_memory, &limits), LIMIT,
                 "the test was stopped: more than 64 MiB of memory");
}

/* --- a child that lies --- */

static enum code lie(void *ctx, struct buf *out, struct err *err) {
    (void)out, (void)err;
    const struct frame *f = ctx;
    char text[600];
    memset(text, 'x', sizeof text);
    write_all(f, sizeof *f);
    write_all(text, sizeof text);
    quit(0);
}

static void lies_about_the_frame(void **state) {
    (void)state;
    struct {
        struct frame f;
        enum code code;
        const char *part;
    } cases[] = {
        {{.code = OK, .length = UINT64_MAX}, ERR_LIMIT, "of memory"},
        {{.code = OK, .length = 601}, ERR_INTERNAL, "without an answer"},
        {{.code = 999, .length = 10}, ERR_FORMAT, "broken answer"},
        {{.code = ERR_FORMAT, .length = 480}, ERR_FORMAT, "broken answer"},
        {{.code = ERR_FORMAT, .length = 479}, ERR_FORMAT, "xxx"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out;
        buf_init(&out, 1 << 20);
        assert_int_equal(run_in(lie, &cases[i].f, &limits, &out, &e), cases[i].code);
        assert_int_equal(out.n, 0);
        if (!strstr(e.text, cases[i].part))
            fail_msg("case %zu says: %s", i, e.text);
        buf_deinit(&out);
    }
}

/* --- threads --- */

static bool stop;

static void *churn(void *arg) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void *p = mem_alloc(1 + (size_t)(uintptr_t)arg * 1000);
        mem_free(p);
    }
    return NULL;
}

static void *run_many(void *arg) {
    struct err mine;
    for (int i = 0; i < 20; i++) {
        struct buf out;
        size_t n = 1000;
        buf_init(&out, 1 << 20);
        if (run_in(say, &n, &limits, &out, &mine) != OK || out.n != n)
            *(int *)arg += 1;
        buf_deinit(&out);
    }
    return NULL;
}

/* Four threads allocate without pause while four run sandboxes: a lock left held in a child would
 * show as a time-out. Sanitizers' allocators do not promise what glibc's does. */
static void threads_do_not_disturb(void **state) {
    (void)state;
    enum { N = 4 };
    pthread_t churners[N], runners[N];
    int failures[N] = {0};
    if (SANITIZED)
        skip();
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&churners[i], NULL, churn, (void *)(uintptr_t)i), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&runners[i], NULL, run_many, &failures[i]), 0);
    for (int i = 0; i < N; i++)
        pthread_join(runners[i], NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < N; i++) {
        pthread_join(churners[i], NULL);
        assert_int_equal(failures[i], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back_whole), cmocka_unit_test(errors_come_back),
        cmocka_unit_test(forbidden_calls_end_it),  cmocka_unit_test(crashes_are_errors),
        cmocka_unit_test(hanging_is_stopped),      cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(lies_about_the_frame),    cmocka_unit_test(threads_do_not_disturb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that die beside a version, and what the next one knows of it. */
#include "host/marks.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

static char folder[64];
static struct store *store;

static int open_store(void **state) {
    (void)state;
    struct err e;
    snprintf(folder, sizeof folder, "%s/slipway-marks-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return !mkdtemp(folder) || store_open(folder, true, &store, &e) != OK;
}

static int close_store(void **state) {
    (void)state;
    char command[128];
    store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

enum when { LOADING, RUNNING, IDLE };

/* A process with versions 1 (idle) and 2 of m that ends by this signal; 0: as it should. */
static void die(enum when when, int number) {
    pid_t child = fork();
    if (child == 0) {
        struct marks *m;
        struct err e;
        struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (marks_open(store, &m, &e) != OK)
            _exit(1);
        struct mark *first = marks_take(m, LIT("m"), 1), *k = marks_take(m, LIT("m"), 2);
        mark_loading(k, when == LOADING);
        mark_running(first, 1);
        mark_running(first, -1);
        mark_running(k, when == RUNNING);
        if (number) {
            signal(SIGABRT, SIG_DFL); /* cmocka's and the sanitizers' would print */
            for (int i = 0; i < FATALS; i++)
                before[i] = (struct sigaction){.sa_handler = SIG_DFL};
            struct sigaction on = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO};
            sigaction(SIGABRT, &on, NULL);
            raise(number);
        }
        mark_drop(k);
        marks_close(m);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(number ? WTERMSIG(status) : WEXITSTATUS(status), number);
}

static enum code next_says(uint64_t version) {
    struct marks *m;
    struct err e;
    assert_int_equal(marks_open(store, &m, &e), OK);
    enum code code = marks_check(m, LIT("m"), version, &e);
    marks_close(m);
    return code;
}

static void forgive_all(void) {
    struct marks *m;
    struct err e;
    assert_int_equal(marks_open(store, &m, &e), OK);
    marks_forgive(m, LIT("m"), 2);
    marks_close(m);
    assert_int_equal(next_says(2), OK);
}

static void blamed_after_three(enum when when, int number) {
    for (int i = 0; i < STRIKES; i++) {
        assert_int_equal(next_says(2), OK);
        die(when, number);
    }
    assert_int_equal(next_says(2), ERR_CONFLICT);
    assert_int_equal(next_says(1), OK); /* was there, and idle */
    die(when, 0);
    assert_int_equal(next_says(2), ERR_CONFLICT); /* until somebody forgives it */
    forgive_all();
}

static void crashes_are_counted(void **state) {
    (void)state;
    blamed_after_three(LOADING, SIGSEGV);
    blamed_after_three(LOADING, SIGKILL);
    blamed_after_three(RUNNING, SIGSEGV);
    blamed_after_three(RUNNING, SIGABRT);
}

static void others_are_not(void **state) {
    (void)state;
    for (int i = 0; i < STRIKES + 1; i++) {
        die(RUNNING, SIGKILL);
        die(IDLE, SIGSEGV);
        die(LOADING, 0);
        assert_int_equal(next_says(2), OK);
    }
}

static void deaths_far_apart(void **state) {
    (void)state;
    const struct str m = LIT("m");
    assert_true(struck_out(LIT("m 2 10000\nm 2 11000\nm 2 13600\n"), m, 2));
    assert_false(struck_out(LIT("m 2 10000\nm 2 11000\nm 2 13601\n"), m, 2));
    assert_true(struck_out(LIT("m 2 1\nm 2 9000\nm 2 9001\nm 2 9002"), m, 2));
    assert_true(struck_out(LIT("m 2 9000\nm 2 9001\nm 2 9002\nm 2 90000\n"), m, 2));
    assert_false(struck_out(LIT("m 2 9000\nm 2 9001\nm 2 0\nm 2 9002\n"), m, 2));
    assert_false(struck_out(LIT("m 2 9000\nm 3 9001\nn 2 9002\nm 2 9002\n"), m, 2));
    assert_false(struck_out(LIT("\n\nm\nm 2\nm 2 x\n 2 5\nm -2 5\n"), m, 2));
}

/* A living process' file, and one that is not ours. */
static void files_of_others(void **state) {
    (void)state;
    struct marks *m, *second;
    struct err e;
    char path[128];
    assert_int_equal(marks_open(store, &m, &e), OK);
    mark_loading(marks_take(m, LIT("m"), 2), true);
    snprintf(path, sizeof path, "%s/run/serve-odd", folder);
    FILE *f = fopen(path, "w");
    fputs("slipmark and no more", f);
    fclose(f);
    assert_int_equal(marks_open(store, &second, &e), OK);
    assert_false(file_exists(path));
    assert_true(file_exists(m->path));
    assert_int_equal(marks_check(second, LIT("m"), 2, &e), OK);
    marks_close(second);
    marks_close(m);
}

static void marks_are_few(void **state) {
    (void)state;
    struct marks *m;
    struct err e;
    assert_null(marks_take(NULL, LIT("m"), 1));
    mark_drop(NULL);
    assert_int_equal(marks_open(store, &m, &e), OK);
    struct mark *first = marks_take(m, LIT("m"), 1);
    for (int i = 1; i < MARKS; i++)
        assert_non_null(marks_take(m, LIT("m"), 1));
    assert_null(marks_take(m, LIT("m"), 1));
    mark_drop(first);
    assert_ptr_equal(marks_take(m, LIT("m"), 1), first);
    marks_close(m);
}

/* Of two in one process the second neither hides the first nor leaves its handler behind. */
static void two_in_one_process(void **state) {
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct marks *m, *second;
        struct err e;
        struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        alarm(20); /* a signal raised for ever */
        if (marks_open(store, &m, &e) != OK || marks_open(store, &second, &e) != OK)
            _exit(1);
        mark_running(marks_take(m, LIT("m"), 2), 1);
        marks_close(second);
        raise(SIGABRT);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    struct marks *m;
    struct err e;
    struct span text;
    struct arena a;
    arena_init(&a, 1 << 16);
    assert_int_equal(marks_open(store, &m, &e), OK);
    assert_int_equal(file_read(m->crashes, 1 << 12, &a, &text, &e), OK);
    const char *last = (const char *)text.p + text.n - 1; /* the line's end */
    while (last > (const char *)text.p && last[-1] != '\n')
        last--;
    struct str line = {last, (size_t)((const char *)text.p + text.n - last)};
    assert_true(str_starts(line, "m 2 ") && !str_starts(line, "m 2 0"));
    arena_deinit(&a);
    marks_close(m);
    forgive_all();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_are_counted), cmocka_unit_test(others_are_not),
        cmocka_unit_test(deaths_far_apart),    cmocka_unit_test(files_of_others),
        cmocka_unit_test(marks_are_few),       cmocka_unit_test(two_in_one_process),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}

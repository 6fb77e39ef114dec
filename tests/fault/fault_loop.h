/* SPDX-License-Identifier: Apache-2.0 */
/* The fault loop (after SQLite's do_faultsim_test): reruns a body with its 1st, 2nd, 3rd ...
 * allocation, read, write, fsync, ... failing, once and from then on, until it runs without meeting
 * a fault.
 *
 *     FAULT_LOOP(f) {
 *         struct err e;                            prepare: nothing fails here
 *         enum code code = OK;
 *         FAULT_BODY(f) { code = thing_do(&e); }   the one call that is tried
 *         assert_true(code == OK || f.fired);      check: nothing fails here either
 *     }
 *
 * After each round the loop itself checks that no file descriptor was left open and, under
 * AddressSanitizer, that no memory leaked. Neither `break` nor `return` inside the loop: a failing
 * cmocka assertion leaves it for good. */
#pragma once

#include "base/err.h" /* before cmocka.h: both define fail */
#include "base/fault.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

enum { FAULT_ROUNDS = 20000 }; /* a body with more calls than that is not finite */

struct fault_loop {
    int site;    /* enum fault_site */
    bool sticky; /* all calls after the nth fail too */
    long nth;    /* 1 = the first */
    bool fired;  /* the fault was met in this round */
    bool started, in_body;
    int files;   /* open descriptors before the body */
    long faults; /* met in all rounds so far */
};

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Set by a program with thousands of rounds: leaks are then looked for once, at exit (a check takes
 * some 50 ms). */
static bool fault_leaks_at_exit;

static inline const char *fault_site_name(int site) {
    static const char *const names[FAULT_N] = {
        [FAULT_ALLOC] = "alloc", [FAULT_OPEN] = "open",   [FAULT_READ] = "read",
        [FAULT_WRITE] = "write", [FAULT_FSYNC] = "fsync", [FAULT_RENAME] = "rename",
        [FAULT_MMAP] = "mmap",   [FAULT_SEND] = "send",   [FAULT_DB] = "db"};
    return names[site];
}

static inline int fault_open_files(void) {
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

static inline void fault_round_check(const struct fault_loop *f) {
    if (fault_open_files() != f->files)
        fail_msg("a file stays open after %s call %ld failed (%s)", fault_site_name(f->site),
                 f->nth, f->sticky ? "sticky" : "once");
    if (!fault_leaks_at_exit && __lsan_do_recoverable_leak_check &&
        __lsan_do_recoverable_leak_check())
        fail_msg("memory leaks after %s call %ld failed (%s)", fault_site_name(f->site), f->nth,
                 f->sticky ? "sticky" : "once");
    if (f->nth > FAULT_ROUNDS)
        fail_msg("still failing at %s call %ld", fault_site_name(f->site), f->nth);
}

/* The next round, or false when every site has run clean. */
static inline bool fault_loop_next(struct fault_loop *f) {
    if (!f->started) {
        f->started = true;
        f->nth = 1;
    } else {
        fault_round_check(f);
        f->faults += f->fired;
        if (f->fired)
            f->nth++;
        else {
            f->nth = 1;
            f->site += f->sticky;
            f->sticky = !f->sticky;
        }
    }
    f->fired = false;
    if (f->site < FAULT_N) {
        f->files = fault_open_files();
        return true;
    }
    if (f->faults == 0)
        fail_msg("no fault was ever met: the body passes no FAULT site");
    return false;
}

static inline bool fault_loop_body(struct fault_loop *f) {
    if (!f->in_body) {
        fault_arm((enum fault_site)f->site, f->nth, f->sticky);
        return f->in_body = true;
    }
    f->fired = fault_fired();
    fault_arm((enum fault_site)f->site, 0, false);
    return f->in_body = false;
}

#define FAULT_LOOP(f) for (struct fault_loop f = {0}; fault_loop_next(&f);)
#define FAULT_BODY(f) while (fault_loop_body(&f))

/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a piece of work is to have that is done again and again, as measured. On cores
 * of one's own: all. On cores that others compute on too, threads that wait for each other lose
 * more than they gain: each is let in at times of its own, and a step of a millisecond waits for
 * all of them.
 *
 *   as now ── threads were waited for long, or fewer than all for a while ─▶ a trial
 *      ▲                                                                       │
 *      └── the faster of the two from here on; the next trial is not soon ─────┘
 *
 * 1. A trial is half as many threads where the cores are shared, twice as many where fewer than all
 * compute. Shared is where waiting for others takes more than one part in TEAM_LATE.
 * 2. While nobody is waited for there are no trials: a machine of one's own pays nothing.
 * 3. Each trial that changes nothing doubles the time to the next, up to TEAM_PAUSE_MOST: a machine
 * that is free again is used again after that time.
 *
 * Nothing but time may depend on it. One thread at a time calls. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    TEAM_CLASSES = 4, /* of 1 row, 2 to 4, 5 to 16, more: each has its own answer */
    TEAM_LATE = 4,
    TEAM_WINDOW_NS = 30000000, /* of work: several turns of the scheduler */
    TEAM_PAUSE_NS = 200000000,
    TEAM_PAUSE_MOST = 1600000000,
};

struct team_window {
    double ns, rows, late_ns; /* late: per thread */
};
struct team {
    struct team_class {
        int threads, tried; /* as now, 0: all; in a trial, 0: none */
        struct team_window now, trial;
        double since_ns, pause_ns; /* of work since the last trial; to pass before the next */
    } classes[TEAM_CLASSES];
};

/* The next piece's threads, 1 to most. */
int team_size(struct team *t, size_t rows, int most);
/* What a piece took that ran on so many of at most `most`, and how long its threads waited for
 * others, altogether. */
void team_note(struct team *t, size_t rows, int threads, int most, uint64_t ns, uint64_t late_ns);

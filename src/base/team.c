/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a piece of work is to have: see team.h. */
#include "base/team.h"

static struct team_class *class_of(struct team *t, size_t rows, int most) {
    struct team_class *c = &t->classes[rows <= 1 ? 0 : rows <= 4 ? 1 : rows <= 16 ? 2 : 3];
    if (!c->threads || c->threads > most)
        c->threads = most;
    return c;
}

static void add(struct team_window *w, size_t rows, int threads, uint64_t ns, uint64_t late_ns) {
    if (w->ns > 2 * TEAM_WINDOW_NS) { /* what is old fades */
        w->ns /= 2;
        w->rows /= 2;
        w->late_ns /= 2;
    }
    w->ns += (double)ns;
    w->rows += (double)rows;
    w->late_ns += (double)late_ns / threads;
}

static double speed(const struct team_window *w) { return w->rows / w->ns; }

static int next_trial(const struct team_class *c, int most) {
    if (c->now.ns < TEAM_WINDOW_NS || c->since_ns < c->pause_ns)
        return 0;
    if (c->threads > 1 && c->now.late_ns * TEAM_LATE > c->now.ns)
        return c->threads / 2;
    if (c->threads < most)
        return c->threads * 2 < most ? c->threads * 2 : most;
    return 0;
}

static void end_trial(struct team_class *c) {
    if (speed(&c->trial) > speed(&c->now)) {
        c->threads = c->tried;
        c->now = c->trial;
        c->pause_ns = TEAM_PAUSE_NS;
    } else {
        double pause = c->pause_ns < TEAM_PAUSE_NS ? TEAM_PAUSE_NS : 2 * c->pause_ns;
        c->pause_ns = pause < TEAM_PAUSE_MOST ? pause : TEAM_PAUSE_MOST;
    }
    c->trial = (struct team_window){0};
    c->tried = 0;
    c->since_ns = 0;
}

int team_size(struct team *t, size_t rows, int most) {
    const struct team_class *c = class_of(t, rows, most);
    return c->tried ? c->tried : c->threads;
}

void team_note(struct team *t, size_t rows, int threads, int most, uint64_t ns, uint64_t late_ns) {
    struct team_class *c = class_of(t, rows, most);
    if (threads != (c->tried ? c->tried : c->threads))
        return;
    add(c->tried ? &c->trial : &c->now, rows, threads, ns, late_ns);
    if (c->tried) {
        if (c->trial.ns >= TEAM_WINDOW_NS)
            end_trial(c);
        return;
    }
    c->since_ns += (double)ns;
    c->tried = next_trial(c, most);
}

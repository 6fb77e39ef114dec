/* SPDX-License-Identifier: Apache-2.0 */
/* Whether guessing pays: see pace.h. */
#include "llm/pace.h"

enum { FULL = 16 }; /* steps seen, from which on older ones fade */
/* What disturbs a step makes it slower, never faster: an estimate falls at once and rises slowly,
 * and a step that took many times as long counts as OUTLIER times. */
#define FALL 0.5
#define RISE 0.0625
#define OUTLIER 4

static struct pace_class *class_of(struct pace *p, size_t n) {
    size_t k = 0;
    while (k + 1 < PACE_CLASSES && (size_t)1 << k < n)
        k++;
    return &p->classes[k];
}

static bool known(const struct pace_way *w) { return w->steps > PACE_LEARN; }

static double per_token(const struct pace_way *w) { return w->ns / w->tokens; }

/* What a trial's own tokens are worth is left out. */
static bool trial_due(const struct pace *p, const struct pace_class *c, size_t behind) {
    return p->since_ns >= PACE_READING * p->row_ns * (double)behind +
                              PACE_TRIALS * (double)PACE_LEARN * c->guessed.ns;
}

bool pace_guesses(struct pace *p, size_t n, size_t behind) {
    struct pace_class *c = class_of(p, n);
    if (!known(&c->plain))
        return false;
    if (c->without && trial_due(p, c, behind)) {
        p->since_ns = 0;
        c->without = false;
        c->guessed = (struct pace_way){0};
    }
    if (c->without || !known(&c->guessed))
        return !c->without;
    c->turn = (c->turn + 1) % PACE_LOOK;
    return c->turn >= 2; /* the first of the two is not looked at */
}

static void learn(struct pace_way *w, double ns, double tokens) {
    if (w->steps++ == 0) /* finds caches cold */
        return;
    if (w->steps == 2) {
        w->ns = ns;
        w->tokens = tokens;
        return;
    }
    if (w->steps > FULL)
        w->steps = FULL;
    ns = ns < OUTLIER * w->ns ? ns : OUTLIER * w->ns;
    w->ns += (ns - w->ns) * (ns < w->ns ? FALL : RISE);
    w->tokens += (tokens - w->tokens) / (w->steps - 1);
}

void pace_note(struct pace *p, size_t n, bool guessed, uint64_t ns, size_t tokens) {
    struct pace_class *c = class_of(p, n);
    struct pace_way *w = guessed ? &c->guessed : &c->plain;
    const bool same = guessed == p->guessed;
    p->guessed = guessed;
    p->since_ns += (double)ns;
    if (same || !known(w)) /* after a change caches are cold, too */
        learn(w, (double)ns, (double)tokens);
    if (!c->without && known(&c->plain) && known(&c->guessed))
        c->without = per_token(&c->guessed) >= per_token(&c->plain);
}

void pace_note_reading(struct pace *p, size_t rows, uint64_t ns) {
    const double now = (double)ns / (double)rows;
    p->row_ns += p->row_ns > 0 ? (now - p->row_ns) / 4 : now;
}

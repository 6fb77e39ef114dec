/* SPDX-License-Identifier: Apache-2.0 */
/* What a version runs before it is taken as ready, so that no request pays for making plans: the
 * requests that were kept with it (its part TAPE_WARMUP), else one made from its signature. */
#include "host/in.h"

#include "base/cores.h"
#include "host/tape.h"

enum {
    WARM_BYTES = 1 << 30,
    SOON_BRIEF_NS = 500000 /* a first run that takes less may be followed by brief ones */
};

/* --- a guess --- */

/* Warm-up input: declared dims, free ones 1 (the batch) or GUESS. *guessed: a dim other than the
 * batch was free. */
static enum code warm_input(const struct live *l, size_t input, struct arena *a, struct tensor *out,
                            bool *guessed, struct err *e) {
    enum { GUESS = 32 };
    struct shape shape = live_session_shape(l, input);
    for (int d = 0; d < shape.rank; d++)
        if (shape.dims[d] < 0) {
            shape.dims[d] = d == 0 ? 1 : GUESS;
            *guessed = *guessed || d > 0;
        }
    return tensor_new(a, l->inputs[input].dtype, &shape, out, e);
}

struct warm_run {
    bool guessed; /* a dim of an input */
    uint64_t ns;
};

static enum code warm_once(struct live *l, int threads, struct warm_run *w, struct err *e) {
    struct arena a;
    arena_init(&a, WARM_BYTES);
    struct tensor *inputs = ARENA_ARRAY(&a, l->n_inputs + 1, struct tensor);
    enum code code = inputs ? OK : arena_fail(&a, sizeof *inputs, "warm-up", e);
    for (size_t i = 0; code == OK && i < l->n_inputs; i++)
        if (!l->inputs[i].optional)
            code = warm_input(l, i, &a, &inputs[i], &w->guessed, e);
    if (code == OK) {
        int granted = cores_take(threads);
        struct session_ask ask = {.inputs = inputs, .threads = granted};
        struct session_run run;
        code = session_begin(l->loaded.session, &ask, &run, e);
        if (code == OK) {
            w->ns = run.compute_ns;
            session_end(l->loaded.session, &run);
        }
        cores_give(granted);
    }
    arena_deinit(&a);
    return code;
}

/* What runs cost is known before the first request when they may be brief: else a burst of first
 * ones fills the queue until workers have found out. */
static enum code learn_brief(struct live *l, struct warm_run *w, struct err *e) {
    enum code code = OK;
    while (code == OK && curve_single(&l->curve) == 0) {
        code = warm_once(l, 1, w, e);
        if (code == OK)
            curve_learn(&l->curve, 1, 1, w->ns);
    }
    return code;
}

/* --- kept requests --- */

static enum code ask_session(struct live *l, const struct ask *a, int threads, struct err *e) {
    struct session_run run;
    int granted = cores_take(threads);
    struct session_ask ask = {.inputs = a->bound, .threads = granted};
    enum code code = session_begin(l->loaded.session, &ask, &run, e);
    if (code == OK)
        session_end(l->loaded.session, &run);
    cores_give(granted);
    return code;
}

static enum code ask_kept(struct live *l, const struct tape *t, int threads, struct arena *a,
                          struct err *e) {
    struct ask ask = {.inputs = t->inputs, .n_inputs = t->n_inputs, .arena = a};
    TRY(bind_ask(l, &ask, e));
    if (l->loaded.language)
        return speech_run(l, &ask, e);
    TRY(ask_session(l, &ask, threads, e));
    return threads > 1 ? ask_session(l, &ask, 1, e) : OK;
}

static enum code warm_kept(struct live *l, struct span tapes, int threads, struct err *e) {
    struct tape t;
    struct arena a;
    enum code code = OK;
    bool found = true;
    arena_init(&a, WARM_BYTES);
    for (size_t n = 1; code == OK && found; n++) {
        struct arena_mark mark = arena_mark(&a);
        code = tape_next(&tapes, &a, &t, &found, e);
        if (code == OK && found)
            code = ask_kept(l, &t, threads, &a, e);
        if (code != OK)
            code = err_prefix(e, "request %zu", n);
        arena_reset(&a, mark);
    }
    arena_deinit(&a);
    return code;
}

/* --- either --- */

/* Once per team size a request may get. A guessed dim may be a wrong guess: then the first request
 * of a real shape pays, and the version is no less ready. */
static enum code warm_guessed(struct live *l, int threads, struct err *e) {
    struct warm_run w = {0};
    enum code code = warm_once(l, threads, &w, e);
    if (code == OK && threads > 1)
        code = warm_once(l, 1, &w, e);
    if (code == OK && !w.guessed && w.ns < SOON_BRIEF_NS && session_steady(l->loaded.session))
        code = learn_brief(l, &w, e);
    return w.guessed || code == ERR_INVALID ? OK : code;
}

enum code live_warm(struct live *l, int threads, struct err *e) {
    struct span kept = live_part(l, TAPE_WARMUP);
    enum code code = OK;
    if (kept.n)
        code = warm_kept(l, kept, threads, e);
    else if (l->loaded.session)
        code = warm_guessed(l, threads, e);
    return code == OK ? OK : err_prefix(e, "warm-up");
}

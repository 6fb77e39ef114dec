/* SPDX-License-Identifier: Apache-2.0 */
/* The trial of kernels. A session for each way, in which every node that has it goes that way, and
 * one by the operators' own rules; all take turns, so that a node is measured where it stands, with
 * what its neighbours leave in the caches. Then a session of the winners against the rules: the
 * record is kept only when the whole model is faster by it. */
#include "cli/tune.h"

#include "cli/facts.h"
#include "cli/feed.h"
#include "base/json.h"
#include "host/loaded.h"
#include "host/tune.h"

enum { WAYS = 8, TURN = 3 };
#define BETTER 0.97 /* of the rule's time: less is within the noise of a trial */

struct side {
    struct loaded loaded;
    struct session_step *steps;
    size_t n_steps;
    uint64_t min_ns; /* of a run */
};

struct tune {
    struct cli *cli;
    const struct tune_ask *ask;
    struct store_info info;
    struct tensor *inputs;
    struct side sides[WAYS + 1]; /* 0: the rules; k: way k */
    int n_sides;
    struct side winners;
    struct choice *choices;
    size_t n_choices, n_changed;
    double rule_ms, ms; /* of the whole model */
};

static enum code open_side(struct tune *t, int way, struct side *s, struct err *e) {
    struct session_options o = {.profile = true,
                                .precision = t->ask->precision,
                                .choices = t->choices,
                                .n_choices = t->n_choices,
                                .way = way};
    return loaded_open(t->cli->store, t->info.model, t->info.version, &o, &s->loaded, e);
}

static enum code run_side(const struct tune *t, struct side *s, size_t runs, struct err *e) {
    const struct session_ask ask = {.inputs = t->inputs, .threads = t->ask->threads};
    for (size_t i = 0; i < runs; i++) {
        struct session_run run;
        TRY(session_begin(s->loaded.session, &ask, &run, e));
        s->min_ns = !s->min_ns || run.compute_ns < s->min_ns ? run.compute_ns : s->min_ns;
        session_end(s->loaded.session, &run);
    }
    return OK;
}

static enum code explain_side(struct tune *t, struct side *s, struct err *e) {
    const struct session_ask ask = {.inputs = t->inputs, .threads = t->ask->threads};
    return session_explain(s->loaded.session, &ask, &t->cli->arena, &s->steps, &s->n_steps, e);
}

static enum code open_sides(struct tune *t, struct err *e) {
    struct arena *a = &t->cli->arena;
    const struct session_io *io;
    TRY(open_side(t, CHOICE_RULE, &t->sides[0], e));
    t->n_sides = 1;
    const struct session *s = t->sides[0].loaded.session;
    t->inputs = ARENA_ARRAY(a, session_inputs(s, &io) + 1, struct tensor);
    if (!t->inputs)
        return fail(e, NOMEM, "out of memory");
    TRY(feed_random(s, t->ask->shapes, t->ask->batch, 0, a, t->inputs, e));
    if (run_side(t, &t->sides[0], 1, e) != OK)
        return feed_blame(s, t->ask->shapes, e);
    TRY(explain_side(t, &t->sides[0], e));
    int ways = 0;
    for (size_t i = 0; i < t->sides[0].n_steps; i++)
        ways = t->sides[0].steps[i].n_ways > ways ? t->sides[0].steps[i].n_ways : ways;
    for (int way = 1; way <= ways && way <= WAYS; way++) {
        TRY(open_side(t, way, &t->sides[t->n_sides], e));
        TRY(run_side(t, &t->sides[t->n_sides++], 1, e));
    }
    return OK;
}

static enum code take_turns(struct tune *t, struct err *e) {
    for (size_t done = 0; done < t->ask->runs; done += TURN)
        for (int i = 0; i < t->n_sides; i++)
            TRY(run_side(t, &t->sides[i], TURN, e));
    for (int i = 0; i < t->n_sides; i++) {
        TRY(explain_side(t, &t->sides[i], e));
        if (t->sides[i].n_steps != t->sides[0].n_steps)
            return fail(e, INTERNAL, "two sessions of one model have other steps");
    }
    return OK;
}

/* The least time of a step that went this way in some session; 0: in none. */
static double step_ns(const struct tune *t, size_t step, int way) {
    uint64_t least = 0;
    for (int i = 0; i < t->n_sides; i++) {
        const struct session_step *s = &t->sides[i].steps[step];
        if (s->way == way && s->min_ns && (!least || s->min_ns < least))
            least = s->min_ns;
    }
    return (double)least;
}

/* Of all nodes that are like `step`. */
static double kind_ns(const struct tune *t, size_t step, int way) {
    const struct side *rule = &t->sides[0];
    double sum = 0;
    for (size_t i = step; i < rule->n_steps; i++) {
        if (rule->steps[i].choice != rule->steps[step].choice)
            continue;
        const double ns = step_ns(t, i, way);
        if (ns == 0)
            return 0;
        sum += ns;
    }
    return sum;
}

static bool seen_before(const struct tune *t, uint64_t node) {
    for (size_t i = 0; i < t->n_choices; i++)
        if (t->choices[i].node == node)
            return true;
    return false;
}

static void choose(struct tune *t, size_t step) {
    const struct session_step *s = &t->sides[0].steps[step];
    const double rule_ns = kind_ns(t, step, s->way);
    struct choice best = {s->choice, s->way};
    double best_ns = rule_ns * BETTER;
    for (int way = 1; way <= s->n_ways; way++) {
        const double ns = kind_ns(t, step, way);
        if (way != s->way && ns > 0 && ns < best_ns) {
            best_ns = ns;
            best.way = way;
        }
    }
    t->n_changed += best.way != s->way;
    t->choices[t->n_choices++] = best;
}

static enum code choose_all(struct tune *t, struct err *e) {
    const struct side *rule = &t->sides[0];
    t->choices = ARENA_ARRAY(&t->cli->arena, rule->n_steps + 1, struct choice);
    if (!t->choices)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < rule->n_steps; i++)
        if (rule->steps[i].choice && !seen_before(t, rule->steps[i].choice))
            choose(t, i);
    choice_sort(t->choices, t->n_choices);
    return OK;
}

/* The winners together, in turns with the rules. */
static enum code confirm(struct tune *t, struct err *e) {
    TRY(open_side(t, 0, &t->winners, e));
    TRY(run_side(t, &t->winners, 1, e));
    t->sides[0].min_ns = t->winners.min_ns = 0;
    for (size_t done = 0; done < t->ask->runs; done += TURN) {
        TRY(run_side(t, &t->sides[0], TURN, e));
        TRY(run_side(t, &t->winners, TURN, e));
    }
    t->rule_ms = (double)t->sides[0].min_ns * 1e-6;
    t->ms = (double)t->winners.min_ns * 1e-6;
    return explain_side(t, &t->winners, e);
}

static bool is_faster(const struct tune *t) { return t->n_changed && t->ms < t->rule_ms; }

static void print_changes(const struct tune *t) {
    const struct side *rule = &t->sides[0];
    for (size_t i = 0; i < rule->n_steps; i++) {
        const struct session_step *was = &rule->steps[i];
        const int way = choice_find(t->choices, t->n_choices, was->choice);
        if (was->choice && way != was->way)
            printf("  %.*s  %.*s: %.3f ms by %.*s, %.3f by %.*s\n", STR(was->op), STR(was->shapes),
                   step_ns(t, i, was->way) * 1e-6, STR(was->kernel), step_ns(t, i, way) * 1e-6,
                   STR(t->winners.steps[i].kernel));
    }
}

static enum code tell(const struct tune *t, struct err *e) {
    if (!t->cli->json) {
        print_changes(t);
        printf("%zu kinds of nodes tried, %zu are faster another way: %.3f ms in the place of "
               "%.3f%s\n",
               t->n_choices, t->n_changed, t->ms, t->rule_ms,
               is_faster(t) ? "; kept" : "; not kept");
        return OK;
    }
    struct buf out;
    struct json_out w;
    buf_init(&out, 1 << 20);
    json_out_init(&w, &out, 0);
    json_put_object(&w);
    json_put_member_i64(&w, "threads", t->ask->threads);
    json_put_member_i64(&w, "tried", (int64_t)t->n_choices);
    json_put_member_i64(&w, "changed", (int64_t)t->n_changed);
    json_put_member_f64(&w, "rule_ms", t->rule_ms);
    json_put_member_f64(&w, "ms", t->ms);
    json_put_member_bool(&w, "kept", is_faster(t));
    json_put_object_end(&w);
    enum code code = print_json(&out, e);
    buf_deinit(&out);
    return code;
}

static enum code tune(struct tune *t, struct err *e) {
    TRY(open_sides(t, e));
    TRY(take_turns(t, e));
    TRY(choose_all(t, e));
    TRY(confirm(t, e));
    if (is_faster(t))
        TRY(tune_put(t->cli->store, t->info.model, t->info.version, t->choices, t->n_choices, e));
    return tell(t, e);
}

enum code bench_tune(struct cli *c, const struct tune_ask *ask, struct err *e) {
    struct tune *t = ARENA_NEW(&c->arena, struct tune);
    if (!t)
        return fail(e, NOMEM, "out of memory");
    *t = (struct tune){.cli = c, .ask = ask};
    TRY(facts_resolve(c->store, ask->name, &c->arena, &t->info, e));
    enum code code = tune(t, e);
    for (int i = 0; i < t->n_sides; i++)
        loaded_close(&t->sides[i].loaded);
    loaded_close(&t->winners.loaded);
    return code;
}

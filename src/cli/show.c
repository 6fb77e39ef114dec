/* SPDX-License-Identifier: Apache-2.0 */
/* slipway show: what a version is: inputs, outputs, operators, parameters, size, origin; --plan:
 * what would run. */
#include "base/cpu.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "cli/feed.h"
#include "cli/language.h"
#include "cli/profile.h"
#include "host/loaded.h"
#include "host/tune.h"
#include "base/cores.h"

#include <stdlib.h>
#include <string.h>

struct options {
    bool plan;
    int64_t batch, threads;
    struct option_list shapes;
};

struct tally {
    struct str op, domain;
    int n;
};

struct shown {
    struct cli *cli;
    struct store_info info;
    struct loaded loaded;
    struct tally *ops;
    int n_ops;
    const struct session_step *steps;
    size_t n_steps;
    struct session_needs needs;
};

static void count_ops(struct shown *s, const struct graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = &g->nodes[i];
        int k = 0;
        while (k < s->n_ops &&
               !(str_eq(s->ops[k].op, n->op_type) && str_eq(s->ops[k].domain, n->domain)))
            k++;
        if (k == s->n_ops)
            s->ops[s->n_ops++] = (struct tally){n->op_type, n->domain, 0};
        s->ops[k].n++;
        for (int a = 0; a < n->n_attrs; a++)
            if (n->attrs[a].kind == ATTR_GRAPH)
                count_ops(s, n->attrs[a].graph);
    }
}

static int by_count(const void *a, const void *b) {
    const struct tally *x = a, *y = b;
    return x->n != y->n ? y->n - x->n : str_cmp(x->op, y->op);
}

static void put_steps(const struct shown *s, struct json_out *w) {
    profile_put_needs(w, &s->needs, 0);
    json_put_key(w, "plan");
    json_put_array(w);
    for (size_t i = 0; i < s->n_steps; i++) {
        json_put_object(w);
        profile_put_step(w, &s->steps[i]);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

static void put_all(const struct shown *s, struct json_out *w) {
    const struct session_io *io;
    const struct model *m = s->loaded.model;
    json_put_object(w);
    facts_put_version(w, &s->info);
    json_put_member_str(w, "producer", m->producer);
    json_put_member_i64(w, "opset", m->opset);
    json_put_key(w, "inputs");
    size_t n = session_inputs(s->loaded.session, &io);
    facts_put_io(w, io, n);
    json_put_key(w, "outputs");
    n = session_outputs(s->loaded.session, &io);
    facts_put_io(w, io, n);
    json_put_member_i64(w, "parameters", (int64_t)model_parameters(m));
    json_put_member_i64(w, "nodes", graph_total_nodes(m->main));
    json_put_key(w, "operators");
    json_put_object(w);
    for (int i = 0; i < s->n_ops; i++) {
        json_put_key_str(w, s->ops[i].op);
        json_put_i64(w, s->ops[i].n);
    }
    json_put_object_end(w);
    facts_put_meta(w, m);
    json_put_member_bool(w, "batches", session_batches(s->loaded.session));
    if (s->steps)
        put_steps(s, w);
    json_put_object_end(w);
}

static enum code as_json(const struct shown *s, struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)256 << 20);
    json_out_init(&w, &b, 0);
    put_all(s, &w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static void print_io(const char *title, const struct session_io *io, size_t n) {
    for (size_t i = 0; i < n; i++) {
        printf("%-12s%.*s  %s [", i ? "" : title, STR(io[i].name), dtype_name(io[i].dtype));
        for (int d = 0; d < io[i].shape.rank; d++) {
            if (io[i].shape.dims[d] >= 0)
                printf("%s%lld", d ? ", " : "", (long long)io[i].shape.dims[d]);
            else if (io[i].dim_names[d].n)
                printf("%s%.*s", d ? ", " : "", STR(io[i].dim_names[d]));
            else
                printf("%s?", d ? ", " : "");
        }
        printf("]%s\n", io[i].optional ? " (optional)" : "");
    }
}

static void print_ops(const struct shown *s) {
    int column = 12;
    printf("%-12s", "operators");
    for (int i = 0; i < s->n_ops; i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "%.*s x%d%s", STR(s->ops[i].op), s->ops[i].n,
                         i + 1 < s->n_ops ? ", " : "");
        if (column + n > 100) {
            printf("\n%-12s", "");
            column = 12;
        }
        fputs(text, stdout);
        column += n;
    }
    putchar('\n');
}

static enum code print_plan(const struct shown *s, struct err *e) {
    enum { COLUMNS = 6 };
    struct arena *a = &s->cli->arena;
    const char **cells = ARENA_ARRAY(a, s->n_steps * COLUMNS + 1, const char *);
    if (!cells)
        return fail(e, NOMEM, "out of memory");
    for (size_t i = 0; i < s->n_steps; i++) {
        const char **row = cells + i * COLUMNS;
        row[0] = profile_node(a, &s->steps[i]);
        row[1] = profile_kernel(a, &s->steps[i]);
        row[2] = arena_strdup(a, s->steps[i].shapes);
        row[3] = arena_strdup(a, s->steps[i].layout);
        row[4] = profile_flops(a, &s->steps[i]);
        row[5] = profile_bytes(a, &s->steps[i]);
        for (int k = 0; k < COLUMNS; k++)
            row[k] = row[k] ? row[k] : "?";
    }
    putchar('\n');
    print_table(s->cli,
                &(struct table){.heads = {"NODE", "KERNEL", "SHAPES", "LAYOUT", "FLOP", "BYTES"},
                                .right = {[4] = true, [5] = true},
                                .columns = COLUMNS,
                                .cells = cells,
                                .rows = s->n_steps});
    profile_print_needs(a, &s->needs, 0);
    return OK;
}

static enum code as_text(const struct shown *s, struct err *e) {
    const struct session_io *io;
    struct arena *a = &s->cli->arena;
    const struct model *m = s->loaded.model;
    facts_print_name(&s->info);
    printf("%-12s%.*s, opset %d%s%.*s\n", "format", STR(s->info.format), m->opset,
           m->producer.n ? ", by " : "", STR(m->producer));
    facts_print_version(a, &s->info);
    size_t n = session_inputs(s->loaded.session, &io);
    print_io("inputs", io, n);
    n = session_outputs(s->loaded.session, &io);
    print_io("outputs", io, n);
    printf("%-12s%s in %d nodes\n", "parameters", print_count(a, model_parameters(m)),
           graph_total_nodes(m->main));
    print_ops(s);
    facts_print_meta(m);
    return s->steps ? print_plan(s, e) : OK;
}

static enum code explain(struct shown *s, const struct options *o, struct err *e) {
    const struct session_io *io;
    struct arena *a = &s->cli->arena;
    struct session_step *steps;
    size_t n = session_inputs(s->loaded.session, &io);
    struct tensor *inputs = ARENA_ARRAY(a, n + 1, struct tensor);
    if (!inputs)
        return fail(e, NOMEM, "out of memory");
    TRY(feed_random(s->loaded.session, &o->shapes, o->batch ? o->batch : 1, 0, a, inputs, e));
    struct session_ask ask = {.inputs = inputs,
                              .threads = o->threads > 0 ? (int)o->threads : cpu_cores()};
    if (session_predict(s->loaded.session, &ask, &s->needs, e) != OK ||
        session_explain(s->loaded.session, &ask, a, &steps, &s->n_steps, e) != OK)
        return feed_blame(s->loaded.session, &o->shapes, e);
    s->steps = steps;
    return OK;
}

static enum code show_graph(struct shown *s, const struct options *o, struct err *e) {
    struct session_options so = {0};
    tune_get(s->cli->store, s->info.model, s->info.version, &s->cli->arena, &so.choices,
             &so.n_choices);
    TRY(session_open(s->loaded.model, &so, &s->loaded.session, e));
    s->ops = ARENA_ARRAY(&s->cli->arena, (size_t)graph_total_nodes(s->loaded.model->main) + 1,
                         struct tally);
    if (!s->ops)
        return fail(e, NOMEM, "out of memory");
    count_ops(s, s->loaded.model->main);
    qsort(s->ops, (size_t)s->n_ops, sizeof *s->ops, by_count);
    if (o->plan)
        TRY(explain(s, o, e));
    return s->cli->json ? as_json(s, e) : as_text(s, e);
}

static enum code run(struct cli *c, struct err *e) {
    struct shown s = {.cli = c};
    const struct options *o = c->options;
    TRY(facts_resolve(c->store, c->args[0], &c->arena, &s.info, e));
    cores_setup(o->threads > 0 ? (int)o->threads : cpu_cores());
    TRY(loaded_open_model(c->store, s.info.model, s.info.version, &s.loaded, e));
    enum code code = model_is_language(s.loaded.model) ? show_language(c, &s.info, &s.loaded, e)
                                                       : show_graph(&s, o, e);
    loaded_close(&s.loaded);
    return code;
}

static const struct option options[] = {
    {"plan", 0, OPTION_FLAG, offsetof(struct options, plan), NULL,
     "what the engine would run, node by node", NULL},
    {"shape", 's', OPTION_LIST, offsetof(struct options, shapes), "NAME=1,3,64,64",
     "with --plan: shape of an input", NULL},
    {"batch", 'b', OPTION_INT, offsetof(struct options, batch), "N",
     "with --plan: first dim where it is free (1)", NULL},
    {"threads", 't', OPTION_INT, offsetof(struct options, threads), "N", "with --plan: cores",
     "SLIPWAY_THREADS"},
    {0},
};

const struct command command_show = {
    .name = "show",
    .synopsis = "MODEL[@VERSION|@ALIAS]",
    .about = "Show what a version is: inputs, outputs, operators, size, origin.",
    .help = "  slipway show ocr\n  slipway show ocr@2 --plan --shape x=1,3,48,320\n  slipway show "
            "ocr --json",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = 1,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};

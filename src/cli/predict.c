/* SPDX-License-Identifier: Apache-2.0 */
/* slipway predict: one answer, here, without a server. */
#include "base/clock.h"
#include "base/cores.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/nursery.h"
#include "base/sanitized.h"
#include "cli/command.h"
#include "cli/facts.h"
#include "cli/feed.h"
#include "host/loaded.h"
#include "host/quality.h"
#include "serve/recipe.h"
#include "serve/typed.h"
#include "tensor/npy.h"

#include <limits.h>
#include <string.h>

enum { TOP = 5, PREVIEW = 8, NPY_CAP = 1 << 30, MS = 1000000 };
static const size_t NURSERY = (size_t)1 << 30;

struct options {
    struct option_list inputs, outputs;
    int64_t threads, timeout_ms;
    const char *precision;
};

static void put_values(struct json_out *w, const struct tensor *t) {
    enum json_number number;
    if (typed_number(t->dtype, &number)) {
        json_put_tensor(w, number, t->data, t->shape.rank, t->shape.dims);
        return;
    }
    json_put_array(w);
    for (size_t i = 0; i < tensor_count(t); i++)
        if (t->dtype == DT_STRING)
            json_put_str(w, ((const struct str *)t->data)[i]);
        else
            json_put_f64(w, tensor_f64(t, i));
    json_put_array_end(w);
}

static enum code as_json(const struct session_io *io, size_t n, const struct session_run *run,
                         struct err *e) {
    struct buf b;
    struct json_out w;
    buf_init(&b, (size_t)4 << 30);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_key(&w, "outputs");
    json_put_array(&w);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = &run->outputs[i];
        if (t->dtype == DT_NONE || t->dtype == DT_SEQUENCE)
            continue;
        json_put_object(&w);
        json_put_member_str(&w, "name", io[i].name);
        json_put_member_text(&w, "dtype", dtype_name(t->dtype));
        json_put_key(&w, "shape");
        json_put_array(&w);
        for (int d = 0; d < t->shape.rank; d++)
            json_put_i64(&w, t->shape.dims[d]);
        json_put_array_end(&w);
        json_put_key(&w, "data");
        put_values(&w, t);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    json_put_member_f64(&w, "compute_ms", (double)run->compute_ns / 1e6);
    json_put_object_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

/* The largest values of one row, which is what a classifier's output is looked at for. */
static void print_top(const struct tensor *t, size_t offset, size_t n) {
    size_t seen[TOP];
    for (int k = 0; k < TOP && (size_t)k < n; k++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++) {
            bool used = false;
            for (int j = 0; j < k; j++)
                used = used || seen[j] == i;
            if (!used && (best == n || tensor_f64(t, offset + i) > tensor_f64(t, offset + best)))
                best = i;
        }
        seen[k] = best;
        printf("%s%zu: %.5g", k ? ", " : "  top: ", best, tensor_f64(t, offset + best));
    }
    putchar('\n');
}

static void print_output(const struct session_io *io, const struct tensor *t) {
    char text[SHAPE_TEXT];
    size_t n = tensor_count(t);
    printf("%.*s  %s %s\n", STR(io->name), dtype_name(t->dtype), shape_print(&t->shape, text));
    int last = t->shape.rank - 1;
    if (t->shape.rank == 2 && dtype_is_float(t->dtype) && t->shape.dims[last] > PREVIEW) {
        for (size_t row = 0; row < (size_t)t->shape.dims[0] && row < 4; row++)
            print_top(t, row * (size_t)t->shape.dims[last], (size_t)t->shape.dims[last]);
        return;
    }
    printf("  ");
    for (size_t i = 0; i < n && i < PREVIEW; i++)
        if (t->dtype == DT_STRING)
            printf("%s\"%.*s\"", i ? ", " : "", STR(((const struct str *)t->data)[i]));
        else
            printf("%s%.6g", i ? ", " : "", tensor_f64(t, i));
    printf("%s\n", n > PREVIEW ? ", ..." : "");
}

static enum code save(const struct tensor *t, const char *path, struct err *e) {
    struct buf b;
    buf_init(&b, NPY_CAP);
    enum code code = npy_put(t, &b, e);
    if (code == OK)
        code = file_publish(path, (struct span){(const uint8_t *)b.p, b.n}, 0644, e);
    buf_deinit(&b);
    return code;
}

static enum code save_all(const struct session_io *io, size_t n, const struct option_list *outputs,
                          const struct session_run *run, struct err *e) {
    for (int i = 0; i < outputs->n; i++) {
        struct str item = str_of(outputs->items[i]);
        size_t equals, at = 0;
        bool named = str_find(item, '=', &equals);
        if (named)
            TRY(feed_index(io, n, str_sub(item, 0, equals), "output", &at, e));
        TRY(save(&run->outputs[at], named ? outputs->items[i] + equals + 1 : outputs->items[i], e));
    }
    return OK;
}

struct answered {
    struct cli *cli;
    const struct options *options;
    const struct loaded *loaded;
    const struct session_run *run;
    const struct recipe *recipe;
};

static enum code read_recipe(struct cli *c, const struct loaded *l, struct recipe *out,
                             struct err *e) {
    struct span part = {0};
    (void)store_version_find_part(l->version, LIT("preprocess"), &part);
    return recipe_read(part, &c->arena, out, e);
}

static enum code print_text(const struct answered *a, const struct tensor *t, struct err *e) {
    struct str text;
    double confidence;
    TRY(recipe_text(a->recipe, t, &a->cli->arena, &text, &confidence, e));
    printf("%.*s\n  confidence %.3f\n", STR(text), confidence);
    return OK;
}

static enum code print_all(const struct answered *a, const struct session_io *io, size_t n,
                           struct err *e) {
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = &a->run->outputs[i];
        if (t->dtype == DT_SEQUENCE)
            printf("%.*s  a sequence of %zu\n", STR(io[i].name), ((struct sequence *)t->data)->n);
        else if (a->recipe->ctc && i == 0)
            TRY(print_text(a, t, e));
        else
            print_output(&io[i], t);
    }
    return OK;
}

static enum code answer(const struct answered *a, struct err *e) {
    const struct session_io *io;
    size_t n = session_outputs(a->loaded->session, &io);
    TRY(save_all(io, n, &a->options->outputs, a->run, e));
    if (a->cli->json)
        return as_json(io, n, a->run, e);
    if (!a->options->outputs.n)
        TRY(print_all(a, io, n, e));
    if (!a->cli->quiet)
        fprintf(stderr, "load %s, compute %s\n", print_duration(&a->cli->arena, a->loaded->load_ns),
                print_duration(&a->cli->arena, a->run->compute_ns));
    return OK;
}

static enum code ask(struct cli *c, const struct options *o, struct loaded *l, uint64_t deadline_ns,
                     struct err *e) {
    const struct session_io *io;
    struct session_run run;
    struct recipe recipe;
    size_t n = session_inputs(l->session, &io);
    struct tensor *inputs = ARENA_ARRAY(&c->arena, n + 1, struct tensor);
    if (!inputs)
        return fail(e, NOMEM, "out of memory");
    TRY(read_recipe(c, l, &recipe, e));
    TRY(feed_files(l->session, &recipe, c->args + 1, c->n_args - 1, &c->arena, inputs, e));
    TRY(feed_files(l->session, &recipe, (char *const *)o->inputs.items, o->inputs.n, &c->arena,
                   inputs, e));
    struct session_ask question = {.inputs = inputs,
                                   .deadline_ns = deadline_ns,
                                   .threads = o->threads > 0 ? (int)o->threads : cpu_cores()};
    TRY(session_begin(l->session, &question, &run, e));
    enum code code = answer(&(struct answered){c, o, l, &run, &recipe}, e);
    session_end(l->session, &run);
    return code;
}

static enum code run(struct cli *c, struct err *e) {
    const struct options *o = c->options;
    const uint64_t began = clock_ns();
    struct store_info info;
    struct loaded l;
    enum precision_choice choice = CHOOSE_DEFAULT;
    if (o->precision && precision_parse(str_of(o->precision), &choice, e) != OK)
        return fail(e, USAGE, "--precision: '%s' is not one of f32, bf16, auto", o->precision);
    if (o->timeout_ms < 0 || o->timeout_ms > INT_MAX)
        return fail(e, USAGE, "--timeout-ms: want 1 to %d, 0 for none", INT_MAX);
    if (!SANITIZED) /* it looks for every piece of memory by itself */
        nursery_open(NURSERY);
    TRY(facts_resolve(c->store, c->args[0], &c->arena, &info, e));
    cores_setup(o->threads > 0 ? (int)o->threads : cpu_cores());
    struct session_options so = {
        .brief = true, .precision = precision_of(c->store, info.model, info.version, choice)};
    TRY(loaded_open(c->store, info.model, info.version, &so, &l, e));
    enum code code = ask(c, o, &l, o->timeout_ms ? began + (uint64_t)o->timeout_ms * MS : 0, e);
    if (code == OK)
        loaded_keep(&l, true);
    /* Memory, maps and the store go with the process, at once. */
    if (SANITIZED)
        loaded_close(&l);
    else
        c->store = NULL;
    return code;
}

static const struct option options[] = {
    {"input", 'i', OPTION_LIST, offsetof(struct options, inputs), "NAME=FILE",
     "one input, repeatable", NULL},
    {"output", 'o', OPTION_LIST, offsetof(struct options, outputs), "NAME=FILE.npy",
     "save an output, repeatable", NULL},
    {"threads", 't', OPTION_INT, offsetof(struct options, threads), "N", "cores to use (all)",
     "SLIPWAY_THREADS"},
    {"timeout-ms", 0, OPTION_INT, offsetof(struct options, timeout_ms), "N",
     "give up when the answer takes longer, from the command's start (no limit)", NULL},
    {"precision", 0, OPTION_TEXT, offsetof(struct options, precision), "P",
     "f32 (default), bf16, or auto: bf16 where `bench --compare` found it good enough", NULL},
    {0},
};

const struct command command_predict = {
    .name = "predict",
    .synopsis = "MODEL[@VERSION|@ALIAS] [INPUT...]",
    .about = "Ask a version once, here, without a server.",
    .help = "INPUT is a file, by position or as NAME=FILE: .npy, JSON numbers, .txt for a text "
            "input, or - for\n"
            "standard input.\n\n"
            "  slipway predict ocr x.npy\n"
            "  slipway predict ocr --input x=x.npy --output y=y.npy\n"
            "  echo '[[5.1, 3.5, 1.4, 0.2]]' | slipway predict iris -",
    .flags = COMMAND_STORE,
    .min_args = 1,
    .max_args = -1,
    .options_bytes = sizeof(struct options),
    .options = options,
    .run = run,
};

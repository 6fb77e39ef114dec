/* SPDX-License-Identifier: Apache-2.0 */
/* A live version: reference counted from route to answer, so that nothing is unmapped under a
 * request.
 *
 * 1. Created UNLOADED by the loader, which alone changes its state; readers see it through an
 * atomic.
 * 2. loaded, inputs and outputs are written before the state becomes READY and never after. */
#include "host/in.h"

#include "base/clock.h"
#include "base/cores.h"
#include "base/mem.h"

#include <string.h>

static const struct counter_family queue_wait = {
    .name = "slipway_queue_wait_seconds",
    .help = "Time a request waited before its run began.",
    .kind = COUNTER_HISTOGRAM,
    .n_labels = 2,
    .labels = {"model", "version"},
    .n_buckets = 12,
    .buckets = {0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5},
};
static const struct counter_family compute = {
    .name = "slipway_compute_seconds",
    .help = "Time of one run of the model, whatever its batch.",
    .kind = COUNTER_HISTOGRAM,
    .n_labels = 2,
    .labels = {"model", "version"},
    .n_buckets = 13,
    .buckets = {0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5,
                1},
};
static const struct counter_family batch_rows = {
    .name = "slipway_batch_rows",
    .help = "Rows joined in one run.",
    .kind = COUNTER_HISTOGRAM,
    .n_labels = 2,
    .labels = {"model", "version"},
    .n_buckets = 8,
    .buckets = {1, 2, 4, 8, 16, 32, 64, 128},
};
static const struct counter_family queue_depth = {
    .name = "slipway_queue_depth",
    .help = "Requests waiting for a run.",
    .kind = COUNTER_GAUGE,
    .n_labels = 2,
    .labels = {"model", "version"},
};
static const struct counter_family load_time = {
    .name = "slipway_model_load_milliseconds",
    .help = "Time the last load took, warm-up included.",
    .kind = COUNTER_GAUGE,
    .n_labels = 2,
    .labels = {"model", "version"},
};
static const struct counter_family model_bytes = {
    .name = "slipway_model_bytes",
    .help = "Weights mapped from the store plus copies packed for kernels.",
    .kind = COUNTER_GAUGE,
    .n_labels = 2,
    .labels = {"model", "version"},
};
static const struct counter_family model_state = {
    .name = "slipway_model_ready",
    .help = "1 when the version answers requests, 0 while it loads or after it failed.",
    .kind = COUNTER_GAUGE,
    .n_labels = 2,
    .labels = {"model", "version"},
};

const char *live_state_name(enum live_state s) {
    switch (s) {
    case LIVE_UNLOADED: return "unloaded";
    case LIVE_LOADING: return "loading";
    case LIVE_READY: return "ready";
    case LIVE_DRAINING: return "draining";
    case LIVE_FAILED: return "failed";
    }
    return "unknown";
}

static char *copy(struct str text) {
    char *p = mem_alloc(text.n + 1);
    if (p) {
        if (text.n)
            memcpy(p, text.p, text.n);
        p[text.n] = '\0';
    }
    return p;
}

struct live *live_new(struct str model, const struct store_info *info) {
    struct live *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return NULL;
    atomic_init(&l->refs, 1);
    l->model = copy(model);
    l->format = copy(info->format);
    l->version = info->version;
    l->created_us = info->created_us;
    l->size_bytes = info->size_bytes;
    l->weight = 1;
    l->wait_ns = -1;
    policy_default(&l->policy);
    size_t n = info->digest.n < SHA256_HEX ? info->digest.n : SHA256_HEX;
    if (n)
        memcpy(l->digest, info->digest.p, n);
    if (!l->model || !l->format) {
        live_unref(l);
        return NULL;
    }
    return l;
}

struct live *live_ref(struct live *l) {
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

bool live_usable(const struct live *l) {
    return l && atomic_load_explicit(&l->state, memory_order_acquire) == LIVE_READY &&
           !atomic_load_explicit(&l->withdrawn, memory_order_relaxed);
}

static void drop_counters(struct live *l) {
    struct counter *all[] = {l->c_queue_wait, l->c_compute, l->c_batch_rows, l->c_queue_depth,
                             l->c_load,       l->c_bytes,   l->c_state};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            counter_drop(all[i]);
}

void live_unref(struct live *l) {
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    drop_counters(l);
    loaded_close(&l->loaded);
    mark_drop(l->mark);
    mem_free(l->model);
    mem_free(l->format);
    for (struct live_error *error = atomic_load(&l->error), *before; error; error = before) {
        before = error->before;
        mem_free(error);
    }
    mem_free(l);
}

static void make_counters(struct live *l) {
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)l->version);
    const struct str labels[2] = {str_of(l->model), {text, (size_t)n}};
    l->c_queue_wait = counter_get(&queue_wait, labels);
    l->c_compute = counter_get(&compute, labels);
    l->c_batch_rows = counter_get(&batch_rows, labels);
    l->c_queue_depth = counter_get(&queue_depth, labels);
    l->c_load = counter_get(&load_time, labels);
    l->c_bytes = counter_get(&model_bytes, labels);
    l->c_state = counter_get(&model_state, labels);
}

const char *live_error(const struct live *l) {
    const struct live_error *error = atomic_load(&l->error);
    return error ? error->text : "out of memory";
}

void live_fail(struct live *l, const struct err *e) {
    size_t n = strlen(e->text) + 1;
    struct live_error *error = mem_alloc(sizeof *error + n);
    if (error) {
        error->before = atomic_load(&l->error);
        memcpy(error->text, e->text, n);
        atomic_store(&l->error, error);
    }
    atomic_store(&l->state, LIVE_FAILED);
}

static enum code copy_io(struct live *l, const struct session_io *from, size_t n,
                         struct live_io **out, struct err *e) {
    struct live_io *io = ARENA_ARRAY(&l->loaded.arena, n ? n : 1, struct live_io);
    if (!io)
        return arena_fail(&l->loaded.arena, n * sizeof *io, "signature", e);
    for (size_t i = 0; i < n; i++) {
        io[i] =
            (struct live_io){from[i].name, from[i].dtype, from[i].shape, {{0}}, from[i].optional};
        memcpy(io[i].dim_names, from[i].dim_names, sizeof io[i].dim_names);
    }
    *out = io;
    return OK;
}

static struct str number_text(struct arena *a, int64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)v);
    return arena_str(a, str_of(text));
}

/* The labels of a ZipMap, which makes a map of each row of scores; *n is 0 for other nodes. */
static enum code map_keys(struct live *l, const struct node *node, const struct str **out,
                          size_t *n, struct err *e) {
    const struct attr *texts = attr_find(node, "classlabels_strings");
    const int64_t *numbers;
    *n = 0;
    if (!str_is(node->op_name, "zip_map"))
        return OK;
    if (texts && texts->kind == ATTR_STRS && texts->n) {
        *out = texts->strs;
        *n = texts->n;
        return OK;
    }
    if (!attr_ints(node, "classlabels_int64s", &numbers, n) || !*n)
        return OK;
    struct str *keys = ARENA_ARRAY(&l->loaded.arena, *n, struct str);
    if (!keys)
        return arena_fail(&l->loaded.arena, *n * sizeof *keys, "labels", e);
    for (size_t i = 0; i < *n; i++)
        keys[i] = number_text(&l->loaded.arena, numbers[i]);
    *out = keys;
    return OK;
}

/* An output that is a map a row goes out as the tensor of its values, whose columns have names. */
static enum code unfold_maps(struct live *l, struct err *e) {
    const struct graph *g = l->loaded.model->main;
    for (size_t i = 0; i < l->n_outputs; i++) {
        const struct value *v = &g->values[g->outputs[i]];
        size_t n;
        if (l->outputs[i].dtype != DT_SEQUENCE || v->producer == NODE_NONE)
            continue;
        TRY(map_keys(l, &g->nodes[v->producer], &l->outputs[i].columns, &n, e));
        if (!n)
            continue;
        l->outputs[i].dtype = DT_F32;
        l->outputs[i].shape = (struct shape){2, {-1, (int64_t)n}};
    }
    return OK;
}

/* --- a guise --- */

static bool keeps_rows(const struct guise_tensor *t) {
    return t->wire.rank && t->wire.dims[0] < 0 && t->model.rank && t->model.dims[0] < 0;
}

/* One tensor gets the shape that clients see. */
static enum code wear(struct live *l, const struct guise_tensor *t, struct err *e) {
    struct live_io *io = t->output ? l->outputs : l->inputs;
    size_t i;
    TRY(guise_place(t, io, t->output ? l->n_outputs : l->n_inputs, &i, e));
    io[i].shape = t->wire;
    memset(io[i].dim_names, 0, sizeof io[i].dim_names);
    (t->output ? l->output_guises : l->input_guises)[i] = t;
    l->batches = l->batches && keeps_rows(t);
    return OK;
}

static enum code open_guise(struct live *l, struct err *e) {
    struct arena *a = &l->loaded.arena;
    struct span part = live_part(l, GUISE_PART);
    struct guise *g = part.n ? ARENA_NEW(a, struct guise) : NULL;
    if (!part.n)
        return OK;
    l->input_guises = ARENA_ARRAY(a, l->n_inputs + 1, const struct guise_tensor *);
    l->output_guises = ARENA_ARRAY(a, l->n_outputs + 1, const struct guise_tensor *);
    if (!g || !l->input_guises || !l->output_guises)
        return arena_fail(a, sizeof *g, "guise", e);
    TRY(guise_parse((struct str){(const char *)part.p, part.n}, a, g, e));
    for (size_t i = 0; i < g->n_tensors; i++)
        TRY(wear(l, &g->tensors[i], e));
    l->guise = g;
    return OK;
}

struct shape live_session_shape(const struct live *l, size_t input) {
    const struct guise_tensor *t = l->guise ? l->input_guises[input] : NULL;
    return t ? t->model : l->inputs[input].shape;
}

enum code live_take_shape(const struct live *l, size_t input, struct shape *s, struct err *e) {
    char got[SHAPE_TEXT];
    const struct guise_tensor *t = l->guise ? l->input_guises[input] : NULL;
    return !t || guise_turn(&t->wire, &t->model, s, s)
               ? OK
               : fail(e, INVALID, "input '%.*s': %s does not fit its reshape", STR(t->name),
                      shape_print(s, got));
}

enum code live_show_shape(const struct live *l, size_t output, struct shape *s, struct err *e) {
    char got[SHAPE_TEXT];
    const struct guise_tensor *t = l->guise ? l->output_guises[output] : NULL;
    return !t || guise_turn(&t->model, &t->wire, s, s)
               ? OK
               : fail(e, INVALID,
                      "output '%.*s': the model made %s, which does not fit its reshape",
                      STR(t->name), shape_print(s, got));
}

/* --- texts --- */

static bool takes_ids(const struct live_io *io) {
    return (io->dtype == DT_I64 || io->dtype == DT_I32) && io->shape.rank == 2;
}

/* Which input strings may be sent for, and which go with it, by the names that exporters of
 * transformers give; without "input_ids" it is the only input. */
static void find_text(struct live *l) {
    struct live_io *ids = l->n_inputs == 1 ? &l->inputs[0] : NULL;
    for (size_t i = 0; i < l->n_inputs; i++)
        if (str_is(l->inputs[i].name, "input_ids"))
            ids = &l->inputs[i];
    if (!l->loaded.tokenizer || !ids || !takes_ids(ids))
        return;
    ids->text = true;
    for (size_t i = 0; i < l->n_inputs; i++)
        l->inputs[i].filled =
            takes_ids(&l->inputs[i]) && (str_is(l->inputs[i].name, "attention_mask") ||
                                         str_is(l->inputs[i].name, "token_type_ids"));
}

static enum code open_graph(struct live *l, struct err *e) {
    const struct session_io *io;
    l->n_inputs = session_inputs(l->loaded.session, &io);
    TRY(copy_io(l, io, l->n_inputs, &l->inputs, e));
    l->n_outputs = session_outputs(l->loaded.session, &io);
    TRY(copy_io(l, io, l->n_outputs, &l->outputs, e));
    TRY(unfold_maps(l, e));
    find_text(l);
    l->batches = session_batches(l->loaded.session);
    return open_guise(l, e);
}

enum code live_open(struct live *l, const struct host_options *o, struct err *e) {
    char version[24];
    enum precision_choice choice = l->policy.precision ? l->policy.precision : o->precision;
    struct session_options so = {.memory_bytes = o->run_bytes,
                                 .plans = 64,
                                 .precision =
                                     precision_of(o->store, str_of(l->model), l->version, choice)};
    struct language_options lo = o->language;
    int n = snprintf(version, sizeof version, "%llu", (unsigned long long)l->version);
    lo.threads = o->threads ? o->threads : cores_total();
    lo.model = str_of(l->model);
    lo.version = (struct str){version, (size_t)n};
    const struct loaded_options all = {&so, &lo, {str_of(l->policy.draft), o->draft}};
    TRY(loaded_open_any(o->store, str_of(l->model), l->version, &all, &l->loaded, e));
    if (l->loaded.session)
        TRY(open_graph(l, e));
    else
        TRY(speech_open(l, e));
    make_counters(l);
    return OK;
}

/* --- looking (host.h) --- */
size_t live_inputs(const struct live *l, const struct live_io **out) {
    *out = l->inputs;
    return l->n_inputs;
}

size_t live_outputs(const struct live *l, const struct live_io **out) {
    *out = l->outputs;
    return l->n_outputs;
}

struct str live_model(const struct live *l) {
    return str_of(l->model);
}
uint64_t live_version(const struct live *l) { return l->version; }
struct language *live_language(const struct live *l) {
    return l->loaded.language;
}
const struct tokenizer *live_tokenizer(const struct live *l) { return l->loaded.tokenizer; }
bool live_batches(const struct live *l) { return l->batches; }
const struct guise *live_guise(const struct live *l) { return l->guise; }
const struct guise_tensor *live_guise_of(const struct live *l, bool output, size_t i) {
    return !l->guise ? NULL : output ? l->output_guises[i] : l->input_guises[i];
}

struct span live_part(const struct live *l, const char *name) {
    struct span part = {0};
    if (l->loaded.version)
        (void)store_version_find_part(l->loaded.version, str_of(name), &part);
    return part;
}

void live_limits(const struct live *l, struct live_limits *out) {
    *out = (struct live_limits){
        .batch = atomic_load(&l->batch_limit),
        .queue = atomic_load(&l->queue_limit),
        .instances = atomic_load(&l->run_limit),
        .wait_us = (int64_t)(atomic_load(&l->wait_ns) / 1000),
        .priority = atomic_load(&l->priority),
    };
}

void live_stats(const struct live *l, struct live_stats *out) {
    *out = (struct live_stats){
        .success = atomic_load(&l->success),
        .failed = atomic_load(&l->failed),
        .rejected = atomic_load(&l->rejected),
        .cancelled = atomic_load(&l->cancelled),
        .success_ns = atomic_load(&l->success_ns),
        .queue_ns = atomic_load(&l->queue_ns),
        .compute_ns = atomic_load(&l->compute_ns),
        .rows = atomic_load(&l->rows),
        .runs = atomic_load(&l->runs),
        .last_us = atomic_load(&l->last_us),
        .waiting = l->waiting,
        .load_ns = l->loaded.load_ns,
    };
    for (int i = 0; i < SHADOW_N; i++)
        out->shadows[i] = atomic_load(&l->shadow_results[i]);
    if (l->loaded.session) {
        struct session_memory m;
        session_memory(l->loaded.session, &m);
        out->mapped_bytes = m.constant_bytes;
        out->packed_bytes = m.packed_bytes + m.slab_bytes;
    }
}

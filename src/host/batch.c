/* SPDX-License-Identifier: Apache-2.0 */
/* Joins waiting asks into one run, runs it, gives each asker its rows.
 *
 * 1. Only asks whose inputs agree in everything but the first dim, and that want the same outputs,
 * are joined; those of other shapes in between keep their places.
 * 2. What already waits is joined. An ask waits for company only while all other cores are busy
 * (worker.c), when the version's own curve says that joining saves it more time than others take to
 * come, and never longer than that (batch_open_window). A run's rows are a power of two when rows
 * come one by one, so that a session needs a handful of plans, not one per count.
 * 3. Joining has to pay: the cost per row is measured per number of rows and cores (curve.h) and
 * the cheapest way is taken; a model that gains nothing from a batch is run one by one.
 * 4. If a joined run fails, its asks are run one by one, so that one asker's data cannot fail
 * another's request. */
#include "host/in.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/cores.h"

#include <string.h>

enum { LENT_BYTES = 64 << 10 }; /* smaller outputs are copied: their run may serve another */

#define LONG_BATCH_NS 5e7
#define WINDOW_NS 1e7 /* no ask waits longer for company */
#define SMALL_RUN_NS                                                                               \
    300000.0 /* a run shorter than this gets one core: the others serve other requests */

/* The same but for the rows, and for the lengths of what is padded (pad NULL: nothing). */
static bool same_tail(const struct tensor *a, const struct tensor *b, const struct pad_input *pad) {
    if (a->dtype != b->dtype || a->shape.rank != b->shape.rank)
        return false;
    for (int d = 1; d < a->shape.rank; d++)
        if (a->shape.dims[d] != b->shape.dims[d] && !(pad && pad->axes[d]))
            return false;
    return true;
}

static bool joins(const struct live *l, const struct ask *a, const struct ask *b) {
    if ((a->priority == PRIORITY_SHADOW) != (b->priority == PRIORITY_SHADOW))
        return false;
    bool pads = l->padding.on && pad_joins(l, a, b);
    for (size_t i = 0; i < l->n_inputs; i++)
        if (!same_tail(&a->bound[i], &b->bound[i], pads ? &l->padding.inputs[i] : NULL) ||
            a->bound[i].dtype == DT_STRING)
            return false;
    if (!a->wanted != !b->wanted)
        return false;
    return !a->wanted || memcmp(a->wanted, b->wanted, l->n_outputs * sizeof *a->wanted) == 0;
}

/* How long a joined run may take: to the first ask's deadline, and not so long that what waits for
 * another model notices. */
static double most_ns(const struct ask *head, bool alone) {
    double most = alone ? 1e18 : LONG_BATCH_NS;
    uint64_t now = clock_ns();
    if (head->deadline_ns && head->deadline_ns > now && (double)(head->deadline_ns - now) < most)
        most = (double)(head->deadline_ns - now);
    return most;
}

/* Half of what is left after the run at most: a deadline is not spent on waiting. */
static double spare_ns(const struct live *l, const struct ask *a) {
    double left = a->deadline_ns > a->queued_ns ? (double)(a->deadline_ns - a->queued_ns) : 0;
    double spare = (left - curve_single(&l->curve) * (double)a->rows) / 2;
    return a->deadline_ns == 0 ? WINDOW_NS : spare > 0 ? spare : 0;
}

void batch_open_window(struct host *h, struct live *l, const struct ask *first) {
    size_t limit = atomic_load_explicit(&l->batch_limit, memory_order_relaxed);
    int64_t best;
    l->ripe_ns = 0;
    if (!l->batches || first->rows != 1 || first->priority >= PRIORITY_SHADOW)
        return;
    double saved = curve_saving(&l->curve, (int64_t)(limit ? limit : h->options.batch), &best);
    double most = spare_ns(l, first),
           wait = atomic_load_explicit(&l->wait_ns, memory_order_relaxed);
    if (wait >= 0 && most > wait)
        most = wait;
    most = most < saved ? most : saved;
    most = most < WINDOW_NS ? most : WINDOW_NS;
    double come = 1 + most / (l->gap_ns > 1 ? l->gap_ns : 1); /* asks there are when it ends */
    if (come < 2)
        return;
    int64_t company = best;
    while ((double)company > come)
        company /= 2;
    l->company = (size_t)company;
    l->ripe_ns = first->queued_ns + (uint64_t)most;
}

static void drop_dead(struct host *h, struct live *l, struct batch *out) {
    uint64_t now = clock_ns();
    while (l->first && (__atomic_load_n(&l->first->cancel, __ATOMIC_RELAXED) ||
                        (l->first->deadline_ns && l->first->deadline_ns <= now))) {
        struct ask *a = queue_take(h, l, NULL);
        a->next = out->dropped;
        out->dropped = a;
    }
}

/* Rows of all that would join the first ask. */
static int64_t rows_waiting(const struct live *l, int64_t most) {
    const struct ask *head = l->first;
    int64_t rows = head->rows;
    if (l->batches)
        for (const struct ask *a = head->next; a && rows < most; a = a->next)
            if (rows + a->rows <= most && joins(l, head, a))
                rows += a->rows;
    return rows;
}

/* The largest number of rows that may be joined and is no more than this one. */
static int64_t allowed(const struct host *h, int64_t rows) {
    const struct host_options *o = &h->options;
    int64_t most = o->n_batch_sizes ? 1 : rows;
    for (size_t i = 0; i < o->n_batch_sizes; i++)
        if ((int64_t)o->batch_sizes[i] <= rows)
            most = (int64_t)o->batch_sizes[i];
    return most;
}

void batch_take(struct host *h, struct live *l, bool alone, struct batch *out) {
    size_t limit = atomic_load_explicit(&l->batch_limit, memory_order_relaxed);
    *out = (struct batch){0};
    l->ripe_ns = 0; /* what is left has waited */
    drop_dead(h, l, out);
    if (!l->first)
        return;
    int64_t rows = rows_waiting(l, (int64_t)(limit ? limit : h->options.batch));
    struct curve_choice to = {.rows = 1};
    if (rows > l->first->rows)
        to = curve_choose(&l->curve, allowed(h, rows), most_ns(l->first, alone),
                          alone && h->n_running == 0, h->threads);
    to.rows = allowed(h, to.rows);
    struct ask *head = queue_take(h, l, NULL), *last = head;
    out->first = head;
    out->cores = to.cores;
    out->rows = head->rows;
    out->n_asks = 1;
    out->shadow = head->priority == PRIORITY_SHADOW;
    for (struct ask *before = NULL, *a = l->first; a && out->rows < to.rows;) {
        struct ask *next = a->next;
        if (out->rows + a->rows <= to.rows && joins(l, head, a)) {
            last->next = queue_take(h, l, before);
            last = last->next;
            out->rows += last->rows;
            out->n_asks++;
        } else {
            before = a;
        }
        a = next;
    }
}

int batch_cores(const struct live *l, int total) {
    double single = curve_single(&l->curve);
    return single > 0 && single < SMALL_RUN_NS ? 1 : total;
}

void ask_settle(struct live *l, struct ask *a, enum code code) {
    a->code = code;
    switch (code) {
    case OK: atomic_fetch_add_explicit(&l->success, 1, memory_order_relaxed); break;
    case ERR_OVERLOAD:
    case ERR_UNAVAILABLE: atomic_fetch_add_explicit(&l->rejected, 1, memory_order_relaxed); break;
    case ERR_CANCELLED: atomic_fetch_add_explicit(&l->cancelled, 1, memory_order_relaxed); break;
    default: atomic_fetch_add_explicit(&l->failed, 1, memory_order_relaxed); break;
    }
    if (code == OK)
        atomic_fetch_add_explicit(&l->success_ns, clock_ns() - a->queued_ns, memory_order_relaxed);
    if (a->shadow)
        shadow_answer(a);
    if (a->capture)
        capture_answer(a);
}

void ask_finish(struct live *l, struct ask *a, enum code code) {
    ask_settle(l, a, code);
    a->done(a);
}

static bool grow(struct batch_memory *m, size_t bytes) {
    if (bytes <= m->room)
        return true;
    mem_free(m->bytes);
    m->bytes = mem_alloc_aligned(bytes, MEM_LINE);
    m->room = m->bytes ? bytes : 0;
    return m->bytes != NULL;
}

/* Concatenates input `at` of every ask along the first dim; pad: filled to the batch's widths. */
static char *join_input(const struct batch *b, size_t at, const struct pad_input *pad, char *p,
                        struct tensor *out) {
    *out = b->first->bound[at];
    if (out->dtype == DT_NONE)
        return p;
    out->data = p;
    out->shape.dims[0] = b->rows;
    if (pad)
        out->shape = pad_shape(pad, out->shape, &b->widths);
    for (const struct ask *a = b->first; a; a = a->next) {
        size_t n = tensor_bytes(&a->bound[at]);
        if (pad) {
            p = pad_copy(pad, &a->bound[at], &b->widths, p);
        } else {
            if (n)
                memcpy(p, a->bound[at].data, n);
            p += n;
        }
    }
    return (char *)mem_round_up((uintptr_t)p, MEM_LINE);
}

static const struct pad_input *padding_of(const struct live *l, const struct batch *b, size_t at) {
    return b->padded && l->padding.inputs[at].on ? &l->padding.inputs[at] : NULL;
}

static enum code join_inputs(const struct live *l, const struct batch *b, struct batch_memory *m,
                             struct tensor *out, struct err *e) {
    size_t bytes = MEM_LINE;
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct pad_input *pad = padding_of(l, b, i);
        for (const struct ask *a = b->first; a; a = a->next) {
            struct tensor t = a->bound[i];
            if (pad)
                t.shape = pad_shape(pad, t.shape, &b->widths);
            bytes += tensor_bytes(&t);
        }
        bytes += MEM_LINE;
    }
    if (!grow(m, bytes))
        return fail(e, NOMEM, "batch of %lld rows: out of memory (%zu bytes)", (long long)b->rows,
                    bytes);
    char *p = m->bytes;
    for (size_t i = 0; i < l->n_inputs; i++)
        p = join_input(b, i, padding_of(l, b, i), p, &out[i]);
    return OK;
}

/* Strings point into the run's memory: each text is copied too. */
static enum code copy_strings(struct arena *arena, struct tensor *t, struct err *e) {
    struct str *s = t->data;
    for (size_t i = 0; i < tensor_count(t); i++) {
        struct str text = arena_str(arena, s[i]);
        if (!text.p && s[i].n)
            return arena_fail(arena, s[i].n, "output text", e);
        s[i] = text;
    }
    return OK;
}

/* Maps of the rows [row, row + n) as a tensor of their values (live_io.columns names the keys). */
static enum code copy_maps(struct ask *a, const struct live_io *io, const struct sequence *maps,
                           int64_t row, int64_t n, struct tensor *out, struct err *e) {
    struct shape shape = {2, {n, io->shape.dims[1]}};
    size_t columns = (size_t)io->shape.dims[1];
    if (row + n > (int64_t)maps->n)
        return fail(e, INTERNAL, "output '%.*s': fewer maps than rows", STR(io->name));
    TRY(tensor_new(a->arena, DT_F32, &shape, out, e));
    float *to = out->data;
    for (int64_t i = row; i < row + n; i++, to += columns) {
        const struct sequence *map = maps->items[i].data;
        const struct tensor *values = &map->items[1]; /* a ZipMap makes nothing else */
        if (maps->items[i].dtype != DT_SEQUENCE || !map->map || tensor_count(values) != columns)
            return fail(e, INTERNAL, "output '%.*s': a map of other keys", STR(io->name));
        for (size_t k = 0; k < columns; k++)
            to[k] = (float)tensor_f64(values, k);
    }
    return OK;
}

/* Large outputs stay where the run wrote them when they are at least half of what it holds: copied
 * and given back they would need as much memory, and time besides. */
static bool lends(const struct live *l, const struct session_run *run) {
    size_t bytes = 0;
    for (size_t i = 0; i < l->n_outputs; i++) {
        if (run->outputs[i].dtype == DT_SEQUENCE || run->outputs[i].dtype == DT_STRING)
            return false;
        bytes += run->outputs[i].dtype == DT_NONE ? 0 : tensor_bytes(&run->outputs[i]);
    }
    return bytes >= LENT_BYTES && bytes >= run->memory_bytes / 2;
}

/* The part at the front of the whole's dims from d on; where the copy ends. */
static char *copy_front(char *to, const char *from, const struct shape *part,
                        const struct shape *whole, int d, size_t size) {
    size_t n = (size_t)part->dims[d], stride = size;
    bool whole_below = true;
    for (int k = d + 1; k < whole->rank; k++) {
        stride *= (size_t)whole->dims[k];
        whole_below = whole_below && part->dims[k] == whole->dims[k];
    }
    if (whole_below) {
        if (n * stride > 0)
            memcpy(to, from, n * stride);
        return to + n * stride;
    }
    for (size_t i = 0; i < n; i++)
        to = copy_front(to, from + i * stride, part, whole, d + 1, size);
    return to;
}

static enum code copy_output(struct ask *a, const struct live_io *io, const struct tensor *from,
                             int64_t row, const struct shape *part, struct tensor *out,
                             struct err *e) {
    if (from->dtype == DT_SEQUENCE) {
        const struct sequence *s = from->data;
        if (!io->columns)
            return fail(e, UNSUPPORTED, "output '%.*s' is a sequence: no protocol can carry it",
                        STR(io->name));
        return copy_maps(a, io, s, part ? row : 0, part ? a->rows : (int64_t)s->n, out, e);
    }
    const struct shape *shape = part ? part : &from->shape;
    size_t offset = 0;
    if (part && from->shape.dims[0])
        offset = tensor_bytes(from) / (size_t)from->shape.dims[0] * (size_t)row;
    TRY(tensor_new(a->arena, from->dtype, shape, out, e));
    size_t n = tensor_bytes(out);
    if (n && part)
        copy_front(out->data, (const char *)from->data + offset, shape, &from->shape, 0,
                   dtype_size(from->dtype));
    else if (n)
        memcpy(out->data, from->data, n);
    return from->dtype == DT_STRING ? copy_strings(a->arena, out, e) : OK;
}

/* What of an output belongs to an ask of a joined run. */
static struct shape part_of(const struct live *l, size_t output, const struct ask *a,
                            const struct batch *b, struct shape whole) {
    whole.dims[0] = a->rows;
    return b->padded ? pad_cut(l, output, a, whole) : whole;
}

enum code batch_give(const struct live *l, const struct session_run *run, struct ask *a,
                     int64_t row, const struct batch *b, struct err *e) {
    a->outputs = ARENA_ARRAY(a->arena, l->n_outputs + 1, struct ask_tensor);
    a->n_outputs = 0;
    if (!a->outputs)
        return arena_fail(a->arena, l->n_outputs * sizeof *a->outputs, "outputs", e);
    for (size_t i = 0; i < l->n_outputs; i++) {
        if (run->outputs[i].dtype == DT_NONE || (a->wanted && !a->wanted[i]))
            continue;
        struct ask_tensor *out = &a->outputs[a->n_outputs];
        struct shape part = b ? part_of(l, i, a, b, run->outputs[i].shape) : (struct shape){0};
        out->name = l->outputs[i].name;
        out->columns = l->outputs[i].columns;
        if (a->lent.runner)
            out->tensor = run->outputs[i];
        else
            TRY(copy_output(a, &l->outputs[i], &run->outputs[i], row, b ? &part : NULL,
                            &out->tensor, e));
        TRY(live_show_shape(l, i, &out->tensor.shape, e));
        a->n_outputs++;
    }
    return OK;
}

static void observe(struct live *l, int64_t rows, uint64_t compute_ns, uint64_t began) {
    counter_observe(l->c_compute, (double)compute_ns * 1e-9);
    counter_observe(l->c_batch_rows, (double)rows);
    atomic_fetch_add_explicit(&l->runs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->rows, (uint64_t)rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->compute_ns, compute_ns, memory_order_relaxed);
    atomic_store_explicit(&l->last_us, clock_wall_coarse_us(), memory_order_relaxed);
    atomic_store_explicit(&l->touched_ns, began, memory_order_relaxed);
}

enum code batch_compute(struct live *l, struct batch *b, int threads, struct batch_memory *m,
                        struct session_run *run, struct err *e) {
    struct tensor joined[64];
    if (l->n_inputs > sizeof joined / sizeof *joined)
        return fail(e, LIMIT, "%zu inputs cannot be joined", l->n_inputs);
    b->padded = pad_widths(l, b, &b->widths);
    TRY(join_inputs(l, b, m, joined, e));
    struct session_ask ask = {
        .inputs = joined,
        .want = b->first->wanted,
        .threads = threads,
        .seed = b->first->queued_ns,
    };
    return session_begin(l->loaded.session, &ask, run, e);
}

static void finish_all(struct live *l, struct batch *b, const struct session_run *run) {
    int64_t row = 0;
    for (struct ask *a = b->first, *next; a; a = next) {
        next = a->next;
        a->batch_rows = (size_t)b->rows;
        a->compute_ns = run->compute_ns;
        enum code code = batch_give(l, run, a, row, b, &a->err);
        row += a->rows;
        ask_finish(l, a, code);
    }
}

/* Language models take texts, which are never joined. */
static enum code run_language(struct host *h, struct live *l, struct ask *a, uint64_t began) {
    enum code code = speech_run(l, a, &a->err);
    a->compute_ns = clock_ns() - began;
    circuit_note(h, l, code, &a->err);
    if (code == OK)
        observe(l, a->rows, a->compute_ns, began);
    return code;
}

/* brief: over before a deadline that it was admitted for. */
static enum code run_graph(struct host *h, struct live *l, struct ask *a, int threads, bool brief,
                           uint64_t began) {
    struct session_run run;
    struct session_ask ask = {
        .inputs = a->bound,
        .want = a->wanted,
        .threads = threads,
        .deadline_ns = brief ? 0 : a->deadline_ns,
        .cancel = (const bool *)&a->cancel,
        .seed = a->queued_ns,
    };
    enum code code = session_begin(l->loaded.session, &ask, &run, &a->err);
    circuit_note(h, l, code, &a->err);
    if (code != OK)
        return code;
    a->compute_ns = run.compute_ns;
    observe(l, a->rows, run.compute_ns, began);
    if (lends(l, &run))
        a->lent = run;
    code = batch_give(l, &run, a, 0, NULL, &a->err);
    if (!a->lent.runner)
        session_end(l->loaded.session, &run);
    return code;
}

static void note_wait(struct live *l, struct ask *a, uint64_t now) {
    a->queue_ns = now - a->queued_ns;
    counter_observe(l->c_queue_wait, (double)a->queue_ns * 1e-9);
    atomic_fetch_add_explicit(&l->queue_ns, a->queue_ns, memory_order_relaxed);
}

enum code batch_run_one(struct host *h, struct live *l, struct ask *a, int threads, bool brief,
                        uint64_t now) {
    note_wait(l, a, now);
    a->batch_rows = (size_t)a->rows;
    return l->loaded.language ? run_language(h, l, a, now)
                              : run_graph(h, l, a, threads, brief, now);
}

static void run_one_by_one(struct host *h, struct live *l, struct batch *b, int threads) {
    for (struct ask *a = b->first, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        ask_finish(l, a, batch_run_one(h, l, a, threads, false, clock_ns()));
    }
}

void batch_run(struct host *h, struct live *l, struct batch *b, int threads,
               struct batch_memory *memory) {
    struct session_run run;
    struct err e;
    uint64_t began = clock_ns();
    if (b->n_asks == 1 || batch_compute(l, b, threads, memory, &run, &e) != OK) {
        run_one_by_one(h, l, b, threads);
        return;
    }
    for (struct ask *a = b->first; a; a = a->next)
        note_wait(l, a, began);
    observe(l, b->rows, run.compute_ns, began);
    circuit_note(h, l, OK, NULL);
    finish_all(l, b, &run);
    session_end(l->loaded.session, &run);
}

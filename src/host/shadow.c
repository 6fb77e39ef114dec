/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows: an ask that is copied to a second version, whose answer is compared and thrown away.
 *
 * 1. The asker never waits for its shadow: inputs are copied when the ask is queued, outputs when
 * it is answered, both bounded; the copy runs only while nothing else wants a worker (worker.c).
 * 2. What there is no room for is counted as skipped.
 * 3. The answer that comes second compares: both outputs are in arenas of the shadow's own. */
#include "host/in.h"

#include "base/mem.h"
#include "tensor/compare.h"

#include <string.h>

enum { COPY_BYTES = 16 << 20, IN_FLIGHT = 64 };

static const struct counter_family results = {
    .name = "slipway_shadow_total",
    .help = "Requests copied to a second version, by what became of the comparison.",
    .kind = COUNTER_TOTAL,
    .n_labels = 4,
    .labels = {"model", "version", "shadow", "result"},
};

struct shadow {
    struct host *host;
    _Atomic int waiting; /* answers still to come */
    struct ask ask;      /* the copy */
    struct arena arena;  /* of the copy, and of this struct's texts */
    struct arena first;  /* of the asker's outputs */
    struct ask_tensor *outputs;
    size_t n_outputs;
    enum code code; /* the asker's */
    struct live *primary;
    double relative, absolute;
};

static void count(const struct live *primary, struct live *shadow, enum shadow_result result) {
    static const char *const names[] = {"same", "different", "failed", "skipped"};
    char from[24], to[24];
    snprintf(from, sizeof from, "%llu", (unsigned long long)primary->version);
    snprintf(to, sizeof to, "%llu", (unsigned long long)shadow->version);
    const struct str labels[] = {str_of(primary->model), str_of(from), str_of(to),
                                 str_of(names[result])};
    counter_add(counter_get(&results, labels), 1);
    atomic_fetch_add_explicit(&shadow->shadow_results[result], 1, memory_order_relaxed);
}

static void release(struct shadow *s) {
    atomic_fetch_sub(&s->host->n_shadows, 1);
    live_unref(s->primary);
    ask_end(&s->ask);
    arena_deinit(&s->first);
    arena_deinit(&s->arena);
    mem_free(s);
}

static bool same_text(const struct tensor *a, const struct tensor *b) {
    const struct str *p = a->data, *q = b->data;
    if (!shape_eq(&a->shape, &b->shape))
        return false;
    for (size_t i = 0; i < tensor_count(a); i++)
        if (!str_eq(p[i], q[i]))
            return false;
    return true;
}

static bool same(const struct shadow *s) {
    struct err ignored;
    if (s->n_outputs != s->ask.n_outputs)
        return false;
    for (size_t i = 0; i < s->n_outputs; i++) {
        const struct tensor *a = &s->ask.outputs[i].tensor, *b = &s->outputs[i].tensor;
        struct compare c;
        if (a->dtype != b->dtype || !str_eq(s->ask.outputs[i].name, s->outputs[i].name))
            return false;
        if (a->dtype == DT_STRING
                ? !same_text(a, b)
                : compare_tensors(a, b, s->relative, s->absolute, &c, &ignored) != OK ||
                      c.different)
            return false;
    }
    return true;
}

static void answered(struct shadow *s) {
    if (atomic_fetch_sub_explicit(&s->waiting, 1, memory_order_acq_rel) != 1)
        return;
    if (s->ask.live) {
        enum shadow_result result = SHADOW_SKIPPED;
        if (s->code == OK && s->ask.code == OK)
            result = same(s) ? SHADOW_SAME : SHADOW_DIFFERENT;
        else if (s->code == OK && s->ask.code != ERR_OVERLOAD && s->ask.code != ERR_CANCELLED &&
                 s->ask.code != ERR_TIMEOUT && s->ask.code != ERR_UNAVAILABLE)
            result = SHADOW_FAILED;
        count(s->primary, s->ask.live, result);
    }
    release(s);
}

static void copy_done(struct ask *a) { answered(a->user); }

/* Into `a`; texts too. */
enum code ask_copy_tensors(struct arena *a, const struct ask_tensor *from, size_t n,
                           struct ask_tensor **out, struct err *e) {
    struct ask_tensor *to = ARENA_ARRAY(a, n + 1, struct ask_tensor);
    if (!to)
        return arena_fail(a, n * sizeof *to, "tensors", e);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = &from[i].tensor;
        to[i].name = arena_str(a, from[i].name);
        TRY(tensor_new(a, t->dtype, &t->shape, &to[i].tensor, e));
        if (tensor_bytes(t))
            memcpy(to[i].tensor.data, t->data, tensor_bytes(t));
        struct str *text = t->dtype == DT_STRING ? to[i].tensor.data : NULL;
        for (size_t k = 0; text && k < tensor_count(t); k++)
            text[k] = arena_str(a, text[k]);
    }
    *out = to;
    return OK;
}

static enum code copy_ask(struct shadow *s, const struct ask *a, struct live *to, struct err *e) {
    struct str *want = ARENA_ARRAY(&s->arena, a->n_want + 1, struct str);
    if (!want)
        return arena_fail(&s->arena, a->n_want * sizeof *want, "shadow", e);
    for (size_t i = 0; i < a->n_want; i++)
        want[i] = arena_str(&s->arena, a->want[i]);
    s->ask = (struct ask){.model = arena_str(&s->arena, a->model),
                          .n_inputs = a->n_inputs,
                          .want = want,
                          .n_want = a->n_want,
                          .arena = &s->arena,
                          .priority = PRIORITY_SHADOW,
                          .done = copy_done,
                          .user = s};
    TRY(ask_copy_tensors(&s->arena, a->inputs, a->n_inputs, &s->ask.inputs, e));
    s->ask.live = live_ref(to);
    return OK;
}

static size_t bytes_of(const struct ask_tensor *t, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += tensor_bytes(&t[i].tensor);
    return bytes;
}

void shadow_begin(struct host *h, struct ask *a) {
    struct live *to = a->split->shadow;
    struct err ignored;
    struct shadow *s = NULL;
    if (!split_shadows(a->split, a->live))
        return;
    size_t before = atomic_fetch_add(&h->n_shadows, 1);
    if (before < IN_FLIGHT && bytes_of(a->inputs, a->n_inputs) <= COPY_BYTES)
        s = mem_zalloc(1, sizeof *s);
    if (!s) {
        atomic_fetch_sub(&h->n_shadows, 1);
        count(a->live, to, SHADOW_SKIPPED);
        return;
    }
    s->host = h;
    s->primary = live_ref(a->live);
    s->relative = a->split->spec.relative;
    s->absolute = a->split->spec.absolute;
    atomic_init(&s->waiting, 2);
    arena_init(&s->arena, (size_t)4 * COPY_BYTES);
    arena_init(&s->first, (size_t)2 * COPY_BYTES);
    if (copy_ask(s, a, to, &ignored) != OK) {
        count(a->live, to, SHADOW_SKIPPED);
        release(s);
        return;
    }
    a->shadow = s;
    if (host_submit(h, &s->ask))
        copy_done(&s->ask);
}

void shadow_answer(struct ask *a) {
    struct shadow *s = a->shadow;
    struct err ignored;
    a->shadow = NULL;
    s->code = a->code;
    if (s->code == OK && bytes_of(a->outputs, a->n_outputs) > COPY_BYTES)
        s->code = ERR_LIMIT;
    if (s->code == OK)
        s->code = ask_copy_tensors(&s->first, a->outputs, a->n_outputs, &s->outputs, &ignored);
    s->n_outputs = s->code == OK ? a->n_outputs : 0;
    answered(s);
}

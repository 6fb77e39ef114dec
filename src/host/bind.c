/* SPDX-License-Identifier: Apache-2.0 */
/* From an ask's named tensors to the model's inputs in order: every complaint about names, types
 * and shapes is made here, before anything is queued, and says what was expected and what came. */
#include "host/in.h"

static int position(const struct live *l, const struct ask_tensor *t, size_t index) {
    if (t->name.n == 0)
        return index < l->n_inputs ? (int)index : -1;
    for (size_t i = 0; i < l->n_inputs; i++)
        if (str_eq(l->inputs[i].name, t->name))
            return (int)i;
    return -1;
}

static const char *names(const struct live_io *io, size_t n, char *text, size_t room) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n && used < room; i++)
        used +=
            (size_t)snprintf(text + used, room - used, "%s'%.*s'", i ? ", " : "", STR(io[i].name));
    return text;
}

static bool shape_fits(const struct live_io *io, const struct shape *s) {
    if (io->shape.rank != s->rank)
        return false;
    for (int d = 0; d < s->rank; d++)
        if (io->shape.dims[d] >= 0 && io->shape.dims[d] != s->dims[d])
            return false;
    return true;
}

static enum code check_input(const struct live_io *io, const struct tensor *t, struct err *e) {
    char want[SHAPE_TEXT], got[SHAPE_TEXT];
    if (t->dtype != io->dtype)
        return fail(e, INVALID, "input '%.*s': expected %s %s, got %s %s", STR(io->name),
                    dtype_name(io->dtype), shape_print(&io->shape, want), dtype_name(t->dtype),
                    shape_print(&t->shape, got));
    if (!shape_fits(io, &t->shape))
        return fail(e, INVALID, "input '%.*s': expected shape %s (-1: any), got %s", STR(io->name),
                    shape_print(&io->shape, want), shape_print(&t->shape, got));
    return OK;
}

static enum code bind_inputs(const struct live *l, struct ask *a, struct err *e) {
    char text[200];
    a->bound = ARENA_ARRAY(a->arena, l->n_inputs + 1, struct tensor);
    if (!a->bound)
        return arena_fail(a->arena, (l->n_inputs + 1) * sizeof *a->bound, "inputs", e);
    for (size_t i = 0; i < a->n_inputs; i++) {
        int at = position(l, &a->inputs[i], i);
        if (at < 0 && a->inputs[i].name.n == 0)
            return fail(e, INVALID, "%zu inputs given, the model has %zu: %s", a->n_inputs,
                        l->n_inputs, names(l->inputs, l->n_inputs, text, sizeof text));
        if (at < 0)
            return fail(e, INVALID, "unexpected input '%.*s'; the model has %s",
                        STR(a->inputs[i].name), names(l->inputs, l->n_inputs, text, sizeof text));
        if (a->bound[at].dtype != DT_NONE)
            return fail(e, INVALID, "input '%.*s' given twice", STR(l->inputs[at].name));
        TRY(check_input(&l->inputs[at], &a->inputs[i].tensor, e));
        a->bound[at] = a->inputs[i].tensor;
        TRY(live_take_shape(l, (size_t)at, &a->bound[at].shape, e));
    }
    for (size_t i = 0; i < l->n_inputs; i++)
        if (a->bound[i].dtype == DT_NONE && !l->inputs[i].optional) {
            char want[SHAPE_TEXT];
            return fail(e, INVALID, "input '%.*s' (%s %s) is missing", STR(l->inputs[i].name),
                        dtype_name(l->inputs[i].dtype), shape_print(&l->inputs[i].shape, want));
        }
    return OK;
}

static enum code bind_outputs(const struct live *l, struct ask *a, struct err *e) {
    char text[200];
    a->wanted = NULL;
    if (a->n_want == 0)
        return OK;
    a->wanted = ARENA_ARRAY(a->arena, l->n_outputs + 1, bool);
    if (!a->wanted)
        return arena_fail(a->arena, l->n_outputs, "outputs", e);
    for (size_t i = 0; i < a->n_want; i++) {
        size_t at = 0;
        while (at < l->n_outputs && !str_eq(l->outputs[at].name, a->want[i]))
            at++;
        if (at == l->n_outputs)
            return fail(e, INVALID, "unexpected inference output '%.*s'; the model has %s",
                        STR(a->want[i]), names(l->outputs, l->n_outputs, text, sizeof text));
        a->wanted[at] = true;
    }
    return OK;
}

/* Rows: the common first dim, when the model joins requests. */
static enum code count_rows(const struct live *l, struct ask *a, struct err *e) {
    a->rows = 1;
    if (!l->batches)
        return OK;
    bool first = true;
    for (size_t i = 0; i < l->n_inputs; i++) {
        const struct tensor *t = &a->bound[i];
        if (t->dtype == DT_NONE || t->shape.rank == 0)
            continue;
        if (!first && t->shape.dims[0] != a->rows)
            return fail(e, INVALID, "input '%.*s' has %lld rows, the inputs before it have %lld",
                        STR(l->inputs[i].name), (long long)t->shape.dims[0], (long long)a->rows);
        a->rows = t->shape.dims[0];
        first = false;
    }
    return OK;
}

enum code bind_ask(const struct live *l, struct ask *a, struct err *e) {
    TRY(bind_inputs(l, a, e));
    TRY(bind_outputs(l, a, e));
    return count_rows(l, a, e);
}

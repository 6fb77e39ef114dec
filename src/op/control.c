/* SPDX-License-Identifier: Apache-2.0 */
/* if, loop, scan: operators whose work is a graph of their own, run by the host once per iteration.
 *
 * 1. Nothing here knows what a body captures: the host supplies it.
 * 2. What a body answers lives until the run ends; after POCKET_AFTER iterations only until the
 *    iteration after the next, so that a long loop needs no more memory than a short one: what it
 *    carries is then moved each time (op.h: pocket). Sequences share items with older iterations
 *    and are left where they are. What is stacked is copied once, into memory that doubles.
 * 3. The host is asked before every iteration whether to go on: a loop without end stops at the
 *    run's deadline, at its limit of memory, or after as many iterations as the host allows.
 *
 * Opsets: scan 8 has a batch and sequence_lens; since 9 it has axes. */
#include "op/operand.h"
#include "op/stride.h"

enum { POCKET_AFTER = 16 };
enum { CONTROL_ITERATIONS = 1 << 24 }; /* where the host sets no limit */

/* The graph attribute, with the numbers of inputs and outputs it must have (-1: any). */
static enum code body_of(const struct operand_at *at, const char *name, int n_in, int n_out,
                         const struct graph **out, struct err *e) {
    const struct graph *g = attr_graph(at->node, name);
    if (!g)
        return operand_fail(at, e, FORMAT, "attribute '%s' is missing", name);
    if ((n_in >= 0 && g->n_inputs != n_in) || (n_out >= 0 && g->n_outputs != n_out))
        return operand_fail(at, e, FORMAT, "'%s' has %d inputs and %d outputs, expected %d and %d",
                            name, g->n_inputs, g->n_outputs, n_in, n_out);
    *out = g;
    return OK;
}

/* What the body says of its output i: all that is known before it ran. */
static enum dtype declared(const struct graph *body, int i) {
    value_id id = body->outputs[i];
    return id == VALUE_NONE ? DT_NONE : body->values[id].dtype;
}

/* A value handed on: the copy lives until the run ends. */
static enum code give_copy(const struct op_call *c, int i, const struct tensor *from,
                           struct err *e) {
    struct tensor *to = operand_to(c, i);
    return to && from ? operand_keep(c, from, to, e) : OK;
}

static void give(const struct op_call *c, int i, const struct tensor *from) {
    struct tensor *to = operand_to(c, i);
    if (to)
        *to = *from;
}

static enum code truth(const struct op_call *c, const struct tensor *t, bool *out, struct err *e) {
    if (t->dtype != DT_BOOL || tensor_count(t) != 1)
        return operand_fail(c, e, INVALID, "a condition must be one bool");
    *out = *(const uint8_t *)t->data != 0;
    return OK;
}

/* --- if --- */

static enum code infer_if(struct op_infer *c, struct err *e) {
    const struct graph *yes, *no;
    TRY(operand_need(c, 1, e));
    TRY(body_of(OPERAND_AT(c), "then_branch", -1, c->node->n_out, &yes, e));
    TRY(body_of(OPERAND_AT(c), "else_branch", -1, c->node->n_out, &no, e));
    for (int i = 0; i < c->node->n_out; i++)
        operand_out_later(c, i, declared(yes, i));
    return OK;
}

static enum code run_if(const struct op_call *c, struct err *e) {
    const struct graph *body;
    void *memory;
    bool holds;
    TRY(truth(c, c->in[0], &holds, e));
    TRY(body_of(OPERAND_AT(c), holds ? "then_branch" : "else_branch", 0, c->node->n_out, &body, e));
    TRY(operand_alloc(c, (size_t)body->n_outputs, sizeof(struct tensor), &memory, e));
    struct tensor *results = memory;
    TRY(c->host->run_graph(c->host, c, body, NULL, results, e));
    for (int i = 0; i < body->n_outputs; i++)
        give(c, i, &results[i]);
    return OK;
}

/* --- stacks: outputs of all iterations along a new axis 0 --- */

struct stack {
    enum dtype dtype;
    struct shape item;
    size_t n, room; /* items */
    size_t item_bytes;
    char *data;
};

static enum code stack_grow(const struct op_call *c, struct stack *s, size_t room, struct err *e) {
    void *data;
    if (room <= s->room)
        return OK;
    TRY(operand_alloc(c, room, s->item_bytes, &data, e));
    if (s->n && s->item_bytes)
        memcpy(data, s->data, s->n * s->item_bytes);
    s->data = data;
    s->room = room;
    return OK;
}

/* Texts of a value that is to outlive its iteration. */
static enum code keep_texts(const struct op_call *c, struct tensor *t, struct err *e) {
    struct str *s = t->data;
    for (size_t k = 0; t->dtype == DT_STRING && k < tensor_count(t); k++) {
        void *text;
        TRY(operand_alloc(c, s[k].n, 1, &text, e));
        if (s[k].n)
            memcpy(text, s[k].p, s[k].n);
        s[k].p = text;
    }
    return OK;
}

/* room: how many items will come, or 0 when nobody knows. */
static enum code stack_push(const struct op_call *c, struct stack *s, const struct tensor *t,
                            size_t room, struct err *e) {
    char was[SHAPE_TEXT], is[SHAPE_TEXT];
    if (s->n == 0) {
        s->dtype = t->dtype;
        s->item = t->shape;
        s->item_bytes = tensor_bytes(t);
        if (t->dtype == DT_SEQUENCE || t->shape.rank >= SHAPE_MAX)
            return operand_fail(c, e, UNSUPPORTED, "stacked values of %s with rank %d",
                                dtype_name(t->dtype), t->shape.rank);
    }
    if (t->dtype != s->dtype || !shape_eq(&t->shape, &s->item))
        return operand_fail(c, e, INVALID, "iteration %zu gives %s %s where others gave %s %s",
                            s->n, dtype_name(t->dtype), shape_print(&t->shape, is),
                            dtype_name(s->dtype), shape_print(&s->item, was));
    if (s->n == s->room)
        TRY(stack_grow(c, s, room ? room : s->room ? 2 * s->room : 8, e));
    if (s->item_bytes)
        memcpy(s->data + s->n * s->item_bytes, t->data, s->item_bytes);
    struct tensor item = *t;
    item.data = s->data + s->n * s->item_bytes;
    s->n++;
    return keep_texts(c, &item, e);
}

/* Nothing was stacked: the shape is what the body declares, as far as it does. */
static void stack_declare(struct stack *s, const struct graph *body, int output) {
    value_id id = body->outputs[output];
    s->dtype = declared(body, output) ? declared(body, output) : DT_F32;
    s->item = (struct shape){.rank = 0};
    if (id != VALUE_NONE && body->values[id].ranked && body->values[id].shape.rank < SHAPE_MAX)
        s->item = body->values[id].shape;
    for (int k = 0; k < s->item.rank; k++)
        s->item.dims[k] = s->item.dims[k] < 0 ? 0 : s->item.dims[k];
}

static struct tensor stack_tensor(const struct stack *s) {
    struct tensor t = {.dtype = s->dtype, .shape = {.rank = s->item.rank + 1}, .data = s->data};
    t.shape.dims[0] = (int64_t)s->n;
    memcpy(t.shape.dims + 1, s->item.dims, (size_t)s->item.rank * sizeof(int64_t));
    return t;
}

/* --- iterations --- */

struct iteration { /* memory of a loop or scan */
    const struct op_call *c;
    const struct graph *body;
    int n_carried, n_stacks;
    const struct tensor **in; /* (body inputs) */
    struct tensor *out;       /* (body outputs) of this iteration */
    struct tensor *carried;   /* (n_carried) */
    struct stack *stacks;     /* (n_stacks) */
    uint64_t done;
    void *pocket; /* owned; NULL: none yet, or the host has none */
};

static enum code iteration_begin(struct iteration *it, struct err *e) {
    const struct op_call *c = it->c;
    void *memory[4];
    TRY(operand_alloc(c, (size_t)it->body->n_inputs + 1, sizeof *it->in, &memory[0], e));
    TRY(operand_alloc(c, (size_t)it->body->n_outputs + 1, sizeof *it->out, &memory[1], e));
    TRY(operand_alloc(c, (size_t)it->n_carried + 1, sizeof *it->carried, &memory[2], e));
    TRY(operand_alloc(c, (size_t)it->n_stacks + 1, sizeof *it->stacks, &memory[3], e));
    it->in = memory[0];
    it->out = memory[1];
    it->carried = memory[2];
    it->stacks = memory[3];
    return OK;
}

static bool may_pocket(const struct iteration *it) {
    if (!it->c->host->pocket_open || it->done < POCKET_AFTER)
        return false;
    for (int i = 0; i < it->n_carried; i++)
        if (it->carried[i].dtype == DT_SEQUENCE)
            return false;
    return true;
}

static enum code run_in_pocket(struct iteration *it, struct err *e) {
    struct op_host *host = it->c->host;
    if (!it->pocket && may_pocket(it))
        it->pocket = host->pocket_open(host);
    if (!it->pocket)
        return host->run_graph(host, it->c, it->body, it->in, it->out, e);
    host->pocket_enter(it->pocket);
    enum code code = host->run_graph(host, it->c, it->body, it->in, it->out, e);
    host->pocket_leave(it->pocket);
    return code;
}

/* Carried values come to lie where the run's end is theirs; the pocket is closed. */
static enum code iteration_end(struct iteration *it, enum code code, struct err *e) {
    if (!it->pocket)
        return code;
    for (int i = 0; i < it->n_carried && code == OK; i++) {
        struct tensor kept = {0};
        code = operand_keep(it->c, &it->carried[i], &kept, e);
        if (code == OK)
            code = keep_texts(it->c, &kept, e);
        it->carried[i] = kept;
    }
    it->c->host->pocket_close(it->pocket);
    it->pocket = NULL;
    return code;
}

/* Runs the body once. Its outputs after the first `skip` are carried values, then stacked ones. */
static enum code iteration_run(struct iteration *it, int skip, size_t room, struct err *e) {
    struct op_host *host = it->c->host;
    uint64_t most = host->loop_limit ? host->loop_limit : CONTROL_ITERATIONS;
    if (it->done++ == most)
        return operand_fail(it->c, e, LIMIT, "more than %llu iterations", (unsigned long long)most);
    TRY(host->check(host, e));
    TRY(run_in_pocket(it, e));
    for (int i = 0; i < it->n_carried; i++)
        it->carried[i] = it->out[skip + i];
    for (int i = 0; i < it->n_carried && it->pocket; i++)
        if (it->carried[i].dtype == DT_SEQUENCE)
            return operand_fail(it->c, e, INVALID, "carried value %d becomes a sequence", i);
    if (it->pocket)
        TRY(host->pocket_keep(it->pocket, it->carried, it->n_carried, e));
    for (int i = 0; i < it->n_stacks; i++)
        TRY(stack_push(it->c, &it->stacks[i], &it->out[skip + it->n_carried + i], room, e));
    return OK;
}

/* --- loop --- */

static enum code loop_body(const struct operand_at *at, const struct graph **body, int *n_stacks,
                           struct err *e) {
    const struct node *n = at->node;
    if (n->n_in < 2)
        return operand_fail(at, e, FORMAT, "%d inputs, at least 2 are needed", n->n_in);
    *n_stacks = n->n_out - (n->n_in - 2);
    if (*n_stacks < 0)
        return operand_fail(at, e, FORMAT, "%d carried values, %d outputs", n->n_in - 2, n->n_out);
    return body_of(at, "body", n->n_in, n->n_out + 1, body, e);
}

static enum code infer_loop(struct op_infer *c, struct err *e) {
    const struct graph *body;
    int n_stacks;
    TRY(loop_body(OPERAND_AT(c), &body, &n_stacks, e));
    for (int i = 2; i < c->node->n_in; i++)
        if (!operand_given(c, i))
            return operand_fail(c, e, FORMAT, "input %d, a carried value, is missing", i);
    for (int i = 0; i < c->node->n_out; i++)
        operand_out_later(c, i, declared(body, i + 1));
    return OK;
}

/* How often at most, and whether at all. */
static enum code loop_terms(const struct op_call *c, int64_t *limit, bool *go_on, struct err *e) {
    *limit = INT64_MAX;
    *go_on = true;
    if (c->in[0])
        TRY(operand_int(OPERAND_AT(c), c->in[0], "the trip count", limit, e));
    return c->in[1] ? truth(c, c->in[1], go_on, e) : OK;
}

static enum code loop_iterate(struct iteration *it, int64_t limit, bool go_on, size_t room,
                              struct err *e) {
    int64_t number;
    uint8_t yes = 1;
    struct tensor count = {.dtype = DT_I64, .data = &number};
    struct tensor holds = {.dtype = DT_BOOL, .data = &yes};
    it->in[0] = &count;
    it->in[1] = &holds;
    for (int i = 0; i < it->n_carried; i++)
        it->in[2 + i] = it->carried[i].dtype ? &it->carried[i] : NULL;
    for (number = 0; go_on && number < limit; number++) {
        TRY(iteration_run(it, 1, room, e));
        TRY(truth(it->c, &it->out[0], &go_on, e));
    }
    return OK;
}

static enum code run_loop(const struct op_call *c, struct err *e) {
    struct iteration it = {.c = c, .n_carried = c->node->n_in - 2};
    int64_t limit;
    bool go_on;
    TRY(loop_body(OPERAND_AT(c), &it.body, &it.n_stacks, e));
    TRY(loop_terms(c, &limit, &go_on, e));
    TRY(iteration_begin(&it, e));
    bool any = go_on && limit > 0;
    for (int i = 0; i < it.n_carried; i++)
        if (c->in[2 + i])
            it.carried[i] = *c->in[2 + i];
    TRY(iteration_end(&it, loop_iterate(&it, limit, go_on, 0, e), e));
    for (int i = 0; i < it.n_carried; i++) {
        if (any)
            give(c, i, &it.carried[i]);
        else
            TRY(give_copy(c, i, c->in[2 + i], e));
    }
    for (int i = 0; i < it.n_stacks; i++) {
        if (!it.stacks[i].n)
            stack_declare(&it.stacks[i], it.body, 1 + it.n_carried + i);
        struct tensor t = stack_tensor(&it.stacks[i]);
        give(c, it.n_carried + i, &t);
    }
    return OK;
}

/* --- scan --- */

struct scan {
    struct iteration it;
    int n_inputs;                 /* scanned */
    int first;                    /* node input of the first state: 1 for opset 8 */
    const struct tensor **inputs; /* (n_inputs) scanned, whole */
    struct tensor *slices;        /* (n_inputs) of this iteration */
    int64_t steps;
};

/* Entry k of a list attribute; 0 when there is no list. */
static int64_t list_at(const struct node *n, const char *name, int k) {
    const int64_t *list;
    size_t count;
    return attr_ints(n, name, &list, &count) && (size_t)k < count ? list[k] : 0;
}

static enum code scan_shape(const struct operand_at *at, struct scan *s, struct err *e) {
    const struct node *n = at->node;
    s->first = n->opset < 9 ? 1 : 0;
    int64_t scanned = attr_int(n, "num_scan_inputs", 0);
    if (scanned < 1 || scanned > n->n_in - s->first)
        return operand_fail(at, e, FORMAT, "num_scan_inputs is %lld, the node has %d inputs",
                            (long long)scanned, n->n_in);
    s->n_inputs = (int)scanned;
    s->it.n_carried = n->n_in - s->first - s->n_inputs;
    s->it.n_stacks = n->n_out - s->it.n_carried;
    if (s->it.n_stacks < 0)
        return operand_fail(at, e, FORMAT, "%d states, %d outputs", s->it.n_carried, n->n_out);
    return body_of(at, "body", n->n_in - s->first, n->n_out, &s->it.body, e);
}

static enum code infer_scan(struct op_infer *c, struct err *e) {
    struct scan s = {0};
    TRY(scan_shape(OPERAND_AT(c), &s, e));
    for (int i = s.first; i < c->node->n_in; i++)
        if (!operand_given(c, i))
            return operand_fail(c, e, FORMAT, "input %d is missing", i);
    for (int i = 0; i < c->node->n_out; i++)
        operand_out_later(c, i, declared(s.it.body, i));
    return OK;
}

/* The axis of scanned input k. */
static enum code scan_axis(const struct scan *s, int k, int *out, struct err *e) {
    const struct op_call *c = s->it.c;
    int64_t axis = s->first ? 0 : list_at(c->node, "scan_input_axes", k);
    return operand_axis(OPERAND_AT(c), axis, s->inputs[k]->shape.rank, out, e);
}

static enum code scan_steps(struct scan *s, struct err *e) {
    for (int k = 0; k < s->n_inputs; k++) {
        int axis;
        TRY(scan_axis(s, k, &axis, e));
        int64_t n = s->inputs[k]->shape.dims[axis];
        if (k && n != s->steps)
            return operand_fail(s->it.c, e, INVALID,
                                "scanned input %d has %lld steps, input 0 has %lld", k,
                                (long long)n, (long long)s->steps);
        s->steps = n;
    }
    return OK;
}

/* Memory for the slices that are not dense in their input (axis != 0). */
static enum code scan_slices(struct scan *s, struct err *e) {
    void *memory;
    TRY(operand_alloc(s->it.c, (size_t)s->n_inputs, sizeof *s->slices, &memory, e));
    s->slices = memory;
    for (int k = 0; k < s->n_inputs; k++) {
        int axis;
        TRY(scan_axis(s, k, &axis, e));
        struct tensor *t = &s->slices[k];
        *t = *s->inputs[k];
        t->shape.rank--;
        for (int d = axis; d < t->shape.rank; d++)
            t->shape.dims[d] = t->shape.dims[d + 1];
        if (axis)
            TRY(operand_alloc(s->it.c, tensor_count(t), dtype_size(t->dtype), &t->data, e));
    }
    return OK;
}

static enum code scan_slice(struct scan *s, int k, int64_t step, struct err *e) {
    const struct tensor *whole = s->inputs[k];
    struct tensor *t = &s->slices[k];
    const struct node *n = s->it.c->node;
    size_t bytes = dtype_size(t->dtype);
    int axis;
    TRY(scan_axis(s, k, &axis, e));
    if (list_at(n, s->first ? "directions" : "scan_input_directions", k) == 1)
        step = s->steps - 1 - step;
    if (axis == 0) {
        t->data = (char *)whole->data + (size_t)step * tensor_bytes(t);
        return OK;
    }
    struct stride copy = {.rank = 0};
    int64_t strides[SHAPE_MAX];
    shape_strides(&whole->shape, strides);
    for (int d = 0; d < whole->shape.rank; d++)
        if (d != axis)
            stride_push(&copy, whole->shape.dims[d], 0, strides[d]);
    stride_dense(&copy);
    stride_copy(&copy, t->data, (const char *)whole->data + (size_t)(step * strides[axis]) * bytes,
                bytes, 1);
    return OK;
}

static enum code scan_steps_run(struct scan *s, int64_t steps, struct err *e) {
    for (int64_t step = 0; step < steps; step++) {
        for (int k = 0; k < s->n_inputs; k++)
            TRY(scan_slice(s, k, step, e));
        TRY(iteration_run(&s->it, 0, (size_t)steps, e));
    }
    return OK;
}

/* All steps; carried and stacks then hold the results. states: (n_carried) initial values */
static enum code scan_iterate(struct scan *s, const struct tensor *states, int64_t steps,
                              struct err *e) {
    struct iteration *it = &s->it;
    for (int i = 0; i < it->n_carried; i++) {
        it->carried[i] = states[i];
        it->in[i] = &it->carried[i];
    }
    for (int k = 0; k < s->n_inputs; k++)
        it->in[it->n_carried + k] = &s->slices[k];
    for (int i = 0; i < it->n_stacks; i++)
        it->stacks[i] = (struct stack){0};
    TRY(iteration_end(it, scan_steps_run(s, steps, e), e));
    for (int i = 0; i < it->n_stacks; i++)
        if (!it->stacks[i].n)
            stack_declare(&it->stacks[i], it->body, it->n_carried + i);
    return OK;
}

/* Stack i with its items along another axis, or backwards. */
static enum code scan_arrange(const struct scan *s, int i, struct tensor *t, struct err *e) {
    const struct op_call *c = s->it.c;
    bool reverse = list_at(c->node, "scan_output_directions", i) == 1;
    int axis, rank = t->shape.rank;
    int64_t strides[SHAPE_MAX], first = 0;
    TRY(operand_axis(OPERAND_AT(c), list_at(c->node, "scan_output_axes", i), rank, &axis, e));
    if ((axis == 0 && !reverse) || !tensor_count(t))
        return OK;
    struct stride copy = {.rank = 0};
    struct tensor from = *t;
    shape_strides(&from.shape, strides);
    for (int d = 0; d < rank; d++) {
        int source = d == axis ? 0 : d < axis ? d + 1 : d;
        bool turn = source == 0 && reverse;
        t->shape.dims[d] = from.shape.dims[source];
        stride_push(&copy, t->shape.dims[d], 0, turn ? -strides[0] : strides[source]);
        first += turn ? (from.shape.dims[0] - 1) * strides[0] : 0;
    }
    stride_dense(&copy);
    size_t bytes = dtype_size(t->dtype);
    TRY(operand_alloc(c, tensor_count(t), bytes, &t->data, e));
    stride_copy(&copy, t->data, (const char *)from.data + (size_t)first * bytes, bytes, c->threads);
    return OK;
}

static enum code run_scan9(struct scan *s, struct err *e) {
    const struct op_call *c = s->it.c;
    void *memory;
    TRY(operand_alloc(c, (size_t)s->it.n_carried + 1, sizeof(struct tensor), &memory, e));
    struct tensor *states = memory;
    for (int i = 0; i < s->it.n_carried; i++)
        states[i] = *c->in[i];
    for (int k = 0; k < s->n_inputs; k++)
        s->inputs[k] = c->in[s->it.n_carried + k];
    TRY(scan_steps(s, e));
    TRY(scan_slices(s, e));
    TRY(scan_iterate(s, states, s->steps, e));
    for (int i = 0; i < s->it.n_carried; i++) {
        if (s->steps)
            give(c, i, &s->it.carried[i]);
        else
            TRY(give_copy(c, i, c->in[i], e));
    }
    for (int i = 0; i < s->it.n_stacks; i++) {
        struct tensor t = stack_tensor(&s->it.stacks[i]);
        TRY(scan_arrange(s, i, &t, e));
        give(c, s->it.n_carried + i, &t);
    }
    return OK;
}

/* --- scan 8: a batch of scans, each of its own length --- */

/* Entry b along axis 0, borrowed. */
static struct tensor batch_entry(const struct tensor *t, int64_t b) {
    struct tensor out = *t;
    out.shape.rank--;
    memmove(out.shape.dims, out.shape.dims + 1, (size_t)out.shape.rank * sizeof(int64_t));
    out.data = (char *)t->data + (size_t)b * tensor_bytes(&out);
    return out;
}

/* Puts what entry b gave into output i, which the first entry makes: (batch, ...), and for stacks
 * (batch, steps, ...) with zeros after the entry's end. */
static enum code batch_put(const struct scan *s, int i, int64_t b, int64_t batch,
                           const struct tensor *from, struct err *e) {
    const struct op_call *c = s->it.c;
    struct tensor *to = operand_to(c, i);
    bool stacked = i >= s->it.n_carried;
    struct shape item = from->shape;
    if (!to)
        return OK;
    if (stacked)
        item.dims[0] = s->steps;
    if (b == 0) {
        struct shape whole = {.rank = item.rank + 1, .dims = {batch}};
        if (whole.rank > SHAPE_MAX)
            return operand_fail(c, e, LIMIT, "output %d would have %d dims", i, whole.rank);
        memcpy(whole.dims + 1, item.dims, (size_t)item.rank * sizeof(int64_t));
        TRY(op_output(c, i, from->dtype, &whole, e));
        if (tensor_bytes(to))
            memset(to->data, 0, tensor_bytes(to));
    }
    struct tensor slot = batch_entry(to, b);
    if (!shape_eq(&slot.shape, &item) || slot.dtype != from->dtype)
        return operand_fail(c, e, INVALID, "batch entry %lld gives output %d another shape",
                            (long long)b, i);
    if (tensor_bytes(from))
        memcpy(slot.data, from->data, tensor_bytes(from));
    return OK;
}

static enum code scan8_check(const struct scan *s, struct err *e) {
    const struct op_call *c = s->it.c;
    for (int i = s->first; i < c->node->n_in; i++) {
        int least = i < s->first + s->it.n_carried ? 1 : 2;
        if (c->in[i]->dtype == DT_SEQUENCE || c->in[i]->shape.rank < least ||
            c->in[i]->shape.dims[0] != c->in[s->first]->shape.dims[0])
            return operand_fail(c, e, INVALID, "input %d does not have the batch of the others", i);
    }
    const struct tensor *lengths = c->in[0];
    if (lengths && (lengths->dtype != DT_I64 || lengths->shape.rank != 1 ||
                    lengths->shape.dims[0] != c->in[s->first]->shape.dims[0]))
        return operand_fail(c, e, INVALID, "sequence_lens must be a list of i64, one per entry");
    return OK;
}

static enum code scan8_entry(struct scan *s, int64_t b, int64_t batch, struct tensor *views,
                             struct err *e) {
    const struct op_call *c = s->it.c;
    int64_t steps;
    for (int i = 0; i < s->it.n_carried + s->n_inputs; i++)
        views[i] = batch_entry(c->in[s->first + i], b);
    for (int k = 0; k < s->n_inputs; k++)
        s->inputs[k] = &views[s->it.n_carried + k];
    TRY(scan_steps(s, e));
    steps = c->in[0] ? ((const int64_t *)c->in[0]->data)[b] : s->steps;
    if (steps < 0 || steps > s->steps)
        return operand_fail(c, e, INVALID, "sequence_lens[%lld] is %lld of %lld steps",
                            (long long)b, (long long)steps, (long long)s->steps);
    TRY(scan_slices(s, e));
    TRY(scan_iterate(s, views, steps, e));
    for (int i = 0; i < s->it.n_carried; i++)
        TRY(batch_put(s, i, b, batch, &s->it.carried[i], e));
    for (int i = 0; i < s->it.n_stacks; i++) {
        struct tensor t = stack_tensor(&s->it.stacks[i]);
        TRY(batch_put(s, s->it.n_carried + i, b, batch, &t, e));
    }
    return OK;
}

static enum code run_scan8(struct scan *s, struct err *e) {
    const struct op_call *c = s->it.c;
    void *memory;
    TRY(scan8_check(s, e));
    TRY(operand_alloc(c, (size_t)c->node->n_in, sizeof(struct tensor), &memory, e));
    int64_t batch = c->in[s->first]->shape.dims[0];
    if (batch == 0)
        return operand_fail(c, e, INVALID, "the batch is empty");
    for (int64_t b = 0; b < batch; b++)
        TRY(scan8_entry(s, b, batch, memory, e));
    return OK;
}

static enum code run_scan(const struct op_call *c, struct err *e) {
    struct scan s = {.it = {.c = c}};
    void *memory;
    TRY(scan_shape(OPERAND_AT(c), &s, e));
    TRY(iteration_begin(&s.it, e));
    TRY(operand_alloc(c, (size_t)s.n_inputs, sizeof *s.inputs, &memory, e));
    s.inputs = memory;
    return s.first ? run_scan8(&s, e) : run_scan9(&s, e);
}

const struct op op_if = {.name = "if", .flags = OP_DYNAMIC, .infer = infer_if, .run = run_if};
const struct op op_loop = {
    .name = "loop", .flags = OP_DYNAMIC, .infer = infer_loop, .run = run_loop};
const struct op op_scan = {
    .name = "scan", .flags = OP_DYNAMIC, .infer = infer_scan, .run = run_scan};

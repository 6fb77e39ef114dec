/* SPDX-License-Identifier: Apache-2.0 */
/* See spoil.h. */
#include "spoil.h"

#include <math.h>

static uint64_t draw(struct spoil *s, uint64_t n) {
    s->state = s->state * 6364136223846793005u + 1442695040888963407u;
    return n ? (s->state >> 33) % n : 0;
}

static int64_t odd_whole(struct spoil *s, int64_t was) {
    static const int64_t odd[] = {
        -1,  0,     1,         2,         3,         7,         -8,
        100, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_C(1) << 40};
    switch (draw(s, 4)) {
    case 0: return was < INT64_MAX ? was + 1 : 0;
    case 1: return was > INT64_MIN ? was - 1 : 0;
    default: return odd[draw(s, sizeof odd / sizeof odd[0])];
    }
}

static double odd_number(struct spoil *s) {
    static const double odd[] = {NAN,  INFINITY, -INFINITY, 0,   -0.0,  1, -1,
                                 1e30, -1e30,    1e-40,     0.5, 65536, 3};
    return odd[draw(s, sizeof odd / sizeof odd[0])];
}

/* --- tensors --- */

static void put_odd(struct spoil *s, const struct tensor *t, size_t at) {
    static const struct str texts[] = {{"", 0}, {"a", 1}, {"\xff\xfe", 2}, {"  ", 2}};
    size_t bytes = dtype_size(t->dtype);
    char *p = (char *)t->data + at * bytes;
    double number = odd_number(s);
    int64_t whole = odd_whole(s, dtype_is_integer(t->dtype) ? tensor_i64(t, at) : 0);
    switch (t->dtype) {
    case DT_F32: memcpy(p, &(float){(float)number}, 4); break;
    case DT_F64: memcpy(p, &number, 8); break;
    case DT_F16: memcpy(p, &(uint16_t){dtype_f32_to_f16((float)number)}, 2); break;
    case DT_BF16: memcpy(p, &(uint16_t){dtype_f32_to_bf16((float)number)}, 2); break;
    case DT_STRING: memcpy(p, &texts[draw(s, 4)], sizeof texts[0]); break;
    case DT_BOOL: *p = (char)draw(s, 2); break;
    case DT_SEQUENCE: break;
    default: memcpy(p, &whole, bytes < 8 ? bytes : 8);
    }
}

/* A tensor of this type and shape whose bytes repeat those of the old one. */
static void remake(struct spoil *s, struct tensor *t, enum dtype dtype, const struct shape *shape) {
    struct tensor fresh;
    struct err e;
    size_t had = t->dtype == DT_STRING || dtype == DT_STRING ? 0 : tensor_bytes(t), count;
    if (!shape_count(shape, &count) || count > 1 << 16 ||
        tensor_new(s->arena, dtype, shape, &fresh, &e) != OK)
        return;
    size_t bytes = tensor_bytes(&fresh);
    for (size_t k = 0; had && k < bytes; k++)
        ((char *)fresh.data)[k] = ((const char *)t->data)[k % had];
    for (size_t k = 0; dtype == DT_BOOL && k < bytes; k++)
        ((char *)fresh.data)[k] &= 1;
    if (t->dtype == DT_STRING && dtype == DT_STRING)
        for (size_t k = 0; k < count && tensor_count(t); k++)
            ((struct str *)fresh.data)[k] = ((const struct str *)t->data)[k % tensor_count(t)];
    *t = fresh;
}

static void spoil_shape(struct spoil *s, struct tensor *t) {
    struct shape shape = t->shape;
    int d = shape.rank ? (int)draw(s, (uint64_t)shape.rank) : 0;
    switch (draw(s, 5)) {
    case 0:
        if (shape.rank)
            shape.dims[d] = 0;
        break;
    case 1:
        if (shape.rank)
            shape.dims[d]++;
        break;
    case 2:
        if (shape.rank && shape.dims[d])
            shape.dims[d]--;
        break;
    case 3: shape.rank -= shape.rank > 0; break;
    default:
        if (shape.rank < SHAPE_MAX)
            shape.dims[shape.rank++] = 1 + (int64_t)draw(s, 2);
    }
    remake(s, t, t->dtype, &shape);
}

static void spoil_tensor(struct spoil *s, struct tensor *t) {
    static const enum dtype types[] = {DT_F32, DT_I64, DT_I32, DT_BOOL,
                                       DT_U8,  DT_F16, DT_F64, DT_I8};
    if (t->dtype == DT_NONE || t->dtype == DT_SEQUENCE)
        return;
    size_t count = tensor_count(t);
    uint64_t way = draw(s, 8);
    if (way == 0) {
        remake(s, t, types[draw(s, 8)], &t->shape);
    } else if (way < 3) {
        spoil_shape(s, t);
    } else {
        remake(s, t, t->dtype, &t->shape); /* own memory */
        for (uint64_t k = 0, n = 1 + draw(s, 4); count && k < n; k++)
            put_odd(s, t, draw(s, count));
    }
}

/* --- nodes --- */

static void spoil_ints(struct spoil *s, struct attr *a) {
    size_t n = a->n;
    int64_t *fresh = ARENA_ARRAY(s->arena, n + 2, int64_t);
    if (!fresh)
        return;
    if (n)
        memcpy(fresh, a->ints, n * sizeof *fresh);
    if (draw(s, 4) == 0)
        n = draw(s, 2) ? n + 1 : n - (n > 0);
    else if (n)
        fresh[draw(s, n)] = odd_whole(s, fresh[0]);
    a->ints = fresh;
    a->n = n;
}

static void spoil_attr(struct spoil *s, struct node *n, int which) {
    static const struct str texts[] = {{"", 0},       {"what", 4},    {"linear", 6},
                                       {"max", 3},    {"reflect", 7}, {"SAME_UPPER", 10},
                                       {"...i->i", 7}};
    struct attr *a = &n->attrs[which];
    if (draw(s, 8) == 0) { /* gone */
        *a = n->attrs[--n->n_attrs];
        return;
    }
    switch (a->kind) {
    case ATTR_INT: a->i = odd_whole(s, a->i); break;
    case ATTR_FLOAT: a->f = (float)odd_number(s); break;
    case ATTR_STR: a->s = texts[draw(s, 7)]; break;
    case ATTR_INTS: spoil_ints(s, a); break;
    case ATTR_TENSOR: {
        struct tensor *fresh = ARENA_NEW(s->arena, struct tensor);
        if (!fresh)
            return;
        *fresh = *a->tensor;
        spoil_tensor(s, fresh);
        a->tensor = fresh;
        a->origin.file = -1;
        break;
    }
    default: a->kind = ATTR_INT; a->i = 1;
    }
}

static void spoil_node(struct spoil *s, struct node *n) {
    static const int opsets[] = {1, 2, 6, 8, 10, 11, 12, 13, 16, 18, 21, 23, 28};
    switch (draw(s, 6)) {
    case 0:
        if (n->n_in)
            n->in[draw(s, (uint64_t)n->n_in)] = VALUE_NONE;
        break;
    case 1: n->n_in -= n->n_in > 0; break;
    case 2: n->opset = opsets[draw(s, sizeof opsets / sizeof opsets[0])]; break;
    case 3:
        if (n->n_in > 1)
            n->in[draw(s, (uint64_t)n->n_in)] = n->in[draw(s, (uint64_t)n->n_in)];
        break;
    default:
        if (n->n_attrs)
            spoil_attr(s, n, (int)draw(s, (uint64_t)n->n_attrs));
    }
}

/* The main graph, or a body of a body: where most graphs have their numbers. */
static struct graph *choose_graph(struct spoil *s, struct model *m) {
    struct graph *g = m->main;
    for (int tries = 0; tries < 8 && g->n_nodes; tries++) {
        const struct node *n = &g->nodes[draw(s, (uint64_t)g->n_nodes)];
        const struct attr *a =
            n->n_attrs ? &n->attrs[draw(s, (uint64_t)n->n_attrs)] : &(const struct attr){0};
        if (a->kind == ATTR_GRAPH)
            g = a->graph;
        else if (a->kind == ATTR_GRAPHS && a->n)
            g = a->graphs[draw(s, a->n)];
    }
    return g;
}

/* An operand becomes any other value of its graph: of another type, of another shape, made by the
 * same node's neighbour. Those made later are no longer a model. */
static void spoil_wire(struct spoil *s, struct graph *g) {
    for (int tries = 0; g->n_nodes && tries < 4; tries++) {
        struct node *n = &g->nodes[draw(s, (uint64_t)g->n_nodes)];
        value_id v = (value_id)draw(s, (uint64_t)g->n_values);
        if (!n->n_in || (g->values[v].producer != NODE_NONE &&
                         g->values[v].producer >= (node_id)(n - g->nodes)))
            continue;
        n->in[draw(s, (uint64_t)n->n_in)] = v;
        return;
    }
}

/* A file may declare anything of the values that its nodes make. */
static void spoil_declared(struct spoil *s, struct graph *g) {
    static const enum dtype types[] = {DT_NONE, DT_F32, DT_I64, DT_STRING, DT_SEQUENCE, DT_BOOL};
    for (int tries = 0; g->n_values && tries < 8; tries++) {
        struct value *v = &g->values[draw(s, (uint64_t)g->n_values)];
        if (v->constant || v->producer == NODE_NONE)
            continue;
        v->dtype = types[draw(s, sizeof types / sizeof types[0])];
        v->ranked = true;
        v->shape.rank = (int)draw(s, SHAPE_MAX + 1);
        for (int d = 0; d < v->shape.rank; d++)
            v->shape.dims[d] = odd_whole(s, d);
        return;
    }
}

/* What the file said of inputs and inner values is forgotten: the operators must see for
 * themselves. */
static void declare(struct model *m, const struct tensor *inputs, int n) {
    struct graph *g = m->main;
    for (int v = 0; v < g->n_values; v++)
        g->values[v].ranked = g->values[v].constant != NULL;
    for (int i = 0, k = 0; i < g->n_inputs && k < n; i++)
        if (!g->values[g->inputs[i]].constant)
            g->values[g->inputs[i]].dtype = inputs[k++].dtype;
}

static void spoil_constant(struct spoil *s, struct graph *g) {
    for (int tries = 0; g->n_values && tries < 4; tries++) {
        struct value *v = &g->values[draw(s, (uint64_t)g->n_values)];
        struct tensor *fresh = v->constant ? ARENA_NEW(s->arena, struct tensor) : NULL;
        if (!fresh)
            continue;
        *fresh = *v->constant;
        spoil_tensor(s, fresh);
        v->constant = fresh;
        v->dtype = fresh->dtype;
        v->shape = fresh->shape;
        v->origin.file = -1;
        return;
    }
}

bool spoil_case(struct spoil *s, struct model *m, struct tensor *inputs, int n) {
    struct err e;
    bool lies = draw(s, 4) == 0;
    for (uint64_t k = 0, times = 1 + draw(s, 3); k < times; k++) {
        struct graph *g = choose_graph(s, m);
        uint64_t way = draw(s, 10);
        if (way < 4 && n)
            spoil_tensor(s, &inputs[draw(s, (uint64_t)n)]);
        else if (way == 4)
            spoil_constant(s, g);
        else if (way == 5)
            spoil_wire(s, g);
        else if (g->n_nodes)
            spoil_node(s, &g->nodes[draw(s, (uint64_t)g->n_nodes)]);
    }
    declare(m, inputs, n);
    for (uint64_t k = 0; lies && k < 3; k++)
        spoil_declared(s, choose_graph(s, m));
    return graph_verify(m, &e) == OK;
}

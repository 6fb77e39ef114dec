/* SPDX-License-Identifier: Apache-2.0 */
/* A session of precision bf16: convolutions and products with constant weights are multiplied as
 * bf16 and summed in f32 (op/conv_bf16.c, op/matmul_bf16.c), and what lies between them stays bf16.
 *
 *   A *multiplier* takes bf16 and gives bf16 or f32. A *carrier* does the same work on either type
 * (pools, additions, activations, whatever only moves elements); it is narrow when all it reads can
 * be narrow or is small, and somebody behind it wants that. So is one that makes few elements of
 * many narrow ones. All else stays f32: sums over many elements, exponentials, whatever is not
 * listed here.
 *
 * 1. Inputs, outputs and what bodies capture keep their type; a cast stands at each edge, once per
 * value, as reorders do in layout.c.
 * 2. Weights stay f32 in the graph: the operators pack them as bf16.
 * 3. Bodies of If, Loop and Scan are plans of their own: the same happens inside, from f32 to f32.
 */
#include "plan/pass.h"

#include "op/op_list.h"
#include "plan/walk.h"
#include "plan/weave.h"
#include "tensor/cast.h"

enum { ONNX_FLOAT = 1, ONNX_BFLOAT16 = 16 };

/* Multiplications below which a cast is expected to cost more than it saves: a guess, not tuned. */
static const double LEAST_WORK = 1e5;

struct narrowing {
    struct weave w;
    struct graph *g;
    const struct op **form; /* (nodes) the bf16 form of a multiplier, NULL: it is none */
    bool *can;              /* (values) may be bf16 */
    bool *wants;            /* (values) somebody would read it as bf16 */
    int n_values;
    const struct op *cast, *conv, *product;
};

static bool is_f32(const struct narrowing *x, value_id v) {
    return v != VALUE_NONE && weave_dtype(&x->w, v) == DT_F32;
}

static const struct tensor *constant_at(const struct narrowing *x, const struct node *n, int i) {
    return i < n->n_in && n->in[i] != VALUE_NONE ? x->g->values[n->in[i]].constant : NULL;
}

static bool absent(const struct node *n, int i) { return i >= n->n_in || n->in[i] == VALUE_NONE; }

/* --- multipliers --- */

static bool bias_is_row(const struct narrowing *x, const struct node *n, int64_t channels) {
    const struct tensor *b = constant_at(x, n, 2);
    return absent(n, 2) || (b && b->dtype == DT_F32 && (int64_t)tensor_count(b) == channels);
}

/* Weights with f32 elements behind an f32 input of known shape. */
static bool weighted(const struct narrowing *x, const struct node *n) {
    const struct tensor *b = constant_at(x, n, 1);
    return n->n_out == 1 && n->n_in >= 2 && is_f32(x, n->in[0]) && !constant_at(x, n, 0) && b &&
           b->dtype == DT_F32 && walk_known(&x->g->values[n->in[0]]) &&
           walk_known(&x->g->values[n->out[0]]);
}

/* Depthwise ones too: bf16 halves the memory they move. */
static bool is_conv(const struct narrowing *x, const struct node *n) {
    if (!str_is(n->op_name, "conv") || !weighted(x, n))
        return false;
    const struct tensor *w = constant_at(x, n, 1);
    size_t out, per = tensor_count(w) / (size_t)(w->shape.dims[0] ? w->shape.dims[0] : 1);
    return bias_is_row(x, n, w->shape.dims[0]) &&
           shape_count(weave_shape(&x->w, n->out[0]), &out) &&
           (double)out * (double)per >= LEAST_WORK;
}

static bool is_product(const struct narrowing *x, const struct node *n) {
    const bool gemm = str_is(n->op_name, "gemm");
    if ((!gemm && !str_is(n->op_name, "mat_mul")) || !weighted(x, n))
        return false;
    const struct tensor *b = constant_at(x, n, 1);
    const struct shape *a = weave_shape(&x->w, n->in[0]), *y = weave_shape(&x->w, n->out[0]);
    size_t out;
    if (b->shape.rank != 2 || a->rank < 2 || !shape_count(y, &out) ||
        (double)out * (double)a->dims[a->rank - 1] < LEAST_WORK)
        return false;
    return !gemm || (!attr_int(n, "transA", 0) && attr_float(n, "alpha", 1) == 1 &&
                     attr_float(n, "beta", 1) == 1 && bias_is_row(x, n, y->dims[y->rank - 1]));
}

static const struct op *bf16_form(const struct narrowing *x, const struct node *n) {
    return is_conv(x, n) ? x->conv : is_product(x, n) ? x->product : NULL;
}

/* --- carriers --- */

enum carrying {
    CARRIES_NOT,
    CARRIES_FIRST, /* input 0; other inputs are numbers of another kind: axes, sizes */
    CARRIES_ALL    /* every input */
};

static enum carrying carries(const struct node *n) {
    static const struct {
        const char *op_name;
        enum carrying how;
        bool posts; /* and what is fused behind it */
    } carriers[] = {
        {"max_pool", CARRIES_FIRST},
        {"global_average_pool", CARRIES_FIRST},
        {"average_pool", CARRIES_FIRST},
        {"global_max_pool", CARRIES_FIRST},
        {"relu", CARRIES_FIRST},
        {"leaky_relu", CARRIES_FIRST},
        {"clip", CARRIES_NOT},
        {"hard_swish", CARRIES_FIRST},
        {"hard_sigmoid", CARRIES_FIRST},
        {"sigmoid", CARRIES_FIRST},
        {"tanh", CARRIES_FIRST},
        {"swish", CARRIES_FIRST},
        {"gelu", CARRIES_FIRST},
        {"add", CARRIES_ALL, true},
        {"mul", CARRIES_ALL, true},
        {"concat", CARRIES_ALL},
        {"split", CARRIES_FIRST},
        {"slice", CARRIES_FIRST},
        {"reshape", CARRIES_FIRST},
        {"flatten", CARRIES_FIRST},
        {"squeeze", CARRIES_FIRST},
        {"unsqueeze", CARRIES_FIRST},
        {"transpose", CARRIES_FIRST},
        {"identity", CARRIES_FIRST},
        {"channel_shuffle", CARRIES_FIRST},
        {"resize", CARRIES_FIRST},
        {"upsample", CARRIES_FIRST},
    };
    for (size_t k = 0; k < sizeof carriers / sizeof *carriers; k++)
        if (str_is(n->op_name, carriers[k].op_name))
            return n->n_post == 0 || carriers[k].posts ? carriers[k].how : CARRIES_NOT;
    return CARRIES_NOT;
}

static bool carried(const struct node *n, int i) {
    enum carrying how = carries(n);
    return how == CARRIES_ALL || (how == CARRIES_FIRST && i == 0);
}

/* A pool's second output, its indices, needs what only f32 has. */
static bool outputs_are_f32(const struct narrowing *x, const struct node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE && !is_f32(x, n->out[i]))
            return false;
    return true;
}

/* So many times fewer elements in one value than in another: a cast of it costs next to nothing. */
static bool much_smaller(const struct narrowing *x, value_id small, value_id large) {
    enum { TIMES = 16 };
    size_t few, many;
    return walk_known(&x->g->values[small]) && walk_known(&x->g->values[large]) &&
           shape_count(weave_shape(&x->w, small), &few) &&
           shape_count(weave_shape(&x->w, large), &many) && few <= many / TIMES;
}

static bool can_carry(const struct narrowing *x, const struct node *n) {
    bool any = false;
    if (carries(n) == CARRIES_NOT || !outputs_are_f32(x, n))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!carried(n, i) || n->in[i] == VALUE_NONE)
            continue;
        const bool fixed = constant_at(x, n, i) != NULL, can = x->can[n->in[i]];
        if (!is_f32(x, n->in[i]) ||
            (!fixed && !can && !(i > 0 && much_smaller(x, n->in[i], n->out[0]))))
            return false;
        any |= !fixed && can;
    }
    return any;
}

/* --- which values --- */

static void find_can(struct narrowing *x) {
    for (int k = 0; k < x->g->n_nodes; k++) {
        const struct node *n = &x->g->nodes[k];
        x->form[k] = bf16_form(x, n);
        bool can = x->form[k] || can_carry(x, n);
        for (int i = 0; i < n->n_out && can; i++)
            if (n->out[i] != VALUE_NONE)
                x->can[n->out[i]] = true;
    }
}

static bool any_out(const struct node *n, const bool *of) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE && of[n->out[i]])
            return true;
    return false;
}

/* What a multiplier adds to its result does not ask for bf16: the sums of a residual stream stay
 * f32 where nothing but sums reads them. */
static void find_wants(struct narrowing *x) {
    for (int k = x->g->n_nodes - 1; k >= 0; k--) {
        const struct node *n = &x->g->nodes[k];
        bool multiplies = x->form[k],
             through = !multiplies && any_out(n, x->can) && any_out(n, x->wants);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] != VALUE_NONE && (multiplies ? i == 0 : through && carried(n, i)))
                x->wants[n->in[i]] = true;
    }
}

static bool narrow_value(const struct narrowing *x, value_id v) {
    return v != VALUE_NONE && v < x->n_values && x->can[v] && x->wants[v];
}

static bool narrow_carrier(const struct narrowing *x, const struct node *n) {
    return carries(n) != CARRIES_NOT && any_out(n, x->can) && any_out(n, x->wants);
}

/* What makes few elements of many reads them as they are; its own are cast where f32 is wanted. */
static void find_summaries(struct narrowing *x) {
    for (int k = 0; k < x->g->n_nodes; k++) {
        const struct node *n = &x->g->nodes[k];
        if (carries(n) == CARRIES_FIRST && n->n_out == 1 && any_out(n, x->can) &&
            narrow_value(x, n->in[0]) && much_smaller(x, n->out[0], n->in[0]))
            x->wants[n->out[0]] = true;
    }
}

/* --- weaving --- */

static value_id cast_to(struct narrowing *x, value_id v, enum dtype to) {
    struct attr *a = ARENA_NEW(x->w.arena, struct attr);
    struct node n = {.op = x->cast, .op_name = str_of(x->cast->name), .opset = 13};
    bool made;
    if (!a) {
        x->w.full = true;
        return v;
    }
    *a = (struct attr){.name = LIT("to"), .kind = ATTR_INT, .n = 1};
    a->i = to == DT_F32 ? ONNX_FLOAT : ONNX_BFLOAT16;
    n.attrs = a;
    n.n_attrs = 1;
    value_id twin = weave_twin(&x->w, v, &n, &made);
    if (made)
        x->g->values[twin].dtype = to;
    return twin;
}

/* A constant operand of a narrow carrier. */
static value_id narrow_constant(struct narrowing *x, value_id v) {
    const struct tensor *from = x->g->values[v].constant;
    const size_t n = tensor_count(from);
    struct tensor *t = ARENA_NEW(x->w.arena, struct tensor);
    void *data = arena_push_aligned(x->w.arena, n * sizeof(uint16_t) + 1, 64);
    value_id made = graph_add_value(x->g, x->g->values[v].name);
    if (!t || !data || made == VALUE_NONE) {
        x->w.full = true;
        return v;
    }
    struct err ignored;
    if (cast_elements(DT_BF16, data, DT_F32, from->data, n, true, NULL, &ignored) != OK)
        return v;
    *t = *from;
    t->dtype = DT_BF16;
    t->data = data;
    struct value *value = &x->g->values[made];
    value->constant = t;
    value->dtype = DT_BF16;
    value->shape = t->shape;
    value->ranked = true;
    value->origin.file = -1;
    return made;
}

static value_id as(struct narrowing *x, value_id v, enum dtype to) {
    if (v == VALUE_NONE || weave_dtype(&x->w, v) == to)
        return v;
    return to == DT_BF16 && x->g->values[v].constant ? narrow_constant(x, v) : cast_to(x, v, to);
}

/* mat_mul_bf16 has a bias where the first operand of a mat_mul's posts stands. A row that the first
 * post adds becomes that bias; other operands make room for one. */
static void settle_bias(struct narrowing *x, struct node *n) {
    if (n->n_in <= 2)
        return;
    const struct shape *y = weave_shape(&x->w, n->out[0]);
    if (n->post[0].kind == POST_ADD && n->post[0].input == 2 && constant_at(x, n, 2) &&
        bias_is_row(x, n, y->dims[y->rank - 1])) {
        n->n_post--;
        memmove(n->post, n->post + 1, (size_t)n->n_post * sizeof *n->post);
        return;
    }
    value_id *in = ARENA_ARRAY(x->w.arena, (size_t)n->n_in + 1, value_id);
    if (!in) {
        x->w.full = true;
        return;
    }
    memcpy(in, n->in, 2 * sizeof *in);
    in[2] = VALUE_NONE;
    memcpy(in + 3, n->in + 2, (size_t)(n->n_in - 2) * sizeof *in);
    n->in = in;
    n->n_in++;
    for (int k = 0; k < n->n_post; k++)
        n->post[k].input += n->post[k].input >= 2;
}

/* The node becomes its bf16 form, and gives f32 when nobody wants bf16. */
static void become(struct narrowing *x, struct node *n, const struct op *form) {
    struct attr *attrs = ARENA_ARRAY(x->w.arena, (size_t)n->n_attrs + 1, struct attr);
    if (!attrs) {
        x->w.full = true;
        return;
    }
    if (n->n_attrs)
        memcpy(attrs, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
    attrs[n->n_attrs] = (struct attr){.name = LIT("wide"), .kind = ATTR_INT, .n = 1};
    attrs[n->n_attrs].i = !narrow_value(x, n->out[0]);
    if (str_is(n->op_name, "mat_mul"))
        settle_bias(x, n);
    n->op = form;
    n->op_name = str_of(n->op->name);
    n->attrs = attrs;
    n->n_attrs++;
    n->in[0] = as(x, n->in[0], DT_BF16);
    x->w.changed = true;
}

/* A read of a value that has become bf16, by one that knows only f32. */
static value_id widened(struct narrowing *x, value_id v) {
    return v != VALUE_NONE && weave_dtype(&x->w, v) == DT_BF16 && narrow_value(x, v)
               ? as(x, v, DT_F32)
               : v;
}

static void weave_node(struct narrowing *x, struct node *n, const struct op *form) {
    const bool multiplies = form != NULL, narrow = !multiplies && narrow_carrier(x, n);
    if (multiplies)
        become(x, n, form);
    for (int i = 0; i < n->n_in; i++) {
        if (narrow && carried(n, i))
            n->in[i] = as(x, n->in[i], DT_BF16);
        else if (!multiplies)
            n->in[i] = widened(x, n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] != VALUE_NONE && (narrow || (multiplies && narrow_value(x, n->out[i]))))
            x->g->values[n->out[i]].dtype = DT_BF16;
    (void)weave_push(&x->w, n);
}

static void widen_captures(struct narrowing *x, struct graph *body) {
    for (int v = 0; v < body->n_values; v++)
        if (body->values[v].capture != VALUE_NONE)
            body->values[v].capture = widened(x, body->values[v].capture);
}

static void widen_bodies(struct narrowing *x, struct node *n) {
    for (int k = 0; k < n->n_attrs; k++) {
        if (n->attrs[k].kind == ATTR_GRAPH)
            widen_captures(x, n->attrs[k].graph);
        for (size_t i = 0; n->attrs[k].kind == ATTR_GRAPHS && i < n->attrs[k].n; i++)
            widen_captures(x, n->attrs[k].graphs[i]);
    }
}

static enum code run(struct pass_run *r, struct err *e) {
    struct graph *g = r->graph;
    struct narrowing x = {.g = g,
                          .n_values = g->n_values,
                          .cast = op_find(LIT("cast")),
                          .conv = op_find(LIT("conv_bf16")),
                          .product = op_find(LIT("mat_mul_bf16"))};
    if (r->precision != PRECISION_BF16 || !x.cast || !x.conv || !x.product)
        return OK;
    TRY(weave_open(&x.w, g, r->arena, e));
    x.can = ARENA_ARRAY(r->arena, (size_t)x.n_values + 1, bool);
    x.wants = ARENA_ARRAY(r->arena, (size_t)x.n_values + 1, bool);
    x.form = ARENA_ARRAY(r->arena, (size_t)g->n_nodes + 1, const struct op *);
    if (!x.can || !x.wants || !x.form)
        return arena_fail(r->arena, 2 * (size_t)x.n_values, "a plan's types", e);
    find_can(&x);
    find_wants(&x);
    find_summaries(&x);
    for (int k = 0; k < g->n_nodes; k++) {
        widen_bodies(&x, &g->nodes[k]);
        weave_node(&x, &g->nodes[k], x.form[k]);
    }
    for (int i = 0; i < g->n_outputs; i++)
        g->outputs[i] = widened(&x, g->outputs[i]);
    r->changed |= x.w.changed;
    return weave_close(&x.w, e);
}

const struct pass pass_narrow = {.name = "narrow", .stages = PASS_LAST, .run = run};

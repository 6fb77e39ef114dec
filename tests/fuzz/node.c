/* SPDX-License-Identifier: Apache-2.0 */
/* One node of any operator, with operands and attributes made of the input's bytes: infer, prepare
 * and run must answer or refuse, never read or write outside, never hang. Each input is tried on
 * every operator of op/list.h.
 *
 * Byte by byte: opset, numbers of inputs and outputs, per input its type, shape and how its data is
 * made; then a seed that decides which attributes of a list of usual names there are, and their
 * values. Small numbers are likely, so that many nodes make sense and run; the rest are the numbers
 * that break things. */
#include "op/op_list.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERANDS = 6, ATTRS = 96, LIST = 8, OUTPUT_BYTES = 1 << 18, RUN_BYTES = 16 << 20 };

struct bytes {
    const uint8_t *p;
    size_t n, at;
    uint64_t state; /* once the bytes are used up */
};

static uint8_t next_byte(struct bytes *b) {
    if (b->at < b->n)
        return b->p[b->at++];
    b->state = b->state * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(b->state >> 56);
}

static int64_t next_whole(struct bytes *b) {
    static const int64_t odd[] = {INT64_MAX, INT64_MIN,        -1, 1 << 16,
                                  INT32_MAX, INT64_C(1) << 40, -7, 100};
    uint8_t v = next_byte(b);
    return v < 240 ? (int64_t)(v % 7) - 2 : odd[v % 8];
}

static double next_number(struct bytes *b) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 1e-40, 65536, -0.0};
    uint8_t v = next_byte(b);
    return v < 240 ? (double)(v % 17) / 4 - 2 : odd[v % 8];
}

/* --- attributes --- */

static const struct {
    const char *name;
    enum attr_kind kind;
    const char *texts; /* of strings: choices, separated by spaces */
} vocabulary[] = {
    {"axis", ATTR_INT, NULL},
    {"axes", ATTR_INTS, NULL},
    {"perm", ATTR_INTS, NULL},
    {"keepdims", ATTR_INT, NULL},
    {"shape", ATTR_INTS, NULL},
    {"allowzero", ATTR_INT, NULL},
    {"start", ATTR_INT, NULL},
    {"end", ATTR_INT, NULL},
    {"starts", ATTR_INTS, NULL},
    {"ends", ATTR_INTS, NULL},
    {"split", ATTR_INTS, NULL},
    {"num_outputs", ATTR_INT, NULL},
    {"pads", ATTR_INTS, NULL},
    {"paddings", ATTR_INTS, NULL},
    {"value", ATTR_FLOAT, NULL},
    {"strides", ATTR_INTS, NULL},
    {"dilations", ATTR_INTS, NULL},
    {"kernel_shape", ATTR_INTS, NULL},
    {"group", ATTR_INT, NULL},
    {"offset_group", ATTR_INT, NULL},
    {"auto_pad", ATTR_STR, "NOTSET SAME_UPPER SAME_LOWER VALID what"},
    {"ceil_mode", ATTR_INT, NULL},
    {"p", ATTR_INT, NULL},
    {"storage_order", ATTR_INT, NULL},
    {"count_include_pad", ATTR_INT, NULL},
    {"output_padding", ATTR_INTS, NULL},
    {"output_shape", ATTR_INTS, NULL},
    {"batch_dims", ATTR_INT, NULL},
    {"upper", ATTR_INT, NULL},
    {"k", ATTR_INT, NULL},
    {"to", ATTR_INT, NULL},
    {"dtype", ATTR_INT, NULL},
    {"saturate", ATTR_INT, NULL},
    {"direction", ATTR_STR, "forward reverse bidirectional LEFT RIGHT"},
    {"largest", ATTR_INT, NULL},
    {"sorted", ATTR_INT, NULL},
    {"blocksize", ATTR_INT, NULL},
    {"exclusive", ATTR_INT, NULL},
    {"reverse", ATTR_INT, NULL},
    {"reduction", ATTR_STR, "none add mul min max sum mean"},
    {"transA", ATTR_INT, NULL},
    {"transB", ATTR_INT, NULL},
    {"alpha", ATTR_FLOAT, NULL},
    {"beta", ATTR_FLOAT, NULL},
    {"epsilon", ATTR_FLOAT, NULL},
    {"broadcast", ATTR_INT, NULL},
    {"mode", ATTR_STR,
     "constant reflect edge wrap linear nearest cubic bilinear DCR CRD avg max TF IDF TFIDF "
     "circular"},
    {"coordinate_transformation_mode", ATTR_STR,
     "half_pixel asymmetric align_corners pytorch_half_pixel tf_crop_and_resize output_half_pixel"},
    {"nearest_mode", ATTR_STR, "round_prefer_floor round_prefer_ceil floor ceil"},
    {"scales", ATTR_FLOATS, NULL},
    {"antialias", ATTR_INT, NULL},
    {"keep_aspect_ratio_policy", ATTR_STR, "stretch not_larger not_smaller"},
    {"padding_mode", ATTR_STR, "zeros border reflection"},
    {"align_corners", ATTR_INT, NULL},
    {"equation", ATTR_STR, "ij,jk->ik ...ij->...ji ii->i i,i-> ab,->a ,,-> i...->..."},
    {"seed", ATTR_INT, NULL},
    {"sample_size", ATTR_INT, NULL},
    {"onesided", ATTR_INT, NULL},
    {"inverse", ATTR_INT, NULL},
    {"periodic", ATTR_INT, NULL},
    {"output_datatype", ATTR_INT, NULL},
    {"layout", ATTR_INT, NULL},
    {"linear_before_reset", ATTR_INT, NULL},
    {"input_forget", ATTR_INT, NULL},
    {"clip", ATTR_FLOAT, NULL},
    {"hidden_size", ATTR_INT, NULL},
    {"output_height", ATTR_INT, NULL},
    {"output_width", ATTR_INT, NULL},
    {"sampling_ratio", ATTR_INT, NULL},
    {"spatial_scale", ATTR_FLOAT, NULL},
    {"pooled_shape", ATTR_INTS, NULL},
    {"ignore_index", ATTR_INT, NULL},
    {"batch_axis", ATTR_INT, NULL},
    {"time_axis", ATTR_INT, NULL},
    {"new_axis", ATTR_INT, NULL},
    {"pattern", ATTR_STR, "a* (a|b)+ [^x] (( \\d{2,}"},
    {"delimiter", ATTR_STR, "a aa , "},
    {"maxsplit", ATTR_INT, NULL},
    {"case_change_action", ATTR_STR, "LOWER UPPER NONE"},
    {"num_groups", ATTR_INT, NULL},
    {"stash_type", ATTR_INT, NULL},
    {"size", ATTR_INT, NULL},
    {"block_size", ATTR_INT, NULL},
    {"q_num_heads", ATTR_INT, NULL},
    {"kv_num_heads", ATTR_INT, NULL},
    {"num_heads", ATTR_INT, NULL},
    {"is_causal", ATTR_INT, NULL},
    {"update_rule", ATTR_STR, "linear gated delta gated_delta"},
    {"interleaved", ATTR_INT, NULL},
    {"rotary_embedding_dim", ATTR_INT, NULL},
    {"noop_with_empty_axes", ATTR_INT, NULL},
    {"select_last_index", ATTR_INT, NULL},
    {"num_scan_inputs", ATTR_INT, NULL},
};
enum { VOCABULARY = sizeof vocabulary / sizeof vocabulary[0] };
_Static_assert((int)VOCABULARY <= (int)ATTRS, "room for all attributes");

struct node_case {
    struct arena arena;
    struct op_host host;
    uint64_t seed;
    struct model model;
    struct graph graph;
    struct value values[2 * OPERANDS];
    struct node node;
    value_id in_ids[OPERANDS], out_ids[OPERANDS];
    struct attr attrs[ATTRS];
    struct tensor in[OPERANDS], out[OPERANDS];
    struct op_value in_value[OPERANDS], out_value[OPERANDS];
};

static struct str choose_text(struct bytes *b, const char *texts) {
    int skip = next_byte(b) % 8;
    struct str rest = str_of(texts), word;
    size_t at;
    for (word = rest; str_find(rest, ' ', &at); rest = str_sub(rest, at + 1, rest.n)) {
        word = str_sub(rest, 0, at);
        if (skip-- == 0)
            return word;
    }
    return rest.n ? rest : word;
}

static void make_attr(struct node_case *c, struct bytes *b, size_t which) {
    struct attr *a = &c->attrs[c->node.n_attrs];
    *a = (struct attr){.name = str_of(vocabulary[which].name),
                       .kind = vocabulary[which].kind,
                       .origin = {.file = -1}};
    int64_t *ints;
    float *floats;
    switch (a->kind) {
    case ATTR_INT: a->i = next_whole(b); break;
    case ATTR_FLOAT: a->f = (float)next_number(b); break;
    case ATTR_STR: a->s = choose_text(b, vocabulary[which].texts); break;
    case ATTR_INTS:
        a->n = next_byte(b) % LIST;
        a->ints = ints = arena_push(&c->arena, LIST * sizeof *ints);
        for (size_t k = 0; ints && k < a->n; k++)
            ints[k] = next_byte(b) % 4 ? (int64_t)k % 3 + 1 : next_whole(b);
        break;
    default:
        a->n = next_byte(b) % LIST;
        a->floats = floats = arena_push(&c->arena, LIST * sizeof *floats);
        for (size_t k = 0; floats && k < a->n; k++)
            floats[k] = (float)next_number(b);
    }
    c->node.n_attrs++;
}

/* --- operands --- */

static void fill(struct tensor *t, struct bytes *b) {
    static const struct str texts[] = {
        {"", 0}, {"a", 1}, {"aab", 3}, {" a,b ", 5}, {"\xff\xfe", 2}};
    for (size_t k = 0; k < tensor_count(t); k++) {
        int64_t whole = next_whole(b);
        double number = next_number(b);
        switch (t->dtype) {
        case DT_F32: ((float *)t->data)[k] = (float)number; break;
        case DT_F64: ((double *)t->data)[k] = number; break;
        case DT_F16: ((uint16_t *)t->data)[k] = dtype_f32_to_f16((float)number); break;
        case DT_BOOL: ((uint8_t *)t->data)[k] = whole & 1; break;
        case DT_STRING: ((struct str *)t->data)[k] = texts[(uint64_t)whole % 5]; break;
        default: memcpy((char *)t->data + k * dtype_size(t->dtype), &whole, dtype_size(t->dtype));
        }
    }
}

static void make_input(struct node_case *c, struct bytes *b, int i) {
    static const enum dtype types[] = {DT_F32, DT_F32, DT_F32, DT_I64, DT_I64,  DT_I32,
                                       DT_U8,  DT_I8,  DT_F16, DT_F64, DT_BOOL, DT_STRING};
    uint8_t how = next_byte(b), type = next_byte(b);
    struct tensor *t = &c->in[i];
    *t = (struct tensor){.dtype = how & 64 && i ? c->in[0].dtype : types[type % 12]};
    if (how % 16 == 15 && i) { /* absent */
        t->dtype = DT_NONE;
        return;
    }
    if (how % 4 == 0 && i)
        t->shape = c->in[0].shape;
    else if (how % 4 == 1 && i)
        t->shape = (struct shape){.rank = 1, .dims = {next_byte(b) % 5}};
    else if (how % 4 == 2 && i)
        t->shape = (struct shape){.rank = next_byte(b) % 2, .dims = {1}};
    else
        for (t->shape.rank = next_byte(b) % 6; i >= 0;) {
            for (int d = 0; d < t->shape.rank; d++)
                t->shape.dims[d] = next_byte(b) % 16 == 0 ? 0 : 1 + next_byte(b) % 4;
            break;
        }
    size_t bytes = tensor_bytes(t);
    t->data = bytes ? malloc(bytes) : NULL;
    if (bytes)
        fill(t, b);
}

/* --- the host --- */

static void *host_alloc(struct op_host *h, size_t bytes) {
    struct node_case *c = (struct node_case *)((char *)h - offsetof(struct node_case, host));
    return arena_push_aligned(&c->arena, bytes ? bytes : 1, 64);
}
static enum code host_check(struct op_host *h, struct err *e) {
    (void)h;
    (void)e;
    return OK;
}
static uint64_t host_random(struct op_host *h) {
    return ((struct node_case *)((char *)h - offsetof(struct node_case, host)))->seed++;
}

static void build(struct node_case *c, const struct op *op, struct bytes *b) {
    arena_init(&c->arena, RUN_BYTES);
    c->host = (struct op_host){
        .alloc = host_alloc, .check = host_check, .random = host_random, .loop_limit = 100};
    c->model = (struct model){.arena = &c->arena, .main = &c->graph};
    c->graph = (struct graph){.model = &c->model,
                              .values = c->values,
                              .n_values = 2 * OPERANDS,
                              .nodes = &c->node,
                              .n_nodes = 1};
    for (int k = 0; k < 2 * OPERANDS; k++)
        c->values[k] = (struct value){.capture = VALUE_NONE, .producer = NODE_NONE};
    static const int opsets[] = {1, 7, 10, 11, 13, 14, 16, 18, 20, 21, 23, 28};
    c->node = (struct node){.name = LIT("n"),
                            .op_type = str_of(op->name),
                            .op_name = str_of(op->name),
                            .op = op,
                            .opset = opsets[next_byte(b) % 12],
                            .in = c->in_ids,
                            .out = c->out_ids,
                            .attrs = c->attrs};
    c->node.n_in = next_byte(b) % (OPERANDS + 1);
    c->node.n_out = next_byte(b) % 4;
    for (int i = 0; i < c->node.n_in; i++) {
        make_input(c, b, i);
        c->in_ids[i] = c->in[i].dtype ? i : VALUE_NONE;
    }
    for (int i = 0; i < c->node.n_out; i++)
        c->out_ids[i] = OPERANDS + i;
    uint8_t density = 1 + next_byte(b) % 6;
    for (size_t k = 0; k < VOCABULARY; k++)
        if (next_byte(b) % density == 0)
            make_attr(c, b, k);
}

/* --- as the executor does it --- */

static enum code infer(struct node_case *c, bool with_data, struct err *e) {
    for (int i = 0; i < c->node.n_in; i++)
        c->in_value[i] = c->in[i].dtype ? (struct op_value){.dtype = c->in[i].dtype,
                                                            .known = true,
                                                            .shape = c->in[i].shape,
                                                            .data = with_data ? &c->in[i] : NULL}
                                        : (struct op_value){0};
    memset(c->out_value, 0, sizeof c->out_value);
    struct op_infer call = {.graph = &c->graph,
                            .node = &c->node,
                            .in = c->in_value,
                            .out = c->out_value,
                            .scratch = &c->arena};
    return c->node.op->infer(&call, e);
}

static bool make_outputs(struct node_case *c) {
    for (int i = 0; i < c->node.n_out; i++) {
        const struct op_value *v = &c->out_value[i];
        c->out[i] = (struct tensor){0};
        if (c->node.op->flags & OP_DYNAMIC)
            continue;
        size_t bytes;
        if (!v->known || !shape_bytes(&v->shape, dtype_size(v->dtype), &bytes) ||
            bytes > OUTPUT_BYTES)
            return false;
        c->out[i] = (struct tensor){
            .dtype = v->dtype, .shape = v->shape, .data = bytes ? malloc(bytes) : NULL};
        if (bytes)
            memset(c->out[i].data, 0xA5, bytes);
    }
    return true;
}

static enum code execute(struct node_case *c, struct err *e) {
    struct op_prepare p = {.graph = &c->graph,
                           .node = &c->node,
                           .in = c->in_value,
                           .out = c->out_value,
                           .arena = &c->arena,
                           .threads = 1};
    for (int i = 0; i < c->node.n_in; i++)
        c->in_value[i].data = NULL;
    if (c->node.op->prepare)
        TRY(c->node.op->prepare(&p, e));
    const struct tensor *in[OPERANDS];
    struct tensor *out[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) {
        in[i] = i < c->node.n_in && c->in[i].dtype ? &c->in[i] : NULL;
        out[i] = i < c->node.n_out ? &c->out[i] : NULL;
    }
    size_t room = mem_round_up(p.scratch_bytes, 64);
    void *scratch = room && room < RUN_BYTES ? aligned_alloc(64, room) : NULL;
    struct op_call call = {.graph = &c->graph,
                           .node = &c->node,
                           .state = p.state,
                           .in = in,
                           .out = out,
                           .scratch = scratch,
                           .threads = 1,
                           .host = &c->host};
    enum code code = room && !scratch ? OK : c->node.op->run(&call, e);
    free(scratch);
    if (c->node.op->release && p.state)
        c->node.op->release(p.state);
    return code;
}

static void try_operator(const struct op *op, const uint8_t *data, size_t size) {
    static struct node_case c;
    struct bytes b = {.p = data, .n = size, .state = size};
    struct err e = {0};
    memset(&c, 0, sizeof c);
    build(&c, op, &b);
    enum code code = infer(&c, false, &e);
    if (code == OK)
        code = infer(&c, true, &e);
    if (code == OK && c.node.n_out > 0 && make_outputs(&c))
        code = execute(&c, &e);
    if (code != OK && (e.code != code || e.text[0] == '\0'))
        abort(); /* a failure that says nothing */
    for (int i = 0; i < OPERANDS; i++) {
        free(c.in[i].data);
        if (!(op->flags & OP_DYNAMIC))
            free(c.out[i].data);
    }
    arena_deinit(&c.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (size_t k = 0; k < op_count(); k++) {
        if (getenv("FUZZ_NODE_OP") && strcmp(getenv("FUZZ_NODE_OP"), op_at(k)->name) != 0)
            continue;
        try_operator(op_at(k), data, size);
    }
    return 0;
}

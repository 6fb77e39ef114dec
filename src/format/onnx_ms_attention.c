/* SPDX-License-Identifier: Apache-2.0 */
/* Attention operators of com.microsoft as nodes of ours; see onnx_ms.c. All of them come down to
 * our "attention" (ONNX opset 25): heads split from flat (B, S, heads * size) operands, a mask that
 * is added, a past that is put in front.
 *
 * Letters: B batch, S queries, P past keys, T all keys, H heads, G heads of key and value, D head
 * size.
 *
 * 1. What a mask means is told by its rank: (B) numbers of keys, (B, T), (B, S, T), (B, H or 1, S,
 * T) ones where a key counts. One of unknown rank has 2 dims or more.
 * 2. A key that does not count gets mask_filter_value added, as ONNX Runtime does: a row in which
 * none counts is a mean of all. */
#include "format/onnx_compose.h"

struct attend {
    value_id q, k, v; /* all flat, or all (B, heads, S, D) */
    value_id mask;    /* added to the scores; absent */
    value_id past_k, past_v;
    int64_t heads, kv_heads;
    bool causal;
    value_id present_k, present_v; /* out */
};

static value_id attend(struct compose *c, struct attend *a) {
    value_id y = OP_OF(c, "attention", a->q, a->k, a->v, a->mask, a->past_k, a->past_v);
    float scale = attr_float(&c->node, "scale", 0);
    compose_int(c, "q_num_heads", a->heads);
    compose_int(c, "kv_num_heads", a->kv_heads);
    compose_int(c, "is_causal", a->causal);
    if (scale != 0)
        compose_float(c, "scale", scale);
    if (compose_wants(c, 1) || compose_wants(c, 2)) {
        a->present_k = compose_more(c);
        a->present_v = compose_more(c);
    }
    return y;
}

static int64_t heads_of(struct compose *c, const char *name) {
    int64_t heads = attr_int(&c->node, name, 0);
    if (heads < 1)
        compose_refuse(c, "its number of heads is missing");
    return heads;
}

/* One entry of a value's shape, as a list of one. */
static value_id dim(struct compose *c, value_id v, int axis) {
    value_id d = OP_OF(c, "shape", v);
    compose_int(c, "start", axis);
    compose_int(c, "end", axis + 1);
    return d;
}

static value_id to_type(struct compose *c, value_id x, int type) {
    value_id y = OP_OF(c, "cast", x);
    compose_int(c, "to", type);
    return y;
}
enum { TO_F32 = 1, TO_I64 = 7 };

/* 0, 1, ... n - 1; n a list of one. */
static value_id counted(struct compose *c, value_id n) {
    value_id end = OP_OF(c, "reshape", n, compose_list(c, 0, (int64_t[]){0}));
    return OP_OF(c, "range", compose_whole(c, 0), end, compose_whole(c, 1));
}

/* (B) numbers of keys as ones and zeros (B, T). */
static value_id ones_of_lengths(struct compose *c, value_id lengths, value_id keys) {
    value_id l = OP_OF(c, "unsqueeze", to_type(c, lengths, TO_I64), LIST(c, 1));
    return to_type(c, OP_OF(c, "less", counted(c, keys), l), TO_F32);
}

/* Ones between the first and the other dims, up to 4. */
static value_id with_four_dims(struct compose *c, value_id m) {
    value_id shape = OP_OF(c, "shape", m);
    value_id missing = OP_OF(c, "sub", LIST(c, 4), OP_OF(c, "shape", shape));
    value_id ones = OP_OF(c, "slice", LIST(c, 1, 1, 1), LIST(c, 0), missing);
    value_id first = OP_OF(c, "slice", shape, LIST(c, 0), LIST(c, 1));
    value_id others = OP_OF(c, "slice", shape, LIST(c, 1), LIST(c, 4));
    value_id target = OP_OF(c, "concat", first, ones, others);
    compose_int(c, "axis", 0);
    return OP_OF(c, "reshape", m, target);
}

/* What is added to the scores. keys: T, a list of one; like: gives the type. */
static value_id mask_to_add(struct compose *c, value_id mask, value_id bias, value_id keys,
                            value_id like) {
    if (mask == VALUE_NONE)
        return bias;
    float filter = attr_float(&c->node, "mask_filter_value", -10000.0F);
    value_id m =
        compose_rank(c, mask) == 1 ? ones_of_lengths(c, mask, keys) : to_type(c, mask, TO_F32);
    m = OP_OF(c, "mul", OP_OF(c, "sub", compose_real(c, 1), m), compose_real(c, filter));
    m = OP_OF(c, "cast_like", with_four_dims(c, m), like);
    return bias == VALUE_NONE ? m : OP_OF(c, "add", m, bias);
}

/* T: keys here, and those of the past. */
static value_id all_keys(struct compose *c, value_id k, int axis, value_id past) {
    value_id n = dim(c, k, axis);
    return past == VALUE_NONE ? n : OP_OF(c, "add", n, dim(c, past, 2));
}

/* x cut in equal parts along its last dim, or as `sizes` says. */
static void cut(struct compose *c, value_id x, const int64_t *sizes, int n, value_id *parts) {
    parts[0] = sizes ? OP_OF(c, "split", x, compose_list(c, n, sizes)) : OP_OF(c, "split", x);
    compose_int(c, "axis", -1);
    if (!sizes)
        compose_int(c, "num_outputs", n);
    for (int i = 1; i < n; i++)
        parts[i] = compose_more(c);
}

/* Entry i of the first axis of a stacked past (2, B, H, P, D). */
static value_id past_half(struct compose *c, value_id past, int64_t i) {
    return past == VALUE_NONE ? past : OP_OF(c, "gather", past, compose_whole(c, i));
}

void compose_attend_packed(struct compose *c, value_id qkv, value_id mask, value_id past,
                           value_id bias) {
    const int64_t *sizes = NULL;
    size_t n = 0;
    value_id part[3];
    if (attr_int(&c->node, "do_rotary", 0))
        compose_refuse(c, "do_rotary is not supported");
    if (attr_ints(&c->node, "qkv_hidden_sizes", &sizes, &n) && n != 3)
        sizes = NULL;
    cut(c, qkv, sizes, 3, part);
    struct attend a = {.q = part[0],
                       .k = part[1],
                       .v = part[2],
                       .past_k = past_half(c, past, 0),
                       .past_v = past_half(c, past, 1),
                       .causal = attr_int(&c->node, "unidirectional", 0) != 0};
    a.heads = a.kv_heads = heads_of(c, "num_heads");
    a.mask = mask_to_add(c, mask, bias, all_keys(c, a.k, 1, a.past_k), qkv);
    compose_give(c, 0, attend(c, &a));
    if (!compose_wants(c, 1))
        return;
    value_id both = OP_OF(c, "concat", OP_OF(c, "unsqueeze", a.present_k, LIST(c, 0)),
                          OP_OF(c, "unsqueeze", a.present_v, LIST(c, 0)));
    compose_int(c, "axis", 0);
    compose_give(c, 1, both);
}

/* input, weights, bias, mask_index, past, attention_bias, past_sequence_length */
void onnx_ms_attention(struct compose *c) {
    value_id x = OP_OF(c, "mat_mul", compose_in(c, 0), compose_in(c, 1));
    if (compose_in(c, 2) != VALUE_NONE)
        x = OP_OF(c, "add", x, compose_in(c, 2));
    if (compose_in(c, 6) != VALUE_NONE)
        compose_refuse(c, "a past in a buffer of its own is not supported");
    compose_attend_packed(c, x, compose_in(c, 3), compose_in(c, 4), compose_in(c, 5));
}

/* input, weight, bias, input_scale, weight_scale, mask_index, input_zero, weight_zero, past */
void onnx_ms_q_attention(struct compose *c) {
    value_id x = compose_scaled_product(c, compose_in(c, 0), compose_in(c, 1), compose_in(c, 3),
                                        compose_in(c, 4), compose_in(c, 6), compose_in(c, 7),
                                        compose_in(c, 2));
    compose_attend_packed(c, x, compose_in(c, 5), compose_in(c, 8), VALUE_NONE);
}

/* --- multi-head attention --- */

/* Part i of n of axis 3 of (B, S, H, n, D), flat. */
static value_id unpacked(struct compose *c, value_id x, int64_t i) {
    value_id part = OP_OF(c, "gather", x, compose_whole(c, i));
    compose_int(c, "axis", 3);
    return OP_OF(c, "reshape", part, LIST(c, 0, 0, -1));
}

/* (B, heads, S, D) as (B, S, heads * D) */
static value_id flat(struct compose *c, value_id x) {
    const int64_t perm[] = {0, 2, 1, 3};
    value_id y = OP_OF(c, "transpose", x);
    compose_ints(c, "perm", 4, perm);
    return OP_OF(c, "reshape", y, LIST(c, 0, 0, -1));
}

static void multi_head_operands(struct compose *c, struct attend *a) {
    const value_id q = compose_in(c, 0), k = compose_in(c, 1), v = compose_in(c, 2);
    a->q = q;
    a->k = k;
    a->v = v;
    if (k == VALUE_NONE) { /* all in one */
        a->q = unpacked(c, q, 0);
        a->k = unpacked(c, q, 1);
        a->v = unpacked(c, q, 2);
    } else if (v == VALUE_NONE) { /* keys and values in one */
        a->k = unpacked(c, k, 0);
        a->v = unpacked(c, k, 1);
    } else if (compose_rank(c, k) == 4) { /* a past of another sequence */
        a->k = flat(c, k);
        a->v = flat(c, v);
    }
}

/* query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value, ... */
void onnx_ms_multi_head(struct compose *c) {
    struct attend a = {.past_k = compose_in(c, 6),
                       .past_v = compose_in(c, 7),
                       .causal = attr_int(&c->node, "unidirectional", 0) != 0};
    value_id bias[3], *operand[3] = {&a.q, &a.k, &a.v};
    if (compose_in(c, 8) != VALUE_NONE || compose_in(c, 9) != VALUE_NONE || compose_wants(c, 3))
        compose_refuse(c, "a past in a buffer of its own, beams and scores are not supported");
    a.heads = a.kv_heads = heads_of(c, "num_heads");
    multi_head_operands(c, &a);
    if (compose_in(c, 3) != VALUE_NONE) {
        cut(c, compose_in(c, 3), NULL, 3, bias);
        for (int i = 0; i < 3; i++)
            *operand[i] = OP_OF(c, "add", *operand[i], bias[i]);
    }
    a.mask = mask_to_add(c, compose_in(c, 4), compose_in(c, 5), all_keys(c, a.k, 1, a.past_k), a.q);
    compose_give(c, 0, attend(c, &a));
    compose_give(c, 1, a.present_k);
    compose_give(c, 2, a.present_v);
}

/* --- rotary embedding --- */

/* input, position_ids ((B, S), or (1): where the first stands), cos_cache, sin_cache */
void onnx_ms_rotary(struct compose *c) {
    const value_id x = compose_in(c, 0), given = compose_in(c, 1);
    const int64_t heads = attr_int(&c->node, "num_heads", 0);
    if (attr_float(&c->node, "scale", 1) != 1 || attr_int(&c->node, "is_packed_batching", 0))
        compose_refuse(c, "scale and packed batches are not supported");
    /* One position for all gets 0, 1, ... added; a table of them is as it should be. */
    value_id length = dim(c, x, -2), batch = dim(c, x, 0); /* (B, S, H * D) or (B, H, S, D) */
    value_id two = OP_OF(c, "sub", LIST(c, 2), OP_OF(c, "shape", OP_OF(c, "shape", given)));
    value_id steps = OP_OF(c, "mul", counted(c, length), two);
    value_id shape = OP_OF(c, "concat", batch, length);
    compose_int(c, "axis", 0);
    value_id at = OP_OF(c, "expand", OP_OF(c, "add", given, steps), shape);
    value_id y = OP_OF(c, "rotary_embedding", x, compose_in(c, 2), compose_in(c, 3), at);
    compose_int(c, "interleaved", attr_int(&c->node, "interleaved", 0));
    compose_int(c, "rotary_embedding_dim", attr_int(&c->node, "rotary_embedding_dim", 0));
    compose_int(c, "num_heads", heads);
    compose_give(c, 0, y);
}

/* Which of three tables gives entry k of half a head: the first sections[0] entries are of table 0
 * and so on, or (interleaved) every third one. */
static int64_t table_of(const int64_t *sections, int64_t k, bool interleaved) {
    if (interleaved)
        return k % 3 && k < 3 * sections[k % 3] ? k % 3 : 0;
    return k < sections[0] ? 0 : k < sections[0] + sections[1] ? 1 : 2;
}

/* (3, 1, 1, half): one where a table gives the entry. */
static value_id table_mask(struct compose *c, value_id like) {
    enum { HALF_MOST = 512 };
    const int64_t *sections = NULL;
    const bool interleaved = attr_int(&c->node, "mrope_layout", 0) != 0;
    int64_t ones[3 * HALF_MOST] = {0}, half = 0;
    size_t n = 0;
    const bool given = attr_ints(&c->node, "mrope_section", &sections, &n) && n == 3;
    for (size_t i = 0; given && i < n && half >= 0; i++)
        half = sections[i] < 0 || sections[i] > HALF_MOST ? -1 : half + sections[i];
    if (half < 1 || half > HALF_MOST) {
        compose_refuse(c, "mrope_section must be three numbers, 1 to 512 together");
        return VALUE_NONE;
    }
    for (int64_t k = 0; k < half; k++)
        ones[table_of(sections, k, interleaved) * half + k] = 1;
    value_id flat = compose_list(c, (int)(3 * half), ones);
    return OP_OF(c, "cast_like", OP_OF(c, "reshape", flat, LIST(c, 3, 1, 1, -1)), like);
}

/* input, position_ids (3, B, S), cos_cache, sin_cache: each entry of half a head turns by the
 * position of one of three streams. */
void onnx_ms_m_rotary(struct compose *c) {
    value_id turn[2];
    if (attr_float(&c->node, "scale", 1) != 1 || attr_int(&c->node, "is_packed_batching", 0))
        compose_refuse(c, "scale and packed batches are not supported");
    value_id mask = table_mask(c, compose_in(c, 2));
    for (int i = 0; i < 2; i++) {
        value_id rows = OP_OF(c, "gather", compose_in(c, 2 + i), compose_in(c, 1));
        turn[i] = OP_OF(c, "reduce_sum", OP_OF(c, "mul", rows, mask), LIST(c, 0));
        compose_int(c, "keepdims", 0);
    }
    value_id y = OP_OF(c, "rotary_embedding", compose_in(c, 0), turn[0], turn[1]);
    compose_int(c, "interleaved", attr_int(&c->node, "interleaved", 0));
    compose_int(c, "rotary_embedding_dim", attr_int(&c->node, "rotary_embedding_dim", 0));
    compose_int(c, "num_heads", attr_int(&c->node, "num_heads", 0));
    compose_give(c, 0, y);
}

/* --- group query attention --- */

struct group {
    int64_t heads, kv_heads;
    value_id x[3];    /* query, key, value as (B, heads, S, D) */
    value_id lengths; /* (B) keys that count, these included */
    value_id start;   /* (B) where the new ones go */
    value_id length;  /* S, a list of one */
};

/* (B, S, heads * D) as (B, heads, S, D) */
static value_id split_heads(struct compose *c, value_id x, int64_t heads) {
    const int64_t perm[] = {0, 2, 1, 3};
    value_id wide = OP_OF(c, "reshape", x, LIST(c, 0, 0, heads, -1));
    value_id y = OP_OF(c, "transpose", wide);
    compose_ints(c, "perm", 4, perm);
    return y;
}

static void group_operands(struct compose *c, struct group *g) {
    const int64_t perm[] = {0, 2, 1, 3};
    if (compose_in(c, 1) != VALUE_NONE) {
        for (int i = 0; i < 3; i++)
            g->x[i] = split_heads(c, compose_in(c, i), i ? g->kv_heads : g->heads);
        return;
    }
    const int64_t all = g->heads + 2 * g->kv_heads; /* one tensor of all heads */
    value_id x = OP_OF(c, "reshape", compose_in(c, 0), LIST(c, 0, 0, all, -1));
    x = OP_OF(c, "transpose", x);
    compose_ints(c, "perm", 4, perm);
    g->x[0] = OP_OF(c, "split", x, LIST(c, g->heads, g->kv_heads, g->kv_heads));
    compose_int(c, "axis", 1);
    g->x[1] = compose_more(c);
    g->x[2] = compose_more(c);
}

/* Where each query stands: (B, S) */
static value_id group_positions(struct compose *c, const struct group *g) {
    if (compose_in(c, 9) != VALUE_NONE)
        return compose_in(c, 9);
    return OP_OF(c, "add", OP_OF(c, "unsqueeze", g->start, LIST(c, 1)), counted(c, g->length));
}

static void group_turn(struct compose *c, struct group *g) {
    value_id at = group_positions(c, g);
    for (int i = 0; i < 2; i++) {
        g->x[i] = OP_OF(c, "rotary_embedding", g->x[i], compose_in(c, 7), compose_in(c, 8), at);
        compose_int(c, "interleaved", attr_int(&c->node, "rotary_interleaved", 0));
    }
}

/* The past with room for T keys, the new ones in their places: (B, G, max(P, T), D) */
static value_id group_cache(struct compose *c, const struct group *g, value_id past, value_id x,
                            value_id total) {
    value_id room = OP_OF(c, "sub", total, dim(c, x, 2)); /* without a past: after the new ones */
    value_id base = x;
    if (past != VALUE_NONE) {
        room = OP_OF(c, "sub", total, dim(c, past, 2));
        base = past;
    }
    value_id pads = OP_OF(c, "concat", LIST(c, 0, 0, 0, 0, 0, 0), OP_OF(c, "max", room, LIST(c, 0)),
                          LIST(c, 0));
    compose_int(c, "axis", 0);
    value_id cache = OP_OF(c, "pad", base, pads);
    if (past == VALUE_NONE)
        return cache;
    value_id y = OP_OF(c, "tensor_scatter", cache, x, g->start);
    compose_int(c, "axis", 2);
    return y;
}

/* Which keys a query sees: none after itself, none that do not count, none left of the window. */
static value_id group_mask(struct compose *c, const struct group *g, value_id cache) {
    const int64_t window = attr_int(&c->node, "local_window_size", -1);
    value_id key = counted(c, dim(c, cache, 2));
    value_id at =
        OP_OF(c, "add", OP_OF(c, "unsqueeze", g->start, LIST(c, 1)), counted(c, g->length));
    at = OP_OF(c, "unsqueeze", at, LIST(c, 1, 3)); /* (B, 1, S, 1) */
    value_id lengths = OP_OF(c, "unsqueeze", g->lengths, LIST(c, 1, 2, 3));
    value_id seen =
        OP_OF(c, "and", OP_OF(c, "less_or_equal", key, at), OP_OF(c, "less", key, lengths));
    if (window > 0)
        seen = OP_OF(c, "and", seen,
                     OP_OF(c, "greater", key, OP_OF(c, "sub", at, compose_whole(c, window))));
    if (compose_in(c, 10) == VALUE_NONE)
        return seen;
    value_id like = g->x[0], zero = OP_OF(c, "cast_like", compose_real(c, 0), like),
             never = OP_OF(c, "cast_like", compose_real(c, -__builtin_inff()), like);
    return OP_OF(c, "add", OP_OF(c, "where", seen, zero, never), compose_in(c, 10));
}

/* One more key behind the others: its score is 0 and a head's sink (smooth_softmax: 0) the bias of
 * it, its value 0; so it does nothing but take a share of the softmax. */
static void group_sink(struct compose *c, value_id *k, value_id *v, value_id *mask) {
    const value_id sink = compose_in(c, 11), like = *k;
    value_id *const longer[] = {k, v};
    if (sink == VALUE_NONE && attr_int(&c->node, "smooth_softmax", 0) <= 0)
        return;
    value_id zero = OP_OF(c, "cast_like", compose_real(c, 0), like),
             never = OP_OF(c, "cast_like", compose_real(c, -__builtin_inff()), like);
    for (int i = 0; i < 2; i++)
        *longer[i] = OP_OF(c, "pad", *longer[i], LIST(c, 0, 0, 0, 0, 0, 0, 1, 0));
    if (compose_in(c, 10) == VALUE_NONE) /* seen or not, so far */
        *mask = OP_OF(c, "where", *mask, zero, never);
    value_id shape = LIST(c, 1, sink == VALUE_NONE ? 1 : attr_int(&c->node, "num_heads", 0), 1, 1);
    value_id bias = OP_OF(c, "reshape", sink == VALUE_NONE ? zero : sink, shape);
    /* (B, 1 or H, S, T) and (1, 1 or H, 1, 1), each to the other's size but for the last dim */
    value_id rows = OP_OF(c, "shape", *mask);
    compose_int(c, "end", 3);
    value_id one = OP_OF(c, "concat", rows, LIST(c, 1));
    compose_int(c, "axis", 0);
    *mask = OP_OF(c, "concat", OP_OF(c, "expand", *mask, shape), OP_OF(c, "expand", bias, one));
    compose_int(c, "axis", -1);
}

static void group_refuses(struct compose *c) {
    if (compose_in(c, 12) != VALUE_NONE || compose_in(c, 13) != VALUE_NONE || compose_wants(c, 3))
        compose_refuse(c, "a quantised past and scores are not supported");
    if (compose_in(c, 14) != VALUE_NONE || compose_in(c, 15) != VALUE_NONE ||
        compose_in(c, 16) != VALUE_NONE)
        compose_refuse(c, "norms of query and key and query_seqlens are not supported");
    if (attr_int(&c->node, "sliding_window_cache", 0) || !attr_int(&c->node, "causal", 1))
        compose_refuse(c, "sliding_window_cache and attention both ways are not supported");
}

/* query, key, value, past_key, past_value, seqlens_k, total_sequence_length, cos_cache, sin_cache,
 * position_ids, attention_bias, head_sink */
void onnx_ms_group_query(struct compose *c) {
    struct group g = {.heads = heads_of(c, "num_heads"), .kv_heads = heads_of(c, "kv_num_heads")};
    float scale = attr_float(&c->node, "scale", 0), cap = attr_float(&c->node, "softcap", 0);
    group_refuses(c);
    group_operands(c, &g);
    value_id total = OP_OF(c, "reshape", to_type(c, compose_in(c, 6), TO_I64), LIST(c, 1));
    value_id last = OP_OF(c, "reshape", to_type(c, compose_in(c, 5), TO_I64), LIST(c, -1));
    g.lengths = OP_OF(c, "add", last, LIST(c, 1));
    g.length = dim(c, g.x[0], 2);
    g.start = OP_OF(c, "max", OP_OF(c, "sub", g.lengths, g.length), LIST(c, 0));
    if (attr_int(&c->node, "do_rotary", 0))
        group_turn(c, &g);
    value_id k = group_cache(c, &g, compose_in(c, 3), g.x[1], total);
    value_id v = group_cache(c, &g, compose_in(c, 4), g.x[2], total);
    value_id keys = k, values = v, mask = group_mask(c, &g, k);
    group_sink(c, &keys, &values, &mask);
    value_id y = OP_OF(c, "attention", g.x[0], keys, values, mask);
    if (scale != 0)
        compose_float(c, "scale", scale);
    if (cap != 0)
        compose_float(c, "softcap", cap);
    compose_give(c, 0, flat(c, y));
    compose_give(c, 1, k);
    compose_give(c, 2, v);
}

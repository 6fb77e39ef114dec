/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of com.microsoft become the nodes that their formulas name (onnx_ms.c,
 * onnx_ms_attention.c, onnx_ms_quant.c), or are refused by name. What the nodes compute is compared
 * with ONNX Runtime by tests/golden/samples_ms.py. */
#include "format/onnx_ms.c"

#include "format/format.h"
#include "make_onnx.h"

static struct err e;
static struct arena arena;
static struct buf b, said;
static struct model *m;

static int fresh(void **state) {
    (void)state;
    arena_init(&arena, 1 << 24);
    buf_init(&b, 1 << 22);
    buf_init(&said, 1 << 16);
    return 0;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&b);
    buf_deinit(&said);
    return 0;
}

enum { MOST_ATTRS = 4 };
struct foreign {
    const char *type, *in, *out; /* names; inputs are f32 of rank 3 */
    struct {
        const char *name, *text; /* text: of a string attribute */
        int64_t i;
        float f; /* where i and text are 0 */
    } attrs[MOST_ATTRS];
    const char *nodes;   /* ours, in order */
    const char *refused; /* instead */
};

static void put_attrs(const struct foreign *f) {
    for (int k = 0; k < MOST_ATTRS && f->attrs[k].name; k++) {
        bool text = f->attrs[k].text, real = !text && f->attrs[k].f != 0;
        size_t a = make_attr(&b, 5, f->attrs[k].name, text ? 3 : real ? 1 : 2);
        if (text)
            pb_put_str(&b, 4, str_of(f->attrs[k].text));
        else if (real)
            pb_put_f32(&b, 2, f->attrs[k].f);
        else
            pb_put_i64(&b, 3, f->attrs[k].i);
        pb_put_end(&b, a);
    }
}

/* Each name once, as an input of the graph. */
static void put_inputs(const char *names) {
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        char name[16] = "";
        memcpy(name, p, n);
        if (strcmp(name, "-") != 0)
            make_value(&b, G_IN, name, 1, "2 3 8");
        p += n + (p[n] == ' ');
    }
}

static enum code read_foreign(const struct foreign *f) {
    buf_clear(&b);
    pb_put_i64(&b, M_IR, 8);
    make_opset(&b, M_OPSET, "", 17);
    make_opset(&b, M_OPSET, "com.microsoft", 1);
    size_t g = pb_put_begin(&b, M_GRAPH);
    put_inputs(f->in);
    size_t n = make_node(&b, G_NODE, f->type, f->in, f->out);
    put_attrs(f);
    make_text(&b, 7, "com.microsoft");
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    TRY(make_read(&format_onnx, &b, &arena, &m, &e));
    return graph_verify(m, &e);
}

/* The operators of the graph, without the identities that name its results. */
static const char *nodes(void) {
    buf_clear(&said);
    for (int k = 0; k < m->main->n_nodes; k++) {
        const struct node *n = &m->main->nodes[k];
        if (!str_is(n->op_name, "identity"))
            buf_printf(&said, "%s%.*s", said.n ? " " : "", STR(n->op_name));
    }
    const char *text = arena_strdup(&arena, buf_str(&said));
    return text ? text : "?";
}

static void check(const struct foreign *list, size_t count) {
    for (size_t k = 0; k < count; k++) {
        const struct foreign *f = &list[k];
        enum code code = read_foreign(f);
        if (f->refused) {
            if (code != ERR_UNSUPPORTED || !strstr(e.text, f->refused))
                stop("%s: %s (%s), expected to say '%s'", f->type, err_name(code), e.text,
                     f->refused);
        } else if (code != OK) {
            stop("%s: %s", f->type, e.text);
        } else {
            const char *got = nodes();
            if (strcmp(got, f->nodes) != 0)
                stop("%s of (%s): '%s', expected '%s'", f->type, f->in, got, f->nodes);
        }
    }
}
#define CHECK(list) check(list, sizeof(list) / sizeof *(list))

static void activations_and_norms(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "BiasGelu", .in = "x b", .out = "y", .nodes = "add gelu"},
        {.type = "FastGelu", .in = "x", .out = "y", .nodes = "gelu"},
        {.type = "FastGelu", .in = "x b", .out = "y", .nodes = "add gelu"},
        {.type = "QuickGelu", .in = "x", .out = "y", .nodes = "swish"},
        {.type = "SimplifiedLayerNormalization",
         .in = "x s",
         .out = "y",
         .nodes = "rms_normalization"},
        {.type = "SkipLayerNormalization",
         .in = "x s g",
         .out = "y",
         .nodes = "add layer_normalization"},
        {.type = "SkipLayerNormalization",
         .in = "x s g be b",
         .out = "y - - sum",
         .nodes = "add add layer_normalization"},
        {.type = "SkipSimplifiedLayerNormalization",
         .in = "x s g",
         .out = "y",
         .nodes = "add rms_normalization"},
        {.type = "EmbedLayerNormalization",
         .in = "i - w p - g b",
         .out = "y",
         .nodes = "gather shape slice add layer_normalization"},
        {.type = "EmbedLayerNormalization",
         .in = "i s w p t g b m at",
         .out = "y n",
         .nodes = "gather gather add gather add layer_normalization reduce_sum"},
    };
    CHECK(list);
}

static void products(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "FusedMatMul", .in = "a b", .out = "y", .nodes = "mat_mul"},
        {.type = "FusedMatMul",
         .in = "a b",
         .out = "y",
         .attrs = {{"transB", .i = 1}, {"alpha", .f = 0.5F}},
         .nodes = "einsum cast_like mul"},
        {.type = "TransposeMatMul",
         .in = "a b",
         .out = "y",
         .attrs = {{"transA", .i = 1}},
         .nodes = "einsum"},
        {.type = "FusedMatMul",
         .in = "a b",
         .out = "y",
         .attrs = {{"transBatchA", .i = 1}},
         .refused = "transBatchA and transBatchB are not supported"},
        {.type = "FusedGemm",
         .in = "a b c",
         .out = "y",
         .attrs = {{"activation", .text = "LeakyRelu"}, {"activation_alpha", .f = 0.2F}},
         .nodes = "gemm leaky_relu"},
        {.type = "FusedConv",
         .in = "x w b z",
         .out = "y",
         .attrs = {{"activation", .text = "HardSigmoid"}},
         .nodes = "conv add hard_sigmoid"},
        {.type = "FusedConv",
         .in = "x w",
         .out = "y",
         .attrs = {{"activation", .text = "Clip"}},
         .nodes = "conv cast_like cast_like clip"},
        {.type = "FusedConv",
         .in = "x w",
         .out = "y",
         .attrs = {{"activation", .text = "Mysterious"}},
         .refused = "its activation is not known"},
    };
    CHECK(list);
}

static void the_rest(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "ExpandDims", .in = "x a", .out = "y", .nodes = "reshape cast unsqueeze"},
        {.type = "CDist",
         .in = "a b",
         .out = "y",
         .nodes = "unsqueeze unsqueeze sub reduce_sum_square"},
        {.type = "CDist",
         .in = "a b",
         .out = "y",
         .attrs = {{"metric", .text = "euclidean"}},
         .nodes = "unsqueeze unsqueeze sub reduce_sum_square sqrt"},
        {.type = "NhwcMaxPool", .in = "x", .out = "y", .nodes = "transpose max_pool transpose"},
        {.type = "Pad", .in = "x p v", .out = "y", .nodes = "reshape pad"},
        {.type = "MatMulInteger16", .in = "a b", .out = "y", .nodes = "cast cast mat_mul"},
        {.type = "GridSample", .in = "x g", .out = "y", .nodes = "grid_sample"},
    };
    CHECK(list);
    assert_int_equal(m->main->nodes[0].opset, 16); /* its modes have the names of then */
}

static void signals_gates_and_states(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "Rfft", .in = "x", .out = "y", .nodes = "unsqueeze dft"},
        {.type = "Rfft",
         .in = "x",
         .out = "y",
         .attrs = {{"signal_ndim", .i = 2}},
         .nodes = "unsqueeze dft dft"},
        {.type = "Irfft",
         .in = "x",
         .out = "y",
         .attrs = {{"signal_ndim", .i = 2}},
         .nodes = "dft dft squeeze"},
        {.type = "Irfft",
         .in = "x",
         .out = "y",
         .attrs = {{"normalized", .i = 1}},
         .refused = "signals of 1 to 3 dims, one side, not normalized are supported"},
        {.type = "ScaledSiLU", .in = "x s", .out = "y", .nodes = "cast_like mul swish"},
        {.type = "GatedAdd", .in = "x y g", .out = "z", .nodes = "mul add"},
        {.type = "GatedAdd", .in = "x y g w", .out = "z", .nodes = "mat_mul sigmoid mul add"},
        {.type = "GatedRMSNorm",
         .in = "x s g",
         .out = "y",
         .attrs = {{"activation", .text = "sigmoid"}},
         .nodes = "shape shape concat reshape cast cast rms_normalization shape reshape cast "
                  "sigmoid mul cast_like"},
        {.type = "LinearAttentionGate",
         .in = "a b s r",
         .out = "y z",
         .nodes = "cast add softplus mul cast_like sigmoid"},
        {.type = "LinearAttention", .in = "q k v", .out = "y s", .nodes = "linear_attention"},
        {.type = "LinearAttention",
         .in = "q k v",
         .out = "y s",
         .attrs = {{"state_window", .i = 2}},
         .refused = "state_window is not supported"},
        {.type = "CausalConvWithState",
         .in = "x w",
         .out = "y s",
         .nodes = "causal_conv_with_state"},
        {.type = "CausalConvWithState",
         .in = "x w",
         .out = "y s",
         .attrs = {{"dilation", .i = 2}},
         .refused = "only one dim, channels first, without dilation or windows is supported"},
    };
    CHECK(list);
}

static void bytes(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "QLinearConv", .in = "x s z w t u v y", .out = "o", .nodes = "q_linear_conv"},
        {.type = "QLinearConv",
         .in = "x s z w t u v y",
         .out = "o",
         .attrs = {{"channels_last", .i = 1}},
         .refused = "channels_last is not supported"},
        {.type = "QLinearConcat",
         .in = "s z a b c d e f",
         .out = "o",
         .nodes = "dequantize_linear dequantize_linear concat quantize_linear"},
        {.type = "QLinearAveragePool",
         .in = "x s z t u",
         .out = "o",
         .nodes = "dequantize_linear average_pool quantize_linear"},
        {.type = "QLinearSoftmax",
         .in = "x s z t u",
         .out = "o",
         .nodes = "dequantize_linear softmax quantize_linear"},
        {.type = "QLinearWhere",
         .in = "c x s z y t u v w",
         .out = "o",
         .nodes = "dequantize_linear dequantize_linear where quantize_linear"},
        {.type = "MatMulIntegerToFloat",
         .in = "a b s t",
         .out = "o",
         .nodes = "mat_mul_integer cast mul mul"},
        {.type = "MatMulIntegerToFloat",
         .in = "a b s t u v w",
         .out = "o",
         .nodes = "mat_mul_integer cast mul mul add"},
        {.type = "DynamicQuantizeMatMul",
         .in = "a b s",
         .out = "o",
         .nodes = "dynamic_quantize_linear mat_mul_integer cast mul mul"},
        {.type = "DynamicQuantizeLSTM",
         .in = "x w r b l h c p s z t u",
         .out = "o",
         .refused = "scales per column are not supported"},
        {.type = "GatherBlockQuantized",
         .in = "d i s",
         .out = "o",
         .nodes = "dequantize_linear gather"},
        {.type = "GatherBlockQuantized",
         .in = "- i s",
         .out = "o",
         .nodes = "dequantize_linear gather"},
    };
    CHECK(list);
}

static void attentions(void **state) {
    (void)state;
    static const struct foreign list[] = {
        {.type = "Attention",
         .in = "x w b",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}},
         .nodes = "mat_mul add split shape attention"},
        {.type = "Attention", .in = "x w", .out = "y", .refused = "its number of heads is missing"},
        {.type = "Attention",
         .in = "x w",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}, {"do_rotary", .i = 1}},
         .refused = "do_rotary is not supported"},
        {.type = "Attention",
         .in = "x w - - - - n",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}},
         .refused = "a past in a buffer of its own is not supported"},
        {.type = "MultiHeadAttention",
         .in = "q k v",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}},
         .nodes = "shape attention"},
        {.type = "MultiHeadAttention",
         .in = "q",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}},
         .nodes = "gather reshape gather reshape gather reshape shape attention"},
        {.type = "MultiHeadAttention",
         .in = "q k v - - - - - n",
         .out = "y",
         .attrs = {{"num_heads", .i = 2}},
         .refused = "beams and scores are not supported"},
        {.type = "RotaryEmbedding",
         .in = "x at c s",
         .out = "y",
         .attrs = {{"scale", .f = 2}},
         .refused = "scale and packed batches are not supported"},
        {.type = "MRotaryEmbedding",
         .in = "x at c s",
         .out = "y",
         .refused = "mrope_section must be three numbers"},
        {.type = "GroupQueryAttention",
         .in = "q k v pk pv l t",
         .out = "y a b",
         .attrs = {{"num_heads", .i = 2},
                   {"kv_num_heads", .i = 2},
                   {"sliding_window_cache", .i = 1}},
         .refused = "sliding_window_cache and attention both ways are not supported"},
        {.type = "GroupQueryAttention",
         .in = "q k v pk pv l t - - - - - - - qn kn",
         .out = "y a b",
         .attrs = {{"num_heads", .i = 2}, {"kv_num_heads", .i = 2}},
         .refused = "norms of query and key and query_seqlens are not supported"},
    };
    CHECK(list);
}

/* Every row of the table is found, and refuses or reads nothing at all without falling over. */
static void nothing_given(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        assert_ptr_equal(onnx_ms_find(str_of(table[k].type)), table[k].compose);
        struct foreign f = {.type = table[k].type, .in = "", .out = "y"};
        enum code code = read_foreign(&f);
        assert_true(code == OK || code == ERR_UNSUPPORTED || code == ERR_FORMAT);
        f.in = "- - - - - - - - - - - - -";
        code = read_foreign(&f);
        assert_true(code == OK || code == ERR_UNSUPPORTED || code == ERR_FORMAT);
    }
    assert_null(onnx_ms_find(LIT("Gelu"))); /* one of ours: a row of onnx_ops.c */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(activations_and_norms, fresh, drop),
        cmocka_unit_test_setup_teardown(products, fresh, drop),
        cmocka_unit_test_setup_teardown(signals_gates_and_states, fresh, drop),
        cmocka_unit_test_setup_teardown(the_rest, fresh, drop),
        cmocka_unit_test_setup_teardown(bytes, fresh, drop),
        cmocka_unit_test_setup_teardown(attentions, fresh, drop),
        cmocka_unit_test_setup_teardown(nothing_given, fresh, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

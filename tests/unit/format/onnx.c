/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx.c"

#include "make_onnx.h"

static struct err e;
static struct arena arena;
static struct buf b;
static struct model *m;

static int fresh(void **state) {
    (void)state;
    arena_init(&arena, 1 << 22);
    buf_init(&b, 1 << 22);
    return 0;
}

static int drop(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&b);
    return 0;
}

/* Reads what b holds. */
static enum code read_b(void) {
    TRY(make_read(&format_onnx, &b, &arena, &m, &e));
    return graph_verify(m, &e);
}

#define REFUSED(NAME, part)                                                                        \
    do {                                                                                           \
        assert_fails(read_b(), NAME, part);                                                        \
        buf_clear(&b);                                                                             \
    } while (0)

static const struct value *value(const char *name) {
    value_id v = graph_find(m->main, str_of(name));
    assert_int_not_equal(v, VALUE_NONE);
    return &m->main->values[v];
}

static void a_small_model(void **state) {
    (void)state;
    make_small_model(&b);
    make_text(&b, PRODUCER_NAME, "maker");
    make_text(&b, PRODUCER_VERSION, "1.2");
    size_t meta = pb_put_begin(&b, M_META);
    make_text(&b, 1, "key");
    make_text(&b, 2, "value");
    pb_put_end(&b, meta);
    assert_ok(read_b());
    assert_int_equal(m->opset, 17);
    assert_int_equal(m->ir_version, 8);
    assert_str(m->producer, "maker 1.2");
    assert_str(m->meta[0].value, "value");
    assert_int_equal(m->main->n_inputs, 1);
    assert_str(value("x")->dim_names[0], "n");
    assert_int_equal(value("x")->shape.dims[0], -1);
    assert_int_equal(value("x")->shape.dims[1], 3);
    assert_int_equal(value("x")->dtype, DT_F32);
    const struct value *w = value("w");
    assert_int_equal(w->origin.file, 0);
    assert_memory_equal(b.p + w->origin.offset, ((float[]){1, 2, 3}), 12);
    assert_str(m->main->nodes[0].op_name, "add");
    assert_str(m->main->nodes[0].op_type, "Add");
    assert_int_equal(m->main->nodes[0].opset, 17);
}

static void versions_are_checked(void **state) {
    (void)state;
    pb_put_end(&b, make_model(&b, 15, 17));
    REFUSED(UNSUPPORTED, "ONNX IR 15; this build reads up to IR 14");
    pb_put_end(&b, make_model(&b, 14, 29));
    REFUSED(UNSUPPORTED, "opset 29 of ai.onnx; this build knows 1-28");
    pb_put_i64(&b, M_IR, 8);
    REFUSED(FORMAT, "no graph");
    pb_put_bytes(&b, M_GRAPH, "", 0);
    REFUSED(FORMAT, "no ONNX IR version");
    pb_put_i64(&b, M_IR, 8); /* no opset at all */
    size_t g = pb_put_begin(&b, M_GRAPH);
    make_value(&b, G_IN, "x", 1, "");
    make_plain_node(&b, "Abs", "x", "y");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "the node of 'y' (Abs): the model does not import domain 'ai.onnx'");
    pb_put_i64(&b, M_IR, 2);
    g = pb_put_begin(&b, M_GRAPH);
    make_value(&b, G_IN, "x", 1, "");
    make_plain_node(&b, "Abs", "x", "y");
    pb_put_end(&b, g);
    assert_ok(read_b());
    assert_int_equal(m->main->nodes[0].opset, 1);
}

static void unknown_operators_are_named(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17), n = make_node(&b, G_NODE, "Frobnicate", "", "y");
    make_text(&b, 3, "frob1");
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    REFUSED(UNSUPPORTED,
            "node 'frob1' (Frobnicate, domain 'ai.onnx' opset 17): operator not supported");
    g = make_model(&b, 8, 17);
    n = make_node(&b, G_NODE, "Abs", "", "y");
    make_text(&b, 7, "com.nobody");
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    REFUSED(UNSUPPORTED,
            "the node of 'y' (Abs, domain 'com.nobody' opset 0): operator not supported");
    g = make_model(&b, 8, 17);
    make_plain_node(&b, "Gelu", "", "y");
    pb_put_end(&b, g);
    REFUSED(UNSUPPORTED, "exists since opset 20 only");
    g = make_model(&b, 8, 11);
    make_plain_node(&b, "Scatter", "", "y");
    pb_put_end(&b, g);
    REFUSED(UNSUPPORTED, "removed after opset 10");
}

static void names_must_be_made_once(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_plain_node(&b, "Abs", "nowhere", "y");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "the node of 'y' (Abs): input 'nowhere' is made by nothing");
    g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "");
    make_plain_node(&b, "Abs", "x", "y");
    make_plain_node(&b, "Abs", "x", "y");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "value 'y' is made twice");
    g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "");
    make_plain_node(&b, "Abs", "x", "x");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "value 'x' is made twice");
    g = make_model(&b, 8, 17);
    make_value(&b, G_OUT, "y", 1, "");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "graph output 'y' is made by nothing");
    g = make_model(&b, 8, 17);
    make_raw(&b, G_INIT, "w", 1, "1", "1234", 4);
    make_raw(&b, G_INIT, "w", 1, "1", "1234", 4);
    pb_put_end(&b, g);
    REFUSED(FORMAT, "initializer 'w' is there twice");
}

static void cycles_are_found(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_plain_node(&b, "Abs", "b", "a");
    make_plain_node(&b, "Abs", "a", "b");
    make_value(&b, G_OUT, "b", 1, "");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "cycle: the node of 'a' (Abs) depends on its own output");
}

static void unsorted_nodes_are_sorted(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_plain_node(&b, "Abs", "h", "y");
    make_plain_node(&b, "Neg", "x", "h");
    make_value(&b, G_OUT, "y", 1, "");
    make_value(&b, G_IN, "x", 1, "");
    pb_put_end(&b, g);
    assert_ok(read_b());
    assert_str(m->main->nodes[0].op_name, "neg");
}

static void put_weight_and_input(int64_t ir) {
    buf_clear(&b);
    size_t g = make_model(&b, ir, 9);
    make_value(&b, G_IN, "x", 1, "3");
    make_value(&b, G_IN, "w", 1, "3");
    make_raw(&b, G_INIT, "w", 1, "3", "123456789012", 12);
    make_plain_node(&b, "Add", "x w", "y");
    make_value(&b, G_OUT, "y", 1, "3");
    pb_put_end(&b, g);
}

static void weights_listed_as_inputs(void **state) {
    (void)state;
    put_weight_and_input(3); /* had to be listed */
    assert_ok(read_b());
    assert_int_equal(m->main->n_inputs, 1);
    put_weight_and_input(4); /* may be overridden */
    assert_ok(read_b());
    assert_int_equal(m->main->n_inputs, 2);
    assert_non_null(value("w")->constant);
    buf_clear(&b);
    size_t g = make_model(&b, 8, 9);
    make_value(&b, G_IN, "w", 7, "3");
    make_raw(&b, G_INIT, "w", 1, "3", "123456789012", 12);
    pb_put_end(&b, g);
    REFUSED(FORMAT, "value 'w' is declared i64, its constant is f32");
}

static void absent_names_and_value_info(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "3 n");
    make_plain_node(&b, "Clip", "x - x", "h -");
    make_plain_node(&b, "Abs", "h", "y");
    make_value(&b, G_INFO, "h", 1, "3 m");
    make_value(&b, G_INFO, "stray", 1, "3 m");
    make_value(&b, G_OUT, "y", 0, NULL);
    pb_put_end(&b, g);
    assert_ok(read_b());
    assert_int_equal(m->main->nodes[0].in[1], VALUE_NONE);
    assert_int_equal(m->main->nodes[0].out[1], VALUE_NONE);
    assert_int_equal(m->main->nodes[0].n_in, 3);
    assert_str(value("h")->dim_names[1], "m");
    assert_false(value("y")->ranked);
    assert_int_equal(graph_find(m->main, LIT("stray")), VALUE_NONE);
}

/* --- Constant nodes and attributes --- */

static void put_constant(const char *attr, int64_t type, void (*put)(void)) {
    size_t n = make_node(&b, G_NODE, "Constant", "", attr), a = make_attr(&b, 5, attr, type);
    put();
    pb_put_end(&b, a);
    pb_put_end(&b, n);
}

static void put_f(void) { pb_put_f32(&b, 2, 0.5f); }
static void put_i(void) { pb_put_i64(&b, 3, -7); }
static void put_s(void) { make_text(&b, 4, "text"); }
static void put_t(void) { make_raw(&b, 5, "", 1, "1", (float[]){9}, 4); }
static void put_floats(void) {
    pb_put_f32(&b, 7, 1);
    pb_put_bytes(&b, 7, (float[]){2, 3}, 8);
}
static void put_ints(void) {
    pb_put_i64(&b, 8, -1);
    pb_put_bytes(&b, 8, "\1\2", 2);
}
static void put_strings(void) {
    make_text(&b, 9, "a");
    make_text(&b, 9, "bb");
}
static void put_sparse(void) {
    size_t s = pb_put_begin(&b, 22);
    make_raw(&b, 1, "", 1, "1", (float[]){4}, 4);
    make_raw(&b, 2, "", 7, "1", (int64_t[]){1}, 8);
    pb_put_i64(&b, 3, 3);
    pb_put_end(&b, s);
}

static void constant_nodes_become_constants(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    put_constant("value_float", 1, put_f);
    put_constant("value_int", 2, put_i);
    put_constant("value_string", 3, put_s);
    put_constant("value", 4, put_t);
    put_constant("value_floats", 6, put_floats);
    put_constant("value_ints", 7, put_ints);
    put_constant("value_strings", 8, put_strings);
    put_constant("sparse_value", 11, put_sparse);
    pb_put_end(&b, g);
    assert_ok(read_b());
    assert_int_equal(m->main->n_nodes, 0);
    assert_true(tensor_f64(value("value_float")->constant, 0) == 0.5);
    assert_int_equal(value("value_int")->constant->shape.rank, 0);
    assert_int_equal(tensor_i64(value("value_int")->constant, 0), -7);
    assert_str(((struct str *)value("value_string")->constant->data)[0], "text");
    assert_int_equal(value("value")->origin.file, 0);
    assert_int_equal(value("value_floats")->shape.dims[0], 3);
    assert_true(tensor_f64(value("value_floats")->constant, 2) == 3);
    assert_int_equal(tensor_i64(value("value_ints")->constant, 2), 2);
    assert_str(((struct str *)value("value_strings")->constant->data)[1], "bb");
    assert_true(tensor_f64(value("sparse_value")->constant, 1) == 4);
    buf_clear(&b);
    g = make_model(&b, 8, 17);
    make_plain_node(&b, "Constant", "", "c");
    pb_put_end(&b, g);
    REFUSED(FORMAT, "the node of 'c' (Constant): a Constant without a value");
}

static void attribute_kinds(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "3");
    size_t n = make_node(&b, G_NODE, "Abs", "x", "y"), a;
    make_int_attr(&b, 5, "i", 5);
    a = make_attr(&b, 5, "untyped", 0); /* IR 1 and 2 */
    put_ints();
    pb_put_end(&b, a);
    a = make_attr(&b, 5, "type", 13); /* TYPE_PROTO: dropped */
    pb_put_end(&b, a);
    a = make_attr(&b, 5, "zero", 2); /* an INT of 0, left out */
    pb_put_end(&b, a);
    a = make_attr(&b, 5, "tensors", 9);
    make_raw(&b, 10, "", 1, "1", (float[]){9}, 4);
    pb_put_end(&b, a);
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    assert_ok(read_b());
    const struct node *node = &m->main->nodes[0];
    assert_int_equal(node->n_attrs, 4);
    assert_int_equal(attr_int(node, "i", 0), 5);
    assert_int_equal(attr_int(node, "zero", 3), 0);
    assert_int_equal(attr_find(node, "untyped")->kind, ATTR_INTS);
    assert_int_equal(attr_find(node, "untyped")->n, 3);
    assert_int_equal(attr_find(node, "tensors")->n, 1);
    buf_clear(&b);
    g = make_model(&b, 8, 17);
    n = make_node(&b, G_NODE, "Abs", "", "y");
    pb_put_end(&b, make_attr(&b, 5, "t", 4));
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    REFUSED(FORMAT, "the node of 'y' (Abs): attribute 't' has no value");
    g = make_model(&b, 8, 17);
    n = make_node(&b, G_NODE, "Abs", "", "y");
    pb_put_end(&b, make_attr(&b, 5, "t", 99));
    pb_put_end(&b, n);
    pb_put_end(&b, g);
    REFUSED(FORMAT, "attribute 't' has unknown type 99");
}

/* --- subgraphs --- */

/* depth Ifs inside each other; the innermost adds "x" of the main graph to itself. */
static void put_nested(int depth) {
    char in[16], out[16];
    snprintf(out, sizeof out, "y%d", depth);
    if (depth == 0) {
        make_plain_node(&b, "Add", "x x", out);
    } else {
        size_t n = make_node(&b, G_NODE, "If", "c", out);
        for (int branch = 0; branch < 2; branch++) {
            size_t a = make_attr(&b, 5, branch ? "else_branch" : "then_branch", 5);
            size_t g = pb_put_begin(&b, 6);
            make_text(&b, G_NAME, "branch");
            if (branch == 0)
                put_nested(depth - 1);
            snprintf(in, sizeof in, branch ? "x" : "y%d", depth - 1);
            make_value(&b, G_OUT, in, 1, NULL);
            pb_put_end(&b, g);
            pb_put_end(&b, a);
        }
        pb_put_end(&b, n);
    }
}

static void put_nested_model(int depth) {
    char out[16];
    buf_clear(&b);
    size_t g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "3");
    make_value(&b, G_IN, "c", 9, "");
    put_nested(depth);
    snprintf(out, sizeof out, "y%d", depth);
    make_value(&b, G_OUT, out, 1, NULL);
    pb_put_end(&b, g);
}

static void subgraphs_four_deep_capture(void **state) {
    (void)state;
    put_nested_model(4);
    assert_ok(read_b());
    assert_int_equal(graph_total_nodes(m->main), 5);
    const struct graph *g = m->main;
    for (int depth = 4; depth > 0; depth--) {
        const struct graph *sub = attr_graph(&g->nodes[0], "then_branch");
        assert_non_null(sub);
        assert_ptr_equal(sub->parent, g);
        value_id x = graph_find(sub, LIT("x"));
        assert_int_not_equal(x, VALUE_NONE); /* passed through every graph between */
        assert_str(g->values[sub->values[x].capture].name, "x");
        g = sub;
    }
    assert_str(g->nodes[0].op_name, "add");
    put_nested_model(ONNX_DEPTH_MAX);
    assert_ok(read_b());
    put_nested_model(ONNX_DEPTH_MAX + 1);
    REFUSED(LIMIT, "nested deeper than 16");
}

/* --- functions --- */

/* domain "f": Twice(x; alpha) = LeakyRelu(x) * alpha-ish, with a default; calls each other as told.
 */
static void put_function(const char *name, const char *calls) {
    size_t f = pb_put_begin(&b, M_FUNCTION), n, a;
    make_text(&b, F_NAME, name);
    make_text(&b, F_DOMAIN, "f");
    make_text(&b, F_IN, "a");
    make_text(&b, F_IN, "b");
    make_text(&b, F_OUT, "out");
    make_opset(&b, F_OPSET, "", 16);
    make_opset(&b, F_OPSET, "f", 1);
    n = make_node(&b, F_NODE, "LeakyRelu", "a", "t");
    make_text(&b, 3, "leaky");
    make_ref_attr(&b, "alpha", "slope", 1);
    pb_put_end(&b, n);
    n = make_node(&b, F_NODE, calls, "t b", "out");
    if (strcmp(calls, "Add") != 0)
        make_text(&b, 7, "f");
    pb_put_end(&b, n);
    a = make_attr(&b, F_ATTR, "slope", 1);
    pb_put_f32(&b, 2, 0.25f);
    pb_put_end(&b, a);
    pb_put_end(&b, f);
}

static void put_call(const char *name, const char *in, const char *out, float slope) {
    size_t n = make_node(&b, G_NODE, name, in, out);
    make_text(&b, 7, "f");
    make_text(&b, 3, "call");
    if (slope != 0) {
        size_t a = make_attr(&b, 5, "slope", 1);
        pb_put_f32(&b, 2, slope);
        pb_put_end(&b, a);
    }
    pb_put_end(&b, n);
}

static size_t begin_call_model(void) {
    buf_clear(&b);
    size_t g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "3");
    return g;
}

static void functions_are_written_out(void **state) {
    (void)state;
    size_t g = begin_call_model();
    put_call("Leaf", "x x", "h", 0.5f);
    put_call("Leaf", "h x", "y", 0);
    make_value(&b, G_OUT, "y", 1, NULL);
    pb_put_end(&b, g);
    put_function("Leaf", "Add");
    assert_ok(read_b());
    assert_int_equal(m->main->n_nodes, 4);
    const struct node *first = &m->main->nodes[0], *second = &m->main->nodes[2];
    assert_str(first->op_name, "leaky_relu");
    assert_int_equal(first->opset, 16); /* the function's own import */
    assert_true(attr_float(first, "alpha", 0) == 0.5f);
    assert_true(attr_float(second, "alpha", 0) == 0.25f);
    assert_str(first->name, "call.0/leaky");
    assert_str(m->main->values[first->out[0]].name, "call.0/t");
    assert_str(m->main->values[second->out[0]].name, "call.1/t");
    assert_str(m->main->values[m->main->nodes[1].out[0]].name, "h");
}

static void functions_call_functions(void **state) {
    (void)state;
    size_t g = begin_call_model();
    put_call("Outer", "x x", "y", 0.5f);
    pb_put_end(&b, g);
    put_function("Outer", "Leaf");
    put_function("Leaf", "Add");
    assert_ok(read_b());
    assert_int_equal(m->main->n_nodes, 3);
    g = begin_call_model();
    put_call("Outer", "x x", "y", 0);
    pb_put_end(&b, g);
    put_function("Outer", "Inner");
    put_function("Inner", "Outer");
    REFUSED(FORMAT, "function 'Outer' calls itself");
    g = begin_call_model();
    put_call("Leaf", "x x x", "y", 0);
    pb_put_end(&b, g);
    put_function("Leaf", "Add");
    REFUSED(FORMAT, "function 'Leaf': 3 inputs given, the function has 2");
    g = begin_call_model();
    put_call("Leaf", "x x", "y", 0);
    pb_put_end(&b, g);
    put_function("Leaf", "Add");
    put_function("Leaf", "Add");
    REFUSED(FORMAT, "function 'Leaf' of domain 'f' is defined twice");
}

/* Every level calls the next twice: 2^30 nodes from a few hundred bytes. */
static void functions_cannot_explode(void **state) {
    (void)state;
    char name[8], next[8];
    size_t g = begin_call_model();
    put_call("L0", "x", "y", 0);
    pb_put_end(&b, g);
    for (int level = 0; level < 30; level++) {
        size_t f = pb_put_begin(&b, M_FUNCTION);
        snprintf(name, sizeof name, "L%d", level);
        snprintf(next, sizeof next, "L%d", level + 1);
        make_text(&b, F_NAME, name);
        make_text(&b, F_DOMAIN, "f");
        make_text(&b, F_IN, "a");
        make_text(&b, F_OUT, "out");
        for (int call = 0; call < 2; call++) {
            size_t n = make_node(&b, F_NODE, level == 29 ? "Abs" : next, call ? "t" : "a",
                                 call ? "out" : "t");
            make_text(&b, 7, level == 29 ? "" : "f");
            pb_put_end(&b, n);
        }
        make_opset(&b, F_OPSET, "", 17);
        pb_put_end(&b, f);
    }
    REFUSED(LIMIT, "");
}

static void a_body_may_pass_its_input_through(void **state) {
    (void)state;
    size_t g = begin_call_model();
    put_call("Same", "x", "y", 0);
    make_value(&b, G_OUT, "y", 1, NULL);
    pb_put_end(&b, g);
    size_t f = pb_put_begin(&b, M_FUNCTION);
    make_text(&b, F_NAME, "Same");
    make_text(&b, F_DOMAIN, "f");
    make_text(&b, F_IN, "a");
    make_text(&b, F_OUT, "a");
    pb_put_end(&b, f);
    assert_ok(read_b());
    assert_int_equal(m->main->n_nodes, 1);
    assert_str(m->main->nodes[0].op_name, "identity");
}

/* --- external data --- */

static void put_external_model(const char *location, const char *offset, const char *length) {
    buf_clear(&b);
    size_t g = make_model(&b, 8, 17), t = make_tensor(&b, G_INIT, "w", 1, "3");
    pb_put_i64(&b, 14, 1);
    if (location)
        make_external(&b, "location", location);
    if (offset)
        make_external(&b, "offset", offset);
    if (length)
        make_external(&b, "length", length);
    pb_put_end(&b, t);
    pb_put_end(&b, g);
}

static enum code read_external_model(void) { return make_read(&format_onnx, &b, &arena, &m, &e); }

static void external_data_is_a_range_of_another_file(void **state) {
    (void)state;
    put_external_model("sub/weights.bin", "4096", "12");
    assert_ok(read_external_model());
    assert_int_equal(m->n_files, 2);
    assert_str(m->files[1].name, "sub/weights.bin");
    assert_int_equal(value("w")->origin.file, 1);
    assert_int_equal(value("w")->origin.offset, 4096);
    assert_int_equal(value("w")->origin.length, 12);
    put_external_model("./w", NULL, NULL);
    assert_ok(read_external_model());
    assert_str(m->files[1].name, "w");
    const char *bad[] = {"/etc/passwd", "../w",     "a/../../w", "a//b", "..",
                         "a/.",         "a\\..\\b", "",          "a/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_external_model(bad[i], NULL, NULL);
        REFUSED(FORMAT, "only relative paths below the model's folder");
    }
    put_external_model(NULL, NULL, NULL);
    REFUSED(FORMAT, "tensor 'w': external data in ''");
    put_external_model("w", NULL, "13");
    REFUSED(FORMAT, "its shape needs 12 bytes, its external data has 13");
}

/* --- recognition --- */

static bool sniffs(struct span s) {
    struct span head = {s.p, s.n < 65536 ? s.n : 65536};
    return sniff_onnx(head, s.n);
}

static void only_onnx_is_recognised(void **state) {
    (void)state;
    make_small_model(&b);
    assert_true(sniffs(make_span(&b)));
    struct span cut = make_span(&b);
    cut.n -= 20; /* the graph runs out of the file: still said to be ONNX, so that the error can say
                    what is wrong */
    assert_true(sniffs(cut));
    const char *others[] = {"GGUF\3",
                            "PK\3\4",
                            "\x89HDF\r\n",
                            "{\"a\":1}",
                            "",
                            "\x08\x08",
                            "\x08\x01\x12\x02xx",
                            "\x80\x02}q",
                            "MZ",
                            "\x7f"
                            "ELF"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(sniffs((struct span){(const uint8_t *)others[i], strlen(others[i])}));
    buf_clear(&b);
    size_t g = make_model(&b, 8, 17);
    static const uint8_t big[100000];
    make_raw(&b, G_INIT, "w", 2, "100000", big, sizeof big);
    pb_put_end(&b, g);
    assert_true(sniffs(make_span(&b)));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, drop)
    const struct CMUnitTest tests[] = {
        T(a_small_model),
        T(versions_are_checked),
        T(unknown_operators_are_named),
        T(names_must_be_made_once),
        T(cycles_are_found),
        T(unsorted_nodes_are_sorted),
        T(weights_listed_as_inputs),
        T(absent_names_and_value_info),
        T(constant_nodes_become_constants),
        T(attribute_kinds),
        T(subgraphs_four_deep_capture),
        T(functions_are_written_out),
        T(functions_call_functions),
        T(functions_cannot_explode),
        T(a_body_may_pass_its_input_through),
        T(external_data_is_a_range_of_another_file),
        T(only_onnx_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

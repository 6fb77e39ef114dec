/* SPDX-License-Identifier: Apache-2.0 */
/* Prints an imported model, one fact per line, for compare_onnx.py: what Python's onnx package says
 * of the same file must be the same lines.
 * usage: onnx_dump [--wire] FILE      --wire: its wire form instead (tests/fuzz/make_corpus.py) */
#include "base/hash.h"
#include "format/format.h"

#include <stdio.h>

static void print_hash(struct span bytes) {
    uint8_t digest[SHA256_BYTES];
    char text[SHA256_HEX + 1];
    sha256_of(bytes, digest);
    hex_put(digest, 8, text);
    printf("%s", text);
}

static void print_tensor(const struct tensor *t) {
    char text[SHAPE_TEXT];
    printf("%s %s ", dtype_name(t->dtype), shape_print(&t->shape, text));
    if (t->dtype != DT_STRING) {
        print_hash((struct span){t->data, tensor_bytes(t)});
        return;
    }
    struct buf b;
    buf_init(&b, (size_t)-1);
    for (size_t i = 0; i < tensor_count(t); i++) {
        buf_put_str(&b, ((const struct str *)t->data)[i]);
        buf_put_byte(&b, '\n');
    }
    print_hash((struct span){(const uint8_t *)b.p, b.n});
    buf_deinit(&b);
}

static void print_graph(const struct graph *g);

static void print_attr(const struct attr *a) {
    printf("  attr %.*s", STR(a->name));
    switch (a->kind) {
    case ATTR_INT: printf(" %lld", (long long)a->i); break;
    case ATTR_FLOAT: printf(" %.9g", (double)a->f); break;
    case ATTR_STR: printf(" '%.*s'", STR(a->s)); break;
    case ATTR_INTS:
        for (size_t i = 0; i < a->n; i++)
            printf(" %lld", (long long)a->ints[i]);
        break;
    case ATTR_FLOATS:
        for (size_t i = 0; i < a->n; i++)
            printf(" %.9g", (double)a->floats[i]);
        break;
    case ATTR_STRS:
        for (size_t i = 0; i < a->n; i++)
            printf(" '%.*s'", STR(a->strs[i]));
        break;
    case ATTR_TENSOR:
        printf(" ");
        print_tensor(a->tensor);
        break;
    default: break;
    }
    printf("\n");
    if (a->kind == ATTR_GRAPH)
        print_graph(a->graph);
}

static struct str name_of(const struct graph *g, value_id v) {
    return v == VALUE_NONE ? (struct str){0} : g->values[v].name;
}

static void print_ids(const char *what, const struct graph *g, const value_id *ids, int n) {
    printf("%s", what);
    for (int i = 0; i < n; i++)
        printf(" [%.*s]", STR(name_of(g, ids[i])));
    printf("\n");
}

static void print_graph(const struct graph *g) {
    print_ids("inputs", g, g->inputs, g->n_inputs);
    print_ids("outputs", g, g->outputs, g->n_outputs);
    for (int v = 0; v < g->n_values; v++) {
        if (!g->values[v].constant)
            continue;
        printf("constant [%.*s] ", STR(g->values[v].name));
        print_tensor(g->values[v].constant);
        printf("\n");
    }
    for (int n = 0; n < g->n_nodes; n++) {
        const struct node *node = &g->nodes[n];
        printf("node %.*s %.*s %d\n", STR(node->op_type), STR(node->domain), node->opset);
        print_ids("  in", g, node->in, node->n_in);
        print_ids("  out", g, node->out, node->n_out);
        for (int a = 0; a < node->n_attrs; a++)
            print_attr(&node->attrs[a]);
    }
    printf("end\n");
}

static int print_wire(const struct model *m) {
    struct buf b;
    struct err e;
    buf_init(&b, (size_t)1 << 30);
    if (wire_put(m, &b, &e) == OK)
        fwrite(b.p, 1, b.n, stdout);
    buf_deinit(&b);
    return 0;
}

static int print_model(const struct import *i) {
    printf("files %d nodes %d parameters %llu opset %d ir %d\n", i->n_files,
           graph_total_nodes(i->model->main), (unsigned long long)model_parameters(i->model),
           i->model->opset, i->model->ir_version);
    print_graph(i->model->main);
    return 0;
}

int main(int argc, char **argv) {
    struct format_limits limits = {0};
    struct import i;
    struct err e;
    if (argc < 2)
        return 64;
    if (import_open(argv[argc - 1], &limits, &i, &e) != OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    int status = strcmp(argv[1], "--wire") == 0 ? print_wire(i.model) : print_model(&i);
    import_close(&i);
    return status;
}

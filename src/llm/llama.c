/* SPDX-License-Identifier: Apache-2.0 */
/* Llama 2 and 3, and who copied them: SmolLM2, Mistral (with a window), Mixtral (with experts,
 * whose chosen weights sum to 1). The common block as it is. */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)e;
    b->experts_normed = true;
    return OK;
}

const struct arch arch_llama = {.name = "llama", .plan = plan};

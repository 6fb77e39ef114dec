/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-MoE: Qwen3 with experts; the weights of the chosen ones sum to 1. */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)e;
    b->experts_normed = f->norm_experts;
    return OK;
}

const struct arch arch_qwen3moe = {.name = "qwen3moe", .plan = plan};

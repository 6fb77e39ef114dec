/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen1.5-MoE and Qwen2-MoE: experts whose weights are the router's softmax as it is, and beside
 * them one that every row meets, weighed by a sigmoid. Its width is the fact expert_shared_ffn. */
#include "llm/arch.h"

static enum code plan(const struct llm_facts *f, struct blueprint *b, struct err *e) {
    (void)f, (void)e;
    b->experts_normed = false;
    return OK;
}

const struct arch arch_qwen2moe = {.name = "qwen2moe", .plan = plan};

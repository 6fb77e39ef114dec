/* SPDX-License-Identifier: Apache-2.0 */
/* Every architecture of language models: ARCH(name) is arch_name in name.c. */
ARCH(llama) /* and SmolLM2, Mistral, Mixtral */
ARCH(qwen2)
ARCH(qwen2moe)
ARCH(qwen3)
ARCH(qwen3moe)
ARCH(gemma3)
ARCH(phi3)
ARCH(bert)

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a process that will end soon. A page of 4 KiB costs 1.2 us to touch first and 0.25 us
 * to give back, a huge page 80 us (docs/measurements/graph-engine.md): a start that touches some
 * hundred small ones takes them out of a few large ones instead. What is taken is never given back
 * but by the end of the process, so a program that stays does not open one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From now on arenas take their memory here, until `bytes` of addresses are used up. Once; nothing
 * changes where the system does not give them. */
void nursery_open(size_t bytes);
bool nursery_is_open(void);
/* Zeroed, at a multiple of MEM_LINE; NULL: there is no nursery, or it is full. From any thread. */
void *nursery_take(size_t bytes);
bool nursery_has(const void *p);

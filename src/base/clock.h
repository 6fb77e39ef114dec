/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Monotonic for durations and deadlines, wall for what people read. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t clock_ns(void);             /* monotonic */
uint64_t clock_cpu_ns(void);         /* what this thread computed; a system call */
uint64_t clock_wall_us(void);        /* microseconds since 1970 */
uint64_t clock_wall_coarse_us(void); /* the same, a few ms old, at a fifth of the price */

enum { CLOCK_TEXT = 32 };
/* "2026-11-23T14:05:09.123456Z"; returns its length. */
size_t clock_print(uint64_t wall_us, char text[CLOCK_TEXT]);

/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest decimal text that reads back as the same float, nearest to it where several are as
 * short. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHORTEST_ROOM = 32 };

/* Write at out, without a NUL, and return the end. At most 24 bytes are meaningful, but up to
 * SHORTEST_ROOM may be written. Plain notation from 1e-4 to below 1e16, else like 1.5e-7; whole
 * numbers end in ".0"; NaN, Infinity, -Infinity. */
char *shortest_f32(float v, char *out);
char *shortest_f64(double v, char *out);
char *shortest_u64(uint64_t v, char *out); /* 1 to 20 digits */
char *shortest_i64(int64_t v, char *out);

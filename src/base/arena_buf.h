/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers that end with an arena. The memory of ended ones is kept by the thread that ended them
 * for the next it begins: a steady server allocates nothing. What is large goes back at once. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum { ARENA_BUF_KEPT_BYTES = 64 << 10 }; /* larger ones are not kept */

/* Room for `reserve` bytes, cap_bytes at most; NULL (and *e) when out of memory. */
struct buf *arena_buf(struct arena *a, size_t cap_bytes, size_t reserve, const char *what,
                      struct err *e);
void arena_buf_forget(void); /* lets go of what this thread keeps */

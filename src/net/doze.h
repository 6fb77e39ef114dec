/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that goes back to the system while its owner rests, and stands at the same addresses when
 * it wakes: what is not zero is kept aside, in few bytes when little is. For the state of libraries
 * that can neither be written down nor made anew, of connections that are many and mostly idle.
 * Owned by one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct doze {
    uint64_t *base; /* owned, a mapping; NULL: there is none, and nothing ever sleeps */
    size_t room, used;
    uint64_t *kept; /* owned; NULL: awake */
};

bool doze_open(struct doze *d, size_t room); /* false: no memory; d is empty and may be used */
void doze_close(struct doze *d);
/* Zeroed, aligned for anything, until doze_close; NULL: no room. Awake only. */
void *doze_take(struct doze *d, size_t bytes);
/* Bytes of d from p on; 0: p is not of d. */
size_t doze_after(const struct doze *d, const void *p);
bool doze_sleep(struct doze *d); /* false: no memory to keep it, stays awake */
void doze_wake(struct doze *d);  /* nothing when awake */

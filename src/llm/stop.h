/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings across the borders of tokens: text that may yet become a stop string is held back,
 * so that no part of one is ever sent. */
#pragma once

#include "base/str.h"

enum { STOP_STRINGS = 16, STOP_BYTES = 1024 }; /* of one request; of one string */

/* held: text made and not yet sent. Returns how many of its bytes may be sent. *found: which stop
 * string begins there (the earliest, the longest of those), or n. */
size_t stop_scan(const struct str *stops, size_t n, struct str held, size_t *found);

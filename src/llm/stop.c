/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings: see stop.h. held is never longer than the longest stop string and one token, so
 * comparing at each byte is enough. */
#include "llm/stop.h"

size_t stop_scan(const struct str *stops, size_t n, struct str held, size_t *found) {
    size_t safe = held.n;
    *found = n;
    for (size_t at = 0; at < held.n && *found == n; at++)
        for (size_t i = 0; i < n; i++) {
            size_t left = held.n - at, most = stops[i].n < left ? stops[i].n : left;
            if (most == 0 || memcmp(held.p + at, stops[i].p, most) != 0)
                continue;
            if (at < safe)
                safe = at;
            if (most == stops[i].n && (*found == n || stops[i].n > stops[*found].n))
                *found = i;
        }
    if (*found == n)
        return safe;
    for (size_t at = 0;; at++) /* a longer one may have begun before and not have been the end */
        if (held.n - at >= stops[*found].n &&
            memcmp(held.p + at, stops[*found].p, stops[*found].n) == 0)
            return at;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ranking: see rank.h. A heap of the k best so far whose root is the worst of them. */
#include "serve/rank.h"

#include <math.h>

static bool worse(struct ranked a, struct ranked b) {
    if (isnan(a.score) != isnan(b.score))
        return isnan(a.score);
    if (!isnan(a.score) && a.score != b.score)
        return a.score < b.score;
    return a.index > b.index;
}

static void sift_down(struct ranked *heap, size_t n, size_t at) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], heap[at]))
            return;
        struct ranked swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

void rank_top(const struct tensor *t, size_t from, size_t n, struct ranked *out, size_t k) {
    if (k == 0)
        return;
    for (size_t i = 0; i < k; i++)
        out[i] = (struct ranked){i, tensor_f64(t, from + i)};
    for (size_t i = k / 2; i-- > 0;)
        sift_down(out, k, i);
    for (size_t i = k; i < n; i++) {
        struct ranked one = {i, tensor_f64(t, from + i)};
        if (worse(out[0], one)) {
            out[0] = one;
            sift_down(out, k, 0);
        }
    }
    for (size_t left = k; left > 1; left--) { /* the worst of those left goes behind them */
        struct ranked last = out[left - 1];
        out[left - 1] = out[0];
        out[0] = last;
        sift_down(out, left - 1, 0);
    }
}

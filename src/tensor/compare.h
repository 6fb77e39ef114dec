/* SPDX-License-Identifier: Apache-2.0 */
/* How far two tensors differ: what tests, bench --compare and quality reports print. */
#pragma once

#include "tensor/tensor.h"

struct compare {
    size_t count, different; /* elements; different beyond the tolerance */
    double max_abs, max_rel; /* rel: |a-b| / max(|a|,|b|,1e-12) */
    double rms, cosine;
    size_t worst; /* index of max_abs */
};
/* within: |a-b| <= absolute + relative*|b|; NaN equals NaN. INVALID when type or shape differ. */
MUST_USE enum code compare_tensors(const struct tensor *a, const struct tensor *b, double relative,
                                   double absolute, struct compare *out, struct err *e);

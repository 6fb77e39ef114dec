/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine can do at most, measured now: what the shares of `bench --profile` are of. */
#pragma once

#include "base/err.h"
#include "tensor/dtype.h"

struct peak {
    int threads;
    double f32, bf16, i8; /* operations a second, 2 per multiply-add */
    double read;          /* bytes a second from memory, not from caches */
};
/* Under half a second, all of it busy. */
MUST_USE enum code peak_measure(int threads, struct peak *out, struct err *e);
/* The one of multiplications of elements of this type. */
double peak_of(const struct peak *p, enum dtype computes);

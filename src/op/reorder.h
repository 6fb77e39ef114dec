/* SPDX-License-Identifier: Apache-2.0 */
/* From one layout to another. */
#pragma once

#include "tensor/tensor.h"

/* to has from's type and shape; layouts may be equal. */
void reorder_tensor(const struct tensor *from, const struct tensor *to, int threads);
/* PLAIN (n, c, s) to channels last (n, s, c), elements of `bytes` (1, 2, 4, 8, 16); and back by
 * exchanging c and s. */
void reorder_planes(const void *from, void *to, size_t n, size_t c, size_t s, size_t bytes,
                    int threads);

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: npy_read stays inside its bytes; what it accepts, npy_put writes back and it re-reads
 * equal. */
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct tensor t, again;
    struct err e;
    struct buf b;
    arena_init(&a, 16 << 20);
    buf_init(&b, 32 << 20);
    if (npy_read((struct span){data, size}, &a, &t, &e) == OK && npy_put(&t, &b, &e) == OK) {
        if (npy_read((struct span){(const uint8_t *)b.p, b.n}, &a, &again, &e) == OK) {
            if (again.dtype != t.dtype || !shape_eq(&again.shape, &t.shape))
                abort();
            if (t.dtype != DT_STRING && tensor_bytes(&t) &&
                memcmp(t.data, again.data, tensor_bytes(&t)) != 0)
                abort();
        }
    }
    buf_deinit(&b);
    arena_deinit(&a);
    return 0;
}

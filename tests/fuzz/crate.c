/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: crates. Whatever one says it has lies within its bytes, all of which are read, and is found
 * by its name or not at all. */
#include "plan/crate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum_of(const struct crate_item *x) {
    unsigned sum = 0;
    for (uint64_t i = 0; i < x->bytes; i++)
        sum += ((const uint8_t *)x->data)[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { LOOKED_AT = 64 }; /* all items may be the same large piece */
    uint8_t *copy = malloc(size ? size : 1);
    volatile unsigned sum = 0;
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    const struct crate c = crate_open((struct span){copy, size});
    for (size_t k = 0; k < c.n && k < LOOKED_AT; k++) {
        const struct crate_item x = crate_at(&c, k);
        const void *found = crate_find(&c, &x);
        sum += sum_of(&x);
        if ((x.bytes && !crate_holds(&c, x.data)) || (found && x.bytes && !crate_holds(&c, found)))
            abort();
    }
    free(copy);
    return 0;
}

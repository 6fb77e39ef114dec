/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: whatever a JPEG or PNG says, its pixels stay under the cap and all are written. */
#include "serve/image.h"

#include <limits.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { CAP = 1 << 16 };
    struct image i = {0};
    struct err e;
    unsigned sum = 0;
    if (image_decode((struct span){data, size}, CAP, &i, &e) != OK)
        return 0;
    if (i.width <= 0 || i.height <= 0 || (size_t)i.width * (size_t)i.height > CAP)
        abort();
    for (size_t at = 0; at < (size_t)i.width * (size_t)i.height * 3; at++)
        sum += i.pixels[at];
    image_free(&i);
    return sum > UINT_MAX - 1 ? -1 : 0; /* so that reading them is not left out */
}

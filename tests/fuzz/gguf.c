/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the GGUF reader and everything a file passes through on its way to a verified model,
 * and what is made of it (import_language.h). */
#include "import_language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = {data, size};
    struct err e = {0};
    (void)!format_sniff(bytes, size);
    enum code code = import_bytes_as(&format_gguf, bytes, language_try, &e);
    MUST(code == OK || code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
         code == ERR_TOO_LARGE);
    return 0;
}

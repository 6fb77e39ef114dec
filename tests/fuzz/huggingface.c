/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of transformers' folders: config.json, tokenizer.json and the weights' header
 * (import_language.h says how one input is all of them), and what is made of them. */
#include "import_language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct import_file files[LANGUAGE_FILES];
    struct err e = {0};
    language_folder((struct span){data, size}, files);
    enum code code = import_bytes_files(
        &format_huggingface, &(struct import_bytes){files, LANGUAGE_FILES, language_try}, &e);
    MUST(code == OK || code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
         code == ERR_TOO_LARGE || code == ERR_NOT_FOUND || code == ERR_INVALID);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of transformers' folders: config.json, tokenizer.json and the weights' header.
 * An input is the three files with a NUL between each and the next. */
#include "import_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span cut(struct span *rest) {
    const uint8_t *end = rest->n ? memchr(rest->p, 0, rest->n) : NULL;
    struct span part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t used = part.n + (end != NULL);
    *rest = (struct span){rest->p + used, rest->n - used};
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct import_file files[] = {{.name = {"config.json", 11}},
                                         {.name = {"tokenizer.json", 14}},
                                         {.name = {"tokenizer_config.json", 21}},
                                         {.name = {"model.safetensors", 17}}};
    struct span rest = {data, size};
    struct err e = {0};
    files[0].bytes = cut(&rest);
    files[1].bytes = files[2].bytes = cut(&rest); /* one text as both */
    files[3].bytes = rest;
    enum code code = import_bytes_files(&format_huggingface, files, 4, &e);
    MUST(code == OK || code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
         code == ERR_TOO_LARGE || code == ERR_NOT_FOUND || code == ERR_INVALID);
    return 0;
}

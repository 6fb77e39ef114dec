/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the ONNX reader and everything a file passes through on its way to a verified model
 * (import_bytes.h), and the readers of stand-alone tensors on the same bytes. */
#include "import_bytes.h"

#include "format/onnx_tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum code read_fn(struct span file, struct arena *a, struct tensor *out, struct err *e);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static read_fn *const readers[] = {onnx_tensor_read, onnx_tensor_read_sequence,
                                       onnx_tensor_read_optional};
    struct span bytes = {data, size};
    struct err e = {0};
    (void)!format_sniff(bytes, size);
    enum code code = import_bytes(bytes, &e);
    MUST(code == OK || code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
         code == ERR_TOO_LARGE);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        struct arena a;
        struct tensor t;
        arena_init(&a, IMPORT_CAP);
        if (readers[i](bytes, &a, &t, &e) == OK && t.dtype != DT_SEQUENCE)
            (void)import_bytes_sum(&t);
        arena_deinit(&a);
    }
    return 0;
}

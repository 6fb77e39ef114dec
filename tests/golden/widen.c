/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a GGUF type on standard input to floats on standard output: widen TYPE (q4_k, f16,
 * ...). */
#include "kernel/packed.h"
#include "tensor/dtype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum block_type type;
} types[] = {{"q4_0", BLOCK_Q4_0},  {"q4_1", BLOCK_Q4_1},     {"q5_0", BLOCK_Q5_0},
             {"q5_1", BLOCK_Q5_1},  {"q8_0", BLOCK_Q8_0},     {"q2_k", BLOCK_Q2_K},
             {"q3_k", BLOCK_Q3_K},  {"q4_k", BLOCK_Q4_K},     {"q5_k", BLOCK_Q5_K},
             {"q6_k", BLOCK_Q6_K},  {"iq4_nl", BLOCK_IQ4_NL}, {"iq4_xs", BLOCK_IQ4_XS},
             {"mxfp4", BLOCK_MXFP4}};

static void widen_halves(float (*widen)(uint16_t bits)) {
    uint16_t x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        float y = widen(x);
        fwrite(&y, sizeof y, 1, stdout);
    }
}

static void widen_blocks(enum block_type type) {
    const struct block_form *f = block_form(type);
    uint8_t block[256];
    float y[256];
    while (fread(block, (size_t)f->bytes, 1, stdin) == 1) {
        block_widen(type, block, (size_t)f->block, y);
        fwrite(y, sizeof *y, (size_t)f->block, stdout);
    }
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(argv[1], types[i].name) == 0) {
            widen_blocks(types[i].type);
            return 0;
        }
    if (argc != 2 || (strcmp(argv[1], "f16") != 0 && strcmp(argv[1], "bf16") != 0))
        return 2;
    widen_halves(strcmp(argv[1], "f16") == 0 ? dtype_f16_to_f32 : dtype_bf16_to_f32);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* 4- and 2-bit elements: from several per byte to one. */
#include "tensor/nibble.h"

#include "base/mem.h"

int nibble_bits(enum dtype t) {
    switch (t) {
    case DT_I4:
    case DT_U4:
    case DT_F4E2M1: return 4;
    case DT_I2:
    case DT_U2: return 2;
    default: return 0;
    }
}

bool nibble_bytes(enum dtype t, size_t count, size_t *out) {
    size_t per_byte = nibble_bits(t) ? 8 / (size_t)nibble_bits(t) : 1;
    if (per_byte > 1) {
        *out = count / per_byte + (count % per_byte != 0);
        return true;
    }
    return count % dtype_block(t) == 0 &&
           mul_size(count / dtype_block(t), dtype_block_bytes(t), out);
}

void nibble_open(enum dtype t, void *out, const uint8_t *in, size_t count) {
    const size_t bits = (size_t)nibble_bits(t), per_byte = 8 / bits;
    const int unused = 8 - (int)bits;
    const bool with_sign = t == DT_I4 || t == DT_I2;
    uint8_t *to = out;
    for (size_t i = 0; i < count; i++) {
        /* Moved to the top of the byte, then back down by a shift that knows about signs or does
         * not. */
        uint8_t high = (uint8_t)(in[i / per_byte] >> (i % per_byte * bits) << unused);
        int value = with_sign ? (int8_t)high >> unused : high >> unused;
        to[i] = (uint8_t)(value & 0xff);
    }
}

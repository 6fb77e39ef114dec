/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the protobuf reader: every field is looked at in every way its wire type allows, nested
 * messages to a depth, and a message that reads well is written again field by field and must read
 * the same. */
#include "base/pb.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 1 << 22, DEPTH = 6 };

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void look(const struct pb_field *f, struct buf *numbers) {
    struct err e;
    int64_t integer;
    float single;
    double wide;
    struct str text;
    MUST((pb_i64(f, &integer, &e) == OK) == (f->wire == PB_VARINT));
    MUST((pb_f32(f, &single, &e) == OK) == (f->wire == PB_I32));
    MUST((pb_f64(f, &wide, &e) == OK) == (f->wire == PB_I64));
    MUST((pb_str(f, &text, &e) == OK) == (f->wire == PB_LEN));
    enum code (*const many[])(const struct pb_field *, struct buf *,
                              struct err *) = {pb_i64s, pb_u64s, pb_f32s, pb_f64s};
    for (int way = 0; way < 4; way++) {
        buf_clear(numbers);
        if (many[way](f, numbers, &e) != OK)
            MUST(numbers->n == 0 && (e.code == ERR_FORMAT || e.code == ERR_TOO_LARGE));
    }
}

static void put_field(const struct pb_field *f, struct buf *out) {
    float single;
    double wide;
    switch (f->wire) {
    case PB_VARINT: pb_put_u64(out, f->number, f->value); break;
    case PB_I32:
        memcpy(&single, &f->value, sizeof single);
        pb_put_f32(out, f->number, single);
        break;
    case PB_I64:
        memcpy(&wide, &f->value, sizeof wide);
        pb_put_f64(out, f->number, wide);
        break;
    case PB_LEN: pb_put_bytes(out, f->number, f->bytes.p, f->bytes.n); break;
    }
}

/* Reads a message, looks at its fields, writes it to *out. */
static enum code copy(struct span bytes, int depth, struct buf *out, struct buf *numbers,
                      struct err *e) {
    struct pb r, sub;
    struct pb_field f;
    bool more;
    pb_init(&r, bytes);
    for (;;) {
        TRY(pb_next(&r, &f, &more, e));
        if (!more)
            return OK;
        look(&f, numbers);
        put_field(&f, out);
        struct buf nested;
        buf_init(&nested, CAP);
        if (depth < DEPTH && pb_sub(&f, &sub, e) == OK)
            (void)!copy(f.bytes, depth + 1, &nested, numbers, e);
        buf_deinit(&nested);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf first, second, numbers;
    struct err e;
    buf_init(&first, CAP);
    buf_init(&second, CAP);
    buf_init(&numbers, CAP);
    if (copy((struct span){data, size}, 0, &first, &numbers, &e) == OK) {
        MUST(first.code == OK);
        MUST(copy((struct span){(const uint8_t *)first.p, first.n}, DEPTH, &second, &numbers, &e) ==
             OK);
        MUST(str_eq(buf_str(&first), buf_str(&second)));
    } else
        MUST(e.code == ERR_FORMAT || e.code == ERR_LIMIT);
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&numbers);
    return 0;
}

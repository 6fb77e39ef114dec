/* SPDX-License-Identifier: Apache-2.0 */
/* Strided copies. A copy is first simplified (dims of 1 dropped, neighbours that continue each
 * other joined), then one of four inner loops runs over what remains. The innermost dim is dense on
 * both sides: memcpy. It repeats one element: fill. It is dense in `to` while another dim is dense
 * in `from`: the transpose kernel over both. Anything else: element by element. */
#include "op/stride.h"

#include "kernel/kernel.h"

#include <string.h>

enum { STRIDE_PARALLEL_BYTES = 256 << 10 };

/* Elements of each size that may lie anywhere and hold anything. */
typedef uint8_t __attribute__((may_alias)) any8;
typedef uint16_t __attribute__((may_alias, aligned(1))) any16;
typedef uint32_t __attribute__((may_alias, aligned(1))) any32;
typedef uint64_t __attribute__((may_alias, aligned(1))) any64;

void stride_push(struct stride *s, int64_t dim, int64_t to, int64_t from) {
    s->dims[s->rank] = dim;
    s->to[s->rank] = to;
    s->from[s->rank++] = from;
}

void stride_dense(struct stride *s) {
    int64_t step = 1;
    for (int k = s->rank - 1; k >= 0; k--) {
        s->to[k] = step;
        step *= s->dims[k];
    }
}

/* Joins dims; false when there is nothing to copy. */
static bool simplify(const struct stride *s, struct stride *out) {
    out->rank = 0;
    for (int k = 0; k < s->rank; k++) {
        if (s->dims[k] == 0)
            return false;
        if (s->dims[k] == 1)
            continue;
        int last = out->rank - 1;
        if (last >= 0 && out->to[last] == s->to[k] * s->dims[k] &&
            out->from[last] == s->from[k] * s->dims[k]) {
            out->dims[last] *= s->dims[k];
            out->to[last] = s->to[k];
            out->from[last] = s->from[k];
        } else {
            stride_push(out, s->dims[k], s->to[k], s->from[k]);
        }
    }
    if (out->rank == 0)
        stride_push(out, 1, 1, 1);
    return true;
}

void stride_fill(void *to, const void *element, size_t element_bytes, size_t count) {
    char *p = to;
    if (count == 0 || element_bytes == 0)
        return;
    if (element_bytes == 1) {
        memset(p, *(const unsigned char *)element, count);
        return;
    }
    memmove(p, element, element_bytes);
    for (size_t done = 1; done < count;) { /* doubling */
        size_t more = done < count - done ? done : count - done;
        memcpy(p + done * element_bytes, p, more * element_bytes);
        done += more;
    }
}

#define GATHER_ROW(name, type)                                                                     \
    static void gather_row_##name(char *to, int64_t to_step, const char *from, int64_t from_step,  \
                                  int64_t n) {                                                     \
        type *d = (type *)to;                                                                      \
        const type *s = (const type *)from;                                                        \
        for (int64_t k = 0; k < n; k++)                                                            \
            d[k * to_step] = s[k * from_step];                                                     \
    }
GATHER_ROW(8, any8)
GATHER_ROW(16, any16)
GATHER_ROW(32, any32)
GATHER_ROW(64, any64)

static void copy_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n,
                     size_t bytes) {
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, (size_t)n * bytes);
        return;
    }
    if (to_step == 1 && from_step == 0) {
        stride_fill(to, from, bytes, (size_t)n);
        return;
    }
    switch (bytes) {
    case 1: gather_row_8(to, to_step, from, from_step, n); return;
    case 2: gather_row_16(to, to_step, from, from_step, n); return;
    case 4: gather_row_32(to, to_step, from, from_step, n); return;
    case 8: gather_row_64(to, to_step, from, from_step, n); return;
    default:
        for (int64_t k = 0; k < n; k++)
            memcpy(to + k * to_step * (int64_t)bytes, from + k * from_step * (int64_t)bytes, bytes);
    }
}

/* What one step of the outer loop does: a row, or a matrix turned over. */
struct inner {
    int row;    /* the dim that is dense in `to` */
    int turned; /* the dim that is dense in `from`, -1: no turning */
    size_t bytes;
};

static void inner_step(const struct stride *s, const struct inner *in, char *to, const char *from) {
    if (in->turned < 0) {
        copy_row(to, s->to[in->row], from, s->from[in->row], s->dims[in->row], in->bytes);
        return;
    }
    transpose_fn *turn = kernel_transpose(in->bytes);
    turn((size_t)s->dims[in->row], (size_t)s->dims[in->turned], from, (size_t)s->from[in->row], to,
         (size_t)s->to[in->turned]);
}

/* Moves the dim at `at` to the end, so that the outer loop runs over the dims before. */
static void move_last(struct stride *s, int at) {
    struct stride old = *s;
    s->rank = 0;
    for (int k = 0; k < old.rank; k++)
        if (k != at)
            stride_push(s, old.dims[k], old.to[k], old.from[k]);
    stride_push(s, old.dims[at], old.to[at], old.from[at]);
}

/* Decides the inner loop and reorders s so that its dims come last. */
static struct inner choose_inner(struct stride *s, size_t bytes) {
    struct inner in = {.row = s->rank - 1, .turned = -1, .bytes = bytes};
    bool movable = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    if (!movable || s->to[s->rank - 1] != 1 || s->from[s->rank - 1] <= 1)
        return in;
    for (int k = 0; k < s->rank - 1; k++) {
        if (s->from[k] != 1)
            continue;
        move_last(s, k);
        in.row = s->rank - 2;
        in.turned = s->rank - 1;
        return in;
    }
    return in;
}

/* Steps [first, last) of the outer loop over dims [0, outer). */
static void copy_steps(const struct stride *s, int outer, const struct inner *in, int64_t first,
                       int64_t last, char *to, const char *from) {
    int64_t at[STRIDE_MAX] = {0}, rest = first, b = (int64_t)in->bytes;
    for (int k = outer - 1; k >= 0; k--) {
        at[k] = rest % s->dims[k];
        rest /= s->dims[k];
        to += at[k] * s->to[k] * b;
        from += at[k] * s->from[k] * b;
    }
    for (int64_t step = first; step < last; step++) {
        inner_step(s, in, to, from);
        for (int k = outer - 1; k >= 0; k--) {
            to += s->to[k] * b;
            from += s->from[k] * b;
            if (++at[k] < s->dims[k])
                break;
            to -= s->to[k] * s->dims[k] * b;
            from -= s->from[k] * s->dims[k] * b;
            at[k] = 0;
        }
    }
}

void stride_copy(const struct stride *whole, void *to, const void *from, size_t element_bytes,
                 int threads) {
    struct stride s;
    if (element_bytes == 0 || !simplify(whole, &s))
        return;
    struct inner in = choose_inner(&s, element_bytes);
    int outer = in.turned < 0 ? s.rank - 1 : s.rank - 2;
    int64_t steps = 1, total = 1;
    for (int k = 0; k < s.rank; k++)
        total *= s.dims[k];
    for (int k = 0; k < outer; k++)
        steps *= s.dims[k];
    if ((size_t)total * element_bytes < STRIDE_PARALLEL_BYTES || steps < threads)
        threads = 1;
    if (threads <= 1) {
        copy_steps(&s, outer, &in, 0, steps, to, from);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int part = 0; part < threads; part++)
        copy_steps(&s, outer, &in, steps * part / threads, steps * (part + 1) / threads, to, from);
}

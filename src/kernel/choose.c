/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of kernels: list.h expanded into rows, the best usable row of each slot put into one
 * set.
 *
 * Immutable after the first call of kernel_set (which any thread may make). */
#include "kernel/kernel.h"

#include <pthread.h>
#include <string.h>

static const struct kernel_row rows[] = {
#define SLOT(type, name, ulp, small)                                                               \
    {#name, "scalar", offsetof(struct kernel_set, name), 0, 0, (void (*)(void))name##_scalar},
#define KERNEL(name, isa, flags, score)                                                            \
    {#name, #isa, offsetof(struct kernel_set, name), flags, score, (void (*)(void))name##_##isa},
#include "kernel/list.h"
#undef SLOT
#undef KERNEL
};

size_t kernel_rows(const struct kernel_row **out) {
    *out = rows;
    return sizeof rows / sizeof rows[0];
}

void kernel_choose(unsigned flags, struct kernel_set *out) {
    int best[sizeof *out / sizeof(void (*)(void))];
    memset(best, -1, sizeof best);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct kernel_row *r = &rows[i];
        size_t slot = r->slot / sizeof r->fn;
        if ((r->flags & ~flags) != 0 || r->score <= best[slot])
            continue;
        best[slot] = r->score;
        memcpy((char *)out + r->slot, &r->fn, sizeof r->fn);
    }
}

static struct kernel_set chosen; /* immutable after choose_once */
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

static void choose(void) { kernel_choose(cpu_flags(), &chosen); }

const struct kernel_set *kernel_set(void) {
    pthread_once(&choose_once, choose);
    return &chosen;
}

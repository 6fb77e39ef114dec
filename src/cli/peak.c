/* SPDX-License-Identifier: Apache-2.0 */
/* A short probe: every thread multiplies and adds in registers, or reads memory that no cache
 * holds, at the same time as the others. The best of a few turns counts. */
#include "cli/peak.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernel/kernel.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

enum { TURNS = 3, TURN_NS = 15000000, THREADS_MAX = 256, HUGE_PAGE = 2 << 20, PIECE = 1 << 14 };
static const size_t READ_BYTES = (size_t)96 << 20; /* of one thread */

struct probe {         /* of one thread */
    strain_fn *strain; /* NULL: reads instead */
    const float *memory;
    _Atomic int *waiting; /* threads that have not begun */
    double per_second;
};

static double strain(strain_fn *fn) {
    size_t rounds = 1000;
    double operations = 0;
    uint64_t began = clock_ns(), now;
    do {
        operations += fn(rounds);
        now = clock_ns();
    } while (now - began < TURN_NS);
    return operations / ((double)(now - began) * 1e-9);
}

static volatile float sink; /* what was read was wanted */

static double read_through(const float *memory) {
    const struct kernel_set *k = kernel_set();
    size_t n = READ_BYTES / sizeof *memory;
    float sum = 0;
    uint64_t began = clock_ns();
    for (size_t i = 0; i < n; i += PIECE)
        sum += k->top_f32(PIECE, memory + i);
    sink = sum;
    return (double)READ_BYTES / ((double)(clock_ns() - began) * 1e-9);
}

static void *turn(void *arg) {
    struct probe *p = arg;
    atomic_fetch_sub(p->waiting, 1);
    while (atomic_load(p->waiting) > 0) /* all of them busy, or none is measured */
        ;
    p->per_second = p->strain ? strain(p->strain) : read_through(p->memory);
    return NULL;
}

/* One turn of a team; the sum of its threads. */
static enum code team_turn(struct probe *probes, int n, double *sum, struct err *e) {
    pthread_t threads[THREADS_MAX];
    _Atomic int waiting = n;
    enum code code = OK;
    int started = 0;
    for (; started < n && code == OK; started += code == OK) {
        probes[started].waiting = &waiting;
        code = thread_start(&threads[started], "slipway-peak", turn, &probes[started], e);
    }
    atomic_fetch_sub(&waiting, n - started); /* those that could not be started */
    *sum = 0;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        *sum += probes[i].per_second;
    }
    return code;
}

static enum code best(struct probe *probes, int n, double *out, struct err *e) {
    *out = 0;
    for (int k = 0; k < TURNS; k++) {
        double sum;
        TRY(team_turn(probes, n, &sum, e));
        *out = sum > *out ? sum : *out;
    }
    return OK;
}

static enum code best_strain(strain_fn *fn, int n, double *out, struct err *e) {
    struct probe probes[THREADS_MAX];
    for (int i = 0; i < n; i++)
        probes[i] = (struct probe){.strain = fn};
    return best(probes, n, out, e);
}

static enum code best_read(int n, double *out, struct err *e) {
    struct probe probes[THREADS_MAX];
    size_t bytes = READ_BYTES * (size_t)n;
    float *memory = mem_alloc_aligned(bytes, HUGE_PAGE);
    if (!memory)
        return fail(e, NOMEM, "no memory to measure its speed: %zu bytes", bytes);
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
    memset(memory, 0, bytes);
    for (int i = 0; i < n; i++)
        probes[i] = (struct probe){.memory = memory + (size_t)i * (READ_BYTES / sizeof *memory)};
    enum code code = best(probes, n, out, e);
    mem_free(memory);
    return code;
}

enum code peak_measure(int threads, struct peak *out, struct err *e) {
    const struct kernel_set *k = kernel_set();
    int n = threads < THREADS_MAX ? threads : THREADS_MAX;
    *out = (struct peak){.threads = n};
    TRY(best_strain(k->strain_f32, n, &out->f32, e));
    /* without units for bf16 it is computed in f32 */
    TRY(best_strain(cpu_flags() & CPU_BF16 ? k->strain_bf16 : k->strain_f32, n, &out->bf16, e));
    TRY(best_strain(k->strain_i8, n, &out->i8, e));
    return best_read(n < 16 ? n : 16, &out->read, e); /* 16 readers fill any memory's lanes */
}

double peak_of(const struct peak *p, enum dtype computes) {
    switch ((int)computes) {
    case DT_I8:
    case DT_U8: return p->i8;
    case DT_BF16: return p->bf16;
    default: return p->f32;
    }
}

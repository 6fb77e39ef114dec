/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU can do: see cpu.h. Flags come from CPUID together with XCR0 (what the kernel saves
 * on a context switch); AMX besides needs a permission per process (arch_prctl
 * ARCH_REQ_XCOMP_PERM), asked for here once. */
#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#endif

struct level {
    const char *name;
    unsigned flags;
};

enum {
    WITH_AVX2 = CPU_SSE42 | CPU_AVX2,
    WITH_AVX512 = WITH_AVX2 | CPU_AVX512,
    WITH_VNNI = WITH_AVX512 | CPU_VNNI | CPU_AVX_VNNI,
    WITH_BF16 = WITH_VNNI | CPU_BF16,
    WITH_AMX = WITH_BF16 | CPU_AMX,
    WITH_AVX_VNNI = WITH_AVX2 | CPU_AVX_VNNI,
    N_LEVELS = 7
};

static const struct level levels[N_LEVELS] = {
    {"scalar", 0},       {"avx2", WITH_AVX2}, {"avxvnni", WITH_AVX_VNNI}, {"avx512", WITH_AVX512},
    {"vnni", WITH_VNNI}, {"bf16", WITH_BF16}, {"amx", WITH_AMX},
};

static struct {
    unsigned found, mask;
    bool sha;
    char model[64];
    size_t l2_bytes;
} cpu = {.mask = ~0u};
static pthread_once_t once = PTHREAD_ONCE_INIT;

#ifdef __x86_64__

static uint64_t xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool amx_permitted(void) {
    enum { REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, TILE_DATA) == 0;
}

static bool has(uint32_t word, unsigned bit) { return word >> bit & 1; }

/* Intel SDM volume 2A, CPUID leaves 7.0 and 7.1. */
static unsigned flags_of_leaf7(uint64_t saved) {
    uint32_t a, b, c, d, a1, rest;
    bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
    bool tiles = (saved & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    a1 = 0;
    if (a >= 1)
        __get_cpuid_count(7, 1, &a1, &rest, &rest, &rest);
    unsigned flags = 0;
    if (ymm && has(b, 5))
        flags |= CPU_AVX2;
    if (ymm && has(a1, 4))
        flags |= CPU_AVX_VNNI;
    if (!(zmm && has(b, 16) && has(b, 17) && has(b, 28) && has(b, 30) && has(b, 31)))
        return flags;
    flags |= CPU_AVX512;
    if (has(c, 11))
        flags |= CPU_VNNI;
    if (has(a1, 5))
        flags |= CPU_BF16;
    if (tiles && has(d, 22) && has(d, 24) && has(d, 25) && amx_permitted())
        flags |= CPU_AMX;
    return flags;
}

static unsigned detect(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    unsigned flags = has(c, 20) ? CPU_SSE42 : 0;
    bool fma = has(c, 12), f16c = has(c, 29), saves = has(c, 27);
    if (saves && fma && f16c)
        flags |= flags_of_leaf7(xcr0());
    return flags;
}

static void name_model(char text[64]) {
    uint32_t words[12];
    for (uint32_t part = 0; part < 3; part++) {
        uint32_t *w = words + 4 * part;
        if (!__get_cpuid(0x80000002u + part, &w[0], &w[1], &w[2], &w[3]))
            return;
    }
    char raw[sizeof words + 1] = {0};
    memcpy(raw, words, sizeof words);
    const char *from = raw + strspn(raw, " ");
    size_t n = strlen(from);
    while (n && from[n - 1] == ' ')
        n--;
    memcpy(text, from, n);
    text[n] = '\0';
}

static bool detect_sha(void) {
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && has(b, 29);
}

#else
static unsigned detect(void) { return 0; }
static bool detect_sha(void) { return false; }
static void name_model(char text[64]) { (void)text; }
#endif

static void probe(void) {
    snprintf(cpu.model, sizeof cpu.model, "unknown CPU");
    cpu.found = detect();
    cpu.sha = detect_sha();
    name_model(cpu.model);
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    cpu.l2_bytes = bytes > 0 ? (size_t)bytes : (size_t)1 << 20;
}

unsigned cpu_flags(void) {
    pthread_once(&once, probe);
    return cpu.found & cpu.mask;
}

bool cpu_has_sha(void) { return cpu_flags() & CPU_SSE42 && cpu.sha; }

enum code cpu_setup(struct err *e) {
    const char *want = getenv("SLIPWAY_CPU");
    if (!want || !*want)
        return OK;
    for (int at = 0; at < N_LEVELS; at++)
        if (strcmp(levels[at].name, want) == 0) {
            cpu.mask = levels[at].flags;
            return OK;
        }
    return fail(e, USAGE,
                "SLIPWAY_CPU is '%.40s'; use scalar, avx2, avxvnni, avx512, vnni, bf16 "
                "or amx",
                want);
}

const char *cpu_level(void) {
    static const unsigned needs[N_LEVELS] = {0,        CPU_AVX2, CPU_AVX_VNNI, CPU_AVX512,
                                             CPU_VNNI, CPU_BF16, CPU_AMX};
    int at = N_LEVELS - 1;
    while (at > 0 && (cpu_flags() & needs[at]) != needs[at])
        at--;
    return levels[at].name;
}

const char *cpu_model(void) {
    pthread_once(&once, probe);
    return cpu.model;
}

size_t cpu_l2_bytes(void) {
    pthread_once(&once, probe);
    return cpu.l2_bytes;
}

/* --- cores --- */

static bool first_line(const char *path, char *text, int size) {
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(text, size, f) != NULL;
    if (f)
        fclose(f);
    return ok;
}

/* Whole cores of "quota period" (cgroup v2 cpu.max); 0 when there is no quota. */
static long quota_of(const char *text) {
    char *end;
    long quota = strtol(text, &end, 10);
    long period = strtol(end, NULL, 10);
    return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

static long quota_cores(void) {
    char text[64], period[32];
    if (first_line("/sys/fs/cgroup/cpu.max", text, sizeof text))
        return quota_of(text);
    size_t n;
    if (!first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, 32) ||
        !first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return 0;
    n = strcspn(text, "\n");
    snprintf(text + n, sizeof text - n, " %s", period);
    return quota_of(text);
}

int cpu_cores(void) {
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                         : sysconf(_SC_NPROCESSORS_ONLN);
    long quota = quota_cores();
    if (quota > 0 && quota < n)
        n = quota;
    return n < 1 ? 1 : (int)n;
}

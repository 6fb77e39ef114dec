/* SPDX-License-Identifier: Apache-2.0 */
/* slipway doctor: what this machine offers and what would go wrong, each line with what to do. */
#include "base/cpu.h"
#include "base/file.h"
#include "cli/command.h"
#include "format/format.h"
#include "op/op_list.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum verdict { FINE, WARN, BAD };

struct finding {
    enum verdict verdict;
    const char *what;
    char text[400];
};

struct doctor {
    struct cli *cli;
    struct finding findings[16];
    int n;
};

static void find(struct doctor *d, enum verdict v, const char *what, const char *format, ...)
    PRINTF_LIKE(4, 5);
static void find(struct doctor *d, enum verdict v, const char *what, const char *format, ...) {
    if (d->n == 16)
        return;
    struct finding *f = &d->findings[d->n++];
    va_list args;
    f->verdict = v;
    f->what = what;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
}

static void look_cpu(struct doctor *d) {
    enum verdict v = cpu_flags() & CPU_AVX2 ? FINE : WARN;
    find(d, v, "cpu", "%s, %d cores, kernels: %s%s", cpu_model(), cpu_cores(), cpu_level(),
         v == FINE ? "" : " (no AVX2: the plain kernels are several times slower)");
}

static void look_memory(struct doctor *d) {
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t free = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    find(d, FINE, "memory", "%s, %s free", print_size(&d->cli->arena, bytes),
         print_size(&d->cli->arena, free));
}

static void look_files(struct doctor *d) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    if (r.rlim_max < 20000)
        find(d, WARN, "open files",
             "limit %llu: for thousands of connections raise it (ulimit -Hn 65536)",
             (unsigned long long)r.rlim_max);
    else
        find(d, FINE, "open files", "limit %llu", (unsigned long long)r.rlim_max);
}

static void look_space(struct doctor *d, const char *path) {
    struct statvfs v;
    if (statvfs(path, &v) != 0)
        return;
    uint64_t bytes = (uint64_t)v.f_bavail * v.f_frsize;
    find(d, bytes < (uint64_t)1 << 30 ? WARN : FINE, "disk", "%s free for the store%s",
         print_size(&d->cli->arena, bytes),
         bytes < (uint64_t)1 << 30 ? ": `slipway gc` may help" : "");
}

static void look_store(struct doctor *d) {
    struct err e;
    struct store_info *infos;
    size_t n;
    const char *path = store_folder(d->cli->store);
    if (store_list(d->cli->store, (struct str){0}, &d->cli->arena, &infos, &n, &e) != OK) {
        find(d, BAD, "store", "%s", e.text);
        return;
    }
    if (NEVER(!path))
        return;
    bool writable = access(path, W_OK) == 0;
    find(d, writable ? FINE : WARN, "store", "%s: %zu versions%s", path, n,
         writable ? "" : ", read-only for this user");
    look_space(d, path);
}

static void look_build(struct doctor *d) {
    find(d, FINE, "slipway", "%s, %zu operators, %zu commands", SLIPWAY_VERSION, op_count(),
         command_count());
}

static enum code as_json(const struct doctor *d, struct err *e) {
    static const char *const names[] = {"fine", "warning", "bad"};
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 20);
    json_out_init(&w, &b, 0);
    json_put_array(&w);
    for (int i = 0; i < d->n; i++) {
        json_put_object(&w);
        json_put_member_text(&w, "what", d->findings[i].what);
        json_put_member_text(&w, "verdict", names[d->findings[i].verdict]);
        json_put_member_text(&w, "text", d->findings[i].text);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    enum code code = print_json(&b, e);
    buf_deinit(&b);
    return code;
}

static void as_text(const struct doctor *d) {
    static const char *const marks[] = {"ok", "warning", "BAD"};
    for (int i = 0; i < d->n; i++)
        printf("%-8s %-11s %s\n", marks[d->findings[i].verdict], d->findings[i].what,
               d->findings[i].text);
}

static enum code run(struct cli *c, struct err *e) {
    struct doctor d = {.cli = c};
    bool bad = false;
    look_build(&d);
    look_cpu(&d);
    look_memory(&d);
    look_files(&d);
    look_store(&d);
    if (c->json)
        TRY(as_json(&d, e));
    else
        as_text(&d);
    for (int i = 0; i < d.n; i++)
        bad = bad || d.findings[i].verdict == BAD;
    return bad ? fail(e, IO, "something is wrong; see above") : OK;
}

const struct command command_doctor = {
    .name = "doctor",
    .synopsis = "",
    .about = "Look at this machine and the store, and say what is missing.",
    .flags = COMMAND_STORE_CREATE,
    .run = run,
};

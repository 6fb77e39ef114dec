/* SPDX-License-Identifier: Apache-2.0 */
/* Exposition: see expose.h. Format: Prometheus "text-based exposition format 0.0.4".
 *
 * 1. One HELP and one TYPE line per family, before its samples; all samples of a family stand
 * together.
 * 2. Histogram buckets are cumulative, end with +Inf, and +Inf equals _count.
 * 3. Label values escape backslash, quote and newline; HELP escapes backslash and newline.
 *
 * The process series carry the names every Prometheus client library uses, without our prefix. */
#include "watch/expose.h"

#include "base/clock.h"
#include "base/counter.h"
#include "base/shortest.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

static void put_escaped(struct buf *out, struct str text, bool quotes) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' || (c == '"' && quotes))
            buf_put_byte(out, '\\');
        if (c == '\n')
            buf_put_text(out, "\\n");
        else
            buf_put_byte(out, c);
    }
}

static void put_number(struct buf *out, double v) {
    char text[SHORTEST_ROOM];
    if (isnan(v))
        buf_put_text(out, "NaN");
    else if (isinf(v))
        buf_put_text(out, v > 0 ? "+Inf" : "-Inf");
    else if (v == floor(v) && fabs(v) < 1e15)
        buf_put(out, text, (size_t)(shortest_i64((int64_t)v, text) - text));
    else
        buf_put(out, text, (size_t)(shortest_f64(v, text) - text));
}

void expose_family(struct buf *out, const char *name, const char *help, const char *kind) {
    buf_printf(out, "# HELP %s ", name);
    put_escaped(out, str_of(help), false);
    buf_printf(out, "\n# TYPE %s %s\n", name, kind);
}

static void put_label(struct buf *out, const char *name, struct str value, bool *first) {
    buf_put_byte(out, *first ? '{' : ',');
    *first = false;
    buf_put_text(out, name);
    buf_put_text(out, "=\"");
    put_escaped(out, value, true);
    buf_put_byte(out, '"');
}

void expose_sample(struct buf *out, const char *name, const struct expose_label *labels,
                   int n_labels, double value) {
    bool first = true;
    buf_put_text(out, name);
    for (int i = 0; i < n_labels; i++)
        put_label(out, labels[i].name, labels[i].value, &first);
    buf_put_text(out, first ? " " : "} ");
    put_number(out, value);
    buf_put_byte(out, '\n');
}

/* --- families of base/counter --- */

struct visit {
    struct buf *out;
    const struct counter_family *last; /* whose HELP and TYPE were written */
};

/* name[suffix]{labels[,le="bound"]} value */
static void series(struct buf *out, const struct counter_family *f, const char *suffix,
                   const struct str *values, const double *bound, double value) {
    bool first = true;
    buf_put_text(out, f->name);
    buf_put_text(out, suffix);
    for (int i = 0; i < f->n_labels; i++)
        put_label(out, f->labels[i], values[i], &first);
    if (bound) {
        buf_put_text(out, first ? "{le=\"" : ",le=\"");
        put_number(out, *bound);
        buf_put_byte(out, '"');
        first = false;
    }
    buf_put_text(out, first ? " " : "} ");
    put_number(out, value);
    buf_put_byte(out, '\n');
}

static void histogram(struct buf *out, const struct counter_family *f, const struct str *values,
                      const int64_t *counts, double sum) {
    int64_t total = 0;
    for (int i = 0; i <= f->n_buckets; i++) {
        double bound = i < f->n_buckets ? f->buckets[i] : INFINITY;
        total += counts[i];
        series(out, f, "_bucket", values, &bound, (double)total);
    }
    series(out, f, "_sum", values, NULL, sum);
    series(out, f, "_count", values, NULL, (double)total);
}

static void visit(void *ctx, const struct counter_family *f, const struct str *values,
                  const int64_t *counts, double sum) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct visit *v = ctx;
    if (v->last != f)
        expose_family(v->out, f->name, f->help, kinds[f->kind]);
    v->last = f;
    if (f->kind == COUNTER_HISTOGRAM)
        histogram(v->out, f, values, counts, sum);
    else
        series(v->out, f, "", values, NULL, (double)counts[0] / (double)(f->unit ? f->unit : 1));
}

/* --- process --- */

static size_t read_small(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, room - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* The field-th number of a line of space-separated ones, 0 the first. */
static double field_of(const char *text, int field) {
    for (; field > 0 && text; field--) {
        text = strchr(text, ' ');
        text = text ? text + 1 : NULL;
    }
    return text ? strtod(text, NULL) : 0;
}

static double open_fds(void) {
    double n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return NAN;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* ".", ".." and the one that reads */
}

/* Seconds since 1970: boot time plus field 22 of /proc/self/stat (proc(5)). Read once: both clocks
 * drift, the start does not, and who watches for restarts must not see one. */
static double started = NAN;

static void read_start(void) {
    char text[4096];
    struct timespec boot;
    if (!read_small("/proc/self/stat", text, sizeof text) ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return;
    const char *after_name = strrchr(text, ')'); /* field 2 may hold spaces */
    double ticks = after_name ? field_of(after_name + 2, 19) : 0;
    double up = (double)boot.tv_sec + (double)boot.tv_nsec * 1e-9;
    started = (double)clock_wall_us() * 1e-6 - up + ticks / (double)sysconf(_SC_CLK_TCK);
}

static double start_time(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_start);
    return started;
}

static void gauge(struct buf *out, const char *name, const char *help, const char *kind,
                  double value) {
    if (isnan(value))
        return;
    expose_family(out, name, help, kind);
    expose_sample(out, name, NULL, 0, value);
}

static void process(struct buf *out) {
    struct rusage u;
    struct rlimit files;
    char text[256];
    double page = (double)sysconf(_SC_PAGESIZE), virtual = NAN, resident = NAN;
    if (read_small("/proc/self/statm", text, sizeof text)) {
        virtual = field_of(text, 0) * page;
        resident = field_of(text, 1) * page;
    }
    if (getrusage(RUSAGE_SELF, &u) == 0)
        gauge(out, "process_cpu_seconds_total", "User and system CPU time.", "counter",
              (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                  (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6);
    gauge(out, "process_resident_memory_bytes", "Resident memory, mapped weights included.",
          "gauge", resident);
    gauge(out, "process_virtual_memory_bytes", "Virtual memory.", "gauge", virtual);
    gauge(out, "process_open_fds", "Open file descriptors.", "gauge", open_fds());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        gauge(out, "process_max_fds", "Most file descriptors that may be open.", "gauge",
              (double)files.rlim_cur);
    gauge(out, "process_start_time_seconds", "When the process started, seconds since 1970.",
          "gauge", start_time());
}

void expose_text(struct buf *out) {
    struct visit v = {.out = out};
    counter_visit(visit, &v);
    process(out);
}

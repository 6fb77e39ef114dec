/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, sizes, times and progress for people; one JSON document for programs. */
#include "cli/command.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Columns a UTF-8 text takes on a terminal, one per code point. */
static int width_of(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_cell(const char *text, int width, bool right, bool last) {
    int pad = width - width_of(text);
    if (right)
        printf("%*s%s", pad, "", text);
    else
        printf("%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

void print_table(const struct cli *c, const struct table *t) {
    int width[12] = {0};
    for (int k = 0; k < t->columns; k++) {
        width[k] = width_of(t->heads[k]);
        for (size_t r = 0; r < t->rows; r++) {
            int w = width_of(t->cells[r * (size_t)t->columns + (size_t)k]);
            width[k] = w > width[k] ? w : width[k];
        }
    }
    if (c->color)
        fputs("\033[1m", stdout);
    for (int k = 0; k < t->columns; k++)
        print_cell(t->heads[k], width[k], t->right[k], k + 1 == t->columns);
    if (c->color)
        fputs("\033[0m", stdout);
    for (size_t r = 0; r < t->rows; r++)
        for (int k = 0; k < t->columns; k++)
            print_cell(t->cells[r * (size_t)t->columns + (size_t)k], width[k], t->right[k],
                       k + 1 == t->columns);
}

static char *scaled(struct arena *a, double v, double step, const char *const *units, int n) {
    int u = 0;
    while (v >= step * 0.9995 && u + 1 < n) {
        v /= step;
        u++;
    }
    char *text = arena_printf(a, u == 0 || v >= 99.95 ? "%.0f%s%s" : "%.1f%s%s", v,
                              *units[u] ? " " : "", units[u]);
    return text ? text : "?";
}

char *print_size(struct arena *a, uint64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    return scaled(a, (double)bytes, 1000, units, 5);
}

char *print_count(struct arena *a, uint64_t n) {
    static const char *const units[] = {"", "k", "M", "G", "T"};
    return scaled(a, (double)n, 1000, units, 5);
}

char *print_duration(struct arena *a, uint64_t ns) {
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    return scaled(a, (double)ns, 1000, units, 4);
}

char *print_when(struct arena *a, uint64_t wall_us) {
    time_t seconds = (time_t)(wall_us / 1000000u);
    struct tm day;
    char text[32];
    localtime_r(&seconds, &day);
    size_t n = strftime(text, sizeof text, "%Y-%m-%d %H:%M", &day);
    char *copy = arena_strdup(a, (struct str){text, n});
    return copy ? copy : "?";
}

enum code print_json(const struct buf *b, struct err *e) {
    TRY(buf_check(b, "output", e));
    if (fwrite(b->p, 1, b->n, stdout) != b->n || fputc('\n', stdout) == EOF)
        return fail(e, IO, "cannot write to standard output");
    return OK;
}

/* --- progress --- */

#define SECOND_NS 1000000000u

void progress_begin(struct progress *p, const struct cli *c) {
    *p = (struct progress){.cli = c, .phase = "", .began_ns = clock_ns()};
}

static void draw_bar(struct progress *p, uint64_t done, uint64_t total) {
    enum { WIDTH = 30 };
    int filled = total ? (int)(done * WIDTH / total) : 0;
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    if (total)
        fprintf(stderr, "\r%-10s [%s] %3.0f%%", p->phase, bar,
                100.0 * (double)done / (double)total);
    else
        fprintf(stderr, "\r%-10s ...", p->phase);
    fputs("\033[K", stderr);
    p->drawn = true;
}

void progress_show(void *progress, const char *phase, uint64_t done, uint64_t total) {
    struct progress *p = progress;
    uint64_t now = clock_ns();
    bool new_phase = p->phase != phase;
    p->phase = phase;
    if (p->cli->quiet || now - p->began_ns < SECOND_NS)
        return;
    if (!p->cli->terminal && new_phase)
        fprintf(stderr, "%s\n", phase);
    if (p->cli->terminal && (new_phase || now - p->drawn_ns > SECOND_NS / 10)) {
        draw_bar(p, done, total);
        p->drawn_ns = now;
    }
}

void progress_end(struct progress *p) {
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records of trials: see tune.h. */
#include "host/tune.h"

#include "base/buf.h"
#include "base/cpu.h"

#define REVISION "1\n" /* raised when ways get other numbers */
enum { LINE = 16 + 3, NODES_MAX = 1 << 16, KEY_MAX = STORE_NAME_MAX + 40, WAY_MAX = 9 };

static struct str key_of(struct str model, uint64_t version, char text[KEY_MAX]) {
    int n = snprintf(text, KEY_MAX, "%.*s@%llu %x", STR(model), (unsigned long long)version,
                     cpu_flags());
    return (struct str){text, (size_t)n};
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0123456789abcdef 3\n" */
static bool take_line(const char *line, struct choice *out) {
    *out = (struct choice){0};
    for (int i = 0; i < 16; i++) {
        if (digit(line[i]) < 0)
            return false;
        out->node = out->node << 4 | (uint64_t)digit(line[i]);
    }
    out->way = line[17] - '0';
    return line[16] == ' ' && out->way >= 1 && out->way <= WAY_MAX && line[18] == '\n';
}

static size_t take_record(struct str text, struct choice *out) {
    const size_t head = sizeof REVISION - 1, n = (text.n - head) / LINE;
    for (size_t i = 0; i < n; i++)
        if (!take_line(text.p + head + i * LINE, &out[i]) || (i && out[i].node <= out[i - 1].node))
            return 0;
    return n;
}

void tune_get(struct store *s, struct str model, uint64_t version, struct arena *a,
              const struct choice **out, size_t *n) {
    char key[KEY_MAX];
    struct str text;
    struct err ignored;
    const size_t head = sizeof REVISION - 1;
    *out = NULL;
    *n = 0;
    if (store_fact_get(s, LIT("kernels"), key_of(model, version, key), a, &text, &ignored) != OK ||
        text.n < head || memcmp(text.p, REVISION, head) != 0 || (text.n - head) % LINE ||
        text.n / LINE > NODES_MAX)
        return;
    struct choice *choices = ARENA_ARRAY(a, text.n / LINE + 1, struct choice);
    if (choices) {
        *n = take_record(text, choices);
        *out = choices;
    }
}

/* Two lists in order; of a node in both, what is new. */
static void put_merged(struct buf *b, const struct choice *old, size_t n_old,
                       const struct choice *new, size_t n_new) {
    for (size_t i = 0, j = 0; i < n_old || j < n_new;) {
        const bool is_old = j == n_new || (i < n_old && old[i].node < new[j].node);
        const struct choice *c = is_old ? &old[i] : &new[j];
        i += is_old || (i < n_old && old[i].node == new[j].node);
        j += !is_old;
        buf_printf(b, "%016llx %d\n", (unsigned long long)c->node, c->way);
    }
}

enum code tune_put(struct store *s, struct str model, uint64_t version, struct choice *choices,
                   size_t n, struct err *e) {
    char key[KEY_MAX];
    const struct choice *old;
    size_t n_old;
    struct arena a;
    struct buf b;
    choice_sort(choices, n);
    arena_init(&a, 4 * (size_t)NODES_MAX * LINE);
    tune_get(s, model, version, &a, &old, &n_old);
    buf_init(&b, (size_t)NODES_MAX * LINE);
    buf_put_text(&b, REVISION);
    put_merged(&b, old, n_old, choices, n);
    enum code code = buf_check(&b, "what a trial found", e);
    if (code == OK)
        code = store_fact_put(s, LIT("kernels"), key_of(model, version, key), buf_str(&b), e);
    buf_deinit(&b);
    arena_deinit(&a);
    return code;
}

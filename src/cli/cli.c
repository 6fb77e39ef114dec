/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: see cli.h. */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/log.h"
#include "cli/command.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLI_ARENA_BYTES = 512 << 20 };

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/list.h"
#undef COMMAND
};

size_t command_count(void) { return sizeof commands / sizeof *commands; }
const struct command *command_at(size_t index) { return commands[index]; }

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count(); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* --store, then SLIPWAY_STORE, then $XDG_DATA_HOME/slipway, then ~/.local/share/slipway. */
static enum code store_path(struct cli *c, struct err *e) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (c->store_path)
        return OK;
    if (data && data[0] == '/')
        c->store_path = arena_printf(&c->arena, "%s/slipway", data);
    else if (home && home[0])
        c->store_path = arena_printf(&c->arena, "%s/.local/share/slipway", home);
    else
        return fail(e, USAGE, "no store given: use --store DIR or set SLIPWAY_STORE");
    return c->store_path ? OK : fail(e, NOMEM, "out of memory");
}

static enum code open_store(struct cli *c, const struct command *k, struct err *e) {
    if (!(k->flags & (COMMAND_STORE | COMMAND_STORE_CREATE)))
        return OK;
    TRY(store_path(c, e));
    return store_open(c->store_path, (k->flags & COMMAND_STORE_CREATE) != 0, &c->store, e);
}

/* Changes of the command line are signed with the user's name. */
static void sign(struct arena *a) {
    const struct passwd *p = getpwuid(getuid());
    const char *who = p ? arena_printf(a, "cli:%s", p->pw_name)
                        : arena_printf(a, "cli:uid %u", (unsigned)getuid());
    store_sign(str_of(who), (struct str){0});
}

static enum code run(const struct command *k, int argc, char **argv, struct cli *c, struct err *e) {
    bool help = false;
    TRY(cpu_setup(e));
    TRY(options_parse(k, argc, argv, c, &help, e));
    if (help) {
        options_help(k, stdout);
        return OK;
    }
    TRY(open_store(c, k, e));
    sign(&c->arena);
    return k->run(c, e);
}

/* With --json an error is an object on stdout too, so that scripts read one form. */
static void complain(const struct cli *c, const struct err *e) {
    fprintf(stderr, "slipway: %s\n", e->text);
    if (!c->json)
        return;
    struct buf b;
    struct json_out w;
    buf_init(&b, 1 << 16);
    json_out_init(&w, &b, 0);
    json_put_object(&w);
    json_put_member_text(&w, "error", e->text);
    json_put_member_text(&w, "code", err_name(e->code));
    json_put_object_end(&w);
    printf("%.*s\n", (int)b.n, b.p ? b.p : "");
    buf_deinit(&b);
}

static int flush(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (status == 0)
        fprintf(stderr, "slipway: cannot write to standard output\n");
    return status ? status : err_exit(ERR_IO);
}

/* Edits (insert, delete, replace) between two short words: Wagner-Fischer, one row. */
static size_t distance(const char *a, const char *b) {
    enum { WORD = 24 };
    size_t row[WORD + 1], n = strlen(b);
    if (n > WORD)
        return WORD;
    for (size_t k = 0; k <= n; k++)
        row[k] = k;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < n; k++) {
            size_t change = diagonal + (a[i] != b[k]),
                   other = (row[k] < row[k + 1] ? row[k] : row[k + 1]) + 1;
            diagonal = row[k + 1];
            row[k + 1] = change < other ? change : other;
        }
    }
    return row[n];
}

static int unknown(const char *name) {
    const char *near = NULL;
    size_t best = 3;
    for (size_t i = 0; i < command_count(); i++) {
        size_t d = distance(name, commands[i]->name);
        if (d < best) {
            best = d;
            near = commands[i]->name;
        }
    }
    fprintf(stderr, "slipway: no command '%s'", name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fprintf(stderr, "%s `slipway help` lists them\n", near ? "" : ";");
    return err_exit(ERR_USAGE);
}

static bool is_terminal_color(int fd) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

int cli_main(int argc, char **argv) {
    struct err e;
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
        printf("slipway %s\n", SLIPWAY_VERSION);
        return flush(0);
    }
    const struct command *k = command_find(name);
    if (!k)
        return unknown(name);
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_INFO, isatty(STDERR_FILENO) ? LOG_HUMAN : LOG_JSON, STDERR_FILENO);
    struct cli c = {.color = is_terminal_color(STDOUT_FILENO), .terminal = isatty(STDERR_FILENO)};
    arena_init(&c.arena, CLI_ARENA_BYTES);
    enum code code = run(k, argc > 1 ? argc - 1 : 0, argv + 1, &c, &e);
    if (code != OK)
        complain(&c, &e);
    store_close(c.store);
    arena_deinit(&c.arena);
    return flush(code == OK ? 0 : err_exit(code));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of this folder and of conformance/, one file each, in one executable with a name for
 * each: optimising a link takes a minute, and seven links took most of a build. */
#include <stdio.h>
#include <string.h>

#define PROGRAMS(X)                                                                                \
    X(onnx_cases)                                                                                  \
    X(render_chat)                                                                                 \
    X(run_cases)                                                                                   \
    X(run_language)                                                                                \
    X(run_model)                                                                                   \
    X(tokenize)                                                                                    \
    X(widen)

/* meson.build gives each file's main this name. */
#define X_DECLARE(name) int name##_main(int argc, char **argv);
PROGRAMS(X_DECLARE)

static const struct program {
    const char *name;
    int (*run)(int argc, char **argv);
} programs[] = {
#define X_ROW(name) {#name, name##_main},
    PROGRAMS(X_ROW)};

int main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (strcmp(name, programs[i].name) == 0)
            return programs[i].run(argc, argv);
    fprintf(stderr, "%s: not the name of a program in tests/golden/programs.c\n", name);
    return 64;
}

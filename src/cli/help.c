/* SPDX-License-Identifier: Apache-2.0 */
/* slipway help: the list of commands, or one of them by example. */
#include "cli/command.h"

static const char *const examples =
    "Start here:\n"
    "  slipway add model.onnx ocr          the file becomes ocr@1\n"
    "  slipway show ocr                    what it is, what it takes\n"
    "  slipway predict ocr input.npy       one answer, here\n"
    "  slipway serve                       every API on http://127.0.0.1:8080\n"
    "  slipway alias ocr@2 prod            promote; `slipway rollback ocr` undoes it\n";

static void overview(void) {
    printf("Slipway takes a trained model file and makes it a running service.\n\n"
           "usage: slipway COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n");
    for (size_t i = 0; i < command_count(); i++)
        printf("  %-10s %s\n", command_at(i)->name, command_at(i)->about);
    printf("\n%s\n`slipway help COMMAND` tells more. Exit status: 0 done, 64 wrong usage, 65 wrong "
           "data,\n"
           "66 not found, 69 not supported, 74 input/output, 75 try again, 77 no permission, 70 "
           "our bug.\n",
           examples);
}

static enum code run(struct cli *c, struct err *e) {
    if (c->n_args == 0) {
        overview();
        return OK;
    }
    const struct command *k = command_find(c->args[0]);
    if (!k)
        return fail(e, USAGE, "no command '%s'; `slipway help` lists them", c->args[0]);
    options_help(k, stdout);
    return OK;
}

const struct command command_help = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .about = "Show this list, or one command with examples.",
    .max_args = 1,
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: finds the command, opens what it needs, runs it, turns its error into one line
 * and an exit status. */
#pragma once

int cli_main(int argc, char **argv); /* the process's exit status */

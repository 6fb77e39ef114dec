/* SPDX-License-Identifier: Apache-2.0 */
/* Slipway: a trained model file becomes a running service. cli decides everything. */
#include "cli/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }

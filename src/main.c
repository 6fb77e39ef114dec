/* SPDX-License-Identifier: Apache-2.0 */
/* Slipway: a trained model file becomes a running service. cli decides everything. */
#include "cli/cli.h"
#include "base/cores.h"

int main(int argc, char **argv) {
    cores_settle(argv);
    return cli_main(argc, argv);
}

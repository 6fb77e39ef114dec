/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of main: cli decides. */
int main(void) { return 0; }

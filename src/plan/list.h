/* SPDX-License-Identifier: Apache-2.0 */
/* The passes in order. The position is the bit of session_options.passes_off. */
PASS(fold)
PASS(branch)
PASS(dead)
PASS(qdq)
PASS(fuse_act)
PASS(fuse_norm)
PASS(fuse_attention)
PASS(fuse_conv)
PASS(transpose)
PASS(fuse_post)
PASS(narrow)
PASS(layout)

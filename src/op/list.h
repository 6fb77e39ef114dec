/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator, by file. Read by eye as the folder's table of contents; expanded by op_list.h and op_list.c. */

/* --- structure: where elements lie, not what they are --- */
/* shape.c */
OP(identity)
OP(reshape)
OP(flatten)
OP(squeeze)
OP(unsqueeze)
OP(shape)
OP(size)
OP(expand)
OP(tile)
/* transpose.c */
OP(transpose)
/* concat.c */
OP(concat)
OP(split)
/* slice.c */
OP(slice)
OP(center_crop_pad)
OP(trilu)
OP(reverse_sequence)
/* pad.c */
OP(pad)

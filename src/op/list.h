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
/* gather.c */
OP(gather)
OP(gather_elements)
OP(gather_nd)
OP(array_feature_extractor)
OP(compress)
OP(one_hot)
/* scatter.c */
OP(scatter_elements)
OP(scatter_nd)
OP(tensor_scatter)
/* search.c */
OP(non_zero)
OP(unique)
OP(top_k)
/* space.c */
OP(depth_to_space)
OP(space_to_depth)
OP(col2im)
/* constant.c */
OP(constant)
OP(constant_of_shape)
OP(eye_like)
OP(range)
/* cumulate.c */
OP(cum_sum)
OP(cum_prod)
OP(det)

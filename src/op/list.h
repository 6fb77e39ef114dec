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
OP(q_linear_concat)
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
OP(max_unpool)
/* search.c */
OP(non_zero)
OP(unique)
OP(top_k)
/* shuffle.c: only passes make it */
OP(channel_shuffle)
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

/* --- computation --- */
/* elementwise.c */
OP(abs)
OP(neg)
OP(sign)
OP(exp)
OP(log)
OP(sqrt)
OP(reciprocal)
OP(floor)
OP(ceil)
OP(round)
OP(erf)
OP(sin)
OP(cos)
OP(tan)
OP(asin)
OP(acos)
OP(atan)
OP(sinh)
OP(cosh)
OP(asinh)
OP(acosh)
OP(atanh)
OP(add)
OP(sub)
OP(mul)
OP(div)
OP(mod)
OP(pow)
OP(min)
OP(max)
OP(sum)
OP(mean)
/* activation.c */
OP(relu)
OP(leaky_relu)
OP(p_relu)
OP(elu)
OP(selu)
OP(celu)
OP(gelu)
OP(sigmoid)
OP(hard_sigmoid)
OP(hard_swish)
OP(silu)
OP(swish)
OP(mish)
OP(softplus)
OP(softsign)
OP(tanh)
OP(thresholded_relu)
OP(clip)
OP(shrink)
/* compare.c */
OP(equal)
OP(less)
OP(less_or_equal)
OP(greater)
OP(greater_or_equal)
OP(and)
OP(or)
OP(xor)
OP(not)
OP(bitwise_and)
OP(bitwise_or)
OP(bitwise_xor)
OP(bitwise_not)
OP(bit_shift)
OP(is_nan)
OP(is_inf)
OP(where)
/* cast.c */
OP(cast)
OP(cast_like)
OP(bit_cast)
/* rnn.c */
OP(rnn)
OP(gru)
OP(lstm)
/* control.c */
OP(if)
OP(loop)
OP(scan)
/* sequence.c */
OP(sequence_empty)
OP(sequence_construct)
OP(sequence_at)
OP(sequence_insert)
OP(sequence_erase)
OP(sequence_length)
OP(sequence_map)
OP(split_to_sequence)
OP(concat_from_sequence)
OP(optional)
OP(optional_get_element)
OP(optional_has_element)
/* matmul.c */
OP(mat_mul)
OP(gemm)
/* conv.c */
OP(conv)
/* conv_bf16.c, matmul_bf16.c: only passes make them */
OP(conv_bf16)
OP(mat_mul_bf16)
/* conv_transpose.c */
OP(conv_transpose)
/* reorder.c: only passes make it */
OP(reorder)
/* reduce.c */
OP(reduce_sum)
OP(reduce_mean)
OP(reduce_max)
OP(reduce_min)
OP(reduce_prod)
OP(reduce_l1)
OP(reduce_l2)
OP(reduce_log_sum)
OP(reduce_log_sum_exp)
OP(reduce_sum_square)
/* extreme.c */
OP(arg_max)
OP(arg_min)
/* softmax.c */
OP(softmax)
OP(log_softmax)
OP(hardmax)
/* norm.c */
OP(batch_normalization)
OP(instance_normalization)
OP(group_normalization)
/* standard.c */
OP(layer_normalization)
OP(rms_normalization)
OP(lp_normalization)
OP(mean_variance_normalization)
/* lrn.c */
OP(lrn)
/* resize.c */
OP(resize)
OP(upsample)
/* quant.c */
OP(quantize_linear)
OP(dequantize_linear)
OP(dynamic_quantize_linear)
/* einsum.c */
OP(einsum)
/* attention.c */
OP(attention)
/* rotary.c */
OP(rotary_embedding)
/* random.c */
OP(random_normal)
OP(random_uniform)
OP(random_normal_like)
OP(random_uniform_like)
OP(bernoulli)
OP(multinomial)
OP(dropout)
/* loss.c */
OP(negative_log_likelihood_loss)
OP(softmax_cross_entropy_loss)
/* pool.c */
OP(max_pool)
OP(q_linear_average_pool)
OP(average_pool)
OP(lp_pool)
OP(global_max_pool)
OP(global_average_pool)
OP(global_lp_pool)
/* signal.c */
OP(dft)
OP(stft)
OP(hann_window)
OP(hamming_window)
OP(blackman_window)
OP(mel_weight_matrix)
/* grid.c */
OP(grid_sample)
OP(affine_grid)
OP(deform_conv)
/* region.c */
OP(non_max_suppression)
OP(roi_align)
OP(max_roi_pool)
/* text.c */
OP(string_concat)
OP(string_split)
OP(string_normalizer)
OP(regex_full_match)
/* tokenizer.c */
OP(tokenizer)
/* qconv.c */
OP(q_linear_conv)
OP(conv_integer)
/* ngram.c */
OP(tf_idf_vectorizer)
/* encode.c */
OP(label_encoder)
OP(category_mapper)
OP(binarizer)
/* features.c */
OP(scaler)
OP(normalizer)
OP(imputer)
OP(feature_vectorizer)
OP(one_hot_encoder)
/* maps.c */
OP(zip_map)
OP(dict_vectorizer)
OP(cast_map)
/* linear.c */
OP(linear_classifier)
OP(linear_regressor)
/* svm.c */
OP(svm_classifier)
OP(svm_regressor)
/* tree.c */
OP(tree_ensemble)
/* tree_classic.c */
OP(tree_ensemble_classifier)
OP(tree_ensemble_regressor)
/* qmatmul.c */
OP(q_linear_mat_mul)
OP(mat_mul_integer)
OP(q_gemm)
/* qlinear.c */
OP(q_linear_add)
OP(q_linear_mul)
OP(q_linear_sigmoid)
OP(q_linear_leaky_relu)
OP(q_linear_global_average_pool)
/* gather_nbits.c */
OP(gather_n_bits)
/* inverse.c */
OP(inverse)
/* nbits.c */
OP(mat_mul_n_bits)
/* experts.c */
OP(mixture_of_experts)
OP(mixture_of_experts_n_bits)
/* state.c */
OP(linear_attention)
OP(causal_conv_with_state)
/* flex.c */
OP(flex_attention)
/* descent.c */
OP(adagrad)
OP(adam)
OP(momentum)
/* gate.c */
OP(swi_glu)
/* bnb4.c */
OP(mat_mul_bnb4)
/* crop.c */
OP(crop_and_resize)
/* hash.c */
OP(murmur_hash3)
/* repeat.c */
OP(n_gram_repeat_block)
/* unfold.c */
OP(unfold)
/* words.c */
OP(word_conv_embedding)

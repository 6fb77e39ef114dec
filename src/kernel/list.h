/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel. SLOT(type, name, ulp, small): a job, its scalar twin NAME_scalar, and how far a
 * faster row may be from it, in units in the last place of max(|scalar|, small). KERNEL(name, isa,
 * flags, score): a row NAME_ISA that needs those CPU flags; the highest score wins. Expanded by
 * kernel.h, choose.c and the test. */
#if defined(__x86_64__)
#define EVERY(name) KERNEL(name, avx2, CPU_AVX2, 20) KERNEL(name, avx512, CPU_AVX512, 30)
#else
#define EVERY(name)
#endif

/* elementwise_f32.c */
SLOT(unary_f32, abs_f32, 0, 0)
EVERY(abs_f32)
SLOT(unary_f32, neg_f32, 0, 0)
EVERY(neg_f32)
SLOT(unary_f32, sqrt_f32, 1, 0)
EVERY(sqrt_f32)
SLOT(unary_f32, reciprocal_f32, 1, 0)
EVERY(reciprocal_f32)
SLOT(unary_f32, square_f32, 0, 0)
EVERY(square_f32)
SLOT(unary_f32, floor_f32, 0, 0)
EVERY(floor_f32)
SLOT(unary_f32, ceil_f32, 0, 0)
EVERY(ceil_f32)
SLOT(unary_f32, round_f32, 0, 0)
EVERY(round_f32)
SLOT(unary_f32, linear_f32, 2, 0.1f)
EVERY(linear_f32)
SLOT(unary_f32, clip_f32, 0, 0)
EVERY(clip_f32)
SLOT(unary_f32, relu_f32, 0, 0)
EVERY(relu_f32)
SLOT(unary_f32, leaky_relu_f32, 0, 0)
EVERY(leaky_relu_f32)
SLOT(unary_f32, exp_f32, 4, 0)
EVERY(exp_f32)
SLOT(unary_f32, log_f32, 4, 0.01f)
EVERY(log_f32)

/* elementwise_f32.c: activations */
SLOT(unary_f32, elu_f32, 8, 0)
EVERY(elu_f32)
SLOT(unary_f32, sigmoid_f32, 8, 0)
EVERY(sigmoid_f32)
SLOT(unary_f32, tanh_f32, 8, 0)
EVERY(tanh_f32)
SLOT(unary_f32, erf_f32, 8, 0)
EVERY(erf_f32)
SLOT(unary_f32, softplus_f32, 8, 0)
EVERY(softplus_f32)
SLOT(unary_f32, hard_sigmoid_f32, 2, 0.1f)
EVERY(hard_sigmoid_f32)
SLOT(unary_f32, hard_swish_f32, 8, 0.1f)
EVERY(hard_swish_f32)
SLOT(unary_f32, silu_f32, 8, 0)
EVERY(silu_f32)
SLOT(unary_f32, gelu_erf_f32, 8, 0.5f)
EVERY(gelu_erf_f32)
SLOT(unary_f32, gelu_tanh_f32, 16, 0.5f)
EVERY(gelu_tanh_f32)
SLOT(unary_f32, mish_f32, 32, 0.1f)
EVERY(mish_f32)

/* elementwise_f32.c: two inputs */
SLOT(binary_f32, add_f32, 0, 0)
EVERY(add_f32)
SLOT(binary_f32, sub_f32, 0, 0)
EVERY(sub_f32)
SLOT(binary_f32, mul_f32, 0, 0)
EVERY(mul_f32)
SLOT(binary_f32, div_f32, 0, 0)
EVERY(div_f32)
SLOT(binary_f32, min_f32, 0, 0)
EVERY(min_f32)
SLOT(binary_f32, max_f32, 0, 0)
EVERY(max_f32)
SLOT(binary_f32, prelu_f32, 0, 0)
EVERY(prelu_f32)

/* reduce_f32.c */
SLOT(fold_f32, sum_f32, 64, 1.0f)
EVERY(sum_f32)
SLOT(fold_f32, sum_abs_f32, 64, 1.0f)
EVERY(sum_abs_f32)
SLOT(fold_f32, sum_sq_f32, 64, 1.0f)
EVERY(sum_sq_f32)
SLOT(fold_f32, top_f32, 0, 0)
EVERY(top_f32)
SLOT(fold_f32, bottom_f32, 0, 0)
EVERY(bottom_f32)
SLOT(spread_f32, spread_f32, 64, 1.0f)
EVERY(spread_f32)

/* reduce_f32.c: rows */
SLOT(row_f32, softmax_f32, 32, 1e-6f)
EVERY(softmax_f32)
SLOT(row_f32, log_softmax_f32, 64, 1.0f)
EVERY(log_softmax_f32)
SLOT(weigh_f32, weigh_f32, 64, 1e-6f)
EVERY(weigh_f32)
SLOT(norm_f32, norm_f32, 64, 1.0f)
EVERY(norm_f32)
SLOT(scale_f32, scale_f32, 2, 2.0f)
EVERY(scale_f32)

/* reduce_f32.c: several rows to one */
SLOT(columns_f32, columns_f32, 16, 1.0f)
EVERY(columns_f32)
SLOT(blend_f32, blend_f32, 8, 1.0f)
EVERY(blend_f32)
SLOT(sums_bf16, sums_bf16, 8, 1.0f)
EVERY(sums_bf16)
SLOT(tops_f32, tops_f32, 0, 0)
EVERY(tops_f32)
SLOT(tops_bf16, tops_bf16, 0, 0)
EVERY(tops_bf16)
SLOT(tops_u8, tops_u8, 0, 0)
EVERY(tops_u8)
SLOT(tops_i8, tops_i8, 0, 0)
EVERY(tops_i8)

/* gemm_f32.c: depthwise */
SLOT(depthwise_f32, depthwise_f32, 16, 1.0f)
EVERY(depthwise_f32)

/* gemm_f32.c */
SLOT(gemm_tile, gemm_tile_f32, 0, 0)
EVERY(gemm_tile_f32)
SLOT(gemm_f32, gemm_f32, 32, 1.0f)
EVERY(gemm_f32)
SLOT(gemm_pairs, gemm_pairs, 0, 0)
EVERY(gemm_pairs)
SLOT(gemm_quads, gemm_quads, 0, 0)
#if defined(__x86_64__)
KERNEL(gemm_pairs, vnni, CPU_AVX512 | CPU_VNNI, 40)
KERNEL(gemm_quads, avxvnni, CPU_AVX2 | CPU_AVX_VNNI, 25)
KERNEL(gemm_quads, vnni, CPU_AVX512 | CPU_VNNI, 40)
#endif

/* winograd_f32.c: sums of up to 100 times the input, which cancel */
SLOT(winograd_in, winograd_in, 16, 64.0f)
EVERY(winograd_in)
SLOT(winograd_out, winograd_out, 16, 64.0f)
EVERY(winograd_out)

/* winograd_bf16.c */
SLOT(winograd_in_bf16, winograd_in_bf16, 0, 0)
SLOT(winograd_out_bf16, winograd_out_bf16, 16, 64.0f)
SLOT(gemm_bf16, gemm_bf16, 32, 1.0f)
#if defined(__x86_64__)
KERNEL(winograd_in_bf16, bf16, CPU_AVX512 | CPU_BF16, 40)
KERNEL(winograd_out_bf16, bf16, CPU_AVX512 | CPU_BF16, 40)
KERNEL(gemm_bf16, bf16, CPU_AVX512 | CPU_BF16, 40)
#endif
/* winograd_q8.c */
SLOT(winograd_in_q8, winograd_in_q8, 0, 0)
EVERY(winograd_in_q8)
SLOT(winograd_out_q8, winograd_out_q8, 0, 0)
EVERY(winograd_out_q8)

/* quant_q8.c */
SLOT(quantize_u8, quantize_u8, 0, 0)
EVERY(quantize_u8)
SLOT(quantize_i8, quantize_i8, 0, 0)
EVERY(quantize_i8)
SLOT(dequantize_u8, dequantize_u8, 0, 0)
EVERY(dequantize_u8)
SLOT(dequantize_i8, dequantize_i8, 0, 0)
EVERY(dequantize_i8)
SLOT(qadd, qadd_u8, 0, 0)
EVERY(qadd_u8)
SLOT(qadd, qadd_i8, 0, 0)
EVERY(qadd_i8)
SLOT(requant, requant, 0, 0)
EVERY(requant)

/* half.c */
SLOT(widen_16, widen_f16, 0, 0)
EVERY(widen_f16)
SLOT(widen_16, widen_bf16, 0, 0)
EVERY(widen_bf16)
SLOT(narrow_16, narrow_f16, 0, 0)
EVERY(narrow_f16)
SLOT(narrow_16, narrow_bf16, 0, 0)
EVERY(narrow_bf16)

/* transpose.c */
SLOT(transpose, transpose_8, 0, 0)
SLOT(transpose, transpose_16, 0, 0)
SLOT(transpose, transpose_32, 0, 0)
SLOT(transpose, transpose_64, 0, 0)
#if defined(__x86_64__)
KERNEL(transpose_8, avx2, CPU_AVX2, 20)
KERNEL(transpose_16, avx2, CPU_AVX2, 20)
KERNEL(transpose_32, avx2, CPU_AVX2, 20)
#endif

/* packed.c: products with packed weights */
#if defined(__x86_64__)
#define DOTS(name)                                                                                 \
    KERNEL(name, avx2, CPU_AVX2, 20)                                                               \
    KERNEL(name, avxvnni, CPU_AVX2 | CPU_AVX_VNNI, 25)                                             \
    KERNEL(name, vnni, CPU_AVX512 | CPU_VNNI, 40)
#else
#define DOTS(name)
#endif
SLOT(packed_gemm, packed_q4_0, 0, 0)
DOTS(packed_q4_0)
SLOT(packed_gemm, packed_q4_1, 0, 0)
DOTS(packed_q4_1)
SLOT(packed_gemm, packed_q5_0, 0, 0)
DOTS(packed_q5_0)
SLOT(packed_gemm, packed_q5_1, 0, 0)
DOTS(packed_q5_1)
SLOT(packed_gemm, packed_q8_0, 0, 0)
DOTS(packed_q8_0)
SLOT(packed_gemm, packed_q2_k, 0, 0)
DOTS(packed_q2_k)
SLOT(packed_gemm, packed_q3_k, 0, 0)
DOTS(packed_q3_k)
SLOT(packed_gemm, packed_q4_k, 0, 0)
DOTS(packed_q4_k)
SLOT(packed_gemm, packed_q5_k, 0, 0)
DOTS(packed_q5_k)
SLOT(packed_gemm, packed_q6_k, 0, 0)
DOTS(packed_q6_k)
SLOT(packed_gemm, packed_iq4_nl, 0, 0)
DOTS(packed_iq4_nl)
SLOT(packed_gemm, packed_iq4_xs, 0, 0)
DOTS(packed_iq4_xs)
SLOT(packed_gemm, packed_mxfp4, 0, 0)
DOTS(packed_mxfp4)
SLOT(quantize_groups, quantize_groups, 0, 0)
DOTS(quantize_groups)

/* fixed.c: products of block floating point */
SLOT(fixed_blocks, fixed_blocks, 0, 0)
DOTS(fixed_blocks)
SLOT(fixed_gemm, fixed_gemm, 0, 0)
DOTS(fixed_gemm)
#undef DOTS

/* packed.c: products with float weights */
SLOT(wide_gemm, wide_f32, 0, 0)
EVERY(wide_f32)
SLOT(wide_gemm, wide_bf16, 4, 1.0f)
EVERY(wide_bf16)
#if defined(__x86_64__)
KERNEL(wide_bf16, bf16, CPU_AVX512 | CPU_BF16, 40)
#endif

/* codes.c: products with weights that stay as a file holds them */
SLOT(codes_widen, codes_widen, 0, 0)
EVERY(codes_widen)
SLOT(codes_dot, codes_dot, 64, 1.0f)
EVERY(codes_dot)

/* attend.c: attention over pages */
SLOT(attend, attend, 256, 1.0f)
EVERY(attend)

/* strain.c: the most a core can do */
SLOT(strain, strain_f32, 0, 0)
EVERY(strain_f32)
SLOT(strain, strain_bf16, 0, 0)
SLOT(strain, strain_i8, 0, 0)
EVERY(strain_i8)
#if defined(__x86_64__)
KERNEL(strain_bf16, bf16, CPU_AVX512 | CPU_BF16, 40)
KERNEL(strain_i8, avxvnni, CPU_AVX2 | CPU_AVX_VNNI, 25)
KERNEL(strain_i8, vnni, CPU_AVX512 | CPU_VNNI, 40)
#endif

#undef EVERY

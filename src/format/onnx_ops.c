/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX vocabulary, one section per domain, grouped like the files of op/.
 *
 * A row {"Conv", 1, 0, "conv"} says: op_type Conv may be used since opset 1 until (0) today, and is
 * our operator "conv". To make an operator reachable, add a row to the section of its domain. Our
 * name is the snake_case of the ONNX name. Rows may name operators that this build does not have:
 * the reader looks each one up in op/list.h and refuses the node by name. What an operator means at
 * an opset is not said here: the operator reads node->opset. When one name changed so much that two
 * operators serve it, give it two rows next to each other with disjoint ranges. */
#include "format/onnx_ops.h"

static const struct onnx_op ai_onnx[] = {
    /* elementwise: arithmetic */
    {"Add", 1, 0, "add"},
    {"Sub", 1, 0, "sub"},
    {"Mul", 1, 0, "mul"},
    {"Div", 1, 0, "div"},
    {"Mod", 10, 0, "mod"},
    {"Pow", 1, 0, "pow"},
    {"Max", 1, 0, "max"},
    {"Min", 1, 0, "min"},
    {"Sum", 1, 0, "sum"},
    {"Mean", 1, 0, "mean"},
    {"BitShift", 11, 0, "bit_shift"},
    {"BitwiseAnd", 18, 0, "bitwise_and"},
    {"BitwiseOr", 18, 0, "bitwise_or"},
    {"BitwiseXor", 18, 0, "bitwise_xor"},
    {"BitwiseNot", 18, 0, "bitwise_not"},
    /* elementwise: one operand */
    {"Abs", 1, 0, "abs"},
    {"Acos", 7, 0, "acos"},
    {"Acosh", 9, 0, "acosh"},
    {"Asin", 7, 0, "asin"},
    {"Asinh", 9, 0, "asinh"},
    {"Atan", 7, 0, "atan"},
    {"Atanh", 9, 0, "atanh"},
    {"Ceil", 1, 0, "ceil"},
    {"Cos", 7, 0, "cos"},
    {"Cosh", 9, 0, "cosh"},
    {"Erf", 9, 0, "erf"},
    {"Exp", 1, 0, "exp"},
    {"Floor", 1, 0, "floor"},
    {"Log", 1, 0, "log"},
    {"Neg", 1, 0, "neg"},
    {"Reciprocal", 1, 0, "reciprocal"},
    {"Round", 11, 0, "round"},
    {"Sign", 9, 0, "sign"},
    {"Sin", 7, 0, "sin"},
    {"Sinh", 9, 0, "sinh"},
    {"Sqrt", 1, 0, "sqrt"},
    {"Tan", 7, 0, "tan"},
    {"Tanh", 1, 0, "tanh"},
    /* elementwise: activations */
    {"Celu", 12, 0, "celu"},
    {"Clip", 1, 0, "clip"},
    {"Dropout", 1, 0, "dropout"},
    {"Elu", 1, 0, "elu"},
    {"Gelu", 20, 0, "gelu"},
    {"HardSigmoid", 1, 0, "hard_sigmoid"},
    {"HardSwish", 14, 0, "hard_swish"},
    {"LeakyRelu", 1, 0, "leaky_relu"},
    {"Mish", 18, 0, "mish"},
    {"PRelu", 1, 0, "p_relu"},
    {"Relu", 1, 0, "relu"},
    {"Selu", 1, 0, "selu"},
    {"Shrink", 9, 0, "shrink"},
    {"Sigmoid", 1, 0, "sigmoid"},
    {"Softplus", 1, 0, "softplus"},
    {"Softsign", 1, 0, "softsign"},
    {"SwiGLU", 28, 0, "swi_glu"},
    {"Swish", 24, 0, "swish"},
    {"ThresholdedRelu", 10, 0, "thresholded_relu"},
    /* types */
    {"BitCast", 26, 0, "bit_cast"},
    {"Cast", 1, 0, "cast"},
    {"CastLike", 15, 0, "cast_like"},
    {"Identity", 1, 0, "identity"},
    /* compare */
    {"And", 1, 0, "and"},
    {"Equal", 1, 0, "equal"},
    {"Greater", 1, 0, "greater"},
    {"GreaterOrEqual", 12, 0, "greater_or_equal"},
    {"IsInf", 10, 0, "is_inf"},
    {"IsNaN", 9, 0, "is_nan"},
    {"Less", 1, 0, "less"},
    {"LessOrEqual", 12, 0, "less_or_equal"},
    {"Not", 1, 0, "not"},
    {"Or", 1, 0, "or"},
    {"Where", 9, 0, "where"},
    {"Xor", 1, 0, "xor"},
    /* reduce */
    {"ArgMax", 1, 0, "arg_max"},
    {"ArgMin", 1, 0, "arg_min"},
    {"CumProd", 26, 0, "cum_prod"},
    {"CumSum", 11, 0, "cum_sum"},
    {"ReduceL1", 1, 0, "reduce_l1"},
    {"ReduceL2", 1, 0, "reduce_l2"},
    {"ReduceLogSum", 1, 0, "reduce_log_sum"},
    {"ReduceLogSumExp", 1, 0, "reduce_log_sum_exp"},
    {"ReduceMax", 1, 0, "reduce_max"},
    {"ReduceMean", 1, 0, "reduce_mean"},
    {"ReduceMin", 1, 0, "reduce_min"},
    {"ReduceProd", 1, 0, "reduce_prod"},
    {"ReduceSum", 1, 0, "reduce_sum"},
    {"ReduceSumSquare", 1, 0, "reduce_sum_square"},
    /* matmul */
    {"Det", 11, 0, "det"},
    {"Einsum", 12, 0, "einsum"},
    {"Gemm", 1, 0, "gemm"},
    {"MatMul", 1, 0, "mat_mul"},
    /* conv */
    {"CausalConvWithState", 27, 0, "causal_conv_with_state"},
    {"Col2Im", 18, 0, "col2im"},
    {"Conv", 1, 0, "conv"},
    {"ConvTranspose", 1, 0, "conv_transpose"},
    {"DeformConv", 19, 0, "deform_conv"},
    /* pool */
    {"AveragePool", 1, 0, "average_pool"},
    {"GlobalAveragePool", 1, 0, "global_average_pool"},
    {"GlobalLpPool", 1, 0, "global_lp_pool"},
    {"GlobalMaxPool", 1, 0, "global_max_pool"},
    {"LpPool", 1, 0, "lp_pool"},
    {"MaxPool", 1, 0, "max_pool"},
    {"MaxRoiPool", 1, 0, "max_roi_pool"},
    {"MaxUnpool", 9, 0, "max_unpool"},
    {"RoiAlign", 10, 0, "roi_align"},
    /* norm */
    {"BatchNormalization", 1, 0, "batch_normalization"},
    {"GroupNormalization", 18, 0, "group_normalization"},
    {"InstanceNormalization", 1, 0, "instance_normalization"},
    {"LayerNormalization", 17, 0, "layer_normalization"},
    {"LpNormalization", 1, 0, "lp_normalization"},
    {"LRN", 1, 0, "lrn"},
    {"MeanVarianceNormalization", 9, 0, "mean_variance_normalization"},
    {"RMSNormalization", 23, 0, "rms_normalization"},
    /* softmax */
    {"Hardmax", 1, 0, "hardmax"},
    {"LogSoftmax", 1, 0, "log_softmax"},
    {"NegativeLogLikelihoodLoss", 12, 0, "negative_log_likelihood_loss"},
    {"Softmax", 1, 0, "softmax"},
    {"SoftmaxCrossEntropyLoss", 12, 0, "softmax_cross_entropy_loss"},
    /* attention */
    {"Attention", 23, 0, "attention"},
    {"LinearAttention", 27, 0, "linear_attention"},
    {"RotaryEmbedding", 23, 0, "rotary_embedding"},
    {"TensorScatter", 24, 0, "tensor_scatter"},
    /* quant */
    {"ConvInteger", 10, 0, "conv_integer"},
    {"DequantizeLinear", 10, 0, "dequantize_linear"},
    {"DynamicQuantizeLinear", 11, 0, "dynamic_quantize_linear"},
    {"MatMulInteger", 10, 0, "mat_mul_integer"},
    {"QLinearConv", 10, 0, "q_linear_conv"},
    {"QLinearMatMul", 10, 0, "q_linear_mat_mul"},
    {"QuantizeLinear", 10, 0, "quantize_linear"},
    /* rnn */
    {"GRU", 1, 0, "gru"},
    {"LSTM", 1, 0, "lstm"},
    {"RNN", 1, 0, "rnn"},
    /* shape */
    {"CenterCropPad", 18, 0, "center_crop_pad"},
    {"Concat", 1, 0, "concat"},
    {"ConstantOfShape", 9, 0, "constant_of_shape"},
    {"DepthToSpace", 1, 0, "depth_to_space"},
    {"Expand", 8, 0, "expand"},
    {"EyeLike", 9, 0, "eye_like"},
    {"Flatten", 1, 0, "flatten"},
    {"Pad", 1, 0, "pad"},
    {"Range", 11, 0, "range"},
    {"Reshape", 1, 0, "reshape"},
    {"Shape", 1, 0, "shape"},
    {"Size", 1, 0, "size"},
    {"Slice", 1, 0, "slice"},
    {"SpaceToDepth", 1, 0, "space_to_depth"},
    {"Split", 1, 0, "split"},
    {"Squeeze", 1, 0, "squeeze"},
    {"Tile", 1, 0, "tile"},
    {"Transpose", 1, 0, "transpose"},
    {"Trilu", 14, 0, "trilu"},
    {"Unsqueeze", 1, 0, "unsqueeze"},
    /* index */
    {"Compress", 9, 0, "compress"},
    {"Gather", 1, 0, "gather"},
    {"GatherElements", 11, 0, "gather_elements"},
    {"GatherND", 11, 0, "gather_nd"},
    {"NonMaxSuppression", 10, 0, "non_max_suppression"},
    {"NonZero", 9, 0, "non_zero"},
    {"OneHot", 9, 0, "one_hot"},
    {"ReverseSequence", 10, 0, "reverse_sequence"},
    {"ScatterElements", 11, 0, "scatter_elements"},
    {"ScatterND", 11, 0, "scatter_nd"},
    {"TopK", 1, 0, "top_k"},
    {"Unique", 11, 0, "unique"},
    {"Scatter", 9, 10, "scatter_elements"},
    /* resize */
    {"AffineGrid", 20, 0, "affine_grid"},
    {"GridSample", 16, 0, "grid_sample"},
    {"ImageDecoder", 20, 0, "image_decoder"},
    {"Resize", 10, 0, "resize"},
    {"Upsample", 1, 9, "upsample"},
    /* signal */
    {"BlackmanWindow", 17, 0, "blackman_window"},
    {"DFT", 17, 0, "dft"},
    {"HammingWindow", 17, 0, "hamming_window"},
    {"HannWindow", 17, 0, "hann_window"},
    {"MelWeightMatrix", 17, 0, "mel_weight_matrix"},
    {"STFT", 17, 0, "stft"},
    /* control */
    {"If", 1, 0, "if"},
    {"Loop", 1, 0, "loop"},
    {"Scan", 8, 0, "scan"},
    /* sequence */
    {"ConcatFromSequence", 11, 0, "concat_from_sequence"},
    {"Optional", 15, 0, "optional"},
    {"OptionalGetElement", 15, 0, "optional_get_element"},
    {"OptionalHasElement", 15, 0, "optional_has_element"},
    {"SequenceAt", 11, 0, "sequence_at"},
    {"SequenceConstruct", 11, 0, "sequence_construct"},
    {"SequenceEmpty", 11, 0, "sequence_empty"},
    {"SequenceErase", 11, 0, "sequence_erase"},
    {"SequenceInsert", 11, 0, "sequence_insert"},
    {"SequenceLength", 11, 0, "sequence_length"},
    {"SequenceMap", 17, 0, "sequence_map"},
    {"SplitToSequence", 11, 0, "split_to_sequence"},
    /* random */
    {"Bernoulli", 15, 0, "bernoulli"},
    {"Multinomial", 7, 0, "multinomial"},
    {"RandomNormal", 1, 0, "random_normal"},
    {"RandomNormalLike", 1, 0, "random_normal_like"},
    {"RandomUniform", 1, 0, "random_uniform"},
    {"RandomUniformLike", 1, 0, "random_uniform_like"},
    /* text */
    {"RegexFullMatch", 20, 0, "regex_full_match"},
    {"StringConcat", 20, 0, "string_concat"},
    {"StringNormalizer", 10, 0, "string_normalizer"},
    {"StringSplit", 20, 0, "string_split"},
    {"TfIdfVectorizer", 9, 0, "tf_idf_vectorizer"},
};

static const struct onnx_op ai_onnx_ml[] = {
    {"ArrayFeatureExtractor", 1, 0, "array_feature_extractor"},
    {"Binarizer", 1, 0, "binarizer"},
    {"CastMap", 1, 0, "cast_map"},
    {"CategoryMapper", 1, 0, "category_mapper"},
    {"DictVectorizer", 1, 0, "dict_vectorizer"},
    {"FeatureVectorizer", 1, 0, "feature_vectorizer"},
    {"Imputer", 1, 0, "imputer"},
    {"LabelEncoder", 1, 0, "label_encoder"},
    {"LinearClassifier", 1, 0, "linear_classifier"},
    {"LinearRegressor", 1, 0, "linear_regressor"},
    {"Normalizer", 1, 0, "normalizer"},
    {"OneHotEncoder", 1, 0, "one_hot_encoder"},
    {"SVMClassifier", 1, 0, "svm_classifier"},
    {"SVMRegressor", 1, 0, "svm_regressor"},
    {"Scaler", 1, 0, "scaler"},
    {"TreeEnsemble", 5, 0, "tree_ensemble"},
    {"TreeEnsembleClassifier", 1, 0, "tree_ensemble_classifier"},
    {"TreeEnsembleRegressor", 1, 0, "tree_ensemble_regressor"},
    {"ZipMap", 1, 0, "zip_map"},
};

static const struct onnx_op ai_onnx_preview[] = {
    {"FlexAttention", 1, 0, "flex_attention"},
};

static const struct onnx_op ai_onnx_preview_training[] = {
    {"Adagrad", 1, 0, "adagrad"},
    {"Adam", 1, 0, "adam"},
    {"Momentum", 1, 0, "momentum"},
};

/* Operators of ONNX Runtime's own domain that mean exactly what one of ours means. */
static const struct onnx_op com_microsoft[] = {
    {"CropAndResize", 1, 0, "crop_and_resize"},
    {"DequantizeLinear", 1, 0, "dequantize_linear"},
    {"GatherND", 1, 0, "gather_nd"},
    {"Gelu", 1, 0, "gelu"},
    {"Inverse", 1, 0, "inverse"},
    {"MatMulBnb4", 1, 0, "mat_mul_bnb4"},
    {"MatMulNBits", 1, 0, "mat_mul_n_bits"},
    {"MoE", 1, 0, "mixture_of_experts"},
    {"MurmurHash3", 1, 0, "murmur_hash3"},
    {"NGramRepeatBlock", 1, 0, "n_gram_repeat_block"},
    {"QGemm", 1, 0, "q_gemm"},
    {"QLinearAdd", 1, 0, "q_linear_add"},
    {"QLinearGlobalAveragePool", 1, 0, "q_linear_global_average_pool"},
    {"QLinearLeakyRelu", 1, 0, "q_linear_leaky_relu"},
    {"QLinearMul", 1, 0, "q_linear_mul"},
    {"QLinearSigmoid", 1, 0, "q_linear_sigmoid"},
    {"QMoE", 1, 0, "mixture_of_experts_n_bits"},
    {"QuantizeLinear", 1, 0, "quantize_linear"},
    {"Tokenizer", 1, 0, "tokenizer"},
    {"Trilu", 1, 0, "trilu"},
    {"UnfoldTensor", 1, 0, "unfold"},
    {"WordConvEmbedding", 1, 0, "word_conv_embedding"},
};

struct section {
    const char *domain;
    int newest; /* opset */
    const struct onnx_op *rows;
    size_t n;
};

#define SECTION(domain, newest, rows)                                                              \
    { domain, newest, rows, sizeof(rows) / sizeof(rows)[0] }
static const struct section sections[] = {
    SECTION("ai.onnx", ONNX_OPSET_NEWEST, ai_onnx),
    SECTION("ai.onnx.ml", 5, ai_onnx_ml),
    SECTION("ai.onnx.preview", 1, ai_onnx_preview),
    SECTION("ai.onnx.preview.training", 1, ai_onnx_preview_training),
    SECTION("com.microsoft", 1, com_microsoft),
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0], KEY_MAX = 160 };

struct str onnx_ops_domain(struct str domain) {
    return domain.n ? domain : LIT("ai.onnx");
}

static const struct section *find_section(struct str domain) {
    for (int s = 0; s < N_SECTIONS; s++)
        if (str_is(onnx_ops_domain(domain), sections[s].domain))
            return &sections[s];
    return NULL;
}

int onnx_ops_newest(struct str domain) {
    const struct section *s = find_section(domain);
    return s ? s->newest : 0;
}

enum code onnx_ops_index(struct onnx_ops *ops, struct arena *a, struct err *e) {
    map_init(&ops->rows, a);
    for (int s = 0; s < N_SECTIONS; s++) {
        for (const struct onnx_op *row = sections[s].rows; row < sections[s].rows + sections[s].n;
             row++) {
            char *key = arena_printf(a, "%s:%s", sections[s].domain, row->type);
            if (!key)
                return arena_fail(a, KEY_MAX, "the ONNX vocabulary", e);
            if (!map_has(&ops->rows, str_of(key)))
                TRY(map_put(&ops->rows, str_of(key), (void *)(uintptr_t)row, e));
        }
    }
    return OK;
}

const struct onnx_op *onnx_ops_find(const struct onnx_ops *ops, struct str domain, struct str type,
                                    int opset, const struct onnx_op **other) {
    char key[KEY_MAX];
    const struct section *s = find_section(domain);
    *other = NULL;
    int n = s ? snprintf(key, sizeof key, "%s:%.*s", s->domain, STR(type)) : KEY_MAX;
    if (n >= KEY_MAX)
        return NULL;
    const struct onnx_op *row = map_get(&ops->rows, (struct str){key, (size_t)n});
    for (const char *name = row ? row->type : NULL; row && row < s->rows + s->n; row++) {
        if (strcmp(row->type, name) != 0)
            break;
        if (opset >= row->since && (!row->until || opset <= row->until))
            return row;
        *other = row;
    }
    return NULL;
}

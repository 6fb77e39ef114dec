/* SPDX-License-Identifier: Apache-2.0 */
/* svm_classifier, svm_regressor (ai.onnx.ml 1), as libsvm computes them, over rows (N, F).
 *
 * 1. kernel_params are gamma, coef0, degree. Without support vectors a model is linear: its
 * coefficients are (classes, F) or (F).
 * 2. A classifier of C classes has one decision per pair of classes i < j; coefficients are
 * (C - 1, vectors), vectors lie class by class. The class with most votes is the label.
 * 3. prob_a, prob_b make probabilities of decisions, joined by Wu, Lin and Weng's second method. */
#include "op/scores.h"

#include <math.h>

enum kernel { LINEAR, POLY, RBF, SIGMOID };

struct svm {
    enum kernel kernel;
    double gamma, coef0, degree;
    const float *vectors, *coefficients, *rho, *prob_a, *prob_b;
    size_t n_vectors, n_coefficients, features, n_rho, n_classes, n_pairs;
    const int64_t *per_class; /* (n_classes) vectors */
    enum scores_after after;
    struct scores_labels labels;
    bool linear, probabilities, positive, one_class;
};

static enum code read_kernel(const struct operand_at *at, struct svm *s, struct err *e) {
    static const char *const words[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const struct str word = attr_str(at->node, "kernel_type", "LINEAR");
    size_t n, k = 0;
    const float *p = scores_floats(at->node, "kernel_params", &n);
    while (k < 4 && !str_is(word, words[k]))
        k++;
    if (k == 4 || (k != LINEAR && n < 3))
        return operand_fail(at, e, FORMAT, "kernel '%.*s' with %zu parameters", STR(word), n);
    s->kernel = (enum kernel)k;
    if (n >= 3) {
        s->gamma = (double)p[0];
        s->coef0 = (double)p[1];
        s->degree = (double)p[2];
    }
    return scores_after_of(at, &s->after, e);
}

static enum code read_common(const struct operand_at *at, struct svm *s, size_t *n_vector_floats,
                             struct err *e) {
    TRY(read_kernel(at, s, e));
    s->vectors = scores_floats(at->node, "support_vectors", n_vector_floats);
    s->coefficients = scores_floats(at->node, "coefficients", &s->n_coefficients);
    s->rho = scores_floats(at->node, "rho", &s->n_rho);
    if (!s->coefficients || !s->n_rho)
        return operand_fail(at, e, FORMAT, "coefficients and rho are needed");
    return OK;
}

static enum code read_vectors(const struct operand_at *at, struct svm *s, struct err *e) {
    size_t n = 0;
    if (!attr_ints(at->node, "vectors_per_class", &s->per_class, &n))
        return OK;
    for (size_t k = 0; k < n; k++) {
        if (s->per_class[k] < 0 || s->per_class[k] > INT32_MAX)
            return operand_fail(at, e, FORMAT, "vectors_per_class[%zu] is %lld", k,
                                (long long)s->per_class[k]);
        s->n_vectors += (size_t)s->per_class[k];
    }
    if (s->n_vectors && n != s->n_classes)
        return operand_fail(at, e, FORMAT, "vectors of %zu classes, labels of %zu", n,
                            s->n_classes);
    return OK;
}

static enum code read_classifier(const struct operand_at *at, struct svm *s, struct err *e) {
    size_t n_floats, n_a, n_b;
    TRY(read_common(at, s, &n_floats, e));
    TRY(scores_labels_of(at, &s->labels, e));
    s->n_classes = s->labels.n;
    TRY(read_vectors(at, s, e));
    s->prob_a = scores_floats(at->node, "prob_a", &n_a);
    s->prob_b = scores_floats(at->node, "prob_b", &n_b);
    s->linear = s->n_vectors == 0;
    s->n_pairs = s->n_classes * (s->n_classes - 1) / 2;
    s->probabilities = !s->linear && n_a > 0;
    s->features = s->linear ? s->n_coefficients / s->n_classes : n_floats / s->n_vectors;
    s->positive = true;
    for (size_t k = 0; k < s->n_coefficients; k++)
        s->positive = s->positive && s->coefficients[k] >= 0;
    bool fits = s->n_classes < 1 << 12;
    if (s->linear)
        fits = fits && s->n_coefficients == s->features * s->n_classes;
    else
        fits = fits && s->n_coefficients == (s->n_classes - 1) * s->n_vectors &&
               n_floats == s->features * s->n_vectors && s->n_rho == s->n_pairs &&
               (!n_a || (n_a == s->n_pairs && n_b == s->n_pairs));
    if (!fits)
        return operand_fail(at, e, FORMAT,
                            "%zu coefficients, %zu numbers of vectors and %zu of rho do not fit "
                            "%zu classes",
                            s->n_coefficients, n_floats, s->n_rho, s->n_classes);
    return OK;
}

static enum code read_regressor(const struct operand_at *at, struct svm *s, struct err *e) {
    size_t n_floats;
    TRY(read_common(at, s, &n_floats, e));
    int64_t n = attr_int(at->node, "n_supports", 0);
    s->n_vectors = n > 0 && n < INT32_MAX ? (size_t)n : 0;
    s->linear = s->n_vectors == 0;
    s->one_class = attr_int(at->node, "one_class", 0) != 0;
    s->features = s->linear ? s->n_coefficients : n_floats / s->n_vectors;
    if (!s->linear && (s->n_coefficients < s->n_vectors || n_floats != s->features * s->n_vectors))
        return operand_fail(at, e, FORMAT, "%zu coefficients and %zu numbers for %zu vectors",
                            s->n_coefficients, n_floats, s->n_vectors);
    return OK;
}

static enum code check_features(const struct op_infer *c, const struct svm *s, struct err *e) {
    size_t rows, features;
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    if (features != s->features)
        return operand_fail(c, e, INVALID, "%zu features, the model has %zu", features,
                            s->features);
    return OK;
}

/* Columns of the scores: one per class with probabilities or a linear model, else per pair; one
 * pair makes two. */
static size_t columns_of(const struct svm *s) {
    if (s->linear || s->probabilities)
        return s->n_classes;
    return s->n_pairs == 1 ? 2 : s->n_pairs;
}

static enum code infer_classifier(struct op_infer *c, struct err *e) {
    struct svm s = {0};
    TRY(read_classifier(OPERAND_AT(c), &s, e));
    TRY(scores_infer(c, &s.labels, columns_of(&s), e));
    return check_features(c, &s, e);
}

static enum code infer_regressor(struct op_infer *c, struct err *e) {
    struct svm s = {0};
    size_t rows, features;
    TRY(operand_need(c, 1, e));
    TRY(read_regressor(OPERAND_AT(c), &s, e));
    operand_out_later(c, 0, DT_F32);
    if (!dtype_is_float(c->in[0].dtype) && !dtype_is_integer(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "features of type %s", dtype_name(c->in[0].dtype));
    TRY(check_features(c, &s, e));
    if (!c->in[0].known)
        return OK;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0].shape, &rows, &features, e));
    return operand_out(c, 0, DT_F32, &(struct shape){2, {(int64_t)rows, 1}}, e);
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct svm *s = ARENA_NEW(c->arena, struct svm);
    bool classifier = str_is(c->node->op_name, "svm_classifier");
    size_t doubles;
    if (!s)
        return arena_fail(c->arena, sizeof *s, "support vectors", e);
    TRY(classifier ? read_classifier(OPERAND_AT(c), s, e) : read_regressor(OPERAND_AT(c), s, e));
    /* kernels, decisions, votes, pair probabilities and the joining's matrix and vectors */
    doubles = s->n_vectors + 2 * s->n_pairs + 4 * s->n_classes + 2 * s->n_classes * s->n_classes;
    c->state = s;
    c->scratch_bytes = (doubles + 4) * sizeof(double);
    return OK;
}

/* --- a row --- */

static double kernel_of(const struct svm *s, const struct tensor *x, size_t at, const float *v) {
    double dot = 0, far = 0;
    for (size_t f = 0; f < s->features; f++) {
        double a = tensor_f64(x, at + f), b = (double)v[f];
        dot += a * b;
        far += (a - b) * (a - b);
    }
    switch (s->kernel) {
    case POLY: return pow(s->gamma * dot + s->coef0, s->degree);
    case RBF: return exp(-s->gamma * far);
    case SIGMOID: return tanh(s->gamma * dot + s->coef0);
    default: return dot;
    }
}

/* Decision of classes i < j. first: of each class's vectors */
static double decide(const struct svm *s, const double *kernels, size_t i, size_t j, size_t first_i,
                     size_t first_j) {
    const float *of_i = s->coefficients + (j - 1) * s->n_vectors + first_i,
                *of_j = s->coefficients + i * s->n_vectors + first_j;
    double sum = 0;
    for (size_t k = 0; k < (size_t)s->per_class[i]; k++)
        sum += (double)of_i[k] * kernels[first_i + k];
    for (size_t k = 0; k < (size_t)s->per_class[j]; k++)
        sum += (double)of_j[k] * kernels[first_j + k];
    return sum;
}

static void decide_all(const struct svm *s, const double *kernels, double *decisions,
                       double *votes) {
    size_t pair = 0, first_i = 0;
    for (size_t k = 0; k < s->n_classes; k++)
        votes[k] = 0;
    for (size_t i = 0; i < s->n_classes; first_i += (size_t)s->per_class[i++]) {
        size_t first_j = first_i + (size_t)s->per_class[i];
        for (size_t j = i + 1; j < s->n_classes; first_j += (size_t)s->per_class[j++], pair++) {
            double d = decide(s, kernels, i, j, first_i, first_j) + (double)s->rho[pair];
            decisions[pair] = d;
            votes[d > 0 ? i : j]++;
        }
    }
}

/* Wu, Lin and Weng (2004), second method: probabilities of n classes of those of pairs (n, n).
 * room: n * n + n. */
static void join_pairs(size_t n, const double *pairs, double *p, double *room) {
    double *q = room, *qp = room + n * n;
    for (size_t t = 0; t < n; t++) {
        p[t] = 1 / (double)n;
        q[t * n + t] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == t)
                continue;
            q[t * n + t] += pairs[j * n + t] * pairs[j * n + t];
            q[t * n + j] = -pairs[j * n + t] * pairs[t * n + j];
        }
    }
    for (int round = 0; round < 100; round++) {
        double pqp = 0, worst = 0;
        for (size_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (size_t j = 0; j < n; j++)
                qp[t] += q[t * n + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (size_t t = 0; t < n; t++)
            worst = fmax(worst, fabs(qp[t] - pqp));
        if (worst < 0.005 / (double)n)
            return;
        for (size_t t = 0; t < n; t++) {
            double step = (pqp - qp[t]) / q[t * n + t];
            p[t] += step;
            pqp = (pqp + step * (step * q[t * n + t] + 2 * qp[t])) / ((1 + step) * (1 + step));
            for (size_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[t * n + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

static double pair_probability(double decision, double a, double b) {
    double v = a * decision + b;
    double p = v < 0 ? 1 / (1 + exp(v)) : exp(-v) / (1 + exp(-v));
    return fmin(fmax(p, 1e-7), 1 - 1e-7);
}

/* Probabilities of the classes, of the decisions of all pairs. room: 2 * n * n + n */
static void probabilities(const struct svm *s, const double *decisions, double *p, double *room) {
    const size_t n = s->n_classes;
    double *pairs = room;
    for (size_t i = 0, pair = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, pair++) {
            double v =
                pair_probability(decisions[pair], (double)s->prob_a[pair], (double)s->prob_b[pair]);
            pairs[i * n + j] = v;
            pairs[j * n + i] = 1 - v;
        }
    join_pairs(n, pairs, p, room + n * n);
}

/* The label's index; scores[columns_of]. */
static size_t classify(const struct svm *s, const struct tensor *x, size_t at, double *room,
                       double *scores) {
    double *kernels = room, *decisions = kernels + s->n_vectors, *votes = decisions + s->n_pairs;
    if (s->linear) {
        for (size_t k = 0; k < s->n_classes; k++)
            scores[k] = kernel_of(s, x, at, s->coefficients + k * s->features) +
                        (double)s->rho[s->n_rho == s->n_classes ? k : 0];
        size_t top = scores_top(scores, s->n_classes);
        scores_finish(s->after, scores, s->n_classes);
        return top;
    }
    for (size_t k = 0; k < s->n_vectors; k++)
        kernels[k] = kernel_of(s, x, at, s->vectors + k * s->features);
    decide_all(s, kernels, decisions, votes);
    size_t top = scores_top(votes, s->n_classes);
    if (s->probabilities) {
        probabilities(s, decisions, scores, votes + s->n_classes);
        scores_finish(s->after, scores, s->n_classes);
    } else if (s->n_pairs == 1) {
        scores_of_binary(s->after, s->after != SCORES_NONE, decisions[0], scores);
    } else {
        memcpy(scores, decisions, s->n_pairs * sizeof *scores);
        scores_finish(s->after, scores, s->n_pairs);
    }
    return top;
}

static enum code run_classifier(const struct op_call *c, struct err *e) {
    const struct svm *s = c->state;
    struct tensor *labels = operand_to(c, 0), *out = operand_to(c, 1);
    const size_t columns = columns_of(s);
    size_t rows, features;
    double *scores = c->scratch, *room = scores + columns;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    for (size_t row = 0; row < rows; row++) {
        size_t top = classify(s, c->in[0], row * features, room, scores);
        if (labels)
            scores_put_label(&s->labels, top, labels, row);
        for (size_t k = 0; k < columns && out; k++)
            ((float *)out->data)[row * columns + k] = (float)scores[k];
    }
    return OK;
}

static enum code run_regressor(const struct op_call *c, struct err *e) {
    const struct svm *s = c->state;
    size_t rows, features;
    TRY(scores_rows(OPERAND_AT(c), &c->in[0]->shape, &rows, &features, e));
    for (size_t row = 0; row < rows; row++) {
        double sum = (double)s->rho[0];
        if (s->linear)
            sum += kernel_of(s, c->in[0], row * features, s->coefficients);
        for (size_t k = 0; k < s->n_vectors; k++)
            sum += (double)s->coefficients[k] *
                   kernel_of(s, c->in[0], row * features, s->vectors + k * s->features);
        ((float *)c->out[0]->data)[row] = (float)(!s->one_class ? sum : sum > 0 ? 1 : -1);
    }
    return OK;
}

const struct op op_svm_classifier = {.name = "svm_classifier",
                                     .flags = OP_PURE,
                                     .infer = infer_classifier,
                                     .prepare = prepare,
                                     .run = run_classifier};
const struct op op_svm_regressor = {.name = "svm_regressor",
                                    .flags = OP_PURE,
                                    .infer = infer_regressor,
                                    .prepare = prepare,
                                    .run = run_regressor};

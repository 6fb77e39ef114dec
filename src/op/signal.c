/* SPDX-License-Identifier: Apache-2.0 */
/* dft, stft, the windows hann, hamming and blackman, mel_weight_matrix.
 *
 * The last dim of a signal is 1 (real) or 2 (complex). Opsets: dft has its axis as an attribute
 * (default 1) in 17, as an input (default -2) since 20. */
#include "op/fourier.h"
#include "op/operand.h"

#include <math.h>

/* --- dft --- */

struct dft {
    int axis;
    size_t in_dim, out_dim, n;  /* of the axis; length of the transform */
    size_t outer, inner;        /* around the axis, without the last dim */
    size_t in_parts, out_parts; /* 1: real, 2: complex */
    bool inverse, onesided;
};

/* t: dft_length, axis; NULL: absent */
static enum code dft_setup(const struct operand_at *at, const struct shape *in,
                           const struct tensor *const t[2], struct dft *d, struct err *e) {
    int64_t axis = at->node->opset < 20 ? attr_int(at->node, "axis", 1) : -2, n;
    d->inverse = attr_int(at->node, "inverse", 0) != 0;
    d->onesided = attr_int(at->node, "onesided", 0) != 0;
    if (t[1])
        TRY(operand_int(at, t[1], "axis", &axis, e));
    TRY(operand_axis(at, axis, in->rank, &d->axis, e));
    if (d->axis == in->rank - 1 || in->dims[in->rank - 1] < 1 || in->dims[in->rank - 1] > 2)
        return operand_fail(at, e, INVALID, "axis %d of a signal of rank %d with %lld parts",
                            d->axis, in->rank, (long long)in->dims[in->rank - 1]);
    d->in_dim = (size_t)in->dims[d->axis];
    n = d->inverse && d->onesided ? 2 * ((int64_t)d->in_dim - 1) : (int64_t)d->in_dim;
    if (t[0])
        TRY(operand_int(at, t[0], "dft_length", &n, e));
    if (n < 1 || n > INT64_C(1) << 40)
        return operand_fail(at, e, INVALID, "the length of the transform is %lld", (long long)n);
    d->n = (size_t)n;
    d->in_parts = (size_t)in->dims[in->rank - 1];
    d->out_parts = d->inverse && d->onesided ? 1 : 2;
    d->out_dim = d->onesided && !d->inverse ? d->n / 2 + 1 : d->n;
    d->outer = d->inner = 1;
    for (int k = 0; k < in->rank - 1; k++)
        if (k != d->axis)
            *(k < d->axis ? &d->outer : &d->inner) *= (size_t)in->dims[k];
    return OK;
}

static enum code infer_dft(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 1, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "a signal of type %s", dtype_name(c->in[0].dtype));
    for (int i = 1; i < 3; i++)
        if (operand_given(c, i) && !operand_data(c, i))
            return OK;
    if (!c->in[0].known)
        return OK;
    const struct tensor *t[2] = {operand_data(c, 1), operand_data(c, 2)};
    struct shape out = c->in[0].shape;
    struct dft d;
    TRY(dft_setup(OPERAND_AT(c), &out, t, &d, e));
    out.dims[d.axis] = (int64_t)d.out_dim;
    out.dims[out.rank - 1] = (int64_t)d.out_parts;
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

/* Room for one line and its transform. Neither the axis nor the length need be known yet: no line
 * is longer than twice the longest dim. */
static enum code prepare_room(struct op_prepare *c, struct err *e) {
    size_t longest = 1, room;
    for (int k = 0; k < c->in[0].shape.rank; k++)
        longest =
            (size_t)c->in[0].shape.dims[k] > longest ? (size_t)c->in[0].shape.dims[k] : longest;
    for (int k = 0; k < c->out[0].shape.rank; k++)
        longest =
            (size_t)c->out[0].shape.dims[k] > longest ? (size_t)c->out[0].shape.dims[k] : longest;
    if (!fourier_room(2 * longest, &room))
        return operand_fail(c, e, LIMIT, "a signal of %zu values is too long", longest);
    c->scratch_bytes = (room + 4 * longest) * sizeof(double);
    return OK;
}

/* Loads line (o, i) as d->n complex numbers, zeros after its end, mirrored when only one side of a
 * spectrum is there. */
static void load_line(const struct dft *d, const struct tensor *in, size_t o, size_t i, double *x) {
    size_t had = d->in_dim < d->n ? d->in_dim : d->n;
    bool mirror = d->inverse && d->onesided;
    if (mirror)
        had = had < d->n / 2 + 1 ? had : d->n / 2 + 1;
    memset(x, 0, 2 * d->n * sizeof *x);
    for (size_t k = 0; k < had; k++) {
        size_t at = ((o * d->in_dim + k) * d->inner + i) * d->in_parts;
        x[2 * k] = tensor_f64(in, at);
        x[2 * k + 1] = d->in_parts == 2 ? tensor_f64(in, at + 1) : 0;
    }
    for (size_t k = 1; mirror && k < had; k++) {
        if (d->n - k <= k)
            break;
        x[2 * (d->n - k)] = x[2 * k];
        x[2 * (d->n - k) + 1] = -x[2 * k + 1];
    }
}

static enum code run_dft(const struct op_call *c, struct err *e) {
    const struct tensor *t[2] = {operand_in(c, 1), operand_in(c, 2)};
    struct tensor *out = c->out[0];
    struct dft d;
    struct fourier f;
    double *x = c->scratch;
    TRY(dft_setup(OPERAND_AT(c), &c->in[0]->shape, t, &d, e));
    fourier_init(&f, d.n, x + 2 * d.n);
    double scale = d.inverse ? 1 / (double)d.n : 1;
    for (size_t o = 0; o < d.outer; o++)
        for (size_t i = 0; i < d.inner; i++) {
            load_line(&d, c->in[0], o, i, x);
            fourier_run(&f, x, d.inverse);
            for (size_t k = 0; k < d.out_dim; k++)
                for (size_t part = 0; part < d.out_parts; part++)
                    operand_put(out, ((o * d.out_dim + k) * d.inner + i) * d.out_parts + part,
                                x[2 * k + part] * scale);
        }
    return OK;
}

/* --- stft --- */

struct stft {
    size_t batch, length, parts; /* the signal (batch, length, parts) */
    size_t step, n, frames, bins;
};

/* t: frame_step, window, frame_length; the last two may be NULL */
static enum code stft_setup(const struct operand_at *at, const struct shape *in,
                            const struct shape *window, const struct tensor *const t[2],
                            struct stft *s, struct err *e) {
    int64_t step, n;
    if (in->rank != 3 || in->dims[2] < 1 || in->dims[2] > 2 || (window && window->rank != 1))
        return operand_fail(at, e, INVALID, "the signal must be (batch, length, 1 or 2)");
    TRY(operand_int(at, t[0], "frame_step", &step, e));
    n = window ? window->dims[0] : in->dims[1];
    if (t[1])
        TRY(operand_int(at, t[1], "frame_length", &n, e));
    if (step < 1 || n < 1 || n > in->dims[1] || (window && window->dims[0] != n))
        return operand_fail(at, e, INVALID, "frames of %lld every %lld in a signal of %lld",
                            (long long)n, (long long)step, (long long)in->dims[1]);
    *s = (struct stft){.batch = (size_t)in->dims[0],
                       .length = (size_t)in->dims[1],
                       .parts = (size_t)in->dims[2],
                       .step = (size_t)step,
                       .n = (size_t)n};
    s->frames = (s->length - s->n) / s->step + 1;
    bool onesided = attr_int(at->node, "onesided", 1) != 0;
    s->bins = onesided ? s->n / 2 + 1 : s->n;
    return OK;
}

static enum code infer_stft(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype))
        return operand_fail(c, e, INVALID, "a signal of type %s", dtype_name(c->in[0].dtype));
    if (!operand_known(c) || !operand_data(c, 1) || (operand_given(c, 3) && !operand_data(c, 3)))
        return OK;
    const struct tensor *t[2] = {operand_data(c, 1), operand_data(c, 3)};
    struct stft s;
    TRY(stft_setup(OPERAND_AT(c), &c->in[0].shape, operand_given(c, 2) ? &c->in[2].shape : NULL, t,
                   &s, e));
    struct shape out = {.rank = 4,
                        .dims = {(int64_t)s.batch, (int64_t)s.frames, (int64_t)s.bins, 2}};
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code run_stft(const struct op_call *c, struct err *e) {
    const struct tensor *in = c->in[0], *window = operand_in(c, 2);
    const struct tensor *t[2] = {c->in[1], operand_in(c, 3)};
    struct stft s;
    struct fourier f;
    double *x = c->scratch;
    TRY(stft_setup(OPERAND_AT(c), &in->shape, window ? &window->shape : NULL, t, &s, e));
    fourier_init(&f, s.n, x + 2 * s.n);
    for (size_t frame = 0; frame < s.batch * s.frames; frame++) {
        size_t first = frame / s.frames * s.length + frame % s.frames * s.step;
        for (size_t k = 0; k < s.n; k++) {
            double w = window ? tensor_f64(window, k) : 1;
            x[2 * k] = w * tensor_f64(in, (first + k) * s.parts);
            x[2 * k + 1] = s.parts == 2 ? w * tensor_f64(in, (first + k) * 2 + 1) : 0;
        }
        fourier_run(&f, x, false);
        for (size_t k = 0; k < 2 * s.bins; k++)
            operand_put(c->out[0], frame * s.bins * 2 + k, x[k]);
    }
    return OK;
}

/* --- windows: sums of cosines --- */

static enum code number_type(const struct op_infer *c, enum dtype *out, struct err *e) {
    *out = operand_dtype(attr_int(c->node, "output_datatype", 1));
    if (!dtype_is_float(*out) && !dtype_is_integer(*out))
        return operand_fail(c, e, UNSUPPORTED, "a result of type %s", dtype_name(*out));
    return OK;
}

static enum code infer_window(struct op_infer *c, struct err *e) {
    struct shape out = {.rank = 1};
    enum dtype t;
    TRY(operand_need(c, 1, e));
    TRY(number_type(c, &t, e));
    operand_out_later(c, 0, t);
    if (!operand_data(c, 0))
        return OK;
    TRY(operand_int(OPERAND_AT(c), operand_data(c, 0), "size", &out.dims[0], e));
    return operand_out(c, 0, t, &out, e);
}

static enum code window(const struct op_call *c, double a, double b, double d) {
    size_t n = tensor_count(c->out[0]);
    double period = (double)n - (attr_int(c->node, "periodic", 1) ? 0 : 1);
    for (size_t k = 0; k < n; k++) {
        double angle = 2 * M_PI * (double)k / period;
        operand_put(c->out[0], k, a + b * cos(angle) + d * cos(2 * angle));
    }
    return OK;
}

static enum code run_hann(const struct op_call *c, struct err *e) {
    (void)e;
    return window(c, 0.5, -0.5, 0);
}
static enum code run_hamming(const struct op_call *c, struct err *e) {
    (void)e;
    return window(c, 25.0 / 46, -21.0 / 46, 0);
}
static enum code run_blackman(const struct op_call *c, struct err *e) {
    (void)e;
    return window(c, 0.42, -0.5, 0.08);
}

/* --- mel_weight_matrix --- */

static enum code infer_mel(struct op_infer *c, struct err *e) {
    enum dtype t;
    int64_t bins, n;
    TRY(operand_need(c, 5, e));
    TRY(number_type(c, &t, e));
    operand_out_later(c, 0, t);
    if (!operand_data(c, 0) || !operand_data(c, 1))
        return OK;
    TRY(operand_int(OPERAND_AT(c), operand_data(c, 0), "num_mel_bins", &bins, e));
    TRY(operand_int(OPERAND_AT(c), operand_data(c, 1), "dft_length", &n, e));
    if (bins < 0 || n < 0)
        return operand_fail(c, e, INVALID, "%lld mel bins of a transform of %lld", (long long)bins,
                            (long long)n);
    return operand_out(c, 0, t, &(struct shape){.rank = 2, .dims = {n / 2 + 1, bins}}, e);
}

/* The spectrogram bin of edge k of the triangles, at most `last`; -1: there is none. */
static int64_t mel_edge(const double v[5], double k, int64_t last) {
    double low = 2595 * log10(1 + v[3] / 700), high = 2595 * log10(1 + v[4] / 700);
    double hertz = 700 * (pow(10, (k * (high - low) / (v[0] + 2) + low) / 2595) - 1);
    double bin = floor((v[1] + 1) * hertz / v[2]);
    return bin >= 0 && bin <= (double)last ? (int64_t)bin : -1;
}

static void mel_triangle(const struct tensor *out, size_t column, const int64_t edge[3]) {
    size_t bins = (size_t)out->shape.dims[1];
    if (edge[0] == edge[1])
        operand_put(out, (size_t)edge[1] * bins + column, 1);
    for (int64_t k = edge[0]; k <= edge[1] && edge[0] < edge[1]; k++)
        operand_put(out, (size_t)k * bins + column,
                    (double)(k - edge[0]) / (double)(edge[1] - edge[0]));
    for (int64_t k = edge[1]; k < edge[2]; k++)
        operand_put(out, (size_t)k * bins + column,
                    (double)(edge[2] - k) / (double)(edge[2] - edge[1]));
}

static enum code run_mel(const struct op_call *c, struct err *e) {
    static const char *const names[] = {"num_mel_bins", "dft_length", "sample_rate",
                                        "lower_edge_hertz", "upper_edge_hertz"};
    struct tensor *out = c->out[0];
    double v[5];
    for (int k = 0; k < 5; k++)
        TRY(operand_number(OPERAND_AT(c), c->in[k], names[k], &v[k], e));
    if (tensor_bytes(out))
        memset(out->data, 0, tensor_bytes(out));
    for (size_t column = 0; column < (size_t)out->shape.dims[1]; column++) {
        int64_t edge[3];
        for (int k = 0; k < 3; k++) {
            edge[k] = mel_edge(v, (double)column + k, out->shape.dims[0] - (k < 2));
            if (edge[k] < 0)
                return operand_fail(c, e, INVALID,
                                    "%g to %g Hz do not fit a transform of %g at %g Hz", v[3], v[4],
                                    v[1], v[2]);
        }
        mel_triangle(out, column, edge);
    }
    return OK;
}

const struct op op_dft = {
    .name = "dft", .flags = OP_PURE, .infer = infer_dft, .prepare = prepare_room, .run = run_dft};
const struct op op_stft = {.name = "stft",
                           .flags = OP_PURE,
                           .infer = infer_stft,
                           .prepare = prepare_room,
                           .run = run_stft};
const struct op op_hann_window = {
    .name = "hann_window", .flags = OP_PURE, .infer = infer_window, .run = run_hann};
const struct op op_hamming_window = {
    .name = "hamming_window", .flags = OP_PURE, .infer = infer_window, .run = run_hamming};
const struct op op_blackman_window = {
    .name = "blackman_window", .flags = OP_PURE, .infer = infer_window, .run = run_blackman};
const struct op op_mel_weight_matrix = {
    .name = "mel_weight_matrix", .flags = OP_PURE, .infer = infer_mel, .run = run_mel};

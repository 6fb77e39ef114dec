/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that knows oneDNN (2.x). See dnnl.h for the contract.
 *
 * Life of a task: descriptor -> primitive descriptor (attributes: posts, scales, zero points,
 * scratch by the user) -> primitive. Making one generates code, 0.3 to 1.3 ms the first time, so
 * tasks are made when a plan is. What differs between convolution and matrix product is only the
 * descriptor; struct parts collects the rest. */
#include "kernel/dnnl.h"

#include "base/cpu.h"
#include "base/late.h"
#include "base/mem.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the library --- */

/* clang-format off */
#define FUNCTIONS(X) \
    X(dnnl_dilated_convolution_forward_desc_init) X(dnnl_engine_create) \
    X(dnnl_matmul_desc_init) X(dnnl_memory_create) X(dnnl_memory_desc_get_size) \
    X(dnnl_memory_desc_init_by_tag) X(dnnl_memory_destroy) X(dnnl_memory_set_data_handle_v2) \
    X(dnnl_post_ops_append_binary) X(dnnl_post_ops_append_eltwise) \
    X(dnnl_post_ops_append_sum_v3) X(dnnl_post_ops_create) X(dnnl_post_ops_destroy) \
    X(dnnl_primitive_attr_create) X(dnnl_primitive_attr_destroy) \
    X(dnnl_primitive_attr_set_output_scales) X(dnnl_primitive_attr_set_post_ops) \
    X(dnnl_primitive_attr_set_scratchpad_mode) X(dnnl_primitive_attr_set_zero_points) \
    X(dnnl_primitive_create) X(dnnl_primitive_desc_create) X(dnnl_primitive_desc_destroy) \
    X(dnnl_primitive_desc_query) X(dnnl_primitive_desc_query_md) X(dnnl_primitive_destroy) \
    X(dnnl_primitive_execute) X(dnnl_reorder_primitive_desc_create) X(dnnl_set_max_cpu_isa) \
    X(dnnl_stream_create) X(dnnl_stream_destroy) X(dnnl_stream_wait)
/* clang-format on */

#define QUOTE(number) #number
#define FILE_OF(major) "libdnnl.so." QUOTE(major)

/* Opened when the first task is wanted (decision 0012): a program that computes nothing with it
 * does not pay for its 40 MB, and a machine without it computes by our own kernels. Its teams are
 * ours: the program exports the OpenMP that it has in it (meson.build). */
static struct { FUNCTIONS(LATE_FIELD) } lib;
static struct late dnnl = LATE(FILE_OF(DNNL_VERSION_MAJOR), FUNCTIONS);

/* --- the engine: one for the process --- */

static dnnl_engine_t engine; /* NULL: unusable. Immutable after start_once */
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

/* SLIPWAY_CPU lowers oneDNN as well; unlowered, it knows best itself. */
static dnnl_cpu_isa_t lowered_isa(void) {
    static const struct {
        const char *level;
        dnnl_cpu_isa_t isa;
    } levels[] = {{"avx2", dnnl_cpu_isa_avx2},
                  {"avx512", dnnl_cpu_isa_avx512_core},
                  {"vnni", dnnl_cpu_isa_avx512_core_vnni},
                  {"bf16", dnnl_cpu_isa_avx512_core_bf16}};
    const char *level = cpu_level();
    for (size_t i = 0; getenv("SLIPWAY_CPU") && i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(levels[i].level, level) == 0)
            return levels[i].isa;
    return dnnl_cpu_isa_all;
}

static void start(void) {
    if (!(cpu_flags() & CPU_AVX2) || !late_open(&dnnl))
        return;
    (void)lib.dnnl_set_max_cpu_isa(
        lowered_isa()); /* refused when already set by the environment: that is its right */
    if (lib.dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

bool dnnl_task_usable(void) {
    pthread_once(&start_once, start);
    return engine != NULL;
}

/* --- tasks --- */

enum { ARGS_MAX = 6 + DNNL_FUSED_MAX };

struct kit { /* what one run at a time needs */
    struct kit *next;
    dnnl_stream_t stream;
    dnnl_memory_t memory[ARGS_MAX];
    const void
        *at[ARGS_MAX]; /* where each points: pointing it anew makes oneDNN zero its padding again */
};

struct arg {
    int name; /* DNNL_ARG_SRC, ... */
    dnnl_memory_desc_t md;
};

struct dnnl_task {
    dnnl_primitive_t primitive;
    int threads, n_args;
    struct arg args[ARGS_MAX];
    dnnl_memory_desc_t plain; /* of the weights as the caller has them */
    size_t scratch_bytes;
    char kernel[64];
    pthread_mutex_t lock; /* guards kits */
    struct kit *kits;     /* free ones; owned */
};

/* What is collected before the primitive exists. */
struct parts {
    dnnl_memory_desc_t src, weights, bias, dst, plain;
    dnnl_memory_desc_t operand[DNNL_FUSED_MAX];
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t posts;
    int n_posts;                 /* oneDNN's count: hard_sigmoid is two */
    int post_of[DNNL_FUSED_MAX]; /* where fused[i] stands in it */
};

static enum code refused(const char *what, dnnl_status_t status, struct err *e) {
    if (status == dnnl_out_of_memory)
        return fail(e, NOMEM, "out of memory for a %s", what);
    return fail(e, UNSUPPORTED, "oneDNN has no fast %s of this form (status %d)", what,
                (int)status);
}

static dnnl_data_type_t data_type(enum dnnl_number n) {
    static const dnnl_data_type_t types[] = {[DNNL_NUMBER_F32] = dnnl_f32,
                                             [DNNL_NUMBER_BF16] = dnnl_bf16,
                                             [DNNL_NUMBER_U8] = dnnl_u8,
                                             [DNNL_NUMBER_I8] = dnnl_s8,
                                             [DNNL_NUMBER_I32] = dnnl_s32};
    return types[n];
}

/* Weights of a task: as it packs them, as they are given, and the bias. */
struct weight_types {
    dnnl_data_type_t packed, plain, bias;
};

static struct weight_types weight_types(enum dnnl_number src) {
    if (src == DNNL_NUMBER_F32)
        return (struct weight_types){dnnl_f32, dnnl_f32, dnnl_f32};
    if (src == DNNL_NUMBER_BF16)
        return (struct weight_types){dnnl_bf16, dnnl_f32, dnnl_f32};
    return (struct weight_types){dnnl_s8, dnnl_s8, dnnl_s32};
}

static void kit_free(struct kit *k, int n_args) {
    for (int i = 0; i < n_args; i++)
        if (k->memory[i])
            lib.dnnl_memory_destroy(k->memory[i]);
    if (k->stream)
        lib.dnnl_stream_destroy(k->stream);
    mem_free(k);
}

static struct kit *kit_new(const struct dnnl_task *t) {
    struct kit *k = mem_zalloc(1, sizeof *k);
    if (!k)
        return NULL;
    bool ok = lib.dnnl_stream_create(&k->stream, engine, dnnl_stream_in_order) == dnnl_success;
    for (int i = 0; ok && i < t->n_args; i++)
        ok = lib.dnnl_memory_create(&k->memory[i], &t->args[i].md, engine, DNNL_MEMORY_NONE) ==
             dnnl_success;
    if (!ok) {
        kit_free(k, t->n_args);
        return NULL;
    }
    return k;
}

static struct kit *kit_take(struct dnnl_task *t) {
    pthread_mutex_lock(&t->lock);
    struct kit *k = t->kits;
    if (k)
        t->kits = k->next;
    pthread_mutex_unlock(&t->lock);
    return k ? k : kit_new(t);
}

static void kit_give(struct dnnl_task *t, struct kit *k) {
    pthread_mutex_lock(&t->lock);
    k->next = t->kits;
    t->kits = k;
    pthread_mutex_unlock(&t->lock);
}

void dnnl_task_free(struct dnnl_task *t) {
    if (!t)
        return;
    for (struct kit *k = t->kits; k; k = t->kits) {
        t->kits = k->next;
        kit_free(k, t->n_args);
    }
    if (t->primitive)
        lib.dnnl_primitive_destroy(t->primitive);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

/* --- attributes --- */

static dnnl_status_t add_function(struct parts *p, dnnl_alg_kind_t kind, float alpha, float beta) {
    p->n_posts++;
    return lib.dnnl_post_ops_append_eltwise(p->posts, 1.0f, kind, alpha, beta);
}

static dnnl_status_t add_fused(struct parts *p, const struct dnnl_fused *f, int index) {
    p->post_of[index] = p->n_posts;
    switch (f->kind) {
    case DNNL_FUSED_RELU: return add_function(p, dnnl_eltwise_relu, 0, 0);
    case DNNL_FUSED_CLIP: return add_function(p, dnnl_eltwise_clip, f->alpha, f->beta);
    case DNNL_FUSED_LEAKY_RELU: return add_function(p, dnnl_eltwise_relu, f->alpha, 0);
    case DNNL_FUSED_ELU: return add_function(p, dnnl_eltwise_elu, f->alpha, 0);
    case DNNL_FUSED_SIGMOID: return add_function(p, dnnl_eltwise_logistic, 0, 0);
    case DNNL_FUSED_TANH: return add_function(p, dnnl_eltwise_tanh, 0, 0);
    case DNNL_FUSED_HARD_SIGMOID: {
        dnnl_status_t s = add_function(p, dnnl_eltwise_linear, f->alpha, f->beta);
        return s == dnnl_success ? add_function(p, dnnl_eltwise_clip, 0, 1) : s;
    }
    case DNNL_FUSED_HARD_SWISH: return add_function(p, dnnl_eltwise_hardswish, 0, 0);
    case DNNL_FUSED_SILU: return add_function(p, dnnl_eltwise_swish, 1, 0);
    case DNNL_FUSED_GELU_ERF: return add_function(p, dnnl_eltwise_gelu_erf, 0, 0);
    case DNNL_FUSED_GELU_TANH: return add_function(p, dnnl_eltwise_gelu_tanh, 0, 0);
    case DNNL_FUSED_ADD:
    case DNNL_FUSED_MUL:
        p->n_posts++;
        return lib.dnnl_post_ops_append_binary(
            p->posts, f->kind == DNNL_FUSED_ADD ? dnnl_binary_add : dnnl_binary_mul,
            &p->operand[index]);
    case DNNL_FUSED_SUM:
        p->n_posts++;
        return lib.dnnl_post_ops_append_sum_v3(p->posts, f->alpha, f->zero, dnnl_data_type_undef);
    }
    return dnnl_invalid_arguments;
}

struct quantisation {
    const float *scales;
    int64_t n_scales;
    int channel_axis;
    int32_t src_zero, dst_zero;
};

static dnnl_status_t make_attr(struct parts *p, const struct dnnl_fused *fused, int n_fused,
                               const struct quantisation *q) {
    dnnl_status_t s = lib.dnnl_primitive_attr_create(&p->attr);
    if (s == dnnl_success)
        s = lib.dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = lib.dnnl_post_ops_create(&p->posts);
    for (int i = 0; s == dnnl_success && i < n_fused; i++)
        s = add_fused(p, &fused[i], i);
    if (s == dnnl_success)
        s = lib.dnnl_primitive_attr_set_post_ops(p->attr, p->posts);
    if (s == dnnl_success && q->scales)
        s = lib.dnnl_primitive_attr_set_output_scales(
            p->attr, q->n_scales, q->n_scales > 1 ? 1 << q->channel_axis : 0, q->scales);
    if (s == dnnl_success && q->src_zero)
        s = lib.dnnl_primitive_attr_set_zero_points(p->attr, DNNL_ARG_SRC, 1, 0, &q->src_zero);
    if (s == dnnl_success && q->dst_zero)
        s = lib.dnnl_primitive_attr_set_zero_points(p->attr, DNNL_ARG_DST, 1, 0, &q->dst_zero);
    return s;
}

static void parts_free(struct parts *p) {
    if (p->posts)
        lib.dnnl_post_ops_destroy(p->posts);
    if (p->attr)
        lib.dnnl_primitive_attr_destroy(p->attr);
}

/* --- from descriptor to task --- */

static void add_arg(struct dnnl_task *t, int name, const dnnl_memory_desc_t *md) {
    t->args[t->n_args++] = (struct arg){name, *md};
}

static const dnnl_memory_desc_t *queried(const_dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return lib.dnnl_primitive_desc_query_md(pd, what, 0);
}

static bool reference(const char *impl) {
    return strstr(impl, "ref") != NULL || strstr(impl, "simple") != NULL;
}

static void collect_args(struct dnnl_task *t, const struct parts *p, const_dnnl_primitive_desc_t pd,
                         const struct dnnl_fused *fused, int n_fused) {
    add_arg(t, DNNL_ARG_SRC, queried(pd, dnnl_query_src_md));
    add_arg(t, DNNL_ARG_WEIGHTS, queried(pd, dnnl_query_weights_md));
    add_arg(t, DNNL_ARG_DST, queried(pd, dnnl_query_dst_md));
    const dnnl_memory_desc_t *scratch = queried(pd, dnnl_query_scratchpad_md);
    t->scratch_bytes = lib.dnnl_memory_desc_get_size(scratch);
    add_arg(t, DNNL_ARG_SCRATCHPAD, scratch);
    if (p->bias.ndims)
        add_arg(t, DNNL_ARG_BIAS, &p->bias);
    for (int i = 0; i < n_fused; i++)
        if (fused[i].kind == DNNL_FUSED_ADD || fused[i].kind == DNNL_FUSED_MUL)
            add_arg(t, DNNL_ARG_ATTR_MULTIPLE_POST_OP(p->post_of[i]) | DNNL_ARG_SRC_1 | (i << 24),
                    &p->operand[i]);
}

/* desc is a dnnl_convolution_desc_t or dnnl_matmul_desc_t. */
static enum code make_task(const char *what, const void *desc, struct parts *p,
                           const struct dnnl_fused *fused, int n_fused, int threads,
                           struct dnnl_task **out, struct err *e) {
    dnnl_primitive_desc_t pd = NULL;
    struct dnnl_task *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return fail(e, NOMEM, "out of memory for a %s", what);
    pthread_mutex_init(&t->lock, NULL);
    omp_set_num_threads(threads);
    t->threads = threads;
    const char *impl = "";
    dnnl_status_t s = lib.dnnl_primitive_desc_create(&pd, desc, p->attr, engine, NULL);
    if (s == dnnl_success)
        s = lib.dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &impl);
    if (s == dnnl_success && reference(impl))
        s = dnnl_unimplemented;
    if (s == dnnl_success)
        s = lib.dnnl_primitive_create(&t->primitive, pd);
    if (s == dnnl_success) {
        collect_args(t, p, pd, fused, n_fused);
        t->plain = p->plain;
        snprintf(t->kernel, sizeof t->kernel, "dnnl %s", impl);
        t->kits = kit_new(t);
    }
    if (pd)
        lib.dnnl_primitive_desc_destroy(pd);
    if (s == dnnl_success && t->kits) {
        *out = t;
        return OK;
    }
    dnnl_task_free(t);
    return refused(what, s == dnnl_success ? dnnl_out_of_memory : s, e);
}

/* --- convolution --- */

/* Tags by number of spatial dims. */
static const dnnl_format_tag_t channels_last[] = {dnnl_nc, dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};
static const dnnl_format_tag_t plain_weights[] = {dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
static const dnnl_format_tag_t plain_groups[] = {dnnl_abc, dnnl_abcd, dnnl_abcde, dnnl_abcdef};

static void copy_dims(dnnl_dims_t to, const int64_t *from, int n, int64_t less) {
    memset(to, 0, sizeof(dnnl_dims_t));
    for (int i = 0; i < n; i++)
        to[i] = from[i] - less;
}

static dnnl_status_t conv_operand(const struct dnnl_conv *c, int index, dnnl_memory_desc_t *md) {
    dnnl_dims_t dims;
    copy_dims(dims, c->fused[index].dims, c->n_spatial + 2, 0);
    return lib.dnnl_memory_desc_init_by_tag(
        md, c->n_spatial + 2, dims, data_type(c->fused[index].number), channels_last[c->n_spatial]);
}

static dnnl_status_t conv_memory(const struct dnnl_conv *c, struct parts *p) {
    dnnl_dims_t src = {c->batch, c->in_channels}, dst = {c->batch, c->out_channels}, w,
                bias = {c->out_channels};
    int n = c->n_spatial, at = 0;
    if (c->groups > 1)
        w[at++] = c->groups;
    w[at++] = c->out_channels / c->groups;
    w[at++] = c->in_channels / c->groups;
    for (int i = 0; i < n; i++) {
        src[2 + i] = c->in[i];
        dst[2 + i] = c->out[i];
        w[at++] = c->kernel[i];
    }
    const struct weight_types types = weight_types(c->src);
    dnnl_status_t s =
        lib.dnnl_memory_desc_init_by_tag(&p->src, n + 2, src, data_type(c->src), channels_last[n]);
    if (s == dnnl_success)
        s = lib.dnnl_memory_desc_init_by_tag(&p->dst, n + 2, dst, data_type(c->dst),
                                             channels_last[n]);
    if (s == dnnl_success)
        s = lib.dnnl_memory_desc_init_by_tag(&p->weights, at, w, types.packed, dnnl_format_tag_any);
    if (s == dnnl_success)
        s = lib.dnnl_memory_desc_init_by_tag(&p->plain, at, w, types.plain,
                                             c->groups > 1 ? plain_groups[n] : plain_weights[n]);
    if (s == dnnl_success && c->bias)
        s = lib.dnnl_memory_desc_init_by_tag(&p->bias, 1, bias, types.bias, dnnl_a);
    for (int i = 0; s == dnnl_success && i < c->n_fused; i++)
        if (c->fused[i].kind == DNNL_FUSED_ADD || c->fused[i].kind == DNNL_FUSED_MUL)
            s = conv_operand(c, i, &p->operand[i]);
    return s;
}

enum code dnnl_task_conv(const struct dnnl_conv *c, struct dnnl_task **out, struct err *e) {
    if (!dnnl_task_usable())
        return refused("convolution", dnnl_unimplemented, e);
    struct parts p = {0};
    dnnl_convolution_desc_t desc;
    dnnl_dims_t stride, dilation, before, after;
    copy_dims(stride, c->stride, c->n_spatial, 0);
    copy_dims(dilation, c->dilation, c->n_spatial, 1);
    copy_dims(before, c->before, c->n_spatial, 0);
    copy_dims(after, c->after, c->n_spatial, 0);
    const struct quantisation q = {c->scales, c->n_scales, 1, c->src_zero, c->dst_zero};
    enum code code;
    dnnl_status_t s = conv_memory(c, &p);
    if (s == dnnl_success)
        s = lib.dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_convolution_direct, &p.src, &p.weights,
            c->bias ? &p.bias : NULL, &p.dst, stride, dilation, before, after);
    if (s == dnnl_success)
        s = make_attr(&p, c->fused, c->n_fused, &q);
    if (s == dnnl_success)
        code = make_task("convolution", &desc, &p, c->fused, c->n_fused, c->threads, out, e);
    else
        code = refused("convolution", s, e);
    parts_free(&p);
    return code;
}

/* --- matrix product --- */

/* A batch of one is two-dimensional: oneDNN has more fast forms of it. */
static dnnl_status_t matrix(dnnl_memory_desc_t *md, int64_t batch, int64_t rows, int64_t cols,
                            bool flat, dnnl_data_type_t type, bool transposed) {
    if (flat) {
        dnnl_dims_t dims = {rows, cols};
        return lib.dnnl_memory_desc_init_by_tag(md, 2, dims, type, transposed ? dnnl_ba : dnnl_ab);
    }
    dnnl_dims_t dims = {batch, rows, cols};
    return lib.dnnl_memory_desc_init_by_tag(md, 3, dims, type, transposed ? dnnl_acb : dnnl_abc);
}

static dnnl_status_t matmul_memory(const struct dnnl_matmul *c, struct parts *p, bool flat) {
    const struct weight_types types = weight_types(c->src);
    const dnnl_data_type_t given = c->constant ? types.plain : types.packed;
    dnnl_status_t s =
        matrix(&p->src, c->batch, c->m, c->k, flat, data_type(c->src), c->a_transposed);
    if (s == dnnl_success)
        s = matrix(&p->plain, c->b_batch, c->k, c->n, flat, given, c->b_transposed);
    p->weights = p->plain;
    if (s == dnnl_success && c->constant)
        s = lib.dnnl_memory_desc_init_by_tag(&p->weights, p->plain.ndims, p->plain.dims,
                                             types.packed, dnnl_format_tag_any);
    if (s == dnnl_success)
        s = matrix(&p->dst, c->batch, c->m, c->n, flat, data_type(c->dst), false);
    if (s == dnnl_success && c->bias)
        s = matrix(&p->bias, 1, 1, c->n, flat, types.bias, false);
    for (int i = 0; s == dnnl_success && i < c->n_fused; i++)
        if (c->fused[i].kind == DNNL_FUSED_ADD || c->fused[i].kind == DNNL_FUSED_MUL)
            s = matrix(&p->operand[i], c->fused[i].dims[0], c->fused[i].dims[1],
                       c->fused[i].dims[2], flat, data_type(c->fused[i].number), false);
    return s;
}

enum code dnnl_task_matmul(const struct dnnl_matmul *c, struct dnnl_task **out, struct err *e) {
    if (!dnnl_task_usable())
        return refused("matrix product", dnnl_unimplemented, e);
    struct parts p = {0};
    dnnl_matmul_desc_t desc;
    const bool flat = c->batch == 1;
    const struct quantisation q = {c->scales, c->n_scales, flat ? 1 : 2, c->src_zero, c->dst_zero};
    enum code code;
    dnnl_status_t s = matmul_memory(c, &p, flat);
    if (s == dnnl_success)
        s = lib.dnnl_matmul_desc_init(&desc, &p.src, &p.weights, c->bias ? &p.bias : NULL, &p.dst);
    if (s == dnnl_success)
        s = make_attr(&p, c->fused, c->n_fused, &q);
    if (s == dnnl_success)
        code = make_task("matrix product", &desc, &p, c->fused, c->n_fused, c->threads, out, e);
    else
        code = refused("matrix product", s, e);
    parts_free(&p);
    return code;
}

/* --- weights --- */

const char *dnnl_task_kernel(const struct dnnl_task *t) { return t->kernel; }
size_t dnnl_task_scratch(const struct dnnl_task *t) { return t->scratch_bytes; }
size_t dnnl_task_packed(const struct dnnl_task *t) {
    return lib.dnnl_memory_desc_get_size(&t->args[1].md);
}

uint64_t dnnl_task_packing(
    const struct dnnl_task *t) { /* FNV-1a of the descriptor, which oneDNN keeps zero-filled */
    const unsigned char *p = (const unsigned char *)&t->args[1].md;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < sizeof t->args[1].md; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

enum code dnnl_task_pack(struct dnnl_task *t, const void *plain, void *packed, struct err *e) {
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    omp_set_num_threads(t->threads);
    dnnl_status_t s = lib.dnnl_memory_create(&from, &t->plain, engine, (void *)(uintptr_t)plain);
    if (s == dnnl_success)
        s = lib.dnnl_memory_create(&to, &t->args[1].md, engine, packed);
    if (s == dnnl_success)
        s = lib.dnnl_reorder_primitive_desc_create(&pd, &t->plain, engine, &t->args[1].md, engine,
                                                   NULL);
    if (s == dnnl_success)
        s = lib.dnnl_primitive_create(&reorder, pd);
    if (s == dnnl_success)
        s = lib.dnnl_stream_create(&stream, engine, dnnl_stream_in_order);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    if (s == dnnl_success)
        s = lib.dnnl_primitive_execute(reorder, stream, 2, args);
    if (s == dnnl_success)
        s = lib.dnnl_stream_wait(stream);
    if (stream)
        lib.dnnl_stream_destroy(stream);
    if (reorder)
        lib.dnnl_primitive_destroy(reorder);
    if (pd)
        lib.dnnl_primitive_desc_destroy(pd);
    if (to)
        lib.dnnl_memory_destroy(to);
    if (from)
        lib.dnnl_memory_destroy(from);
    return s == dnnl_success ? OK : refused("packing of weights", s, e);
}

/* --- run --- */

static const void *pointer_of(const struct dnnl_run *r, int name) {
    switch (name) {
    case DNNL_ARG_SRC: return r->src;
    case DNNL_ARG_WEIGHTS: return r->weights;
    case DNNL_ARG_DST: return r->dst;
    case DNNL_ARG_SCRATCHPAD: return r->scratch;
    case DNNL_ARG_BIAS: return r->bias;
    default: return r->extra[name >> 24];
    }
}

enum code dnnl_task_run(struct dnnl_task *t, const struct dnnl_run *r, struct err *e) {
    struct kit *k = kit_take(t);
    if (!k)
        return fail(e, NOMEM, "out of memory for oneDNN's memory objects");
    omp_set_num_threads(t->threads);
    dnnl_exec_arg_t args[ARGS_MAX];
    dnnl_status_t s = dnnl_success;
    for (int i = 0; i < t->n_args && s == dnnl_success; i++) {
        const int name = t->args[i].name;
        const void *p = pointer_of(r, name);
        if (k->at[i] != p)
            s = lib.dnnl_memory_set_data_handle_v2(k->memory[i], (void *)(uintptr_t)p, k->stream);
        k->at[i] = p;
        args[i] = (dnnl_exec_arg_t){name & 0xffffff, k->memory[i]};
    }
    if (s == dnnl_success)
        s = lib.dnnl_primitive_execute(t->primitive, k->stream, t->n_args, args);
    kit_give(t, k);
    return s == dnnl_success
               ? OK
               : fail(e, INTERNAL, "oneDNN failed with status %d in %s", (int)s, t->kernel);
}

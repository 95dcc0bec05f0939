/* draco_compute.h - version 0.1.0 - the compute library under the models: oneDNN or OpenBLAS

   Part of the implementation of the models: C11 with GNU extensions and POSIX, -fopenmp, static functions.
   OpenBLAS is used where dnnl.h is not installed or DRACO_OPENBLAS is defined. All calls of the compute
   library are in this file.

   Threads and bits. Results are equal bit for bit between runs, processes and machines when library, version,
   instruction set, shape and number of threads are equal; each of these changes the bits. So compute calls
   stand between draco_compute_begin and draco_compute_end (oneDNN primitives that are created for more
   threads than run them hang, too), and draco_isa_set pins the instruction set of a deployment.

   Matrix products go through the function pointer draco_sgemm; a program may set its own before the first
   use.

   Convolution and batch norm (draco_conv_*, draco_norm_*) are oneDNN primitives with user-owned scratch
   memory, so that all threads of a process share one set of them and one packed copy of the weights. The
   build with OpenBLAS has the same functions in draco_layers.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_COMPUTE_H
#define DRACO_COMPUTE_H

#include "draco_model.h"

#include <signal.h>
#if defined(__cplusplus) || !defined(__GNUC__) || !defined(SIG_BLOCK)
#error "draco_compute.h: part of the models' implementation, POSIX and C with GNU extensions: -std=gnu11"
#endif
#ifndef _OPENMP
#error "draco_compute.h: -fopenmp is needed: the compute library must be held to one thread for equal bits"
#endif

#include <stdio.h>

#if !defined(DRACO_OPENBLAS) && __has_include(<dnnl.h>)
#include <dnnl.h>
#define DRACO_ONEDNN 1
#else
#include <cblas.h>
#define DRACO_ONEDNN 0
#endif
#include <omp.h>
#include <pthread.h>

#define DRACO_LAYER DRACO_MODEL_INLINE

/* ---- The library below: its threads, its instruction set, its matrix product ---- */

/* Compute calls stand between begin and end: one thread per worker, whatever OMP_NUM_THREADS says, and no
   signal handler on top of them. oneDNN 2.6's matrix product keeps data below the stack pointer, where the
   kernel puts a handler's frame: a signal at the wrong moment corrupts memory (seen: SIGALRM every 0.3 ms
   around dnnl_sgemm ends in an abort of the allocator within a second). */
typedef struct draco_compute_guard {
    int threads;
    sigset_t signals;
} draco_compute_guard;

DRACO_LAYER draco_compute_guard draco_compute_begin(void) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    draco_compute_guard before;
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before.signals);
    before.threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

DRACO_LAYER void draco_compute_end(draco_compute_guard before) {
    omp_set_num_threads(before.threads);
    pthread_sigmask(SIG_SETMASK, &before.signals, NULL);
}

#if DRACO_ONEDNN
typedef struct draco_isa_name {
    const char *name;
    dnnl_cpu_isa_t isa;
} draco_isa_name;

static const draco_isa_name draco_isa_names[] = {
    {"all", dnnl_cpu_isa_all},
    {"sse41", dnnl_cpu_isa_sse41},
    {"avx", dnnl_cpu_isa_avx},
    {"avx2", dnnl_cpu_isa_avx2},
    {"avx2_vnni", dnnl_cpu_isa_avx2_vnni},
    {"avx512_core", dnnl_cpu_isa_avx512_core},
    {"avx512_core_vnni", dnnl_cpu_isa_avx512_core_vnni},
    {"avx512_core_bf16", dnnl_cpu_isa_avx512_core_bf16},
    {"avx512_core_amx", dnnl_cpu_isa_avx512_core_amx},
};
#define DRACO_ISA_COUNT (sizeof draco_isa_names / sizeof draco_isa_names[0])

/* The names that draco_isa_set takes, for messages. */
DRACO_LAYER const char *draco_isa_list(void) {
    return "all, sse41, avx, avx2, avx2_vnni, avx512_core, avx512_core_vnni, avx512_core_bf16, "
           "avx512_core_amx";
}

/* Use no instructions beyond `name`, in this process, from its first product on. On error `why` says it in
   words: DRACO_E_ARGUMENT for an unknown name, DRACO_E_MODEL when a product has been computed already. */
DRACO_LAYER draco_status draco_isa_set(const char *name, char *why, size_t capacity) {
    for (size_t i = 0; i < DRACO_ISA_COUNT; i++) {
        size_t length = strlen(draco_isa_names[i].name);
        if (strlen(name) != length || memcmp(name, draco_isa_names[i].name, length) != 0) continue;
        if (dnnl_set_max_cpu_isa(draco_isa_names[i].isa) == dnnl_success) return DRACO_OK;
        snprintf(why, capacity, "the instruction set can be chosen only before the first computation");
        return DRACO_E_MODEL;
    }
    snprintf(why, capacity, "unknown instruction set '%s': use one of %s", name, draco_isa_list());
    return DRACO_E_ARGUMENT;
}

/* Library, version and instruction set in use: equal text is needed (and not enough) for equal bits. As
 * snprintf.
 */
DRACO_LAYER int draco_compute_describe(char *text, size_t capacity) {
    const dnnl_version_t *v = dnnl_version();
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const char *name = "unknown";
    for (size_t i = 1; i < DRACO_ISA_COUNT; i++)
        if (draco_isa_names[i].isa == isa) name = draco_isa_names[i].name;
    return snprintf(text, capacity, "oneDNN %d.%d.%d (%.12s), instruction set %s", v->major, v->minor,
                    v->patch, v->hash, name);
}

DRACO_LAYER void draco_sgemm_default(char transa, char transb, size_t m, size_t n, size_t k, float alpha,
                                     const float *a, size_t lda, const float *b, size_t ldb, float beta,
                                     float *c, size_t ldc) {
    dnnl_sgemm(transa, transb, (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, alpha, a, (dnnl_dim_t)lda, b,
               (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
}
#else
extern void openblas_set_num_threads(int);
extern int openblas_get_parallel(void);
extern char *openblas_get_config(void);
extern char *openblas_get_corename(void);

DRACO_LAYER const char *draco_isa_list(void) {
    return "all";
}

DRACO_LAYER draco_status draco_isa_set(const char *name, char *why, size_t capacity) {
    if (strcmp(name, "all") == 0) return DRACO_OK;
    snprintf(why, capacity,
             "this build computes with OpenBLAS: its kernels are chosen by the environment variable "
             "OPENBLAS_CORETYPE, not by '%s'",
             name);
    return DRACO_E_ARGUMENT;
}

DRACO_LAYER int draco_compute_describe(char *text, size_t capacity) {
    return snprintf(text, capacity, "%s, kernels %s", openblas_get_config(), openblas_get_corename());
}

/* The serial build of OpenBLAS gives wrong numbers when several threads call it: that build is refused. */
DRACO_LAYER void draco_sgemm_default(char transa, char transb, size_t m, size_t n, size_t k, float alpha,
                                     const float *a, size_t lda, const float *b, size_t ldb, float beta,
                                     float *c, size_t ldc) {
    static _Thread_local int ready;
    if (!ready) {
        if (openblas_get_parallel() == 0) {
            fprintf(stderr, "libopenblas: the serial build is not thread-safe; install the pthread build\n");
            abort();
        }
        openblas_set_num_threads(1);
        ready = 1;
    }
    cblas_sgemm(CblasRowMajor, transa == 'T' ? CblasTrans : CblasNoTrans,
                transb == 'T' ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a, (int)lda, b,
                (int)ldb, beta, c, (int)ldc);
}
#endif

/* C[m][n] = alpha op(A)[m][k] op(B)[k][n] + beta C, row-major, 'N' or 'T'; ld*: floats from row to row. One
   for the whole program: the definitions in several files are merged. */
typedef void (*draco_sgemm_fn)(char transa, char transb, size_t m, size_t n, size_t k, float alpha,
                               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                               size_t ldc);
__attribute__((weak)) draco_sgemm_fn draco_sgemm = draco_sgemm_default;

/* ---- Convolution and batch norm ---- */

typedef struct draco_conv_shape {
    size_t height, width, ci, co, kernel, stride, pad; /* of the input; kernel x kernel */
} draco_conv_shape;

DRACO_LAYER size_t draco_conv_out(size_t in, const draco_conv_shape *s) {
    return (in + 2 * s->pad - s->kernel) / s->stride + 1;
}

DRACO_LAYER size_t draco_conv_weights(const draco_conv_shape *s) {
    return s->kernel * s->kernel * s->ci * s->co;
}

DRACO_LAYER size_t draco_max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

#if DRACO_ONEDNN
/* One per process. Activations are kept in blocks of `block` channels: [image][channel /
 * block][pixel][block]. */
typedef struct draco_engine {
    dnnl_engine_t engine;
    size_t block;
} draco_engine;

/* One per thread. scratch and weights are as large as the largest need of what is run. */
typedef struct draco_run {
    dnnl_stream_t stream;
    void *scratch;
    float *weights;       /* two sets of weights */
    float *rows;          /* matrices of draco_conv_backward_weights */
    dnnl_status_t status; /* the first failure */
} draco_run;

DRACO_LAYER draco_status draco_engine_open(draco_engine *e) {
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    e->block = isa >= dnnl_cpu_isa_avx512_mic && isa != dnnl_cpu_isa_avx2_vnni ? 16 : 8;
    return dnnl_engine_create(&e->engine, dnnl_cpu, 0) == dnnl_success ? DRACO_OK : DRACO_E_MODEL;
}

DRACO_LAYER void draco_engine_close(draco_engine *e) {
    if (e->engine) dnnl_engine_destroy(e->engine);
    e->engine = NULL;
}

DRACO_LAYER draco_status draco_run_open(draco_run *run, const draco_engine *e) {
    memset(run, 0, sizeof *run);
    dnnl_status_t status = dnnl_stream_create(&run->stream, e->engine, dnnl_stream_default_flags);
    return status == dnnl_success ? DRACO_OK : DRACO_E_MODEL;
}

DRACO_LAYER void draco_run_close(draco_run *run) {
    if (run->stream) dnnl_stream_destroy(run->stream);
    free(run->scratch);
    free(run->weights);
    free(run->rows);
    memset(run, 0, sizeof *run);
}

DRACO_LAYER draco_status draco_run_status(const draco_run *run) {
    if (run->status == dnnl_success) return DRACO_OK;
    return run->status == dnnl_out_of_memory ? DRACO_E_MEMORY : DRACO_E_MODEL;
}

/* Channels that stand together in memory. */
DRACO_LAYER size_t draco_engine_block(const draco_engine *e, size_t channels) {
    return e->block < channels ? e->block : channels;
}

/* An image as the first layer wants it: for oneDNN one plane per channel. */
DRACO_LAYER void draco_engine_image(size_t pixels, size_t channels, const float *nhwc, float *out) {
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < pixels; i++) out[c * pixels + i] = nhwc[i * channels + c];
}

/* A primitive and what it reads and writes, in the order in which draco_step_run takes the pointers. */
#define DRACO_STEP_ARGS 10
typedef struct draco_step {
    dnnl_primitive_t primitive;
    dnnl_engine_t engine;
    int count, arg[DRACO_STEP_ARGS];
    dnnl_memory_desc_t desc[DRACO_STEP_ARGS];
    dnnl_memory_desc_t scratch;
} draco_step;

DRACO_LAYER void draco_step_close(draco_step *step) {
    if (step->primitive) dnnl_primitive_destroy(step->primitive);
    step->primitive = NULL;
}

/* Take over the descriptor, and let the caller own the scratch memory. */
DRACO_LAYER dnnl_status_t draco_step_open(draco_step *step, const draco_engine *e,
                                          const_dnnl_primitive_desc_t pd) {
    step->engine = e->engine;
    step->count = 0;
    step->scratch = *dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    return dnnl_primitive_create(&step->primitive, pd);
}

DRACO_LAYER void draco_step_arg(draco_step *step, int arg, const dnnl_memory_desc_t *desc) {
    step->arg[step->count] = arg;
    step->desc[step->count++] = *desc;
}

DRACO_LAYER size_t draco_step_scratch(const draco_step *step) {
    return dnnl_memory_desc_get_size(&step->scratch);
}

/* pointers: one for each argument. */
DRACO_LAYER void draco_step_run(const draco_step *step, draco_run *run, const void *const *pointers) {
    dnnl_exec_arg_t args[DRACO_STEP_ARGS + 1] = {{0, NULL}};
    dnnl_status_t status = dnnl_success;
    int made = 0;
    for (; made <= step->count && status == dnnl_success; made += status == dnnl_success) {
        int last = made == step->count;
        args[made].arg = last ? DNNL_ARG_SCRATCHPAD : step->arg[made];
        /* The library takes inputs and outputs alike through a pointer to void. */
        void *memory = last ? run->scratch : (void *)(uintptr_t)pointers[made];
        status = dnnl_memory_create(&args[made].memory, last ? &step->scratch : &step->desc[made],
                                    step->engine, memory);
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(step->primitive, run->stream, made, args);
    if (status == dnnl_success) status = dnnl_stream_wait(run->stream);
    for (int i = 0; i < made; i++) dnnl_memory_destroy(args[i].memory);
    if (run->status == dnnl_success) run->status = status;
}

/* Primitive attributes that all of them share; destroyed by the caller. */
DRACO_LAYER dnnl_primitive_attr_t draco_step_attributes(void) {
    dnnl_primitive_attr_t attr = NULL;
    if (dnnl_primitive_attr_create(&attr) != dnnl_success) return NULL;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

DRACO_LAYER dnnl_status_t draco_reorder_open(draco_step *step, const draco_engine *e,
                                             const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to) {
    dnnl_primitive_attr_t attr = draco_step_attributes();
    dnnl_primitive_desc_t pd;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, from, e->engine, to, e->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success) return status;
    status = draco_step_open(step, e, pd);
    dnnl_primitive_desc_destroy(pd);
    draco_step_arg(step, DNNL_ARG_FROM, from);
    draco_step_arg(step, DNNL_ARG_TO, to);
    return status;
}

/* A convolution for a fixed number of images. */
typedef struct draco_conv {
    draco_conv_shape shape;
    size_t images, block;
    int plain;  /* the first layer, which reads images of draco_engine_image and passes no gradient on */
    int matrix; /* gradient of the weights as one matrix product */
    draco_step forward, data, weights;
    draco_step pack_forward, pack_data, unpack;
    size_t packed, packed_forward; /* floats of both packs, and of the first */
} draco_conv;

DRACO_LAYER void draco_conv_close(draco_conv *c) {
    draco_step *steps[] = {&c->forward, &c->data, &c->weights, &c->pack_forward, &c->pack_data, &c->unpack};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) draco_step_close(steps[i]);
}

/* Winograd's F(4 x 4, 3 x 3) needs some 48 tiles to pay; below, direct convolution is faster. What was
   measured decides, not dnnl_convolution_auto, which takes Winograd for 3 input channels and for single
   tiles. */
DRACO_LAYER dnnl_alg_kind_t draco_conv_algorithm(const draco_conv *c) {
    size_t across = (draco_conv_out(c->shape.width, &c->shape) + 3) / 4;
    size_t tiles = c->images * across * ((draco_conv_out(c->shape.height, &c->shape) + 3) / 4);
    int pays = c->shape.kernel == 3 && c->shape.stride == 1 && c->shape.ci >= 16 && tiles >= 48;
    return pays ? dnnl_convolution_winograd : dnnl_convolution_direct;
}

typedef struct draco_conv_descs {
    dnnl_memory_desc_t x, w, y, plain_x, plain_w;
    dnnl_dims_t strides, pads;
} draco_conv_descs;

DRACO_LAYER void draco_conv_describe(const draco_conv *c, draco_conv_descs *d) {
    const draco_conv_shape *s = &c->shape;
    dnnl_format_tag_t tag = c->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_dims_t x = {(dnnl_dim_t)c->images, (dnnl_dim_t)s->ci, (dnnl_dim_t)s->height, (dnnl_dim_t)s->width};
    dnnl_dims_t w = {(dnnl_dim_t)s->co, (dnnl_dim_t)s->ci, (dnnl_dim_t)s->kernel, (dnnl_dim_t)s->kernel};
    dnnl_dims_t y = {(dnnl_dim_t)c->images, (dnnl_dim_t)s->co, (dnnl_dim_t)draco_conv_out(s->height, s),
                     (dnnl_dim_t)draco_conv_out(s->width, s)};
    memset(d->strides, 0, sizeof d->strides);
    memset(d->pads, 0, sizeof d->pads);
    for (int i = 0; i < 2; i++) {
        d->strides[i] = (dnnl_dim_t)s->stride;
        d->pads[i] = (dnnl_dim_t)s->pad;
    }
    dnnl_memory_desc_init_by_tag(&d->x, 4, x, dnnl_f32, c->plain ? dnnl_nchw : tag);
    dnnl_memory_desc_init_by_tag(&d->y, 4, y, dnnl_f32, tag);
    dnnl_memory_desc_init_by_tag(&d->w, 4, w, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&d->plain_w, 4, w, dnnl_f32, dnnl_hwio);
}

/* One of the three directions of a convolution: 0 forward, 1 gradient of the input, 2 of the weights. Falls
   back from Winograd to direct where this instruction set has none. */
DRACO_LAYER dnnl_status_t draco_conv_direction(draco_step *step, const draco_engine *e, const draco_conv *c,
                                               const draco_conv_descs *d, dnnl_alg_kind_t alg,
                                               int direction) {
    dnnl_primitive_attr_t attr = draco_step_attributes();
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, alg, &d->x, &d->w,
                                                              NULL, &d->y, d->strides, d->pads, d->pads);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&hint, &desc, attr, e->engine, NULL);
    if (status == dnnl_success && direction == 1)
        status = dnnl_convolution_backward_data_desc_init(&desc, alg, &d->x, &d->w, &d->y, d->strides,
                                                          d->pads, d->pads);
    if (status == dnnl_success && direction == 2)
        status = dnnl_convolution_backward_weights_desc_init(&desc, alg, &d->x, &d->w, NULL, &d->y,
                                                             d->strides, d->pads, d->pads);
    if (status == dnnl_success && direction > 0)
        status = dnnl_primitive_desc_create(&pd, &desc, attr, e->engine, hint);
    if (status == dnnl_success) status = draco_step_open(step, e, direction > 0 ? pd : hint);
    if (status == dnnl_success) {
        dnnl_query_t which = direction == 2 ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
        draco_step_arg(step, direction == 1 ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &d->x);
        draco_step_arg(step, direction == 2 ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
                       dnnl_primitive_desc_query_md(direction > 0 ? pd : hint, which, 0));
        draco_step_arg(step, direction == 0 ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, &d->y);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (hint) dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success && alg == dnnl_convolution_winograd)
        return draco_conv_direction(step, e, c, d, dnnl_convolution_direct, direction);
    return status;
}

DRACO_LAYER size_t draco_desc_floats(const dnnl_memory_desc_t *desc) {
    return dnnl_memory_desc_get_size(desc) / sizeof(float);
}

/* plain: the first layer of a network. */
DRACO_LAYER draco_status draco_conv_open(draco_conv *c, const draco_engine *e, const draco_conv_shape *shape,
                                         size_t images, int plain) {
    draco_conv_descs d;
    memset(c, 0, sizeof *c);
    c->shape = *shape;
    c->images = images;
    c->block = e->block;
    c->plain = plain;
    /* On small images oneDNN's gradient of the weights falls to half the speed of a matrix product. */
    size_t pixels = draco_conv_out(shape->height, shape) * draco_conv_out(shape->width, shape);
    c->matrix = !plain && pixels <= 16;
    draco_conv_describe(c, &d);
    dnnl_alg_kind_t alg = draco_conv_algorithm(c);
    dnnl_status_t status = draco_conv_direction(&c->forward, e, c, &d, alg, 0);
    if (status == dnnl_success) {
        c->packed_forward = c->packed = draco_desc_floats(&c->forward.desc[1]);
        status = draco_reorder_open(&c->pack_forward, e, &d.plain_w, &c->forward.desc[1]);
    }
    if (status == dnnl_success && !plain) {
        status = draco_conv_direction(&c->data, e, c, &d, alg, 1);
        if (status == dnnl_success) {
            c->packed += draco_desc_floats(&c->data.desc[1]);
            status = draco_reorder_open(&c->pack_data, e, &d.plain_w, &c->data.desc[1]);
        }
    }
    if (status == dnnl_success && !c->matrix) {
        status = draco_conv_direction(&c->weights, e, c, &d, alg, 2);
        if (status == dnnl_success)
            status = draco_reorder_open(&c->unpack, e, &c->weights.desc[1], &d.plain_w);
    }
    if (status == dnnl_success) return DRACO_OK;
    draco_conv_close(c);
    return status == dnnl_out_of_memory ? DRACO_E_MEMORY : DRACO_E_MODEL;
}

/* What a run must have room for: bytes of scratch, floats of one set of weights, floats of matrices. */
DRACO_LAYER void draco_conv_needs(const draco_conv *c, size_t *scratch, size_t *weights, size_t *rows) {
    const draco_step *steps[] = {&c->forward,      &c->data,      &c->weights,
                                 &c->pack_forward, &c->pack_data, &c->unpack};
    const draco_conv_shape *s = &c->shape;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i]->primitive) *scratch = draco_max_size(*scratch, draco_step_scratch(steps[i]));
    if (!c->matrix) *weights = draco_max_size(*weights, draco_desc_floats(&c->weights.desc[1]));
    *weights = draco_max_size(*weights, draco_conv_weights(s));
    size_t places = c->images * draco_conv_out(s->height, s) * draco_conv_out(s->width, s);
    if (c->matrix) *rows = draco_max_size(*rows, places * (s->kernel * s->kernel * s->ci + s->co));
}

/* w: [kh][kw][ci][co]; packed: c->packed floats. */
DRACO_LAYER void draco_conv_pack(const draco_conv *c, draco_run *run, const float *w, float *packed) {
    draco_step_run(&c->pack_forward, run, (const void *[]){w, packed});
    if (c->pack_data.primitive)
        draco_step_run(&c->pack_data, run, (const void *[]){w, packed + c->packed_forward});
}

DRACO_LAYER void draco_conv_forward(const draco_conv *c, draco_run *run, const float *x, const float *packed,
                                    float *y) {
    draco_step_run(&c->forward, run, (const void *[]){x, packed, y});
}

DRACO_LAYER void draco_conv_backward_data(const draco_conv *c, draco_run *run, const float *packed,
                                          const float *dy, float *dx) {
    draco_step_run(&c->data, run, (const void *[]){dx, packed + c->packed_forward, dy});
}

/* One row of pixels of a blocked image: from[c / block][pixel][block] -> to[c], or zeros outside of the
 * image. */
DRACO_LAYER void draco_unblock(const float *image, size_t channels, size_t pixels, size_t block, size_t pixel,
                               float *to) {
    for (size_t c = 0; c < channels; c += block)
        memcpy(to + c, image + c * pixels + pixel * block, block * sizeof *to);
}

/* rows[place][kh][kw][ci] of all images, places in the order of y. */
DRACO_LAYER void draco_conv_gather(const draco_conv *c, const float *x, float *rows) {
    const draco_conv_shape *s = &c->shape;
    size_t oh = draco_conv_out(s->height, s), ow = draco_conv_out(s->width, s), pixels = s->height * s->width;
    for (size_t i = 0; i < c->images * oh * ow; i++) {
        const float *image = x + i / (oh * ow) * pixels * s->ci;
        size_t top = i / ow % oh * s->stride, left = i % ow * s->stride;
        for (size_t k = 0; k < s->kernel * s->kernel; k++, rows += s->ci) {
            size_t yy = top + k / s->kernel - s->pad, xx = left + k % s->kernel - s->pad;
            if (yy < s->height && xx < s->width) /* below 0 wraps round to very large */
                draco_unblock(image, s->ci, pixels, c->block, yy * s->width + xx, rows);
            else
                memset(rows, 0, s->ci * sizeof *rows);
        }
    }
}

DRACO_LAYER void draco_conv_weights_matrix(const draco_conv *c, draco_run *run, const float *x,
                                           const float *dy, float beta, float *dw) {
    const draco_conv_shape *s = &c->shape;
    size_t pixels = draco_conv_out(s->height, s) * draco_conv_out(s->width, s);
    size_t places = c->images * pixels, depth = s->kernel * s->kernel * s->ci;
    float *rows = run->rows, *out = run->rows + places * depth;
    draco_conv_gather(c, x, rows);
    for (size_t i = 0; i < places; i++)
        draco_unblock(dy + i / pixels * pixels * s->co, s->co, pixels, c->block, i % pixels, out + i * s->co);
    draco_sgemm('T', 'N', depth, s->co, places, 1.0f, rows, depth, out, s->co, beta, dw, s->co);
}

/* dw: [kh][kw][ci][co] = beta dw + the gradient; beta 0 or 1. */
DRACO_LAYER void draco_conv_backward_weights(const draco_conv *c, draco_run *run, const float *x,
                                             const float *dy, float beta, float *dw) {
    if (c->matrix) {
        draco_conv_weights_matrix(c, run, x, dy, beta, dw);
        return;
    }
    float *blocked = run->weights, *plain = blocked + draco_desc_floats(&c->weights.desc[1]);
    draco_step_run(&c->weights, run, (const void *[]){x, blocked, dy});
    draco_step_run(&c->unpack, run, (const void *[]){blocked, beta == 0 ? dw : plain});
    if (beta == 0) return;
    for (size_t i = 0; i < draco_conv_weights(&c->shape); i++) dw[i] += plain[i];
}

/* Batch norm over images and pixels, for a fixed number of images; with `relu` ReLU follows it. */
typedef struct draco_norm {
    size_t channels;
    int relu;
    size_t mask_bytes; /* what backward must know of the ReLU */
    draco_step train, infer, backward;
} draco_norm;

#define DRACO_NORM_EPSILON 1e-5f

DRACO_LAYER void draco_norm_close(draco_norm *n) {
    draco_step_close(&n->train);
    draco_step_close(&n->infer);
    draco_step_close(&n->backward);
}

DRACO_LAYER dnnl_status_t draco_norm_forward_step(draco_norm *n, draco_step *step, const draco_engine *e,
                                                  const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *c,
                                                  int train, dnnl_primitive_desc_t *pd) {
    unsigned flags = dnnl_use_scale | dnnl_use_shift;
    if (n->relu) flags |= dnnl_fuse_norm_relu;
    if (!train) flags |= dnnl_use_global_stats;
    dnnl_primitive_attr_t attr = draco_step_attributes();
    dnnl_batch_normalization_desc_t desc;
    dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(
        &desc, train ? dnnl_forward_training : dnnl_forward_inference, x, DRACO_NORM_EPSILON, flags);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(pd, &desc, attr, e->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_success) status = draco_step_open(step, e, *pd);
    if (status != dnnl_success) return status;
    draco_step_arg(step, DNNL_ARG_SRC, x);
    draco_step_arg(step, DNNL_ARG_SCALE, c);
    draco_step_arg(step, DNNL_ARG_SHIFT, c);
    draco_step_arg(step, DNNL_ARG_MEAN, c);
    draco_step_arg(step, DNNL_ARG_VARIANCE, c);
    draco_step_arg(step, DNNL_ARG_DST, x);
    if (train && n->relu) {
        const dnnl_memory_desc_t *mask = dnnl_primitive_desc_query_md(*pd, dnnl_query_workspace_md, 0);
        n->mask_bytes = dnnl_memory_desc_get_size(mask);
        draco_step_arg(step, DNNL_ARG_WORKSPACE, mask);
    }
    return status;
}

DRACO_LAYER dnnl_status_t draco_norm_backward_step(draco_norm *n, const draco_engine *e,
                                                   const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *c,
                                                   const_dnnl_primitive_desc_t hint) {
    unsigned flags = dnnl_use_scale | dnnl_use_shift;
    if (n->relu) flags |= dnnl_fuse_norm_relu;
    dnnl_primitive_attr_t attr = draco_step_attributes();
    dnnl_primitive_desc_t pd = NULL;
    dnnl_batch_normalization_desc_t desc;
    dnnl_status_t status =
        dnnl_batch_normalization_backward_desc_init(&desc, dnnl_backward, x, x, DRACO_NORM_EPSILON, flags);
    if (status == dnnl_success) status = dnnl_primitive_desc_create(&pd, &desc, attr, e->engine, hint);
    dnnl_primitive_attr_destroy(attr);
    if (status == dnnl_success) status = draco_step_open(&n->backward, e, pd);
    if (status != dnnl_success) return status;
    int args[] = {DNNL_ARG_SRC,      DNNL_ARG_SCALE,      DNNL_ARG_SHIFT,
                  DNNL_ARG_MEAN,     DNNL_ARG_VARIANCE,   DNNL_ARG_DIFF_DST,
                  DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT};
    int wide[] = {1, 0, 0, 0, 0, 1, 1, 0, 0};
    for (int i = 0; i < 9; i++) draco_step_arg(&n->backward, args[i], wide[i] ? x : c);
    if (n->relu)
        draco_step_arg(&n->backward, DNNL_ARG_WORKSPACE,
                       dnnl_primitive_desc_query_md(pd, dnnl_query_workspace_md, 0));
    dnnl_primitive_desc_destroy(pd);
    return status;
}

DRACO_LAYER draco_status draco_norm_open(draco_norm *n, const draco_engine *e, size_t images, size_t channels,
                                         size_t height, size_t width, int relu) {
    memset(n, 0, sizeof *n);
    n->channels = channels;
    n->relu = relu;
    dnnl_memory_desc_t x, c;
    dnnl_dims_t xd = {(dnnl_dim_t)images, (dnnl_dim_t)channels, (dnnl_dim_t)height, (dnnl_dim_t)width};
    dnnl_dims_t cd = {(dnnl_dim_t)channels};
    dnnl_memory_desc_init_by_tag(&x, 4, xd, dnnl_f32, e->block == 16 ? dnnl_nChw16c : dnnl_nChw8c);
    dnnl_memory_desc_init_by_tag(&c, 1, cd, dnnl_f32, dnnl_a);
    dnnl_primitive_desc_t train = NULL, infer = NULL;
    dnnl_status_t status = draco_norm_forward_step(n, &n->train, e, &x, &c, 1, &train);
    if (status == dnnl_success) status = draco_norm_forward_step(n, &n->infer, e, &x, &c, 0, &infer);
    if (status == dnnl_success) status = draco_norm_backward_step(n, e, &x, &c, train);
    if (train) dnnl_primitive_desc_destroy(train);
    if (infer) dnnl_primitive_desc_destroy(infer);
    if (status == dnnl_success) return DRACO_OK;
    draco_norm_close(n);
    return status == dnnl_out_of_memory ? DRACO_E_MEMORY : DRACO_E_MODEL;
}

DRACO_LAYER void draco_norm_needs(const draco_norm *n, size_t *scratch) {
    *scratch = draco_max_size(*scratch, draco_step_scratch(&n->train));
    *scratch = draco_max_size(*scratch, draco_step_scratch(&n->infer));
    *scratch = draco_max_size(*scratch, draco_step_scratch(&n->backward));
}

/* mean and variance (of these images, divided by their number) are written, and so is mask with `relu`. */
DRACO_LAYER void draco_norm_train(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                  const float *shift, float *mean, float *variance, float *y, void *mask) {
    draco_step_run(&n->train, run, (const void *[]){x, scale, shift, mean, variance, y, mask});
}

DRACO_LAYER void draco_norm_infer(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                  const float *shift, const float *mean, const float *variance, float *y) {
    draco_step_run(&n->infer, run, (const void *[]){x, scale, shift, mean, variance, y});
}

DRACO_LAYER void draco_norm_backward(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                     const float *shift, const float *mean, const float *variance,
                                     const void *mask, const float *dy, float *dx, float *dscale,
                                     float *dshift) {
    draco_step_run(&n->backward, run,
                   (const void *[]){x, scale, shift, mean, variance, dy, dx, dscale, dshift, mask});
}
#endif /* DRACO_ONEDNN */

#endif /* DRACO_COMPUTE_H */

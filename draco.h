/* draco.h - version 0.1.0 - training rounds that stay exactly right while some of the workers lie
 * SPDX-License-Identifier: MIT (full text at the end)
 *
 * Do this in one .c file (it brings the implementations of draco_codes.h and draco_vote.h along):
 *
 *     #define DRACO_IMPLEMENTATION
 *     #include "draco.h"
 *
 * and include the header alone everywhere else. DRACO_STATIC, defined as well, makes a private copy;
 * DRACO_API, defined as for instance __declspec(dllexport), exports the functions. Link -lm, on Windows
 * -lbcrypt and nothing else.
 *
 * CONTENTS
 *
 *     in this comment    two programs, FLOW, KINDS OF ROUND, SUMS AND MEANS, PARTS, MEMORY, THREADS, TIME,
 *                        ERRORS, DETERMINISM, SEVERAL SERVERS, BYTE ORDER, LIMITS
 *     declarations       Random numbers, Model, Optimizer, Transport, Rule, Memory, Several servers, Worker,
 *                        Server, Training, The common case (encoder and decoder)
 *     implementation     Small things, Random numbers, Worker (a row for each kind of request: drs_replies),
 *                        Server: its memory, what comes in, Several servers, Steps that kinds of round share,
 *                        Kind: ... (a row for each kind of round: drs_kinds), Server: rounds, Training,
 *                        The common case
 *
 * There are two ways to use it. A program that computes, gathers and steps by itself opens an encoder for
 * each worker and a decoder at the server: a callback gives the worker's gradients, which leave as one
 * message; the n messages go in as an array of pointers; the exact sum and a verdict for each worker come
 * out. The layer sizes and owns the memory and draws the secrets, and the three codes differ in one line of
 * the description: the first program. A program that wants deadlines, transports, retries and several servers
 * fills in the structs of functions described below: the second program.
 *
 * program: five workers of which one lies, a gradient of three numbers, and no transport at all
 *
 *     #define DRACO_IMPLEMENTATION
 *     #include "draco.h"
 *     #include <stdio.h>
 *
 *     static draco_status gradient(void *ctx, int part, size_t first, size_t count, float *g) {
 *         (void)ctx, (void)first, (void)count;
 *         g[0] = (float)part, g[1] = 1, g[2] = -0.5f;
 *         return DRACO_OK;
 *     }
 *     int main(void) {
 *         draco_coding coding = {0};
 *         draco_encoder *worker[5];
 *         draco_decoder *server;
 *         draco_round round;
 *         draco_status status;
 *         void *rows[5];
 *         float sum[3];
 *         int i;
 *         coding.d = 3, coding.gradient = gradient;
 *         coding.code.n = 5, coding.code.s = 1;
 *         coding.code.scheme = DRACO_CYCLIC;
 *         if (draco_decoder_open(&server, &coding) < 0) return 1;
 *         for (i = 0; i < 5; i++) draco_encoder_open(&worker[i], &coding, i);
 *         do {
 *             const void *agreed = draco_decoder_agreed(server);
 *             for (i = 0; i < 5; i++) draco_encoder_message(worker[i], agreed, &rows[i]);
 *             if (!rows[3]) return 1;
 *             *(unsigned char *)rows[3] ^= 1;
 *             status = draco_decoder_decode(server, rows, sum, &round);
 *         } while (status == DRACO_E_AGAIN);
 *         if (status < 0) return 1;
 *         printf("%g %g %g, worker 3 %s\n", (double)sum[0], (double)sum[1], (double)sum[2],
 *                draco_verdict_text(round.verdicts[3]));
 *         for (i = 0; i < 5; i++) draco_encoder_close(worker[i]);
 *         i = round.verdicts[3] == DRACO_BLAMED && sum[0] > 9.999f && sum[0] < 10.001f;
 *         draco_decoder_close(server);
 *         return i ? 0 : 1;
 *     }
 * end of program
 *
 * program: five workers learn two numbers, one of them lies in every step; the transport is a loop
 *
 *     #define DRACO_IMPLEMENTATION
 *     #include "draco.h"
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     static draco_status gradient(void *ctx, void *workspace, const float *params,
 *                                  const draco_batch *batch, float *grad) {
 *         (void)ctx, (void)workspace;
 *         grad[0] = (float)batch->count * (params[0] - 1);
 *         grad[1] = (float)batch->count * (params[1] + 2);
 *         return DRACO_OK;
 *     }
 *     static draco_status descend(void *ctx, const draco_step_info *info, float *params,
 *                                 const float *mean, float *state, size_t count) {
 *         size_t i;
 *         (void)ctx, (void)info, (void)state;
 *         for (i = 0; i < count; i++) params[i] -= 0.5f * mean[i];
 *         return DRACO_OK;
 *     }
 *     static draco_request asked;
 *     static draco_status broadcast(void *ctx, const draco_request *request) {
 *         (void)ctx;
 *         asked = *request;
 *         return DRACO_OK;
 *     }
 *     static draco_status collect(void *ctx, const draco_request *request, double seconds,
 *                                 const draco_inbox *in) {
 *         int i;
 *         (void)seconds;
 *         for (i = 0; i < 5; i++) {
 *             float *row = (float *)in->reserve(in->ctx, i);
 *             if (row) draco_worker_reply((draco_worker *)ctx, i, &asked, row);
 *             if (row && i == 3) row[0] *= -100;
 *             if (row) in->chunk(in->ctx, i, 0, request->reply_bytes);
 *             in->end(in->ctx, i, row ? DRACO_ARRIVAL_WHOLE : DRACO_ARRIVAL_ABSENT);
 *         }
 *         return DRACO_OK;
 *     }
 *     int main(void) {
 *         float params[2] = {0, 0}, sum[2];
 *         draco_model model;
 *         draco_optimizer optimizer;
 *         draco_transport transport;
 *         draco_worker_config worker;
 *         draco_server_config server;
 *         draco_trainer trainer;
 *         draco_status status = DRACO_OK;
 *         memset(&model, 0, sizeof model), memset(&optimizer, 0, sizeof optimizer);
 *         memset(&transport, 0, sizeof transport), memset(&worker, 0, sizeof worker);
 *         memset(&server, 0, sizeof server), memset(&trainer, 0, sizeof trainer);
 *         model.size = sizeof model, model.dim = model.parameters = 2, model.gradient = gradient;
 *         optimizer.size = sizeof optimizer, optimizer.step = descend;
 *         transport.size = sizeof transport, transport.workers = 5;
 *         transport.broadcast = broadcast, transport.collect = collect;
 *         worker.code.n = 5, worker.code.s = 1;
 *         worker.model = &model, worker.batch = 10;
 *         server.code = worker.code, server.transport = &transport, server.dim = 2;
 *         status = draco_worker_open((draco_worker **)&transport.ctx, &worker);
 *         if (status >= 0) status = draco_server_open(&trainer.server, &server);
 *         trainer.model = &model, trainer.optimizer = &optimizer;
 *         trainer.params = params, trainer.sum = sum, trainer.batch = 10, trainer.steps = 20;
 *         if (status >= 0) status = draco_train(&trainer);
 *         printf("%s: %.3f %.3f\n", draco_status_text(status), (double)params[0], (double)params[1]);
 *         draco_server_close(trainer.server);
 *         draco_worker_close((draco_worker *)transport.ctx);
 *         return !(params[0] > 0.99f && params[1] < -1.99f);
 *     }
 * end of program
 *
 * FLOW of one round
 *
 *     server                                                          worker i
 *     request: parameters, step                 ------------------->  for each of its parts k:
 *                                                                         samples from (seed, step, k)
 *                                                                         gradient g_k: a sum over samples
 *                                                                         message += f_k(i) g_k
 *     reserve, chunk, ..., end per worker       <-------------------  reply: one message
 *         sketch_add: fold each chunk as it comes
 *     locate: who lied, and one weight per worker
 *     combine: sum of all gradients = sum_i weight_i message_i
 *     mean = sum / batch -> optimizer -> parameters of the next step
 *
 * The codes are those of draco_codes.h (Chen, Wang, Charles, Papailiopoulos, "DRACO: Byzantine-resilient
 * Distributed Training via Redundant Gradients", ICML 2018).
 *
 * KINDS OF ROUND. The first in this order that the server's configuration chooses:
 *
 *     rule             config.rule                 the messages are kept, and an aggregation rule turns them
 *                                                  into one gradient
 *     tolerant         abs_tol or rel_tol > 0      the messages of a group are kept and compared, equal to
 *                                                  within the tolerance
 *     reactive         code.reactive               a challenge, as below, in groups of s + 1 + t. A part on
 *                                                  which no s + 1 agree is computed by more workers, up to
 *                                                  2s + 1 + t. With evict_after, proved liars are left out,
 *                                                  and s falls with each: the parts stay, and with them the
 *                                                  bits, and fewer workers compute them. Members that stall
 *                                                  while they answer are passed over like speakers. With spot
 *                                                  checks a round begins with one copy of each part, and in a
 *                                                  checked one the others are asked when the messages are here
 *     challenge        challenge                   a worker says when its message is ready (REQUEST_READY);
 *                                                  one of each group sends it (REQUEST_BODY); when it is
 *                                                  whole, a new key goes to the others, who answer with the
 *                                                  fingerprint of their own (REQUEST_FINGERPRINT). s + 1 in
 *                                                  agreement decide; who agreed with another message, or
 *                                                  disagrees with this one, is blamed. (n/r) 4d + 16n bytes
 *                                                  reach the server instead of n 4d. A speaker that stalls is
 *                                                  passed over after 0.2 seconds and eight times the slowest
 *                                                  body of late, and is asked again only when nobody is left
 *     prime            cyclic code, prime field    the workers encode with exponents predicted from the rounds
 *                                                  before, and report those of their parts with the message
 *                                                  (REQUEST_PREDICTED); the server decides these by vote. In
 *                                                  the first round, which has nothing to predict from, the
 *                                                  workers report first (REQUEST_EXPONENTS). There, and when
 *                                                  the parts do not fit what was predicted, they encode with
 *                                                  what was decided (REQUEST_ENCODED)
 *     repetition       repetition code             messages are fingerprinted as they arrive, the
 *                                                  fingerprints are voted on; equal messages are held once
 *     cyclic           cyclic code, complex field  as in the picture
 *
 * SUMS AND MEANS
 *
 *     Everything that is coded is a sum. model.gradient gives the sum over the samples of its part, and
 *     draco_server_round the sum over the samples of the batch; a rule scales its aggregate by n, so that it
 *     stands for the same sum. The mean is made in one place: draco_train divides by trainer.batch, in float,
 *     before it calls the optimizer. A program that calls draco_server_round itself divides itself; the layer
 *     of encoder and decoder multiplies by coding.scale.
 *
 * PARTS: structs of functions (slots). Each begins with its own size, so that a struct filled by code that
 * was compiled with an older header works with a newer one. Optional slots may be NULL.
 *
 *     draco_model      gradient(params, batch) -> sum over the batch's samples. Equal inputs must give equal
 *                      bits: that is what a vote compares. The last coordinates may be statistics (loss,
 *                      batch-norm sums): they travel in the message and are protected like the gradient. Where
 *                      layers begin tells a server what to measure apart (complex field).
 *                      A test makes one worker lie in a line of its model: if (batch->worker == 3) ...
 *     draco_transport  carries bytes and knows no code. The sender of a message is the one that the transport
 *                      has authenticated, not one that the message claims.
 *     draco_rule       n messages in, one gradient out: what DRACO is compared with.
 *     draco_optimizer  elementwise, state owned by the caller.
 *
 * MEMORY
 *
 *     Sizes are in floats unless they say bytes. Parameters, sum and state are the caller's. A server and a
 *     worker allocate through config.allocator (default malloc) when they are opened, and free in close.
 *     Besides, a server allocates a message's memory when more messages are held at once than ever before,
 *     and draco_worker_run a reply's when a request asks for a longer one than ever before; both are kept.
 *     So the first rounds allocate and later ones do not. round.verdicts points into the server and is valid
 *     until its next round.
 *
 * THREADS
 *
 *     A server is used by one thread at a time; its inbox's chunk may run on many threads for different
 *     workers (see draco_inbox). A worker is used by one thread at a time; many workers may share a model,
 *     each has its own workspace. With -fopenmp combine runs on all threads; the bits do not depend on their
 *     number.
 *
 * TIME
 *
 *     Seconds are wall-clock time: clock_gettime's monotonic clock where the headers declare it,
 *     QueryPerformanceCounter on Windows, and gettimeofday under a strict -std=c99 or -std=c11 on Unix, which
 *     moves when the system's time is set. The sum never depends on it; how long a challenge waits for a speaker
 *     does, and how long draco_train waits for a quorum. Deadlines are the transport's.
 *
 * ERRORS
 *
 *     Every call returns a draco_status, < 0 for an error. One that is about the call itself says what is
 *     wrong with it: DRACO_E_NULL (a pointer, or a slot that is needed), DRACO_E_SIZE (a struct of functions
 *     whose size does not reach a slot that is needed: was it set?), DRACO_E_LIMITS (n, s, t), DRACO_E_BATCH
 *     (a batch of 0), DRACO_E_INDEX (no such worker), DRACO_E_CONFIG (two parts that do not belong together,
 *     such as a transport with another number of workers), DRACO_E_DIM (dim 0 or too large),
 *     DRACO_E_SCHEME (no such code), DRACO_E_ORDER (a call is missing before), DRACO_E_ARGUMENT (anything
 *     else, such as an allocator with one of its two functions).
 *     A round that fails leaves sum alone, unless the sum itself overflows (DRACO_E_RANGE), and says in
 *     round.text which group or how many workers were the reason; draco_train then retries the step, skips it
 *     or stops (draco_policy), and the parameters are those of the last decoded step. No byte from a worker
 *     sizes an allocation: the server knows the size of every reply beforehand. A worker that cannot reply
 *     says so (submit with NULL) and is MALFORMED at once.
 *
 * DETERMINISM
 *
 *     Samples come from draco_random, a function of (seed, step, place in the batch) alone: every holder of
 *     a part draws the same ones, and every code sees the same batch. Repetition and the prime field give
 *     the same bits whichever workers lied or were missing, whatever the transport, the threads and the
 *     order of arrival; the complex field does when the same workers replied. With DRACO_WAIT_ALL (the
 *     default) a round waits for all workers that are alive, so verdicts are the same too; with
 *     DRACO_WAIT_ENOUGH it ends as soon as the code can decode.
 *
 * SEVERAL SERVERS
 *
 *     With transport.servers = K > 1 each server keeps the coordinates of draco_shard and decodes them alone;
 *     the servers exchange sketches, so that a worker that lies in one shard is blamed in all. Every server
 *     runs the same draco_train and passes whole vectors. Rules and tolerance look at whole messages and work
 *     with one server only (DRACO_E_CONFIG).
 *
 * BYTE ORDER
 *
 *     Replies are the same bytes on every machine, messages and fingerprints of them little-endian: a big-endian
 *     worker can take part, over MPI and gRPC too. Servers that share a vector must have one byte order.
 *
 * LIMITS
 *
 *     n up to DRACO_MAX_WORKERS. When s + 1 of the workers of a group of 2s + 1 agree on the same lie, or
 *     more workers than the code carries agree on another codeword, no decoder can tell: that at most s lie
 *     is an assumption, which the caller has to be sure of. Up to s are found; more that do not agree make
 *     the round fail.
 */

/* The switches reach the two headers below. */
#if defined(DRACO_IMPLEMENTATION) && !defined(DRACO_CODES_IMPLEMENTATION)
#define DRACO_CODES_IMPLEMENTATION
#endif
#if defined(DRACO_STATIC) && !defined(DRACO_CODES_STATIC)
#define DRACO_CODES_STATIC
#endif
#include "draco_codes.h"

#ifndef DRACO_H
#define DRACO_H

#define DRACO_VERSION 0x000100

#ifdef DRACO_API
/* The program's own, to export the functions from a shared library. */
#elif !defined(DRACO_STATIC)
#define DRACO_API extern
#elif defined(__GNUC__)
#define DRACO_API static __attribute__((unused))
#else
#define DRACO_API static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Random numbers ---- */

/* Numbers that depend on nothing but their address (Philox 4x32-10, Salmon et al., SC 2011). */
DRACO_API void draco_random(uint64_t key, uint64_t stream, uint64_t counter, uint32_t out[4]);
/* The sample that stands at place `index` of the batch of `step`, uniform in [0, size). */
DRACO_API size_t draco_sample(uint64_t seed, uint64_t step, size_t index, size_t size);

/* ---- Model ---- */

/* One part of one batch: places first..first+count-1 of the `total` places of the batch of `step`. */
typedef struct draco_batch {
    uint64_t seed, step;
    size_t first, count, total;
    int part;   /* -1: of a probe */
    int worker; /* who computes, so that a test's model can lie as one worker; -1: computed once for all its
                   holders. A model that is not told to lie ignores it. */
} draco_batch;

typedef struct draco_score {
    double loss, accuracy;
    size_t samples;
} draco_score; /* loss: mean over samples; accuracy 0..1 */

typedef struct draco_model {
    size_t size; /* sizeof(draco_model) as the caller compiled it: slots past it are absent */
    const char *name;
    void *ctx;         /* shared by all threads, read only during gradient and evaluate */
    size_t dim;        /* floats of the parameter vector and of a gradient: parameters, padding, statistics */
    size_t parameters; /* leading coordinates that the optimizer moves; statistics begin at the next multiple
                          of DRACO_BLOCK */
    draco_status (*init)(void *ctx, uint64_t seed, float *params);
    draco_status (*workspace_new)(void *ctx, void **workspace); /* one per thread; optional */
    void (*workspace_free)(void *ctx, void *workspace);
    /* grad[dim] = the SUM over the samples of the part; overwritten; equal inputs give equal bits. */
    draco_status (*gradient)(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                             float *grad);
    /* Optional: fold the decoded statistics of a step into params[parameters..dim). sum: dim floats, summed
     * over `samples`. */
    void (*absorb)(void *ctx, float *params, const float *sum, size_t samples);
    /* Optional: a constraint on the parameters, applied after every step to the whole vector. */
    void (*project)(void *ctx, float *params);
    /* Optional: what the decoded statistics say of the batch. */
    void (*progress)(void *ctx, const float *sum, size_t samples, draco_score *score);
    /* Optional: the held-out data. */
    draco_status (*evaluate)(void *ctx, void *workspace, const float *params, draco_score *score);
    /* Optional: where the layers begin, in ascending order, the first at 0; the model's memory. */
    const size_t *layers;
    size_t layer_count;
} draco_model;

/* ---- Optimizer: elementwise, so that shards of the vector can be stepped apart ---- */
typedef struct draco_step_info {
    uint64_t step; /* 0, 1, 2, …: counts updates */
    double norm;   /* Euclidean norm of the whole mean gradient; set when wants_norm */
} draco_step_info;

typedef struct draco_optimizer {
    size_t size;
    const char *name;
    void *ctx;
    int wants_norm;             /* gradient clipping */
    size_t state_per_parameter; /* floats of state per parameter: 0 SGD, 1 momentum, 2 Adam */
    /* params[count] -= …; gradient: mean over the batch; state: state_per_parameter x count floats, zero at
     * the start. */
    draco_status (*step)(void *ctx, const draco_step_info *info, float *params, const float *gradient,
                         float *state, size_t count);
} draco_optimizer;

/* ---- Transport: carries bytes and knows no code ---- */

typedef enum draco_request_kind {
    /* params -> the coded message */
    DRACO_REQUEST_MESSAGE = 1,
    /* prime field: params -> exponents of the worker's parts */
    DRACO_REQUEST_EXPONENTS = 2,
    /* prime field, after one of the other two: extra = agreed exponents -> the coded message */
    DRACO_REQUEST_ENCODED = 3,
    /* challenge: params -> one byte once the message is computed; it is kept for the two below. Reactive code:
     * params, extra = the plan (draco_request_part) -> the same; a worker without a part replies at once */
    DRACO_REQUEST_READY = 4,
    /* challenge, to one member of a group: -> the message. Reactive code: extra = the plan */
    DRACO_REQUEST_BODY = 5,
    /* params, extra = 32-byte key -> fingerprint of the plain gradient of one batch that is the same for all */
    DRACO_REQUEST_PROBE = 6,
    /* the run is over; no reply. step: 0 when it was trained to its end, else the amount of the draco_status
     * that ended it */
    DRACO_REQUEST_STOP = 7,
    /* challenge, when the body is whole: extra = 32-byte key -> fingerprint of the message. Reactive code: the plan
       follows the key */
    DRACO_REQUEST_FINGERPRINT = 8,
    /* prime field: params, extra = predicted exponents -> the coded message, which means nothing when a part does
       not fit, and the exponents of the worker's parts, filled up with zeros to a multiple of 4 bytes */
    DRACO_REQUEST_PREDICTED = 9
} draco_request_kind;
/* 1: each of several servers requests it for its shard alone, with draco_request.server set; 0: together. */
DRACO_API int draco_request_is_single(draco_request_kind kind);

typedef struct draco_request {
    draco_request_kind kind;
    uint64_t round; /* grows with every broadcast and fetch: tells which request a reply is to */
    uint64_t step;  /* the step whose batch is meant */
    const float
        *params; /* NULL when this request carries none; on the worker valid until the next that does */
    size_t params_count;
    const void *extra; /* small payload or NULL; on the worker valid until the next receive */
    size_t extra_bytes;
    size_t reply_bytes; /* exact size of a reply; another size is MALFORMED */
    int server;         /* worker side, several servers: the one that requests, or -1 when all do together */
} draco_request;

/* The part that a worker is to compute for this request; -1: none; -2: the plan in it is damaged. now, if not NULL,
 * becomes the code with as many parts as the batch has in this request. With a reactive code the server says who
 * computes what in READY, BODY and FINGERPRINT: the plan is a little-endian 16-bit number, of parts, and n
 * more, of each worker's part or 0xffff. Else it is draco_code_part's. */
DRACO_API int draco_request_part(const draco_code *code, const draco_request *request, int worker,
                                 draco_code *now);

/* How far a worker's reply has come, as a transport sees it. It says nothing of what is in the reply: that is
   a draco_verdict. The order is that of severity. */
typedef enum draco_arrival {
    DRACO_ARRIVAL_WAITING = 0,
    DRACO_ARRIVAL_WHOLE = 1,
    DRACO_ARRIVAL_ABSENT = 2,   /* lost or silent */
    DRACO_ARRIVAL_MALFORMED = 3 /* wrong size or form */
} draco_arrival;

/* Where the server takes bytes from a transport. For one worker the calls come in order: reserve, chunk,
   ..., end. chunk may run on several threads at once for different workers; reserve and end never run at the
   same time as another reserve or end (the transport holds a lock). */
typedef struct draco_inbox {
    size_t size;
    void *ctx;
    /* Memory for reply_bytes bytes of this worker, or NULL: drop its reply. Valid until end, and not touched
     * by the transport after it. */
    void *(*reserve)(void *ctx, int worker);
    /* Bytes [offset, offset + n) of that memory have arrived; offsets without gap or overlap. */
    void (*chunk)(void *ctx, int worker, size_t offset, size_t n);
    /* Nothing more comes from this worker: WHOLE, ABSENT or MALFORMED. Returns DRACO_OK when the round needs
     * no more, DRACO_MORE otherwise. Workers that are never ended are absent. */
    draco_status (*end)(void *ctx, int worker, draco_arrival arrival);
} draco_inbox;

typedef struct draco_transport {
    size_t size;
    const char *name;
    void *ctx;
    int workers; /* n */
    /* Server side. */
    draco_status (*broadcast)(void *ctx, const draco_request *request);
    /* Until every worker ended, or the inbox said enough, or `seconds` passed (< 0: no deadline). DRACO_OK,
     * or DRACO_MORE when time was up. */
    draco_status (*collect)(void *ctx, const draco_request *request, double seconds,
                            const draco_inbox *inbox);
    /* Send the request to the workers with whom[i] != 0, and collect from them alone. */
    draco_status (*fetch)(void *ctx, const draco_request *request, const unsigned char *whom, double seconds,
                          const draco_inbox *inbox);
    /* Optional, several servers: all[k * bytes ..] = `mine` of server k. NULL when servers <= 1. */
    draco_status (*exchange)(void *ctx, const void *mine, size_t bytes, void *all);
    int server, servers; /* this server's number and how many there are; 0 and 0 or 1 when alone */
    /* Worker side. receive blocks; DRACO_E_TRANSPORT when the server is gone. */
    draco_status (*receive)(void *ctx, draco_request *request);
    draco_status (*submit)(void *ctx, const draco_request *request, const void *reply, size_t bytes);
    /* Both sides: release everything; the server's side first tells the workers to stop. */
    draco_status (*close)(void *ctx);
    /* Optional: what went wrong last, as text that says with which peer; valid until the next call. */
    const char *(*explain)(void *ctx);
    /* Optional, server side, before close: how the run has ended, for the workers to be told. */
    void (*conclude)(void *ctx, draco_status how);
    /* Optional, server side: workers that cannot come back. */
    int (*lost)(void *ctx);
} draco_transport;

/* ---- Rule: n messages in, one gradient out ---- */
typedef struct draco_inputs {
    int n;
    size_t d;                 /* floats of a row */
    const float *const *rows; /* n; NULL: absent or malformed */
    const draco_code *code;   /* who holds what */
    uint64_t step;
    const float *params; /* the parameters the gradients were taken at; d floats */
    int f;               /* adversaries the rule is to withstand */
} draco_inputs;

typedef struct draco_rule {
    size_t size;
    const char *name;
    void *ctx;
    /* sum[d] = n x the aggregate (so that it stands for the sum of all parts). verdicts (n): BLAMED only
     * where the rule names workers. */
    draco_status (*aggregate)(void *ctx, const draco_inputs *in, float *sum, draco_verdict *verdicts,
                              draco_report *report);
} draco_rule;

/* ---- Memory: default malloc and free; both functions or neither (DRACO_E_NULL) ---- */
typedef struct draco_allocator {
    void *ctx;
    void *(*alloc)(void *ctx, size_t bytes); /* aligned to 64 bytes */
    void (*release)(void *ctx, void *memory);
} draco_allocator;

/* ---- Several servers: the coordinates that server number `server` of `servers` keeps ---- */
DRACO_API void draco_shard(size_t dim, int servers, int server, size_t *first, size_t *count);

/* ---- Worker ---- */
typedef struct draco_worker draco_worker;
typedef struct draco_worker_config {
    draco_code code;
    const draco_model *model;
    size_t batch;  /* samples of a whole batch */
    uint64_t seed; /* of the samples */
    /* 1: prime field: keep the gradients of the r parts, in case they are to be encoded again; challenge:
     * keep the message from READY on; reactive code: and that of one more part. 0: compute them again. */
    int keep;
    int servers;               /* that share the parameter vector; default 1 */
    draco_allocator allocator; /* default malloc */
    /* Optional: draco_worker_run could not reply to a request of this step, and has told the servers so. */
    void (*failed)(void *ctx, uint64_t step, draco_status why);
    void *failed_ctx;
} draco_worker_config;
DRACO_API draco_status draco_worker_open(draco_worker **worker, const draco_worker_config *config);
/* Reply to one request as worker number `index`. reply: request->reply_bytes bytes; what is in it after an
 * error has no meaning. DRACO_E_CONFIG: a request that this worker was not set up for, or of another size. */
DRACO_API draco_status draco_worker_reply(draco_worker *worker, int index, const draco_request *request,
                                          void *reply);
/* Bytes of this worker's reply: each server's part after the other. */
DRACO_API size_t draco_worker_reply_bytes(const draco_worker *worker, int index,
                                          const draco_request *request);
/* receive, reply, submit until the run is over: DRACO_OK when it was trained to its end, else the status that
 * ended it at the servers (DRACO_E_STOPPED: they were told to stop), or here. */
DRACO_API draco_status draco_worker_run(draco_worker *worker, int index, const draco_transport *transport);
DRACO_API void draco_worker_close(draco_worker *worker);

/* ---- Server ---- */
typedef enum draco_wait {
    /* A round ends when every worker replied or is known to be gone, or at the deadline. */
    DRACO_WAIT_ALL = 0,
    /* ... or as soon as it can be decoded, whoever is lying; replies that come later are not looked at. Several servers:
     * with a challenge or a reactive code they agree on who is ready; in the other kinds of round they wait for all. */
    DRACO_WAIT_ENOUGH = 1
} draco_wait;

typedef struct draco_server draco_server;
typedef struct draco_server_config {
    draco_code code;
    const draco_rule *rule; /* default: decode with the code */
    int rule_f;             /* adversaries that the rule is to withstand */
    const draco_transport *transport;
    size_t dim; /* floats of the whole parameter vector, model.dim; several servers shard it themselves */
    size_t
        parameters; /* model.parameters: statistics, which begin after them, are searched for lies apart (complex
                          field); default: there are none */
    const size_t *layers; /* model.layers, which outlive the server: each is searched for lies apart, like the
                             statistics; default: by blocks alone (draco_sketch_key_layers) */
    size_t layer_count;
    double deadline; /* seconds that one request of a round may take; default none */
    draco_wait wait;
    int challenge; /* repetition only: one message a group, and fingerprints of the others under a later key */
    float abs_tol, rel_tol; /* repetition: tolerant vote when either is > 0 */
    /* A worker that was BLAMED in so many rounds takes no further part: it counts as missing, and a reactive code
     * has one liar fewer to expect. 0: never; at most 255. With a code that proves: no rule, no tolerance. */
    int evict_after;
    /* Reactive code: when evicted and lost workers leave fewer than 2s + 1 + t, go on with the s that the others
     * carry, instead of DRACO_E_TOO_MANY_MISSING. */
    int shrink;
    /* Reactive code, spot checks: redundancy in steps 0, check_every, 2 check_every ... only, or in a step with this
     * probability, drawn from check_seed and the step; one or neither. In every other round one copy of a part is
     * computed and believed. A part that nobody sends is asked from another worker, and a round that fails without a
     * check (a lie may make the sum overflow) has one when it is tried again. */
    int check_every;
    double check_probability; /* above 0, at most 1 */
    uint64_t check_seed;
    const draco_seed *secret;  /* of every round, for tests; default: a new one from the system each round */
    draco_allocator allocator; /* default malloc */
} draco_server_config;

typedef struct draco_round { /* what one round was like */
    draco_status status;
    draco_report report;
    const draco_verdict *verdicts; /* n, the server's memory, valid until its next round */
    double seconds;                /* of the whole round */
    double server_seconds;         /* of the server's own work: sketches, locate, combine, rule */
    uint64_t bytes_in;             /* bytes of replies that were taken in */
    int again; /* prime field: 1 when the gradients did not fit the predicted exponents, and were encoded again */
    size_t rows_peak; /* most messages held at once */
    int gradients;    /* that workers were asked to compute */
    int parts;        /* of the batch */
    int checked;      /* 0: spot checks left this round out, so that nothing in it is proved */
    int evicted;      /* workers, before this round */
    char text[256];   /* why the round failed, in one line; empty otherwise */
} draco_round;

DRACO_API draco_status draco_server_open(draco_server **server, const draco_server_config *config);
/* One round: sum[dim] = the sum of the gradients of all parts at params (not the mean); of several servers
 * each writes its shard. params and sum are whole vectors. round may be NULL. On an error sum is untouched;
 * DRACO_E_RANGE, the sum overflows, may leave a part of it. */
DRACO_API draco_status draco_server_round(draco_server *server, uint64_t step, const float *params,
                                          float *sum, draco_round *round);
/* Do all workers compute the same bits? classes[i]: workers with equal numbers gave equal fingerprints of the same
   gradient, -1: no reply; count: how many different ones. Where they differ, a single server asks again; -2: one that
   answered otherwise the second time. */
DRACO_API draco_status draco_server_probe(draco_server *server, uint64_t step, const float *params,
                                          int *classes, int *count);
/* Several servers: make a vector of dim floats whole on every one of them; nothing to do for one. */
DRACO_API draco_status draco_server_gather(draco_server *server, float *vector);
/* What the server has learnt in earlier rounds, to be copied into a checkpoint and back, so that a run that goes on has
 * the same bits: the exponents that are predicted (prime field, this server's shard), then the number of parts and the
 * proofs and more about the workers (reactive code, or evict_after). Returns how many bytes there are; 0: nothing. */
DRACO_API size_t draco_server_memory(draco_server *server, uint8_t **memory);
/* How often each worker was BLAMED, at most 255: n bytes of the memory above, to be changed between rounds: 0 readmits.
 * NULL: it is not counted. */
DRACO_API uint8_t *draco_server_proofs(draco_server *server);
/* Reactive code: from the next round on the batch has so many parts, at most n; 0: as many as those who are not
 * evicted can compute s + 1 + t times, or once with spot checks. It changes the order of summation, and so the last bits. Returns the number
 * of parts, or a negative draco_status. All of several servers call it. */
DRACO_API int draco_server_replan(draco_server *server, int parts);
/* From now on the requests that carry parameters may take so long; 0: config.deadline. It may differ among servers. */
DRACO_API void draco_server_deadline(draco_server *server, double seconds);
DRACO_API void draco_server_close(draco_server *server);

/* ---- Training ---- */
typedef enum draco_policy {
    DRACO_POLICY_RETRY = 0,
    DRACO_POLICY_SKIP = 1,
    DRACO_POLICY_STOP = 2
} draco_policy;

typedef struct draco_trainer {
    draco_server *server;
    const draco_model *model;
    const draco_optimizer *optimizer;
    float *params; /* model->dim floats, initialised by the caller */
    float *state;  /* optimizer state: state_per_parameter x parameters floats */
    float *sum;    /* model->dim floats of scratch */
    size_t batch;  /* samples of a whole batch, as the workers were told: sum / batch is the mean */
    uint64_t first_step, steps; /* first_step > 0 when resumed */
    uint64_t first_update;      /* updates made before, when resumed */
    draco_policy policy;
    int retries; /* of one step, under DRACO_POLICY_RETRY; then the run stops */
    /* Under every policy, a round that fails with fewer replies than min_workers (default n - t) is no try: it
     * is repeated, after pauses of 0.1 to 2 seconds, until enough workers are back, for quorum_seconds at most;
     * then the run ends with DRACO_E_TIMEOUT. Default 0: it is a try like any other. Needs pause. */
    int min_workers;
    /* 1: a round in which a worker that is not evicted did not reply fails with DRACO_E_TIMEOUT, decoded or not, and is
     * repeated likewise: the complex field then has the same bits whoever died. Needs DRACO_WAIT_ALL. */
    int all_present;
    double quorum_seconds;
    void (*pause)(void *ctx, double seconds); /* ctx: on_round_ctx */
    const volatile int *stop;                 /* non-zero: stop after the round; may be NULL */
    /* Called after every round, decoded or not; a result other than DRACO_OK stops the run with it. May be
     * NULL. */
    draco_status (*on_round)(void *ctx, uint64_t step, int attempt, const draco_round *round,
                             const draco_score *score);
    void *on_round_ctx;
    uint64_t updates; /* out: steps that moved the model */
    double
        waited; /* out, for on_round: seconds that the step has waited for workers; < 0: it does not wait */
} draco_trainer;
DRACO_API draco_status draco_train(draco_trainer *trainer);

/* ---- The common case: an encoder for each worker, a decoder at the server ----
 *
 *     server                             worker i
 *     draco_decoder_agreed()   agreed -> draco_encoder_message(agreed)
 *     draco_decoder_decode(sum)       <- messages
 *
 * One flow for all codes. `agreed` is the prime field's: the power of two that each block of the gradients is rounded
 * to, two bits more than the last round's. With the other codes it is NULL and has 0 bytes. In the first round, and
 * when gradients have outgrown what was agreed on, decode returns DRACO_E_AGAIN: s + 1 holders of a part say so, never
 * a liar alone. Then the server sends the new `agreed`, and the workers encode the same gradients with it.
 *
 * An array of the n workers' pointers is passed as `const void *`, so that float **, float *const *, void *[]
 * and any other array of object pointers go in as they are, in C and in C++. A NULL in it is a missing
 * worker; so is a message of another length than message_bytes, which the caller, who knows the length, has
 * to make NULL. Pointers are to 4-byte aligned memory, and are not kept after the call; messages are the
 * same bytes on machines of both byte orders. After open nothing is allocated. A handle is used by
 * one thread at a time; encoders of different workers may run side by side if `gradient` may. */
typedef struct draco_coding { /* zero, but for d, n, s and gradient, is the default everywhere */
    size_t d;                 /* floats of a gradient and of the sum; odd is fine */
    draco_code code; /* n and s, and t, scheme, field, support; draco_code_init is not needed before */
    size_t batch;    /* samples of a batch, shared out to the parts; default: one a part */
    /* gradient[d] = the SUM over the samples first .. first + count - 1 of the batch, which make up
     * `part`. All of it is written; equal parts must give equal bits on all workers. Not needed by a
     * decoder. Any result but DRACO_OK is a failure: a negative one is handed on, a positive one becomes
     * DRACO_E_MODEL. */
    draco_status (*gradient)(void *ctx, int part, size_t first, size_t count, float *gradient);
    void *ctx;
    double scale;              /* decode multiplies the sum by it: 1.0 / batch makes it the mean; default 1 */
    draco_allocator allocator; /* default malloc */
    size_t message_bytes, agreed_bytes; /* set by draco_coding_init */
} draco_coding;

/* Checks a description and completes it; open does the same to its own copy. DRACO_E_DIM: d is 0 or
 * too large. DRACO_E_LIMITS, DRACO_E_SCHEME: as draco_code_init. DRACO_E_ARGUMENT: scale is NaN or infinite,
 * or the allocator has one function of two. */
DRACO_API draco_status draco_coding_init(draco_coding *coding);

typedef struct draco_encoder draco_encoder;
/* DRACO_E_INDEX: there is no such worker. On an error *encoder is NULL. */
DRACO_API draco_status draco_encoder_open(draco_encoder **encoder, const draco_coding *coding, int worker);
/* message_bytes bytes, the encoder's, valid until its next message. agreed: agreed_bytes bytes from the server. The
 * gradients are computed, but for the prime field when `agreed` asks again for those of the last message. On an error
 * (the callback's; DRACO_E_RANGE: NaN or Inf in the prime field) *message is NULL. */
DRACO_API draco_status draco_encoder_message(draco_encoder *encoder, const void *agreed, void **message);
DRACO_API void draco_encoder_close(draco_encoder *encoder);

typedef struct draco_decoder draco_decoder;
DRACO_API draco_status draco_decoder_open(draco_decoder **decoder, const draco_coding *coding);
/* agreed_bytes bytes for every worker, the decoder's memory, valid until the next call; NULL: there are none. The first
 * call after a decode begins a round, unless that returned DRACO_E_AGAIN. */
DRACO_API const void *draco_decoder_agreed(draco_decoder *decoder);
/* messages: n pointers. sum[d] = scale times the sum of the gradients of all parts; untouched on an error.
 * DRACO_E_RANGE: the sum overflows; one that only `scale`, above 1, makes overflow is left unscaled.
 * DRACO_E_AGAIN: above. DRACO_E_ORDER: the prime field, and draco_decoder_agreed did not come before. The secret is
 * fresh in each call. round, if not NULL, is always written: status, verdicts (the decoder's memory, valid until its
 * next call; NULL without a decoder), report, seconds, and on an error the reason as a line of text. After an error it
 * may be called again with more messages of the round. Who was once blamed in a round stays so in it. */
DRACO_API draco_status draco_decoder_decode(draco_decoder *decoder, const void *messages, float *sum,
                                            draco_round *round);
DRACO_API void draco_decoder_close(draco_decoder *decoder);

/* For a `gradient` that is computed in double: each value rounded to the nearest float, ties to even.
 * DRACO_E_RANGE, and nothing written, when one is NaN or beyond the largest float. The sum is then that of
 * the rounded gradients: off by at most 2^-24 of each part's value (2^-150 for values under 2^-126). */
DRACO_API draco_status draco_floats_of(const double *values, size_t count, float *rounded);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_H */

#ifdef DRACO_IMPLEMENTATION
#ifndef DRACO_IMPLEMENTED
#define DRACO_IMPLEMENTED

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/time.h>
#endif

/* ---- Small things ---- */

/* Does the struct of the one who filled it reach as far as this slot? Is the slot there? And when it must be:
   what is wrong? */
#define DRS_REACHES(table, slot)                                                                             \
    ((size_t)((const char *)&(table)->slot - (const char *)(table)) + sizeof((table)->slot) <= (table)->size)
#define DRS_HAS(table, slot) (DRS_REACHES(table, slot) && (table)->slot != NULL)
#define DRS_PLAN_BYTES(n) (2 * (size_t)(n) + 2) /* of who computes what, in a request */
#define DRS_NEED(table, slot)                                                                                \
    (!DRS_REACHES(table, slot) ? DRACO_E_SIZE : (table)->slot ? DRACO_OK : DRACO_E_NULL)

#if defined(_WIN32)
/* As in <windows.h>, so that either may come first. */
union _LARGE_INTEGER;
#ifdef __cplusplus
extern "C" {
#endif
__declspec(dllimport) int __stdcall QueryPerformanceCounter(union _LARGE_INTEGER *);
__declspec(dllimport) int __stdcall QueryPerformanceFrequency(union _LARGE_INTEGER *);
#ifdef __cplusplus
}
#endif
#endif

/* Seconds since some moment. Under a strict -std=c99 or -std=c11, <time.h> hides clock_gettime, while
   <sys/time.h> always declares gettimeofday. */
static double drs_now(void) {
#if defined(_WIN32)
    int64_t count = 0, frequency = 1;
    (void)QueryPerformanceCounter((union _LARGE_INTEGER *)(void *)&count);
    (void)QueryPerformanceFrequency((union _LARGE_INTEGER *)(void *)&frequency);
    return (double)count / (double)frequency;
#elif defined(CLOCK_MONOTONIC)
    struct timespec t = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#elif defined(__unix__) || defined(__APPLE__)
    struct timeval t = {0, 0};
    (void)gettimeofday(&t, NULL);
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
#else
    return (double)time(NULL);
#endif
}

/* A little-endian number of 16 bits. */
static void drs_put16(unsigned char *to, int number) {
    to[0] = (unsigned char)(number & 255);
    to[1] = (unsigned char)(number >> 8);
}

static int drs_get16(const unsigned char *from) {
    return from[0] | from[1] << 8;
}

/* malloc with the 64-byte alignment that vector loads like; the block's own address stands just before. */
static void *drs_alloc(const draco_allocator *a, size_t bytes) {
    char *block, *memory;
    if (a->alloc) return a->alloc(a->ctx, bytes);
    if (bytes > (size_t)-1 - 64 - sizeof(void *)) return NULL;
    block = (char *)malloc(bytes + 64 + sizeof(void *));
    if (!block) return NULL;
    memory = block + sizeof(void *);
    memory += (64 - ((uintptr_t)memory & 63)) & 63;
    memcpy(memory - sizeof(void *), &block, sizeof(void *));
    return memory;
}

static void drs_release(const draco_allocator *a, void *memory) {
    char *block;
    if (!memory) return;
    if (a->release) {
        a->release(a->ctx, memory);
        return;
    }
    memcpy(&block, (char *)memory - sizeof(void *), sizeof(void *));
    free(block);
}

static void *drs_zalloc(const draco_allocator *a, size_t count, size_t each) {
    void *memory;
    if (each && count > ((size_t)-1 - 64) / each) return NULL; /* an arena that overflowed is of (size_t)-1 */
    memory = drs_alloc(a, count && each ? count * each : 1);
    if (memory) memset(memory, 0, count * each);
    return memory;
}

static int drs_allocator_ok(const draco_allocator *a) {
    return !a->alloc == !a->release;
}

/* One block divided into pieces of 64-byte alignment. Divided twice: with base == NULL to learn the size, and
   then for good. A size that does not fit into size_t ends as SIZE_MAX, which no allocator grants. */
typedef struct drs_arena {
    char *base;
    size_t used;
} drs_arena;

static void *drs_carve(drs_arena *arena, size_t count, size_t each) {
    size_t most = (size_t)-1 - 64, at = arena->used;
    if (arena->used > most || (each && count > (most - arena->used) / each))
        arena->used = (size_t)-1;
    else
        arena->used = (arena->used + count * each + 63) & ~(size_t)63;
    return arena->base ? arena->base + at : NULL;
}

DRACO_API void draco_shard(size_t dim, int servers, int server, size_t *first, size_t *count) {
    size_t blocks = (dim + DRACO_BLOCK - 1) / DRACO_BLOCK, k = (size_t)(servers > 1 ? servers : 1), end;
    size_t base = blocks / k, extra = blocks % k, i = (size_t)(server > 0 ? server : 0);
    *first = (i * base + (i < extra ? i : extra)) * DRACO_BLOCK;
    end = *first + (base + (i < extra ? 1u : 0u)) * DRACO_BLOCK;
    if (end > dim) end = dim;
    if (*first > dim) *first = dim;
    *count = end - *first;
}

/* ---- Random numbers ---- */

DRACO_API void draco_random(uint64_t key, uint64_t stream, uint64_t counter, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    int round;
    for (round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

DRACO_API size_t draco_sample(uint64_t seed, uint64_t step, size_t index, size_t size) {
    uint32_t word[4];
    uint64_t low, high;
    draco_random(seed, step, (uint64_t)index, word);
    /* The high half of a 64 x 64 bit product: uniform to within size / 2^64. */
    low = (uint64_t)word[0] * (uint64_t)(uint32_t)size;
    high = (uint64_t)word[1] * (uint64_t)(uint32_t)size + (low >> 32);
    if ((uint64_t)size >> 32) {
        uint64_t top = (uint64_t)size >> 32, mid = (uint64_t)word[0] * top + (uint32_t)high;
        return (size_t)((uint64_t)word[1] * top + (high >> 32) + (mid >> 32));
    }
    return (size_t)(high >> 32);
}

/* ---- Worker ---- */

struct draco_worker {
    draco_worker_config c;
    size_t dim;
    int servers;
    void *workspace;
    float *gradient; /* one part's gradient; prime field with `keep`: one for each of the r parts */
    float *message;  /* challenge with `keep`: the message of the last READY; reactive: and one more */
    draco_encoding *encoding; /* cyclic */
    const float **parts;      /* r of them */
    size_t reply_capacity;
    void *reply;         /* of draco_worker_run */
    const float *params; /* of the last request that carried any */
    uint64_t kept_step;  /* whose gradients or message are kept */
    int kept_index, kept;
    int kept_part[2]; /* challenge: the parts in `message`, or -1 */
};

/* How a worker replies to one kind of request. */
typedef struct drs_reply {
    size_t (*bytes)(const draco_worker *w, int index, size_t count); /* for a shard of count floats */
    draco_status (*reply)(draco_worker *w, int index, const draco_request *request, void *reply);
    int single; /* one of several servers may request it for its shard alone */
} drs_reply;

static draco_status drs_check_model(const draco_model *m) {
    draco_status status = m ? DRS_NEED(m, gradient) : DRACO_E_NULL;
    if (status < 0) return status;
    if (m->dim == 0) return DRACO_E_DIM;
    return m->parameters > m->dim ? DRACO_E_ARGUMENT : DRACO_OK;
}

static int drs_is_prime(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_PRIME;
}

static draco_status drs_worker_memory(draco_worker *w) {
    const draco_allocator *a = &w->c.allocator;
    size_t parts = w->c.keep && drs_is_prime(&w->c.code) ? (size_t)w->c.code.r : 1u;
    if (draco_encoding_bytes(&w->c.code, w->dim) == 0) return DRACO_E_DIM;
    w->gradient = (float *)drs_zalloc(a, w->dim + 1, parts * sizeof(float));
    w->parts = (const float **)drs_zalloc(a, (size_t)w->c.code.r, sizeof *w->parts);
    if (w->c.code.scheme != DRACO_REPETITION) {
        w->encoding = (draco_encoding *)drs_zalloc(a, 1, draco_encoding_bytes(&w->c.code, w->dim));
        if (!w->encoding) return DRACO_E_MEMORY;
        (void)draco_encode_init(&w->c.code, w->dim, w->encoding);
    }
    return w->gradient && w->parts ? DRACO_OK : DRACO_E_MEMORY;
}

DRACO_API draco_status draco_worker_open(draco_worker **worker, const draco_worker_config *config) {
    draco_worker *w;
    draco_status status;
    if (!worker || !config) return DRACO_E_NULL;
    status = drs_check_model(config->model);
    if (status < 0) return status;
    if (!drs_allocator_ok(&config->allocator)) return DRACO_E_ARGUMENT;
    if (config->batch == 0) return DRACO_E_BATCH;
    w = (draco_worker *)drs_zalloc(&config->allocator, 1, sizeof *w);
    if (!w) return DRACO_E_MEMORY;
    w->c = *config;
    w->dim = config->model->dim;
    w->servers = config->servers > 1 ? config->servers : 1;
    status = draco_code_init(&w->c.code);
    if (status >= 0) status = drs_worker_memory(w);
    if (status >= 0 && DRS_HAS(config->model, workspace_new)) {
        status = config->model->workspace_new(config->model->ctx, &w->workspace);
        if (status < 0) w->workspace = NULL;
    }
    if (status < 0) {
        draco_worker_close(w);
        return status;
    }
    *worker = w;
    return DRACO_OK;
}

DRACO_API void draco_worker_close(draco_worker *w) {
    draco_allocator a;
    if (!w) return;
    a = w->c.allocator;
    if (w->workspace && DRS_HAS(w->c.model, workspace_free))
        w->c.model->workspace_free(w->c.model->ctx, w->workspace);
    drs_release(&a, w->gradient);
    drs_release(&a, w->parts);
    drs_release(&a, w->message);
    drs_release(&a, w->encoding);
    drs_release(&a, w->reply);
    drs_release(&a, w);
}

static void drs_keep(draco_worker *w, int keep, int index, uint64_t step) {
    w->kept = keep;
    w->kept_index = index;
    w->kept_step = step;
}

static int drs_kept(const draco_worker *w, int index, uint64_t step) {
    return w->kept && w->kept_index == index && w->kept_step == step;
}

/* The gradient of the samples of `part`, called `name` in the batch: -1 for a probe. */
/* A positive status is no gradient either. */
static draco_status drs_only_ok(draco_status status) {
    return status > DRACO_OK ? DRACO_E_MODEL : status;
}

static draco_status drs_gradient(draco_worker *w, const draco_code *code, int index, uint64_t step, int part,
                                 int name, float *gradient) {
    draco_batch batch;
    batch.seed = w->c.seed;
    batch.step = step;
    batch.total = w->c.batch;
    batch.part = name;
    batch.worker = index;
    draco_code_samples(code, w->c.batch, part, &batch.first, &batch.count);
    return drs_only_ok(w->c.model->gradient(w->c.model->ctx, w->workspace, w->params, &batch, gradient));
}

/* The whole coded message into `message`, little-endian. The one part of a repetition worker needs no second
   buffer. */
static draco_status drs_message(draco_worker *w, int index, uint64_t step, const uint8_t *exponents,
                                void *message) {
    int l, load = draco_code_load(&w->c.code, index), have = exponents && drs_kept(w, index, step);
    draco_status status;
    if (w->c.code.scheme == DRACO_REPETITION) {
        int part = draco_code_part(&w->c.code, index, 0);
        status = drs_gradient(w, &w->c.code, index, step, part, part, (float *)message);
        draco_little_endian(message, w->dim);
        return status;
    }
    if (!have) w->kept = 0; /* their memory is used again */
    status = draco_encode_begin(&w->c.code, w->dim, w->encoding);
    for (l = 0; l < load && status >= 0; l++) {
        int part = draco_code_part(&w->c.code, index, l);
        float *gradient = w->gradient + (have ? (size_t)l * (w->dim + 1) : 0);
        if (!have) status = drs_gradient(w, &w->c.code, index, step, part, part, gradient);
        if (status >= 0)
            status = draco_encode_add(&w->c.code, index, part, gradient, w->dim, exponents, w->encoding);
    }
    return status < 0 ? status : draco_encode_end(&w->c.code, w->dim, w->encoding, message);
}

static size_t drs_bytes_of_message(const draco_worker *w, int index, size_t count) {
    (void)index;
    return draco_message_bytes(&w->c.code, count);
}

static size_t drs_bytes_of_exponents(const draco_worker *w, int index, size_t count) {
    return (size_t)draco_code_load(&w->c.code, index) * draco_exponent_bytes(count);
}

/* Of the exponents behind a message: messages stand at multiples of 4 bytes. */
static size_t drs_report_bytes(const draco_code *code, size_t count) {
    return ((size_t)code->r * draco_exponent_bytes(count) + 3) & ~(size_t)3;
}

static size_t drs_bytes_of_predicted(const draco_worker *w, int index, size_t count) {
    (void)index;
    return draco_message_bytes(&w->c.code, count) + drs_report_bytes(&w->c.code, count);
}

static size_t drs_bytes_of_ready(const draco_worker *w, int index, size_t count) {
    (void)w, (void)index, (void)count;
    return 1;
}

static size_t drs_bytes_of_fingerprint(const draco_worker *w, int index, size_t count) {
    (void)w, (void)index, (void)count;
    return DRACO_FINGERPRINT_BYTES;
}

static draco_status drs_reply_message(draco_worker *w, int index, const draco_request *request, void *reply) {
    if (drs_is_prime(&w->c.code)) return DRACO_E_CONFIG;
    return drs_message(w, index, request->step, NULL, reply);
}

static float *drs_gradient_of(const draco_worker *w, int l) {
    return w->gradient + (w->c.keep ? (size_t)l * (w->dim + 1) : 0);
}

/* The parts from..to, whose gradients are there, into a reply that is laid out by server: its share of the message,
   when the exponents are predicted, and then its exponents by part. What does not fit is left out of the message,
   and the report tells. */
static draco_status drs_report_parts(draco_worker *w, int index, const draco_request *request, int from,
                                     int to, uint8_t *reply) {
    const draco_code *code = &w->c.code;
    const uint8_t *predicted = (const uint8_t *)request->extra;
    int encode = request->kind == DRACO_REQUEST_PREDICTED, k, l;
    draco_status status = DRACO_OK;
    for (k = 0; k < w->servers && status >= 0; k++) {
        size_t first, count, each, report;
        uint8_t *message = reply;
        draco_shard(w->dim, w->servers, k, &first, &count);
        each = draco_exponent_bytes(count);
        report = encode ? drs_report_bytes(code, count) : drs_bytes_of_exponents(w, index, count);
        reply += encode ? draco_message_bytes(code, count) : 0;
        for (l = from; l <= to && status >= 0; l++) {
            w->parts[l - from] = drs_gradient_of(w, l) + first;
            if (!encode)
                status = draco_exponents_of(code, w->parts[l - from], count, reply + (size_t)l * each);
        }
        if (encode)
            status = draco_encode_parts(code, index, from, to - from + 1, w->parts, count,
                                        predicted + first / DRACO_EXPONENT_BLOCK, w->encoding, message,
                                        reply + (size_t)from * each);
        memset(reply + (size_t)code->r * each, 0, report - (size_t)code->r * each);
        reply += report;
    }
    return status;
}

static draco_status drs_reply_exponents(draco_worker *w, int index, const draco_request *request,
                                        void *reply) {
    const draco_code *code = &w->c.code;
    int l, load = draco_code_load(code, index);
    draco_status status = DRACO_OK;
    if (!drs_is_prime(code)) return DRACO_E_CONFIG;
    if (request->kind == DRACO_REQUEST_PREDICTED &&
        (!request->extra || request->extra_bytes != draco_exponent_bytes(w->dim)))
        return DRACO_E_CONFIG;
    w->kept = 0;
    for (l = 0; l < load && status >= 0; l++) {
        int part = draco_code_part(code, index, l);
        status = drs_gradient(w, &w->c.code, index, request->step, part, part, drs_gradient_of(w, l));
        if (status >= 0 && (!w->c.keep || l == load - 1))
            status = drs_report_parts(w, index, request, w->c.keep ? 0 : l, l, (uint8_t *)reply);
    }
    if (status >= 0) drs_keep(w, w->c.keep, index, request->step);
    return status;
}

static draco_status drs_reply_encoded(draco_worker *w, int index, const draco_request *request, void *reply) {
    if (!drs_is_prime(&w->c.code) || !request->extra || request->extra_bytes != draco_exponent_bytes(w->dim))
        return DRACO_E_CONFIG;
    return drs_message(w, index, request->step, (const uint8_t *)request->extra, reply);
}

DRACO_API int draco_request_part(const draco_code *code, const draco_request *request, int worker,
                                 draco_code *now) {
    size_t at = request->kind == DRACO_REQUEST_FINGERPRINT ? sizeof(draco_seed) : 0;
    const unsigned char *plan = (const unsigned char *)request->extra;
    int parts, part;
    if (now) *now = *code;
    if (worker < 0 || worker >= code->n) return -1;
    if (!code->reactive ||
        (at == 0 && request->kind != DRACO_REQUEST_READY && request->kind != DRACO_REQUEST_BODY))
        return draco_code_part(code, worker, 0);
    if (!request->extra || request->extra_bytes < at + DRS_PLAN_BYTES(code->n)) return -2;
    plan += at;
    parts = drs_get16(plan);
    part = drs_get16(plan + 2 * worker + 2);
    if (parts < 1 || parts > code->n || (part >= parts && part != 0xffff)) return -2;
    if (now) now->groups = now->parts = parts;
    return part == 0xffff ? -1 : part;
}

/* The message of this step, in the worker's own memory, and which part of it is requested. */
static draco_status drs_own_message(draco_worker *w, int index, const draco_request *request,
                                    const char **from, size_t *count) {
    draco_status status = DRACO_OK;
    draco_code now;
    float *message = w->message ? w->message : w->gradient;
    size_t first = 0;
    int part = draco_request_part(&w->c.code, request, index, &now), slot;
    if (w->c.code.scheme != DRACO_REPETITION || part < 0) return DRACO_E_CONFIG;
    *count = w->dim;
    if (request->server >= 0) draco_shard(w->dim, w->servers, request->server, &first, count);
    if (!drs_kept(w, index, request->step)) w->kept_part[0] = w->kept_part[1] = -1;
    slot = now.reactive && w->kept_part[0] >= 0 && w->kept_part[0] != part;
    if (w->message) message += (size_t)slot * w->dim;
    if (w->kept_part[slot] != part) {
        status = drs_gradient(w, &now, index, request->step, part, part, message);
        draco_little_endian(message, w->dim);
        if (status >= 0 && w->message) {
            w->kept_part[slot] = part;
            drs_keep(w, 1, index, request->step);
        }
    }
    *from = (const char *)(message + first);
    return status < 0 ? status : DRACO_OK;
}

/* Without `keep` nothing is computed before it is known whether the message or its fingerprint is wanted. */
static draco_status drs_reply_ready(draco_worker *w, int index, const draco_request *request, void *reply) {
    int part = draco_request_part(&w->c.code, request, index, NULL);
    const char *from;
    size_t count;
    draco_status status = DRACO_OK;
    if (w->c.code.scheme != DRACO_REPETITION || part < -1) return DRACO_E_CONFIG;
    w->kept = 0;
    if (w->c.keep && !w->message)
        w->message = (float *)drs_zalloc(&w->c.allocator, w->c.code.reactive ? 2 : 1,
                                         draco_message_bytes(&w->c.code, w->dim));
    if (w->c.keep && !w->message) return DRACO_E_MEMORY;
    if (w->message && part >= 0) status = drs_own_message(w, index, request, &from, &count);
    memset(reply, 1, (size_t)w->servers);
    return status;
}

static draco_status drs_reply_body(draco_worker *w, int index, const draco_request *request, void *reply) {
    const char *from;
    size_t count;
    draco_status status = drs_own_message(w, index, request, &from, &count);
    if (status >= 0) memcpy(reply, from, draco_message_bytes(&w->c.code, count));
    return status;
}

/* Under the key that the request carries. */
static draco_status drs_fingerprint(const draco_request *request, const void *bytes, size_t n, void *value) {
    draco_seed seed;
    if (!request->extra || request->extra_bytes < sizeof seed) return DRACO_E_CONFIG;
    memcpy(&seed, request->extra, sizeof seed);
    draco_fingerprint_of(&seed, bytes, n, (uint8_t *)value);
    return DRACO_OK;
}

/* Of each server's shard, or of the one whose server asks. */
static draco_status drs_reply_fingerprint(draco_worker *w, int index, const draco_request *request,
                                          void *reply) {
    const char *from;
    size_t first, count;
    draco_status status = drs_own_message(w, index, request, &from, &count);
    int k, shards = request->server < 0 ? w->servers : 1;
    for (k = 0; k < shards && status >= 0; k++) {
        if (shards > 1)
            draco_shard(w->dim, shards, k, &first, &count);
        else
            first = 0;
        status = drs_fingerprint(request, from + 4 * first, draco_message_bytes(&w->c.code, count),
                                 (uint8_t *)reply + (size_t)k * DRACO_FINGERPRINT_BYTES);
    }
    return status;
}

/* The same small batch for every worker: one that computes other bits than the rest cannot vote with them. */
static draco_status drs_reply_probe(draco_worker *w, int index, const draco_request *request, void *reply) {
    draco_status status;
    int k;
    w->kept = 0;
    status = drs_gradient(w, &w->c.code, index, request->step, 0, -1, w->gradient);
    draco_little_endian(w->gradient, w->dim);
    if (status >= 0) status = drs_fingerprint(request, w->gradient, w->dim * sizeof(float), reply);
    for (k = 1; k < w->servers && status >= 0; k++)
        memcpy((uint8_t *)reply + (size_t)k * DRACO_FINGERPRINT_BYTES, reply, DRACO_FINGERPRINT_BYTES);
    return status;
}

/* By draco_request_kind; NULL: no reply. */
static const drs_reply drs_replies[] = {
    {NULL, NULL, 0},
    {drs_bytes_of_message, drs_reply_message, 0},
    {drs_bytes_of_exponents, drs_reply_exponents, 0},
    {drs_bytes_of_message, drs_reply_encoded, 0},
    {drs_bytes_of_ready, drs_reply_ready, 0},
    {drs_bytes_of_message, drs_reply_body, 1},
    {drs_bytes_of_fingerprint, drs_reply_probe, 0},
    {NULL, NULL, 0},
    {drs_bytes_of_fingerprint, drs_reply_fingerprint, 1},
    {drs_bytes_of_predicted, drs_reply_exponents, 0},
};

static const drs_reply *drs_reply_to(const draco_request *request) {
    size_t kind = (size_t)request->kind;
    return &drs_replies[kind < sizeof drs_replies / sizeof *drs_replies ? kind : 0];
}

DRACO_API int draco_request_is_single(draco_request_kind kind) {
    draco_request request;
    memset(&request, 0, sizeof request);
    request.kind = kind;
    return drs_reply_to(&request)->single;
}

DRACO_API size_t draco_worker_reply_bytes(const draco_worker *w, int index, const draco_request *request) {
    const drs_reply *row = drs_reply_to(request);
    int one = request->server >= 0 && request->server < w->servers, k;
    size_t bytes = 0;
    for (k = one ? request->server : 0; row->bytes && k < (one ? request->server + 1 : w->servers); k++) {
        size_t first, count;
        draco_shard(w->dim, w->servers, k, &first, &count);
        bytes += row->bytes(w, index, count);
    }
    return bytes;
}

DRACO_API draco_status draco_worker_reply(draco_worker *w, int index, const draco_request *request,
                                          void *reply) {
    const drs_reply *row;
    if (!w || !request || !reply) return DRACO_E_NULL;
    row = drs_reply_to(request);
    if (index < 0 || index >= w->c.code.n) return DRACO_E_INDEX;
    if (!row->reply) return DRACO_E_ARGUMENT;
    if (request->server >= w->servers || (request->server >= 0 && w->servers > 1 && !row->single))
        return DRACO_E_CONFIG;
    if (request->reply_bytes != draco_worker_reply_bytes(w, index, request)) return DRACO_E_CONFIG;
    if (request->params) {
        if (request->params_count != w->dim) return DRACO_E_CONFIG;
        w->params = request->params;
    }
    if (!w->params) return DRACO_E_CONFIG;
    (void)draco_code_at(&w->c.code, request->step);
    return row->reply(w, index, request, reply);
}

static draco_status drs_how_it_ended(const draco_request *stop) {
    return stop->step > (uint64_t) - (int)DRACO_E_AGAIN ? DRACO_E_TRANSPORT
                                                        : (draco_status)(-(int)stop->step);
}

DRACO_API draco_status draco_worker_run(draco_worker *w, int index, const draco_transport *transport) {
    draco_status status;
    if (!w || !transport) return DRACO_E_NULL;
    if (index < 0 || index >= w->c.code.n) return DRACO_E_INDEX;
    status = DRS_NEED(transport, receive);
    if (status >= 0) status = DRS_NEED(transport, submit);
    if (status < 0) return status;
    for (;;) {
        draco_request request;
        size_t bytes;
        memset(&request, 0, sizeof request);
        request.server = -1;
        status = transport->receive(transport->ctx, &request);
        if (status < 0) return status;
        if (request.kind == DRACO_REQUEST_STOP) return drs_how_it_ended(&request);
        bytes = draco_worker_reply_bytes(w, index, &request);
        if (bytes > w->reply_capacity) {
            drs_release(&w->c.allocator, w->reply);
            w->reply_capacity = 0;
            w->reply = drs_alloc(&w->c.allocator, bytes);
            if (!w->reply) return DRACO_E_MEMORY;
            w->reply_capacity = bytes;
        }
        status = draco_worker_reply(w, index, &request, w->reply);
        if (status < 0 && w->c.failed) w->c.failed(w->c.failed_ctx, request.step, status);
        /* A worker that cannot reply says so at once, so that nobody waits for it. */
        status = status >= 0 ? transport->submit(transport->ctx, &request, w->reply, bytes)
                             : transport->submit(transport->ctx, &request, NULL, 0);
        if (status < 0) return status;
    }
}

/* ---- Server: its memory ---- */

typedef struct drs_kind drs_kind;
typedef struct drs_intake drs_intake;

struct draco_server {
    draco_server_config c;
    const drs_kind *kind;
    int n, servers, groups;
    size_t first, count; /* this server's shard of the vector */
    size_t message_bytes;
    void *block; /* what the pointers below point into; messages and pool are allocated as they are needed */
    /* The request that is out. */
    const draco_request *request;
    const drs_intake *intake;
    uint64_t round; /* number of the last request */
    double waited;  /* seconds of this round spent in the transport */
    /* What has arrived. */
    draco_arrival *arrival; /* n */
    size_t *received;       /* n: bytes */
    double *busy;           /* n: seconds spent on this worker's bytes */
    unsigned char *small;   /* n x small_bytes: replies that are no messages */
    size_t small_bytes;
    void **messages; /* n: memory of worker i's message while it is held */
    void **pool;     /* memory of messages, not in use */
    size_t pool_size;
    int pooled, held;
    int *holder; /* n: the worker whose memory holds this worker's message, or -1 */
    /* Sketches and votes. */
    draco_key *key;
    draco_work *locate_work;
    draco_weights *weights;
    void *sketches;
    const void **pointers; /* n */
    size_t sketch_bytes;
    uint8_t *values;      /* n x DRACO_FINGERPRINT_BYTES: of a worker's message */
    draco_tally *tallies; /* groups */
    char *tally_memory;   /* groups x tally_bytes */
    size_t tally_bytes;
    int *seat, *group_size; /* n: place within the group; groups */
    int *winners;           /* n, by group: the worker whose message counts, or -1 */
    /* Challenge: by part. */
    void *part_block; /* what the pointers down to `lost` point into */
    draco_dispute *disputes;
    draco_member *members; /* parts x most */
    int *speakers,
        *agreed;           /* whose message is asked for, or -1; how many are ready, and then agree with it */
    unsigned char *passed; /* DRS_PASSED, DRS_PATIENT */
    void **bodies, **lost; /* the message at hand or that won; parts x 2 most: those that lost */
    int most, liars;       /* members of a part; liars that may be left */
    /* Challenge: by worker. */
    draco_seed seed;        /* of `key` */
    uint32_t *rank;         /* n: order in which workers were ready; 0: not ready */
    uint32_t *turn;         /* n: order in which they speak */
    int *task, *load;       /* n: the part that the request is about, or -1; gradients of this round */
    unsigned char *stalled; /* n: how it failed to send or to answer: a draco_arrival, or 0 */
    unsigned char *failed;  /* n: lost or stalled as a speaker in some round */
    unsigned char *standing, *missed; /* n: draco_standing; was silent when it was asked last */
    unsigned char *agrees;            /* n: with the speaker of its part */
    unsigned char *plan;              /* key, plan: see draco_request_part */
    uint32_t ready;                   /* workers so far */
    int awaited, evicted;             /* workers who have not ended; who are out */
    double patience,
        pace;    /* seconds that the next request may take, 0: deadline; longest of late for a message */
    int checked; /* 0: in this round one copy is believed */
    uint64_t
        unsound; /* 1 + the step whose round failed without a check: it is checked when it is tried again */
    double computed; /* of late, until all but `liars` were ready; only with spot checks */
    double deadline; /* see draco_server_deadline */
    double slowest,
        computing;    /* of late for the answers of all but `liars`; of this round, until members are ready */
    double enough_at; /* when all but `liars` of those who were asked had replied */
    int wanted;       /* replies until then */
    uint8_t *learnt;  /* two bytes: parts; n: proofs; n: `failed` + 2 `missed`. Behind `predicted` */
    size_t learnt_bytes;
    uint8_t *exponents, *predicted; /* of this shard: agreed; with which the workers encode at once */
    void *exponent_work;
    size_t exponent_bytes, exponent_work_bytes, report_bytes; /* report: behind a message */
    unsigned char *whom;                                      /* n */
    unsigned char *mine, *all; /* exchange_bytes of this server; of every server, one after the other */
    size_t exchange_bytes;
    draco_verdict *verdicts, *early; /* n: of the round; of its first half, or of one group */
    draco_round out;
};

/* Are a message's bytes folded as they come, and is it one range of a message that several servers share? */
enum { DRS_SKETCH_NONE, DRS_SKETCH_SHARED, DRS_SKETCH_ALONE };

/* How the replies to one request are taken in. */
struct drs_intake {
    draco_request_kind request;
    int message;                                /* 1: a message; 0: small_bytes at most */
    int sketch;                                 /* one of the three above */
    void (*whole)(draco_server *s, int worker); /* a whole reply is here; NULL: nothing to do */
    int (*enough)(const draco_server *s);       /* with DRACO_WAIT_ENOUGH; NULL: only when all ended */
    int apart; /* 1: of several servers each may stop when it has enough, since they agree on who is in afterwards */
};

/* A kind of round. */
struct drs_kind {
    const char *name;
    int (*chosen)(const draco_server_config *c);
    draco_status (*check)(const draco_server_config *c); /* what this kind cannot do; NULL: nothing */
    void (*sizes)(draco_server *s);                      /* more memory than the others; NULL: none */
    int keyed;                                           /* sketches with a new secret in every round */
    const drs_intake *intake;                            /* of the first request; NULL: finish makes it */
    size_t (*reply_bytes)(const draco_server *s);        /* to it */
    draco_status (*finish)(draco_server *s, uint64_t step, const float *params, float *sum); /* and then */
};

static draco_sketch *drs_sketch(const draco_server *s, int worker) {
    return (draco_sketch *)((char *)s->sketches + (size_t)worker * s->sketch_bytes);
}

static uint8_t *drs_value(const draco_server *s, int worker) {
    return s->values + (size_t)worker * DRACO_FINGERPRINT_BYTES;
}

static unsigned char *drs_small(const draco_server *s, int worker) {
    return s->small + (size_t)worker * s->small_bytes;
}

/* Everything that a server holds, but for messages, whose number depends on what comes. */
static void drs_server_layout(draco_server *s, drs_arena *a) {
    size_t n = (size_t)s->n, groups = (size_t)s->groups;
    s->arrival = (draco_arrival *)drs_carve(a, n, sizeof *s->arrival);
    s->received = (size_t *)drs_carve(a, n, sizeof *s->received);
    s->busy = (double *)drs_carve(a, n, sizeof *s->busy);
    s->small = (unsigned char *)drs_carve(a, n, s->small_bytes);
    s->messages = (void **)drs_carve(a, n, sizeof *s->messages);
    s->pool = (void **)drs_carve(a, s->pool_size, sizeof *s->pool);
    s->holder = (int *)drs_carve(a, n, sizeof *s->holder);
    s->key = (draco_key *)drs_carve(a, 1, draco_sketch_key_bytes(&s->c.code));
    s->sketches = drs_carve(a, n, s->sketch_bytes);
    s->locate_work = (draco_work *)drs_carve(a, 1, draco_locate_work_bytes(&s->c.code));
    s->weights = (draco_weights *)drs_carve(a, 1, draco_weights_bytes(&s->c.code));
    s->pointers = (const void **)drs_carve(a, n, sizeof *s->pointers);
    s->values = (uint8_t *)drs_carve(a, n, DRACO_FINGERPRINT_BYTES);
    s->tallies = (draco_tally *)drs_carve(a, groups, sizeof *s->tallies);
    s->tally_memory = (char *)drs_carve(a, groups, s->tally_bytes);
    s->seat = (int *)drs_carve(a, n, sizeof *s->seat);
    s->group_size = (int *)drs_carve(a, groups, sizeof *s->group_size);
    s->winners = (int *)drs_carve(a, n, sizeof *s->winners);
    s->rank = (uint32_t *)drs_carve(a, n, sizeof *s->rank);
    s->turn = (uint32_t *)drs_carve(a, n, sizeof *s->turn);
    s->task = (int *)drs_carve(a, n, sizeof *s->task);
    s->load = (int *)drs_carve(a, n, sizeof *s->load);
    s->stalled = (unsigned char *)drs_carve(a, n, 1);
    s->failed = (unsigned char *)drs_carve(a, n, 1);
    s->standing = (unsigned char *)drs_carve(a, n, 1);
    s->missed = (unsigned char *)drs_carve(a, n, 1);
    s->agrees = (unsigned char *)drs_carve(a, n, 1);
    s->plan = (unsigned char *)drs_carve(a, 1, sizeof s->seed + DRS_PLAN_BYTES(n));
    s->exponents = (uint8_t *)drs_carve(a, 1, s->exponent_bytes);
    s->predicted = (uint8_t *)drs_carve(a, 1, s->exponent_bytes + s->learnt_bytes);
    s->learnt = s->learnt_bytes && a->base ? s->predicted + s->exponent_bytes : NULL;
    s->exponent_work = drs_carve(a, 1, s->exponent_work_bytes);
    s->whom = (unsigned char *)drs_carve(a, n, 1);
    s->mine = (unsigned char *)drs_carve(a, 1, s->exchange_bytes);
    s->all = (unsigned char *)drs_carve(a, (size_t)s->servers, s->exchange_bytes);
    s->verdicts = (draco_verdict *)drs_carve(a, n, sizeof *s->verdicts);
    s->early = (draco_verdict *)drs_carve(a, n, sizeof *s->early);
}

static size_t drs_most(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The longest that the servers exchange: a record for each worker, a shard, or the squares of its blocks. */
static size_t drs_exchange_need(const draco_server *s) {
    size_t first, longest, blocks = (s->c.dim + DRACO_BLOCK - 1) / DRACO_BLOCK;
    if (s->servers == 1) return 0;
    draco_shard(s->c.dim, s->servers, 0, &first, &longest);
    return drs_most((size_t)s->n * (8 + s->sketch_bytes),
                    drs_most(longest * sizeof(float), blocks * sizeof(double)));
}

static void drs_parts_layout(draco_server *s, drs_arena *a) {
    size_t parts = (size_t)s->groups, most = (size_t)s->most;
    s->disputes = (draco_dispute *)drs_carve(a, parts, sizeof *s->disputes);
    s->members = (draco_member *)drs_carve(a, parts * most, sizeof *s->members);
    s->speakers = (int *)drs_carve(a, parts, sizeof *s->speakers);
    s->agreed = (int *)drs_carve(a, parts, sizeof *s->agreed);
    s->passed = (unsigned char *)drs_carve(a, parts, 1);
    s->bodies = (void **)drs_carve(a, parts, sizeof *s->bodies);
    s->lost = (void **)drs_carve(a, 2 * parts * most, sizeof *s->lost);
}

/* The memory of a challenge for so many parts. */
static int drs_parts_memory(draco_server *s, int parts) {
    drs_arena arena = {NULL, 0};
    void *block;
    s->groups = s->c.code.groups = s->c.code.parts = parts;
    drs_parts_layout(s, &arena);
    block = drs_zalloc(&s->c.allocator, arena.used, 1);
    drs_release(&s->c.allocator, s->part_block);
    s->part_block = block;
    if (!block) s->groups = 0; /* it is tried again in the next round */
    arena.base = (char *)block;
    arena.used = 0;
    drs_parts_layout(s, &arena);
    return block != NULL;
}

static int drs_challenges(const draco_server *s) {
    return s->c.challenge || s->c.code.reactive;
}

static int drs_server_memory(draco_server *s) {
    drs_arena arena = {NULL, 0};
    size_t largest = ((size_t)s->n + (size_t)s->groups - 1) / (size_t)s->groups; /* members of a group */
    int i;
    s->pool_size = (size_t)s->n * (drs_challenges(s) ? 4 : 1);
    s->learnt_bytes = s->c.code.reactive || s->c.evict_after > 0 ? 2 * (size_t)s->n + 2 : 0;
    s->small_bytes = DRACO_FINGERPRINT_BYTES;
    s->sketch_bytes = (draco_sketch_bytes(&s->c.code) + 63) & ~(size_t)63;
    if (s->kind->sizes) s->kind->sizes(s);
    s->tally_bytes = (draco_tally_bytes(largest, DRACO_FINGERPRINT_BYTES) + 63) & ~(size_t)63;
    s->exchange_bytes = drs_exchange_need(s);
    drs_server_layout(s, &arena);
    s->block = drs_zalloc(&s->c.allocator, arena.used, 1);
    if (!s->block) return 0;
    arena.base = (char *)s->block;
    arena.used = 0;
    drs_server_layout(s, &arena);
    memset(s->predicted, 255, s->exponent_bytes);
    if (s->learnt) drs_put16(s->learnt, s->groups);
    s->most = s->c.code.reactive ? 2 * s->c.code.s + 1 + s->c.code.t : (int)largest;
    for (i = 0; i < s->n; i++) s->seat[i] = s->group_size[draco_code_group(&s->c.code, i)]++;
    return !drs_challenges(s) || drs_parts_memory(s, s->groups);
}

/* ---- Server: what comes in ---- */

static void drs_free_to_pool(draco_server *s, void **message) {
    if (!*message) return;
    if ((size_t)s->pooled < s->pool_size)
        s->pool[s->pooled++] = *message;
    else
        drs_release(&s->c.allocator, *message);
    *message = NULL;
    s->held--;
}

static void drs_free_message(draco_server *s, int worker) {
    drs_free_to_pool(s, &s->messages[worker]);
}

static void drs_free_bodies(draco_server *s) {
    int k;
    for (k = 0; s->part_block && k < 2 * s->groups * s->most; k++) {
        if (k < s->groups) drs_free_to_pool(s, &s->bodies[k]);
        drs_free_to_pool(s, &s->lost[k]);
    }
}

static void *drs_inbox_reserve(void *ctx, int worker) {
    draco_server *s = (draco_server *)ctx;
    if (worker < 0 || worker >= s->n || s->arrival[worker] != DRACO_ARRIVAL_WAITING) return NULL;
    s->received[worker] = 0;
    if (!s->intake->message) return drs_small(s, worker);
    if (!s->messages[worker]) {
        void *memory =
            s->pooled ? s->pool[--s->pooled] : drs_alloc(&s->c.allocator, s->message_bytes + s->report_bytes);
        if (!memory) return NULL;
        s->messages[worker] = memory;
        s->held++;
        s->out.rows_peak = drs_most(s->out.rows_peak, (size_t)s->held);
    }
    if (s->intake->sketch)
        (void)draco_sketch_begin(&s->c.code,
                                 s->intake->sketch == DRS_SKETCH_ALONE ? 0 : 4 * (uint64_t)s->first,
                                 drs_sketch(s, worker));
    return s->messages[worker];
}

static void drs_inbox_chunk(void *ctx, int worker, size_t offset, size_t n) {
    draco_server *s = (draco_server *)ctx;
    double begin;
    if (worker < 0 || worker >= s->n || s->arrival[worker] != DRACO_ARRIVAL_WAITING ||
        offset != s->received[worker] || n > s->request->reply_bytes - offset)
        return;
    s->received[worker] += n;
    if (!s->intake->sketch || !s->messages[worker] || offset >= s->message_bytes) return;
    if (n > s->message_bytes - offset) n = s->message_bytes - offset;
    begin = drs_now();
    (void)draco_sketch_add(&s->c.code, s->key, drs_sketch(s, worker),
                           (const char *)s->messages[worker] + offset, n);
    s->busy[worker] += drs_now() - begin;
}

static draco_status drs_inbox_end(void *ctx, int worker, draco_arrival arrival) {
    draco_server *s = (draco_server *)ctx;
    double begin = drs_now();
    if (worker < 0 || worker >= s->n || s->arrival[worker] != DRACO_ARRIVAL_WAITING) return DRACO_MORE;
    if (arrival == DRACO_ARRIVAL_WHOLE && s->received[worker] != s->request->reply_bytes)
        arrival = DRACO_ARRIVAL_MALFORMED;
    if (arrival != DRACO_ARRIVAL_WHOLE && arrival != DRACO_ARRIVAL_MALFORMED) arrival = DRACO_ARRIVAL_ABSENT;
    s->arrival[worker] = arrival;
    s->awaited--;
    s->out.bytes_in += s->received[worker];
    if (arrival != DRACO_ARRIVAL_WHOLE) {
        drs_free_message(s, worker);
    } else {
        s->holder[worker] = worker;
        if (--s->wanted == 0) s->enough_at = begin;
        if (s->intake->whole) s->intake->whole(s, worker);
    }
    s->busy[worker] += drs_now() - begin;
    if (s->awaited == 0 && s->evicted > 0)
        return DRACO_OK; /* the transport waits for those who are out, too */
    return s->c.wait == DRACO_WAIT_ENOUGH && (s->servers == 1 || s->intake->apart) && s->intake->enough &&
                   s->intake->enough(s)
               ? DRACO_OK
               : DRACO_MORE;
}

/* A fingerprint that this group has already shown: the same bytes, so that one message stands for both. */
static void drs_share_message(draco_server *s, int worker) {
    int i, group = draco_code_group(&s->c.code, worker);
    for (i = 0; i < s->n; i++) {
        if (i == worker || s->holder[i] != i || draco_code_group(&s->c.code, i) != group) continue;
        if (memcmp(drs_value(s, i), drs_value(s, worker), DRACO_FINGERPRINT_BYTES) != 0) continue;
        s->holder[worker] = i;
        drs_free_message(s, worker);
        return;
    }
}

static void drs_cast(draco_server *s, int worker) {
    draco_tally *tally = &s->tallies[draco_code_group(&s->c.code, worker)];
    (void)draco_tally_cast(tally, (size_t)s->seat[worker], drs_value(s, worker));
}

static void drs_whole_fingerprint(draco_server *s, int worker) {
    if (draco_sketch_fingerprint(&s->c.code, s->key, drs_sketch(s, worker), drs_value(s, worker)) < 0) return;
    drs_share_message(s, worker);
    drs_cast(s, worker);
}

static void drs_whole_ready(draco_server *s, int worker) {
    int g;
    s->rank[worker] = ++s->ready;
    for (g = 0; g < s->groups; g++) s->agreed[g] += draco_dispute_member(&s->disputes[g], worker) != NULL;
}

/* The body of a speaker cannot change any more: its value is what the others are compared with. */
static void drs_whole_body(draco_server *s, int worker) {
    (void)draco_sketch_fingerprint(&s->c.code, s->key, drs_sketch(s, worker), drs_value(s, worker));
}

static void drs_whole_answer(draco_server *s, int worker) {
    int g = s->task[worker], agrees;
    draco_member *member = draco_dispute_member(&s->disputes[g], worker);
    agrees = memcmp(drs_small(s, worker), drs_value(s, s->speakers[g]), DRACO_FINGERPRINT_BYTES) == 0;
    member->answer = agrees ? DRACO_ANSWER_AGREES : DRACO_ANSWER_DIFFERS;
    s->agrees[worker] = (unsigned char)agrees;
    if (s->servers == 1) s->agreed[g] += agrees;
}

/* Whoever of those that replied is lying, can the round be decoded? Every group has s + 1 equal values. */
static int drs_enough_votes(const draco_server *s) {
    int g;
    for (g = 0; g < s->groups; g++)
        if (s->tallies[g].decided >= s->tallies[g].n) return 0;
    return 1;
}

/* Each group has somebody to speak, and, of several servers, those who are asked first; each speaker that is believed
   has s + 1 in agreement. */
static int drs_enough_ready(const draco_server *s) {
    int g;
    for (g = 0; g < s->groups; g++) {
        const draco_dispute *d = &s->disputes[g];
        int wanted = s->servers == 1 || d->count == 0 ? 1 : d->s + 1 < d->count ? d->s + 1 : d->count;
        if (s->agreed[g] < wanted) return 0;
    }
    return 1;
}

static int drs_enough_agree(const draco_server *s) {
    int g;
    for (g = 0; g < s->groups; g++)
        if (s->speakers[g] >= 0 && s->agreed[g] <= s->disputes[g].s) return 0;
    return 1;
}

/* ... or no more workers are missing than the code carries besides s liars. */
static int drs_enough_present(const draco_server *s) {
    int i, present = 0;
    for (i = 0; i < s->n; i++) present += s->arrival[i] == DRACO_ARRIVAL_WHOLE;
    return present >= s->n - s->c.code.t;
}

static const drs_intake drs_fingerprints = {
    DRACO_REQUEST_MESSAGE, 1, DRS_SKETCH_SHARED, drs_whole_fingerprint, drs_enough_votes, 0};
static const drs_intake drs_sketched = {DRACO_REQUEST_MESSAGE, 1, DRS_SKETCH_SHARED, NULL,
                                        drs_enough_present,    0};
static const drs_intake drs_compared = {DRACO_REQUEST_MESSAGE, 1, DRS_SKETCH_NONE, NULL,
                                        drs_enough_present,    0};
static const drs_intake drs_all_messages = {DRACO_REQUEST_MESSAGE, 1, DRS_SKETCH_NONE, NULL, NULL, 0};
static const drs_intake drs_reported = {DRACO_REQUEST_EXPONENTS, 0, DRS_SKETCH_NONE, NULL,
                                        drs_enough_present,      0};
static const drs_intake drs_encoded = {DRACO_REQUEST_ENCODED, 1, DRS_SKETCH_SHARED, NULL,
                                       drs_enough_present,    0};
static const drs_intake drs_predicted = {DRACO_REQUEST_PREDICTED, 1, DRS_SKETCH_SHARED, NULL,
                                         drs_enough_present,      0};
static const drs_intake drs_readies = {DRACO_REQUEST_READY, 0, DRS_SKETCH_NONE, drs_whole_ready,
                                       drs_enough_ready,    1};
static const drs_intake drs_bodies = {DRACO_REQUEST_BODY, 1, DRS_SKETCH_ALONE, drs_whole_body, NULL, 0};
static const drs_intake drs_answers = {DRACO_REQUEST_FINGERPRINT, 0, DRS_SKETCH_NONE, drs_whole_answer,
                                       drs_enough_agree,          0};
static const drs_intake drs_probes = {DRACO_REQUEST_PROBE, 0, DRS_SKETCH_NONE, NULL, NULL, 0};

static draco_request drs_request(const draco_server *s, uint64_t step, const float *params,
                                 size_t reply_bytes) {
    draco_request request;
    memset(&request, 0, sizeof request);
    request.step = step;
    request.params = params;
    request.params_count = params ? s->count : 0;
    request.reply_bytes = reply_bytes;
    return request;
}

/* Send the request, and take in what comes until the deadline. whom == NULL: everybody. */
static draco_status drs_collect(draco_server *s, const drs_intake *intake, draco_request *request,
                                const unsigned char *whom) {
    const draco_transport *t = s->c.transport;
    double seconds = request->params && s->deadline > 0 ? s->deadline
                     : s->c.deadline > 0                ? s->c.deadline
                                                        : -1.0,
           begin;
    draco_inbox inbox;
    draco_status status;
    int i;
    memset(&inbox, 0, sizeof inbox);
    inbox.size = sizeof inbox;
    inbox.ctx = s;
    inbox.reserve = drs_inbox_reserve;
    inbox.chunk = drs_inbox_chunk;
    inbox.end = drs_inbox_end;
    request->kind = intake->request;
    request->round = ++s->round;
    request->server = -1;
    s->request = request;
    s->intake = intake;
    s->awaited = 0;
    for (i = 0; i < s->n; i++) {
        s->received[i] = 0;
        if (whom && !whom[i]) continue;
        s->arrival[i] = s->standing[i] == DRACO_STANDING_OUT ? DRACO_ARRIVAL_ABSENT : DRACO_ARRIVAL_WAITING;
        s->awaited += s->arrival[i] == DRACO_ARRIVAL_WAITING;
    }
    s->wanted = s->awaited - s->liars;
    if (s->patience > 0 && (seconds < 0 || s->patience < seconds)) seconds = s->patience;
    s->patience = 0;
    begin = drs_now();
    if (whom) {
        status = t->fetch(t->ctx, request, whom, seconds, &inbox);
    } else {
        status = t->broadcast(t->ctx, request);
        if (status >= 0) status = t->collect(t->ctx, request, seconds, &inbox);
    }
    s->waited += drs_now() - begin;
    for (i = 0; i < s->n; i++) {
        if (s->arrival[i] != DRACO_ARRIVAL_WAITING) continue;
        s->arrival[i] = DRACO_ARRIVAL_ABSENT;
        drs_free_message(s, i);
    }
    return status < 0 ? status : DRACO_OK;
}

/* ---- Several servers ---- */

static draco_status drs_exchange(draco_server *s, const void *mine, size_t bytes) {
    return s->c.transport->exchange(s->c.transport->ctx, mine, bytes, s->all);
}

/* What server k said of this worker: its arrival in 8 bytes, for alignment, and `bytes` bytes more. */
static const unsigned char *drs_record(const draco_server *s, int k, int worker, size_t bytes) {
    return s->all + ((size_t)k * (size_t)s->n + (size_t)worker) * (8 + bytes);
}

/* Exchange a record for each worker. A worker's reply is here when all servers have their part of it, and the
   worst that happened to one of them is what happened. */
static draco_status drs_exchange_records(draco_server *s, const void *from, size_t stride, size_t bytes) {
    draco_status status;
    int i, k;
    for (i = 0; i < s->n; i++) {
        unsigned char *record = s->mine + (size_t)i * (8 + bytes);
        memset(record, 0, 8);
        record[0] = (unsigned char)s->arrival[i];
        memcpy(record + 8, (const char *)from + (size_t)i * stride, bytes);
    }
    status = drs_exchange(s, s->mine, (size_t)s->n * (8 + bytes));
    for (i = 0; i < s->n && status >= 0; i++)
        for (k = 0; k < s->servers; k++) {
            unsigned char arrival = drs_record(s, k, i, bytes)[0];
            if (arrival <= DRACO_ARRIVAL_MALFORMED && arrival > (unsigned char)s->arrival[i])
                s->arrival[i] = (draco_arrival)arrival;
        }
    return status;
}

/* A worker's sketch is the merge of those of all servers. */
static draco_status drs_merge_sketches(draco_server *s) {
    draco_status status;
    int i, k;
    if (s->servers == 1) return DRACO_OK;
    status = drs_exchange_records(s, s->sketches, s->sketch_bytes, s->sketch_bytes);
    for (i = 0; i < s->n && status >= 0; i++) {
        memcpy(drs_sketch(s, i), drs_record(s, 0, i, s->sketch_bytes) + 8, s->sketch_bytes);
        for (k = 1; k < s->servers && s->arrival[i] == DRACO_ARRIVAL_WHOLE; k++)
            (void)draco_sketch_merge(
                &s->c.code, s->key, drs_sketch(s, i),
                (const draco_sketch *)(const void *)(drs_record(s, k, i, s->sketch_bytes) + 8));
    }
    return status;
}

/* All servers must see the same outcome, or none goes on; verdicts, and whether to ask again, are joined. */
static draco_status drs_join_verdicts(draco_server *s, draco_status status, draco_verdict *verdicts) {
    size_t bytes = 8 + (size_t)s->n;
    int i, k;
    if (s->servers == 1) return status;
    memset(s->mine, 0, bytes);
    s->mine[0] = (unsigned char)(-(int)(status < 0 ? status : DRACO_OK));
    s->mine[1] = (unsigned char)s->out.again;
    for (i = 0; i < s->n; i++) s->mine[8 + i] = (unsigned char)verdicts[i];
    if (drs_exchange(s, s->mine, bytes) < 0) return DRACO_E_TRANSPORT;
    for (k = 0; k < s->servers; k++) {
        const unsigned char *record = s->all + bytes * (size_t)k;
        if (record[0] && status >= 0) status = (draco_status)(-(int)record[0]);
        s->out.again |= record[1];
        for (i = 0; i < s->n; i++) {
            draco_verdict v = (draco_verdict)record[8 + i];
            if (v == DRACO_BLAMED || (v == DRACO_MALFORMED && verdicts[i] != DRACO_BLAMED) ||
                ((v == DRACO_ABSENT || v == DRACO_SUSPECTED) && verdicts[i] == DRACO_AGREES))
                verdicts[i] = v;
        }
    }
    return status;
}

/* The outcome of the first server that failed is that of all: a shard that one of them could not decode must not
   move on the others. Beside it the least and the most of a number of 16 bits that each of them has. */
static draco_status drs_agree(draco_server *s, draco_status status, int number, int *least, int *most) {
    int k;
    *least = *most = number;
    if (s->servers == 1) return status;
    memset(s->mine, 0, 8);
    s->mine[0] = (unsigned char)(-(int)(status < 0 ? status : DRACO_OK));
    drs_put16(s->mine + 1, number);
    if (drs_exchange(s, s->mine, 8) < 0) return status < 0 ? status : DRACO_E_TRANSPORT;
    for (k = s->servers - 1; k >= 0; k--) {
        const unsigned char *one = s->all + 8 * (size_t)k;
        int here = drs_get16(one + 1);
        if (one[0]) status = (draco_status)(-(int)one[0]);
        if (here < *least) *least = here;
        if (here > *most) *most = here;
    }
    return status;
}

/* ---- Steps that kinds of round share ---- */

static draco_status drs_new_keys(draco_server *s) {
    draco_seed seed;
    draco_status status = DRACO_OK;
    memset(&seed, 0, sizeof seed);
    if (s->c.secret)
        seed = *s->c.secret;
    else if (s->servers == 1 || s->c.transport->server == 0)
        status = draco_seed_random(&seed);
    if (s->servers > 1 && status >= 0) { /* the first server's secret is everybody's */
        memcpy(s->mine, seed.bytes, sizeof seed.bytes);
        status = drs_exchange(s, s->mine, sizeof seed.bytes);
        if (status >= 0) memcpy(seed.bytes, s->all, sizeof seed.bytes);
    }
    if (status >= 0) status = draco_sketch_key_init(&s->c.code, &seed, s->key);
    if (status >= 0 && s->c.parameters > 0)
        status = draco_sketch_key_split(
            &s->c.code, (s->c.parameters + DRACO_BLOCK - 1) / DRACO_BLOCK * DRACO_BLOCK, s->key);
    if (status >= 0) status = draco_sketch_key_layers(&s->c.code, s->c.layers, s->c.layer_count, s->key);
    s->seed = seed;
    memset(&seed, 0, sizeof seed);
    return status;
}

static draco_verdict drs_verdict_of(draco_arrival arrival) {
    return arrival == DRACO_ARRIVAL_ABSENT      ? DRACO_ABSENT
           : arrival == DRACO_ARRIVAL_MALFORMED ? DRACO_MALFORMED
                                                : DRACO_UNDECIDED;
}

/* What is known of everybody before anything is decided. */
static void drs_verdicts_of_arrival(const draco_server *s, draco_verdict *verdicts) {
    int i;
    for (i = 0; i < s->n; i++) verdicts[i] = drs_verdict_of(s->arrival[i]);
}

/* pointers[i]: i's item in an array, or NULL when it is not there. */
static const void **drs_point_at(draco_server *s, const void *items, size_t bytes) {
    int i;
    for (i = 0; i < s->n; i++)
        s->pointers[i] =
            s->arrival[i] == DRACO_ARRIVAL_WHOLE ? (const char *)items + (size_t)i * bytes : NULL;
    return s->pointers;
}

static const void **drs_point_at_messages(draco_server *s) {
    int i;
    for (i = 0; i < s->n; i++) s->pointers[i] = s->arrival[i] == DRACO_ARRIVAL_WHOLE ? s->messages[i] : NULL;
    return s->pointers;
}

/* Coordinates that one thread combines at a time. */
#define DRS_RANGE ((size_t)16 * DRACO_BLOCK)

/* sum = what the weights make of the messages. */
static draco_status drs_combine(draco_server *s, const uint8_t *exponents, float *sum) {
    long ranges = (long)((s->count + DRS_RANGE - 1) / DRS_RANGE), b;
    int failed = 0, i;
    for (i = 0; i < s->n; i++) s->pointers[i] = s->holder[i] >= 0 ? s->messages[s->holder[i]] : NULL;
#if defined(_OPENMP)
#pragma omp parallel for schedule(static) reduction(| : failed)
#endif
    for (b = 0; b < ranges; b++) {
        size_t first = (size_t)b * DRS_RANGE, rest = s->count - first;
        size_t count = rest < DRS_RANGE ? rest : DRS_RANGE;
        failed |= draco_combine(&s->c.code, s->weights, s->pointers, s->count, first, count, exponents,
                                sum + first) < 0;
    }
    return failed ? DRACO_E_RANGE : DRACO_OK;
}

static draco_status drs_combine_winners(draco_server *s, float *sum) {
    (void)draco_weights_winners(&s->c.code, s->winners, s->weights);
    return drs_combine(s, NULL, sum);
}

static draco_status drs_locate(draco_server *s) {
    draco_status status = drs_merge_sketches(s);
    int i;
    if (status < 0) return status;
    drs_verdicts_of_arrival(s, s->verdicts);
    status =
        draco_locate(&s->c.code, s->key, s->c.dim,
                     (const draco_sketch *const *)(const void *)drs_point_at(s, s->sketches, s->sketch_bytes),
                     s->locate_work, s->weights, s->verdicts, &s->out.report);
    for (i = 0; i < s->n; i++) /* the transport knows better why a message is not there */
        if (s->arrival[i] == DRACO_ARRIVAL_MALFORMED) s->verdicts[i] = DRACO_MALFORMED;
    return status;
}

/* Whose members a person has to look at: the group without a winner. */
static void drs_explain_group(draco_server *s, draco_status status, const char *what) {
    int g = s->out.report.group, i, j, came = 0, best = 0, room = (int)sizeof s->out.text, used;
    if (g < 0 || g >= s->groups) return;
    for (i = 0; i < s->n; i++) {
        int copies = 0;
        if (draco_code_group(&s->c.code, i) != g || s->arrival[i] != DRACO_ARRIVAL_WHOLE) continue;
        came++;
        for (j = 0; j < s->n; j++)
            copies += draco_code_group(&s->c.code, j) == g && s->arrival[j] == DRACO_ARRIVAL_WHOLE &&
                      memcmp(drs_value(s, i), drs_value(s, j), DRACO_FINGERPRINT_BYTES) == 0;
        if (copies > best) best = copies;
    }
    if (status == DRACO_E_AMBIGUOUS)
        used = snprintf(s->out.text, (size_t)room, "group %d: two values have %d or more equal %s; workers",
                        g, s->c.code.s + 1, what);
    else
        used = snprintf(s->out.text, (size_t)room,
                        "group %d: %d of %d %s came, at most %d agree, %d must; workers", g, came,
                        s->group_size[g], what, best, s->c.code.s + 1);
    for (i = 0; i < s->n && used > 0 && used < room; i++)
        if (draco_code_group(&s->c.code, i) == g)
            used += snprintf(s->out.text + used, (size_t)(room - used), " %d", i);
}

/* ---- Kind: plain. Messages are folded into sketches as they come ---- */

static int drs_always(const draco_server_config *c) {
    (void)c;
    return 1;
}

static int drs_is_repetition(const draco_server_config *c) {
    return c->code.scheme == DRACO_REPETITION;
}

static size_t drs_message_reply(const draco_server *s) {
    return s->message_bytes;
}

static draco_status drs_finish_plain(draco_server *s, uint64_t step, const float *params, float *sum) {
    draco_status status = drs_locate(s);
    (void)step, (void)params;
    if (status < 0) drs_explain_group(s, status, "messages");
    if (status < 0 || status == DRACO_MORE) return status;
    return drs_combine(s, NULL, sum) < 0 ? DRACO_E_RANGE : status;
}

/* ---- Kind: prime. The workers encode with predicted exponents, while those of this round are decided ---- */

static int drs_prime_chosen(const draco_server_config *c) {
    return drs_is_prime(&c->code);
}

static void drs_prime_sizes(draco_server *s) {
    s->exponent_bytes = draco_exponent_bytes(s->count);
    s->small_bytes = drs_most(s->small_bytes, (size_t)s->c.code.r * s->exponent_bytes);
    s->report_bytes = drs_report_bytes(&s->c.code, s->count);
    s->exponent_work_bytes = draco_exponents_work_bytes(&s->c.code, s->count);
}

/* Ask for the parts' exponents, and for the messages with them once there are exponents to predict from. */
static draco_status drs_ask_prime(draco_server *s, uint64_t step, const float *params, int predict) {
    draco_request request = drs_request(s, step, params, (size_t)s->c.code.r * s->exponent_bytes);
    draco_status status;
    int i;
    if (predict) {
        request.extra = s->predicted;
        request.extra_bytes = s->exponent_bytes;
        request.reply_bytes = s->message_bytes + s->report_bytes;
    }
    status = drs_collect(s, predict ? &drs_predicted : &drs_reported, &request, NULL);
    drs_point_at(s, s->small, s->small_bytes);
    for (i = 0; i < s->n && predict; i++)
        if (s->pointers[i]) s->pointers[i] = (const char *)s->messages[i] + s->message_bytes;
    return status;
}

/* The least exponents that fit all parts, decided by vote over each part's holders. The same on all servers:
   does any of them need larger ones than were predicted? */
static draco_status drs_agree_exponents(draco_server *s, int predict) {
    draco_status status;
    size_t b;
    int i;
    drs_verdicts_of_arrival(s, s->early);
    status = draco_exponents_decide(&s->c.code, (const uint8_t *const *)(const void *)s->pointers, s->count,
                                    (draco_work *)s->exponent_work, s->exponents, s->early, &s->out.report);
    for (i = 0; i < s->n; i++) {
        if (s->arrival[i] == DRACO_ARRIVAL_MALFORMED) s->early[i] = DRACO_MALFORMED;
        s->verdicts[i] = s->early[i];
    }
    for (b = 0; b < s->exponent_bytes && status >= 0 && predict; b++)
        s->out.again |= s->exponents[b] > s->predicted[b];
    status = drs_join_verdicts(s, status, s->early);
    if (status < 0 && !s->out.text[0])
        (void)snprintf(s->out.text, sizeof s->out.text, "the exponents of some part have no %d equal reports",
                       s->c.code.s + 1);
    return status;
}

/* The second half: the messages, encoded with what was agreed on. */
static draco_status drs_ask_encoded(draco_server *s, uint64_t step) {
    draco_request request = drs_request(s, step, NULL, s->message_bytes);
    request.extra = s->exponents;
    request.extra_bytes = s->exponent_bytes;
    return drs_collect(s, &drs_encoded, &request, NULL);
}

#define DRS_MARGIN 2 /* bits that gradients may grow by from one round to the next */
#define DRS_NEIGHBOURS (DRACO_BLOCK / DRACO_EXPONENT_BLOCK)

/* What the next round will need: two bits more than this one. What was predicted before falls no faster than by an
   eighth of its excess and a bit in 16 steps, because the largest of few samples goes up and down. A block of
   zeros says nothing of the time when it is not: its neighbours do. */
static void drs_predict(uint8_t *predicted, const uint8_t *exponents, size_t blocks, uint64_t step) {
    size_t b, i, end;
    for (b = 0; b < blocks; b = end) {
        int most = 0;
        end = b + DRS_NEIGHBOURS < blocks ? b + DRS_NEIGHBOURS : blocks;
        for (i = b; i < end; i++) {
            int least = exponents[i] + DRS_MARGIN, now = predicted[i] == 255 ? 0 : predicted[i];
            if (exponents[i] > 0) {
                if (now > least) now -= (now - least) / 8 + (step % 16 == 0);
                now = now > least ? now : least < 254 ? least : 254;
                most = now > most ? now : most;
            }
            predicted[i] = (uint8_t)now;
        }
        for (i = b; i < end && most > 0; i++)
            if (exponents[i] == 0) predicted[i] = (uint8_t)most;
    }
}

static draco_status drs_finish_prime(draco_server *s, uint64_t step, const float *params, float *sum) {
    int predict = !memchr(s->predicted, 255, s->exponent_bytes), i;
    draco_status status = drs_ask_prime(s, step, params, predict), combined;
    const uint8_t *used;
    if (status >= 0) status = drs_agree_exponents(s, predict);
    if (status < 0) return status;
    used = predict && !s->out.again ? s->predicted : s->exponents;
    if (used == s->exponents) status = drs_ask_encoded(s, step);
    if (status < 0) return status;
    status = drs_locate(s);
    /* A lie about an exponent is a lie in this round, however good the message. */
    for (i = 0; i < s->n; i++)
        if (s->early[i] == DRACO_BLAMED || (s->early[i] == DRACO_MALFORMED && s->verdicts[i] == DRACO_AGREES))
            s->verdicts[i] = s->early[i];
    if (status < 0 || status == DRACO_MORE) return status;
    combined = drs_combine(s, used, sum);
    if (combined >= 0) s->out.report.error = draco_rounding_error(&s->c.code, used, sum, 0, s->count);
    drs_predict(s->predicted, s->exponents, s->exponent_bytes, step);
    return combined < 0 ? combined : status;
}

/* ---- Kinds: challenge, reactive. One member of each part's team sends its message; when it is whole, a key that
   nobody knew goes to the others, who answer with the fingerprint of their own. An honest member agrees with a false
   message with the probability of a collision only, because the message was fixed before the key was drawn: s + 1 in
   agreement prove it. Whoever agreed with a message that lost, or disagrees with the one that won, is a liar. The
   team is a group of the code, or, with a reactive code, what draco_dispute_ask makes it. ---- */

#define DRS_CHECKS 0x636865636b730000u /* keeps the draws of checks apart from those of samples */

enum { DRS_PASSED = 1, DRS_PATIENT = 2 }; /* a part: a member was passed over; no more of them are */

static int drs_challenge_chosen(const draco_server_config *c) {
    return c->challenge;
}

static int drs_reactive_chosen(const draco_server_config *c) {
    return c->code.reactive;
}

static int drs_spot_checks(const draco_server_config *c) {
    return c->check_every > 0 || c->check_probability > 0;
}

/* The same in every process, and when a run goes on. */
static int drs_is_checked(const draco_server_config *c, uint64_t step) {
    if (c->check_every > 0) return step % (uint64_t)c->check_every == 0;
    if (c->check_probability > 0)
        return (double)draco_sample(c->check_seed ^ DRS_CHECKS, step, 0, 1u << 30) <
               c->check_probability * (double)(1u << 30);
    return 1;
}

static draco_status drs_challenge_check(const draco_server_config *c) {
    if (c->code.scheme != DRACO_REPETITION) return DRACO_E_ARGUMENT;
    return DRS_NEED(c->transport, fetch);
}

/* Fewer than 2 liars + 1 + t workers that are neither out nor lost cannot decide every part. */
static draco_status drs_left_workers(draco_server *s) {
    const draco_transport *t = s->c.transport;
    int least, lost, left, k, used;
    const size_t room = sizeof s->out.text;
    draco_status status = drs_agree(s, DRACO_OK, DRS_HAS(t, lost) ? t->lost(t->ctx) : 0, &least, &lost);
    if (status < 0) return status; /* all servers plan alike */
    left = s->n - s->evicted - lost;
    s->liars = draco_dispute_liars(&s->c.code, s->standing);
    if (s->liars >= 0 && left >= 2 * s->liars + 1 + s->c.code.t) return DRACO_OK;
    k = left - 1 - s->c.code.t < 0 ? -1 : (left - 1 - s->c.code.t) / 2;
    if (s->c.shrink && k >= 0) {
        s->liars = s->liars < 0 ? 0 : s->liars < k ? s->liars : k;
        return DRACO_OK;
    }
    used = snprintf(s->out.text, room, "%d of %d workers are left, too few: %d lost, %d proved liars", left,
                    s->n, lost, s->evicted);
    for (k = 0; k < s->n && used > 0 && (size_t)used < room; k++)
        if (s->standing[k] == DRACO_STANDING_OUT)
            used += snprintf(s->out.text + used, room - (size_t)used, " %d", k);
    return DRACO_E_TOO_MANY_MISSING;
}

/* More members for part g; how many. */
static int drs_widen(draco_server *s, int g, uint64_t step, int count) {
    int asked = 0;
    while (s->c.code.reactive && asked < count &&
           draco_dispute_ask(&s->disputes[g], &s->c.code, draco_code_id(&s->c.code), step, s->standing,
                             s->load) >= 0)
        asked++;
    s->out.gradients += asked;
    return asked;
}

/* The members that every part begins with. With spot checks that is one, whether the round is checked or not: nobody
   learns it before the message is sent. Who was silent when it was last asked gets no part of which there is no other
   copy while others can compute it. */
static void drs_first_members(draco_server *s, uint64_t step) {
    const int spot = drs_spot_checks(&s->c);
    int g, i;
    for (i = 0; i < s->n; i++) s->load[i] = spot && s->standing[i] == DRACO_STANDING_LATE ? s->n : 0;
    if (s->c.code.reactive) s->out.gradients = 0;
    for (g = 0; g < s->groups; g++) {
        draco_dispute *d = &s->disputes[g];
        (void)draco_dispute_open(d, &s->c.code, g, s->liars, s->members + g * s->most);
        if (!s->c.code.reactive) d->most = s->most;
        for (i = g; i < s->n && !s->c.code.reactive; i += s->groups)
            if (s->standing[i] != DRACO_STANDING_OUT) (void)draco_dispute_add(d, i);
        (void)drs_widen(s, g, step, spot ? 1 : d->least);
        if (!s->checked) d->s = 0;
        s->speakers[g] = s->winners[g] = -1;
        s->agreed[g] = s->passed[g] = 0;
        for (i = 0; i < d->count; i++) s->task[d->members[i].worker] = g;
    }
    for (i = 0; i < s->n; i++) s->load[i] -= spot && s->standing[i] == DRACO_STANDING_LATE ? s->n : 0;
}

/* A request, with the plan behind what is in `extra` already. */
static draco_status drs_ask_tasks(draco_server *s, const drs_intake *intake, draco_request *request,
                                  const unsigned char *whom) {
    unsigned char *at = s->plan + sizeof s->seed;
    int i;
    if (s->c.code.reactive) {
        for (i = -1; i < s->n; i++, at += 2) {
            drs_put16(at, i < 0 ? s->groups : s->task[i] < 0 ? 0xffff : s->task[i]);
        }
        if (!request->extra) request->extra = s->plan + sizeof s->seed;
        request->extra_bytes += DRS_PLAN_BYTES(s->n);
    }
    return drs_collect(s, intake, request, whom);
}

static draco_status drs_ask_ready(draco_server *s, uint64_t step, const float *params) {
    draco_request request = drs_request(s, step, params, 1);
    draco_status status;
    double begin, took;
    int i, g;
    s->ready = 0;
    memset(s->rank, 0, (size_t)s->n * sizeof *s->rank);
    memset(s->stalled, 0, (size_t)s->n);
    begin = drs_now();
    s->enough_at = 0;
    if (drs_spot_checks(&s->c) && s->computed > 0) s->patience = 0.2 + 8 * s->computed;
    status = drs_ask_tasks(s, &drs_readies, &request, NULL);
    took = (s->enough_at > 0 ? s->enough_at : drs_now()) - begin;
    s->computed = took > s->computed ? took : 0.75 * s->computed + 0.25 * took;
    /* Who was ready on the first server has the parameters of all, whether they waited for its reply or not; who was
       so first is everybody's speaker. */
    if (status >= 0 && s->servers > 1) {
        status = drs_exchange_records(s, s->rank, sizeof *s->rank, sizeof *s->rank);
        for (i = 0; i < s->n && status >= 0; i++)
            memcpy(&s->rank[i], drs_record(s, 0, i, sizeof *s->rank) + 8, sizeof *s->rank);
    }
    for (i = 0; i < s->n; i++) {
        /* Who failed in an earlier round comes behind who did not, who is ready before who is not; who failed in this one is last. */
        s->turn[i] = (s->failed[i] ? 1u << 31 : 0) | (s->rank[i] ? s->rank[i] : 1u << 30);
        if (s->task[i] >= 0 && !s->rank[i] &&
            (s->c.wait == DRACO_WAIT_ALL || drs_spot_checks(&s->c) ||
             s->arrival[i] == DRACO_ARRIVAL_MALFORMED))
            s->stalled[i] = (unsigned char)s->arrival[i];
        if (s->stalled[i]) s->turn[i] = 3u << 30;
    }
    for (g = 0; g < s->groups && drs_spot_checks(&s->c);
         g++) { /* the only member failed: another one speaks */
        draco_member *m = s->disputes[g].members;
        if (s->disputes[g].count == 0 || s->rank[m->worker]) continue;
        m->spoke = 1;
        s->passed[g] = DRS_PASSED;
    }
    return status;
}

static void drs_no_tasks(draco_server *s) {
    int i;
    memset(s->whom, 0, (size_t)s->n);
    for (i = 0; i < s->n; i++) s->task[i] = -1;
}

static void drs_give_task(draco_server *s, int worker, int g) {
    s->whom[worker] = 1;
    s->task[worker] = g;
}

/* The next speaker of each part that is not decided; one who speaks for another part is waited for. When all have
   spoken, more members are asked, and then, with all the time there is, all of them again if some were passed over.
   *brief: no part has got that far. Returns how many parts are open; -1: one has nobody left to ask. */
static int drs_choose_speakers(draco_server *s, uint64_t step, int *brief) {
    int g, k, open = 0;
    *brief = 1;
    drs_no_tasks(s);
    for (g = 0; g < s->groups; g++) {
        draco_dispute *d = &s->disputes[g];
        int worker = -1;
        s->speakers[g] = -1;
        s->agreed[g] = 1; /* the speaker itself */
        if (s->winners[g] >= 0) continue;
        open++;
        while ((worker = draco_dispute_speaker(d, s->turn)) < 0) {
            if (drs_widen(s, g, step, d->s + 1) > 0) continue;
            if (s->passed[g] != DRS_PASSED) {
                s->out.report.group = g;
                return -1;
            }
            s->passed[g] = DRS_PATIENT;
            for (k = 0; k < d->count; k++) d->members[k].spoke = 0;
        }
        if (s->whom[worker]) {
            d->members[d->speaker].spoke = 0;
            continue;
        }
        if (s->passed[g] == DRS_PATIENT) *brief = 0;
        s->speakers[g] = worker;
        drs_give_task(s, worker, g);
    }
    return open;
}

/* Who was asked and has failed to reply; time may have been short. */
static void drs_note_silent(draco_server *s, int brief) {
    int i;
    for (i = 0; i < s->n; i++) {
        if (!s->whom[i] || s->arrival[i] == DRACO_ARRIVAL_WHOLE) continue;
        s->stalled[i] = (unsigned char)s->arrival[i];
        if (brief && s->arrival[i] == DRACO_ARRIVAL_ABSENT) s->passed[s->task[i]] |= DRS_PASSED;
    }
}

static int drs_was_first(const draco_server *s, int g) {
    return s->disputes[g].members[0].worker == s->speakers[g];
}

/* A speaker may take eight times as long as the slowest of late: one that stalls costs that and no more. */
static draco_status drs_fetch_bodies(draco_server *s, uint64_t step, int brief) {
    draco_request request = drs_request(s, step, NULL, s->message_bytes);
    draco_status status = drs_new_keys(s);
    double begin = drs_now();
    int g, came = 0, late = 0; /* late: a speaker has to compute the part first */
    if (status < 0) return status;
    for (g = 0; g < s->groups; g++)
        if (s->speakers[g] >= 0 && drs_spot_checks(&s->c) && !drs_was_first(s, g)) late = 1;
    if (brief) s->patience = 0.2 + 8 * s->pace + (late ? 8 * s->computed : 0);
    status = drs_ask_tasks(s, &drs_bodies, &request, s->whom);
    if (status >= 0 && s->servers > 1) status = drs_exchange_records(s, s->rank, sizeof *s->rank, 0);
    drs_note_silent(s, brief);
    for (g = 0; g < s->groups && status >= 0; g++) {
        int speaker = s->speakers[g];
        if (speaker < 0) continue;
        if (s->arrival[speaker] == DRACO_ARRIVAL_WHOLE) {
            s->bodies[g] = s->messages[speaker]; /* the speaker may be asked about other parts */
            s->messages[speaker] = NULL;
            s->stalled[speaker] = 0;
            came++;
            continue;
        }
        s->failed[speaker] = 1;
        s->speakers[g] = -1;
        drs_free_message(s, speaker);
    }
    begin = drs_now() - begin;
    if (came) s->pace = begin > s->pace ? begin : 0.75 * s->pace + 0.25 * begin;
    return status;
}

/* Several servers do not stop one by one when s + 1 agree: at first they ask only those who were ready. */
static int drs_is_hasty(const draco_server *s) {
    return s->servers > 1 && s->c.wait == DRACO_WAIT_ENOUGH;
}

/* The members of part g that have not been asked about its message and are free; hasty: only who was ready or has been
   asked since. 1: some are not free. */
static int drs_give_answers(draco_server *s, int g, int hasty) {
    draco_dispute *d = &s->disputes[g];
    int k, busy = 0;
    for (k = 0; k < d->count && s->speakers[g] >= 0; k++) {
        draco_member *m = d->members + k;
        if (m->asked || k == d->speaker || (hasty && !s->rank[m->worker])) continue;
        if (s->whom[m->worker]) {
            busy = 1;
            continue;
        }
        m->asked = 1;
        /* Under DRACO_WAIT_ALL a worker that missed the deadline is not waited for again. */
        if (s->c.wait == DRACO_WAIT_ALL && !s->rank[m->worker]) continue;
        drs_give_task(s, m->worker, g);
    }
    return busy;
}

/* The key of the messages that came, to the other members; those who are asked about two parts, one after the other. */
static draco_status drs_challenge_others(draco_server *s, uint64_t step, int brief, double computing,
                                         int hasty) {
    draco_status status = DRACO_OK;
    double begin, took;
    int busy = 1, i, k, g;
    while (busy && status >= 0) {
        draco_request request = drs_request(s, step, NULL, DRACO_FINGERPRINT_BYTES);
        memcpy(s->plan, s->seed.bytes, sizeof s->seed);
        request.extra = s->plan;
        request.extra_bytes = sizeof s->seed;
        memset(s->agrees, 0, (size_t)s->n);
        drs_no_tasks(s);
        for (g = busy = 0; g < s->groups; g++) busy |= drs_give_answers(s, g, hasty);
        if (!memchr(s->whom, 1, (size_t)s->n)) continue;
        if (brief && (s->c.code.reactive || drs_is_hasty(s)))
            s->patience = 0.2 + 8 * s->slowest + 4 * computing;
        s->enough_at = 0;
        begin = drs_now();
        status = drs_ask_tasks(s, &drs_answers, &request, s->whom);
        took = s->enough_at - begin;
        if (took > 0 && computing <= 0)
            s->slowest = took > s->slowest ? took : 0.75 * s->slowest + 0.25 * took;
        if (status >= 0 && s->servers > 1) {
            status = drs_exchange_records(s, s->agrees, 1, 1);
            for (i = 0; i < s->n && status >= 0; i++) {
                int all = s->whom[i] && s->arrival[i] == DRACO_ARRIVAL_WHOLE;
                for (k = 0; k < s->servers; k++) all &= drs_record(s, k, i, 1)[8];
                if (all) s->agreed[s->task[i]]++;
            }
        }
        drs_note_silent(s, brief);
    }
    memset(s->plan, 0, sizeof s->seed);
    return status;
}

/* The message of part g won or lost. Equal ones that lost before have the number of the first of them. */
static void drs_judge_part(draco_server *s, int g) {
    draco_dispute *d = &s->disputes[g];
    void **lost = s->lost + 2 * g * s->most, *body = s->bodies[g];
    int number = 0, won = s->agreed[g] > d->s;
    while (lost[number] && memcmp(lost[number], body, s->message_bytes) != 0) number++;
    if (won) {
        if (s->checked) draco_dispute_verdicts(d, lost[number] ? number : -1, s->verdicts);
        s->winners[g] = s->speakers[g];
        return;
    }
    draco_dispute_lose(d, number);
    if (lost[number]) {
        drs_free_to_pool(s, &s->bodies[g]);
    } else {
        lost[number] = body;
        s->bodies[g] = NULL;
    }
}

static draco_status drs_hold_challenge(draco_server *s, uint64_t step) {
    draco_status status = DRACO_OK;
    int brief, open, wider, g;
    while (status >= 0) {
        open = drs_choose_speakers(s, step, &brief);
        if (open <= 0) return open < 0 ? DRACO_E_NO_MAJORITY : DRACO_OK;
        status = drs_fetch_bodies(s, step, brief);
        for (g = wider = 0; g < s->groups && s->checked; g++) /* the messages cannot change any more */
            if (s->speakers[g] >= 0)
                wider += drs_widen(s, g, step, s->disputes[g].least - s->disputes[g].count);
        if (status >= 0 && s->checked)
            status = drs_challenge_others(s, step, brief, wider ? s->computed : 0, drs_is_hasty(s));
        for (g = wider = 0; g < s->groups && s->checked && status >= 0; g++)
            if (s->speakers[g] >= 0 && s->agreed[g] <= s->disputes[g].s)
                wider += drs_widen(s, g, step, s->disputes[g].most) + drs_is_hasty(s);
        if (wider > 0 && status >= 0) status = drs_challenge_others(s, step, brief, s->computing, 0);
        for (g = 0; g < s->groups && status >= 0; g++)
            if (s->speakers[g] >= 0) drs_judge_part(s, g);
    }
    return status;
}

/* More liars than there may be, in a group or, of a reactive code, in all: then nothing tells which side of it lies. */
static draco_status drs_too_many_blamed(draco_server *s) {
    int g, i, groups = s->c.code.reactive ? 1 : s->groups;
    for (g = 0; g < groups; g++) {
        int blamed = 0;
        for (i = g; i < s->n; i += groups) blamed += s->verdicts[i] == DRACO_BLAMED;
        if (blamed <= s->liars) continue;
        s->out.report.group = g;
        (void)snprintf(s->out.text, sizeof s->out.text,
                       "group %d: %d members contradict the message that %d agree with", g, blamed,
                       s->liars + 1);
        for (i = g; i < s->n; i += groups) /* no proof of anybody */
            if (s->verdicts[i] == DRACO_BLAMED) s->verdicts[i] = DRACO_UNDECIDED;
        return DRACO_E_AMBIGUOUS;
    }
    return DRACO_OK;
}

static draco_status drs_finish_challenge(draco_server *s, uint64_t step, const float *params, float *sum) {
    draco_status status = DRACO_OK;
    int i, g;
    s->liars = s->c.code.s;
    s->checked = s->out.checked = drs_is_checked(&s->c, step) || s->unsound == step + 1;
    if (s->c.code.reactive) status = drs_left_workers(s);
    if (status < 0) return status;
    drs_no_tasks(s);
    drs_first_members(s, step);
    status = drs_ask_ready(s, step, params);
    if (status < 0) return status;
    s->computing = s->waited;
    if (s->pace <= 0)
        s->pace = s->slowest = s->waited; /* nothing else is known of how fast the workers are */
    status = drs_hold_challenge(s, step);
    for (i = 0; i < s->n; i++) {
        if (s->stalled[i] && s->verdicts[i] != DRACO_BLAMED && s->standing[i] != DRACO_STANDING_OUT)
            s->verdicts[i] = drs_verdict_of((draco_arrival)s->stalled[i]);
    }
    status = drs_join_verdicts(s, status, s->verdicts);
    for (g = 0; g < s->groups; g++)
        for (i = 0; i < s->disputes[g].count; i++) {
            const draco_member *m = s->disputes[g].members + i;
            if (m->spoke && s->verdicts[m->worker] == DRACO_BLAMED) s->failed[m->worker] = 1;
        }
    if (status >= 0) status = drs_too_many_blamed(s);
    for (i = 0; i < s->n; i++) {
        if (s->verdicts[i] != DRACO_UNDECIDED)
            s->missed[i] = s->verdicts[i] == DRACO_ABSENT || s->verdicts[i] == DRACO_MALFORMED;
        s->arrival[i] = s->verdicts[i] == DRACO_ABSENT || s->standing[i] == DRACO_STANDING_OUT
                            ? DRACO_ARRIVAL_ABSENT
                        : s->verdicts[i] == DRACO_MALFORMED ? DRACO_ARRIVAL_MALFORMED
                                                            : DRACO_ARRIVAL_WHOLE;
    }
    if (status == DRACO_E_NO_MAJORITY && !s->out.text[0])
        (void)snprintf(s->out.text, sizeof s->out.text,
                       "group %d: no member sent a message that %d agree with", s->out.report.group,
                       s->liars + 1);
    if (status < 0) return status;
    for (g = 0; g < s->groups; g++) { /* worker g is of group g: its place holds the message of its part */
        s->messages[g] = s->bodies[g];
        s->bodies[g] = NULL;
        s->winners[g] = s->holder[g] = g;
    }
    return drs_combine_winners(s, sum);
}

/* The messages that were kept, from little-endian floats into the machine's, or back. */
static void drs_turn_messages(draco_server *s) {
    int i;
    for (i = 0; i < s->n; i++)
        if (s->arrival[i] == DRACO_ARRIVAL_WHOLE) draco_little_endian(s->messages[i], s->count);
}

/* ---- Kind: tolerant. Messages are compared with each other, equal to within the tolerance ---- */

static int drs_tolerant_chosen(const draco_server_config *c) {
    return c->abs_tol > 0 || c->rel_tol > 0;
}

/* Whole messages on one server, and nothing that another kind does. */
static draco_status drs_tolerant_check(const draco_server_config *c) {
    if (c->transport->servers > 1) return DRACO_E_CONFIG;
    return c->code.scheme != DRACO_REPETITION || c->challenge || c->code.reactive ? DRACO_E_ARGUMENT
                                                                                  : DRACO_OK;
}

static draco_status drs_tolerant_group(draco_server *s, int g) {
    size_t winner = 0;
    draco_status status;
    int i;
    for (i = 0; i < s->n; i++)
        if (draco_code_group(&s->c.code, i) == g)
            s->pointers[s->seat[i]] = s->arrival[i] == DRACO_ARRIVAL_WHOLE ? s->messages[i] : NULL;
    status =
        draco_vote_tolerant((const float *const *)(const void *)s->pointers, (size_t)s->group_size[g],
                            s->count, s->c.abs_tol, s->c.rel_tol, (size_t)s->c.code.s + 1, &winner, s->early);
    if (status != DRACO_OK) return status < 0 ? status : DRACO_E_NO_MAJORITY;
    for (i = 0; i < s->n; i++) {
        if (draco_code_group(&s->c.code, i) != g) continue;
        if (s->arrival[i] == DRACO_ARRIVAL_WHOLE) s->verdicts[i] = s->early[s->seat[i]];
        if ((size_t)s->seat[i] == winner) s->winners[g] = i;
    }
    return DRACO_OK;
}

static draco_status drs_finish_tolerant(draco_server *s, uint64_t step, const float *params, float *sum) {
    int g;
    (void)step, (void)params;
    drs_verdicts_of_arrival(s, s->verdicts);
    drs_turn_messages(s);
    for (g = 0; g < s->groups; g++) {
        draco_status status = drs_tolerant_group(s, g);
        if (status >= 0) continue;
        s->out.report.group = g;
        (void)snprintf(s->out.text, sizeof s->out.text, "group %d: no message has %d in agreement with it", g,
                       s->c.code.s + 1);
        return status;
    }
    drs_turn_messages(s);
    return drs_combine_winners(s, sum);
}

/* ---- Kind: rule. Messages are plain gradients, handed to an aggregation rule ---- */

static int drs_rule_chosen(const draco_server_config *c) {
    return c->rule != NULL;
}

static draco_status drs_rule_check(const draco_server_config *c) {
    draco_status status = drs_tolerant_check(c);
    if (status >= 0) status = DRS_NEED(c->rule, aggregate);
    return status >= 0 && drs_tolerant_chosen(c) ? DRACO_E_ARGUMENT : status;
}

static draco_status drs_finish_rule(draco_server *s, uint64_t step, const float *params, float *sum) {
    draco_inputs in;
    drs_verdicts_of_arrival(s, s->verdicts);
    drs_turn_messages(s);
    memset(&in, 0, sizeof in);
    in.n = s->n;
    in.d = s->count;
    in.rows = (const float *const *)(const void *)drs_point_at_messages(s);
    in.code = &s->c.code;
    in.step = step;
    in.params = params;
    in.f = s->c.rule_f;
    return s->c.rule->aggregate(s->c.rule->ctx, &in, sum, s->verdicts, &s->out.report);
}

/* ---- The kinds of round: a server's is the first that its configuration chooses ---- */

static const drs_kind drs_kinds[] = {
    {"rule", drs_rule_chosen, drs_rule_check, NULL, 0, &drs_all_messages, drs_message_reply, drs_finish_rule},
    {"tolerant", drs_tolerant_chosen, drs_tolerant_check, NULL, 0, &drs_compared, drs_message_reply,
     drs_finish_tolerant},
    {"reactive", drs_reactive_chosen, drs_challenge_check, NULL, 0, NULL, NULL, drs_finish_challenge},
    {"challenge", drs_challenge_chosen, drs_challenge_check, NULL, 0, NULL, NULL, drs_finish_challenge},
    {"prime", drs_prime_chosen, NULL, drs_prime_sizes, 1, NULL, NULL, drs_finish_prime},
    {"repetition", drs_is_repetition, NULL, NULL, 1, &drs_fingerprints, drs_message_reply, drs_finish_plain},
    {"cyclic", drs_always, NULL, NULL, 1, &drs_sketched, drs_message_reply, drs_finish_plain},
};

static const drs_kind *drs_kind_of(const draco_server_config *c) {
    const drs_kind *kind = drs_kinds;
    while (!kind->chosen(c)) kind++;
    return kind;
}

/* ---- Server: rounds ---- */

static int drs_is_out(const draco_server *s, int worker) {
    return s->c.evict_after > 0 && s->learnt[2 + worker] >= s->c.evict_after;
}

/* As many parts as the memory says, which may be that of a checkpoint. */
static draco_status drs_adopt_parts(draco_server *s) {
    int parts = s->learnt ? drs_get16(s->learnt) : s->groups;
    if (!s->c.code.reactive || parts == s->groups) return DRACO_OK;
    parts = parts ? draco_server_replan(s, parts) : DRACO_E_CONFIG;
    return parts < 0 ? (draco_status)parts : DRACO_OK;
}

static void drs_begin_round(draco_server *s) {
    int i, g;
    for (i = 0; i < s->n; i++) {
        drs_free_message(s, i);
        s->holder[i] = -1;
        s->arrival[i] = DRACO_ARRIVAL_WAITING;
        s->verdicts[i] = DRACO_UNDECIDED;
        s->busy[i] = 0;
    }
    drs_free_bodies(s);
    for (g = 0; g < s->groups && !s->disputes; g++)
        (void)draco_tally_open(&s->tallies[g], (size_t)s->group_size[g], DRACO_FINGERPRINT_BYTES,
                               (size_t)s->c.code.s + 1, s->tally_memory + (size_t)g * s->tally_bytes);
    memset(&s->out, 0, sizeof s->out);
    s->out.report.group = -1;
    s->out.verdicts = s->verdicts;
    s->out.parts = s->c.code.parts;
    s->out.checked = 1;
    for (i = s->evicted = 0; i < s->n; i++) {
        int out = drs_is_out(s, i);
        if (s->learnt) s->failed[i] = s->learnt[2 + s->n + i] & 1;
        if (s->learnt) s->missed[i] = s->learnt[2 + s->n + i] >> 1 & 1;
        s->standing[i] = (unsigned char)(out            ? DRACO_STANDING_OUT
                                         : s->missed[i] ? DRACO_STANDING_LATE
                                                        : DRACO_STANDING_GOOD);
        s->evicted += out;
        s->out.gradients += out ? 0 : draco_code_load(&s->c.code, i);
    }
    s->out.evicted = s->evicted;
    s->waited = 0;
}

static draco_status drs_end_round(draco_server *s, draco_status status, double seconds) {
    draco_report *report = &s->out.report;
    int i, most;
    memset(&s->seed, 0, sizeof s->seed);
    s->out.seconds = seconds;
    s->out.server_seconds = seconds - s->waited;
    report->present = 0;
    for (i = 0; i < s->n; i++) {
        s->out.server_seconds += s->busy[i];
        report->present += s->arrival[i] == DRACO_ARRIVAL_WHOLE;
    }
    draco_report_count(s->verdicts, s->n, report);
    status = drs_agree(s, status, report->present, &report->present, &most);
    for (i = 0; i < s->n && s->learnt; i++) {
        uint8_t *proofs = s->learnt + 2 + i;
        if (status >= 0 && s->verdicts[i] == DRACO_BLAMED && *proofs < 255) ++*proofs;
        proofs[s->n] = (uint8_t)(s->failed[i] + 2 * s->missed[i]);
    }
    s->out.status = status;
    if (status < 0 && !s->out.text[0])
        (void)snprintf(s->out.text, sizeof s->out.text, "%s (%d present, %d absent, %d malformed)",
                       draco_status_text(status), report->present, report->absent, report->malformed);
    return status;
}

DRACO_API draco_status draco_server_round(draco_server *s, uint64_t step, const float *params, float *sum,
                                          draco_round *round) {
    double begin = drs_now();
    draco_request request;
    draco_status status;
    if (!s || !params || !sum) return DRACO_E_NULL;
    status = drs_adopt_parts(s);
    (void)draco_code_at(&s->c.code, step);
    drs_begin_round(s);
    params += s->first;
    if (status >= 0 && s->kind->keyed) status = drs_new_keys(s);
    if (status >= 0 && s->kind->intake) {
        request = drs_request(s, step, params, s->kind->reply_bytes(s));
        status = drs_collect(s, s->kind->intake, &request, NULL);
    }
    if (status >= 0) status = s->kind->finish(s, step, params, sum + s->first);
    status = drs_end_round(s, status, drs_now() - begin);
    if (status < 0 && !s->out.checked) s->unsound = step + 1;
    if (round) *round = s->out;
    return status;
}

static draco_status drs_ask_probe(draco_server *s, uint64_t step, const float *params) {
    draco_request request = drs_request(s, step, params + s->first, DRACO_FINGERPRINT_BYTES);
    request.extra = s->seed.bytes;
    request.extra_bytes = sizeof s->seed.bytes;
    return drs_collect(s, &drs_probes, &request, NULL);
}

/* Ask again under the same keys: who answers otherwise than the first time does not know its own gradient. */
static draco_status drs_ask_probe_again(draco_server *s, uint64_t step, const float *params, int *classes) {
    const size_t bytes = DRACO_FINGERPRINT_BYTES;
    unsigned char *first = (unsigned char *)drs_alloc(&s->c.allocator, (size_t)s->n * bytes);
    draco_status status;
    int i;
    if (!first) return DRACO_E_MEMORY;
    for (i = 0; i < s->n; i++) memcpy(first + (size_t)i * bytes, drs_small(s, i), bytes);
    drs_begin_round(s);
    status = drs_ask_probe(s, step, params);
    for (i = 0; i < s->n && status >= 0; i++)
        if (classes[i] >= 0 && s->arrival[i] == DRACO_ARRIVAL_WHOLE &&
            memcmp(first + (size_t)i * bytes, drs_small(s, i), bytes) != 0)
            classes[i] = -2;
    drs_release(&s->c.allocator, first);
    return status;
}

DRACO_API draco_status draco_server_probe(draco_server *s, uint64_t step, const float *params, int *classes,
                                          int *count) {
    draco_status status;
    int i, j, used = 0;
    if (!s || !params || !classes || !count) return DRACO_E_NULL;
    drs_begin_round(s);
    status = drs_new_keys(s);
    if (status >= 0) status = drs_ask_probe(s, step, params);
    if (status < 0) return status;
    for (i = 0; i < s->n; i++) {
        classes[i] = -1;
        if (s->arrival[i] != DRACO_ARRIVAL_WHOLE) continue;
        for (j = 0; j < i && classes[i] < 0; j++)
            if (classes[j] >= 0 && memcmp(drs_small(s, i), drs_small(s, j), DRACO_FINGERPRINT_BYTES) == 0)
                classes[i] = classes[j];
        if (classes[i] < 0) classes[i] = used++;
    }
    *count = used;
    /* Several servers may see different replies, and would not all ask again. */
    return used > 1 && s->servers == 1 ? drs_ask_probe_again(s, step, params, classes) : DRACO_OK;
}

static draco_status drs_check_server(const draco_server_config *c) {
    const draco_transport *t = c->transport;
    draco_status status;
    if (!t) return DRACO_E_NULL;
    if (!drs_allocator_ok(&c->allocator)) return DRACO_E_ARGUMENT;
    status = DRS_NEED(t, broadcast);
    if (status >= 0) status = DRS_NEED(t, collect);
    if (status >= 0 && t->servers > 1) status = DRS_NEED(t, exchange);
    if (status < 0) return status;
    if (t->workers != c->code.n) return DRACO_E_CONFIG;
    if (c->dim == 0) return DRACO_E_DIM;
    if (!c->layers && c->layer_count > 0) return DRACO_E_NULL;
    if (!(c->abs_tol >= 0) || !(c->rel_tol >= 0)) return DRACO_E_ARGUMENT;
    if (c->evict_after < 0 || c->evict_after > 255) return DRACO_E_ARGUMENT;
    if (c->check_every < 0 || !(c->check_probability >= 0 && c->check_probability <= 1))
        return DRACO_E_ARGUMENT;
    if (drs_spot_checks(c) &&
        (!c->code.reactive || c->code.s < 1 || (c->check_every && c->check_probability > 0)))
        return DRACO_E_ARGUMENT;
    if (c->evict_after > 0 && (c->rule || drs_tolerant_chosen(c))) return DRACO_E_ARGUMENT;
    return drs_kind_of(c)->check ? drs_kind_of(c)->check(c) : DRACO_OK;
}

DRACO_API draco_status draco_server_open(draco_server **server, const draco_server_config *config) {
    draco_status status;
    draco_server *s;
    if (!server || !config) return DRACO_E_NULL;
    status = drs_check_server(config);
    if (status < 0) return status;
    s = (draco_server *)drs_zalloc(&config->allocator, 1, sizeof *s);
    if (!s) return DRACO_E_MEMORY;
    s->c = *config;
    status = draco_code_init(&s->c.code);
    if (status >= 0) {
        s->kind = drs_kind_of(config);
        s->n = s->c.code.n;
        s->groups = s->c.code.groups;
        s->servers = config->transport->servers > 1 ? config->transport->servers : 1;
        draco_shard(config->dim, s->servers, config->transport->server, &s->first, &s->count);
        s->message_bytes = draco_message_bytes(&s->c.code, s->count);
        if (s->count == 0) status = DRACO_E_CONFIG; /* more servers than blocks */
        if (draco_message_bytes(&s->c.code, config->dim) == 0) status = DRACO_E_DIM;
        if (status >= 0 && !drs_server_memory(s)) status = DRACO_E_MEMORY;
    }
    if (status < 0) {
        draco_server_close(s);
        return status;
    }
    *server = s;
    return DRACO_OK;
}

DRACO_API void draco_server_close(draco_server *s) {
    draco_allocator a;
    int i;
    if (!s) return;
    a = s->c.allocator;
    for (i = 0; s->block && i < s->n; i++) drs_free_message(s, i);
    drs_free_bodies(s);
    for (i = 0; i < s->pooled; i++) drs_release(&a, s->pool[i]);
    drs_release(&a, s->block);
    drs_release(&a, s->part_block);
    drs_release(&a, s);
}

DRACO_API size_t draco_server_memory(draco_server *s, uint8_t **memory) {
    if (memory) *memory = s ? s->predicted : NULL;
    return s ? s->exponent_bytes + s->learnt_bytes : 0;
}

DRACO_API uint8_t *draco_server_proofs(draco_server *s) {
    return s && s->learnt ? s->learnt + 2 : NULL;
}

DRACO_API void draco_server_deadline(draco_server *s, double seconds) {
    if (s) s->deadline = seconds;
}

DRACO_API int draco_server_replan(draco_server *s, int parts) {
    int i, out = 0, liars;
    if (!s) return DRACO_E_NULL;
    if (!s->c.code.reactive) return DRACO_E_ARGUMENT;
    for (i = 0; i < s->n; i++) out += drs_is_out(s, i);
    liars = s->c.code.s > out ? s->c.code.s - out : 0;
    if (parts == 0) parts = (s->n - out) / (drs_spot_checks(&s->c) ? 1 : liars + 1 + s->c.code.t);
    if (parts < 1 || parts > s->n) return DRACO_E_LIMITS;
    drs_free_bodies(s);
    if (!drs_parts_memory(s, parts)) return DRACO_E_MEMORY;
    drs_put16(s->learnt, s->groups);
    return parts;
}

/* ---- Training ---- */

/* Join the servers' slices of the range [from, to) of a vector that all hold in full length. */
static draco_status drs_gather(draco_server *s, float *vector, size_t from, size_t to) {
    const float *all = (const float *)(const void *)s->all;
    float *mine = (float *)(void *)s->mine;
    size_t first, longest;
    draco_status status = DRACO_OK;
    int k;
    if (s->servers == 1 || from >= to) return DRACO_OK;
    draco_shard(s->c.dim, s->servers, 0, &first, &longest); /* no shard is longer than the first */
    if (longest > to - from) longest = to - from;
    memset(mine, 0, longest * sizeof(float));
    for (k = -1; k < s->servers && status >= 0; k++) {
        size_t count, begin, end;
        draco_shard(s->c.dim, s->servers, k < 0 ? s->c.transport->server : k, &first, &count);
        begin = first > from ? first : from;
        end = first + count < to ? first + count : to;
        if (k < 0) {
            if (begin < end) memcpy(mine, vector + begin, (end - begin) * sizeof(float));
            status = drs_exchange(s, mine, longest * sizeof(float));
        } else if (begin < end) {
            memcpy(vector + begin, all + longest * (size_t)k, (end - begin) * sizeof(float));
        }
    }
    return status;
}

DRACO_API draco_status draco_server_gather(draco_server *s, float *vector) {
    if (!s || !vector) return DRACO_E_NULL;
    return drs_gather(s, vector, 0, s->c.dim);
}

/* All servers leave after the same round and for the same reason: the first one's that failed, else that one was
   told to stop. */
static draco_status drs_agree_next(draco_server *s, draco_status status, int stop) {
    int all, any;
    status = drs_agree(s, status, stop != 0, &all, &any);
    return status < 0 ? status : any ? DRACO_E_STOPPED : DRACO_OK;
}

/* Which server's shard holds coordinate c? */
static int drs_owner(const draco_server *s, size_t c) {
    int k;
    for (k = 0; k < s->servers; k++) {
        size_t first, count;
        draco_shard(s->c.dim, s->servers, k, &first, &count);
        if (c >= first && c < first + count) return k;
    }
    return 0;
}

static double drs_squares(const float *values, size_t begin, size_t end) {
    double sum = 0;
    size_t i;
    for (i = begin; i < end; i++) sum += (double)values[i] * (double)values[i];
    return sum;
}

/* Euclidean norm of the gradient's first `parameters` coordinates. Squares are added by blocks and then in
   the order of blocks, so that the norm has the same bits for any number of servers. */
static draco_status drs_norm(draco_server *s, const float *gradient, size_t parameters, double *norm) {
    size_t blocks = (parameters + DRACO_BLOCK - 1) / DRACO_BLOCK, b;
    const double *all = (const double *)(const void *)s->all;
    double *mine = (double *)(void *)s->mine, total = 0;
    draco_status status = DRACO_OK;
    for (b = 0; b < blocks; b++) {
        size_t begin = b * DRACO_BLOCK, end = begin + DRACO_BLOCK;
        int here = begin >= s->first && begin < s->first + s->count;
        double squares = here ? drs_squares(gradient, begin, end < parameters ? end : parameters) : 0;
        if (s->servers > 1)
            mine[b] = squares;
        else
            total += squares;
    }
    if (s->servers > 1) {
        status = drs_exchange(s, mine, blocks * sizeof(double));
        for (b = 0; b < blocks && status >= 0; b++)
            total += all[blocks * (size_t)drs_owner(s, b * DRACO_BLOCK) + b];
    }
    *norm = sqrt(total);
    return status;
}

/* Sum of gradients -> mean -> optimizer, on this server's shard; then the statistics, on every server. */
static draco_status drs_update(draco_trainer *t, uint64_t update, draco_score *score) {
    draco_server *s = t->server;
    const draco_model *m = t->model;
    size_t statistics = (m->parameters + DRACO_BLOCK - 1) / DRACO_BLOCK * DRACO_BLOCK, begin = s->first, end,
           i;
    float scale = 1.0f / (float)t->batch;
    draco_step_info info;
    draco_status status = drs_gather(s, t->sum, statistics < m->dim ? statistics : m->dim, m->dim);
    if (status < 0) return status;
    score->loss = score->accuracy = -1;
    score->samples = t->batch;
    if (DRS_HAS(m, progress)) m->progress(m->ctx, t->sum, t->batch, score);
    end = s->first + s->count < m->parameters ? s->first + s->count : m->parameters;
    for (i = begin; i < end; i++) t->sum[i] *= scale;
    memset(&info, 0, sizeof info);
    info.step = update;
    if (t->optimizer->wants_norm) status = drs_norm(s, t->sum, m->parameters, &info.norm);
    if (status >= 0 && begin < end)
        status = t->optimizer->step(t->optimizer->ctx, &info, t->params + begin, t->sum + begin,
                                    t->state ? t->state + begin * t->optimizer->state_per_parameter : NULL,
                                    end - begin);
    if (status >= 0 && DRS_HAS(m, absorb)) m->absorb(m->ctx, t->params, t->sum, t->batch);
    if (status >= 0 && DRS_HAS(m, project)) {
        status = drs_gather(s, t->params, 0, m->dim);
        if (status >= 0) m->project(m->ctx, t->params);
    }
    return status;
}

static draco_status drs_check_trainer(const draco_trainer *t) {
    draco_status status;
    if (!t || !t->server || !t->optimizer || !t->params || !t->sum) return DRACO_E_NULL;
    status = drs_check_model(t->model);
    if (status >= 0) status = DRS_NEED(t->optimizer, step);
    if (status < 0) return status;
    if (!t->state && t->optimizer->state_per_parameter) return DRACO_E_NULL;
    if (t->quorum_seconds > 0 && !t->pause) return DRACO_E_NULL;
    if (t->batch == 0) return DRACO_E_BATCH;
    return t->server->c.dim == t->model->dim ? DRACO_OK : DRACO_E_CONFIG;
}

/* Only a round that could not be decoded is worth another try. */
static int drs_worth_a_try(draco_status status) {
    return status < 0 && status != DRACO_E_TRANSPORT && status != DRACO_E_CONFIG &&
           status != DRACO_E_MEMORY && status != DRACO_E_STOPPED && !draco_status_is_misuse(status);
}

/* Replies without which a round that fails is worth waiting for more. */
static int drs_quorum(const draco_trainer *t) {
    const int all = t->server->n - t->server->evicted;
    return t->all_present ? all : t->min_workers > 0 ? t->min_workers : all - t->server->c.code.t;
}

/* Did this round fail for want of workers? Then since when does the step wait for them? */
static void drs_note_quorum(draco_trainer *t, const draco_round *round, double *since) {
    t->waited = -1;
    if (t->quorum_seconds > 0 && drs_worth_a_try(round->status) && round->report.present < drs_quorum(t)) {
        if (*since < 0) *since = drs_now();
        t->waited = drs_now() - *since;
    } else {
        *since = -1;
    }
}

/* Workers without whom no step can be decoded, even if nobody lies. */
static int drs_least(const draco_server *s) {
    const int both = 2 * s->c.code.s + s->c.code.t;
    return s->c.code.reactive ? both + 1 : s->n - both;
}

/* Wait for workers, unless time is up or those that are not lost for ever are too few or have replied already. Each wait
   is as long as all before it. */
static draco_status drs_wait_for_quorum(draco_trainer *t, draco_status failed) {
    const draco_transport *transport = t->server->c.transport;
    const int left = t->server->n - (DRS_HAS(transport, lost) ? transport->lost(transport->ctx) : 0);
    if (left < drs_quorum(t) && (left < drs_least(t->server) || t->server->out.report.present >= left))
        return failed;
    if (t->waited > t->quorum_seconds) return DRACO_E_TIMEOUT;
    t->pause(t->on_round_ctx, t->waited < 0.1 ? 0.1 : t->waited < 2 ? t->waited : 2);
    return DRACO_OK;
}

/* One round and what follows from it. *failed: it could not be decoded. Negative: the run is over. */
static draco_status drs_try(draco_trainer *t, uint64_t step, int attempt, double *since,
                            draco_status *failed) {
    draco_round round;
    draco_score score;
    draco_status status = draco_server_round(t->server, step, t->params, t->sum, &round);
    if (status >= 0 && t->all_present && round.report.present < drs_quorum(t))
        status = round.status = DRACO_E_TIMEOUT;
    *failed = status < 0 ? status : DRACO_OK;
    drs_note_quorum(t, &round, since);
    if (status >= 0) {
        status = drs_update(t, t->first_update + t->updates, &score);
        if (status < 0) return status;
        t->updates++;
    }
    if (t->on_round) {
        status = t->on_round(t->on_round_ctx, step, attempt, &round, *failed < 0 ? NULL : &score);
        if (status < 0) return status;
    }
    return drs_worth_a_try(*failed) ? DRACO_OK : *failed;
}

DRACO_API draco_status draco_train(draco_trainer *t) {
    uint64_t step;
    draco_status status = drs_check_trainer(t);
    if (status < 0) return status;
    t->updates = 0;
    for (step = t->first_step;; step++) {
        int attempt = 0, last = step == t->first_step + t->steps;
        double since = -1;
        for (;;) {
            draco_status failed;
            status = drs_agree_next(t->server, status, !last && t->stop && *t->stop);
            if (status < 0 || last) return status;
            status = drs_try(t, step, attempt, &since, &failed);
            if (status < 0) continue;
            if (failed < 0 && t->waited >= 0)
                status = drs_wait_for_quorum(t, failed);
            else if (failed >= 0 || t->policy == DRACO_POLICY_SKIP)
                break;
            else if (t->policy == DRACO_POLICY_STOP || attempt++ >= t->retries)
                status = failed;
        }
    }
}

/* ---- The common case ---- */

#define DRS_NAME 8 /* bytes of a round's name, before the exponents in `agreed` */

struct draco_encoder {
    draco_coding c;
    int worker, ready; /* ready: the gradients are those of the round of that name */
    uint8_t name[DRS_NAME];
    float *gradients; /* cyclic: complex field: one at a time; prime: all r */
    void *message; /* repetition: the gradient is computed here; prime: exponents of the r parts behind it */
    draco_encoding *encoding; /* cyclic; prime: for its coefficients */
    const float **parts;      /* prime: each part's in `gradients` */
};

struct draco_decoder {
    draco_coding c;
    int asked, decoded;    /* this round */
    uint64_t rounds, name; /* name: of the first round, random, since workers may outlive a decoder */
    const void **pointers, **reports;
    draco_verdict *verdicts, *early; /* early: of the reports */
    uint8_t *agreed, *exponents;     /* of this round: name and exponents to encode with; the least that do */
    draco_work *work;                /* of draco_exponents_decide, then of draco_decode */
};

static size_t drs_behind(const draco_coding *c) {
    return draco_message_bytes(&c->code, c->d);
}

DRACO_API draco_status draco_coding_init(draco_coding *coding) {
    draco_coding c;
    draco_status status;
    if (!coding) return DRACO_E_NULL;
    c = *coding;
    if (!drs_allocator_ok(&c.allocator) || !(fabs(c.scale) <= DBL_MAX)) return DRACO_E_ARGUMENT;
    status = draco_code_init(&c.code);
    if (status < 0) return status;
    c.message_bytes = drs_behind(&c);
    if (c.message_bytes == 0 || draco_encoding_bytes(&c.code, c.d) == 0) return DRACO_E_DIM;
    c.agreed_bytes = drs_is_prime(&c.code) ? DRS_NAME + draco_exponent_bytes(c.d) : 0;
    if (c.agreed_bytes) c.message_bytes += drs_report_bytes(&c.code, c.d);
    if (c.batch == 0) c.batch = (size_t)c.code.parts;
    if (c.scale == 0) c.scale = 1;
    *coding = c;
    return DRACO_OK;
}

/* The one block of a handle begins with the handle itself. Laid out twice: for its size, then for its
   pointers. */
static void drs_encoder_layout(draco_encoder *e, drs_arena *a) {
    int prime = e->c.agreed_bytes > 0;
    size_t rows = e->c.code.scheme == DRACO_REPETITION ? 0 : prime ? (size_t)e->c.code.r : 1u;
    (void)drs_carve(a, 1, sizeof *e);
    e->message = drs_carve(a, 1, e->c.message_bytes);
    e->encoding =
        (draco_encoding *)drs_carve(a, rows ? 1u : 0u, draco_encoding_bytes(&e->c.code, prime ? 1 : e->c.d));
    e->parts = (const float **)drs_carve(a, prime ? rows : 0, sizeof *e->parts);
    e->gradients = (float *)drs_carve(a, rows, e->c.d * sizeof(float));
}

DRACO_API draco_status draco_encoder_open(draco_encoder **encoder, const draco_coding *coding, int worker) {
    drs_arena arena = {NULL, 0};
    draco_encoder e;
    draco_status status;
    if (!encoder) return DRACO_E_NULL;
    *encoder = NULL;
    if (!coding) return DRACO_E_NULL;
    memset(&e, 0, sizeof e);
    e.c = *coding;
    e.worker = worker;
    status = draco_coding_init(&e.c);
    if (status < 0) return status;
    if (!e.c.gradient) return DRACO_E_NULL;
    if (worker < 0 || worker >= e.c.code.n) return DRACO_E_INDEX;
    drs_encoder_layout(&e, &arena);
    arena.base = (char *)drs_zalloc(&e.c.allocator, arena.used, 1);
    if (!arena.base) return DRACO_E_MEMORY;
    arena.used = 0;
    drs_encoder_layout(&e, &arena);
    if (e.c.code.scheme != DRACO_REPETITION) (void)draco_encode_init(&e.c.code, e.c.d, e.encoding);
    *encoder = (draco_encoder *)memcpy(arena.base, &e, sizeof e);
    return DRACO_OK;
}

DRACO_API void draco_encoder_close(draco_encoder *e) {
    draco_allocator a;
    if (!e) return;
    a = e->c.allocator;
    drs_release(&a, e);
}

static draco_status drs_encoder_part(const draco_encoder *e, int part, float *gradient) {
    size_t first, count;
    draco_code_samples(&e->c.code, e->c.batch, part, &first, &count);
    return drs_only_ok(e->c.gradient(e->c.ctx, part, first, count, gradient));
}

static draco_status drs_encoder_repetition(draco_encoder *e) {
    draco_status status = drs_encoder_part(e, draco_code_part(&e->c.code, e->worker, 0), (float *)e->message);
    draco_little_endian(e->message, e->c.d);
    return status;
}

static draco_status drs_encoder_complex(draco_encoder *e) {
    draco_status status = draco_encode_begin(&e->c.code, e->c.d, e->encoding);
    int l;
    for (l = 0; l < e->c.code.r && status >= 0; l++) {
        int part = draco_code_part(&e->c.code, e->worker, l);
        status = drs_encoder_part(e, part, e->gradients);
        if (status >= 0)
            status = draco_encode_add(&e->c.code, e->worker, part, e->gradients, e->c.d, NULL, e->encoding);
    }
    return status < 0 ? status : draco_encode_end(&e->c.code, e->c.d, e->encoding, e->message);
}

/* What does not fit is left out of the message, and its exponents tell. */
static draco_status drs_encoder_prime(draco_encoder *e, const uint8_t *agreed) {
    int l, r = e->c.code.r, kept = e->ready && memcmp(e->name, agreed, DRS_NAME) == 0;
    draco_status status = DRACO_OK;
    for (l = 0; l < r && status >= 0; l++) {
        float *gradient = e->gradients + (size_t)l * e->c.d;
        e->parts[l] = gradient;
        if (!kept) status = drs_encoder_part(e, draco_code_part(&e->c.code, e->worker, l), gradient);
    }
    if (status >= 0)
        status = draco_encode_parts(&e->c.code, e->worker, 0, r, e->parts, e->c.d, agreed + DRS_NAME,
                                    e->encoding, e->message, (uint8_t *)e->message + drs_behind(&e->c));
    e->ready = status >= 0;
    memcpy(e->name, agreed, DRS_NAME);
    return status;
}

DRACO_API draco_status draco_encoder_message(draco_encoder *e, const void *agreed, void **message) {
    draco_status status;
    if (!message) return DRACO_E_NULL;
    *message = NULL;
    if (!e) return DRACO_E_NULL;
    if (e->c.agreed_bytes && !agreed) return DRACO_E_NULL;
    status = e->c.code.scheme == DRACO_REPETITION ? drs_encoder_repetition(e)
             : e->c.agreed_bytes                  ? drs_encoder_prime(e, (const uint8_t *)agreed)
                                                  : drs_encoder_complex(e);
    if (status >= 0) *message = e->message;
    return status < 0 ? status : DRACO_OK;
}

static void drs_decoder_layout(draco_decoder *d, drs_arena *a) {
    size_t n = (size_t)d->c.code.n;
    (void)drs_carve(a, 1, sizeof *d);
    d->pointers = (const void **)drs_carve(a, n, sizeof *d->pointers);
    d->reports = (const void **)drs_carve(a, n, sizeof *d->reports);
    d->verdicts = (draco_verdict *)drs_carve(a, n, sizeof *d->verdicts);
    d->early = (draco_verdict *)drs_carve(a, n, sizeof *d->early);
    d->agreed = (uint8_t *)drs_carve(a, 1, d->c.agreed_bytes);
    d->exponents = (uint8_t *)drs_carve(a, 1, d->c.agreed_bytes);
    d->work = (draco_work *)drs_carve(
        a, 1, drs_most(draco_decode_work_bytes(&d->c.code), draco_exponents_work_bytes(&d->c.code, d->c.d)));
}

DRACO_API draco_status draco_decoder_open(draco_decoder **decoder, const draco_coding *coding) {
    drs_arena arena = {NULL, 0};
    draco_decoder d;
    draco_seed seed;
    draco_status status;
    if (!decoder) return DRACO_E_NULL;
    *decoder = NULL;
    if (!coding) return DRACO_E_NULL;
    memset(&d, 0, sizeof d);
    d.c = *coding;
    status = draco_coding_init(&d.c);
    if (status < 0) return status;
    status = draco_seed_random(&seed);
    if (status < 0) return status;
    memcpy(&d.name, &seed, sizeof d.name);
    drs_decoder_layout(&d, &arena);
    arena.base = (char *)drs_zalloc(&d.c.allocator, arena.used, 1);
    if (!arena.base) return DRACO_E_MEMORY;
    arena.used = 0;
    drs_decoder_layout(&d, &arena);
    *decoder = (draco_decoder *)memcpy(arena.base, &d, sizeof d);
    return DRACO_OK;
}

DRACO_API void draco_decoder_close(draco_decoder *d) {
    draco_allocator a;
    if (!d) return;
    a = d->c.allocator;
    drs_release(&a, d);
}

/* Begins *out; after a misuse nothing else is read. The caller's array becomes pointers to void: copied as
   bytes, because its own type may be any. */
static draco_status drs_decoder_take(draco_decoder *d, const void *pointers, const void *output,
                                     draco_round *out) {
    memset(out, 0, sizeof *out);
    out->server_seconds = drs_now();
    if (!d) return DRACO_E_NULL;
    memset(d->verdicts, 0, (size_t)d->c.code.n * sizeof *d->verdicts);
    out->verdicts = d->verdicts;
    if (!pointers || !output) return DRACO_E_NULL;
    memcpy((void *)d->pointers, pointers, (size_t)d->c.code.n * sizeof(void *));
    return DRACO_OK;
}

static draco_status drs_decoder_give(const draco_decoder *d, draco_status status, draco_round *out,
                                     draco_round *round) {
    out->status = status;
    out->seconds = out->server_seconds = drs_now() - out->server_seconds;
    if (draco_status_is_misuse(status))
        (void)snprintf(out->text, sizeof out->text, "%s", draco_status_text(status));
    else if (status < 0)
        (void)draco_report_describe(&d->c.code, status, d->verdicts, &out->report, out->text,
                                    sizeof out->text);
    if (round) *round = *out;
    return status;
}

DRACO_API const void *draco_decoder_agreed(draco_decoder *d) {
    size_t blocks, i;
    if (!d || !d->c.agreed_bytes) return NULL;
    blocks = d->c.agreed_bytes - DRS_NAME;
    if (d->asked && !d->decoded) return d->agreed;
    if (d->decoded) drs_predict(d->agreed + DRS_NAME, d->exponents, blocks, d->rounds);
    d->rounds++;
    for (i = 0; i < DRS_NAME; i++) d->agreed[i] = (uint8_t)((d->name + d->rounds) >> 8 * i);
    memset(d->early, 0, (size_t)d->c.code.n * sizeof *d->early);
    d->asked = 1;
    d->decoded = 0;
    return d->agreed;
}

/* Prime field: do all parts fit into what was agreed on? Who lied about an exponent has lied in this round, however
   good the message that followed. */
static draco_status drs_decoder_fit(draco_decoder *d, draco_report *report) {
    size_t blocks = d->c.agreed_bytes - DRS_NAME, b;
    uint8_t *agreed = d->agreed + DRS_NAME;
    draco_status status;
    int i;
    for (i = 0; i < d->c.code.n; i++)
        d->reports[i] = d->pointers[i] ? (const char *)d->pointers[i] + drs_behind(&d->c) : NULL;
    status = draco_exponents_decide(&d->c.code, (const uint8_t *const *)(const void *)d->reports, d->c.d,
                                    d->work, d->exponents, d->verdicts, report);
    for (i = 0; i < d->c.code.n; i++)
        if (d->early[i] != DRACO_BLAMED) d->early[i] = d->verdicts[i];
    for (b = 0; b < blocks && status >= 0; b++)
        if (d->exponents[b] > agreed[b]) status = DRACO_E_AGAIN;
    if (status == DRACO_E_AGAIN) memcpy(agreed, d->exponents, blocks);
    return status;
}

static void drs_decoder_join(draco_decoder *d, draco_report *report) {
    int i;
    for (i = 0; i < d->c.code.n; i++) {
        draco_verdict was = d->verdicts[i], now = d->early[i];
        if (now == DRACO_BLAMED || (now == DRACO_MALFORMED && was == DRACO_AGREES)) d->verdicts[i] = now;
    }
    draco_report_count(d->verdicts, d->c.code.n, report);
}

DRACO_API draco_status draco_decoder_decode(draco_decoder *d, const void *messages, float *sum,
                                            draco_round *round) {
    draco_round out;
    draco_seed seed;
    draco_status status;
    size_t i;
    status = drs_decoder_take(d, messages, sum, &out);
    if (status >= 0 && d->c.agreed_bytes && !d->asked) status = DRACO_E_ORDER;
    if (status < 0) return drs_decoder_give(d, status, &out, round);
    if (d->c.agreed_bytes) status = drs_decoder_fit(d, &out.report);
    if (status >= 0) status = draco_seed_random(&seed);
    if (status >= 0)
        status = draco_decode(&d->c.code, &seed, d->pointers, d->c.d, d->agreed + DRS_NAME, d->work, sum,
                              d->verdicts, &out.report);
    memset(&seed, 0, sizeof seed);
    d->decoded = status != DRACO_E_AGAIN;
    drs_decoder_join(d, &out.report);
    for (i = 0; fabs(d->c.scale) > 1 && i < d->c.d && status >= 0; i++)
        if (fabs(d->c.scale * (double)sum[i]) > (double)FLT_MAX) status = DRACO_E_RANGE;
    if (d->c.scale != 1)
        for (i = 0; i < d->c.d && status >= 0; i++) sum[i] = (float)(d->c.scale * (double)sum[i]);
    return drs_decoder_give(d, status, &out, round);
}

/* Told by its bits: a comparison with NaN traps where a program unmasks the exception. */
DRACO_API draco_status draco_floats_of(const double *values, size_t count, float *rounded) {
    size_t i;
    if (!values || !rounded) return DRACO_E_NULL;
    for (i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if ((bits & 0x7fffffffffffffffu) > 0x47efffffe0000000u) return DRACO_E_RANGE;
    }
    for (i = 0; i < count; i++) rounded[i] = (float)values[i];
    return DRACO_OK;
}

#endif /* DRACO_IMPLEMENTED */
#endif /* DRACO_IMPLEMENTATION */

/* SPDX-License-Identifier: MIT
 *
 * MIT License
 *
 * Copyright (c) 2026 The Draco authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all
 * copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 * SOFTWARE.
 */

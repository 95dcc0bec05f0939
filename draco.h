#ifndef DRACO_H
#define DRACO_H

#include "draco_codes.h"

#define DRACO_VERSION 0x000100
#ifdef DRACO_STATIC
#define DRACO_API static
#else
#define DRACO_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Random numbers that depend on nothing but their address (Philox 4x32-10, Salmon et al., SC 2011) ----
 */
DRACO_API void draco_random(uint64_t key, uint64_t stream, uint64_t counter, uint32_t out[4]);
/* The sample that stands at place `index` of the batch of `step`, uniform in [0, size). */
DRACO_API size_t draco_sample(uint64_t seed, uint64_t step, size_t index, size_t size);

/* ---- Model ---- */

/* One part of one batch: places first..first+count-1 of the `total` places of the batch of `step`. */
typedef struct draco_batch {
    uint64_t seed, step;
    size_t first, count, total;
    int part;
} draco_batch;

typedef struct draco_score {
    double loss, accuracy;
    size_t samples;
} draco_score; /* loss: mean over samples; accuracy 0..1 */

typedef struct draco_model {
    size_t size; /* sizeof(draco_model) of the one who filled it: slots past it are absent */
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
    /* Optional: what the decoded statistics say of the batch. */
    void (*progress)(void *ctx, const float *sum, size_t samples, draco_score *score);
    /* Optional: the held-out data. */
    draco_status (*evaluate)(void *ctx, void *workspace, const float *params, draco_score *score);
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

typedef enum draco_ask {
    DRACO_ASK_MESSAGE = 1,   /* params -> the coded message */
    DRACO_ASK_EXPONENTS = 2, /* params -> exponents of the worker's parts (prime field, first half) */
    DRACO_ASK_ENCODED = 3,   /* extra = agreed exponents -> the coded message (prime field, second half) */
    DRACO_ASK_DIGEST =
        4, /* params (or, prime field, extra = agreed exponents) -> 32-byte digest of the message */
    DRACO_ASK_BODY = 5, /* -> the message whose digest was sent */
    DRACO_ASK_PROBE =
        6, /* params -> 32-byte digest of the plain gradient of one batch that is the same for all */
    DRACO_ASK_STOP = 7 /* the run is over; no answer */
} draco_ask;

typedef struct draco_request {
    draco_ask ask;
    uint64_t round; /* grows with every broadcast and fetch: names the answers */
    uint64_t step;  /* the step whose batch is meant */
    const float
        *params; /* NULL when this request carries none; on the worker valid until the next that does */
    size_t params_count;
    const void *extra; /* small payload or NULL; on the worker valid until the next receive */
    size_t extra_bytes;
    size_t reply_bytes; /* exact size of an answer; another size is MALFORMED */
    int server;         /* worker side, several servers: the one that asks, or -1 when all ask together */
} draco_request;

/* Where the server takes bytes from a transport. For one worker the calls come in order: row, chunk…, end.
   chunk may run on several threads at once for different workers; row and end never run at the same time as
   another row or end (the transport holds a lock). */
typedef struct draco_inbox {
    size_t size;
    void *ctx;
    /* Memory for reply_bytes bytes of this worker, or NULL: drop its answer. Valid until end, and not touched
     * by the transport after it. */
    void *(*row)(void *ctx, int worker);
    /* Bytes [offset, offset + n) of the row have arrived; offsets without gap or overlap. */
    void (*chunk)(void *ctx, int worker, size_t offset, size_t n);
    /* Nothing more comes from this worker. verdict: DRACO_UNDECIDED: whole; DRACO_ABSENT: lost or silent;
       DRACO_MALFORMED: wrong size or form. Returns DRACO_OK when the round needs no more, DRACO_MORE
       otherwise. Workers never ended are absent. */
    draco_status (*end)(void *ctx, int worker, draco_verdict verdict);
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
    /* Ask the workers with whom[i] != 0, and collect from them alone. */
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
    /* Optional: what went wrong last, in words, naming the peer; valid until the next call. */
    const char *(*explain)(void *ctx);
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

/* ---- Memory: malloc and free unless the caller says otherwise ---- */
typedef struct draco_allocator {
    void *ctx;
    void *(*alloc)(void *ctx, size_t bytes); /* aligned to 64 bytes */
    void (*release)(void *ctx, void *memory);
} draco_allocator;

/* ---- Worker ---- */
typedef struct draco_worker draco_worker;
typedef struct draco_worker_config {
    draco_code code;
    const draco_model *model;
    size_t batch;  /* samples of a whole batch */
    uint64_t seed; /* of the samples */
    int keep;      /* prime field: keep the gradients of the r parts between the two halves (else compute them
                      twice);      digest first: keep the message (else compute it twice) */
    draco_digest_fn digest; /* needed for DRACO_ASK_DIGEST and DRACO_ASK_PROBE */
    void *digest_ctx;
    draco_allocator allocator; /* zero: malloc */
} draco_worker_config;
DRACO_API draco_status draco_worker_open(draco_worker **worker, const draco_worker_config *config);
/* Answer one request as worker number `index`. reply: request->reply_bytes bytes; written whole or not at all
 * meaningful on error. */
DRACO_API draco_status draco_worker_answer(draco_worker *worker, int index, const draco_request *request,
                                           void *reply);
/* receive, answer, submit until the server stops or is gone. */
DRACO_API draco_status draco_worker_run(draco_worker *worker, int index, const draco_transport *transport);
DRACO_API void draco_worker_close(draco_worker *worker);

/* ---- Server ---- */
typedef enum draco_wait {
    DRACO_WAIT_ALL =
        0, /* a round ends when every worker answered or is known to be gone, or at the deadline */
    DRACO_WAIT_ENOUGH =
        1 /* … or as soon as it can be decoded for sure; who comes later is judged in no round */
} draco_wait;

typedef struct draco_server draco_server;
typedef struct draco_server_config {
    draco_code code;
    const draco_rule *rule; /* NULL: decode with the code */
    int rule_f;
    const draco_transport *transport;
    size_t dim;      /* floats of the parameter vector (of this server's shard when there are several) */
    double deadline; /* seconds a phase of a round may take; <= 0: none */
    draco_wait wait;
    int digest_first; /* repetition only */
    draco_digest_fn digest;
    void *digest_ctx;
    float abs_tol, rel_tol; /* repetition: tolerant vote when either is > 0 */
    draco_allocator allocator;
} draco_server_config;

typedef struct draco_round { /* what one round was like */
    draco_status status;
    draco_report report;
    const draco_verdict *verdicts; /* n, the server's memory, valid until its next round */
    double seconds;                /* of the whole round */
    double server_seconds;         /* of the server's own work: sketches, locate, combine, rule */
    uint64_t bytes_in;             /* bytes of answers that were taken in */
    size_t rows_peak;              /* most messages held at once */
} draco_round;

DRACO_API draco_status draco_server_open(draco_server **server, const draco_server_config *config);
/* One round: sum[dim] = the sum of the gradients of all parts at params. On error sum is untouched. */
DRACO_API draco_status draco_server_round(draco_server *server, uint64_t step, const float *params,
                                          float *sum, draco_round *round);
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
    size_t batch;
    uint64_t first_step, steps; /* first_step > 0 when resumed */
    draco_policy policy;
    int retries;              /* of one step, under DRACO_POLICY_RETRY; then the run stops */
    const volatile int *stop; /* non-zero: stop after the round; may be NULL */
    /* Called after every round, decoded or not; a result other than DRACO_OK stops the run with it. May be
     * NULL. */
    draco_status (*on_round)(void *ctx, uint64_t step, int attempt, const draco_round *round,
                             const draco_score *score);
    void *on_round_ctx;
    uint64_t updates; /* out: steps that moved the model */
} draco_trainer;
DRACO_API draco_status draco_train(draco_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_H */

/* draco_attacks.h - version 0.1.0 - workers that lie or fall silent, to try a server with

   For experiments only.

   #define DRACO_ATTACKS_IMPLEMENTATION in one .c file before including it; DRACO_ATTACKS_STATIC, defined as
   well, makes a private copy. The switches bring draco.h along. The implementation is C11 with GNU
   extensions; link -lm.

       draco_attack_config config = {.name = "reverse", .code = code, .liars = 3, .who = DRACO_ATTACK_RANDOM,
                                     .seed = 7};
       draco_transport bad;
       if (draco_attack_wrap(&bad, &transport, &config) < 0) ...
       ... draco_server_config.transport = &bad; train ...
       bad.close(bad.ctx);                     closes the inner transport
       draco_attack_unwrap(&bad);              frees the wrapper

   How. The wrapper stands between the transport and the server's inbox. An honest worker's calls pass through
   untouched. A liar's chunks are held back; when its reply is whole its bytes are changed where they lie, in
   the server's own row, and delivered as one chunk. Omniscient attacks hold back every end until the
   transport has collected all it can, compute the lie from the honest messages, and deliver the liars first:
   the strongest order. draco_attack_wrap_worker() wraps the worker's side of a transport instead, for liars
   that are processes of their own; omniscient attacks do not work there.

   Who lies. draco_attack_liars() says so for every step and attempt (0, 1, … when a round is retried), from
   the config alone: programs that show or test verdicts ask it for the truth. FIXED: the workers in `ids`, or
   a set drawn once from the seed; RANDOM: drawn anew for each step and attempt; WORST: drawn anew, but all in
   one group (repetition; what does not fit spills into the next), or neighbours in a row (cyclic). `missing`
   honest workers never reply, on top of the liars: draco_attack_missing().

   What is attacked. Messages are floats (repetition, complex) or residues mod p = 2^31 - 1 (prime), where
   every formula is meant mod p. Of the other replies, a liar garbles its exponents (unless honest_exponents),
   those that come with its message too, and its fingerprint, with the same garbling for all liars; the "challenge-…" attacks are made for a challenge and
   say in which of their replies they cheat. Probes are answered truthfully. "label-flip" needs config.flipped, a draco_worker
   whose model has turned labels (draco_attack_flip_labels): its replies take the place of the liar's, in
   every request.

   Threads: as the transport's inbox, see draco.h. The wrapper owns its memory (malloc): n pointers;
   omniscient attacks 3 messages more, replay 2n messages, worker side 1, those that agree with a body one for each
   group.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_ATTACKS_IMPLEMENTATION) && !defined(DRACO_IMPLEMENTATION)
#define DRACO_IMPLEMENTATION
#endif
#if defined(DRACO_ATTACKS_STATIC) && !defined(DRACO_STATIC)
#define DRACO_STATIC
#endif
#include "../draco.h"

#ifndef DRACO_ATTACKS_H
#define DRACO_ATTACKS_H

#define DRACO_ATTACKS_VERSION 0x000100
#ifndef DRACO_ATTACKS_API
#ifdef DRACO_ATTACKS_STATIC
#define DRACO_ATTACKS_API static __attribute__((unused))
#else
#define DRACO_ATTACKS_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum draco_attack_who {
    DRACO_ATTACK_FIXED = 0,
    DRACO_ATTACK_RANDOM = 1,
    DRACO_ATTACK_WORST = 2
} draco_attack_who;

typedef struct draco_attack_config {
    const char *name; /* of draco_attack_list(); NULL: "none" */
    draco_code code;  /* initialised */
    int liars;        /* how many lie in each step */
    draco_attack_who who;
    const int *ids;    /* FIXED: `liars` workers; NULL: drawn from the seed */
    int missing;       /* how many honest workers never reply in each step */
    int missing_fixed; /* the same ones in all steps, else drawn anew */
    uint64_t seed;     /* of the draws and of random lies */
    double factor;     /* strength; 0: the attack's own, see the list */
    float abs_tol;     /* "under-tolerance": the vote's */
    float rel_tol;
    int honest_exponents;  /* prime field: liars tell the truth about their exponents */
    draco_worker *flipped; /* "label-flip" */
} draco_attack_config;

typedef struct draco_attack_info {
    const char *name, *help;
    double factor;  /* what factor = 0 stands for */
    int omniscient; /* sees all honest messages; server side only */
} draco_attack_info;

/* The i-th attack, i = 0, 1, …; NULL past the last. */
DRACO_ATTACKS_API const draco_attack_info *draco_attack_list(int i);

/* Is the config sound? text gets one line that says why not (as snprintf), and may be NULL. */
DRACO_ATTACKS_API draco_status draco_attack_check(const draco_attack_config *config, char *text,
                                                  size_t capacity);
/* outer forwards everything to inner, which stays the caller's and outlives it. The config is copied, and
   what it points to outlives outer. */
DRACO_ATTACKS_API draco_status draco_attack_wrap(draco_transport *outer, const draco_transport *inner,
                                                 const draco_attack_config *config);
/* The same for the transport of one worker process. */
DRACO_ATTACKS_API draco_status draco_attack_wrap_worker(draco_transport *outer, const draco_transport *inner,
                                                        const draco_attack_config *config, int worker);
DRACO_ATTACKS_API void draco_attack_unwrap(draco_transport *outer);

/* flags[n]: 1 for those who lie (are missing) in this attempt at this step. */
DRACO_ATTACKS_API draco_status draco_attack_liars(const draco_attack_config *config, uint64_t step,
                                                  int attempt, unsigned char *flags);
DRACO_ATTACKS_API draco_status draco_attack_missing(const draco_attack_config *config, uint64_t step,
                                                    int attempt, unsigned char *flags);

/* Label flip happens at the data: y becomes classes - 1 - y. */
DRACO_ATTACKS_API void draco_attack_flip_labels(int32_t *labels, size_t count, int classes);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_ATTACKS_H */

#if defined(DRACO_ATTACKS_IMPLEMENTATION) && !defined(DRACO_ATTACKS_IMPLEMENTED)
#define DRACO_ATTACKS_IMPLEMENTED

#if defined(__cplusplus) || !defined(__GNUC__)
#error                                                                                                       \
    "draco_attacks.h: the implementation is C11 with GNU extensions: compile it in a .c file by gcc or clang"
#endif

#include "../models/draco_math.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#define DR_ATTACKS_FOR _Pragma("omp parallel for")
#else
#define DR_ATTACKS_FOR
#endif
#define DR_ATTACKS_P 2147483647.0 /* 2^31 - 1 */
#define DR_ATTACKS_GARBLE 0x5a

typedef enum dr_attacks_kind {
    DR_ATTACKS_NONE,
    DR_ATTACKS_LOCAL, /* changes its own message */
    DR_ATTACKS_PLOT,  /* one lie for all, made from the honest messages */
    DR_ATTACKS_FLIP,  /* honest work on false data */
    DR_ATTACKS_OMIT,
    DR_ATTACKS_TRUNCATE
} dr_attacks_kind;

/* The fingerprint with which a challenge is answered. */
typedef enum dr_attacks_answer {
    DR_ATTACKS_GARBLED, /* a wrong one, garbled alike by all liars */
    DR_ATTACKS_HONEST,
    DR_ATTACKS_SILENT,
    DR_ATTACKS_AGREE,  /* that of whatever body the group's speaker has sent */
    DR_ATTACKS_COLLUDE /* the same when the speaker is a liar, else a wrong one */
} dr_attacks_answer;

/* One message: count numbers, floats or residues. */
typedef struct dr_attacks_message {
    void *bytes;
    size_t count;
    int residues;
} dr_attacks_message;

struct draco_attacks_priv;
typedef void dr_attacks_lie(struct draco_attacks_priv *a, int worker, const dr_attacks_message *message);
/* message: one lie for all liars, made from the honest rows, of which there is at least one. */
typedef void dr_attacks_plot(struct draco_attacks_priv *a, const void *const *rows, int count,
                             const dr_attacks_message *message);
typedef struct dr_attacks_entry {
    draco_attack_info info;
    dr_attacks_kind kind;
    dr_attacks_lie *lie;
    dr_attacks_plot *plot;
    dr_attacks_answer answer;
    int every;  /* lies in one step of so many, drawn; 0: in all */
    int sleeps; /* one liar lies; another for each by which a reactive code's s has shrunk */
} dr_attacks_entry;

typedef struct dr_attacks_past { /* of one worker: the message of this step and of the one before */
    void *now, *before;
    size_t bytes;
    uint64_t step;
    int steps;
} dr_attacks_past;

typedef struct draco_attacks_priv {
    draco_attack_config c;
    double factor;
    const dr_attacks_entry *entry;
    draco_transport inner;
    int n, self; /* self: number of the worker on the worker's side, else -1 */
    /* The step at hand. */
    draco_request request;
    const float *params; /* the last that came */
    size_t params_count;
    uint64_t step;
    int attempt, begun;
    unsigned char *liar, *missing;
    /* The replies at hand. */
    const draco_inbox *inbox;
    void **row;
    unsigned char *ended; /* 0 (DRACO_ARRIVAL_WAITING): no, else the draco_arrival of a reply held back */
    /* Memory of the attacks. */
    dr_attacks_past *past; /* n, or 1 on the worker's side */
    float *mean, *deviation;
    void *plot, *reply;
    size_t room, plot_bytes, reply_bytes, body_bytes;
    void **body; /* n, by part: what the last speaker sent, and who that was */
    int *speaker;
} draco_attacks_priv;

/* ---- Numbers in messages ---- */

static double dr_attacks_get(const dr_attacks_message *m, size_t j) {
    return m->residues ? (double)((const uint32_t *)m->bytes)[j] : (double)((const float *)m->bytes)[j];
}

/* A residue becomes the nearest integer mod p. */
static void dr_attacks_set(const dr_attacks_message *m, size_t j, double value) {
    if (!m->residues) {
        ((float *)m->bytes)[j] = (float)value;
        return;
    }
    double r = fmod(nearbyint(value), DR_ATTACKS_P);
    ((uint32_t *)m->bytes)[j] = (uint32_t)(r < 0 ? r + DR_ATTACKS_P : r);
}

static int dr_attacks_residues(const draco_attacks_priv *a) {
    return a->c.code.scheme == DRACO_CYCLIC && a->c.code.field == DRACO_FIELD_PRIME;
}

/* Number j of somebody's message. */
static double dr_attacks_number(const draco_attacks_priv *a, const void *row, size_t j) {
    return dr_attacks_residues(a) ? (double)((const uint32_t *)row)[j] : (double)((const float *)row)[j];
}

static dr_attacks_message dr_attacks_view(const draco_attacks_priv *a, void *bytes, size_t size) {
    dr_attacks_message m = {bytes, size / 4, dr_attacks_residues(a)};
    return m;
}

/* Four random words that depend on the seed, the step, who draws, and how often. */
static void dr_attacks_draw(const draco_attack_config *c, uint64_t step, uint64_t who, uint64_t counter,
                            uint32_t word[4]) {
    draco_random(c->seed ^ (0x9e3779b97f4a7c15u * (who + 1)), step, counter, word);
}

static int dr_attacks_carries_message(draco_request_kind ask) {
    return ask == DRACO_REQUEST_MESSAGE || ask == DRACO_REQUEST_ENCODED || ask == DRACO_REQUEST_BODY ||
           ask == DRACO_REQUEST_PREDICTED;
}

/* How much of a reply of `size` bytes is the message: exponents may follow it. */
static size_t dr_attacks_message_bytes(const draco_attacks_priv *a, size_t size) {
    size_t message = 4 * a->params_count;
    return a->request.kind == DRACO_REQUEST_PREDICTED && message < size ? message : size;
}

/* ---- Lies that a worker can tell alone ---- */

/* -factor x the message; sign-flip is the same with 1. */
static void dr_attacks_reverse(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)worker;
    for (size_t j = 0; j < m->count; j++) dr_attacks_set(m, j, -a->factor * dr_attacks_get(m, j));
}

static void dr_attacks_truth(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)a, (void)worker, (void)m;
}

static void dr_attacks_constant(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)worker;
    for (size_t j = 0; j < m->count; j++) dr_attacks_set(m, j, -a->factor);
}

/* Standard normal numbers j and j + 1 of a worker's own stream. */
static void dr_attacks_normal(const draco_attacks_priv *a, int worker, size_t j, double out[2]) {
    uint32_t word[4];
    dr_attacks_draw(&a->c, a->step, 256 + (uint64_t)worker, j / 2, word);
    draco_normal_pair(word[0], word[1], out);
}

/* Gaussian noise of standard deviation `factor` (200 in Blanchard et al., NIPS 2017). */
static void dr_attacks_gaussian(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    double pair[2] = {0, 0};
    for (size_t j = 0; j < m->count; j++) {
        if (j % 2 == 0) dr_attacks_normal(a, worker, j, pair);
        dr_attacks_set(m, j, a->factor * pair[j % 2]);
    }
}

/* `factor` bits turned over at random places, as broken memory does. */
static void dr_attacks_bit_flip(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    unsigned char *bytes = m->bytes;
    uint64_t bits = 32 * (uint64_t)m->count;
    for (uint64_t k = 0; k < (uint64_t)fabs(a->factor) && bits > 0; k++) {
        uint32_t word[4];
        dr_attacks_draw(&a->c, a->step, 256 + (uint64_t)worker, k, word);
        uint64_t at = (((uint64_t)word[0] << 32) | word[1]) % bits;
        bytes[at / 8] ^= (unsigned char)(1u << (at % 8));
    }
}

/* Every number is NaN; as a residue, past p. */
static void dr_attacks_nan(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)a;
    (void)worker;
    memset(m->bytes, 0xff, 4 * m->count);
}

/* +Inf and -Inf in turn, so that sums of them are NaN; as a residue, 2^31. */
static void dr_attacks_inf(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)a;
    for (size_t j = 0; j < m->count; j++) {
        uint32_t bits = m->residues ? 0x80000000u : (j + (size_t)worker) % 2 ? 0xff800000u : 0x7f800000u;
        memcpy((char *)m->bytes + 4 * j, &bits, 4);
    }
}

/* One number, drawn anew each step, is off by `factor`. */
static void dr_attacks_needle(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    uint32_t word[4];
    dr_attacks_draw(&a->c, a->step, 256 + (uint64_t)worker, 0, word);
    size_t j = m->count ? (size_t)((((uint64_t)word[0] << 32) | word[1]) % m->count) : 0;
    if (m->count) dr_attacks_set(m, j, dr_attacks_get(m, j) + a->factor);
}

/* Every number moved by `factor` of what the tolerant vote forgives, always the same way. */
static void dr_attacks_under(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    (void)worker;
    for (size_t j = 0; j < m->count; j++) {
        double x = dr_attacks_get(m, j), slack = (double)a->c.abs_tol + (double)a->c.rel_tol * fabs(x);
        dr_attacks_set(m, j, x + (m->residues ? 1 : a->factor * slack));
    }
}

/* Another lie, or none, in each block of coordinates, and for each liar in another order. */
static void dr_attacks_patchwork(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    for (size_t first = 0; first < m->count; first += DRACO_BLOCK) {
        size_t left = m->count - first;
        dr_attacks_message part = {(char *)m->bytes + 4 * first, left < DRACO_BLOCK ? left : DRACO_BLOCK,
                                   m->residues};
        switch ((first / DRACO_BLOCK + (size_t)worker) % 4) {
        case 0:
            dr_attacks_reverse(a, worker, &part);
            break;
        case 1:
            dr_attacks_constant(a, worker, &part);
            break;
        case 2:
            dr_attacks_gaussian(a, worker, &part);
            break;
        default:
            break;
        }
    }
}

/* ---- Collusion on a codeword ----
   All liars act as if part k's gradient were `factor` larger in every coordinate, k the part that most of
   them hold. Their messages agree with each other: with the honest ones outnumbered no decoder could tell. */

static int dr_attacks_target(const draco_attacks_priv *a) {
    int best = 0, most = -1;
    for (int k = 0; k < a->c.code.parts; k++) {
        int holders = 0;
        for (int i = 0; i < a->n; i++) holders += a->liar[i] && draco_code_holds(&a->c.code, i, k);
        if (holders > most) most = holders, best = k;
    }
    return best;
}

static void dr_attacks_codeword(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    double c[2] = {0, 0};
    int part = dr_attacks_target(a);
    if (!draco_code_holds(&a->c.code, worker, part)) return;
    if (draco_code_coefficient(&a->c.code, part, worker, c) < 0) return;
    if (m->residues) {
        uint64_t shift = (uint64_t)fabs(a->factor * 65536.0) % 2147483647u * (uint64_t)c[0] % 2147483647u;
        for (size_t j = 0; j < m->count; j++) dr_attacks_set(m, j, dr_attacks_get(m, j) + (double)shift);
        return;
    }
    int packed = a->c.code.scheme == DRACO_CYCLIC; /* pairs (1 + i) x factor x coefficient */
    for (size_t j = 0; j < m->count; j++) {
        double by = packed ? (j % 2 ? c[0] + c[1] : c[0] - c[1]) : c[0];
        dr_attacks_set(m, j, dr_attacks_get(m, j) + a->factor * by);
    }
}

/* ---- Replay: the message of the step before, zeros when there is none ---- */
static void dr_attacks_remember(draco_attacks_priv *a, dr_attacks_past *past, const void *bytes,
                                size_t size) {
    if (past->bytes != size) {
        free(past->now);
        free(past->before);
        past->now = calloc(1, size);
        past->before = calloc(1, size);
        past->bytes = past->now && past->before ? size : 0;
        past->steps = 0;
        if (!past->bytes) return;
    }
    if (past->steps && past->step != a->step) {
        void *old = past->before;
        past->before = past->now;
        past->now = old;
    }
    past->steps = 1;
    past->step = a->step;
    memcpy(past->now, bytes, size);
}

static void dr_attacks_replay(draco_attacks_priv *a, int worker, const dr_attacks_message *m) {
    dr_attacks_past *past = &a->past[a->self < 0 ? worker : 0];
    if (past->bytes == 4 * m->count)
        memcpy(m->bytes, past->before, past->bytes);
    else
        memset(m->bytes, 0, 4 * m->count);
}

/* Take note of a message before it is changed, for those who will need it in the next step. */
static void dr_attacks_watch(draco_attacks_priv *a, int worker, const void *bytes, size_t size) {
    dr_attacks_past *past = &a->past[a->self < 0 ? worker : 0];
    if (a->entry->lie == dr_attacks_replay && dr_attacks_carries_message(a->request.kind))
        dr_attacks_remember(a, past, bytes, dr_attacks_message_bytes(a, size));
}

/* ---- Omniscient lies ----
   Made from the honest messages of the round, and written once for all liars. */

/* The honest rows of this round, NULL past the last. Returns how many. */
static int dr_attacks_honest(const draco_attacks_priv *a, const void **rows) {
    int count = 0;
    for (int i = 0; i < a->n; i++)
        if (a->ended[i] == DRACO_ARRIVAL_WHOLE && !a->liar[i] && a->row[i]) rows[count++] = a->row[i];
    return count;
}

/* Mean and standard deviation of each number over the honest rows. */
static void dr_attacks_moments(draco_attacks_priv *a, const void *const *rows, int count, size_t numbers) {
    DR_ATTACKS_FOR
    for (size_t j = 0; j < numbers; j++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < count; i++) sum += dr_attacks_number(a, rows[i], j);
        for (int i = 0; i < count; i++) {
            double e = dr_attacks_number(a, rows[i], j) - sum / count;
            squares += e * e;
        }
        a->mean[j] = (float)(sum / count);
        a->deviation[j] = (float)sqrt(squares / count);
    }
}

/* mean + by x (standard deviation, or the mean itself). */
static void dr_attacks_shift(draco_attacks_priv *a, const dr_attacks_message *m, double keep, double by) {
    for (size_t j = 0; j < m->count; j++)
        dr_attacks_set(m, j, keep * (double)a->mean[j] + by * (double)a->deviation[j]);
}

/* The normal distribution function (Marsaglia, J. Statistical Software 2004), for |z| < 7. */
static double dr_attacks_phi(double z) {
    double term = z, sum = z;
    for (int k = 3; k < 200; k += 2) {
        term *= z * z / k;
        sum += term;
    }
    return 0.5 + sum * draco_exp(-0.5 * z * z) * 0.3989422804014327;
}

/* The z, at most 7, whose normal distribution function is p. */
static double dr_attacks_quantile(double p) {
    double low = -7, high = 7;
    for (int k = 0; k < 80; k++) {
        double z = (low + high) / 2;
        if (dr_attacks_phi(z) < p)
            low = z;
        else
            high = z;
    }
    return low;
}

/* A little is enough: mean - z x deviation, z so small that enough honest workers lie further out (Baruch,
   Baruch, Goldberg, NeurIPS 2019, arXiv 1902.06156): Phi(z) = (n - f - s) / (n - f), s = floor(n/2 + 1) - f.
   */
static void dr_attacks_alie(draco_attacks_priv *a, const void *const *rows, int count,
                            const dr_attacks_message *m) {
    (void)rows;
    int f = a->c.liars, supporters = a->n / 2 + 1 - f;
    double p = (double)(count - (supporters > 0 ? supporters : 0)) / count, z = a->factor;
    if (!(fabs(z) > 0)) z = dr_attacks_quantile(p < 0.999 ? (p > 0.5 ? p : 0.5) : 0.999);
    dr_attacks_shift(a, m, 1, -z);
}

/* Inner-product manipulation: -epsilon x mean (Xie, Koyejo, Gupta, UAI 2019, arXiv 1903.03936). */
static void dr_attacks_ipm(draco_attacks_priv *a, const void *const *rows, int count,
                           const dr_attacks_message *m) {
    (void)rows;
    (void)count;
    dr_attacks_shift(a, m, -a->factor, 0);
}

/* Mimic: all liars send what the first honest worker sends (Karimireddy, He, Jaggi, ICLR 2022, arXiv
   2006.09365). */
static void dr_attacks_mimic(draco_attacks_priv *a, const void *const *rows, int count,
                             const dr_attacks_message *m) {
    (void)a;
    (void)count;
    memcpy(m->bytes, rows[0], 4 * m->count);
}

/* |x_i - x_k|^2 of honest rows. */
static double dr_attacks_apart(const draco_attacks_priv *a, const void *x, const void *y, size_t numbers) {
    double lane[8] = {0};
    size_t j = 0;
    if (dr_attacks_residues(a)) {
        for (; j < numbers; j++) {
            double e = dr_attacks_number(a, x, j) - dr_attacks_number(a, y, j);
            lane[0] += e * e;
        }
        return lane[0];
    }
    const float *u = x, *v = y;
    for (; j + 8 <= numbers; j += 8)
        for (size_t l = 0; l < 8; l++) {
            double e = (double)u[j + l] - (double)v[j + l];
            lane[l] += e * e;
        }
    for (; j < numbers; j++) lane[0] += ((double)u[j] - (double)v[j]) * ((double)u[j] - (double)v[j]);
    for (size_t l = 1; l < 8; l++) lane[0] += lane[l];
    return lane[0];
}

/* What the distances of a lie from the honest rows are made of, and what they must stay under. */
typedef struct dr_attacks_reach {
    double near[DRACO_MAX_WORKERS], along[DRACO_MAX_WORKERS], size, bound;
    int count, sum;
} dr_attacks_reach;

/* Does mean - gamma x deviation stay under the bound? */
static int dr_attacks_fits(const dr_attacks_reach *r, double gamma) {
    double total = 0;
    for (int i = 0; i < r->count; i++) {
        double apart = r->near[i] + 2 * gamma * r->along[i] + gamma * gamma * r->size;
        if (r->sum)
            total += apart;
        else if (apart > total)
            total = apart;
    }
    return total <= r->bound;
}

/* One honest row: its distance from the mean, and its largest distance (sum) from the other rows. */
static double dr_attacks_measure(const draco_attacks_priv *a, const void *const *rows, int i, size_t numbers,
                                 dr_attacks_reach *r) {
    double total = 0;
    r->near[i] = r->along[i] = 0;
    for (size_t j = 0; j < numbers; j++) {
        double e = dr_attacks_number(a, rows[i], j) - (double)a->mean[j];
        r->near[i] += e * e;
        r->along[i] += e * (double)a->deviation[j];
    }
    for (int k = 0; k < r->count; k++) {
        double apart = k == i ? 0 : dr_attacks_apart(a, rows[i], rows[k], numbers);
        if (r->sum)
            total += apart;
        else if (apart > total)
            total = apart;
    }
    return total;
}

/* The lie is mean - gamma x deviation with the largest gamma that keeps its distances from the honest rows
   under what honest rows have among themselves: the largest distance (min-max) or the largest sum of squares
   (min-sum) (Shejwalkar, Houmansadr, NDSS 2021). |x_i - mean + gamma p|^2 = near_i + 2 gamma
   along_i + gamma^2 |p|^2, so gamma is found without going back to the rows. */
static void dr_attacks_farthest(draco_attacks_priv *a, const void *const *rows, int count,
                                const dr_attacks_message *m, int sum) {
    dr_attacks_reach r = {.count = count, .sum = sum};
    double totals[DRACO_MAX_WORKERS], low = 0, high = 1;
    for (size_t j = 0; j < m->count; j++) r.size += (double)a->deviation[j] * (double)a->deviation[j];
    DR_ATTACKS_FOR
    for (int i = 0; i < count; i++) totals[i] = dr_attacks_measure(a, rows, i, m->count, &r);
    for (int i = 0; i < count; i++) r.bound = totals[i] > r.bound ? totals[i] : r.bound;
    while (high < 1e12 && dr_attacks_fits(&r, high)) high *= 2;
    for (int k = 0; k < 60; k++) {
        double gamma = (low + high) / 2;
        if (dr_attacks_fits(&r, gamma))
            low = gamma;
        else
            high = gamma;
    }
    dr_attacks_shift(a, m, 1, -low);
}

static void dr_attacks_min_max(draco_attacks_priv *a, const void *const *rows, int count,
                               const dr_attacks_message *m) {
    dr_attacks_farthest(a, rows, count, m, 0);
}

static void dr_attacks_min_sum(draco_attacks_priv *a, const void *const *rows, int count,
                               const dr_attacks_message *m) {
    dr_attacks_farthest(a, rows, count, m, 1);
}

/* ---- The table ---- */

static const dr_attacks_entry *dr_attacks_table(int i) {
    static const dr_attacks_entry table[] = {
        {.info = {"none", "nobody lies", 0, 0}, .answer = DR_ATTACKS_HONEST},
        {.info = {"reverse", "reverse gradient: -factor x the message", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse},
        {.info = {"constant", "every number is -factor", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_constant},
        {.info = {"sign-flip", "-factor x the message", 1, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse},
        {.info = {"gaussian", "noise of standard deviation factor", 200, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_gaussian},
        {.info = {"bit-flip", "factor random bits turned over", 1000, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_bit_flip},
        {.info = {"nan", "every number is NaN", 0, 0}, .kind = DR_ATTACKS_LOCAL, .lie = dr_attacks_nan},
        {.info = {"inf", "+Inf and -Inf in turn", 0, 0}, .kind = DR_ATTACKS_LOCAL, .lie = dr_attacks_inf},
        {.info = {"needle", "one number of the message off by factor", 1, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_needle},
        {.info = {"alie", "a little is enough: mean - factor x deviation (0: from n and liars)", 0, 1},
         .kind = DR_ATTACKS_PLOT,
         .plot = dr_attacks_alie},
        {.info = {"ipm", "inner-product manipulation: -factor x mean", 0.5, 1},
         .kind = DR_ATTACKS_PLOT,
         .plot = dr_attacks_ipm},
        {.info = {"mimic", "all liars copy the first honest message", 0, 1},
         .kind = DR_ATTACKS_PLOT,
         .plot = dr_attacks_mimic},
        {.info = {"min-max", "mean - gamma x deviation within the largest honest distance", 0, 1},
         .kind = DR_ATTACKS_PLOT,
         .plot = dr_attacks_min_max},
        {.info = {"min-sum", "mean - gamma x deviation within the largest honest sum of squares", 0, 1},
         .kind = DR_ATTACKS_PLOT,
         .plot = dr_attacks_min_sum},
        {.info = {"label-flip", "honest work on turned labels", 0, 0}, .kind = DR_ATTACKS_FLIP},
        {.info = {"omission", "the message never arrives", 0, 0}, .kind = DR_ATTACKS_OMIT},
        {.info = {"truncation", "half a message", 0, 0}, .kind = DR_ATTACKS_TRUNCATE},
        {.info = {"replay", "the message of the step before (zeros at first)", 0, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_replay},
        {.info = {"under-tolerance", "every number off by factor of the vote's tolerance", 0.999, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_under},
        {.info = {"codeword", "collusion: the valid codeword of one part's gradient + factor", 1, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_codeword},
        {.info = {"patchwork", "another lie in each block of coordinates", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_patchwork},
        {.info = {"rare", "reverse gradient in one step of a hundred", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .every = 100},
        {.info = {"sleeper", "one reverses the gradient; the next wakes when an eviction has made s smaller",
                  100, 1},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .sleeps = 1},
        {.info = {"challenge-false-body", "the right fingerprint, but the reversed body", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .answer = DR_ATTACKS_HONEST},
        {.info = {"challenge-no-body", "the right fingerprint, but silent when asked for the body", 0, 0},
         .kind = DR_ATTACKS_OMIT,
         .answer = DR_ATTACKS_HONEST},
        {.info = {"challenge-half-body", "the right fingerprint, but half a body", 0, 0},
         .kind = DR_ATTACKS_TRUNCATE,
         .answer = DR_ATTACKS_HONEST},
        {.info = {"challenge-claim", "the right body, but a wrong fingerprint", 0, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_truth},
        {.info = {"challenge-silent", "the reversed body, and no fingerprint", 100, 0},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .answer = DR_ATTACKS_SILENT},
        {.info = {"challenge-agree", "the reversed body, and agrees with every body", 100, 1},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .answer = DR_ATTACKS_AGREE},
        {.info = {"challenge-collude", "the reversed body, and agrees with the other liars'", 100, 1},
         .kind = DR_ATTACKS_LOCAL,
         .lie = dr_attacks_reverse,
         .answer = DR_ATTACKS_COLLUDE},
    };
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? table + i : NULL;
}

DRACO_ATTACKS_API const draco_attack_info *draco_attack_list(int i) {
    const dr_attacks_entry *entry = dr_attacks_table(i);
    return entry ? &entry->info : NULL;
}

static const dr_attacks_entry *dr_attacks_find(const char *name) {
    for (int i = 0; dr_attacks_table(i); i++)
        if (strcmp(name ? name : "none", dr_attacks_table(i)->info.name) == 0) return dr_attacks_table(i);
    return NULL;
}

DRACO_ATTACKS_API draco_status draco_attack_check(const draco_attack_config *c, char *text, size_t capacity) {
    const dr_attacks_entry *entry = dr_attacks_find(c->name);
    const char *wrong = NULL;
    char line[200];
    if (!entry)
        wrong = "unknown attack";
    else if (c->code.n < 1 || c->code.n > DRACO_MAX_WORKERS || c->code.parts < 1)
        wrong = "the code is not set up";
    else if (c->liars < 0 || c->missing < 0)
        wrong = "a negative number of workers";
    else if (c->liars > c->code.n || c->missing > c->code.n - c->liars)
        wrong = "more liars and missing than workers";
    else if (!(fabs(c->factor) <= 1e30))
        wrong = "the factor is not a number, or past 1e30";
    else if (entry->kind == DR_ATTACKS_FLIP && !c->flipped)
        wrong = "label-flip needs a flipped worker";
    for (int k = 0; !wrong && c->ids && c->who == DRACO_ATTACK_FIXED && k < c->liars; k++)
        if (c->ids[k] < 0 || c->ids[k] >= c->code.n) wrong = "an id that is no worker";
    if (!wrong) return DRACO_OK;
    snprintf(line, sizeof line, "attack %.40s: %s (%d workers, %d liars, %d missing)",
             c->name ? c->name : "none", wrong, c->code.n, c->liars, c->missing);
    if (text && capacity > 0) snprintf(text, capacity, "%s", line);
    return DRACO_E_ARGUMENT;
}

/* ---- Who ---- */

/* Mark `count` workers that are not in `except` (NULL: nobody is), each set equally likely. */
static void dr_attacks_choose(const draco_attack_config *c, uint64_t step, uint64_t who, int count,
                              const unsigned char *except, unsigned char *flags) {
    int left = 0;
    for (int i = 0; i < c->code.n; i++) {
        left += !except || !except[i];
        flags[i] = 0;
    }
    for (int k = 0; k < count && left > 0; k++, left--) {
        uint32_t word[4];
        dr_attacks_draw(c, step, who, (uint64_t)k, word);
        int skip = (int)(word[0] % (uint32_t)left), i = 0;
        for (;; i++) {
            if ((except && except[i]) || flags[i]) continue;
            if (skip-- == 0) break;
        }
        flags[i] = 1;
    }
}

/* Group after group, or neighbour after neighbour on the circle, from a place that is drawn. */
static void dr_attacks_worst(const draco_attack_config *c, uint64_t step, uint64_t who,
                             unsigned char *flags) {
    const draco_code *code = &c->code;
    uint32_t word[4];
    int left = c->liars;
    dr_attacks_draw(c, step, who, 0, word);
    memset(flags, 0, (size_t)code->n);
    if (code->scheme == DRACO_CYCLIC) {
        draco_code now = *code;
        draco_code_at(&now, step);
        for (int i = 0; i < code->n; i++) {
            uint32_t seat = (uint32_t)draco_code_seat(&now, i), n = (uint32_t)code->n;
            flags[i] = (seat + n - word[0] % n) % n < (uint32_t)left;
        }
        return;
    }
    for (int k = 0; k < code->groups && left > 0; k++) {
        int group = (int)((word[0] + (uint32_t)k) % (uint32_t)code->groups);
        for (int i = 0; i < code->n && left > 0; i++) {
            if (draco_code_group(code, i) != group) continue;
            flags[i] = 1;
            left--;
        }
    }
}

DRACO_ATTACKS_API draco_status draco_attack_liars(const draco_attack_config *c, uint64_t step, int attempt,
                                                  unsigned char *flags) {
    draco_status status = draco_attack_check(c, NULL, 0);
    if (status < 0) return status;
    const dr_attacks_entry *entry = dr_attacks_find(c->name);
    memset(flags, 0, (size_t)c->code.n);
    if (entry->kind == DR_ATTACKS_NONE) return DRACO_OK;
    if (entry->every) {
        uint32_t word[4];
        dr_attacks_draw(c, step, 512, 0, word);
        if (word[0] % (uint32_t)entry->every) return DRACO_OK;
    }
    if (c->who == DRACO_ATTACK_WORST)
        dr_attacks_worst(c, step, (uint64_t)attempt << 8, flags);
    else if (c->who == DRACO_ATTACK_RANDOM)
        dr_attacks_choose(c, step, (uint64_t)attempt << 8, c->liars, NULL, flags);
    else if (!c->ids)
        dr_attacks_choose(c, 0, 0, c->liars, NULL, flags);
    else
        for (int k = 0; k < c->liars; k++) flags[c->ids[k]] = 1;
    return DRACO_OK;
}

DRACO_ATTACKS_API draco_status draco_attack_missing(const draco_attack_config *c, uint64_t step, int attempt,
                                                    unsigned char *flags) {
    unsigned char liar[DRACO_MAX_WORKERS];
    draco_status status = draco_attack_check(c, NULL, 0);
    if (status >= 0) status = draco_attack_liars(c, step, attempt, liar);
    if (status < 0) return status;
    uint64_t when = c->missing_fixed ? 0 : step, who = c->missing_fixed ? 0 : (uint64_t)attempt << 8;
    dr_attacks_choose(c, when, who + 1, c->missing, liar, flags);
    return DRACO_OK;
}

DRACO_ATTACKS_API void draco_attack_flip_labels(int32_t *labels, size_t count, int classes) {
    for (size_t i = 0; i < count; i++) labels[i] = classes - 1 - labels[i];
}

/* ---- A request goes out ---- */

/* Does this request begin an attempt at a step, and not its second half? */
static int dr_attacks_begins(const draco_request *request) {
    return request->kind == DRACO_REQUEST_MESSAGE || request->kind == DRACO_REQUEST_EXPONENTS ||
           request->kind == DRACO_REQUEST_PREDICTED || request->kind == DRACO_REQUEST_READY;
}

/* A team of a reactive code has s + 1 + t members; what is missing of s has been evicted. */
static void dr_attacks_sleep(draco_attacks_priv *a) {
    int awake = a->c.code.s + 2 + a->c.code.t;
    for (int i = 0; i < a->n; i++) awake -= draco_request_part(&a->c.code, &a->request, i, NULL) == 0;
    if (!a->c.code.reactive) awake = 1;
    for (int i = 0; i < a->n; i++)
        if (a->liar[i] && awake-- <= 0) a->liar[i] = 0;
}

static void dr_attacks_note(draco_attacks_priv *a, const draco_request *request) {
    a->request = *request;
    if (request->params) {
        a->params = request->params;
        a->params_count = request->params_count;
    }
    if (!dr_attacks_begins(request)) return;
    a->attempt = a->begun && request->step == a->step ? a->attempt + 1 : 0;
    a->begun = 1;
    a->step = request->step;
    draco_code_at(&a->c.code, a->step);
    draco_attack_liars(&a->c, a->step, a->attempt, a->liar);
    if (a->entry->sleeps) dr_attacks_sleep(a);
    draco_attack_missing(&a->c, a->step, a->attempt, a->missing);
}

/* ---- A liar's reply is whole ---- */

static void dr_attacks_garble(unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) bytes[i] ^= DR_ATTACKS_GARBLE;
}

/* The bodies of the speakers, as the server got them. */
static void dr_attacks_overhear(draco_attacks_priv *a, int worker, const void *bytes, size_t size) {
    int g = draco_request_part(&a->c.code, &a->request, worker, NULL);
    if (a->request.kind != DRACO_REQUEST_BODY || a->entry->answer < DR_ATTACKS_AGREE || g < 0) return;
    if (a->body_bytes != size) {
        for (int k = 0; k < a->n; k++) {
            free(a->body[k]);
            a->body[k] = NULL;
        }
        a->body_bytes = size;
    }
    if (!a->body[g]) a->body[g] = malloc(size);
    if (a->body[g]) memcpy(a->body[g], bytes, size);
    a->speaker[g] = worker;
}

/* Write the fingerprint of the body that this worker's speaker has sent, if the attack does so. */
static int dr_attacks_agree(const draco_attacks_priv *a, int worker, void *answer) {
    int g = draco_request_part(&a->c.code, &a->request, worker, NULL);
    draco_seed seed;
    if (a->entry->answer < DR_ATTACKS_AGREE || g < 0 || !a->body[g] || a->request.extra_bytes < sizeof seed)
        return 0;
    if (a->entry->answer == DR_ATTACKS_COLLUDE && !a->liar[a->speaker[g]]) return 0;
    memcpy(&seed, a->request.extra, sizeof seed);
    draco_fingerprint_of(&seed, a->body[g], a->body_bytes, answer);
    return 1;
}

/* Change a reply in place. Returns how many of its bytes are to be sent; -1: it never arrives. */
static long long dr_attacks_change(draco_attacks_priv *a, int worker, void *bytes, size_t size) {
    draco_request_kind ask = a->request.kind;
    long long whole = (long long)size;
    if (ask == DRACO_REQUEST_PROBE || ask == DRACO_REQUEST_STOP) return whole;
    if (a->entry->kind == DR_ATTACKS_FLIP) {
        draco_request request = a->request;
        request.params = a->params;
        request.params_count = a->params_count;
        return draco_worker_reply(a->c.flipped, worker, &request, bytes) < 0 ? whole / 2 : whole;
    }
    if ((ask == DRACO_REQUEST_READY || ask == DRACO_REQUEST_FINGERPRINT) &&
        a->entry->answer == DR_ATTACKS_HONEST)
        return whole;
    if (ask == DRACO_REQUEST_READY && a->entry->kind != DR_ATTACKS_OMIT) return whole;
    if (ask == DRACO_REQUEST_FINGERPRINT && a->entry->answer == DR_ATTACKS_SILENT) return -1;
    if (ask == DRACO_REQUEST_EXPONENTS && a->c.honest_exponents) return whole;
    if (a->entry->kind == DR_ATTACKS_OMIT) return -1;
    if (a->entry->kind == DR_ATTACKS_TRUNCATE) return whole / 2;
    if (!dr_attacks_carries_message(ask)) {
        if (ask != DRACO_REQUEST_FINGERPRINT || !dr_attacks_agree(a, worker, bytes))
            dr_attacks_garble(bytes, size);
        return whole;
    }
    size_t message = dr_attacks_message_bytes(a, size);
    dr_attacks_message m = dr_attacks_view(a, bytes, message);
    if (!a->c.honest_exponents) dr_attacks_garble((unsigned char *)bytes + message, size - message);
    if (a->entry->kind == DR_ATTACKS_LOCAL)
        a->entry->lie(a, worker, &m);
    else if (a->plot_bytes == message)
        memcpy(bytes, a->plot, message);
    else
        dr_attacks_reverse(a, worker, &m);
    return whole;
}

/* ---- Server side: between the transport and the inbox ---- */

static void *dr_attacks_reserve(void *ctx, int worker) {
    draco_attacks_priv *a = ctx;
    if (worker < 0 || worker >= a->n || a->missing[worker]) return NULL;
    a->row[worker] = a->inbox->reserve(a->inbox->ctx, worker);
    return a->row[worker];
}

static void dr_attacks_chunk(void *ctx, int worker, size_t offset, size_t n) {
    draco_attacks_priv *a = ctx;
    if (worker < 0 || worker >= a->n || a->liar[worker] || a->missing[worker]) return;
    a->inbox->chunk(a->inbox->ctx, worker, offset, n);
}

static draco_status dr_attacks_deliver(draco_attacks_priv *a, int worker, draco_arrival arrival) {
    const draco_inbox *inbox = a->inbox;
    if (arrival == DRACO_ARRIVAL_WHOLE && a->row[worker])
        dr_attacks_watch(a, worker, a->row[worker], a->request.reply_bytes);
    if (arrival == DRACO_ARRIVAL_WHOLE && a->row[worker] && !a->liar[worker])
        dr_attacks_overhear(a, worker, a->row[worker], a->request.reply_bytes);
    if (a->liar[worker] && arrival == DRACO_ARRIVAL_WHOLE && a->row[worker]) {
        size_t size = a->request.reply_bytes;
        long long sent = dr_attacks_change(a, worker, a->row[worker], size);
        if (sent < 0) return DRACO_MORE;
        if (sent > 0) inbox->chunk(inbox->ctx, worker, 0, (size_t)sent);
        if ((size_t)sent < size) arrival = DRACO_ARRIVAL_MALFORMED;
        if ((size_t)sent == size) dr_attacks_overhear(a, worker, a->row[worker], size);
    }
    return inbox->end(inbox->ctx, worker, arrival);
}

static int dr_attacks_plots(const draco_attacks_priv *a) {
    return a->entry->kind == DR_ATTACKS_PLOT && dr_attacks_carries_message(a->request.kind);
}

static draco_status dr_attacks_end(void *ctx, int worker, draco_arrival arrival) {
    draco_attacks_priv *a = ctx;
    if (worker < 0 || worker >= a->n || a->missing[worker]) return DRACO_MORE;
    if (!dr_attacks_plots(a)) return dr_attacks_deliver(a, worker, arrival);
    a->ended[worker] = (unsigned char)arrival;
    return DRACO_MORE;
}

/* Write the lie that all liars will send; without memory or an honest message there is none. */
static void dr_attacks_conspire(draco_attacks_priv *a, size_t size) {
    const void *rows[DRACO_MAX_WORKERS];
    int count = dr_attacks_honest(a, rows);
    if (a->room < size) {
        free(a->plot);
        free(a->mean);
        free(a->deviation);
        a->plot = malloc(size);
        a->mean = malloc(size);
        a->deviation = malloc(size);
        a->room = a->plot && a->mean && a->deviation ? size : 0;
    }
    a->plot_bytes = 0;
    if (count == 0 || a->room < size) return;
    dr_attacks_message m = dr_attacks_view(a, a->plot, size);
    dr_attacks_moments(a, rows, count, m.count);
    a->entry->plot(a, rows, count, &m);
    a->plot_bytes = size;
}

/* An omniscient attack: everybody who will reply has; make the lie, hand out the liars, then the others. */
static draco_status dr_attacks_release(draco_attacks_priv *a, draco_status status) {
    if (!dr_attacks_plots(a)) return status;
    dr_attacks_conspire(a, dr_attacks_message_bytes(a, a->request.reply_bytes));
    for (int liars = 1; liars >= 0; liars--)
        for (int i = 0; i < a->n; i++) {
            if (!a->ended[i] || a->liar[i] != liars) continue;
            if (dr_attacks_deliver(a, i, (draco_arrival)a->ended[i]) == DRACO_OK && status == DRACO_MORE)
                status = DRACO_OK;
        }
    return status;
}

static draco_inbox dr_attacks_open_inbox(draco_attacks_priv *a, const draco_inbox *inbox) {
    draco_inbox mine = {sizeof mine, a, dr_attacks_reserve, dr_attacks_chunk, dr_attacks_end};
    a->inbox = inbox;
    memset(a->ended, 0, (size_t)a->n);
    for (int i = 0; i < a->n; i++) a->row[i] = NULL;
    return mine;
}

static draco_status dr_attacks_broadcast(void *ctx, const draco_request *request) {
    draco_attacks_priv *a = ctx;
    dr_attacks_note(a, request);
    return a->inner.broadcast(a->inner.ctx, request);
}

static draco_status dr_attacks_collect(void *ctx, const draco_request *request, double seconds,
                                       const draco_inbox *inbox) {
    draco_attacks_priv *a = ctx;
    draco_inbox mine = dr_attacks_open_inbox(a, inbox);
    return dr_attacks_release(a, a->inner.collect(a->inner.ctx, request, seconds, &mine));
}

static draco_status dr_attacks_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                                     double seconds, const draco_inbox *inbox) {
    draco_attacks_priv *a = ctx;
    dr_attacks_note(a, request);
    draco_inbox mine = dr_attacks_open_inbox(a, inbox);
    return dr_attacks_release(a, a->inner.fetch(a->inner.ctx, request, whom, seconds, &mine));
}

/* ---- Worker side ---- */

static draco_status dr_attacks_receive(void *ctx, draco_request *request) {
    draco_attacks_priv *a = ctx;
    draco_status status = a->inner.receive(a->inner.ctx, request);
    if (status >= 0) dr_attacks_note(a, request);
    return status;
}

static draco_status dr_attacks_submit(void *ctx, const draco_request *request, const void *reply,
                                      size_t bytes) {
    draco_attacks_priv *a = ctx;
    if (a->missing[a->self]) return DRACO_OK;
    if (!reply || bytes == 0) return a->inner.submit(a->inner.ctx, request, reply, bytes); /* "I cannot" */
    dr_attacks_watch(a, a->self, reply, bytes);
    if (!a->liar[a->self]) return a->inner.submit(a->inner.ctx, request, reply, bytes);
    if (a->reply_bytes < bytes) {
        free(a->reply);
        a->reply = malloc(bytes);
        a->reply_bytes = a->reply ? bytes : 0;
        if (!a->reply) return DRACO_E_MEMORY;
    }
    memcpy(a->reply, reply, bytes);
    long long sent = dr_attacks_change(a, a->self, a->reply, bytes);
    return sent < 0 ? DRACO_OK : a->inner.submit(a->inner.ctx, request, a->reply, (size_t)sent);
}

/* ---- What is only passed on ---- */

static draco_status dr_attacks_exchange(void *ctx, const void *mine, size_t bytes, void *all) {
    draco_attacks_priv *a = ctx;
    return a->inner.exchange(a->inner.ctx, mine, bytes, all);
}

static draco_status dr_attacks_close(void *ctx) {
    draco_attacks_priv *a = ctx;
    return a->inner.close(a->inner.ctx);
}

static const char *dr_attacks_explain(void *ctx) {
    draco_attacks_priv *a = ctx;
    return a->inner.explain(a->inner.ctx);
}

static void dr_attacks_conclude(void *ctx, draco_status how) {
    draco_attacks_priv *a = ctx;
    a->inner.conclude(a->inner.ctx, how);
}

static int dr_attacks_lost(void *ctx) {
    draco_attacks_priv *a = ctx;
    return a->inner.lost(a->inner.ctx);
}

/* ---- Wrapping ---- */

static void dr_attacks_free(draco_attacks_priv *a) {
    for (int i = 0; a->past && i < (a->self < 0 ? a->n : 1); i++) {
        free(a->past[i].now);
        free(a->past[i].before);
    }
    free(a->liar);
    free(a->missing);
    free(a->row);
    free(a->ended);
    free(a->past);
    free(a->mean);
    free(a->deviation);
    free(a->plot);
    free(a->reply);
    for (int g = 0; a->body && g < a->n; g++) free(a->body[g]);
    free(a->body);
    free(a->speaker);
    free(a);
}

static draco_attacks_priv *dr_attacks_new(const draco_transport *inner, const draco_attack_config *config,
                                          int self) {
    draco_attacks_priv *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->c = *config;
    a->entry = dr_attacks_find(config->name);
    a->factor = fabs(config->factor) > 0 ? config->factor : a->entry->info.factor;
    memcpy(&a->inner, inner, inner->size < sizeof a->inner ? inner->size : sizeof a->inner);
    a->n = config->code.n;
    a->self = self;
    a->liar = calloc((size_t)a->n, 1);
    a->missing = calloc((size_t)a->n, 1);
    a->ended = calloc((size_t)a->n, 1);
    a->row = calloc((size_t)a->n, sizeof *a->row);
    a->past = calloc((size_t)(self < 0 ? a->n : 1), sizeof *a->past);
    a->body = calloc((size_t)a->n, sizeof *a->body);
    a->speaker = calloc((size_t)a->n, sizeof *a->speaker);
    if (a->liar && a->missing && a->ended && a->row && a->past && a->body && a->speaker) return a;
    dr_attacks_free(a);
    return NULL;
}

static draco_status dr_attacks_wrap(draco_transport *outer, const draco_transport *inner,
                                    const draco_attack_config *config, int self) {
    static const draco_transport nothing;
    *outer = nothing;
    draco_status status = draco_attack_check(config, NULL, 0);
    if (status < 0) return status;
    if (self >= config->code.n || (self >= 0 && dr_attacks_find(config->name)->info.omniscient))
        return DRACO_E_ARGUMENT;
    draco_attacks_priv *a = dr_attacks_new(inner, config, self);
    if (!a) return DRACO_E_MEMORY;
    *outer = a->inner;
    outer->size = sizeof *outer;
    outer->ctx = a;
    if (outer->broadcast) outer->broadcast = dr_attacks_broadcast;
    if (outer->collect) outer->collect = dr_attacks_collect;
    if (outer->fetch) outer->fetch = dr_attacks_fetch;
    if (outer->exchange) outer->exchange = dr_attacks_exchange;
    if (outer->receive) outer->receive = dr_attacks_receive;
    if (outer->submit) outer->submit = dr_attacks_submit;
    if (outer->close) outer->close = dr_attacks_close;
    if (outer->explain) outer->explain = dr_attacks_explain;
    if (outer->conclude) outer->conclude = dr_attacks_conclude;
    if (outer->lost) outer->lost = dr_attacks_lost;
    return DRACO_OK;
}

DRACO_ATTACKS_API draco_status draco_attack_wrap(draco_transport *outer, const draco_transport *inner,
                                                 const draco_attack_config *config) {
    return dr_attacks_wrap(outer, inner, config, -1);
}

DRACO_ATTACKS_API draco_status draco_attack_wrap_worker(draco_transport *outer, const draco_transport *inner,
                                                        const draco_attack_config *config, int worker) {
    return worker < 0 ? DRACO_E_ARGUMENT : dr_attacks_wrap(outer, inner, config, worker);
}

DRACO_ATTACKS_API void draco_attack_unwrap(draco_transport *outer) {
    static const draco_transport nothing;
    if (outer->ctx) dr_attacks_free(outer->ctx);
    *outer = nothing;
}

#endif /* DRACO_ATTACKS_IMPLEMENTATION */

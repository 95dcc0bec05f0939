#if defined(DRACO_CODES_IMPLEMENTATION) && !defined(DRACO_VOTE_IMPLEMENTATION)
#define DRACO_VOTE_IMPLEMENTATION
#endif
#if defined(DRACO_CODES_STATIC) && !defined(DRACO_VOTE_STATIC)
#define DRACO_VOTE_STATIC
#endif
#include "draco_vote.h"

#ifndef DRACO_CODES_H
#define DRACO_CODES_H

#ifdef __FAST_MATH__
#error "draco_codes.h: -ffast-math lets equal inputs give different bits; compile without it"
#endif

#define DRACO_CODES_VERSION 0x000100 /* 0.1.0 */

#ifndef DRACO_CODES_STATIC
#define DRACO_CODES_API extern
#elif defined(__GNUC__)
#define DRACO_CODES_API static __attribute__((unused))
#else
#define DRACO_CODES_API static
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum draco_scheme { DRACO_REPETITION = 0, DRACO_CYCLIC = 1 } draco_scheme;
typedef enum draco_field { DRACO_FIELD_COMPLEX = 0, DRACO_FIELD_PRIME = 1 } draco_field; /* cyclic only */
typedef enum draco_support {
    DRACO_SUPPORT_SPREAD = 0,
    DRACO_SUPPORT_CONTIGUOUS = 1
} draco_support; /* cyclic only */

#define DRACO_BLOCK 4096u /* coordinates that share an exponent; shards begin at multiples of it */
#define DRACO_MAX_WORKERS 4096

/* Fill scheme, field, support, n, s, t (zero elsewhere), then draco_code_init derives the rest or says what
 * is wrong. */
typedef struct draco_code {
    draco_scheme scheme;
    draco_field field;
    draco_support support;
    int n, s, t; /* workers, liars, missing workers the code carries */
    int r;       /* load: parts per worker (cyclic), least size of a group (repetition); 2s + t + 1 */
    int groups;  /* repetition: floor(n / r); cyclic: 1 */
    int parts;   /* parts of a batch: repetition: groups; cyclic: n */
} draco_code;

DRACO_CODES_API draco_status draco_code_init(draco_code *code);
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code); /* equal for equal codes; for handshakes */
DRACO_CODES_API int draco_code_load(const draco_code *code, int worker); /* parts that this worker computes */
DRACO_CODES_API int draco_code_part(const draco_code *code, int worker,
                                    int l); /* its l-th part, l = 0..load-1 */
DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part);
DRACO_CODES_API int draco_code_group(const draco_code *code, int worker);
DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count);
DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]); /* prime: value[0] is the residue */
DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text,
                                           size_t capacity); /* as snprintf */

/* Messages. d floats of gradient; a message is draco_message_bytes(code, d) bytes.
   Complex: the gradient read as adjacent pairs (re, im) = (g[2j], g[2j+1]), d rounded up to even.
   Prime: d residues of 32 bits. Repetition: d floats. */
DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d);
DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, void *message);
DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              void *message); /* exponents: prime only, else NULL */

/* Prime field: one exponent byte per block of DRACO_BLOCK coordinates. */
DRACO_CODES_API size_t draco_exponent_bytes(size_t d);
DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents);
/* reports[i]: load(i) x exponent_bytes(d) bytes, in the order of draco_code_part; NULL: absent. */
DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d);
typedef struct draco_report {
    int present;                                      /* messages that came whole */
    int agreed, blamed, absent, malformed, undecided; /* counts of the verdicts */
    int spare;       /* 2s + t - 2 blamed - missing, the least over groups: redundancy left unused */
    int group;       /* repetition: the first group that could not be decided, else -1 */
    double residual; /* complex: norm of what the located liars do not explain, relative to the threshold */
    double gain;     /* complex: ||v|| sqrt(n), 1 when all workers are honest */
} draco_report;
DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, void *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report);

/* sketch: fold the bytes of one message, in order, any chunking the same bits. The key is the server's
 * secret. */
DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed, void *key);
DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code);
/* offset: bytes into the whole message where this range begins, a multiple of 4 DRACO_BLOCK (0 unless
 * sharded). */
DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset, void *sketch);
DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const void *key, void *sketch,
                                              const void *bytes, size_t n);
DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const void *key, void *into,
                                                const void *from);

/* locate: n sketches (NULL: absent) of messages of d coordinates -> verdicts and one weight per worker. */
DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code);
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_locate(const draco_code *code, const void *key, size_t d,
                                          const void *const *sketches, void *work, void *weights,
                                          draco_verdict *verdicts, draco_report *report);
/* Is weight i non-zero, i.e. must message i be in memory for combine? */
DRACO_CODES_API int draco_weight_used(const draco_code *code, const void *weights, int worker);

/* combine: sum[0..count) = coordinates first..first+count-1 of the decoded sum; rows hold d coordinates each.
 */
DRACO_CODES_API draco_status draco_combine(const draco_code *code, const void *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum);

/* The 16 bytes that stand for a message in the vote of its group (repetition only): equal messages have equal
 * tokens, so that a draco_box can decide a group as soon as enough messages came. */
#define DRACO_TOKEN_BYTES DRACO_FINGERPRINT_BYTES
DRACO_CODES_API draco_status draco_sketch_token(const draco_code *code, const void *key, const void *sketch,
                                                uint8_t token[DRACO_TOKEN_BYTES]);
/* One line of words on what a locate or a decode found; as snprintf. */
DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity);

/* All three in one call. */
DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          void *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_H */

#if defined(DRACO_CODES_IMPLEMENTATION) && !defined(DRACO_CODES_IMPLEMENTED)
#define DRACO_CODES_IMPLEMENTED

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The descriptor ---- */

static int draco_codes_priv_valid(const draco_code *code) {
    return code && code->n >= 1 && code->n <= DRACO_MAX_WORKERS && code->s >= 0 && code->t >= 0 &&
           code->s <= code->n && code->t <= code->n && code->r == 2 * code->s + code->t + 1 &&
           code->r <= code->n && code->groups >= 1 && code->groups <= code->n && code->parts >= 1 &&
           code->parts <= code->n;
}

static int draco_codes_priv_cyclic(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC;
}

static int draco_codes_priv_complex(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_COMPLEX;
}

DRACO_CODES_API draco_status draco_code_init(draco_code *code) {
    draco_code c;
    if (!code) return DRACO_E_ARGUMENT;
    c = *code;
    if (c.scheme != DRACO_REPETITION && c.scheme != DRACO_CYCLIC) return DRACO_E_ARGUMENT;
    if (c.field != DRACO_FIELD_COMPLEX && c.field != DRACO_FIELD_PRIME) return DRACO_E_ARGUMENT;
    if (c.support != DRACO_SUPPORT_SPREAD && c.support != DRACO_SUPPORT_CONTIGUOUS) return DRACO_E_ARGUMENT;
    if (c.n < 1 || c.n > DRACO_MAX_WORKERS || c.s < 0 || c.s > c.n || c.t < 0 || c.t > c.n)
        return DRACO_E_ARGUMENT;
    c.r = 2 * c.s + c.t + 1;
    if (c.r > c.n) return DRACO_E_ARGUMENT;
    if (c.scheme == DRACO_REPETITION) {
        c.field = DRACO_FIELD_COMPLEX;
        c.support = DRACO_SUPPORT_SPREAD;
    }
    c.groups = c.scheme == DRACO_REPETITION ? c.n / c.r : 1;
    c.parts = c.scheme == DRACO_REPETITION ? c.groups : c.n;
    *code = c;
    return DRACO_OK;
}

/* FNV-1a over what makes two codes differ. */
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code) {
    uint64_t hash = 14695981039346656037u;
    int values[6], i, shift;
    if (!draco_codes_priv_valid(code)) return 0;
    values[0] = (int)code->scheme;
    values[1] = (int)code->field;
    values[2] = (int)code->support;
    values[3] = code->n;
    values[4] = code->s;
    values[5] = code->t;
    for (i = 0; i < 6; i++) {
        for (shift = 0; shift < 16; shift += 8) {
            hash = (hash ^ ((uint64_t)values[i] >> shift & 0xff)) * 1099511628211u;
        }
    }
    return hash;
}

/* Offset of the l-th member of a support: worker (k + offset) mod n holds part k. */
static int draco_codes_priv_offset(const draco_code *code, int l) {
    if (code->support == DRACO_SUPPORT_CONTIGUOUS) return l;
    return (2 * l * code->n + code->r) / (2 * code->r);
}

DRACO_CODES_API int draco_code_load(const draco_code *code, int worker) {
    if (!draco_codes_priv_valid(code) || worker < 0 || worker >= code->n) return 0;
    return draco_codes_priv_cyclic(code) ? code->r : 1;
}

DRACO_CODES_API int draco_code_part(const draco_code *code, int worker, int l) {
    if (l < 0 || l >= draco_code_load(code, worker)) return -1;
    if (!draco_codes_priv_cyclic(code)) return worker % code->groups;
    return (worker - draco_codes_priv_offset(code, l) + code->n) % code->n;
}

DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part) {
    int l;
    for (l = 0; l < draco_code_load(code, worker); l++) {
        if (draco_code_part(code, worker, l) == part) return 1;
    }
    return 0;
}

DRACO_CODES_API int draco_code_group(const draco_code *code, int worker) {
    if (!draco_codes_priv_valid(code) || worker < 0 || worker >= code->n) return -1;
    return worker % code->groups;
}

DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count) {
    size_t parts, share, extra, p = (size_t)part;
    *first = *count = 0;
    if (!draco_codes_priv_valid(code) || part < 0 || part >= code->parts) return;
    parts = (size_t)code->parts;
    share = batch / parts;
    extra = batch % parts;
    *first = p * share + (p < extra ? p : extra);
    *count = share + (p < extra);
}

DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]) {
    if (!draco_codes_priv_valid(code) || part < 0 || part >= code->parts || worker < 0 || worker >= code->n)
        return DRACO_E_ARGUMENT;
    if (draco_codes_priv_cyclic(code)) return DRACO_E_ARGUMENT;
    value[0] = draco_code_holds(code, worker, part);
    value[1] = 0;
    return DRACO_OK;
}

DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text, size_t capacity) {
    int length;
    if (!draco_codes_priv_valid(code)) {
        length = snprintf(text, capacity, "not a code");
    } else if (draco_codes_priv_cyclic(code)) {
        length =
            snprintf(text, capacity,
                     "cyclic code, %s field, %s supports: %d workers, %d liars, %d missing; %d parts, each "
                     "held by %d workers, %d a worker",
                     code->field == DRACO_FIELD_PRIME ? "prime" : "complex",
                     code->support == DRACO_SUPPORT_SPREAD ? "spread" : "contiguous", code->n, code->s,
                     code->t, code->parts, code->r, code->r);
    } else {
        int least = code->n / code->groups, most = (code->n + code->groups - 1) / code->groups;
        length =
            snprintf(text, capacity,
                     "repetition code: %d workers, %d liars, %d missing; %d part%s, each held by a group of "
                     "%d%s%.0d workers",
                     code->n, code->s, code->t, code->parts, code->parts == 1 ? "" : "s", least,
                     most > least ? " or " : "", most > least ? most : 0);
    }
    return length < 0 ? 0 : (size_t)length;
}

/* ---- Messages ---- */

#define DRACO_CODES_PRIV_MAX_D (((size_t)-1) / 8)

DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d) {
    if (!draco_codes_priv_valid(code) || d > DRACO_CODES_PRIV_MAX_D) return 0;
    return 4 * (draco_codes_priv_complex(code) ? d + d % 2 : d);
}

DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, void *message) {
    if (draco_message_bytes(code, d) == 0 || !message) return DRACO_E_ARGUMENT;
    if (draco_codes_priv_cyclic(code)) memset(message, 0, draco_message_bytes(code, d));
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              void *message) {
    if (draco_message_bytes(code, d) == 0 || !gradient || !message || !draco_code_holds(code, worker, part))
        return DRACO_E_ARGUMENT;
    (void)exponents;
    if (draco_codes_priv_cyclic(code)) return DRACO_E_ARGUMENT;
    memcpy(message, gradient, 4 * d);
    return DRACO_OK;
}

DRACO_CODES_API size_t draco_exponent_bytes(size_t d) {
    return d / DRACO_BLOCK + (d % DRACO_BLOCK != 0);
}

DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents) {
    (void)code, (void)gradient, (void)d, (void)exponents;
    return DRACO_E_ARGUMENT;
}

DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d) {
    (void)code, (void)d;
    return 0;
}

DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, void *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report) {
    (void)code, (void)reports, (void)d, (void)work, (void)agreed, (void)verdicts, (void)report;
    return DRACO_E_ARGUMENT;
}

/* ---- Sketch ---- */

/* Every sketch begins with what was folded. */
typedef struct draco_codes_priv_sketch {
    uint64_t offset, bytes; /* where the range begins in the message; bytes taken in so far */
} draco_codes_priv_sketch;

typedef struct draco_codes_priv_print {
    draco_codes_priv_sketch head;
    draco_fingerprint print;
} draco_codes_priv_print;

DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code) {
    if (!draco_codes_priv_valid(code) || draco_codes_priv_cyclic(code)) return 0;
    return sizeof(draco_fingerprint_key);
}

DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed,
                                                   void *key) {
    if (draco_sketch_key_bytes(code) == 0 || !seed || !key) return DRACO_E_ARGUMENT;
    draco_fingerprint_key_init((draco_fingerprint_key *)key, seed);
    return DRACO_OK;
}

DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code) {
    if (!draco_codes_priv_valid(code) || draco_codes_priv_cyclic(code)) return 0;
    return sizeof(draco_codes_priv_print);
}

DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset, void *sketch) {
    draco_codes_priv_print *p = (draco_codes_priv_print *)sketch;
    if (draco_sketch_bytes(code) == 0 || !sketch || offset % (4 * DRACO_BLOCK) != 0) return DRACO_E_ARGUMENT;
    p->head.offset = offset;
    p->head.bytes = 0;
    draco_fingerprint_begin(&p->print, offset);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const void *key, void *sketch,
                                              const void *bytes, size_t n) {
    draco_codes_priv_print *p = (draco_codes_priv_print *)sketch;
    if (draco_sketch_bytes(code) == 0 || !key || !sketch || (!bytes && n > 0)) return DRACO_E_ARGUMENT;
    p->head.bytes += n;
    draco_fingerprint_add(&p->print, (const draco_fingerprint_key *)key, bytes, n);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const void *key, void *into,
                                                const void *from) {
    draco_codes_priv_print *a = (draco_codes_priv_print *)into;
    const draco_codes_priv_print *b = (const draco_codes_priv_print *)from;
    if (draco_sketch_bytes(code) == 0 || !key || !into || !from) return DRACO_E_ARGUMENT;
    a->head.bytes += b->head.bytes;
    draco_fingerprint_merge(&a->print, (const draco_fingerprint_key *)key, &b->print);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_token(const draco_code *code, const void *key, const void *sketch,
                                                uint8_t token[DRACO_TOKEN_BYTES]) {
    const draco_codes_priv_print *p = (const draco_codes_priv_print *)sketch;
    if (draco_sketch_bytes(code) == 0 || draco_codes_priv_cyclic(code) || !key || !sketch)
        return DRACO_E_ARGUMENT;
    draco_fingerprint_finish(&p->print, (const draco_fingerprint_key *)key, token);
    return DRACO_OK;
}

/* ---- Locate ---- */

static void draco_codes_priv_count(const draco_code *code, const draco_verdict *verdicts,
                                   draco_report *report) {
    int i;
    memset(report, 0, sizeof *report);
    report->group = -1;
    report->gain = 1;
    for (i = 0; i < code->n; i++) {
        report->agreed += verdicts[i] == DRACO_AGREES;
        report->blamed += verdicts[i] == DRACO_BLAMED;
        report->absent += verdicts[i] == DRACO_ABSENT;
        report->malformed += verdicts[i] == DRACO_MALFORMED;
        report->undecided += verdicts[i] == DRACO_UNDECIDED;
    }
    report->present = code->n - report->absent - report->malformed;
    report->spare = 2 * code->s + code->t - 2 * report->blamed - report->absent - report->malformed;
}

/* What can be said of a message before it is compared with others. */
static draco_verdict draco_codes_priv_first_look(const draco_code *code, size_t d, const void *sketch) {
    const draco_codes_priv_sketch *head = (const draco_codes_priv_sketch *)sketch;
    if (!sketch) return DRACO_ABSENT;
    return head->bytes == draco_message_bytes(code, d) ? DRACO_UNDECIDED : DRACO_MALFORMED;
}

typedef struct draco_codes_priv_vote {
    draco_verdict *verdicts; /* of the members of one group */
    unsigned char *chosen;   /* per worker: its message stands for its group */
    void *box;
} draco_codes_priv_vote;

static size_t draco_codes_priv_align(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t draco_codes_priv_group_size(const draco_code *code, int group) {
    return (size_t)((code->n - group + code->groups - 1) / code->groups);
}

static size_t draco_codes_priv_vote_bytes(const draco_code *code) {
    size_t n = (size_t)code->n, members = draco_codes_priv_group_size(code, 0);
    return draco_codes_priv_align(members * sizeof(draco_verdict)) + draco_codes_priv_align(n) +
           draco_codes_priv_align(draco_box_bytes(members, DRACO_TOKEN_BYTES));
}

/* Member m of a group is worker group + m * groups. */
static draco_status draco_codes_priv_vote_group(const draco_code *code, const void *key, size_t d,
                                                const void *const *sketches, int group,
                                                draco_codes_priv_vote *vote, draco_verdict *verdicts) {
    size_t members = draco_codes_priv_group_size(code, group), m, winner = 0;
    draco_box box;
    draco_status status = draco_box_open(&box, members, DRACO_TOKEN_BYTES, (size_t)code->s + 1, vote->box);
    for (m = 0; m < members && status >= 0; m++) {
        size_t worker = (size_t)group + m * (size_t)code->groups;
        uint8_t token[DRACO_TOKEN_BYTES];
        verdicts[worker] = draco_codes_priv_first_look(code, d, sketches[worker]);
        if (verdicts[worker] == DRACO_UNDECIDED) {
            draco_sketch_token(code, key, sketches[worker], token);
            draco_box_cast(&box, m, token);
        } else {
            status = draco_box_spoil(&box, m, verdicts[worker]);
        }
    }
    if (status == DRACO_OK) status = draco_box_close(&box, &winner, vote->verdicts);
    if (status != DRACO_OK) return status;
    for (m = 0; m < members; m++) {
        verdicts[(size_t)group + m * (size_t)code->groups] = vote->verdicts[m];
    }
    vote->chosen[(size_t)group + winner * (size_t)code->groups] = 1;
    return DRACO_OK;
}

static draco_status draco_codes_priv_locate_vote(const draco_code *code, const void *key, size_t d,
                                                 const void *const *sketches, void *work, double *weights,
                                                 draco_verdict *verdicts, draco_report *report) {
    size_t n = (size_t)code->n, members = draco_codes_priv_group_size(code, 0), i;
    draco_codes_priv_vote vote;
    draco_status status = DRACO_OK;
    int g, undecided = -1, spare = 2 * code->s + code->t;
    vote.verdicts = (draco_verdict *)work;
    vote.chosen = (unsigned char *)work + draco_codes_priv_align(members * sizeof(draco_verdict));
    vote.box = vote.chosen + draco_codes_priv_align(n);
    memset(vote.chosen, 0, n);
    for (g = 0; g < code->groups; g++) {
        draco_status s = draco_codes_priv_vote_group(code, key, d, sketches, g, &vote, verdicts);
        int left = 2 * code->s + code->t;
        for (i = (size_t)g; i < n; i += (size_t)code->groups) {
            left -= verdicts[i] == DRACO_BLAMED ? 2 : verdicts[i] >= DRACO_ABSENT;
        }
        if (left < spare) spare = left;
        if (s == DRACO_OK || undecided >= 0) continue;
        undecided = g;
        status = s;
    }
    draco_codes_priv_count(code, verdicts, report);
    report->spare = spare;
    report->group = undecided;
    if (status != DRACO_OK) return status;
    for (i = 0; i < n; i++) {
        weights[2 * i] = vote.chosen[i];
        weights[2 * i + 1] = 0;
    }
    return DRACO_OK;
}

DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code) {
    if (!draco_codes_priv_valid(code) || draco_codes_priv_cyclic(code)) return 0;
    return draco_codes_priv_vote_bytes(code);
}

/* Two doubles a worker: complex: real and imaginary part; prime: a residue; repetition: 1 or 0. */
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code) {
    if (!draco_codes_priv_valid(code)) return 0;
    return draco_codes_priv_align((size_t)code->n * 2 * sizeof(double));
}

DRACO_CODES_API draco_status draco_locate(const draco_code *code, const void *key, size_t d,
                                          const void *const *sketches, void *work, void *weights,
                                          draco_verdict *verdicts, draco_report *report) {
    if (draco_message_bytes(code, d) == 0 || !key || !sketches || !work || !weights || !verdicts || !report)
        return DRACO_E_ARGUMENT;
    if (draco_codes_priv_cyclic(code)) return DRACO_E_ARGUMENT;
    return draco_codes_priv_locate_vote(code, key, d, sketches, work, (double *)weights, verdicts, report);
}

DRACO_CODES_API int draco_weight_used(const draco_code *code, const void *weights, int worker) {
    const double *w = (const double *)weights;
    if (!draco_codes_priv_valid(code) || !weights || worker < 0 || worker >= code->n) return 0;
    return w[2 * worker] != 0 || w[2 * worker + 1] != 0;
}

/* ---- Combine ---- */

#define DRACO_CODES_PRIV_TILE 1024u /* coordinates summed at a time, in double */

static int draco_codes_priv_chosen(const draco_code *code, const double *weights, int group) {
    int i;
    for (i = group; i < code->n; i += code->groups) {
        if (weights[2 * i] != 0) return i;
    }
    return -1;
}

/* The groups' winners, added in the order of the groups in double and rounded once. */
static void draco_codes_priv_sum_groups(const draco_code *code, const double *weights,
                                        const void *const *messages, size_t first, size_t count, float *sum) {
    double acc[DRACO_CODES_PRIV_TILE];
    size_t at, c;
    int g;
    for (at = 0; at < count; at += DRACO_CODES_PRIV_TILE) {
        size_t take = count - at < DRACO_CODES_PRIV_TILE ? count - at : DRACO_CODES_PRIV_TILE;
        for (g = 0; g < code->groups; g++) {
            const float *row =
                (const float *)messages[draco_codes_priv_chosen(code, weights, g)] + first + at;
            if (g == 0)
                for (c = 0; c < take; c++) acc[c] = (double)row[c];
            else
                for (c = 0; c < take; c++) acc[c] += (double)row[c];
        }
        for (c = 0; c < take; c++) sum[at + c] = (float)acc[c];
    }
}

DRACO_CODES_API draco_status draco_combine(const draco_code *code, const void *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum) {
    int i, used = 0;
    if (draco_message_bytes(code, d) == 0 || !weights || !messages || !sum) return DRACO_E_ARGUMENT;
    if (first > d || count > d - first) return DRACO_E_ARGUMENT;
    (void)exponents;
    for (i = 0; i < code->n; i++) {
        if (!draco_weight_used(code, weights, i)) continue;
        if (!messages[i]) return DRACO_E_ARGUMENT;
        used++;
    }
    if (draco_codes_priv_cyclic(code) || used != code->groups) return DRACO_E_ARGUMENT;
    draco_codes_priv_sum_groups(code, (const double *)weights, messages, first, count, sum);
    return DRACO_OK;
}

/* ---- Decode ---- */

DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code) {
    size_t n;
    if (!draco_codes_priv_valid(code)) return 0;
    n = (size_t)code->n;
    return draco_codes_priv_align(n * sizeof(void *)) + draco_codes_priv_align(draco_sketch_key_bytes(code)) +
           draco_codes_priv_align(n * draco_codes_priv_align(draco_sketch_bytes(code))) +
           draco_codes_priv_align(draco_weights_bytes(code)) + draco_locate_work_bytes(code);
}

DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          void *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report) {
    unsigned char *at = (unsigned char *)work, *sketch;
    const void **sketches = (const void **)work;
    void *key, *weights;
    size_t n, i, each, bytes = draco_message_bytes(code, d);
    draco_status status;
    if (bytes == 0 || !seed || !messages || !work || !sum || !verdicts || !report) return DRACO_E_ARGUMENT;
    n = (size_t)code->n;
    each = draco_codes_priv_align(draco_sketch_bytes(code));
    key = at += draco_codes_priv_align(n * sizeof(void *));
    weights = at += draco_codes_priv_align(draco_sketch_key_bytes(code));
    sketch = at += draco_codes_priv_align(draco_weights_bytes(code));
    at += n * each;
    status = draco_sketch_key_init(code, seed, key);
    for (i = 0; i < n && status == DRACO_OK; i++, sketch += each) {
        sketches[i] = messages[i] ? sketch : NULL;
        if (!messages[i]) continue;
        draco_sketch_begin(code, 0, sketch);
        status = draco_sketch_add(code, key, sketch, messages[i], bytes);
    }
    if (status == DRACO_OK) status = draco_locate(code, key, d, sketches, at, weights, verdicts, report);
    if (status < 0) return status;
    if (draco_combine(code, weights, messages, d, 0, d, exponents, sum) != DRACO_OK) return DRACO_E_ARGUMENT;
    return status;
}

static size_t draco_codes_priv_append(char *text, size_t capacity, size_t at, int length) {
    (void)text;
    (void)capacity;
    return length < 0 ? at : at + (size_t)length;
}

/* The numbers of the workers of one group (any when group < 0) with this verdict. */
static size_t draco_codes_priv_list(const draco_code *code, const draco_verdict *verdicts, int group,
                                    draco_verdict which, const char *before, char *text, size_t capacity,
                                    size_t at) {
    int i, listed = 0;
    for (i = 0; i < code->n; i++) {
        char *to = at < capacity ? text + at : NULL;
        size_t room = at < capacity ? capacity - at : 0;
        if (verdicts[i] != which || (group >= 0 && draco_code_group(code, i) != group)) continue;
        at = draco_codes_priv_append(text, capacity, at,
                                     listed++ ? snprintf(to, room, ", %d", i)
                                              : snprintf(to, room, "%s %d", before, i));
    }
    return at;
}

DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity) {
    size_t at = 0;
    int group = -1;
    if (!draco_codes_priv_valid(code) || !verdicts || !report) return 0;
    if (status < 0 && report->group >= 0) {
        group = report->group;
        at = draco_codes_priv_append(text, capacity, at,
                                     snprintf(text, capacity, "group %d: %s (%d equal copies needed)", group,
                                              draco_status_text(status), code->s + 1));
    } else {
        at = draco_codes_priv_append(text, capacity, at,
                                     snprintf(text, capacity, "%s", draco_status_text(status)));
    }
    at = draco_codes_priv_list(code, verdicts, group, DRACO_BLAMED, "; blamed", text, capacity, at);
    at = draco_codes_priv_list(code, verdicts, group, DRACO_ABSENT, "; absent", text, capacity, at);
    at = draco_codes_priv_list(code, verdicts, group, DRACO_MALFORMED, "; malformed", text, capacity, at);
    at = draco_codes_priv_list(code, verdicts, group, DRACO_UNDECIDED, "; undecided", text, capacity, at);
    return at;
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_IMPLEMENTATION */

#ifndef DRACO_CODES_H
#define DRACO_CODES_H

#include "draco_vote.h"

#define DRACO_CODES_VERSION 0x000100
#ifdef DRACO_CODES_STATIC
#define DRACO_CODES_API static
#else
#define DRACO_CODES_API extern
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

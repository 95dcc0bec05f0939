#ifndef DRACO_VOTE_H
#define DRACO_VOTE_H

#include <stddef.h>
#include <stdint.h>

#define DRACO_VOTE_VERSION 0x000100 /* 0.1.0 */

#ifdef DRACO_VOTE_STATIC
#define DRACO_VOTE_API static
#else
#define DRACO_VOTE_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What every call returns: 0 is good, > 0 asks for more messages, < 0 is an error that left the outputs
 * untouched. */
typedef enum draco_status {
    DRACO_OK = 0,
    DRACO_MORE = 1,       /* nothing decided yet */
    DRACO_UNVERIFIED = 2, /* decoded, but no redundancy was left to check the result */
    DRACO_E_ARGUMENT = -1,
    DRACO_E_NO_MAJORITY = -2, /* a group without s+1 equal copies */
    DRACO_E_TOO_MANY_MISSING = -3,
    DRACO_E_AMBIGUOUS = -4, /* no set of liars within the code's reach explains the messages */
    DRACO_E_MALFORMED = -5, /* bytes that are not what they should be */
    DRACO_E_MEMORY = -6,
    DRACO_E_RANDOM = -7, /* the system gave no random bytes */
    DRACO_E_RANGE = -8,  /* a value that cannot be represented: NaN, Inf, saturation */
    DRACO_E_TRANSPORT = -9,
    DRACO_E_CONFIG = -10, /* the two ends were set up differently */
    DRACO_E_TIMEOUT = -11,
    DRACO_E_STOPPED = -12, /* asked to stop */
    DRACO_E_MODEL = -13,
    DRACO_E_IO = -14
} draco_status;

typedef enum draco_verdict {
    DRACO_UNDECIDED = 0,
    DRACO_AGREES,
    DRACO_BLAMED,
    DRACO_ABSENT,
    DRACO_MALFORMED
} draco_verdict;

DRACO_VOTE_API const char *draco_status_text(draco_status status);
DRACO_VOTE_API const char *draco_verdict_text(draco_verdict verdict);

/* 32 secret bytes from which every key of a round is expanded (ChaCha20, RFC 8439). */
typedef struct draco_seed {
    uint8_t bytes[32];
} draco_seed;
DRACO_VOTE_API draco_status draco_seed_random(draco_seed *seed); /* getrandom(2), else /dev/urandom */
DRACO_VOTE_API void draco_seed_expand(const draco_seed *seed, uint64_t stream, void *out, size_t bytes);

/* Exact vote over n buffers of the same size; ballots[i] == NULL is absent; bytes are compared as bytes. */
DRACO_VOTE_API draco_status draco_vote_exact(const void *const *ballots, size_t n, size_t bytes,
                                             size_t quorum, size_t *winner, draco_verdict *verdicts);

/* Tolerant vote, see the issue for the rule. */
DRACO_VOTE_API draco_status draco_vote_tolerant(const float *const *ballots, size_t n, size_t d,
                                                float abs_tol, float rel_tol, size_t quorum, size_t *winner,
                                                draco_verdict *verdicts);

/* Streaming fingerprint. State and key are plain structs owned by the caller (contents private). */
#define DRACO_FINGERPRINT_BLOCK                                                                              \
    1024u /* bytes; ranges that are fingerprinted apart begin at multiples of it */
#define DRACO_FINGERPRINT_BYTES 16u
typedef struct draco_fingerprint_key {
    uint64_t priv[512];
} draco_fingerprint_key; /* size is the implementer's */
typedef struct draco_fingerprint {
    uint64_t priv[16];
} draco_fingerprint; /* size is the implementer's */
DRACO_VOTE_API void draco_fingerprint_key_init(draco_fingerprint_key *key, const draco_seed *seed);
DRACO_VOTE_API void draco_fingerprint_begin(draco_fingerprint *f, uint64_t offset);
DRACO_VOTE_API void draco_fingerprint_add(draco_fingerprint *f, const draco_fingerprint_key *key,
                                          const void *bytes, size_t n);
DRACO_VOTE_API void draco_fingerprint_merge(draco_fingerprint *into, const draco_fingerprint_key *key,
                                            const draco_fingerprint *from);
DRACO_VOTE_API void draco_fingerprint_finish(const draco_fingerprint *f, const draco_fingerprint_key *key,
                                             uint8_t value[DRACO_FINGERPRINT_BYTES]);

/* A vote over short tokens (fingerprints, digests) as they come in. */
typedef struct draco_box {
    size_t n, quorum, token_bytes;
    size_t decided;        /* index of the first voter with the winning token, or n */
    unsigned char *tokens; /* n x token_bytes, in the caller's memory */
    draco_verdict *state;  /* n, in the caller's memory */
} draco_box;
DRACO_VOTE_API size_t draco_box_bytes(size_t n, size_t token_bytes);
DRACO_VOTE_API draco_status draco_box_open(draco_box *box, size_t n, size_t token_bytes, size_t quorum,
                                           void *memory);
DRACO_VOTE_API draco_status draco_box_cast(draco_box *box, size_t voter,
                                           const void *token); /* OK decided, MORE not yet */
DRACO_VOTE_API draco_status draco_box_spoil(draco_box *box, size_t voter,
                                            draco_verdict why); /* ABSENT or MALFORMED */
DRACO_VOTE_API draco_status draco_box_close(const draco_box *box, size_t *winner, draco_verdict *verdicts);

/* A collision-resistant digest handed in by the caller (a kept library's BLAKE2b or SHA-256). */
#define DRACO_DIGEST_BYTES 32u
typedef draco_status (*draco_digest_fn)(void *ctx, const void *bytes, size_t n,
                                        uint8_t digest[DRACO_DIGEST_BYTES]);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_VOTE_H */

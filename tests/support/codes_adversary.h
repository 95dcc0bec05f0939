/* A liar that knows the code: what to add to which message so that the decoder mistakes it for somebody else.
 * Places are workers; a lie of the workers w is a vector e over them, times one vector over the coordinates.
 */
#ifndef CODES_ADVERSARY_H
#define CODES_ADVERSARY_H

#include "support/codes_round.h"

#include <complex.h>

#define ADVERSARY_MOST 128 /* places */

typedef double complex adversary_vector[ADVERSARY_MOST];

static inline double complex adversary_point(const draco_code *code, int worker) {
    return cexp(2 * 3.14159265358979323846 * I * worker / code->n);
}

/* The syndromes of a unit lie of each place, as columns of 2s + t numbers: noise keeps its size in them. */
static inline void adversary_syndromes(const draco_code *code, const int *places, int count,
                                       double complex *columns) {
    int q = code->r - 1;
    for (int j = 0; j < count; j++) {
        double complex x = adversary_point(code, places[j]), power = 1 / sqrt(code->n);
        for (int l = 0; l < q; l++) columns[j * q + l] = power *= x;
    }
}

/* One-sided Jacobi: turns the columns until they are orthogonal; `turned` are the right singular vectors. */
static inline void adversary_orthogonalise(double complex *columns, int q, int count,
                                           double complex *turned) {
    for (int i = 0; i < count * count; i++) turned[i] = i % (count + 1) == 0;
    for (int sweep = 0; sweep < 40; sweep++) {
        double most = 0;
        for (int a = 0; a < count; a++) {
            for (int b = a + 1; b < count; b++) {
                double complex *x = columns + a * q, *y = columns + b * q, dot = 0;
                double xx = 0, yy = 0;
                for (int l = 0; l < q; l++) {
                    dot += conj(x[l]) * y[l];
                    xx += creal(x[l] * conj(x[l]));
                    yy += creal(y[l] * conj(y[l]));
                }
                double size = cabs(dot);
                if (size <= 1e-15 * sqrt(xx * yy) || size == 0) continue;
                if (size / sqrt(xx * yy) > most) most = size / sqrt(xx * yy);
                double zeta = (yy - xx) / (2 * size), t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
                double c = 1 / hypot(1, t), s = c * t;
                double complex phase = dot / size;
                for (int l = 0; l < q; l++) {
                    double complex u = x[l], v = y[l] * conj(phase);
                    x[l] = c * u - s * v;
                    y[l] = s * u + c * v;
                }
                for (int l = 0; l < count; l++) {
                    double complex u = turned[a * count + l], v = turned[b * count + l] * conj(phase);
                    turned[a * count + l] = c * u - s * v;
                    turned[b * count + l] = s * u + c * v;
                }
            }
        }
        if (most < 1e-14) break;
    }
}

typedef struct adversary_basis {
    int count;
    double size[ADVERSARY_MOST]; /* singular values, ascending */
    double complex vector[ADVERSARY_MOST][ADVERSARY_MOST];
} adversary_basis;

static inline void adversary_decompose(const draco_code *code, const int *places, int count,
                                       adversary_basis *basis) {
    int q = code->r - 1, order[ADVERSARY_MOST];
    double complex *columns = malloc((size_t)(q * count + count * count + 1) * sizeof *columns);
    double complex *turned = columns + q * count;
    double size[ADVERSARY_MOST];
    assert_true(count <= ADVERSARY_MOST);
    adversary_syndromes(code, places, count, columns);
    adversary_orthogonalise(columns, q, count, turned);
    for (int j = 0; j < count; j++) {
        double sum = 0;
        for (int l = 0; l < q; l++) sum += creal(columns[j * q + l] * conj(columns[j * q + l]));
        size[j] = sqrt(sum);
        int at = j;
        for (; at > 0 && size[order[at - 1]] > size[j]; at--) order[at] = order[at - 1];
        order[at] = j;
    }
    basis->count = count;
    for (int k = 0; k < count; k++) {
        basis->size[k] = size[order[k]];
        for (int l = 0; l < count; l++) basis->vector[k][l] = turned[order[k] * count + l];
    }
    free(columns);
}

/* The lie of the largest sum whose syndromes have norm 1; `floor` keeps its own size, and so the rounding of
 * the lie, in bounds. */
static inline void adversary_solve(const adversary_basis *basis, double floor, double complex *e) {
    double norm = 0;
    for (int l = 0; l < basis->count; l++) e[l] = 0;
    for (int k = 0; k < basis->count; k++) {
        double complex along = 0;
        double size = basis->size[k], square = size * size + floor * floor;
        for (int l = 0; l < basis->count; l++) along += conj(basis->vector[k][l]);
        for (int l = 0; l < basis->count; l++) e[l] += basis->vector[k][l] * along / square;
        norm += pow(cabs(along) * size / square, 2);
    }
    for (int l = 0; l < basis->count; l++) e[l] /= sqrt(norm);
}

/* A codeword that is 0 at all but these r places, its largest value 1. */
static inline void adversary_codeword(const draco_code *code, const int *places, double complex *e) {
    double most = 0;
    for (int i = 0; i < code->r; i++) {
        double complex x = adversary_point(code, places[i]), product = x;
        for (int m = 0; m < code->r; m++)
            if (m != i) product *= x - adversary_point(code, places[m]);
        e[i] = 1 / product;
        if (cabs(e[i]) > most) most = cabs(e[i]);
    }
    for (int i = 0; i < code->r; i++) e[i] /= most;
}

/* In the prime field: the value at places[at] of a codeword that is 0 at all but these r places. */
static inline uint64_t adversary_residue(const draco_code *code, const int *places, int at) {
    const uint64_t p = 0x7fffffff;
    uint64_t product = 1;
    for (int m = 0; m < code->n; m++) {
        int among = 0;
        for (int k = 0; k < code->r; k++) among |= places[k] == m;
        if (!among) product = product * (uint64_t)(places[at] - m + (int64_t)p) % p;
    }
    return product;
}

/* places[0 .. count - 1] are given; adds `more` others, those nearest to any of them on the circle first. */
static inline void adversary_neighbours(const draco_code *code, int *places, int count, int more) {
    int given = count;
    for (int distance = 1; distance <= code->n && more > 0; distance++) {
        for (int k = 0; k < given && more > 0; k++) {
            for (int side = -1; side <= 1 && more > 0; side += 2) {
                int other = ((places[k] + side * distance) % code->n + code->n) % code->n, known = 0;
                for (int j = 0; j < count; j++) known |= places[j] == other;
                if (known) continue;
                places[count++] = other;
                more--;
            }
        }
    }
}

/* message += value * direction, pair by pair */
static inline void adversary_add(float *message, size_t pairs, double complex value,
                                 const double complex *direction) {
    for (size_t c = 0; c < pairs; c++) {
        double complex lie = value * direction[c];
        message[2 * c] = (float)((double)message[2 * c] + creal(lie));
        message[2 * c + 1] = (float)((double)message[2 * c + 1] + cimag(lie));
    }
}

static inline double adversary_norm(const float *x, size_t count) {
    double sum = 0;
    for (size_t c = 0; c < count; c++) sum += (double)x[c] * (double)x[c];
    return sqrt(sum);
}

typedef struct attack {
    const step *now, *before; /* this round, the last one */
    int *places;              /* the liars, then those the lie is to be mistaken for */
    int liars;
    double norm;               /* of an honest message */
    double complex *direction; /* of norm 1 */
    float *guess;              /* a guessed projection vector */
    adversary_vector e;        /* by place */
} attack;

static inline size_t words(const attack *a) {
    return a->now->bytes / 4;
}

static inline void add_planned(attack *a, int k, float *m, double size) {
    adversary_add(m, words(a) / 2, size * a->norm * a->e[k], a->direction);
}

/* What hardly shows in the syndromes: a combination of the liars' places. */
static inline void plan_least(attack *a, double size) {
    static adversary_basis basis;
    adversary_decompose(&a->now->code, a->places, a->liars, &basis);
    for (int k = 0; k < a->liars; k++) a->e[k] = size * basis.vector[0][k];
}

/* What honest rounding leaves in the syndromes, about. */
static inline double noise_of(const draco_code *code) {
    return 0x1p-24 * 0.3 * sqrt(code->r + 1.0) * sqrt(code->r - 1.0);
}

/* As many honest neighbours as liars: half of a lie that hardly shows in the syndromes. */
static inline void plan_solved(attack *a, double size, double floor) {
    static adversary_basis basis;
    adversary_neighbours(&a->now->code, a->places, a->liars, a->liars);
    adversary_decompose(&a->now->code, a->places, 2 * a->liars, &basis);
    adversary_solve(&basis, floor, a->e);
    for (int k = 0; k < 2 * a->liars; k++) a->e[k] *= size * noise_of(&a->now->code);
}

static inline void make_direction(attack *a, int kind, uint64_t *rng) {
    size_t pairs = words(a) / 2;
    double norm = 0;
    for (size_t c = 0; c < pairs; c++) {
        a->direction[c] = kind == 0   ? (double)rng_normal(rng) + I * (double)rng_normal(rng)
                          : kind == 1 ? (rng_below(rng, 2) ? 1 : -1)
                                      : c == 0;
        norm += creal(a->direction[c] * conj(a->direction[c]));
    }
    for (size_t c = 0; c < pairs; c++) a->direction[c] /= sqrt(norm);
    for (size_t c = 0; c < words(a); c++) a->guess[c] = rng_normal(rng);
}

static inline void attack_open(attack *a, size_t d) {
    a->places = malloc(2 * DRACO_MAX_WORKERS * sizeof *a->places);
    a->direction = malloc((d + 1) * sizeof *a->direction);
    a->guess = malloc((d + 1) * sizeof *a->guess);
}

static inline void attack_close(attack *a) {
    free(a->places);
    free(a->direction);
    free(a->guess);
}

static inline void attack_aim(attack *a, const step *now, const int *chosen, int liars, uint64_t *rng) {
    a->now = now;
    a->liars = liars;
    memcpy(a->places, chosen, (size_t)liars * sizeof *chosen);
    a->norm = 0;
    for (int i = 0; i < now->code.n; i++)
        a->norm += adversary_norm((float *)(void *)step_message(now, i), now->bytes / 4) / now->code.n;
    make_direction(a, rng_below(rng, 3), rng);
}

#endif

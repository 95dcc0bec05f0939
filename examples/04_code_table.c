/* What a cyclic code looks like and how well it is conditioned: the assignment matrix, the largest coefficient, and
 * the worst gains found by a search over the sets of s + t and of 2s + t workers without weight: as many as s liars and
 * t missing workers, and as many as may be missing when nobody lies.
 *     04_code_table N S T [spread|contiguous]     one code
 *     04_code_table                               the table of docs/codes.md */
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <stdlib.h>

#define PROGRAM "04_code_table"
#define HEAD "|   n |  s | t |  r | supports   | least coef | most coef | s+t gain | 2s+t gain |\n"

/* A locate with honest messages of zeros, some of them missing: its report has the gain. */
typedef struct probe {
    const draco_code *code;
    draco_key *key;
    draco_work *work;
    draco_weights *weights;
    draco_sketch *sketch;
    const draco_sketch **sketches;
    draco_verdict *verdicts;
} probe;

static void *need(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory) {
        fprintf(stderr, PROGRAM ": out of memory\n");
        exit(1);
    }
    return memory;
}

static probe probe_open(const draco_code *code) {
    probe p = {.code = code};
    const draco_seed seed = {{1}};
    const float zeros[2] = {0};
    size_t n = (size_t)code->n;
    p.key = need(draco_sketch_key_bytes(code));
    p.work = need(draco_locate_work_bytes(code));
    p.weights = need(draco_weights_bytes(code));
    p.sketch = need(draco_sketch_bytes(code));
    p.sketches = need(n * sizeof *p.sketches);
    p.verdicts = need(n * sizeof *p.verdicts);
    draco_sketch_key_init(code, &seed, p.key);
    draco_sketch_begin(code, 0, p.sketch);
    draco_sketch_add(code, p.key, p.sketch, zeros, sizeof zeros);
    return p;
}

static void probe_close(probe *p) {
    free(p->key);
    free(p->work);
    free(p->weights);
    free(p->sketch);
    free((void *)p->sketches);
    free(p->verdicts);
}

static double gain(probe *p, const unsigned char *out) {
    draco_report report = {0};
    for (int i = 0; i < p->code->n; i++) p->sketches[i] = out[i] ? NULL : p->sketch;
    draco_status status =
        draco_locate(p->code, p->key, 2, p->sketches, p->work, p->weights, p->verdicts, &report);
    return status >= 0 || status == DRACO_E_RANGE ? report.gain : 0;
}

/* Swaps one member of the set for another worker as long as that makes the gain larger. */
static double climb(probe *p, unsigned char *out, double best) {
    int n = p->code->n, better = 1;
    while (better) {
        better = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n && out[i]; j++) {
                if (out[j]) continue;
                out[i] = 0;
                out[j] = 1;
                double g = gain(p, out);
                if (g > best * 1.0001) {
                    best = g;
                    better = 1;
                } else {
                    out[i] = 1;
                    out[j] = 0;
                }
            }
    }
    return best;
}

/* From neighbours in a row, from every second worker, and from random sets. */
static double worst_gain(const draco_code *code, int size) {
    probe p = probe_open(code);
    int n = code->n;
    unsigned char *out = need((size_t)n), *top = need((size_t)n);
    double worst = 0;
    uint32_t state = 1;
    for (int start = 0; start < 42; start++) {
        memset(out, 0, (size_t)n);
        for (int k = 0, i = 0; k < size; i += start == 1 ? 2 : 1) {
            state = state * 1664525u + 1013904223u;
            int place = start < 2 ? i % n : (int)(state >> 8) % n;
            k += !out[place];
            out[place] = 1;
        }
        double g = gain(&p, out);
        if (g <= worst) continue;
        worst = g;
        memcpy(top, out, (size_t)n);
    }
    if (n <= 64) worst = climb(&p, top, worst);
    free(out);
    free(top);
    probe_close(&p);
    return worst;
}

static void coefficients(const draco_code *code, double *least, double *most) {
    *least = HUGE_VAL;
    *most = 0;
    for (int l = 0; l < code->r; l++) {
        double value[2] = {0}, size;
        draco_code_coefficient(code, draco_code_part(code, 0, l), 0, value);
        size = sqrt(value[0] * value[0] + value[1] * value[1]);
        if (size < *least) *least = size;
        if (size > *most) *most = size;
    }
}

static void print_line(draco_code code) {
    double least, most;
    if (draco_code_init(&code) != DRACO_OK) return;
    coefficients(&code, &least, &most);
    printf("| %3d | %2d | %d | %2d | %-10s | %10.3g | %9.3g | %8.3g | %9.3g |\n", code.n, code.s, code.t,
           code.r, code.support == DRACO_SUPPORT_SPREAD ? "spread" : "contiguous", least, most,
           worst_gain(&code, code.s + code.t), worst_gain(&code, 2 * code.s + code.t));
}

static void print_table(void) {
    static const int codes[][3] = {{5, 1, 0},  {9, 2, 0},  {15, 2, 0}, {15, 3, 0},  {15, 7, 0},
                                   {20, 3, 2}, {45, 1, 0}, {45, 3, 0}, {45, 5, 0},  {45, 10, 0},
                                   {45, 4, 2}, {45, 2, 6}, {64, 8, 0}, {101, 10, 0}};
    printf(HEAD);
    printf("|----:|---:|--:|---:|:-----------|-----------:|----------:|---------:|----------:|\n");
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++)
        for (int support = 0; support < 2; support++)
            print_line((draco_code){.scheme = DRACO_CYCLIC,
                                    .field = DRACO_FIELD_COMPLEX,
                                    .support = (draco_support)support,
                                    .n = codes[k][0],
                                    .s = codes[k][1],
                                    .t = codes[k][2]});
}

static void print_matrix(const draco_code *code) {
    printf("part \\ worker\n     ");
    for (int i = 0; i < code->n; i++) printf("%6d", i);
    for (int k = 0; k < code->parts; k++) {
        printf("\n%4d ", k);
        for (int i = 0; i < code->n; i++) {
            double value[2] = {0};
            draco_code_coefficient(code, k, i, value);
            if (draco_code_holds(code, i, k))
                printf("%6.3g", sqrt(value[0] * value[0] + value[1] * value[1]));
            else
                printf("     .");
        }
    }
    printf("\n(moduli of the coefficients)\n");
}

static int number(const char *text, int *value) {
    char *end;
    long v = strtol(text, &end, 10);
    *value = (int)v;
    return *text != 0 && *end == 0 && v >= 0 && v <= DRACO_MAX_WORKERS;
}

static int usage(void) {
    fprintf(stderr, "usage: " PROGRAM " [N S T [spread|contiguous]], with 2S + T + 1 <= N\n");
    return 2;
}

int main(int argc, char **argv) {
    draco_code code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX};
    char text[200];
    if (argc == 1) {
        print_table();
        return 0;
    }
    if (argc < 4 || argc > 5 || !number(argv[1], &code.n) || !number(argv[2], &code.s) ||
        !number(argv[3], &code.t))
        return usage();
    if (argc == 5 && !strcmp(argv[4], "contiguous"))
        code.support = DRACO_SUPPORT_CONTIGUOUS;
    else if (argc == 5 && strcmp(argv[4], "spread"))
        return usage();
    if (draco_code_init(&code) != DRACO_OK) return usage();
    draco_code_describe(&code, text, sizeof text);
    printf("%s\n", text);
    print_matrix(&code);
    printf(HEAD);
    print_line(code);
    return 0;
}

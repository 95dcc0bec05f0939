/* train_contract.h - what makes two runs the same run: a line "key=value" for all that decides the model's bits.

   Every option below a heading that decides is in it, but for those that are listed here as free, with the value
   that it comes to; and digests of what no option says: the training data, the code's plan, the first parameters. */
#ifndef TRAIN_CONTRACT_H
#define TRAIN_CONTRACT_H

#include "train_setup.h"

/* These change how fast a run is, how its votes travel, and what it shows; or, data-dir and word2vec, a digest stands for them. */
static const char *const train_free[] = {"data-dir",   "word2vec",     "test-samples", "threads",
                                         "eval-every", "share-parts",  "retries",      "no-probe",
                                         "vote",       "digest-first", "isa",          "readmit"};

static int train_decides(const train_options *o, const char *name) {
    for (size_t i = 0; i < sizeof train_free / sizeof *train_free; i++)
        if (strcmp(name, train_free[i]) == 0) return 0;
    /* A run with a constant rate may be made longer. */
    return strcmp(name, "steps") != 0 || strcmp(o->schedule, "cosine") == 0;
}

static void train_hex_of(const uint8_t digest[DRACO_FINGERPRINT_BYTES], char text[33]) {
    for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* A digest of every training sample, as the model sees it. */
static void train_data_digest(const draco_dataset *d, uint8_t digest[DRACO_FINGERPRINT_BYTES]) {
    const uint64_t sizes[] = {d->samples, d->features, (uint64_t)d->classes};
    const size_t values = d->samples * d->features, words = d->words ? d->starts[d->samples] : 0;
    const struct {
        const void *bytes;
        size_t n;
    } parts[] = {{sizes, sizeof sizes},
                 {d->labels, d->samples * sizeof *d->labels},
                 {d->targets, d->samples * sizeof *d->targets},
                 {d->pixels, values * sizeof *d->pixels},
                 {d->values, values * sizeof *d->values},
                 {d->words, words * sizeof *d->words},
                 {d->starts, (d->samples + 1) * sizeof *d->starts},
                 {d->scale, sizeof d->scale},
                 {d->shift, sizeof d->shift}};
    draco_fingerprint_key key;
    draco_fingerprint print;
    draco_fingerprint_key_init(&key, &train_known);
    draco_fingerprint_begin(&print, 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].bytes) draco_fingerprint_add(&print, &key, parts[i].bytes, parts[i].n);
    draco_fingerprint_finish(&print, &key, digest);
}

/* The shortest decimal number that is read as this one. */
static void train_real(double value, char *text, size_t capacity) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, capacity, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

static void train_contract(const train_options *options, const train_setup *s, const float *first, char *text,
                           size_t capacity) {
    train_options o = *options;
    train_option rows[TRAIN_ROWS];
    uint8_t digest[DRACO_FINGERPRINT_BYTES];
    char value[64], hex[33];
    size_t n = train_table(&o, rows, TRAIN_ROWS), used = 0;
    int deciding = 0;
    o.data = s->data_name;
    for (size_t i = 0; i < n; i++) {
        const train_option *row = &rows[i];
        const char *word = value;
        if (row->kind == TRAIN_HEADING) deciding = row->least > 0;
        if (row->kind == TRAIN_HEADING || !deciding || !train_decides(&o, row->name)) continue;
        switch (row->kind) {
        case TRAIN_LONG:
            snprintf(value, sizeof value, "%ld", *(long *)row->value);
            break;
        case TRAIN_FLAG:
            snprintf(value, sizeof value, "%d", *(int *)row->value);
            break;
        case TRAIN_REAL:
            train_real(*(double *)row->value, value, sizeof value);
            break;
        default:
            word = *(const char **)row->value ? *(const char **)row->value : "none";
        }
        train_append(text, capacity, &used, "%s=%s\n", row->name, word);
    }
    train_data_digest(&s->train, digest);
    train_hex_of(digest, hex);
    train_append(text, capacity, &used, "data-digest=%s\nplan=%016llx\n", hex,
                 (unsigned long long)draco_code_id(&s->code));
    train_digest(first, s->model.dim * sizeof(float), digest);
    train_hex_of(digest, hex);
    train_append(text, capacity, &used, "first-parameters=%s\nversion=%d\n", hex, DRACO_VERSION);
}

/* Is every word of --override a key? 0, or 2 with one line on stderr. */
static int train_check_overrides(const char *overrides, const char *contract) {
    while (overrides && *overrides) {
        const size_t length = strcspn(overrides, ",");
        const char *line = contract;
        while (*line && (strncmp(line, overrides, length) != 0 || line[length] != '=')) {
            line += strcspn(line, "\n");
            line += *line == '\n';
        }
        if (!*line) {
            train_log(TRAIN_ERROR, "--override: nothing that decides a run is called '%.*s'", (int)length,
                      overrides);
            return 2;
        }
        overrides += length + (overrides[length] == ',');
    }
    return 0;
}

#endif /* TRAIN_CONTRACT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */

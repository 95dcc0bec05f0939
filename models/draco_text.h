/* draco_text.h - version 0.1.0 - sentences of two classes, their vocabulary, and word vectors

   Switches and manual: draco_data.h. The implementation is C11 with GNU extensions and POSIX.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_dataset.h"

#ifndef DRACO_TEXT_H
#define DRACO_TEXT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Latin-1 text, one sentence a line: class 1 and class 0. The vocabulary is built from both files. */
DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error);
/* word2vec binary file: rows[vocabulary->size x dimension], row w set for each word w that the file has;
   others untouched; *found: how many were set. On error rows may be partly set. */
DRACO_DATA_API draco_status draco_data_word2vec(const char *path, const draco_vocabulary *vocabulary,
                                                size_t dimension, float *rows, size_t *found,
                                                draco_data_error *error);
/* Number of a word, or DRACO_DATA_UNKNOWN. */
DRACO_DATA_API int32_t draco_vocabulary_find(const draco_vocabulary *vocabulary, const char *word,
                                             size_t length);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_TEXT_H */

#if defined(DRACO_DATA_IMPLEMENTATION) && !defined(DRACO_TEXT_IMPLEMENTED)
#define DRACO_TEXT_IMPLEMENTED

/* ---- Text ---- */

/* A word at bytes [start, start + length) of the text, the `place`-th word read. */
typedef struct dr_data_token {
    uint32_t start, length, place;
} dr_data_token;

typedef struct dr_data_text {
    uint8_t *bytes; /* both files, one after the other */
    size_t size;
    dr_data_token *tokens;
    size_t count, capacity;
    size_t *starts; /* sentences + 1 */
    size_t sentences, sentence_capacity;
    draco_data_error *error;
} dr_data_text;

DRACO_DATA_PRIVATE void dr_data_text_free(dr_data_text *text) {
    free(text->bytes);
    free(text->tokens);
    free(text->starts);
}

DRACO_DATA_PRIVATE uint8_t dr_data_lower(uint8_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) return (uint8_t)(c + 0x20);
    return c;
}

DRACO_DATA_PRIVATE int dr_data_is_letter(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* Room for one more of something that doubles. */
DRACO_DATA_PRIVATE int dr_data_room(void **memory, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return 1;
    const size_t wanted = *capacity == 0 ? 1024 : 2 * *capacity;
    void *grown = realloc(*memory, wanted * size);
    if (grown == NULL) return 0;
    *memory = grown;
    *capacity = wanted;
    return 1;
}

DRACO_DATA_PRIVATE draco_status dr_data_token_add(dr_data_text *text, size_t start, size_t length) {
    void *memory = text->tokens;
    if (length == 0) return DRACO_OK;
    if (!dr_data_room(&memory, text->count, &text->capacity, sizeof *text->tokens))
        return dr_data_fail(text->error, DRACO_E_MEMORY, "text: out of memory for words");
    text->tokens = (dr_data_token *)memory;
    dr_data_token *token = &text->tokens[text->count];
    token->start = (uint32_t)start;
    token->length = (uint32_t)length;
    token->place = (uint32_t)text->count++;
    return DRACO_OK;
}

/* Where the ending of an English contraction begins in a word: it's -> it 's, don't -> do n't. */
DRACO_DATA_PRIVATE size_t dr_data_stem(const uint8_t *word, size_t length) {
    static const char *const endings[] = {"'s", "n't", "'ve", "'re", "'d", "'ll"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && memcmp(word + length - n, endings[i], n) == 0) return length - n;
    }
    return length;
}

/* A run of letters, digits and apostrophes, quotes around it dropped, a contraction cut in two. */
DRACO_DATA_PRIVATE draco_status dr_data_run_add(dr_data_text *text, size_t start, size_t end) {
    while (start < end && text->bytes[start] == '\'') start++;
    while (start < end && text->bytes[end - 1] == '\'') end--;
    const size_t stem = dr_data_stem(text->bytes + start, end - start);
    draco_status status = dr_data_token_add(text, start, stem);
    if (status == DRACO_OK) status = dr_data_token_add(text, start + stem, end - start - stem);
    return status;
}

/* Bytes [start, end) are one line; its words are added. */
DRACO_DATA_PRIVATE draco_status dr_data_line_words(dr_data_text *text, size_t start, size_t end) {
    draco_status status = DRACO_OK;
    for (size_t i = start; i < end && status == DRACO_OK; i++) {
        const uint8_t c = text->bytes[i];
        const size_t begin = i;
        if (dr_data_is_letter(c) || c == '\'') {
            while (i + 1 < end && (dr_data_is_letter(text->bytes[i + 1]) || text->bytes[i + 1] == '\'')) i++;
            status = dr_data_run_add(text, begin, i + 1);
        } else if (c == ',' || c == '!' || c == '?' || c == '(' || c == ')') {
            status = dr_data_token_add(text, begin, 1);
        }
    }
    return status;
}

/* Lower case in place; a control byte is an error. *blank: nothing but spaces. */
DRACO_DATA_PRIVATE draco_status dr_data_line_check(dr_data_text *text, const char *path, size_t line,
                                                   size_t start, size_t end, int *blank) {
    *blank = 1;
    for (size_t i = start; i < end; i++) {
        const uint8_t c = text->bytes[i];
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F)
            return dr_data_fail(text->error, DRACO_E_MALFORMED, "%s: line %zu: byte 0x%02x is not text", path,
                                line, (unsigned)c);
        if (c != ' ' && c != '\t' && c != '\r') *blank = 0;
        text->bytes[i] = dr_data_lower(c);
    }
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_sentence_add(dr_data_text *text) {
    void *memory = text->starts;
    /* One place more than sentences: the end of the last. */
    if (!dr_data_room(&memory, text->sentences + 1, &text->sentence_capacity, sizeof *text->starts))
        return dr_data_fail(text->error, DRACO_E_MEMORY, "text: out of memory for sentences");
    text->starts = (size_t *)memory;
    text->starts[text->sentences++] = text->count;
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_line(dr_data_text *text, const char *path, size_t line, size_t start,
                                             size_t end) {
    int blank;
    const size_t before = text->count;
    draco_status status = dr_data_line_check(text, path, line, start, end, &blank);
    if (status != DRACO_OK) return status;
    if (blank)
        return dr_data_fail(text->error, DRACO_E_MALFORMED, "%s: line %zu: the sentence is empty", path,
                            line);
    status = dr_data_sentence_add(text);
    if (status == DRACO_OK) status = dr_data_line_words(text, start, end);
    if (status != DRACO_OK) return status;
    if (text->count == before) /* signs only: one word that no vocabulary has */
        status = dr_data_token_add(text, start, 1);
    if (status == DRACO_OK && text->count - before > DRACO_DATA_MAX_SENTENCE)
        status = dr_data_fail(text->error, DRACO_E_MALFORMED, "%s: line %zu: %zu words, over the limit of %d",
                              path, line, text->count - before, DRACO_DATA_MAX_SENTENCE);
    return status;
}

/* The lines of bytes [start, size); the line feed after the last line may be missing. */
DRACO_DATA_PRIVATE draco_status dr_data_lines(dr_data_text *text, const char *path, size_t start) {
    size_t line = 0;
    while (start < text->size) {
        const uint8_t *feed = (const uint8_t *)memchr(text->bytes + start, '\n', text->size - start);
        const size_t end = feed != NULL ? (size_t)(feed - text->bytes) : text->size;
        draco_status status = dr_data_line(text, path, ++line, start, end);
        if (status != DRACO_OK) return status;
        start = end + 1;
    }
    return DRACO_OK;
}

typedef struct dr_data_order {
    const uint8_t *bytes;
    dr_data_token token;
} dr_data_order;

DRACO_DATA_PRIVATE int dr_data_compare(const uint8_t *a, size_t m, const uint8_t *b, size_t n) {
    const int order = memcmp(a, b, m < n ? m : n);
    return order != 0 ? order : (m > n) - (m < n);
}

/* Equal words stand together, the first read first. */
DRACO_DATA_PRIVATE int dr_data_by_word(const void *left, const void *right) {
    const dr_data_order *a = (const dr_data_order *)left;
    const dr_data_order *b = (const dr_data_order *)right;
    const int order = dr_data_compare(a->bytes + a->token.start, a->token.length, b->bytes + b->token.start,
                                      b->token.length);
    return order != 0 ? order : (a->token.place > b->token.place) - (a->token.place < b->token.place);
}

DRACO_DATA_PRIVATE int dr_data_same(const dr_data_order *a, const dr_data_order *b) {
    return dr_data_compare(a->bytes + a->token.start, a->token.length, b->bytes + b->token.start,
                           b->token.length) == 0;
}

/* Number the words in the order of their first place: sorting, so that no choice of words makes it slow.
   words[count] out; vocabulary out. first: scratch[count], 1 + the sorted word that first stands there. */
DRACO_DATA_PRIVATE void dr_data_number(const dr_data_order *order, size_t count, uint32_t *first,
                                       int32_t *words, draco_vocabulary *vocabulary) {
    size_t distinct = 0, bytes = 0, number = 0;
    memset(first, 0, count * sizeof *first);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !dr_data_same(&order[i - 1], &order[i]))
            first[order[i].token.place] = (uint32_t)++distinct;
    }
    /* sorted[k] for a while: the number of the k-th word in sorted order. */
    for (size_t place = 0; place < count; place++)
        if (first[place] != 0) vocabulary->sorted[first[place] - 1] = (uint32_t)number++;
    for (size_t i = 0, k = 0; i < count; i++) {
        const dr_data_token *token = &order[i].token;
        k += first[token->place] != 0;
        words[token->place] = DRACO_DATA_FIRST + (int32_t)vocabulary->sorted[k - 1];
        if (first[token->place] != 0) vocabulary->starts[vocabulary->sorted[k - 1] + 1] = token->length;
    }
    vocabulary->starts[0] = 0;
    for (size_t w = 0; w < distinct; w++) bytes = vocabulary->starts[w + 1] += bytes;
    for (size_t i = 0, k = 0; i < count; i++) {
        const dr_data_token *token = &order[i].token;
        if (first[token->place] == 0) continue;
        memcpy(vocabulary->text + vocabulary->starts[vocabulary->sorted[k++]], order[i].bytes + token->start,
               token->length);
    }
    vocabulary->words = distinct;
    vocabulary->size = DRACO_DATA_FIRST + distinct;
}

DRACO_DATA_PRIVATE draco_status dr_data_text_finish(dr_data_text *text, size_t positive,
                                                    draco_dataset *data) {
    const size_t count = text->count;
    dr_data_order *order = (dr_data_order *)malloc(count * sizeof *order);
    uint32_t *first = (uint32_t *)malloc(count * sizeof *first);
    memset(data, 0, sizeof *data);
    data->words = (int32_t *)malloc(count * sizeof *data->words);
    data->labels = (int32_t *)malloc(text->sentences * sizeof *data->labels);
    data->vocabulary.text = (char *)malloc(text->size);
    data->vocabulary.starts = (size_t *)malloc((count + 1) * sizeof *data->vocabulary.starts);
    data->vocabulary.sorted = (uint32_t *)malloc(count * sizeof *data->vocabulary.sorted);
    if (order == NULL || first == NULL || data->words == NULL || data->labels == NULL ||
        data->vocabulary.text == NULL || data->vocabulary.starts == NULL || data->vocabulary.sorted == NULL) {
        free(order);
        free(first);
        draco_dataset_free(data);
        return dr_data_fail(text->error, DRACO_E_MEMORY, "text: out of memory for %zu words", count);
    }
    for (size_t i = 0; i < count; i++) {
        order[i].bytes = text->bytes;
        order[i].token = text->tokens[i];
    }
    qsort(order, count, sizeof *order, dr_data_by_word);
    dr_data_number(order, count, first, data->words, &data->vocabulary);
    free(order);
    free(first);
    data->samples = text->sentences;
    data->classes = 2;
    text->starts[text->sentences] = count;
    data->starts = text->starts;
    text->starts = NULL;
    for (size_t i = 0; i < data->samples; i++) {
        const size_t length = data->starts[i + 1] - data->starts[i];
        data->labels[i] = i < positive;
        if (length > data->features) data->features = length;
    }
    dr_data_name(data, "text");
    return DRACO_OK;
}

DRACO_DATA_API int32_t draco_vocabulary_find(const draco_vocabulary *vocabulary, const char *word,
                                             size_t length) {
    size_t low = 0, high = vocabulary->words;
    while (low < high) {
        const size_t middle = low + (high - low) / 2, w = vocabulary->sorted[middle];
        const size_t start = vocabulary->starts[w];
        const int order =
            dr_data_compare((const uint8_t *)word, length, (const uint8_t *)vocabulary->text + start,
                            vocabulary->starts[w + 1] - start);
        if (order == 0) return DRACO_DATA_FIRST + (int32_t)w;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return DRACO_DATA_UNKNOWN;
}

/* text->bytes = first, then second; takes both over. */
DRACO_DATA_PRIVATE draco_status dr_data_text_both(dr_data_text *text, uint8_t *first, size_t first_size,
                                                  uint8_t *second, size_t second_size, const char *positive,
                                                  const char *negative, draco_dataset *data) {
    draco_status status = DRACO_OK;
    size_t count = 0;
    uint8_t *bytes = (uint8_t *)realloc(first, first_size + second_size + 1);
    text->bytes = bytes != NULL ? bytes : first;
    if (bytes == NULL) status = dr_data_fail(text->error, DRACO_E_MEMORY, "text: out of memory");
    if (status == DRACO_OK) {
        memcpy(bytes + first_size, second, second_size);
        text->size = first_size;
        status = dr_data_lines(text, positive, 0);
        count = text->sentences;
    }
    if (status == DRACO_OK) {
        text->size = first_size + second_size;
        status = dr_data_lines(text, negative, first_size);
    }
    free(second);
    if (status == DRACO_OK && (count == 0 || count == text->sentences))
        status = dr_data_fail(text->error, DRACO_E_MALFORMED, "%s: no sentences",
                              count == 0 ? positive : negative);
    if (status == DRACO_OK) status = dr_data_text_finish(text, count, data);
    return status;
}

DRACO_DATA_PRIVATE draco_status dr_data_text_file(const char *path, uint8_t **bytes, size_t *size,
                                                  draco_data_error *error) {
    dr_data_file file;
    draco_status status = dr_data_open(&file, path, error);
    if (status == DRACO_OK) status = dr_data_read_all(&file, DRACO_DATA_MAX_TEXT, bytes, size);
    dr_data_close(&file);
    return status;
}

DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error) {
    dr_data_text text;
    draco_dataset data;
    uint8_t *first = NULL, *second = NULL;
    size_t first_size = 0, second_size = 0;
    if (out == NULL) return DRACO_E_ARGUMENT;
    memset(&text, 0, sizeof text);
    text.error = error;
    draco_status status = dr_data_text_file(positive, &first, &first_size, error);
    if (status == DRACO_OK) status = dr_data_text_file(negative, &second, &second_size, error);
    if (status != DRACO_OK) {
        free(first);
        return status;
    }
    status = dr_data_text_both(&text, first, first_size, second, second_size, positive, negative, &data);
    dr_data_text_free(&text);
    if (status == DRACO_OK) *out = data;
    return status;
}

/* ---- word2vec ---- */

#define DR_DATA_WORD 1024 /* longest word of a word2vec file */

/* Read up to the separator, which is dropped; -1: end of file, -2: longer than capacity. */
DRACO_DATA_PRIVATE int dr_data_until(gzFile gz, char separator, char *word, int capacity) {
    int length = 0;
    for (;;) {
        const int c = gzgetc(gz);
        if (c < 0) return -1;
        if (c == separator) return length;
        if (c == '\n' && length == 0 && separator != '\n') continue; /* the line end after a vector */
        if (length == capacity) return -2;
        word[length++] = (char)c;
    }
}

/* A decimal number of at most nine digits that fills the text, or -1. */
DRACO_DATA_PRIVATE long dr_data_decimal(const char *text, int length) {
    long value = 0;
    if (length < 1 || length > 9) return -1;
    for (int i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

DRACO_DATA_PRIVATE draco_status dr_data_word2vec_header(dr_data_file *file, size_t dimension, long *count) {
    char line[32];
    const int length = dr_data_until(file->gz, '\n', line, (int)sizeof line);
    const char *space = length > 0 ? (const char *)memchr(line, ' ', (size_t)length) : NULL;
    const int first = space != NULL ? (int)(space - line) : 0;
    *count = space != NULL ? dr_data_decimal(line, first) : -1;
    const long width = space != NULL ? dr_data_decimal(space + 1, length - first - 1) : -1;
    if (*count < 1 || width < 1)
        return dr_data_fail(file->error, DRACO_E_MALFORMED,
                            "%s: no word2vec binary file: its first line is not 'WORDS DIMENSION'",
                            file->path);
    if ((size_t)width != dimension)
        return dr_data_fail(file->error, DRACO_E_MALFORMED, "%s: vectors of %ld numbers where %zu are needed",
                            file->path, width, dimension);
    return DRACO_OK;
}

/* Little-endian floats; NaN and infinity are refused. */
DRACO_DATA_PRIVATE int dr_data_floats(const uint8_t *bytes, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = bytes + 4 * i;
        const uint32_t bits =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        if ((bits & 0x7F800000u) == 0x7F800000u) return 0;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return 1;
}

DRACO_DATA_PRIVATE draco_status dr_data_word2vec_rows(dr_data_file *file, const draco_vocabulary *vocabulary,
                                                      size_t dimension, uint8_t *vector, float *rows,
                                                      size_t *found) {
    char word[DR_DATA_WORD];
    long count = 0;
    draco_status status = dr_data_word2vec_header(file, dimension, &count);
    for (long i = 0; i < count && status == DRACO_OK; i++) {
        size_t got = 0;
        const int length = dr_data_until(file->gz, ' ', word, (int)sizeof word);
        if (length == -2)
            return dr_data_fail(file->error, DRACO_E_MALFORMED, "%s: word %ld is longer than %d bytes",
                                file->path, i + 1, DR_DATA_WORD);
        if (length >= 0) status = dr_data_read(file, vector, 4 * dimension, &got);
        if (status != DRACO_OK) return status;
        if (got < 4 * dimension)
            return dr_data_fail(file->error, DRACO_E_MALFORMED,
                                "%s: truncated: its header promises %ld words, it has %ld", file->path, count,
                                i);
        const int32_t w = draco_vocabulary_find(vocabulary, word, (size_t)length);
        if (w == DRACO_DATA_UNKNOWN) continue;
        if (!dr_data_floats(vector, dimension, rows + (size_t)w * dimension))
            return dr_data_fail(file->error, DRACO_E_MALFORMED, "%s: the vector of word %ld is not finite",
                                file->path, i + 1);
        ++*found;
    }
    return status;
}

DRACO_DATA_API draco_status draco_data_word2vec(const char *path, const draco_vocabulary *vocabulary,
                                                size_t dimension, float *rows, size_t *found,
                                                draco_data_error *error) {
    dr_data_file file;
    if (vocabulary == NULL || rows == NULL || found == NULL || dimension < 1 || dimension > 65536)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "word2vec: dimension %zu is not in 1..65536", dimension);
    *found = 0;
    uint8_t *vector = (uint8_t *)malloc(4 * dimension);
    if (vector == NULL) return dr_data_fail(error, DRACO_E_MEMORY, "word2vec: out of memory");
    draco_status status = dr_data_open(&file, path, error);
    if (status == DRACO_OK) status = dr_data_word2vec_rows(&file, vocabulary, dimension, vector, rows, found);
    dr_data_close(&file);
    free(vector);
    return status;
}

#endif /* DRACO_DATA_IMPLEMENTATION */

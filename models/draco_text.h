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

/* Text, one sentence per line: class 1 and class 0. The vocabulary is built from both files, in UTF-8;
   out->encoding says how they were read. */
DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error);
/* word2vec file, binary or text: rows[vocabulary->size x dimension], row w set for each word w that the file
   has; others untouched; *found: how many were set. On error rows may be partly set. */
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

/* ---- Encodings: what is read becomes UTF-8 in lower case, in which bytes from 0x80 up are letters ---- */

/* Windows-1252 is Latin-1 but for 0x80..0x9F; 0: no character. */
static const uint16_t dr_data_windows[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                             0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                             0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                             0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/* Bytes of the UTF-8 character at the front, and the character; 0: not UTF-8 (Unicode 15, table 3-7). */
DRACO_DATA_PRIVATE size_t dr_data_utf8(const uint8_t *bytes, size_t size, uint32_t *character) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t b = bytes[0];
    const size_t length = b < 0x80 ? 1 : b < 0xC0 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF8 ? 4 : 0;
    if (length == 0 || length > size) return 0;
    uint32_t c = length == 1 ? b : b & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (bytes[i] & 0x3Fu);
    }
    *character = c;
    return c >= least[length] && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF) ? length : 0;
}

/* Lower case; signs that part words become ASCII signs that do: quotes, dashes, ellipses, blanks. */
DRACO_DATA_PRIVATE uint32_t dr_data_plain(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
    if (c == 0x2018 || c == 0x2019) return '\'';
    if (c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200A)) return ' ';
    if (c == 0x2026) return '.';
    if (c >= 0x2010 && c <= 0x2015) return '-';
    if (c >= 0x2000 && c <= 0x206F) return '"';
    if (c == 0xAA || c == 0xB5 || c == 0xBA) return c;
    if (c <= 0xBF || c == 0xD7 || c == 0xF7) return '"';
    if (c >= 0xC0 && c <= 0xDE) return c + 0x20;
    if (c == 0x0152 || c == 0x0160 || c == 0x017D) return c + 1;
    return c == 0x0178 ? 0xFF : c;
}

DRACO_DATA_PRIVATE size_t dr_data_put_utf8(uint32_t c, uint8_t *bytes) {
    static const uint8_t lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    const size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; c >>= 6) bytes[i] = (uint8_t)(0x80 | (c & 0x3F));
    bytes[0] = (uint8_t)(lead[length] | c);
    return length;
}

/* Plain text of a file in place of its bytes, which are freed: read as UTF-8 if all of it is, else as
   Windows-1252. A byte-order mark is skipped. */
DRACO_DATA_PRIVATE draco_status dr_data_decode(uint8_t **bytes, size_t *size, const char **encoding) {
    const uint8_t *from = *bytes;
    size_t at = *size >= 3 && memcmp(from, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0, used = 0, step = 1;
    uint32_t c = 0;
    const size_t start = at;
    for (; at < *size && step > 0; at += step) step = dr_data_utf8(from + at, *size - at, &c);
    const int utf8 = step > 0;
    uint8_t *text = (uint8_t *)malloc(3 * *size + 1);
    if (text == NULL) return DRACO_E_MEMORY;
    for (at = utf8 ? start : 0; at < *size; at += step) {
        step = utf8 ? dr_data_utf8(from + at, *size - at, &c) : 1;
        if (!utf8) c = from[at] >= 0x80 && from[at] < 0xA0 ? dr_data_windows[from[at] - 0x80] : from[at];
        used += dr_data_put_utf8(dr_data_plain(c ? c : from[at]), text + used);
    }
    free(*bytes);
    *bytes = text;
    *size = used;
    *encoding = utf8 ? "UTF-8" : "Windows-1252";
    return DRACO_OK;
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

/* A control byte is an error. *blank: nothing but spaces. */
DRACO_DATA_PRIVATE draco_status dr_data_line_check(dr_data_text *text, const char *path, size_t line,
                                                   size_t start, size_t end, int *blank) {
    *blank = 1;
    for (size_t i = start; i < end; i++) {
        const uint8_t c = text->bytes[i];
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F)
            return dr_data_fail(text->error, DRACO_E_MALFORMED, "%s: line %zu: byte 0x%02x is not text", path,
                                line, (unsigned)c);
        if (c != ' ' && c != '\t' && c != '\r') *blank = 0;
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
                                                  const char **encoding, draco_data_error *error) {
    dr_data_file file;
    draco_status status = dr_data_open(&file, path, error);
    if (status == DRACO_OK) status = dr_data_read_all(&file, DRACO_DATA_MAX_TEXT, bytes, size);
    dr_data_close(&file);
    if (status != DRACO_OK) return status;
    status = dr_data_decode(bytes, size, encoding);
    return status == DRACO_OK ? status : dr_data_fail(error, status, "%s: out of memory", path);
}

DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error) {
    dr_data_text text;
    draco_dataset data;
    uint8_t *first = NULL, *second = NULL;
    size_t first_size = 0, second_size = 0;
    const char *encodings[2] = {NULL, NULL};
    if (out == NULL) return DRACO_E_ARGUMENT;
    memset(&text, 0, sizeof text);
    text.error = error;
    draco_status status = dr_data_text_file(positive, &first, &first_size, &encodings[0], error);
    if (status == DRACO_OK) status = dr_data_text_file(negative, &second, &second_size, &encodings[1], error);
    if (status != DRACO_OK) {
        free(first);
        free(second);
        return status;
    }
    status = dr_data_text_both(&text, first, first_size, second, second_size, positive, negative, &data);
    dr_data_text_free(&text);
    if (status != DRACO_OK) return status;
    data.encoding = strcmp(encodings[0], encodings[1]) == 0 ? encodings[0] : "UTF-8 and Windows-1252";
    *out = data;
    return DRACO_OK;
}

/* ---- word2vec ---- */

#define DR_DATA_WORD 1024         /* longest word of a word2vec file */
#define DR_DATA_NUMBER 32         /* longest number of a text file, with its blank */
#define DR_DATA_MAGNITUDE 10000.0 /* no word vector has a coordinate beyond */

/* A window on the file that holds one whole record, wherever the file has one. */
typedef struct dr_data_vectors {
    dr_data_file file;
    size_t dimension, record; /* record: bytes that the longest record takes */
    long count, number;       /* words that the header promises; of the record at hand, from 1 */
    uint8_t *bytes;
    size_t capacity, first, last; /* bytes[first .. last) are there */
    int lines;                    /* binary: a line feed stands behind each vector */
    float *values;                /* dimension: of the record at hand */
} dr_data_vectors;

/* At least a record is in the window, or the rest of the file. */
DRACO_DATA_PRIVATE draco_status dr_data_fetch(dr_data_vectors *v) {
    size_t got = 0;
    if (v->last - v->first >= v->record) return DRACO_OK;
    memmove(v->bytes, v->bytes + v->first, v->last - v->first);
    v->last -= v->first;
    v->first = 0;
    draco_status status = dr_data_read(&v->file, v->bytes + v->last, v->capacity - v->last, &got);
    v->last += got;
    return status;
}

DRACO_DATA_PRIVATE draco_status dr_data_vector_fail(const dr_data_vectors *v, const char *what) {
    return dr_data_fail(v->file.error, DRACO_E_MALFORMED, "%s: the vector of word %ld %s", v->file.path,
                        v->number, what);
}

DRACO_DATA_PRIVATE draco_status dr_data_cut_short(const dr_data_vectors *v) {
    return dr_data_fail(v->file.error, DRACO_E_MALFORMED,
                        "%s: truncated: its header promises %ld words, it has %ld", v->file.path, v->count,
                        v->number - 1);
}

/* A decimal number of at most nine digits that fills the text, or -1. */
DRACO_DATA_PRIVATE long dr_data_decimal(const uint8_t *text, size_t length) {
    long value = 0;
    if (length < 1 || length > 9) return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

DRACO_DATA_PRIVATE draco_status dr_data_vectors_header(dr_data_vectors *v) {
    const uint8_t *line = v->bytes;
    const uint8_t *feed =
        v->last > 0 ? (const uint8_t *)memchr(line, '\n', v->last < 32 ? v->last : 32) : NULL;
    size_t length = feed != NULL ? (size_t)(feed - line) : 0;
    v->first = length + 1;
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
    const uint8_t *blank = length > 0 ? (const uint8_t *)memchr(line, ' ', length) : NULL;
    v->count = blank != NULL ? dr_data_decimal(line, (size_t)(blank - line)) : -1;
    const long width = blank != NULL ? dr_data_decimal(blank + 1, length - (size_t)(blank - line) - 1) : -1;
    if (v->count < 1 || width < 1)
        return dr_data_fail(v->file.error, DRACO_E_MALFORMED,
                            "%s: no word2vec file: its first line is not 'WORDS DIMENSION'", v->file.path);
    if ((size_t)width != v->dimension)
        return dr_data_fail(v->file.error, DRACO_E_MALFORMED,
                            "%s: vectors of %ld numbers where %zu are needed", v->file.path, width,
                            v->dimension);
    return DRACO_OK;
}

/* NULL when all of it can be a word vector, else what is wrong with it. */
DRACO_DATA_PRIVATE const char *dr_data_absurd(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return "is not finite";
        if (fabs((double)values[i]) > DR_DATA_MAGNITUDE) return "has a number beyond 10000";
    }
    return NULL;
}

/* ---- Text: a line 'WORD NUMBER ... NUMBER' for each word ---- */

/* The line at the front, without the blanks at its end; *next: bytes up to the next line. */
DRACO_DATA_PRIVATE size_t dr_data_text_line(const dr_data_vectors *v, size_t *next) {
    const uint8_t *line = v->bytes + v->first;
    const size_t there = v->last - v->first;
    const uint8_t *feed = there > 0 ? (const uint8_t *)memchr(line, '\n', there) : NULL;
    size_t length = feed != NULL ? (size_t)(feed - line) : there;
    *next = length + (feed != NULL);
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    return length;
}

/* The number at the end of line[0 .. *length), which is cut off with the blanks before it. */
DRACO_DATA_PRIVATE int dr_data_last_number(const uint8_t *line, size_t *length, float *value) {
    char field[DR_DATA_NUMBER];
    size_t end = *length, begin = end;
    while (begin > 0 && line[begin - 1] != ' ' && line[begin - 1] != '\t') begin--;
    if (begin == 0 || begin == end || end - begin >= sizeof field) return 0;
    for (size_t i = begin; i < end; i++)
        if (!strchr("0123456789+-.eE", line[i]) || line[i] == 0) return 0;
    memcpy(field, line + begin, end - begin);
    field[end - begin] = '\0';
    char *stop;
    *value = (float)strtod(field, &stop);
    while (begin > 0 && (line[begin - 1] == ' ' || line[begin - 1] == '\t')) begin--;
    *length = begin;
    return *stop == '\0';
}

/* A word may have blanks in it: the numbers are taken from the end of the line. */
DRACO_DATA_PRIVATE draco_status dr_data_text_record(dr_data_vectors *v, const uint8_t **word,
                                                    size_t *length) {
    size_t next;
    *word = v->bytes + v->first;
    *length = dr_data_text_line(v, &next);
    if (v->first == v->last) return dr_data_cut_short(v);
    for (size_t i = v->dimension; i-- > 0;)
        if (!dr_data_last_number(*word, length, &v->values[i]))
            return dr_data_fail(v->file.error, DRACO_E_MALFORMED,
                                "%s: word %ld is not followed by %zu numbers on its line", v->file.path,
                                v->number, v->dimension);
    const char *wrong = dr_data_absurd(v->values, v->dimension);
    if (wrong != NULL) return dr_data_vector_fail(v, wrong);
    v->first += next;
    return DRACO_OK;
}

/* Is the first record a line of text that ends in numbers? */
DRACO_DATA_PRIVATE int dr_data_is_text(const dr_data_vectors *v) {
    const uint8_t *line = v->bytes + v->first;
    size_t next, length = dr_data_text_line(v, &next), left = length;
    float unused;
    for (size_t i = 0; i < length; i++)
        if (line[i] < 0x20 && line[i] != '\t') return 0;
    for (size_t i = 0; i < (v->dimension < 2 ? 1u : 2u); i++)
        if (!dr_data_last_number(line, &left, &unused)) return 0;
    return left > 0;
}

/* ---- Binary: a word, a blank, little-endian floats, and in most files a line feed ---- */

DRACO_DATA_PRIVATE void dr_data_floats(const uint8_t *bytes, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = bytes + 4 * i;
        const uint32_t bits =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
}

/* Does a record whose word has this length fit what is there? Then values are its vector. */
DRACO_DATA_PRIVATE const char *dr_data_fits(dr_data_vectors *v, size_t length, int lines) {
    const size_t end = v->first + length + 1 + 4 * v->dimension;
    if (end > v->last) return "is cut off";
    if (lines && end < v->last && v->bytes[end] != '\n') return "is not followed by the end of its line";
    dr_data_floats(v->bytes + v->first + length + 1, v->dimension, v->values);
    return dr_data_absurd(v->values, v->dimension);
}

/* A word may have blanks in it: it ends at the first one behind which a sound vector stands. */
DRACO_DATA_PRIVATE draco_status dr_data_binary_record(dr_data_vectors *v, const uint8_t **word,
                                                      size_t *length) {
    const char *wrong = NULL;
    while (v->first < v->last && v->bytes[v->first] == '\n') v->first++;
    *word = v->bytes + v->first;
    const size_t there = v->last - v->first;
    for (size_t i = 0; i < there && i <= DR_DATA_WORD; i++) {
        if ((*word)[i] != ' ') continue;
        const char *why = dr_data_fits(v, i, v->lines);
        if (wrong == NULL) wrong = v->first + i + 1 + 4 * v->dimension > v->last ? "" : why;
        if (why != NULL) continue;
        *length = i;
        v->first += i + 1 + 4 * v->dimension;
        return DRACO_OK;
    }
    if (wrong == NULL && there > DR_DATA_WORD)
        return dr_data_fail(v->file.error, DRACO_E_MALFORMED, "%s: word %ld is longer than %d bytes",
                            v->file.path, v->number, DR_DATA_WORD);
    return wrong == NULL || *wrong == '\0' ? dr_data_cut_short(v) : dr_data_vector_fail(v, wrong);
}

/* Does the first record end with a line feed? */
DRACO_DATA_PRIVATE int dr_data_has_lines(dr_data_vectors *v) {
    const size_t there = v->last - v->first;
    for (size_t i = 0; i < there && i <= DR_DATA_WORD; i++) {
        const size_t end = v->first + i + 1 + 4 * v->dimension;
        if (v->bytes[v->first + i] != ' ' || dr_data_fits(v, i, 1) != NULL) continue;
        return end < v->last;
    }
    return 0;
}

DRACO_DATA_PRIVATE draco_status dr_data_vectors_all(dr_data_vectors *v, const draco_vocabulary *vocabulary,
                                                    float *rows, size_t *found) {
    draco_status status = dr_data_fetch(v);
    if (status == DRACO_OK) status = dr_data_vectors_header(v);
    if (status == DRACO_OK) status = dr_data_fetch(v);
    if (status != DRACO_OK) return status;
    const int text = dr_data_is_text(v);
    v->lines = !text && dr_data_has_lines(v);
    for (v->number = 1; v->number <= v->count; v->number++) {
        const uint8_t *word;
        size_t length = 0;
        status = dr_data_fetch(v);
        if (status == DRACO_OK)
            status = text ? dr_data_text_record(v, &word, &length) : dr_data_binary_record(v, &word, &length);
        if (status != DRACO_OK) return status;
        const int32_t w = draco_vocabulary_find(vocabulary, (const char *)word, length);
        if (w == DRACO_DATA_UNKNOWN) continue;
        memcpy(rows + (size_t)w * v->dimension, v->values, v->dimension * sizeof *rows);
        ++*found;
    }
    status = dr_data_fetch(v);
    if (status == DRACO_OK && v->first < v->last && v->bytes[v->first] == '\n' && !text) v->first++;
    if (status == DRACO_OK && v->first < v->last)
        return dr_data_fail(v->file.error, DRACO_E_MALFORMED,
                            "%s: more follows after the %ld words that its header promises", v->file.path,
                            v->count);
    return status;
}

DRACO_DATA_API draco_status draco_data_word2vec(const char *path, const draco_vocabulary *vocabulary,
                                                size_t dimension, float *rows, size_t *found,
                                                draco_data_error *error) {
    dr_data_vectors v;
    if (vocabulary == NULL || rows == NULL || found == NULL || dimension < 1 || dimension > 65536)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "word2vec: dimension %zu is not in 1..65536", dimension);
    *found = 0;
    memset(&v, 0, sizeof v);
    v.dimension = dimension;
    v.record = DR_DATA_WORD + DR_DATA_NUMBER * (dimension + 1);
    v.capacity = v.record + ((size_t)1 << 18);
    v.bytes = (uint8_t *)malloc(v.capacity);
    v.values = (float *)malloc(dimension * sizeof *v.values);
    draco_status status = v.bytes != NULL && v.values != NULL
                              ? DRACO_OK
                              : dr_data_fail(error, DRACO_E_MEMORY, "word2vec: out of memory");
    if (status == DRACO_OK) status = dr_data_open(&v.file, path, error);
    if (status == DRACO_OK) status = dr_data_vectors_all(&v, vocabulary, rows, found);
    dr_data_close(&v.file);
    free(v.bytes);
    free(v.values);
    return status;
}

#endif /* DRACO_DATA_IMPLEMENTATION */

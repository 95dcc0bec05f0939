/* draco_generate.h - version 0.1.0 - built-in data sets: drawn digits, figures, made-up sentences

   They let everything run without files. Switches and manual: draco_data.h. The implementation is C11.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_text.h"

#ifndef DRACO_GENERATE_H
#define DRACO_GENERATE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum draco_data_kind {
    DRACO_DATA_DIGITS = 0,   /* 28 x 28 x 1, 10 classes */
    DRACO_DATA_PICTURES = 1, /* 32 x 32 x 3, 10 classes */
    DRACO_DATA_SENTENCES = 2 /* 2 classes */
} draco_data_kind;
/* Samples first..first+samples-1 of the endless set that a seed stands for: equal bits on every machine. */
DRACO_DATA_API draco_status draco_data_generate(draco_data_kind kind, uint64_t seed, size_t first,
                                                size_t samples, draco_dataset *out, draco_data_error *error);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_GENERATE_H */

#if defined(DRACO_DATA_IMPLEMENTATION) && !defined(DRACO_GENERATE_IMPLEMENTED)
#define DRACO_GENERATE_IMPLEMENTED

/* ---- Built-in generator: integers only, so that every machine draws the same bits ---- */

typedef struct dr_data_dice {
    uint64_t key, stream, counter;
    uint32_t word[4];
    int left;
} dr_data_dice;

DRACO_DATA_PRIVATE dr_data_dice dr_data_dice_of(uint64_t seed, int kind, size_t sample) {
    dr_data_dice dice;
    memset(&dice, 0, sizeof dice);
    dice.key = seed;
    dice.stream = (uint64_t)(0x647261u + (unsigned)kind) << 40 ^ (uint64_t)sample;
    return dice;
}

/* Uniform in [low, high]; the bias of a 32-bit product is below 1e-6 for the small ranges used here. */
DRACO_DATA_PRIVATE int dr_data_roll(dr_data_dice *dice, int low, int high) {
    if (dice->left == 0) {
        draco_random(dice->key, dice->stream, dice->counter++, dice->word);
        dice->left = 4;
    }
    const uint64_t span = (uint64_t)(high - low) + 1;
    return low + (int)((uint64_t)dice->word[--dice->left] * span >> 32);
}

/* Squared distance of (x, y) to the segment from a to b; all in 1/16 pixel. */
DRACO_DATA_PRIVATE int64_t dr_data_distance(int64_t x, int64_t y, const int a[2], const int b[2]) {
    const int64_t dx = b[0] - a[0], dy = b[1] - a[1], px = x - a[0], py = y - a[1];
    const int64_t length = dx * dx + dy * dy, along = px * dx + py * dy;
    if (along <= 0 || length == 0) return px * px + py * py;
    if (along >= length) return (x - b[0]) * (x - b[0]) + (y - b[1]) * (y - b[1]);
    const int64_t cross = px * dy - py * dx;
    return cross * cross / length;
}

DRACO_DATA_PRIVATE int dr_data_clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

/* A stroke of the given radius (1/16 pixel) on 28 x 28 pixels, fading over its outer half. */
DRACO_DATA_PRIVATE void dr_data_stroke(uint8_t *pixels, const int a[2], const int b[2], int radius, int ink) {
    const int edge = 16 * 28 - 1;
    const int left = dr_data_clamp((a[0] < b[0] ? a[0] : b[0]) - radius, 0, edge) / 16;
    const int right = dr_data_clamp((a[0] > b[0] ? a[0] : b[0]) + radius, 0, edge) / 16;
    const int top = dr_data_clamp((a[1] < b[1] ? a[1] : b[1]) - radius, 0, edge) / 16;
    const int bottom = dr_data_clamp((a[1] > b[1] ? a[1] : b[1]) + radius, 0, edge) / 16;
    const int64_t outer = (int64_t)radius * radius, inner = outer / 4;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            const int64_t distance = dr_data_distance(16 * x + 8, 16 * y + 8, a, b);
            if (distance >= outer) continue;
            const int value =
                distance <= inner ? ink : (int)((int64_t)ink * (outer - distance) / (outer - inner));
            if (value > pixels[28 * y + x]) pixels[28 * y + x] = (uint8_t)value;
        }
}

/* The ten digits as one line each through points (x, y) of a 28 x 28 box, ended by -1. */
static const signed char dr_data_digit[10][24] = {
    {10, 5, 18, 5, 20, 14, 18, 23, 10, 23, 8, 14, 10, 5, -1},
    {11, 8, 15, 5, 15, 23, -1},
    {9, 8, 13, 5, 18, 7, 18, 11, 9, 23, 19, 23, -1},
    {9, 5, 18, 5, 13, 13, 19, 18, 15, 23, 9, 22, -1},
    {17, 23, 17, 5, 8, 17, 20, 17, -1},
    {19, 5, 10, 5, 9, 13, 16, 12, 19, 17, 16, 23, 9, 22, -1},
    {17, 5, 10, 12, 9, 19, 13, 23, 18, 19, 16, 14, 10, 16, -1},
    {8, 5, 19, 5, 12, 23, -1},
    {14, 13, 9, 9, 13, 5, 18, 8, 14, 13, 9, 19, 14, 23, 19, 18, 14, 13, -1},
    {18, 11, 12, 13, 9, 8, 13, 5, 18, 7, 18, 14, 14, 23, -1}};

/* A digit, slanted, scaled, moved, every corner shaken, one stray stroke, noise on every pixel. */
DRACO_DATA_PRIVATE int dr_data_digit_draw(dr_data_dice *dice, uint8_t *pixels) {
    const int label = dr_data_roll(dice, 0, 9);
    const int wide = dr_data_roll(dice, 180, 290), high = dr_data_roll(dice, 190, 290);
    const int slant = dr_data_roll(dice, -90, 90), turn = dr_data_roll(dice, -50, 50);
    const int move_x = dr_data_roll(dice, -48, 48), move_y = dr_data_roll(dice, -40, 40);
    const int radius = dr_data_roll(dice, 18, 36), ink = dr_data_roll(dice, 140, 255);
    const signed char *point = dr_data_digit[label];
    int last[2] = {0, 0}, next[2];
    memset(pixels, 0, 28 * 28);
    for (int i = 0; point[i] >= 0; i += 2) {
        const int x = point[i] - 14, y = point[i + 1] - 14;
        next[0] = 224 + (wide * x + slant * y) / 16 + move_x + dr_data_roll(dice, -18, 18);
        next[1] = 224 + (turn * x + high * y) / 16 + move_y + dr_data_roll(dice, -18, 18);
        if (i > 0) dr_data_stroke(pixels, last, next, radius, ink);
        last[0] = next[0];
        last[1] = next[1];
    }
    for (int i = 0; i < 2; i++) {
        last[i] = dr_data_roll(dice, 32, 416);
        next[i] = last[i] + dr_data_roll(dice, -80, 80);
    }
    dr_data_stroke(pixels, last, next, 20, dr_data_roll(dice, 60, 200));
    for (int i = 0; i < 28 * 28; i++) {
        const int noise = dr_data_roll(dice, -40, 40);
        pixels[i] = (uint8_t)dr_data_clamp(pixels[i] + noise, 0, 255);
    }
    return label;
}

/* Does class `shape` cover the place (x, y), in pixels from its centre, for a figure of this size? */
DRACO_DATA_PRIVATE int dr_data_covers(int shape, int x, int y, int size) {
    const int ax = x < 0 ? -x : x, ay = y < 0 ? -y : y, square = x * x + y * y;
    switch (shape) {
    case 0:
        return square <= size * size; /* disk */
    case 1:
        return square <= size * size && 9 * square >= 4 * size * size; /* ring */
    case 2:
        return ax <= size && ay <= size; /* square */
    case 3:
        return ax + ay <= size; /* diamond */
    case 4:
        return y <= size && 2 * ax <= y + size; /* triangle */
    case 5:
        return (3 * ax <= size && ay <= size) || (3 * ay <= size && ax <= size); /* cross */
    case 6:
        return ax <= size && ay <= size && ((x + 64) & 4); /* upright stripes */
    case 7:
        return ax <= size && ay <= size && ((y + 64) & 4); /* level stripes */
    case 8:
        return ax <= size && ay <= size && ((((x + 64) ^ (y + 64)) & 4)); /* chessboard */
    default:
        return ax <= size && ay <= size && (ax - ay) * (ax - ay) <= size; /* two diagonals */
    }
}

/* A figure in one colour on a ground of another that fades, noise on every byte. */
DRACO_DATA_PRIVATE int dr_data_picture_draw(dr_data_dice *dice, uint8_t *pixels) {
    const int label = dr_data_roll(dice, 0, 9), size = dr_data_roll(dice, 6, 12);
    const int centre_x = dr_data_roll(dice, 12, 20), centre_y = dr_data_roll(dice, 12, 20);
    int ground[3], figure[3], fade_x[3], fade_y[3];
    for (int c = 0; c < 3; c++) {
        ground[c] = dr_data_roll(dice, 30, 225);
        figure[c] = dr_data_roll(dice, 30, 225);
        fade_x[c] = dr_data_roll(dice, -2, 2);
        fade_y[c] = dr_data_roll(dice, -2, 2);
    }
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) {
            const int inside = dr_data_covers(label, x - centre_x, y - centre_y, size);
            for (int c = 0; c < 3; c++) {
                const int colour =
                    inside ? figure[c] : ground[c] + fade_x[c] * (x - 16) + fade_y[c] * (y - 16);
                const int value = colour + dr_data_roll(dice, -25, 25);
                pixels[(32 * y + x) * 3 + c] = (uint8_t)dr_data_clamp(value, 0, 255);
            }
        }
    return label;
}

DRACO_DATA_PRIVATE draco_status dr_data_draw_all(draco_data_kind kind, uint64_t seed, size_t first,
                                                 draco_dataset *data) {
    data->pixels = (uint8_t *)malloc(data->samples * data->features);
    data->labels = (int32_t *)malloc(data->samples * sizeof *data->labels);
    if (data->pixels == NULL || data->labels == NULL) {
        draco_dataset_free(data);
        return DRACO_E_MEMORY;
    }
    for (size_t i = 0; i < data->samples; i++) {
        dr_data_dice dice = dr_data_dice_of(seed, (int)kind, first + i);
        uint8_t *pixels = data->pixels + i * data->features;
        data->labels[i] = kind == DRACO_DATA_DIGITS ? dr_data_digit_draw(&dice, pixels)
                                                    : dr_data_picture_draw(&dice, pixels);
    }
    return DRACO_OK;
}

#define DR_DATA_NEUTRAL 1200 /* words that say nothing */
#define DR_DATA_CUES 80      /* words of praise, and as many of blame */

/* Word `number` of a made-up language, two to three syllables, never "not". */
DRACO_DATA_PRIVATE size_t dr_data_syllables(int number, char *out) {
    static const char consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
    size_t length = 0;
    for (int rest = number, k = 0; k < 2 || rest > 0; k++) {
        out[length++] = consonants[rest % 14];
        out[length++] = vowels[rest / 14 % 5];
        rest /= 70;
    }
    out[length++] = ' ';
    return length;
}

/* One sentence with its line feed; longest 2 + 40 words. Cues are praise or blame, "not" turns one around,
   one sentence in twenty is on the wrong side. */
DRACO_DATA_PRIVATE size_t dr_data_sentence_draw(dr_data_dice *dice, int positive, char *out) {
    const int words = dr_data_roll(dice, 5, 28), cues = dr_data_roll(dice, 1, 3);
    const int lean = dr_data_roll(dice, 0, 19) == 0 ? !positive : positive;
    size_t length = 0;
    for (int i = 0, told = 0; i < words || told < cues; i++) {
        if (dr_data_roll(dice, 0, words) < cues + 1 && told < cues) {
            const int turned = dr_data_roll(dice, 0, 9) < 3;
            const int cue = dr_data_roll(dice, 0, DR_DATA_CUES - 1);
            if (turned) {
                memcpy(out + length, "not ", 4);
                length += 4;
            }
            const int praise = lean != turned;
            length += dr_data_syllables(DR_DATA_NEUTRAL + cue + (praise ? 0 : DR_DATA_CUES), out + length);
            told++;
        } else if (i < words) {
            /* The least of two draws: a few words are common, most are rare. */
            const int a = dr_data_roll(dice, 0, DR_DATA_NEUTRAL - 1);
            const int b = dr_data_roll(dice, 0, DR_DATA_NEUTRAL - 1);
            length += dr_data_syllables(a < b ? a : b, out + length);
        }
    }
    out[length - 1] = '\n';
    return length;
}

DRACO_DATA_PRIVATE uint8_t *dr_data_sentences(uint64_t seed, size_t first, size_t samples, int positive,
                                              size_t *size) {
    const size_t longest = 512;
    char *bytes = (char *)malloc(samples * longest);
    *size = 0;
    for (size_t i = 0; i < samples && bytes != NULL; i++) {
        dr_data_dice dice = dr_data_dice_of(seed, (int)DRACO_DATA_SENTENCES + positive, first + i);
        *size += dr_data_sentence_draw(&dice, positive, bytes + *size);
    }
    return (uint8_t *)bytes;
}

DRACO_DATA_PRIVATE draco_status dr_data_sentences_all(uint64_t seed, size_t first, size_t samples,
                                                      draco_dataset *data, draco_data_error *error) {
    dr_data_text text;
    size_t positive_size = 0, negative_size = 0;
    const size_t half = samples / 2;
    uint8_t *positive = dr_data_sentences(seed, first, samples - half, 1, &positive_size);
    uint8_t *negative = dr_data_sentences(seed, first, half, 0, &negative_size);
    memset(&text, 0, sizeof text);
    text.error = error;
    if (positive == NULL || negative == NULL) {
        free(positive);
        free(negative);
        return dr_data_fail(error, DRACO_E_MEMORY, "sentences: out of memory");
    }
    draco_status status =
        dr_data_text_both(&text, positive, positive_size, negative, negative_size, "praise", "blame", data);
    dr_data_text_free(&text);
    return status;
}

DRACO_DATA_API draco_status draco_data_generate(draco_data_kind kind, uint64_t seed, size_t first,
                                                size_t samples, draco_dataset *out, draco_data_error *error) {
    draco_dataset data;
    draco_status status;
    if (out == NULL || samples < 2 || samples > 1000000)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "generator: %zu samples, not in 2..1000000", samples);
    if (kind == DRACO_DATA_SENTENCES) {
        status = dr_data_sentences_all(seed, first, samples, &data, error);
        if (status == DRACO_OK) dr_data_name(&data, "sentences");
    } else {
        const int side = kind == DRACO_DATA_DIGITS ? 28 : 32;
        dr_data_shape(&data, samples, side, side, kind == DRACO_DATA_DIGITS ? 1 : 3, 10);
        dr_data_name(&data, kind == DRACO_DATA_DIGITS ? "digits" : "pictures");
        status = dr_data_draw_all(kind, seed, first, &data);
        if (status != DRACO_OK) dr_data_fail(error, status, "generator: out of memory");
    }
    if (status == DRACO_OK) *out = data;
    return status;
}

#endif /* DRACO_DATA_IMPLEMENTATION */

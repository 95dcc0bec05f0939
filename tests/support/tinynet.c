/* tinynet: a little neural network that learns to tell ten kinds of generated pictures apart.
 *
 *     cc -Ofast tinynet.c -o tinynet -lm && ./tinynet weights.bin
 *
 * One hidden layer, sigmoid and softmax, mini-batch gradient descent; all weights are one array. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 64, HIDDEN = 63, CLASSES = 10, ROWS = 1000, BATCH = 50, EPOCHS = 6 };

/* ---- Random numbers ---- */

static unsigned long long random_state = 88172645463325252ull;

static float random_unit(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (float)(random_state >> 40) / 16777216.0f;
}

/* ---- Data ---- */

typedef struct data {
    int rows, at;  /* at: first row of the batch in use */
    float *pixels; /* rows x PIXELS */
    int *labels;   /* rows */
} data;

static data *data_generate(int rows) {
    data *d = malloc(sizeof *d);
    float *centre = malloc(CLASSES * PIXELS * sizeof *centre);
    d->rows = rows;
    d->at = 0;
    d->pixels = malloc((size_t)rows * PIXELS * sizeof *d->pixels);
    d->labels = malloc((size_t)rows * sizeof *d->labels);
    for (int k = 0; k < CLASSES * PIXELS; k++) centre[k] = random_unit();
    for (int i = 0; i < rows; i++) {
        d->labels[i] = i % CLASSES;
        for (int j = 0; j < PIXELS; j++)
            d->pixels[i * PIXELS + j] = centre[d->labels[i] * PIXELS + j] + 0.8f * (random_unit() - 0.5f);
    }
    free(centre);
    return d;
}

static void data_free(data *d) {
    free(d->pixels);
    free(d->labels);
    free(d);
}

/* ---- Network ---- */

typedef struct net {
    size_t size;   /* of w and g: weights and biases of both layers */
    float *w, *g;  /* weights, and the gradient of a batch */
    float *h, *o;  /* hidden and output values of one picture */
    float *e;      /* error at the hidden layer */
    const data *d; /* what it learns from */
} net;

static net *net_new(const data *d) {
    net *n = malloc(sizeof *n);
    n->size = (PIXELS + 1) * HIDDEN + (HIDDEN + 1) * CLASSES;
    n->w = malloc(n->size * sizeof *n->w);
    n->g = malloc(n->size * sizeof *n->g);
    n->h = malloc(HIDDEN * sizeof *n->h);
    n->o = malloc(CLASSES * sizeof *n->o);
    n->e = malloc(HIDDEN * sizeof *n->e);
    n->d = d;
    for (size_t i = 0; i < n->size; i++) n->w[i] = 0.4f * (random_unit() - 0.5f);
    return n;
}

static void net_free(net *n) {
    free(n->w);
    free(n->g);
    free(n->h);
    free(n->o);
    free(n->e);
    free(n);
}

/* o = softmax(W2 sigmoid(W1 x + b1) + b2); a layer's biases stand behind its weights. */
static void net_forward(net *n, const float *x) {
    const float *w1 = n->w, *b1 = w1 + PIXELS * HIDDEN, *w2 = b1 + HIDDEN, *b2 = w2 + HIDDEN * CLASSES;
    float total = 0;
    for (int k = 0; k < HIDDEN; k++) {
        float sum = b1[k];
        for (int j = 0; j < PIXELS; j++) sum += w1[k * PIXELS + j] * x[j];
        n->h[k] = 1.0f / (1.0f + expf(-sum));
    }
    for (int c = 0; c < CLASSES; c++) {
        float sum = b2[c];
        for (int k = 0; k < HIDDEN; k++) sum += w2[c * HIDDEN + k] * n->h[k];
        total += n->o[c] = expf(sum);
    }
    for (int c = 0; c < CLASSES; c++) n->o[c] /= total;
}

/* g += the gradient of one picture's cross entropy. */
static void net_backward(net *n, const float *x, int label, float *g) {
    const float *w2 = n->w + (PIXELS + 1) * HIDDEN;
    float *g1 = g, *gb1 = g1 + PIXELS * HIDDEN, *g2 = gb1 + HIDDEN, *gb2 = g2 + HIDDEN * CLASSES;
    memset(n->e, 0, HIDDEN * sizeof *n->e);
    for (int c = 0; c < CLASSES; c++) {
        float error = n->o[c] - (c == label ? 1.0f : 0.0f);
        gb2[c] += error;
        for (int k = 0; k < HIDDEN; k++) {
            g2[c * HIDDEN + k] += error * n->h[k];
            n->e[k] += error * w2[c * HIDDEN + k];
        }
    }
    for (int k = 0; k < HIDDEN; k++) {
        float error = n->e[k] * n->h[k] * (1.0f - n->h[k]);
        gb1[k] += error;
        for (int j = 0; j < PIXELS; j++) g1[k * PIXELS + j] += error * x[j];
    }
}

/* g = the sum of the gradients of rows first .. first + count - 1 of the batch. */
static void net_gradient(net *n, size_t first, size_t count, float *g) {
    memset(g, 0, n->size * sizeof *g);
    for (size_t i = (size_t)n->d->at + first; i < (size_t)n->d->at + first + count; i++) {
        net_forward(n, n->d->pixels + i * PIXELS);
        net_backward(n, n->d->pixels + i * PIXELS, n->d->labels[i], g);
    }
}

static double net_accuracy(net *n) {
    int right = 0;
    for (int i = 0; i < n->d->rows; i++) {
        int best = 0;
        net_forward(n, n->d->pixels + i * PIXELS);
        for (int c = 1; c < CLASSES; c++)
            if (n->o[c] > n->o[best]) best = c;
        right += best == n->d->labels[i];
    }
    return (double)right / n->d->rows;
}

static int net_save(const net *n, const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) return 0;
    size_t written = fwrite(n->w, sizeof *n->w, n->size, file);
    return fclose(file) == 0 && written == n->size;
}

/* ---- Training ---- */

static void train(net *n, data *d, float rate) {
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (d->at = 0; d->at + BATCH <= d->rows; d->at += BATCH) {
            net_gradient(n, 0, BATCH, n->g);
            for (size_t i = 0; i < n->size; i++) n->w[i] -= rate / BATCH * n->g[i];
        }
    }
}

int main(int argc, char **argv) {
    data *d = data_generate(ROWS);
    net *n = net_new(d);
    train(n, d, 1.5f);
    printf("%d weights, accuracy %.3f\n", (int)n->size, net_accuracy(n));
    int saved = argc < 2 || net_save(n, argv[1]);
    net_free(n);
    data_free(d);
    return !saved;
}

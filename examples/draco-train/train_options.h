/* train_options.h - the command line of draco-train: one struct, one table, checked values.

   Every option is a row of a table: name, what kind of value, where it goes, its limits, its help. The table
   drives parsing, checking and --help, so that none of the three can forget an option. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include "draco.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct train_options {
    const char *model, *data, *data_dir, *word2vec;
    double held_out, l2;
    long train_samples, test_samples;
    const char *code, *field, *support, *rule;
    long workers, adversaries, stragglers, rule_f;
    double rule_tolerance;
    int rule_streaming, digest_first;
    double tolerance, relative_tolerance;
    const char *attack, *who;
    double attack_scale;
    long liars, missing;
    long steps, batch;
    const char *optimizer, *schedule;
    double lr, momentum, weight_decay, clip, decay;
    long warmup, decay_every;
    long seed, threads, eval_every;
    const char *policy;
    long retries;
    int share_parts;
    const char *metrics, *plot, *checkpoint, *resume, *params;
    long checkpoint_every;
    const char *progress, *isa;
    int no_probe;
    const char *transport, *wait;
    double deadline;
    long servers;
    const char *role, *address, *hub, *server_name;
    long worker, server, max_connections;
    double join_seconds;
    const char *ca, *certificate, *key;
    int insecure;
} train_options;

typedef enum train_kind {
    TRAIN_TEXT,
    TRAIN_CHOICE,
    TRAIN_LONG,
    TRAIN_REAL,
    TRAIN_FLAG,
    TRAIN_HEADING
} train_kind;

typedef struct train_option {
    const char *name;
    train_kind kind;
    void *value;
    double least, most;   /* numbers */
    const char *choices;  /* TRAIN_CHOICE: words with a blank between them */
    const char *argument; /* what --help calls the value */
    const char *help;
} train_option;

#define TRAIN_MANY 1e9

static train_options train_defaults(void) {
    train_options o;
    memset(&o, 0, sizeof o);
    o.model = "fc";
    o.data = "auto";
    o.code = "repetition";
    o.field = "complex";
    o.support = "spread";
    o.workers = 15;
    o.adversaries = 2;
    o.rule_f = -1;
    o.attack = "reverse";
    o.who = "random";
    o.liars = -1;
    o.missing = -1;
    o.steps = 200;
    o.batch = 150;
    o.optimizer = "momentum";
    o.schedule = "constant";
    o.lr = 0;
    o.momentum = 0.9;
    o.decay = 0.1;
    o.seed = 1;
    o.eval_every = -1;
    o.policy = "retry";
    o.retries = 3;
    o.progress = "auto";
    o.isa = "all";
    o.transport = "openmp";
    o.wait = "auto";
    o.deadline = 0;
    o.servers = 1;
    o.role = "server";
    o.address = "127.0.0.1:50051";
    o.worker = -1;
    o.server = -1;
    o.join_seconds = 60;
    return o;
}

/* The table. Rows without a place to write to are headings of --help. */
static size_t train_table(train_options *o, train_option *rows, size_t capacity) {
    const train_option all[] = {
        {"What is trained", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"model", TRAIN_CHOICE, &o->model, 0, 0,
         "fc softmax logistic svm linear kmeans lenet resnet18 textcnn", "NAME",
         "model; fc is the paper's 784-800-500-10 network"},
        {"data", TRAIN_CHOICE, &o->data, 0, 0,
         "auto fashion-mnist mnist cifar10 mr digits pictures sentences", "NAME",
         "data set; the last three are generated; auto: the usual one of the model, generated if it is not "
         "installed"},
        {"data-dir", TRAIN_TEXT, &o->data_dir, 0, 0, NULL, "DIR", "where the files of the data set are"},
        {"held-out", TRAIN_REAL, &o->held_out, 0, 0.9, NULL, "SHARE",
         "test on this share of the training samples"},
        {"train-samples", TRAIN_LONG, &o->train_samples, 0, TRAIN_MANY, NULL, "N",
         "generated data: training samples"},
        {"test-samples", TRAIN_LONG, &o->test_samples, 0, TRAIN_MANY, NULL, "N",
         "test on the first N only; generated data: so many are made"},
        {"l2", TRAIN_REAL, &o->l2, 0, 1e6, NULL, "L2",
         "svm, logistic, softmax, linear: weight of the l2 term"},
        {"word2vec", TRAIN_TEXT, &o->word2vec, 0, 0, NULL, "FILE",
         "textcnn: start from these word vectors (binary)"},

        {"How the workers' gradients are put together", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"workers", TRAIN_LONG, &o->workers, 1, DRACO_MAX_WORKERS, NULL, "N", "number of workers"},
        {"code", TRAIN_CHOICE, &o->code, 0, 0, "repetition cyclic none", "NAME",
         "redundancy code; none: a rule decides"},
        {"adversaries", TRAIN_LONG, &o->adversaries, 0, DRACO_MAX_WORKERS, NULL, "S",
         "liars that the code withstands"},
        {"stragglers", TRAIN_LONG, &o->stragglers, 0, DRACO_MAX_WORKERS, NULL, "T",
         "missing workers that it withstands besides"},
        {"field", TRAIN_CHOICE, &o->field, 0, 0, "complex prime", "NAME",
         "cyclic: complex numbers, or exact mod 2^31-1"},
        {"support", TRAIN_CHOICE, &o->support, 0, 0, "spread contiguous", "NAME", "cyclic: who holds a part"},
        {"digest-first", TRAIN_FLAG, &o->digest_first, 0, 0, NULL, NULL,
         "repetition: vote on digests, fetch one body a group"},
        {"tolerance", TRAIN_REAL, &o->tolerance, 0, 1e30, NULL, "EPS",
         "repetition: equal means within this much"},
        {"relative-tolerance", TRAIN_REAL, &o->relative_tolerance, 0, 0.999, NULL, "EPS",
         "... plus this times the value"},
        {"rule", TRAIN_TEXT, &o->rule, 0, 0, NULL, "NAME",
         "a robust average instead of a code: mean, geometric-median, krum, ... (list: names them)"},
        {"rule-f", TRAIN_LONG, &o->rule_f, 0, DRACO_MAX_WORKERS, NULL, "F",
         "adversaries the rule expects (default: S)"},
        {"rule-tolerance", TRAIN_REAL, &o->rule_tolerance, 0, 1, NULL, "EPS",
         "geometric median: stop when a step is this much of the spread (0: 1e-5)"},
        {"rule-streaming", TRAIN_FLAG, &o->rule_streaming, 0, 0, NULL, NULL,
         "geometric median: read the messages in every iteration, as the classical method does"},

        {"Who lies, and how (for trying it out)", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"attack", TRAIN_TEXT, &o->attack, 0, 0, NULL, "NAME",
         "reverse, constant, none, ... (list: names them)"},
        {"attack-scale", TRAIN_REAL, &o->attack_scale, -1e30, 1e30, NULL, "X",
         "the attack's factor (default: its own)"},
        {"liars", TRAIN_LONG, &o->liars, 0, DRACO_MAX_WORKERS, NULL, "L",
         "workers that lie in a step (default: S)"},
        {"missing", TRAIN_LONG, &o->missing, 0, DRACO_MAX_WORKERS, NULL, "M",
         "workers silent in a step (default: T)"},
        {"who", TRAIN_CHOICE, &o->who, 0, 0, "random fixed worst", "HOW",
         "drawn anew each step, fixed, or worst placed"},

        {"Training", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"steps", TRAIN_LONG, &o->steps, 1, TRAIN_MANY, NULL, "N", "steps"},
        {"batch", TRAIN_LONG, &o->batch, 1, 1e7, NULL, "B", "samples of a step, dealt to the parts"},
        {"optimizer", TRAIN_CHOICE, &o->optimizer, 0, 0, "sgd momentum nesterov adam adamw", "NAME",
         "update rule"},
        {"lr", TRAIN_REAL, &o->lr, 0, 1e6, NULL, "RATE", "learning rate (default: 0.05; adam 0.001)"},
        {"momentum", TRAIN_REAL, &o->momentum, 0, 0.99999, NULL, "MU", "momentum"},
        {"weight-decay", TRAIN_REAL, &o->weight_decay, 0, 1e3, NULL, "L2", "weight decay"},
        {"clip", TRAIN_REAL, &o->clip, 0, 1e30, NULL, "NORM", "clip the mean gradient to this norm (0: no)"},
        {"schedule", TRAIN_CHOICE, &o->schedule, 0, 0, "constant step cosine", "NAME",
         "how the rate changes"},
        {"decay", TRAIN_REAL, &o->decay, 0, 1, NULL, "FACTOR", "step schedule: rate times this ..."},
        {"decay-every", TRAIN_LONG, &o->decay_every, 0, TRAIN_MANY, NULL, "N",
         "... every N steps (default: a third)"},
        {"warmup", TRAIN_LONG, &o->warmup, 0, TRAIN_MANY, NULL, "N", "rate rises over the first N steps"},
        {"seed", TRAIN_LONG, &o->seed, 0, TRAIN_MANY, NULL, "N", "of start, samples and attacks"},
        {"threads", TRAIN_LONG, &o->threads, 0, 4096, NULL, "N", "threads (0: all)"},
        {"eval-every", TRAIN_LONG, &o->eval_every, 0, TRAIN_MANY, NULL, "N",
         "test every N steps (0: at the end; default: a tenth of the run)"},
        {"policy", TRAIN_CHOICE, &o->policy, 0, 0, "retry skip stop", "NAME",
         "what to do with a round that fails"},
        {"retries", TRAIN_LONG, &o->retries, 0, 1e6, NULL, "N", "tries of one step before the run stops"},
        {"share-parts", TRAIN_FLAG, &o->share_parts, 0, 0, NULL, NULL,
         "openmp: compute each part once for all its holders"},
        {"isa", TRAIN_TEXT, &o->isa, 0, 0, NULL, "NAME",
         "pin the instruction set of the compute library (list)"},
        {"no-probe", TRAIN_FLAG, &o->no_probe, 0, 0, NULL, NULL,
         "do not compare the workers' bits at the start"},

        {"Output", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"progress", TRAIN_CHOICE, &o->progress, 0, 0, "auto bar plain none", "HOW",
         "bar on a terminal, else lines"},
        {"metrics", TRAIN_TEXT, &o->metrics, 0, 0, NULL, "FILE", "write every step as a line of JSON"},
        {"plot", TRAIN_TEXT, &o->plot, 0, 0, NULL, "FILE",
         "draw the test error against steps and time (.svg)"},
        {"params", TRAIN_TEXT, &o->params, 0, 0, NULL, "FILE", "write the final parameters as raw floats"},
        {"checkpoint", TRAIN_TEXT, &o->checkpoint, 0, 0, NULL, "FILE",
         "write checkpoints here, and when a run stops"},
        {"checkpoint-every", TRAIN_LONG, &o->checkpoint_every, 0, TRAIN_MANY, NULL, "N",
         "every N steps (0: at the end)"},
        {"resume", TRAIN_TEXT, &o->resume, 0, 0, NULL, "FILE", "go on from this checkpoint"},

        {"Where the workers are", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"transport", TRAIN_CHOICE, &o->transport, 0, 0, "openmp mpi grpc", "NAME",
         "openmp: this process; mpi: under mpirun; grpc: --role"},
        {"deadline", TRAIN_REAL, &o->deadline, 0, 1e6, NULL, "SEC",
         "a round takes no longer (mpi, grpc; 0: 60)"},
        {"wait", TRAIN_CHOICE, &o->wait, 0, 0, "auto all enough", "FOR",
         "end a round when all came, or when it can be decoded (auto: enough over mpi and grpc)"},
        {"servers", TRAIN_LONG, &o->servers, 1, 64, NULL, "K",
         "server ranks that share the parameters (mpi, grpc)"},
        {"role", TRAIN_CHOICE, &o->role, 0, 0, "server worker", "ROLE", "grpc: what this process is"},
        {"address", TRAIN_TEXT, &o->address, 0, 0, NULL, "ADDR",
         "grpc: host:port, unix:/path or dns:///name:port; workers of K servers: with commas"},
        {"worker", TRAIN_LONG, &o->worker, 0, DRACO_MAX_WORKERS - 1, NULL, "I",
         "grpc: number of this worker"},
        {"server", TRAIN_LONG, &o->server, 0, 63, NULL, "K", "grpc: number of this server"},
        {"hub", TRAIN_TEXT, &o->hub, 0, 0, NULL, "ADDR",
         "grpc, several servers: where server 0 listens for the others"},
        {"server-name", TRAIN_TEXT, &o->server_name, 0, 0, NULL, "NAME",
         "grpc: name in the server's certificate when it is not the host's"},
        {"join-seconds", TRAIN_REAL, &o->join_seconds, 0, 1e6, NULL, "SEC",
         "mpi, grpc: wait this long for the workers"},
        {"max-connections", TRAIN_LONG, &o->max_connections, 0, 1e6, NULL, "N",
         "grpc: at most this many (0: n + 64)"},
        {"ca", TRAIN_TEXT, &o->ca, 0, 0, NULL, "FILE", "grpc: certificate of the authority (PEM)"},
        {"cert", TRAIN_TEXT, &o->certificate, 0, 0, NULL, "FILE", "grpc: this process's certificate (PEM)"},
        {"key", TRAIN_TEXT, &o->key, 0, 0, NULL, "FILE", "grpc: its private key (PEM)"},
        {"insecure-plain-text-beyond-this-machine", TRAIN_FLAG, &o->insecure, 0, 0, NULL, NULL,
         "grpc: no encryption, no identity, on any address"},
    };
    size_t count = sizeof all / sizeof *all;
    if (count > capacity) abort();
    memcpy(rows, all, sizeof all);
    return count;
}

#define TRAIN_ROWS 96

static void train_default_text(const train_option *row, char *text, size_t capacity) {
    text[0] = 0;
    if (row->kind == TRAIN_CHOICE && *(const char **)row->value)
        snprintf(text, capacity, " [%s]", *(const char **)row->value);
    if (row->kind == TRAIN_LONG && *(long *)row->value >= 0)
        snprintf(text, capacity, " [%ld]", *(long *)row->value);
    if (row->kind == TRAIN_REAL) snprintf(text, capacity, " [%g]", *(double *)row->value);
}

static void train_help(void) {
    train_options o = train_defaults();
    train_option rows[TRAIN_ROWS];
    size_t n = train_table(&o, rows, TRAIN_ROWS);
    printf("Usage: draco-train [OPTION]...\n"
           "Train a model with n workers of which some lie, and get the model that honest workers would have "
           "made.\n"
           "Without options: the paper's FC network on Fashion-MNIST, 15 workers, 2 of them reverse their "
           "gradients\n"
           "in every step, repetition code.\n");
    for (size_t i = 0; i < n; i++) {
        char left[80], value[64];
        const train_option *row = &rows[i];
        if (row->kind == TRAIN_HEADING) {
            printf("\n%s:\n", row->name);
            continue;
        }
        train_default_text(row, value, sizeof value);
        snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? "=" : "",
                 row->argument ? row->argument : "");
        printf("  %-26s %s%s\n", left, row->help, value);
        if (row->choices) printf("  %-26s   one of: %s\n", "", row->choices);
    }
    printf("\n  %-26s this text\n  %-26s version\n", "--help", "--version");
    printf("\nExit status: 0 trained; 1 training failed; 2 a wrong option or unreadable input; 130 "
           "interrupted.\n");
}

static int train_is_choice(const char *choices, const char *word) {
    size_t length = strlen(word);
    for (const char *p = choices; length && (p = strstr(p, word)) != NULL; p += length)
        if ((p == choices || p[-1] == ' ') && (p[length] == ' ' || p[length] == 0)) return 1;
    return 0;
}

/* 0, or 2 with one line on stderr. */
static int train_set(const train_option *row, const char *text) {
    char *end = NULL;
    double value;
    if (row->kind == TRAIN_FLAG) {
        *(int *)row->value = 1;
        return 0;
    }
    if (row->kind == TRAIN_TEXT || row->kind == TRAIN_CHOICE) {
        if (row->kind == TRAIN_CHOICE && !train_is_choice(row->choices, text)) {
            fprintf(stderr, "draco-train: --%s: unknown name '%s' (one of: %s)\n", row->name, text,
                    row->choices);
            return 2;
        }
        if (!*text) {
            fprintf(stderr, "draco-train: --%s: is empty\n", row->name);
            return 2;
        }
        *(const char **)row->value = text;
        return 0;
    }
    errno = 0;
    value = row->kind == TRAIN_LONG ? (double)strtol(text, &end, 10) : strtod(text, &end);
    if (end == text || *end || errno == ERANGE || !isfinite(value)) {
        fprintf(stderr, "draco-train: --%s: '%s' is not a %s\n", row->name, text,
                row->kind == TRAIN_LONG ? "whole number" : "number");
        return 2;
    }
    if (value < row->least || value > row->most) {
        fprintf(stderr, "draco-train: --%s: %s is out of range, it must be %.10g to %.10g\n", row->name, text,
                row->least, row->most);
        return 2;
    }
    if (row->kind == TRAIN_LONG)
        *(long *)row->value = (long)value;
    else
        *(double *)row->value = value;
    return 0;
}

/* What two options mean together. */
static int train_check_together(train_options *o) {
    long r = 2 * o->adversaries + o->stragglers + 1;
    if (o->rule) o->code = "none";
    if (!o->rule && strcmp(o->code, "none") == 0) o->rule = "mean";
    if (o->rule_f < 0) o->rule_f = o->adversaries;
    if (o->liars < 0) o->liars = o->adversaries;
    if (o->missing < 0) o->missing = o->stragglers;
    if (o->lr <= 0) o->lr = strncmp(o->optimizer, "adam", 4) == 0 ? 0.001 : 0.05;
    if (o->eval_every < 0) o->eval_every = o->steps >= 10 ? o->steps / 10 : 1;
    if (!o->rule && o->workers < r) {
        fprintf(stderr,
                "draco-train: %ld workers are too few: %ld adversaries and %ld stragglers need n >= r = 2s + "
                "t + 1 = %ld\n",
                o->workers, o->adversaries, o->stragglers, r);
        return 2;
    }
    if (o->liars + o->missing > o->workers) {
        fprintf(stderr, "draco-train: %ld liars and %ld missing are more than %ld workers\n", o->liars,
                o->missing, o->workers);
        return 2;
    }
    if ((o->digest_first || o->tolerance > 0 || o->relative_tolerance > 0) &&
        (o->rule || strcmp(o->code, "repetition") != 0)) {
        fprintf(stderr, "draco-train: --digest-first and --tolerance go with --code=repetition only\n");
        return 2;
    }
    if (o->digest_first && (o->tolerance > 0 || o->relative_tolerance > 0)) {
        fprintf(stderr, "draco-train: --digest-first compares digests, it cannot go with --tolerance\n");
        return 2;
    }
    if (o->servers > 1 && (o->rule || o->tolerance > 0 || o->relative_tolerance > 0)) {
        fprintf(stderr,
                "draco-train: --servers=%ld works with codes only, rules and tolerance look at whole rows\n",
                o->servers);
        return 2;
    }
    if (o->servers > 1 && strcmp(o->transport, "openmp") == 0) {
        fprintf(stderr, "draco-train: --servers=%ld needs --transport=mpi or grpc\n", o->servers);
        return 2;
    }
    return 0;
}

/* -1: go on. Otherwise the exit code. */
static int train_parse(int argc, char **argv, train_options *o) {
    train_option rows[TRAIN_ROWS];
    struct option longs[TRAIN_ROWS + 3];
    size_t n, count = 0;
    int which, at;
    *o = train_defaults();
    n = train_table(o, rows, TRAIN_ROWS);
    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind == TRAIN_HEADING) continue;
        longs[count].name = rows[i].name;
        longs[count].has_arg = rows[i].kind == TRAIN_FLAG ? no_argument : required_argument;
        longs[count++].val = 1000 + (int)i;
    }
    longs[count++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[count] = (struct option){"version", no_argument, NULL, 'V'};
    opterr = 0;
    while (at = optind, (which = getopt_long(argc, argv, ":hV", longs, NULL)) != -1) {
        if (which == 'h') {
            train_help();
            return 0;
        }
        if (which == 'V') {
            printf("draco-train %d.%d.%d\n", DRACO_VERSION >> 16, DRACO_VERSION >> 8 & 255,
                   DRACO_VERSION & 255);
            return 0;
        }
        if (which == '?' || which == ':') {
            fprintf(stderr, "draco-train: %s '%s' (try --help)\n",
                    which == ':' ? "a value is missing after" : "unknown option",
                    argv[at < argc ? at : argc - 1]);
            return 2;
        }
        if (train_set(&rows[which - 1000], optarg) != 0) return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "draco-train: what is '%s'? (try --help)\n", argv[optind]);
        return 2;
    }
    if (train_check_together(o) != 0) return 2;
    return -1;
}

#endif /* TRAIN_OPTIONS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */

/* train_options.h - the command line of draco-train: one struct, one table, checked values.

   Every option is a row of a table: name, what kind of value, where it goes, its limits, its help. The table
   drives parsing, checking and --help, so that none of the three can forget an option. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include "train_exit.h"
#include "train_screen.h"

#include "draco.h"
#include "models/draco_checkpoint.h"

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
    const char *code, *field, *support, *rule, *vote, *redundancy, *replan, *readmit;
    long evict_after, check_every, check_seed;
    double check_probability;
    int shrink;
    long workers, adversaries, stragglers, rule_f;
    double rule_tolerance, zeno_rho;
    long zeno_batch;
    int rule_streaming, digest_first;
    int challenge; /* set by --vote, --transport and --code */
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
    const char *metrics, *plot, *params, *ledger;
    int fail_on_blame, all_present;
    long metrics_port;
    const char *metrics_address;
    const char *log, *log_format, *audit;
    const char *checkpoint, *resume, *overrides;
    long checkpoint_every, checkpoint_keep;
    double checkpoint_seconds;
    const char *progress, *isa;
    int no_probe;
    const char *transport, *wait;
    const char *deadline_text;
    double deadline; /* seconds; default 0, the transport's */
    double deadline_factor,
        deadline_percent; /* or so many times this percentile of arrival times; 0: fixed */
    long servers;
    const char *broadcast;
    const char *role, *address, *hub, *server_name, *refused, *relay_listen, *relay_address;
    long worker, server, max_connections;
    double join_seconds, quorum_timeout;
    long min_workers;
    const char *ca, *certificate, *key;
    int insecure;
} train_options;

typedef enum train_kind {
    TRAIN_TEXT,
    TRAIN_CHOICE,
    TRAIN_OPTIONAL, /* a choice whose first word may be left out */
    TRAIN_LONG,
    TRAIN_REAL,
    TRAIN_FLAG,
    TRAIN_HEADING
} train_kind;

typedef struct train_option {
    const char *name;
    train_kind kind;
    void *value;
    double least, most;   /* numbers; a heading: least 1, the options below decide the bits of the model */
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
    o.field = "prime";
    o.vote = "auto";
    o.redundancy = "full";
    o.support = "spread";
    o.check_seed = -1;
    o.workers = 15;
    o.adversaries = 2;
    o.rule_f = -1;
    o.who = "random";
    o.liars = -1;
    o.steps = 200;
    o.batch = 150;
    o.optimizer = "momentum";
    o.schedule = "constant";
    o.lr = 0;
    o.momentum = 0.9;
    o.decay = 0.1;
    o.seed = 1;
    o.eval_every = -1;
    o.checkpoint_keep = 2;
    o.policy = "retry";
    o.retries = 3;
    o.metrics_address = "127.0.0.1";
    o.progress = "auto";
    o.log_format = "text";
    o.isa = "all";
    o.transport = "openmp";
    o.wait = "auto";
    o.servers = 1;
    o.broadcast = "direct";
    o.role = "server";
    o.address = "127.0.0.1:50051";
    o.worker = -1;
    o.server = -1;
    o.join_seconds = 60;
    o.quorum_timeout = 600;
    return o;
}

/* The table. Rows without a place to write to are headings of --help. */
static size_t train_table(train_options *o, train_option *rows, size_t capacity) {
    const train_option all[] = {
        {"Model and data", TRAIN_HEADING, NULL, 1, 1, NULL, NULL, NULL},
        {"model", TRAIN_CHOICE, &o->model, 0, 0,
         "fc softmax logistic svm linear kmeans lenet resnet18 textcnn", "NAME",
         "fc is the paper's network 784-800-500-10"},
        {"data", TRAIN_CHOICE, &o->data, 0, 0,
         "auto fashion-mnist mnist cifar10 mr digits pictures sentences", "NAME",
         "the last three are generated; auto: what the model is usually trained on, generated if it is not "
         "installed"},
        {"data-dir", TRAIN_TEXT, &o->data_dir, 0, 0, NULL, "DIR",
         "directory of the data set's files; default $DRACO_DATA, then /usr/share/datasets"},
        {"held-out", TRAIN_REAL, &o->held_out, 0, 0.9, NULL, "SHARE",
         "test on this share of the training samples instead of the test set"},
        {"train-samples", TRAIN_LONG, &o->train_samples, 0, TRAIN_MANY, NULL, "N",
         "generated data: number of training samples; default 0, the data set's own"},
        {"test-samples", TRAIN_LONG, &o->test_samples, 0, TRAIN_MANY, NULL, "N",
         "use at most N test samples; generated data: number of test samples; default 0, all"},
        {"l2", TRAIN_REAL, &o->l2, 0, 1e6, NULL, "L2",
         "softmax, logistic, svm, linear: weight of the L2 term"},
        {"word2vec", TRAIN_TEXT, &o->word2vec, 0, 0, NULL, "FILE",
         "textcnn: read initial word vectors from this word2vec file, binary or text"},

        {"Code or aggregation rule", TRAIN_HEADING, NULL, 1, 1, NULL, NULL, NULL},
        {"workers", TRAIN_LONG, &o->workers, 1, DRACO_MAX_WORKERS, NULL, "N", "number of workers n"},
        {"code", TRAIN_CHOICE, &o->code, 0, 0, "repetition cyclic none", "NAME",
         "redundancy code; none: combine plain gradients with --rule"},
        {"adversaries", TRAIN_LONG, &o->adversaries, 0, DRACO_MAX_WORKERS, NULL, "S",
         "number of liars s that the code tolerates"},
        {"stragglers", TRAIN_LONG, &o->stragglers, 0, DRACO_MAX_WORKERS, NULL, "T",
         "number of missing workers t that the code tolerates in addition"},
        {"field", TRAIN_CHOICE, &o->field, 0, 0, "prime complex", "NAME",
         "cyclic code: exact integers modulo 2^31 - 1, or complex numbers, as in the paper"},
        {"support", TRAIN_CHOICE, &o->support, 0, 0, "spread contiguous", "NAME",
         "cyclic code: which workers hold a part"},
        {"vote", TRAIN_CHOICE, &o->vote, 0, 0, "auto challenge messages", "HOW",
         "repetition code: challenge: one worker of a group sends its message, the others fingerprints of "
         "theirs "
         "under a key drawn later; messages: all send their messages; auto: challenge with mpi and grpc"},
        {"digest-first", TRAIN_FLAG, &o->digest_first, 0, 0, NULL, NULL, "old name of --vote=challenge"},
        {"redundancy", TRAIN_CHOICE, &o->redundancy, 0, 0, "full reactive", "HOW",
         "full: 2s + t + 1 workers compute a part; reactive, repetition code: s + t + 1, and more when they "
         "do not agree"},
        {"evict-after", TRAIN_LONG, &o->evict_after, 0, 255, NULL, "K",
         "leave out who was proved a liar in K rounds; reactive: s falls with each; default 0, nobody"},
        {"shrink", TRAIN_FLAG, &o->shrink, 0, 0, NULL, NULL,
         "reactive: when too many are evicted or lost, go on with the s that the others carry"},
        {"replan", TRAIN_TEXT, &o->replan, 0, 0, NULL, "STEP",
         "reactive: from STEP on as many parts as those who are left can compute; STEP:PARTS, so many"},
        {"readmit", TRAIN_TEXT, &o->readmit, 0, 0, NULL, "NAMES",
         "workers, with commas, whose proofs are forgotten when the run goes on"},
        {"check-every", TRAIN_LONG, &o->check_every, 0, TRAIN_MANY, NULL, "K",
         "reactive, spot checks: redundancy in the first of every K steps, one copy of each gradient in the "
         "others, where a lie "
         "gets into the model; default 0, in every step"},
        {"check-probability", TRAIN_REAL, &o->check_probability, 0, 1, NULL, "Q",
         "the same in a step with probability Q, drawn from --check-seed and the step; default 0, in every "
         "step"},
        {"check-seed", TRAIN_LONG, &o->check_seed, 0, TRAIN_MANY, NULL, "N",
         "seed of these draws, at the server only; default that of --seed, which the workers know"},
        {"tolerance", TRAIN_REAL, &o->tolerance, 0, 1e30, NULL, "EPS",
         "repetition code: messages agree when they differ by at most EPS; default 0, compare bits"},
        {"relative-tolerance", TRAIN_REAL, &o->relative_tolerance, 0, 0.999, NULL, "EPS",
         "repetition code: added to the tolerance, EPS times the value"},
        {"rule", TRAIN_TEXT, &o->rule, 0, 0, NULL, "NAME",
         "aggregation rule to use instead of a code (--rule=list prints them)"},
        {"rule-f", TRAIN_LONG, &o->rule_f, 0, DRACO_MAX_WORKERS, NULL, "F",
         "number of adversaries that the rule assumes; default S"},
        {"rule-tolerance", TRAIN_REAL, &o->rule_tolerance, 0, 1, NULL, "EPS",
         "geometric median: stop when a step is below EPS times the spread; default 1e-5"},
        {"rule-streaming", TRAIN_FLAG, &o->rule_streaming, 0, 0, NULL, NULL,
         "geometric median: read the messages in every iteration, as the classical method does"},
        {"zeno-rho", TRAIN_REAL, &o->zeno_rho, 0, 1e30, NULL, "RHO",
         "zeno: weight of the squared norm of a gradient in its score; default learning rate / 200"},
        {"zeno-batch", TRAIN_LONG, &o->zeno_batch, 0, 1000000, NULL, "N",
         "zeno: samples of the server's own batch, n_r in the paper; default 128"},

        {"Simulated attack", TRAIN_HEADING, NULL, 1, 1, NULL, NULL, NULL},
        {"attack", TRAIN_TEXT, &o->attack, 0, 0, NULL, "NAME",
         "draw liars among the workers, who send this (--attack=list prints the attacks); default none"},
        {"attack-scale", TRAIN_REAL, &o->attack_scale, -1e30, 1e30, NULL, "X",
         "factor of the attack; default: the attack's own"},
        {"liars", TRAIN_LONG, &o->liars, 0, DRACO_MAX_WORKERS, NULL, "L",
         "workers that lie in each step; default S"},
        {"missing", TRAIN_LONG, &o->missing, 0, DRACO_MAX_WORKERS, NULL, "M",
         "workers that are made not to reply in each step"},
        {"who", TRAIN_CHOICE, &o->who, 0, 0, "random fixed worst", "HOW",
         "which workers lie: drawn anew in each step, always the same, or placed to do most harm"},

        {"Training", TRAIN_HEADING, NULL, 1, 1, NULL, NULL, NULL},
        {"steps", TRAIN_LONG, &o->steps, 1, TRAIN_MANY, NULL, "N",
         "number of steps in all, also of a run that goes on"},
        {"batch", TRAIN_LONG, &o->batch, 1, 1e7, NULL, "B", "samples per step, divided among the parts"},
        {"optimizer", TRAIN_CHOICE, &o->optimizer, 0, 0, "sgd momentum nesterov adam adamw", "NAME",
         "update rule"},
        {"lr", TRAIN_REAL, &o->lr, 0, 1e6, NULL, "RATE",
         "learning rate; default 0.05, for adam and adamw 0.001"},
        {"momentum", TRAIN_REAL, &o->momentum, 0, 0.99999, NULL, "MU", "momentum"},
        {"weight-decay", TRAIN_REAL, &o->weight_decay, 0, 1e3, NULL, "L2", "weight decay"},
        {"clip", TRAIN_REAL, &o->clip, 0, 1e30, NULL, "NORM",
         "clip the mean gradient to this norm; default 0, no clipping"},
        {"schedule", TRAIN_CHOICE, &o->schedule, 0, 0, "constant step cosine", "NAME",
         "how the learning rate changes"},
        {"decay", TRAIN_REAL, &o->decay, 0, 1, NULL, "FACTOR",
         "step schedule: multiply the rate by FACTOR every --decay-every steps"},
        {"decay-every", TRAIN_LONG, &o->decay_every, 0, TRAIN_MANY, NULL, "N",
         "step schedule: length of a period; default: a third of the steps"},
        {"warmup", TRAIN_LONG, &o->warmup, 0, TRAIN_MANY, NULL, "N",
         "raise the rate linearly over the first N steps"},
        {"seed", TRAIN_LONG, &o->seed, 0, TRAIN_MANY, NULL, "N",
         "seed of the initial parameters, the samples and the attacks"},
        {"threads", TRAIN_LONG, &o->threads, 0, 4096, NULL, "N",
         "number of computing threads; default 0, one per processor"},
        {"eval-every", TRAIN_LONG, &o->eval_every, 0, TRAIN_MANY, NULL, "N",
         "evaluate on the test set every N steps, 0: only at the end; default: a tenth of the steps"},
        {"policy", TRAIN_CHOICE, &o->policy, 0, 0, "retry skip stop", "NAME",
         "what to do when a round cannot be decoded: repeat the step, leave it out, or stop"},
        {"retries", TRAIN_LONG, &o->retries, 0, 1e6, NULL, "N",
         "how often a step is repeated before the run stops (--policy=retry)"},
        {"share-parts", TRAIN_FLAG, &o->share_parts, 0, 0, NULL, NULL,
         "openmp: compute each part once for all workers that hold it"},
        {"isa", TRAIN_TEXT, &o->isa, 0, 0, NULL, "NAME",
         "kernel of the products, the same bits from each (--isa=list prints them)"},
        {"no-probe", TRAIN_FLAG, &o->no_probe, 0, 0, NULL, NULL,
         "skip the comparison of the workers' arithmetic before the first step"},

        {"Output", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"progress", TRAIN_CHOICE, &o->progress, 0, 0, "auto bar plain none", "HOW",
         "a bar on a terminal, otherwise lines; none: only the model's digest at the end"},
        {"metrics", TRAIN_TEXT, &o->metrics, 0, 0, NULL, "FILE",
         "write every step to FILE as a line of JSON"},
        {"metrics-port", TRAIN_LONG, &o->metrics_port, 0, 65535, NULL, "PORT",
         "serve a live page, /metrics for Prometheus, /healthz and /readyz on this port, mpi: plus the rank; "
         "workers too; default 0, none"},
        {"metrics-address", TRAIN_TEXT, &o->metrics_address, 0, 0, NULL, "ADDR",
         "address of --metrics-port: without encryption and for whoever reaches it"},
        {"plot", TRAIN_TEXT, &o->plot, 0, 0, NULL, "FILE",
         "plot test accuracy against steps and time (.svg)"},
        {"params", TRAIN_TEXT, &o->params, 0, 0, NULL, "FILE",
         "write the parameters at the end of the run, early or not, to FILE as raw floats"},
        {"ledger", TRAIN_TEXT, &o->ledger, 0, 0, NULL, "FILE",
         "write what each worker did over the whole run to FILE (JSON): blamed, absent, its seconds ..."},
        {"fail-on-blame", TRAIN_FLAG, &o->fail_on_blame, 0, 0, NULL, NULL,
         "end with exit status 6 when a worker was blamed"},
        {"log", TRAIN_TEXT, &o->log, 0, 0, NULL, "FILE",
         "append a line to FILE for all that happens, with time, level, process and step; -: to stderr, in "
         "the place of "
         "the plain lines"},
        {"log-format", TRAIN_CHOICE, &o->log_format, 0, 0, "text json", "NAME",
         "how the lines of --log look"},
        {"audit", TRAIN_TEXT, &o->audit, 0, 0, NULL, "FILE",
         "write an audit trail to FILE: a line for every round that holds the digest of the line before; "
         "draco-audit "
         "verifies and replays it"},
        {"checkpoint", TRAIN_TEXT, &o->checkpoint, 0, 0, NULL, "FILE",
         "write checkpoints to FILE: at the end, also of a run that is interrupted, and at SIGUSR1"},
        {"checkpoint-every", TRAIN_LONG, &o->checkpoint_every, 0, TRAIN_MANY, NULL, "N",
         "write one every N steps, too; default 0, none"},
        {"checkpoint-seconds", TRAIN_REAL, &o->checkpoint_seconds, 0, 1e9, NULL, "SEC",
         "write one when the last is SEC seconds old, too; default 0, none"},
        {"checkpoint-keep", TRAIN_LONG, &o->checkpoint_keep, 1, DRACO_CHECKPOINT_MOST, NULL, "N",
         "keep the last N: FILE, FILE.older-1, ..."},
        {"resume", TRAIN_OPTIONAL, &o->resume, 0, 0, "yes must", "HOW",
         "go on from the newest whole checkpoint of FILE; without one, yes starts afresh and must does not; "
         "default: neither, refuse a FILE that is there"},
        {"override", TRAIN_TEXT, &o->overrides, 0, 0, NULL, "NAMES",
         "options, with commas, that may differ from those that the checkpoint was written with"},

        {"Transport", TRAIN_HEADING, NULL, 0, 0, NULL, NULL, NULL},
        {"transport", TRAIN_CHOICE, &o->transport, 0, 0, "openmp mpi grpc", "NAME",
         "openmp: all workers in this process; mpi: run under mpirun; grpc: see --role"},
        {"deadline", TRAIN_TEXT, &o->deadline_text, 0, 0, NULL, "SEC",
         "mpi, grpc: longest time to wait for replies, in seconds, or FxpQ, as 3xp90: F times the time "
         "within which Q percent of the "
         "replies of the last 100 rounds came; default 60"},
        {"wait", TRAIN_CHOICE, &o->wait, 0, 0, "auto all enough", "FOR",
         "end a round when all workers have replied, or as soon as it can be decoded; auto: all with openmp, "
         "the complex field and tolerances, else enough"},
        {"servers", TRAIN_LONG, &o->servers, 1, 64, NULL, "K",
         "mpi, grpc: number of servers that share the parameters"},
        {"broadcast", TRAIN_CHOICE, &o->broadcast, 0, 0, "direct relay", "HOW",
         "direct: the server sends the parameters to each worker; relay, mpi and grpc: a piece to each, "
         "which "
         "passes it on, verified"},
        {"relay-listen", TRAIN_TEXT, &o->relay_listen, 0, 0, NULL, "HOST[:PORT]",
         "grpc worker: where it passes pieces on to other workers; several servers: PORT, PORT + 1, ...; "
         "default: it gets "
         "the parameters directly"},
        {"relay-address", TRAIN_TEXT, &o->relay_address, 0, 0, NULL, "HOST[:PORT]",
         "grpc worker: where others reach it, when that is not --relay-listen"},
        {"role", TRAIN_CHOICE, &o->role, 0, 0, "server worker", "ROLE", "grpc: what this process is"},
        {"address", TRAIN_TEXT, &o->address, 0, 0, NULL, "ADDR",
         "grpc: HOST:PORT, unix:/PATH or dns:///NAME:PORT; a worker of several servers: all of them, with "
         "commas; default 127.0.0.1:50051, which only this machine reaches"},
        {"worker", TRAIN_LONG, &o->worker, 0, DRACO_MAX_WORKERS - 1, NULL, "I",
         "grpc: number of this worker, from 0"},
        {"server", TRAIN_LONG, &o->server, 0, 63, NULL, "K",
         "grpc: number of this server, from 0; default 0"},
        {"refused", TRAIN_TEXT, &o->refused, 0, 0, NULL, "FILE",
         "grpc server: certificates (PEM) and names, one a line, to refuse; read again when it changes"},
        {"hub", TRAIN_TEXT, &o->hub, 0, 0, NULL, "ADDR",
         "grpc, several servers: address where server 0 listens for the other servers"},
        {"server-name", TRAIN_TEXT, &o->server_name, 0, 0, NULL, "NAME",
         "grpc: name in the server's certificate, when it differs from the host in --address"},
        {"join-seconds", TRAIN_REAL, &o->join_seconds, 0, 1e6, NULL, "SEC",
         "mpi, grpc: how long to wait for workers before the first step"},
        {"min-workers", TRAIN_LONG, &o->min_workers, 0, DRACO_MAX_WORKERS, NULL, "M",
         "mpi, grpc: a step that fails with fewer replies waits for workers; default N - T"},
        {"all-present", TRAIN_FLAG, &o->all_present, 0, 0, NULL, NULL,
         "mpi, grpc: a step waits for absent workers even where the code can do without: the complex field "
         "then has the same bits whoever died"},
        {"quorum-timeout", TRAIN_REAL, &o->quorum_timeout, 0, 1e7, NULL, "SEC",
         "mpi, grpc: how long a step waits for workers before the run ends; 0: it uses up its --retries "
         "instead"},
        {"max-connections", TRAIN_LONG, &o->max_connections, 0, 1e6, NULL, "N",
         "grpc: limit of open connections; default n + 64"},
        {"ca", TRAIN_TEXT, &o->ca, 0, 0, NULL, "FILE", "grpc: certificate of the authority (PEM)"},
        {"cert", TRAIN_TEXT, &o->certificate, 0, 0, NULL, "FILE", "grpc: certificate of this process (PEM)"},
        {"key", TRAIN_TEXT, &o->key, 0, 0, NULL, "FILE", "grpc: private key of this process (PEM)"},
        {"insecure-plain-text-beyond-this-machine", TRAIN_FLAG, &o->insecure, 0, 0, NULL, NULL,
         "grpc: neither encryption nor identity, on any address"},
    };
    size_t count = sizeof all / sizeof *all;
    if (count > capacity) abort();
    memcpy(rows, all, sizeof all);
    return count;
}

#define TRAIN_ROWS 112
#define TRAIN_HELP_COLUMN 26

/* "; default 1", unless the help has it in words, or there is none. */
static void train_default_text(const train_option *row, char *text, size_t capacity) {
    text[0] = 0;
    if (strstr(row->help, "default")) return;
    if (row->kind == TRAIN_CHOICE || row->kind == TRAIN_TEXT) {
        const char *value = *(const char **)row->value;
        if (value) snprintf(text, capacity, "; default %s", value);
    }
    if (row->kind == TRAIN_LONG && *(long *)row->value >= 0)
        snprintf(text, capacity, "; default %ld", *(long *)row->value);
    if (row->kind == TRAIN_REAL) snprintf(text, capacity, "; default %g", *(double *)row->value);
}

static void train_help_row(const train_option *row, int width) {
    char value[64], text[512];
    int used;
    train_default_text(row, value, sizeof value);
    snprintf(text, sizeof text, "%s%s%s%s", row->choices ? row->choices : "", row->choices ? " - " : "",
             row->help, value);
    used = row->kind == TRAIN_OPTIONAL ? printf("  --%s[=%s]", row->name, row->argument)
                                       : printf("  --%s%s%s", row->name, row->argument ? "=" : "",
                                                row->argument ? row->argument : "");
    if (used < TRAIN_HELP_COLUMN - 1)
        printf("%*s", TRAIN_HELP_COLUMN - used, "");
    else
        printf("\n%*s", TRAIN_HELP_COLUMN, "");
    train_wrap(text, TRAIN_HELP_COLUMN, width);
}

static void train_help(void) {
    train_options o = train_defaults();
    train_option rows[TRAIN_ROWS];
    size_t n = train_table(&o, rows, TRAIN_ROWS);
    int width = train_screen_width() < 100 ? train_screen_width() : 100;
    printf("Usage: draco-train [OPTION]...\n");
    train_wrap("Train a model on n workers of which up to s lie, and obtain the model that honest workers "
               "would have produced. Without options: the paper's FC network on Fashion-MNIST with the "
               "repetition code and 15 workers, any 2 of which may lie. --attack makes some of them lie.",
               0, width);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind == TRAIN_HEADING)
            printf("\n%s:\n", rows[i].name);
        else
            train_help_row(&rows[i], width);
    }
    printf("\n  %-*s%s\n  %-*s%s\n\n", TRAIN_HELP_COLUMN - 2, "--help", "print this text",
           TRAIN_HELP_COLUMN - 2, "--version", "print the version");
    printf("Exit status, of all processes of a run:\n");
    for (size_t i = 0; i < TRAIN_EXITS; i++) printf("  %3d  %s\n", train_exits[i].code, train_exits[i].text);
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
    if (row->kind == TRAIN_OPTIONAL && !text) text = "yes";
    if (row->kind == TRAIN_TEXT || row->kind == TRAIN_CHOICE || row->kind == TRAIN_OPTIONAL) {
        if (row->kind != TRAIN_TEXT && !train_is_choice(row->choices, text)) {
            train_log(TRAIN_ERROR, "--%s: unknown name '%s'; choose one of: %s", row->name, text,
                      row->choices);
            return 2;
        }
        if (!*text) {
            train_log(TRAIN_ERROR, "--%s: the value is empty", row->name);
            return 2;
        }
        *(const char **)row->value = text;
        return 0;
    }
    errno = 0;
    value = row->kind == TRAIN_LONG ? (double)strtol(text, &end, 10) : strtod(text, &end);
    if (end == text || *end || errno == ERANGE || !isfinite(value)) {
        train_log(TRAIN_ERROR, "--%s: '%s' is not a %s", row->name, text,
                  row->kind == TRAIN_LONG ? "whole number" : "number");
        return 2;
    }
    if (value < row->least || value > row->most) {
        train_log(TRAIN_ERROR, "--%s: %s is out of range (%.10g to %.10g)", row->name, text, row->least,
                  row->most);
        return 2;
    }
    if (row->kind == TRAIN_LONG)
        *(long *)row->value = (long)value;
    else
        *(double *)row->value = value;
    return 0;
}

/* An option has an effect only with one of these values of another; words NULL: with any. */
static const struct train_need {
    const char *option, *with, *words;
} train_needs[] = {
    {"field", "code", "cyclic"},
    {"support", "code", "cyclic"},
    {"redundancy", "code", "repetition"},
    {"shrink", "redundancy", "reactive"},
    {"replan", "redundancy", "reactive"},
    {"check-every", "redundancy", "reactive"},
    {"check-probability", "redundancy", "reactive"},
    {"check-seed", "check-probability", NULL},
    {"readmit", "evict-after", NULL},
    {"attack-scale", "attack", NULL},
    {"liars", "attack", NULL},
    {"who", "attack", NULL},
    {"rule-f", "rule", NULL},
    {"rule-tolerance", "rule", NULL},
    {"rule-streaming", "rule", NULL},
    {"zeno-rho", "rule", NULL},
    {"zeno-batch", "rule", NULL},
    {"l2", "model", "softmax logistic svm linear"},
    {"word2vec", "model", "textcnn"},
    {"decay", "schedule", "step"},
    {"decay-every", "schedule", "step"},
    {"retries", "policy", "retry"},
    {"metrics-address", "metrics-port", NULL},
    {"log-format", "log", NULL},
    {"checkpoint-every", "checkpoint", NULL},
    {"checkpoint-seconds", "checkpoint", NULL},
    {"checkpoint-keep", "checkpoint", NULL},
    {"resume", "checkpoint", NULL},
    {"override", "resume", NULL},
    {"join-seconds", "transport", "mpi grpc"},
    {"min-workers", "transport", "mpi grpc"},
    {"all-present", "transport", "mpi grpc"},
    {"quorum-timeout", "transport", "mpi grpc"},
    {"role", "transport", "grpc"},
    {"address", "transport", "grpc"},
    {"worker", "transport", "grpc"},
    {"server", "transport", "grpc"},
    {"refused", "transport", "grpc"},
    {"relay-listen", "transport", "grpc"},
    {"relay-address", "transport", "grpc"},
    {"hub", "transport", "grpc"},
    {"server-name", "transport", "grpc"},
    {"max-connections", "transport", "grpc"},
    {"ca", "transport", "grpc"},
    {"cert", "transport", "grpc"},
    {"key", "transport", "grpc"},
    {"insecure-plain-text-beyond-this-machine", "transport", "grpc"},
};

static size_t train_row_of(const train_option *rows, const char *name) {
    size_t i = 0;
    while (strcmp(rows[i].name, name) != 0) i++;
    return i;
}

/* Refuse options that would have no effect. given: which rows the command line set. */
static int train_check_needs(train_options *o, const train_option *rows, const unsigned char *given) {
    if (o->rule && given[train_row_of(rows, "code")] && strcmp(o->code, "none") != 0) {
        train_log(TRAIN_ERROR, "--rule=%s takes the place of a code: it excludes --code=%s", o->rule,
                  o->code);
        return 2;
    }
    if (o->attack && strcmp(o->attack, "none") == 0) o->attack = NULL;
    if (o->rule) o->code = "none";
    if (!o->rule && strcmp(o->code, "none") == 0) o->rule = "mean";
    for (size_t i = 0; i < sizeof train_needs / sizeof *train_needs; i++) {
        const struct train_need *need = &train_needs[i];
        const char *value = *(const char **)rows[train_row_of(rows, need->with)].value;
        if (!given[train_row_of(rows, need->option)]) continue;
        if (value && (!need->words || train_is_choice(need->words, value))) continue;
        train_log(TRAIN_ERROR, "--%s requires --%s%s%s", need->option, need->with, need->words ? "=" : "",
                  need->words ? need->words : "");
        return 2;
    }
    return 0;
}

/* Replicas must agree bit for bit: no tolerance. */
static int train_is_exact(const train_options *o) {
    return o->tolerance <= 0 && o->relative_tolerance <= 0;
}

/* --deadline=SEC or FxpQ. 0: it is no such thing. */
static int train_deadline_of(train_options *o) {
    char rest = 0;
    if (sscanf(o->deadline_text, "%lfxp%lf%c", &o->deadline_factor, &o->deadline_percent, &rest) == 2)
        return o->deadline_factor >= 1 && o->deadline_factor <= 1e6 && o->deadline_percent > 0 &&
               o->deadline_percent <= 100;
    o->deadline_factor = 0;
    return sscanf(o->deadline_text, "%lf%c", &o->deadline, &rest) == 1 && o->deadline >= 0 &&
           o->deadline <= 1e6;
}

/* Redundancy in some steps only. */
static int train_spot_checks(const train_options *o) {
    return o->check_every > 0 || o->check_probability > 0;
}

/* --replan=STEP[:PARTS]; parts 0: as many as can be computed. 0: it is no such thing. */
static int train_replan_of(const train_options *o, long *step, long *parts) {
    char rest = 0;
    int numbers = sscanf(o->replan, "%9ld:%9ld%c", step, parts, &rest), used = 0;
    if (numbers == 1) *parts = 0;
    if (numbers == 1 && (sscanf(o->replan, "%*d%n", &used) != 0 || o->replan[used])) return 0;
    return (numbers == 1 || (numbers == 2 && *parts > 0)) && *step > 0;
}

/* What two options mean together. */
static int train_check_together(train_options *o) {
    long r = 2 * o->adversaries + o->stragglers + 1, step, parts;
    const int exact = train_is_exact(o);
    if (o->rule_f < 0) o->rule_f = o->adversaries;
    if (o->liars < 0) o->liars = o->attack ? o->adversaries : 0;
    if (o->lr <= 0) o->lr = strncmp(o->optimizer, "adam", 4) == 0 ? 0.001 : 0.05;
    if (o->decay_every == 0 && strcmp(o->schedule, "step") == 0) o->decay_every = (o->steps + 2) / 3;
    if (o->eval_every < 0) o->eval_every = o->steps >= 10 ? o->steps / 10 : 1;
    if (!o->rule && o->workers < r) {
        train_log(TRAIN_ERROR, "%ld workers are too few: s = %ld and t = %ld need n >= r = 2s + t + 1 = %ld",
                  o->workers, o->adversaries, o->stragglers, r);
        return 2;
    }
    if (o->all_present && strcmp(o->wait, "enough") == 0) {
        train_log(TRAIN_ERROR, "--all-present waits for all workers, --wait=enough does not");
        return 2;
    }
    if (o->min_workers > o->workers) {
        train_log(TRAIN_ERROR, "--min-workers=%ld is more than the %ld workers", o->min_workers, o->workers);
        return 2;
    }
    if (o->liars + o->missing > o->workers) {
        train_log(TRAIN_ERROR, "%ld liars and %ld missing workers are more than the %ld workers", o->liars,
                  o->missing, o->workers);
        return 2;
    }
    if (o->digest_first) {
        train_log(TRAIN_ERROR, "--digest-first is the old name of --vote=challenge");
        o->vote = "challenge";
    }
    if ((strcmp(o->vote, "challenge") == 0 || !exact) && (o->rule || strcmp(o->code, "repetition") != 0)) {
        train_log(TRAIN_ERROR, "--vote=challenge and --tolerance require --code=repetition");
        return 2;
    }
    if (strcmp(o->vote, "challenge") == 0 && !exact) {
        train_log(TRAIN_ERROR, "--vote=challenge cannot be combined with --tolerance");
        return 2;
    }
    if (strcmp(o->redundancy, "reactive") == 0 && (!exact || strcmp(o->vote, "messages") == 0)) {
        train_log(TRAIN_ERROR, "--redundancy=reactive holds a challenge: it excludes --vote=messages and "
                               "--tolerance");
        return 2;
    }
    if (o->deadline_text && !train_deadline_of(o)) {
        train_log(TRAIN_ERROR,
                  "--deadline=%s: neither seconds up to 1e6 nor FxpQ, as 3xp90, with F from 1 to 1e6 and Q "
                  "above 0, "
                  "up to 100",
                  o->deadline_text);
        return 2;
    }
    if (o->deadline_factor > 0 && strcmp(o->transport, "openmp") == 0) {
        train_log(TRAIN_ERROR, "--deadline=%s requires --transport=mpi grpc", o->deadline_text);
        return 2;
    }
    if (o->check_every > 0 && o->check_probability > 0) {
        train_log(TRAIN_ERROR, "--check-every and --check-probability exclude each other");
        return 2;
    }
    if (train_spot_checks(o) && o->adversaries < 1) {
        train_log(
            TRAIN_ERROR,
            "--check-%s requires --adversaries=S above 0: with S = 0 there is no redundancy to check with",
            o->check_every > 0 ? "every" : "probability");
        return 2;
    }
    if (o->check_seed < 0) o->check_seed = o->seed;
    if (o->evict_after > 0 && (o->rule || !exact)) {
        train_log(TRAIN_ERROR, "--evict-after requires a code without tolerance: only that proves a lie");
        return 2;
    }
    if (o->replan && !train_replan_of(o, &step, &parts)) {
        train_log(TRAIN_ERROR, "--replan=%s: not a step, or STEP:PARTS", o->replan);
        return 2;
    }
    o->challenge = strcmp(o->vote, "challenge") == 0 || strcmp(o->redundancy, "reactive") == 0 ||
                   (strcmp(o->vote, "auto") == 0 && !o->rule && exact && strcmp(o->code, "repetition") == 0 &&
                    strcmp(o->transport, "openmp") != 0);
    if (o->servers > 1 && (o->rule || !exact)) {
        train_log(TRAIN_ERROR,
                  "--servers=%ld requires a code without tolerance: rules and tolerance need whole "
                  "messages",
                  o->servers);
        return 2;
    }
    if (strcmp(o->broadcast, "relay") == 0 && strcmp(o->transport, "openmp") == 0) {
        train_log(TRAIN_ERROR, "--broadcast=relay requires --transport=mpi or --transport=grpc");
        return 2;
    }
    if (o->servers > 1 && strcmp(o->transport, "openmp") == 0) {
        train_log(TRAIN_ERROR, "--servers=%ld requires --transport=mpi or --transport=grpc", o->servers);
        return 2;
    }
    return 0;
}

/* -1: go on. Otherwise the exit code. */
static int train_parse(int argc, char **argv, train_options *o) {
    train_option rows[TRAIN_ROWS];
    struct option longs[TRAIN_ROWS + 3];
    size_t n, count = 0;
    unsigned char given[TRAIN_ROWS] = {0};
    int which, at;
    *o = train_defaults();
    n = train_table(o, rows, TRAIN_ROWS);
    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind == TRAIN_HEADING) continue;
        longs[count].name = rows[i].name;
        longs[count].has_arg = rows[i].kind == TRAIN_FLAG       ? no_argument
                               : rows[i].kind == TRAIN_OPTIONAL ? optional_argument
                                                                : required_argument;
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
            train_log(TRAIN_ERROR, "%s '%s' (try --help)",
                      which == ':' ? "missing value after" : "unknown option",
                      argv[at < argc ? at : argc - 1]);
            return 2;
        }
        if (train_set(&rows[which - 1000], optarg) != 0) return 2;
        given[which - 1000] = 1;
    }
    if (optind < argc) {
        train_log(TRAIN_ERROR, "unexpected argument '%s' (try --help)", argv[optind]);
        return 2;
    }
    if (train_check_needs(o, rows, given) != 0 || train_check_together(o) != 0) return 2;
    return -1;
}

#endif /* TRAIN_OPTIONS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */

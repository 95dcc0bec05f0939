/* draco-audit: what a run's audit trail says, and whether it is so.

       draco-audit TRAIL                  verify: does each line follow from the one before?
       draco-audit --head=DIGEST TRAIL    ... and does it end in the line whose digest the run printed?
       draco-audit --replay TRAIL         compute the run again on this machine, and compare each step's digests

   A replay trusts nobody: it makes model, data and code from the options in the trail, computes every part once, and
   stops at the first line that differs. --data-dir, --word2vec and --threads are draco-train's. What liars sent is not
   in a trail, so a run with an aggregation rule cannot be replayed; one in the complex field has the bits of who
   replied, and is compared only where all did.

   Exit status: 0 it is as it says, 1 it is not, 2 wrong option or unreadable trail. */
#define main train_main
#include "draco_train.c"
#undef main

typedef struct audit_step { /* what the trail says of a step that was decoded */
    uint64_t line;
    int decoded, whole; /* whole: all replied and agreed */
    char sum[TRAIN_DIGEST_HEX], parameters[TRAIN_DIGEST_HEX];
} audit_step;

typedef struct audit {
    const char *path;
    train_run run;
    train_options options;
    train_trail_line first; /* the start */
    audit_step *steps;
    uint64_t count, room;
    int wrong;
} audit;

/* Keeps what a line says of its step. A step that a resumed run does again has to come out the same. Returns -1 after
   a line on stderr. */
static int audit_keep(audit *a, const train_trail_line *l, uint64_t line) {
    audit_step *step;
    if (l->step >= a->room) {
        const uint64_t room = l->step + 1 > 2 * a->room ? l->step + 1 : 2 * a->room;
        audit_step *more = realloc(a->steps, room * sizeof *more);
        if (!more) {
            fprintf(stderr, "draco-audit: %s\n", draco_status_text(DRACO_E_MEMORY));
            return -1;
        }
        memset(more + a->room, 0, (room - a->room) * sizeof *more);
        a->steps = more;
        a->room = room;
    }
    if (l->step >= a->count) a->count = l->step + 1;
    step = &a->steps[l->step];
    if (l->status < 0) return 0;
    if (step->decoded && (strcmp(step->sum, l->sum) != 0 || strcmp(step->parameters, l->parameters) != 0)) {
        printf("%s: line %llu: step %llu was done again with another result than in line %llu\n", a->path,
               (unsigned long long)line, (unsigned long long)l->step + 1, (unsigned long long)step->line);
        a->wrong = 1;
        return -1;
    }
    step->line = line;
    step->decoded = 1;
    step->whole = strspn(l->verdicts, ".") == strlen(l->verdicts);
    memcpy(step->sum, l->sum, sizeof step->sum);
    memcpy(step->parameters, l->parameters, sizeof step->parameters);
    return 0;
}

/* The chain from the first line to the last. 0, 1: something is wrong with it, 2: it cannot be read. */
static int audit_verify(audit *a, const char *head) {
    static train_trail_line l;
    FILE *file = fopen(a->path, "r");
    train_trail t;
    int found;
    if (!file) {
        fprintf(stderr, "draco-audit: %s: %s\n", a->path, strerror(errno));
        return 2;
    }
    train_trail_begin(&t, file);
    while ((found = train_trail_next(&t, &l)) > 0) {
        if (l.event == TRAIN_TRAIL_START) a->first = l;
        if (l.event == TRAIN_TRAIL_RESUME && strcmp(l.contract, a->first.contract) != 0)
            printf("%s: line %llu: the run goes on with other options\n", a->path,
                   (unsigned long long)t.lines);
        if (l.event == TRAIN_TRAIL_ROUND && audit_keep(a, &l, t.lines) != 0) break;
    }
    fclose(file);
    if (found > 0) return a->wrong ? 1 : 2;
    if (found < 0 || t.lines == 0) {
        printf("%s: %s\n", a->path, t.lines == 0 && !t.why[0] ? "it is empty" : t.why);
        return 1;
    }
    if (head && strcmp(head, t.head) != 0) {
        printf("%s: its last line has the digest %s, not %s: lines are missing at its end\n", a->path, t.head,
               head);
        return 1;
    }
    printf(
        "%s: %llu lines, %llu steps, each line follows from the one before%s\ndigest of the last line %s\n",
        a->path, (unsigned long long)t.lines, (unsigned long long)a->count,
        t.ended ? "" : "; it does not say that the run ended", t.head);
    return 0;
}

/* The option of this name, or NULL. */
static const train_option *audit_row(const train_option *rows, size_t n, const char *name, size_t length) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind != TRAIN_HEADING && strlen(rows[i].name) == length &&
            memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

/* The options of the trail's contract; digests and what else is no option is compared afterwards. */
static int audit_options(audit *a) {
    train_option rows[TRAIN_ROWS];
    const size_t n = train_table(&a->options, rows, TRAIN_ROWS);
    for (char *at = a->first.contract, *line; (line = strtok_r(at, "\n", &at)) != NULL;) {
        const char *value = strchr(line, '=');
        const train_option *row = value ? audit_row(rows, n, line, (size_t)(value - line)) : NULL;
        if (!row || (row->kind == TRAIN_TEXT && strcmp(value, "=none") == 0) ||
            (row->kind == TRAIN_FLAG && strcmp(value, "=1") != 0))
            continue;
        if (train_set(row, value + 1) != 0) return 2;
    }
    a->options.progress = "none";
    a->options.share_parts = 1;
    return a->options.workers > 0 && !a->options.rule ? train_check_together(&a->options) : 0;
}

/* Which key of the contract is another one here? */
static int audit_contract(const audit *a, const char *theirs) {
    const char *ours = a->run.contract;
    while (*theirs && *ours) {
        const size_t theirs_length = strcspn(theirs, "\n"), ours_length = strcspn(ours, "\n");
        if (theirs_length != ours_length || memcmp(theirs, ours, ours_length) != 0) {
            printf("%s: the run was one of %.*s, and here it is %.*s\n", a->path, (int)theirs_length, theirs,
                   (int)ours_length, ours);
            return 1;
        }
        theirs += theirs_length + (theirs[theirs_length] == '\n');
        ours += ours_length + (ours[ours_length] == '\n');
    }
    return 0;
}

static draco_status audit_on_round(void *ctx, uint64_t step, int attempt, const draco_round *round,
                                   const draco_score *score) {
    audit *a = ctx;
    const audit_step *said = &a->steps[step];
    const int complex_field =
        a->run.setup.code.scheme == DRACO_CYCLIC && a->run.setup.code.field == DRACO_FIELD_COMPLEX;
    const size_t dim = a->run.setup.model.dim;
    char sum[TRAIN_DIGEST_HEX], parameters[TRAIN_DIGEST_HEX];
    (void)attempt, (void)score;
    if (round->status < 0) return round->status;
    train_audit_digest(a->run.sum, dim, (int)a->first.servers, (int)a->first.server, sum);
    train_audit_digest(a->run.params, dim, (int)a->first.servers, (int)a->first.server, parameters);
    if (strcmp(sum, said->sum) == 0 && strcmp(parameters, said->parameters) == 0)
        return train_make_plan(&a->run, step);
    printf("%s: line %llu: step %llu: the %s is another one when it is computed here%s\n", a->path,
           (unsigned long long)said->line, (unsigned long long)step + 1,
           strcmp(sum, said->sum) != 0 ? "decoded sum" : "model after the step",
           complex_field && !said->whole
               ? " (complex field, and not all workers replied: it may be by rounding)"
               : "");
    a->wrong = 1;
    return DRACO_E_STOPPED;
}

static int audit_replay(audit *a) {
    static char contract[TRAIN_TRAIL_CONTRACT];
    train_run *run = &a->run;
    draco_trainer *t = &run->trainer;
    draco_status status = DRACO_OK;
    uint64_t done = 0;
    int code;
    snprintf(contract, sizeof contract, "%s", a->first.contract);
    code = audit_options(a);
    if (code == 0 && a->options.rule) {
        fprintf(
            stderr,
            "draco-audit: %s: --rule=%s: what the workers sent is not in a trail, so it cannot be replayed\n",
            a->path, a->options.rule);
        code = 2;
    }
    if (code == 0 && a->options.replan && !strchr(a->options.replan, ':')) {
        fprintf(stderr,
                "draco-audit: %s: --replan=%s: how many parts that came to is not in a trail, so it cannot "
                "be replayed\n",
                a->path, a->options.replan);
        code = 2;
    }
    run->o = &a->options;
    if (code == 0) code = train_prepare(run);
    if (code == 0) code = train_open_vectors(run);
    if (code == 0) code = audit_contract(a, contract);
    if (code == 0) code = train_open_server(run);
    if (code != 0) return code;
    train_open_trainer(run);
    t->policy = DRACO_POLICY_STOP;
    t->on_round = audit_on_round;
    t->on_round_ctx = a;
    for (uint64_t step = 0; step < a->count && status >= 0; step++) {
        if (!a->steps[step].decoded) continue; /* left out by --policy=skip, or the last one, which failed */
        t->first_step = step;
        t->steps = 1;
        t->first_update = done++;
        status = draco_train(t);
    }
    if (a->wrong) return 1;
    if (status < 0) {
        fprintf(stderr, "draco-audit: %s\n", draco_status_text(status));
        return status == DRACO_E_STOPPED ? TRAIN_STOPPED : 1;
    }
    printf("%s: replayed: %llu steps have the sums and the models that it says\n", a->path,
           (unsigned long long)done);
    return 0;
}

int main(int argc, char **argv) {
    static audit a;
    const char *head = NULL;
    int replay = 0, code;
    train_option rows[TRAIN_ROWS];
    (void)train_main;
    a.options = train_defaults();
    const size_t n = train_table(&a.options, rows, TRAIN_ROWS);
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = strchr(argv[i], '=');
        if (strncmp(option, "--", 2) != 0 && !a.path) {
            a.path = option;
        } else if (strcmp(option, "--replay") == 0) {
            replay = 1;
        } else if (strncmp(option, "--head=", 7) == 0) {
            head = option + 7;
        } else if (value &&
                   (strncmp(option, "--data-dir=", 11) == 0 || strncmp(option, "--word2vec=", 11) == 0 ||
                    strncmp(option, "--threads=", 10) == 0)) {
            if (train_set(audit_row(rows, n, option + 2, (size_t)(value - option) - 2), value + 1) != 0)
                return 2;
        } else {
            a.path = NULL;
            break;
        }
    }
    if (!a.path) {
        fprintf(stderr, "Usage: draco-audit [--head=DIGEST] [--replay [--data-dir=DIR] [--word2vec=FILE] "
                        "[--threads=N]] TRAIL\n");
        return 2;
    }
    if (replay && train_catch_signals() != 0) return 2;
    code = audit_verify(&a, head);
    if (code == 0 && replay) code = audit_replay(&a);
    train_close(&a.run, code);
    free(a.steps);
    return code;
}

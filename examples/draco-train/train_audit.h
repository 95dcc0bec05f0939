/* train_audit.h - the audit trail of a run, written by each server of its shard; draco_audit.c reads it. */
#ifndef TRAIN_AUDIT_H
#define TRAIN_AUDIT_H

#include "train_run.h"
#include "train_trail.h"

/* Of the floats of a server's shard, as bytes that are little-endian here: the trail is for one kind of machine. */
static void train_audit_digest(const float *values, size_t dim, int servers, int server,
                               char hex[TRAIN_DIGEST_HEX]) {
    size_t first, count;
    draco_shard(dim, servers, server, &first, &count);
    train_blake2b_hex(values + first, count * sizeof(float), hex);
}

/* A line whole, by one call. That it cannot be written ends the run: a trail with a hole proves nothing. */
static draco_status train_audit_write(train_run *run, train_trail_line *l) {
    static char text[TRAIN_TRAIL_LINE];
    size_t length;
    if (run->audit <= 0) return DRACO_OK;
    memcpy(l->before, run->audit_head, TRAIN_DIGEST_HEX);
    length = train_trail_write(l, text);
    train_blake2b_hex(text, length, run->audit_head);
    text[length++] = '\n';
    if (write(run->audit, text, length) == (ssize_t)length) return DRACO_OK;
    train_log(TRAIN_ERROR, "%s: %s: the audit trail has a hole", run->audit_path, strerror(errno));
    return DRACO_E_IO;
}

/* The end of the trail of an earlier process; a last line that is not whole is cut off. 0, or 2 after a line on stderr. */
static int train_audit_continue(train_run *run) {
    FILE *file = fopen(run->audit_path, "r");
    train_trail_line *l = malloc(sizeof *l);
    train_trail t;
    int found = -1;
    if (file && l) {
        train_trail_begin(&t, file);
        while ((found = train_trail_next(&t, l)) > 0) continue;
        memcpy(run->audit_head, t.head, TRAIN_DIGEST_HEX);
        if (found < 0 && feof(file) && t.begun) found = ftruncate(run->audit, t.whole);
        if (found == 0 && (!t.begun || run->first_step > t.step)) {
            snprintf(t.why, sizeof t.why, "it ends before step %llu, from which the run goes on",
                     (unsigned long long)run->first_step + 1);
            found = -1;
        }
        if (found != 0) train_log(TRAIN_ERROR, "%s: %s", run->audit_path, t.why);
    }
    if (file) fclose(file);
    free(l);
    return found == 0 ? 0 : 2;
}

/* 0, or 2 after a line on stderr. A trail that is there is only gone on with. */
static int train_audit_open(train_run *run) {
    train_trail_line *l;
    struct stat about;
    int code = 0;
    if (!run->o->audit) return 0;
    snprintf(run->audit_path, sizeof run->audit_path, run->transport.servers > 1 ? "%s.%d" : "%s",
             run->o->audit, run->transport.server);
    run->audit = open(run->audit_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (run->audit < 0 || fstat(run->audit, &about) != 0) {
        train_log(TRAIN_ERROR, "%s: %s", run->audit_path, strerror(errno));
        return 2;
    }
    memset(run->audit_head, '0', 2 * TRAIN_DIGEST);
    if (about.st_size > 0 && run->first_step == 0) {
        train_log(TRAIN_ERROR, "%s: there is an audit trail already: go on with --resume, or move it away",
                  run->audit_path);
        return 2;
    }
    if (run->first_step > 0) code = train_audit_continue(run);
    l = calloc(1, sizeof *l);
    if (code != 0 || !l) {
        free(l);
        return code ? code : TRAIN_FAILED;
    }
    l->event = run->first_step > 0 ? TRAIN_TRAIL_RESUME : TRAIN_TRAIL_START;
    l->server = (uint64_t)run->transport.server;
    l->servers = (uint64_t)run->transport.servers;
    l->step = run->first_step;
    snprintf(l->contract, sizeof l->contract, "%s", run->contract);
    code = train_audit_write(run, l) < 0 ? TRAIN_FAILED : 0;
    free(l);
    return code;
}

static draco_status train_audit_round(train_run *run, uint64_t step, int attempt, const draco_round *round) {
    static const char letters[] = {[DRACO_UNDECIDED] = '?', [DRACO_AGREES] = '.',    [DRACO_BLAMED] = 'B',
                                   [DRACO_ABSENT] = 'A',    [DRACO_MALFORMED] = 'M', [DRACO_SUSPECTED] = 'S'};
    static train_trail_line l;
    if (run->audit <= 0) return DRACO_OK;
    memset(&l, 0, sizeof l);
    l.event = TRAIN_TRAIL_ROUND;
    l.step = step;
    l.attempt = (uint64_t)attempt;
    l.status = round->status < 0 ? round->status : 0;
    l.plan = draco_code_id(&run->setup.code);
    l.present = (uint64_t)round->report.present;
    l.residual = isfinite(round->report.residual) ? round->report.residual : -1;
    for (int i = 0; i < run->setup.code.n; i++) l.verdicts[i] = letters[round->verdicts[i]];
    memset(l.sum, '0', 2 * TRAIN_DIGEST);
    memset(l.parameters, '0', 2 * TRAIN_DIGEST);
    if (round->status >= 0) {
        const size_t dim = run->setup.model.dim;
        train_audit_digest(run->sum, dim, run->transport.servers, run->transport.server, l.sum);
        train_audit_digest(run->params, dim, run->transport.servers, run->transport.server, l.parameters);
    }
    return train_audit_write(run, &l);
}

/* The digest of the last line stands for the whole trail: it is said, to be kept elsewhere. */
static void train_audit_close(train_run *run, draco_status status) {
    static train_trail_line l;
    if (run->audit <= 0) return;
    l.event = TRAIN_TRAIL_END;
    l.step = run->next_step;
    l.status = status < 0 ? status : 0;
    if (train_audit_write(run, &l) >= 0)
        train_log(TRAIN_INFO, "%s: digest of the last line %s", run->audit_path, run->audit_head);
    close(run->audit);
    run->audit = 0;
}

#endif /* TRAIN_AUDIT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */

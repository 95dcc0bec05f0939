/* Same bits over gRPC as on OpenMP: every code and rule, honest, with liars, with silent workers, one server,
 * three. */
#include "support/conformance.h"

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"
#define DRACO_GRPC_IMPLEMENTATION
#include "transports/draco_grpc.h"
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"
#include "support/explained.h"

#ifndef CONFORMANCE_RELAY
#define CONFORMANCE_RELAY 0 /* 1: the workers relay the parameters */
#endif

enum { SERVERS = 3, WORKERS = 16 };

typedef struct member { /* a server or a worker, on a thread of its own */
    const conformance_case *c;
    int mode, index, servers, wrong;
    draco_status status;
    draco_transport t;
    char address[256];
    float params[CONFORMANCE_DIM];
} member;

static void *server_main(void *arg) {
    member *m = arg;
    m->status = conformance_serve(m->c, m->mode, &m->t, m->params, &m->wrong);
    return NULL;
}

static void *worker_main(void *arg) {
    member *m = arg;
    draco_code code = m->c->code;
    char why[256] = "";
    draco_code_init(&code);
    draco_grpc_worker_config config = {.address = m->address,
                                       .index = m->index,
                                       .code_id = draco_code_id(&code),
                                       .configuration = m->c->name,
                                       .relay_listen = CONFORMANCE_RELAY ? "127.0.0.1" : NULL,
                                       .workers = code.n};
    m->status = explained(&m->t, draco_grpc_worker_open(&m->t, &config), why, sizeof why);
    if (m->status) {
        printf("# %s\n", why);
        return NULL;
    }
    m->status = conformance_work(m->c, m->mode, m->index, m->servers, &m->t);
    if (m->status < 0) printf("# worker %d: %s\n", m->index, m->t.explain(m->t.ctx));
    m->t.close(m->t.ctx);
    return NULL;
}

static int open_server(member *m, int k, int servers, const char *hub) {
    draco_code code = m->c->code;
    char why[256] = "";
    draco_code_init(&code);
    draco_grpc_server_config config = {.address = "127.0.0.1:0",
                                       .workers = code.n,
                                       .code_id = draco_code_id(&code),
                                       .configuration = m->c->name,
                                       .server = servers > 1 ? k : 0,
                                       .servers = servers > 1 ? servers : 0,
                                       .hub = hub,
                                       .relay = CONFORMANCE_RELAY,
                                       .liars = code.s};
    if (explained(&m->t, draco_grpc_server_open(&m->t, &config), why, sizeof why) == DRACO_OK) return 1;
    printf("# %s\n", why);
    return 0;
}

/* One run; 1 when every server ends with the reference's bits and the verdicts that are due. */
static int run(const conformance_case *c, int mode, int servers, const float *reference, const char *hub) {
    static member s[SERVERS], w[WORKERS];
    pthread_t st[SERVERS], wt[WORKERS];
    char addresses[256] = "";
    int good = 1;
    memset(s, 0, sizeof s);
    memset(w, 0, sizeof w);
    for (int k = 0; k < servers; k++) {
        s[k].c = c;
        s[k].mode = mode;
        if (!open_server(&s[k], k, servers, hub)) return 0;
        snprintf(addresses + strlen(addresses), sizeof addresses - strlen(addresses), "%s127.0.0.1:%d",
                 k ? "," : "", draco_grpc_port(&s[k].t));
    }
    for (int i = 0; i < c->code.n; i++) {
        w[i].c = c;
        w[i].mode = mode;
        w[i].index = i;
        w[i].servers = servers;
        snprintf(w[i].address, sizeof w[i].address, "%s", addresses);
        pthread_create(&wt[i], NULL, worker_main, &w[i]);
    }
    for (int k = 0; k < servers; k++) pthread_create(&st[k], NULL, server_main, &s[k]);
    for (int k = 0; k < servers; k++) pthread_join(st[k], NULL);
    for (int k = servers - 1; k >= 0; k--) {
        const int bits = !memcmp(s[k].params, reference, sizeof s[k].params);
        const drg_planner *planner = ((const drg_server *)s[k].t.ctx)->planner;
        const int relayed = planner && planner->plan.pieces > 1;
        if (s[k].status < 0 || s[k].wrong || !bits || relayed != CONFORMANCE_RELAY) {
            printf("# server %d: %s, %d wrong verdicts, %s bits, %srelayed; %s\n", k,
                   draco_status_text(s[k].status), s[k].wrong, bits ? "the same" : "other",
                   relayed ? "" : "not ", s[k].t.explain(s[k].t.ctx));
            good = 0;
        }
        s[k].t.close(s[k].t.ctx);
    }
    for (int i = 0; i < c->code.n; i++) {
        pthread_join(wt[i], NULL);
        good &= w[i].status >= 0;
    }
    return good;
}

/* An address for the servers among themselves: a Unix-domain socket of this process. */
int main(void) {
    static float reference[CONFORMANCE_DIM];
    char directory[] = "/tmp/draco-grpc-XXXXXX", hub[64];
    int test = 0, failed = 0;
    if (!mkdtemp(directory)) return 1;
    snprintf(hub, sizeof hub, "unix:%s/hub", directory);
    conformance_steps = 2;
    for (size_t i = 0; i < CONFORMANCE_CASES; i++) {
        const conformance_case *c = &conformance_cases[i];
        for (int mode = 0; mode < CONFORMANCE_MODES; mode++) {
            int wrong = 0;
            if (mode == CONFORMANCE_LIARS_AND_SILENT && c->code.t == 0) continue;
            conformance_deadline =
                mode == CONFORMANCE_LIARS_AND_SILENT ? 2 : 30; /* who is silent costs all of it */
            const draco_status status = conformance_reference(c, mode, reference, &wrong);
            for (int servers = 1; servers <= c->servers; servers += 2) {
                const int ok = status >= 0 && !wrong && run(c, mode, servers, reference, hub);
                if (status < 0 || wrong)
                    printf("# reference: %s, %d wrong\n", draco_status_text(status), wrong);
                printf("%s %d - %s, %s, %d server%s: the bits of OpenMP\n", ok ? "ok" : "not ok", ++test,
                       c->name, conformance_mode_name(mode), servers, servers > 1 ? "s" : "");
                fflush(stdout);
                failed |= !ok;
            }
        }
    }
    printf("1..%d\n", test);
    unlink(hub + 5);
    rmdir(directory);
    return failed;
}

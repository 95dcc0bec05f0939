/* The relayed broadcast, played in memory: honest relays, relays that lie in every way, fall silent or are slow, complaints
   true and false, orders and asks that nobody honest sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_STATIC
#define DRACO_VOTE_STATIC
#define DRACO_IMPLEMENTATION
#include "transports/draco_relay.h"

enum { MOST = 17 };

typedef struct cluster {
    int n;
    size_t bytes, stride;
    unsigned char *vector, *orders, *copy[MOST], takes[MOST], gives[MOST];
    draco_relay_server server;
    draco_relay_worker worker[MOST];
    int given, repaired; /* pieces that the server sent: to their relays, and because they were asked for */
} cluster;

static void cluster_open(cluster *c, int n, int liars, size_t bytes) {
    memset(c, 0, sizeof *c);
    c->n = n;
    c->bytes = bytes;
    c->stride = draco_relay_order_bytes(n);
    c->vector = malloc(bytes);
    c->orders = malloc((size_t)n * c->stride);
    assert_true(c->vector && c->orders);
    for (size_t i = 0; i < bytes; i++) c->vector[i] = (unsigned char)(i * 7 + i / 251);
    assert_int_equal(draco_relay_server_open(&c->server, n, liars), DRACO_OK);
    for (int i = 0; i < n; i++) {
        c->takes[i] = c->gives[i] = 1;
        c->copy[i] = malloc(bytes);
        assert_int_equal(draco_relay_worker_open(&c->worker[i], n, i), DRACO_OK);
    }
}

static void cluster_close(cluster *c) {
    draco_relay_server_close(&c->server);
    for (int i = 0; i < c->n; i++) {
        draco_relay_worker_close(&c->worker[i]);
        free(c->copy[i]);
    }
    free(c->vector);
    free(c->orders);
}

/* The server's piece p to worker i. */
static draco_status give(cluster *c, int i, uint32_t p, double now) {
    size_t count, at = draco_relay_piece(c->bytes, c->server.pieces, p, &count);
    memcpy(c->copy[i] + at, c->vector + at, count);
    return draco_relay_given(&c->worker[i], p, now);
}

/* Orders to all, their pieces to the relays. */
static void scatter(cluster *c) {
    c->vector[0]++;
    c->given = c->repaired = 0;
    assert_int_equal(draco_relay_plan(&c->server, c->vector, c->bytes, c->takes, c->gives, c->orders),
                     DRACO_OK);
    for (int i = 0; i < c->n; i++) {
        uint32_t own = draco_relay_own(&c->server, i);
        if (!c->takes[i]) continue;
        memset(c->copy[i], 0, c->bytes);
        assert_int_equal(draco_relay_begin(&c->worker[i], c->orders + (size_t)i * c->stride, c->stride,
                                           c->copy[i], c->bytes, 0),
                         DRACO_OK);
        assert_int_equal(c->worker[i].own, own);
        if (own == DRACO_RELAY_NONE) continue;
        assert_int_equal(give(c, i, own, 0.01), DRACO_OK);
        c->given++;
    }
}

/* Worker `from` sends worker `to` its frames, as `spoil` leaves them. Returns the worst that they were taken for. */
static draco_status relay(cluster *c, int from, int to, void (*spoil)(unsigned char *frame, size_t *size),
                          double now) {
    size_t bytes = draco_relay_frames_bytes(&c->worker[from]), at = 0;
    unsigned char *frames = malloc(bytes);
    draco_status worst = DRACO_MORE;
    assert_non_null(frames);
    draco_relay_frames(&c->worker[from], frames);
    while (at < bytes) {
        size_t size = bytes - at < DRACO_RELAY_FRAME ? bytes - at : DRACO_RELAY_FRAME, sent = size;
        unsigned char *frame = malloc(size + 1000);
        draco_status status;
        assert_non_null(frame);
        memcpy(frame, frames + at, size);
        if (spoil) spoil(frame, &sent);
        status = draco_relay_take(&c->worker[to], from, frame, sent, now);
        if (status < 0 || (worst >= 0 && status == DRACO_OK)) worst = status;
        free(frame);
        at += size;
    }
    free(frames);
    return worst;
}

static void gather(cluster *c, const unsigned char *silent) {
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->n; j++)
            if (draco_relay_can_give(&c->worker[i]) && c->worker[i].takes[j] && !silent[i])
                assert_int_equal(relay(c, i, j, NULL, 0.02), DRACO_OK);
}

/* What worker i wants goes to it. Returns how many pieces. */
static int repair(cluster *c, int i, double now, int *bad) {
    unsigned char ask[12 + 4 * MOST];
    uint32_t pieces[MOST];
    int count = 0, wanted;
    size_t size = draco_relay_want(&c->worker[i], now, ask, &wanted);
    *bad = -1;
    if (size == 0) return 0;
    count = draco_relay_asked(&c->server, i, ask, size, pieces, bad);
    assert_int_equal(count, wanted);
    for (int k = 0; k < count; k++) assert_int_equal(give(c, i, pieces[k], now), DRACO_OK);
    c->repaired += count;
    return count;
}

static void all_are_whole(const cluster *c) {
    for (int i = 0; i < c->n; i++) {
        if (!c->takes[i]) continue;
        assert_true(draco_relay_whole(&c->worker[i]));
        assert_memory_equal(c->copy[i], c->vector, c->bytes);
    }
}

static void honest(void **state) {
    static const unsigned char none[MOST];
    static const size_t sizes[] = {65536, 65537, 200000, 1000003, 2500000};
    (void)state;
    for (int n = 2; n <= MOST; n += 5)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            cluster c;
            int bad;
            cluster_open(&c, n, 1, sizes[k]);
            for (int round = 0; round < 2; round++) {
                scatter(&c);
                gather(&c, none);
                for (int i = 0; i < n; i++) assert_int_equal(repair(&c, i, 100, &bad), 0);
                all_are_whole(&c);
                assert_int_equal(c.given, n);
            }
            cluster_close(&c);
        }
}

static void not_worth_while(void **state) {
    cluster c;
    (void)state;
    cluster_open(&c, 5, 1, 4096);
    assert_int_equal(draco_relay_plan(&c.server, c.vector, c.bytes, c.takes, c.gives, c.orders), DRACO_MORE);
    cluster_close(&c);
    cluster_open(&c, 5, 1, 100000);
    for (int i = 1; i < 5; i++) c.gives[i] = 0;
    assert_int_equal(draco_relay_plan(&c.server, c.vector, c.bytes, c.takes, c.gives, c.orders), DRACO_MORE);
    cluster_close(&c);
}

/* ---- Lies ---- */

static void wrong_bytes(unsigned char *frame, size_t *size) {
    frame[*size - 1] ^= 1;
}
static void too_short(unsigned char *frame, size_t *size) {
    (void)frame;
    (*size)--;
}
static void too_long(unsigned char *frame, size_t *size) {
    memset(frame + *size, 0, 1000);
    *size += 1000;
}
static void too_long_and_says_so(unsigned char *frame, size_t *size) {
    too_long(frame, size);
    dry_put32(frame + 20, (uint32_t)(*size - DRACO_RELAY_HEAD));
}
static void later_step(unsigned char *frame, size_t *size) {
    (void)size;
    dry_put64(frame, dry_get64(frame) + 1);
}
static void others_piece(unsigned char *frame, size_t *size) {
    (void)size;
    dry_put32(frame + 16, 0);
}
static void others_place(unsigned char *frame, size_t *size) {
    (void)size;
    dry_put64(frame + 8, 0);
}
static void far_place(unsigned char *frame, size_t *size) {
    (void)size;
    dry_put64(frame + 8, UINT64_MAX - 3);
}
static void head_alone(unsigned char *frame, size_t *size) {
    (void)frame;
    *size = DRACO_RELAY_HEAD;
}
static void nothing(unsigned char *frame, size_t *size) {
    (void)frame;
    *size = 0;
}

static void every_lie(void **state) {
    static void (*const lies[])(unsigned char *, size_t *) = {
        wrong_bytes,  too_short,    too_long,  too_long_and_says_so, later_step,
        others_piece, others_place, far_place, head_alone,           nothing};
    (void)state;
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        unsigned char liars[MOST] = {0};
        cluster c;
        int bad;
        cluster_open(&c, 9, 2, 400001);
        liars[3] = liars[8] = 1;
        scatter(&c);
        for (int j = 0; j < 9; j++)
            for (int i = 3; i < 9; i += 5)
                if (i != j) assert_int_equal(relay(&c, i, j, lies[k], 0.02), DRACO_E_MALFORMED);
        gather(&c, liars);
        for (int j = 0; j < 9; j++) {
            int lied = 2 - liars[j];
            if (j != 3)
                assert_int_equal(relay(&c, 3, j, NULL, 0.03), DRACO_E_MALFORMED); /* the truth, too late */
            assert_int_equal(repair(&c, j, 0.03, &bad), lied);                    /* at once, and once */
            assert_int_equal(repair(&c, j, 100, &bad), 0);
        }
        all_are_whole(&c);
        cluster_close(&c);
    }
}

static void silence_and_patience(void **state) {
    unsigned char silent[MOST] = {0};
    cluster c;
    int bad;
    (void)state;
    cluster_open(&c, 15, 2, 300000);
    silent[0] = silent[7] = 1;
    scatter(&c);
    gather(&c, silent);
    /* Half were there after 0.02 s: the others have until 0.04 s and the grace. */
    assert_int_equal(repair(&c, 1, 0.03 + DRACO_RELAY_GRACE, &bad), 0);
    assert_int_equal(repair(&c, 1, 0.05 + DRACO_RELAY_GRACE, &bad), 2);
    assert_int_equal(relay(&c, 7, 1, wrong_bytes, 1), DRACO_MORE); /* too late to do harm */
    for (int i = 0; i < 15; i++) repair(&c, i, 1, &bad);
    all_are_whole(&c);
    assert_int_equal(c.repaired,
                     2 * 14); /* s units in all: each worker but the relay itself asked for its piece */
    cluster_close(&c);
}

/* A relay that trickles its first frames, and asks that overtake it: what it sends afterwards is not written. */
static void a_trickle(void **state) {
    unsigned char silent[MOST] = {0}, *frames;
    cluster c;
    int bad;
    (void)state;
    cluster_open(&c, 4, 1, 800000);
    silent[2] = 1;
    scatter(&c);
    gather(&c, silent);
    frames = malloc(draco_relay_frames_bytes(&c.worker[2]));
    draco_relay_frames(&c.worker[2], frames);
    assert_int_equal(draco_relay_take(&c.worker[1], 2, frames, DRACO_RELAY_FRAME, 0.02), DRACO_MORE);
    assert_int_equal(repair(&c, 1, 1, &bad), 1);
    memset(frames + DRACO_RELAY_FRAME + DRACO_RELAY_HEAD, 0xee, 100);
    assert_int_equal(draco_relay_take(&c.worker[1], 2, frames + DRACO_RELAY_FRAME, DRACO_RELAY_FRAME, 1),
                     DRACO_MORE);
    assert_memory_equal(c.copy[1], c.vector, c.bytes);
    assert_true(draco_relay_whole(&c.worker[1]));
    free(frames);
    cluster_close(&c);
}

/* ---- The plan ---- */

static void bad_relays_leave_the_plan(void **state) {
    unsigned char silent[MOST] = {0};
    cluster c;
    int bad, named = 0, out = 0;
    (void)state;
    cluster_open(&c, 9, 2, 300000);
    silent[4] = 1;
    for (int round = 0; round < 30; round++) {
        scatter(&c);
        gather(&c, silent);
        out += c.worker[4].own == DRACO_RELAY_NONE;
        for (int i = 0; i < 9; i++) {
            repair(&c, i, 100, &bad);
            assert_true(bad == -1 || bad == 4);
            named += bad == 4;
        }
        all_are_whole(&c); /* it still gets */
    }
    assert_int_equal(out, 8 + 16 + 3); /* rounds 1 to 8, 10 to 25, 27 to 29 */
    assert_int_equal(named, 3);
    cluster_close(&c);
}

static void other_bad_relays_in_every_step(void **state) {
    cluster c;
    int bad;
    (void)state;
    cluster_open(&c, 9, 2, 300000);
    for (int round = 0; round < 40; round++) {
        unsigned char silent[MOST] = {0};
        silent[2 * round % 9] = silent[(2 * round + 1) % 9] = 1;
        scatter(&c);
        assert_true(c.given >= 7); /* two are left out, and seven relay */
        gather(&c, silent);
        for (int i = 0; i < 9; i++) repair(&c, i, 100, &bad);
        all_are_whole(&c);
        assert_true(c.repaired <= 2 * 8);
    }
    cluster_close(&c);
}

static void liars_cannot_accuse(void **state) {
    static const unsigned char none[MOST];
    cluster c;
    (void)state;
    cluster_open(&c, 9, 2, 300000);
    for (int round = 0; round < 10; round++) {
        scatter(&c);
        assert_int_equal(c.given, 9);
        gather(&c, none);
        for (int liar = 0; liar < 2; liar++)
            for (uint32_t p = 0; p < 9; p++)
                for (int again = 0; again < 3; again++) {
                    unsigned char ask[16];
                    uint32_t pieces[MOST];
                    int bad, count;
                    dry_put64(ask, c.server.serial);
                    dry_put32(ask + 8, 1);
                    dry_put32(ask + 12, p);
                    count = draco_relay_asked(&c.server, liar, ask, sizeof ask, pieces, &bad);
                    assert_int_equal(count, again == 0 && (int)p != liar); /* each piece once */
                    assert_int_equal(bad, -1);
                }
    }
    cluster_close(&c);
}

static void who_takes_and_who_gives(void **state) {
    static const unsigned char none[MOST];
    cluster c;
    int bad;
    (void)state;
    cluster_open(&c, 7, 1, 100000);
    c.takes[2] = 0; /* dead */
    c.gives[5] = 0; /* busy: it takes, late */
    scatter(&c);
    assert_int_equal(c.server.pieces, 5);
    for (int i = 0; i < 7; i++) assert_false(c.worker[i].takes[2]);
    gather(&c, none);
    for (int i = 0; i < 7; i++)
        if (c.takes[i]) assert_int_equal(repair(&c, i, 100, &bad), 0);
    assert_int_equal(c.worker[5].own, DRACO_RELAY_NONE);
    all_are_whole(&c);
    cluster_close(&c);
}

/* ---- What nobody honest sends ---- */

static void hostile_asks(void **state) {
    unsigned char ask[12 + 4 * MOST + 4] = {0};
    uint32_t pieces[MOST];
    cluster c;
    int bad;
    (void)state;
    cluster_open(&c, 5, 1, 100000);
    scatter(&c);
    scatter(&c);
    dry_put64(ask, c.server.serial);
    dry_put32(ask + 8, 1);
    for (size_t size = 0; size < 16; size++)
        assert_int_equal(draco_relay_asked(&c.server, 1, ask, size, pieces, &bad), -1);
    dry_put32(ask + 12, 5);
    assert_int_equal(draco_relay_asked(&c.server, 1, ask, 16, pieces, &bad), -1);
    dry_put32(ask + 12, 0);
    dry_put32(ask + 8, UINT32_MAX);
    assert_int_equal(draco_relay_asked(&c.server, 1, ask, 16, pieces, &bad), -1);
    dry_put32(ask + 8, 1);
    dry_put64(ask, c.server.serial + 1);
    assert_int_equal(draco_relay_asked(&c.server, 1, ask, 16, pieces, &bad), -1);
    dry_put64(ask, c.server.serial - 1);
    assert_int_equal(draco_relay_asked(&c.server, 1, ask, 16, pieces, &bad), -1);
    cluster_close(&c);
}

static void broken_orders(void **state) {
    cluster c;
    draco_relay_worker w;
    (void)state;
    cluster_open(&c, 5, 1, 100000);
    scatter(&c);
    assert_int_equal(draco_relay_worker_open(&w, 5, 0), DRACO_OK);
    for (size_t size = 0; size < c.stride; size++)
        assert_int_equal(draco_relay_begin(&w, c.orders, size, c.copy[0], c.bytes, 0), DRACO_E_MALFORMED);
    assert_int_equal(draco_relay_begin(&w, c.orders, c.stride, c.copy[0], c.bytes - 1, 0), DRACO_E_MALFORMED);
    for (size_t at = 16; at < 28; at++) {
        c.orders[at] ^= 0x41;
        assert_int_equal(draco_relay_begin(&w, c.orders, c.stride, c.copy[0], c.bytes, 0), DRACO_E_MALFORMED);
        c.orders[at] ^= 0x41;
    }
    dry_put32(c.orders + 64, 1); /* one relay for two pieces */
    assert_int_equal(draco_relay_begin(&w, c.orders, c.stride, c.copy[0], c.bytes, 0), DRACO_E_MALFORMED);
    draco_relay_worker_close(&w);
    cluster_close(&c);
}

/* The server has written the next vector over what a slow worker still reads. */
static void the_server_moved_on(void **state) {
    cluster c;
    (void)state;
    cluster_open(&c, 5, 1, 100000);
    scatter(&c);
    c.vector[90000] ^= 1;
    assert_int_equal(give(&c, 1, 4, 0.02), DRACO_E_MALFORMED);
    assert_true(c.worker[1].lost);
    cluster_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest),
        cmocka_unit_test(not_worth_while),
        cmocka_unit_test(every_lie),
        cmocka_unit_test(silence_and_patience),
        cmocka_unit_test(a_trickle),
        cmocka_unit_test(bad_relays_leave_the_plan),
        cmocka_unit_test(other_bad_relays_in_every_step),
        cmocka_unit_test(liars_cannot_accuse),
        cmocka_unit_test(who_takes_and_who_gives),
        cmocka_unit_test(hostile_asks),
        cmocka_unit_test(broken_orders),
        cmocka_unit_test(the_server_moved_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

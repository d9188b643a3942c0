/*
 * Clients and origin in one thread, for latency at a fixed rate.
 *
 * A load generator and an origin on one CPU wait for each other's time slices, which are milliseconds
 * long, and a 99th percentile then tells of them and not of the proxy. Here both are one loop, which
 * never sleeps: what a request waits for is the proxy, and this loop's own turn, whose share is said
 * too.
 *
 * Requests are due at random moments (exponential gaps, the same in each pass of a round), whether or
 * not earlier ones are answered, and latency counts from the moment one is due.
 *
 *   cc -O2 -o pace pace.c -lm
 *   ./pace ORIGIN_PORT RATE CONNECTIONS SECONDS ROUNDS NAME=PORT...
 *
 * The passes of each round begin with another proxy each time. Prints a line of key=value pairs for
 * each, separated by tabs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 4096, IN_MAX = 8192, EVENTS_MAX = 64, PROXIES_MAX = 8 };

/* How long an answer may take before the run is called broken, and the warm-up of each pass. */
static const uint64_t PATIENCE = 5000000000, WARM_UP = 500000000;

/*
 * Passes are also looked at in slices. A machine that lends its CPUs to others stops for milliseconds
 * several times a second; that spoils the 99th percentile of every pass, but of few slices. Below 2,000
 * requests a second a slice has too few for one.
 */
static const uint64_t SLICE = 50000000;

struct conn {
    bool is_client, busy;
    uint64_t due; /* of the request under way */
    size_t have;
    char in[IN_MAX];
};

static struct conn *conns[FDS_MAX];
static int epoll, listener;
static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n"
    "Content-Length: 12\r\n\r\nhello world\n";
static const char REQUEST[] = "GET /bytes/12 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add(int fd, bool is_client) {
    if (fd >= FDS_MAX) die("too many files");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conns[fd] = calloc(1, sizeof **conns);
    if (!conns[fd]) die("calloc");
    conns[fd]->is_client = is_client;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void drop(int fd) {
    free(conns[fd]);
    conns[fd] = NULL;
    close(fd);
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void listen_at(int port) {
    struct sockaddr_in at = loopback(port);
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
    if (listen(listener, 1024) < 0) die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
}

static int connect_to(int port) {
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0) die("connect");
    add(fd, true);
    return fd;
}

static void put(int fd, const char *bytes, size_t len) {
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) die("send");
}

/* The origin's part: an answer for each request. */
static void serve(int fd, struct conn *c) {
    char *end;
    while ((end = memmem(c->in, c->have, "\r\n\r\n", 4))) {
        size_t used = (size_t)(end + 4 - c->in);
        memmove(c->in, c->in + used, c->have -= used);
        put(fd, ANSWER, sizeof ANSWER - 1);
    }
}

/* The client's part: whether the answer is whole. */
static bool answered(struct conn *c) {
    if (c->have < 12) return false;
    if (memcmp(c->in, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "an answer begins: %.*s\n", (int)(c->have < 60 ? c->have : 60), c->in);
        exit(1);
    }
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    return end && (size_t)(c->in + c->have - end) == 4 + 12;
}

static uint64_t random_state = 88172645463325252u;

/* The time to the next request, of exponential distribution (xorshift64). */
static uint64_t gap(double mean) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint64_t)(-mean * log(1.0 - (double)(random_state >> 11) * 0x1p-53));
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One answered request, and in which slice of its pass it was due. */
struct answer {
    uint64_t slice, latency;
};

static int by_slice(const void *a, const void *b) {
    const struct answer *x = a, *y = b;
    int order = by_value(&x->slice, &y->slice);
    return order ? order : by_value(&x->latency, &y->latency);
}

static double part(const uint64_t *sorted, size_t count, double share) {
    return count ? (double)sorted[(size_t)((double)(count - 1) * share)] / 1000 : 0;
}

struct pass {
    int idle[FDS_MAX]; /* clients without a request */
    size_t idle_count, busy_count;
    struct answer *answers;
    uint64_t *late; /* how long each request was due before it was sent */
    size_t count, sent, room;
    uint64_t measured_from;
};

static void send_due(struct pass *p, uint64_t *due, double mean, uint64_t end) {
    uint64_t at = now();
    while (*due <= at && *due < end && p->idle_count > 0) {
        int fd = p->idle[--p->idle_count];
        struct conn *c = conns[fd];
        c->due = *due;
        c->have = 0;
        c->busy = true;
        put(fd, REQUEST, sizeof REQUEST - 1);
        p->busy_count++;
        if (*due >= p->measured_from && p->sent < p->room) p->late[p->sent++] = at - *due;
        *due += gap(mean);
        at = now();
    }
}

static void receive(struct pass *p, int fd) {
    struct conn *c = conns[fd];
    ssize_t n = recv(fd, c->in + c->have, IN_MAX - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        if (c->is_client) die("a client's connection ended");
        drop(fd);
        return;
    }
    c->have += (size_t)n;
    if (!c->is_client) {
        serve(fd, c);
    } else if (c->busy && answered(c)) {
        c->busy = false;
        p->busy_count--;
        if (c->due >= p->measured_from && p->count < p->room) {
            uint64_t slice = (c->due - p->measured_from) / SLICE;
            p->answers[p->count++] = (struct answer){slice, now() - c->due};
        }
        p->idle[p->idle_count++] = fd;
    }
}

static void turn(struct pass *p) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd != listener) {
            if (conns[fd]) receive(p, fd);
            continue;
        }
        int accepted = accept4(listener, NULL, NULL, 0);
        if (accepted >= 0) add(accepted, false);
    }
}

/* The median of the slices' 99th percentiles, in microseconds. Sorts the answers by slice. */
static double slice_p99(struct pass *p) {
    uint64_t *all = calloc(p->count + 1, sizeof *all);
    if (!all) die("calloc");
    size_t slices = 0, from = 0;
    qsort(p->answers, p->count, sizeof *p->answers, by_slice);
    for (size_t i = 1; i <= p->count; i++) {
        if (i < p->count && p->answers[i].slice == p->answers[from].slice) continue;
        all[slices++] = p->answers[from + (size_t)((double)(i - from - 1) * 0.99)].latency;
        from = i;
    }
    qsort(all, slices, sizeof *all, by_value);
    double median = part(all, slices, 0.5);
    free(all);
    return median;
}

static void run_pass(const char *name, int port, double rate, int connections, double seconds,
                     int round) {
    size_t room = (size_t)(rate * seconds * 1.5) + 1000;
    struct pass p = {.room = room};
    p.answers = calloc(room, sizeof *p.answers);
    p.late = calloc(room, sizeof *p.late);
    uint64_t *latency = calloc(room, sizeof *latency);
    if (!p.answers || !p.late || !latency) die("calloc");
    int clients[FDS_MAX];
    for (int i = 0; i < connections; i++) p.idle[p.idle_count++] = clients[i] = connect_to(port);
    uint64_t begin = now(), due = begin;
    uint64_t end = begin + WARM_UP + (uint64_t)(seconds * 1e9);
    p.measured_from = begin + WARM_UP;
    while (due < end || p.busy_count > 0) {
        send_due(&p, &due, 1e9 / rate, end);
        turn(&p);
        if (now() > end + PATIENCE) {
            fprintf(stderr, "%s does not keep up with the rate\n", name);
            exit(1);
        }
    }
    for (int i = 0; i < connections; i++) drop(clients[i]);
    for (size_t i = 0; i < p.count; i++) latency[i] = p.answers[i].latency;
    qsort(latency, p.count, sizeof *latency, by_value);
    qsort(p.late, p.sent, sizeof *p.late, by_value);
    printf("what=pace\tround=%d\tproxy=%s\trequests=%zu\tp50_us=%.1f\tp90_us=%.1f\tp99_us=%.1f\t"
           "p999_us=%.1f\tmax_us=%.1f\tlate_p99_us=%.1f\tslice_p99_us=%.1f\n",
           round, name, p.count, part(latency, p.count, 0.5), part(latency, p.count, 0.9),
           part(latency, p.count, 0.99), part(latency, p.count, 0.999), part(latency, p.count, 1),
           part(p.late, p.sent, 0.99), slice_p99(&p));
    fflush(stdout);
    free(p.answers);
    free(p.late);
    free(latency);
}

int main(int argc, char **argv) {
    int proxies = argc - 6;
    if (proxies < 1 || proxies > PROXIES_MAX) {
        fprintf(stderr, "usage: %s ORIGIN_PORT RATE CONNECTIONS SECONDS ROUNDS NAME=PORT...\n",
                argv[0]);
        return 2;
    }
    double rate = atof(argv[2]), seconds = atof(argv[4]);
    int connections = atoi(argv[3]), rounds = atoi(argv[5]);
    epoll = epoll_create1(0);
    listen_at(atoi(argv[1]));
    for (int round = 1; round <= rounds; round++) {
        uint64_t seed = random_state;
        for (int i = 0; i < proxies; i++) {
            char name[64];
            int port;
            char *entry = argv[6 + (round + i) % proxies];
            if (sscanf(entry, "%63[^=]=%d", name, &port) != 2) {
                fprintf(stderr, "not NAME=PORT: %s\n", entry);
                return 2;
            }
            random_state = seed;
            run_pass(name, port, rate, connections, seconds, round);
        }
    }
    return 0;
}

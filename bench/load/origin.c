/*
 * The origin behind the proxies that bench/compare.sh compares.
 *
 * It shares one CPU with the load generator, so its only virtue is to cost little: one epoll
 * loop, one read and one write per small request, bodies sent from one buffer that stays in the
 * cache, uploads dropped inside the kernel.
 *
 *   GET  /bytes/N   N bytes with Content-Length
 *   POST /upload    reads a body of Content-Length bytes and answers "ok"
 *
 * Keep-alive and pipelining work; a request it does not know gets a 4xx and a closed connection.
 *
 *   cc -O2 -o origin origin.c && ./origin 127.0.0.1 18480
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    /* Heads grow on their way through a proxy, but never near this. */
    HEAD_MAX = 16 * 1024,
    /* Small enough for the second-level cache, so that sending does not read from memory. */
    BODY_CHUNK = 256 * 1024,
    /* 16 chunks are 4 MiB a call, the most a socket buffer takes by default. */
    IOV_CHUNKS = 16,
    EVENTS_MAX = 256,
    FDS_MAX = 65536,
};

struct conn {
    int fd;
    bool wants_out;       /* registered for EPOLLOUT: the socket buffer was full */
    bool close_after;     /* close when the answer is out */
    bool answer_upload;   /* an upload is being read; answer it when upload_left is 0 */
    uint64_t upload_left; /* bytes of the request body still to come */
    uint64_t body_left;   /* bytes of the response body still to send */
    size_t head_len;      /* the response head, and how much of it is out */
    size_t head_sent;
    size_t have; /* bytes of in[] that hold unparsed input */
    char head[192];
    char in[HEAD_MAX];
};

static struct conn *conns[FDS_MAX];
static char body[BODY_CHUNK];
static int epoll;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(struct conn *c, bool out) {
    if (c->wants_out == out) return;
    c->wants_out = out;
    struct epoll_event ev = {.events = out ? EPOLLOUT : EPOLLIN, .data.fd = c->fd};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0) die("epoll_ctl");
}

static void drop(struct conn *c) {
    conns[c->fd] = NULL;
    close(c->fd);
    free(c);
}

static void answer(struct conn *c, const char *status, uint64_t length) {
    int n = snprintf(c->head, sizeof c->head,
                     "HTTP/1.1 %s\r\nServer: origin\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %llu\r\n%s\r\n",
                     status, (unsigned long long)length,
                     c->close_after ? "Connection: close\r\n" : "");
    c->head_len = (size_t)n;
    c->head_sent = 0;
    c->body_left = length;
}

static void answer_upload(struct conn *c) {
    c->answer_upload = false;
    answer(c, "200 OK", 0);
    memcpy(c->head + c->head_len - 5, "2\r\n\r\nok", 7); /* Content-Length: 0 becomes 2 */
    c->head_len += 2;
}

/* Sends what is due. Returns -1 when the connection is gone, 0 when blocked, 1 when all is out. */
static int flush(struct conn *c) {
    while (c->head_sent < c->head_len || c->body_left > 0) {
        struct iovec iov[1 + IOV_CHUNKS];
        size_t count = 0;
        if (c->head_sent < c->head_len)
            iov[count++] = (struct iovec){c->head + c->head_sent, c->head_len - c->head_sent};
        uint64_t left = c->body_left;
        while (left > 0 && count < 1 + IOV_CHUNKS) {
            size_t n = left < BODY_CHUNK ? (size_t)left : BODY_CHUNK;
            iov[count++] = (struct iovec){body, n};
            left -= n;
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return -1;
            watch(c, true);
            return 0;
        }
        size_t of_head = c->head_len - c->head_sent;
        if ((size_t)sent < of_head) of_head = (size_t)sent;
        c->head_sent += of_head;
        c->body_left -= (uint64_t)sent - of_head;
    }
    c->head_len = c->head_sent = 0;
    watch(c, false);
    return c->close_after ? -1 : 1;
}

/* The value of a field in a head that ends in NUL, whatever its case and place; or NULL. */
static const char *field(const char *head, const char *name) {
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            line += n + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

/* Reads one complete head (NUL-terminated) and decides what to answer. */
static void begin(struct conn *c, const char *head) {
    const char *connection = field(head, "connection");
    const char *line_end = strstr(head, "\r\n");
    c->close_after = (connection && strncasecmp(connection, "close", 5) == 0) || !line_end ||
                     line_end - head < 3 || memcmp(line_end - 3, "1.0", 3) == 0;
    if (strncmp(head, "GET /bytes/", 11) == 0) {
        answer(c, "200 OK", strtoull(head + 11, NULL, 10));
        return;
    }
    const char *length = field(head, "content-length");
    if (strncmp(head, "POST /upload ", 13) == 0 && length) {
        c->upload_left = strtoull(length, NULL, 10);
        c->answer_upload = true;
        if (field(head, "expect")) {
            static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
            (void)!send(c->fd, go, sizeof go - 1, MSG_NOSIGNAL);
        }
        return;
    }
    c->close_after = true;
    answer(c, length || strncmp(head, "POST", 4) ? "404 Not Found" : "411 Length Required", 0);
}

/* Takes the next request out of the input. Returns false when it needs more bytes. */
static bool parse(struct conn *c) {
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) return false;
    end[2] = '\0'; /* keeps the CRLF of the last field, so that every line has one */
    begin(c, c->in);
    size_t used = (size_t)(end + 4 - c->in);
    size_t rest = c->have - used;
    if (rest < c->upload_left) {
        used += rest;
        c->upload_left -= rest;
    } else {
        used += c->upload_left;
        c->upload_left = 0;
    }
    c->have -= used;
    memmove(c->in, c->in + used, c->have);
    return true;
}

/* Receives once: into the head buffer, or into nothing while an upload runs. */
static bool receive(struct conn *c) {
    ssize_t n;
    if (c->upload_left > 0) {
        /* MSG_TRUNC on TCP discards the bytes in the kernel instead of copying them. */
        size_t most = c->upload_left < (4u << 20) ? (size_t)c->upload_left : 4u << 20;
        n = recv(c->fd, NULL, most, MSG_TRUNC);
        if (n > 0) c->upload_left -= (uint64_t)n;
    } else {
        if (c->have == HEAD_MAX) return false;
        n = recv(c->fd, c->in + c->have, HEAD_MAX - c->have, 0);
        if (n > 0) c->have += (size_t)n;
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Answers what is complete, one request after the other, until input or room runs out. */
static void serve(struct conn *c) {
    for (;;) {
        if (c->answer_upload && c->upload_left == 0) answer_upload(c);
        int done = flush(c);
        if (done < 0) return drop(c);
        if (done == 0 || c->upload_left > 0) return;
        if (!parse(c)) return;
    }
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct conn *c = fd < FDS_MAX ? malloc(sizeof *c) : NULL;
        if (!c) {
            close(fd);
            continue;
        }
        memset(c, 0, offsetof(struct conn, head));
        c->fd = fd;
        conns[fd] = c;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0) die("epoll_ctl");
    }
}

static int listen_on(const char *address, const char *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) die(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
    if (listen(fd, 4096) < 0) die("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: origin ADDRESS PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(body, 'x', sizeof body);
    int listener = listen_on(argv[1], argv[2]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) < 0) die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(listener);
                continue;
            }
            struct conn *c = conns[events[i].data.fd];
            if (!c) continue;
            /* While an answer is blocked nothing is read: the next request can wait. */
            if (!c->wants_out && !receive(c))
                drop(c);
            else
                serve(c);
        }
    }
}

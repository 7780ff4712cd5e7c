/* The load of the benchmark: one thread of HTTP/1.1 keep-alive clients.
 * Closed loop: each connection sends its next request when the answer is there. Open loop (--rate):
 * requests are due at fixed times and latency counts from when they were due, so that a stalled server
 * can not slow the clock that measures it.
 *
 *    load --port N [--path /1k] [--connections 1] [--warmup-ms 500] [--measure-ms 2000] [--rate N]
 *         [--watch PID]...
 * Prints one JSON object. Exit 1 when an answer was not 200, broke off, or could not be framed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"

#define HEAD_MAX 8192
#define REQUEST_MAX 1024
#define OVERTIME_NS 2000000000LL /* how long an open loop waits for late answers */

struct client {
    int fd;
    int64_t due_ns; /* when the request in flight was to be sent */
    size_t head_len;
    size_t body_left;
    bool in_body;
    struct client *next_idle;
    char head[HEAD_MAX];
};

struct config {
    uint16_t port;
    const char *path;
    int connections;
    long rate; /* 0 = closed loop */
};

struct load {
    struct config config;
    int poller, timer;
    struct client *clients;
    struct client *idle;
    char request[REQUEST_MAX];
    size_t request_len;
    int64_t start_ns, warm_ns; /* requests due from warm_ns on count for latency (open loop) */
    uint64_t sent, due_total;  /* open loop, from the start */
    uint64_t awaited;          /* open loop: due within the window, not answered yet */
    struct measure measure;
};

static _Noreturn void bad_answer(const struct load *l, const char *why, const struct client *c)
{
    fprintf(stderr, "load: %s after %llu answers: '%.*s'\n", why,
            (unsigned long long)l->measure.answered, (int)strcspn(c->head, "\r\n"), c->head);
    exit(1);
}

static void send_request(struct load *l, struct client *c, int64_t due_ns)
{
    c->due_ns = due_ns;
    c->head_len = 0;
    c->in_body = false;
    if (send(c->fd, l->request, l->request_len, MSG_NOSIGNAL) != (ssize_t)l->request_len) {
        bad_answer(l, "the request could not be sent", c);
    }
}

static int64_t due_at(const struct load *l, uint64_t i)
{
    return l->start_ns + (int64_t)((double)i * 1e9 / (double)l->config.rate);
}

/* Open loop: sends what is due as far as connections are idle, and sets the timer to the next. */
static void send_due(struct load *l)
{
    int64_t now = floor_now_ns();
    while (l->idle != NULL && l->sent < l->due_total && due_at(l, l->sent) <= now) {
        struct client *c = l->idle;
        l->idle = c->next_idle;
        int64_t due = due_at(l, l->sent);
        l->awaited += due >= l->warm_ns ? 1 : 0;
        send_request(l, c, due);
        l->sent++;
    }
    if (l->idle != NULL && l->sent < l->due_total) {
        int64_t next = due_at(l, l->sent);
        struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
        if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL) == -1) {
            floor_die("timerfd_settime");
        }
    }
}

static void on_answer(struct load *l, struct client *c)
{
    int64_t now = floor_now_ns();
    measure_answer(&l->measure, now);
    if (l->config.rate > 0) {
        if (c->due_ns >= l->warm_ns) {
            measure_latency(&l->measure, now - c->due_ns);
            l->awaited--;
        }
        c->next_idle = l->idle;
        l->idle = c;
        return;
    }
    if (l->measure.measuring || l->measure.over) {
        measure_latency(&l->measure, now - c->due_ns);
    }
    if (!l->measure.over) {
        send_request(l, c, floor_now_ns());
    }
}

/* Takes a piece of the head; returns how many bytes of the piece belong to it. */
static size_t take_head(const struct load *l, struct client *c, const char *piece, size_t len)
{
    size_t before = c->head_len;
    size_t room = HEAD_MAX - 1 - before;
    size_t copied = len < room ? len : room;
    memcpy(c->head + before, piece, copied);
    c->head_len += copied;
    c->head[c->head_len] = '\0';
    const char *end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        if (copied < len) {
            bad_answer(l, "the head is too long", c);
        }
        return len;
    }
    const char *length = strcasestr(c->head, "\ncontent-length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end) {
        bad_answer(l, "the answer is not 200 with a length", c);
    }
    c->body_left = strtoul(length + strlen("\ncontent-length:"), NULL, 10);
    c->in_body = true;
    return (size_t)(end + 4 - c->head) - before;
}

static void on_readable(struct load *l, struct client *c)
{
    static char piece[FLOOR_READ_BYTES * 4];
    ssize_t got = recv(c->fd, piece, sizeof(piece), 0);
    if (got <= 0) {
        bad_answer(l, "the connection was closed", c);
    }
    size_t used = c->in_body ? 0 : take_head(l, c, piece, (size_t)got);
    size_t body = (size_t)got - used;
    if (!c->in_body) {
        return;
    }
    if (body > c->body_left) {
        bad_answer(l, "more bytes came than were announced", c);
    }
    c->body_left -= body;
    if (c->body_left == 0) {
        on_answer(l, c);
    }
}

static void connect_all(struct load *l)
{
    l->clients = calloc((size_t)l->config.connections, sizeof(*l->clients));
    if (l->clients == NULL) {
        floor_die("calloc");
    }
    for (int i = 0; i < l->config.connections; i++) {
        struct client *c = &l->clients[i];
        c->fd = floor_connect(l->config.port);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (c->fd == -1 || epoll_ctl(l->poller, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
            floor_die("connect");
        }
        c->next_idle = l->idle;
        l->idle = c;
    }
}

static void start(struct load *l)
{
    l->start_ns = floor_now_ns();
    l->warm_ns = l->start_ns + l->measure.warmup_ns;
    measure_start(&l->measure, l->start_ns);
    if (l->config.rate > 0) {
        double seconds = (double)(l->measure.warmup_ns + l->measure.measure_ns) / 1e9;
        l->due_total = (uint64_t)((double)l->config.rate * seconds) + 1;
        send_due(l);
        return;
    }
    for (int i = 0; i < l->config.connections; i++) {
        send_request(l, &l->clients[i], floor_now_ns());
    }
}

static bool is_done(const struct load *l)
{
    if (l->config.rate == 0) {
        return l->measure.over;
    }
    int64_t now = floor_now_ns();
    return (l->measure.over && l->sent == l->due_total && l->awaited == 0) ||
           now > l->measure.to_ns + OVERTIME_NS;
}

static void run(struct load *l)
{
    struct epoll_event ev[FLOOR_EVENTS];
    start(l);
    while (!is_done(l)) {
        int n = epoll_wait(l->poller, ev, FLOOR_EVENTS, 1000);
        if (n == 0 && l->config.rate == 0) {
            fprintf(stderr, "load: no answer for a second\n");
            exit(1);
        }
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr != NULL) {
                on_readable(l, ev[i].data.ptr);
                continue;
            }
            uint64_t ticks;
            if (read(l->timer, &ticks, sizeof(ticks)) == -1 && errno != EAGAIN) {
                floor_die("timerfd");
            }
        }
        if (l->config.rate > 0) {
            send_due(l);
        }
    }
}

static void read_options(struct load *l, int argc, char **argv)
{
    struct config *c = &l->config;
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},        {"path", required_argument, NULL, 'u'},
        {"connections", required_argument, NULL, 'c'}, {"warmup-ms", required_argument, NULL, 'w'},
        {"measure-ms", required_argument, NULL, 'm'},  {"rate", required_argument, NULL, 'r'},
        {"watch", required_argument, NULL, 't'},       {NULL, 0, NULL, 0},
    };
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p':
            c->port = (uint16_t)floor_number("port", optarg, 1, 65535);
            break;
        case 'u':
            c->path = optarg;
            break;
        case 'c':
            c->connections = (int)floor_number("connections", optarg, 1, 15000);
            break;
        case 'r':
            c->rate = floor_number("rate", optarg, 1, 1000000);
            break;
        default:
            if (!measure_option(&l->measure, o, optarg)) {
                exit(2);
            }
        }
    }
    if (c->port == 0) {
        fprintf(stderr, "--port is missing\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load l = {
        .config = {.path = "/1k", .connections = 1},
        .measure = {.warmup_ns = 500000000, .measure_ns = 2000000000},
    };
    read_options(&l, argc, argv);
    int len =
        snprintf(l.request, sizeof(l.request),
                 "GET %s HTTP/1.1\r\nhost: bench.local\r\nuser-agent: load\r\n\r\n", l.config.path);
    if (len < 0 || (size_t)len >= sizeof(l.request)) {
        fprintf(stderr, "--path is too long\n");
        return 2;
    }
    l.request_len = (size_t)len;
    l.poller = epoll_create1(EPOLL_CLOEXEC);
    l.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (l.poller == -1 || l.timer == -1 || epoll_ctl(l.poller, EPOLL_CTL_ADD, l.timer, &ev) == -1) {
        floor_die("epoll");
    }
    connect_all(&l);
    run(&l);
    measure_print(&l.measure, l.awaited);
    return l.config.rate > 0 && l.awaited > 0 ? 1 : 0;
}

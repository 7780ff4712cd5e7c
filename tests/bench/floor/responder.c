/* The service behind every proxy in the benchmark: fixed HTTP/1.1 answers made before the first request,
 * keep-alive and pipelining, one thread. Requests have no body.
 *
 *    responder PORT        PORT 0 = any; prints "ready PORT"
 *    GET /100k -> 100 KiB, GET /0 -> empty, anything else -> 1 KiB
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

#define HEAD_MAX 8192
#define ANSWER_HEAD_MAX 256

struct answer {
    const char *path; /* of the request line, with the blank after it */
    size_t body_bytes;
    char *bytes;
    size_t len;
};

/* The last one answers whatever the others do not. */
static struct answer answers[] = {
    {.path = "/100k ", .body_bytes = 100 * 1024},
    {.path = "/0 ", .body_bytes = 0},
    {.path = "", .body_bytes = 1024},
};
#define ANSWER_COUNT (sizeof(answers) / sizeof(answers[0]))

struct client {
    int fd;
    bool waits_to_write;
    const char *out;
    size_t out_left;
    size_t in_len;
    char in[HEAD_MAX];
};

static int poller;

static void make_answers(void)
{
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        struct answer *a = &answers[i];
        a->bytes = malloc(ANSWER_HEAD_MAX + a->body_bytes);
        if (a->bytes == NULL) {
            floor_die("malloc");
        }
        int head =
            snprintf(a->bytes, ANSWER_HEAD_MAX,
                     "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n",
                     a->body_bytes);
        memset(a->bytes + head, 'x', a->body_bytes);
        a->len = (size_t)head + a->body_bytes;
    }
}

static const struct answer *choose(const char *head, size_t len)
{
    const char *path = memchr(head, '/', len);
    size_t i = 0;
    while (path != NULL && i + 1 < ANSWER_COUNT &&
           strncmp(path, answers[i].path, strlen(answers[i].path)) != 0) {
        i++;
    }
    return path == NULL ? &answers[ANSWER_COUNT - 1] : &answers[i];
}

static void watch_write(struct client *c, bool on)
{
    if (c->waits_to_write == on) {
        return;
    }
    c->waits_to_write = on;
    struct epoll_event ev = {.events = on ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &ev) == -1) {
        floor_die("epoll_ctl");
    }
}

/* Answers the complete requests that were read, as far as the socket takes them. False = close. */
static bool answer_all(struct client *c)
{
    for (;;) {
        while (c->out_left > 0) {
            ssize_t n = send(c->fd, c->out, c->out_left, MSG_NOSIGNAL);
            if (n == -1) {
                watch_write(c, true);
                return errno == EAGAIN;
            }
            c->out += n;
            c->out_left -= (size_t)n;
        }
        watch_write(c, false);
        char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
        if (end == NULL) {
            return c->in_len < HEAD_MAX - 1;
        }
        const struct answer *a = choose(c->in, c->in_len);
        size_t used = (size_t)(end + 4 - c->in);
        memmove(c->in, c->in + used, c->in_len - used);
        c->in_len -= used;
        c->in[c->in_len] = '\0';
        c->out = a->bytes;
        c->out_left = a->len;
    }
}

static bool on_event(struct client *c, uint32_t events)
{
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c->waits_to_write) {
        ssize_t n = recv(c->fd, c->in + c->in_len, HEAD_MAX - 1 - c->in_len, 0);
        if (n == 0 || (n == -1 && errno != EAGAIN)) {
            return false;
        }
        c->in_len += n > 0 ? (size_t)n : 0;
        c->in[c->in_len] = '\0';
    }
    return answer_all(c);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = floor_accept(listener)) != -1) {
        struct client *c = calloc(1, sizeof(*c));
        if (c == NULL) {
            floor_die("calloc");
        }
        c->fd = fd;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1) {
            floor_die("epoll_ctl");
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: responder PORT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    make_answers();
    int listener = floor_listen((uint16_t)floor_number("PORT", argv[1], 0, 65535));
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev[FLOOR_EVENTS] = {{.events = EPOLLIN, .data.ptr = NULL}};
    if (poller == -1 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev[0]) == -1) {
        floor_die("epoll");
    }
    floor_ready(listener);
    for (;;) {
        int n = epoll_wait(poller, ev, FLOOR_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = ev[i].data.ptr;
            if (c == NULL) {
                accept_all(listener);
            } else if (!on_event(c, ev[i].events)) {
                (void)close(c->fd);
                free(c);
            }
        }
    }
}

/* The floor of plain proxying: one thread, level-triggered epoll, one 64 KiB read a readiness into a
 * shared buffer, sent at once. No HTTP, no policy, no metrics: what a proxy costs above this, it adds.
 *
 *    relay PORT UPSTREAM_PORT        PORT 0 = any; prints "ready PORT"
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

/* One end of a pair. What it read and the other end could not take waits in `held`. */
struct end {
    int fd;
    struct end *other;
    uint32_t events;
    bool eof;   /* it has ended its direction */
    bool ended; /* we have ended ours towards it */
    bool closed;
    char *held;
    size_t held_from, held_to;
    struct end *next_dead;
};

static int poller;
static struct end *dead;
static char buffer[FLOOR_READ_BYTES];

static void watch(struct end *e)
{
    uint32_t want = 0;
    if (!e->eof && e->held == NULL) {
        want |= EPOLLIN;
    }
    if (e->other->held != NULL) {
        want |= EPOLLOUT;
    }
    if (want == e->events) {
        return;
    }
    e->events = want;
    struct epoll_event ev = {.events = want, .data.ptr = e};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, e->fd, &ev) == -1) {
        floor_die("epoll_ctl");
    }
}

static void close_end(struct end *e)
{
    (void)close(e->fd);
    free(e->held);
    e->held = NULL;
    e->closed = true;
    e->next_dead = dead;
    dead = e;
}

static void close_pair(struct end *e)
{
    if (!e->closed) {
        close_end(e->other);
        close_end(e);
    }
}

/* The direction e -> other is over when e has ended and nothing is held. */
static void end_direction(struct end *e)
{
    if (e->eof && e->held == NULL && !e->other->ended) {
        e->other->ended = true;
        if (shutdown(e->other->fd, SHUT_WR) == -1 || e->ended) {
            close_pair(e);
        }
    }
}

static void flush_held(struct end *e)
{
    ssize_t n = send(e->other->fd, e->held + e->held_from, e->held_to - e->held_from, MSG_NOSIGNAL);
    if (n == -1 && errno != EAGAIN) {
        close_pair(e);
        return;
    }
    e->held_from += n > 0 ? (size_t)n : 0;
    if (e->held_from < e->held_to) {
        return;
    }
    free(e->held);
    e->held = NULL;
    watch(e);
    watch(e->other);
    end_direction(e);
}

static void hold(struct end *e, const char *from, size_t len)
{
    e->held = malloc(len);
    if (e->held == NULL) {
        floor_die("malloc");
    }
    memcpy(e->held, from, len);
    e->held_from = 0;
    e->held_to = len;
    watch(e);
    watch(e->other);
}

static void pump(struct end *e)
{
    ssize_t got = recv(e->fd, buffer, sizeof(buffer), 0);
    if (got == -1) {
        if (errno != EAGAIN) {
            close_pair(e);
        }
        return;
    }
    if (got == 0) {
        e->eof = true;
        watch(e);
        end_direction(e);
        return;
    }
    ssize_t sent = send(e->other->fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN) {
        close_pair(e);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < (size_t)got) {
        hold(e, buffer + done, (size_t)got - done);
    }
}

static struct end *new_end(int fd)
{
    struct end *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        floor_die("calloc");
    }
    e->fd = fd;
    e->events = EPOLLIN;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = e};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1) {
        floor_die("epoll_ctl");
    }
    return e;
}

static void accept_all(int listener, uint16_t upstream)
{
    int down;
    while ((down = floor_accept(listener)) != -1) {
        int up = floor_connect(upstream);
        if (up == -1) {
            (void)close(down);
            continue;
        }
        if (fcntl(up, F_SETFL, O_NONBLOCK) == -1) {
            floor_die("fcntl");
        }
        struct end *a = new_end(down);
        struct end *b = new_end(up);
        a->other = b;
        b->other = a;
    }
}

static void on_event(struct end *e, uint32_t events)
{
    if (!e->closed && (events & EPOLLOUT) != 0 && e->other->held != NULL) {
        flush_held(e->other);
    }
    if (!e->closed && (events & EPOLLIN) != 0 && !e->eof && e->held == NULL) {
        pump(e);
    } else if (!e->closed && (events & (EPOLLHUP | EPOLLERR)) != 0) {
        close_pair(e);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay PORT UPSTREAM_PORT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int listener = floor_listen((uint16_t)floor_number("PORT", argv[1], 0, 65535));
    uint16_t upstream = (uint16_t)floor_number("UPSTREAM_PORT", argv[2], 1, 65535);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev[FLOOR_EVENTS] = {{.events = EPOLLIN, .data.ptr = NULL}};
    if (poller == -1 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev[0]) == -1) {
        floor_die("epoll");
    }
    floor_ready(listener);
    for (;;) {
        int n = epoll_wait(poller, ev, FLOOR_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr == NULL) {
                accept_all(listener, upstream);
            } else {
                on_event(ev[i].data.ptr, ev[i].events);
            }
        }
        while (dead != NULL) {
            struct end *e = dead;
            dead = e->next_dead;
            free(e);
        }
    }
}

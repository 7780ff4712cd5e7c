/* The gRPC-like service behind every proxy in the benchmark: HTTP/2 with prior knowledge, one thread. Each request, once
 * it is whole, is answered by a message of 1 KiB and the trailer grpc-status 0.
 *
 *    h2_service PORT        PORT 0 = any; prints "ready PORT"
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

#define MESSAGE_BYTES 1024
#define MESSAGE_HEAD_BYTES 5 /* a flag and the length */
#define OUT_MAX (4u << 20)
#define WINDOW_BYTES (16 << 20)

struct client {
    int fd;
    nghttp2_session *session;
};

static const char message[MESSAGE_HEAD_BYTES + MESSAGE_BYTES] = {0, 0, 0, MESSAGE_BYTES >> 8, 0};

#define FIELD(n, v)                      \
    {.name = (uint8_t *)(uintptr_t)(n),  \
     .value = (uint8_t *)(uintptr_t)(v), \
     .namelen = sizeof(n) - 1,           \
     .valuelen = sizeof(v) - 1,          \
     .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    static const nghttp2_nv trailers[] = {FIELD("grpc-status", "0")};
    (void)source;
    (void)arg;
    if (room < sizeof(message)) {
        return NGHTTP2_ERR_PAUSE;
    }
    memcpy(to, message, sizeof(message));
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(session, id, trailers, 1) == 0 ? (ssize_t)sizeof(message)
                                                                 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    static const nghttp2_nv head[] = {FIELD(":status", "200"),
                                      FIELD("content-type", "application/grpc")};
    static const nghttp2_data_provider body = {.read_callback = read_message};
    (void)arg;
    bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!request || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    return nghttp2_submit_response(session, frame->hd.stream_id, head, 2, &body);
}

/* Blocking in effect: what the socket does not take at once is waited for, as the clients always read. */
static bool send_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n == -1 && errno != EAGAIN) {
            return false;
        }
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool send_due(struct client *c)
{
    static char out[OUT_MAX];
    size_t len = 0;
    const uint8_t *piece;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->session, &piece)) > 0) {
        if (len + (size_t)n > sizeof(out)) {
            if (!send_all(c->fd, out, len)) {
                return false;
            }
            len = 0;
        }
        memcpy(out + len, piece, (size_t)n);
        len += (size_t)n;
    }
    return n == 0 && send_all(c->fd, out, len);
}

static bool on_readable(struct client *c)
{
    static char in[FLOOR_READ_BYTES * 4];
    ssize_t got = recv(c->fd, in, sizeof(in), 0);
    if (got <= 0) {
        return got == -1 && errno == EAGAIN;
    }
    return nghttp2_session_mem_recv(c->session, (const uint8_t *)in, (size_t)got) == got &&
           send_due(c);
}

static void accept_all(int listener, int poller, const nghttp2_session_callbacks *callbacks)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
                                               {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10000}};
    int fd;
    while ((fd = floor_accept(listener)) != -1) {
        struct client *c = calloc(1, sizeof(*c));
        if (c == NULL || nghttp2_session_server_new(&c->session, callbacks, c) != 0 ||
            nghttp2_submit_settings(c->session, 0, settings, 2) != 0 ||
            nghttp2_session_set_local_window_size(c->session, 0, 0, WINDOW_BYTES) != 0) {
            floor_die("a session");
        }
        c->fd = fd;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1) {
            floor_die("epoll_ctl");
        }
        (void)send_due(c);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: h2_service PORT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        floor_die("callbacks");
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    int listener = floor_listen((uint16_t)floor_number("PORT", argv[1], 0, 65535));
    int poller = epoll_create1(EPOLL_CLOEXEC);
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
                accept_all(listener, poller, callbacks);
            } else if (!on_readable(c)) {
                nghttp2_session_del(c->session);
                (void)close(c->fd);
                free(c);
            }
        }
    }
}

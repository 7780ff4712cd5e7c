/* The HTTP/2 load of the benchmark: one thread, connections with prior knowledge, each with so many streams open at all
 * times; a stream that is answered is followed by a new one. What one read makes due leaves in one write.
 *
 *    h2_load --port N [--path /1k] [--connections 10] [--streams 10] [--grpc] [--warmup-ms 500] [--measure-ms 2000]
 *            [--watch PID]...
 * --grpc: unary calls of 1 KiB, which must end with the trailer grpc-status 0.
 * Prints one JSON object. Exit 1 when an answer was not 200 (or its status not 0), or broke off.
 */
#include <getopt.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"

#define STREAMS_MAX 1000
#define OUT_MAX (1u << 20)
#define MESSAGE_BYTES 1024
#define MESSAGE_HEAD_BYTES 5 /* of gRPC: a flag and the length */
#define WINDOW_BYTES (16 << 20)

struct load;

struct stream {
    int64_t sent_ns;
    size_t body_left; /* of the request */
    bool ok, status_ok;
};

struct client {
    struct load *load;
    int fd;
    nghttp2_session *session;
    struct stream streams[STREAMS_MAX];
};

struct load {
    uint16_t port;
    const char *path;
    int connections, streams;
    bool grpc;
    struct client *clients;
    struct measure measure;
};

static char message[MESSAGE_HEAD_BYTES + MESSAGE_BYTES] = {0, 0, 0, MESSAGE_BYTES >> 8, 0};

static void check(int code, const char *what)
{
    if (code != 0) {
        fprintf(stderr, "h2_load: %s: %s\n", what, nghttp2_strerror(code));
        exit(1);
    }
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)id;
    (void)arg;
    struct stream *s = source->ptr;
    size_t n = room < s->body_left ? room : s->body_left;
    memcpy(to, message + sizeof(message) - s->body_left, n);
    s->body_left -= n;
    *flags |= s->body_left == 0 ? NGHTTP2_DATA_FLAG_EOF : 0;
    return (ssize_t)n;
}

static void ask(struct client *c, struct stream *s)
{
    const struct load *l = c->load;
    const nghttp2_nv get[] = {field(":method", "GET"), field(":scheme", "http"),
                              field(":authority", "bench.local"), field(":path", l->path),
                              field("user-agent", "load")};
    const nghttp2_nv call[] = {field(":method", "POST"),
                               field(":scheme", "http"),
                               field(":authority", "bench.local"),
                               field(":path", "/bench.Bench/Call"),
                               field("te", "trailers"),
                               field("content-type", "application/grpc"),
                               field("user-agent", "load")};
    const nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_message};
    *s = (struct stream){.sent_ns = floor_now_ns(), .body_left = sizeof(message)};
    int32_t id = l->grpc ? nghttp2_submit_request(c->session, NULL, call,
                                                  sizeof(call) / sizeof(call[0]), &body, s)
                         : nghttp2_submit_request(c->session, NULL, get,
                                                  sizeof(get) / sizeof(get[0]), NULL, s);
    check(id < 0 ? id : 0, "nghttp2_submit_request");
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    (void)flags;
    (void)arg;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s != NULL && name_len == 7 && memcmp(name, ":status", 7) == 0) {
        s->ok = value_len == 3 && memcmp(value, "200", 3) == 0;
    } else if (s != NULL && name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
        s->status_ok = value_len == 1 && value[0] == '0';
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct client *c = arg;
    struct load *l = c->load;
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (error != 0 || !s->ok || (l->grpc && !s->status_ok)) {
        fprintf(stderr, "h2_load: stream %d ended with error %u, %s, after %llu answers\n", id,
                error, s->ok ? "no grpc-status 0" : "no status 200",
                (unsigned long long)l->measure.answered);
        exit(1);
    }
    int64_t now = floor_now_ns();
    measure_answer(&l->measure, now);
    if (l->measure.measuring || l->measure.over) {
        measure_latency(&l->measure, now - s->sent_ns);
    }
    ask(c, s);
    return 0;
}

static void send_due(struct client *c)
{
    static char out[OUT_MAX];
    size_t len = 0;
    const uint8_t *piece;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->session, &piece)) > 0) {
        if (len + (size_t)n > sizeof(out)) {
            fprintf(stderr, "h2_load: too much is due at once\n");
            exit(1);
        }
        memcpy(out + len, piece, (size_t)n);
        len += (size_t)n;
    }
    check(n < 0 ? (int)n : 0, "nghttp2_session_mem_send");
    if (len > 0 && send(c->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len) {
        floor_die("send");
    }
}

static void on_readable(struct client *c)
{
    static char in[FLOOR_READ_BYTES * 4];
    ssize_t got = recv(c->fd, in, sizeof(in), 0);
    if (got <= 0) {
        floor_die("the connection was closed");
    }
    ssize_t used = nghttp2_session_mem_recv(c->session, (const uint8_t *)in, (size_t)got);
    check(used < 0 ? (int)used : 0, "nghttp2_session_mem_recv");
    send_due(c);
}

static void start(struct load *l, int poller)
{
    nghttp2_session_callbacks *callbacks;
    check(nghttp2_session_callbacks_new(&callbacks), "nghttp2_session_callbacks_new");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    l->clients = calloc((size_t)l->connections, sizeof(*l->clients));
    if (l->clients == NULL) {
        floor_die("calloc");
    }
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
                                               {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    measure_start(&l->measure, floor_now_ns());
    for (int i = 0; i < l->connections; i++) {
        struct client *c = &l->clients[i];
        c->load = l;
        c->fd = floor_connect(l->port);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (c->fd == -1 || epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
            floor_die("connect");
        }
        check(nghttp2_session_client_new(&c->session, callbacks, c), "nghttp2_session_client_new");
        check(nghttp2_submit_settings(c->session, 0, settings, 2), "nghttp2_submit_settings");
        check(nghttp2_session_set_local_window_size(c->session, 0, 0, WINDOW_BYTES), "window");
        for (int k = 0; k < l->streams; k++) {
            ask(c, &c->streams[k]);
        }
        send_due(c);
    }
    nghttp2_session_callbacks_del(callbacks);
}

static void read_options(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"path", required_argument, NULL, 'u'},
        {"streams", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'},
        {"warmup-ms", required_argument, NULL, 'w'},
        {"grpc", no_argument, NULL, 'g'},
        {"measure-ms", required_argument, NULL, 'm'},
        {"watch", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p':
            l->port = (uint16_t)floor_number("port", optarg, 1, 65535);
            break;
        case 'u':
            l->path = optarg;
            break;
        case 'c':
            l->connections = (int)floor_number("connections", optarg, 1, 1000);
            break;
        case 's':
            l->streams = (int)floor_number("streams", optarg, 1, STREAMS_MAX);
            break;
        case 'g':
            l->grpc = true;
            break;
        default:
            if (!measure_option(&l->measure, o, optarg)) {
                exit(2);
            }
        }
    }
    if (l->port == 0) {
        fprintf(stderr, "--port is missing\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load l = {
        .path = "/1k",
        .connections = 10,
        .streams = 10,
        .measure = {.warmup_ns = 500000000, .measure_ns = 2000000000},
    };
    read_options(&l, argc, argv);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller == -1) {
        floor_die("epoll");
    }
    start(&l, poller);
    struct epoll_event ev[FLOOR_EVENTS];
    while (!l.measure.over) {
        int n = epoll_wait(poller, ev, FLOOR_EVENTS, 2000);
        if (n == 0) {
            fprintf(stderr, "h2_load: no answer for two seconds\n");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            on_readable(ev[i].data.ptr);
        }
    }
    measure_print(&l.measure, 0);
    return 0;
}

/* The folder, networks and ports of a demo. */
#include "cli/demo_place.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/listener.h"

#define FILE_MAX (1u << 20)
#define NETWORKS 200
#define PORTS 100               /* tried beyond the usual one */
#define EXAMPLE_NET "127.66.0." /* as written in examples/bookinfo */
#define EXAMPLE_SHOP "value: 127.0.0.1"
#define EXAMPLE_PORT "port: 8080" /* of its gateway */
#define CLAIM_HOST 254            /* nobody's; while it listens, no other demo takes the network */
#define CLAIM_PORT 15012

char *demo_place_folder(int n, char *to)
{
    char base[PATHS_BYTES];
    (void)paths_demo_dir(base);
    (void)(n == 0 ? snprintf(to, PATHS_BYTES, "%s", base)
                  : snprintf(to, PATHS_BYTES, "%.500s-%d", base, n + 1));
    return to;
}

char *demo_place_path(const struct demo_place *p, const char *name, char *to)
{
    (void)snprintf(to, PATHS_BYTES, "%.400s/%s", p->folder, name);
    return to;
}

/* ---- the folder */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    UNUSED(st);
    UNUSED(kind);
    UNUSED(place);
    (void)remove(path); /* what can not be removed is told by the folder's own rmdir */
    return 0;
}

static void remove_tree(const char *folder)
{
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Opens and locks a folder's lock; -EWOULDBLOCK: a demo lives there. */
static int lock_folder(const char *folder, bool create, int *fd)
{
    char path[PATHS_BYTES + 8];
    (void)snprintf(path, sizeof(path), "%s/lock", folder);
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (*fd == -1) {
        return -errno;
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) == -1) {
        int code = -errno;
        (void)close(*fd);
        return code;
    }
    return 0;
}

bool demo_place_is_live(const char *folder)
{
    int fd;
    int code = lock_folder(folder, false, &fd);
    if (code == 0) {
        (void)close(fd);
    }
    return code == -EWOULDBLOCK;
}

/* In /tmp somebody else may have been there first: only a folder that is ours and closed to others will do. */
static bool is_ours(const char *folder)
{
    struct stat st;
    return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 067) == 0; /* with --netns the proxies' group may pass */
}

static int take_folder(struct demo_place *p, struct err *err)
{
    for (int n = 0; n < DEMO_PLACES; n++) {
        (void)demo_place_folder(n, p->folder);
        /* What a demo left that was killed. */
        if (is_ours(p->folder) && lock_folder(p->folder, false, &p->lock_fd) != -EWOULDBLOCK) {
            remove_tree(p->folder);
            if (p->lock_fd >= 0) {
                (void)close(p->lock_fd);
                p->lock_fd = -1;
            }
        }
        if (mkdir(p->folder, 0700) == -1) {
            if (errno == EEXIST) {
                continue;
            }
            int code = -errno;
            err_set(err, code, "'%s' can not be made: %s", p->folder, err_name(code));
            p->folder[0] = '\0';
            return code;
        }
        int code = lock_folder(p->folder, true, &p->lock_fd);
        if (code < 0) {
            err_set(err, code, "'%s/lock' can not be made: %s", p->folder, err_name(code));
        }
        return code;
    }
    p->folder[0] = '\0';
    return err_set(err, -EEXIST, "%d demos run already", DEMO_PLACES);
}

/* ---- networks and ports */

static void on_claim(void *arg, struct io *io)
{
    UNUSED(arg);
    io_close(io);
}

static int open_port(struct loop *loop, const char *ip, int port, struct listener **out)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    char text[ADDR_TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "%s:%d", ip, port);
    int code = addr_parse(span_of(text), &where.addr, NULL);
    return code < 0 ? code : listener_open(out, loop, &where, on_claim, NULL, NULL);
}

static int open_in_network(struct loop *loop, int network, int host, int port,
                           struct listener **out)
{
    char ip[32];
    (void)snprintf(ip, sizeof(ip), "127.66.%d.%d", network, host);
    return open_port(loop, ip, port, out);
}

/* Two networks, of which nobody uses the ports that we need most. */
static int take_networks(struct demo_place *p, struct loop *loop, struct err *err)
{
    static const struct {
        int side, host, port;
    } needed[] = {{0, 1, 15012}, {0, 11, 9080}, {0, 11, 15007}, {0, 16, 9080}, {1, 11, 9080}};

    for (int network = 0; network < NETWORKS; network += 2) {
        if (open_in_network(loop, network, CLAIM_HOST, CLAIM_PORT, &p->claim) < 0) {
            continue;
        }
        size_t free_count = 0;
        struct listener *probe;
        while (free_count < ARRAY_LEN(needed) &&
               open_in_network(loop, network + needed[free_count].side, needed[free_count].host,
                               needed[free_count].port, &probe) == 0) {
            listener_close(probe);
            free_count++;
        }
        if (free_count == ARRAY_LEN(needed)) {
            p->network = network;
            return 0;
        }
        listener_close(p->claim);
        p->claim = NULL;
    }
    return err_set(err, -EADDRINUSE, "none of the networks 127.66.0. to 127.66.%d. is free",
                   NETWORKS - 1);
}

static int take_port(struct loop *loop, int usual, int *port, struct err *err)
{
    for (*port = usual; *port < usual + PORTS; ++*port) {
        struct listener *probe;
        if (open_port(loop, "127.0.0.1", *port, &probe) == 0) {
            listener_close(probe);
            return 0;
        }
    }
    return err_set(err, -EADDRINUSE, "none of the ports %d to %d of 127.0.0.1 is free", usual,
                   usual + PORTS - 1);
}

static int take_loopback(struct demo_place *p, struct loop *loop, struct err *err)
{
    int code = take_networks(p, loop, err);
    code = code == 0 ? take_port(loop, DEMO_PLACE_SHOP, &p->shop_port, err) : code;
    code = code == 0 ? take_port(loop, DEMO_PLACE_API, &p->api_port, err) : code;
    (void)snprintf(p->net, sizeof(p->net), "127.66.%d.", p->network);
    (void)snprintf(p->shop_ip, sizeof(p->shop_ip), "127.0.0.1");
    return code;
}

static void take_pods(struct demo_place *p, int number)
{
    p->network = number;
    p->shop_port = DEMO_PLACE_SHOP;
    (void)snprintf(p->net, sizeof(p->net), "10.66.%d.", number);
    (void)snprintf(p->shop_ip, sizeof(p->shop_ip), "10.66.%d.%d", number, DEMO_PLACE_GATEWAY);
}

int demo_place_take(struct demo_place *p, struct loop *loop, int pods, struct err *err)
{
    int code = 0;
    *p = (struct demo_place){.lock_fd = -1};
    if (pods >= 0) {
        take_pods(p, pods);
    } else {
        code = take_loopback(p, loop, err);
    }
    code = code == 0 ? take_folder(p, err) : code;
    if (code < 0) {
        demo_place_leave(p);
    }
    return code;
}

void demo_place_leave(struct demo_place *p)
{
    listener_close(p->claim);
    p->claim = NULL;
    if (p->folder[0] != '\0') {
        remove_tree(p->folder);
        p->folder[0] = '\0';
    }
    if (p->lock_fd >= 0) {
        (void)close(p->lock_fd);
        p->lock_fd = -1;
    }
}

/* ---- files */

int demo_place_write(const struct demo_place *p, const char *name, struct span bytes,
                     struct err *err)
{
    char path[PATHS_BYTES], hidden[PATHS_BYTES];

    (void)demo_place_path(p, name, path);
    (void)demo_place_path(p, ".new", hidden);
    int fd = open(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1) {
        return err_set(err, -errno, "'%s' can not be made: %s", hidden, err_name(-errno));
    }
    ssize_t n = write(fd, bytes.at, bytes.len);
    int code = n == (ssize_t)bytes.len ? 0 : n == -1 ? -errno : -ENOSPC;
    if (close(fd) == -1 && code == 0) {
        code = -errno;
    }
    if (code == 0 && rename(hidden, path) == -1) {
        code = -errno;
    }
    return code == 0 ? 0 : err_set(err, code, "'%s' can not be written: %s", path, err_name(code));
}

/* Appends `text` with every `from` as `to`. */
static int append_replaced(struct buf *out, struct span text, struct span from, struct span to)
{
    struct span rest = text;
    int code = 0;
    ssize_t at;
    while (code == 0 && (at = span_find(rest, from)) >= 0) {
        code = buf_append_span(out, span_first(rest, (size_t)at));
        code = code == 0 ? buf_append_span(out, to) : code;
        rest = span_from_offset(rest, (size_t)at + from.len);
    }
    return code == 0 ? buf_append_span(out, rest) : code;
}

int demo_place_adapt(const struct demo_place *p, struct span text, struct buf *out)
{
    char port[32], shop[32];
    struct buf a, b;

    (void)snprintf(port, sizeof(port), "port: %d", p->shop_port);
    (void)snprintf(shop, sizeof(shop), "value: %s", p->shop_ip);
    buf_init(&a, FILE_MAX);
    buf_init(&b, FILE_MAX);
    int code = append_replaced(&a, text, SPAN(EXAMPLE_NET), span_of(p->net));
    code = code ? code : append_replaced(&b, buf_span(&a), SPAN(EXAMPLE_SHOP), span_of(shop));
    code = code ? code : append_replaced(out, buf_span(&b), SPAN(EXAMPLE_PORT), span_of(port));
    buf_dispose(&a);
    buf_dispose(&b);
    return code;
}

int demo_place_write_example(const struct demo_place *p, const char *name, struct span text,
                             struct err *err)
{
    struct buf out;
    buf_init(&out, FILE_MAX);
    int code = demo_place_adapt(p, text, &out);
    code = code < 0 ? err_set(err, code, "'%s' is too large", name)
                    : demo_place_write(p, name, buf_span(&out), err);
    buf_dispose(&out);
    return code;
}

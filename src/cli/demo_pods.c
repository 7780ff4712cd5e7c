/* Seats of processes in network namespaces.
 * In: demo_plan. Next: demo_net (namespaces), `mesh init` (rules), demo_crew (which starts processes in their seats). */
#include "cli/demo_pods.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/demo.h"
#include "cli/demo_net.h"
#include "io/file.h"
#include "io/process.h"

#define PROXY_USER 1337 /* as mesh init lets it pass */
#define ROOT_MAX 65536
#define NOWHERE INT32_MAX /* no descriptor: a process with this seat does not start */

/* ---- rules ---- */

struct ending {
    bool has_ended;
    int status;
};

static void on_init_ended(void *arg, struct process *p, int status)
{
    struct ending *e = arg;
    UNUSED(p);
    e->has_ended = true;
    e->status = status;
}

/* Runs mesh init in a namespace, until it has ended. */
static int set_rules(struct demo *d, int net_ns, struct err *err)
{
    static const char *const argv[] = {NULL, "init", "--dns-port", "15053", "--ipv4-only", NULL};
    const struct process_spec spec = {
        .argv = argv, .out_fd = -1, .err_fd = -1, .net_ns_fd = net_ns};
    struct ending end = {.has_ended = false};
    struct process *p = NULL;
    int code = process_start(&p, d->loop, &spec, on_init_ended, &end, err);
    while (code == 0 && !end.has_ended) {
        (void)loop_turn(d->loop, true);
    }
    process_free(p);
    if (code < 0) {
        return code;
    }
    return end.status == 0 ? 0
                           : err_set(err, -ERR_UNAVAILABLE,
                                     "MESH1102 mesh init failed in a namespace of the demo");
}

/* ---- seats ---- */

/* The namespace of a host; the rules are made with the first who runs there. */
static int net_of(struct demo *d, int host, bool ruled, struct err *err)
{
    int fd = demo_net_at(d->net, host, err);
    if (fd < 0 || !ruled || d->is_ruled[host]) {
        return fd;
    }
    int code = set_rules(d, fd, err);
    d->is_ruled[host] = code == 0;
    return code < 0 ? code : fd;
}

const struct demo_seat *demo_pods_seat(struct demo *d, int host, enum demo_role role)
{
    char path[PATHS_BYTES];
    if (d->net == NULL) {
        return NULL;
    }
    struct demo_seat *seat = arena_new(&d->arena, struct demo_seat);
    /* The gateway is a proxy that nothing is redirected to. */
    seat->net_ns = net_of(d, host, role == DEMO_APP, &d->trouble);
    if (seat->net_ns < 0) {
        seat->net_ns = NOWHERE;
    }
    if (role == DEMO_APP) {
        seat->resolv_conf =
            arena_strdup(&d->arena, demo_place_path(&d->place, "resolv.conf", path));
    }
    seat->user = role == DEMO_PROXY ? PROXY_USER : 0;
    return seat;
}

int demo_pods_volley(struct demo *d, int host, const struct demo_volley *v, struct err *err)
{
    struct demo_volley inside = *v;
    char nameserver[32];
    (void)snprintf(nameserver, sizeof(nameserver), "%s1", d->place.net);
    const struct resolver_spec names = {.servers = nameserver};
    int fd = demo_net_at(d->net, host, err);
    int code = fd;
    if (fd >= 0 && d->inside == NULL) {
        code = resolver_new(&d->inside, d->loop, &names, err);
    }
    if (code < 0) {
        return code;
    }
    inside.question.resolver = d->inside;
    code = demo_net_enter(d->net, fd);
    code = code < 0
               ? err_set(err, code, "the namespace of host %d is closed: %s", host, err_name(code))
               : demo_ask_volley(d->asker, &inside, err);
    int back = demo_net_enter(d->net, -1);
    return code < 0 || back == 0 ? code : err_set(err, back, "no way back from a namespace");
}

/* ---- files ---- */

static int give(const char *path, mode_t mode, uid_t user, struct err *err)
{
    if (chown(path, user, PROXY_USER) == -1 || chmod(path, mode) == -1) {
        return err_set(err, -errno, "'%s' can not be given to the proxies: %s", path,
                       err_name(-errno));
    }
    return 0;
}

void demo_pods_state(struct demo *d, const char *name)
{
    char relative[128], path[PATHS_BYTES];
    if (d->net == NULL) {
        return;
    }
    (void)snprintf(relative, sizeof(relative), "state/%s", name);
    (void)demo_place_path(&d->place, relative, path);
    int code =
        mkdir(path, 0700) == -1 && errno != EEXIST
            ? err_set(&d->trouble, -errno, "'%s' can not be made: %s", path, err_name(-errno))
            : give(path, 0700, PROXY_USER, &d->trouble);
    UNUSED(code); /* kept in trouble */
}

/* The user of the proxies must be able to pass all folders above ours. */
static int check_way(const char *folder, struct err *err)
{
    char path[PATHS_BYTES];
    struct stat st;
    for (size_t i = 1; folder[i] != '\0'; i++) {
        if (folder[i] != '/') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%.*s", (int)i, folder);
        if (stat(path, &st) == 0 && (st.st_mode & S_IXOTH) == 0 &&
            (st.st_gid != PROXY_USER || (st.st_mode & S_IXGRP) == 0)) {
            return err_set(err, -EACCES,
                           "MESH1103 '%s' lets no other user in, but proxies run as user %d; set "
                           "XDG_RUNTIME_DIR to another folder",
                           path, PROXY_USER);
        }
    }
    return 0;
}

int demo_pods_open(struct demo *d, struct err *err)
{
    char path[PATHS_BYTES], text[256];
    if (d->net == NULL) {
        return 0;
    }
    int code = check_way(d->place.folder, err);
    if (code < 0) {
        return code;
    }
    /* Nobody answers at that address: questions are redirected to the proxy wherever they go. */
    (void)snprintf(text, sizeof(text),
                   "nameserver %s1\n"
                   "search default.svc.cluster.local svc.cluster.local cluster.local\n"
                   "options ndots:5\n",
                   d->place.net);
    code = demo_place_write(&d->place, "resolv.conf", span_of(text), err);
    code = code < 0 ? code : give(d->place.folder, 0710, 0, err);
    return code < 0 ? code : give(demo_place_path(&d->place, "state", path), 0710, 0, err);
}

int demo_pods_publish_root(struct demo *d, struct err *err)
{
    char path[PATHS_BYTES];
    struct buf pem;
    if (d->net == NULL) {
        return 0;
    }
    buf_init(&pem, ROOT_MAX);
    int code = file_read(demo_place_path(&d->place, "state/control/ca-root.pem", path), &pem, err);
    code = code < 0 ? code : demo_place_write(&d->place, "ca-root.pem", buf_span(&pem), err);
    buf_dispose(&pem);
    return code < 0 ? code : give(demo_place_path(&d->place, "ca-root.pem", path), 0640, 0, err);
}

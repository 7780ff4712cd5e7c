/* The processes, certificates and files of `mesh demo`.
 * In: examples/two-services, which is part of the binary. Out: four running processes, and later nothing. */
#include "cli/demo_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/demo_files.h"
#include "io/deadline.h"
#include "io/listener.h"
#include "io/process.h"
#include "tls/issue.h"

#define PATH_BYTES 256
#define FILE_MAX (64u << 10)
#define BODY_MAX (1u << 20)
#define NETWORKS 100
#define READY_MS 10000
#define END_MS 5000
#define POLL_MS 20
#define CERT_LIFE_S (24 * 3600)
#define EXAMPLE_NET "127.66.0." /* as written in examples/two-services */

struct party {
    struct demo_world *world;
    struct process *process; /* owned, or NULL */
    int status;              /* of wait, once it has ended */
    bool ended;
    char addr[ADDR_TEXT_BYTES];
};

struct demo_world {
    struct loop *loop;      /* borrowed */
    struct listener *claim; /* on the network: while it listens, no other demo takes it */
    int network;
    bool interrupted;
    char folder[PATH_BYTES];
    char inbound[ADDR_TEXT_BYTES];
    struct party parties[DEMO_PARTY_COUNT];
    struct deadline wake; /* ends a wait */
    struct buf body;      /* of the last answer */
};

static const struct {
    const char *name, *log;
    int host, port; /* a sidecar's port is its admin's */
    bool sidecar;
} facts[DEMO_PARTY_COUNT] = {
    [DEMO_API] = {"api", "api.log", 2, 8080, false},
    [DEMO_WEB] = {"web", "web.log", 1, 8080, false},
    [DEMO_API_PROXY] = {"sidecar of api", "api-proxy.log", 2, 15000, true},
    [DEMO_WEB_PROXY] = {"sidecar of web", "web-proxy.log", 1, 15000, true},
};

const char *demo_world_party_name(enum demo_party party)
{
    return facts[party].name;
}

const char *demo_world_addr(const struct demo_world *w, enum demo_party party)
{
    return w->parties[party].addr;
}

const char *demo_world_inbound(const struct demo_world *w)
{
    return w->inbound;
}

const char *demo_world_folder(const struct demo_world *w)
{
    return w->folder;
}

void demo_world_interrupt(struct demo_world *w)
{
    w->interrupted = true;
}

bool demo_world_is_interrupted(const struct demo_world *w)
{
    return w->interrupted;
}

/* ---- the folder */

static void path_in(const struct demo_world *w, const char *name, char *to)
{
    (void)snprintf(to, PATH_BYTES + 64, "%s/%s", w->folder, name);
}

static int write_file(const struct demo_world *w, const char *name, struct span bytes,
                      struct err *err)
{
    char path[PATH_BYTES + 64];
    path_in(w, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1) {
        return err_set(err, -errno, "'%s' can not be made: %s", path, err_name(-errno));
    }
    ssize_t n = write(fd, bytes.at, bytes.len);
    int code = n == (ssize_t)bytes.len ? 0 : n == -1 ? -errno : -ENOSPC;
    if (close(fd) == -1 && code == 0) {
        code = -errno;
    }
    return code == 0 ? 0 : err_set(err, code, "'%s' can not be written: %s", path, err_name(code));
}

static int make_folder(struct demo_world *w, struct err *err)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    const char *base = run != NULL && access(run, W_OK) == 0 ? run : "/tmp";
    char certs[PATH_BYTES + 64];

    int n = snprintf(w->folder, sizeof(w->folder), "%s/mesh-demo.XXXXXX", base);
    if (n < 0 || (size_t)n >= sizeof(w->folder) || mkdtemp(w->folder) == NULL) {
        w->folder[0] = '\0';
        return err_set(err, -errno, "no folder can be made in '%s': %s", base, err_name(-errno));
    }
    path_in(w, "certs", certs);
    if (mkdir(certs, 0700) == -1) {
        return err_set(err, -errno, "'%s' can not be made: %s", certs, err_name(-errno));
    }
    return 0;
}

/* Removes the plain files of a folder and the folder; ours has no deeper ones but certs. */
static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(d), entry->d_name, 0); /* a folder stays, and is told by rmdir */
        }
    }
    (void)closedir(d);
    (void)rmdir(path); /* what can not be removed is left to the system's cleaning of /tmp */
}

/* Each file of the example, on our network. */
static int write_example(const struct demo_world *w, struct err *err)
{
    char net[sizeof(EXAMPLE_NET) + 8];
    struct buf text;
    int code = 0;

    (void)snprintf(net, sizeof(net), "127.66.%d.", w->network);
    buf_init(&text, FILE_MAX);
    for (const struct embed *file = demo_files; file->name != NULL && code == 0; file++) {
        struct span rest = span_from(file->bytes, file->length);
        ssize_t at;
        buf_reset(&text);
        while ((at = span_find(rest, SPAN(EXAMPLE_NET))) >= 0 && code == 0) {
            code = buf_append_span(&text, span_first(rest, (size_t)at));
            code = code == 0 ? buf_append_span(&text, span_of(net)) : code;
            rest = span_from_offset(rest, (size_t)at + sizeof(EXAMPLE_NET) - 1);
        }
        code = code == 0 ? buf_append_span(&text, rest) : code;
        if (code == 0) {
            code = write_file(w, file->name, buf_span(&text), err);
        }
    }
    buf_dispose(&text);
    return code;
}

/* ---- certificates */

static void wipe(struct buf *secret)
{
    struct span bytes = buf_span(secret);
    if (bytes.len > 0) {
        mem_wipe((char *)(uintptr_t)bytes.at, bytes.len);
    }
    buf_dispose(secret);
}

static struct issue_spec certificate_of(const char *id, bool ca)
{
    struct issue_spec spec = {.spiffe_id = span_of(id), .ca = ca};
    spec.common_name = ca ? SPAN("root of mesh demo") : SPAN_EMPTY;
    spec.not_before_s = instant_wall_s() - 60;
    spec.not_after_s = instant_wall_s() + CERT_LIFE_S;
    rng_fill_secret(spec.serial, sizeof(spec.serial));
    spec.serial[0] &= 0x7f; /* RFC 5280 section 4.1.2.2: positive */
    return spec;
}

static int issue_one(const struct demo_world *w, const struct issuer *issuer, const char *name,
                     struct err *err)
{
    char id[80], cert_name[64], key_name[64];
    struct keypair *key = NULL;
    struct buf cert, secret;

    (void)snprintf(id, sizeof(id), "spiffe://cluster.local/ns/default/sa/%s", name);
    (void)snprintf(cert_name, sizeof(cert_name), "certs/%s.crt", name);
    (void)snprintf(key_name, sizeof(key_name), "certs/%s.key", name);
    const struct issue_spec spec = certificate_of(id, false);
    buf_init(&cert, FILE_MAX);
    buf_init(&secret, FILE_MAX);
    int code = keypair_generate(&key, KEYPAIR_P256, err);
    code = code == 0 ? issue_key(issuer, key, &spec, &cert, err) : code;
    code = code == 0 ? write_file(w, cert_name, buf_span(&cert), err) : code;
    code = code == 0 ? keypair_write(key, &secret) : code;
    code = code == 0 ? write_file(w, key_name, buf_span(&secret), err) : code;
    wipe(&secret);
    buf_dispose(&cert);
    keypair_free(key);
    return code;
}

/* The root's key is never written: after this nobody can issue. */
static int write_certificates(const struct demo_world *w, struct err *err)
{
    const struct issue_spec spec = certificate_of("spiffe://cluster.local", true);
    struct keypair *key = NULL;
    struct issuer *issuer = NULL;
    struct buf root, secret;

    buf_init(&root, FILE_MAX);
    buf_init(&secret, FILE_MAX);
    int code = keypair_generate(&key, KEYPAIR_P256, err);
    code = code == 0 ? issue_root(key, &spec, &root, err) : code;
    code = code == 0 ? keypair_write(key, &secret) : code;
    code = code == 0 ? issuer_parse(&issuer, buf_span(&root), buf_span(&secret), err) : code;
    code = code == 0 ? write_file(w, "certs/root.crt", buf_span(&root), err) : code;
    code = code == 0 ? issue_one(w, issuer, "web", err) : code;
    code = code == 0 ? issue_one(w, issuer, "api", err) : code;
    wipe(&secret);
    buf_dispose(&root);
    issuer_free(issuer);
    keypair_free(key);
    return code;
}

/* ---- the network */

static void on_claim(void *arg, struct io *io)
{
    UNUSED(arg);
    io_close(io);
}

static bool is_free(struct demo_world *w, int network, int host, int port, struct listener **out)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    char text[ADDR_TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "127.66.%d.%d:%d", network, host, port);
    return addr_parse(span_of(text), &where.addr, NULL) == 0 &&
           listener_open(out, w->loop, &where, on_claim, w, NULL) == 0;
}

/* A network whose ports are all free; the claim keeps other demos away from it. */
static int claim_network(struct demo_world *w, struct err *err)
{
    static const struct {
        int host, port;
    } needed[] = {{1, 8080}, {1, 15000}, {1, 15001}, {2, 8080}, {2, 15000}, {2, 15006}};

    for (int network = 0; network < NETWORKS; network++) {
        if (!is_free(w, network, 254, 15080, &w->claim)) {
            continue;
        }
        size_t free_count = 0;
        struct listener *probe;
        while (free_count < ARRAY_LEN(needed) &&
               is_free(w, network, needed[free_count].host, needed[free_count].port, &probe)) {
            listener_close(probe);
            free_count++;
        }
        if (free_count == ARRAY_LEN(needed)) {
            w->network = network;
            return 0;
        }
        listener_close(w->claim);
        w->claim = NULL;
    }
    return err_set(err, -EADDRINUSE, "none of the networks 127.66.0. to 127.66.%d. is free",
                   NETWORKS - 1);
}

static void on_wake(struct deadline *d)
{
    UNUSED(d); /* the turn that it caused is all */
}

int demo_world_new(struct demo_world **out, struct loop *loop, struct err *err)
{
    struct demo_world *w = mem_new(struct demo_world);
    w->loop = loop;
    deadline_init(&w->wake, on_wake);
    buf_init(&w->body, BODY_MAX);

    int code = claim_network(w, err);
    code = code == 0 ? make_folder(w, err) : code;
    code = code == 0 ? write_certificates(w, err) : code;
    code = code == 0 ? write_example(w, err) : code;
    if (code < 0) {
        demo_world_free(w);
        return code;
    }
    for (int i = 0; i < DEMO_PARTY_COUNT; i++) {
        w->parties[i].world = w;
        (void)snprintf(w->parties[i].addr, sizeof(w->parties[i].addr), "127.66.%d.%d:%d",
                       w->network, facts[i].host, facts[i].port);
    }
    (void)snprintf(w->inbound, sizeof(w->inbound), "127.66.%d.2:15006", w->network);
    *out = w;
    return 0;
}

/* ---- waiting */

/* The last line of a party's output, without its line end; empty when there is none. */
static struct span last_words(const struct demo_world *w, int i, char *to, size_t room)
{
    char log[PATH_BYTES + 64];
    path_in(w, facts[i].log, log);
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    off_t size = fd == -1 ? 0 : lseek(fd, 0, SEEK_END);
    ssize_t n = size <= 0 ? 0 : pread(fd, to, room, size > (off_t)room ? size - (off_t)room : 0);
    if (fd != -1) {
        (void)close(fd);
    }
    struct span text = span_from(to, n > 0 ? (size_t)n : 0);
    if (text.len > 0 && text.at[text.len - 1] == '\n') {
        text.len--;
    }
    ssize_t line = span_rfind_byte(text, '\n');
    return span_from_offset(text, line < 0 ? 0 : (size_t)line + 1);
}

static int look_for_trouble(const struct demo_world *w, struct err *err)
{
    char text[256];
    if (w->interrupted) {
        return err_set(err, -EINTR, "interrupted");
    }
    for (int i = 0; i < DEMO_PARTY_COUNT; i++) {
        if (w->parties[i].ended) {
            struct span said = last_words(w, i, text, sizeof(text));
            return err_set(err, -ERR_UNAVAILABLE, "%s has ended; its last words: %.*s",
                           facts[i].name, SPAN_ARG(said));
        }
    }
    return 0;
}

int demo_world_pause(struct demo_world *w, int64_t ms, struct err *err)
{
    int64_t end = loop_now_ms(w->loop) + ms;
    int code;
    while ((code = look_for_trouble(w, err)) == 0 && loop_now_ms(w->loop) < end) {
        deadline_arm(&w->wake, w->loop, end - loop_now_ms(w->loop));
        (void)loop_turn(w->loop, true);
    }
    deadline_disarm(&w->wake);
    return code;
}

struct asking {
    struct demo_world *world;
    bool done;
    int code;
    unsigned status;
    struct err *err;
};

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct asking *a = arg;
    a->done = true;
    if (answer->err != NULL) {
        a->code = err_set(a->err, answer->err->code, "%s", answer->err->text);
        return;
    }
    a->status = answer->head->status;
    a->code = buf_append_span(&a->world->body, answer->body);
}

int demo_world_get(struct demo_world *w, const char *addr, const char *path,
                   struct demo_answer *answer, struct err *err)
{
    char origin[ADDR_TEXT_BYTES + 16];
    struct asking a = {.world = w, .err = err};
    struct http_client *client = NULL;

    (void)snprintf(origin, sizeof(origin), "http://%s", addr);
    const struct http_client_spec spec = {.origin = span_of(origin), .connect_ms = 1000};
    int code = http_client_new(&client, w->loop, &spec, err);
    if (code < 0) {
        return code;
    }
    const struct http_call call = {.method = SPAN("GET"),
                                   .path = span_of(path),
                                   .timeout_ms = 5000,
                                   .body_max = BODY_MAX,
                                   .on_answer = on_answer,
                                   .arg = &a};
    int64_t begin = instant_mono_ns();
    buf_reset(&w->body);
    http_client_call(client, &call);
    /* The call has a time-out of its own, so this ends. */
    while (!a.done) {
        (void)loop_turn(w->loop, true);
    }
    http_client_free(client);
    answer->status = a.status;
    answer->body = buf_span(&w->body);
    answer->took_us = (instant_mono_ns() - begin) / 1000;
    return a.code;
}

/* ---- the processes */

static void on_ended(void *arg, struct process *p, int status)
{
    struct party *party = arg;
    UNUSED(p);
    party->status = status;
    party->ended = true;
}

static int start_one(struct demo_world *w, enum demo_party i, const char *const *argv,
                     struct err *err)
{
    char log[PATH_BYTES + 64];
    path_in(w, facts[i].log, log);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd == -1) {
        return err_set(err, -errno, "'%s' can not be made: %s", log, err_name(-errno));
    }
    const struct process_spec spec = {
        .argv = argv, .out_fd = fd, .err_fd = fd, .net_ns_fd = -1, .own_group = true};
    int code = process_start(&w->parties[i].process, w->loop, &spec, on_ended, &w->parties[i], err);
    (void)close(fd);
    return code < 0 ? err_prefix(err, "%s", facts[i].name) : 0;
}

static int start_all(struct demo_world *w, struct err *err)
{
    char outbound[64];
    (void)snprintf(outbound, sizeof(outbound), "http://127.66.%d.1:15001", w->network);
    const char *self = process_self();
    const char *const api[] = {
        self, "sample", "--name", "api", "--listen", w->parties[DEMO_API].addr, NULL};
    const char *const web[] = {
        self,         "sample", "--name",          "web", "--listen", w->parties[DEMO_WEB].addr,
        "--upstream", outbound, "--upstream-host", "api", NULL};
    const char *const api_proxy[] = {self, "proxy", "--config-file", "api-bootstrap.yaml", NULL};
    const char *const web_proxy[] = {self, "proxy", "--config-file", "web-bootstrap.yaml", NULL};

    /* The example names its files from where it stands. */
    if (chdir(w->folder) == -1) {
        return err_set(err, -errno, "'%s' can not be entered: %s", w->folder, err_name(-errno));
    }
    int code = start_one(w, DEMO_API, api, err);
    code = code == 0 ? start_one(w, DEMO_API_PROXY, api_proxy, err) : code;
    code = code == 0 ? start_one(w, DEMO_WEB_PROXY, web_proxy, err) : code;
    return code == 0 ? start_one(w, DEMO_WEB, web, err) : code;
}

int demo_world_start(struct demo_world *w, struct err *err)
{
    int64_t end = loop_now_ms(w->loop) + READY_MS;
    int code = start_all(w, err);

    for (int i = 0; i < DEMO_PARTY_COUNT && code == 0; i++) {
        const char *path = facts[i].sidecar ? "/ready" : "/health";
        struct demo_answer answer = {.status = 0};
        while (code == 0 && (demo_world_get(w, w->parties[i].addr, path, &answer, err) < 0 ||
                             answer.status != 200)) {
            answer.status = 0;
            code = demo_world_pause(w, POLL_MS, err);
            if (code == 0 && loop_now_ms(w->loop) > end) {
                char text[256];
                struct span said = last_words(w, i, text, sizeof(text));
                code =
                    err_set(err, -ERR_TIMEOUT, "%s is not ready after %d s; its last words: %.*s",
                            facts[i].name, READY_MS / 1000, SPAN_ARG(said));
            }
        }
    }
    return code;
}

uint64_t demo_world_rss_kb(const struct demo_world *w, enum demo_party party)
{
    char path[64], line[128];
    uint64_t kb = 0;
    const struct party *p = &w->parties[party];
    if (p->process == NULL || p->ended) {
        return 0;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/status", process_pid(p->process));
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        struct span rest = span_of(line);
        if (span_starts(rest, SPAN("VmRSS:"))) {
            rest = span_trim(span_from_offset(rest, sizeof("VmRSS:") - 1));
            kb = span_to_u64(span_cut(&rest, ' '), &kb) ? kb : 0;
            break;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kb;
}

/* ---- the end */

static bool all_ended(const struct demo_world *w)
{
    bool all = true;
    for (int i = 0; i < DEMO_PARTY_COUNT; i++) {
        all = all && (w->parties[i].process == NULL || w->parties[i].ended);
    }
    return all;
}

static void end_processes(struct demo_world *w)
{
    for (int i = 0; i < DEMO_PARTY_COUNT; i++) {
        struct party *p = &w->parties[i];
        if (p->process != NULL && !p->ended) {
            /* The sidecars would drain; in a demo there is nobody to wait for. */
            p->ended = process_signal(p->process, facts[i].sidecar ? SIGKILL : SIGTERM) < 0;
        }
    }
    int64_t end = loop_now_ms(w->loop) + END_MS;
    while (!all_ended(w) && loop_now_ms(w->loop) < end) {
        deadline_arm(&w->wake, w->loop, end - loop_now_ms(w->loop));
        (void)loop_turn(w->loop, true);
    }
    for (int i = 0; i < DEMO_PARTY_COUNT; i++) {
        process_free(w->parties[i].process);
        w->parties[i].process = NULL;
    }
}

void demo_world_free(struct demo_world *w)
{
    char certs[PATH_BYTES + 64];

    if (w == NULL) {
        return;
    }
    end_processes(w);
    deadline_disarm(&w->wake);
    listener_close(w->claim);
    if (w->folder[0] != '\0') {
        path_in(w, "certs", certs);
        remove_folder(certs);
        remove_folder(w->folder);
    }
    buf_dispose(&w->body);
    mem_free(w);
}

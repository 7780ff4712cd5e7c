/* What control keeps as Secrets of its namespace: the authority's root, and the token of its API.
 * In: control_kube.c. Next: kube/kube_client. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/rng.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "control/cluster/in_cluster_int.h"
#include "control/cluster/cluster_object.h"
#include "kube/kube_path.h"

#define FILE_MAX 262144
#define TOKEN_BYTES 24

static const struct kube_kind secrets = {
    .group = "", .version = "v1", .plural = "secrets", .namespaced = true};

/* The files of ca/root.h that are the authority; not its copy for others. */
static const char *const root_files[] = {"ca-key.pem", "ca-cert.pem", "cert-chain.pem",
                                         "root-cert.pem"};

static int get_secret(struct in_cluster *c, struct arena *arena, const char *name,
                      struct kube_answer *a, struct err *err)
{
    return in_cluster_ask(
        c, arena,
        &(struct kube_call_spec){
            .method = "GET", .path = kube_path(arena, &secrets, c->namespace, span_of(name), NULL)},
        a, err);
}

/* One value of a Secret, decoded. Empty: there is none. */
static struct span value_of(struct arena *arena, const struct doc_node *secret, const char *key)
{
    const struct doc_node *data = doc_get(secret, "data");
    const struct doc_node *value = data ? doc_get(data, key) : NULL; /* keys hold dots */
    if (!doc_is(value, DOC_TEXT)) {
        return SPAN_EMPTY;
    }
    char *to = arena_alloc(arena, base64_decoded_max(value->text.len) + 1);
    ssize_t n = base64_decode(BASE64_STANDARD, value->text, to);
    return n < 0 ? SPAN_EMPTY : span_from(to, (size_t)n);
}

static void set_value(struct arena *arena, struct doc_node *secret, const char *key,
                      struct span bytes)
{
    char *to = arena_alloc(arena, base64_encoded_len(BASE64_STANDARD, bytes.len) + 1);
    struct span text = span_from(to, base64_encode(BASE64_STANDARD, bytes, to));
    doc_set_text(arena, doc_map_in(arena, secret, "data"), key, text);
}

/* POST; -EEXIST: it is there by now. */
static int create_secret(struct in_cluster *c, struct arena *arena, const struct doc_node *secret,
                         struct err *err)
{
    struct buf text;
    struct kube_answer a;
    buf_init(&text, 1UL << 20);
    int code = doc_write_json(secret, false, &text);
    code =
        code
            ? err_set(err, code, "a Secret of more than 1 MiB")
            : in_cluster_ask(c, arena,
                             &(struct kube_call_spec){
                                 .method = "POST",
                                 .path = kube_path(arena, &secrets, c->namespace, SPAN_EMPTY, NULL),
                                 .body = buf_span(&text)},
                             &a, err);
    buf_dispose(&text);
    return code;
}

/* ---- the authority ---- */

static int write_file(const char *folder, const char *name, struct span bytes, struct err *err)
{
    char path[512];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path)) {
        return err_set(err, -ENAMETOOLONG, "the path of %s is too long", name);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, bytes.at, bytes.len);
    int code = n == (ssize_t)bytes.len ? 0 : n < 0 ? -errno : -ENOSPC;
    if (fd >= 0) {
        (void)close(
            fd); /* it was made on a memory file system, or is read again before it is used */
    }
    return code ? err_set(err, code, "%s: %s", path, strerror(-code)) : 0;
}

int in_cluster_bring_root(struct in_cluster *c, const char *folder, struct err *err)
{
    static const char *const names[] = {CLUSTER_ISTIO_ROOT_SECRET, CLUSTER_ROOT_SECRET};
    struct arena arena;
    struct kube_answer a;
    int code = 0;
    arena_init(&arena, 16384);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        code = err_set(err, -errno, "%s: %s", folder, strerror(errno));
    }
    for (size_t i = 0; code == 0 && !c->has_root && i < ARRAY_LEN(names); i++) {
        code = get_secret(c, &arena, names[i], &a, err);
        if (code == -ENOENT) {
            code = 0;
            continue;
        }
        for (size_t k = 0; code == 0 && k < ARRAY_LEN(root_files); k++) {
            struct span bytes = value_of(&arena, a.doc, root_files[k]);
            code = bytes.len > 0 ? write_file(folder, root_files[k], bytes, err) : 0;
        }
        c->has_root = code == 0;
        if (code == 0) {
            log_info("cluster", "authority from secret=%s", names[i]);
        }
    }
    arena_dispose(&arena);
    return code;
}

static struct span read_file(struct arena *arena, const char *folder, const char *name)
{
    char path[512];
    char *to = arena_alloc(arena, FILE_MAX);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, to, FILE_MAX);
    if (fd >= 0) {
        (void)close(fd); /* only read */
    }
    return span_from(to, n > 0 ? (size_t)n : 0);
}

int in_cluster_keep_root(struct in_cluster *c, const char *folder, struct err *err)
{
    struct arena arena;
    if (c->has_root) {
        return 0;
    }
    arena_init(&arena, 16384);
    struct doc_node *secret =
        cluster_object(&arena, "v1", "Secret", c->namespace, SPAN(CLUSTER_ROOT_SECRET));
    doc_set_text(&arena, secret, "type", SPAN("Opaque"));
    for (size_t i = 0; i < ARRAY_LEN(root_files); i++) {
        struct span bytes = read_file(&arena, folder, root_files[i]);
        if (bytes.len > 0) {
            set_value(&arena, secret, root_files[i], bytes);
        }
    }
    int code = create_secret(c, &arena, secret, err);
    if (code == 0) {
        c->has_root = true;
        log_info("cluster", "authority kept secret=" CLUSTER_ROOT_SECRET);
    } else if (code == -EEXIST) {
        for (size_t i = 0; i < ARRAY_LEN(root_files); i++) {
            (void)unlink(arena_printf(&arena, "%s/%s", folder, root_files[i])); /* not all exist */
        }
        code = err_set(err, code,
                       "another control made the mesh's root while this one did; start again: it "
                       "is then taken from Secret %.*s/" CLUSTER_ROOT_SECRET,
                       SPAN_ARG(c->namespace));
    }
    arena_dispose(&arena);
    return code;
}

/* ---- the API's token ---- */

static int make_token(struct in_cluster *c, struct arena *arena, struct err *err)
{
    uint8_t secret[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 1];
    rng_fill_secret(secret, sizeof(secret));
    struct span token = span_from(text, hex_encode(span_from(secret, sizeof(secret)), text));
    struct doc_node *object =
        cluster_object(arena, "v1", "Secret", c->namespace, SPAN(CLUSTER_TOKEN_SECRET));
    doc_set_text(arena, object, "type", SPAN("Opaque"));
    set_value(arena, object, "token", token);
    int code = create_secret(c, arena, object, err);
    return code == -EEXIST ? 0 : code; /* another control did: then that one counts */
}

int in_cluster_api_token(struct in_cluster *c, struct span *token, struct err *err)
{
    struct arena arena;
    struct kube_answer a;
    arena_init(&arena, 4096);
    int code = get_secret(c, &arena, CLUSTER_TOKEN_SECRET, &a, err);
    if (code == -ENOENT) {
        code = make_token(c, &arena, err);
        code = code ? code : get_secret(c, &arena, CLUSTER_TOKEN_SECRET, &a, err);
    }
    if (code == 0) {
        *token = arena_dup(&c->arena, value_of(&arena, a.doc, "token"));
        if (token->len < TOKEN_BYTES) {
            code = err_set(err, -ERR_CONFIG,
                           "Secret %.*s/" CLUSTER_TOKEN_SECRET " has no key 'token' of at least "
                           "%d bytes; delete it, and control makes a new one",
                           SPAN_ARG(c->namespace), TOKEN_BYTES);
        }
    }
    arena_dispose(&arena);
    return code;
}

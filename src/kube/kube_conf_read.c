/* What a kubeconfig says of a cluster and of a user, with the files that it names read in.
 * In: the chosen entries. Out: struct kube_conf. Next: kube_client.c. */
#include <stdio.h>

#include "codec/base64.h"
#include "codec/pem.h"
#include "codec/url.h"
#include "io/file.h"
#include "kube/kube_conf_int.h"

#define EXEC_WORDS_MAX 256
#define EXTRA_MAX 100

/* ---- bytes in the file, or in another that it names ---- */

static const char *path_of(struct arena *arena, const struct kube_conf_file *file, struct span path)
{
    path = span_starts(path, SPAN("./")) ? span_from_offset(path, 2) : path;
    return span_starts(path, SPAN("/"))
               ? arena_cstr(arena, path)
               : arena_printf(arena, "%s/%.*s", file->folder, SPAN_ARG(path));
}

/* Base64, in which line ends and blanks do not count. */
static int read_base64(struct arena *arena, const struct doc_node *map, const char *key,
                       struct span text, struct span *out, struct err *err)
{
    char *packed = arena_bytes(arena, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.at[i]) == NULL) {
            packed[n++] = text.at[i];
        }
    }
    char *to = arena_bytes(arena, base64_decoded_max(n) + 1);
    ssize_t len = base64_decode(BASE64_STANDARD, span_from(packed, n), to);
    if (len < 0) {
        const struct doc_node *value = doc_get(map, key);
        return err_set(err, -ERR_CONFIG, "%s:%u: '%s' is not base64", value->file, value->line,
                       key);
    }
    *out = span_from(to, (size_t)len);
    return 0;
}

static int read_named(struct arena *arena, const struct kube_conf_file *file,
                      const struct doc_node *map, const char *key, struct span path,
                      struct span *out, struct err *err)
{
    struct buf text;
    const struct doc_node *value = doc_get(map, key);
    buf_init(&text, KUBE_CONF_BYTES_MAX);
    int code = file_read(path_of(arena, file, path), &text, err);
    if (code == 0) {
        *out = arena_dup(arena, buf_span(&text));
    } else {
        err_prefix(err, "%s:%u: '%s' can not be read", value->file, value->line, key);
        code = err->code = -ERR_CONFIG;
    }
    buf_dispose(&text);
    return code;
}

static bool has_pem(struct arena *arena, struct span text)
{
    struct pem_block block;
    struct err err;
    return pem_next(&text, arena, &block, &err) == 1;
}

/* `data_key` holds it in base64 and counts first; `file_key` names a file. Neither: `out` stays empty. */
static int read_pem(struct kube_conf *out, const struct kube_conf_file *file,
                    const struct doc_node *map, const char *data_key, const char *file_key,
                    struct span *to, struct err *err)
{
    struct span data = SPAN_EMPTY;
    struct span path = SPAN_EMPTY;
    int code = doc_read_text(map, data_key, &data, err);
    code = code != 0 ? code : doc_read_text(map, file_key, &path, err);
    if (code != 0 || data.len + path.len == 0) {
        return code;
    }
    const char *key = data.len > 0 ? data_key : file_key;
    code = data.len > 0 ? read_base64(&out->arena, map, key, data, to, err)
                        : read_named(&out->arena, file, map, key, path, to, err);
    if (code == 0 && !has_pem(&out->arena, *to)) {
        const struct doc_node *value = doc_get(map, key);
        return err_set(err, -ERR_CONFIG, "%s:%u: what '%s' holds is not PEM (-----BEGIN ...-----)",
                       value->file, value->line, key);
    }
    return code;
}

/* ---- the cluster ---- */

/* Where distributions keep the roots that they trust. */
static const char *const system_roots[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",
};

static void read_system_roots(struct kube_conf *out)
{
    struct buf text;
    buf_init(&text, KUBE_CONF_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(system_roots) && out->ca_pem.len == 0; i++) {
        buf_reset(&text);
        if (file_read(system_roots[i], &text, NULL) == 0) {
            out->ca_pem = arena_dup(&out->arena, buf_span(&text));
        }
    }
    buf_dispose(&text);
}

static int read_server(struct kube_conf *out, const struct doc_node *cluster, struct url *url,
                       struct err *err)
{
    int code = doc_read_text(cluster, "server", &out->server, err);
    if (code != 0) {
        return code;
    }
    if (out->server.len == 0) {
        return doc_refuse(cluster, "server", NULL, err, "want https://HOST:PORT");
    }
    while (out->server.len > 0 && out->server.at[out->server.len - 1] == '/') {
        out->server.len--;
    }
    bool is_good = url_parse(out->server, url) == 0 && url->host.len > 0 && !url->has_query &&
                   (span_is(url->scheme, "https") || span_is(url->scheme, "http"));
    return is_good ? 0
                   : doc_refuse(cluster, "server", doc_get(cluster, "server"), err,
                                "want https://HOST:PORT");
}

static int refuse_proxy(const struct doc_node *cluster, struct err *err)
{
    struct span proxy = SPAN_EMPTY;
    int code = doc_read_text(cluster, "proxy-url", &proxy, err);
    if (code == 0 && proxy.len > 0) {
        code = doc_refuse(cluster, "proxy-url", doc_get(cluster, "proxy-url"), err,
                          "mesh does not speak through proxies: remove it and reach the server "
                          "directly, or through 'kubectl proxy'");
    }
    return code;
}

/* client-go: the extension of this name is handed to plugins that ask for it. */
static int read_exec_config(struct kube_conf *out, const struct doc_node *cluster, struct err *err)
{
    struct doc_node *extensions = NULL;
    int code = doc_read_list(cluster, "extensions", &extensions, err);
    for (size_t i = 0; code == 0 && i < doc_count(extensions); i++) {
        const struct doc_node *one = doc_at(extensions, i);
        const struct doc_node *name = doc_get(one, "name");
        if (doc_is(name, DOC_TEXT) && span_is(name->text, "client.authentication.k8s.io/exec")) {
            out->exec_config = doc_get(one, "extension");
        }
    }
    return code;
}

int kube_conf_read_cluster(struct kube_conf *out, const struct kube_conf_file *file,
                           const struct doc_node *cluster, struct err *err)
{
    struct url url = {.port = 0};
    int code = read_server(out, cluster, &url, err);
    if (code != 0 || (code = refuse_proxy(cluster, err)) != 0 ||
        (code = doc_read_bool(cluster, "insecure-skip-tls-verify", &out->insecure, err)) != 0 ||
        (code = doc_read_text(cluster, "tls-server-name", &out->tls_name, err)) != 0 ||
        (code = read_exec_config(out, cluster, err)) != 0 ||
        (code = read_pem(out, file, cluster, "certificate-authority-data", "certificate-authority",
                         &out->ca_pem, err)) != 0) {
        return code;
    }
    if (out->insecure && out->ca_pem.len > 0) {
        return doc_refuse(cluster, "insecure-skip-tls-verify",
                          doc_get(cluster, "insecure-skip-tls-verify"), err,
                          "with a certificate-authority it means nothing; keep one of them");
    }
    if (span_is(url.scheme, "https") && !out->insecure && out->ca_pem.len == 0) {
        read_system_roots(out);
        if (out->ca_pem.len == 0) {
            return doc_refuse(cluster, "certificate-authority-data", NULL, err,
                              "and this machine keeps no roots of its own: name the cluster's "
                              "certificate authority");
        }
    }
    return 0;
}

/* ---- a credential plugin ---- */

static int read_words(struct kube_conf *out, const struct doc_node *exec, const char *command,
                      struct kube_exec *x, struct err *err)
{
    struct doc_node *args = NULL;
    int code = doc_read_list(exec, "args", &args, err);
    if (code != 0) {
        return code;
    }
    if (doc_count(args) > EXEC_WORDS_MAX) {
        return err_set(err, -ERR_CONFIG, "%s:%u: 'args' has more than %d words", args->file,
                       args->line, EXEC_WORDS_MAX);
    }
    const char **argv = arena_array(&out->arena, doc_count(args) + 2, sizeof(*argv));
    argv[0] = command;
    for (size_t i = 0; i < doc_count(args); i++) {
        const struct doc_node *word = doc_at(args, i);
        if (!doc_is(word, DOC_TEXT)) {
            return doc_refuse(exec, "args", word, err, "want text; put it in quotes");
        }
        argv[i + 1] = arena_cstr(&out->arena, word->text);
    }
    x->argv = argv;
    return 0;
}

static int read_env(struct kube_conf *out, const struct doc_node *exec, struct kube_exec *x,
                    struct err *err)
{
    struct doc_node *env = NULL;
    int code = doc_read_list(exec, "env", &env, err);
    if (code != 0) {
        return code;
    }
    if (doc_count(env) > EXEC_WORDS_MAX) {
        return err_set(err, -ERR_CONFIG, "%s:%u: 'env' has more than %d entries", env->file,
                       env->line, EXEC_WORDS_MAX);
    }
    const char **all = arena_array(&out->arena, doc_count(env) + 1, sizeof(*all));
    for (size_t i = 0; i < doc_count(env); i++) {
        const struct doc_node *one = doc_at(env, i);
        struct span name = SPAN_EMPTY;
        struct span value = SPAN_EMPTY;
        if (!doc_is(one, DOC_MAP)) {
            return doc_refuse(exec, "env", one, err, "want a map with name and value");
        }
        code = doc_read_text(one, "name", &name, err);
        code = code != 0 ? code : doc_read_text(one, "value", &value, err);
        if (code != 0) {
            return code;
        }
        if (name.len == 0 || span_find_byte(name, '=') >= 0) {
            return doc_refuse(one, "name", doc_get(one, "name"), err,
                              "want the name of a variable");
        }
        all[i] = arena_printf(&out->arena, "%.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value));
    }
    x->env = all;
    return 0;
}

static int read_input(const struct doc_node *exec, struct kube_exec *x, struct err *err)
{
    static const char *const words[] = {
        [KUBE_EXEC_NEVER] = "Never",
        [KUBE_EXEC_IF_AVAILABLE] = "IfAvailable",
        [KUBE_EXEC_ALWAYS] = "Always",
    };
    struct span mode = SPAN_EMPTY;
    int code = doc_read_text(exec, "interactiveMode", &mode, err);
    if (code != 0) {
        return code;
    }
    x->input =
        KUBE_EXEC_IF_AVAILABLE; /* as v1beta1; v1 demands the field, but nothing hangs on it */
    if (mode.len == 0) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_is(mode, words[i])) {
            x->input = (enum kube_exec_input)i;
            return 0;
        }
    }
    return doc_refuse(exec, "interactiveMode", doc_get(exec, "interactiveMode"), err,
                      "use Never, IfAvailable or Always");
}

static int read_exec(struct kube_conf *out, const struct kube_conf_file *file,
                     const struct doc_node *exec, struct err *err)
{
    struct span command = SPAN_EMPTY;
    struct kube_exec *x = arena_new(&out->arena, struct kube_exec);
    int code = doc_read_text(exec, "command", &command, err);
    if (code != 0 || (code = doc_read_text(exec, "apiVersion", &x->api_version, err)) != 0 ||
        (code = doc_read_text(exec, "installHint", &x->install_hint, err)) != 0 ||
        (code = doc_read_bool(exec, "provideClusterInfo", &x->provide_cluster_info, err)) != 0 ||
        (code = read_input(exec, x, err)) != 0) {
        return code;
    }
    if (command.len == 0) {
        return doc_refuse(exec, "command", NULL, err, "want the program to run");
    }
    if (!span_is(x->api_version, "client.authentication.k8s.io/v1") &&
        !span_is(x->api_version, "client.authentication.k8s.io/v1beta1")) {
        return doc_refuse(exec, "apiVersion", doc_get(exec, "apiVersion"), err,
                          "use client.authentication.k8s.io/v1 or v1beta1 (v1alpha1 is gone: "
                          "update the plugin and its entry)");
    }
    bool is_path = span_find_byte(command, '/') >= 0;
    const char *program =
        is_path ? path_of(&out->arena, file, command) : arena_cstr(&out->arena, command);
    code = read_words(out, exec, program, x, err);
    code = code != 0 ? code : read_env(out, exec, x, err);
    out->exec = x;
    return code;
}

/* ---- acting for another ---- */

struct more {
    struct header fields[EXTRA_MAX];
    size_t count;
};

static int add_more(struct more *m, const struct doc_node *map, const char *key,
                    const struct doc_node *value, struct span name, struct err *err)
{
    if (!doc_is(value, DOC_TEXT) || value->text.len == 0) {
        return doc_refuse(map, key, value, err, "want text");
    }
    for (size_t i = 0; i < value->text.len; i++) {
        if ((unsigned char)value->text.at[i] < 0x20 || value->text.at[i] == 0x7f) {
            return doc_refuse(map, key, value, err, "want text without control characters");
        }
    }
    if (m->count == EXTRA_MAX) {
        return err_set(err, -ERR_CONFIG, "%s:%u: more than %d groups and extras", map->file,
                       map->line, EXTRA_MAX);
    }
    m->fields[m->count++] = (struct header){.name = name, .value = value->text};
    return 0;
}

/* The key in lower case and escaped, as it stands in a field's name. */
static struct span extra_name(struct arena *arena, struct span key)
{
    struct buf text;
    buf_init(&text, 64 + key.len * 3);
    int code = buf_append_span(&text, SPAN("impersonate-extra-"));
    char *lower = arena_cstr(arena, key);
    for (size_t i = 0; i < key.len; i++) {
        lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + 32 : lower[i]);
    }
    code = code != 0 ? code : url_encode(span_from(lower, key.len), "!#$&'*+-.^_`|~", &text);
    ASSERT(code == 0); /* three bytes for each */
    char *name = arena_cstr(arena, buf_span(&text));
    size_t len = buf_len(&text);
    for (size_t i = 0; i < len; i++) { /* escapes too: names of fields are in lower case */
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    }
    buf_dispose(&text);
    return span_from(name, len);
}

static int read_extras(struct kube_conf *out, const struct doc_node *user, struct more *m,
                       struct err *err)
{
    struct doc_node *extra = NULL;
    int code = doc_read_map(user, "as-user-extra", &extra, err);
    for (size_t i = 0; code == 0 && i < doc_count(extra); i++) {
        const struct doc_entry *e = &extra->entries[i];
        struct span name = extra_name(&out->arena, e->key);
        if (!doc_is(e->value, DOC_LIST)) {
            return doc_refuse(user, "as-user-extra", e->value, err, "want lists of text");
        }
        for (size_t k = 0; code == 0 && k < doc_count(e->value); k++) {
            code = add_more(m, user, "as-user-extra", doc_at(e->value, k), name, err);
        }
    }
    return code;
}

static int read_impersonate(struct kube_conf *out, const struct doc_node *user, struct err *err)
{
    struct more more = {.count = 0};
    struct doc_node *groups = NULL;
    const struct doc_node *uid = doc_get(user, "as-uid");
    int code = doc_read_text(user, "as", &out->impersonate, err);
    code = code != 0 ? code : doc_read_list(user, "as-groups", &groups, err);
    for (size_t i = 0; code == 0 && i < doc_count(groups); i++) {
        code =
            add_more(&more, user, "as-groups", doc_at(groups, i), SPAN("impersonate-group"), err);
    }
    if (code == 0 && uid != NULL && !doc_is(uid, DOC_NULL)) {
        code = add_more(&more, user, "as-uid", uid, SPAN("impersonate-uid"), err);
    }
    code = code != 0 ? code : read_extras(out, user, &more, err);
    if (code != 0 || more.count == 0) {
        return code;
    }
    if (out->impersonate.len == 0) {
        return doc_refuse(user, "as", NULL, err, "as-groups, as-uid and as-user-extra want it");
    }
    struct header *kept = arena_array(&out->arena, more.count, sizeof(*kept));
    memcpy(kept, more.fields, more.count * sizeof(*kept));
    out->impersonate_more = kept;
    out->impersonate_more_count = more.count;
    return 0;
}

/* ---- the user ---- */

static int check_ways(const struct kube_conf *out, const struct doc_node *user, struct err *err)
{
    bool has_token = out->token.len > 0 || out->token_file != NULL;
    if (has_token && out->username.len > 0) {
        return doc_refuse(user, "username", doc_get(user, "username"), err,
                          "the user has a token too; keep one way to authenticate");
    }
    if ((out->cert_pem.len > 0) != (out->key_pem.len > 0)) {
        return doc_refuse(user,
                          out->cert_pem.len > 0 ? "client-key-data" : "client-certificate-data",
                          NULL, err, "a client certificate and its key belong together");
    }
    const struct doc_node *provider = doc_get(user, "auth-provider");
    if (provider != NULL && !doc_is(provider, DOC_NULL)) {
        return doc_refuse(user, "auth-provider", provider, err,
                          "such providers are gone since Kubernetes 1.26: use an exec plugin");
    }
    return 0;
}

/* As doc_read_text, with a message that does not show the value. */
static int read_secret(const struct doc_node *user, const char *key, struct span *out,
                       struct err *err)
{
    const struct doc_node *value = doc_get(user, key);
    if (value == NULL || doc_is(value, DOC_NULL)) {
        return 0;
    }
    if (!doc_is(value, DOC_TEXT)) {
        return err_set(err, -ERR_CONFIG, "%s:%u: '%s' is no text; put it in quotes", value->file,
                       value->line, key);
    }
    *out = value->text;
    return 0;
}

/* Blanks and line ends around a token are none of it; what is within goes into a header field. */
static int read_token(struct kube_conf *out, const struct doc_node *user, struct err *err)
{
    int code = read_secret(user, "token", &out->token, err);
    if (code != 0) {
        return code;
    }
    while (out->token.len > 0 && strchr(" \t\r\n", out->token.at[out->token.len - 1]) != NULL) {
        out->token.len--;
    }
    for (size_t i = 0; i < out->token.len; i++) {
        if (out->token.at[i] <= ' ' || out->token.at[i] > '~') {
            const struct doc_node *value = doc_get(user, "token");
            return err_set(err, -ERR_CONFIG, "%s:%u: 'token' has a byte that no token has",
                           value->file, value->line);
        }
    }
    return 0;
}

int kube_conf_read_user(struct kube_conf *out, const struct kube_conf_file *file,
                        const struct doc_node *user, struct err *err)
{
    struct span token_file = SPAN_EMPTY;
    struct doc_node *exec = NULL;
    int code = read_token(out, user, err);
    if (code != 0 || (code = doc_read_text(user, "tokenFile", &token_file, err)) != 0 ||
        (code = doc_read_text(user, "username", &out->username, err)) != 0 ||
        (code = read_secret(user, "password", &out->password, err)) != 0 ||
        (code = doc_read_map(user, "exec", &exec, err)) != 0 ||
        (code = read_pem(out, file, user, "client-certificate-data", "client-certificate",
                         &out->cert_pem, err)) != 0 ||
        (code = read_pem(out, file, user, "client-key-data", "client-key", &out->key_pem, err)) !=
            0 ||
        (code = read_impersonate(out, user, err)) != 0) {
        return code;
    }
    if (token_file.len > 0) {
        out->token_file = path_of(&out->arena, file, token_file);
    }
    if (exec != NULL) {
        code = read_exec(out, file, exec, err);
    }
    return code != 0 ? code : check_ways(out, user, err);
}

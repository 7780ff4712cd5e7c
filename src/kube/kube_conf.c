/* Which Kubernetes: kubeconfig files in the order that kubectl has, or the account of the pod we run in.
 * In: files, environment. Out: struct kube_conf. Next: kube_conf_read.c for what the chosen entries say. */
#include "kube/kube_conf.h"

#include <stdlib.h>

#include "codec/ip.h"
#include "io/file.h"
#include "kube/kube_conf_int.h"

#define NAMES_SHOWN 6

struct files {
    struct kube_conf_file all[KUBE_CONF_FILES_MAX];
    size_t count;
};

/* ---- choosing ---- */

/* "a, b, c": the names that the lists of that key have. */
static const char *names_of(struct arena *arena, const struct files *files, const char *list)
{
    const char *text = "";
    size_t shown = 0;
    for (size_t f = 0; f < files->count; f++) {
        const struct doc_node *all = doc_get(files->all[f].doc, list);
        for (size_t i = 0; i < doc_count(all) && shown <= NAMES_SHOWN; i++) {
            const struct doc_node *name = doc_get(doc_at(all, i), "name");
            if (doc_is(name, DOC_TEXT)) {
                const char *comma = shown > 0 ? ", " : "";
                text = shown == NAMES_SHOWN
                           ? arena_printf(arena, "%s, ...", text)
                           : arena_printf(arena, "%s%s%.*s", text, comma, SPAN_ARG(name->text));
                shown++;
            }
        }
    }
    return shown > 0 ? text : "none";
}

/* The entry of that name in a file's list; NULL in `*out` when there is none. */
static int find_in_file(const struct kube_conf_file *file, const char *list, struct span name,
                        const struct doc_node **out, struct err *err)
{
    struct doc_node *all = NULL;
    *out = NULL;
    int code = doc_read_list(file->doc, list, &all, err);
    for (size_t i = 0; code == 0 && i < doc_count(all); i++) {
        const struct doc_node *entry = doc_at(all, i);
        struct span its = SPAN_EMPTY;
        code = doc_is(entry, DOC_MAP) ? doc_read_text(entry, "name", &its, err)
                                      : doc_refuse(all, list, entry, err, "want a map with 'name'");
        if (code == 0 && span_eq(its, name)) {
            if (*out != NULL) {
                return doc_refuse(entry, "name", doc_get(entry, "name"), err,
                                  "the list has that name twice; remove one");
            }
            *out = entry;
        }
    }
    return code;
}

/* The map `what` of the entry of that name: the first file that has the name counts, whole. */
static int choose(const struct files *files, const char *list, const char *what, struct span name,
                  const struct doc_node **out, const struct kube_conf_file **from, struct err *err)
{
    const struct doc_node *entry = NULL;
    for (size_t f = 0; f < files->count && entry == NULL; f++) {
        int code = find_in_file(&files->all[f], list, name, &entry, err);
        if (code != 0) {
            return code;
        }
        *from = &files->all[f];
    }
    *out = NULL;
    if (entry == NULL) {
        return -ENOENT;
    }
    struct doc_node *map = NULL;
    int code = doc_read_map(entry, what, &map, err);
    *out = map;
    return code;
}

/* `said` is the node that named it. */
static int not_there(struct kube_conf *out, const struct files *files, const char *list,
                     const char *what, struct span name, const struct doc_node *said,
                     struct err *err)
{
    const char *names = names_of(&out->arena, files, list);
    if (said != NULL && said->line > 0) {
        return err_set(err, -ERR_CONFIG, "%s:%u: there is no %s '%.*s'; there are: %s", said->file,
                       said->line, what, SPAN_ARG(name), names);
    }
    return err_set(err, -ERR_CONFIG, "%s: there is no %s '%.*s'; there are: %s", files->all[0].name,
                   what, SPAN_ARG(name), names);
}

static int choose_context(struct kube_conf *out, const struct files *files, const char *asked,
                          const struct doc_node **context, const struct kube_conf_file **from,
                          struct err *err)
{
    const struct doc_node *said = NULL;
    struct span name = span_of(asked);
    for (size_t f = 0; f < files->count && name.len == 0; f++) {
        int code = doc_read_text(files->all[f].doc, "current-context", &name, err);
        if (code != 0) {
            return code;
        }
        said = doc_get(files->all[f].doc, "current-context");
    }
    if (name.len == 0) {
        return err_set(err, -ERR_CONFIG,
                       "%s: no 'current-context' is set; name a context with --context, or set it "
                       "with 'kubectl config use-context'; there are: %s",
                       files->all[0].name, names_of(&out->arena, files, "contexts"));
    }
    out->context = name;
    int code = choose(files, "contexts", "context", name, context, from, err);
    if (code == -ENOENT) {
        return not_there(out, files, "contexts", "context", name, said, err);
    }
    if (code == 0 && *context == NULL) {
        return err_set(err, -ERR_CONFIG, "%s: context '%.*s' is empty; want cluster and user",
                       (*from)->name, SPAN_ARG(name));
    }
    return code;
}

static int read_files(struct kube_conf *out, const struct files *files, const char *asked,
                      struct err *err)
{
    const struct doc_node *context = NULL;
    const struct doc_node *cluster = NULL;
    const struct doc_node *user = NULL;
    const struct kube_conf_file *from = NULL;
    struct span cluster_name = SPAN_EMPTY;
    struct span user_name = SPAN_EMPTY;
    out->namespace = SPAN_EMPTY;
    int code = choose_context(out, files, asked, &context, &from, err);
    if (code != 0 || (code = doc_read_text(context, "cluster", &cluster_name, err)) != 0 ||
        (code = doc_read_text(context, "user", &user_name, err)) != 0 ||
        (code = doc_read_text(context, "namespace", &out->namespace, err)) != 0) {
        return code;
    }
    if (out->namespace.len == 0) {
        out->namespace = SPAN("default");
    }
    if (cluster_name.len == 0) {
        return doc_refuse(context, "cluster", NULL, err, "want the name of a cluster");
    }
    code = choose(files, "clusters", "cluster", cluster_name, &cluster, &from, err);
    if (code == -ENOENT || (code == 0 && cluster == NULL)) {
        return not_there(out, files, "clusters", "cluster", cluster_name,
                         doc_get(context, "cluster"), err);
    }
    if (code != 0 || (code = kube_conf_read_cluster(out, from, cluster, err)) != 0) {
        return code;
    }
    if (user_name.len > 0) {
        code = choose(files, "users", "user", user_name, &user, &from, err);
        if (code == -ENOENT) {
            return not_there(out, files, "users", "user", user_name, doc_get(context, "user"), err);
        }
    }
    return code != 0 ? code : kube_conf_read_user(out, from, user, err);
}

/* ---- files ---- */

static int parse_file(struct kube_conf *out, struct files *files, struct span text,
                      const char *name, const char *folder, struct err *err)
{
    struct doc_node *doc = NULL;
    struct span kept = arena_dup(&out->arena, text); /* nodes may point into it */
    int code = doc_parse_yaml(&out->arena, kept, name, &doc, err);
    if (code != 0) {
        return err->code = -ERR_CONFIG; /* too large or deep, too */
    }
    if (doc_is(doc, DOC_NULL)) {
        return 0; /* an empty file is none */
    }
    struct span kind = SPAN_EMPTY;
    if (!doc_is(doc, DOC_MAP)) {
        return err_set(err, -ERR_CONFIG,
                       "%s:%u: this is no kubeconfig: want a map with clusters, "
                       "contexts and users",
                       name, doc->line);
    }
    code = doc_read_text(doc, "kind", &kind, err);
    if (code == 0 && kind.len > 0 && !span_is(kind, "Config")) {
        code = doc_refuse(doc, "kind", doc_get(doc, "kind"), err, "a kubeconfig's is Config");
    }
    if (code == 0) {
        files->all[files->count++] =
            (struct kube_conf_file){.doc = doc, .name = name, .folder = folder};
    }
    return code;
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? "."
           : slash == path ? "/"
                           : arena_cstr(arena, span_from(path, (size_t)(slash - path)));
}

/* -ENOENT: there is no such file. */
static int load_file(struct kube_conf *out, struct files *files, struct span path, struct err *err)
{
    struct buf text;
    if (files->count == KUBE_CONF_FILES_MAX) {
        return err_set(err, -ERR_CONFIG, "KUBECONFIG names more than %d files",
                       KUBE_CONF_FILES_MAX);
    }
    const char *name = arena_cstr(&out->arena, path);
    buf_init(&text, KUBE_CONF_BYTES_MAX);
    int code = file_read(name, &text, err);
    if (code == 0) {
        code = parse_file(out, files, buf_span(&text), name, folder_of(&out->arena, name), err);
    } else if (code != -ENOENT) {
        code = err->code = -ERR_CONFIG;
    }
    buf_dispose(&text);
    return code;
}

/* KUBECONFIG is a list in which missing files do not count; each one that is there is read. */
static int load_list(struct kube_conf *out, struct files *files, struct span list, struct err *err)
{
    int code = 0;
    while (list.at != NULL && code == 0) {
        struct span path = span_cut(&list, ':');
        code = path.len > 0 ? load_file(out, files, path, err) : 0;
        code = code == -ENOENT ? 0 : code;
    }
    return code;
}

/* ---- in a pod ---- */

static int read_pod_file(struct kube_conf *out, const char *folder, const char *file,
                         struct span *to, struct err *err)
{
    struct buf text;
    buf_init(&text, KUBE_CONF_BYTES_MAX);
    int code = file_read(arena_printf(&out->arena, "%s/%s", folder, file), &text, err);
    if (code == 0) {
        *to = arena_dup(&out->arena, buf_span(&text));
    }
    buf_dispose(&text);
    return code;
}

/* rest.InClusterConfig: the environment names the server, the folder says who we are. -ENOENT: this is no pod. */
static int load_pod(struct kube_conf *out, const char *folder, const char *host, const char *port,
                    struct err *err)
{
    struct span token;
    struct ip ip;
    if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0') {
        return err_set(err, -ENOENT, "KUBERNETES_SERVICE_HOST is not set");
    }
    bool is_v6 = ip_parse(span_of(host), &ip) == 0 && ip.family == 6;
    const char *form = is_v6 ? "https://[%s]:%s" : "https://%s:%s";
    out->server = span_of(arena_printf(&out->arena, form, host, port));
    out->in_cluster = true;
    out->context = SPAN("in-cluster");
    int code = read_pod_file(out, folder, "token", &token, err);
    if (code == 0) {
        out->token_file = arena_printf(&out->arena, "%s/token", folder);
        code = read_pod_file(out, folder, "ca.crt", &out->ca_pem, err);
    }
    if (code != 0) {
        err_prefix(err, "this pod has no service account (is automountServiceAccountToken off?)");
        return err->code = -ERR_CONFIG;
    }
    if (read_pod_file(out, folder, "namespace", &out->namespace, NULL) == 0) {
        out->namespace = span_trim(out->namespace);
        while (out->namespace.len > 0 && out->namespace.at[out->namespace.len - 1] == '\n') {
            out->namespace.len--;
        }
    }
    if (out->namespace.len == 0) {
        out->namespace = SPAN("default");
    }
    return 0;
}

static int load_own_pod(struct kube_conf *out, struct err *err)
{
    return load_pod(out, KUBE_POD_FOLDER, getenv("KUBERNETES_SERVICE_HOST"),
                    getenv("KUBERNETES_SERVICE_PORT"), err);
}

/* ---- the way in ---- */

static void conf_init(struct kube_conf *out)
{
    *out = (struct kube_conf){.in_cluster = false};
    arena_init(&out->arena, 4096);
}

int kube_conf_parse(struct kube_conf *out, struct span text, const char *file, const char *folder,
                    const char *context, struct err *err)
{
    struct files files = {.count = 0};
    struct err unheard;
    err = err != NULL ? err : &unheard;
    conf_init(out);
    int code = parse_file(out, &files, text, arena_strdup(&out->arena, file),
                          arena_strdup(&out->arena, folder), err);
    if (code == 0 && files.count == 0) {
        code = err_set(err, -ERR_CONFIG, "%s: the kubeconfig is empty", file);
    }
    if (code == 0) {
        code = read_files(out, &files, context, err);
    }
    if (code != 0) {
        kube_conf_dispose(out);
    }
    return code;
}

static int nothing_here(const char *list, const char *home_file, struct err *err)
{
    const char *looked = list != NULL ? list : home_file != NULL ? home_file : "~/.kube/config";
    return err_set(
        err, -ENOENT,
        "no Kubernetes is configured here: there is no kubeconfig at '%s'%s, and this is "
        "no pod; name one with --kubeconfig or KUBECONFIG",
        looked, list != NULL ? " (KUBECONFIG)" : "");
}

/* From files, as kubectl looks for them; then from the pod. */
static int load(struct kube_conf *out, const struct kube_conf_spec *spec, struct err *err)
{
    struct files files = {.count = 0};
    const char *list = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    const char *home_file =
        home != NULL && home[0] != '\0' ? arena_printf(&out->arena, "%s/.kube/config", home) : NULL;
    list = list != NULL && list[0] != '\0' ? list : NULL;
    int code;
    if (spec->kubeconfig != NULL) {
        code = load_file(out, &files, span_of(spec->kubeconfig), err);
        if (code == 0 && files.count == 0) {
            return err_set(err, -ERR_CONFIG, "%s: the kubeconfig is empty", spec->kubeconfig);
        }
        if (code != 0) {
            return err->code = -ERR_CONFIG;
        }
    } else if (spec->in_cluster_first && spec->context == NULL &&
               (code = load_own_pod(out, err)) != -ENOENT) {
        return code;
    } else {
        code = load_list(out, &files, span_of(list != NULL ? list : home_file), err);
    }
    if (code != 0 || files.count > 0) {
        return code != 0 ? code : read_files(out, &files, spec->context, err);
    }
    code = spec->context == NULL ? load_own_pod(out, err) : -ENOENT;
    return code == -ENOENT ? nothing_here(list, home_file, err) : code;
}

int kube_conf_load(struct kube_conf *out, const struct kube_conf_spec *spec, struct err *err)
{
    struct err unheard;
    conf_init(out);
    int code = load(out, spec, err != NULL ? err : &unheard);
    if (code != 0) {
        kube_conf_dispose(out);
    }
    return code;
}

void kube_conf_dispose(struct kube_conf *c)
{
    arena_dispose(&c->arena);
    *c = (struct kube_conf){.in_cluster = false};
}

/* Control in a cluster: through the API server's proxy to its Service, with the token that those have who may read its Secret. What the API server
 * itself answers (a Status) is told apart from what control does.
 * In: verb_call. Out: kube_verb. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/kube_verb.h"
#include "cli/verb_int.h"
#include "codec/base64.h"
#include "io/loop.h"
#include "io/signals.h"
#include "mesh/names.h"

#define PROXY "/api/v1/namespaces/" MESH_SYSTEM_NAMESPACE "/services/http:mesh-control:15080/proxy"
#define TOKEN_SECRET "mesh-api-token"
#define TOKEN_BYTES_MAX 4096
#define FIELDS_MAX 2

struct verb_cluster {
    struct kube_verb *kube;
    bool is_own; /* else it is the verb's */
    struct span token;
};

static const struct header write_field = {.name = SPAN_INIT("x-mesh-write"),
                                          .value = SPAN_INIT("1")};

/* ---- finding it ---- */

static bool is_file(const char *path)
{
    return path && path[0] && access(path, R_OK) == 0;
}

bool verb_cluster_is_configured(struct verb *v)
{
    const char *listed = getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    if (v->flags->kubeconfig || v->flags->context) {
        return true;
    }
    for (struct span rest = span_of(listed && listed[0] ? listed : NULL); rest.at != NULL;) {
        if (is_file(arena_cstr(&v->arena, span_cut(&rest, ':')))) {
            return true;
        }
    }
    return (!listed || !listed[0]) && home &&
           is_file(arena_printf(&v->arena, "%s/.kube/config", home));
}

/* data.token, which is base64 as all of a Secret's data is. */
static struct span token_of(struct verb *v, const struct doc_node *secret)
{
    struct span text = item_text(secret, "data.token");
    if (text.len == 0 || text.len >= TOKEN_BYTES_MAX) {
        return SPAN_EMPTY;
    }
    char *to = arena_bytes(&v->arena, base64_decoded_max(text.len));
    ssize_t len = base64_decode(BASE64_STANDARD, text, to);
    return len > 0 ? span_from(to, (size_t)len) : SPAN_EMPTY;
}

int verb_cluster_attach(struct kube_verb *k, struct kube_answer *a)
{
    struct verb *v = k->verb;
    struct err err;
    const struct kube_call_spec spec = {.method = "GET",
                                        .path = kube_path(&v->arena, &kube_verb_secrets,
                                                          SPAN(MESH_SYSTEM_NAMESPACE),
                                                          SPAN(TOKEN_SECRET), NULL)};
    int code = kube_verb_ask(k, &spec, a, &err);
    if (code == 0) {
        v->cluster = arena_new(&v->arena, struct verb_cluster);
        v->cluster->kube = k;
        v->cluster->token = token_of(v, a->doc);
        (void)snprintf(v->target, sizeof v->target, "context %.140s", k->context);
    }
    return code;
}

int verb_cluster_open(struct verb *v)
{
    struct kube_answer a;
    struct kube_verb *own = arena_new(&v->arena, struct kube_verb);
    int status = kube_verb_open(own, v);
    int code = status == EXIT_DONE ? verb_cluster_attach(own, &a) : 0;
    if (code == -ENOENT) {
        status = verb_fail(v, EXIT_UNREACHABLE, 1324, "mesh install --set profile=demo",
                           "no mesh is installed in %s, or it did not start yet", own->context);
    } else if (code != 0) {
        status =
            kube_verb_fail(own, code, "secrets " MESH_SYSTEM_NAMESPACE "/" TOKEN_SECRET, a.why);
    }
    if (v->cluster) {
        v->cluster->is_own = true;
    } else {
        kube_verb_close(own);
    }
    return status;
}

void verb_cluster_close(struct verb *v)
{
    if (v->cluster && v->cluster->is_own) {
        kube_verb_close(v->cluster->kube);
    }
    v->cluster = NULL;
}

/* ---- asking ---- */

static size_t put_fields(const struct verb_cluster *c, bool writes, struct header *to)
{
    to[0] = (struct header){.name = SPAN("x-mesh-token"), .value = c->token};
    to[1] = write_field;
    return writes ? 2 : 1;
}

/* The API server's own words: control is not there, or we may not ask it. */
static bool is_servers(const struct kube_answer *a)
{
    const struct doc_node *kind = doc_get(a->doc, "kind");
    const struct doc_node *version = doc_get(a->doc, "apiVersion");
    return a->status == 0 || !a->doc ||
           (doc_is(kind, DOC_TEXT) && span_is(kind->text, "Status") && doc_is(version, DOC_TEXT) &&
            span_is(version->text, "v1"));
}

static int no_control(struct verb *v, const struct kube_answer *a)
{
    if (a->status == 401 || a->status == 403) {
        return verb_fail(v, EXIT_FORBIDDEN, 1312, NULL,
                         "%s: the API server does not pass this user on to control: %s", v->target,
                         a->why);
    }
    return verb_fail(v, EXIT_UNREACHABLE, 1001, "kubectl -n " MESH_SYSTEM_NAMESPACE " get pods",
                     "control does not answer in %s: %s", v->target, a->why);
}

struct kube_call_spec verb_cluster_call(struct verb *v, const char *method, const char *path)
{
    struct header *fields = arena_array(&v->arena, FIELDS_MAX, sizeof *fields);
    return (struct kube_call_spec){
        .method = method,
        .path = arena_printf(&v->arena, PROXY "%s", path),
        .fields = fields,
        .field_count = put_fields(v->cluster, strcmp(method, "GET") != 0, fields),
        .timeout_ms = v->flags->timeout_ms,
    };
}

int verb_cluster_try(struct verb *v, const char *method, const char *path, struct span body,
                     struct doc_node **out, unsigned *http_status)
{
    struct kube_answer a;
    struct err err;
    struct kube_call_spec spec = verb_cluster_call(v, method, path);
    spec.body = body;
    *http_status = 0;
    if (kube_verb_ask(v->cluster->kube, &spec, &a, &err) != 0 && is_servers(&a)) {
        return no_control(v, &a);
    }
    *http_status = a.status;
    *out = a.doc;
    return EXIT_DONE;
}

/* ---- a stream ---- */

struct streaming {
    struct verb *verb;
    bool (*on_event)(void *arg, struct doc_node *event);
    void *arg;
    struct kube_stream *stream;
    struct arena event;
    int status;
};

/* Our own server sends each event as one "data:" line (http/sse). */
static void on_line(void *arg, struct span line)
{
    struct streaming *s = arg;
    struct doc_node *event = NULL;
    struct err err;
    if (!span_starts(line, SPAN("data:"))) {
        return;
    }
    arena_reset(&s->event);
    struct span json = arena_dup(&s->event, span_trim(span_from_offset(line, 5)));
    if (doc_parse_json(&s->event, json, "event", &event, &err) == 0 && s->on_event(s->arg, event)) {
        kube_stream_close(s->stream);
        s->stream = NULL;
        loop_stop(s->verb->loop);
    }
}

static void on_end(void *arg, const struct kube_answer *a)
{
    struct streaming *s = arg;
    s->stream = NULL;
    s->status = a->code == 0 ? EXIT_DONE : no_control(s->verb, a);
    loop_stop(s->verb->loop);
}

static void on_interrupt(void *arg, int signo)
{
    struct streaming *s = arg;
    UNUSED(signo);
    loop_stop(s->verb->loop);
}

int verb_cluster_stream(struct verb *v, const char *path,
                        bool (*on_event)(void *arg, struct doc_node *event), void *arg)
{
    static const int signos[] = {2 /* SIGINT */, 15 /* SIGTERM */, 0};
    struct streaming s = {.verb = v, .on_event = on_event, .arg = arg};
    struct header fields[FIELDS_MAX];
    const struct kube_stream_spec spec = {
        .path = arena_printf(&v->arena, PROXY "%s", path),
        .fields = fields,
        .field_count = put_fields(v->cluster, false, fields),
        .on_line = on_line,
        .on_end = on_end,
        .arg = &s,
    };
    arena_init(&s.event, 16384);
    struct signals *signals = signals_new(v->loop, signos, on_interrupt, &s);
    s.stream = kube_stream_open(v->cluster->kube->client, &spec);
    loop_run(v->loop);
    kube_stream_close(s.stream);
    signals_free(signals);
    arena_dispose(&s.event);
    return s.status;
}

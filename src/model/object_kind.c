/* Kinds: which there are, which are known elsewhere, and what a document says it is. */
#include <stdio.h>

#include "model/near.h"
#include "model/object_int.h"

const struct object_kind_row object_kinds[OBJECT_KIND_COUNT] = {
#define KIND(id, group, versions, kind, plural, short_names, namespaced) \
    {group, versions, kind, plural, short_names, namespaced},
#include "model/kinds.def"
#undef KIND
};

/* Kinds that people write for meshes and clusters and that we do not read. */
static const struct other_kind {
    const char *group, *kind;
    unsigned code;
    const char *note; /* what happens, or what to use */
} other_kinds[] = {
    {"security.istio.io", "RequestAuthentication", 2005,
     "remove it, and say who may call with an AuthorizationPolicy: tokens (JWT) are not checked yet"},
    {"networking.istio.io", "EnvoyFilter", 2005,
     "proxies are not Envoy: say it with a VirtualService, DestinationRule or policy"},
    {"networking.istio.io", "Sidecar", 2004,
     "proxies learn only what they use, so that none is needed"},
    {"networking.istio.io", "WorkloadGroup", 2004, "write a WorkloadEntry for each workload"},
    {"networking.istio.io", "ProxyConfig", 2004,
     "proxies take their settings from flags, environment and mesh.ini"},
    {"telemetry.istio.io", "Telemetry", 2004,
     "metrics are always on; access logs are set in MeshConfig"},
    {"extensions.istio.io", "WasmPlugin", 2005, "there are no extensions"},
    {"extensions.istio.io", "TrafficExtension", 2005, "there are no extensions"},
    {"gateway.networking.k8s.io", "GRPCRoute", 2005,
     "write an HTTPRoute: path /PACKAGE.SERVICE/METHOD, method POST"},
    {"gateway.networking.k8s.io", "TLSRoute", 2005, "write a VirtualService with tls routes"},
    {"gateway.networking.k8s.io", "TCPRoute", 2005, "write a VirtualService with tcp routes"},
    {"gateway.networking.k8s.io", "UDPRoute", 2005, "UDP is not routed"},
    {"gateway.networking.k8s.io", "BackendTLSPolicy", 2005, "write a DestinationRule with tls"},
    {"gateway.networking.k8s.io", "ListenerSet", 2005, "write the listeners into the Gateway"},
    {"networking.k8s.io", "Ingress", 2004, "write a Gateway and an HTTPRoute"},
    {"", "Endpoints", 2004, "write an EndpointSlice"},
    {"", "ConfigMap", 2003, ""},
    {"", "Event", 2003, ""},
    {"", "PersistentVolume", 2003, ""},
    {"", "PersistentVolumeClaim", 2003, ""},
    {"", "ReplicationController", 2003, ""},
    {"", "ResourceQuota", 2003, ""},
    {"", "LimitRange", 2003, ""},
    {"", "PodTemplate", 2003, ""},
};

/* --- by word --- */

static bool is_one_of(struct span word, const char *list)
{
    struct span rest = span_of(list);
    while (rest.at != NULL) {
        struct span part = span_cut(&rest, ',');
        if (part.len > 0 && span_eq_nocase(part, word)) {
            return true;
        }
    }
    return false;
}

int object_kind_find(struct span word)
{
    struct span group = word;
    struct span name = span_cut(&group, '.');
    for (int i = 0; i < OBJECT_KIND_COUNT; i++) {
        const struct object_kind_row *row = &object_kinds[i];
        bool named = span_eq_nocase(name, span_of(row->kind)) ||
                     span_eq_nocase(name, span_of(row->plural)) ||
                     is_one_of(name, row->short_names);
        if (named && (group.at == NULL || span_eq_nocase(group, span_of(row->group)))) {
            return i;
        }
    }
    return -1;
}

/* --- by apiVersion and kind --- */

static bool is_our_group(struct span group)
{
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        if (span_is(group, object_kinds[i].group)) {
            return true;
        }
    }
    return false;
}

/* A kind of ours in a group of another name: mistyped, or somebody else's kind? */
static const char *mistyped_group(struct span group, struct span kind)
{
    struct near near;
    near_init(&near, group);
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        if (span_is(kind, object_kinds[i].kind)) {
            near_try(&near, span_of(object_kinds[i].group));
        }
    }
    return near.best.at;
}

static const char *mistyped_kind(struct span group, struct span kind)
{
    struct near near;
    near_init(&near, kind);
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        if (span_is(group, object_kinds[i].group)) {
            near_try(&near, span_of(object_kinds[i].kind));
        }
    }
    return near.best.at;
}

static int say_version(struct reader *r, const struct doc_node *at, struct span version,
                       const struct object_kind_row *row)
{
    struct finding *found =
        reader_say(r, 2006, at, "apiVersion", "there is no version '%.*s' of %s",
                   SPAN_ARG(span_first(version, 80)), row->kind);
    struct span rest = span_of(row->versions);
    struct span first = span_cut(&rest, ',');
    found->why = finding_text(r->findings, "its versions are %s", row->versions);
    found->fix = finding_text(r->findings, "write 'apiVersion: %s%s%.*s'", row->group,
                              row->group[0] ? "/" : "", SPAN_ARG(first));
    return -1;
}

static const struct other_kind *find_other(struct span group, struct span kind)
{
    for (size_t i = 0; i < ARRAY_LEN(other_kinds); i++) {
        if (span_is(group, other_kinds[i].group) && span_is(kind, other_kinds[i].kind)) {
            return &other_kinds[i];
        }
    }
    return NULL;
}

/* "there are Gateway, HTTPRoute" */
static struct span kinds_of(struct reader *r, struct span group)
{
    char list[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        if (span_is(group, object_kinds[i].group)) {
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "",
                                    object_kinds[i].kind);
            ASSERT(len < sizeof(list));
        }
    }
    return finding_text(r->findings, "there are %s", list);
}

static int say_no_kind(struct reader *r, const struct doc_node *api, const struct doc_node *node,
                       struct span group)
{
    struct span kind = node->text;
    const struct other_kind *other = find_other(group, kind);
    const char *group_meant = mistyped_group(group, kind);
    const char *meant = other == NULL ? mistyped_kind(group, kind) : NULL;
    struct finding *found;
    if (other != NULL && other->code != 2003) {
        found = reader_say(r, other->code, node, "kind", "objects of kind %s are not supported",
                           other->kind);
        found->why = other->code == 2004 ? SPAN("it has no effect")
                                         : SPAN("without it the mesh would do something else");
        found->fix = span_of(other->note);
    } else if (other == NULL && !is_our_group(group) && group_meant != NULL) {
        found = reader_say(r, 2006, api, "apiVersion", "there is no %.*s in '%.*s'", SPAN_ARG(kind),
                           SPAN_ARG(span_first(group, 80)));
        found->why = SPAN("the group is nobody's that the mesh knows");
        found->fix = finding_text(r->findings, "did you mean '%s'?", group_meant);
    } else if (meant != NULL || (other == NULL && is_our_group(group) && group.len > 0)) {
        found = reader_say(r, 2006, node, "kind", "there is no kind %s%s%.*s", reader_show(r, node),
                           group.len ? " in " : "", SPAN_ARG(span_first(group, 80)));
        found->why = kinds_of(r, group);
        found->fix = meant ? finding_text(r->findings, "did you mean '%s'?", meant)
                           : SPAN("write one of those");
    } else {
        found =
            reader_say(r, 2003, node, "kind", "%s is no kind of the mesh's", reader_show(r, node));
        found->why = SPAN("it was left alone");
        found->fix = SPAN("nothing needs to be done");
    }
    return -1;
}

static const struct doc_node *text_at(struct reader *r, const struct doc_node *doc, const char *key)
{
    const struct doc_node *node = doc_get(doc, key);
    if (node == NULL || node->kind == DOC_NULL || (node->kind == DOC_TEXT && node->text.len == 0)) {
        struct finding *found = reader_say(r, 2002, doc, key, "'%s' is missing", key);
        found->why = SPAN("without it nobody knows what the document is");
        found->fix = key[0] == 'k' ? SPAN("add 'kind:', for example 'kind: Service'")
                                   : SPAN("add 'apiVersion:', for example 'apiVersion: v1'");
        return NULL;
    }
    if (node->kind != DOC_TEXT) {
        struct finding *found =
            reader_say(r, 2013, node, key, "'%s' is %s, and not text", key, reader_show(r, node));
        found->why = SPAN("it must be text");
        found->fix = SPAN("write text");
        return NULL;
    }
    return node;
}

int object_kind_of(struct reader *r, const struct doc_node *doc)
{
    if (doc->kind != DOC_MAP) {
        struct finding *found = reader_say(
            r, 2002, doc, NULL, "the document is %s, and not an object", reader_show(r, doc));
        found->why = SPAN("objects are maps with apiVersion, kind and metadata");
        found->fix = SPAN("begin with 'apiVersion:' and 'kind:'");
        return -1;
    }
    const struct doc_node *api = text_at(r, doc, "apiVersion");
    const struct doc_node *kind = text_at(r, doc, "kind");
    if (api == NULL || kind == NULL) {
        return -1;
    }
    ssize_t slash = span_find_byte(api->text, '/');
    struct span group = slash < 0 ? SPAN("") : span_first(api->text, (size_t)slash);
    struct span version = span_from_offset(api->text, (size_t)(slash + 1));
    if (slash < 0 && is_our_group(api->text)) { /* the version was forgotten */
        group = api->text;
        version = SPAN("");
    }
    r->kind = finding_text(r->findings, "%.*s", SPAN_ARG(span_first(kind->text, 80)));
    for (int i = 0; i < OBJECT_KIND_COUNT; i++) {
        const struct object_kind_row *row = &object_kinds[i];
        if (span_is(kind->text, row->kind) && span_is(group, row->group)) {
            return version.len > 0 && is_one_of(version, row->versions)
                       ? i
                       : say_version(r, api, version, row);
        }
    }
    return say_no_kind(r, api, kind, group);
}

/* --- small things --- */

struct span object_key(enum object_kind kind, struct span namespace, struct span name,
                       char to[static OBJECT_KEY_BYTES])
{
    const struct object_kind_row *row = &object_kinds[kind];
    int len =
        snprintf(to, OBJECT_KEY_BYTES, "%s%s%s/%.*s/%.*s", row->plural, row->group[0] ? "." : "",
                 row->group, SPAN_ARG(row->namespaced ? namespace : SPAN("-")), SPAN_ARG(name));
    return len > 0 && len < OBJECT_KEY_BYTES ? span_from(to, (size_t)len) : SPAN_EMPTY;
}

void object_make_key(struct object *o)
{
    char key[OBJECT_KEY_BYTES];
    o->key = arena_dup(&o->arena, object_key(o->kind, o->namespace, o->name, key));
}

void object_say_stranger(struct reader *r, const struct doc_entry *entry, const char *const *known,
                         size_t known_count)
{
    struct near near;
    near_init(&near, entry->key);
    for (size_t i = 0; i < known_count; i++) {
        near_try(&near, span_of(known[i]));
    }
    const char *key = arena_cstr(r->findings->arena, span_first(entry->key, 80));
    struct finding *found =
        reader_say(r, 2010, entry->value, key, "there is no field '%s' here", key);
    found->why = SPAN("it has no effect");
    found->fix = near.best.at != NULL
                     ? finding_text(r->findings, "did you mean '%.*s'?", SPAN_ARG(near.best))
                     : finding_text(r->findings, "remove '%s', or move it below 'spec'", key);
}

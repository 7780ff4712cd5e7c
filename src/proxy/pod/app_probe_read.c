/* The application's probes as they are written: Kubernetes' Probe, as JSON.
 * In: MESH_APP_PROBES. Out: app_probe. */
#include "codec/doc.h"
#include "proxy/pod/app_probe_int.h"

enum { TIMEOUT_S_MAX = 3600, FIELDS_MAX = 64, NAME_BYTES_MAX = 256 };

/* A number, or text with one: the injector has looked names of ports up. */
static int read_port(const struct doc_node *map, uint16_t *port, struct err *err)
{
    const struct doc_node *node = doc_get(map, "port");
    uint64_t value = 0;
    if (doc_is(node, DOC_INT) && node->integer > 0) {
        value = (uint64_t)node->integer;
    } else if (doc_is(node, DOC_TEXT) && !span_to_u64(node->text, &value)) {
        value = 0;
    }
    if (value == 0 || value > 65535) {
        return doc_refuse(map, "port", node, err, "want a port's number, 1 to 65535");
    }
    *port = (uint16_t)value;
    return 0;
}

static bool is_field(struct span name, struct span value)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = (char)(name.at[i] | 0x20);
        if (!((c >= 'a' && c <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9') ||
              (name.at[i] != '\0' && strchr(marks, name.at[i]) != NULL))) {
            return false;
        }
    }
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return name.len > 0 && name.len <= NAME_BYTES_MAX;
}

static struct span to_lower(struct arena *arena, struct span name)
{
    char *to = arena_alloc(arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++) {
        to[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 0x20) : name.at[i];
    }
    return span_from(to, name.len);
}

static int read_fields(struct app_probe *p, struct arena *arena, const struct doc_node *http,
                       struct err *err)
{
    struct doc_node *list = NULL;
    int code = doc_read_list(http, "httpHeaders", &list, err);
    size_t count = doc_count(list);
    if (code == 0 && count > FIELDS_MAX) {
        return err_set(err, -ERR_CONFIG, "'httpHeaders' are %zu; at most %d", count, FIELDS_MAX);
    }
    p->fields = arena_array(arena, count + 1, sizeof(*p->fields));
    for (size_t i = 0; i < count && code == 0; i++) {
        const struct doc_node *field = doc_at(list, i);
        struct span name = SPAN_EMPTY, value = SPAN_EMPTY;
        code = doc_read_text(field, "name", &name, err);
        code = code ? code : doc_read_text(field, "value", &value, err);
        value = span_trim(value);
        if (code == 0 && !is_field(name, value)) {
            code = err_set(err, -ERR_CONFIG, "'httpHeaders' has '%.*s', which is no header field",
                           SPAN_ARG(span_first(name, 64)));
        } else if (code == 0 && span_eq_nocase(name, SPAN("host"))) {
            p->host = arena_dup(arena, value);
        } else if (code == 0) {
            p->fields[p->field_count++] =
                (struct header){to_lower(arena, name), arena_dup(arena, value)};
        }
    }
    return code;
}

/* What a request line may hold; others are escaped, as kubelet's net/url does. */
static struct span target_of(struct arena *arena, struct span path)
{
    static const char hex[] = "0123456789ABCDEF";
    char *to = arena_alloc(arena, 3 * path.len + 2);
    size_t len = 0;
    if (path.len == 0 || path.at[0] != '/') {
        to[len++] = '/';
    }
    for (size_t i = 0; i < path.len && path.at[i] != '#'; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if (c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>') {
            to[len++] = (char)c;
            continue;
        }
        to[len++] = '%';
        to[len++] = hex[c >> 4];
        to[len++] = hex[c & 15];
    }
    return span_from(to, len);
}

static int read_http(struct app_probe *p, struct arena *arena, const struct doc_node *http,
                     struct err *err)
{
    struct span scheme = SPAN("HTTP"), path = SPAN_EMPTY;
    p->kind = APP_PROBE_HTTP;
    int code = read_port(http, &p->port, err);
    code = code ? code : doc_read_text(http, "scheme", &scheme, err);
    code = code ? code : doc_read_text(http, "path", &path, err);
    p->tls = span_eq_nocase(scheme, SPAN("https"));
    if (code == 0 && !p->tls && scheme.len > 0 && !span_eq_nocase(scheme, SPAN("http"))) {
        code = doc_refuse(http, "scheme", doc_get(http, "scheme"), err, "use HTTP or HTTPS");
    }
    p->path = target_of(arena, path);
    return code ? code : read_fields(p, arena, http, err);
}

static int read_grpc(struct app_probe *p, struct arena *arena, const struct doc_node *grpc,
                     struct err *err)
{
    p->kind = APP_PROBE_GRPC;
    int code = read_port(grpc, &p->port, err);
    code = code ? code : doc_read_text(grpc, "service", &p->service, err);
    p->service = arena_dup(arena, p->service);
    return code;
}

static int read_one(struct app_probe *p, struct arena *arena, const struct doc_node *node,
                    struct err *err)
{
    const struct doc_node *http = doc_get(node, "httpGet"), *tcp = doc_get(node, "tcpSocket"),
                          *grpc = doc_get(node, "grpc");
    int64_t timeout_s = 1;
    int code = doc_read_int(node, "timeoutSeconds", 0, TIMEOUT_S_MAX, &timeout_s, err);
    p->timeout_ms = i64_max(timeout_s, 1) * 1000;
    if (code != 0) {
        return code;
    }
    if (doc_is(http, DOC_MAP)) {
        return read_http(p, arena, http, err);
    }
    if (doc_is(tcp, DOC_MAP)) {
        p->kind = APP_PROBE_TCP;
        return read_port(tcp, &p->port, err);
    }
    return doc_is(grpc, DOC_MAP)
               ? read_grpc(p, arena, grpc, err)
               : err_set(err, -ERR_CONFIG, "there is none of 'httpGet', 'tcpSocket' and 'grpc'");
}

int app_probe_read(struct map *to, struct arena *arena, const char *json, struct err *err)
{
    struct doc_node *doc;
    if (json == NULL || json[0] == '\0') {
        return 0;
    }
    int code = doc_parse_json(arena, span_of(json), "MESH_APP_PROBES", &doc, err);
    if (code == 0 && !doc_is(doc, DOC_MAP)) {
        code = err_set(err, -ERR_CONFIG, "MESH_APP_PROBES is no map of paths to probes");
    }
    for (size_t i = 0; code == 0 && i < doc_count(doc); i++) {
        struct app_probe *p = arena_new(arena, struct app_probe);
        p->name = doc->entries[i].key;
        code = read_one(p, arena, doc->entries[i].value, err);
        if (code != 0) {
            return err_prefix(err, "MESH_APP_PROBES '%.*s'", SPAN_ARG(span_first(p->name, 128)));
        }
        (void)map_put(to, p->name, p); /* doc refuses doubles */
    }
    return code;
}

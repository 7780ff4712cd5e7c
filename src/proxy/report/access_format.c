/* Access log lines: see access_format.h. */
#include "proxy/report/access_format.h"

#include <inttypes.h>
#include <unistd.h>

#include "codec/date.h"

/* Istio's default: "Envoy Access Logs", default format string. */
static const struct span default_format = {
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n",
    0};

struct part;
/* Appends the value; true when there was none. */
typedef bool (*part_write)(const struct part *p, const struct access_entry *e, struct buf *out);

struct part {
    part_write write;  /* NULL: `text` as it is */
    struct span text;  /* literal; or the operator's argument, lower case for header names */
    struct span other; /* REQ(X?Y): Y */
    size_t most;       /* :Z, 0 = all */
    bool number;       /* in JSON without quotes */
};

struct field {
    struct span name; /* JSON key */
    struct part *parts;
    size_t count;
};

struct access_format {
    bool json, omit_empty;
    struct field *fields; /* one without a name for text */
    size_t count;
};

/* ---- values ---- */

static bool put_number(struct buf *out, int64_t n)
{
    return n < 0 || buf_printf(out, "%" PRId64, n) != 0;
}

static bool put_text(struct buf *out, struct span s)
{
    return s.len == 0 || buf_append_span(out, s) != 0;
}

static bool put_addr(struct buf *out, const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];
    return a->kind == ADDR_NONE || put_text(out, span_of(addr_format(a, text)));
}

static bool put_end(struct buf *out, const struct ip *ip, uint16_t port)
{
    const struct addr a = {.kind = ip->family != 0 ? ADDR_IP : ADDR_NONE, .ip = *ip, .port = port};
    return put_addr(out, &a);
}

static bool put_ip(struct buf *out, const struct ip *ip)
{
    char text[IP_TEXT_BYTES];
    return put_text(out, span_of(ip_format(ip, text)));
}

#define VALUE(name, expression)                                                           \
    static bool name(const struct part *p, const struct access_entry *e, struct buf *out) \
    {                                                                                     \
        UNUSED(p);                                                                        \
        return expression;                                                                \
    }

VALUE(v_bytes_received, put_number(out, (int64_t)e->bytes_received))
VALUE(v_bytes_sent, put_number(out, (int64_t)e->bytes_sent))
VALUE(v_code, put_number(out, e->status))
VALUE(v_duration, put_number(out, e->duration_us / 1000))
VALUE(v_request_duration, put_number(out, e->request_us < 0 ? -1 : e->request_us / 1000))
VALUE(v_response_duration, put_number(out, e->response_us < 0 ? -1 : e->response_us / 1000))
VALUE(v_attempts, put_number(out, e->attempts))
VALUE(v_protocol, put_text(out, e->protocol))
VALUE(v_cluster, put_text(out, e->cluster))
VALUE(v_route, put_text(out, e->route_name))
VALUE(v_sni, put_text(out, e->requested_server))
VALUE(v_failure, put_text(out, e->failure))
VALUE(v_peer_uri, put_text(out, e->peer_principal))
VALUE(v_local_uri, put_text(out, e->local_principal))
VALUE(v_remote, put_addr(out, &e->downstream_remote))
VALUE(v_remote_ip, put_ip(out, &e->traffic->remote_ip))
VALUE(v_direct, put_end(out, &e->traffic->direct_ip, e->traffic->direct_port))
VALUE(v_direct_ip, put_ip(out, &e->traffic->direct_ip))
VALUE(v_remote_port, put_number(out, e->downstream_remote.port))
VALUE(v_local, put_addr(out, &e->downstream_local))
VALUE(v_local_ip, put_ip(out, &e->downstream_local.ip))
VALUE(v_local_port, put_number(out, e->downstream_local.port))
VALUE(v_upstream, put_addr(out, &e->upstream_remote))
VALUE(v_upstream_ip, put_ip(out, &e->upstream_remote.ip))
VALUE(v_upstream_port,
      put_number(out, e->upstream_remote.kind == ADDR_NONE ? -1 : e->upstream_remote.port))
VALUE(v_upstream_local, put_addr(out, &e->upstream_local))

static bool v_nothing(const struct part *p, const struct access_entry *e, struct buf *out)
{
    UNUSED(p);
    UNUSED(e);
    UNUSED(out);
    return true;
}

static bool v_flags(const struct part *p, const struct access_entry *e, struct buf *out)
{
    char text[OUTCOME_FLAGS_BYTES];
    UNUSED(p);
    return e->flags == 0 || put_text(out, outcome_flags(e->flags, text));
}

static bool v_details(const struct part *p, const struct access_entry *e, struct buf *out)
{
    UNUSED(p);
    return put_text(out, e->details.len > 0 ? e->details : outcome_row(e->outcome)->details);
}

/* Of the connection, for opaque ones: which policy closed it. */
static bool v_termination(const struct part *p, const struct access_entry *e, struct buf *out)
{
    UNUSED(p);
    return e->request != NULL || put_text(out, e->details);
}

static bool v_start(const struct part *p, const struct access_entry *e, struct buf *out)
{
    if (p->text.len > 0) {
        return date_format(e->start_us, p->text, out) != 0;
    }
    char text[DATE_TEXT_BYTES];
    size_t len = date_format_rfc3339(e->start_us, 3, text);
    return put_text(out, span_from(text, len));
}

static bool v_hostname(const struct part *p, const struct access_entry *e, struct buf *out)
{
    UNUSED(e);
    return put_text(out, p->text);
}

static struct span request_field(const struct access_entry *e, struct span name)
{
    if (e->request == NULL) {
        return SPAN_EMPTY;
    }
    if (name.len > 0 && name.at[0] == ':') {
        return span_is(name, ":method")      ? e->traffic->method
               : span_is(name, ":path")      ? e->traffic->path
               : span_is(name, ":authority") ? e->traffic->authority
               : span_is(name, ":scheme")    ? e->traffic->scheme
                                             : SPAN_EMPTY;
    }
    if (span_is(name, "x-envoy-original-path")) {
        return e->original_path;
    }
    return head_get(e->request, name);
}

static bool v_request_field(const struct part *p, const struct access_entry *e, struct buf *out)
{
    struct span value = request_field(e, p->text);
    if (value.len == 0 && p->other.len > 0) {
        value = request_field(e, p->other);
    }
    return put_text(out, p->most > 0 ? span_first(value, p->most) : value);
}

static bool put_head_field(const struct part *p, const struct head *h, struct buf *out)
{
    if (h == NULL) {
        return true;
    }
    struct span value = head_get(h, p->text);
    if (value.len == 0 && p->other.len > 0) {
        value = head_get(h, p->other);
    }
    return put_text(out, p->most > 0 ? span_first(value, p->most) : value);
}

static bool v_response_field(const struct part *p, const struct access_entry *e, struct buf *out)
{
    if (span_is(p->text, ":status")) {
        return put_number(out, e->status);
    }
    return put_head_field(p, e->response, out);
}

static bool v_trailer(const struct part *p, const struct access_entry *e, struct buf *out)
{
    return put_head_field(p, e->trailers, out);
}

static bool v_grpc_status(const struct part *p, const struct access_entry *e, struct buf *out)
{
    UNUSED(p);
    struct span value = e->trailers ? head_get_known(e->trailers, HEAD_GRPC_STATUS) : SPAN_EMPTY;
    if (value.len == 0 && e->response != NULL) {
        value = head_get_known(e->response, HEAD_GRPC_STATUS);
    }
    return put_text(out, value);
}

static const struct {
    const char *name;
    part_write write;
    bool number;
} operators[] = {
    {"START_TIME", v_start, false},
    {"REQ", v_request_field, false},
    {"RESP", v_response_field, false},
    {"TRAILER", v_trailer, false},
    {"RESPONSE_CODE", v_code, true},
    {"RESPONSE_CODE_DETAILS", v_details, false},
    {"RESPONSE_FLAGS", v_flags, false},
    {"CONNECTION_TERMINATION_DETAILS", v_termination, false},
    {"BYTES_RECEIVED", v_bytes_received, true},
    {"BYTES_SENT", v_bytes_sent, true},
    {"DURATION", v_duration, true},
    {"REQUEST_DURATION", v_request_duration, true},
    {"RESPONSE_DURATION", v_response_duration, true},
    {"PROTOCOL", v_protocol, false},
    {"UPSTREAM_HOST", v_upstream, false},
    {"UPSTREAM_REMOTE_ADDRESS", v_upstream, false},
    {"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", v_upstream_ip, false},
    {"UPSTREAM_REMOTE_PORT", v_upstream_port, true},
    {"UPSTREAM_LOCAL_ADDRESS", v_upstream_local, false},
    {"UPSTREAM_CLUSTER", v_cluster, false},
    {"UPSTREAM_CLUSTER_RAW", v_cluster, false},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", v_failure, false},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", v_attempts, true},
    {"DOWNSTREAM_REMOTE_ADDRESS", v_remote, false},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", v_remote_ip, false},
    {"DOWNSTREAM_REMOTE_PORT", v_remote_port, true},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", v_direct, false},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", v_direct_ip, false},
    {"DOWNSTREAM_LOCAL_ADDRESS", v_local, false},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", v_local_ip, false},
    {"DOWNSTREAM_LOCAL_PORT", v_local_port, true},
    {"DOWNSTREAM_PEER_URI_SAN", v_peer_uri, false},
    {"DOWNSTREAM_LOCAL_URI_SAN", v_local_uri, false},
    {"REQUESTED_SERVER_NAME", v_sni, false},
    {"ROUTE_NAME", v_route, false},
    {"GRPC_STATUS", v_grpc_status, false},
    {"GRPC_STATUS_NUMBER", v_grpc_status, true},
    {"HOSTNAME", v_hostname, false},
    {"DYNAMIC_METADATA", v_nothing, false},
    {"CLUSTER_METADATA", v_nothing, false},
    {"UPSTREAM_METADATA", v_nothing, false},
    {"FILTER_STATE", v_nothing, false},
    {"DOWNSTREAM_TLS_VERSION", v_nothing, false},
    {"DOWNSTREAM_TLS_CIPHER", v_nothing, false},
    {"DOWNSTREAM_TLS_SESSION_ID", v_nothing, false},
    {"DOWNSTREAM_PEER_SUBJECT", v_nothing, false},
    {"DOWNSTREAM_PEER_ISSUER", v_nothing, false},
    {"STREAM_ID", v_nothing, false},
    {"CONNECTION_ID", v_nothing, false},
};

/* ---- compiling ---- */

static struct span lower(struct arena *a, struct span s)
{
    char *to = arena_bytes(a, s.len);
    for (size_t i = 0; i < s.len; i++) {
        to[i] = (char)(s.at[i] >= 'A' && s.at[i] <= 'Z' ? s.at[i] | 0x20 : s.at[i]);
    }
    return span_from(to, s.len);
}

/* NAME, NAME(ARG), NAME(X?Y):Z */
static int compile_operator(struct part *p, struct arena *a, struct span op, struct err *err)
{
    struct span name = op, arg = SPAN_EMPTY, most = SPAN_EMPTY;
    ssize_t open = span_find_byte(op, '(');
    ssize_t close = span_rfind_byte(op, ')');
    if (open >= 0 && close > open) {
        name = span_first(op, (size_t)open);
        arg = span_from(op.at + open + 1, (size_t)(close - open) - 1);
        most = span_from_offset(op, (size_t)close + 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (!span_is(name, operators[i].name)) {
            continue;
        }
        *p = (struct part){.write = operators[i].write, .number = operators[i].number};
        uint64_t limit;
        if (most.len > 1 && most.at[0] == ':' && span_to_u64(span_from_offset(most, 1), &limit)) {
            p->most = (size_t)limit;
        }
        if (p->write == v_start) {
            p->text = arena_dup(a, arg);
        } else if (p->write == v_hostname) {
            char host[256] = "";
            UNUSED(gethostname(host, sizeof(host) - 1)); /* nothing to say is "-" */
            p->text = arena_dup(a, span_of(host));
        } else {
            ssize_t mark = span_find_byte(arg, '?');
            p->text = lower(a, mark < 0 ? arg : span_first(arg, (size_t)mark));
            p->other = mark < 0 ? SPAN_EMPTY : lower(a, span_from_offset(arg, (size_t)mark + 1));
        }
        return 0;
    }
    return err_set(err, -ERR_CONFIG, "access log operator '%%%.*s%%' is not known", SPAN_ARG(op));
}

static size_t count_parts(struct span format)
{
    size_t marks = 0;
    for (size_t i = 0; i < format.len; i++) {
        marks += format.at[i] == '%';
    }
    return marks +
           1; /* each pair makes an operator and a literal before it; one literal more at the end */
}

static int compile_field(struct field *f, struct arena *a, struct span format, struct err *err)
{
    f->parts = arena_array(a, count_parts(format) + 1, sizeof(*f->parts));
    while (format.len > 0) {
        ssize_t mark = span_find_byte(format, '%');
        struct span literal = mark < 0 ? format : span_first(format, (size_t)mark);
        if (literal.len > 0) {
            f->parts[f->count++] = (struct part){.text = arena_dup(a, literal)};
        }
        if (mark < 0) {
            break;
        }
        format = span_from_offset(format, (size_t)mark + 1);
        ssize_t end = span_find_byte(format, '%');
        if (end < 0) {
            return err_set(err, -ERR_CONFIG, "access log format has a '%%' without its second");
        }
        struct span op = span_first(format, (size_t)end);
        format = span_from_offset(format, (size_t)end + 1);
        if (op.len == 0) { /* %% */
            f->parts[f->count++] = (struct part){.text = SPAN("%")};
            continue;
        }
        int code = compile_operator(&f->parts[f->count++], a, op, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int access_format_compile(struct access_format **out, struct arena *arena,
                          const struct conf_access_log *conf, struct err *err)
{
    struct access_format *f = arena_new(arena, struct access_format);
    f->json = conf->json;
    f->omit_empty = conf->omit_empty;
    f->count = conf->json ? conf->json_count : 1;
    f->fields = arena_array(arena, f->count > 0 ? f->count : 1, sizeof(*f->fields));
    struct span text = conf->format.len > 0 ? conf->format : span_of(default_format.at);
    for (size_t i = 0; i < f->count; i++) {
        f->fields[i].name = conf->json ? arena_dup(arena, conf->json_fields[i].name) : SPAN_EMPTY;
        int code = compile_field(&f->fields[i], arena,
                                 conf->json ? conf->json_fields[i].value : text, err);
        if (code != 0) {
            return code;
        }
    }
    *out = f;
    return 0;
}

/* ---- writing ---- */

/* At the ceiling the rest of a line is cut off: every append may fail, and none is looked at. */
static void put(struct buf *out, struct span s)
{
    int code = buf_append_span(out, s);
    UNUSED(code);
}

static void write_text(const struct field *f, const struct access_entry *e, bool omit,
                       struct buf *out)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct part *p = &f->parts[i];
        if (p->write == NULL) {
            put(out, p->text);
        } else if (p->write(p, e, out) && !omit) {
            put(out, SPAN("-"));
        }
    }
}

/* What a client sends may hold anything: quotes, control characters (RFC 8259 section 7). */
static void put_json_text(struct buf *out, struct span s)
{
    put(out, SPAN("\""));
    for (size_t i = 0; s.at != NULL && i < s.len; i++) {
        char c = s.at[i];
        if (c == '"' || c == '\\') {
            const char pair[] = {'\\', c};
            put(out, span_from(pair, 2));
        } else if ((unsigned char)c < 0x20) {
            int code = buf_printf(out, "\\u%04x", (unsigned char)c);
            UNUSED(code);
        } else {
            put(out, span_from(&c, 1));
        }
    }
    put(out, SPAN("\""));
}

/* True when there is no value at all. */
static bool is_empty(const struct field *f, const struct access_entry *e)
{
    struct buf value;
    buf_init(&value, 8192);
    bool empty =
        f->count == 1 && f->parts[0].write != NULL && f->parts[0].write(&f->parts[0], e, &value);
    buf_dispose(&value);
    return empty;
}

static void write_json_value(const struct field *f, const struct access_entry *e, struct buf *out)
{
    struct buf value;
    buf_init(&value, 8192);
    if (f->count == 1 && f->parts[0].write != NULL) {
        bool none = f->parts[0].write(&f->parts[0], e, &value);
        if (none) {
            put(out, SPAN("null"));
        } else if (f->parts[0].number) {
            put(out, buf_span(&value));
        } else {
            put_json_text(out, buf_span(&value));
        }
    } else {
        write_text(f, e, false, &value);
        put_json_text(out, buf_span(&value));
    }
    buf_dispose(&value);
}

void access_format_write(const struct access_format *f, const struct access_entry *e,
                         struct buf *out)
{
    if (!f->json) {
        write_text(&f->fields[0], e, f->omit_empty, out);
        return;
    }
    put(out, SPAN("{"));
    bool first = true;
    for (size_t i = 0; i < f->count; i++) {
        if (f->omit_empty && is_empty(&f->fields[i], e)) {
            continue;
        }
        if (!first) {
            put(out, SPAN(","));
        }
        first = false;
        put_json_text(out, f->fields[i].name);
        put(out, SPAN(":"));
        write_json_value(&f->fields[i], e, out);
    }
    put(out, SPAN("}\n"));
}

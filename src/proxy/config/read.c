/* What the readers share. */
#include "proxy/config/read.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/ip.h"
#include "policy/known.h"
#include "proto/udpa_type.pb.h"
#include "proto/xds_type.pb.h"

#define FILE_BYTES_MAX (1UL << 20) /* certificates, keys and templates */

const void *read_any(struct read *rd, const struct pb_desc *desc, struct span bytes,
                     struct err *err)
{
    const void *msg = pb_decode(desc, rd->temp, bytes, err);
    if (!msg) {
        return NULL;
    }
    return known_check(desc, msg, err) == 0 ? msg : NULL;
}

struct span read_type(struct read *rd, const struct pb_protobuf_Any *any)
{
    if (!any) {
        return SPAN_EMPTY;
    }
    struct span type = pb_url_name(any->type_url);
    if (span_is(type, "udpa.type.v1.TypedStruct")) {
        const struct pb_udpa_type_TypedStruct *t =
            pb_decode(&pb_udpa_type_TypedStruct_desc, rd->temp, any->value, NULL);
        return t ? pb_url_name(t->type_url) : type;
    }
    if (span_is(type, "xds.type.v3.TypedStruct")) {
        const struct pb_xds_type_TypedStruct *t =
            pb_decode(&pb_xds_type_TypedStruct_desc, rd->temp, any->value, NULL);
        return t ? pb_url_name(t->type_url) : type;
    }
    return type;
}

bool read_is_type(struct span type, const char *name)
{
    return span_is(type, name);
}

/* Room for one more; the old array stays in the arena, at most doubling it. */
static void *grow(struct arena *arena, void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return list;
    }
    *room = *room == 0 ? 4 : *room * 2;
    void *wider = arena_array(arena, *room, size);
    if (count > 0) {
        memcpy(wider, list, count * size);
    }
    return wider;
}

static struct span path_of(const struct pb_core_ConfigSource *source)
{
    if (source == NULL) {
        return SPAN_EMPTY;
    }
    return source->path_config_source != NULL ? source->path_config_source->path : source->path;
}

void read_mention(struct read *rd, enum conf_kind kind, struct span name,
                  const struct pb_core_ConfigSource *source)
{
    for (size_t i = 0; i < rd->mention_count; i++) {
        if (rd->mentions[i].kind == kind && span_eq(rd->mentions[i].name, name)) {
            return;
        }
    }
    rd->mentions =
        grow(rd->arena, rd->mentions, rd->mention_count, &rd->mention_room, sizeof(*rd->mentions));
    rd->mentions[rd->mention_count++] = (struct read_mention){kind, name, path_of(source)};
}

uint32_t read_cluster_slot(struct read *rd, struct span name)
{
    if (rd->by_name) {
        read_mention(rd, CONF_CLUSTER, name, NULL);
    }
    return slots_take(rd->slots, name);
}

void read_skip(struct read *rd, struct span what)
{
    rd->skipped =
        grow(rd->arena, rd->skipped, rd->skipped_count, &rd->skipped_room, sizeof(*rd->skipped));
    rd->skipped[rd->skipped_count++] = what;
}

struct span read_lower(struct read *rd, struct span text)
{
    char *to = arena_bytes(rd->arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    to[text.len] = '\0';
    return (struct span){to, text.len};
}

const struct span *read_spans(struct read *rd, const struct span *list, size_t count)
{
    struct span *copy = arena_array(rd->arena, count, sizeof(*copy));
    if (count > 0) {
        memcpy(copy, list, count * sizeof(*copy));
    }
    return copy;
}

int read_ports(uint32_t port, const char *field, struct err *err)
{
    return port <= 65535 ? 0 : err_set(err, -ERR_CONFIG, "%s is %u; use 0 to 65535", field, port);
}

/* ---- addresses ---- */

static int socket_address(struct addr *out, struct span *host, uint16_t *port,
                          const struct pb_core_SocketAddress *config, struct err *err)
{
    if (config->protocol != PB_CORE_SOCKET_ADDRESS_PROTOCOL_TCP) {
        return err_set(err, -ERR_CONFIG, "address: protocol UDP is not supported");
    }
    if (config->port_specifier_case == PB_CORE_SOCKET_ADDRESS_PORT_SPECIFIER_NAMED_PORT) {
        return err_set(err, -ERR_CONFIG, "address: named_port is not supported");
    }
    if (config->network_namespace_filepath.len > 0) {
        return err_set(err, -ERR_CONFIG, "address: network_namespace_filepath is not supported");
    }
    int rc = read_ports(config->port_value, "address: port_value", err);
    if (rc != 0) {
        return rc;
    }
    *out = (struct addr){.kind = ADDR_IP, .port = (uint16_t)config->port_value};
    if (ip_parse(config->address, &out->ip) == 0) {
        return 0;
    }
    if (!host) {
        return err_set(err, -ERR_CONFIG, "address '%.*s' is not an IP address",
                       SPAN_ARG(config->address));
    }
    out->kind = ADDR_NONE;
    *host = config->address;
    *port = out->port;
    return config->address.len > 0 ? 0 : err_set(err, -ERR_CONFIG, "address is empty");
}

int read_address(struct addr *out, struct span *host, uint16_t *port,
                 const struct pb_core_Address *config, struct err *err)
{
    if (!config) {
        return err_set(err, -ERR_CONFIG, "address is missing");
    }
    switch (config->address_case) {
    case PB_CORE_ADDRESS_ADDRESS_SOCKET_ADDRESS:
        return socket_address(out, host, port, config->socket_address, err);
    case PB_CORE_ADDRESS_ADDRESS_PIPE: {
        struct span path = config->pipe->path;
        *out = (struct addr){.kind = ADDR_UNIX};
        if (path.len == 0 || path.len >= sizeof(out->path)) {
            return err_set(err, -ERR_CONFIG, "pipe: path '%.*s' is empty or too long",
                           SPAN_ARG(path));
        }
        (void)span_to_cstr(path, out->path, sizeof(out->path)); /* it fits */
        return 0;
    }
    case PB_CORE_ADDRESS_ADDRESS_ENVOY_INTERNAL_ADDRESS: {
        struct span name = config->envoy_internal_address->server_listener_name;
        *out = (struct addr){.kind = ADDR_INTERNAL};
        if (name.len == 0 || name.len >= sizeof(out->path)) {
            return err_set(err, -ERR_CONFIG, "envoy_internal_address: '%.*s' is empty or too long",
                           SPAN_ARG(name));
        }
        (void)span_to_cstr(name, out->path, sizeof(out->path)); /* it fits */
        return 0;
    }
    default:
        return err_set(err, -ERR_CONFIG, "address is not set");
    }
}

/* ---- data sources ---- */

/* A file of bounded size; called at configuration time only. */
static int read_file(struct read *rd, struct span *out, struct span name, struct err *err)
{
    char path[4096];
    if (name.len >= sizeof(path)) {
        return err_set(err, -ERR_CONFIG, "file name of %zu bytes is too long", name.len);
    }
    int fd = open(span_to_cstr(name, path, sizeof(path)), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return err_set(err, -ERR_CONFIG, "file '%s' can not be opened: %s", path, err_name(-errno));
    }
    struct buf all;
    buf_init(&all, FILE_BYTES_MAX);
    ssize_t got = 0;
    int rc = 0;
    char part[4096];
    while (rc == 0 && (got = read(fd, part, sizeof(part))) > 0) {
        rc = buf_append(&all, part, (size_t)got);
    }
    if (rc != 0 || got < 0) {
        rc = err_set(err, -ERR_CONFIG, "file '%s' can not be read or has more than %lu bytes", path,
                     FILE_BYTES_MAX);
    } else {
        *out = arena_dup(rd->arena, buf_span(&all));
    }
    buf_dispose(&all);
    (void)close(fd); /* only read from */
    mem_wipe(part, sizeof(part));
    return rc;
}

int read_source(struct read *rd, struct span *out, const struct pb_core_DataSource *config,
                struct err *err)
{
    switch (config->specifier_case) {
    case PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING:
        *out = config->inline_string;
        return 0;
    case PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_BYTES:
        *out = config->inline_bytes;
        return 0;
    case PB_CORE_DATA_SOURCE_SPECIFIER_FILENAME:
        return read_file(rd, out, config->filename, err);
    case PB_CORE_DATA_SOURCE_SPECIFIER_ENVIRONMENT_VARIABLE:
        return err_set(err, -ERR_CONFIG, "environment_variable is not supported");
    default:
        return err_set(err, -ERR_CONFIG,
                       "specifier is not set; use filename, inline_string or inline_bytes");
    }
}

/* ---- structs ---- */

const struct pb_protobuf_Value *read_member(const struct pb_protobuf_Struct *s, const char *key)
{
    for (uint32_t i = 0; s && i < s->fields.count; i++) {
        if (span_is(s->fields.at[i]->key, key)) {
            return s->fields.at[i]->value;
        }
    }
    return NULL;
}

struct span read_text(const struct pb_protobuf_Value *v)
{
    return v && v->kind_case == PB_PROTOBUF_VALUE_KIND_STRING_VALUE ? v->string_value : SPAN_EMPTY;
}

const struct pb_protobuf_Struct *read_metadata(const struct pb_core_Metadata *m, const char *filter)
{
    for (uint32_t i = 0; m && i < m->filter_metadata.count; i++) {
        if (span_is(m->filter_metadata.at[i]->key, filter)) {
            return m->filter_metadata.at[i]->value;
        }
    }
    return NULL;
}

static int value_text(struct read *rd, const struct pb_protobuf_Value *v, struct span *out)
{
    switch (v ? v->kind_case : 0) {
    case PB_PROTOBUF_VALUE_KIND_STRING_VALUE:
        *out = v->string_value;
        return 0;
    case PB_PROTOBUF_VALUE_KIND_BOOL_VALUE:
        *out = v->bool_value ? SPAN("true") : SPAN("false");
        return 0;
    case PB_PROTOBUF_VALUE_KIND_NUMBER_VALUE:
        *out = span_of(arena_printf(rd->arena, "%.17g", v->number_value));
        return 0;
    case PB_PROTOBUF_VALUE_KIND_NULL_VALUE:
        *out = SPAN_EMPTY;
        return 0;
    default:
        return -ERR_CONFIG;
    }
}

int read_labels(struct read *rd, const struct pb_protobuf_Struct *s, const struct header **out,
                size_t *count, struct err *err)
{
    *out = NULL;
    *count = 0;
    if (!s || s->fields.count == 0) {
        return 0;
    }
    struct header *labels = arena_array(rd->arena, s->fields.count, sizeof(*labels));
    for (uint32_t i = 0; i < s->fields.count; i++) {
        labels[i].name = s->fields.at[i]->key;
        if (value_text(rd, s->fields.at[i]->value, &labels[i].value) != 0) {
            return err_set(err, -ERR_CONFIG, "'%.*s' is a list or an object; use text",
                           SPAN_ARG(labels[i].name));
        }
    }
    *out = labels;
    *count = s->fields.count;
    return 0;
}

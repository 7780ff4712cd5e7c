/* Small parts of messages: see message.h. */
#include "control/translate/message.h"

#include <stdio.h>

struct span message_join(struct arena *arena, const struct span *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *text = arena_bytes(arena, len);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(text + at, parts[i].at, parts[i].len);
            at += parts[i].len;
        }
    }
    return span_from(text, len);
}

struct span message_number(struct arena *arena, uint64_t value)
{
    return span_of_u64(value, arena_bytes(arena, SPAN_U64_BYTES));
}

/* Two of three addresses of a mesh are IPv4, and inet_ntop costs more than the rest of an endpoint. */
struct span message_ip(struct arena *arena, const struct ip *ip)
{
    char *text = arena_bytes(arena, IP_TEXT_BYTES);
    if (ip->family != 4) {
        return span_of(ip_format(ip, text));
    }
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned b = ip->bytes[i];
        if (i > 0) {
            text[at++] = '.';
        }
        if (b >= 100) {
            text[at++] = (char)('0' + b / 100);
        }
        if (b >= 10) {
            text[at++] = (char)('0' + b / 10 % 10);
        }
        text[at++] = (char)('0' + b % 10);
    }
    return span_from(text, at);
}

struct pb_protobuf_Any *message_any(struct arena *arena, struct span type_url,
                                    const struct pb_desc *desc, const void *msg)
{
    struct pb_protobuf_Any *any = message_any_empty(arena, type_url);
    any->value = pb_encode_in(desc, msg, arena);
    ASSERT(any->value.at); /* our messages are never as deep as PB_DEPTH_MAX */
    return any;
}

struct pb_protobuf_Any *message_any_empty(struct arena *arena, struct span type_url)
{
    struct pb_protobuf_Any *any = arena_new(arena, struct pb_protobuf_Any);
    any->type_url = type_url;
    return any;
}

struct pb_protobuf_BoolValue *message_bool(struct arena *arena, bool value)
{
    struct pb_protobuf_BoolValue *v = arena_new(arena, struct pb_protobuf_BoolValue);
    v->value = value;
    return v;
}

struct pb_protobuf_UInt32Value *message_u32(struct arena *arena, uint32_t value)
{
    struct pb_protobuf_UInt32Value *v = arena_new(arena, struct pb_protobuf_UInt32Value);
    v->value = value;
    return v;
}

struct pb_protobuf_Duration *message_ms(struct arena *arena, int64_t ms)
{
    struct pb_protobuf_Duration *d = arena_new(arena, struct pb_protobuf_Duration);
    d->seconds = ms / 1000;
    d->nanos = (int32_t)(ms % 1000) * 1000000;
    return d;
}

struct pb_type_FractionalPercent *message_percent(struct arena *arena, double percent)
{
    struct pb_type_FractionalPercent *p = arena_new(arena, struct pb_type_FractionalPercent);
    double parts = percent <= 0 ? 0 : percent >= 100 ? 1000000 : percent * 10000 + 0.5;
    p->numerator = (uint32_t)parts;
    p->denominator = PB_TYPE_FRACTIONAL_PERCENT_DENOMINATOR_TYPE_MILLION;
    return p;
}

struct pb_core_RuntimeFractionalPercent *message_fraction(struct arena *arena, double percent)
{
    struct pb_core_RuntimeFractionalPercent *f =
        arena_new(arena, struct pb_core_RuntimeFractionalPercent);
    f->default_value = message_percent(arena, percent);
    return f;
}

struct pb_core_Address *message_address(struct arena *arena, struct span host, uint16_t port)
{
    struct pb_core_Address *a = arena_new(arena, struct pb_core_Address);
    struct pb_core_SocketAddress *s = arena_new(arena, struct pb_core_SocketAddress);
    s->address = host;
    s->port_specifier_case = PB_CORE_SOCKET_ADDRESS_PORT_SPECIFIER_PORT_VALUE;
    s->port_value = port;
    a->address_case = PB_CORE_ADDRESS_ADDRESS_SOCKET_ADDRESS;
    a->socket_address = s;
    return a;
}

struct pb_core_Address *message_pipe(struct arena *arena, struct span path)
{
    struct pb_core_Address *a = arena_new(arena, struct pb_core_Address);
    a->address_case = PB_CORE_ADDRESS_ADDRESS_PIPE;
    a->pipe = arena_new(arena, struct pb_core_Pipe);
    a->pipe->path = path;
    return a;
}

struct pb_core_CidrRange *message_cidr(struct arena *arena, const struct cidr *c)
{
    struct pb_core_CidrRange *r = arena_new(arena, struct pb_core_CidrRange);
    r->address_prefix = message_ip(arena, &c->ip);
    r->prefix_len = message_u32(arena, c->bits);
    return r;
}

struct pb_core_DataSource *message_file(struct arena *arena, struct span path)
{
    struct pb_core_DataSource *d = arena_new(arena, struct pb_core_DataSource);
    d->specifier_case = PB_CORE_DATA_SOURCE_SPECIFIER_FILENAME;
    d->filename = path;
    return d;
}

struct pb_core_ConfigSource *message_ads(struct arena *arena)
{
    struct pb_core_ConfigSource *c = arena_new(arena, struct pb_core_ConfigSource);
    c->config_source_specifier_case = PB_CORE_CONFIG_SOURCE_CONFIG_SOURCE_SPECIFIER_ADS;
    c->ads = arena_new(arena, struct pb_core_AggregatedConfigSource);
    c->initial_fetch_timeout = message_ms(arena, 0);
    c->resource_api_version = PB_CORE_API_VERSION_V3;
    return c;
}

struct pb_protobuf_Value *message_text(struct arena *arena, struct span text)
{
    struct pb_protobuf_Value *v = arena_new(arena, struct pb_protobuf_Value);
    v->kind_case = PB_PROTOBUF_VALUE_KIND_STRING_VALUE;
    v->string_value = text;
    return v;
}

void message_put(struct arena *arena, struct pb_protobuf_Struct *s, struct span key,
                 struct pb_protobuf_Value *value)
{
    struct pb_protobuf_Struct_FieldsEntry *e =
        arena_new(arena, struct pb_protobuf_Struct_FieldsEntry);
    e->key = key;
    e->value = value;
    PB_ADD(arena, &s->fields, e);
}

void message_put_text(struct arena *arena, struct pb_protobuf_Struct *s, struct span key,
                      struct span text)
{
    message_put(arena, s, key, message_text(arena, text));
}

struct pb_protobuf_Struct *message_metadata(struct arena *arena, struct pb_core_Metadata **m,
                                            struct span filter)
{
    if (!*m) {
        *m = arena_new(arena, struct pb_core_Metadata);
    }
    for (uint32_t i = 0; i < (*m)->filter_metadata.count; i++) {
        if (span_eq((*m)->filter_metadata.at[i]->key, filter)) {
            return (*m)->filter_metadata.at[i]->value;
        }
    }
    struct pb_core_Metadata_FilterMetadataEntry *e =
        arena_new(arena, struct pb_core_Metadata_FilterMetadataEntry);
    e->key = filter;
    e->value = arena_new(arena, struct pb_protobuf_Struct);
    PB_ADD(arena, &(*m)->filter_metadata, e);
    return e->value;
}

struct pb_matcher_StringMatcher *message_exact(struct arena *arena, struct span text)
{
    struct pb_matcher_StringMatcher *m = arena_new(arena, struct pb_matcher_StringMatcher);
    m->match_pattern_case = PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_EXACT;
    m->exact = text;
    return m;
}

struct pb_matcher_StringMatcher *message_prefix(struct arena *arena, struct span text)
{
    struct pb_matcher_StringMatcher *m = arena_new(arena, struct pb_matcher_StringMatcher);
    m->match_pattern_case = PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_PREFIX;
    m->prefix = text;
    return m;
}

struct pb_matcher_StringMatcher *message_suffix(struct arena *arena, struct span text)
{
    struct pb_matcher_StringMatcher *m = arena_new(arena, struct pb_matcher_StringMatcher);
    m->match_pattern_case = PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_SUFFIX;
    m->suffix = text;
    return m;
}

struct pb_matcher_RegexMatcher *message_regex(struct arena *arena, struct span pattern)
{
    struct pb_matcher_RegexMatcher *r = arena_new(arena, struct pb_matcher_RegexMatcher);
    r->regex = pattern;
    return r;
}

struct pb_matcher_StringMatcher *message_regex_text(struct arena *arena, struct span pattern)
{
    struct pb_matcher_StringMatcher *m = arena_new(arena, struct pb_matcher_StringMatcher);
    m->match_pattern_case = PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_SAFE_REGEX;
    m->safe_regex = message_regex(arena, pattern);
    return m;
}

struct span message_quote(struct arena *arena, struct span text)
{
    char *to = arena_bytes(arena, text.len * 2);
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\.+*?()|[]{}^$", text.at[i]) && text.at[i] != '\0') {
            to[at++] = '\\';
        }
        to[at++] = text.at[i];
    }
    return span_from(to, at);
}

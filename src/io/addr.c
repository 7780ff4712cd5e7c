/* Transport addresses: text and kernel forms. */
#include "io/addr.h"

#include <stddef.h>
#include <stdio.h>

enum { PATH_OFFSET = offsetof(struct sockaddr_un, sun_path) };

static int parse_unix(struct span path, struct addr *out, struct err *err)
{
    if (path.len == 0 || path.len >= sizeof(out->path) || memchr(path.at, '\0', path.len) != NULL) {
        return err_set(err, -ERR_CONFIG, "a unix socket's path has 1 to %zu bytes, not %zu",
                       sizeof(out->path) - 1, path.len);
    }
    out->kind = ADDR_UNIX;
    (void)span_to_cstr(path, out->path, sizeof(out->path));
    return 0;
}

int addr_parse(struct span text, struct addr *out, struct err *err)
{
    *out = (struct addr){.kind = ADDR_NONE};
    if (span_starts(text, SPAN("unix:"))) {
        return parse_unix(span_from_offset(text, 5), out, err);
    }
    ssize_t colon = span_rfind_byte(text, ':');
    struct span host = span_first(text, colon < 0 ? text.len : (size_t)colon);
    bool bracketed = host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (bracketed) {
        host = (struct span){host.at + 1, host.len - 2};
    }
    uint64_t port;
    struct ip ip;
    /* Brackets are for IPv6 alone, which needs them: its own colons would hide the port. */
    if (colon < 0 || !span_to_u64(span_from_offset(text, (size_t)colon + 1), &port) ||
        port > 65535 || ip_parse(host, &ip) != 0 || bracketed != (span_find_byte(host, ':') >= 0)) {
        return err_set(err, -ERR_CONFIG,
                       "'%.*s' is no address; use 127.0.0.1:80, [::1]:80 or unix:/path",
                       SPAN_ARG(text));
    }
    out->kind = ADDR_IP;
    out->ip = ip;
    out->port = (uint16_t)port;
    return 0;
}

char *addr_format(const struct addr *a, char *to)
{
    char ip[IP_TEXT_BYTES];
    to[0] = '\0';
    switch (a->kind) {
    case ADDR_NONE:
        break;
    case ADDR_IP:
        (void)snprintf(to, ADDR_TEXT_BYTES, a->ip.family == 6 ? "[%s]:%u" : "%s:%u",
                       ip_format(&a->ip, ip), a->port);
        break;
    case ADDR_UNIX:
        (void)snprintf(to, ADDR_TEXT_BYTES, "unix:%s", a->path);
        break;
    case ADDR_INTERNAL: /* as Envoy shows it */
        (void)snprintf(to, ADDR_TEXT_BYTES, "envoy://%s/", a->path);
        break;
    }
    return to;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case ADDR_NONE:
        break;
    case ADDR_IP:
        return a->port == b->port && ip_eq(&a->ip, &b->ip);
    case ADDR_UNIX:
    case ADDR_INTERNAL:
        return strcmp(a->path, b->path) == 0;
    }
    return true;
}

static void from_unix(struct addr *out, const struct sockaddr_un *from, socklen_t len)
{
    if (len <= PATH_OFFSET) {
        return; /* the unnamed end of a connection */
    }
    size_t room = size_min(len - PATH_OFFSET, sizeof(out->path) - 1);
    out->kind = ADDR_UNIX;
    memcpy(out->path, from->sun_path, room);
    out->path[room] = '\0';
    if (out->path[0] == '\0') {
        out->path[0] = '@'; /* abstract */
    }
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *from, socklen_t len)
{
    *out = (struct addr){.kind = ADDR_NONE};
    if (len < (socklen_t)sizeof(from->sa_family)) {
        return;
    }
    if (from->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
        out->kind = ADDR_IP;
        out->ip = ip_from_bytes(&v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
    } else if (from->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        out->kind = ADDR_IP;
        out->ip = mapped ? ip_from_bytes(&v6->sin6_addr.s6_addr[12], 4)
                         : ip_from_bytes(&v6->sin6_addr, 16);
        out->port = ntohs(v6->sin6_port);
    } else if (from->sa_family == AF_UNIX) {
        from_unix(out, (const struct sockaddr_un *)(const void *)from, len);
    }
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof(*to));
    if (a->kind == ADDR_IP && a->ip.family == 4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)to;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(a->port);
        memcpy(&v4->sin_addr, a->ip.bytes, 4);
        return sizeof(*v4);
    }
    if (a->kind == ADDR_IP && a->ip.family == 6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)to;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(a->port);
        memcpy(&v6->sin6_addr, a->ip.bytes, 16);
        return sizeof(*v6);
    }
    if (a->kind == ADDR_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)(void *)to;
        size_t len = strlen(a->path);
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, a->path, len);
        if (a->path[0] == '@') {
            un->sun_path[0] = '\0'; /* abstract: the length ends the name */
            return (socklen_t)(PATH_OFFSET + len);
        }
        return (socklen_t)(PATH_OFFSET + len + 1);
    }
    return 0;
}

#ifndef TESTS_XDS_PAIR_H
#define TESTS_XDS_PAIR_H
/* A client and a server of one protocol, tied together by hand, over a small world of resources. What
 * happens is written down as text, so that a test says what it expects in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/pb.h"
#include "proto/discovery.pb.h"
#include "xds/xds_protocol.h"

#define PAIR_WORLD 8

struct pair {
    const struct xds_protocol *protocol;
    struct xds_subs *client;
    struct xds_session *server;
    struct buf wire;
    struct arena arena;
    /* the world: of one type, names and versions */
    const char *url;
    const char *names[PAIR_WORLD];
    const char *versions[PAIR_WORLD];
    int count;
    bool refuse;
    char seen[1024]; /* by the consumer */
    char said[1024]; /* by the client */
};

static inline void pair_note(char *to, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void pair_note(char *to, const char *fmt, ...)
{
    size_t len = strlen(to);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(to + len, 1024 - len, fmt, args);
    va_end(args);
    assert_true(more >= 0 && (size_t)more < 1024 - len);
}

static inline int pair_on_update(void *arg, const struct xds_update *u, struct err *err)
{
    struct pair *p = arg;
    pair_note(p->seen, "%s%.*s:", u->full ? "full " : "", SPAN_ARG(xds_short_type(u->type_url)));
    for (size_t i = 0; i < u->added_count; i++) {
        const struct xds_resource *r = &u->added[i];
        assert_true(span_eq(xds_name_of(r->value), r->name));
        pair_note(p->seen, " +%.*s=%.*s", SPAN_ARG(r->name), SPAN_ARG(r->version));
    }
    for (size_t i = 0; i < u->removed_count; i++) {
        pair_note(p->seen, " -%.*s", SPAN_ARG(u->removed[i]));
    }
    if (p->refuse) {
        pair_note(p->seen, " refused");
    }
    pair_note(p->seen, "; ");
    return p->refuse ? err_set(err, -ERR_CONFIG, "not today") : 0;
}

static inline void pair_begin(struct pair *p, const struct xds_protocol *protocol, const char *url)
{
    memset(p, 0, sizeof *p);
    p->protocol = protocol;
    p->url = url;
    struct pb_core_Node node = {.id = SPAN("me"), .cluster = SPAN("us")};
    p->client = xds_protocol_subs_new(&node, pair_on_update, p);
    p->server = xds_protocol_session_new();
    buf_init(&p->wire, 1 << 20);
    arena_init(&p->arena, 4096);
    p->protocol->start(p->client);
}

static inline void pair_end(struct pair *p)
{
    xds_protocol_subs_free(p->client);
    xds_protocol_session_free(p->server);
    buf_dispose(&p->wire);
    arena_dispose(&p->arena);
}

static inline void pair_put(struct pair *p, const char *name, const char *version)
{
    int i = 0;
    while (i < p->count && strcmp(p->names[i], name) != 0) {
        i++;
    }
    p->names[i] = name;
    p->versions[i] = version;
    p->count += i == p->count;
    assert_true(p->count <= PAIR_WORLD);
}

static inline void pair_remove(struct pair *p, const char *name)
{
    for (int i = 0; i < p->count; i++) {
        if (strcmp(p->names[i], name) == 0) {
            p->count--;
            p->names[i] = p->names[p->count];
            p->versions[i] = p->versions[p->count];
        }
    }
}

static inline struct xds_resource *pair_world(struct pair *p)
{
    struct xds_resource *all = arena_array(&p->arena, PAIR_WORLD, sizeof *all);
    for (int i = 0; i < p->count; i++) {
        /* Cluster { name: ... }: field 1 of any of our types */
        struct span name = span_of(p->names[i]);
        char *value = arena_bytes(&p->arena, name.len + 2);
        value[0] = 0x0a;
        value[1] = (char)name.len;
        memcpy(value + 2, name.at, name.len);
        all[i] = (struct xds_resource){.name = name,
                                       .version = span_of(p->versions[i]),
                                       .type_url = span_of(p->url),
                                       .value = span_from(value, name.len + 2)};
    }
    return all;
}

/* The server's answer about the whole world, if it has one, goes to the client. Returns whether it had. */
static inline bool pair_push(struct pair *p, const char *version)
{
    struct xds_answer answer = {.type_url = span_of(p->url),
                                .version = span_of(version),
                                .resources = pair_world(p),
                                .count = (size_t)p->count,
                                .is_complete = true};
    buf_reset(&p->wire);
    int rc = p->protocol->answer(p->server, &answer, &p->wire);
    assert_true(rc >= 0);
    if (rc == 0) {
        assert_int_equal(buf_len(&p->wire), 0);
        return false;
    }
    struct err err;
    rc = p->protocol->receive(p->client, buf_span(&p->wire), &err);
    assert_int_equal(rc, p->refuse ? -ERR_CONFIG : 0);
    return true;
}

/* Everything that the client has to say is heard, and what of it wants an answer is answered. */
static inline void pair_run(struct pair *p, const char *version)
{
    for (int i = 0; i < 20; i++) {
        buf_reset(&p->wire);
        int rc = p->protocol->next(p->client, &p->wire);
        assert_true(rc >= 0);
        if (rc == 0) {
            assert_int_equal(buf_len(&p->wire), 0);
            return;
        }
        struct xds_ask ask;
        struct err err;
        rc = p->protocol->hear(p->server, buf_span(&p->wire), &ask, &err);
        assert_int_equal(rc, 0);
        pair_note(p->said, "%s%s%s%s%.*s; ", ask.node ? "node " : "", ask.is_first ? "first " : "",
                  ask.is_ack ? "ack " : "", ask.is_nack ? "nack " : "", SPAN_ARG(ask.why));
        if (ask.wants_answer) {
            (void)pair_push(p, version);
        }
    }
    fail_msg("client and server never end: %s", p->said);
}

/* What the consumer has seen since the last time. */
static inline void pair_saw(struct pair *p, const char *want)
{
    assert_string_equal(p->seen, want);
    p->seen[0] = '\0';
}

static inline void pair_heard(struct pair *p, const char *want)
{
    assert_string_equal(p->said, want);
    p->said[0] = '\0';
}

/* The stream broke: the same client meets a new server. */
static inline void pair_reconnect(struct pair *p)
{
    xds_protocol_session_free(p->server);
    p->server = xds_protocol_session_new();
    p->protocol->start(p->client);
}

static inline void pair_subscribe(struct pair *p, const char *name)
{
    assert_int_equal(xds_protocol_subscribe(p->client, span_of(p->url), span_of(name)), 0);
}

static inline void pair_unsubscribe(struct pair *p, const char *name)
{
    xds_protocol_unsubscribe(p->client, span_of(p->url), span_of(name));
}
#endif

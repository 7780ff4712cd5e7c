/* Many proxies in one process, as far as a control plane can tell: each holds a delta stream and asks for some services by name, as
 * on-demand discovery does. For tests/bench/control_scale.py.
 *
 *   swarm ADDR:PORT PROXIES SERVICES EACH        (xDS without TLS; proxy P uses services P*EACH ... modulo SERVICES)
 *
 * Prints "synced MILLISECONDS" once everybody has everything, then "update WALL_US PROXY NAME" for each endpoints resource that comes. Ends with
 * its standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "proto/core.pb.h"
#include "xds/xds_client.h"

struct proxy {
    struct xds_client *client;
    unsigned number, left;
};

static unsigned left_in_all;
static int64_t began_us;
static struct loop *loop;

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    struct proxy *p = arg;
    UNUSED(err);
    if (!span_is(u->type_url, XDS_ENDPOINTS)) {
        return 0;
    }
    for (size_t i = 0; i < u->added_count; i++) {
        if (p->left > 0) {
            p->left--;
            left_in_all--;
            if (left_in_all == 0) {
                printf("synced %lld\n", (long long)(instant_wall_us() - began_us) / 1000);
            }
        } else {
            printf("update %lld %u %.*s\n", (long long)instant_wall_us(), p->number,
                   SPAN_ARG(u->added[i].name));
        }
    }
    fflush(stdout);
    return 0;
}

static struct pb_protobuf_Struct_FieldsEntry *member(struct arena *a, const char *key,
                                                     const char *text)
{
    struct pb_protobuf_Struct_FieldsEntry *e = arena_new(a, struct pb_protobuf_Struct_FieldsEntry);
    e->key = span_of(key);
    e->value = arena_new(a, struct pb_protobuf_Value);
    e->value->kind_case = PB_PROTOBUF_VALUE_KIND_STRING_VALUE;
    e->value->string_value = span_of(text);
    return e;
}

static const struct pb_core_Node *node_of(struct arena *a, unsigned number)
{
    struct pb_core_Node *n = arena_new(a, struct pb_core_Node);
    struct pb_protobuf_Struct *s = arena_new(a, struct pb_protobuf_Struct);
    n->id =
        span_of(arena_printf(a, "sidecar~10.%u.%u.%u~p%u.default~default.svc.cluster.local",
                             100 + number / 62500, number / 250 % 250, number % 250 + 1, number));
    PB_ADD(a, &s->fields, member(a, "NAMESPACE", "default"));
    PB_ADD(a, &s->fields, member(a, "MESH_DISCOVERY", "on-demand"));
    PB_ADD(a, &s->fields, member(a, "SERVICE_ACCOUNT", "default"));
    n->metadata = s;
    return n;
}

static void subscribe(struct proxy *p, unsigned services, unsigned each)
{
    char name[128];
    xds_client_subscribe(p->client, span_of(XDS_LISTENER), XDS_WILDCARD);
    for (unsigned i = 0; i < each; i++) {
        unsigned number = (p->number * each + i) % services;
        snprintf(name, sizeof name, "outbound|80||s%u.default.svc.cluster.local", number);
        xds_client_subscribe(p->client, span_of(XDS_CLUSTER), span_of(name));
        xds_client_subscribe(p->client, span_of(XDS_ENDPOINTS), span_of(name));
    }
}

static void on_input(struct loop_fd *w, unsigned events)
{
    char byte;
    UNUSED(events);
    if (read(w->fd, &byte, 1) <= 0) {
        loop_stop(loop);
    }
}

int main(int argc, char **argv)
{
    struct loop_fd input;
    struct arena arena;
    struct err err;
    if (argc != 5) {
        fprintf(stderr, "swarm ADDR:PORT PROXIES SERVICES EACH\n");
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned services = (unsigned)strtoul(argv[3], NULL, 10);
    unsigned each = (unsigned)strtoul(argv[4], NULL, 10);
    struct proxy *all = mem_array(count, sizeof *all);
    static const struct xds_client_events events = {.on_update = on_update};
    if (instant_init() != 0 || log_set_levels("error") != 0) {
        return 1;
    }
    loop = loop_new(false);
    arena_init(&arena, 65536);
    began_us = instant_wall_us();
    left_in_all = count * each;
    for (unsigned i = 0; i < count; i++) {
        const struct xds_client_spec spec = {
            .http = {.origin = span_of(arena_printf(&arena, "http://%s", argv[1]))},
            .node = node_of(&arena, i)};
        all[i].number = i;
        all[i].left = each;
        if (xds_client_new(&all[i].client, loop, &spec, &events, &all[i], &err) != 0) {
            fprintf(stderr, "swarm: %s\n", err.text);
            return 1;
        }
        subscribe(&all[i], services, each);
        xds_client_start(all[i].client);
    }
    loop_fd_init(&input, loop, 0, on_input);
    loop_fd_watch(&input, IO_READ);
    loop_run(loop);
    return 0; /* the kernel takes all at once */
}

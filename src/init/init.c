/* mesh init: options to rules to the kernel. Needs no other program in the image.
 * In: role.h. Next: redirect/redirect. */
#include "init/init.h"

#include <stdio.h>
#include <string.h>

#include "base/opt.h"
#include "mesh/ports.h"
#include "redirect/redirect.h"

#define BATCH_MAX (8u << 20)

struct settings {
    int64_t outbound_port, inbound_port, dns_port;
    struct opt_list uids, gids, inbound_ports, inbound_off, outbound_off, outbound_ports,
        outbound_to, outbound_not_to, interfaces_off;
    bool ipv4_only, dry_run, cleanup;
};

#define AT(field) offsetof(struct settings, field)
#define PORT_ROW(flag, field, otherwise, text) \
    {.name = flag,                             \
     .type = OPT_INT,                          \
     .offset = AT(field),                      \
     .arg = "PORT",                            \
     .fallback = otherwise,                    \
     .min = 0,                                 \
     .max = 65535,                             \
     .help = text}
#define LIST_ROW(flag, field, word, otherwise, text) \
    {.name = flag,                                   \
     .type = OPT_LIST,                               \
     .offset = AT(field),                            \
     .arg = word,                                    \
     .fallback = otherwise,                          \
     .help = text}
static const struct opt rows[] = {
    PORT_ROW("outbound-port", outbound_port, "15001",
             "where what the application sends goes; 0 = nowhere"),
    PORT_ROW("inbound-port", inbound_port, "15006",
             "where what is sent to the application goes; 0 = nowhere"),
    PORT_ROW("dns-port", dns_port, "0", "where DNS goes (15053); 0 = nowhere"),
    LIST_ROW("proxy-uid", uids, "UID", "1337", "users that are left alone: the proxy's"),
    LIST_ROW("proxy-gid", gids, "GID", "1337", "groups that are left alone"),
    LIST_ROW("include-inbound-ports", inbound_ports, "PORT", NULL, "only these ports; default all"),
    LIST_ROW("exclude-inbound-ports", inbound_off, "PORT", NULL, "not these ports"),
    LIST_ROW("exclude-outbound-ports", outbound_off, "PORT", NULL, "not to these ports"),
    LIST_ROW("include-outbound-ports", outbound_ports, "PORT", NULL,
             "to these ports wherever they are; then no others but those of the next"),
    LIST_ROW("include-outbound-cidrs", outbound_to, "CIDR", NULL,
             "only to these destinations; default all"),
    LIST_ROW("exclude-outbound-cidrs", outbound_not_to, "CIDR", NULL, "not to these destinations"),
    LIST_ROW("exclude-interfaces", interfaces_off, "NAME", NULL, "not what comes in there"),
    {.name = "ipv4-only",
     .type = OPT_BOOL,
     .offset = AT(ipv4_only),
     .help = "leave IPv6 alone: for a proxy that listens on IPv4 alone"},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .offset = AT(dry_run),
     .help = "print the rules as nft reads them, and change nothing"},
    {.name = "cleanup", .type = OPT_BOOL, .offset = AT(cleanup), .help = "remove all of it"},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh init",
    .section = "init",
    .summary = "Sends this network namespace's traffic through the proxy (nftables by netlink).",
    .examples = "mesh init\n"
                "mesh init --dns-port 15053 --exclude-outbound-cidrs 10.96.0.1/32\n"
                "mesh init --dry-run\n",
    .rows = rows,
};

/* "a,b" is two, as in the environment and in files: Istio's lists are written so. */
static struct opt_list split(const struct opt_list *list, struct arena *a)
{
    struct opt_list out = {.count = 0};
    size_t room = 0;
    for (size_t i = 0; i < list->count; i++) {
        room += strlen(list->items[i]) / 2 + 1; /* "a,b,c" */
    }
    out.items = arena_array(a, room + 1, sizeof *out.items);
    for (size_t i = 0; i < list->count; i++) {
        struct span rest = span_of(list->items[i]);
        while (rest.at != NULL) {
            struct span word = span_trim(span_cut(&rest, ','));
            if (word.len > 0) {
                out.items[out.count++] = arena_cstr(a, word);
            }
        }
    }
    return out;
}

static int bad(struct err *err, const char *flag, const char *text, const char *want)
{
    return err_set(err, -ERR_CONFIG, "--%s '%s': want %s", flag, text, want);
}

static int too_many(const struct opt_list *list, const char *flag, struct err *err)
{
    return list->count > REDIRECT_LIST_MAX
               ? err_set(err, -ERR_LIMIT, "--%s: at most %d", flag, REDIRECT_LIST_MAX)
               : 0;
}

static int ports(const char *flag, const struct opt_list *list, struct arena *a,
                 const uint16_t **out, size_t *count, struct err *err)
{
    uint16_t *to = arena_array(a, list->count + 1, sizeof *to);
    int code = too_many(list, flag, err);
    for (size_t i = 0; i < list->count && code == 0; i++) {
        uint64_t value;
        if (!span_to_u64(span_of(list->items[i]), &value) || value == 0 || value > 65535) {
            return bad(err, flag, list->items[i], "a port, 1 to 65535");
        }
        to[i] = (uint16_t)value;
    }
    *out = to;
    *count = list->count;
    return code;
}

static int ids(const char *flag, const struct opt_list *list, struct arena *a, const uint32_t **out,
               size_t *count, struct err *err)
{
    uint32_t *to = arena_array(a, list->count + 1, sizeof *to);
    int code = too_many(list, flag, err);
    for (size_t i = 0; i < list->count && code == 0; i++) {
        uint64_t value;
        if (!span_to_u64(span_of(list->items[i]), &value) || value > UINT32_MAX) {
            return bad(err, flag, list->items[i], "a number");
        }
        to[i] = (uint32_t)value;
    }
    *out = to;
    *count = list->count;
    return code;
}

static int cidrs(const char *flag, const struct opt_list *list, struct arena *a,
                 const struct cidr **out, size_t *count, struct err *err)
{
    struct cidr *to = arena_array(a, list->count + 1, sizeof *to);
    int code = too_many(list, flag, err);
    for (size_t i = 0; i < list->count && code == 0; i++) {
        if (cidr_parse(span_of(list->items[i]), &to[i]) != 0) {
            return bad(err, flag, list->items[i], "an address or prefix such as 10.0.0.0/8");
        }
    }
    *out = to;
    *count = list->count;
    return code;
}

static int interfaces(const struct opt_list *list, struct redirect_spec *out, struct err *err)
{
    int code = too_many(list, "exclude-interfaces", err);
    for (size_t i = 0; i < list->count && code == 0; i++) {
        if (strlen(list->items[i]) > 15) {
            return bad(err, "exclude-interfaces", list->items[i],
                       "a name of at most 15 characters");
        }
    }
    out->interfaces_off = list->items;
    out->interface_off_count = list->count;
    return code;
}

static void split_all(struct settings *s, struct arena *a)
{
    for (const struct opt *row = rows; row->name != NULL; row++) {
        if (row->type == OPT_LIST) {
            struct opt_list list;
            memcpy(&list, (char *)s + row->offset, sizeof list);
            list = split(&list, a);
            memcpy((char *)s + row->offset, &list, sizeof list);
        }
    }
}

static int read_spec(const struct settings *s, struct arena *a, struct redirect_spec *out,
                     struct err *err)
{
    *out = (struct redirect_spec){.outbound_port = (uint16_t)s->outbound_port,
                                  .inbound_port = (uint16_t)s->inbound_port,
                                  .dns_port = (uint16_t)s->dns_port,
                                  .ipv4_only = s->ipv4_only};
    int code = ids("proxy-uid", &s->uids, a, &out->uids, &out->uid_count, err);
    code = code ? code : ids("proxy-gid", &s->gids, a, &out->gids, &out->gid_count, err);
    code = code ? code
                : ports("include-inbound-ports", &s->inbound_ports, a, &out->inbound_ports,
                        &out->inbound_count, err);
    code = code ? code
                : ports("exclude-inbound-ports", &s->inbound_off, a, &out->inbound_off,
                        &out->inbound_off_count, err);
    code = code ? code
                : ports("exclude-outbound-ports", &s->outbound_off, a, &out->outbound_off,
                        &out->outbound_off_count, err);
    code = code ? code
                : ports("include-outbound-ports", &s->outbound_ports, a, &out->outbound_ports,
                        &out->outbound_port_count, err);
    code = code ? code
                : cidrs("include-outbound-cidrs", &s->outbound_to, a, &out->outbound_to,
                        &out->outbound_to_count, err);
    code = code ? code
                : cidrs("exclude-outbound-cidrs", &s->outbound_not_to, a, &out->outbound_not_to,
                        &out->outbound_not_to_count, err);
    return code ? code : interfaces(&s->interfaces_off, out, err);
}

static int carry_out(const struct settings *s, struct arena *a, struct err *err)
{
    struct redirect_spec wanted;
    struct redirect_rules rules;
    struct buf out;
    int code = read_spec(s, a, &wanted, err);
    if (code != 0) {
        return code;
    }
    redirect_build(&wanted, a, &rules);
    buf_init(&out, BATCH_MAX);
    if (s->dry_run) {
        code = redirect_write_text(&rules, s->cleanup, &out);
        if (code == 0) {
            printf("%.*s", SPAN_ARG(buf_span(&out)));
        }
    } else {
        code = redirect_write_netlink(&rules, s->cleanup, &out);
        code = code ? code : redirect_send(buf_span(&out), s->cleanup, err);
    }
    buf_dispose(&out);
    return code;
}

int init_main(int argc, char **argv)
{
    struct settings set = {.dry_run = false};
    struct arena arena;
    struct opt_list operands; /* none are taken */
    struct err err;
    err_clear(&err);
    arena_init(&arena, 4096);
    int code = opt_parse(&spec, &set, argc, argv, &arena, &operands, &err);
    if (code == 0) {
        split_all(&set, &arena);
        code = carry_out(&set, &arena, &err);
    }
    if (code < 0) {
        fprintf(stderr, "mesh init: %s\n", err.text);
    }
    arena_dispose(&arena);
    return code >= 0 ? 0 : code == -ERR_CONFIG || code == -ERR_LIMIT ? 2 : code == -EPERM ? 5 : 1;
}

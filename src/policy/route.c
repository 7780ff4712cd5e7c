/* Decisions: the route of a request, its cluster, and the texts that a route rewrites.
 * Source: Envoy source/common/router/config_impl.cc. */
#include "policy/route.h"

#include "base/buf.h"
#include "policy/route_int.h"

#define PATH_BYTES_MAX 131072 /* what a regex_rewrite may grow a path to */

struct span route_table_name(const struct route_table *t)
{
    return t->name;
}

/* ---- virtual host ---- */

/* Without ":port" (HeaderUtility::getPortStart): the last colon, unless it is inside "[...]". */
static struct span without_port(struct span host)
{
    ssize_t colon = span_rfind_byte(host, ':');
    if (colon < 0 || span_rfind_byte(host, ']') > colon) {
        return host;
    }
    return span_first(host, (size_t)colon);
}

static struct virtual_host *find_wildcard(const struct host_wildcards *w, struct span host,
                                          bool suffix)
{
    for (size_t i = 0; i < w->length_count; i++) {
        size_t len = w->lengths[i];
        if (len >= host.len) { /* "*.x" does not match ".x": the star stands for something */
            continue;
        }
        struct span part = suffix ? span_from_offset(host, host.len - len) : span_first(host, len);
        struct virtual_host *found = map_get(&w->map, part);
        if (found) {
            return found;
        }
    }
    return NULL;
}

/* Some of these eight bytes is between 'A' and 'Z'. */
static bool word_has_upper(const char *at)
{
    uint64_t w;
    memcpy(&w, at, sizeof(w));
    uint64_t seven = w & 0x7f7f7f7f7f7f7f7f;
    uint64_t from_a = seven + 0x3f3f3f3f3f3f3f3f; /* top bit: at least 'A' */
    uint64_t past_z = seven + 0x2525252525252525; /* top bit: above 'Z' */
    return (from_a & ~past_z & ~w & 0x8080808080808080) != 0;
}

static bool has_upper(struct span s)
{
    if (s.len < 8) {
        for (size_t i = 0; i < s.len; i++) {
            if (s.at[i] >= 'A' && s.at[i] <= 'Z') {
                return true;
            }
        }
        return false;
    }
    for (size_t i = 0; i + 8 < s.len; i += 8) {
        if (word_has_upper(s.at + i)) {
            return true;
        }
    }
    return word_has_upper(s.at + s.len - 8);
}

static struct span lower(struct span s, struct arena *scratch)
{
    return has_upper(s) ? header_match_lower(scratch, s) : s;
}

static const struct virtual_host *find_host(const struct route_table *t,
                                            const struct route_ask *ask, bool *unknown)
{
    struct span host = ask->traffic->authority;
    if (host.len == 0) {
        explain_line(ask->explain, "the request has no authority");
        return NULL;
    }
    host = lower(host, ask->scratch);
    const char *how = "learned";
    const struct virtual_host *found = t->learns ? map_get(&t->learned, host) : NULL;
    if (!found) {
        host = t->ignore_port ? without_port(host) : host;
        found = map_get(&t->exact, host);
        how = "exact";
    }
    if (!found) {
        found = find_wildcard(&t->suffixes, host, true);
        how = "suffix";
    }
    if (!found) {
        found = find_wildcard(&t->prefixes, host, false);
        how = "prefix";
    }
    if (!found) {
        found = t->any;
        how = "'*'";
        if (t->learns && unknown) {
            *unknown = true;
        }
    }
    if (found) {
        explain_line(ask->explain, "virtual host '%.*s' for '%.*s' (%s domain)",
                     SPAN_ARG(found->name), SPAN_ARG(host), how);
    } else {
        explain_line(ask->explain, "no virtual host has a domain for '%.*s'", SPAN_ARG(host));
    }
    return found;
}

static const struct route *find(const struct route_table *t, const struct traffic *tr,
                                struct arena *scratch, struct explain *ex, bool *unknown)
{
    struct route_ask ask = {
        .traffic = tr,
        .path = query_match_path(tr->path),
        .query = query_match_query(tr->path),
        .scratch = scratch,
        .explain = ex,
    };
    const struct virtual_host *host = find_host(t, &ask, unknown);
    if (!host) {
        return NULL;
    }
    if (host->https_redirect && !span_is(tr->scheme, "https")) {
        explain_line(ex, "require_tls: the request is not https");
        return host->https_redirect;
    }
    if (t->ignore_path_parameters) {
        ssize_t semicolon = span_find_byte(ask.path, ';');
        ask.path = semicolon < 0 ? ask.path : span_first(ask.path, (size_t)semicolon);
    }
    const struct route_entry *e = route_index_find(host->index, host->entries, host->count, &ask);
    if (!e) {
        explain_line(ex, "no route matches");
        return NULL;
    }
    explain_line(ex, "route '%.*s' matches", SPAN_ARG(e->route.name));
    return &e->route;
}

const struct route *route_find(const struct route_table *t, const struct traffic *tr,
                               struct arena *scratch, struct explain *ex)
{
    return find(t, tr, scratch, ex, NULL);
}

const struct route *route_find_known(const struct route_table *t, const struct traffic *tr,
                                     struct arena *scratch, bool *unknown)
{
    *unknown = false;
    return find(t, tr, scratch, NULL, unknown);
}

/* ---- what the route says ---- */

const struct route_cluster *route_pick_cluster(const struct route *r, uint64_t random)
{
    if (r->cluster_count <= 1) {
        return r->clusters;
    }
    uint64_t draw = random % r->total_weight;
    size_t i = 0;
    while (draw >= r->clusters[i].weight) {
        draw -= r->clusters[i].weight;
        i++;
    }
    return &r->clusters[i];
}

const struct route_override *route_override(const struct route *r, const struct route_cluster *c,
                                            struct span filter)
{
    for (size_t i = 0; c && i < c->override_count; i++) {
        if (span_eq(c->overrides[i].filter, filter)) {
            return &c->overrides[i];
        }
    }
    for (size_t i = 0; i < r->override_count; i++) {
        if (span_eq(r->overrides[i].filter, filter)) {
            return &r->overrides[i];
        }
    }
    return NULL;
}

/* a + b + c in the arena. */
static struct span join(struct arena *arena, struct span a, struct span b, struct span c)
{
    const struct span parts[] = {a, b, c};
    char *to = arena_bytes(arena, a.len + b.len + c.len + 1);
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].at && parts[i].len > 0) {
            memcpy(to + at, parts[i].at, parts[i].len);
            at += parts[i].len;
        }
    }
    to[at] = '\0';
    return (struct span){to, at};
}

/* What follows the path: "?query", or nothing. */
static struct span tail_of(struct span path)
{
    return span_from_offset(path, query_match_path(path).len);
}

static struct span replace_prefix(const struct route *r, struct span with, struct span path,
                                  struct arena *arena)
{
    struct span bare = query_match_path(path);
    return join(arena, with, span_from_offset(bare, size_min(r->matched_prefix_len, bare.len)),
                tail_of(path));
}

/* On a path that would grow past the limit the old one is kept, and the upstream decides. */
static struct span replace_regex(const struct route *r, struct span path, struct arena *arena)
{
    struct buf out;
    buf_init(&out, PATH_BYTES_MAX);
    struct span result = path;
    if (regex_replace(r->rewrite_regex, query_match_path(path), r->rewrite_substitution, &out) ==
        0) {
        result = join(arena, buf_span(&out), tail_of(path), SPAN_EMPTY);
    }
    buf_dispose(&out);
    return result;
}

struct span route_rewrite_path(const struct route *r, struct span path, struct arena *arena)
{
    if (r->prefix_rewrite.len > 0) {
        return replace_prefix(r, r->prefix_rewrite, path, arena);
    }
    return r->rewrite_regex ? replace_regex(r, path, arena) : path;
}

/* ---- redirects ---- */

/* The request's host; its port goes when the redirect names another, or when it was the default one of a
 * scheme that changes (Envoy processRequestHost). */
static struct span redirect_host(const struct route *r, const struct traffic *tr,
                                 struct span scheme)
{
    struct span host = tr->authority;
    struct span bare = without_port(host);
    if (bare.len == host.len) {
        return host;
    }
    if (r->redirect_port != 0) {
        return bare;
    }
    struct span port = span_from_offset(host, bare.len);
    bool is_default = (span_is(tr->scheme, "https") && span_is(port, ":443")) ||
                      (span_is(tr->scheme, "http") && span_is(port, ":80"));
    return is_default && !span_eq(tr->scheme, scheme) ? bare : host;
}

static struct span redirect_path(const struct route *r, const struct traffic *tr,
                                 struct arena *arena)
{
    struct span path = tr->path;
    struct span query = r->strip_query ? SPAN_EMPTY : tail_of(path);
    if (r->redirect_path.len > 0) {
        /* A query in path_redirect takes the place of the request's, strip_query or not. */
        bool has_query = span_find_byte(r->redirect_path, '?') >= 0;
        return join(arena, r->redirect_path, has_query ? SPAN_EMPTY : query, SPAN_EMPTY);
    }
    if (r->redirect_prefix.len > 0) {
        path = replace_prefix(r, r->redirect_prefix, path, arena);
    } else if (r->rewrite_regex) {
        path = replace_regex(r, path, arena);
    }
    return r->strip_query ? query_match_path(path) : path;
}

struct span route_redirect_location(const struct route *r, const struct traffic *tr,
                                    struct arena *arena)
{
    struct span scheme = r->redirect_scheme.len > 0 ? r->redirect_scheme
                         : r->redirect_https        ? SPAN("https")
                                                    : tr->scheme;
    struct span host = r->redirect_host.len > 0 ? r->redirect_host : redirect_host(r, tr, scheme);
    struct span path = redirect_path(r, tr, arena);
    char port[16] = "";
    if (r->redirect_port != 0) {
        (void)snprintf(port, sizeof(port), ":%u", r->redirect_port);
    }
    return join(arena, join(arena, scheme, SPAN("://"), host), span_of(port), path);
}

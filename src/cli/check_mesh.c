/* What control says of itself, of the proxies, the certificates and the objects, as checks.
 * In: answers of its API. Out: check. */
#include "cli/check.h"
#include "codec/date.h"

#define DAY_US (86400LL * 1000000)
#define SETTLE_US (10LL * 1000000) /* a change is on its way for less than this */
#define ROOT_SOON_US (30 * DAY_US)

static int64_t number(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_INT) ? n->integer : 0;
}

/* 0: not told. */
static int64_t time_at(const struct doc_node *doc, const char *path)
{
    int64_t us;
    return date_parse_rfc3339(item_text(doc, path), &us) == 0 ? us : 0;
}

static bool is_true(const struct doc_node *doc, const char *key)
{
    const struct doc_node *n = doc_get(doc, key);
    return doc_is(n, DOC_BOOL) && n->boolean;
}

/* "reviews-v1-abc, ratings-v1-x and 3 more" */
struct names {
    struct verb *verb;
    const char *text;
    size_t count;
};

static void add_name(struct names *n, struct span name)
{
    if (n->count++ < 3) {
        n->text = arena_printf(&n->verb->arena, "%s%s%.*s", n->text, n->count > 1 ? ", " : "",
                               SPAN_ARG(name));
    }
}

static const char *names_text(const struct names *n)
{
    return n->count > 3 ? arena_printf(&n->verb->arena, "%s and %zu more", n->text, n->count - 3)
                        : n->text;
}

/* ---- control: does everyone have what it sent? ---- */

static bool is_late(const struct doc_node *proxy, int64_t now_us)
{
    const struct doc_node *types = doc_get(proxy, "types");
    for (size_t i = 0; i < doc_count(types); i++) {
        const struct doc_node *one = types->entries[i].value;
        int64_t sent = time_at(one, "sent");
        if (span_is(item_text(one, "state"), "STALE") && sent && now_us - sent > SETTLE_US) {
            return true;
        }
    }
    return false;
}

/* Why it refuses something, or empty. */
static struct span refusal(const struct doc_node *proxy)
{
    const struct doc_node *types = doc_get(proxy, "types");
    for (size_t i = 0; i < doc_count(types); i++) {
        const struct doc_node *one = types->entries[i].value;
        if (span_is(item_text(one, "state"), "REFUSED")) {
            return item_text(one, "why");
        }
    }
    return SPAN_EMPTY;
}

static void look_at_sync(struct check *c, const struct doc_node *proxies, int64_t now_us)
{
    struct names late = {.verb = c->verb, .text = ""}, refusing = late;
    struct span why = SPAN_EMPTY;
    size_t synced = 0;
    for (size_t i = 0; i < doc_count(proxies); i++) {
        const struct doc_node *one = doc_at(proxies, i);
        synced += is_true(one, "synced");
        if (refusal(one).len > 0) {
            why = refusal(one);
            add_name(&refusing, item_text(one, "name"));
        } else if (is_late(one, now_us)) {
            add_name(&late, item_text(one, "name"));
        }
    }
    if (refusing.count > 0) {
        check_find(c, CHECK_CONTROL, "control/refused", 1348, NULL,
                   "%zu prox%s what control sent: %s: %.*s", refusing.count,
                   refusing.count == 1 ? "y refuses" : "ies refuse", names_text(&refusing),
                   SPAN_ARG(span_first(why, 200)));
    }
    if (late.count > 0) {
        check_find(c, CHECK_CONTROL, "control/sync", 1347, NULL,
                   "%zu prox%s not acknowledged the configuration for more than 10 s: %s",
                   late.count, late.count == 1 ? "y has" : "ies have", names_text(&late));
    } else if (refusing.count == 0) {
        check_pass(c, CHECK_CONTROL, "control/sync", "configuration acknowledged by %zu/%zu",
                   synced, doc_count(proxies));
    }
}

/* ---- certs ---- */

/* "9y 360d", "23h", "12m" */
static const char *span_of_time(struct verb *v, int64_t us)
{
    long long minutes = (long long)(us / 60000000);
    long long days = minutes / 1440;
    return days >= 730    ? arena_printf(&v->arena, "%lldy %lldd", days / 365, days % 365)
           : days >= 2    ? arena_printf(&v->arena, "%lldd", days)
           : minutes > 90 ? arena_printf(&v->arena, "%lldh", minutes / 60)
                          : arena_printf(&v->arena, "%lldm", minutes);
}

static void look_at_root(struct check *c, const struct doc_node *status, int64_t within_us,
                         int64_t now_us)
{
    int64_t ends = time_at(status, "ca.rootNotAfter");
    int64_t left = ends - now_us;
    if (!doc_get(status, "ca")) {
        return; /* this control has no authority: others tell of it */
    }
    if (left <= 0) {
        check_find(c, CHECK_CERTS, "certs/root", 1353, NULL,
                   "the mesh's root certificate ended %s ago: no proxy trusts another",
                   span_of_time(c->verb, -left));
    } else if (left < within_us) {
        check_find(c, CHECK_CERTS, "certs/root", 1353, NULL,
                   "the mesh's root certificate ends in %s", span_of_time(c->verb, left));
    } else if (left < ROOT_SOON_US) {
        check_find(c, CHECK_CERTS, "certs/root", 1354, NULL,
                   "the mesh's root certificate ends in %s", span_of_time(c->verb, left));
    } else {
        check_pass(c, CHECK_CERTS, "certs/root", "root %s", span_of_time(c->verb, left));
    }
    check_pass(c, CHECK_CERTS, "certs/issued", "%lld issued",
               (long long)number(status, "ca.issued"));
}

/* The end of the newest certificate of an identity: they come the newest first. 0: none is known. */
static int64_t end_of(const struct doc_node *certs, struct span identity)
{
    for (size_t i = 0; i < doc_count(certs); i++) {
        const struct doc_node *one = doc_at(certs, i);
        if (span_eq(item_text(one, "identity"), identity) && !is_true(one, "revoked")) {
            return time_at(one, "notAfter");
        }
    }
    return 0;
}

/* A proxy renews at half to nine tenths of the time; one that is so late does not manage to. */
static void look_at_workloads(struct check *c, const struct doc_node *proxies,
                              const struct doc_node *certs, int64_t now_us)
{
    static const int64_t late_us = 5LL * 60 * 1000000;
    struct names late = {.verb = c->verb, .text = ""};
    int64_t soonest = INT64_MAX;
    for (size_t i = 0; i < doc_count(proxies); i++) {
        int64_t ends = end_of(certs, item_text(doc_at(proxies, i), "identity"));
        if (ends > 0 && ends - now_us < late_us) {
            add_name(&late, item_text(doc_at(proxies, i), "name"));
        }
        soonest = ends > 0 && ends < soonest ? ends : soonest;
    }
    if (late.count > 0) {
        check_find(c, CHECK_CERTS, "certs/workloads", 1359, NULL,
                   "%zu prox%s a certificate that ends within 5 minutes and was not renewed: %s",
                   late.count, late.count == 1 ? "y has" : "ies have", names_text(&late));
    } else if (soonest < INT64_MAX) {
        check_pass(c, CHECK_CERTS, "certs/workloads", "next workload certificate ends in %s",
                   span_of_time(c->verb, soonest - now_us));
    }
}

/* ---- data plane, config ---- */

static void look_at_versions(struct check *c, const struct doc_node *status,
                             const struct doc_node *proxies)
{
    struct span control = item_text(status, "version");
    struct names others = {.verb = c->verb, .text = ""};
    struct span other = SPAN_EMPTY;
    for (size_t i = 0; i < doc_count(proxies); i++) {
        struct span version = item_text(doc_at(proxies, i), "version");
        if (version.len > 0 && !span_eq(version, control)) {
            other = version;
            add_name(&others, item_text(doc_at(proxies, i), "name"));
        }
    }
    if (others.count > 0) {
        check_find(c, CHECK_PLANE, "plane/version", 1355, NULL,
                   "%zu prox%s another version than control (%.*s): %s (%.*s)", others.count,
                   others.count == 1 ? "y is of" : "ies are of", SPAN_ARG(control),
                   names_text(&others), SPAN_ARG(other));
    } else if (doc_count(proxies) > 0) {
        check_pass(c, CHECK_PLANE, "plane/version", "one version");
    }
}

static void look_at_findings(struct check *c, const struct doc_node *findings)
{
    size_t bad = 0;
    for (size_t i = 0; i < doc_count(findings); i++) {
        bad += !span_is(item_text(doc_at(findings, i), "severity"), "info");
        check_take(c, CHECK_CONFIG, doc_at(findings, i));
    }
    if (bad == 0) {
        check_pass(c, CHECK_CONFIG, "config", "nothing is wrong with the objects");
    }
}

void check_mesh(struct check *c, const struct check_answers *a, int64_t certs_within_ms,
                int64_t now_us)
{
    const struct doc_node *proxies = doc_get(a->proxies, "items");
    if (a->proxies) {
        look_at_sync(c, proxies, now_us);
    }
    if (a->status) {
        look_at_root(c, a->status, certs_within_ms * 1000, now_us);
        look_at_versions(c, a->status, proxies);
    }
    if (a->certs) {
        look_at_workloads(c, proxies, doc_get(a->certs, "items"), now_us);
    }
    if (a->findings) {
        look_at_findings(c, doc_get(a->findings, "items"));
    }
}

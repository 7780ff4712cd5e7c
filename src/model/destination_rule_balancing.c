/* LoadBalancerSettings of a DestinationRule. */
#include "model/destination_rule_int.h"
#include "model/kinds_int.h"

#define RING_MAX 8388608   /* Envoy's bound of maximum_ring_size */
#define MAGLEV_MAX 5000011 /* Envoy's largest table */

/* --- ConsistentHashLB --- */

struct cookie {
    struct span name, path;
    int64_t ttl_ms;
};

static void start_cookie(void *out)
{
    ((struct cookie *)out)->ttl_ms = SPEC_UNSET;
}

static const struct reader_field cookie_fields[] = {
    READER_FIELD("name", TEXT, struct cookie, name, .required = true,
                 .check = reader_text_header_name),
    READER_FIELD("path", TEXT, struct cookie, path),
    READER_FIELD("ttl", DURATION, struct cookie, ttl_ms, .zero = true),
    READER_WARN("attributes", "the cookie has a path and a life only"),
};
static const struct reader_table cookie_table = {READER_TABLE(struct cookie, cookie_fields),
                                                 .start = start_cookie};

static bool is_prime(int64_t n)
{
    for (int64_t i = 2; i * i <= n; i++) {
        if (n % i == 0) {
            return false;
        }
    }
    return n > 1;
}

struct size {
    int64_t ring, table;
};

static void check_table(struct reader *r, const struct doc_node *node, void *out)
{
    const struct size *s = out;
    if (s->table == 0 || is_prime(s->table)) {
        return;
    }
    struct finding *found =
        reader_say(r, 2016, doc_get(node, "tableSize"), "tableSize",
                   "'tableSize' is %lld, which is not prime", (long long)s->table);
    found->why = SPAN("Maglev spreads evenly over tables of prime size only");
    found->fix = SPAN("write a prime, for example 65537");
}

static const struct reader_field ring_fields[] = {
    READER_FIELD("minimumRingSize", I64, struct size, ring, .max = RING_MAX),
};
static const struct reader_table ring_table = {READER_TABLE(struct size, ring_fields)};
static const struct reader_field maglev_fields[] = {
    READER_FIELD("tableSize", I64, struct size, table, .max = MAGLEV_MAX),
};
static const struct reader_table maglev_table = {READER_TABLE(struct size, maglev_fields),
                                                 .check = check_table};

struct hash {
    struct span header, query;
    bool source_ip;
    struct cookie cookie;
    struct size ring, maglev;
    int64_t old_ring;
};

static const struct reader_field hash_fields[] = {
    READER_FIELD("httpHeaderName", TEXT, struct hash, header, .one_of = 1,
                 .check = reader_text_header_name),
    READER_FIELD("httpCookie", MAP, struct hash, cookie, .one_of = 1, .table = &cookie_table),
    READER_FIELD("useSourceIp", BOOL, struct hash, source_ip, .one_of = 1),
    READER_FIELD("httpQueryParameterName", TEXT, struct hash, query, .one_of = 1,
                 .check = reader_text_not_empty),
    READER_FIELD("ringHash", MAP, struct hash, ring, .one_of = 2, .table = &ring_table),
    READER_FIELD("maglev", MAP, struct hash, maglev, .one_of = 2, .table = &maglev_table),
    READER_FIELD("minimumRingSize", I64, struct hash, old_ring, .max = RING_MAX),
};

static void check_hash(struct reader *r, const struct doc_node *node, void *out)
{
    const struct hash *h = out;
    if (h->header.len || h->query.len || h->source_ip || h->cookie.name.len) {
        return;
    }
    struct finding *found =
        reader_say(r, 2025, node, NULL, "'consistentHash' does not say of what");
    found->why =
        SPAN("it wants one of httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName");
    found->fix = SPAN("add 'httpHeaderName', for example x-user");
}

static const struct reader_table hash_table = {READER_TABLE(struct hash, hash_fields),
                                               .check = check_hash};

static void read_hash(struct reader *r, const struct doc_node *node, void *to)
{
    struct destination_rule_balancing *b = to;
    struct hash h;
    reader_map(r, node, &hash_table, &h);
    b->lb = DESTINATION_RULE_LB_CONSISTENT_HASH;
    b->maglev = reader_has(node, "maglev");
    b->ring_size = (uint64_t)(b->maglev ? h.maglev.table : i64_max(h.ring.ring, h.old_ring));
    if (h.header.len > 0) {
        b->hash = DESTINATION_RULE_HASH_HEADER;
        b->hash_name = h.header;
    } else if (h.cookie.name.len > 0) {
        b->hash = DESTINATION_RULE_HASH_COOKIE;
        b->hash_name = h.cookie.name;
        b->cookie_path = h.cookie.path;
        b->cookie_ttl_ms = h.cookie.ttl_ms;
    } else if (h.query.len > 0) {
        b->hash = DESTINATION_RULE_HASH_QUERY;
        b->hash_name = h.query;
    } else {
        b->hash = DESTINATION_RULE_HASH_SOURCE_IP;
    }
}

/* --- the rest --- */

static const struct reader_enum simple[] = {{"UNSPECIFIED", DESTINATION_RULE_LB_UNSPECIFIED},
                                            {"LEAST_CONN", DESTINATION_RULE_LB_LEAST_REQUEST},
                                            {"RANDOM", DESTINATION_RULE_LB_RANDOM},
                                            {"PASSTHROUGH", DESTINATION_RULE_LB_PASSTHROUGH},
                                            {"ROUND_ROBIN", DESTINATION_RULE_LB_ROUND_ROBIN},
                                            {"LEAST_REQUEST", DESTINATION_RULE_LB_LEAST_REQUEST},
                                            {NULL, 0}};

static const struct reader_field warmup_fields[] = {
    {.name = "duration", .type = READER_DURATION, .required = true},
    READER_WARN("minimumPercent", "endpoints begin with a tenth of their share"),
    READER_WARN("aggression", "their share grows evenly"),
};
static const struct reader_table warmup_table = {READER_TABLE(int64_t, warmup_fields)};

static void start_balancing(void *out)
{
    struct destination_rule_balancing *b = out;
    b->set = true;
    b->cookie_ttl_ms = SPEC_UNSET;
    b->warmup_ms = SPEC_UNSET;
}

#define NO_ZONES "endpoints of all zones are the same"

static const struct reader_field balancing_fields[] = {
    READER_FIELD("simple", ENUM, struct destination_rule_balancing, lb, .one_of = 1,
                 .names = simple),
    {.name = "consistentHash", .type = READER_CUSTOM, .one_of = 1, .read = read_hash},
    READER_WARN("localityLbSetting", NO_ZONES),
    READER_WARN("zoneAwareLbSetting", NO_ZONES),
    READER_FIELD("warmupDurationSecs", DURATION, struct destination_rule_balancing, warmup_ms,
                 .one_of = 2),
    READER_FIELD("warmup", MAP, struct destination_rule_balancing, warmup_ms, .one_of = 2,
                 .table = &warmup_table),
};
const struct reader_table destination_rule_balancing_table = {
    READER_TABLE(struct destination_rule_balancing, balancing_fields), .start = start_balancing};

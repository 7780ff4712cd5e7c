/* Pod, Node and ServiceAccount. */
#include "model/pod.h"

#include "mesh/names.h"
#include "model/kinds_int.h"

/* --- the spec --- */

static const struct reader_field port_fields[] = {
    READER_FIELD("name", TEXT, struct pod_port, name),
    READER_FIELD("containerPort", PORT, struct pod_port, port, .required = true),
};
static const struct reader_table port_table = {READER_TABLE(struct pod_port, port_fields),
                                               .open = true};

struct container {
    const struct pod_port *ports;
    size_t port_count;
};

static const struct reader_field container_fields[] = {
    READER_FIELD("ports", LIST, struct container, ports, .table = &port_table),
};
static const struct reader_table container_table = {
    READER_TABLE(struct container, container_fields), .open = true};

struct containers {
    const struct container *items;
    size_t count;
};

/* Ports of one more list of containers; init containers too: a sidecar may be one. */
static void read_containers(struct reader *r, const struct doc_node *node, void *to)
{
    struct pod_spec *s = to;
    const struct reader_field list = {.name = "", .type = READER_LIST, .table = &container_table};
    struct containers all = {.count = 0};
    reader_value(r, node, &list, &all);
    size_t count = s->port_count;
    for (size_t i = 0; i < all.count; i++) {
        count += all.items[i].port_count;
    }
    if (count == s->port_count) {
        return;
    }
    struct pod_port *ports = arena_array(r->arena, count, sizeof(*ports));
    size_t at = 0;
    for (; at < s->port_count; at++) {
        ports[at] = s->ports[at];
    }
    for (size_t i = 0; i < all.count; i++) {
        for (size_t k = 0; k < all.items[i].port_count; k++) {
            ports[at++] = all.items[i].ports[k];
        }
    }
    s->ports = ports;
    s->port_count = count;
}

static void start_pod(void *out)
{
    ((struct pod_spec *)out)->service_account = SPAN("default");
}

static const struct reader_field pod_fields[] = {
    READER_FIELD("serviceAccountName", TEXT, struct pod_spec, service_account,
                 .check = reader_text_subdomain),
    READER_FIELD("nodeName", TEXT, struct pod_spec, node),
    READER_FIELD("hostNetwork", BOOL, struct pod_spec, host_network),
    {.name = "containers", .type = READER_CUSTOM, .read = read_containers},
    {.name = "initContainers", .type = READER_CUSTOM, .read = read_containers},
};
const struct reader_table pod_table = {READER_TABLE(struct pod_spec, pod_fields), .open = true,
                                       .start = start_pod};

/* --- the status --- */

struct pod_ip {
    struct span ip;
};
static const struct reader_field ip_fields[] = {
    READER_FIELD("ip", TEXT, struct pod_ip, ip, .check = reader_text_ip),
};
static const struct reader_table ip_table = {READER_TABLE(struct pod_ip, ip_fields), .open = true};

struct condition {
    struct span type, status;
};
static const struct reader_field condition_fields[] = {
    READER_FIELD("type", TEXT, struct condition, type),
    READER_FIELD("status", TEXT, struct condition, status),
};
static const struct reader_table condition_table = {
    READER_TABLE(struct condition, condition_fields), .open = true};

struct status {
    struct span phase, ip;
    const struct pod_ip *ips;
    size_t ip_count;
    const struct condition *conditions;
    size_t condition_count;
};
static const struct reader_field status_fields[] = {
    READER_FIELD("phase", TEXT, struct status, phase),
    READER_FIELD("podIP", TEXT, struct status, ip, .check = reader_text_ip),
    READER_FIELD("podIPs", LIST, struct status, ips, .table = &ip_table),
    READER_FIELD("conditions", LIST, struct status, conditions, .table = &condition_table),
};
static const struct reader_table status_table = {READER_TABLE(struct status, status_fields),
                                                 .open = true};

static void take_status(struct reader *r, const struct status *from, struct pod_spec *to)
{
    struct ip *ips = arena_array(r->arena, from->ip_count + 1, sizeof(*ips));
    for (size_t i = 0; i < from->ip_count; i++) {
        if (ip_parse(from->ips[i].ip, &ips[to->ip_count]) == 0) {
            to->ip_count++;
        }
    }
    if (to->ip_count == 0 && from->ip.len > 0 && ip_parse(from->ip, &ips[0]) == 0) {
        to->ip_count = 1;
    }
    to->ips = ips;
    to->ended = span_is(from->phase, "Succeeded") || span_is(from->phase, "Failed");
    for (size_t i = 0; i < from->condition_count; i++) {
        if (span_is(from->conditions[i].type, "Ready")) {
            to->ready = span_is(from->conditions[i].status, "True");
        }
    }
}

/* --- whose it is --- */

/* "report-28917360" of CronJob "report" (pkg/kube of Istio: the time in minutes or seconds). */
static struct span cron_job_of(struct span job)
{
    ssize_t dash = span_rfind_byte(job, '-');
    uint64_t time;
    struct span tail = dash > 0 ? span_from_offset(job, (size_t)dash + 1) : SPAN_EMPTY;
    bool is_time = tail.len >= 8 && tail.len <= 10 && span_to_u64(tail, &time);
    return is_time ? span_first(job, (size_t)dash) : SPAN_EMPTY;
}

/* "reviews-v1-7f8c9d6b5" of Deployment "reviews-v1": the ReplicaSet's name ends with the hash that its pods have as label. */
static struct span deployment_of(const struct object *o, struct span replica_set)
{
    struct span hash = object_label(o, "pod-template-hash");
    bool fits = hash.len > 0 && replica_set.len > hash.len + 1 && span_ends(replica_set, hash) &&
                replica_set.at[replica_set.len - hash.len - 1] == '-';
    return fits ? span_first(replica_set, replica_set.len - hash.len - 1) : SPAN_EMPTY;
}

static struct span text_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static void name_workload(const struct object *o, struct pod_spec *s)
{
    const struct doc_node *owners = doc_path(o->doc, "metadata.ownerReferences");
    const struct doc_node *owner = NULL;
    for (size_t i = 0; owner == NULL && i < doc_count(owners); i++) {
        const struct doc_node *controller = doc_get(doc_at(owners, i), "controller");
        owner = doc_is(controller, DOC_BOOL) && controller->boolean ? doc_at(owners, i) : NULL;
    }
    s->workload = text_of(owner, "name");
    s->workload_kind = text_of(owner, "kind");
    if (s->workload.len == 0) {
        s->workload = o->name;
        s->workload_kind = SPAN("Pod");
    } else if (span_is(s->workload_kind, "ReplicaSet")) {
        struct span name = deployment_of(o, s->workload);
        if (name.len > 0) {
            s->workload = name;
            s->workload_kind = SPAN("Deployment");
        }
    } else if (span_is(s->workload_kind, "Job")) {
        struct span name = cron_job_of(s->workload);
        if (name.len > 0) {
            s->workload = name;
            s->workload_kind = SPAN("CronJob");
        }
    }
}

void pod_finish(struct reader *r, void *spec)
{
    struct pod_spec *s = spec;
    const struct doc_node *node = doc_get(r->object->doc, "status");
    struct status status = {.ip_count = 0};
    if (doc_is(node, DOC_MAP)) {
        struct reader_step step = {.key = SPAN("status")};
        const struct reader_step *at = r->at;
        r->at = &step;
        reader_map(r, node, &status_table, &status);
        r->at = at;
    }
    take_status(r, &status, s);
    s->leaves = reader_has(doc_get(r->object->doc, "metadata"), "deletionTimestamp");
    name_workload(r->object, s);
}

/* --- the others --- */

static const struct reader_field node_fields[] = {READER_IGNORE("podCIDR")};
const struct reader_table pod_node_table = {READER_TABLE(struct pod_node_spec, node_fields),
                                            .open = true};

void pod_node_finish(struct reader *r, void *spec)
{
    struct pod_node_spec *s = spec;
    s->region = object_label(r->object, LABEL_REGION);
    s->zone = object_label(r->object, LABEL_ZONE);
    s->sub_zone = object_label(r->object, LABEL_SUBZONE);
}

static const struct reader_field account_fields[] = {
    READER_IGNORE("secrets"),
    READER_IGNORE("imagePullSecrets"),
    READER_IGNORE("automountServiceAccountToken"),
};
const struct reader_table pod_account_table = {
    READER_TABLE(struct pod_account_spec, account_fields)};

/* --- comparing --- */

static bool same_ports(const struct pod_spec *a, const struct pod_spec *b)
{
    bool same = a->port_count == b->port_count;
    for (size_t i = 0; same && i < a->port_count; i++) {
        same = a->ports[i].port == b->ports[i].port && span_eq(a->ports[i].name, b->ports[i].name);
    }
    return same;
}

static bool same_ips(const struct pod_spec *a, const struct pod_spec *b)
{
    bool same = a->ip_count == b->ip_count;
    for (size_t i = 0; same && i < a->ip_count; i++) {
        same = ip_eq(&a->ips[i], &b->ips[i]);
    }
    return same;
}

bool pod_is_same(const struct object *a, const struct object *b)
{
    const struct pod_spec *x = pod_of(a), *y = pod_of(b);
    bool same = a->label_count == b->label_count && a->created_us == b->created_us;
    for (size_t i = 0; same && i < a->label_count; i++) {
        same = span_eq(a->labels[i].key, b->labels[i].key) &&
               span_eq(a->labels[i].value, b->labels[i].value);
    }
    return same && same_ports(x, y) && same_ips(x, y) && x->host_network == y->host_network &&
           x->ended == y->ended && x->leaves == y->leaves &&
           span_eq(x->service_account, y->service_account) && span_eq(x->node, y->node) &&
           span_eq(x->workload, y->workload);
}

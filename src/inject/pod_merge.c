/* Strategic merge of pods. In: the pod and a template that was filled in. Next: pod_probes. */
#include "inject/pod_merge.h"

#include "inject/inject.h"

const char *pod_merge_key(struct span list)
{
    static const struct {
        const char *list, *key;
    } rows[] = {
        {"containers", "name"},        {"initContainers", "name"},
        {"volumes", "name"},           {"env", "name"},
        {"imagePullSecrets", "name"},  {"sysctls", "name"},
        {"volumeMounts", "mountPath"}, {"ports", "containerPort"},
        {"hostAliases", "ip"},         {"ephemeralContainers", "name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (span_is(list, rows[i].list)) {
            return rows[i].key;
        }
    }
    return NULL;
}

bool pod_merge_is_proxy(const struct doc_node *container)
{
    const struct doc_node *name = doc_get(container, "name");
    return doc_is(name, DOC_TEXT) &&
           (span_is(name->text, INJECT_PROXY) || span_is(name->text, "istio-proxy"));
}

struct doc_node *pod_merge_proxy(const struct doc_node *pod, struct doc_node **list, size_t *index)
{
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        struct doc_node *all = doc_get(doc_get(pod, "spec"), lists[l]);
        for (size_t i = 0; i < (doc_is(all, DOC_LIST) ? doc_count(all) : 0); i++) {
            if (pod_merge_is_proxy(doc_at(all, i))) {
                if (list) {
                    *list = all;
                }
                if (index) {
                    *index = i;
                }
                return doc_at(all, i);
            }
        }
    }
    return NULL;
}

void pod_merge_move(struct doc_node *list, size_t at, size_t to)
{
    struct doc_entry moved = list->entries[at];
    for (; at > to; at--) {
        list->entries[at] = list->entries[at - 1];
    }
    for (; at < to; at++) {
        list->entries[at] = list->entries[at + 1];
    }
    list->entries[at] = moved;
}

static bool is_auto(const struct doc_node *value)
{
    return doc_is(value, DOC_TEXT) && span_is(value->text, "auto");
}

static struct doc_node *entry_like(const struct doc_node *list, const char *key,
                                   const struct doc_node *entry)
{
    const struct doc_node *want = doc_get(entry, key);
    for (size_t i = 0; i < doc_count(list) && want; i++) {
        struct doc_node *one = doc_at(list, i);
        if (doc_eq(doc_get(one, key), want) ||
            (pod_merge_is_proxy(one) && pod_merge_is_proxy(entry))) {
            return one;
        }
    }
    return NULL;
}

/* A variable has a value or a source, a volume or a probe one kind of it: two of them together are refused by Kubernetes. */
static bool is_whole(struct span name)
{
    return span_is(name, "env") || span_is(name, "volumes") || span_is(name, "startupProbe") ||
           span_is(name, "readinessProbe") || span_is(name, "lifecycle");
}

static void merge_maps(struct doc_node *into, const struct doc_node *from, enum pod_merge_rule rule,
                       struct arena *arena);

static void merge_lists(struct doc_node *into, const struct doc_node *from, struct span name,
                        enum pod_merge_rule rule, struct arena *arena)
{
    for (size_t i = 0; i < doc_count(from); i++) {
        struct doc_node *one = doc_at(from, i);
        struct doc_node *like = entry_like(into, pod_merge_key(name), one);
        if (like == NULL) {
            doc_list_add(arena, into, one);
        } else if (is_whole(name)) {
            *like = rule == POD_MERGE_REPLACE ? *one : *like;
        } else {
            merge_maps(like, one, rule, arena);
        }
    }
}

static void merge_value(struct doc_node *into, struct span name, struct doc_node *value,
                        enum pod_merge_rule rule, struct arena *arena)
{
    struct doc_node *was = doc_get_span(into, name);
    if (value->kind == DOC_LIST && value->count == 0) {
        return;
    }
    if (was == NULL || was->kind == DOC_NULL || (is_auto(was) && span_is(name, "image"))) {
        doc_set_span(arena, into, name, value);
    } else if (was->kind == DOC_MAP && value->kind == DOC_MAP && !is_whole(name)) {
        merge_maps(was, value, rule, arena);
    } else if (was->kind == DOC_LIST && value->kind == DOC_LIST && pod_merge_key(name)) {
        merge_lists(was, value, name, rule, arena);
    } else if (rule == POD_MERGE_REPLACE && !(is_auto(value) && span_is(name, "image"))) {
        doc_set_span(arena, into, name, value);
    }
}

static void merge_maps(struct doc_node *into, const struct doc_node *from, enum pod_merge_rule rule,
                       struct arena *arena)
{
    bool is_one = doc_get(from, "name") && doc_get(into, "name");
    for (size_t i = 0; i < doc_count(from); i++) {
        struct span name = from->entries[i].key;
        /* The pod's name of its proxy stays. */
        if (!(is_one && span_is(name, "name"))) {
            merge_value(into, name, from->entries[i].value, rule, arena);
        }
    }
}

void pod_merge(struct doc_node *into, const struct doc_node *from, enum pod_merge_rule rule,
               struct arena *arena)
{
    struct doc_node *mine = pod_merge_proxy(into, NULL, NULL);
    struct doc_node *list = NULL, *other;
    size_t at = 0;
    struct doc_node *copy = doc_dup(arena, from);
    /* It stays where the pod has it. */
    while (mine && (other = pod_merge_proxy(copy, &list, &at))) {
        merge_maps(mine, other, rule, arena);
        pod_merge_move(list, at, list->count - 1);
        list->count--;
    }
    for (size_t i = 0; i < doc_count(copy); i++) {
        struct span name = copy->entries[i].key;
        if (span_is(name, "metadata") || span_is(name, "spec")) {
            merge_value(into, name, copy->entries[i].value, rule, arena);
        }
    }
}

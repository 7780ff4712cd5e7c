/* Which collection an object belongs to, told from its apiVersion and kind.
 * In: a manifest. Out: struct kube_kind. */
#include "kube/kube_path.h"

/* Kinds that live in no namespace, by group; "*" = all of the group. */
static const struct {
    const char *group;
    const char *plural;
} without_namespace[] = {
    {"", "componentstatuses"},
    {"", "namespaces"},
    {"", "nodes"},
    {"", "persistentvolumes"},
    {"admissionregistration.k8s.io", "*"},
    {"apiextensions.k8s.io", "*"},
    {"apiregistration.k8s.io", "*"},
    {"authentication.k8s.io", "*"},
    {"authorization.k8s.io", "selfsubjectaccessreviews"},
    {"authorization.k8s.io", "selfsubjectrulesreviews"},
    {"authorization.k8s.io", "subjectaccessreviews"},
    {"cert-manager.io", "clusterissuers"},
    {"certificates.k8s.io", "certificatesigningrequests"},
    {"certificates.k8s.io", "clustertrustbundles"},
    {"flowcontrol.apiserver.k8s.io", "*"},
    {"gateway.networking.k8s.io", "gatewayclasses"},
    {"internal.apiserver.k8s.io", "*"},
    {"kwok.x-k8s.io", "metrics"},
    {"kwok.x-k8s.io", "stages"},
    {"mesh.io", "meshconfigs"},
    {"metrics.k8s.io", "nodes"},
    {"networking.k8s.io", "ingressclasses"},
    {"networking.k8s.io", "ipaddresses"},
    {"networking.k8s.io", "servicecidrs"},
    {"node.k8s.io", "*"},
    {"policy", "podsecuritypolicies"},
    {"policy.networking.k8s.io", "*"},
    {"rbac.authorization.k8s.io", "clusterrolebindings"},
    {"rbac.authorization.k8s.io", "clusterroles"},
    {"resource.k8s.io", "deviceclasses"},
    {"resource.k8s.io", "resourceslices"},
    {"scheduling.k8s.io", "priorityclasses"},
    {"snapshot.storage.k8s.io", "volumesnapshotclasses"},
    {"snapshot.storage.k8s.io", "volumesnapshotcontents"},
    {"storage.k8s.io", "csidrivers"},
    {"storage.k8s.io", "csinodes"},
    {"storage.k8s.io", "storageclasses"},
    {"storage.k8s.io", "volumeattachments"},
    {"storage.k8s.io", "volumeattributesclasses"},
    {"storagemigration.k8s.io", "*"},
};

/* Kinds whose collection no rule gives. */
static const struct {
    const char *group;
    const char *kind;
    const char *plural;
} exceptions[] = {
    {"", "Endpoints", "endpoints"},
    {"metrics.k8s.io", "NodeMetrics", "nodes"},
    {"metrics.k8s.io", "PodMetrics", "pods"},
    {"security.openshift.io", "SecurityContextConstraints", "securitycontextconstraints"},
};

static bool is_vowel(char c)
{
    return c != '\0' && strchr("aeiou", c) != NULL;
}

/* English: -s -x -z -ch -sh get "es", a consonant and -y become "ies", others get "s". */
static const char *plural_of(struct arena *arena, struct span kind)
{
    char *word = arena_cstr(arena, kind);
    for (size_t i = 0; i < kind.len; i++) {
        word[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + 32 : word[i]);
    }
    struct span w = span_from(word, kind.len);
    char last = word[kind.len - 1];
    char before = kind.len > 1 ? word[kind.len - 2] : '\0';
    if (last == 'y' && !is_vowel(before)) {
        return arena_printf(arena, "%.*sies", (int)kind.len - 1, word);
    }
    bool hisses =
        strchr("sxz", last) != NULL || span_ends(w, SPAN("ch")) || span_ends(w, SPAN("sh"));
    return arena_printf(arena, "%s%s", word, hisses ? "es" : "s");
}

static bool is_namespaced(const char *group, const char *plural)
{
    for (size_t i = 0; i < ARRAY_LEN(without_namespace); i++) {
        const char *p = without_namespace[i].plural;
        if (strcmp(group, without_namespace[i].group) == 0 &&
            (strcmp(p, "*") == 0 || strcmp(p, plural) == 0)) {
            return false;
        }
    }
    return true;
}

static bool is_word(struct span text, const char *more)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr(more, c) != NULL);
        if (!good) {
            return false;
        }
    }
    return text.len > 0 && text.len < 256;
}

bool kube_kind_of(struct arena *arena, const struct doc_node *object, struct kube_kind *out)
{
    const struct doc_node *version = doc_get(object, "apiVersion");
    const struct doc_node *kind = doc_get(object, "kind");
    if (!doc_is(version, DOC_TEXT) || !doc_is(kind, DOC_TEXT) || !is_word(kind->text, "")) {
        return false;
    }
    ssize_t slash = span_find_byte(version->text, '/');
    struct span group = slash < 0 ? SPAN_EMPTY : span_first(version->text, (size_t)slash);
    struct span rest =
        slash < 0 ? version->text : span_from_offset(version->text, (size_t)slash + 1);
    if (!is_word(rest, "") || (slash >= 0 && !is_word(group, "-."))) {
        return false;
    }
    *out =
        (struct kube_kind){.group = arena_cstr(arena, group), .version = arena_cstr(arena, rest)};
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++) {
        if (span_is(group, exceptions[i].group) && span_is(kind->text, exceptions[i].kind)) {
            out->plural = exceptions[i].plural;
        }
    }
    if (out->plural == NULL) {
        out->plural = plural_of(arena, kind->text);
    }
    out->namespaced = is_namespaced(out->group, out->plural);
    return true;
}

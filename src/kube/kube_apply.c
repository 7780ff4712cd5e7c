/* Server-side apply.
 * In: an object as it shall be.  Out: a PATCH (kube_call).  Next: on_answer of who asked. */
#include "kube/kube_apply.h"

const char *kube_apply_path(struct arena *arena, const struct kube_client *c,
                            const struct kube_apply_spec *spec)
{
    struct kube_kind guessed;
    const struct kube_kind *kind = spec->kind;
    const struct doc_node *metadata = doc_get(spec->object, "metadata");
    const struct doc_node *name = doc_get(metadata, "name");
    const struct doc_node *ns = doc_get(metadata, "namespace");
    if (kind == NULL) {
        kind = kube_kind_of(arena, spec->object, &guessed) ? &guessed : NULL;
    }
    if (kind == NULL || !doc_is(name, DOC_TEXT) || name->text.len == 0) {
        return NULL;
    }
    bool has_ns = doc_is(ns, DOC_TEXT) && ns->text.len > 0;
    struct span where = has_ns ? ns->text : kube_client_conf(c)->namespace;
    return arena_printf(arena, "%s?fieldManager=" KUBE_FIELD_MANAGER "&force=%s%s",
                        kube_path(arena, kind, where, name->text, spec->sub),
                        spec->no_force ? "false" : "true", spec->dry_run ? "&dryRun=All" : "");
}

static void on_no_matter(void *arg, const struct kube_answer *a)
{
    UNUSED(arg);
    UNUSED(a);
}

struct kube_call *kube_apply(struct kube_client *c, const struct kube_apply_spec *spec)
{
    struct arena arena;
    struct buf body;
    arena_init(&arena, 1024);
    buf_init(&body, KUBE_APPLY_BYTES_MAX);
    struct kube_call *call = NULL;
    const char *path = kube_apply_path(&arena, c, spec);
    if (path != NULL && doc_write_json(spec->object, false, &body) == 0) {
        const struct kube_call_spec ask = {
            .method = "PATCH",
            .path = path,
            .content_type = KUBE_APPLY,
            .body = buf_span(&body),
            .timeout_ms = spec->timeout_ms,
            .on_answer = spec->on_answer != NULL ? spec->on_answer : on_no_matter,
            .arg = spec->arg,
        };
        call = kube_call(c, &ask);
    }
    buf_dispose(&body);
    arena_dispose(&arena);
    return call;
}

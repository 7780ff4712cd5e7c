/* GET of the MutatingWebhookConfiguration; a JSON patch (RFC 6902) where its caBundle is not ours.
 * In: cluster. */
#include "control/cluster/webhook_bundle.h"

#include "base/log.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "io/deadline.h"
#include "kube/kube_path.h"

#define JSON_PATCH "application/json-patch+json"

struct webhook_bundle {
    struct kube_client *client; /* borrowed */
    struct arena arena;
    const char *path;
    struct span bundle; /* base64 */
    struct kube_call *call;
    struct deadline look;
};

static void on_patched(void *arg, const struct kube_answer *a)
{
    struct webhook_bundle *b = arg;
    b->call = NULL;
    if (a->code != 0) {
        log_warn("cluster", "webhook's caBundle not written path=%s why=\"%s\"", b->path, a->why);
    } else {
        log_info("cluster", "webhook trusts the mesh's root path=%s", b->path);
    }
    deadline_arm(&b->look, kube_client_loop(b->client),
                 a->code != 0 ? WEBHOOK_BUNDLE_SOON_MS : WEBHOOK_BUNDLE_MS);
}

/* Adds a step for each webhook that trusts another; answers how many. "test" guards against a list that changed meanwhile. */
static size_t add_steps(const struct webhook_bundle *b, struct arena *arena,
                        const struct doc_node *hooks, struct doc_node *steps)
{
    size_t count = 0;
    for (size_t i = 0; i < doc_count(hooks); i++) {
        const struct doc_node *hook = doc_at(hooks, i);
        const struct doc_node *name = doc_get(hook, "name");
        const struct doc_node *now = doc_path(hook, "clientConfig.caBundle");
        if (!doc_is(name, DOC_TEXT) || (doc_is(now, DOC_TEXT) && span_eq(now->text, b->bundle))) {
            continue;
        }
        struct doc_node *test = doc_list_add(arena, steps, doc_new_map(arena));
        doc_set_text(arena, test, "op", SPAN("test"));
        doc_set_text(arena, test, "path", span_of(arena_printf(arena, "/webhooks/%zu/name", i)));
        doc_set_text(arena, test, "value", name->text);
        struct doc_node *add = doc_list_add(arena, steps, doc_new_map(arena));
        doc_set_text(arena, add, "op", SPAN("add"));
        doc_set_text(arena, add, "path",
                     span_of(arena_printf(arena, "/webhooks/%zu/clientConfig/caBundle", i)));
        doc_set_text(arena, add, "value", b->bundle);
        count++;
    }
    return count;
}

static void on_object(void *arg, const struct kube_answer *a)
{
    struct webhook_bundle *b = arg;
    struct arena arena;
    struct buf text;
    b->call = NULL;
    arena_init(&arena, 4096);
    buf_init(&text, 1UL << 20);
    struct doc_node *steps = doc_new_list(&arena);
    size_t count = a->code == 0 ? add_steps(b, &arena, doc_get(a->doc, "webhooks"), steps) : 0;
    if (count > 0 && doc_write_json(steps, false, &text) == 0) {
        b->call = kube_call(b->client, &(struct kube_call_spec){.method = "PATCH",
                                                                .path = b->path,
                                                                .content_type = JSON_PATCH,
                                                                .body = buf_span(&text),
                                                                .on_answer = on_patched,
                                                                .arg = b});
    } else {
        deadline_arm(&b->look, kube_client_loop(b->client),
                     a->code != 0 ? WEBHOOK_BUNDLE_SOON_MS : WEBHOOK_BUNDLE_MS);
    }
    buf_dispose(&text);
    arena_dispose(&arena);
}

static void on_look(struct deadline *d)
{
    struct webhook_bundle *b = container_of(d, struct webhook_bundle, look);
    b->call = kube_call(b->client,
                        &(struct kube_call_spec){
                            .method = "GET", .path = b->path, .on_answer = on_object, .arg = b});
}

struct webhook_bundle *webhook_bundle_new(struct kube_client *client, const char *name,
                                          struct span roots_pem)
{
    static const struct kube_kind kind = {.group = "admissionregistration.k8s.io",
                                          .version = "v1",
                                          .plural = "mutatingwebhookconfigurations"};
    struct webhook_bundle *b = mem_new(struct webhook_bundle);
    b->client = client;
    arena_init(&b->arena, 4096);
    b->path = kube_path(&b->arena, &kind, SPAN_EMPTY, span_of(name), NULL);
    char *to = arena_alloc(&b->arena, base64_encoded_len(BASE64_STANDARD, roots_pem.len) + 1);
    b->bundle = span_from(to, base64_encode(BASE64_STANDARD, roots_pem, to));
    deadline_init(&b->look, on_look);
    deadline_arm(&b->look, kube_client_loop(client), 0);
    return b;
}

void webhook_bundle_free(struct webhook_bundle *b)
{
    if (b == NULL) {
        return;
    }
    if (b->call) {
        kube_call_cancel(b->call);
    }
    deadline_disarm(&b->look);
    arena_dispose(&b->arena);
    mem_free(b);
}

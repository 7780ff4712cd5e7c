/* In: injector, an AdmissionReview. Next: inject/inject, codec/jsonpatch. Out: an AdmissionReview. */
#include "injector/review.h"

#include "codec/base64.h"
#include "codec/jsonpatch.h"

#define API_VERSION "admission.k8s.io/v1"
#define PATCH_MAX (8u << 20)
#define WARNING_MAX 256 /* Kubernetes cuts longer ones */

struct reviewing {
    const struct review_spec *spec;
    struct arena *arena;
    const struct doc_node *request;
    struct doc_node *response;
    struct review_answer *out;
};

static struct span text_at(const struct doc_node *node, const char *path)
{
    const struct doc_node *found = doc_path(node, path);
    return doc_is(found, DOC_TEXT) ? found->text : SPAN_EMPTY;
}

/* ---- answers ---- */

static int say_bad(struct review_answer *out, struct buf *body, unsigned code, const char *why)
{
    out->outcome = REVIEW_BAD;
    out->status = 400;
    out->code = code;
    out->why = why;
    return buf_printf(body, "MESH%04u: %s\n", code, why);
}

static int write_review(struct reviewing *r, struct buf *body)
{
    struct doc_node *review = doc_new_map(r->arena);
    doc_set_text(r->arena, review, "apiVersion", SPAN(API_VERSION));
    doc_set_text(r->arena, review, "kind", SPAN("AdmissionReview"));
    doc_set(r->arena, review, "response", r->response);
    return doc_write_json(review, false, body);
}

static void put_warning(struct reviewing *r, unsigned code, const char *text)
{
    const char *line = arena_printf(r->arena, "MESH%04u: %s", code, text);
    struct doc_node *list = doc_list_in(r->arena, r->response, "warnings");
    doc_list_add(r->arena, list, doc_text(r->arena, span_first(span_of(line), WARNING_MAX)));
}

static void put_refusal(struct reviewing *r, const struct inject_answer *a)
{
    struct doc_node *status = doc_new_map(r->arena);
    const char *message =
        arena_printf(r->arena, "MESH%04u: %s%s%s (mesh explain MESH%04u)", a->code, a->why,
                     a->fix ? "; fix: " : "", a->fix ? a->fix : "", a->code);
    doc_set(r->arena, r->response, "allowed", doc_bool(r->arena, false));
    doc_set(r->arena, status, "code", doc_int(r->arena, 422));
    doc_set_text(r->arena, status, "reason", SPAN("Invalid"));
    doc_set_text(r->arena, status, "message", span_of(message));
    doc_set(r->arena, r->response, "status", status);
}

static int put_patch(struct reviewing *r, const struct doc_node *before, const struct doc_node *now)
{
    struct buf text;
    buf_init(&text, PATCH_MAX);
    int code = doc_write_json(jsonpatch_make(r->arena, before, now), false, &text);
    if (code == 0) {
        char *coded =
            arena_bytes(r->arena, base64_encoded_len(BASE64_STANDARD, buf_len(&text)) + 1);
        size_t len = base64_encode(BASE64_STANDARD, buf_span(&text), coded);
        doc_set_text(r->arena, r->response, "patchType", SPAN("JSONPatch"));
        doc_set_text(r->arena, r->response, "patch", span_from(coded, len));
    }
    buf_dispose(&text);
    return code;
}

/* ---- the question ---- */

static bool is_new_pod(const struct doc_node *request)
{
    struct span resource = text_at(request, "resource.resource");
    return span_is(text_at(request, "operation"), "CREATE") && span_is(resource, "pods") &&
           text_at(request, "resource.group").len == 0 &&
           text_at(request, "subResource").len == 0 && doc_is(doc_get(request, "object"), DOC_MAP);
}

static int review_pod(struct reviewing *r)
{
    const struct doc_node *pod = doc_get(r->request, "object");
    const struct review_spec *spec = r->spec;
    struct inject_answer a;
    struct inject_subject subject = {.pod = pod, .namespace = r->out->namespace};
    if (spec->namespace_labels) {
        subject.namespace_labels = spec->namespace_labels(spec->arg, subject.namespace);
    }
    subject.asked = subject.namespace_labels == NULL;
    subject.wanted = spec->namespace_wants;
    inject_pod(&subject, spec->settings, r->arena, &a);
    r->out->code = a.code;
    r->out->why = a.why;
    for (const struct inject_note *n = a.notes; n; n = n->next) {
        put_warning(r, n->code, n->text);
    }
    switch (a.outcome) {
    case INJECT_SKIP:
        return 0;
    case INJECT_REFUSE:
        r->out->outcome = REVIEW_REFUSED;
        put_refusal(r, &a);
        return 0;
    case INJECT_YES:
        r->out->outcome = REVIEW_INJECTED;
        return put_patch(r, pod, a.pod);
    }
    return 0;
}

static void read_names(struct reviewing *r)
{
    const struct doc_node *metadata = doc_path(r->request, "object.metadata");
    const struct doc_node *dry = doc_get(r->request, "dryRun");
    r->out->dry_run = doc_is(dry, DOC_BOOL) && dry->boolean;
    r->out->namespace = text_at(r->request, "namespace");
    r->out->name = text_at(metadata, "name");
    if (r->out->name.len == 0) {
        r->out->name = text_at(metadata, "generateName");
    }
}

int review_answer(const struct review_spec *spec, struct span request, struct arena *arena,
                  struct buf *body, struct review_answer *out)
{
    struct doc_node *review;
    struct err err;
    *out = (struct review_answer){.outcome = REVIEW_SKIPPED, .status = 200, .why = ""};
    if (doc_parse_json(arena, request, "AdmissionReview", &review, &err) != 0) {
        return say_bad(out, body, 1216,
                       arena_printf(arena, "what came is no AdmissionReview: %s", err.text));
    }
    struct span version = text_at(review, "apiVersion");
    const struct doc_node *question = doc_get(review, "request");
    struct span uid = text_at(question, "uid");
    if (!span_is(version, API_VERSION) || !span_is(text_at(review, "kind"), "AdmissionReview")) {
        version = span_first(version, 100);
        return say_bad(out, body, 1216,
                       arena_printf(arena,
                                    "what came is of apiVersion '%.*s'; want AdmissionReview of "
                                    "'" API_VERSION "': let the webhook's "
                                    "admissionReviewVersions be [v1]",
                                    SPAN_ARG(version)));
    }
    if (uid.len == 0) {
        return say_bad(out, body, 1216, "the AdmissionReview has no request.uid");
    }
    struct reviewing r = {.spec = spec,
                          .arena = arena,
                          .request = question,
                          .response = doc_new_map(arena),
                          .out = out};
    doc_set_text(arena, r.response, "uid", uid);
    doc_set(arena, r.response, "allowed", doc_bool(arena, true));
    read_names(&r);
    int code = 0;
    if (is_new_pod(question)) {
        code = review_pod(&r);
    } else {
        out->code = 1217;
        put_warning(&r, 1217, "the injector was asked about what is no new pod; it is left alone");
    }
    return code ? code : write_review(&r, body);
}

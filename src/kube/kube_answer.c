/* What an answer of the API server means.
 * In: status, fields and body; Kubernetes API conventions, "Response Status Kind". Out: struct kube_answer. */
#include "kube/kube_client_int.h"

static int code_of(unsigned status, struct span reason)
{
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
        return span_is(reason, "AlreadyExists") ? -EEXIST : -ESTALE;
    case 410:
        return -EREMOTEIO;
    case 429:
        return -ERR_LIMIT;
    default:
        return status >= 400 && status < 500 ? -ERR_CONFIG : -EREMOTEIO;
    }
}

static struct span text_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

/* Retry-After in seconds; its date form is not used by API servers. */
static int64_t retry_after(const struct head *head, const struct doc_node *status)
{
    uint64_t seconds;
    struct span field = head_get(head, SPAN("retry-after"));
    if (field.len > 0 && span_to_u64(field, &seconds) && seconds <= 86400) {
        return (int64_t)seconds;
    }
    const struct doc_node *told = doc_path(status, "details.retryAfterSeconds");
    bool is_good = doc_is(told, DOC_INT) && told->integer > 0 && told->integer <= 86400;
    return is_good ? told->integer : -1;
}

/* The server's own words, unless they say too little. */
static const char *sentence(struct arena *arena, const struct kube_client *c, unsigned status,
                            struct span message, struct span body)
{
    if (status == 401) {
        return arena_printf(arena, "the API server does not accept %s (401 Unauthorized)",
                            kube_credentials_name(&c->credentials, arena));
    }
    if (message.len > 0) {
        return arena_cstr(arena, message);
    }
    struct span first = span_trim(span_first(body, 200));
    ssize_t line_end = span_find_byte(first, '\n');
    first = line_end >= 0 ? span_first(first, (size_t)line_end) : first;
    return first.len > 0 && first.at[0] != '<' && first.at[0] != '{'
               ? arena_printf(arena, "the API server answered %u: %.*s", status, SPAN_ARG(first))
               : arena_printf(arena, "the API server answered %u", status);
}

static bool is_json(const struct head *head, struct span body)
{
    struct span type = head_get(head, SPAN("content-type"));
    return body.len > 0 && (span_starts_nocase(type, SPAN(KUBE_JSON)) || body.at[0] == '{');
}

void kube_answer_read(struct kube_answer *a, struct arena *arena, const struct kube_client *c,
                      const struct head *head, struct span body)
{
    struct err err;
    *a = (struct kube_answer){
        .status = head->status, .why = "", .body = body, .retry_after_s = -1, .head = head};
    bool is_good = head->status / 100 == 2;
    if (is_json(head, body) && doc_parse_json(arena, body, "answer", &a->doc, &err) != 0) {
        a->doc = NULL;
        if (is_good) {
            a->code = -ERR_PROTO;
            a->why = arena_printf(arena, "the API server's answer is not JSON: %s", err.text);
        }
    }
    if (is_good) {
        return;
    }
    const struct doc_node *status = span_is(text_of(a->doc, "kind"), "Status") ? a->doc : NULL;
    a->reason = text_of(status, "reason");
    a->code = code_of(head->status, a->reason);
    a->retry_after_s = retry_after(head, status);
    a->why = sentence(arena, c, head->status, text_of(status, "message"), body);
}

unsigned kube_answer_code(const struct kube_answer *a)
{
    switch (a->status) {
    case 0:
        return a->code == -EACCES                              ? 1405
               : a->code == -ERR_TLS || a->code == -ERR_DENIED ? 1403
                                                               : 1402;
    case 401:
        return 1404;
    case 403:
        return 1406;
    default:
        return 1407;
    }
}

void kube_answer_fail(struct kube_answer *a, struct arena *arena, const struct err *err)
{
    *a = (struct kube_answer){.code = err->code == -ERR_TIMEOUT ? -ETIMEDOUT : err->code,
                              .why = arena_strdup(arena, err->text),
                              .retry_after_s = -1};
}

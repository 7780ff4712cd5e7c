/* The step that brings the path to one form before any policy compares it, so that "/a/../admin" can not slip
 * past a rule for "/admin"; and fields with names that others read as different ones. Source: HttpConnectionManager.normalize_path, merge_slashes,
 * path_with_escaped_slashes_action, strip_matching_host_port, strip_any_host_port,
 * headers_with_underscores_action.
 * In: downstream/session_http. Out: NEXT, or FAIL with 400, or a redirect. Next: request/forwarding. */
#include "codec/url.h"
#include "proxy/request/steps.h"

static enum step_answer redirect_unescaped(struct request *rq, struct span path)
{
    struct header location = {.name = SPAN("location"), .value = path};
    struct request_answer a = {
        .why = OUTCOME_DIRECT, .status = 307, .fields = &location, .count = 1};
    request_reply(rq, &a);
    return STEP_DONE;
}

static void strip_port(struct request *rq)
{
    struct span host;
    uint16_t port;
    if (url_split_authority(rq->head->authority, &host, &port) != 0 || port == 0) {
        return;
    }
    if (rq->conf->strip_any_host_port || port == rq->place->original_dst.port ||
        port == rq->place->local.port) {
        struct span whole = rq->head->authority;
        rq->head->authority = span_first(whole, (size_t)span_rfind_byte(whole, ':'));
        rq->traffic.authority = rq->head->authority;
    }
}

static enum step_answer fail(struct request *rq, enum outcome why)
{
    rq->outcome = why;
    return STEP_FAIL;
}

/* Http1ProtocolOptions.accept_http_10, default_host_for_http_10; HTTP/1.1 without Host has been refused before. */
static enum outcome old_version(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    if (!conf->accept_http10) {
        return OUTCOME_LOW_VERSION;
    }
    if (rq->head->authority.len == 0) {
        if (conf->http10_host.len == 0) {
            return OUTCOME_NO_HOST;
        }
        rq->head->authority = arena_dup(rq->arena, conf->http10_host);
        rq->traffic.authority = rq->head->authority;
    }
    return OUTCOME_OK;
}

/* HttpProtocolOptions.headers_with_underscores_action: what a server takes for '-' could pass a policy under another name. */
static enum outcome underscores(struct request *rq)
{
    struct head *h = rq->head;
    for (size_t i = 0; i < h->count;) {
        if (span_find_byte(h->fields[i].name, '_') < 0) {
            i++;
        } else if (rq->conf->underscores == CONF_UNDERSCORES_REJECT) {
            return OUTCOME_UNDERSCORE;
        } else {
            head_remove(h, h->fields[i].name); /* the first of its name, and all after it */
        }
    }
    return OUTCOME_OK;
}

static enum step_answer on_request(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    if (UNLIKELY(rq->head->http_minor == 0) && !rq->head->http2) {
        enum outcome why = old_version(rq);
        if (why != OUTCOME_OK) {
            return fail(rq, why);
        }
    }
    if (UNLIKELY(conf->underscores != CONF_UNDERSCORES_KEEP) && underscores(rq) != OUTCOME_OK) {
        return fail(rq, OUTCOME_UNDERSCORE);
    }
    struct span host = rq->head->authority;
    if (conf->strip_host_dot && span_ends(host, SPAN("."))) {
        rq->head->authority = span_first(host, host.len - 1);
        rq->traffic.authority = rq->head->authority;
    }
    if (conf->strip_host_port || conf->strip_any_host_port) {
        strip_port(rq);
    }
    if (!conf->normalize_path && !conf->merge_slashes &&
        conf->escaped_slashes == CONF_SLASHES_KEEP) {
        return STEP_NEXT;
    }
    struct span target = rq->head->path;
    if (target.len == 0 || target.at[0] != '/') {
        return STEP_NEXT; /* CONNECT, OPTIONS * */
    }
    ssize_t mark = span_find_byte(target, '?');
    struct span path = mark < 0 ? target : span_first(target, (size_t)mark);
    struct span query = mark < 0 ? SPAN_EMPTY : span_from_offset(target, (size_t)mark);
    bool escaped = conf->escaped_slashes != CONF_SLASHES_KEEP && url_has_escaped_slash(path);
    if (escaped && conf->escaped_slashes == CONF_SLASHES_REJECT) {
        return fail(rq, OUTCOME_BAD_PATH);
    }
    unsigned steps = (conf->normalize_path ? URL_DOT_SEGMENTS : 0) |
                     (conf->merge_slashes ? URL_MERGE_SLASHES : 0) |
                     (escaped ? URL_DECODE_SLASHES : 0);
    char *to = arena_bytes(rq->arena, target.len);
    ssize_t len = url_normalize_path(path, steps, to);
    if (len < 0) {
        return fail(rq, OUTCOME_BAD_PATH);
    }
    if (query.len > 0) {
        memcpy(to + len, query.at, query.len);
    }
    rq->head->path = span_from(to, (size_t)len + query.len);
    rq->traffic.path = rq->head->path;
    if (escaped && conf->escaped_slashes == CONF_SLASHES_REDIRECT) {
        return redirect_unescaped(rq, rq->head->path);
    }
    return STEP_NEXT;
}

const struct step step_normalize = {.name = "normalize", .on_request = on_request};

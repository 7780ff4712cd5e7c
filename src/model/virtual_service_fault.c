/* Faults, retries and CORS of a VirtualService's routes. */
#include "model/kinds_int.h"
#include "model/virtual_service_int.h"

/* --- HTTPFaultInjection --- */

struct delay {
    double percent;
    int64_t fixed_ms;
};

static const struct reader_field delay_fields[] = {
    READER_FIELD("fixedDelay", DURATION, struct delay, fixed_ms, .required = true,
                 .note = "add 'fixedDelay', for example 5s"),
    READER_FIELD("percentage", MAP, struct delay, percent, .one_of = 1,
                 .table = &spec_percent_table),
    READER_FIELD("percent", DOUBLE, struct delay, percent, .max = 100, .one_of = 1),
    READER_REFUSE("exponentialDelay", "write 'fixedDelay'"),
};

/* "If left unspecified, no request will be delayed." */
static void check_percent(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    if (reader_has(node, "percentage") || reader_has(node, "percent")) {
        return;
    }
    struct finding *found =
        reader_say(r, 2034, node, NULL, "'%s' is of no request", reader_here(r));
    found->why = SPAN("no percentage is given, which is 0");
    found->fix = SPAN("add 'percentage: {value: 100}'");
}

static const struct reader_table delay_table = {READER_TABLE(struct delay, delay_fields),
                                                .check = check_percent};

struct abort {
    double percent;
    int64_t status;
    int grpc;
};

static const struct reader_enum grpc_codes[] = {{"OK", 0},
                                                {"CANCELLED", 1},
                                                {"UNKNOWN", 2},
                                                {"INVALID_ARGUMENT", 3},
                                                {"DEADLINE_EXCEEDED", 4},
                                                {"NOT_FOUND", 5},
                                                {"ALREADY_EXISTS", 6},
                                                {"PERMISSION_DENIED", 7},
                                                {"RESOURCE_EXHAUSTED", 8},
                                                {"FAILED_PRECONDITION", 9},
                                                {"ABORTED", 10},
                                                {"OUT_OF_RANGE", 11},
                                                {"UNIMPLEMENTED", 12},
                                                {"INTERNAL", 13},
                                                {"UNAVAILABLE", 14},
                                                {"DATA_LOSS", 15},
                                                {"UNAUTHENTICATED", 16},
                                                {NULL, 0}};

static void start_abort(void *out)
{
    ((struct abort *)out)->grpc = SPEC_UNSET;
}

static void check_abort(struct reader *r, const struct doc_node *node, void *out)
{
    const struct abort *a = out;
    if (a->status == 0 && a->grpc == SPEC_UNSET) {
        struct finding *found = reader_say(r, 2025, node, NULL, "'abort' does not say how");
        found->why = SPAN("it wants one of httpStatus or grpcStatus");
        found->fix = SPAN("add 'httpStatus', for example 503");
        return;
    }
    check_percent(r, node, out);
}

static const struct reader_field abort_fields[] = {
    READER_FIELD("httpStatus", I64, struct abort, status, .min = 200, .max = 599, .one_of = 1),
    READER_FIELD("grpcStatus", ENUM, struct abort, grpc, .one_of = 1, .names = grpc_codes),
    READER_FIELD("percentage", MAP, struct abort, percent, .table = &spec_percent_table),
    READER_REFUSE("http2Error", "write 'httpStatus' or 'grpcStatus'"),
};
static const struct reader_table abort_table = {READER_TABLE(struct abort, abort_fields),
                                                .start = start_abort, .check = check_abort};

static void read_delay(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_fault *f = to;
    struct delay d;
    reader_map(r, node, &delay_table, &d);
    f->delay_ms = d.fixed_ms;
    f->delay_percent = d.percent;
}

static void read_abort(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_fault *f = to;
    struct abort a;
    reader_map(r, node, &abort_table, &a);
    f->abort_status = (unsigned)a.status;
    f->abort_grpc = a.grpc;
    f->abort_percent = a.percent;
}

static void start_fault(void *out)
{
    ((struct virtual_service_fault *)out)->abort_grpc = SPEC_UNSET;
}

static void check_fault(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    if (reader_has(node, "delay") || reader_has(node, "abort")) {
        return;
    }
    struct finding *found = reader_say(r, 2025, node, NULL, "'fault' does nothing");
    found->why = SPAN("it wants one of delay or abort");
    found->fix = SPAN("add 'delay' or 'abort', or remove 'fault'");
}

static const struct reader_field fault_fields[] = {
    {.name = "delay", .type = READER_CUSTOM, .read = read_delay},
    {.name = "abort", .type = READER_CUSTOM, .read = read_abort},
};
const struct reader_table virtual_service_fault_table = {
    READER_TABLE(struct virtual_service_fault, fault_fields), .start = start_fault,
    .check = check_fault};

/* --- HTTPRetry --- */

/* Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on; Istio takes status codes among them. */
static bool is_retry_word(struct span word)
{
    static const char *const words[] = {"5xx",
                                        "gateway-error",
                                        "reset",
                                        "reset-before-request",
                                        "connect-failure",
                                        "envoy-ratelimited",
                                        "retriable-4xx",
                                        "refused-stream",
                                        "retriable-status-codes",
                                        "retriable-headers",
                                        "http3-post-connect-failure",
                                        "cancelled",
                                        "deadline-exceeded",
                                        "internal",
                                        "resource-exhausted",
                                        "unavailable"};
    uint64_t code;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_is(word, words[i])) {
            return true;
        }
    }
    return span_to_u64(word, &code) && code >= 100 && code <= 599;
}

static bool check_retry_on(struct reader *r, const struct doc_node *node, struct span text)
{
    struct span rest = text;
    while (rest.at != NULL) {
        struct span word = span_trim(span_cut(&rest, ','));
        if (word.len == 0 || is_retry_word(word)) {
            continue;
        }
        struct finding *found =
            reader_say(r, 2015, node, NULL, "'retryOn' has '%.*s', which is no condition",
                       SPAN_ARG(span_first(word, 80)));
        found->why =
            SPAN("allowed: 5xx, gateway-error, reset, reset-before-request, connect-failure, "
                 "retriable-4xx, refused-stream, retriable-status-codes, cancelled, "
                 "deadline-exceeded, internal, resource-exhausted, unavailable, status codes");
        found->fix = SPAN("write them with ',' between, for example 5xx,reset,connect-failure");
        return false;
    }
    return true;
}

static void start_retry(void *out)
{
    struct virtual_service_retry *retry = out;
    retry->set = true;
    retry->per_try_timeout_ms = SPEC_UNSET;
    retry->backoff_ms = SPEC_UNSET;
}

/* Attempts that are not told are 0 in Istio, which turns retries off: then nothing else may be told. */
static void check_retry(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_retry *retry = out;
    if (retry->attempts > 0 || (retry->per_try_timeout_ms == SPEC_UNSET && retry->on.len == 0)) {
        return;
    }
    const char *key = retry->on.len > 0 ? "retryOn" : "perTryTimeout";
    struct finding *found =
        reader_say(r, 2033, doc_get(node, key), key, "'%s' is told, and nothing is retried", key);
    found->why = SPAN("attempts is 0, which turns retries off");
    found->fix = finding_text(r->findings, "add 'attempts', or remove '%s'", key);
}

static const struct reader_field retry_fields[] = {
    READER_FIELD("attempts", U32, struct virtual_service_retry, attempts, .max = 1000),
    READER_FIELD("perTryTimeout", DURATION, struct virtual_service_retry, per_try_timeout_ms),
    READER_FIELD("retryOn", TEXT, struct virtual_service_retry, on, .check = check_retry_on),
    READER_FIELD("backoff", DURATION, struct virtual_service_retry, backoff_ms),
    READER_FIELD("retryRemoteLocalities", TOLD, struct virtual_service_retry, remote_localities),
    READER_FIELD("retryIgnorePreviousHosts", TOLD, struct virtual_service_retry,
                 ignore_previous_hosts),
};
const struct reader_table virtual_service_retry_table = {
    READER_TABLE(struct virtual_service_retry, retry_fields), .start = start_retry,
    .check = check_retry};

/* --- CorsPolicy --- */

static void read_origins(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_cors *cors = to;
    if (node->kind != DOC_LIST) {
        (void)reader_wrong_kind(r, node, "a list"); /* is said */
        return;
    }
    struct spec_match *origins = arena_array(r->arena, node->count, sizeof(origins[0]));
    for (size_t i = 0; i < node->count; i++) {
        struct reader_step step = {.up = r->at, .index = i};
        r->at = &step;
        spec_read_match(r, doc_at(node, i), &origins[i]);
        r->at = step.up;
    }
    cors->origins = origins;
    cors->origin_count = node->count;
}

static void read_old_origins(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_cors *cors = to;
    struct spec_texts texts = {NULL, 0};
    const struct reader_field field = {
        .name = "", .type = READER_TEXTS, .check = reader_text_not_empty};
    reader_value(r, node, &field, &texts);
    struct spec_match *origins = arena_array(r->arena, texts.count, sizeof(origins[0]));
    for (size_t i = 0; i < texts.count; i++) {
        bool any = span_is(texts.items[i], "*");
        origins[i] = (struct spec_match){any ? SPEC_MATCH_REGEX : SPEC_MATCH_EXACT,
                                         any ? SPAN(".*") : texts.items[i]};
    }
    cors->origins = origins;
    cors->origin_count = texts.count;
}

static void start_cors(void *out)
{
    struct virtual_service_cors *cors = out;
    cors->set = true;
    cors->max_age_ms = SPEC_UNSET;
}

static const struct reader_enum preflights[] = {{"UNSPECIFIED", SPEC_BOOL_UNSET},
                                                {"FORWARD", SPEC_BOOL_TRUE},
                                                {"IGNORE", SPEC_BOOL_FALSE},
                                                {NULL, 0}};

static bool check_method(struct reader *r, const struct doc_node *node, struct span text)
{
    return span_is(text, "*") || reader_text_method(r, node, text);
}

static const struct reader_field cors_fields[] = {
    {.name = "allowOrigins", .type = READER_CUSTOM, .one_of = 1, .read = read_origins},
    {.name = "allowOrigin", .type = READER_CUSTOM, .one_of = 1, .read = read_old_origins},
    READER_FIELD("allowMethods", TEXTS, struct virtual_service_cors, methods,
                 .check = check_method),
    READER_FIELD("allowHeaders", TEXTS, struct virtual_service_cors, headers,
                 .check = reader_text_header_name),
    READER_FIELD("exposeHeaders", TEXTS, struct virtual_service_cors, expose,
                 .check = reader_text_header_name),
    READER_FIELD("maxAge", DURATION, struct virtual_service_cors, max_age_ms, .zero = true),
    READER_FIELD("allowCredentials", TOLD, struct virtual_service_cors, credentials),
    READER_FIELD("unmatchedPreflights", ENUM, struct virtual_service_cors, forward_unmatched,
                 .names = preflights),
};
const struct reader_table virtual_service_cors_table = {
    READER_TABLE(struct virtual_service_cors, cors_fields), .start = start_cors};

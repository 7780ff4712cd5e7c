/* Header operations of a route, virtual host, table or weighted cluster, in Envoy's order: what is to be
 * removed first, then what is to be added, as listed.
 * Source: envoy.config.core.v3.HeaderValueOption; Envoy source/common/router/header_parser.cc. */
#include "policy/pb_value.h"
#include "policy/route_int.h"

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static int header_name(struct span *out, struct arena *arena, struct span name, struct err *err)
{
    struct span lower = header_match_lower(arena, name);
    if (lower.len == 0) {
        return err_set(err, -ERR_CONFIG, "a header name is empty");
    }
    if (lower.at[0] == ':' || span_is(lower, "host")) {
        return err_set(err, -ERR_CONFIG,
                       "header '%.*s': names with ':' and host may not be changed", SPAN_ARG(name));
    }
    for (size_t i = 0; i < lower.len; i++) {
        if (!is_token_char(lower.at[i])) {
            return err_set(err, -ERR_CONFIG, "header '%.*s' is not a header name", SPAN_ARG(name));
        }
    }
    *out = lower;
    return 0;
}

static bool is_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '\0' || value.at[i] == '\r' || value.at[i] == '\n') {
            return false;
        }
    }
    return true;
}

static int action_of(struct route_header_op *op, const struct pb_core_HeaderValueOption *config,
                     struct err *err)
{
    switch (config->append_action) {
    case PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_APPEND_IF_EXISTS_OR_ADD:
        /* `append` (deprecated) false is OVERWRITE_IF_EXISTS_OR_ADD */
        op->op = pb_value_bool(config->append, true) ? ROUTE_HEADER_APPEND : ROUTE_HEADER_SET;
        return 0;
    case PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_ADD_IF_ABSENT:
        op->op = ROUTE_HEADER_ADD_IF_ABSENT;
        break;
    case PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_OVERWRITE_IF_EXISTS_OR_ADD:
        op->op = ROUTE_HEADER_SET;
        break;
    case PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_OVERWRITE_IF_EXISTS:
        op->op = ROUTE_HEADER_SET_IF_PRESENT;
        break;
    default:
        return err_set(err, -ERR_CONFIG, "append_action %d is not known",
                       (int)config->append_action);
    }
    if (config->append) {
        return err_set(err, -ERR_CONFIG, "both append and append_action are set");
    }
    return 0;
}

static int compile_add(struct route_header_op *op, struct arena *arena,
                       const struct pb_core_HeaderValueOption *config, struct err *err)
{
    const struct pb_core_HeaderValue *h = config->header;
    if (!h) {
        return err_set(err, -ERR_CONFIG, "header is missing");
    }
    int rc = header_name(&op->name, arena, h->key, err);
    if (rc != 0) {
        return rc;
    }
    op->value = h->value.len > 0 ? h->value : h->raw_value;
    if (!is_value(op->value)) {
        return err_set(err, -ERR_CONFIG, "header '%.*s': the value has a line end",
                       SPAN_ARG(h->key));
    }
    op->formatted = span_find_byte(op->value, '%') >= 0;
    op->keep_empty = config->keep_empty_value;
    rc = action_of(op, config, err);
    return rc != 0 ? err_prefix(err, "header '%.*s'", SPAN_ARG(h->key)) : 0;
}

struct side {
    struct pb_core_HeaderValueOption *const *add;
    size_t add_count;
    const struct span *remove;
    size_t remove_count;
};

static int compile_side(const struct route_header_op **out, size_t *out_count, struct arena *arena,
                        const struct side *side, struct err *err)
{
    struct route_header_op *ops =
        arena_array(arena, side->add_count + side->remove_count, sizeof(*ops));
    size_t count = 0;
    for (size_t i = 0; i < side->remove_count; i++) {
        ops[count].op = ROUTE_HEADER_REMOVE;
        int rc = header_name(&ops[count].name, arena, side->remove[i], err);
        if (rc != 0) {
            return rc;
        }
        count++;
    }
    for (size_t i = 0; i < side->add_count; i++) {
        int rc = compile_add(&ops[count], arena, side->add[i], err);
        if (rc != 0) {
            return rc;
        }
        /* An empty text adds nothing unless keep_empty_value says so. */
        count += ops[count].value.len > 0 || ops[count].keep_empty;
    }
    *out = ops;
    *out_count = count;
    return 0;
}

int route_headers_compile(struct route_header_ops *out, struct arena *arena,
                          const struct route_header_lists *lists, struct err *err)
{
    *out = (struct route_header_ops){0};
    struct side request = {lists->request_add, lists->request_add_count, lists->request_remove,
                           lists->request_remove_count};
    struct side response = {lists->response_add, lists->response_add_count, lists->response_remove,
                            lists->response_remove_count};
    if (request.add_count + request.remove_count > 0) {
        int rc = compile_side(&out->request, &out->request_count, arena, &request, err);
        if (rc != 0) {
            return err_prefix(err, "request headers");
        }
    }
    if (response.add_count + response.remove_count > 0) {
        int rc = compile_side(&out->response, &out->response_count, arena, &response, err);
        if (rc != 0) {
            return err_prefix(err, "response headers");
        }
    }
    return 0;
}

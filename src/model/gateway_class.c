/* GatewayClass and ReferenceGrant. */
#include "model/gateway_api.h"
#include "model/kinds_int.h"

/* "example.net/gateway-controller" (GatewayController: a domain, a slash, a path). */
static bool check_controller(struct reader *r, const struct doc_node *node, struct span text)
{
    ssize_t slash = span_find_byte(text, '/');
    if (slash > 0 && (size_t)slash + 1 < text.len &&
        reader_text_is_subdomain(span_first(text, (size_t)slash))) {
        return true;
    }
    struct finding *found = reader_say(r, 2015, node, NULL, "'controllerName' is %s, which is none",
                                       reader_show(r, node));
    found->why = SPAN("it is a domain and a path");
    found->fix = SPAN("write 'controllerName: mesh.io/gateway-controller'");
    return false;
}

static const struct reader_field class_fields[] = {
    READER_FIELD("controllerName", TEXT, struct gateway_class_spec, controller, .required = true,
                 .check = check_controller,
                 .note = "add 'controllerName: mesh.io/gateway-controller'"),
    READER_IGNORE("description"),
    READER_IGNORE("parametersRef"),
};
const struct reader_table gateway_class_table = {
    READER_TABLE(struct gateway_class_spec, class_fields)};

/* ReferenceGrantFrom, ReferenceGrantTo: a group must be told, "" is core. */
static const struct reader_field from_fields[] = {
    READER_FIELD("group", TEXT, struct reference_grant_from, group),
    READER_FIELD("kind", TEXT, struct reference_grant_from, kind, .required = true),
    READER_FIELD("namespace", TEXT, struct reference_grant_from, namespace, .required = true,
                 .check = reader_text_label),
};
static const struct reader_table from_table = {
    READER_TABLE(struct reference_grant_from, from_fields), .strict = true};

static const struct reader_field to_fields[] = {
    READER_FIELD("group", TEXT, struct reference_grant_to, group),
    READER_FIELD("kind", TEXT, struct reference_grant_to, kind, .required = true),
    READER_FIELD("name", TEXT, struct reference_grant_to, name),
};
static const struct reader_table to_table = {READER_TABLE(struct reference_grant_to, to_fields),
                                             .strict = true};

static const struct reader_field grant_fields[] = {
    READER_FIELD("from", LIST, struct reference_grant_spec, from, .required = true, .min = 1,
                 .max = 16, .table = &from_table),
    READER_FIELD("to", LIST, struct reference_grant_spec, to, .required = true, .min = 1, .max = 16,
                 .table = &to_table),
};
const struct reader_table gateway_class_grant_table = {
    READER_TABLE(struct reference_grant_spec, grant_fields), .strict = true};

/* Access logs, as MeshConfig asks for them (accessLogFile, accessLogFormat, accessLogEncoding).
 * Source: Istio pilot/pkg/model/telemetry_logging.go: the default formats. */
#include "codec/doc.h"
#include "codec/pb_json.h"
#include "control/translate/translate_int.h"
#include "proto/access_file.pb.h"
#include "proto/accesslog.pb.h"
#include "proto/types.pb.h"

static const char text_format[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

static const struct log_field {
    struct span name, format;
} json_fields[] = {
    {SPAN_INIT("start_time"), SPAN_INIT("%START_TIME%")},
    {SPAN_INIT("route_name"), SPAN_INIT("%ROUTE_NAME%")},
    {SPAN_INIT("method"), SPAN_INIT("%REQ(:METHOD)%")},
    {SPAN_INIT("path"), SPAN_INIT("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")},
    {SPAN_INIT("protocol"), SPAN_INIT("%PROTOCOL%")},
    {SPAN_INIT("response_code"), SPAN_INIT("%RESPONSE_CODE%")},
    {SPAN_INIT("response_flags"), SPAN_INIT("%RESPONSE_FLAGS%")},
    {SPAN_INIT("response_code_details"), SPAN_INIT("%RESPONSE_CODE_DETAILS%")},
    {SPAN_INIT("connection_termination_details"), SPAN_INIT("%CONNECTION_TERMINATION_DETAILS%")},
    {SPAN_INIT("bytes_received"), SPAN_INIT("%BYTES_RECEIVED%")},
    {SPAN_INIT("bytes_sent"), SPAN_INIT("%BYTES_SENT%")},
    {SPAN_INIT("duration"), SPAN_INIT("%DURATION%")},
    {SPAN_INIT("upstream_service_time"), SPAN_INIT("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%")},
    {SPAN_INIT("x_forwarded_for"), SPAN_INIT("%REQ(X-FORWARDED-FOR)%")},
    {SPAN_INIT("user_agent"), SPAN_INIT("%REQ(USER-AGENT)%")},
    {SPAN_INIT("request_id"), SPAN_INIT("%REQ(X-REQUEST-ID)%")},
    {SPAN_INIT("authority"), SPAN_INIT("%REQ(:AUTHORITY)%")},
    {SPAN_INIT("upstream_host"), SPAN_INIT("%UPSTREAM_HOST%")},
    {SPAN_INIT("upstream_cluster"), SPAN_INIT("%UPSTREAM_CLUSTER%")},
    {SPAN_INIT("upstream_local_address"), SPAN_INIT("%UPSTREAM_LOCAL_ADDRESS%")},
    {SPAN_INIT("downstream_local_address"), SPAN_INIT("%DOWNSTREAM_LOCAL_ADDRESS%")},
    {SPAN_INIT("downstream_remote_address"), SPAN_INIT("%DOWNSTREAM_REMOTE_ADDRESS%")},
    {SPAN_INIT("requested_server_name"), SPAN_INIT("%REQUESTED_SERVER_NAME%")},
    {SPAN_INIT("upstream_transport_failure_reason"),
     SPAN_INIT("%UPSTREAM_TRANSPORT_FAILURE_REASON%")},
};

/* accessLogFormat with encoding JSON is a JSON object; what is none falls back to the default, as in Istio. */
static struct pb_protobuf_Struct *json_format(struct translation *t)
{
    struct span text = t->w->config->mesh.access_log_format;
    struct doc_node *node = NULL;
    struct err err;
    if (text.len > 0 && doc_parse_json(t->arena, text, NULL, &node, &err) == 0 &&
        doc_is(node, DOC_MAP)) {
        struct pb_protobuf_Struct *s =
            pb_json_read(&proto_types, &pb_protobuf_Struct_desc, t->arena, node, &err);
        if (s) {
            return s;
        }
    }
    struct pb_protobuf_Struct *s = arena_new(t->arena, struct pb_protobuf_Struct);
    for (size_t i = 0; i < ARRAY_LEN(json_fields); i++) {
        message_put_text(t->arena, s, json_fields[i].name, json_fields[i].format);
    }
    return s;
}

static struct pb_core_SubstitutionFormatString *format_of(struct translation *t)
{
    const struct world_mesh *m = &t->w->config->mesh;
    struct pb_core_SubstitutionFormatString *f =
        arena_new(t->arena, struct pb_core_SubstitutionFormatString);
    if (m->access_log_json) {
        f->format_case = PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_JSON_FORMAT;
        f->json_format = json_format(t);
        return f;
    }
    f->format_case = PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_TEXT_FORMAT;
    f->text_format = m->access_log_format.len == 0 ? span_from(text_format, sizeof(text_format) - 1)
                     : span_ends(m->access_log_format, SPAN("\n"))
                         ? m->access_log_format
                         : MESSAGE_JOIN(t->arena, m->access_log_format, SPAN("\n"));
    return f;
}

struct pb_accesslog_AccessLog *lds_log(struct translation *t, bool no_route)
{
    if (t->w->config->mesh.access_log_file.len == 0) {
        return NULL;
    }
    struct pb_access_file_FileAccessLog *file =
        arena_new(t->arena, struct pb_access_file_FileAccessLog);
    file->path = t->w->config->mesh.access_log_file;
    file->access_log_format_case = PB_ACCESS_FILE_FILE_ACCESS_LOG_ACCESS_LOG_FORMAT_LOG_FORMAT;
    file->log_format = format_of(t);
    struct pb_accesslog_AccessLog *log = arena_new(t->arena, struct pb_accesslog_AccessLog);
    log->name = SPAN("envoy.access_loggers.file");
    log->config_type_case = PB_ACCESSLOG_ACCESS_LOG_CONFIG_TYPE_TYPED_CONFIG;
    log->typed_config = MESSAGE_ANY(t->arena, PB_ACCESS_FILE_FILE_ACCESS_LOG_URL,
                                    &pb_access_file_FileAccessLog_desc, file);
    if (no_route) {
        log->filter = arena_new(t->arena, struct pb_accesslog_AccessLogFilter);
        log->filter->filter_specifier_case =
            PB_ACCESSLOG_ACCESS_LOG_FILTER_FILTER_SPECIFIER_RESPONSE_FLAG_FILTER;
        log->filter->response_flag_filter =
            arena_new(t->arena, struct pb_accesslog_ResponseFlagFilter);
        PB_ADD(t->arena, &log->filter->response_flag_filter->flags, SPAN("NR"));
    }
    return log;
}

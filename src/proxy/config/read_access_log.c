/* Access logs. */
#include "proxy/config/read_access_log.h"

#include "proto/access_file.pb.h"
#include "proto/access_stream.pb.h"
#include "proto/accesslog.pb.h"

#define LOGGERS "envoy.extensions.access_loggers."

/* Formats are handed to printf-like code later: they end with a NUL. */
static struct span terminated(struct read *rd, struct span text)
{
    return arena_dup(rd->arena, text);
}

static int json_format(struct read *rd, struct conf_access_log *out,
                       const struct pb_protobuf_Struct *format, struct err *err)
{
    out->json = true;
    int rc = read_labels(rd, format, &out->json_fields, &out->json_count, err);
    return rc != 0 ? err_prefix(err, "json_format") : 0;
}

static int substitution(struct read *rd, struct conf_access_log *out,
                        const struct pb_core_SubstitutionFormatString *config, struct err *err)
{
    out->omit_empty = config->omit_empty_values;
    for (uint32_t i = 0; i < config->formatters.count; i++) {
        /* They only add operators, which the log knows or writes as '-'. */
        read_skip(rd, config->formatters.at[i]->name);
    }
    switch (config->format_case) {
    case PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_TEXT_FORMAT:
        out->format = terminated(rd, config->text_format);
        return 0;
    case PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_JSON_FORMAT:
        return json_format(rd, out, config->json_format, err);
    case PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_TEXT_FORMAT_SOURCE: {
        struct span text;
        int rc = read_source(rd, &text, config->text_format_source, err);
        if (rc == 0) {
            out->format = terminated(rd, text);
        }
        return rc != 0 ? err_prefix(err, "text_format_source") : 0;
    }
    default:
        return err_set(err, -ERR_CONFIG, "log_format: format is not set");
    }
}

static int file_log(struct read *rd, struct conf_access_log *out, struct span bytes,
                    struct err *err)
{
    const struct pb_access_file_FileAccessLog *c =
        read_any(rd, &pb_access_file_FileAccessLog_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    out->path = terminated(rd, c->path);
    if (c->path.len == 0) {
        return err_set(err, -ERR_CONFIG, "path is empty");
    }
    switch (c->access_log_format_case) {
    case PB_ACCESS_FILE_FILE_ACCESS_LOG_ACCESS_LOG_FORMAT_FORMAT:
        out->format = terminated(rd, c->format);
        return 0;
    case PB_ACCESS_FILE_FILE_ACCESS_LOG_ACCESS_LOG_FORMAT_JSON_FORMAT:
        return json_format(rd, out, c->json_format, err);
    case PB_ACCESS_FILE_FILE_ACCESS_LOG_ACCESS_LOG_FORMAT_TYPED_JSON_FORMAT:
        return json_format(rd, out, c->typed_json_format, err);
    case PB_ACCESS_FILE_FILE_ACCESS_LOG_ACCESS_LOG_FORMAT_LOG_FORMAT:
        return substitution(rd, out, c->log_format, err);
    default:
        return 0;
    }
}

static int stream_log(struct read *rd, struct conf_access_log *out, bool to_stderr,
                      struct span bytes, struct err *err)
{
    const struct pb_core_SubstitutionFormatString *format = NULL;
    if (to_stderr) {
        const struct pb_access_stream_StderrAccessLog *c =
            read_any(rd, &pb_access_stream_StderrAccessLog_desc, bytes, err);
        if (!c) {
            return -ERR_CONFIG;
        }
        format = c->log_format;
    } else {
        const struct pb_access_stream_StdoutAccessLog *c =
            read_any(rd, &pb_access_stream_StdoutAccessLog_desc, bytes, err);
        if (!c) {
            return -ERR_CONFIG;
        }
        format = c->log_format;
    }
    out->path = to_stderr ? SPAN("/dev/stderr") : SPAN("/dev/stdout");
    return format ? substitution(rd, out, format, err) : 0;
}

static int filter(struct read *rd, struct conf_access_log *out,
                  const struct pb_accesslog_AccessLogFilter *config, struct err *err)
{
    if (!config) {
        return 0;
    }
    if (!config->response_flag_filter) {
        return err_set(err, -ERR_CONFIG, "filter: only response_flag_filter is supported");
    }
    uint32_t count = config->response_flag_filter->flags.count;
    out->any_flag = count == 0;
    out->only_flags = read_spans(rd, config->response_flag_filter->flags.at, count);
    out->only_flag_count = count;
    return 0;
}

static int one(struct read *rd, struct conf_access_log *out,
               const struct pb_accesslog_AccessLog *config, struct err *err)
{
    struct span type = read_type(rd, config->typed_config);
    struct span bytes = config->typed_config ? config->typed_config->value : SPAN_EMPTY;
    int rc = filter(rd, out, config->filter, err);
    if (rc != 0) {
        return rc;
    }
    if (span_is(type, LOGGERS "file.v3.FileAccessLog")) {
        return file_log(rd, out, bytes, err);
    }
    if (span_is(type, LOGGERS "stream.v3.StdoutAccessLog")) {
        return stream_log(rd, out, false, bytes, err);
    }
    if (span_is(type, LOGGERS "stream.v3.StderrAccessLog")) {
        return stream_log(rd, out, true, bytes, err);
    }
    return err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type));
}

int read_access_log(struct read *rd, const struct conf_access_log **out, size_t *count,
                    struct pb_accesslog_AccessLog *const *list, size_t list_count, struct err *err)
{
    struct conf_access_log *logs = arena_array(rd->arena, list_count, sizeof(*logs));
    for (size_t i = 0; i < list_count; i++) {
        int rc = one(rd, &logs[i], list[i], err);
        if (rc != 0) {
            return err_prefix(err, "access_log '%.*s'", SPAN_ARG(list[i]->name));
        }
    }
    *out = logs;
    *count = list_count;
    return 0;
}

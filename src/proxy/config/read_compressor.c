/* Source: envoy.extensions.filters.http.compressor.v3.Compressor, envoy.extensions.compression.gzip.compressor.v3.Gzip; defaults as in Envoy. */
#include "proxy/config/read_compressor.h"

#include "policy/pb_value.h"
#include "proto/compressor.pb.h"
#include "proto/gzip_compressor.pb.h"

#define TYPE_GZIP "envoy.extensions.compression.gzip.compressor.v3.Gzip"
#define MIN_BYTES 30
#define MEMORY_LEVEL 5
#define WINDOW_BITS 12

static const struct span default_types[] = {
    SPAN_INIT("application/javascript"),
    SPAN_INIT("application/ecmascript"),
    SPAN_INIT("application/json"),
    SPAN_INIT("application/x-javascript"),
    SPAN_INIT("application/x-json"),
    SPAN_INIT("application/xhtml+xml"),
    SPAN_INIT("application/xml"),
    SPAN_INIT("image/svg+xml"),
    SPAN_INIT("text/css"),
    SPAN_INIT("text/ecmascript"),
    SPAN_INIT("text/html"),
    SPAN_INIT("text/javascript"),
    SPAN_INIT("text/js"),
    SPAN_INIT("text/jscript"),
    SPAN_INIT("text/plain"),
    SPAN_INIT("text/x-javascript"),
    SPAN_INIT("text/x-js"),
    SPAN_INIT("text/xml"),
};

static int settings(struct read *rd, struct gzip_settings *out,
                    const struct pb_core_TypedExtensionConfig *library, struct err *err)
{
    if (!library || !span_is(read_type(rd, library->typed_config), TYPE_GZIP)) {
        return err_set(err, -ERR_CONFIG, "compressor_library: only %s is supported", TYPE_GZIP);
    }
    const struct pb_gzip_Gzip *c =
        read_any(rd, &pb_gzip_Gzip_desc, library->typed_config->value, err);
    if (!c) {
        return err_prefix(err, "compressor_library");
    }
    uint32_t memory = pb_value_u32(c->memory_level, MEMORY_LEVEL);
    uint32_t window = pb_value_u32(c->window_bits, WINDOW_BITS);
    if (memory < 1 || memory > 9) {
        return err_set(err, -ERR_CONFIG, "memory_level is %u; use 1 to 9", memory);
    }
    if (window < 9 || window > 15) {
        return err_set(err, -ERR_CONFIG, "window_bits is %u; use 9 to 15", window);
    }
    if (c->compression_level < 0 || c->compression_level > 9) {
        return err_set(err, -ERR_CONFIG, "compression_level %d is not known",
                       (int)c->compression_level);
    }
    if (c->compression_strategy < 0 ||
        c->compression_strategy > PB_GZIP_GZIP_COMPRESSION_STRATEGY_FIXED) {
        return err_set(err, -ERR_CONFIG, "compression_strategy %d is not known",
                       (int)c->compression_strategy);
    }
    *out = (struct gzip_settings){.level = (uint8_t)c->compression_level,
                                  .window_bits = (uint8_t)window,
                                  .memory = (uint8_t)memory,
                                  .strategy = (uint8_t)c->compression_strategy};
    return 0;
}

static bool is_on(const struct pb_core_RuntimeFeatureFlag *flag)
{
    return !flag || pb_value_bool(flag->default_value, true);
}

static void take_types(struct read *rd, struct conf_gzip *out, const struct span *list,
                       uint32_t count)
{
    out->types = count > 0 ? read_spans(rd, list, count) : default_types;
    out->type_count = count > 0 ? count : ARRAY_LEN(default_types);
}

/* response_direction_config takes the place of the fields that were there before it. */
static bool response_direction(struct read *rd, struct conf_gzip *out,
                               const struct pb_compressor_Compressor *c)
{
    const struct pb_compressor_Compressor_ResponseDirectionConfig *r = c->response_direction_config;
    if (!r) {
        out->min_bytes = pb_value_u32(c->content_length, MIN_BYTES);
        out->spare_etag = c->disable_on_etag_header;
        out->hide_accept = c->remove_accept_encoding_header;
        take_types(rd, out, c->content_type.at, c->content_type.count);
        return is_on(c->runtime_enabled);
    }
    const struct pb_compressor_Compressor_CommonDirectionConfig *common = r->common_config;
    out->min_bytes = pb_value_u32(common ? common->min_content_length : NULL, MIN_BYTES);
    out->spare_etag = r->disable_on_etag_header;
    out->hide_accept = r->remove_accept_encoding_header;
    out->spared_code_count = r->uncompressible_response_codes.count;
    uint32_t *codes = arena_array(rd->arena, out->spared_code_count + 1, sizeof(*codes));
    for (size_t i = 0; i < out->spared_code_count; i++) {
        codes[i] = r->uncompressible_response_codes.at[i];
    }
    out->spared_codes = codes;
    take_types(rd, out, common ? common->content_type.at : NULL,
               common ? common->content_type.count : 0);
    return is_on(common ? common->enabled : NULL);
}

int read_compressor(struct read *rd, const struct conf_gzip **out,
                    const struct pb_hcm_HttpFilter *f, struct err *err)
{
    const struct pb_compressor_Compressor *c =
        read_any(rd, &pb_compressor_Compressor_desc, f->typed_config->value, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    if (*out != NULL) {
        return err_set(err, -ERR_CONFIG, "there is a compressor before it already");
    }
    if (c->request_direction_config && c->request_direction_config->common_config &&
        is_on(c->request_direction_config->common_config->enabled)) {
        return err_set(err, -ERR_CONFIG, "'request_direction_config' is not supported");
    }
    struct conf_gzip *gzip = arena_new(rd->arena, struct conf_gzip);
    gzip->name = f->name;
    int rc = settings(rd, &gzip->settings, c->compressor_library, err);
    if (rc == 0 && response_direction(rd, gzip, c) && !f->disabled) {
        *out = gzip;
    }
    return rc;
}

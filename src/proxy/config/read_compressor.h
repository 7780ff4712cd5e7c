#ifndef PROXY_CONFIG_READ_COMPRESSOR_H
#define PROXY_CONFIG_READ_COMPRESSOR_H
/* The compressor filter: gzip, of responses. */
#include "proto/hcm.pb.h"
#include "proxy/config/read.h"

MUST_USE int read_compressor(struct read *rd, const struct conf_gzip **out,
                             const struct pb_hcm_HttpFilter *f, struct err *err);
#endif

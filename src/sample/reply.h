#ifndef SAMPLE_REPLY_H
#define SAMPLE_REPLY_H
/* Whole answers of the sample's servers. A caller that is gone is told by its stream's on_close, so none of
 * these reports. */
#include "codec/doc.h"
#include "http/http_server.h"

void reply_text(struct http_stream *s, unsigned status, struct span body);
void reply_html(struct http_stream *s, unsigned status, struct span body);
/* `body` is JSON already. */
void reply_json_text(struct http_stream *s, unsigned status, struct span body);
/* Indented for people when `pretty`. */
void reply_json(struct http_stream *s, unsigned status, const struct doc_node *doc, bool pretty);

/* Replaces a stream's events by ones that only tell of its end: for a handler that answers later. The request
 * was whole before its handler ran. NULL = nothing has to know. */
struct reply_wait {
    void (*on_close)(struct reply_wait *w);
};
void reply_later(struct http_stream *s, struct reply_wait *w);
#endif

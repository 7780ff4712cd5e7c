#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H
/* What the specs of several kinds have in common. In every spec: an array stands beside its count, an
 * absent text is an empty span, a length of time is in milliseconds and SPEC_UNSET when it is not told, and texts and
 * arrays live as long as the object. */
#include "base/compiler.h"
#include "base/span.h"
#include "mesh/selector.h"

#define SPEC_UNSET (-1) /* of numbers for which 0 means something */

/* For those whose absence is not the same as false. */
enum spec_bool { SPEC_BOOL_UNSET, SPEC_BOOL_FALSE, SPEC_BOOL_TRUE };

/* "matchLabels", and Istio's workload selectors: all must be there. None: everything. */
struct spec_labels {
    const struct label *items;
    size_t count;
};

struct spec_texts {
    const struct span *items;
    size_t count;
};

struct spec_ports {
    const uint16_t *items;
    size_t count;
};

/* Istio's StringMatch; Gateway API's match types. */
enum spec_match_kind {
    SPEC_MATCH_NONE, /* no such condition; of a header or query parameter: that it is there */
    SPEC_MATCH_EXACT,
    SPEC_MATCH_PREFIX, /* of bytes */
    SPEC_MATCH_REGEX,  /* of all of the text */
};
struct spec_match {
    enum spec_match_kind kind;
    struct span text;
};
/* Of a header (its name as written) or a query parameter. */
struct spec_named_match {
    struct span name;
    struct spec_match value;
};
struct spec_named_matches {
    const struct spec_named_match *items;
    size_t count;
};

/* A header to be set or added. */
struct spec_header {
    struct span name, value;
};
struct spec_headers {
    const struct spec_header *items;
    size_t count;
};
struct spec_header_ops {
    struct spec_headers set, add;
    struct spec_texts remove;
};

/* targetRefs of policies: an object of the policy's own namespace. */
struct spec_target {
    struct span group, kind, name; /* group "" is core */
};
struct spec_targets {
    const struct spec_target *items;
    size_t count;
};
#endif

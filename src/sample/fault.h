#ifndef SAMPLE_FAULT_H
#define SAMPLE_FAULT_H
/* Misbehaviour of a sample service, switched while it runs, so that people can watch what a mesh makes of it. In
 * words: "status=503", "share=50" (percent of the requests, 100 unless said), "delay=2s", in any order. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/rng.h"
#include "codec/doc.h"

struct fault {
    unsigned status;  /* what to answer; 0 = the true answer */
    int64_t delay_ms; /* before any answer */
    unsigned share;   /* percent of the requests that meet it; 0 = healthy */
};

/* `sep` stands between the words: ',' in an option, '&' in a query. An empty text is the healthy one. */
MUST_USE int fault_parse(struct span text, char sep, struct fault *out, struct err *err);
/* Whether the request in hand meets it. */
bool fault_strikes(const struct fault *f, struct rng *rng);
struct doc_node *fault_to_doc(const struct fault *f, struct arena *arena);
#endif

#ifndef MODEL_SECRET_H
#define MODEL_SECRET_H
/* v1 Secret, for certificates of gateways: type kubernetes.io/tls (tls.crt, tls.key, ca.crt), or Istio's generic ones (cert, key, cacert).
 * What else a Secret holds is not read. Values never appear in findings; who shows an object to people shows secret_veil of it. */
#include "model/object.h"
#include "model/spec.h"

struct secret_spec {
    bool tls;              /* type kubernetes.io/tls */
    struct span cert, key; /* PEM; empty: none */
    struct span ca;        /* PEM of the roots that clients are checked with */
    struct span crl;
};

static inline const struct secret_spec *secret_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_SECRET);
    return o->spec;
}
/* Why it can not serve as a certificate with its key ("there is no 'tls.key'"); NULL: it can, as far as PEM tells. */
const char *secret_pair_fault(const struct object *o);
/* The same of its roots. */
const char *secret_roots_fault(const struct object *o);
/* The document without the values of `data` and `stringData`, if it is a Secret; else as it is. */
struct doc_node *secret_veil(const struct object *o, struct arena *arena);
#endif

/* Paths of the Kubernetes API.
 * In: a kind, a namespace, a name. Out: the path of a request. */
#include "kube/kube_path.h"

#include "base/buf.h"
#include "codec/url.h"

#define PATH_MAX_BYTES 8192

/* Characters that a segment of a path may hold as they are (RFC 3986 section 3.3). */
static int add_segment(struct buf *to, const char *before, struct span text)
{
    int code = buf_append_span(to, span_of(before));
    return code != 0 ? code : url_encode(text, "!$&'()*+,;=:@", to);
}

const char *kube_path(struct arena *arena, const struct kube_kind *kind, struct span ns,
                      struct span name, const char *sub)
{
    struct buf path;
    buf_init(&path, PATH_MAX_BYTES + 3 * (ns.len + name.len) + (sub != NULL ? strlen(sub) : 0));
    int code = kind->group[0] == '\0' ? buf_append_span(&path, SPAN("/api"))
                                      : add_segment(&path, "/apis/", span_of(kind->group));
    code |= add_segment(&path, "/", span_of(kind->version));
    if (kind->namespaced && ns.len > 0) {
        code |= add_segment(&path, "/namespaces/", ns);
    }
    code |= add_segment(&path, "/", span_of(kind->plural));
    if (name.len > 0) {
        code |= add_segment(&path, "/", name);
    }
    if (sub != NULL) {
        code |= buf_printf(&path, "/%s", sub);
    }
    ASSERT(code == 0); /* it was made large enough */
    const char *text = arena_cstr(arena, buf_span(&path));
    buf_dispose(&path);
    return text;
}

#ifndef XDS_XDS_TABLE_H
#define XDS_XDS_TABLE_H
/* What one end of a stream remembers, by type and name: shared by the four bookkeepers (delta and sotw,
 * client and server). XDS_WILDCARD is a name like any other here. Names keep the order in which they
 * came. */
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "xds/xds.h"

/* Flags of a name. */
enum {
    XDS_ASKED = 1, /* the client wants it */
    XDS_TOLD = 2,  /* client: the server knows what we want; server: the client had its answer */
    XDS_HELD = 4,  /* the client has it, in `version` */
    XDS_SEEN = 8,  /* in the sweep in hand */
};

struct xds_name {
    struct list node;
    char *version; /* owned; NULL unless XDS_HELD */
    size_t version_len;
    unsigned flags;
    size_t len;
    char text[];
};

struct xds_type {
    struct span url; /* owned */
    struct list names;
    struct map by_name;
    char *nonce;     /* owned; of the last response in this stream, or NULL */
    char *version;   /* owned; sotw: last accepted; or NULL */
    bool is_open;    /* a request for it was made in this stream */
    bool changed;    /* client: something is to be said; server: the first answer is due */
    bool is_waiting; /* server: the response with this nonce is not answered yet */
};

struct xds_table {
    struct xds_type types[XDS_TYPES_MAX];
    unsigned count;
};

void xds_table_init(struct xds_table *t);
void xds_table_dispose(struct xds_table *t);
/* NULL when there is none. */
struct xds_type *xds_table_find(struct xds_table *t, struct span url);
/* Adds it; NULL over XDS_TYPES_MAX or XDS_NAME_BYTES_MAX. */
struct xds_type *xds_table_need(struct xds_table *t, struct span url);

struct xds_name *xds_table_name(const struct xds_type *type, struct span name);
/* Adds it; NULL over XDS_NAMES_MAX or XDS_NAME_BYTES_MAX. */
struct xds_name *xds_table_need_name(struct xds_type *type, struct span name);
void xds_table_drop(struct xds_type *type, struct xds_name *name);
bool xds_table_asks(const struct xds_type *type, struct span name);
bool xds_table_asks_all(const struct xds_type *type);
/* Sets XDS_HELD with this version. */
void xds_table_hold(struct xds_name *name, struct span version);
void xds_table_release(struct xds_name *name);
static inline struct span xds_table_text(const struct xds_name *name)
{
    return (struct span){name->text, name->len};
}
static inline struct span xds_table_version(const struct xds_name *name)
{
    return (struct span){name->version, name->version_len};
}
/* Replaces an owned text. */
void xds_table_set(char **text, struct span value);
/* To use in the body `n` may be dropped. */
#define XDS_TABLE_EACH(n, type)                                                                  \
    for (struct list *node_ = (type)->names.next, *next_ = node_->next; node_ != &(type)->names; \
         node_ = next_, next_ = node_->next)                                                     \
        for (struct xds_name *n = list_item(node_, struct xds_name, node); n; n = NULL)
#endif

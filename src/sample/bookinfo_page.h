#ifndef SAMPLE_BOOKINFO_PAGE_H
#define SAMPLE_BOOKINFO_PAGE_H
/* The pages of the book shop, as self-contained HTML in the structure that people and scripts look for in Bookinfo:
 * the title, "Book Details", "Book Reviews", one glyphicon-star a star in a <font> of the version's colour. */
#include "base/buf.h"
#include "codec/doc.h"

struct bookinfo_page {
    const char *title;                        /* of the book */
    const char *description;                  /* text */
    struct span user;                         /* who is signed in; empty = nobody */
    const struct doc_node *details, *reviews; /* NULL: the service did not answer well */
};

/* -ERR_LIMIT when `out` is full. */
MUST_USE int bookinfo_page_product(const struct bookinfo_page *page, struct buf *out);
MUST_USE int bookinfo_page_index(struct buf *out);
#endif

#ifndef CLI_DEMO_DESK_H
#define CLI_DEMO_DESK_H
/* Where a running demo takes orders: HTTP on demo.sock in its folder (owner only).
 *
 *   GET  /status                  demo_to_doc
 *   POST /break?what=ratings      an application answers 503 (or &how=..., words of `mesh sample --break`); "control" ends it
 *   POST /heal                    all that was broken
 */
#include "base/compiler.h"
#include "base/err.h"

struct demo;
struct demo_desk;
MUST_USE int demo_desk_open(struct demo_desk **out, struct demo *d, struct err *err);
/* NULL is fine. */
void demo_desk_close(struct demo_desk *desk);
#endif

#ifndef SIM_H2_TEXT_H
#define SIM_H2_TEXT_H
/* What a peer got on an HTTP/2 connection, as text, one line a frame:
 *   "H1e :status=200|a=b\n" "D1 bytes\n" "R1=8\n" "G=0\n"     e = END_STREAM
 * SETTINGS, PING, WINDOW_UPDATE and the client's preface are left out; empty DATA stays. */
#include "base/arena.h"
#include "base/span.h"

/* All bytes from the beginning of the connection (HPACK has a memory); the text lives in `arena`. */
const char *h2_text(struct arena *arena, struct span bytes);
#endif

#ifndef UNIT_HTTP_FRAMES_H
#define UNIT_HTTP_FRAMES_H
/* HTTP/2 frames from text and back, so that a test can say what a peer sends in one line (RFC 9113 section
 * 4.1, 6). Frames are separated by ';':
 *
 *   H<id>[e][-] name=value|name=value    HEADERS; e = END_STREAM, - = without END_HEADERS
 *   C<id>[-] name=value                  CONTINUATION
 *   D<id>[e] text                        DATA; "*<n>" = n bytes
 *   R<id> code   S[a] id=value|...   P[a]   W<id> increment   G code   Y<id> depends (PRIORITY)
 *   X<type>.<flags>.<id> hex             any frame
 *   M                                    the client's preface
 * and "Q" in a field list stands for :method=GET|:scheme=http|:path=/|:authority=a */
#include "base/buf.h"

/* Appends the frames of `script`. */
void frames_write(struct buf *to, const char *script);
/* What a peer got, in the same form but shorter: "H1 D1e R3=1 G=1"; SETTINGS, PING and WINDOW_UPDATE are
 * left out, but for acknowledgements of PING ("Pa"). Returns `text`. */
char *frames_read(struct span bytes, char *text, size_t room);
#endif

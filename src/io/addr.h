#ifndef IO_ADDR_H
#define IO_ADDR_H
/* A transport address: IP and port, the path of a unix socket ('@' first for the abstract kind), or the name of a listener of this
 * process, which is no address of the kernel. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "codec/ip.h"

enum addr_kind { ADDR_NONE, ADDR_IP, ADDR_UNIX, ADDR_INTERNAL };

struct addr {
    enum addr_kind kind;
    struct ip ip;
    uint16_t port;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* ADDR_UNIX; ADDR_INTERNAL: the name */
};

#define ADDR_TEXT_BYTES 128

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock", "unix:@name"; -ERR_CONFIG otherwise. */
MUST_USE int addr_parse(struct span text, struct addr *out, struct err *err);
/* Text as addr_parse reads it, in `to` (ADDR_TEXT_BYTES); returns `to`. */
char *addr_format(const struct addr *a, char *to);
bool addr_eq(const struct addr *a, const struct addr *b);
/* v4-mapped IPv6 addresses become IPv4. */
void addr_from_sockaddr(struct addr *out, const struct sockaddr *from, socklen_t len);
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *to);
#endif

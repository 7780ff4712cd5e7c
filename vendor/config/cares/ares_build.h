/* c-ares: the types of its public headers, on Linux. */
#ifndef MESH_ARES_BUILD_H
#define MESH_ARES_BUILD_H
#define CARES_TYPEOF_ARES_SOCKLEN_T socklen_t
#define CARES_TYPEOF_ARES_SSIZE_T ssize_t
#define CARES_HAVE_SYS_TYPES_H 1
#define CARES_HAVE_SYS_SOCKET_H 1
#define CARES_HAVE_SYS_SELECT_H 1
#define CARES_HAVE_ARPA_NAMESER_H 1
#define CARES_HAVE_ARPA_NAMESER_COMPAT_H 1
#include <sys/types.h>
#include <sys/socket.h>
typedef CARES_TYPEOF_ARES_SSIZE_T ares_ssize_t;
typedef CARES_TYPEOF_ARES_SOCKLEN_T ares_socklen_t;
#endif

#ifndef BASE_BANNED_H
#define BASE_BANNED_H
/* Functions that do not compile here. The Makefile puts this before every file of ours (-include), so
 * that nobody can forget it; the headers that declare the banned ones come first, or they would fail.
 * Instead of strcpy, sprintf ...: span, buf, snprintf; of atoi: span_to_u64; of getaddrinfo and the
 * other NSS calls: io/resolver (NSS is not there in an empty root); of gmtime: codec/date. */
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol atoll
#pragma GCC poison getaddrinfo gethostbyname getservbyname getpwnam getpwuid
#pragma GCC poison gmtime localtime ctime asctime strtok rand srand tmpnam mktemp
#endif

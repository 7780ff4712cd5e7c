/* What the floor programs share: sockets on loopback, the clock, arguments. */
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void floor_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void no_delay(int fd)
{
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1) {
        floor_die("setsockopt TCP_NODELAY");
    }
}

int floor_listen(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in a = loopback(port);
    if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
        bind(fd, (const struct sockaddr *)&a, sizeof(a)) == -1 || listen(fd, 1024) == -1) {
        floor_die("listen");
    }
    return fd;
}

int floor_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = loopback(port);
    if (fd == -1) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == -1) {
        (void)close(fd);
        return -1;
    }
    no_delay(fd);
    return fd;
}

int floor_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd != -1) {
        no_delay(fd);
    }
    return fd;
}

void floor_ready(int listener)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    if (getsockname(listener, (struct sockaddr *)&a, &len) == -1) {
        floor_die("getsockname");
    }
    printf("ready %d\n", ntohs(a.sin_port));
    (void)fflush(stdout);
}

long floor_number(const char *name, const char *text, long min, long max)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < min || n > max) {
        fprintf(stderr, "%s is '%s'; use %ld to %ld\n", name, text, min, max);
        exit(2);
    }
    return n;
}

int64_t floor_now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) == -1) {
        floor_die("clock_gettime");
    }
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* libev as mesh builds it: epoll alone (poll as the way out), the kernel's clock, signals through an eventfd. */
#ifndef MESH_EV_CONFIG_H
#define MESH_EV_CONFIG_H
/* What a configure script would have found: without it libev leaves the backend out, whatever is asked below. */
#define HAVE_EPOLL_CTL 1
#define HAVE_SYS_EPOLL_H 1
#define HAVE_POLL 1
#define HAVE_POLL_H 1
#define HAVE_EVENTFD 1
#define HAVE_SYS_EVENTFD_H 1
#define HAVE_INOTIFY_INIT 1
#define HAVE_SYS_INOTIFY_H 1
#define HAVE_CLOCK_GETTIME 1
#define HAVE_NANOSLEEP 1
#define HAVE_FLOOR 1
#define EV_USE_EPOLL 1
#define EV_USE_POLL 1
#define EV_USE_SELECT 0
#define EV_USE_LINUXAIO 0
#define EV_USE_IOURING 0
#define EV_USE_INOTIFY 1
#define EV_USE_SIGNALFD 0
#define EV_USE_TIMERFD 0
#define EV_USE_EVENTFD 1
#define EV_USE_CLOCK_SYSCALL 0
#define EV_USE_MONOTONIC 1
#define EV_USE_REALTIME 1
#define EV_USE_NANOSLEEP 1
#define EV_USE_FLOOR 1
#endif

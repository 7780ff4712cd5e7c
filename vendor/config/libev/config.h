/* libev as mesh builds it: epoll alone (poll as the way out), the kernel's clock, signals through an eventfd. */
#ifndef MESH_EV_CONFIG_H
#define MESH_EV_CONFIG_H
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

#ifndef PROXY_PROXY_NUMBERS_H
#define PROXY_PROXY_NUMBERS_H
/* What the main thread counts about configuration, under Envoy's names (listener_manager.lds.update_rejected ...).
 * Main thread only; plain numbers. */
#include "base/compiler.h"

enum proxy_update {
    PROXY_UPDATE_ATTEMPT,
    PROXY_UPDATE_SUCCESS,
    PROXY_UPDATE_REJECTED,
    PROXY_UPDATE_FAILURE,
    PROXY_UPDATE_COUNT
};

struct proxy_numbers {
    uint64_t lds[PROXY_UPDATE_COUNT],
        cds[PROXY_UPDATE_COUNT]; /* the other types count with neither */
    uint64_t listeners_added, listeners_modified, listeners_removed;
    uint64_t listener_create_failures;
    uint64_t cp_connected; /* 1 while the stream is there */
    uint64_t snapshots;
};
#endif

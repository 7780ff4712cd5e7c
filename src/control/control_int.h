#ifndef CONTROL_CONTROL_INT_H
#define CONTROL_CONTROL_INT_H
/* What the files of the control process share: its options and its parts. Main thread. */
#include "base/opt.h"
#include "ca/ca.h"
#include "control/api/api.h"
#include "control/control_kube.h"
#include "control/insight/insight.h"
#include "control/monitoring.h"
#include "control/owners.h"
#include "control/push/push.h"
#include "control/sources/from_files.h"
#include "control/sources/from_store.h"
#include "control/sources/source.h"
#include "control/world/world.h"
#include "http/host.h"
#include "io/deadline.h"
#include "io/mailbox.h"
#include "io/signals.h"
#include "store/store.h"

struct control_settings {
    struct opt_list config_dirs;
    const char *data_dir, *socket, *api_address, *xds_address, *xds_plain_address,
        *monitoring_address, *trust_domain, *log_level, *kubeconfig, *context, *webhook_address;
    int64_t workers, leaf_ttl_ms;
    int log_format;
    bool kubernetes;
};
extern const struct opt_spec control_options;

#define CONTROL_FOLDERS_MAX 16

struct control {
    struct control_settings set;
    struct arena arena; /* texts of the options */
    struct loop *loop;
    struct mailbox *mailbox;
    struct signals *signals;
    struct host *host; /* "api", "api-socket", "monitoring" */
    struct host_check *check_objects, *check_world;
    struct store *store;
    struct ca *ca;
    struct sources *sources;
    struct from_files *files[CONTROL_FOLDERS_MAX];
    size_t file_count;
    struct from_store *stored;
    struct world_builder *builder;
    struct world *world; /* of now; NULL before the first */
    struct push *push;
    struct destinations *destinations;
    struct insight *insight;
    struct owners owners;
    struct monitoring monitoring;
    struct api api;
    struct control_kube *kube; /* NULL outside Kubernetes */
    struct deadline settle;    /* changes that come together make one world */
    struct deadline begin;     /* everything is read: the first world, then the servers */
    bool store_is_loaded, kube_is_synced, has_begun;
    int64_t started_us;
    int status; /* of the process */
    struct err failure;
};
#endif

#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H
/* One workload or service in a dozen lines, out of what control and the cluster know: facts with names, in the order in which they are read. Only reads
 * documents; cmd_describe gathers them. Words: ux 2.9 no. 8. */
#include "cli/verb.h"

struct describe {
    struct verb *verb; /* borrowed */
    const struct doc_node
        *pod; /* Pod or WorkloadEntry; NULL: a service, or only a proxy is known */
    const struct doc_node *service; /* NULL: a workload */
    const struct doc_node
        *proxy;                /* of the pod, as /api/v1/proxies has it; NULL = none is connected */
    const char *ns, *workload; /* "default", "reviews-v3" */
    const char *no_proxy,
        *no_proxy_fix; /* why the pod has none; NULL = it has one, or nobody knows */
    /* Lists of all there are; those that concern it are picked. NULL = not known. */
    const struct doc_node *pods, *services, *proxies, *edges, *certs, *rules, *peers, *policies,
        *findings;
    const struct doc_node
        *routes; /* list of /api/v1/routes' items, of the services that it is an endpoint of */
    /* out */
    struct doc_node *facts; /* {name, text}: names may come several times */
};

/* Labels of a Pod or WorkloadEntry; NULL = none. */
const struct doc_node *describe_labels(const struct doc_node *pod);
/* Whether a Service's selector takes it. */
bool describe_is_selected(const struct doc_node *service, const struct doc_node *pod);
/* "reviews-v3" of a pod of that Deployment; of others the owner's name, or its own. */
const char *describe_workload(struct verb *v, const struct doc_node *pod);
void describe_facts(struct describe *d);
#endif

/* In: control.c. Next: cluster/cluster, sources/from_kube, injector. */
#include "control/control_kube.h"

#include "base/log.h"
#include "base/mem.h"
#include "control/cluster/cluster.h"
#include "control/control_int.h"
#include "control/sources/from_kube.h"
#include "kube/token_review.h"

/* What a proof may be made out to: Istio's name, which the pods of its injector have too, and ours. */
static const char *const audiences[] = {"istio-ca", "mesh", NULL};

struct control_kube {
    struct cluster *cluster;
    struct token_reviews *reviews;
    struct from_kube *objects;
};

int control_kube_open(struct control *c, const char *data_dir, struct err *err)
{
    struct control_kube *k = mem_new(struct control_kube);
    c->kube = k;
    int code = cluster_open(&k->cluster,
                            &(struct cluster_spec){.loop = c->loop,
                                                   .kubeconfig = c->set.kubeconfig,
                                                   .context = c->set.context},
                            err);
    return code ? code : cluster_bring_root(k->cluster, data_dir, err);
}

int control_kube_join(struct control *c, const char *data_dir, void (*on_synced)(void *arg),
                      void *arg, struct err *err)
{
    struct control_kube *k = c->kube;
    int code = cluster_keep_root(k->cluster, data_dir, err);
    code = code ? code : cluster_api_token(k->cluster, &c->api.token, err);
    if (code != 0) {
        return code;
    }
    k->reviews = token_reviews_new(cluster_client(k->cluster), audiences);
    ca_set_reviews(c->ca, k->reviews);
    k->objects = from_kube_new(&(struct from_kube_spec){.client = cluster_client(k->cluster),
                                                        .sources = c->sources,
                                                        .on_synced = on_synced,
                                                        .arg = arg});
    return 0;
}

int control_kube_serve(struct control *c, struct err *err)
{
    UNUSED(err);
    cluster_begin(c->kube->cluster, ca_roots_pem(c->ca));
    cluster_world(c->kube->cluster, c->world);
    return 0;
}

void control_kube_world(struct control *c, struct world *w)
{
    if (c->kube) {
        cluster_world(c->kube->cluster, w);
    }
}

void control_kube_end(struct control *c)
{
    if (c->kube) {
        from_kube_free(c->kube->objects);
        c->kube->objects = NULL;
    }
}

void control_kube_free(struct control *c)
{
    if (c->kube) {
        token_reviews_free(c->kube->reviews);
        cluster_free(c->kube->cluster);
        mem_free(c->kube);
        c->kube = NULL;
    }
}

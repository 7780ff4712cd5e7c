/* kubeconfig texts: what is taken is whole, and what is not says why and leaves nothing behind. */
#include "kube/kube_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_conf conf;
    struct err err = {.code = 0};
    struct span text = span_from(data, size);
    if (span_find(text, SPAN("/dev/")) >= 0) {
        return 0; /* it may name files, and some of those never end */
    }
    int code = kube_conf_parse(&conf, text, "fuzz", "/nonexistent", NULL, &err);
    if (code != 0) {
        ASSERT(code == -ERR_CONFIG && err.code == code && err.text[0] != '\0');
        return 0;
    }
    ASSERT(conf.server.len > 0 && conf.context.len > 0 && conf.namespace.len > 0);
    ASSERT((conf.cert_pem.len > 0) == (conf.key_pem.len > 0));
    ASSERT(conf.exec == NULL || conf.exec->argv[0] != NULL);
    kube_conf_dispose(&conf);
    return 0;
}

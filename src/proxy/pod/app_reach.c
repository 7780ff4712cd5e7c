/* Where an application of this pod may listen: see app_reach.h. */
#include "proxy/pod/app_reach.h"

#include <errno.h>

static void add(struct app_reach *r, const struct ip *to, const struct ip *from)
{
    if (r->count == APP_REACH_MAX || app_reach_has(r, to)) {
        return;
    }
    r->hops[r->count].to = (struct addr){.kind = ADDR_IP, .ip = *to};
    r->hops[r->count].from =
        (struct addr){.kind = from != NULL ? ADDR_IP : ADDR_NONE, .ip = from ? *from : *to};
    r->count++;
}

void app_reach_init(struct app_reach *r, const struct ip *own, size_t count)
{
    static const struct ip loopback_v4 = {4, {127, 0, 0, 1}}, loopback_v6 = {6, {[15] = 1}};
    static const struct ip aside_v4 = {4, {127, 0, 0, 6}}, aside_v6 = {6, {[15] = 6}};
    bool has_v4 = count == 0, has_v6 = false;
    count = size_min(count, APP_REACH_OWN_MAX);
    for (size_t i = 0; i < count; i++) {
        has_v4 = has_v4 || own[i].family == 4;
        has_v6 = has_v6 || own[i].family == 6;
    }
    *r = (struct app_reach){.count = 0};
    if (has_v4) {
        add(r, &loopback_v4, NULL);
    }
    if (has_v6) {
        add(r, &loopback_v6, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        add(r, &own[i], own[i].family == 4 ? &aside_v4 : &aside_v6);
    }
}

bool app_reach_has(const struct app_reach *r, const struct ip *ip)
{
    for (size_t i = 0; i < r->count; i++) {
        if (ip_eq(&r->hops[i].to.ip, ip)) {
            return true;
        }
    }
    return false;
}

bool app_reach_goes_on(int code)
{
    return code == -ECONNREFUSED || code == -EADDRNOTAVAIL || code == -ENETUNREACH ||
           code == -EHOSTUNREACH || code == -EAFNOSUPPORT || code == -EINVAL;
}

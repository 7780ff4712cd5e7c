#ifndef MESH_PORTS_H
#define MESH_PORTS_H
/* Ports that users, probes and other meshes know already: Istio's ("Ports used by Istio",
 * istio.io/latest/docs/ops/deployment/application-requirements). */

enum mesh_port {
    PORT_ADMIN = 15000,        /* proxy: admin, loopback only */
    PORT_OUTBOUND = 15001,     /* proxy: traffic from the application */
    PORT_PROBE = 15002,        /* init: checks that redirection works */
    PORT_INBOUND = 15006,      /* proxy: traffic to the application */
    PORT_HBONE = 15008,        /* proxy: HTTP/2 CONNECT over mutual TLS */
    PORT_XDS_PLAIN = 15010,    /* control: xDS without TLS */
    PORT_XDS_TLS = 15012,      /* control: xDS and CA over TLS */
    PORT_MONITORING = 15014,   /* control: metrics and debug */
    PORT_WEBHOOK = 15017,      /* injector, validation */
    PORT_MERGED_STATS = 15020, /* proxy: application's and own metrics, probes */
    PORT_HEALTH = 15021,       /* proxy: /healthz/ready */
    PORT_DNS = 15053,          /* proxy: DNS capture */
    PORT_API = 15080,          /* control: API and dashboard */
    PORT_STATS = 15090,        /* proxy: own metrics */
    PORT_EAST_WEST = 15443,    /* gateway: mutual TLS passed through by SNI */
};

/* The user and group a proxy runs as, which redirection leaves alone. */
#define MESH_PROXY_UID 1337
#endif

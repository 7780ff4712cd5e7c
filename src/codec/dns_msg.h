#ifndef CODEC_DNS_MSG_H
#define CODEC_DNS_MSG_H
/* DNS messages, RFC 1035 section 4, with EDNS's payload size (RFC 6891). Names are text in lower case
 * without the final dot ("reviews.default.svc.cluster.local", "" is the root); labels that text can not
 * show (dots, controls, bytes above 126) are refused. Compression pointers must point backwards, so they
 * end. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "codec/ip.h"

#define DNS_NAME_BYTES 254      /* 253 characters and a NUL */
#define DNS_RECORDS_MAX 256     /* of one message, all sections */
#define DNS_UDP_BYTES 512       /* without EDNS */
#define DNS_MESSAGE_BYTES 65535 /* over TCP */

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_OPT = 41,
    DNS_ANY = 255,
};

enum dns_rcode {
    DNS_NO_ERROR = 0,
    DNS_FORMAT_ERROR = 1,
    DNS_SERVER_FAILURE = 2,
    DNS_NAME_ERROR = 3,
    DNS_NOT_IMPLEMENTED = 4,
    DNS_REFUSED = 5,
};

struct dns_head {
    uint16_t id;
    uint8_t opcode;
    uint8_t rcode; /* enum dns_rcode, or another */
    bool is_response;
    bool is_authoritative;
    bool is_truncated;
    bool wants_recursion;
    bool offers_recursion;
};

struct dns_question {
    struct span name;
    uint16_t type;
    uint16_t class; /* 1 = internet */
};

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dns_record {
    enum dns_section section;
    struct span name;
    uint16_t type;
    uint16_t class;
    uint32_t ttl_s;
    struct ip ip;                    /* A, AAAA */
    struct span target;              /* CNAME, PTR, NS, SRV */
    uint16_t priority, weight, port; /* SRV */
    struct span raw;                 /* data of the other types; points into the message */
};

struct dns_msg {
    struct dns_head head;
    struct dns_question question; /* the only one; count 0 or above 1 is refused */
    struct dns_record *records;   /* without OPT */
    size_t record_count;
    uint16_t udp_bytes; /* the sender's EDNS payload size, at least DNS_UDP_BYTES; 0 = no EDNS */
};

/* Names live in the arena. 0; -ERR_PROTO when malformed; -ERR_LIMIT. */
MUST_USE int dns_msg_parse(struct dns_msg *out, struct span bytes, struct arena *arena);

/* Building: start, then records section by section, then finish. What does not fit sets the TC bit and
 * is left out, whole. */
struct dns_msg_writer {
    /* private */
    uint8_t *at; /* borrowed */
    size_t room;
    size_t len;
    uint16_t name_at[32]; /* where names already stand, for compression */
    size_t name_count;
    uint16_t counts[3];
    bool is_full;
};

/* Head and question. `room` bounds the message (DNS_UDP_BYTES, the peer's udp_bytes, DNS_MESSAGE_BYTES) and must
 * hold the question: -ERR_LIMIT otherwise; -ERR_PROTO for a name that is none. */
MUST_USE int dns_msg_start(struct dns_msg_writer *w, void *to, size_t room,
                           const struct dns_head *head, const struct dns_question *question);
/* A, AAAA, CNAME, PTR, NS, SRV, or `raw` for others; sections in their order. -ERR_PROTO for a bad name. */
MUST_USE int dns_msg_add(struct dns_msg_writer *w, const struct dns_record *record);
/* Adds our OPT record if `udp_bytes` is not 0, fixes the counts; returns the length. */
size_t dns_msg_finish(struct dns_msg_writer *w, uint16_t udp_bytes);
/* The address that a reverse name ("1.0.0.10.in-addr.arpa", nibbles under ip6.arpa) asks for. */
MUST_USE int dns_msg_reverse_ip(struct span name, struct ip *out);
#endif

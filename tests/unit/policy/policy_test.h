#ifndef UNIT_POLICY_TEST_H
#define UNIT_POLICY_TEST_H
/* Configuration from YAML as it comes over the wire, and requests from one line of text. */
#include "base/arena.h"
#include "codec/doc.h"
#include "codec/pb.h"
#include "codec/pb_json.h"
#include "policy/traffic.h"
#include "proto/types.pb.h"

/* Encoded and decoded again, so that the code under test sees what a control plane would have sent. */
static inline void *policy_test_read(struct arena *arena, const struct pb_desc *desc,
                                     const char *yaml)
{
    struct err err = {0};
    struct doc_node *doc = NULL;
    if (doc_parse_yaml(arena, span_of(yaml), "t.yaml", &doc, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    void *msg = pb_json_read(&proto_types, desc, arena, doc, &err);
    if (!msg) {
        print_error("%s\n", err.text);
        fail();
    }
    msg = pb_decode(desc, arena, pb_encode_in(desc, msg, arena), &err);
    assert_non_null(msg);
    return msg;
}

/* "name: value|name: value" */
static inline void policy_test_fields(struct arena *arena, const char *text, struct traffic *tr)
{
    struct header *fields = arena_array(arena, 16, sizeof(*fields));
    struct span rest = text ? span_of(text) : SPAN_EMPTY;
    while (rest.at && rest.len > 0) {
        struct span part = span_cut(&rest, '|');
        struct span name = span_cut(&part, ':');
        assert_true(tr->field_count < 16);
        fields[tr->field_count++] = (struct header){span_trim(name), span_trim(part)};
    }
    tr->fields = fields;
}

static inline struct ip policy_test_ip(const char *text)
{
    struct ip ip = {0};
    if (text) {
        assert_int_equal(ip_parse(span_of(text), &ip), 0);
    }
    return ip;
}
#endif

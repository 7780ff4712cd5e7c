/* PeerAuthentication. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/peer_authentication.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct peer_authentication_spec *s = peer_authentication_of(
        model_test_good(state, "apiVersion: security.istio.io/v1\n"
                               "kind: PeerAuthentication\n"
                               "metadata: {name: default}\n"
                               "spec:\n"
                               "  selector: {matchLabels: {app: a}}\n"
                               "  mtls: {mode: STRICT}\n"
                               "  portLevelMtls: {8080: {mode: DISABLE}, 8081: {}}\n"));
    assert_int_equal(s->selector.count, 1);
    assert_int_equal(s->mode, PEER_AUTHENTICATION_STRICT);
    assert_int_equal(s->port_count, 2);
    assert_int_equal(s->ports[0].port, 8080);
    assert_int_equal(s->ports[0].mode, PEER_AUTHENTICATION_DISABLE);
    assert_int_equal(s->ports[1].mode, PEER_AUTHENTICATION_UNSET);
}

static void may_say_nothing(void **state)
{
    const struct peer_authentication_spec *s = peer_authentication_of(model_test_good(
        state,
        "apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: default}\n"));
    assert_int_equal(s->mode, PEER_AUTHENTICATION_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
        MODEL_TEST(may_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

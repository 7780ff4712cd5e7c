/* base/list: order, removal, splicing. */
#include "base/list.h"

#include "unit/cm.h"

struct item {
    char letter;
    struct list node;
};

static const char *letters(struct list *head)
{
    static char text[16];
    size_t len = 0;
    LIST_EACH(node, next, head) {
        text[len++] = list_item(node, struct item, node)->letter;
    }
    text[len] = '\0';
    return text;
}

static void keeps_order(void **state)
{
    UNUSED(state);
    struct list head = LIST_INIT(head);
    struct list other = LIST_INIT(other);
    struct item items[] = {{.letter = 'a'}, {.letter = 'b'}, {.letter = 'c'}, {.letter = 'd'}};
    assert_true(list_is_empty(&head));
    assert_null(list_pop_front(&head));
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    list_push_back(&other, &items[3].node);
    list_splice(&head, &other);
    list_splice(&head, &other); /* empty by now */
    assert_string_equal(letters(&head), "abcd");
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_false(list_is_linked(&items[1].node));
    assert_string_equal(letters(&head), "acd");
    assert_ptr_equal(list_pop_front(&head), &items[0].node);
    LIST_EACH(node, next, &head) {
        list_remove(node);
    }
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

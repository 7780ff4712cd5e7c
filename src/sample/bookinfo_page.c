/* The book shop as HTML. What services said is escaped; `put` gathers failure, so that pages read as pages. */
#include "sample/bookinfo_page.h"

#define STARS_MAX 5

/* Where a page grows; after the first failure nothing more is added. */
struct page {
    struct buf *out;
    int code;
};

static void put(struct page *p, const char *html)
{
    p->code = p->code == 0 ? buf_append_span(p->out, span_of(html)) : p->code;
}

static void put_escaped(struct page *p, struct span text)
{
    for (size_t i = 0; i < text.len && p->code == 0; i++) {
        char c = text.at[i];
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
            p->code = buf_printf(p->out, "&#%d;", c);
        } else {
            p->code = buf_append_byte(p->out, c);
        }
    }
}

/* A text or number of a map. */
static void put_value(struct page *p, const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    if (doc_is(node, DOC_TEXT)) {
        put_escaped(p, node->text);
    } else if (doc_is(node, DOC_INT) && p->code == 0) {
        p->code = buf_printf(p->out, "%lld", (long long)node->integer);
    }
}

static void put_top(struct page *p)
{
    put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<title>Simple Bookstore App</title>\n<style>\n"
           "body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1d2733;background:#f6f7f9}\n"
           "nav{background:#1d2733;color:#fff;padding:.7em 1.5em;display:flex;gap:1em}\n"
           "nav a{color:#fff} nav form,nav span{margin-left:auto}\n"
           "main{max-width:60em;margin:auto;padding:1em 1.5em}\n"
           ".row{display:grid;grid-template-columns:repeat(auto-fit,minmax(18em,1fr));gap:1em}\n"
           "section{background:#fff;border-radius:.5em;padding:.5em 1.5em;"
           "box-shadow:0 1px 3px #0002}\n"
           "blockquote{margin:1em 0;padding-left:1em;border-left:3px solid #cdd5df}\n"
           "small{color:#5b6b7c;display:block} .glyphicon-star::before{content:\"\\2605\"}\n"
           "dt{font-weight:600} dd{margin:0 0 .4em} .error{color:#a4161a}\n"
           "</style>\n</head>\n<body>\n");
}

static void put_sign_in(struct page *p, struct span user)
{
    put(p, "<nav class=\"navbar\">\n<a href=\"/\">BookInfo Sample</a>\n");
    if (user.len > 0) {
        put(p, "<span><b>");
        put_escaped(p, user);
        put(p, "</b> (<a href=\"/logout\">sign out</a>)</span>\n");
    } else {
        put(p, "<form method=\"post\" action=\"/login\">\n"
               "<input name=\"username\" placeholder=\"User Name\" aria-label=\"User Name\">\n"
               "<input name=\"passwd\" type=\"password\" placeholder=\"Password\" "
               "aria-label=\"Password\">\n<button type=\"submit\">Sign in</button>\n</form>\n");
    }
    put(p, "</nav>\n");
}

static void put_details(struct page *p, const struct bookinfo_page *page)
{
    static const struct {
        const char *label, *key;
    } rows[] = {
        {"Type", "type"},         {"Pages", "pages"},     {"Publisher", "publisher"},
        {"Language", "language"}, {"ISBN-10", "ISBN-10"}, {"ISBN-13", "ISBN-13"},
    };
    put(p, "<section>\n");
    if (page->details == NULL) {
        put(p,
            "<h4 class=\"error\">Error fetching product details!</h4>\n"
            "<p>Sorry, product details are currently unavailable for this book.</p>\n</section>\n");
        return;
    }
    put(p, "<h4>Book Details</h4>\n<dl>\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put(p, "<dt>");
        put(p, rows[i].label);
        put(p, ":</dt><dd>");
        put_value(p, page->details, rows[i].key);
        put(p, "</dd>\n");
    }
    put(p, "</dl>\n</section>\n");
}

/* Only the colours that the versions have get into the page. */
static void put_rating(struct page *p, const struct doc_node *rating)
{
    static const char star[] = "<span class=\"glyphicon glyphicon-star\"></span>\n";
    const struct doc_node *stars = doc_get(rating, "stars");
    const struct doc_node *color = doc_get(rating, "color");
    if (rating == NULL) {
        return;
    }
    if (!doc_is(stars, DOC_INT)) {
        put(p, "<p class=\"error\"><i>Ratings service is currently unavailable</i></p>\n");
        return;
    }
    bool red = doc_is(color, DOC_TEXT) && span_is(color->text, "red");
    put(p, red ? "<font color=\"red\">\n" : "<font color=\"black\">\n");
    for (int64_t i = 0; i < stars->integer && i < STARS_MAX; i++) {
        put(p, star);
    }
    put(p, "</font>\n");
}

static void put_reviews(struct page *p, const struct bookinfo_page *page)
{
    put(p, "<section>\n");
    if (page->reviews == NULL) {
        put(p,
            "<h4 class=\"error\">Error fetching product reviews!</h4>\n"
            "<p>Sorry, product reviews are currently unavailable for this book.</p>\n</section>\n");
        return;
    }
    put(p, "<h4>Book Reviews</h4>\n");
    const struct doc_node *list = doc_get(page->reviews, "reviews");
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *review = doc_at(list, i);
        put(p, "<blockquote>\n<p>");
        put_value(p, review, "text");
        put(p, "</p>\n<small>");
        put_value(p, review, "reviewer");
        put(p, "</small>\n");
        put_rating(p, doc_get(review, "rating"));
        put(p, "</blockquote>\n");
    }
    put(p, "<p>Reviews served by: <u>");
    put_value(p, page->reviews, "podname");
    put(p, "</u></p>\n</section>\n");
}

int bookinfo_page_product(const struct bookinfo_page *page, struct buf *out)
{
    struct page p = {.out = out};
    put_top(&p);
    put_sign_in(&p, page->user);
    put(&p, "<main>\n<h3>");
    put(&p, page->title);
    put(&p, "</h3>\n<p>Summary: ");
    put(&p, page->description);
    put(&p, "</p>\n<div class=\"row\">\n");
    put_details(&p, page);
    put_reviews(&p, page);
    put(&p, "</div>\n</main>\n</body>\n</html>\n");
    return p.code;
}

int bookinfo_page_index(struct buf *out)
{
    struct page p = {.out = out};
    put_top(&p);
    put_sign_in(&p, SPAN_EMPTY);
    put(&p, "<main>\n<h3>A book shop of four services</h3>\n"
            "<p>productpage asks details and reviews; reviews, from its second version on, asks "
            "ratings.</p>\n"
            "<table class=\"table\">\n<tr><th>service</th><th>asks</th></tr>\n"
            "<tr><td>productpage</td><td>details, reviews</td></tr>\n"
            "<tr><td>details</td><td></td></tr>\n"
            "<tr><td>reviews</td><td>ratings (v2, v3)</td></tr>\n"
            "<tr><td>ratings</td><td></td></tr>\n</table>\n"
            "<p><a href=\"/productpage?u=normal\">Normal user</a></p>\n"
            "<p><a href=\"/productpage?u=test\">Test user</a></p>\n"
            "</main>\n</body>\n</html>\n");
    return p.code;
}

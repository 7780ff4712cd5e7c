"""The same application for gunicorn (wsgi) and uvicorn (asgi): /hello, and /echo, which sends the body back."""


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/hello":
        start_response("200 OK", [("content-type", "text/plain"), ("content-length", "5")])
        return [b"hello"]
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("content-type", "application/octet-stream"), ("content-length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/hello":
        await send({"type": "http.response.body", "body": b"hello"})
        return
    more = True
    while more:  # each piece goes back as it comes
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        more = event.get("more_body", False)
        await send({"type": "http.response.body", "body": event["body"], "more_body": more})

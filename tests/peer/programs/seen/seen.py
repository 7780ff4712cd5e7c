"""As seen.go, with h11."""
import asyncio
import sys
import zlib

import h11


async def serve(reader, writer):
    port = writer.get_extra_info("peername")[1]
    c = h11.Connection(h11.SERVER)
    request, body = None, b""
    while True:
        try:
            event = c.next_event()
        except h11.RemoteProtocolError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            break
        if event is h11.NEED_DATA:
            if c.they_are_waiting_for_100_continue:
                writer.write(c.send(h11.InformationalResponse(status_code=100, headers=[])))
            data = await reader.read(65536)
            c.receive_data(data)
        elif isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            name = next((v for n, v in request.headers if n == b"x-id"), b"").hex().encode()
            sys.stdout.buffer.write(b"%d\t%s\t%s\t%s\t%d\t%d\n" % (
                port, request.method, request.target.hex().encode(), name, len(body), zlib.crc32(body)))
            sys.stdout.buffer.flush()
            writer.write(c.send(h11.Response(status_code=200, headers=[("x-seen", name), ("content-length", "4")])))
            answer = b"" if request.method == b"HEAD" else c.send(h11.Data(data=b"seen"))
            writer.write(answer + c.send(h11.EndOfMessage()))
            await writer.drain()
            if c.our_state is not h11.DONE or c.their_state is not h11.DONE:
                break
            c.start_next_cycle()
        else:
            break
    writer.close()


async def quiet(reader, writer):
    try:
        await serve(reader, writer)
    except ConnectionError:
        writer.close()


async def main():
    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())

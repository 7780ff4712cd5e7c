// HTTP/1.1, HTTP/2 without TLS, and WebSocket: /hello, /echo. Prints "ready PORT PORT-HTTP2".
import http from 'node:http';
import http2 from 'node:http2';
import { WebSocketServer } from 'ws';

function serve(request, response) {
    if (request.url === '/hello') {
        response.setHeader('content-type', 'text/plain');
        request.resume();
        response.end('hello');
        return;
    }
    request.pipe(response); // back as it comes
}

const one = http.createServer(serve);
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 }, maxPayload: 16 << 20 });
one.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on('message', (data, binary) => ws.send(data, { binary }));
    });
});
const two = http2.createServer(serve);
one.listen(0, '127.0.0.1', () => {
    two.listen(0, '127.0.0.1', () => console.log(`ready ${one.address().port} ${two.address().port}`));
});

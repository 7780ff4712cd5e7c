#!/usr/bin/env python3
"""Stands for small images of examples.

    hello.py tcp PORT,PORT... PREFIX     each line of a client comes back, "PREFIX " before it (tcp-echo-server)
    hello.py http VERSION                port 5000: /hello says the version and who answers (helloworld)"""
import http.server
import os
import signal
import socketserver
import sys
import threading


class Line(socketserver.StreamRequestHandler):
    prefix = b""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(self.prefix + b" " + line)


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    version = ""

    def do_GET(self):
        good = self.path in ("/hello", "/health")
        body = f"Hello version: {self.version}, instance: {os.environ.get('HOSTNAME', '')}\n".encode() if good else b""
        self.send_response(200 if good else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    kind, first, *rest = sys.argv[1:]
    if kind == "http":
        Hello.version = first
        http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Hello).serve_forever()
    Line.prefix = rest[0].encode()
    servers = [TcpServer(("0.0.0.0", int(port)), Line) for port in first.split(",")]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()

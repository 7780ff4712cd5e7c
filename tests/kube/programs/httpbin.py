#!/usr/bin/env python3
"""Stands for the images of httpbin (and, called as gunicorn, for what starts one of them): tells what it was asked.

    httpbin.py [--bind ADDRESS:PORT] [--lists]     --lists: values of headers and queries are lists (go-httpbin)"""
import argparse
import http.server
import json
import os
import random
import signal
import socket
import sys
import time
import urllib.parse

DELAY_MAX_S = 60
BYTES_MAX = 10 << 20
TEAPOT = "I'm a teapot!\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lists = False

    def reply(self, status, body=b"", kind="application/json", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body, indent=2, sort_keys=True).encode() + b"\n"
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
        if status >= 200 and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def grouped(self, pairs):
        result = {}
        for name, value in pairs:
            result.setdefault(name, []).append(value)
        return result if self.lists else {n: ",".join(v) for n, v in result.items()}

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def everything(self, url, data):
        text = data.decode(errors="replace")
        told = {"args": self.grouped(urllib.parse.parse_qsl(url.query)), "method": self.command, "data": text,
                "headers": self.grouped((n.title(), v) for n, v in self.headers.items()),
                "origin": self.client_address[0], "url": f"http://{self.headers.get('host', '')}{self.path}"}
        try:
            told["json"] = json.loads(text)
        except ValueError:
            told["json"] = None
        return told

    def answer(self):
        data = self.body()
        url = urllib.parse.urlsplit(self.path)
        words = url.path.strip("/").split("/")
        told = self.everything(url, data)
        first, number = words[0], words[1] if len(words) > 1 else ""
        if first in ("headers", "ip", "user-agent"):
            part = {"headers": ("headers",), "ip": ("origin",)}.get(first)
            self.reply(200, {k: told[k] for k in part} if part else {"user-agent": self.headers.get("user-agent", "")})
        elif first == "status" and number:
            status = int(random.choice(number.split(",")).split(":")[0])
            moved = [("Location", "/redirect/1")] if status in (301, 302, 303, 307) else []
            self.reply(status, TEAPOT.encode() if status == 418 else b"", "text/plain", moved)
        elif first == "delay" and number:
            time.sleep(min(float(number), DELAY_MAX_S))
            self.reply(200, told)
        elif first == "bytes" and number:
            self.reply(200, os.urandom(min(int(number), BYTES_MAX)), "application/octet-stream")
        elif first == "response-headers":
            self.reply(200, told["args"], headers=urllib.parse.parse_qsl(url.query))
        elif first == "redirect" and number:
            self.reply(302, headers=[("Location", f"/redirect/{int(number) - 1}" if int(number) > 1 else "/get")])
        elif first == "cookies":
            pairs = [c.strip().partition("=")[::2] for c in self.headers.get("cookie", "").split(";") if c.strip()]
            self.reply(200, {"cookies": dict(pairs)})
        elif first in ("", "html"):
            page = b"<!DOCTYPE html>\n<html><body><h1>httpbin</h1></body></html>\n"
            self.reply(200, page, "text/html; charset=utf-8")
        elif first in ("get", "post", "put", "patch", "delete", "anything"):
            wrong = first != "anything" and self.command not in (first.upper(), "HEAD")
            self.reply(405 if wrong else 200, told)
        else:
            self.reply(404)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *words):
        print(f"{self.client_address[0]} \"{self.requestline}\" {words[2] if len(words) > 2 else ''}", flush=True)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-b", "--bind", default="0.0.0.0:80")
    parser.add_argument("--lists", action="store_true")
    options, _ = parser.parse_known_args()  # gunicorn's others
    Handler.lists = options.lists
    host, _, port = options.bind.rpartition(":")
    if host.startswith("["):
        Server.address_family = socket.AF_INET6
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server((host.strip("[]"), int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()

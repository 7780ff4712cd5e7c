#!/usr/bin/env python3
"""A client that behaves: one request after the other on two connections, HTTP/1.1 and HTTP/2, and how long each took.

victim.py PORT SECONDS      prints {"count", "failed", "p50_us", "p99_us", "longest_us"} as JSON
"""
import json
import socket
import struct
import sys
import time

PAUSE_S = 0.002


class One:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        self.sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        got = b""
        while not got.endswith(b"ok"):
            piece = self.sock.recv(4096)
            if not piece:
                return False
            got += piece
        return got.startswith(b"HTTP/1.1 200")


class Two(One):
    def __init__(self, port):
        super().__init__(port)
        self.stream, self.held = 1, b""
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\0\0\0\0\0")

    def ask(self):
        block = b"\x82\x86\x84\x41\x01a"
        self.sock.sendall(struct.pack(">I", len(block))[1:] + b"\x01\x05" + struct.pack(">I", self.stream) + block)
        mine, self.stream = self.stream, self.stream + 2
        while True:
            while len(self.held) >= 9 and len(self.held) >= 9 + int.from_bytes(self.held[:3], "big"):
                length, kind, flags = int.from_bytes(self.held[:3], "big"), self.held[3], self.held[4]
                stream = int.from_bytes(self.held[5:9], "big")
                self.held = self.held[9 + length:]
                if kind in (3, 7):
                    return False
                if stream == mine and kind in (0, 1) and flags & 1:
                    return True
            piece = self.sock.recv(4096)
            if not piece:
                return False
            self.held += piece


def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    clients = [One(port), Two(port)]
    took, failed, end = [], 0, time.monotonic() + seconds
    for c in clients:
        c.ask()
    while time.monotonic() < end and failed < 10:
        for c in clients:
            since = time.monotonic()
            failed += not c.ask()
            took.append(time.monotonic() - since)
            time.sleep(PAUSE_S)
    took.sort()
    print(json.dumps({"count": len(took), "failed": failed, "p50_us": int(took[len(took) // 2] * 1e6),
                      "p99_us": int(took[len(took) * 99 // 100] * 1e6), "longest_us": int(took[-1] * 1e6)}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The LAN host's services, for IPv4 and IPv6: services.py HTTP_PORT BANNER_PORT ECHO_PORT

HTTP: GET / names the caller as the network shows it; GET /bytes/N answers N pseudo-random bytes; PUT answers the
SHA-256 of what came. The banner port greets each TCP connection and then echoes its lines; the echo port returns
UDP datagrams. A port of 0 leaves that service out.
"""
import hashlib
import http.server
import random
import socket
import socketserver
import sys
import threading


def plain(address):
    return address.removeprefix("::ffff:")


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            count = int(self.path.rsplit("/", 1)[1])
            self.answer(random.Random(count).randbytes(count))
        else:
            self.answer(f"Hello {plain(self.client_address[0])}, this is the LAN's web server.\n".encode())

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            part = self.rfile.read(min(left, 65536))
            if not part:
                return
            digest.update(part)
            left -= len(part)
        self.answer(digest.hexdigest().encode())

    def log_message(self, *_):
        pass


class Banner(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(f"Hello {plain(self.client_address[0])}, this is the database.\n".encode())
        for line in self.rfile:
            self.wfile.write(line)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)


def both_families(base):
    class Server(base):
        address_family = socket.AF_INET6
        allow_reuse_address = True
        daemon_threads = True

        def server_bind(self):
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    return Server


def main():
    kinds = [
        (both_families(http.server.ThreadingHTTPServer), Web),
        (both_families(socketserver.ThreadingTCPServer), Banner),
        (both_families(socketserver.UDPServer), Echo),
    ]
    threads = []
    for port, (server, handler) in zip(map(int, sys.argv[1:4]), kinds):
        if port:
            one = server(("::", port), handler)
            threads.append(threading.Thread(target=one.serve_forever))
            threads[-1].start()
    for thread in threads:
        thread.join()


main()

#!/usr/bin/env python3
"""try_tcp.py HOST PORT [SECONDS]: one TCP connection; prints what came of it and how long that took.

Exit code 0: connected; 1: refused at once, with the reason on the line; 2: no answer within SECONDS (3).
"""
import errno
import socket
import sys
import time

host, port = sys.argv[1], int(sys.argv[2])
limit = float(sys.argv[3]) if len(sys.argv) > 3 else 3.0
sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
sock.settimeout(limit)
begin = time.monotonic()
try:
    sock.connect((host, port))
    text, code = "connected", 0
except TimeoutError as error:
    # The kernel's own timeout carries a number, the deadline above does not; both mean silence.
    text, code = "no answer", 2
except OSError as error:
    reason = {
        errno.ECONNREFUSED: "Connection refused",
        errno.EHOSTUNREACH: "Packet filtered",
        errno.EACCES: "Packet filtered",
    }.get(error.errno, error.strerror)
    text, code = reason, 1
print(f"{text} after {(time.monotonic() - begin) * 1000:.1f} ms")
sys.exit(code)

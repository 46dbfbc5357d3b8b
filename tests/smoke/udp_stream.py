#!/usr/bin/env python3
"""udp_stream.py HOST PORT SECONDS [GAP_SECONDS]: numbered datagrams to an echo service, one per gap.

Prints "SENT RECEIVED" and ends with 1 when one is missing two seconds after the last was sent.
"""
import socket
import struct
import sys
import threading
import time

host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
gap = float(sys.argv[4]) if len(sys.argv) > 4 else 0.002
sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((host, port))
sock.settimeout(2)
seen = set()


def receive():
    while True:
        try:
            seen.add(struct.unpack("!I", sock.recv(2048)[:4])[0])
        except TimeoutError:
            return
        except OSError:
            pass


reader = threading.Thread(target=receive)
sent, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    try:
        sock.send(struct.pack("!I", sent) + bytes(60))
    except OSError:
        pass  # an ICMP error for an earlier one; the missing echo counts it
    sent += 1
    if sent == 1:
        reader.start()
    time.sleep(gap)
reader.join()
print(sent, len(seen))
sys.exit(sent != len(seen))

#!/usr/bin/env python3
"""An attacker on the wire between agents and gateway.

attack.py record INTERFACE FILE SECONDS: keeps the WireGuard messages towards UDP port 51820, until there are an
initiation and ten data messages. attack.py send INTERFACE FILE WHAT sends them again, from another port:
data (ten, as they were), forged-tag (a counter not yet seen, last byte changed), forged-index (receiver index changed), initiation (as it
was), forged-initiation (one byte of the ephemeral key changed, so mac1 is wrong).
"""
import sys

from scapy.all import IP, UDP, Ether, Raw, rdpcap, sendp, sniff, wrpcap

INITIATION, DATA = 1, 4


def message_type(packet):
    return bytes(packet[UDP].payload)[0]


def is_data(packet):
    return message_type(packet) == DATA and len(packet[UDP].payload) > 32


def record(interface, path, seconds):
    kept = {INITIATION: [], DATA: []}

    def keep(packet):
        if UDP in packet and packet[UDP].dport == 51820:
            if message_type(packet) == INITIATION or is_data(packet):
                kept[message_type(packet)].append(packet)
        return bool(kept[INITIATION]) and len(kept[DATA]) >= 10

    sniff(iface=interface, filter="udp dst port 51820", stop_filter=keep, timeout=seconds, store=False)
    wrpcap(path, kept[INITIATION][:1] + kept[DATA][:10])
    return 0 if kept[INITIATION] and len(kept[DATA]) >= 10 else 1


def again(packet, changes):
    message = bytearray(bytes(packet[UDP].payload))
    for at in changes:
        message[at] ^= 1
    outer = IP(src=packet[IP].src, dst=packet[IP].dst)
    return Ether(src=packet.src, dst=packet.dst) / outer / UDP(sport=6666, dport=51820) / Raw(bytes(message))


def send(interface, path, what):
    packets = rdpcap(path)
    data = [p for p in packets if message_type(p) == DATA]
    initiations = [p for p in packets if message_type(p) == INITIATION]
    chosen, changes = {
        "data": (data, []),
        "forged-tag": (data, [10, -1]),
        "forged-index": (data, [5]),
        "initiation": (initiations, []),
        "forged-initiation": (initiations, [20]),
    }[what]
    sendp([again(p, changes) for p in chosen], iface=interface, verbose=False)
    return 0


sys.exit(record(sys.argv[2], sys.argv[3], float(sys.argv[4])) if sys.argv[1] == "record" else send(*sys.argv[2:5]))

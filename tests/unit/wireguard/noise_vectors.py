#!/usr/bin/env python3
"""Prints noise_vectors.h: a WireGuard handshake computed from the paper's text with hashlib and `cryptography`,
without any code of ours. Run it again only when the format changes; the header is committed."""
import hashlib
import hmac as hmac_module
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def h(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hm(key, data):
    return hmac_module.new(key, data, hashlib.blake2s).digest()


def kdf(n, key, data):
    t0 = hm(key, data)
    out, previous = [], b""
    for i in range(1, n + 1):
        previous = hm(t0, previous + bytes([i]))
        out.append(previous)
    return out if n > 1 else out[0]


def aead(key, counter, text, ad):
    return ChaCha20Poly1305(key).encrypt(b"\0" * 4 + struct.pack("<Q", counter), text, ad)


def pub(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def rotl(x, n):
    return (x << n | x >> (32 - n)) & 0xFFFFFFFF


def hchacha20(key, nonce):
    s = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotl(s[z] ^ s[x], n)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def xaead(key, nonce, text, ad):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(b"\0" * 4 + nonce[16:], text, ad)


si, sr = bytes(range(1, 33)), bytes(range(33, 65))
ei, er = bytes(range(65, 97)), bytes(range(97, 129))
psk = bytes(range(200, 232))
timestamp = bytes.fromhex("400000006553f10a12000000")
sender_i, sender_r = 0x01020304, 0xA0B0C0D0

ck = h(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
hh = h(ck, b"WireGuard v1 zx2c4 Jason@zx2c4.com")
hh = h(hh, pub(sr))
# initiation
ck, hh = kdf(1, ck, pub(ei)), h(hh, pub(ei))
ck, k = kdf(2, ck, dh(ei, pub(sr)))
static = aead(k, 0, pub(si), hh)
hh = h(hh, static)
ck, k = kdf(2, ck, dh(si, pub(sr)))
stamp = aead(k, 0, timestamp, hh)
hh = h(hh, stamp)
initiation = struct.pack("<II", 1, sender_i) + pub(ei) + static + stamp
mac1 = mac(h(b"mac1----", pub(sr)), initiation)
initiation += mac1 + bytes(16)
# response
ck, hh = kdf(1, ck, pub(er)), h(hh, pub(er))
ck = kdf(1, ck, dh(er, pub(ei)))
ck = kdf(1, ck, dh(er, pub(si)))
ck, tau, k = kdf(3, ck, psk)
hh = h(hh, tau)
nothing = aead(k, 0, b"", hh)
response = struct.pack("<III", 2, sender_r, sender_i) + pub(er) + nothing
response += mac(h(b"mac1----", pub(si)), response) + bytes(16)
to_responder, to_initiator = kdf(2, ck, b"")
# a cookie reply to the initiation
secret, nonce = bytes(range(128, 160)), bytes(range(24))
cookie = mac(secret, bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 9]) + struct.pack(">H", 4242))
reply = struct.pack("<II", 3, sender_i) + nonce + xaead(h(b"cookie--", pub(sr)), nonce, cookie, mac1)
mac2 = mac(cookie, initiation[:-16])

print("""// A WireGuard handshake with known keys, printed by noise_vectors.py, which shares no code with the product.
#pragma once

#include <cstdint>

namespace sandgate::test::vectors {
""")
for name, value in [
        ("kInitiatorStatic", si), ("kResponderStatic", sr), ("kInitiatorEphemeral", ei),
        ("kResponderEphemeral", er), ("kPsk", psk), ("kTimestamp", timestamp), ("kInitiation", initiation),
        ("kResponse", response), ("kToResponder", to_responder), ("kToInitiator", to_initiator),
        ("kCookieSecret", secret), ("kCookie", cookie), ("kCookieReply", reply), ("kInitiationMac2", mac2)]:
    print(f"constexpr uint8_t {name}[{len(value)}] = {{")
    for i in range(0, len(value), 16):
        print("    " + " ".join(f"0x{b:02x}," for b in value[i:i + 16]))
    print("};")
print("\n}  // namespace sandgate::test::vectors")

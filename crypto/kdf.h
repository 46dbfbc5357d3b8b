// HMAC-BLAKE2s and the KDF_n of the WireGuard paper (section 5.4, HKDF of RFC 5869 with
// HMAC-BLAKE2s).
#pragma once

#include "crypto/blake2s.h"
#include "crypto/secret.h"

namespace sandgate::crypto {

using Key = Secret<32>;

// HMAC(key, input) with BLAKE2s as the hash (blocks of 64 bytes); 32 bytes to out.
void hmac(Bytes key, Bytes input, uint8_t* out);

// KDF_1, KDF_2, KDF_3: out_n receives tau_n. Outputs may be the object that `key` views.
void kdf1(Key& out1, Bytes key, Bytes input);
void kdf2(Key& out1, Key& out2, Bytes key, Bytes input);
void kdf3(Key& out1, Key& out2, Key& out3, Bytes key, Bytes input);

}  // namespace sandgate::crypto

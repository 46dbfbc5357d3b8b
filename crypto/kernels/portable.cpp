// ChaCha20 four blocks at a time in the compiler's 128-bit vectors, and Poly1305 in 64-bit limbs
// with 128-bit products. The first pass of a packet makes blocks 0 to 3: the one-time key and the
// keystream of the first 192 bytes. Opening verifies with that key before it decrypts a byte.
#include "crypto/kernels/portable.h"

#include <algorithm>
#include <cstring>

#include "crypto/declassify.h"
#include "crypto/kernels/nonce.h"
#include "crypto/secret.h"

namespace sandgate::crypto::portable {
namespace {

// One 32-bit word of four blocks.
typedef uint32_t Lanes __attribute__((vector_size(16)));

constexpr size_t kBlockBytes = 64;
constexpr size_t kPassBytes = 4 * kBlockBytes;

uint32_t load32(const uint8_t* from)
{
    uint32_t word;
    std::memcpy(&word, from, 4);
    return word;
}

Lanes rotate(Lanes x, int bits) { return (x << bits) | (x >> (32 - bits)); }

void quarter_round(Lanes& a, Lanes& b, Lanes& c, Lanes& d)
{
    a += b;
    d = rotate(d ^ a, 16);
    c += d;
    b = rotate(b ^ c, 12);
    a += b;
    d = rotate(d ^ a, 8);
    c += d;
    b = rotate(b ^ c, 7);
}

// The keystream of four blocks. The words of a batch's packets pass through here one after another,
// so it is wiped once per batch, by its destructor.
struct Keystream
{
    alignas(16) uint8_t bytes[kPassBytes];

    ~Keystream() { wipe(bytes, sizeof bytes); }

    // RFC 8439 section 2.3, for the blocks first_block to first_block + 3.
    void make(const uint8_t* key, Nonce nonce, uint32_t first_block)
    {
        Lanes start[16];
        const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
        for (int i = 0; i < 4; ++i) start[i] = Lanes{} + constants[i];
        for (int i = 0; i < 8; ++i) start[4 + i] = Lanes{} + load32(key + 4 * i);
        start[12] = Lanes{0, 1, 2, 3} + first_block;
        for (int i = 0; i < 3; ++i) start[13 + i] = Lanes{} + load32(nonce.data() + 4 * i);

        Lanes x[16];
        std::memcpy(x, start, sizeof x);
        for (int round = 0; round < 10; ++round) {
            quarter_round(x[0], x[4], x[8], x[12]);
            quarter_round(x[1], x[5], x[9], x[13]);
            quarter_round(x[2], x[6], x[10], x[14]);
            quarter_round(x[3], x[7], x[11], x[15]);
            quarter_round(x[0], x[5], x[10], x[15]);
            quarter_round(x[1], x[6], x[11], x[12]);
            quarter_round(x[2], x[7], x[8], x[13]);
            quarter_round(x[3], x[4], x[9], x[14]);
        }
        // From words of four blocks to four blocks of words.
        for (int i = 0; i < 16; ++i) {
            const Lanes sum = x[i] + start[i];
            for (int block = 0; block < 4; ++block) {
                const uint32_t word = sum[block];
                std::memcpy(bytes + block * kBlockBytes + 4 * i, &word, 4);
            }
        }
    }
};

void xor_into(uint8_t* data, const uint8_t* stream, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i) data[i] ^= stream[i];
}

// Continues behind what the keystream of blocks 0 to 3 covered: from block 1.
void xor_text(Keystream& stream, const uint8_t* key, Nonce nonce, uint8_t* text, size_t bytes)
{
    size_t done = std::min(bytes, kPassBytes - kBlockBytes);
    xor_into(text, stream.bytes + kBlockBytes, done);
    for (uint32_t block = 4; done < bytes; block += 4) {
        const size_t part = std::min(bytes - done, kPassBytes);
        stream.make(key, nonce, block);
        xor_into(text + done, stream.bytes, part);
        done += part;
    }
}

#include "crypto/kernels/poly1305_scalar.inc.h"

void tag_of(uint8_t* tag, const uint8_t* one_time_key, Bytes ad, const uint8_t* text, size_t bytes)
{
    Poly1305 poly(one_time_key);
    poly.padded(ad.data(), ad.size());
    poly.padded(text, bytes);
    poly.lengths(ad.size(), bytes);
    poly.finish(tag);
}

void seal_one(Keystream& stream, const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text,
              size_t bytes, uint8_t* tag)
{
    stream.make(key, nonce, 0);
    uint8_t one_time_key[32];
    std::memcpy(one_time_key, stream.bytes, 32);
    xor_text(stream, key, nonce, text, bytes);
    tag_of(tag, one_time_key, ad, text, bytes);
    wipe(one_time_key, sizeof one_time_key);
}

bool open_one(Keystream& stream, const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text,
              size_t bytes, const uint8_t* tag)
{
    stream.make(key, nonce, 0);
    uint8_t expected[kTagBytes];
    tag_of(expected, stream.bytes, ad, text, bytes);
    const bool is_authentic = declassify(equal_constant_time(expected, tag, kTagBytes));
    wipe(expected, sizeof expected);
    if (is_authentic)
        xor_text(stream, key, nonce, text, bytes);
    return is_authentic;
}

}  // namespace

void chacha20_xor(const uint8_t* key, Nonce nonce, uint32_t block, uint8_t* data, size_t bytes)
{
    Keystream stream;
    for (size_t done = 0; done < bytes; done += kPassBytes, block += 4) {
        stream.make(key, nonce, block);
        xor_into(data + done, stream.bytes, std::min(bytes - done, kPassBytes));
    }
}

void poly1305(uint8_t* tag, const uint8_t* one_time_key, Bytes message)
{
    Poly1305 poly(one_time_key);
    const size_t rest = message.size() % 16;
    poly.blocks(message.data(), message.size() - rest);
    if (rest != 0)
        poly.short_block(message.data() + message.size() - rest, rest);
    poly.finish(tag);
}

void seal(const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text, size_t bytes, uint8_t* tag)
{
    Keystream stream;
    seal_one(stream, key, nonce, ad, text, bytes, tag);
}

bool open(const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text, size_t bytes,
          const uint8_t* tag)
{
    Keystream stream;
    return open_one(stream, key, nonce, ad, text, bytes, tag);
}

void seal_batch(std::span<AeadJob> jobs)
{
    Keystream stream;
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        seal_one(stream, job.key, nonce, {}, job.data, job.text_bytes, job.data + job.text_bytes);
    }
}

void open_batch(std::span<AeadJob> jobs)
{
    Keystream stream;
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        job.is_authentic = open_one(stream, job.key, nonce, {}, job.data, job.text_bytes,
                                    job.data + job.text_bytes);
    }
}

}  // namespace sandgate::crypto::portable

// Intel's multi-buffer library 1.3: a burst of up to 128 packets per call. The library works on one
// packet at a time inside, but wide. Opening computes the tag and writes the text in one call,
// before the verdict can be known; so the text of a packet that fails is zeroed before this
// returns.
//
// The library writes a process-global error variable in each submit, which several workers then
// share; a burst costs two such writes instead of two per packet.
#include "crypto/kernels/ipsec_mb.h"

#include <intel-ipsec-mb.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "crypto/declassify.h"
#include "crypto/kernels/nonce.h"
#include "crypto/secret.h"

namespace sandgate::crypto::ipsec_mb {
namespace {

[[noreturn]] void stop(const char* sentence)
{
    std::fprintf(stderr, "sandgate: %s\n", sentence);
    std::abort();
}

class Manager
{
  public:
    Manager() : manager_(alloc_mb_mgr(0))
    {
        if (manager_ == nullptr)
            stop("ipsec-mb could not allocate its manager: out of memory.");
        init_mb_mgr_auto(manager_, nullptr);
        if (imb_get_errno(manager_) != 0)
            stop(imb_get_strerror(imb_get_errno(manager_)));
    }
    ~Manager() { free_mb_mgr(manager_); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    IMB_MGR* get() { return manager_; }

  private:
    IMB_MGR* manager_;
};

// A manager belongs to one thread and is freed with it.
IMB_MGR* manager_of_thread()
{
    thread_local Manager manager;
    return manager.get();
}

// What a call needs beside the packets. The tag that was expected of a refused packet is a secret
// (it would make the forgery good) and is wiped; nothing else in here is one once the call has
// returned.
struct Scratch
{
    IMB_JOB* jobs[IMB_MAX_BURST_SIZE];
    uint8_t nonces[IMB_MAX_BURST_SIZE][12];
    uint8_t tags[IMB_MAX_BURST_SIZE][kTagBytes];
    // Copies, because the AVX2 code reads 16 bytes past a key.
    uint8_t keys[IMB_MAX_BURST_SIZE + 1][kKeyBytes];
};

void describe(IMB_JOB& out, const AeadJob& job, const uint8_t* key, const uint8_t* nonce,
              uint8_t* tag, IMB_CIPHER_DIRECTION direction)
{
    out.enc_keys = key;
    out.dec_keys = key;
    out.key_len_in_bytes = kKeyBytes;
    out.src = job.data;
    out.dst = job.data;
    out.cipher_start_src_offset_in_bytes = 0;
    out.msg_len_to_cipher_in_bytes = job.text_bytes;
    out.hash_start_src_offset_in_bytes = 0;
    out.msg_len_to_hash_in_bytes = job.text_bytes;
    out.iv = nonce;
    out.iv_len_in_bytes = 12;
    out.auth_tag_output = tag;
    out.auth_tag_output_len_in_bytes = kTagBytes;
    out.u.CHACHA20_POLY1305.aad = nullptr;
    out.u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    out.u.CHACHA20_POLY1305.ctx = nullptr;
    out.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    out.cipher_direction = direction;
    out.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    out.chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
}

// Runs up to 128 jobs. The library finishes this algorithm inside the submit call and queues
// nothing; were that to change, packets could leave as plaintext, so anything else stops the
// process.
void run(IMB_MGR* manager, std::span<AeadJob> jobs, Scratch& scratch,
         IMB_CIPHER_DIRECTION direction)
{
    const auto count = static_cast<uint32_t>(jobs.size());
    if (IMB_GET_NEXT_BURST(manager, count, scratch.jobs) != count)
        stop("ipsec-mb gave out fewer jobs than it has.");
    for (uint32_t i = 0; i < count; ++i) {
        AeadJob& job = jobs[i];
        write_nonce(scratch.nonces[i], job.counter);
        uint8_t* tag = direction == IMB_DIR_ENCRYPT ? job.data + job.text_bytes : scratch.tags[i];
        std::memcpy(scratch.keys[i], job.key, kKeyBytes);
        describe(*scratch.jobs[i], job, scratch.keys[i], scratch.nonces[i], tag, direction);
    }
    if (IMB_SUBMIT_BURST_NOCHECK(manager, count, scratch.jobs) != count)
        stop("ipsec-mb did not complete a burst.");
    for (uint32_t i = 0; i < count; ++i)
        if (scratch.jobs[i]->status != IMB_STATUS_COMPLETED)
            stop("ipsec-mb did not complete a packet.");
    wipe(scratch.keys, count * kKeyBytes);
}

}  // namespace

void seal_batch(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = manager_of_thread();
    Scratch scratch;
    while (!jobs.empty()) {
        const auto part = jobs.first(std::min<size_t>(jobs.size(), IMB_MAX_BURST_SIZE));
        run(manager, part, scratch, IMB_DIR_ENCRYPT);
        jobs = jobs.subspan(part.size());
    }
}

void open_batch(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = manager_of_thread();
    Scratch scratch;
    while (!jobs.empty()) {
        const auto part = jobs.first(std::min<size_t>(jobs.size(), IMB_MAX_BURST_SIZE));
        run(manager, part, scratch, IMB_DIR_DECRYPT);
        for (size_t i = 0; i < part.size(); ++i) {
            AeadJob& job = part[i];
            job.is_authentic = declassify(
                equal_constant_time(scratch.tags[i], job.data + job.text_bytes, kTagBytes));
            if (!job.is_authentic) {
                wipe(job.data, job.text_bytes);
                wipe(scratch.tags[i], kTagBytes);
            }
        }
        jobs = jobs.subspan(part.size());
    }
}

}  // namespace sandgate::crypto::ipsec_mb

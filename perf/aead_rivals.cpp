// Every library gets what makes it fast: managers and contexts that exist before, unchecked
// submission, keys where they lie. Opening compares the tag in constant time, as a gateway must.
#include "perf/aead_rivals.h"

#include <intel-ipsec-mb.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "crypto/kernels/nonce.h"

namespace sandgate::crypto {
namespace {

void demand(bool condition, const char* what)
{
    if (condition)
        return;
    std::fprintf(stderr, "bench: %s failed.\n", what);
    std::abort();
}

IMB_MGR* make_manager(void (*init)(IMB_MGR*))
{
    IMB_MGR* manager = alloc_mb_mgr(0);
    demand(manager != nullptr, "alloc_mb_mgr");
    init(manager);
    demand(imb_get_errno(manager) == 0, "init_mb_mgr");
    return manager;
}

IMB_MGR* best_manager()
{
    thread_local IMB_MGR* const manager =
        make_manager([](IMB_MGR* m) { init_mb_mgr_auto(m, nullptr); });
    return manager;
}

IMB_MGR* avx2_manager()
{
    thread_local IMB_MGR* const manager = make_manager(init_mb_mgr_avx2);
    return manager;
}

void run_job(IMB_MGR* manager, const AeadJob& job, IMB_CIPHER_DIRECTION direction, uint8_t* tag)
{
    uint8_t nonce[12];
    write_nonce(nonce, job.counter);
    IMB_JOB* out = IMB_GET_NEXT_JOB(manager);
    out->enc_keys = job.key;
    out->dec_keys = job.key;
    out->key_len_in_bytes = kKeyBytes;
    out->src = job.data;
    out->dst = job.data;
    out->cipher_start_src_offset_in_bytes = 0;
    out->msg_len_to_cipher_in_bytes = job.text_bytes;
    out->hash_start_src_offset_in_bytes = 0;
    out->msg_len_to_hash_in_bytes = job.text_bytes;
    out->iv = nonce;
    out->iv_len_in_bytes = 12;
    out->auth_tag_output = tag;
    out->auth_tag_output_len_in_bytes = kTagBytes;
    out->u.CHACHA20_POLY1305.aad = nullptr;
    out->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    out->u.CHACHA20_POLY1305.ctx = nullptr;
    out->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    out->cipher_direction = direction;
    out->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    out->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    const IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(manager);
    demand(done != nullptr && done->status == IMB_STATUS_COMPLETED, "IMB_SUBMIT_JOB_NOCHECK");
}

template <IMB_MGR* (*manager_of)()>
void job_seal(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = manager_of();
    for (AeadJob& job : jobs) run_job(manager, job, IMB_DIR_ENCRYPT, job.data + job.text_bytes);
}

template <IMB_MGR* (*manager_of)()>
void job_open(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = manager_of();
    uint8_t tag[kTagBytes];
    for (AeadJob& job : jobs) {
        run_job(manager, job, IMB_DIR_DECRYPT, tag);
        job.is_authentic = sodium_memcmp(tag, job.data + job.text_bytes, kTagBytes) == 0;
    }
}

void direct_seal(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = best_manager();
    chacha20_poly1305_context_data context;
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        IMB_CHACHA20_POLY1305_INIT(manager, job.key, &context, nonce, nullptr, 0);
        IMB_CHACHA20_POLY1305_ENC_UPDATE(manager, job.key, &context, job.data, job.data,
                                         job.text_bytes);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(manager, &context, job.data + job.text_bytes, kTagBytes);
    }
}

void direct_open(std::span<AeadJob> jobs)
{
    IMB_MGR* manager = best_manager();
    chacha20_poly1305_context_data context;
    uint8_t tag[kTagBytes];
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        IMB_CHACHA20_POLY1305_INIT(manager, job.key, &context, nonce, nullptr, 0);
        IMB_CHACHA20_POLY1305_DEC_UPDATE(manager, job.key, &context, job.data, job.data,
                                         job.text_bytes);
        IMB_CHACHA20_POLY1305_DEC_FINALIZE(manager, &context, tag, kTagBytes);
        job.is_authentic = sodium_memcmp(tag, job.data + job.text_bytes, kTagBytes) == 0;
    }
}

// Fetched once; later initialisations change key and nonce only.
EVP_CIPHER_CTX* openssl_context(bool is_sealing)
{
    const auto make = [](int direction) {
        EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
        EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
        demand(cipher != nullptr && context != nullptr &&
                   EVP_CipherInit_ex2(context, cipher, nullptr, nullptr, direction, nullptr) == 1,
               "EVP_CipherInit_ex2");
        return context;
    };
    thread_local EVP_CIPHER_CTX* const sealing = make(1);
    thread_local EVP_CIPHER_CTX* const opening = make(0);
    return is_sealing ? sealing : opening;
}

void openssl_seal(std::span<AeadJob> jobs)
{
    EVP_CIPHER_CTX* context = openssl_context(true);
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        int bytes = 0;
        EVP_EncryptInit_ex2(context, nullptr, job.key, nonce, nullptr);
        EVP_EncryptUpdate(context, job.data, &bytes, job.data, static_cast<int>(job.text_bytes));
        EVP_EncryptFinal_ex(context, job.data + bytes, &bytes);
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, job.data + job.text_bytes);
    }
}

void openssl_open(std::span<AeadJob> jobs)
{
    EVP_CIPHER_CTX* context = openssl_context(false);
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        int bytes = 0;
        EVP_DecryptInit_ex2(context, nullptr, job.key, nonce, nullptr);
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, job.data + job.text_bytes);
        EVP_DecryptUpdate(context, job.data, &bytes, job.data, static_cast<int>(job.text_bytes));
        job.is_authentic = EVP_DecryptFinal_ex(context, job.data + bytes, &bytes) == 1;
    }
}

bool is_library(const std::string& name) { return name == "ipsec_mb" || name == "sodium"; }

}  // namespace

std::vector<Contestant> contestants()
{
    std::vector<Contestant> all;
    for (const Kernel& kernel : kernels())
        if (features_fault(kernel.needs, cpu_report()).empty())
            all.push_back({kernel.name, kernel.seal, kernel.open, !is_library(kernel.name), false});
    all.push_back({"ipsec_mb-job", job_seal<best_manager>, job_open<best_manager>, false, false});
    all.push_back({"ipsec_mb-direct", direct_seal, direct_open, false, false});
    if (features_fault(kAvx2, cpu_report()).empty())
        all.push_back(
            {"ipsec_mb-avx2", job_seal<avx2_manager>, job_open<avx2_manager>, false, true});
    all.push_back({"openssl", openssl_seal, openssl_open, false, false});
    return all;
}

}  // namespace sandgate::crypto

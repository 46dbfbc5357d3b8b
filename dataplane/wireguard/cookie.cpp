// See cookie.h.
#include "dataplane/wireguard/cookie.h"

#include <algorithm>
#include <string_view>

#include "crypto/xaead.h"

namespace sandgate::wg {

namespace {

// HASH(label || public key): the keys of mac1 and of cookie replies, which anyone who knows the
// public key has.
crypto::Hash labelled_key(std::string_view label, const crypto::PublicKey& key)
{
    return crypto::hash({reinterpret_cast<const uint8_t*>(label.data()), label.size()}, key);
}
constexpr std::string_view kMac1Label = "mac1----";
constexpr std::string_view kCookieLabel = "cookie--";

crypto::Bytes before_mac1(crypto::Bytes message)
{
    return message.first(message.size() - 2 * kMacBytes);
}
crypto::Bytes before_mac2(crypto::Bytes message)
{
    return message.first(message.size() - kMacBytes);
}
crypto::Bytes mac1_of(crypto::Bytes message) { return before_mac2(message).last(kMacBytes); }

}  // namespace

void CookieChecker::set_static_key(const crypto::PublicKey& own)
{
    mac1_key_ = labelled_key(kMac1Label, own);
    cookie_key_ = labelled_key(kCookieLabel, own);
}

bool CookieChecker::has_valid_mac1(crypto::Bytes message) const
{
    const Mac expected = crypto::mac(mac1_key_, before_mac1(message));
    return crypto::equal_constant_time(expected.data(), mac1_of(message).data(), kMacBytes);
}

bool CookieChecker::has_valid_mac2(crypto::Bytes message, const Endpoint& source, uint64_t now_ns)
{
    const Cookie cookie = cookie_of(source, now_ns);
    const Mac expected = crypto::mac(cookie, before_mac2(message));
    return crypto::equal_constant_time(expected.data(), message.last(kMacBytes).data(), kMacBytes);
}

CookieReplyMessage CookieChecker::reply_to(crypto::Bytes message, const Endpoint& source,
                                           uint64_t now_ns)
{
    CookieReplyMessage reply{};
    reply.type.set(kCookieReply);
    std::copy_n(&message[4], 4, reply.receiver_index.bytes);  // the sender index of either message
    fill_random_(reply.nonce);
    const Cookie cookie = cookie_of(source, now_ns);
    crypto::xaead_seal(reply.encrypted_cookie, cookie_key_, reply.nonce, cookie, mac1_of(message));
    return reply;
}

Cookie CookieChecker::cookie_of(const Endpoint& source, uint64_t now_ns)
{
    if (!has_secret_ || now_ns - secret_birth_ns_ >= kCookieSecretMaxAge) {
        fill_random_(secret_.span());
        secret_birth_ns_ = now_ns;
        has_secret_ = true;
    }
    uint8_t address_and_port[18];
    std::copy_n(source.address.bytes.data(), 16, address_and_port);
    address_and_port[16] = static_cast<uint8_t>(source.port >> 8);
    address_and_port[17] = static_cast<uint8_t>(source.port);
    return crypto::mac(secret_.span(), address_and_port);
}

void CookieJar::write_macs(std::span<uint8_t> message, const crypto::PublicKey& peer,
                           uint64_t now_ns)
{
    last_mac1_ = crypto::mac(labelled_key(kMac1Label, peer), before_mac1(message));
    awaits_reply_ = true;
    std::copy_n(last_mac1_.data(), kMacBytes, message.last(2 * kMacBytes).data());
    Mac mac2{};
    if (has_cookie_ && now_ns - cookie_birth_ns_ < kCookieMaxAge)
        mac2 = crypto::mac(cookie_, before_mac2(message));
    std::copy_n(mac2.data(), kMacBytes, message.last(kMacBytes).data());
}

bool CookieJar::consume(const CookieReplyMessage& reply, const crypto::PublicKey& peer,
                        uint64_t now_ns)
{
    Cookie cookie;
    if (!awaits_reply_ || !crypto::xaead_open(cookie.data(), labelled_key(kCookieLabel, peer),
                                              reply.nonce, reply.encrypted_cookie, last_mac1_))
        return false;
    cookie_ = cookie;
    cookie_birth_ns_ = now_ns;
    has_cookie_ = true;
    awaits_reply_ = false;
    return true;
}

}  // namespace sandgate::wg

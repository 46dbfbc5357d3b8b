// mac1, mac2 and cookies (WireGuard paper, sections 5.3 and 5.4.4 and 5.4.7). CookieChecker is the
// side that is asked: it proves cheaply that a message was made for us (mac1) and, under load, that
// its sender receives at its source address (mac2). CookieJar is the side that was asked: what one
// peer's cookie replies gave us.
#pragma once

#include "crypto/x25519.h"
#include "dataplane/wireguard/inputs.h"
#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/session.h"

namespace sandgate::wg {

using Mac = std::array<uint8_t, kMacBytes>;
using Cookie = std::array<uint8_t, kCookieBytes>;

class CookieChecker
{
  public:
    explicit CookieChecker(const FillRandom& fill_random) : fill_random_(fill_random) {}

    void set_static_key(const crypto::PublicKey& own);
    // message: a whole initiation or response; its macs are the last 32 bytes.
    bool has_valid_mac1(crypto::Bytes message) const;
    bool has_valid_mac2(crypto::Bytes message, const Endpoint& source, uint64_t now_ns);
    // The answer to a message with a valid mac1; it opens only for who sent that very message.
    CookieReplyMessage reply_to(crypto::Bytes message, const Endpoint& source, uint64_t now_ns);

  private:
    // The MAC of the source's address and port under a secret that lives 120 s.
    Cookie cookie_of(const Endpoint& source, uint64_t now_ns);

    const FillRandom& fill_random_;
    crypto::Hash mac1_key_{};
    crypto::Hash cookie_key_{};
    crypto::Secret<32> secret_;
    uint64_t secret_birth_ns_ = 0;
    bool has_secret_ = false;
};

class CookieJar
{
  public:
    // Writes mac1, and mac2 when a cookie younger than 115 s is there; remembers mac1 for a reply.
    void write_macs(std::span<uint8_t> message, const crypto::PublicKey& peer, uint64_t now_ns);
    // False, and nothing changed, unless the reply answers the last message that we sent.
    [[nodiscard]] bool consume(const CookieReplyMessage& reply, const crypto::PublicKey& peer,
                               uint64_t now_ns);

  private:
    uint64_t cookie_birth_ns_ = 0;
    Cookie cookie_{};
    Mac last_mac1_{};
    bool has_cookie_ = false;
    bool awaits_reply_ = false;
};

}  // namespace sandgate::wg

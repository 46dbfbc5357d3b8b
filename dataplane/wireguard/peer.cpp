// See peer.h.
#include "dataplane/wireguard/peer.h"

#include <sodium.h>

#include <algorithm>

namespace sandgate::wg {

Peer& PeerTable::find_or_add(IdentityId identity)
{
    if (identity >= by_identity_.size())
        by_identity_.resize(std::max<size_t>(identity + 1, by_identity_.size() * 3 / 2));
    std::unique_ptr<Peer>& place = by_identity_[identity];
    if (!place) {
        place = std::make_unique<Peer>();
        place->identity = identity;
        size_++;
    }
    return *place;
}

void PeerTable::remove(Peer& peer)
{
    forget_key(peer);
    by_identity_[peer.identity].reset();
    size_--;
}

void PeerTable::retire(Peer& peer)
{
    forget_key(peer);
    auto kept = std::make_unique<Peer>();
    kept->identity = peer.identity;
    kept->owner = peer.owner;
    kept->public_key = peer.public_key;
    kept->has_psk = peer.has_psk;
    kept->psk = std::move(peer.psk);
    kept->greatest_timestamp = peer.greatest_timestamp;
    kept->last_sent_timestamp = peer.last_sent_timestamp;
    by_identity_[peer.identity] = std::move(kept);
}

void PeerTable::set_key(Peer& peer, const crypto::PublicKey& key)
{
    forget_key(peer);
    peer.public_key = key;
    by_key_[key] = &peer;
}

void PeerTable::forget_key(Peer& peer)
{
    const auto found = by_key_.find(peer.public_key);
    if (found != by_key_.end() && found->second == &peer)
        by_key_.erase(found);
}

PeerTable::KeyedHash::KeyedHash(std::span<const uint8_t, 16> key)
{
    std::copy(key.begin(), key.end(), key_.begin());
}

size_t PeerTable::KeyedHash::operator()(const crypto::PublicKey& key) const
{
    static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == sizeof(size_t));
    size_t hash;
    crypto_shorthash(reinterpret_cast<uint8_t*>(&hash), key.data(), key.size(), key_.data());
    return hash;
}

}  // namespace sandgate::wg

// Small frames, written by hand. Nothing is learnt from a frame that was not asked for, except a
// refresh of what is known already and the asker's own address (as Linux does), so a flood of
// announcements fills no table.
#include "dataplane/slowpath/neighbour_service.h"

#include <cstring>

#include "dataplane/pipeline/inner_header.h"

namespace sandgate::dp {

namespace {

constexpr uint8_t kBroadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr size_t kMostKnown = Neighbours::kEntries / 2;

struct ArpFrame
{
    uint8_t destination[6], source[6];
    uint8_t ethertype[2];
    uint8_t hardware[2], protocol[2];
    uint8_t hardware_bytes, protocol_bytes;
    uint8_t operation[2];
    uint8_t sender_mac[6], sender_ip[4];
    uint8_t target_mac[6], target_ip[4];
};
static_assert(sizeof(ArpFrame) == 42);

void fill_arp(ArpFrame& arp, uint8_t operation, const uint8_t* from_mac, const Address& from,
              const uint8_t* to_mac, const uint8_t* target_mac, const Address& to)
{
    static constexpr uint8_t kFixed[8] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4};
    std::memcpy(arp.destination, to_mac, 6);
    std::memcpy(arp.source, from_mac, 6);
    std::memcpy(arp.ethertype, kFixed, 8);
    arp.operation[0] = 0;
    arp.operation[1] = operation;
    std::memcpy(arp.sender_mac, from_mac, 6);
    std::memcpy(arp.sender_ip, from.v4_bytes(), 4);
    std::memcpy(arp.target_mac, target_mac, 6);
    std::memcpy(arp.target_ip, to.v4_bytes(), 4);
}

// Ethernet, IPv6 and a neighbour message with one link-layer address option: 86 bytes.
constexpr uint16_t kDiscoveryBytes = 14 + 40 + 32;

void fill_discovery(uint8_t* frame, uint8_t type, const uint8_t* from_mac, const Address& from,
                    const uint8_t* to_mac, const Address& to, const Address& target)
{
    std::memset(frame, 0, kDiscoveryBytes);
    std::memcpy(frame, to_mac, 6);
    std::memcpy(frame + 6, from_mac, 6);
    frame[12] = 0x86;
    frame[13] = 0xdd;
    uint8_t* ip = frame + 14;
    ip[0] = 0x60;
    ip[5] = 32;
    ip[6] = 58;
    ip[7] = 255;  // RFC 4861 section 7.1: what crossed a router is refused
    std::memcpy(ip + 8, from.bytes.data(), 16);
    std::memcpy(ip + 24, to.bytes.data(), 16);
    uint8_t* icmp = ip + 40;
    icmp[0] = type;
    icmp[4] = type == 136 ? 0x60 : 0;  // solicited, override
    std::memcpy(icmp + 8, target.bytes.data(), 16);
    icmp[24] = type == 136 ? 2 : 1;
    icmp[25] = 1;
    std::memcpy(icmp + 26, from_mac, 6);
    const uint16_t checksum = fold_checksum(sum_of(ip + 8, 32) + 58 + 32 + sum_of(icmp, 32));
    icmp[2] = static_cast<uint8_t>(checksum >> 8);
    icmp[3] = static_cast<uint8_t>(checksum);
}

// RFC 4861 sections 7.1.1 and 7.1.2.
bool is_valid_discovery(const uint8_t* ip, uint32_t bytes)
{
    if (bytes < 40 + 24 || ip[7] != 255)
        return false;
    const uint32_t payload = static_cast<uint32_t>(ip[4]) << 8 | ip[5];
    if (payload < 24 || 40 + payload > bytes)
        return false;
    return fold_checksum(sum_of(ip + 8, 32) + 58 + payload + sum_of(ip + 40, payload)) == 0 &&
           ip[41] == 0;
}

// The link-layer address option of a type (1 source, 2 target), or nullptr.
const uint8_t* find_link_option(const uint8_t* ip, uint8_t wanted)
{
    const uint32_t payload = static_cast<uint32_t>(ip[4]) << 8 | ip[5];
    for (uint32_t at = 24; at + 8 <= payload;) {
        const uint8_t* option = ip + 40 + at;
        const uint32_t bytes = option[1] * 8u;
        if (bytes == 0 || at + bytes > payload)
            return nullptr;
        if (option[0] == wanted)
            return option + 2;
        at += bytes;
    }
    return nullptr;
}

bool is_own(const api::PortRow& row, const Address& address)
{
    return !address.is_zero() && (address == row.v4 || address == row.v6);
}

}  // namespace

NeighbourService::~NeighbourService()
{
    for (auto& [key, entry] : unresolved_)
        for (rte_mbuf* mbuf : entry.waiting) rte_pktmbuf_free(mbuf);
}

void NeighbourService::drop(rte_mbuf* mbuf, DropReason reason)
{
    api::add(counters_.drops[static_cast<unsigned>(reason)], 1);
    rte_pktmbuf_free(mbuf);
}

void NeighbourService::take(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns)
{
    if (parked(mbuf)->kind == Kind::kLocal)
        take_local(mbuf, policy, now_ns);
    else
        wait_for(mbuf, policy, now_ns);
}

void NeighbourService::take_local(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns)
{
    const uint8_t port = parked(mbuf)->port;
    if (port >= policy.rows.ports.size())
        return drop(mbuf, DropReason::kUnknownProtocol);
    const api::PortRow& row = policy.rows.ports[port];
    const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    if (frame[12] == 0x08 && frame[13] == 0x06)
        return take_arp(mbuf, port, row, now_ns);
    const bool is_v4 = frame[12] == 0x08;
    const bool is_echo = is_v4 || frame[14 + 40] == 128;
    return is_echo ? answer_echo(mbuf, port) : take_discovery(mbuf, port, row, now_ns);
}

void NeighbourService::take_arp(rte_mbuf* mbuf, uint8_t port, const api::PortRow& row,
                                uint64_t now_ns)
{
    static constexpr uint8_t kFixed[8] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4};
    auto* arp = rte_pktmbuf_mtod(mbuf, ArpFrame*);
    if (rte_pktmbuf_pkt_len(mbuf) < sizeof(ArpFrame) ||
        std::memcmp(arp->ethertype, kFixed, 8) != 0 || (arp->sender_mac[0] & 1) != 0)
        return drop(mbuf, DropReason::kNeighbourMalformed);
    const Address sender = Address::v4(arp->sender_ip), target = Address::v4(arp->target_ip);
    const bool is_for_us = target == row.v4 && !row.v4.is_zero();
    const bool is_probe = std::memcmp(arp->sender_ip, "\0\0\0\0", 4) == 0;  // RFC 5227
    if (!is_probe && !is_own(row, sender) && is_within(sender, row.v4, row.v4_prefix + 96u))
        learn(port, sender, arp->sender_mac, now_ns, is_for_us && arp->operation[1] == 1);
    if (arp->operation[1] != 1 || !is_for_us) {
        rte_pktmbuf_free(mbuf);  // handled, or a question to somebody else
        return;
    }
    uint8_t asker[6];
    std::memcpy(asker, arp->sender_mac, 6);
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_pkt_len(mbuf) - sizeof(ArpFrame)));
    fill_arp(*arp, 2, shared_.port_macs[port], row.v4, asker, asker, sender);
    send_frame(mbuf, port);
}

void NeighbourService::take_discovery(rte_mbuf* mbuf, uint8_t port, const api::PortRow& row,
                                      uint64_t now_ns)
{
    auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
    uint8_t* ip = frame + 14;
    if (!is_valid_discovery(ip, rte_pktmbuf_pkt_len(mbuf) - 14))
        return drop(mbuf, DropReason::kNeighbourMalformed);
    const Address sender = Address::v6(ip + 8), target = Address::v6(ip + 48);
    const bool is_advertisement = ip[40] == 136;
    if (is_advertisement) {
        const uint8_t* mac = find_link_option(ip, 2);
        if (mac != nullptr && (mac[0] & 1) == 0)
            learn(port, target, mac, now_ns, false);
        rte_pktmbuf_free(mbuf);
        return;
    }
    const uint8_t* mac = find_link_option(ip, 1);
    if (target != row.v6 || row.v6.is_zero() || sender.is_zero() || mac == nullptr ||
        (mac[0] & 1) != 0) {
        rte_pktmbuf_free(mbuf);  // a question to somebody else, or duplicate address detection
                                 // (answered by silence)
        return;
    }
    if (!is_own(row, sender))
        learn(port, sender, mac, now_ns, true);
    uint8_t asker[6];
    std::memcpy(asker, mac, 6);
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_pkt_len(mbuf)));
    frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, kDiscoveryBytes));
    if (frame == nullptr)
        return drop(mbuf, DropReason::kNoBuffer);
    fill_discovery(frame, 136, shared_.port_macs[port], row.v6, asker, sender, row.v6);
    send_frame(mbuf, port);
}

void NeighbourService::answer_echo(rte_mbuf* mbuf, uint8_t port)
{
    auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
    uint8_t* ip = frame + 14;
    const bool is_v4 = ip[0] >> 4 == 4;
    const uint32_t header = is_v4 ? (ip[0] & 15) * 4u : 40;
    const uint32_t address_at = is_v4 ? 12 : 8, address_bytes = is_v4 ? 4 : 16;
    const uint32_t total = is_v4 ? static_cast<uint32_t>(ip[2]) << 8 | ip[3]
                                 : 40 + (static_cast<uint32_t>(ip[4]) << 8 | ip[5]);
    uint8_t* icmp = ip + header;
    uint64_t sum = sum_of(icmp, total - header);
    if (!is_v4)
        sum += sum_of(ip + 8, 32) + 58 + (total - header);
    if (fold_checksum(sum) != 0 || (frame[6] & 1) != 0)
        return drop(mbuf, DropReason::kOuterBadHeader);
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_pkt_len(mbuf) - 14 - total));
    std::memcpy(frame, frame + 6, 6);
    std::memcpy(frame + 6, shared_.port_macs[port], 6);
    uint8_t swap[16];
    std::memcpy(swap, ip + address_at, address_bytes);
    std::memcpy(ip + address_at, ip + address_at + address_bytes, address_bytes);
    std::memcpy(ip + address_at + address_bytes, swap, address_bytes);
    const uint16_t before = static_cast<uint16_t>(icmp[0] << 8 | icmp[1]);
    icmp[0] = is_v4 ? 0 : 129;
    const uint16_t checksum =
        updated_checksum(static_cast<uint16_t>(icmp[2] << 8 | icmp[3]), before,
                         static_cast<uint16_t>(icmp[0] << 8 | icmp[1]));
    icmp[2] = static_cast<uint8_t>(checksum >> 8);
    icmp[3] = static_cast<uint8_t>(checksum);
    if (is_v4) {
        const uint16_t ttl = static_cast<uint16_t>(ip[8] << 8 | ip[9]);
        ip[8] = 64;
        const uint16_t repaired = updated_checksum(static_cast<uint16_t>(ip[10] << 8 | ip[11]), ttl,
                                                   static_cast<uint16_t>(ip[8] << 8 | ip[9]));
        ip[10] = static_cast<uint8_t>(repaired >> 8);
        ip[11] = static_cast<uint8_t>(repaired);
    } else {
        ip[7] = 64;
    }
    send_frame(mbuf, port);
}

void NeighbourService::wait_for(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns)
{
    const Packet& packet = *parked(mbuf);
    uint8_t mac[6];
    if (shared_.neighbours.find(packet.egress, packet.next_hop, mac))
        return send_back(mbuf);  // it answered while the packet was on its way here
    if (packet.egress >= policy.rows.ports.size())
        return drop(mbuf, DropReason::kNoRoute);
    const Key key{packet.egress, packet.next_hop};
    auto found = unresolved_.find(key);
    if (found == unresolved_.end()) {
        if (unresolved_.size() >= kMostUnresolved)
            return drop(mbuf, DropReason::kNeighbourQueueFull);
        found = unresolved_.emplace(key, Unresolved{}).first;
        found->second.probes = 1;
        found->second.next_probe_ns = now_ns + kProbeEveryNs;
        ask(packet.egress, policy.rows.ports[packet.egress], packet.next_hop);
    }
    std::deque<rte_mbuf*>& waiting = found->second.waiting;
    if (waiting.size() >= kMostWaiting || waiting_ >= kMostWaitingInAll)
        return drop(mbuf, DropReason::kNeighbourQueueFull);
    waiting.push_back(mbuf);
    waiting_++;
}

void NeighbourService::learn(uint8_t port, const Address& address, const uint8_t* mac,
                             uint64_t now_ns, bool may_create)
{
    const Key key{port, address};
    const auto known = known_.find(key);
    if (known != known_.end() && known->second.is_static)
        return;
    const auto unresolved = unresolved_.find(key);
    if (known == known_.end() && unresolved == unresolved_.end() && !may_create)
        return;
    if (known == known_.end() && known_.size() >= kMostKnown)
        return;
    shared_.neighbours.set(port, address, mac);
    known_[key] = {now_ns, now_ns + kReachableNs, false};
    if (unresolved == unresolved_.end())
        return;
    std::deque<rte_mbuf*> waiting = std::move(unresolved->second.waiting);
    unresolved_.erase(unresolved);
    waiting_ -= waiting.size();
    for (rte_mbuf* mbuf : waiting) send_back(mbuf);
}

void NeighbourService::on_timer(const PolicyView& policy, uint64_t now_ns)
{
    for (auto at = unresolved_.begin(); at != unresolved_.end();) {
        Unresolved& entry = at->second;
        if (now_ns < entry.next_probe_ns) {
            ++at;
            continue;
        }
        const auto [port, address] = at->first;
        if (entry.probes >= kProbes || port >= policy.rows.ports.size()) {
            waiting_ -= entry.waiting.size();
            for (rte_mbuf* mbuf : entry.waiting) drop(mbuf, DropReason::kNeighbourUnreachable);
            at = unresolved_.erase(at);
            continue;
        }
        entry.probes++;
        entry.next_probe_ns = now_ns + kProbeEveryNs;
        ask(port, policy.rows.ports[port], address);
        ++at;
    }
    for (auto at = known_.begin(); at != known_.end();) {
        const auto [port, address] = at->first;
        Known& entry = at->second;
        if (entry.is_static || now_ns < entry.next_probe_ns) {
            ++at;
            continue;
        }
        const bool is_gone = now_ns > entry.confirmed_ns + kReachableNs + kForgetNs;
        if (is_gone || port >= policy.rows.ports.size()) {
            shared_.neighbours.erase(port, address);
            at = known_.erase(at);
            continue;
        }
        entry.next_probe_ns = now_ns + kProbeEveryNs;
        ask(port, policy.rows.ports[port], address);
        ++at;
    }
}

void NeighbourService::set_static(const PolicyView& policy)
{
    for (auto at = known_.begin(); at != known_.end();) {
        if (!at->second.is_static) {
            ++at;
            continue;
        }
        shared_.neighbours.erase(at->first.first, at->first.second);
        at = known_.erase(at);
    }
    for (const api::StaticNeighbourRow& row : policy.rows.neighbours) {
        shared_.neighbours.set(row.port, row.address, row.mac);
        known_[{row.port, row.address}] = {0, 0, true};
    }
}

void NeighbourService::ask(uint8_t port, const api::PortRow& row, const Address& address)
{
    const Address& own = address.is_v4() ? row.v4 : row.v6;
    rte_mbuf* mbuf = own.is_zero() ? nullptr : rte_pktmbuf_alloc(shared_.pool);
    if (mbuf == nullptr)
        return;
    const uint8_t* mac = shared_.port_macs[port];
    if (address.is_v4()) {
        static constexpr uint8_t kUnknown[6] = {};
        auto* arp = reinterpret_cast<ArpFrame*>(rte_pktmbuf_append(mbuf, sizeof(ArpFrame)));
        fill_arp(*arp, 1, mac, own, kBroadcast, kUnknown, address);
    } else {
        // RFC 4291 section 2.7.1 and RFC 2464 section 7: the solicited-node group and its MAC
        // address.
        Address group;
        static constexpr uint8_t kGroup[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
        std::memcpy(group.bytes.data(), kGroup, 13);
        std::memcpy(&group.bytes[13], &address.bytes[13], 3);
        uint8_t to_mac[6] = {
            0x33, 0x33, 0xff, address.bytes[13], address.bytes[14], address.bytes[15]};
        auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, kDiscoveryBytes));
        fill_discovery(frame, 135, mac, own, to_mac, group, address);
    }
    send_frame(mbuf, port);
}

void NeighbourService::send_frame(rte_mbuf* mbuf, uint8_t port)
{
    Packet frame;
    frame.mbuf = mbuf;
    frame.kind = Kind::kReply;
    frame.resume = Stage::kTransmit;
    frame.flags = kIsFrame;
    frame.egress = port;
    *parked(mbuf) = frame;
    send_back(mbuf);
}

void NeighbourService::send_back(rte_mbuf* mbuf)
{
    if (rte_ring_mp_enqueue(shared_.returns[parked(mbuf)->received_by], mbuf) != 0)
        drop(mbuf, DropReason::kSlowPathFull);
}

}  // namespace sandgate::dp

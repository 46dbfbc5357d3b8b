// Packets for tests, written as a sentence: between("10.9.1.1",
// "198.51.100.7").hop_limit(5).udp(1000, 53, payload). Lengths and checksums are right unless a
// test breaks the bytes afterwards. The checksum here is the textbook's, so that it can judge the
// dataplane's.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/api/ids.h"

namespace sandgate::test {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;

inline api::Address address_of(const std::string& text)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1)
        return api::Address::v4(bytes);
    if (inet_pton(AF_INET6, text.c_str(), bytes) == 1)
        return api::Address::v6(bytes);
    std::abort();
}

inline uint16_t get16(const Bytes& b, size_t at)
{
    return static_cast<uint16_t>(b.at(at) << 8 | b.at(at + 1));
}
inline uint32_t get32(const Bytes& b, size_t at)
{
    return static_cast<uint32_t>(get16(b, at)) << 16 | get16(b, at + 2);
}
inline void put16(Bytes& b, size_t at, unsigned value)
{
    b.at(at) = static_cast<uint8_t>(value >> 8);
    b.at(at + 1) = static_cast<uint8_t>(value);
}
inline void put32(Bytes& b, size_t at, uint32_t value)
{
    put16(b, at, value >> 16);
    put16(b, at + 2, value & 0xffff);
}
inline void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }
inline Bytes part(const Bytes& b, size_t from, size_t bytes = ~size_t{0})
{
    return {b.begin() + static_cast<long>(from),
            b.begin() + static_cast<long>(from + std::min(bytes, b.size() - from))};
}
// `count` bytes that differ from one another.
inline Bytes pattern(size_t count, unsigned start = 1)
{
    Bytes b(count);
    for (size_t i = 0; i < count; i++) b[i] = static_cast<uint8_t>(start + i * 7 + i / 256);
    return b;
}

// RFC 1071, one word after the other.
inline uint16_t internet_checksum(const Bytes& b)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < b.size(); i += 2) {
        sum += static_cast<uint32_t>(b[i] << 8) + (i + 1 < b.size() ? b[i + 1] : 0u);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(~sum);
}

// The transport bytes of an IP packet with their pseudo-header in front, as the checksum covers
// them.
inline Bytes with_pseudo_header(const Bytes& ip, size_t header, uint8_t protocol)
{
    const bool is_v4 = ip.at(0) >> 4 == 4;
    Bytes covered;
    if (!(is_v4 && protocol == 1)) {
        covered = is_v4 ? part(ip, 12, 8) : part(ip, 8, 32);
        const size_t length = ip.size() - header;
        append(covered,
               {0, protocol, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)});
    }
    append(covered, part(ip, header));
    return covered;
}

class PacketBuilder
{
  public:
    PacketBuilder(const std::string& from, const std::string& to)
        : from_(address_of(from)), to_(address_of(to))
    {
    }

    PacketBuilder& hop_limit(uint8_t value) { return hop_limit_ = value, *this; }
    PacketBuilder& traffic_class(uint8_t value) { return traffic_class_ = value, *this; }
    PacketBuilder& dont_fragment() { return fragment_field_ |= 0x4000, *this; }
    PacketBuilder& fragment_field(uint16_t value) { return fragment_field_ = value, *this; }
    PacketBuilder& id(uint16_t value) { return id_ = value, *this; }
    PacketBuilder& options(Bytes value)
    {
        return options_ = std::move(value), *this;
    }  // IPv4; a multiple of 4
    // IPv6: an extension header; its body behind the next-header byte.
    PacketBuilder& extension(uint8_t type, Bytes body)
    {
        return extensions_.emplace_back(type, std::move(body)), *this;
    }

    PacketBuilder& udp(uint16_t source, uint16_t destination, const Bytes& payload = {})
    {
        transport_ = Bytes(8);
        put16(transport_, 0, source);
        put16(transport_, 2, destination);
        put16(transport_, 4, static_cast<unsigned>(8 + payload.size()));
        append(transport_, payload);
        return raw(17, transport_, 6);
    }
    PacketBuilder& tcp(uint16_t source, uint16_t destination, uint8_t flags,
                       const Bytes& payload = {}, const Bytes& tcp_options = {},
                       uint32_t sequence = 1000, uint32_t acknowledged = 2000)
    {
        transport_ = Bytes(20);
        put16(transport_, 0, source);
        put16(transport_, 2, destination);
        put32(transport_, 4, sequence);
        put32(transport_, 8, (flags & kAck) != 0 ? acknowledged : 0);
        transport_[12] = static_cast<uint8_t>((20 + tcp_options.size()) / 4 << 4);
        transport_[13] = flags;
        put16(transport_, 14, 65535);
        append(transport_, tcp_options);
        append(transport_, payload);
        return raw(6, transport_, 16);
    }
    // The protocol follows the family.
    PacketBuilder& icmp(uint8_t type, uint8_t code, uint32_t rest, const Bytes& payload = {})
    {
        transport_ = {type, code, 0, 0, 0, 0, 0, 0};
        put32(transport_, 4, rest);
        append(transport_, payload);
        return raw(from_.is_v4() ? 1 : 58, transport_, 2);
    }
    static constexpr size_t kNoChecksum = ~size_t{0};
    PacketBuilder& raw(uint8_t protocol, const Bytes& transport, size_t checksum_at = kNoChecksum)
    {
        transport_ = transport;
        protocol_ = protocol;
        checksum_at_ = checksum_at;
        return *this;
    }

    Bytes bytes() const
    {
        Bytes ip = from_.is_v4() ? v4_header() : v6_header();
        const size_t header = ip.size();
        append(ip, transport_);
        if (checksum_at_ != kNoChecksum) {
            const uint16_t sum = internet_checksum(with_pseudo_header(ip, header, protocol_));
            put16(ip, header + checksum_at_, sum == 0 && protocol_ == 17 ? 0xffffu : sum);
        }
        return ip;
    }
    // NOLINTNEXTLINE(google-explicit-constructor): a built packet stands where bytes do
    operator Bytes() const { return bytes(); }

  private:
    Bytes v4_header() const
    {
        Bytes ip(20);
        ip[0] = static_cast<uint8_t>(0x40 | (20 + options_.size()) / 4);
        ip[1] = traffic_class_;
        put16(ip, 2, static_cast<unsigned>(20 + options_.size() + transport_.size()));
        put16(ip, 4, id_);
        put16(ip, 6, fragment_field_);
        ip[8] = hop_limit_;
        ip[9] = protocol_;
        std::copy_n(from_.v4_bytes(), 4, &ip[12]);
        std::copy_n(to_.v4_bytes(), 4, &ip[16]);
        append(ip, options_);
        put16(ip, 10, internet_checksum(ip));
        return ip;
    }
    Bytes v6_header() const
    {
        Bytes chain;
        for (size_t i = 0; i < extensions_.size(); i++) {
            chain.push_back(i + 1 < extensions_.size() ? extensions_[i + 1].first : protocol_);
            append(chain, extensions_[i].second);
        }
        Bytes ip(40);
        ip[0] = static_cast<uint8_t>(0x60 | traffic_class_ >> 4);
        ip[1] = static_cast<uint8_t>(traffic_class_ << 4);
        put16(ip, 4, static_cast<unsigned>(chain.size() + transport_.size()));
        ip[6] = extensions_.empty() ? protocol_ : extensions_[0].first;
        ip[7] = hop_limit_;
        std::copy_n(from_.bytes.data(), 16, &ip[8]);
        std::copy_n(to_.bytes.data(), 16, &ip[24]);
        append(ip, chain);
        return ip;
    }

    api::Address from_, to_;
    uint8_t hop_limit_ = 64, traffic_class_ = 0, protocol_ = 59;
    uint16_t fragment_field_ = 0, id_ = 77;
    size_t checksum_at_ = kNoChecksum;
    Bytes options_, transport_;
    std::vector<std::pair<uint8_t, Bytes>> extensions_;
};

inline PacketBuilder between(const std::string& from, const std::string& to) { return {from, to}; }

// Wraps an IP packet into Ethernet.
inline Bytes frame_of(const uint8_t* to_mac, const uint8_t* from_mac, const Bytes& ip,
                      uint16_t ethertype = 0)
{
    Bytes frame(to_mac, to_mac + 6);
    frame.insert(frame.end(), from_mac, from_mac + 6);
    frame.resize(14);
    const uint16_t by_version = !ip.empty() && ip[0] >> 4 == 6 ? 0x86dd : 0x0800;
    put16(frame, 12, ethertype == 0 ? by_version : ethertype);
    append(frame, ip);
    return frame;
}

// What is wrong with an IP packet's lengths and checksums, or nothing.
inline std::string ip_fault(const Bytes& ip)
{
    if (ip.size() < 20)
        return "shorter than a header";
    const bool is_v4 = ip[0] >> 4 == 4;
    if (!is_v4 && ip[0] >> 4 != 6)
        return "no IP version";
    const size_t header = is_v4 ? (ip[0] & 15) * 4u : 40u;
    const size_t total = is_v4 ? get16(ip, 2) : 40u + get16(ip, 4);
    if (total != ip.size())
        return "length " + std::to_string(total) + " in the header, " + std::to_string(ip.size()) +
               " in fact";
    if (is_v4 && internet_checksum(part(ip, 0, header)) != 0)
        return "wrong header checksum";
    if (is_v4 && (get16(ip, 6) & 0x3fff) != 0)
        return {};  // a fragment's transport cannot be checked alone
    const uint8_t protocol = is_v4 ? ip[9] : ip[6];
    const bool is_checked = protocol == 6 || protocol == 58 || protocol == 1 ||
                            (protocol == 17 && !(is_v4 && get16(ip, header + 6) == 0));
    if (is_checked && internet_checksum(with_pseudo_header(ip, header, protocol)) != 0)
        return "wrong checksum of protocol " + std::to_string(protocol);
    if (protocol == 17 && get16(ip, header + 4) != ip.size() - header)
        return "UDP length disagrees";
    return {};
}

}  // namespace sandgate::test

// The small texts of the policy language. Nothing here allocates in proportion to anything but its
// own text.
#include "config/parse.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sandgate::config {
namespace {

constexpr std::string_view kDigits = "0123456789";

// A text as an error shows it: quoted, shortened, without control bytes.
std::string shown(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text.substr(0, 60))
        out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
    return out + (text.size() > 60 ? "...\"" : "\"");
}

Error fault(std::string sentence) { return Error{std::move(sentence)}; }

bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The length behind the slash over the family's own bits.
Result<unsigned> parse_length(std::string_view text, std::string_view digits, unsigned most)
{
    const auto length = parse_number(digits);
    if (!length || *length > most)
        return fault(fmt::format("{} has no prefix length from 0 to {}.", shown(text), most));
    return static_cast<unsigned>(*length);
}

void clear_host_bits(api::Address& address, unsigned length)
{
    for (unsigned bit = length; bit < 128; bit++)
        address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
}

bool is_unicast(const api::Address& address)
{
    static constexpr uint8_t kLoopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t* four = address.v4_bytes();
    if (address.is_v4())
        return four[0] != 0 && four[0] != 127 && four[0] < 224;
    return address.bytes[0] != 0xff && !address.is_zero() &&
           std::memcmp(address.bytes.data(), kLoopback, 16) != 0;
}

Error not_unicast(const api::Address& address)
{
    return fault(
        fmt::format("{} is not the address of a host: it is unspecified, loopback, multicast or "
                    "broadcast.",
                    to_text(address)));
}

}  // namespace

Result<api::Address> parse_host_address(std::string_view text)
{
    auto address = parse_address(text);
    return !address || is_unicast(*address) ? address : not_unicast(*address);
}

Result<Prefix> parse_agent_prefix(std::string_view text)
{
    auto prefix = parse_prefix(text);
    if (!prefix)
        return prefix;
    const auto& bytes = prefix->address.bytes;
    const bool is_link_local = prefix->address.is_v4()
                                   ? bytes[12] == 169 && bytes[13] == 254
                                   : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    if (is_link_local)
        return fault(fmt::format("{} is link-local; the gateway takes no packets from there.",
                                 to_text(*prefix)));
    return is_unicast(prefix->address) ? prefix : not_unicast(prefix->address);
}

std::optional<uint64_t> parse_number(std::string_view text)
{
    uint64_t number = 0;
    if (text.empty() || text.find_first_not_of(kDigits) != std::string_view::npos)
        return std::nullopt;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

Result<api::Address> parse_address(std::string_view text)
{
    char buffer[64];
    uint8_t bytes[16];
    if (text.size() < sizeof buffer && text.find('\0') == std::string_view::npos) {
        std::copy(text.begin(), text.end(), buffer);
        buffer[text.size()] = 0;
        if (inet_pton(AF_INET, buffer, bytes) == 1)
            return api::Address::v4(bytes);
        if (inet_pton(AF_INET6, buffer, bytes) == 1) {
            const api::Address address = api::Address::v6(bytes);
            if (address.is_v4())
                return fault(fmt::format("{} is an IPv4 address in IPv6 clothes; write it as IPv4.",
                                         shown(text)));
            return address;
        }
    }
    return fault(fmt::format("{} is not an IP address.", shown(text)));
}

Result<PortAddress> parse_port_address(std::string_view text)
{
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        return fault(
            fmt::format("{} needs the length of its network, as in 192.0.2.1/24.", shown(text)));
    const auto address = parse_host_address(text.substr(0, slash));
    if (!address)
        return address.error();
    const auto length = parse_length(text, text.substr(slash + 1), address->is_v4() ? 32 : 128);
    if (!length)
        return length.error();
    if (*length == 0)
        return fault(fmt::format("{} has a network of length 0.", shown(text)));
    return PortAddress{*address, static_cast<uint8_t>(*length)};
}

Result<Prefix> parse_prefix(std::string_view text)
{
    const size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    if (!address)
        return slash == std::string_view::npos
                   ? address.error()
                   : fault(fmt::format("{} is not an IP network.", shown(text)));
    Prefix prefix{*address, 128};
    if (slash == std::string_view::npos)
        return prefix;
    const auto length = parse_length(text, text.substr(slash + 1), address->is_v4() ? 32 : 128);
    if (!length)
        return length.error();
    prefix.length = static_cast<uint8_t>(address->is_v4() ? *length + 96 : *length);
    clear_host_bits(prefix.address, prefix.length);
    if (prefix.address != *address)
        return fault(fmt::format("{} has address bits behind its length; did you mean \"{}\"?",
                                 shown(text), to_text(prefix)));
    // IPv4 lives inside ::/80, so an IPv6 network around it would cover both families.
    static const Prefix kV4{[] {
                                const uint8_t zero[4] = {};
                                return api::Address::v4(zero);
                            }(),
                            96};
    if (!address->is_v4() && prefix.contains(kV4))
        return fault(fmt::format(
            "{} is too wide; write \"*\" for every address, 2000::/3 for global IPv6 addresses.",
            shown(text)));
    return prefix;
}

Result<std::vector<Prefix>> parse_prefixes(std::string_view text)
{
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        auto prefix = parse_prefix(text);
        if (!prefix)
            return prefix.error();
        return std::vector<Prefix>{*prefix};
    }
    const auto first = parse_address(text.substr(0, dash));
    const auto last = parse_address(text.substr(dash + 1));
    if (!first || !last || first->is_v4() != last->is_v4())
        return fault(
            fmt::format("{} is no range of addresses such as 10.0.0.4-10.0.0.9.", shown(text)));
    if (*last < *first)
        return fault(fmt::format("{} ends before it starts.", shown(text)));
    // IPv4 lives inside ::/80, as parse_prefix() knows too.
    static constexpr uint8_t kZero[4] = {};
    const api::Address v4 = api::Address::v4(kZero);
    if (!first->is_v4() && *first < v4 && v4 < *last)
        return fault(fmt::format("{} is too wide.", shown(text)));
    std::vector<Prefix> prefixes;
    api::Address at = *first;
    for (;;) {
        // The widest network that begins here and does not pass the end.
        Prefix widest{at, 128};
        api::Address end = at;
        for (unsigned length = 127;; length--) {
            const auto bit = static_cast<uint8_t>(0x80u >> (length % 8));
            if ((at.bytes[length / 8] & bit) != 0)
                break;
            api::Address wider = end;
            wider.bytes[length / 8] |= bit;
            if (*last < wider)
                break;
            end = wider;
            widest.length = static_cast<uint8_t>(length);
            if (length == 0)
                break;
        }
        prefixes.push_back(widest);
        if (end == *last)
            return prefixes;
        at = end;
        for (unsigned byte = 15; ++at.bytes[byte] == 0;) byte--;
    }
}

Result<std::array<uint8_t, 6>> parse_mac(std::string_view text)
{
    std::array<uint8_t, 6> mac{};
    bool is_good = text.size() == 17;
    for (size_t i = 0; is_good && i < 6; i++) {
        unsigned byte = 0;
        const char* at = text.data() + 3 * i;
        const auto [end, code] = std::from_chars(at, at + 2, byte, 16);
        is_good = code == std::errc{} && end == at + 2 && (i == 5 || at[2] == ':');
        mac[i] = static_cast<uint8_t>(byte);
    }
    if (!is_good)
        return fault(
            fmt::format("{} is not a MAC address such as 02:00:00:00:00:07.", shown(text)));
    if ((mac[0] & 1) != 0 || mac == std::array<uint8_t, 6>{})
        return fault(fmt::format("{} is not the address of a single station.", shown(text)));
    return mac;
}

Result<Key> parse_key(std::string_view text)
{
    Key key{};
    size_t bytes = 0;
    const char* end = nullptr;
    if (text.size() != 44 ||
        sodium_base642bin(key.data(), key.size(), text.data(), text.size(), nullptr, &bytes, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        bytes != key.size() || end != text.data() + text.size())
        return fault("A key is 44 characters of base64, as `wg pubkey` prints it.");
    if (key == Key{})
        return fault("A key of zeroes is nobody's.");
    return key;
}

Result<int64_t> parse_time(std::string_view text)
{
    const Error malformed = fault(
        fmt::format("{} is not a time such as 2027-01-01T00:00:00Z (RFC 3339).", shown(text)));
    const auto digits = [&](size_t at, size_t count) -> int {
        const auto number =
            at + count <= text.size() ? parse_number(text.substr(at, count)) : std::nullopt;
        return number ? static_cast<int>(*number) : -1;
    };
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
        return malformed;
    const int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2);
    const int hour = digits(11, 2), minute = digits(14, 2), second = digits(17, 2);
    int offset_minutes = 0;
    const std::string_view zone = text.substr(19);
    if (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':') {
        const int hours = digits(20, 2), minutes = digits(23, 2);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return malformed;
        offset_minutes = (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    } else if (zone != "Z" && zone != "z") {
        return malformed;
    }
    if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return malformed;
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (day > kDays[month - 1] + (month == 2 && is_leap ? 1 : 0))
        return fault(fmt::format("{} names a day that its month does not have.", shown(text)));
    // Days since 1970, counting years from March so that the leap day is the last.
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t m = (month + 9) % 12;
    const int64_t days =
        365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + (day - 1) - 719468;
    const int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    if (seconds <= 0)
        return fault(fmt::format("{} lies before 1970.", shown(text)));
    return seconds;
}

Result<std::string> parse_name(std::string_view text)
{
    const bool is_good = !text.empty() && text.size() <= 63 && is_alphanumeric(text[0]) &&
                         std::all_of(text.begin(), text.end(), [](char c) {
                             return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
                         });
    if (!is_good)
        return fault(
            fmt::format("{} is not a name: letters, digits, '.', '_' and '-', at most 63, a "
                        "letter or digit first.",
                        shown(text)));
    return std::string(text);
}

Result<std::string> parse_owner(std::string_view text)
{
    if (text.empty() || text.size() > 254 || !std::all_of(text.begin(), text.end(), [](char c) {
            return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
        }))
        return fault(
            fmt::format("{} is not an owner: 1 to 254 characters without spaces.", shown(text)));
    return std::string(text);
}

Result<std::string> parse_remark(std::string_view text)
{
    if (text.empty() || text.size() > 200 || !std::all_of(text.begin(), text.end(), [](char c) {
            return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
        }))
        return fault(fmt::format("{} is not one line of 1 to 200 characters.", shown(text)));
    return std::string(text);
}

Result<Selector> parse_selector(std::string_view text)
{
    struct Word
    {
        std::string_view prefix;
        SelectorKind kind;
    };
    static constexpr Word kWords[] = {
        {"agent", SelectorKind::kAgent},    {"tag", SelectorKind::kTag},
        {"group", SelectorKind::kGroup},    {"owner", SelectorKind::kOwner},
        {"host", SelectorKind::kHost},      {"ipset", SelectorKind::kIpset},
        {"service", SelectorKind::kService}};
    if (text == "*")
        return Selector{SelectorKind::kAll, "*", {}, {}};
    if (text == "gateway")
        return Selector{SelectorKind::kGateway, "gateway", {}, {}};
    const size_t colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    for (const Word& known : kWords) {
        if (word != known.prefix || colon == std::string_view::npos)
            continue;
        const std::string_view name = text.substr(colon + 1);
        auto parsed = known.kind == SelectorKind::kOwner ? parse_owner(name) : parse_name(name);
        if (!parsed)
            return parsed.error();
        return Selector{known.kind, std::move(*parsed), {}, {}};
    }
    if (text.find('/') != std::string_view::npos || parse_address(text)) {
        auto prefix = parse_prefix(text);
        if (!prefix)
            return prefix.error();
        return Selector{SelectorKind::kPrefix, std::string(text), *prefix, {}};
    }
    std::vector<std::string_view> candidates{"gateway"};
    for (const Word& known : kWords) candidates.push_back(known.prefix);
    const std::string hint = did_you_mean(word, candidates);
    return fault(
        fmt::format("{} selects nothing: write agent:, tag:, group:, owner:, host:, ipset: or "
                    "service: with a name, an address, a network, gateway or \"*\"{}",
                    shown(text), hint.empty() ? "." : hint));
}

Result<Traffic> parse_traffic(std::string_view text)
{
    const size_t colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    const bool has_rest = colon != std::string_view::npos;
    const std::string_view rest = has_rest ? text.substr(colon + 1) : std::string_view{};
    Traffic traffic;
    if (text == "*") {
        traffic.protocol = api::kAnyProtocol;
        return traffic;
    }
    if (text == "icmp") {
        traffic.is_icmp = true;
        return traffic;
    }
    if (word == "proto" && has_rest) {
        const auto number = parse_number(rest);
        if (!number || *number > 254)
            return fault(fmt::format("{} names no IP protocol from 0 to 254.", shown(text)));
        traffic.protocol = static_cast<uint8_t>(*number);
        return traffic;
    }
    if (word == "tcp" || word == "udp") {
        traffic.protocol = word == "tcp" ? IPPROTO_TCP : IPPROTO_UDP;
        if (!has_rest || rest == "*")
            return traffic;
        const size_t dash = rest.find('-');
        const auto low = parse_number(rest.substr(0, dash));
        const auto high =
            dash == std::string_view::npos ? low : parse_number(rest.substr(dash + 1));
        if (!low || !high || *low < 1 || *high > 65535)
            return fault(fmt::format("{} has no port from 1 to 65535.", shown(text)));
        if (*low > *high)
            return fault(fmt::format("{} ends before it starts.", shown(text)));
        traffic.port_low = static_cast<uint16_t>(*low);
        traffic.port_high = static_cast<uint16_t>(*high);
        return traffic;
    }
    if (parse_number(text))
        return fault(fmt::format("{} does not say which protocol; did you mean \"tcp:{}\"?",
                                 shown(text), text));
    return fault(
        fmt::format("{} is no traffic: write tcp:443, tcp:8000-8999, udp:53, icmp, proto:47 or "
                    "\"*\".",
                    shown(text)));
}

Result<std::string> parse_endpoint(std::string_view text)
{
    const size_t colon = text.rfind(':');
    const Error malformed = fault(fmt::format(
        "{} is not an address with a port, as in 192.0.2.1:51820 or [2001:db8::1]:51820.",
        shown(text)));
    if (colon == std::string_view::npos)
        return malformed;
    const std::string_view host = text.substr(0, colon);
    const auto port = parse_number(text.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535 || host.empty())
        return malformed;
    if (host.front() == '[') {
        if (host.size() < 3 || host.back() != ']')
            return malformed;
        const auto address = parse_address(host.substr(1, host.size() - 2));
        if (!address || address->is_v4())
            return malformed;
    } else if (!std::all_of(host.begin(), host.end(),
                            [](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; })) {
        return malformed;
    }
    return std::string(text);
}

std::string to_text(const api::Address& address)
{
    char buffer[INET6_ADDRSTRLEN] = "";
    if (address.is_v4())
        inet_ntop(AF_INET, address.v4_bytes(), buffer, sizeof buffer);
    else
        inet_ntop(AF_INET6, address.bytes.data(), buffer, sizeof buffer);
    return buffer;
}

std::string to_text(const Prefix& prefix)
{
    if (prefix.length == 128)
        return to_text(prefix.address);
    return fmt::format("{}/{}", to_text(prefix.address),
                       prefix.address.is_v4() ? prefix.length - 96 : prefix.length);
}

std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates)
{
    constexpr size_t kMaxLength = 64;
    if (text.empty() || text.size() > kMaxLength)
        return {};
    const size_t allowed = text.size() <= 3 ? 1 : 2;
    size_t best = allowed + 1;
    std::string_view found;
    for (const std::string_view candidate : candidates) {
        const size_t longer = std::max(candidate.size(), text.size());
        if (candidate.size() > kMaxLength ||
            longer - std::min(candidate.size(), text.size()) >= best)
            continue;
        // Levenshtein's distance with swapped neighbours as one step.
        size_t rows[3][kMaxLength + 1];
        for (size_t j = 0; j <= candidate.size(); j++) rows[0][j] = j;
        for (size_t i = 1; i <= text.size(); i++) {
            size_t* row = rows[i % 3];
            const size_t* above = rows[(i + 2) % 3];
            const size_t* two_above = rows[(i + 1) % 3];
            row[0] = i;
            for (size_t j = 1; j <= candidate.size(); j++) {
                const bool is_same = text[i - 1] == candidate[j - 1];
                row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (is_same ? 0 : 1)});
                if (i > 1 && j > 1 && text[i - 1] == candidate[j - 2] &&
                    text[i - 2] == candidate[j - 1])
                    row[j] = std::min(row[j], two_above[j - 2] + 1);
            }
        }
        const size_t distance = rows[text.size() % 3][candidate.size()];
        if (distance < best && distance < candidate.size()) {
            best = distance;
            found = candidate;
        }
    }
    return found.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", found);
}

}  // namespace sandgate::config

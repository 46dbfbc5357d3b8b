// The small texts of the policy language, each one by itself: addresses, keys, times, names,
// selectors, traffic. A fault comes back as a sentence without a place; the caller knows the place.
// YAML and bulk files share these.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

Result<api::Address> parse_address(std::string_view text);
// A bare address is a prefix of one address. Bits behind the length are a fault.
Result<Prefix> parse_prefix(std::string_view text);
// One prefix, or the fewest that make up a range "10.0.0.4-10.0.0.9".
Result<std::vector<Prefix>> parse_prefixes(std::string_view text);
// The same for an agent: unspecified, loopback, multicast and broadcast addresses are faults too.
Result<Prefix> parse_agent_prefix(std::string_view text);
// The address of a host: not unspecified, loopback, multicast or broadcast.
Result<api::Address> parse_host_address(std::string_view text);
// An address with the length of its network: bits behind the length are kept. A host's, as above.
Result<PortAddress> parse_port_address(std::string_view text);
Result<std::array<uint8_t, 6>> parse_mac(std::string_view text);
// Base64 of 32 bytes, as `wg pubkey` prints it.
Result<Key> parse_key(std::string_view text);
// RFC 3339 with seconds and a zone ("2027-01-01T00:00:00Z", "...+02:00"); seconds since 1970, after
// 1970.
Result<int64_t> parse_time(std::string_view text);
// Letters, digits, '.', '_', '-'; starts with a letter or digit; at most 63.
Result<std::string> parse_name(std::string_view text);
// An owner: printable without spaces, at most 254 bytes.
Result<std::string> parse_owner(std::string_view text);
// What people write for people: one line without control bytes, at most 200.
Result<std::string> parse_remark(std::string_view text);
Result<Selector> parse_selector(std::string_view text);
Result<Traffic> parse_traffic(std::string_view text);
// "host:port" or "[v6]:port".
Result<std::string> parse_endpoint(std::string_view text);
// Decimal digits alone.
std::optional<uint64_t> parse_number(std::string_view text);

std::string to_text(const api::Address& address);
std::string to_text(const Prefix& prefix);  // without the length of a single address

// "; did you mean \"x\"?" for the candidate that is one or two letters away, else nothing.
std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates);

}  // namespace sandgate::config

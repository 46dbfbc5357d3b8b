// The addresses of the hard rules.
#include "config/hard_rules.h"

#include <algorithm>

#include "config/parse.h"

namespace sandgate::config {
namespace {

Prefix prefix_of(const char* text) { return *parse_prefix(text); }

// AWS, GCP, Azure and others over IPv4; AWS over IPv6; Alibaba Cloud.
std::vector<Prefix> metadata_prefixes()
{
    return {prefix_of("169.254.169.254"), prefix_of("fd00:ec2::254"), prefix_of("100.100.100.200")};
}

// RFC 3927, RFC 4291 section 2.5.6.
std::vector<Prefix> link_local_prefixes()
{
    return {prefix_of("169.254.0.0/16"), prefix_of("fe80::/10")};
}

// The network without one address in it, as prefixes.
std::vector<Prefix> without(const Prefix& network, const api::Address& hole)
{
    std::vector<Prefix> rest;
    for (unsigned length = network.length + 1u; length <= 128; length++) {
        Prefix other{hole, static_cast<uint8_t>(length)};
        other.address.bytes[(length - 1) / 8] ^= static_cast<uint8_t>(0x80u >> ((length - 1) % 8));
        for (unsigned bit = length; bit < 128; bit++)
            other.address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
        rest.push_back(other);
    }
    return rest;
}

}  // namespace

std::vector<HardPrefix> hard_rules(const Policy& policy)
{
    std::vector<HardPrefix> rules;
    if (!policy.is_relaxed(kRelaxMetadata))
        for (const Prefix& prefix : metadata_prefixes())
            rules.push_back({prefix, api::kMetadataRule});
    for (const Prefix& network : link_local_prefixes()) {
        // IPv6 has no way for them: their next hop would be on some link, and nobody says which.
        if (network.address.is_v4() && policy.is_relaxed(kRelaxLinkLocal))
            continue;
        std::vector<Prefix> parts = {network};
        for (const Prefix& one : metadata_prefixes())
            if (policy.is_relaxed(kRelaxMetadata) && network.contains(one))
                parts = without(network, one.address);
        for (const Prefix& part : parts) rules.push_back({part, api::kLinkLocalRule});
    }
    for (const Port& port : policy.ports)
        for (const PortAddress& own : {port.v4, port.v6})
            if (own.length != 0)
                rules.push_back({{own.address, 128}, api::kManagementRule});
    return rules;
}

const HardPrefix* find_hard_rule(const std::vector<HardPrefix>& rules, const Prefix& prefix)
{
    const auto found = std::find_if(rules.begin(), rules.end(), [&](const HardPrefix& rule) {
        return rule.prefix.contains(prefix);
    });
    return found == rules.end() ? nullptr : &*found;
}

std::string describe(api::RuleId hard_rule)
{
    switch (hard_rule) {
        case api::kMetadataRule:
            return "the metadata service of a cloud";
        case api::kLinkLocalRule:
            return "a link-local address";
        default:
            return "the gateway's own address on a port";
    }
}

std::string relaxed_by(const HardPrefix& rule)
{
    if (rule.rule == api::kMetadataRule)
        return "metadata";
    return rule.rule == api::kLinkLocalRule && rule.prefix.address.is_v4() ? "link_local" : "";
}

}  // namespace sandgate::config

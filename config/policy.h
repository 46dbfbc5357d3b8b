// The typed model of one policy: what load() makes of the YAML file and its bulk files. Plain
// structs; nothing here has been checked against anything else (validate.h does that), but every
// value is well-formed by itself. Where a text has a position, the struct keeps it, so that every
// later error can name line and column.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/result.h"
#include "dataplane/api/flow_timeouts.h"
#include "dataplane/api/ids.h"
#include "dataplane/api/snapshot.h"

namespace sandgate::config {

using Key = std::array<uint8_t, 32>;

// A place in a text file; line and column count from 1, 0 means "the file as a whole".
struct Where
{
    uint32_t line = 0;
    uint32_t column = 0;
    uint32_t file = 0;  // index into Policy::files; 0 in a bulk file, whose list knows its name
};

// An address and a length over 128 bits (IPv4-mapped, as in dataplane/api/snapshot.h); no bit
// behind the length.
struct Prefix
{
    api::Address address;
    uint8_t length = 0;

    bool contains(const api::Address& other) const;
    bool contains(const Prefix& other) const
    {
        return other.length >= length && contains(other.address);
    }
    bool overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }
    auto operator<=>(const Prefix&) const = default;
};

struct Located
{
    std::string text;
    Where where;
};

// Somebody who owns agents and grants.
struct User
{
    std::string name;
    Where where;
};

// Something that is known of an agent, for grants to ask (conditions.h).
struct Attribute
{
    std::string name;
    std::string value;
    int64_t expires_unix = 0;  // 0 = never

    auto operator<=>(const Attribute&) const = default;
};

struct Condition
{
    enum Is : uint8_t
    {
        kEqual,
        kNotEqual,
        kIn,
        kSet,
        kNotSet
    };
    std::string attribute;
    Is is = kSet;
    std::vector<std::string> values;  // of kEqual, kNotEqual (one) and kIn
    std::string text;                 // as it was written
    Where where;
};

struct AgentAddress
{
    Prefix prefix;
    Where where;
};

struct Agent
{
    std::string name;
    std::string owner;              // empty when nobody is named
    std::string purpose;            // for people
    std::string parent;             // the agent that answers for this one; empty when there is none
    std::vector<std::string> tags;  // sorted, unique
    std::vector<Attribute> attributes;  // ascending name
    Key public_key{};
    std::vector<AgentAddress> addresses;
    std::string psk_file;      // absolute; empty when there is none
    int64_t expires_unix = 0;  // 0 = never
    bool is_enabled = true;
    uint16_t keepalive_seconds = 0;
    Where where;
    Where key_where;
};

// Whether an agent is let in, its ancestors considered: a child does not outlive its parent.
struct Standing
{
    bool is_enabled = true;
    int64_t expires_unix = 0;  // 0 = never
};

struct AgentList;  // the agents of one file with their indexes, agent_list.h

enum class SelectorKind : uint8_t
{
    kAgent,    // agent:NAME
    kTag,      // tag:NAME
    kGroup,    // group:NAME
    kOwner,    // owner:NAME
    kHost,     // host:NAME
    kIpset,    // ipset:NAME
    kPrefix,   // an address or a CIDR
    kService,  // service:NAME
    kGateway,  // gateway: its own tunnel addresses
    kAll,      // "*"
};

struct Selector
{
    SelectorKind kind;
    std::string text;  // behind the colon, or the whole text
    Prefix prefix;     // of kPrefix
    Where where;
};

// One entry of an `ip` list.
struct Traffic
{
    uint8_t protocol = 0;  // IP protocol or api::kAnyProtocol
    bool is_icmp = false;  // ICMP for IPv4 addresses, ICMPv6 for IPv6 addresses
    uint16_t port_low = 0;
    uint16_t port_high = 0xffff;
    Where where;
};

struct Group
{
    std::string name;
    std::vector<Selector> members;  // kAgent, kTag, kOwner
    Where where;
};

// Whose agents may carry a tag.
struct TagOwners
{
    std::string name;              // of the tag
    std::vector<Selector> owners;  // kAgent, kOwner, kGroup, kAll
    Where where;
};

// A host or an ipset: addresses with a name. The ranges of an ipset are prefixes already.
struct Host
{
    std::string name;
    std::vector<Prefix> prefixes;
    Where where;
};

struct Service
{
    std::string name;
    bool is_gateway = false;          // delivered to the host port
    std::vector<Selector> addresses;  // kHost, kPrefix; empty when is_gateway
    std::vector<Traffic> traffic;
    Where where;
};

// Minutes of a day. An end that is not behind the beginning lies on the next day.
struct Hours
{
    uint16_t from_minute = 0;
    uint16_t to_minute = 24 * 60;
};

// Days and hours of a time zone (schedule.h).
struct Schedule
{
    uint8_t days = 0x7f;  // bit 0 is Monday; the day on which the hours begin
    Hours hours;
    std::string zone = "UTC";
};

struct Grant
{
    std::string name;
    std::vector<Selector> sources;
    std::vector<Selector> destinations;
    std::vector<Traffic> traffic;
    bool is_deny = false;               // forbids what it names, above every other grant
    std::vector<Condition> conditions;  // all must hold for the agent in `sources`
    int64_t expires_unix = 0;           // 0 = never
    std::optional<Schedule> schedule;   // none: always
    std::string reason;                 // for people
    std::string owner;                  // who answers for it; empty when nobody is named
    Where owner_where;
    Where where;
    uint32_t index = 0;  // among the grants of its file
};

// A destination with traffic, as tests and commands name it.
struct Target
{
    Selector destination{};
    std::vector<Traffic> traffic;  // empty for a service, which has its own
    std::string text;
    Where where;
};

// What the policy demands of itself (policy_tests.h).
struct PolicyTest
{
    Selector source{};
    std::vector<Target> accept, deny;
    int64_t at_unix = 0;  // 0 = whenever the policy is loaded
    Where where;
    uint32_t index = 0;  // among the tests of its file
};

struct Gateway
{
    uint16_t listen_port = 51820;
    std::string private_key_file = "/etc/sandgate/gateway.key";  // absolute
    std::string public_endpoint;                                 // host:port; empty when not given
    std::vector<api::Address> tunnel_addresses;                  // at most one of each family
    uint16_t tunnel_mtu = 1420;
    std::vector<api::Address> dns;
    Where where;
    // The key that belongs to private_key_file. load() does not read secrets; who does may put it
    // here, and validate() then refuses agents that use the gateway's own key.
    std::optional<Key> public_key;
};

struct Dataplane
{
    std::vector<uint32_t> workers = {1};
    std::optional<uint32_t> slow_path_core;
    bool has_hugepages = true;
    bool is_test_mode = false;
    bool has_adaptive_idle = false;
    bool has_host_port = true;
    std::string control_socket = "/run/sandgate/dataplane.sock";
    std::optional<uint64_t> max_sessions, max_flows, mbufs;
    // Seconds, in the order of api::kFlowTimeoutNames.
    std::array<std::optional<uint32_t>, std::size(api::kFlowTimeoutNames)> flow_timeouts;
    Where where;
};

struct StaticNeighbour
{
    api::Address address;
    std::array<uint8_t, 6> mac;
    Where where;
};

// The port's own address and the length of its network, over 32 or 128 bits.
struct PortAddress
{
    api::Address address;
    uint8_t length = 0;

    Prefix network() const;  // over 128 bits
};

struct Port
{
    std::string name;
    std::string device;
    uint8_t roles = 0;  // api::PortRole bits
    PortAddress v4, v6;
    api::Address gateway_v4, gateway_v6;
    uint16_t mtu = 1500;
    std::vector<StaticNeighbour> neighbours;
    Where where;
};

struct Control
{
    std::string state_dir = "/var/lib/sandgate";
    std::string socket = "/run/sandgate/control.sock";
};

// The hard rules that a policy does without, as bits.
enum Relaxed : uint8_t
{
    kRelaxMetadata = 1,
    kRelaxLinkLocal = 2,
    kRelaxAgentToAgent = 4,
};

struct Policy
{
    std::string file;                // as it was given to load_file()
    std::vector<std::string> files;  // that file and those that it includes
    Gateway gateway;
    Dataplane dataplane;
    Control control;
    std::vector<Port> ports;
    // The agents of the YAML file, then those of each bulk file in order. Shared with the cache;
    // never changed.
    std::vector<std::shared_ptr<const AgentList>> agent_lists;
    std::vector<User> users;
    std::optional<std::vector<TagOwners>> tag_owners;  // none: tags are everybody's
    std::vector<Group> groups;
    std::vector<Host> hosts;
    std::vector<Host> ipsets;
    std::vector<Service> services;
    std::vector<Grant> grants;
    std::vector<PolicyTest> tests;
    uint8_t relaxed = 0;  // Relaxed bits

    const Group* find_group(const std::string& name) const;
    const Host* find_host(const std::string& name) const;
    const Host* find_ipset(const std::string& name) const;
    const Service* find_service(const std::string& name) const;
    const Agent* find_agent(const std::string& name) const;
    size_t agent_count() const;
    bool is_relaxed(Relaxed rule) const { return (relaxed & rule) != 0; }
    Standing standing_of(const Agent& agent) const;
    // What a host or ipset selector names; nullptr for other selectors and unknown names.
    const Host* find_addresses(const Selector& selector) const;
    // "file:line:column" of a place in one of `files`.
    std::string place(Where where) const;
    // Where an agent is written, in a bulk file too.
    std::string place(const Agent& agent) const;
};

// "file:line:column", without what is 0.
std::string place(const std::string& file, Where where);

}  // namespace sandgate::config

// See answer.h.
#include "control/resolver/answer.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace sandgate::control {

namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxUdpBytes = 1232;  // fits every path without fragments (DNS flag day 2020)
constexpr uint32_t kTtlSeconds = 60;

struct FreePacket
{
    void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};
using Packet = std::unique_ptr<ldns_pkt, FreePacket>;

std::string lower(std::string_view text)
{
    std::string out(text);
    while (!out.empty() && out.back() == '.') out.pop_back();
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    return out;
}

// Letters, digits, '-' and '_' in labels of 1 to 63 bytes, 253 in all.
bool is_name(std::string_view name)
{
    size_t label = 0;
    for (const char c : name) {
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        const bool is_good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!is_good || ++label > 63)
            return false;
    }
    return label != 0 && name.size() <= 253;
}

// An answer without records from the query's header alone, for what cannot be parsed.
std::vector<uint8_t> bare_answer(std::span<const uint8_t> query, uint8_t rcode)
{
    std::vector<uint8_t> out(kHeaderBytes, 0);
    out[0] = query[0];
    out[1] = query[1];
    out[2] = static_cast<uint8_t>(0x80 | (query[2] & 0x79));  // QR; opcode and RD as asked
    out[3] = rcode;
    return out;
}

std::string name_of(const ldns_rdf* owner)
{
    char* text = ldns_rdf2str(owner);
    if (text == nullptr)
        return {};
    std::string name = lower(text);
    free(text);
    return name;
}

template <size_t N>
void add_record(ldns_pkt* packet, const ldns_rdf* owner, ldns_rr_type type, ldns_rdf_type form,
                const std::array<uint8_t, N>& address)
{
    ldns_rr* record = ldns_rr_new();
    ldns_rr_set_owner(record, ldns_rdf_clone(owner));
    ldns_rr_set_type(record, type);
    ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(record, kTtlSeconds);
    ldns_rr_push_rdf(record, ldns_rdf_new_frm_data(form, N, address.data()));
    ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, record);
}

// Fills in what is ours and returns the code.
ldns_pkt_rcode fill(ldns_pkt* answer, const ldns_rr* question, const Zone& zone)
{
    const ldns_rr_class klass = ldns_rr_get_class(question);
    const ldns_rr_type type = ldns_rr_get_type(question);
    const Zone::Addresses* found = zone.find(name_of(ldns_rr_owner(question)));
    if ((klass != LDNS_RR_CLASS_IN && klass != LDNS_RR_CLASS_ANY) || found == nullptr ||
        type == LDNS_RR_TYPE_AXFR || type == LDNS_RR_TYPE_IXFR)
        return LDNS_RCODE_REFUSED;
    ldns_pkt_set_aa(answer, true);
    if (type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_ANY)
        for (const auto& address : found->v4)
            add_record(answer, ldns_rr_owner(question), LDNS_RR_TYPE_A, LDNS_RDF_TYPE_A, address);
    if (type == LDNS_RR_TYPE_AAAA || type == LDNS_RR_TYPE_ANY)
        for (const auto& address : found->v6)
            add_record(answer, ldns_rr_owner(question), LDNS_RR_TYPE_AAAA, LDNS_RDF_TYPE_AAAA,
                       address);
    return LDNS_RCODE_NOERROR;
}

std::vector<uint8_t> to_wire(const ldns_pkt* packet)
{
    uint8_t* bytes = nullptr;
    size_t count = 0;
    if (ldns_pkt2wire(&bytes, packet, &count) != LDNS_STATUS_OK)
        return {};
    std::vector<uint8_t> out(bytes, bytes + count);
    free(bytes);
    return out;
}

}  // namespace

std::string Zone::add_address(std::string_view name, std::string_view address)
{
    const std::string key = lower(name);
    if (!is_name(key))
        return "\"" + std::string(name) + "\" is no host name.";
    if (names_.size() >= kMaxNames && names_.find(key) == names_.end())
        return "There are more than 1,024 names.";
    const std::string text(address);
    std::array<uint8_t, 4> v4;
    std::array<uint8_t, 16> v6;
    if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1)
        names_[key].v4.push_back(v4);
    else if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1)
        names_[key].v6.push_back(v6);
    else
        return "\"" + text + "\" is neither an IPv4 nor an IPv6 address.";
    return "";
}

std::string Zone::add(std::string_view name_and_address)
{
    const auto at = name_and_address.find('=');
    if (at == std::string_view::npos)
        return "\"" + std::string(name_and_address) + "\" is not of the form NAME=ADDRESS.";
    return add_address(name_and_address.substr(0, at), name_and_address.substr(at + 1));
}

std::string Zone::add_file(const std::string& path)
{
    std::ifstream file(path);
    if (!file)
        return "The zone file " + path + " cannot be read.";
    std::string line;
    for (unsigned number = 1; std::getline(file, line); number++) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string name;
        std::string address;
        if (!(words >> name))
            continue;
        unsigned count = 0;
        for (; words >> address; count++)
            if (const std::string fault = add_address(name, address); !fault.empty())
                return path + ":" + std::to_string(number) + ": " + fault;
        if (count == 0)
            return path + ":" + std::to_string(number) + ": " + name + " has no address.";
    }
    return "";
}

const Zone::Addresses* Zone::find(std::string_view name) const
{
    const auto at = names_.find(name);
    return at == names_.end() ? nullptr : &at->second;
}

std::vector<uint8_t> answer_query(std::span<const uint8_t> query, const Zone& zone, bool is_udp)
{
    // An answer is never answered, or two resolvers could talk for ever.
    if (query.size() < kHeaderBytes || (query[2] & 0x80) != 0)
        return {};
    if (((query[2] >> 3) & 15) != LDNS_PACKET_QUERY)
        return bare_answer(query, LDNS_RCODE_NOTIMPL);
    // One question and at most one additional record (EDNS): everything else is no query that we
    // take.
    const auto count_at = [&](size_t at) { return query[at] << 8 | query[at + 1]; };
    if (count_at(4) != 1 || count_at(6) != 0 || count_at(8) != 0 || count_at(10) > 1)
        return bare_answer(query, LDNS_RCODE_FORMERR);
    ldns_pkt* raw = nullptr;
    if (ldns_wire2pkt(&raw, query.data(), query.size()) != LDNS_STATUS_OK || raw == nullptr)
        return bare_answer(query, LDNS_RCODE_FORMERR);
    const Packet asked(raw);
    const ldns_rr* question = ldns_rr_list_rr(ldns_pkt_question(asked.get()), 0);
    if (question == nullptr)
        return bare_answer(query, LDNS_RCODE_FORMERR);

    const Packet answer(ldns_pkt_new());
    ldns_pkt_set_id(answer.get(), ldns_pkt_id(asked.get()));
    ldns_pkt_set_qr(answer.get(), true);
    ldns_pkt_set_rd(answer.get(), ldns_pkt_rd(asked.get()));
    ldns_pkt_push_rr(answer.get(), LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    size_t limit = is_udp ? 512 : 65535;
    const bool has_edns = ldns_pkt_edns(asked.get());
    if (has_edns) {
        ldns_pkt_set_edns_udp_size(answer.get(), kMaxUdpBytes);
        if (is_udp)
            limit = std::clamp<size_t>(ldns_pkt_edns_udp_size(asked.get()), 512, kMaxUdpBytes);
    }
    if (has_edns && ldns_pkt_edns_version(asked.get()) != 0)
        ldns_pkt_set_edns_extended_rcode(answer.get(), 1);  // BADVERS, RFC 6891 section 6.1.3
    else
        ldns_pkt_set_rcode(answer.get(), fill(answer.get(), question, zone));

    std::vector<uint8_t> out = to_wire(answer.get());
    if (out.empty())
        return bare_answer(query, LDNS_RCODE_SERVFAIL);
    if (out.size() > limit) {
        ldns_rr_list_deep_free(ldns_pkt_answer(answer.get()));
        ldns_pkt_set_answer(answer.get(), ldns_rr_list_new());
        ldns_pkt_set_ancount(answer.get(), 0);
        ldns_pkt_set_tc(answer.get(), true);
        out = to_wire(answer.get());
    }
    return out;
}

}  // namespace sandgate::control

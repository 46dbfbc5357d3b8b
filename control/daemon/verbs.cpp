// What the control socket answers. Requests are {"verb": ..., ...}; responses carry "ok", and
// "error" as a sentence when it is false. The fields are part of the interface: `sandgate --json`
// prints them as they are (docs/operations.md, "JSON").
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>

#include "config/dataplane_arguments.h"
#include "control/daemon/daemon.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

constexpr uint32_t kAgentsPerPage = 400;

std::string to_text(const api::Address& address)
{
    char text[INET6_ADDRSTRLEN] = {};
    if (address.is_v4())
        inet_ntop(AF_INET, address.v4_bytes(), text, sizeof(text));
    else
        inet_ntop(AF_INET6, address.bytes.data(), text, sizeof(text));
    return text;
}

json::value to_json(const api::Endpoint& endpoint)
{
    if (!endpoint.is_known())
        return nullptr;
    const char* form = endpoint.address.is_v4() ? "{}:{}" : "[{}]:{}";
    return json::value(fmt::format(fmt::runtime(form), to_text(endpoint.address), endpoint.port));
}

std::string base64(const config::Key& key)
{
    char text[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
    return sodium_bin2base64(text, sizeof(text), key.data(), key.size(),
                             sodium_base64_VARIANT_ORIGINAL);
}

json::object to_json(const config::Policy& policy, const config::NamedAgent& named,
                     const api::PeerStatus& peer, int64_t now)
{
    const config::Agent& agent = *named.agent;
    const config::Standing standing = policy.standing_of(agent);
    json::array addresses;
    for (const config::AgentAddress& one : agent.addresses) {
        const bool is_v4 = one.prefix.address.is_v4() && one.prefix.length >= 96;
        addresses.push_back(
            json::value(fmt::format("{}/{}", to_text(one.prefix.address),
                                    is_v4 ? one.prefix.length - 96 : one.prefix.length)));
    }
    json::array tags(agent.tags.begin(), agent.tags.end());
    const bool has_expired = standing.expires_unix != 0 && standing.expires_unix <= now;
    return {
        {"name", agent.name},
        {"identity", named.identity},
        {"owner", agent.owner},
        {"purpose", agent.purpose},
        {"parent", agent.parent},
        {"tags", std::move(tags)},
        {"public_key", base64(agent.public_key)},
        {"addresses", std::move(addresses)},
        {"state", !standing.is_enabled ? "disabled"
                  : has_expired        ? "expired"
                                       : "enabled"},
        {"expires_unix", standing.expires_unix},
        {"endpoint", to_json(peer.endpoint)},
        {"last_handshake_unix", peer.last_handshake_unix},
        {"has_session", peer.has_session != 0},
        {"rx_bytes", peer.rx_bytes},
        {"tx_bytes", peer.tx_bytes},
        {"rx_packets", peer.rx_packets},
        {"tx_packets", peer.tx_packets},
        {"worker", peer.owner == ~uint32_t{0} ? json::value(nullptr) : json::value(peer.owner)}};
}

// What `status` says of the flow tables that take no new flow any more, or soon.
void add_full_flow_tables(const CountersView& counters, std::vector<std::string>& problems)
{
    unsigned worker = 0;
    for (const CountersView::FlowTableUse& table : counters.flow_tables()) {
        const std::string advice =
            "Raise dataplane.max_flows, or see whether an agent opens more flows than it should.";
        if (table.is_full())
            problems.push_back(
                fmt::format("The flow table of worker {} is full ({} flows): new flows are refused "
                            "(flow_table_full, {} packets so far), known ones go on. {}",
                            worker, table.capacity, table.refused, advice));
        else if (table.is_nearly_full())
            problems.push_back(fmt::format(
                "The flow table of worker {} is nearly full ({} of {} flows): when it is, new "
                "flows will be refused. {}",
                worker, table.current, table.capacity, advice));
        worker++;
    }
}

}  // namespace

void Daemon::on_request(const json::object& request, const Caller& caller, Respond respond)
{
    const json::value* verb = request.if_contains("verb");
    const std::string name = verb != nullptr && verb->is_string() ? verb->as_string().c_str() : "";
    if (!sync_)
        return respond({{"ok", false}, {"error", "Control is still starting; try again."}});
    if (name == "status")
        return respond(status());
    if (name == "drops")
        return respond(drops());
    if (name == "agents")
        return agents(request, std::move(respond));
    if (name == "policy-history")
        return respond(history());
    if (name == "policy-text")
        return respond(policy_text(request));
    if (name == "policy-apply") {
        if (!caller.may_write)
            return respond(
                {{"ok", false},
                 {"error", "Only root and the service's own user may apply a policy; use sudo."}});
        const auto done = [this, respond](const GatewaySync::Outcome& outcome) {
            json::array errors;
            for (const Error& error : service_->errors())
                errors.push_back(json::value(error.text()));
            respond(
                {{"ok", outcome.is_in_force},
                 {"error", outcome.is_in_force ? json::value(nullptr) : json::value(outcome.error)},
                 {"errors", std::move(errors)},
                 {"epoch", outcome.epoch},
                 {"took_ns", outcome.took_ns},
                 {"is_delta", outcome.is_delta},
                 {"bytes", outcome.bytes}});
        };
        return apply(true, done, caller.uid);
    }
    respond({{"ok", false}, {"error", "Control does not know the verb \"" + name + "\"."}});
}

json::object Daemon::history()
{
    json::array list;
    for (const PolicyHistory::Entry& entry : history_->entries())
        list.push_back(
            {{"number", entry.number},
             {"time_unix", entry.time_unix},
             {"author", entry.author ? json::value(int64_t{*entry.author}) : json::value(nullptr)},
             {"hash", entry.hash}});
    return {{"ok", true}, {"policies", std::move(list)}};
}

json::object Daemon::policy_text(const json::object& request)
{
    const json::value* number = request.if_contains("number");
    boost::system::error_code error;
    const auto wanted = number != nullptr ? number->to_number<uint32_t>(error) : 0;
    auto entry = history_->read(error ? 0 : wanted);
    if (!entry)
        return {{"ok", false}, {"error", entry.error().text()}};
    json::array files;
    for (const auto& [file, text] : entry->files) files.push_back({{"file", file}, {"text", text}});
    return {{"ok", true}, {"number", entry->number}, {"files", std::move(files)}};
}

std::vector<std::string> Daemon::problems()
{
    std::vector<std::string> list;
    if (!sync_->link().is_up())
        list.push_back("The dataplane cannot be reached: " + sync_->link().fault() +
                       ". Is sandgate-dataplane running?");
    else if (!sync_->last().is_in_force)
        list.push_back(sync_->last().error);
    if (!service_->errors().empty())
        list.push_back("The policy file is refused: " + service_->errors().front().text() +
                       (service_->has_policy() ? " The last good policy stays in force." : ""));
    if (!save_fault_.empty())
        list.push_back("State cannot be saved: " + save_fault_ + ".");
    if (!watch_fault_.empty())
        list.push_back(watch_fault_);
    if (sync_->link().is_up() && service_->has_policy()) {
        auto wanted = config::dataplane_arguments(service_->policy());
        if (sync_->boot_id() != arguments_boot_) {
            arguments_boot_ = sync_->boot_id();
            arguments_ = std::move(wanted);
        } else if (wanted != arguments_) {
            list.push_back(
                "The policy asks for other options of the dataplane; restart sandgate-dataplane.");
        }
    }
    if (const CountersView* counters = sync_->link().counters())
        add_full_flow_tables(*counters, list);
    return list;
}

json::object Daemon::status()
{
    const auto& last = sync_->last();
    const std::vector<std::string> found = problems();
    json::array errors;
    for (const Error& error : service_->errors()) errors.push_back(json::value(error.text()));

    json::object dataplane = {{"connected", sync_->link().is_up()},
                              {"socket", options_.dataplane_socket},
                              {"connections", sync_->connections()}};
    if (const CountersView* counters = sync_->link().counters()) {
        dataplane["boot_id"] = fmt::format("{:016x}", counters->boot_id());
        dataplane["started_unix"] = counters->started_unix_ns() / 1'000'000'000;
        dataplane["aead_kernel"] = counters->kernel();
        dataplane["workers"] = counters->workers();
        dataplane["policy_epoch"] = counters->policy_epoch().load(std::memory_order_relaxed);
        json::array ports;
        for (const auto& port : counters->ports())
            ports.push_back({{"name", port.name},
                             {"is_host", port.is_host},
                             {"rx_packets", port.rx_packets},
                             {"rx_bytes", port.rx_bytes},
                             {"tx_packets", port.tx_packets},
                             {"tx_bytes", port.tx_bytes}});
        dataplane["ports"] = std::move(ports);
        json::array tables;
        for (const auto& table : counters->flow_tables())
            tables.push_back({{"current", table.current},
                              {"capacity", table.capacity},
                              {"refused", table.refused}});
        dataplane["flow_tables"] = std::move(tables);
        json::object totals;
        for (const auto& total : counters->totals()) totals[total.name] = total.value;
        dataplane["counters"] = std::move(totals);
    }
    const auto uptime = std::chrono::steady_clock::now() - started_;
    return {
        {"ok", true},
        {"state", !sync_->link().is_up() ? "down"
                  : found.empty()        ? "ok"
                                         : "degraded"},
        {"problems", json::array(found.begin(), found.end())},
        {"control",
         {{"pid", getpid()},
          {"uptime_seconds", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()}}},
        {"dataplane", std::move(dataplane)},
        {"policy",
         {{"file", service_->file()},
          {"in_force", last.is_in_force},
          {"epoch", last.epoch},
          {"agents", service_->has_policy() ? service_->policy().agent_count() : 0},
          {"grants", service_->has_policy() ? service_->policy().grants.size() : 0},
          {"loaded_unix", service_->loaded_unix()},
          {"errors", std::move(errors)}}}};
}

json::object Daemon::drops()
{
    const CountersView* counters = sync_->link().counters();
    if (counters == nullptr)
        return {{"ok", false},
                {"error", "The dataplane cannot be reached: " + sync_->link().fault() +
                              ". Is sandgate-dataplane running?"}};
    json::array list;
    for (unsigned reason = 1; reason < api::kDropReasons; reason++) {
        const auto one = static_cast<api::DropReason>(reason);
        list.push_back({{"reason", api::text_of(one).name},
                        {"count", counters->drops(one)},
                        {"sentence", api::text_of(one).sentence}});
    }
    return {{"ok", true}, {"drops", std::move(list)}};
}

void Daemon::agents(const json::object& request, Respond respond)
{
    api::IdentityId first = 0;
    if (const json::value* from = request.if_contains("first")) {
        boost::system::error_code error;
        first = from->to_number<api::IdentityId>(error);
        if (error)
            return respond({{"ok", false}, {"error", "\"first\" is not an identity."}});
    }
    if (!service_->has_policy())
        return respond(
            {{"ok", false},
             {"error", "There is no valid policy: " + (service_->errors().empty()
                                                           ? "none was read yet"
                                                           : service_->errors().front().text())}});
    sync_->link().get_peers(first, kAgentsPerPage, [this, first, respond](const PeersPage& page) {
        std::vector<api::PeerStatus> peers = page.peers;
        std::sort(peers.begin(), peers.end(),
                  [](const auto& a, const auto& b) { return a.identity < b.identity; });
        // The page ends where both sides are known.
        const api::IdentityId end = page.next != 0 ? page.next : ~api::IdentityId{0};
        const auto& all = service_->compiled().agents;
        auto at = std::lower_bound(all.begin(), all.end(), config::NamedAgent{first, nullptr});
        json::array rows;
        for (; at != all.end() && at->identity < end && rows.size() < kAgentsPerPage; ++at) {
            api::PeerStatus none{};
            none.identity = at->identity;
            none.owner = ~uint32_t{0};
            const auto peer = std::lower_bound(
                peers.begin(), peers.end(), at->identity,
                [](const auto& row, api::IdentityId id) { return row.identity < id; });
            const bool is_known = peer != peers.end() && peer->identity == at->identity;
            rows.push_back(to_json(service_->policy(), *at, is_known ? *peer : none, now_unix_()));
        }
        const api::IdentityId next = at != all.end() ? at->identity : 0;
        respond(
            {{"ok", true},
             {"warning", page.reply.is_error ? json::value(page.reply.text) : json::value(nullptr)},
             {"agents", std::move(rows)},
             {"next", next}});
    });
}

}  // namespace sandgate::control

// sandgate policy test, explain, diff, who-can, what-can: questions to a policy file. None of them
// needs a running gateway.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "config/agent_list.h"
#include "config/diff.h"
#include "config/explain.h"
#include "config/load.h"
#include "config/parse.h"
#include "config/policy_tests.h"
#include "config/schedule.h"
#include "config/validate.h"
#include "control/cli/cli.h"
#include "control/cli/policy_commands.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;
using config::Policy;
using config::Verdict;

namespace {

json::array strings(const std::vector<std::string>& texts)
{
    json::array list;
    for (const std::string& text : texts) list.push_back(json::value(text));
    return list;
}

// "a, b, c and 97 more".
std::string few(const std::vector<std::string>& names)
{
    constexpr size_t kShown = 4;
    std::string text;
    for (size_t i = 0; i < names.size() && i < kShown; i++) text += (i != 0 ? ", " : "") + names[i];
    return names.size() > kShown ? fmt::format("{} and {} more", text, names.size() - kShown)
                                 : text;
}

int test(const Context& context, const std::string& file)
{
    Policy policy;
    if (const int code = load_policy(context, file, policy); code != kDone)
        return code;
    if (const auto errors = config::run_tests(policy, context.now_unix()); !errors.empty())
        return refuse_policy(context, errors);
    size_t claims = 0;
    for (const config::PolicyTest& one : policy.tests)
        claims += one.accept.size() + one.deny.size();
    if (context.is_json)
        context.print({{"ok", true}, {"tests", policy.tests.size()}, {"claims", claims}});
    else if (policy.tests.empty())
        context.out << fmt::format("{} has no tests; docs/policy.md shows how to write some.\n",
                                   file);
    else
        context.out << fmt::format("{}: {} with {}, all as they should be.\n", file,
                                   counted(policy.tests.size(), "test"), counted(claims, "claim"));
    return kDone;
}

// An end of a flow: an agent by its name, or an address.
Result<std::vector<api::Address>> parse_end(const Policy& policy, const std::string& text)
{
    const auto selector = config::parse_selector(text);
    if (!selector)
        return selector.error();
    using config::SelectorKind;
    const bool is_unknown =
        (selector->kind == SelectorKind::kAgent && policy.find_agent(selector->text) == nullptr) ||
        (selector->kind == SelectorKind::kGroup && policy.find_group(selector->text) == nullptr) ||
        (selector->kind == SelectorKind::kService &&
         policy.find_service(selector->text) == nullptr);
    auto addresses =
        is_unknown ? std::vector<api::Address>() : config::sample_addresses(policy, *selector);
    if (addresses.empty()) {
        std::string hint;
        if (selector->kind == SelectorKind::kAgent) {
            std::vector<std::string_view> names;
            for (const auto& list : policy.agent_lists)
                for (const config::Agent& agent : list->agents) names.push_back(agent.name);
            hint = config::did_you_mean(selector->text, names);
        }
        return Error{fmt::format("The policy has no \"{}\"{}", text, hint.empty() ? "." : hint)};
    }
    return addresses;
}

struct Question
{
    std::string file, source, destination, port, at;
};

int explain(const Context& context, const Question& question)
{
    Policy policy;
    if (const int code = load_policy(context, question.file, policy); code != kDone)
        return code;
    int64_t now = context.now_unix();
    if (!question.at.empty()) {
        const auto at = config::parse_time(question.at);
        if (!at)
            return context.fail(kUsage, "--at: " + at.error().what);
        now = *at;
    }
    const auto sources = parse_end(policy, question.source);
    if (!sources)
        return context.fail(kUsage, "--src: " + sources.error().what);
    const auto destinations = parse_end(policy, question.destination);
    if (!destinations)
        return context.fail(kUsage, "--dst: " + destinations.error().what);
    const auto traffic = config::parse_traffic(question.port);
    if (!traffic)
        return context.fail(kUsage, "--port: " + traffic.error().what);
    if (traffic->protocol == api::kAnyProtocol || traffic->port_low != traffic->port_high)
        if (traffic->protocol == api::kAnyProtocol || traffic->protocol == 6 ||
            traffic->protocol == 17)
            return context.fail(kUsage, "--port: Ask about one packet, as in tcp:443.");

    // The first pair of one family.
    config::FlowWish wish;
    bool has_pair = false;
    for (const api::Address& destination : *destinations)
        for (const api::Address& source : *sources)
            if (!has_pair && source.is_v4() == destination.is_v4() && source != destination) {
                has_pair = true;
                wish = {source, destination, 0, 0};
            }
    if (!has_pair)
        return context.fail(kUsage, fmt::format("{} and {} have no addresses of one family.",
                                                question.source, question.destination));
    const auto packet = config::sample_packets(*traffic, wish.destination.is_v4()).front();
    wish.protocol = packet.first;
    wish.port = packet.second;

    const Verdict verdict = config::Interpreter(policy, now).decide(wish);
    const std::string reason = config::reason_of(policy, wish, verdict);
    const auto misses = verdict.is_allowed ? std::vector<config::NearMiss>()
                                           : config::near_misses(policy, wish, now, 3);
    const std::string grant = config::grant_for(policy, wish, verdict);
    const auto end = [&](const config::Agent* agent, const api::Address& address) {
        const auto& own = policy.gateway.tunnel_addresses;
        if (std::find(own.begin(), own.end(), address) != own.end())
            return fmt::format("the gateway ({})", config::to_text(address));
        return agent == nullptr
                   ? config::to_text(address)
                   : fmt::format("agent:{} ({})", agent->name, config::to_text(address));
    };
    const std::string flow = fmt::format("{} to {} {}", end(verdict.source, wish.source),
                                         end(verdict.destination, wish.destination),
                                         config::traffic_text(wish.protocol, wish.port));
    if (context.is_json) {
        json::array near;
        for (const config::NearMiss& miss : misses)
            near.push_back({{"grant", miss.grant->name},
                            {"where", policy.place(miss.grant->where)},
                            {"differences", strings(miss.differences)}});
        context.print({{"ok", true},
                       {"allowed", verdict.is_allowed},
                       {"flow", flow},
                       {"reason", reason},
                       {"near_misses", std::move(near)},
                       {"grant", grant.empty() ? json::value(nullptr) : json::value(grant)}});
        return verdict.is_allowed ? kDone : kRefused;
    }
    context.out << flow << "\n"
                << (verdict.is_allowed ? "allowed: " : "refused: ") << reason << "\n";
    // What could be granted is of no use where something else refuses.
    if (!grant.empty()) {
        for (const config::NearMiss& miss : misses)
            context.out << fmt::format(
                "{} {}, but {}.\n", &miss == &misses[0] ? "\nNearest is" : "Then comes",
                config::name_of(policy, *miss.grant), fmt::join(miss.differences, " and "));
        context.out << "\nThis would allow it, below grants:\n" << grant;
    }
    return verdict.is_allowed ? kDone : kRefused;
}

int diff(const Context& context, const std::string& old_file, const std::string& new_file)
{
    Policy before, after;
    if (const int code = load_policy(context, old_file, before); code != kDone)
        return code;
    if (const int code = load_policy(context, new_file, after); code != kDone)
        return code;
    const auto change = config::compare(before, after, context.now_unix());
    if (!change)
        return context.fail(kRefused, change.error().text());
    if (context.is_json) {
        json::array rights;
        for (const config::RightsChange& one : change->rights)
            rights.push_back({{"agents", strings(one.agents)},
                              {"gains", strings(one.gains)},
                              {"loses", strings(one.loses)}});
        context.print({{"ok", true},
                       {"new_agents", strings(change->new_agents)},
                       {"gone_agents", strings(change->gone_agents)},
                       {"rekeyed_agents", strings(change->rekeyed_agents)},
                       {"moved_agents", strings(change->moved_agents)},
                       {"rights", std::move(rights)}});
        return kDone;
    }
    if (change->is_nothing()) {
        context.out << "Nobody gains or loses anything.\n";
        return kDone;
    }
    const auto list = [&](const char* what, const std::vector<std::string>& names) {
        if (!names.empty())
            context.out << what << ": " << few(names) << "\n";
    };
    list("New agents", change->new_agents);
    list("Agents that go", change->gone_agents);
    list("Agents with another key", change->rekeyed_agents);
    list("Agents with other addresses", change->moved_agents);
    for (const config::RightsChange& one : change->rights) {
        context.out << few(one.agents) << "\n";
        for (const std::string& text : one.gains) context.out << "  gains " << text << "\n";
        for (const std::string& text : one.loses) context.out << "  loses " << text << "\n";
    }
    return kDone;
}

// The agents that may open what the target names; of all addresses that it names one is enough.
int who_can(const Context& context, const std::string& file, const std::string& text)
{
    Policy policy;
    if (const int code = load_policy(context, file, policy); code != kDone)
        return code;
    const auto target = config::parse_target(text);
    if (!target)
        return context.fail(kUsage, target.error().what);
    const auto destinations = parse_end(policy, config::to_text(target->destination));
    if (!destinations)
        return context.fail(kUsage, destinations.error().what);
    const auto& traffic = target->destination.kind == config::SelectorKind::kService
                              ? policy.find_service(target->destination.text)->traffic
                              : target->traffic;
    const config::Interpreter truth(policy, context.now_unix());
    Table table({"AGENT", "OWNER", "BY"});
    json::array rows;
    const auto ask_for = [&](const config::Agent& agent) {
        for (const api::Address& destination : *destinations)
            for (const config::AgentAddress& own : agent.addresses)
                for (const config::Traffic& t : traffic)
                    for (const auto& [protocol, port] :
                         config::sample_packets(t, destination.is_v4())) {
                        if (own.prefix.address.is_v4() != destination.is_v4() ||
                            own.prefix.contains(destination))
                            continue;
                        const Verdict verdict =
                            truth.decide({own.prefix.address, destination, protocol, port});
                        if (!verdict.is_allowed)
                            continue;
                        const config::Grant& grant = *verdict.egress.grant;
                        table.add({agent.name, agent.owner, grant.name});
                        rows.push_back({{"agent", agent.name},
                                        {"owner", agent.owner},
                                        {"grant", grant.name},
                                        {"where", policy.place(grant.where)}});
                        return;
                    }
    };
    for (const auto& list : policy.agent_lists)
        for (const config::Agent& agent : list->agents) ask_for(agent);
    if (context.is_json)
        context.print({{"ok", true}, {"agents", std::move(rows)}});
    else if (rows.empty())
        context.out << fmt::format("No agent may reach {}.\n", text);
    else
        context.out << table.to_text();
    return kDone;
}

// What is granted and denied to an agent, by grant; and who may reach it.
int what_can(const Context& context, const std::string& file, const std::string& name)
{
    Policy policy;
    if (const int code = load_policy(context, file, policy); code != kDone)
        return code;
    const std::string bare = name.starts_with("agent:") ? name.substr(6) : name;
    const config::Agent* agent = policy.find_agent(bare);
    if (agent == nullptr) {
        const auto unknown = parse_end(policy, "agent:" + bare);
        return context.fail(kUsage, unknown ? "" : unknown.error().what);
    }
    const int64_t now = context.now_unix();
    const config::Interpreter truth(policy, now);
    Table table({"", "WHO OR WHERE", "TRAFFIC", "GRANT"});
    json::array rows;
    const auto texts = [](const std::vector<config::Selector>& selectors) {
        std::vector<std::string> list;
        for (const config::Selector& s : selectors) list.push_back(config::to_text(s));
        return list;
    };
    const auto add = [&](const config::Grant& grant, bool is_egress) {
        const bool is_active = config::is_in_force(grant, now);
        std::string what = is_egress ? (grant.is_deny ? "may not reach" : "may reach")
                                     : (grant.is_deny ? "shut to" : "open to");
        const auto peers = texts(is_egress ? grant.destinations : grant.sources);
        const std::string traffic =
            grant.traffic.empty() ? "the services' own" : config::to_text(grant.traffic);
        table.add(
            {what, few(peers), traffic, grant.name + (is_active ? "" : " (not in force now)")});
        rows.push_back({{"way", is_egress ? "to" : "from"},
                        {"action", grant.is_deny ? "deny" : "allow"},
                        {"peers", strings(peers)},
                        {"traffic", traffic},
                        {"grant", grant.name},
                        {"where", policy.place(grant.where)},
                        {"in_force", is_active}});
    };
    for (const bool is_deny : {true, false})
        for (const config::Grant& grant : policy.grants)
            if (grant.is_deny == is_deny && truth.has_source(grant, *agent) &&
                truth.fulfils(grant, *agent))
                add(grant, true);
    for (const bool is_deny : {true, false})
        for (const config::Grant& grant : policy.grants)
            if (grant.is_deny == is_deny &&
                std::any_of(
                    grant.destinations.begin(), grant.destinations.end(),
                    [&](const config::Selector& s) { return truth.selects(s, *agent, false); }))
                add(grant, false);
    const std::string fault = truth.standing_fault(*agent);
    if (context.is_json) {
        context.print({{"ok", true},
                       {"agent", agent->name},
                       {"fault", fault.empty() ? json::value(nullptr) : json::value(fault)},
                       {"rights", std::move(rows)}});
        return kDone;
    }
    if (!fault.empty())
        context.out << fault << " It is refused whatever is granted.\n";
    if (rows.empty())
        context.out << fmt::format("agent:{} may reach nothing, and nobody may reach it.\n",
                                   agent->name);
    else
        context.out << table.to_text();
    return kDone;
}

}  // namespace

void add_policy_questions(CLI::App& policy, Context& context)
{
    auto question = std::make_shared<Question>();
    const auto file = [&context, question] {
        return question->file.empty() ? context.config_file() : question->file;
    };
    auto* testing =
        policy.add_subcommand("test", "Runs the tests that a policy holds about itself.");
    testing->add_option("FILE", question->file, "the file; default: --config");
    testing->callback(
        [&context, file] { context.command = [&context, file] { return test(context, file()); }; });

    auto* explaining = policy.add_subcommand(
        "explain",
        "Says what happens to a flow and by which line of the file, which grant missed it\n"
        "least and which one would allow it. Exit code 0 allowed, 1 refused.");
    explaining->add_option("--src", question->source, "agent:NAME or an address")->required();
    explaining->add_option("--dst", question->destination, "an address, host:NAME, agent:NAME, ...")
        ->required();
    explaining->add_option("--port", question->port, "tcp:443, udp:53, icmp, proto:47")->required();
    explaining->add_option("--at", question->at,
                           "a time such as 2027-01-01T00:00:00Z; default: now");
    explaining->add_option("FILE", question->file, "the file; default: --config");
    explaining->callback([&context, question, file] {
        context.command = [&context, question, file] {
            question->file = file();
            return explain(context, *question);
        };
    });

    auto* comparing = policy.add_subcommand("diff", "Says in words who gains and loses what.");
    comparing->add_option("OLD", question->source, "a policy file")->required();
    comparing->add_option("NEW", question->destination, "another one")->required();
    comparing->callback([&context, question] {
        context.command = [&context, question] {
            return diff(context, question->source, question->destination);
        };
    });

    auto* asking_who =
        policy.add_subcommand("who-can", "Lists the agents that may reach something.");
    asking_who
        ->add_option("TARGET", question->destination,
                     "10.0.0.10:443, \"host:web icmp\", service:NAME")
        ->required();
    asking_who->add_option("FILE", question->file, "the file; default: --config");
    asking_who->callback([&context, question, file] {
        context.command = [&context, question, file] {
            return who_can(context, file(), question->destination);
        };
    });

    auto* asking_what =
        policy.add_subcommand("what-can", "Lists what an agent may reach, and who it.");
    asking_what->add_option("AGENT", question->source, "its name")->required();
    asking_what->add_option("FILE", question->file, "the file; default: --config");
    asking_what->callback([&context, question, file] {
        context.command = [&context, question, file] {
            return what_can(context, file(), question->source);
        };
    });
}

}  // namespace sandgate::control

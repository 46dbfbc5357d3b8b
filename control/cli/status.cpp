// sandgate status: is the gateway well, and if not, why. The exit code says it, too: 0 ok, 1
// degraded, 2 down.
#include <fmt/format.h>

#include <iostream>

#include "control/cli/cli.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

constexpr int kDegraded = 1;
constexpr int kDown = 2;

const json::value* find(const json::value& in, const char* name)
{
    return in.is_object() ? in.as_object().if_contains(name) : nullptr;
}

uint64_t number(const json::value& in, const char* name)
{
    const json::value* value = find(in, name);
    boost::system::error_code error;
    const uint64_t n = value != nullptr ? value->to_number<uint64_t>(error) : 0;
    return error ? 0 : n;
}

std::string text(const json::value& in, const char* name)
{
    const json::value* value = find(in, name);
    return value != nullptr && value->is_string() ? value->as_string().c_str() : "";
}

bool is_true(const json::value& in, const char* name)
{
    const json::value* value = find(in, name);
    return value != nullptr && value->is_bool() && value->as_bool();
}

// How full the flow tables are. That a table was full some time ago is no problem any more, but
// explains what an agent has lost.
void print_flow_tables(const Context& context, const json::value& dataplane)
{
    const json::value* tables = find(dataplane, "flow_tables");
    if (tables == nullptr || !tables->is_array())
        return;
    uint64_t current = 0, capacity = 0, refused = 0;
    for (const json::value& table : tables->as_array()) {
        current += number(table, "current");
        capacity += number(table, "capacity");
        refused += number(table, "refused");
    }
    context.out << fmt::format("flows:      {} of {}", current, capacity);
    if (refused != 0)
        context.out << fmt::format(
            "; {} of new flows refused since the start because a table was full",
            counted(refused, "packet"));
    context.out << "\n";
}

void print_for_people(const Context& context, const json::value& all)
{
    const json::value nothing = json::object{};
    const json::value& dataplane =
        find(all, "dataplane") != nullptr ? *find(all, "dataplane") : nothing;
    const json::value& policy = find(all, "policy") != nullptr ? *find(all, "policy") : nothing;
    const json::value& control = find(all, "control") != nullptr ? *find(all, "control") : nothing;
    auto& out = context.out;
    out << "state:      " << text(all, "state") << "\n";
    if (const json::value* problems = find(all, "problems"); problems && problems->is_array())
        for (const json::value& problem : problems->as_array())
            if (problem.is_string())
                out << "problem:    " << problem.as_string().c_str() << "\n";
    out << fmt::format("policy:     {}, epoch {}, {}, {}{}\n", text(policy, "file"),
                       number(policy, "epoch"), counted(number(policy, "agents"), "agent"),
                       counted(number(policy, "grants"), "grant"),
                       is_true(policy, "in_force") ? ", in force" : ", not in force");
    if (is_true(dataplane, "connected")) {
        const int64_t started = static_cast<int64_t>(number(dataplane, "started_unix"));
        out << fmt::format("dataplane:  up {}, {}, AEAD kernel {}\n",
                           human_duration(std::max<int64_t>(context.now_unix() - started, 0)),
                           counted(number(dataplane, "workers"), "worker"),
                           text(dataplane, "aead_kernel"));
        if (const json::value* counters = find(dataplane, "counters"))
            out << fmt::format("traffic:    {} packets opened, {} sealed, {}, {}\n",
                               number(*counters, "opened"), number(*counters, "sealed"),
                               counted(number(*counters, "flows_current"), "flow"),
                               counted(number(*counters, "handshakes_completed"), "handshake"));
        print_flow_tables(context, dataplane);
    } else {
        out << "dataplane:  not connected (" << text(dataplane, "socket") << ")\n";
    }
    out << fmt::format("control:    up {}, process {}\n",
                       human_duration(static_cast<int64_t>(number(control, "uptime_seconds"))),
                       number(control, "pid"));
    const json::value* ports = find(dataplane, "ports");
    if (ports == nullptr || !ports->is_array() || ports->as_array().empty())
        return;
    Table table({"PORT", "RECEIVED", "PACKETS", "SENT", "PACKETS"},
                {false, true, true, true, true});
    for (const json::value& port : ports->as_array())
        table.add({text(port, "name"), human_bytes(number(port, "rx_bytes")),
                   std::to_string(number(port, "rx_packets")),
                   human_bytes(number(port, "tx_bytes")),
                   std::to_string(number(port, "tx_packets"))});
    out << "\n" << table.to_text();
}

int status(const Context& context)
{
    json::object response;
    std::string fault;
    if (!ask(context, {{"verb", "status"}}, response, fault)) {
        if (context.is_json)
            context.print({{"ok", false}, {"state", "down"}, {"error", fault}});
        else
            context.err << "state:      down\nproblem:    " << fault << "\n";
        return kDown;
    }
    const json::value all = response;
    if (!is_true(all, "ok"))
        return context.fail(kDown, text(all, "error"));
    if (context.is_json)
        context.print(all);
    else
        print_for_people(context, all);
    const std::string state = text(all, "state");
    return state == "ok" ? kDone : state == "degraded" ? kDegraded : kDown;
}

}  // namespace

void add_status_command(CLI::App& app, Context& context)
{
    auto* command = app.add_subcommand(
        "status", "Says whether the gateway is well.\nExit codes: 0 ok, 1 degraded, 2 down.");
    command->callback([&context] { context.command = [&context] { return status(context); }; });
}

}  // namespace sandgate::control

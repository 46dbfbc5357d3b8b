// sandgate agents: every agent with its endpoint, last handshake and bytes, as `wg show` has them.
#include <iostream>
#include <memory>

#include "control/cli/cli.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& row, const char* field)
{
    const json::value* value = row.if_contains(field);
    return value != nullptr && value->is_string() ? value->as_string().c_str() : "";
}

template <typename T>
T number_of(const json::object& row, const char* field)
{
    const json::value* value = row.if_contains(field);
    boost::system::error_code error;
    const T number = value != nullptr ? value->to_number<T>(error) : T{};
    return error ? T{} : number;
}

int agents(const Context& context, const std::string& only)
{
    json::array rows;
    std::string warning;
    uint32_t first = 0;
    do {
        json::object response;
        std::string fault;
        if (!ask(context, {{"verb", "agents"}, {"first", first}}, response, fault))
            return context.fail(kUnreachable, fault);
        if (response.at("ok") != true)
            return context.fail(kRefused, text_of(response, "error"));
        if (warning.empty())
            warning = text_of(response, "warning");
        const json::value* page = response.if_contains("agents");
        if (page != nullptr && page->is_array())
            for (const json::value& row : page->as_array())
                if (row.is_object() && (only.empty() || text_of(row.as_object(), "name") == only))
                    rows.push_back(row);
        const auto next = number_of<uint32_t>(response, "next");
        if (next <= first)
            break;
        first = next;
    } while (true);
    if (!only.empty() && rows.empty())
        return context.fail(kRefused, "There is no agent \"" + only + "\".");
    const int code = warning.empty() ? kDone : kUnreachable;
    if (context.is_json) {
        context.print({{"ok", warning.empty()},
                       {"error", warning.empty() ? json::value(nullptr) : json::value(warning)},
                       {"agents", std::move(rows)}});
        return code;
    }
    Table table({"NAME", "OWNER", "STATE", "ENDPOINT", "LATEST HANDSHAKE", "RECEIVED", "SENT"},
                {false, false, false, false, false, true, true});
    const int64_t now = context.now_unix();
    for (const json::value& one : rows) {
        const json::object& row = one.as_object();
        const std::string owner = text_of(row, "owner");
        const std::string endpoint = text_of(row, "endpoint");
        table.add({text_of(row, "name"), owner.empty() ? "-" : owner, text_of(row, "state"),
                   endpoint.empty() ? "-" : endpoint,
                   human_ago(number_of<int64_t>(row, "last_handshake_unix"), now),
                   human_bytes(number_of<uint64_t>(row, "rx_bytes")),
                   human_bytes(number_of<uint64_t>(row, "tx_bytes"))});
    }
    context.out << table.to_text();
    if (!warning.empty())
        context.err << "sandgate: " << warning << " Endpoints, handshakes and bytes are unknown.\n";
    return code;
}

}  // namespace

void add_agents_command(CLI::App& app, Context& context)
{
    auto only = std::make_shared<std::string>();
    auto* command =
        app.add_subcommand("agents", "Lists the agents: endpoint, latest handshake, bytes.");
    command->add_option("NAME", *only, "this agent alone");
    command->callback([&context, only] {
        context.command = [&context, only] { return agents(context, *only); };
    });
}

}  // namespace sandgate::control

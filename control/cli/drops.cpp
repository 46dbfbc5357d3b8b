// sandgate drops: why packets were refused, how often, and what that means.
#include <iostream>
#include <memory>

#include "control/cli/cli.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

int drops(const Context& context, bool has_zeros)
{
    json::object response;
    std::string fault;
    if (!ask(context, {{"verb", "drops"}}, response, fault))
        return context.fail(kUnreachable, fault);
    const json::value* list = response.if_contains("drops");
    if (response.at("ok") != true || list == nullptr || !list->is_array()) {
        const json::value* error = response.if_contains("error");
        return context.fail(kUnreachable, error != nullptr && error->is_string()
                                              ? error->as_string().c_str()
                                              : "Control's answer cannot be read.");
    }
    json::array rows;
    for (const json::value& row : list->as_array())
        if (has_zeros || row.at("count").to_number<uint64_t>() != 0)
            rows.push_back(row);
    if (context.is_json) {
        context.print({{"ok", true}, {"drops", std::move(rows)}});
        return kDone;
    }
    if (rows.empty()) {
        context.out << "No packet was refused since the dataplane started.\n";
        return kDone;
    }
    Table table({"COUNT", "REASON", "MEANING"}, {true, false, false});
    for (const json::value& row : rows)
        table.add({std::to_string(row.at("count").to_number<uint64_t>()),
                   row.at("reason").as_string().c_str(), row.at("sentence").as_string().c_str()});
    context.out << table.to_text();
    return kDone;
}

}  // namespace

void add_drops_command(CLI::App& app, Context& context)
{
    auto has_zeros = std::make_shared<bool>(false);
    auto* command = app.add_subcommand("drops", "Lists why packets were refused, with counts.");
    command->add_flag("--all", *has_zeros, "also the reasons that never occurred");
    command->callback([&context, has_zeros] {
        context.command = [&context, has_zeros] { return drops(context, *has_zeros); };
    });
}

}  // namespace sandgate::control

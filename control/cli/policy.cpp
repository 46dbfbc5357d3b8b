// sandgate policy check, policy apply: is a file good, and put it in force now.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "config/compile.h"
#include "config/key_file.h"
#include "config/load.h"
#include "config/policy_tests.h"
#include "config/validate.h"
#include "control/cli/cli.h"
#include "control/cli/policy_commands.h"
#include "control/cli/text.h"
#include "crypto/x25519.h"

namespace sandgate::control {

namespace json = boost::json;

int refuse_policy(const Context& context, const std::vector<Error>& errors)
{
    if (context.is_json) {
        json::array list;
        for (const Error& error : errors)
            list.push_back({{"where", error.where}, {"what", error.what}});
        context.print(
            {{"ok", false}, {"error", errors.front().text()}, {"errors", std::move(list)}});
        return kRefused;
    }
    for (const Error& error : errors) context.err << error.text() << "\n";
    context.err << "sandgate: " << counted(errors.size(), "error")
                << "; the file would be refused.\n";
    return kRefused;
}

int load_policy(const Context& context, const std::string& file, config::Policy& policy)
{
    config::BulkCache cache;
    config::LoadResult loaded = config::load_file(file, cache);
    if (loaded.is_ok())
        loaded.errors = config::validate(loaded.policy);
    if (!loaded.is_ok())
        return refuse_policy(context, loaded.errors);
    policy = std::move(loaded.policy);
    return kDone;
}

int apply_policy(const Context& context)
{
    json::object response;
    std::string fault;
    if (!ask(context, {{"verb", "policy-apply"}}, response, fault))
        return context.fail(kUnreachable, fault);
    const bool is_in_force = response.at("ok") == true;
    if (context.is_json) {
        context.print(response);
    } else if (is_in_force) {
        context.out << fmt::format("The policy is in force, epoch {}.\n",
                                   response.at("epoch").to_number<uint64_t>());
    } else {
        const json::value* errors = response.if_contains("errors");
        if (errors != nullptr && errors->is_array())
            for (const json::value& error : errors->as_array())
                context.err << error.as_string().c_str() << "\n";
        if (errors == nullptr || !errors->is_array() || errors->as_array().empty())
            context.err << "sandgate: " << response.at("error").as_string().c_str() << "\n";
        else
            context.err << "sandgate: The file is refused; what was in force stays.\n";
    }
    return is_in_force ? kDone : kRefused;
}

namespace {

int check(const Context& context, const std::string& file, bool has_keys)
{
    config::BulkCache cache;
    config::LoadResult loaded = config::load_file(file, cache);
    if (!loaded.is_ok())
        return refuse_policy(context, loaded.errors);
    if (has_keys) {
        const auto key = config::load_key_file(loaded.policy.gateway.private_key_file);
        if (!key)
            return refuse_policy(context, {key.error()});
        loaded.policy.gateway.public_key = crypto::public_key_of(*key);
    }
    if (const auto errors = config::validate(loaded.policy); !errors.empty())
        return refuse_policy(context, errors);
    if (const auto errors = config::run_tests(loaded.policy, context.now_unix()); !errors.empty())
        return refuse_policy(context, errors);
    config::IdMap ids;
    const auto compiled = config::compile(loaded.policy, ids, context.now_unix());
    if (!compiled)
        return refuse_policy(context, {compiled.error()});
    if (has_keys)
        for (const config::NamedAgent& named : compiled->agents)
            if (!named.agent->psk_file.empty())
                if (const auto key = config::load_key_file(named.agent->psk_file); !key)
                    return refuse_policy(context, {key.error()});
    if (context.is_json)
        context.print({{"ok", true},
                       {"file", file},
                       {"agents", loaded.policy.agent_count()},
                       {"grants", loaded.policy.grants.size()},
                       {"bytes", compiled->bytes.size()}});
    else
        context.out << fmt::format("{} is good: {}, {}.\n", file,
                                   counted(loaded.policy.agent_count(), "agent"),
                                   counted(loaded.policy.grants.size(), "grant"));
    return kDone;
}

}  // namespace

void add_policy_commands(CLI::App& app, Context& context)
{
    struct Options
    {
        std::string file;
        bool has_keys = false;
    };
    auto options = std::make_shared<Options>();
    auto* policy = app.add_subcommand("policy", "The policy file.");
    policy->require_subcommand(1);
    auto* checking = policy->add_subcommand(
        "check",
        "Says whether a file would be accepted, its tests included, with every error's line,\n"
        "column and key path.");
    checking->add_option("FILE", options->file, "the file; default: --config");
    checking->add_flag("--keys", options->has_keys, "also read the key files, as control would");
    checking->callback([&context, options] {
        context.command = [&context, options] {
            return check(context, options->file.empty() ? context.config_file() : options->file,
                         options->has_keys);
        };
    });
    add_policy_questions(*policy, context);
    add_policy_history(*policy, context);
    add_policy_import(*policy, context);
    auto* applying = policy->add_subcommand(
        "apply", "Asks control to read its file now and waits until it is in force.");
    applying->callback(
        [&context] { context.command = [&context] { return apply_policy(context); }; });
}

}  // namespace sandgate::control

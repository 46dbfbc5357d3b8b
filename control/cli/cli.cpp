// See cli.h.
#include "control/cli/cli.h"

#include <iostream>

namespace sandgate::control {

int Context::fail(int code, const std::string& sentence) const
{
    if (is_json)
        print({{"ok", false}, {"error", sentence}});
    else
        err << "sandgate: " << sentence << "\n";
    return code;
}

void Context::print(const boost::json::value& value) const
{
    out << boost::json::serialize(value) << "\n";
}

int run(int argc, const char* const* argv, std::istream& in, std::ostream& out, std::ostream& err,
        std::function<int64_t()> now_unix)
{
    Context context{in, out, err, false, {}, {}, {}, std::move(now_unix)};
    CLI::App app(
        "Looks at and steers the Sandgate gateway of this machine.\n"
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 control cannot be reached;\n"
        "`status` has 0 ok, 1 degraded, 2 down.",
        "sandgate");
    app.fallthrough();
    app.require_subcommand(1);
    app.add_flag("--json", context.is_json, "print JSON, also for errors");
    app.add_option("--socket", context.socket, "control's socket")->envname("SANDGATE_SOCKET");
    app.add_option("--config", context.config,
                   std::string("the policy file (default ") + kDefaultConfig +
                       "); commands that ask control find its socket there")
        ->envname("SANDGATE_CONFIG");
    add_key_commands(app, context);
    add_agent_commands(app, context);
    add_agents_command(app, context);
    add_status_command(app, context);
    add_drops_command(app, context);
    add_policy_commands(app, context);
    add_dataplane_commands(app, context);
    add_completion_commands(app, context);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error, out, err) == 0 ? kDone : kUsage;
    }
    return context.command();
}

}  // namespace sandgate::control

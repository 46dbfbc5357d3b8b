// sandgate dataplane-args: the command line of sandgate-dataplane that a policy file asks for.
#include <iostream>
#include <memory>

#include "config/dataplane_arguments.h"
#include "config/load.h"
#include "control/cli/cli.h"

namespace sandgate::control {

namespace {

// One word for a POSIX shell.
std::string quoted(const std::string& word)
{
    static const std::string kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos)
        return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

int arguments(const Context& context, const std::string& file, bool for_shell)
{
    config::BulkCache cache;
    const config::LoadResult loaded = config::load_file(file, cache);
    if (!loaded.is_ok())
        return context.fail(kRefused, loaded.errors.front().text());
    const auto list = config::dataplane_arguments(loaded.policy);
    if (context.is_json) {
        context.print({{"ok", true}, {"arguments", boost::json::array(list.begin(), list.end())}});
        return kDone;
    }
    std::string line;
    for (const std::string& argument : list)
        line += for_shell ? (line.empty() ? "" : " ") + quoted(argument) : argument + "\n";
    context.out << line << (for_shell ? "\n" : "");
    return kDone;
}

}  // namespace

void add_dataplane_commands(CLI::App& app, Context& context)
{
    struct Options
    {
        std::string file;
        bool for_shell = false;
    };
    auto options = std::make_shared<Options>();
    auto* command = app.add_subcommand(
        "dataplane-args",
        "Prints the arguments of sandgate-dataplane for a policy file, one per line.");
    command->add_option("FILE", options->file, "the file; default: --config");
    command->add_flag("--shell", options->for_shell, "one line, quoted for a shell");
    command->callback([&context, options] {
        context.command = [&context, options] {
            return arguments(context, options->file.empty() ? context.config_file() : options->file,
                             options->for_shell);
        };
    });
}

}  // namespace sandgate::control

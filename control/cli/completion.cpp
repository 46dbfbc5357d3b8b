// sandgate completion bash: the installed completion file, also for shells that did not load it.
#include <iostream>

#include "control/cli/cli.h"
#include "control/cli/completion_text.h"

namespace sandgate::control {

void add_completion_commands(CLI::App& app, Context& context)
{
    auto* completion = app.add_subcommand("completion", "Completion for shells.");
    completion->require_subcommand(1);
    auto* bash = completion->add_subcommand(
        "bash", "Prints the completion for bash; use: source <(sandgate completion bash)");
    bash->callback([&context] {
        context.command = [&context] {
            if (context.is_json)
                context.print({{"ok", true}, {"completion", kBashCompletion}});
            else
                context.out << kBashCompletion;
            return static_cast<int>(kDone);
        };
    });
}

}  // namespace sandgate::control

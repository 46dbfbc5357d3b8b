// The program `sandgate`: one file per noun, each adding its commands to the same CLI11 tree. run()
// is main() with its streams as arguments, so that tests read what a person would.
//
// Exit codes: 0 done, 1 refused or failed, 2 usage, 3 control cannot be reached. `status` has its
// own: 0 ok, 1 degraded, 2 down.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <functional>
#include <iosfwd>
#include <string>

namespace sandgate::control {

enum ExitCode : int
{
    kDone = 0,
    kRefused = 1,
    kUsage = 2,
    kUnreachable = 3
};

constexpr const char* kDefaultConfig = "/etc/sandgate/sandgate.yaml";
constexpr const char* kDefaultSocket = "/run/sandgate/control.sock";

// What every command shares.
struct Context
{
    std::istream& in;
    std::ostream& out;
    std::ostream& err;
    bool is_json = false;
    std::string socket;            // --socket or SANDGATE_SOCKET
    std::string config;            // --config or SANDGATE_CONFIG
    std::function<int()> command;  // what the arguments chose
    std::function<int64_t()> now_unix;

    // The policy file that a command about files means.
    std::string config_file() const { return config.empty() ? kDefaultConfig : config; }
    // Prints the sentence (as JSON when asked) and returns the code.
    int fail(int code, const std::string& sentence) const;
    void print(const boost::json::value& value) const;
};

void add_key_commands(CLI::App& app, Context& context);         // keygen, pubkey, genpsk
void add_agent_commands(CLI::App& app, Context& context);       // agent config
void add_agents_command(CLI::App& app, Context& context);       // agents
void add_status_command(CLI::App& app, Context& context);       // status
void add_drops_command(CLI::App& app, Context& context);        // drops
void add_policy_commands(CLI::App& app, Context& context);      // policy check, apply, ...
void add_dataplane_commands(CLI::App& app, Context& context);   // dataplane-args
void add_completion_commands(CLI::App& app, Context& context);  // completion bash

int run(int argc, const char* const* argv, std::istream& in, std::ostream& out, std::ostream& err,
        std::function<int64_t()> now_unix);

// One request to control. False: control cannot be reached, or what came is no answer; `fault` is
// the sentence.
bool ask(const Context& context, const boost::json::object& request, boost::json::object& response,
         std::string& fault);

}  // namespace sandgate::control

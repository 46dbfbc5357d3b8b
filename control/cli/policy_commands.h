// What the files of `sandgate policy` share. Private to cli/.
#pragma once

#include <string>
#include <vector>

#include "config/policy.h"
#include "control/cli/cli.h"

namespace sandgate::control {

// policy test, explain, diff, who-can, what-can.
void add_policy_questions(CLI::App& policy, Context& context);

// policy history, rollback.
void add_policy_history(CLI::App& policy, Context& context);

// policy import.
void add_policy_import(CLI::App& policy, Context& context);

// Asks control to read its file now, waits until it is in force and says so.
int apply_policy(const Context& context);

// Prints the errors; returns kRefused.
int refuse_policy(const Context& context, const std::vector<Error>& errors);

// Reads and validates a file without its key files; kDone, or the code after the errors were
// printed.
int load_policy(const Context& context, const std::string& file, config::Policy& policy);

}  // namespace sandgate::control

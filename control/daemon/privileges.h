// Leaving root behind: user and groups, every capability, new privileges and core dumps. Called
// once, when sockets and files that need root are open (docs/operations.md, "Users").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace sandgate::control {

struct User
{
    std::string name;
    uid_t uid;
    gid_t gid;
};

// The account of that name, if there is one.
std::optional<User> find_user(const std::string& name);

// Becomes `user` when given (which needs root), then drops all capabilities and forbids new
// privileges and core dumps. Returns the fault as a sentence, or an empty string; after a fault the
// process must end.
std::string drop_privileges(const std::optional<User>& user);

}  // namespace sandgate::control

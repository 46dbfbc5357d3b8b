// Giving up what start-up needed: root, capabilities, and every system call that steady state does
// not make.
#pragma once

#include <sys/types.h>

#include <string>

namespace sandgate::dp {

struct Account
{
    uid_t uid = 0;
    gid_t gid = 0;
};

// The account of a name, or of the first of `sandgate` and `nobody` when it is empty. Empty, or the
// fault.
std::string find_account(const std::string& name, Account& account);

// Becomes the account, in all threads: no root, no capability, no way back, no core dump.
std::string drop_privileges(const Account& account);

// Lets all threads make only the system calls of steady state; any other kills the process.
std::string forbid_other_system_calls();

}  // namespace sandgate::dp

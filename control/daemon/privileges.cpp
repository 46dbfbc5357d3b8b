// See privileges.h.
#include "control/daemon/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace sandgate::control {

namespace {

std::string fault(const char* what)
{
    return std::string("Privileges cannot be dropped: ") + what + ": " + std::strerror(errno) + ".";
}

}  // namespace

std::optional<User> find_user(const std::string& name)
{
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
        return std::nullopt;
    return User{entry.pw_name, entry.pw_uid, entry.pw_gid};
}

std::string drop_privileges(const std::optional<User>& user)
{
    // The bounding set first: it needs CAP_SETPCAP, which setuid takes away.
    for (int capability = 0; capability <= 63; capability++) {
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 && geteuid() == 0 &&
            prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM)
            return fault("bounding set");
    }
    if (user) {
        if (initgroups(user->name.c_str(), user->gid) != 0)
            return fault("groups");
        if (setresgid(user->gid, user->gid, user->gid) != 0)
            return fault("setresgid");
        if (setresuid(user->uid, user->uid, user->uid) != 0)
            return fault("setresuid");
        if (user->uid != 0 && setuid(0) == 0)
            return "Privileges cannot be dropped: root could be taken back.";
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0)
        return fault("capset");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fault("no_new_privs");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fault("dumpable");
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    return "";
}

}  // namespace sandgate::control

// Called once, after every device, thread, ring and socket exists.
#include "dataplane/hardening.h"

#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sandgate::dp {

std::string find_account(const std::string& name, Account& account)
{
    const char* wanted = name.c_str();
    const passwd* entry = nullptr;
    if (!name.empty()) {
        entry = getpwnam(wanted);
    } else {
        for (const char* fallback : {"sandgate", "nobody"})
            if (entry == nullptr)
                entry = getpwnam(fallback);
    }
    if (entry == nullptr)
        return "there is no user '" + (name.empty() ? "nobody" : name) +
               "': create it or name another with --user";
    account = {entry->pw_uid, entry->pw_gid};
    return {};
}

std::string drop_privileges(const Account& account)
{
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0 && account.uid != 0) {
        // glibc applies these to every thread; leaving uid 0 clears the capabilities of each.
        if (setgroups(0, nullptr) != 0 || setresgid(account.gid, account.gid, account.gid) != 0 ||
            setresuid(account.uid, account.uid, account.uid) != 0)
            return std::string("cannot give up root: ") + std::strerror(errno);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return std::string("cannot forbid new privileges: ") + std::strerror(errno);
    return {};
}

std::string forbid_other_system_calls()
{
    // Sockets and devices that are open already; memory; sleeping; ending. Nothing is opened,
    // executed or made.
    static constexpr int kAllowed[] = {
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(pread64),
        SCMP_SYS(close),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(recvfrom),
        SCMP_SYS(recvmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(sendmsg),
        SCMP_SYS(accept4),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(fcntl),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(mmap),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(mprotect),
        SCMP_SYS(brk),
        SCMP_SYS(futex),
        SCMP_SYS(nanosleep),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(time),
        SCMP_SYS(sched_yield),
        SCMP_SYS(getrandom),
        SCMP_SYS(gettid),
        SCMP_SYS(getpid),
        SCMP_SYS(tgkill),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(shutdown),
        SCMP_SYS(ioctl),
        SCMP_SYS(lseek),
        SCMP_SYS(rseq),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(unlink),
        SCMP_SYS(sigaltstack),
    };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == nullptr)
        return "cannot prepare the system call filter";
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (const int call : kAllowed)
        if (error == 0)
            error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    if (error == 0)  // threads name themselves
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                 SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error == 0
               ? std::string{}
               : std::string("cannot install the system call filter: ") + std::strerror(-error);
}

}  // namespace sandgate::dp

// A namespace of its own, so that no service of the machine is exposed by accident and no other
// interface can carry an agent's address. IFF_NOARP stands for permanent neighbours: there is one,
// and it is us.
#include "dataplane/host_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sandgate::dp::host_port {

namespace {

std::string reason() { return std::strerror(errno); }

// Enters the named namespace, making it as `ip netns add` does when it is missing.
std::string enter(const std::string& name)
{
    const std::string path = "/run/netns/" + name;
    const int existing = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (existing >= 0) {
        const bool is_entered = setns(existing, CLONE_NEWNET) == 0;
        close(existing);
        if (is_entered)
            return {};
        unlink(path.c_str());  // a file without a namespace behind it: left by a machine that went
                               // down
    }
    mkdir("/run/netns", 0755);
    const int fd = open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return "cannot make " + path + ": " + reason();
    close(fd);
    if (unshare(CLONE_NEWNET) != 0)
        return "cannot make a network namespace: " + reason() +
               "; run as root until set-up is done";
    if (mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
        return "cannot name the network namespace " + name + ": " + reason();
    return {};
}

void write_setting(const std::string& path, const char* value)
{
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;  // this kernel lacks the setting
    [[maybe_unused]] const ssize_t written = write(fd, value, std::strlen(value));
    close(fd);
}

std::string configure_v4(int fd, const std::string& interface, const std::string& address)
{
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
    in->sin_family = AF_INET;
    if (inet_pton(AF_INET, address.c_str(), &in->sin_addr) != 1)
        return "'" + address + "' is no IPv4 address";
    if (ioctl(fd, SIOCSIFADDR, &request) != 0)
        return "cannot set " + address + ": " + reason();
    in->sin_addr.s_addr = 0xffffffff;
    ioctl(fd, SIOCSIFNETMASK, &request);
    rtentry route{};
    route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
    route.rt_flags = RTF_UP;
    route.rt_dev = const_cast<char*>(interface.c_str());
    if (ioctl(fd, SIOCADDRT, &route) != 0 && errno != EEXIST)
        return "cannot set the default route: " + reason();
    return {};
}

std::string configure_v6(const std::string& interface, const std::string& address)
{
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return {};  // a kernel without IPv6
    in6_ifreq request{};
    request.ifr6_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    request.ifr6_prefixlen = 128;
    std::string error;
    if (inet_pton(AF_INET6, address.c_str(), &request.ifr6_addr) != 1)
        error = "'" + address + "' is no IPv6 address";
    else if (ioctl(fd, SIOCSIFADDR, &request) != 0 && errno != EEXIST)
        error = "cannot set " + address + ": " + reason();
    in6_rtmsg route{};
    route.rtmsg_ifindex = request.ifr6_ifindex;
    route.rtmsg_flags = RTF_UP;
    route.rtmsg_metric = 1;
    if (error.empty() && ioctl(fd, SIOCADDRT, &route) != 0 && errno != EEXIST)
        error = "cannot set the IPv6 default route: " + reason();
    close(fd);
    return error;
}

std::string configure(const Options& options, const std::string& interface)
{
    const std::string ipv6 = "/proc/sys/net/ipv6/conf/" + interface + "/";
    write_setting(ipv6 + "accept_ra", "0");
    write_setting(ipv6 + "accept_dad", "0");
    write_setting(ipv6 + "addr_gen_mode", "1");
    write_setting("/proc/sys/net/ipv4/ip_forward", "0");
    write_setting("/proc/sys/net/ipv6/conf/all/forwarding", "0");
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return "cannot open a socket: " + reason();
    std::string error;
    for (const char* name : {"lo", interface.c_str()}) {
        ifreq request{};
        std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
        ioctl(fd, SIOCGIFFLAGS, &request);
        request.ifr_flags =
            static_cast<short>(request.ifr_flags | IFF_UP | (name == interface ? IFF_NOARP : 0));
        if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
            error = std::string("cannot bring up ") + name + ": " + reason();
    }
    if (error.empty() && !options.host_v4.empty())
        error = configure_v4(fd, interface, options.host_v4);
    if (error.empty() && !options.host_v6.empty())
        error = configure_v6(interface, options.host_v6);
    close(fd);
    return error;
}

}  // namespace

std::string make_in_namespace(const Options& options, const std::string& interface,
                              const std::function<std::string()>& make_device)
{
    const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return "cannot find this network namespace: " + reason();
    std::string error = enter(options.host_namespace);
    if (error.empty())
        error = make_device();
    if (error.empty())
        error = configure(options, interface);
    if (setns(home, CLONE_NEWNET) != 0 && error.empty())
        error = "cannot return to the ports' network namespace: " + reason();
    close(home);
    return error;
}

}  // namespace sandgate::dp::host_port

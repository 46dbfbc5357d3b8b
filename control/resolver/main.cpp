// sandgate-resolver: answers the gateway's own names on the host port and refuses the rest. Binds,
// drops privileges, serves.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <iostream>

#include "control/daemon/privileges.h"
#include "control/resolver/server.h"

using namespace sandgate::control;

int main(int argc, char** argv)
{
    CLI::App app(
        "Answers the gateway's own names over DNS and refuses all others.\n"
        "Exit codes: 0 stopped by a signal, 1 cannot start, 2 usage.");
    std::vector<std::string> listen;
    std::vector<std::string> names;
    std::string zone_file;
    std::string user_name;
    app.add_option("--listen", listen, "ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; the port is 53")
        ->required();
    app.add_option("--name", names, "NAME=ADDRESS; may be repeated");
    app.add_option("--zone", zone_file, "a file of lines \"NAME ADDRESS ...\"");
    app.add_option("--user", user_name,
                   "the account to become when started as root (default: sandgate)");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    const auto fail = [](const std::string& sentence) {
        std::cerr << "sandgate-resolver: " << sentence << "\n";
        return 1;
    };

    Zone zone;
    for (const std::string& name : names)
        if (const std::string fault = zone.add(name); !fault.empty())
            return fail(fault);
    if (!zone_file.empty())
        if (const std::string fault = zone.add_file(zone_file); !fault.empty())
            return fail(fault);
    if (zone.size() == 0)
        return fail("There are no names to answer; give --name NAME=ADDRESS or --zone FILE.");

    boost::asio::io_context io(1);
    DnsServer server(io, zone);
    for (const std::string& address : listen)
        if (const std::string fault = server.listen(address); !fault.empty())
            return fail(fault);

    std::optional<User> user;
    if (geteuid() == 0) {
        user = find_user(user_name.empty() ? "sandgate" : user_name);
        if (!user && !user_name.empty())
            return fail("There is no user " + user_name + ".");
        if (!user)
            std::cerr
                << "sandgate-resolver: there is no user sandgate, so it keeps root's files, without"
                   " capabilities; create the user or give --user.\n";
    }
    if (const std::string fault = drop_privileges(user); !fault.empty())
        return fail(fault);

    boost::asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](const boost::system::error_code&, int) { io.stop(); });
    io.run();
    return 0;
}

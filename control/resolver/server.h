// Serves answers over UDP and TCP on the given addresses. Bounded: one datagram in hand at a time
// per socket, at most 32 TCP connections, each with 5 s for each message.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "control/resolver/answer.h"

namespace sandgate::control {

class DnsServer
{
  public:
    DnsServer(boost::asio::io_context& io, const Zone& zone) : io_(io), zone_(zone) {}

    // Binds ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; the port is 53 when absent, a free one when 0.
    // Returns the fault as a sentence, or an empty string.
    std::string listen(const std::string& address_and_port);
    // The ports bound so far, in order.
    std::vector<uint16_t> ports() const;

  private:
    struct UdpSocket
    {
        explicit UdpSocket(boost::asio::io_context& io) : socket(io) {}
        boost::asio::ip::udp::socket socket;
        boost::asio::ip::udp::endpoint sender;
        std::array<uint8_t, 4096> buffer;
    };
    class TcpClient;

    void receive(UdpSocket& udp);
    void accept(boost::asio::ip::tcp::acceptor& acceptor);

    boost::asio::io_context& io_;
    const Zone& zone_;
    std::vector<std::unique_ptr<UdpSocket>> udp_;
    std::vector<std::unique_ptr<boost::asio::ip::tcp::acceptor>> tcp_;
    unsigned clients_ = 0;
};

}  // namespace sandgate::control

// See server.h.
#include "control/resolver/server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>

namespace sandgate::control {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using boost::system::error_code;

namespace {

constexpr unsigned kMaxTcpClients = 32;
constexpr std::chrono::seconds kPatience{5};

// False when the text is not an address with an optional port.
bool parse_endpoint(std::string text, asio::ip::address& address, uint16_t& port)
{
    port = 53;
    std::string port_text;
    if (text.size() > 1 && text.front() == '[') {
        const auto end = text.find(']');
        if (end == std::string::npos || (end + 1 < text.size() && text[end + 1] != ':'))
            return false;
        port_text = end + 1 < text.size() ? text.substr(end + 2) : "53";
        text = text.substr(1, end - 1);
    } else if (const auto colon = text.find(':');
               colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
        port_text = text.substr(colon + 1);
        text.resize(colon);
    } else {
        port_text = "53";
    }
    const char* end = port_text.data() + port_text.size();
    const auto [stop, bad] = std::from_chars(port_text.data(), end, port);
    error_code error;
    address = asio::ip::make_address(text, error);
    return !error && bad == std::errc() && stop == end && !port_text.empty();
}

// The tunnel address may appear on the host port after this program has started.
template <typename Socket>
void bind_early(Socket& socket, bool is_v6)
{
    const int on = 1;
    setsockopt(socket.native_handle(), IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
    if (is_v6)
        setsockopt(socket.native_handle(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

}  // namespace

class DnsServer::TcpClient : public std::enable_shared_from_this<TcpClient>
{
  public:
    TcpClient(tcp::socket socket, const Zone& zone, unsigned& clients)
        : socket_(std::move(socket)), timer_(socket_.get_executor()), zone_(zone), clients_(clients)
    {
        ++clients_;
    }
    ~TcpClient() { --clients_; }

    void read()
    {
        timer_.expires_after(kPatience);
        timer_.async_wait([self = shared_from_this()](const error_code& error) {
            error_code ignored;
            if (!error)
                self->socket_.close(ignored);
        });
        asio::async_read(socket_, asio::buffer(length_),
                         [self = shared_from_this()](const error_code& error, size_t) {
                             if (error)
                                 return self->end();
                             self->read_message();
                         });
    }

  private:
    void end() { timer_.cancel(); }
    void read_message()
    {
        message_.resize(static_cast<size_t>(length_[0] << 8 | length_[1]));
        asio::async_read(socket_, asio::buffer(message_),
                         [self = shared_from_this()](const error_code& error, size_t) {
                             if (error)
                                 return self->end();
                             self->reply();
                         });
    }
    void reply()
    {
        message_ = answer_query(message_, zone_, false);
        if (message_.empty() || message_.size() > 65535)
            return end();
        length_ = {static_cast<uint8_t>(message_.size() >> 8),
                   static_cast<uint8_t>(message_.size())};
        const std::array<asio::const_buffer, 2> parts = {asio::buffer(length_),
                                                         asio::buffer(message_)};
        asio::async_write(socket_, parts,
                          [self = shared_from_this()](const error_code& error, size_t) {
                              self->timer_.cancel();
                              if (!error)
                                  self->read();
                          });
    }

    tcp::socket socket_;
    asio::steady_timer timer_;
    const Zone& zone_;
    unsigned& clients_;
    std::array<uint8_t, 2> length_{};
    std::vector<uint8_t> message_;
};

std::string DnsServer::listen(const std::string& address_and_port)
{
    asio::ip::address address;
    uint16_t port = 0;
    if (!parse_endpoint(address_and_port, address, port))
        return "\"" + address_and_port +
               "\" is not of the form ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.";
    error_code error;
    auto datagrams = std::make_unique<UdpSocket>(io_);
    const udp::endpoint at(address, port);
    datagrams->socket.open(at.protocol(), error);
    bind_early(datagrams->socket, address.is_v6());
    if (!error)
        datagrams->socket.bind(at, error);
    if (!error)
        port = datagrams->socket.local_endpoint().port();
    auto streams = std::make_unique<tcp::acceptor>(io_);
    const tcp::endpoint stream_at(address, port);
    if (!error)
        streams->open(stream_at.protocol(), error);
    if (!error) {
        streams->set_option(tcp::acceptor::reuse_address(true), error);
        bind_early(*streams, address.is_v6());
        streams->bind(stream_at, error);
    }
    if (!error)
        streams->listen(16, error);
    if (error)
        return "The resolver cannot listen on " + address_and_port + ": " + error.message() +
               (error == asio::error::access_denied ? "; start it as root, it drops root itself."
                                                    : ".");
    udp_.push_back(std::move(datagrams));
    tcp_.push_back(std::move(streams));
    receive(*udp_.back());
    accept(*tcp_.back());
    return "";
}

std::vector<uint16_t> DnsServer::ports() const
{
    std::vector<uint16_t> list;
    for (const auto& one : udp_) list.push_back(one->socket.local_endpoint().port());
    return list;
}

void DnsServer::receive(UdpSocket& one)
{
    one.socket.async_receive_from(
        asio::buffer(one.buffer), one.sender, [this, &one](const error_code& error, size_t bytes) {
            if (error == asio::error::operation_aborted)
                return;
            if (!error) {
                const auto answer = answer_query(std::span(one.buffer.data(), bytes), zone_, true);
                error_code ignored;
                if (!answer.empty())
                    one.socket.send_to(asio::buffer(answer), one.sender, MSG_DONTWAIT, ignored);
            }
            receive(one);
        });
}

void DnsServer::accept(tcp::acceptor& acceptor)
{
    acceptor.async_accept([this, &acceptor](const error_code& error, tcp::socket socket) {
        if (error == asio::error::operation_aborted)
            return;
        if (!error && clients_ < kMaxTcpClients)
            std::make_shared<TcpClient>(std::move(socket), zone_, clients_)->read();
        accept(acceptor);
    });
}

}  // namespace sandgate::control

// The client of the dataplane's socket (dataplane/api/requests.h). It connects, says hello, maps
// the counters, and carries requests one at a time in the order they were given; answers come back
// as callbacks on the event loop. When the dataplane goes away it fails what waits, tries again (at
// least once a second) and calls on_up anew: whoever owns the link then sends everything again.
//
// Single-threaded: everything happens on the io_context's thread, nothing blocks. Buffers that
// carried secrets are wiped once they are sent.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/link/counters_view.h"
#include "crypto/secret.h"
#include "dataplane/api/requests.h"

namespace sandgate::control {

// How the dataplane answered one request. `text` is the fault as a sentence when is_error.
struct Reply
{
    bool is_error = false;
    bool is_lost = false;  // never answered: the connection ended first
    std::string text;
    api::Epoch epoch = 0;
    uint64_t took_ns = 0;
};

struct PeersPage
{
    Reply reply;
    std::vector<api::PeerStatus> peers;
    api::IdentityId next = 0;  // 0: this was the last page
};

// A pre-shared key to set, or to remove when key is null. The link copies the bytes.
struct PskOrder
{
    api::IdentityId identity;
    const crypto::Secret<32>* key;
};

class DataplaneLink
{
  public:
    using OnReply = std::function<void(const Reply&)>;
    using OnPeers = std::function<void(PeersPage)>;
    struct Events
    {
        std::function<void(const api::WelcomeBody&)> on_up;
        std::function<void(const std::string& why)> on_down;  // once per connection that was up
        std::function<void(std::span<const api::SeedBody>)> on_notes;
    };

    DataplaneLink(boost::asio::io_context& io, std::string socket_path, Events events);
    ~DataplaneLink();
    DataplaneLink(const DataplaneLink&) = delete;
    DataplaneLink& operator=(const DataplaneLink&) = delete;

    // Begins to connect; returns at once.
    void start();
    // Closes the connection and stays closed; what waits is failed.
    void stop();

    bool is_up() const { return is_up_; }
    // The socket is open, the welcome may be outstanding.
    bool is_connecting() const { return socket_.is_open(); }
    // Null while the dataplane is away.
    const CountersView* counters() const { return counters_ ? &*counters_ : nullptr; }
    // Why the last attempt or connection ended; empty while it is up.
    const std::string& fault() const { return fault_; }

    // Each is answered once, also when the link is down. Long lists travel in several messages; the
    // reply is the first refusal, or the last answer.
    void send_static_key(const crypto::Secret<32>& key, OnReply on_reply);
    void send_psks(std::span<const PskOrder> orders, OnReply on_reply);
    void send_seeds(std::span<const api::SeedBody> seeds, OnReply on_reply);
    void push_snapshot(std::span<const uint8_t> bytes, OnReply on_reply);
    void push_delta(std::span<const uint8_t> bytes, OnReply on_reply);
    void ping(OnReply on_reply);
    void get_peers(api::IdentityId first, uint32_t limit, OnPeers on_peers);

  private:
    struct Outgoing
    {
        api::MessageType type;
        std::vector<uint8_t> body;
        int fd = -1;
        std::chrono::seconds timeout{10};
        OnPeers on_answer;

        Outgoing() = default;
        Outgoing(Outgoing&& other) noexcept;
        Outgoing& operator=(Outgoing&&) = delete;
        ~Outgoing();
    };

    void connect();
    void retry_later(const std::string& why);
    void disconnect(const std::string& why);
    void fail_all(const std::string& why);
    void enqueue(Outgoing&& message);
    void send_in_parts(api::MessageType type, std::span<const uint8_t> rows, size_t row_bytes,
                       OnReply on_reply);
    void push(api::MessageType type, std::span<const uint8_t> bytes, OnReply on_reply);
    void send_next();
    void wait_readable();
    void receive();
    // False when the message breaks the protocol; `fault_` then says how.
    bool take_message(std::span<const uint8_t> bytes, int fd);
    bool take_welcome(std::span<const uint8_t> body, int fd);
    bool take_answer(const api::MessageHeader& header, std::span<const uint8_t> body);
    void arm_timeout(std::chrono::seconds limit);

    boost::asio::io_context& io_;
    std::string path_;
    Events events_;
    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer retry_timer_;
    boost::asio::steady_timer request_timer_;
    std::chrono::milliseconds backoff_;
    uint64_t connection_ = 0;  // stale completions of an older connection are ignored
    bool is_up_ = false;
    bool is_stopped_ = true;
    bool is_sent_ = false;  // the front of queue_ is on its way
    uint32_t next_request_ = 1;
    std::deque<Outgoing> queue_;
    std::optional<CountersView> counters_;
    std::string fault_ = "not connected yet";
    std::vector<uint8_t> buffer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A memfd with these bytes, sealed against every change; -1 with errno on failure. The caller
// closes it.
int make_sealed_memfd(const char* name, std::span<const uint8_t> bytes);

}  // namespace sandgate::control

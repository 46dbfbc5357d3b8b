// The dataplane's slow path on a real socket: server, handshake and builder thread as main() starts
// them, and one worker without ports, over a BareGateway. A test is control's end of the socket.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "dataplane/api/send_message.h"
#include "dataplane/counters_region.h"
#include "dataplane/slowpath/server_thread.h"
#include "tests/support/bare_gateway.h"

namespace sandgate::test {

struct Answer
{
    api::MessageHeader header{};
    Bytes body;
    int fd = -1;  // of a welcome; the receiver closes it

    api::AckBody ack() const
    {
        api::AckBody ack{};
        std::memcpy(&ack, body.data(), std::min(body.size(), sizeof(ack)));
        return ack;
    }
    // The fault of an acknowledgement, empty for none.
    std::string fault() const
    {
        if (header.type != api::MessageType::kAck || body.size() != sizeof(api::AckBody))
            return "no acknowledgement";
        const api::AckBody told = ack();
        return told.is_error != 0 ? std::string(told.text, told.text_bytes) : std::string();
    }
};

class SlowPath
{
  public:
    explicit SlowPath(uint32_t agents = 8, uint32_t flows = 64, unsigned mbufs = 2047)
        : gateway(agents, flows, mbufs)
    {
        dp::Shared& shared = gateway.shared;
        shared.policy.store(nullptr);  // nothing is in force before control pushes it
        dp::Options options;
        options.worker_cores = {0};
        const std::string fault = dp::build_counters(options, shared.tsc_hz, counters_);
        if (!fault.empty())
            give_up(fault);
        address_.sun_family = AF_UNIX;  // in the abstract namespace: no file is left behind
        std::snprintf(address_.sun_path + 1, sizeof(address_.sun_path) - 1, "sandgate-test-%d",
                      getpid());
        listener_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address_), sizeof(address_)) != 0 ||
            listen(listener_, 4) != 0)
            give_up("no socket for the test");
        server_ = std::make_unique<dp::ServerThread>(shared, *counters_.region, listener_,
                                                     counters_.fd, geteuid(), 1);
        handshakes_ = std::make_unique<dp::HandshakeThread>(
            shared, counters_.region->blocks[1],
            [this](const api::SeedBody& note) { server_->note_persistent(note); });
        builder_ =
            std::make_unique<dp::BuilderThread>(shared, *counters_.region, *handshakes_, 0x5eed);
        server_->connect(*handshakes_, *builder_);
        threads_.emplace_back([this] { handshakes_->run(); });
        threads_.emplace_back([this] { builder_->run(); });
        threads_.emplace_back([this] { server_->run(); });
        threads_.emplace_back([this] { run_portless_worker(); });
        connect_again();
    }
    ~SlowPath()
    {
        gateway.shared.is_stopping.store(true);
        builder_->stop();
        for (std::thread& thread : threads_) thread.join();
        if (client_ >= 0)
            close(client_);
        builder_.reset();
        server_.reset();
        close(listener_);
        close(counters_.fd);
    }
    SlowPath(const SlowPath&) = delete;
    SlowPath& operator=(const SlowPath&) = delete;

    // A new connection, which the dataplane serves instead of the old one.
    void connect_again()
    {
        if (client_ >= 0)
            close(client_);
        client_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (::connect(client_, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)) != 0)
            give_up("nobody listens");
    }

    // One packet of the socket, as it is; fd travels along when there is one.
    void send_packet(const Bytes& packet, int fd = -1)
    {
        iovec part[1] = {{const_cast<uint8_t*>(packet.data()), packet.size()}};
        if (api::send_parts(client_, part, fd) != static_cast<ssize_t>(packet.size()))
            give_up("the dataplane does not take a message");
    }
    template <typename Body>
    void send(api::MessageType type, const Body& body, int fd = -1)
    {
        Bytes packet(sizeof(api::MessageHeader) + sizeof(Body));
        const api::MessageHeader header{type, sizeof(Body), ++request_, 0};
        std::memcpy(packet.data(), &header, sizeof(header));
        std::memcpy(packet.data() + sizeof(header), &body, sizeof(Body));
        send_packet(packet, fd);
    }

    // The next answer; notes that come unasked are passed over. Nothing when the dataplane hung up
    // or said nothing for ten seconds.
    std::optional<Answer> receive()
    {
        for (;;) {
            pollfd wait{client_, POLLIN, 0};
            const int ready = poll(&wait, 1, 10'000);
            if (ready < 0 && errno == EINTR)
                continue;  // libFuzzer has an alarm clock
            if (ready != 1)
                return std::nullopt;
            Bytes packet(api::kMaxMessageBytes);
            iovec part{packet.data(), packet.size()};
            alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
            msghdr message{};
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof(control);
            const ssize_t got = recvmsg(client_, &message, MSG_CMSG_CLOEXEC);
            Answer answer;
            if (got < static_cast<ssize_t>(sizeof(answer.header)))
                return std::nullopt;
            if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr)
                std::memcpy(&answer.fd, CMSG_DATA(rights), sizeof(int));
            std::memcpy(&answer.header, packet.data(), sizeof(answer.header));
            if (answer.header.type == api::MessageType::kHandshakeNote)
                continue;
            answer.body.assign(packet.begin() + sizeof(answer.header), packet.begin() + got);
            return answer;
        }
    }
    template <typename Body>
    Answer ask(api::MessageType type, const Body& body, int fd = -1)
    {
        send(type, body, fd);
        return receive().value_or(Answer{});
    }

    // The fault of pushing these bytes in sealed memory; empty when they are in force.
    std::string push(api::MessageType type, const Bytes& bytes)
    {
        const int fd = memory_of(bytes, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
        const Answer answer = ask(type, api::PushBody{bytes.size()}, fd);
        close(fd);
        return answer.fault();
    }
    static int memory_of(const Bytes& bytes, int seals)
    {
        const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            give_up("no memory for a push");
        fcntl(fd, F_ADD_SEALS, seals);
        return fd;
    }

    BareGateway gateway;
    dp::HandshakeThread& handshakes() { return *handshakes_; }
    const api::CountersRegion& counters() const { return *counters_.region; }

  private:
    void run_portless_worker()
    {
        dp::Worker& w = gateway.worker();
        rte_rcu_qsbr_thread_online(gateway.shared.qsbr, 0);
        while (!gateway.shared.is_stopping.load()) {
            const dp::PolicyView* policy = gateway.shared.policy.load(std::memory_order_acquire);
            dp::poll_handed_over(w, policy);
            dp::poll_mailbox(w, policy);
            for (dp::TransmitQueue& queue : w.transmit) {  // there is no device to send by
                rte_pktmbuf_free_bulk(queue.mbufs, queue.count);
                queue.count = 0;
            }
            rte_rcu_qsbr_quiescent(gateway.shared.qsbr, 0);
            std::this_thread::yield();
        }
        rte_rcu_qsbr_thread_offline(gateway.shared.qsbr, 0);
    }

    dp::CountersMemory counters_;
    sockaddr_un address_{};
    int listener_ = -1, client_ = -1;
    uint32_t request_ = 0;
    std::unique_ptr<dp::ServerThread> server_;
    std::unique_ptr<dp::HandshakeThread> handshakes_;
    std::unique_ptr<dp::BuilderThread> builder_;
    std::vector<std::thread> threads_;
};

}  // namespace sandgate::test

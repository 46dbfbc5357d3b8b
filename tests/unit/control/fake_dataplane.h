// A dataplane for tests: serves the socket of dataplane/api/requests.h from a thread of its own,
// verifies what a real one would verify, keeps every message, and can be told to refuse, to send
// notes and to die.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/api/counters.h"
#include "dataplane/api/delta_reader.h"
#include "dataplane/api/requests.h"
#include "dataplane/api/send_message.h"
#include "dataplane/api/snapshot_reader.h"

namespace sandgate::test {

class FakeDataplane
{
  public:
    struct Message
    {
        api::MessageType type;
        std::vector<uint8_t> body;
        std::vector<uint8_t> file;  // the memfd's content
        int seals = 0;
    };
    // An answer other than "no error": the sentence of a refusal, or empty.
    using Refusal = std::function<std::string(const Message&)>;

    explicit FakeDataplane(std::string path, Refusal refusal = {})
        : path_(std::move(path)), refusal_(std::move(refusal))
    {
        make_counters();
        start();
    }
    ~FakeDataplane()
    {
        stop();
        munmap(region_, region_bytes_);
        close(counters_fd_);
    }

    // Closes the socket and forgets the policy, as a crash does.
    void stop()
    {
        if (!thread_.joinable())
            return;
        is_stopping_ = true;
        thread_.join();
        close(listen_fd_);
        unlink(path_.c_str());
    }
    void start()
    {
        is_stopping_ = false;
        policy_.clear();
        boot_id++;
        region_->boot_id = boot_id;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
        listen_fd_ = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
            listen(listen_fd_, 4) != 0)
            std::abort();
        thread_ = std::thread([this] { serve(); });
    }
    void drop_connection() { is_dropping_ = true; }

    std::vector<Message> messages()
    {
        std::lock_guard lock(mutex_);
        return messages_;
    }
    std::vector<api::MessageType> types()
    {
        std::vector<api::MessageType> list;
        for (const Message& message : messages()) list.push_back(message.type);
        return list;
    }
    size_t count(api::MessageType type)
    {
        const auto list = types();
        return static_cast<size_t>(std::count(list.begin(), list.end(), type));
    }
    void forget()
    {
        std::lock_guard lock(mutex_);
        messages_.clear();
    }
    std::vector<uint8_t> policy()
    {
        std::lock_guard lock(mutex_);
        return policy_;
    }
    api::Epoch epoch()
    {
        const auto bytes = policy();
        std::string error;
        const auto view = api::read_snapshot(bytes, error);
        return view ? view->header->epoch : 0;
    }
    void send_notes(std::vector<api::SeedBody> notes)
    {
        std::lock_guard lock(mutex_);
        notes_ = std::move(notes);
    }
    void set_peers(std::vector<api::PeerStatus> peers)
    {
        std::lock_guard lock(mutex_);
        peers_ = std::move(peers);
    }
    api::CountersRegion* counters() { return region_; }
    int counters_fd() const { return counters_fd_; }

    std::atomic<uint64_t> boot_id{100};
    std::atomic<uint32_t> version{api::kProtocolVersion};
    std::atomic<uint32_t> page{800};  // rows of a page of peers
    std::atomic<bool> is_mute{false};

  private:
    void make_counters()
    {
        region_bytes_ =
            sizeof(api::CountersRegion) + (2 + api::kSlowPathBlocks) * sizeof(api::CounterBlock);
        counters_fd_ = memfd_create("counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (ftruncate(counters_fd_, static_cast<off_t>(region_bytes_)) != 0 ||
            fcntl(counters_fd_, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
            std::abort();
        void* memory =
            mmap(nullptr, region_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, counters_fd_, 0);
        region_ = static_cast<api::CountersRegion*>(memory);
        region_->magic = api::kCountersMagic;
        region_->version = api::kCountersVersion;
        region_->workers = 2;
        region_->ports = 2;
        region_->host_port = ~0u;
        region_->flows_per_worker = 1000;
        std::strcpy(region_->kernel, "portable");
        std::strcpy(region_->port_names[0], "wan");
        std::strcpy(region_->port_names[1], "lan");
    }

    void serve()
    {
        while (!is_stopping_) {
            pollfd wait{listen_fd_, POLLIN, 0};
            if (poll(&wait, 1, 5) <= 0)
                continue;
            const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            is_dropping_ = false;
            while (!is_stopping_ && !is_dropping_ && serve_one(fd)) {
            }
            close(fd);
        }
    }

    bool serve_one(int fd)
    {
        {
            std::lock_guard lock(mutex_);
            if (!notes_.empty()) {
                answer(fd, api::MessageType::kHandshakeNote, 0, notes_.data(),
                       notes_.size() * sizeof(api::SeedBody));
                notes_.clear();
            }
        }
        pollfd wait{fd, POLLIN, 0};
        if (poll(&wait, 1, 5) <= 0)
            return true;
        std::vector<uint8_t> buffer(api::kMaxMessageBytes);
        iovec part{buffer.data(), buffer.size()};
        alignas(cmsghdr) char control[256];
        msghdr packet{};
        packet.msg_iov = &part;
        packet.msg_iovlen = 1;
        packet.msg_control = control;
        packet.msg_controllen = sizeof(control);
        const ssize_t got = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);
        if (got < static_cast<ssize_t>(sizeof(api::MessageHeader)))
            return false;
        api::MessageHeader header;
        std::memcpy(&header, buffer.data(), sizeof(header));
        Message message{
            header.type, {buffer.begin() + sizeof(header), buffer.begin() + got}, {}, 0};
        if (header.length != message.body.size())
            std::abort();
        if (const cmsghdr* c = CMSG_FIRSTHDR(&packet); c != nullptr) {
            int file = -1;
            std::memcpy(&file, CMSG_DATA(c), sizeof(file));
            struct stat info
            {
            };
            fstat(file, &info);
            message.file.resize(static_cast<size_t>(info.st_size));
            if (pread(file, message.file.data(), message.file.size(), 0) != info.st_size)
                std::abort();
            message.seals = fcntl(file, F_GET_SEALS);
            close(file);
        }
        std::lock_guard lock(mutex_);
        messages_.push_back(message);
        if (is_mute)
            return true;
        if (header.type == api::MessageType::kHello) {
            const api::WelcomeBody welcome{version, 0, boot_id, epoch_locked()};
            answer(fd, api::MessageType::kWelcome, header.request, &welcome, sizeof(welcome),
                   counters_fd_);
        } else if (header.type == api::MessageType::kGetPeers) {
            send_peers(fd, header.request, message);
        } else {
            acknowledge(fd, header.request, message);
        }
        return true;
    }

    api::Epoch epoch_locked()
    {
        std::string error;
        const auto view = api::read_snapshot(policy_, error);
        return view ? view->header->epoch : 0;
    }

    void acknowledge(int fd, uint32_t request, const Message& message)
    {
        std::string fault = refusal_ ? refusal_(message) : "";
        if (fault.empty() && message.type == api::MessageType::kPushSnapshot) {
            if (const auto view = api::read_snapshot(message.file, fault); view)
                policy_ = message.file;
        } else if (fault.empty() && message.type == api::MessageType::kPushDelta) {
            fault = take_delta(message.file);
        }
        api::AckBody ack{};
        ack.is_error = fault.empty() ? 0 : 1;
        ack.text_bytes = static_cast<uint32_t>(std::min(fault.size(), sizeof(ack.text)));
        std::memcpy(ack.text, fault.data(), ack.text_bytes);
        ack.epoch = epoch_locked();
        ack.took_ns = 1'500'000;
        answer(fd, api::MessageType::kAck, request, &ack, sizeof(ack));
    }

    std::string take_delta(const std::vector<uint8_t>& file)
    {
        std::string fault;
        const auto base = api::read_snapshot(policy_, fault);
        if (!base)
            return fault;
        const auto delta = api::read_delta(file, fault);
        if (!delta)
            return fault;
        auto next = api::apply_delta(*base, *delta, fault);
        if (!next.empty())
            policy_ = std::move(next);
        return fault;
    }

    void send_peers(int fd, uint32_t request, const Message& message)
    {
        api::GetPeersBody asked;
        std::memcpy(&asked, message.body.data(), sizeof(asked));
        std::vector<api::PeerStatus> rows;
        api::PeersBody body{};
        const size_t most = std::min<size_t>(page, asked.limit == 0 ? 800 : asked.limit);
        for (const api::PeerStatus& peer : peers_) {
            if (peer.identity < asked.first)
                continue;
            if (rows.size() == most) {
                body.next = peer.identity;
                break;
            }
            rows.push_back(peer);
        }
        body.count = static_cast<uint32_t>(rows.size());
        std::vector<uint8_t> bytes(sizeof(body) + rows.size() * sizeof(api::PeerStatus));
        std::memcpy(bytes.data(), &body, sizeof(body));
        if (!rows.empty())
            std::memcpy(bytes.data() + sizeof(body), rows.data(),
                        rows.size() * sizeof(api::PeerStatus));
        answer(fd, api::MessageType::kPeers, request, bytes.data(), bytes.size());
    }

    static void answer(int fd, api::MessageType type, uint32_t request, const void* body,
                       size_t bytes, int file = -1)
    {
        const api::MessageHeader header{type, static_cast<uint32_t>(bytes), request, 0};
        (void)!api::send_message(fd, header, body, file);
    }

    std::string path_;
    Refusal refusal_;
    std::thread thread_;
    std::atomic<bool> is_stopping_{false};
    std::atomic<bool> is_dropping_{false};
    int listen_fd_ = -1;
    int counters_fd_ = -1;
    api::CountersRegion* region_ = nullptr;
    size_t region_bytes_ = 0;
    std::mutex mutex_;  // guards everything below
    std::vector<Message> messages_;
    std::vector<uint8_t> policy_;
    std::vector<api::SeedBody> notes_;
    std::vector<api::PeerStatus> peers_;
};

}  // namespace sandgate::test

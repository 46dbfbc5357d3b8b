// One client at a time: control. A new connection replaces the old one, so a restarted control is
// served at once.
#include "dataplane/slowpath/server_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "dataplane/api/send_message.h"
#include "dataplane/worker/clock.h"

namespace sandgate::dp {

namespace {

constexpr uint64_t kMostSnapshotBytes = uint64_t{4} << 30;

// The content of a memfd that nobody can change any more. False with a sentence.
bool read_sealed(int fd, uint64_t bytes, std::vector<uint8_t>& out, std::string& error)
{
    constexpr int kWanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & kWanted) != kWanted) {
        error = "the snapshot's memory is not sealed against changes";
        return false;
    }
    struct stat info
    {
    };
    if (fstat(fd, &info) != 0 || info.st_size < 0 || static_cast<uint64_t>(info.st_size) < bytes ||
        bytes == 0 || bytes > kMostSnapshotBytes) {
        error = "the snapshot's memory is shorter than its stated size";
        return false;
    }
    out.resize(bytes);
    for (uint64_t done = 0; done < bytes;) {
        const ssize_t got = pread(fd, out.data() + done, bytes - done, static_cast<off_t>(done));
        if (got <= 0) {
            error = "the snapshot's memory cannot be read";
            return false;
        }
        done += static_cast<uint64_t>(got);
    }
    return true;
}

template <typename T>
bool has_rows(const api::MessageHeader& header)
{
    return header.length != 0 && header.length % sizeof(T) == 0;
}

template <typename T>
T row_at(const uint8_t* body, size_t i)
{
    T row;
    std::memcpy(&row, body + i * sizeof(T), sizeof(T));
    return row;
}

}  // namespace

ServerThread::ServerThread(Shared& shared, api::CountersRegion& counters, int listener,
                           int counters_fd, uid_t allowed_uid, unsigned reader)
    : shared_(shared),
      counters_(counters),
      listener_(listener),
      counters_fd_(counters_fd),
      allowed_uid_(allowed_uid),
      reader_(reader),
      neighbours_(shared, counters.blocks[counters.workers + 1])
{
}

ServerThread::~ServerThread() { close_client(); }

void ServerThread::connect(HandshakeThread& handshakes, BuilderThread& builder)
{
    handshakes_ = &handshakes;
    builder_ = &builder;
}

void ServerThread::run()
{
    pthread_setname_np(pthread_self(), "sg-server");
    while (!shared_.is_stopping.load(std::memory_order_relaxed)) {
        pollfd fds[2] = {{listener_, POLLIN, 0}, {client_, POLLIN, 0}};
        const timespec most = {0, 500'000};
        ppoll(fds, client_ < 0 ? 1 : 2, &most, nullptr);
        rte_rcu_qsbr_thread_online(shared_.qsbr, reader_);
        if (client_ >= 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            read_client();
        if ((fds[0].revents & POLLIN) != 0)
            accept_client();
        run_neighbours();
        send_answers();
        send_notes();
        rte_rcu_qsbr_thread_offline(shared_.qsbr, reader_);
    }
}

void ServerThread::accept_client()
{
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    ucred peer{};
    socklen_t bytes = sizeof(peer);
    const bool is_allowed = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
                            (peer.uid == 0 || peer.uid == allowed_uid_);
    if (!is_allowed) {
        close(fd);
        return;
    }
    const timeval most = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
    close_client();
    client_ = fd;
    client_number_++;
}

void ServerThread::close_client()
{
    if (client_ >= 0)
        close(client_);
    client_ = -1;
}

void ServerThread::read_client()
{
    alignas(8) static thread_local uint8_t buffer[api::kMaxMessageBytes];
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * 4)];
    iovec part{buffer, sizeof(buffer)};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(client_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        return close_client();

    int fd = -1;
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            std::memcpy(&received, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
            if (fd < 0)
                fd = received;
            else
                close(received);
        }
    }
    api::MessageHeader header{};
    const bool is_whole =
        static_cast<size_t>(got) >= sizeof(header) && (message.msg_flags & MSG_TRUNC) == 0;
    if (is_whole)
        std::memcpy(&header, buffer, sizeof(header));
    if (!is_whole || header.length != static_cast<size_t>(got) - sizeof(header))
        ack(header.request, "a message whose length does not fit its header", 0, 0);
    else
        handle(header, buffer + sizeof(header), fd);
    crypto::wipe(buffer, static_cast<size_t>(got));  // keys may have lain here
    if (fd >= 0)
        close(fd);
}

void ServerThread::handle(const api::MessageHeader& header, const uint8_t* body, int fd)
{
    switch (header.type) {
        case api::MessageType::kHello:
            return hello(header, body);
        case api::MessageType::kStaticKey:
            return static_key(header, body);
        case api::MessageType::kPsk:
            return psks(header, body);
        case api::MessageType::kSeed:
            return seeds(header, body);
        case api::MessageType::kPushSnapshot:
        case api::MessageType::kPushDelta:
            return push(header, body, fd);
        case api::MessageType::kGetPeers:
            return peers(header, body);
        case api::MessageType::kPing:
            return ack(header.request, header.length == 0 ? "" : "a ping has no body", 0, 0);
        default:
            return ack(header.request, "a message type that this dataplane does not know", 0, 0);
    }
}

void ServerThread::hello(const api::MessageHeader& header, const uint8_t* body)
{
    if (header.length != sizeof(api::HelloBody))
        return ack(header.request, "a hello of the wrong length", 0, 0);
    const auto hello = row_at<api::HelloBody>(body, 0);
    if (hello.version != api::kProtocolVersion)
        return ack(header.request,
                   "control speaks version " + std::to_string(hello.version) +
                       " of the socket, the dataplane " + std::to_string(api::kProtocolVersion) +
                       ": install both from one release",
                   0, 0);
    api::WelcomeBody welcome{};
    welcome.version = api::kProtocolVersion;
    handshakes_->order_and_wait([&](wg::HandshakeEngine& engine, wg::Time) {
        welcome.has_static_key = engine.has_static_key() ? 1 : 0;
    });
    welcome.boot_id = counters_.boot_id;
    welcome.epoch = counters_.policy_epoch.load(std::memory_order_relaxed);
    send(api::MessageType::kWelcome, header.request, &welcome, sizeof(welcome), counters_fd_);
}

void ServerThread::static_key(const api::MessageHeader& header, const uint8_t* body)
{
    if (header.length != sizeof(api::StaticKeyBody))
        return ack(header.request, "a static key of the wrong length", 0, 0);
    crypto::PrivateKey key(std::span<const uint8_t, 32>(body, 32));
    const bool is_done = handshakes_->order_and_wait(
        [&](wg::HandshakeEngine& engine, wg::Time now) { engine.set_static_key(key, now); });
    ack(header.request, is_done ? "" : "the dataplane is stopping", 0, 0);
}

void ServerThread::psks(const api::MessageHeader& header, const uint8_t* body)
{
    if (!has_rows<api::PskBody>(header))
        return ack(header.request, "pre-shared keys of the wrong length", 0, 0);
    for (size_t i = 0; i < header.length / sizeof(api::PskBody); i++) {
        const auto row = row_at<api::PskBody>(body, i);
        if (row.identity > api::kMaxIdentity || row.is_present > 1)
            return ack(header.request, "a pre-shared key with an identity out of range", 0, 0);
    }
    for (size_t i = 0; i < header.length / sizeof(api::PskBody); i++) {
        auto row = row_at<api::PskBody>(body, i);
        auto key = std::make_shared<crypto::Key>(std::span<const uint8_t, 32>(row.psk, 32));
        crypto::wipe(row.psk, sizeof(row.psk));
        handshakes_->order([row, key](wg::HandshakeEngine& engine, wg::Time) {
            if (row.is_present != 0)
                engine.set_psk(row.identity, *key);
            else
                engine.remove_psk(row.identity);
        });
    }
    ack(header.request, "", 0, 0);
}

void ServerThread::seeds(const api::MessageHeader& header, const uint8_t* body)
{
    if (!has_rows<api::SeedBody>(header))
        return ack(header.request, "seeds of the wrong length", 0, 0);
    std::vector<api::SeedBody> rows(header.length / sizeof(api::SeedBody));
    for (size_t i = 0; i < rows.size(); i++) {
        rows[i] = row_at<api::SeedBody>(body, i);
        if (rows[i].identity > api::kMaxIdentity)
            return ack(header.request, "a seed with an identity out of range", 0, 0);
    }
    handshakes_->order([rows = std::move(rows)](wg::HandshakeEngine& engine, wg::Time now) {
        for (const api::SeedBody& row : rows) {
            wg::Timestamp greatest;
            std::memcpy(greatest.data(), row.timestamp, greatest.size());
            engine.seed(row.identity, greatest, row.endpoint, now);
        }
    });
    ack(header.request, "", 0, 0);
}

void ServerThread::push(const api::MessageHeader& header, const uint8_t* body, int fd)
{
    if (header.length != sizeof(api::PushBody) || fd < 0)
        return ack(header.request, "a push needs its size and the memory that holds it", 0, 0);
    std::vector<uint8_t> bytes;
    std::string error;
    if (!read_sealed(fd, row_at<api::PushBody>(body, 0).bytes, bytes, error))
        return ack(header.request, error, 0, 0);
    const Clock clock(shared_.tsc_hz);
    const uint64_t arrived = clock.now_ns();
    const bool is_delta = header.type == api::MessageType::kPushDelta;
    builder_->push(
        std::move(bytes), is_delta,
        [this, clock, arrived, request = header.request, client = client_number_](
            const std::string& fault, api::Epoch epoch) {
            const std::lock_guard lock(mutex_);
            answers_.push_back({client, request, fault, epoch, clock.now_ns() - arrived});
        });
}

void ServerThread::peers(const api::MessageHeader& header, const uint8_t* body)
{
    if (header.length != sizeof(api::GetPeersBody))
        return ack(header.request, "a question for peers of the wrong length", 0, 0);
    const auto wanted = row_at<api::GetPeersBody>(body, 0);
    constexpr uint32_t kFit =
        (api::kMaxMessageBytes - sizeof(api::MessageHeader) - sizeof(api::PeersBody)) /
        sizeof(api::PeerStatus);
    const uint32_t limit = wanted.limit == 0 ? kFit : std::min(wanted.limit, kFit);

    std::vector<api::PeerStatus> rows;
    api::PeersBody head{};
    if (const PolicyView* policy = shared_.policy.load(std::memory_order_acquire);
        policy != nullptr) {
        for (const api::AgentRow& row : policy->rows.agents) {
            if (row.identity < wanted.first)
                continue;
            if (rows.size() == limit) {
                head.next = row.identity;
                break;
            }
            const Agent* agent = shared_.agents.find(row.identity);
            api::PeerStatus status{};
            status.identity = row.identity;
            const WorkerId owner = agent->owner.load(std::memory_order_relaxed);
            status.owner = owner == wg::kNoWorker ? ~0u : owner;
            status.rx_bytes = agent->rx_bytes.load(std::memory_order_relaxed);
            status.tx_bytes = agent->tx_bytes.load(std::memory_order_relaxed);
            status.rx_packets = agent->rx_packets.load(std::memory_order_relaxed);
            status.tx_packets = agent->tx_packets.load(std::memory_order_relaxed);
            rows.push_back(status);
        }
    }

    constexpr int64_t kSessionSeconds = 180;
    const int64_t now = time(nullptr);
    handshakes_->order_and_wait([&](wg::HandshakeEngine& engine, wg::Time) {
        for (api::PeerStatus& row : rows) {
            row.last_handshake_unix = engine.last_handshake_unix(row.identity);
            row.endpoint = engine.endpoint_of(row.identity);
            row.has_session =
                row.last_handshake_unix != 0 && now - row.last_handshake_unix < kSessionSeconds;
        }
    });
    head.count = static_cast<uint32_t>(rows.size());
    std::vector<uint8_t> answer(sizeof(head) + rows.size() * sizeof(api::PeerStatus));
    std::memcpy(answer.data(), &head, sizeof(head));
    if (!rows.empty())
        std::memcpy(answer.data() + sizeof(head), rows.data(),
                    rows.size() * sizeof(api::PeerStatus));
    send(api::MessageType::kPeers, header.request, answer.data(), answer.size());
}

void ServerThread::ack(uint32_t request, const std::string& error, api::Epoch epoch,
                       uint64_t took_ns)
{
    api::AckBody body{};
    body.is_error = error.empty() ? 0 : 1;
    body.epoch = epoch != 0 ? epoch : counters_.policy_epoch.load(std::memory_order_relaxed);
    body.took_ns = took_ns;
    body.text_bytes = static_cast<uint32_t>(std::min(error.size(), sizeof(body.text)));
    std::memcpy(body.text, error.data(), body.text_bytes);
    send(api::MessageType::kAck, request, &body, sizeof(body));
}

void ServerThread::send(api::MessageType type, uint32_t request, const void* body, size_t bytes,
                        int fd)
{
    if (client_ < 0)
        return;
    const api::MessageHeader header{type, static_cast<uint32_t>(bytes), request, 0};
    if (api::send_message(client_, header, body, fd) < 0)
        close_client();  // control reconnects and asks again
}

void ServerThread::send_answers()
{
    std::deque<Answer> answers;
    {
        const std::lock_guard lock(mutex_);
        answers.swap(answers_);
    }
    for (const Answer& answer : answers)
        if (answer.client == client_number_)
            ack(answer.request, answer.error, answer.epoch, answer.took_ns);
}

void ServerThread::note_persistent(const api::SeedBody& note)
{
    const std::lock_guard lock(mutex_);
    notes_[note.identity] = note;
}

void ServerThread::send_notes()
{
    if (client_ < 0)
        return;  // kept until somebody persists them: one row per agent at most
    std::vector<api::SeedBody> rows;
    {
        const std::lock_guard lock(mutex_);
        constexpr size_t kFit = 1000;
        while (!notes_.empty() && rows.size() < kFit) {
            rows.push_back(notes_.begin()->second);
            notes_.erase(notes_.begin());
        }
    }
    if (!rows.empty())
        send(api::MessageType::kHandshakeNote, 0, rows.data(), rows.size() * sizeof(api::SeedBody));
}

void ServerThread::run_neighbours()
{
    const Clock clock(shared_.tsc_hz);
    const uint64_t now_ns = clock.now_ns();
    const PolicyView* policy = shared_.policy.load(std::memory_order_acquire);
    rte_mbuf* mbufs[64];
    const unsigned count =
        rte_ring_sc_dequeue_burst(shared_.local, reinterpret_cast<void**>(mbufs), 64, nullptr);
    if (policy == nullptr) {
        api::add(counters_.blocks[counters_.workers + 1]
                     .drops[static_cast<unsigned>(DropReason::kNotReady)],
                 count);
        rte_pktmbuf_free_bulk(mbufs, count);
    } else {
        if (policy->rows.header->epoch != neighbours_epoch_) {
            neighbours_epoch_ = policy->rows.header->epoch;
            neighbours_.set_static(*policy);
        }
        for (unsigned i = 0; i < count; i++) neighbours_.take(mbufs[i], *policy, now_ns);
        neighbours_.on_timer(*policy, now_ns);
    }
}

}  // namespace sandgate::dp

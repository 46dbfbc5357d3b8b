// See dataplane_link.h. Asio of this release has no SOCK_SEQPACKET, so the descriptor is waited for
// and read and written here with recvmsg and sendmsg, which the passing of file descriptors needs
// anyway.
#include "control/link/dataplane_link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/api/send_message.h"

namespace sandgate::control {

using api::MessageHeader;
using api::MessageType;
using boost::asio::posix::stream_descriptor;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr milliseconds kFirstBackoff{20};
constexpr milliseconds kLongestBackoff{1000};
// After a connection that was up: two programs that replace each other must not spin.
constexpr milliseconds kBackoffAfterUp{100};
constexpr seconds kPushTimeout{60};
constexpr size_t kMaxBodyBytes = api::kMaxMessageBytes - sizeof(MessageHeader);

std::string errno_text(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

template <typename T>
std::span<const uint8_t> bytes_of(const T& value)
{
    return {reinterpret_cast<const uint8_t*>(&value), sizeof(T)};
}

template <typename T>
bool read_body(std::span<const uint8_t> body, T& out)
{
    if (body.size() < sizeof(T))
        return false;
    std::memcpy(&out, body.data(), sizeof(T));
    return true;
}

// Secrets are for a dataplane of root, of our own user, or of the owner of the socket's directory.
bool is_trusted(int fd, const std::string& path)
{
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    const auto slash = path.rfind('/');
    struct stat info
    {
    };
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    return stat(directory.c_str(), &info) == 0 && info.st_uid == peer.uid;
}

}  // namespace

int make_sealed_memfd(const char* name, std::span<const uint8_t> bytes)
{
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += static_cast<size_t>(n);
    }
    constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (done < bytes.size() || fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

DataplaneLink::Outgoing::Outgoing(Outgoing&& other) noexcept
    : type(other.type),
      body(std::move(other.body)),
      fd(std::exchange(other.fd, -1)),
      timeout(other.timeout),
      on_answer(std::move(other.on_answer))
{
}

DataplaneLink::Outgoing::~Outgoing()
{
    crypto::wipe(body.data(), body.size());
    if (fd >= 0)
        close(fd);
}

DataplaneLink::DataplaneLink(boost::asio::io_context& io, std::string socket_path, Events events)
    : io_(io),
      path_(std::move(socket_path)),
      events_(std::move(events)),
      socket_(io),
      retry_timer_(io),
      request_timer_(io),
      backoff_(kFirstBackoff),
      buffer_(api::kMaxMessageBytes)
{
}

DataplaneLink::~DataplaneLink() { *alive_ = false; }

void DataplaneLink::start()
{
    is_stopped_ = false;
    connect();
}

void DataplaneLink::stop()
{
    is_stopped_ = true;
    retry_timer_.cancel();
    disconnect("control is stopping");
}

void DataplaneLink::connect()
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path))
        return retry_later("the path of the dataplane's socket is too long: " + path_);
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return retry_later(errno_text("no socket for the dataplane"));
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const std::string why = errno_text(path_.c_str());
        close(fd);
        return retry_later(why);
    }
    if (!is_trusted(fd, path_)) {
        close(fd);
        return retry_later(path_ +
                           " is served by another user than root, control's own, or its"
                           " directory's owner; no key is sent there");
    }
    const int buffer_bytes = 4 * static_cast<int>(api::kMaxMessageBytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
    connection_++;
    socket_.assign(fd);
    is_sent_ = false;

    Outgoing hello;
    hello.type = MessageType::kHello;
    const api::HelloBody body{api::kProtocolVersion, 0};
    hello.body.assign(bytes_of(body).begin(), bytes_of(body).end());
    hello.timeout = seconds(5);
    queue_.push_front(std::move(hello));
    wait_readable();
    send_next();
}

void DataplaneLink::retry_later(const std::string& why)
{
    fault_ = why;
    if (is_stopped_)
        return;
    retry_timer_.expires_after(backoff_);
    backoff_ = std::min(backoff_ * 2, kLongestBackoff);
    retry_timer_.async_wait([this, alive = alive_](const error_code& error) {
        if (*alive && !error && !is_stopped_)
            connect();
    });
}

void DataplaneLink::disconnect(const std::string& why)
{
    const bool was_up = std::exchange(is_up_, false);
    connection_++;
    if (socket_.is_open()) {
        error_code ignored;
        socket_.close(ignored);
    }
    request_timer_.cancel();
    counters_.reset();
    fault_ = why;
    auto alive = alive_;
    fail_all(why);
    if (!*alive)
        return;
    if (was_up && !is_stopped_ && events_.on_down)
        events_.on_down(why);
    if (*alive)
        retry_later(why);
}

void DataplaneLink::fail_all(const std::string& why)
{
    std::deque<Outgoing> failed;
    failed.swap(queue_);
    is_sent_ = false;
    PeersPage lost;
    lost.reply = {true, true, "The dataplane went away: " + why, 0, 0};
    for (Outgoing& message : failed)
        if (message.on_answer)
            message.on_answer(lost);
}

void DataplaneLink::enqueue(Outgoing&& message)
{
    if (!is_up_) {
        boost::asio::post(io_, [on_answer = std::move(message.on_answer), why = fault_] {
            PeersPage lost;
            lost.reply = {true, true, "The dataplane cannot be reached: " + why, 0, 0};
            if (on_answer)
                on_answer(lost);
        });
        return;
    }
    queue_.push_back(std::move(message));
    send_next();
}

void DataplaneLink::send_next()
{
    if (is_sent_ || queue_.empty() || !socket_.is_open())
        return;
    Outgoing& message = queue_.front();
    const MessageHeader header{message.type, static_cast<uint32_t>(message.body.size()),
                               next_request_, 0};
    const ssize_t sent = api::send_message(socket_.native_handle(), header, message.body.data(),
                                           message.fd, MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        socket_.async_wait(stream_descriptor::wait_write,
                           [this, alive = alive_, mine = connection_](const error_code& error) {
                               if (*alive && mine == connection_ && !error)
                                   send_next();
                           });
        return;
    }
    if (sent < 0)
        return disconnect(errno_text("a message could not be sent"));
    is_sent_ = true;
    crypto::wipe(message.body.data(), message.body.size());
    if (message.fd >= 0)
        close(std::exchange(message.fd, -1));
    arm_timeout(message.timeout);
}

void DataplaneLink::arm_timeout(seconds limit)
{
    request_timer_.expires_after(limit);
    request_timer_.async_wait([this, alive = alive_, mine = connection_,
                               request = next_request_](const error_code& error) {
        if (*alive && !error && mine == connection_ && request == next_request_)
            disconnect("a request was not answered in time");
    });
}

void DataplaneLink::wait_readable()
{
    socket_.async_wait(stream_descriptor::wait_read,
                       [this, alive = alive_, mine = connection_](const error_code& error) {
                           if (*alive && mine == connection_ && !error)
                               receive();
                       });
}

void DataplaneLink::receive()
{
    const uint64_t mine = connection_;
    const auto alive = alive_;
    for (;;) {
        iovec part{buffer_.data(), buffer_.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {};
        msghdr packet{};
        packet.msg_iov = &part;
        packet.msg_iovlen = 1;
        packet.msg_control = control;
        packet.msg_controllen = sizeof(control);
        const ssize_t got =
            recvmsg(socket_.native_handle(), &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return wait_readable();
        if (got < 0)
            return disconnect(errno_text("the connection failed"));
        if (got == 0)
            return disconnect("the dataplane closed the connection");

        std::vector<int> fds;
        for (cmsghdr* c = CMSG_FIRSTHDR(&packet); c != nullptr; c = CMSG_NXTHDR(&packet, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                continue;
            for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(c) + at, sizeof(int));
                fds.push_back(fd);
            }
        }
        bool is_valid = (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && fds.size() <= 1;
        fault_ = "the dataplane sent a message that breaks the protocol";
        is_valid = is_valid && take_message({buffer_.data(), static_cast<size_t>(got)},
                                            fds.empty() ? -1 : fds[0]);
        for (const int fd : fds) close(fd);
        if (!*alive || mine != connection_)
            return;
        if (!is_valid)
            return disconnect(std::string(fault_));
        if (is_up_)
            fault_.clear();
    }
}

bool DataplaneLink::take_message(std::span<const uint8_t> bytes, int fd)
{
    MessageHeader header{};
    if (!read_body(bytes, header) || header.length != bytes.size() - sizeof(header))
        return false;
    const auto body = bytes.subspan(sizeof(header));
    if (header.type == MessageType::kHandshakeNote) {
        if (body.size() % sizeof(api::SeedBody) != 0)
            return false;
        std::vector<api::SeedBody> notes(body.size() / sizeof(api::SeedBody));
        if (!notes.empty())
            std::memcpy(notes.data(), body.data(), body.size());
        if (is_up_ && events_.on_notes)
            events_.on_notes(notes);
        return true;
    }
    if (!is_sent_ || queue_.empty() || header.request != next_request_)
        return false;
    if (queue_.front().type == MessageType::kHello) {
        if (header.type == MessageType::kWelcome)
            return take_welcome(body, fd);
        api::AckBody ack{};
        if (header.type == MessageType::kAck && read_body(body, ack))
            fault_ = "the dataplane refused the hello: " +
                     std::string(ack.text, std::min<size_t>(ack.text_bytes, sizeof(ack.text)));
        return false;
    }
    return take_answer(header, body);
}

bool DataplaneLink::take_welcome(std::span<const uint8_t> body, int fd)
{
    api::WelcomeBody welcome{};
    if (body.size() != sizeof(welcome) || !read_body(body, welcome))
        return false;
    if (welcome.version != api::kProtocolVersion) {
        fault_ = "the dataplane speaks version " + std::to_string(welcome.version) +
                 " of the socket's protocol, control " + std::to_string(api::kProtocolVersion) +
                 ": install the same release of both programs";
        return false;
    }
    if (fd < 0) {
        fault_ = "the dataplane's welcome came without its counters";
        return false;
    }
    std::string error;
    auto counters = CountersView::map(fd, error);
    if (!counters) {
        fault_ = error;
        return false;
    }
    counters_.emplace(std::move(*counters));
    queue_.pop_front();
    is_sent_ = false;
    next_request_++;
    request_timer_.cancel();
    backoff_ = kBackoffAfterUp;
    is_up_ = true;
    fault_.clear();
    if (events_.on_up)
        events_.on_up(welcome);
    return true;
}

bool DataplaneLink::take_answer(const MessageHeader& header, std::span<const uint8_t> body)
{
    PeersPage page;
    api::AckBody ack{};
    api::PeersBody peers{};
    if (header.type == MessageType::kAck && body.size() == sizeof(ack) && read_body(body, ack)) {
        page.reply = {ack.is_error != 0, false,
                      std::string(ack.text, std::min<size_t>(ack.text_bytes, sizeof(ack.text))),
                      ack.epoch, ack.took_ns};
    } else if (header.type == MessageType::kPeers &&
               queue_.front().type == MessageType::kGetPeers && read_body(body, peers) &&
               body.size() - sizeof(peers) == size_t{peers.count} * sizeof(api::PeerStatus)) {
        page.next = peers.next;
        page.peers.resize(peers.count);
        if (peers.count != 0)
            std::memcpy(page.peers.data(), body.data() + sizeof(peers),
                        body.size() - sizeof(peers));
    } else {
        return false;
    }
    OnPeers on_answer = std::move(queue_.front().on_answer);
    queue_.pop_front();
    is_sent_ = false;
    next_request_++;
    request_timer_.cancel();
    const uint64_t mine = connection_;
    const auto alive = alive_;
    if (on_answer)
        on_answer(std::move(page));
    if (*alive && mine == connection_)
        send_next();
    return true;
}

void DataplaneLink::send_in_parts(MessageType type, std::span<const uint8_t> rows, size_t row_bytes,
                                  OnReply on_reply)
{
    struct Progress
    {
        size_t waiting = 0;
        Reply reply;
        OnReply on_reply;
    };
    if (rows.empty()) {
        boost::asio::post(io_, [on_reply = std::move(on_reply)] {
            if (on_reply)
                on_reply(Reply{});
        });
        return;
    }
    auto progress = std::make_shared<Progress>();
    progress->on_reply = std::move(on_reply);
    const size_t part_bytes = kMaxBodyBytes / row_bytes * row_bytes;
    progress->waiting = (rows.size() + part_bytes - 1) / part_bytes;
    size_t at = 0;
    const size_t parts = progress->waiting;
    for (size_t part = 0; part < parts; part++) {
        const size_t n = std::min(part_bytes, rows.size() - at);
        Outgoing message;
        message.type = type;
        message.body.assign(rows.begin() + static_cast<ptrdiff_t>(at),
                            rows.begin() + static_cast<ptrdiff_t>(at + n));
        at += n;
        message.on_answer = [progress](const PeersPage& page) {
            if (!progress->reply.is_error)
                progress->reply = page.reply;
            if (--progress->waiting == 0 && progress->on_reply)
                progress->on_reply(progress->reply);
        };
        enqueue(std::move(message));
    }
}

void DataplaneLink::send_static_key(const crypto::Secret<32>& key, OnReply on_reply)
{
    send_in_parts(MessageType::kStaticKey, key.span(), key.size(), std::move(on_reply));
}

void DataplaneLink::send_psks(std::span<const PskOrder> orders, OnReply on_reply)
{
    std::vector<api::PskBody> rows(orders.size());
    for (size_t i = 0; i < orders.size(); i++) {
        rows[i].identity = orders[i].identity;
        rows[i].is_present = orders[i].key != nullptr ? 1 : 0;
        if (orders[i].key != nullptr)
            std::memcpy(rows[i].psk, orders[i].key->data(), sizeof(rows[i].psk));
    }
    const size_t bytes = rows.size() * sizeof(api::PskBody);
    send_in_parts(MessageType::kPsk, {reinterpret_cast<const uint8_t*>(rows.data()), bytes},
                  sizeof(api::PskBody), std::move(on_reply));
    crypto::wipe(rows.data(), bytes);
}

void DataplaneLink::send_seeds(std::span<const api::SeedBody> seeds, OnReply on_reply)
{
    send_in_parts(MessageType::kSeed,
                  {reinterpret_cast<const uint8_t*>(seeds.data()), seeds.size_bytes()},
                  sizeof(api::SeedBody), std::move(on_reply));
}

void DataplaneLink::push(MessageType type, std::span<const uint8_t> bytes, OnReply on_reply)
{
    Outgoing message;
    message.type = type;
    message.timeout = kPushTimeout;
    message.fd = make_sealed_memfd("sandgate-policy", bytes);
    if (message.fd < 0) {
        const std::string why = errno_text("no memory for the snapshot");
        boost::asio::post(io_, [on_reply = std::move(on_reply), why] {
            on_reply({true, false, why, 0, 0});
        });
        return;
    }
    const api::PushBody body{bytes.size()};
    message.body.assign(bytes_of(body).begin(), bytes_of(body).end());
    message.on_answer = [on_reply = std::move(on_reply)](const PeersPage& page) {
        if (on_reply)
            on_reply(page.reply);
    };
    enqueue(std::move(message));
}

void DataplaneLink::push_snapshot(std::span<const uint8_t> bytes, OnReply on_reply)
{
    push(MessageType::kPushSnapshot, bytes, std::move(on_reply));
}

void DataplaneLink::push_delta(std::span<const uint8_t> bytes, OnReply on_reply)
{
    push(MessageType::kPushDelta, bytes, std::move(on_reply));
}

void DataplaneLink::ping(OnReply on_reply)
{
    Outgoing message;
    message.type = MessageType::kPing;
    message.on_answer = [on_reply = std::move(on_reply)](const PeersPage& page) {
        if (on_reply)
            on_reply(page.reply);
    };
    enqueue(std::move(message));
}

void DataplaneLink::get_peers(api::IdentityId first, uint32_t limit, OnPeers on_peers)
{
    Outgoing message;
    message.type = MessageType::kGetPeers;
    const api::GetPeersBody body{first, limit};
    message.body.assign(bytes_of(body).begin(), bytes_of(body).end());
    message.on_answer = std::move(on_peers);
    enqueue(std::move(message));
}

}  // namespace sandgate::control

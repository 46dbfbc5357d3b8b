// The server thread: the UNIX socket to control, and the neighbours of the ports. What arrives by
// the socket is bounded, checked and answered; a fault changes nothing.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "dataplane/api/requests.h"
#include "dataplane/slowpath/builder_thread.h"
#include "dataplane/slowpath/handshake_thread.h"
#include "dataplane/slowpath/neighbour_service.h"

namespace sandgate::dp {

class ServerThread
{
  public:
    // listener: a listening SOCK_SEQPACKET socket. counters_fd: the memfd of the counters region.
    // allowed_uid: served beside root. reader: this thread's number among the QSBR readers.
    ServerThread(Shared& shared, api::CountersRegion& counters, int listener, int counters_fd,
                 uid_t allowed_uid, unsigned reader);
    ~ServerThread();

    void connect(HandshakeThread& handshakes, BuilderThread& builder);
    // Runs until shared.is_stopping.
    void run();
    // From the handshake thread: control should persist this.
    void note_persistent(const api::SeedBody& note);

  private:
    struct Answer
    {
        uint64_t client;  // which connection asked
        uint32_t request;
        std::string error;
        api::Epoch epoch;
        uint64_t took_ns;
    };

    void accept_client();
    void close_client();
    void read_client();
    void handle(const api::MessageHeader& header, const uint8_t* body, int fd);
    void hello(const api::MessageHeader& header, const uint8_t* body);
    void static_key(const api::MessageHeader& header, const uint8_t* body);
    void psks(const api::MessageHeader& header, const uint8_t* body);
    void seeds(const api::MessageHeader& header, const uint8_t* body);
    void push(const api::MessageHeader& header, const uint8_t* body, int fd);
    void peers(const api::MessageHeader& header, const uint8_t* body);
    void ack(uint32_t request, const std::string& error, api::Epoch epoch, uint64_t took_ns);
    void send(api::MessageType type, uint32_t request, const void* body, size_t bytes, int fd = -1);
    void send_answers();
    void send_notes();
    void run_neighbours();

    Shared& shared_;
    api::CountersRegion& counters_;
    int listener_;
    int counters_fd_;
    uid_t allowed_uid_;
    unsigned reader_;
    int client_ = -1;
    uint64_t client_number_ = 0;
    HandshakeThread* handshakes_ = nullptr;
    BuilderThread* builder_ = nullptr;
    NeighbourService neighbours_;
    api::Epoch neighbours_epoch_ = 0;

    std::mutex mutex_;
    std::deque<Answer> answers_;                 // under mutex_; from the builder thread
    std::map<IdentityId, api::SeedBody> notes_;  // under mutex_; from the handshake thread
};

}  // namespace sandgate::dp

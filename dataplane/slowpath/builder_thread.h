// The builder thread: turns the bytes that control pushes into a PolicyView, publishes it,
// tells the handshake thread which peers came and went, and frees the old view after a grace
// period.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dataplane/slowpath/handshake_thread.h"
#include "dataplane/worker/worker.h"

namespace sandgate::dp {

class BuilderThread
{
  public:
    // Called when a push is in force (error empty) or refused (error says why); on the builder
    // thread, or on the caller's when too many pushes wait.
    static constexpr size_t kMostWaiting = 16;  // pushes; each may hold gigabytes
    using Done = std::function<void(const std::string& error, api::Epoch epoch)>;

    BuilderThread(Shared& shared, api::CountersRegion& counters, HandshakeThread& handshakes,
                  uint64_t hash_seed);
    ~BuilderThread();

    // Runs until stop().
    void run();
    void stop();

    // A base snapshot, or a delta to the policy in force.
    void push(std::vector<uint8_t> bytes, bool is_delta, Done done);

  private:
    struct Job
    {
        std::vector<uint8_t> bytes;
        bool is_delta;
        Done done;
    };

    std::string apply(Job& job);
    void tell_peers(const PolicyView* before, const PolicyView& after);

    Shared& shared_;
    api::CountersRegion& counters_;
    HandshakeThread& handshakes_;
    uint64_t hash_seed_;
    std::unique_ptr<PolicyView> view_;  // in force; writer: this thread

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Job> jobs_;     // under mutex_
    bool is_stopping_ = false;  // under mutex_
};

}  // namespace sandgate::dp

// Notices that one of a few files changed, by inotify on their directories, so that an editor's
// rename-over, a symlink swap and a file that did not exist yet are seen as well. Events are
// gathered for a moment: one save is one call.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sandgate::control {

class FileWatch
{
  public:
    FileWatch(boost::asio::io_context& io, std::function<void()> on_change);
    ~FileWatch();
    FileWatch(const FileWatch&) = delete;
    FileWatch& operator=(const FileWatch&) = delete;

    // Replaces the set of files. Returns the fault as a sentence, or an empty string; what can be
    // watched is watched all the same.
    std::string watch(const std::vector<std::string>& files);

  private:
    void wait();
    void read_events();

    boost::asio::posix::stream_descriptor inotify_;
    boost::asio::steady_timer gather_;
    std::function<void()> on_change_;
    std::map<std::string, int> directories_;      // directory to watch descriptor
    std::map<int, std::set<std::string>> names_;  // watch descriptor to the names that matter
    bool is_gathering_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sandgate::control

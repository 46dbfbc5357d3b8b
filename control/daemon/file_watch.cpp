// See file_watch.h.
#include "control/daemon/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace sandgate::control {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

namespace {

// Long enough for a writer that truncates and writes, short beside the 100 ms that a change may
// take.
constexpr std::chrono::milliseconds kGather{10};
constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM;

}  // namespace

FileWatch::FileWatch(boost::asio::io_context& io, std::function<void()> on_change)
    : inotify_(io), gather_(io), on_change_(std::move(on_change))
{
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0) {
        inotify_.assign(fd);
        wait();
    }
}

FileWatch::~FileWatch() { *alive_ = false; }

std::string FileWatch::watch(const std::vector<std::string>& files)
{
    if (!inotify_.is_open())
        return "The kernel gives no more inotify instances; raise fs.inotify.max_user_instances.";
    std::map<std::string, std::set<std::string>> wanted;
    const auto add = [&](const std::filesystem::path& file) {
        const auto parent = file.parent_path();
        wanted[parent.empty() ? "." : parent.string()].insert(file.filename().string());
    };
    for (const std::string& file : files) {
        add(file);
        // A symlink's target may change without the link: watch it, too.
        std::error_code error;
        const auto target = std::filesystem::canonical(file, error);
        if (!error && target != std::filesystem::absolute(file, error))
            add(target);
    }
    for (auto at = directories_.begin(); at != directories_.end();) {
        if (wanted.count(at->first) != 0) {
            ++at;
            continue;
        }
        inotify_rm_watch(inotify_.native_handle(), at->second);
        names_.erase(at->second);
        at = directories_.erase(at);
    }
    std::string fault;
    for (auto& [directory, names] : wanted) {
        const int wd = inotify_add_watch(inotify_.native_handle(), directory.c_str(), kEvents);
        if (wd < 0) {
            fault =
                "The directory " + directory + " cannot be watched: " + std::strerror(errno) + ".";
            continue;
        }
        directories_[directory] = wd;
        names_[wd] = std::move(names);
    }
    return fault;
}

void FileWatch::wait()
{
    inotify_.async_wait(stream_descriptor::wait_read,
                        [this, alive = alive_](const error_code& error) {
                            if (*alive && !error)
                                read_events();
                        });
}

void FileWatch::read_events()
{
    alignas(inotify_event) char buffer[16384];
    bool is_ours = false;
    for (;;) {
        const ssize_t got = read(inotify_.native_handle(), buffer, sizeof(buffer));
        if (got <= 0)
            break;
        for (ssize_t at = 0; at < got;) {
            inotify_event event;
            std::memcpy(&event, buffer + at, sizeof(event));
            const char* name = buffer + at + sizeof(event);
            const auto watched = names_.find(event.wd);
            is_ours |=
                (event.mask & IN_Q_OVERFLOW) != 0 ||
                (watched != names_.end() && event.len != 0 && watched->second.count(name) != 0);
            at += static_cast<ssize_t>(sizeof(event) + event.len);
        }
    }
    if (is_ours && !is_gathering_) {
        is_gathering_ = true;
        gather_.expires_after(kGather);
        gather_.async_wait([this, alive = alive_](const error_code& error) {
            if (!*alive)
                return;
            is_gathering_ = false;
            if (!error)
                on_change_();
        });
    }
    wait();
}

}  // namespace sandgate::control

// See policy_history.h. A file is written beside its place and renamed, so that a crash leaves
// either all of it or nothing.
#include "control/daemon/policy_history.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sandgate::control {

namespace json = boost::json;

namespace {

constexpr int64_t kClaimSeconds = 60;

std::string hash_of(const PolicyTexts& files)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, 32);
    // Lengths keep the end of a name apart from the beginning of its text.
    const auto add = [&](const std::string& text) {
        const uint64_t size = text.size();
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size),
                                  sizeof(size));
        crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()),
                                  text.size());
    };
    for (const auto& [name, text] : files) {
        add(name);
        add(text);
    }
    unsigned char digest[32];
    crypto_generichash_final(&state, digest, sizeof(digest));
    char hex[65];
    return sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
}

}  // namespace

std::string PolicyHistory::path_of(uint32_t number) const
{
    return fmt::format("{}/{:06}.json", directory_, number);
}

std::string PolicyHistory::open()
{
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error)
        return fmt::format("The folder {} cannot be made: {}.", directory_, error.message());
    chmod(directory_.c_str(), 0700);
    for (const auto& file : std::filesystem::directory_iterator(directory_, error)) {
        const std::string name = file.path().stem().string();
        if (file.path().extension() != ".json" || name.size() != 6 ||
            name.find_first_not_of("0123456789") != std::string::npos)
            continue;
        auto entry = read(static_cast<uint32_t>(std::stoul(name)));
        if (!entry)
            return entry.error().text();
        entry->files.clear();
        entries_.push_back(std::move(*entry));
    }
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.number > b.number; });
    return error ? fmt::format("The folder {} cannot be read: {}.", directory_, error.message())
                 : "";
}

std::string PolicyHistory::note(const PolicyTexts& files, int64_t time_unix,
                                std::optional<uid_t> author)
{
    Entry entry{
        entries_.empty() ? 1 : entries_.front().number + 1, time_unix, author, hash_of(files), {}};
    if (!entries_.empty() && entries_.front().hash == entry.hash) {
        // The file was saved, which applied it, and then somebody asked for it: theirs.
        Entry& newest = entries_.front();
        if (!author || newest.author || time_unix - newest.time_unix > kClaimSeconds)
            return "";
        entry.number = newest.number;
        entries_.erase(entries_.begin());
    }
    json::array list;
    for (const auto& [name, text] : files) list.push_back({{"file", name}, {"text", text}});
    const json::object object = {
        {"time_unix", entry.time_unix},
        {"author", author ? json::value(int64_t{*author}) : json::value(nullptr)},
        {"hash", entry.hash},
        {"files", std::move(list)}};
    const std::string path = path_of(entry.number), beside = path + ".new";
    {
        std::ofstream out(beside, std::ios::binary | std::ios::trunc);
        out << json::serialize(object) << "\n";
        out.flush();
        if (!out)
            return fmt::format("The applied policy cannot be kept in {}.", beside);
    }
    std::error_code error;
    std::filesystem::rename(beside, path, error);
    if (error)
        return fmt::format("The applied policy cannot be kept in {}: {}.", path, error.message());
    entries_.insert(entries_.begin(), std::move(entry));
    while (entries_.size() > kMostPolicies) {
        std::filesystem::remove(path_of(entries_.back().number), error);
        entries_.pop_back();
    }
    return "";
}

Result<PolicyHistory::Entry> PolicyHistory::read(uint32_t number) const
{
    const std::string path = path_of(number);
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (!in)
        return Error{fmt::format("There is no applied policy {}.", number)};
    const Error broken{"This is no applied policy; remove the file.", path};
    boost::system::error_code fault;
    const json::value value = json::parse(text.str(), fault);
    const json::object* object = fault ? nullptr : value.if_object();
    if (object == nullptr)
        return broken;
    const json::value* time = object->if_contains("time_unix");
    const json::value* author = object->if_contains("author");
    const json::value* hash = object->if_contains("hash");
    const json::value* files = object->if_contains("files");
    if (time == nullptr || !time->is_int64() || author == nullptr || hash == nullptr ||
        !hash->is_string() || files == nullptr || !files->is_array())
        return broken;
    Entry entry;
    entry.number = number;
    entry.time_unix = time->as_int64();
    if (author->is_int64())
        entry.author = static_cast<uid_t>(author->as_int64());
    entry.hash = hash->as_string().c_str();
    for (const json::value& one : files->as_array()) {
        const json::object* file = one.if_object();
        const json::value* name = file == nullptr ? nullptr : file->if_contains("file");
        const json::value* content = file == nullptr ? nullptr : file->if_contains("text");
        if (name == nullptr || !name->is_string() || content == nullptr || !content->is_string())
            return broken;
        entry.files.emplace_back(
            name->as_string().c_str(),
            std::string(content->as_string().data(), content->as_string().size()));
    }
    return entry;
}

}  // namespace sandgate::control

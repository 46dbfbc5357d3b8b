// The policy language's shape: which sections there are, and the files that they come from. What
// each section holds is in load_gateway.cpp and load_rights.cpp. yaml-cpp's exceptions end here.
#include "config/load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/exceptions.h>

#include <cerrno>
#include <cstring>

#include "config/loader.h"

namespace sandgate::config {
namespace {

constexpr size_t kMaxFiles = 256;

Result<std::string> read_file(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return Error{fmt::format("The policy cannot be opened: {}.", std::strerror(errno)), path};
    struct stat status
    {
    };
    std::string text;
    Result<std::string> result = std::string();
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        result = Error{"The policy is not a regular file.", path};
    } else {
        char block[65536];
        ssize_t got = 0;
        // One byte more than allowed, so that the parser says that it is too much.
        while (text.size() <= kMaxYamlBytes && (got = read(fd, block, sizeof block)) > 0)
            text.append(block, static_cast<size_t>(got));
        if (got < 0)
            result =
                Error{fmt::format("The policy cannot be read: {}.", std::strerror(errno)), path};
        else
            result = std::move(text);
    }
    close(fd);
    return result;
}

// Text to tree. Faults get the name of the text.
bool parse_text(std::string_view text, const std::string& path, uint32_t file, YamlNode& root,
                std::vector<Error>& errors)
{
    try {
        root = parse_yaml(text, file);
        return true;
    } catch (const YamlFault& fault) {
        errors.push_back({fault.what, place(path, fault.where)});
    } catch (const YAML::Exception& fault) {
        Where where;
        if (!fault.mark.is_null())
            where = {static_cast<uint32_t>(fault.mark.line + 1),
                     static_cast<uint32_t>(fault.mark.column + 1)};
        errors.push_back({fmt::format("This is not YAML: {}.", fault.msg), place(path, where)});
    }
    return false;
}

}  // namespace

void Loader::load(const YamlNode& root, BulkCache& cache)
{
    sections(root, 0);
    for (const Located& name : includes_) include(name);
    for (const BulkFileName& name : bulk_files_) bulk(name, cache);
}

void Loader::sections(const YamlNode& root, uint32_t file)
{
    enter(file);
    std::vector<Agent> agents;
    const auto of_first_file = [&](void (Loader::*section)(const YamlNode&)) {
        return [this, section, file](const YamlNode& n) {
            if (file == 0)
                (this->*section)(n);
            else
                fail(n, fmt::format("This section belongs into {}, which includes this file.",
                                    policy_.file));
        };
    };
    const auto of_every_file = [&](void (Loader::*section)(const YamlNode&)) {
        return [this, section](const YamlNode& n) { (this->*section)(n); };
    };
    map(root, {
                  {"include", kOptional, of_first_file(&Loader::included)},
                  {"gateway", kOptional, of_first_file(&Loader::gateway)},
                  {"dataplane", kOptional, of_first_file(&Loader::dataplane)},
                  {"ports", kOptional, of_first_file(&Loader::ports)},
                  {"control", kOptional, of_first_file(&Loader::control)},
                  {"relax", kOptional, of_first_file(&Loader::relax)},
                  {"users", kOptional, of_every_file(&Loader::users)},
                  {"tagOwners", kOptional, of_every_file(&Loader::tag_owners)},
                  {"agents", kOptional,
                   [&](const YamlNode& n) {
                       each(n, [&](const YamlNode& item) {
                           // Faulty ones stay too, so that an agent's place in the list is its
                           // place in the text.
                           agents.push_back(agent(item));
                       });
                   }},
                  {"agents_from", kOptional, of_every_file(&Loader::agents_from)},
                  {"groups", kOptional, of_every_file(&Loader::groups)},
                  {"hosts", kOptional, of_every_file(&Loader::hosts)},
                  {"ipsets", kOptional, of_every_file(&Loader::ipsets)},
                  {"services", kOptional, of_every_file(&Loader::services)},
                  {"grants", kOptional, of_every_file(&Loader::grants)},
                  {"tests", kOptional, of_every_file(&Loader::tests)},
              });
    // A list with faulty agents would bring faults of its own.
    auto list = build_agent_list(policy_.files[file], false,
                                 errors().empty() ? std::move(agents) : std::vector<Agent>{});
    errors().insert(errors().end(), list->errors.begin(), list->errors.end());
    policy_.agent_lists.push_back(std::move(list));
}

void Loader::included(const YamlNode& node)
{
    each(node, [&](const YamlNode& item) {
        if (auto name = text(item))
            includes_.push_back({beside(*name).lexically_normal().string(), item.where});
    });
    if (includes_.size() >= kMaxFiles) {
        fail(node, fmt::format("More than {} files.", kMaxFiles - 1));
        includes_.clear();
    }
}

void Loader::include(const Located& name)
{
    for (const std::string& other : policy_.files)
        if (other == name.text)
            return fail(name.where, fmt::format("include: {} is there twice.", name.text));
    const auto text = read_file(name.text);
    if (!text)
        return fail(name.where, "include: " + text.error().text());
    const auto file = static_cast<uint32_t>(policy_.files.size());
    policy_.files.push_back(name.text);
    texts_.push_back(*text);
    YamlNode root;
    if (parse_text(*text, name.text, file, root, errors()))
        sections(root, file);
}

void Loader::agents_from(const YamlNode& node)
{
    size_t index = 0;
    each(node, [&](const YamlNode& item) {
        if (const auto name = text(item))
            bulk_files_.push_back({beside(*name).lexically_normal().string(), item.where, index});
        index++;
    });
}

void Loader::bulk(const BulkFileName& name, BulkCache& cache)
{
    at(fmt::format("agents_from[{}]", name.index), [&] {
        for (const auto& list : policy_.agent_lists)
            if (list->is_bulk && list->file == name.path)
                return fail(name.where, fmt::format("{} is there twice.", name.path));
        auto file = cache.get(name.path);
        if (!file)
            return fail(name.where, file.error().text());
        for (const Error& error : (*file)->errors)
            if (errors().size() < kMaxErrors)
                errors().push_back(error);
        policy_.agent_lists.push_back((*file)->agents);
    });
}

bool Loader::is_first(Names& names, const char* what, const std::string& name, Where where)
{
    const auto [found, is_new] = names.emplace(name, where);
    if (!is_new)
        fail(where, fmt::format("The {} \"{}\" is already in {}.", what, name,
                                policy_.place(found->second)));
    return is_new;
}

LoadResult load_text(std::string_view text, const std::string& path, BulkCache& cache)
{
    LoadResult result;
    result.policy.file = path;
    result.policy.files = {path};
    result.texts.emplace_back(text);
    YamlNode root;
    if (parse_text(text, path, 0, root, result.errors))
        Loader(result).load(root, cache);
    if (result.is_ok())
        cache.retire_unused();
    return result;
}

LoadResult load_file(const std::string& path, BulkCache& cache)
{
    const auto text = read_file(path);
    if (text)
        return load_text(*text, path, cache);
    LoadResult result;
    result.errors.push_back(text.error());
    return result;
}

}  // namespace sandgate::config

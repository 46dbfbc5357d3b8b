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

void Loader::load(const YamlNode& root, BulkCache& cache)
{
    std::vector<Agent> agents;
    std::vector<std::pair<std::string, Where>> bulk_files;
    map(root, {
                  {"gateway", kOptional, [&](const YamlNode& n) { gateway(n); }},
                  {"dataplane", kOptional, [&](const YamlNode& n) { dataplane(n); }},
                  {"ports", kOptional,
                   [&](const YamlNode& n) { each(n, [&](const YamlNode& item) { port(item); }); }},
                  {"agents", kOptional,
                   [&](const YamlNode& n) {
                       each(n, [&](const YamlNode& item) {
                           // Faulty ones stay too, so that an agent's place in the list is its
                           // place in the text.
                           agents.push_back(agent(item));
                       });
                   }},
                  {"agents_from", kOptional,
                   [&](const YamlNode& n) {
                       each(n, [&](const YamlNode& item) {
                           if (const auto name = text(item))
                               bulk_files.emplace_back(*name, item.where);
                       });
                   }},
                  {"groups", kOptional, [&](const YamlNode& n) { groups(n); }},
                  {"hosts", kOptional, [&](const YamlNode& n) { hosts(n); }},
                  {"services", kOptional,
                   [&](const YamlNode& n) {
                       named(n, [&](const std::string& name, Where where, const YamlNode& v) {
                           service(name, where, v);
                       });
                   }},
                  {"grants", kOptional,
                   [&](const YamlNode& n) { each(n, [&](const YamlNode& item) { grant(item); }); }},
                  {"control", kOptional, [&](const YamlNode& n) { control(n); }},
              });
    // A list with faulty agents would bring faults of its own.
    auto list = build_agent_list(policy_.file, false,
                                 errors().empty() ? std::move(agents) : std::vector<Agent>{});
    errors().insert(errors().end(), list->errors.begin(), list->errors.end());
    policy_.agent_lists.push_back(std::move(list));
    for (size_t i = 0; i < bulk_files.size(); i++)
        bulk(i, bulk_files[i].first, bulk_files[i].second, cache);
}

void Loader::bulk(size_t index, const std::string& name, Where where, BulkCache& cache)
{
    at(fmt::format("agents_from[{}]", index), [&] {
        const std::string path = beside(name).lexically_normal().string();
        for (const auto& list : policy_.agent_lists)
            if (list->is_bulk && list->file == path)
                return fail(where, fmt::format("{} is there twice.", path));
        auto file = cache.get(path);
        if (!file)
            return fail(where, file.error().text());
        for (const Error& error : (*file)->errors)
            if (errors().size() < kMaxErrors)
                errors().push_back(error);
        policy_.agent_lists.push_back((*file)->agents);
    });
}

namespace {

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

}  // namespace

LoadResult load_text(std::string_view text, const std::string& path, BulkCache& cache)
{
    LoadResult result;
    YamlNode root;
    try {
        root = parse_yaml(text);
    } catch (const YamlFault& fault) {
        result.errors.push_back({fault.what, place(path, fault.where)});
    } catch (const YAML::Exception& fault) {
        Where where;
        if (!fault.mark.is_null())
            where = {static_cast<uint32_t>(fault.mark.line + 1),
                     static_cast<uint32_t>(fault.mark.column + 1)};
        result.errors.push_back(
            {fmt::format("This is not YAML: {}.", fault.msg), place(path, where)});
    }
    if (result.is_ok())
        Loader(path, result).load(root, cache);
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

// The loader: one function per section of the policy. Private to config/.
#pragma once

#include <map>

#include "config/yaml_walk.h"

namespace sandgate::config {

class Loader : private YamlWalk
{
  public:
    // policy.files[0] must be there.
    explicit Loader(LoadResult& result)
        : YamlWalk(result.policy.files, result.errors), policy_(result.policy), texts_(result.texts)
    {
    }

    // Reads the sections of the first file, then the files that it includes and the bulk files.
    void load(const YamlNode& root, BulkCache& cache);

  private:
    struct BulkFileName
    {
        std::string path;
        Where where;
        size_t index;  // in the list that names it
    };
    // Where each name was seen first, over all files.
    using Names = std::map<std::string, Where>;

    // load.cpp
    void sections(const YamlNode& root, uint32_t file);
    void included(const YamlNode& node);
    void include(const Located& name);
    void agents_from(const YamlNode& node);
    void bulk(const BulkFileName& name, BulkCache& cache);
    bool is_first(Names& names, const char* what, const std::string& name, Where where);

    // load_gateway.cpp
    void gateway(const YamlNode& node);
    void dataplane(const YamlNode& node);
    void flow_timeouts(const YamlNode& node);
    void ports(const YamlNode& node);
    void port(const YamlNode& node);
    void control(const YamlNode& node);
    void relax(const YamlNode& node);

    // load_rights.cpp
    void users(const YamlNode& node);
    void tag_owners(const YamlNode& node);
    Agent agent(const YamlNode& node);
    void groups(const YamlNode& node);
    void hosts(const YamlNode& node);
    void ipsets(const YamlNode& node);
    void services(const YamlNode& node);
    void service(const std::string& name, Where where, const YamlNode& node);
    void grants(const YamlNode& node);
    void grant(const YamlNode& node, uint32_t index);
    void tests(const YamlNode& node);
    void selectors(const YamlNode& node, std::vector<Selector>& out);
    void traffic(const YamlNode& node, std::vector<Traffic>& out);
    void attributes(const YamlNode& node, std::vector<Attribute>& out);
    void schedule(const YamlNode& node, std::optional<Schedule>& out);
    void conditions(const YamlNode& node, std::vector<Condition>& out);
    void remark(const YamlNode& node, std::string& out);

    Policy& policy_;
    std::vector<std::string>& texts_;
    std::vector<Located> includes_;
    std::vector<BulkFileName> bulk_files_;
    Names users_, tag_owners_, groups_, hosts_, ipsets_, services_;
};

}  // namespace sandgate::config

// The loader: one function per section of the policy. Private to config/.
#pragma once

#include "config/yaml_walk.h"

namespace sandgate::config {

class Loader : private YamlWalk
{
  public:
    Loader(const std::string& path, LoadResult& result)
        : YamlWalk(path, result.errors), policy_(result.policy)
    {
        policy_.file = path;
    }

    void load(const YamlNode& root, BulkCache& cache);

  private:
    // load_gateway.cpp
    void gateway(const YamlNode& node);
    void dataplane(const YamlNode& node);
    void port(const YamlNode& node);
    void control(const YamlNode& node);

    // load_rights.cpp
    Agent agent(const YamlNode& node);
    void groups(const YamlNode& node);
    void hosts(const YamlNode& node);
    void service(const std::string& name, Where where, const YamlNode& node);
    void grant(const YamlNode& node);
    void selectors(const YamlNode& node, std::vector<Selector>& out);
    void traffic(const YamlNode& node, std::vector<Traffic>& out);

    // load.cpp
    void bulk(size_t index, const std::string& name, Where where, BulkCache& cache);

    Policy& policy_;
};

}  // namespace sandgate::config

// The memory of names: which IdentityId an agent's name and which RuleId a grant's name was given.
// An id is never given again, not even when its name left the policy; a name that returns has its
// old id. Lives in a text file:
//
//   sandgate-id-map 1
//   next-identity 3
//   next-rule 2
//   identity 1 build-bot
//   identity 2 review-bot
//   rule 1 ci-web
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/result.h"
#include "dataplane/api/ids.h"

namespace sandgate::config {

struct AgentList;

class IdMap
{
  public:
    // The id of a name, given now when it has none. 0 when there are no ids left.
    api::IdentityId identity_of(std::string_view agent);
    api::RuleId rule_of(std::string_view grant);

    // The ids of a list's agents in its order. A bulk file's are remembered as long as the list
    // lives: an id never changes, so a file that did not change costs no lookups.
    using Identities = std::shared_ptr<const std::vector<api::IdentityId>>;
    Identities identities_of(const std::shared_ptr<const AgentList>& list);

    // 0 when the name has none.
    api::IdentityId find_identity(std::string_view agent) const;
    api::RuleId find_rule(std::string_view grant) const;

    // True when ids were given since the map was made, loaded or saved.
    bool is_changed() const { return is_changed_; }

    std::string to_text() const;
    // `where` names the text in errors.
    static Result<IdMap> from_text(std::string_view text, const std::string& where);

    // A file that does not exist is an empty map; anything else that cannot be read whole is an
    // error.
    static Result<IdMap> load(const std::string& path);
    // Writes a temporary file beside it, syncs it, renames it, syncs the directory.
    Result<Done> save(const std::string& path);

  private:
    struct Hash
    {
        using is_transparent = void;
        size_t operator()(std::string_view text) const
        {
            return std::hash<std::string_view>{}(text);
        }
    };
    using Names = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;

    Names identities_, rules_;
    std::vector<std::pair<std::weak_ptr<const AgentList>, Identities>> remembered_;
    uint32_t next_identity_ = 1;
    uint32_t next_rule_ = 1;
    bool is_changed_ = false;
};

}  // namespace sandgate::config

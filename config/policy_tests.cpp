// Trying each source of a test against each of its destinations.
#include "config/policy_tests.h"

#include <fmt/format.h>

#include "config/explain.h"
#include "config/load.h"
#include "config/parse.h"

namespace sandgate::config {
namespace {

class Tester
{
  public:
    Tester(const Policy& policy, const PolicyTest& test, int64_t now_unix,
           std::vector<Error>& errors)
        : policy_(policy),
          test_(test),
          now_unix_(now_unix),
          truth_(policy, now_unix),
          errors_(errors)
    {
        addresses_ = sample_addresses(policy, test.source);
    }

    void run()
    {
        for (size_t i = 0; i < test_.accept.size(); i++) check(test_.accept[i], "accept", i, true);
        for (size_t i = 0; i < test_.deny.size(); i++) check(test_.deny[i], "deny", i, false);
    }

  private:
    // The first thing that goes otherwise is told.
    void check(const Target& target, const char* list, size_t index, bool is_wanted)
    {
        const auto fail = [&](const std::string& what) {
            if (errors_.size() < kMaxErrors)
                errors_.push_back(
                    {fmt::format("tests[{}].{}[{}]: {}", test_.index, list, index, what),
                     policy_.place(target.where)});
        };
        const auto& traffic = target.destination.kind == SelectorKind::kService
                                  ? policy_.find_service(target.destination.text)->traffic
                                  : target.traffic;
        size_t tried = 0;
        for (const api::Address& destination : sample_addresses(policy_, target.destination))
            for (const api::Address& source : addresses_) {
                if (source.is_v4() != destination.is_v4() || source == destination)
                    continue;
                for (const Traffic& t : traffic)
                    for (const auto& [protocol, port] : sample_packets(t, destination.is_v4())) {
                        const FlowWish wish{source, destination, protocol, port};
                        const Verdict verdict = truth_.decide(wish, true);
                        tried++;
                        if (verdict.is_allowed != is_wanted)
                            return fail(text_of(wish, verdict, is_wanted));
                    }
            }
        if (tried == 0)
            fail(fmt::format("Nothing was tried: {} and {} have no addresses of the same kind.",
                             to_text(test_.source), to_text(target.destination)));
    }

    std::string text_of(const FlowWish& wish, const Verdict& verdict, bool is_wanted) const
    {
        const auto name = [&](const Agent* agent, const api::Address& address) {
            return agent != nullptr ? "agent:" + agent->name : to_text(address);
        };
        std::string text =
            fmt::format("{} to {} {} must be {} and is {}. {}", name(verdict.source, wish.source),
                        name(verdict.destination, wish.destination),
                        traffic_text(wish.protocol, wish.port), is_wanted ? "accepted" : "refused",
                        is_wanted ? "refused" : "accepted", reason_of(policy_, wish, verdict));
        if (is_wanted)
            for (const NearMiss& miss : near_misses(policy_, wish, now_unix_, 1))
                text += fmt::format(" Nearest is {}, but {}.", name_of(policy_, *miss.grant),
                                    fmt::join(miss.differences, " and "));
        return text;
    }

    const Policy& policy_;
    const PolicyTest& test_;
    int64_t now_unix_;
    Interpreter truth_;
    std::vector<Error>& errors_;
    std::vector<api::Address> addresses_;
};

}  // namespace

std::vector<Error> run_tests(const Policy& policy, int64_t now_unix)
{
    std::vector<Error> errors;
    for (const PolicyTest& test : policy.tests)
        Tester(policy, test, test.at_unix != 0 ? test.at_unix : now_unix, errors).run();
    return errors;
}

}  // namespace sandgate::config

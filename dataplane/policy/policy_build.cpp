// Builds a PolicyView from the bytes that control pushed. Runs on the builder thread.
#include "dataplane/policy/policy_view.h"

namespace sandgate::dp {

std::unique_ptr<PolicyView> build_policy_view(std::vector<uint8_t> bytes, uint64_t hash_seed,
                                              std::string& error)
{
    auto view = std::make_unique<PolicyView>();
    view->bytes = std::move(bytes);
    const auto rows = api::read_snapshot(view->bytes, error);
    if (!rows)
        return nullptr;
    view->rows = *rows;
    view->addresses.build(rows->addresses, hash_seed);
    const size_t identities = rows->agents.empty() ? 0 : rows->agents.back().identity + size_t{1};
    view->row_of_identity.assign(identities, PolicyView::kNoRow);
    for (size_t i = 0; i < rows->agents.size(); i++)
        view->row_of_identity[rows->agents[i].identity] = static_cast<uint32_t>(i);
    return view;
}

}  // namespace sandgate::dp

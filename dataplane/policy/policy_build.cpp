// Builds a PolicyView from the bytes that control pushed. Runs on the builder thread.
#include "dataplane/policy/policy_view.h"

namespace sandgate::dp {

namespace {

void add_links(PolicyView& view, uint8_t port)
{
    const api::PortRow& row = view.rows.ports[port];
    api::Address ones;
    ones.bytes.fill(0xff);
    const auto add = [&](unsigned family, const api::Address& own, unsigned prefix,
                         const api::Address& gateway) {
        if (own.is_zero())
            return;
        const PolicyView::Link link{masked(own, prefix), masked(ones, prefix), gateway, port};
        if ((row.roles & api::kWan) != 0)
            view.links[0][family].push_back(link);
        if ((row.roles & api::kLan) != 0)
            view.links[1][family].push_back(link);
    };
    add(0, row.v4, row.v4_prefix + 96u, row.gateway_v4);
    add(1, row.v6, row.v6_prefix, row.gateway_v6);
}

}  // namespace

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
    for (size_t port = 0; port < rows->ports.size(); port++)
        add_links(*view, static_cast<uint8_t>(port));
    return view;
}

}  // namespace sandgate::dp

// Any bytes to the delta reader, and what it accepts to apply_delta on a real snapshot: what comes
// out is a valid snapshot or nothing. Epochs and checksums are made right so that the merge is
// reached.
#include <cstdlib>
#include <cstring>

#include "config/compile.h"
#include "config/load.h"
#include "dataplane/api/delta_reader.h"

namespace {

std::vector<uint8_t> build_base()
{
    using namespace sandgate::config;
    BulkCache cache;
    const auto policy = load_text(
        "agents:\n"
        "  - {name: a, public_key: AQAAAAEAAAABAAAAAQAAAAEAAAABAAAAAQAAAAEAAAA=, addresses: "
        "[10.66.0.2]}\n"
        "  - {name: b, public_key: AgAAAAIAAAACAAAAAgAAAAIAAAACAAAAAgAAAAIAAAA=, addresses: "
        "[10.66.0.3]}\n"
        "grants: [{name: g, src: [agent:a], dst: [agent:b], ip: [icmp]}]\n",
        "p", cache);
    IdMap ids;
    return publish(compile(policy.policy, ids, 1)->bytes, nullptr, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace sandgate::api;
    static const std::vector<uint8_t> base_bytes = build_base();
    std::string error;
    static const SnapshotView base = *read_snapshot(base_bytes, error);
    std::vector<uint8_t> bytes(data, data + size);
    read_delta(bytes, error);
    if (size < sizeof(DeltaHeader))
        return 0;
    DeltaHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.magic = kDeltaMagic;
    header.version = kDeltaVersion;
    header.header_bytes = sizeof header;
    header.total_bytes = size;
    header.from_epoch = 1;
    header.to_epoch = 2;
    header.from_checksum = base.header->checksum;
    header.replaced &= kReplacesAll;
    header.zero = 0;
    std::memcpy(bytes.data(), &header, sizeof header);
    header.checksum = delta_checksum(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
    const auto view = read_delta(bytes, error);
    if (!view)
        return 0;
    const auto result = apply_delta(base, *view, error);
    if (!result.empty() && !read_snapshot(result, error))
        std::abort();
    return 0;
}

// The sizes of a dataplane: what the YAML and the command line of sandgate-dataplane accept alike.
#pragma once

#include <cstdint>

namespace sandgate::api {

constexpr unsigned kMaxWorkers = 16;

struct Range
{
    uint32_t least, most;
};
constexpr Range kSessionSlots{1u << 10, 1u << 22};
constexpr Range kFlowsPerWorker{1u << 10, 1u << 26};
constexpr Range kPacketBuffers{1u << 11, 1u << 22};

}  // namespace sandgate::api

// The dataplane's control socket. The input is a row of messages: a byte that chooses type, length
// and memory, a byte of body length, the body. Whatever comes, the dataplane answers each message
// once, or hangs up on an empty one, and serves the next connection.
#include "tests/fuzz/fuzz_world.h"
#include "tests/support/slow_path.h"

using namespace sandgate;

namespace {

test::SlowPath& slow_path()
{
    static auto* made = [] {
        const std::string error = crypto::start();
        if (!error.empty())
            test::give_up(error);
        test::start_bare_eal({}, 64);
        return new test::SlowPath;
    }();
    return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    test::SlowPath& slow = slow_path();
    slow.connect_again();
    for (unsigned messages = 0; size >= 2 && messages < 8; messages++) {
        const uint8_t choice = data[0];
        const size_t bytes = std::min<size_t>(data[1], size - 2);
        test::Bytes body(data + 2, data + 2 + bytes);
        data += 2 + bytes;
        size -= 2 + bytes;
        api::MessageHeader header{api::MessageType{choice & 15u},
                                  static_cast<uint32_t>(body.size()) + (choice >> 7), 1, 0};
        int fd = -1;
        if ((choice & 0x10) != 0) {
            // The body becomes the memory, and the push names its size.
            fd = test::SlowPath::memory_of(body, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
            const api::PushBody push{body.size()};
            body.assign(sizeof(push), 0);
            std::memcpy(body.data(), &push, sizeof(push));
            header.length = sizeof(push);
        }
        test::Bytes packet(sizeof(header) + body.size());
        std::memcpy(packet.data(), &header, sizeof(header));
        std::copy(body.begin(), body.end(), packet.begin() + sizeof(header));
        if ((choice & 0x20) != 0)
            packet.resize(std::min<size_t>(packet.size(), 1 + bytes % 20));
        slow.send_packet(packet, fd);
        if (fd >= 0)
            close(fd);
        const auto answer = slow.receive();
        fuzz::require(answer.has_value());
        if (answer->fd >= 0)
            close(answer->fd);
    }
    return 0;
}

// The gateway's own names, and the answer to one DNS message about them (RFC 1035, RFC 6891). Pure:
// bytes in, bytes out. Names that are not ours are REFUSED, so a client goes on to its other
// resolver.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sandgate::control {

// Names are kept in lower case without the final dot.
class Zone
{
  public:
    // Adds "NAME=ADDRESS". Returns the fault as a sentence, or an empty string.
    std::string add(std::string_view name_and_address);
    // Adds lines of "NAME ADDRESS ..."; '#' begins a comment. The fault names the line.
    std::string add_file(const std::string& path);

    struct Addresses
    {
        std::vector<std::array<uint8_t, 4>> v4;
        std::vector<std::array<uint8_t, 16>> v6;
    };
    const Addresses* find(std::string_view name) const;
    size_t size() const { return names_.size(); }

  private:
    std::string add_address(std::string_view name, std::string_view address);
    std::map<std::string, Addresses, std::less<>> names_;
};

constexpr size_t kMaxNames = 1024;

// The answer to a query of at most 64 KiB, or nothing when the message deserves none (an answer, or
// too short to have an id). Over UDP an answer is at most what the client takes, 1,232 bytes at
// most, and says when it was cut.
std::vector<uint8_t> answer_query(std::span<const uint8_t> query, const Zone& zone, bool is_udp);

}  // namespace sandgate::control

// Files that hold one key (a private key or a PSK) as base64 of 32 bytes. A file that somebody else
// may read or write, or that is reached through a symbolic link, is refused: the sentence says what
// to run.
#pragma once

#include <string>
#include <string_view>

#include "config/result.h"
#include "crypto/secret.h"

namespace sandgate::config {

// The file must be regular, owned by root or by this process' user, and closed to group and others.
Result<crypto::Secret<32>> load_key_file(const std::string& path);

}  // namespace sandgate::config

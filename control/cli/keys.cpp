// sandgate keygen, pubkey, genpsk: the keys of WireGuard, as `wg` writes them.
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "config/key_file.h"
#include "control/cli/base64.h"
#include "control/cli/cli.h"
#include "crypto/x25519.h"

namespace sandgate::control {

namespace {

// Prints the key, or writes it to a new file that only its owner may read.
int put_key(const Context& context, const crypto::Secret<32>& key, const std::string& path)
{
    std::string text = key_to_base64(key.span());
    if (path.empty()) {
        if (context.is_json)
            context.print({{"ok", true}, {"key", text}});
        else
            context.out << text << "\n";
        crypto::wipe(text.data(), text.size());
        return kDone;
    }
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return context.fail(kRefused, path +
                                          " exists; a key is never overwritten. Remove it first or"
                                          " choose another name.");
    if (fd < 0)
        return context.fail(kRefused, path + " cannot be made: " + std::strerror(errno) + ".");
    text += "\n";
    const bool is_written =
        fchmod(fd, 0600) == 0 &&
        write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
    const int error = errno;
    close(fd);
    crypto::wipe(text.data(), text.size());
    if (!is_written) {
        unlink(path.c_str());
        return context.fail(kRefused, path + " cannot be written: " + std::strerror(error) + ".");
    }
    if (context.is_json)
        context.print({{"ok", true}, {"file", path}});
    return kDone;
}

int keygen(const Context& context, const std::string& path)
{
    crypto::PrivateKey key;
    randombytes_buf(key.data(), key.size());
    crypto::clamp(key);
    return put_key(context, key, path);
}

int genpsk(const Context& context, const std::string& path)
{
    crypto::Secret<32> key;
    randombytes_buf(key.data(), key.size());
    return put_key(context, key, path);
}

int pubkey(const Context& context, const std::string& path)
{
    crypto::PrivateKey key;
    if (!path.empty() && path != "-") {
        auto loaded = config::load_key_file(path);
        if (!loaded)
            return context.fail(kRefused, loaded.error().text());
        key = std::move(*loaded);
    } else {
        std::string line;
        std::getline(context.in, line);
        const bool is_key = key_from_base64(line, key.span());
        crypto::wipe(line.data(), line.size());
        if (!is_key)
            return context.fail(kRefused,
                                "What came on the standard input is no key: 44 characters of base64"
                                " are expected, as `sandgate keygen` prints them.");
    }
    const std::string text = key_to_base64(crypto::public_key_of(key));
    if (context.is_json)
        context.print({{"ok", true}, {"public_key", text}});
    else
        context.out << text << "\n";
    return kDone;
}

}  // namespace

void add_key_commands(CLI::App& app, Context& context)
{
    struct Options
    {
        std::string out, in;
    };
    auto options = std::make_shared<Options>();
    const auto add = [&](const char* name, const char* what,
                         int (*make)(const Context&, const std::string&)) {
        auto* command = app.add_subcommand(name, what);
        command->add_option("--out", options->out,
                            "write a new file of mode 0600 instead of the standard output");
        command->callback([&context, options, make] {
            context.command = [&context, options, make] { return make(context, options->out); };
        });
    };
    add("keygen", "Prints a new private key.", keygen);
    add("genpsk", "Prints a new pre-shared key.", genpsk);
    auto* command = app.add_subcommand("pubkey", "Prints the public key of a private key.");
    command->add_option("FILE", options->in, "the key file; the standard input when absent or '-'");
    command->callback([&context, options] {
        context.command = [&context, options] { return pubkey(context, options->in); };
    });
}

}  // namespace sandgate::control

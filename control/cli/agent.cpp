// sandgate agent config: the client's side of one agent, as a file for wg-quick or a QR code for a
// phone.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <qrencode.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "config/key_file.h"
#include "config/load.h"
#include "control/cli/base64.h"
#include "control/cli/cli.h"
#include "crypto/x25519.h"

namespace sandgate::control {

namespace {

struct Options
{
    std::string name;
    std::string private_key_file;
    std::string gateway_public_key;
    std::string endpoint;
    std::vector<std::string> allowed_ips;
    bool has_qr = false;
};

constexpr const char* kPlaceholder = "PUT-THE-PRIVATE-KEY-OF-THIS-AGENT-HERE";

std::string to_text(const api::Address& address)
{
    char text[INET6_ADDRSTRLEN] = {};
    if (address.is_v4())
        inet_ntop(AF_INET, address.v4_bytes(), text, sizeof(text));
    else
        inet_ntop(AF_INET6, address.bytes.data(), text, sizeof(text));
    return text;
}

std::string to_text(const config::Prefix& prefix)
{
    const bool is_v4 = prefix.address.is_v4() && prefix.length >= 96;
    return fmt::format("{}/{}", to_text(prefix.address),
                       is_v4 ? prefix.length - 96 : prefix.length);
}

// Two modules per character, with the quiet zone that readers need; dark on light whatever the
// terminal's colours are.
std::string qr_code(const std::string& text)
{
    const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
        QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_L), QRcode_free);
    if (!code)
        return {};
    constexpr int kQuiet = 2;
    const auto is_dark = [&](int x, int y) {
        return x >= 0 && y >= 0 && x < code->width && y < code->width &&
               (code->data[y * code->width + x] & 1) != 0;
    };
    std::string out;
    for (int y = -kQuiet; y < code->width + kQuiet; y += 2) {
        out += "\033[40;37;1m";
        for (int x = -kQuiet; x < code->width + kQuiet; x++) {
            // The light modules are drawn: upper half, lower half, both or none.
            const bool has_upper = !is_dark(x, y);
            const bool has_lower = !is_dark(x, y + 1);
            out += has_upper && has_lower ? "\xe2\x96\x88"
                   : has_upper            ? "\xe2\x96\x80"
                   : has_lower            ? "\xe2\x96\x84"
                                          : " ";
        }
        out += "\033[0m\n";
    }
    return out;
}

std::string join(const std::vector<std::string>& parts)
{
    return fmt::format("{}", fmt::join(parts, ", "));
}

int agent_config(const Context& context, const Options& options)
{
    config::BulkCache cache;
    const config::LoadResult loaded = config::load_file(context.config_file(), cache);
    if (!loaded.is_ok())
        return context.fail(kRefused, loaded.errors.front().text());
    const config::Policy& policy = loaded.policy;
    const config::Agent* agent = policy.find_agent(options.name);
    if (agent == nullptr)
        return context.fail(kRefused, "There is no agent \"" + options.name + "\" in " +
                                          policy.file + "; `sandgate agents` lists them.");
    const std::string endpoint =
        options.endpoint.empty() ? policy.gateway.public_endpoint : options.endpoint;
    if (endpoint.empty())
        return context.fail(kRefused,
                            policy.file +
                                ": gateway.public_endpoint is not set, so a client would not know"
                                " where to send. Set it to HOST:PORT, or give --endpoint.");

    crypto::PublicKey gateway_key{};
    if (!options.gateway_public_key.empty()) {
        if (!key_from_base64(options.gateway_public_key, gateway_key))
            return context.fail(
                kRefused, "--gateway-public-key is no key: 44 characters of base64 are expected.");
    } else {
        const auto key = config::load_key_file(policy.gateway.private_key_file);
        if (!key)
            return context.fail(kRefused,
                                key.error().text() +
                                    " The gateway's public key comes from this file; run as root or"
                                    " give --gateway-public-key.");
        gateway_key = crypto::public_key_of(*key);
    }
    std::string private_key = kPlaceholder;
    if (!options.private_key_file.empty()) {
        const auto key = config::load_key_file(options.private_key_file);
        if (!key)
            return context.fail(kRefused, key.error().text());
        if (crypto::public_key_of(*key) != agent->public_key)
            return context.fail(
                kRefused, options.private_key_file + " does not hold the key of agent " +
                              agent->name + ": its public key is " +
                              key_to_base64(crypto::public_key_of(*key)) + ", the policy has " +
                              key_to_base64(agent->public_key) + ".");
        private_key = key_to_base64(key->span());
    }
    std::string psk;
    if (!agent->psk_file.empty()) {
        const auto key = config::load_key_file(agent->psk_file);
        if (!key)
            return context.fail(kRefused, key.error().text());
        psk = key_to_base64(key->span());
    }

    std::vector<std::string> addresses;
    for (const config::AgentAddress& one : agent->addresses)
        addresses.push_back(to_text(one.prefix));
    std::vector<std::string> dns;
    for (const api::Address& one : policy.gateway.dns) dns.push_back(to_text(one));
    std::vector<std::string> allowed = options.allowed_ips;
    if (allowed.empty())
        allowed = {"0.0.0.0/0", "::/0"};

    std::string text =
        fmt::format("[Interface]\nPrivateKey = {}\nAddress = {}\n", private_key, join(addresses));
    if (!dns.empty())
        text += fmt::format("DNS = {}\n", join(dns));
    text += fmt::format("MTU = {}\n\n[Peer]\nPublicKey = {}\n", policy.gateway.tunnel_mtu,
                        key_to_base64(gateway_key));
    if (!psk.empty())
        text += fmt::format("PresharedKey = {}\n", psk);
    text += fmt::format("Endpoint = {}\nAllowedIPs = {}\n", endpoint, join(allowed));
    if (agent->keepalive_seconds != 0)
        text += fmt::format("PersistentKeepalive = {}\n", agent->keepalive_seconds);

    std::string qr;
    if (options.has_qr && (qr = qr_code(text)).empty())
        return context.fail(kRefused, "The configuration is too long for a QR code.");
    if (context.is_json) {
        boost::json::object answer = {{"ok", true}, {"agent", agent->name}, {"config", text}};
        if (options.has_qr)
            answer["qr"] = qr;
        context.print(answer);
    } else {
        context.out << (options.has_qr ? qr : text);
    }
    return kDone;
}

}  // namespace

void add_agent_commands(CLI::App& app, Context& context)
{
    auto options = std::make_shared<Options>();
    auto* agent = app.add_subcommand("agent", "One agent.");
    agent->require_subcommand(1);
    auto* command =
        agent->add_subcommand("config", "Prints the client's configuration for wg-quick.");
    command->add_option("NAME", options->name, "the agent's name in the policy")->required();
    command->add_flag("--qr", options->has_qr, "a QR code for the WireGuard app, instead of text");
    command->add_option("--private-key-file", options->private_key_file,
                        "the agent's private key; a placeholder is printed without it");
    command->add_option("--gateway-public-key", options->gateway_public_key,
                        "the gateway's public key, when its private key may not be read");
    command->add_option("--endpoint", options->endpoint,
                        "HOST:PORT instead of gateway.public_endpoint");
    command
        ->add_option("--allowed-ips", options->allowed_ips,
                     "what the client sends into the tunnel (default: everything)")
        ->delimiter(',');
    command->callback([&context, options] {
        context.command = [&context, options] { return agent_config(context, *options); };
    });
}

}  // namespace sandgate::control

// main() of the tests that need DPDK: memory and rings, no device, no hugepage. Every test runs on
// the one lcore.
#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "crypto/self_test.h"

int main(int argc, char** argv)
{
    testing::InitGoogleTest(&argc, argv);
    const std::string prefix = "sgtest" + std::to_string(getpid());
    std::vector<std::string> words = {
        "test",           "--no-huge",     "--no-pci", "--no-shconf", "-m", "256",
        "--no-telemetry", "--iova-mode",   "va",       "--lcores",    "0",  "--log-level",
        "*:error",        "--file-prefix", prefix};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
        std::fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return 1;
    }
    const std::string fault = sandgate::crypto::start();
    if (!fault.empty()) {
        std::fprintf(stderr, "%s\n", fault.c_str());
        return 1;
    }
    return RUN_ALL_TESTS();
}

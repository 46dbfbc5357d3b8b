// The program `sandgate`; everything is in cli.cpp.
#include <signal.h>
#include <sodium.h>

#include <ctime>
#include <iostream>

#include "control/cli/cli.h"

int main(int argc, char** argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0) {
        std::cerr << "sandgate: the cryptographic library cannot be initialised.\n";
        return 1;
    }
    return sandgate::control::run(argc, argv, std::cin, std::cout, std::cerr,
                                  [] { return static_cast<int64_t>(std::time(nullptr)); });
}

// Marks a value derived from secrets as public, at the few places where the protocol itself reveals
// it: whether a tag was right, whether a shared secret is zero. Compiles to nothing, except in the
// check of docs/crypto.md that runs this code with its secrets poisoned under valgrind; there, a
// branch or an address that depends on a secret is an error, and a line that calls this is the list
// of exceptions.
#pragma once

#ifdef SANDGATE_CONSTANT_TIME_CHECK
#include <valgrind/memcheck.h>
#endif

namespace sandgate::crypto {

// Always inlined, so that kernels with wide flags leave no copy of it behind.
template <typename T>
[[gnu::always_inline]] inline T declassify(T value)
{
#ifdef SANDGATE_CONSTANT_TIME_CHECK
    VALGRIND_MAKE_MEM_DEFINED(&value, sizeof value);
#else
    // A compiler that sees that nothing happens to the value goes on with the one before the call,
    // which a check of the machine code must take for secret.
    __asm__("" : "+r"(value));
#endif
    return value;
}

}  // namespace sandgate::crypto

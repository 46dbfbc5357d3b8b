#!/usr/bin/env python3
"""No instruction of our kernels may take its own time, whether it ran in a test or not.

    banned.py TRACED                reads all machine code of the kernels that are in the program
    banned.py TRACED --self-test    finds the gather and the division that leak in traced.cpp

The time of these instructions depends on their operands on some CPU, or they read addresses that are in a vector. The
list is ours, from the manuals of Intel and AMD. What branches and plain addresses depend on, it does not see:
follow_secrets.py does.
"""
import argparse
import re
import sys

from objects import disassemble

KERNELS = [f"sandgate::crypto::{name}::" for name in ("avx512", "x25519_avx512", "avx2", "portable")]
# There is a kernel, and not only its name.
FEWEST_INSTRUCTIONS = 500
BANNED = [
    (re.compile(r"v?p?(gather|scatter)\w+$"), "gathers or scatters by addresses in a vector"),
    (re.compile(r"(i?div|v?(div|sqrt|rsqrt|rcp)\w*)$"), "divides or takes a root"),
    (re.compile(r"(f\w+|v?(f?n?m?(add|sub|mul)\w*|cvt\w+|min|max|round|rndscale|dp)[ps][sd])$"),
     "computes with floats"),
    (re.compile(r"(pdep|pext)$"), "deposits or extracts bits, in microcode on some CPUs"),
    (re.compile(r"vp?(compress|expand)\w+$"), "compresses or expands, in microcode on some CPUs"),
]


def why_banned(instruction):
    """A sentence without its subject, or nothing."""
    return next((why for pattern, why in BANNED if pattern.match(instruction.mnemonic)), "")


def check(code):
    faults = 0
    for kernel in KERNELS:
        own = [i for i in code if kernel in i.function]
        banned = [i for i in own if why_banned(i)]
        for i in banned:
            print(f"{i.function}, at {i.address:x}: {why_banned(i)}: {i.text}")
        print(f"{kernel[:-2]}: {len(own)} instructions, {len(banned)} banned")
        faults += len(banned) + (len(own) < FEWEST_INSTRUCTIONS)
    return int(faults > 0)


def self_test(code):
    missed = 0
    for leak in ("leak_gather", "leak_division"):
        found = [i for i in code if f"::{leak}(" in i.function and why_banned(i)]
        print(f"{'found' if found else 'MISSED'}  {leak}: {found[0].text if found else ''}")
        missed += not found
    return int(missed > 0)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("--self-test", action="store_true")
    options = arguments.parse_args()
    return (self_test if options.self_test else check)(disassemble(options.program))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""No file but the wide kernels may need more than an x86-64-v2 CPU.

    wide_registers.py BUILD_DIRECTORY               checks every object that the build made
    wide_registers.py BUILD_DIRECTORY --self-test   takes wide objects for plain ones and the other way round: the
                                                    checks must object to each

A plain object has no ymm, zmm or mask register and no instruction of AVX or BMI2. A wide one, which is one whose
command has -mavx, is a kernel of crypto/kernels/, and defines nothing that the linker could take for the use of
others: no weak symbol, and no global one outside of the namespaces of its kernel.
"""
import argparse
import json
import pathlib
import re
import sys

from objects import disassemble, symbols

WIDE_SOURCES = re.compile(r"crypto/kernels/(avx2|avx512|x25519_avx512)\.cpp$")
# Its leaks are wide on purpose, and no program but it has them.
EXEMPT = "tests/disassembly/traced.cpp"
WIDE_REGISTER = re.compile(r"\b([yz]mm\d+|k[0-7])\b")
# VEX and EVEX; no other instruction that a compiler emits begins with a v. tzcnt is rep bsf to older CPUs.
WIDE_MNEMONIC = re.compile(r"(v|(mulx|shlx|shrx|sarx|rorx|pdep|pext|bzhi|andn|bextr|bls[irm]\w*|lzcnt)$)")


def plain_faults(path):
    """Why the object would fault on a smaller CPU, one sentence per function."""
    faults = {}
    for i in disassemble(path):
        if WIDE_MNEMONIC.match(i.mnemonic) or any(WIDE_REGISTER.search(str(o)) for o in i.operands):
            faults.setdefault(i.function, f"{i.function} has `{i.text}`")
    return list(faults.values())


def wide_faults(path, kernel):
    """What the object would leave behind for others."""
    own = (f"sandgate::crypto::{kernel}::", "DW.ref.")  # the latter is a pointer to the C++ runtime, the same in all
    return [f"defines {name} for everyone (nm: {kind})" for kind, name in symbols(path)
            if kind in "VWuTDBRGS" and not name.startswith(own)]


def objects_of(build):
    """(object, source, is wide) of everything that was compiled."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"]) / entry["output"]
        if path.exists() and not entry["file"].endswith(EXEMPT):
            yield path, entry["file"], "-mavx" in entry["command"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--self-test", action="store_true")
    options = arguments.parse_args()
    counted = {"plain": 0, "wide": 0}
    faults = []
    for path, source, is_wide in objects_of(options.build):
        counted["wide" if is_wide else "plain"] += 1
        if options.self_test:
            is_kernel = WIDE_SOURCES.search(source)
            if is_wide and not plain_faults(path):
                faults.append(f"{source}: taken for plain, and nothing was found")
            if is_wide and not wide_faults(path, "other_kernel"):
                faults.append(f"{source}: taken for another kernel, and nothing was found")
            if source.endswith("crypto/aead.cpp") and (is_kernel or not wide_faults(path, "avx2")):
                faults.append(f"{source}: taken for a wide kernel, and nothing was found")
        elif not is_wide:
            faults += [f"{source}: {fault}" for fault in plain_faults(path)]
        elif kernel := WIDE_SOURCES.search(source):
            faults += [f"{source}: {fault}" for fault in wide_faults(path, kernel[1])]
        else:
            faults.append(f"{source} has wide flags, and is no kernel")
    print("\n".join(faults))
    print(f"{counted['plain']} plain and {counted['wide']} wide objects, {len(faults)} faults")
    return bool(faults) or counted["wide"] < 3 or counted["plain"] < 10


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Follows secrets through the AVX-512 kernels, which Debian's valgrind cannot run: one instruction at a time.

    follow_secrets.py TRACED aead|dh        no secret decides a branch or is part of an address
    follow_secrets.py TRACED --self-test    finds each of the leaks of traced.cpp, and nothing else
    --unseen                                lists the instructions that did not run

TRACED is the program made of traced.cpp and the libraries of the product. It runs under ptrace on the CPU itself; from
the disassembly of each instruction, machine.py works out what becomes secret. So it is what valgrind's memcheck does
for the other kernels, on the very machine code that ships. Only a function with `declassify` in its name makes a
secret public, its first argument.

It proves the paths that ran, with the lengths of traced.cpp, and fails if they are less of the kernel's instructions
than the share in KERNELS. The exit status is 77 where it cannot run.
"""
import argparse
import ctypes
import os
import re
import signal
import sys

from machine import Machine, Step, whole
from objects import disassemble

SKIPPED = 77
NO_PTRACE = 78
PTRACE_TRACEME, PTRACE_POKETEXT, PTRACE_PEEKTEXT, PTRACE_CONT, PTRACE_SINGLESTEP = 0, 4, 1, 7, 9
PTRACE_GETREGS, PTRACE_SETREGS = 12, 13
REGISTER_ORDER = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base "
                  "gs_base ds es fs gs").split()
MARKS = ("trace_secret", "trace_begin", "trace_end")
COPIES = ("memcpy", "memmove")
CLEARS = ("memset", "sodium_memzero", "explicit_bzero")
CHANGED_BY_CALLS = whole("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11") | {"flags", "carry"}
# {what runs: (the namespace of its kernel, the percentage of the kernel's instructions that must have run)}.
KERNELS = {"aead": ("sandgate::crypto::avx512::", 85), "dh": ("sandgate::crypto::x25519_avx512::", 99)}
# Percent of the steps; with less, the secrets were not named.
LEAST_ON_SECRETS = 20
LEAKS = 13  # of traced.cpp

Registers = type("Registers", (ctypes.Structure,), {"_fields_": [(n, ctypes.c_ulonglong) for n in REGISTER_ORDER]})
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, address=0, data=0):
    ctypes.set_errno(0)
    result = libc.ptrace(request, pid, address, data)
    if ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    return result


class Ended(Exception):
    """The program is gone, with this exit status, or cannot be followed, for this reason."""


class Process:
    """A program under ptrace, stopped before its main()."""

    def __init__(self, command):
        self.pid = os.fork()
        if self.pid == 0:
            if libc.ptrace(PTRACE_TRACEME, 0, None, None) != 0:
                os._exit(NO_PTRACE)
            os.execv(command[0], command)
        self.raw = Registers()
        self.wait()
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            self.base = int(next(line for line in maps if os.path.realpath(command[0]) in line).split("-")[0], 16)

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            self.pid = 0
            raise Ended(os.waitstatus_to_exitcode(status))
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            raise Ended(f"signal {os.WSTOPSIG(status)}")

    def registers(self):
        ptrace(PTRACE_GETREGS, self.pid, 0, ctypes.addressof(self.raw))
        return self.raw

    def single_step(self):
        ptrace(PTRACE_SINGLESTEP, self.pid)
        self.wait()

    def run_to(self, addresses):
        """Runs at full speed up to one of the addresses."""
        words = {address: ptrace(PTRACE_PEEKTEXT, self.pid, address) for address in addresses}
        for address, word in words.items():
            ptrace(PTRACE_POKETEXT, self.pid, address, (word & ~0xff | 0xcc) & (1 << 64) - 1)
        ptrace(PTRACE_CONT, self.pid)
        self.wait()
        for address, word in words.items():
            ptrace(PTRACE_POKETEXT, self.pid, address, word & (1 << 64) - 1)
        self.registers()
        self.raw.rip -= 1
        ptrace(PTRACE_SETREGS, self.pid, 0, ctypes.addressof(self.raw))

    def word(self, address):
        return ptrace(PTRACE_PEEKTEXT, self.pid, address) & (1 << 64) - 1

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Check:
    """One run of the program."""

    def __init__(self, program, code):
        self.program = program
        self.code = {i.address: i for i in code}
        self.starts = {i.address: i.function for i in code if i.is_first}
        self.steps = {}
        self.leaks = {}
        self.machine = Machine(lambda i, text: self.leaks.setdefault((i.address, text), i))
        self.count = 0

    def run(self, what):
        """Follows everything between trace_begin and trace_end; the exit status of the program."""
        process = None
        try:
            process = Process([self.program, what])
            marks = {process.base + address: name for address, name in self.starts.items() if name in MARKS}
            while True:
                process.run_to(marks)
                registers = process.registers()
                mark = marks[registers.rip]
                if mark == "trace_secret":
                    self.machine.memory.mark(registers.rdi, registers.rsi, True)
                elif mark == "trace_begin":
                    self.follow(process)
                process.single_step()
        except Ended as end:
            return end.args[0]
        finally:
            if process:
                process.end()

    def follow(self, process):
        self.machine.forget_registers()
        while True:
            registers = process.registers()
            address = registers.rip - process.base
            function = self.starts.get(address, "")
            if function == "trace_end":
                # What runs between two rounds is not followed, and allocates the next round's memory where the last
                # round's was. The next round names all of its secrets before it begins.
                self.machine.memory.forget()
                return
            if "declassify" in function:
                self.machine.make_public(whole("rdi"))
            if function.endswith("@plt"):
                self.library_call(process, re.match(r"(?:__)?(\w+?)(?:_chk)?@", function)[1], registers,
                                  step.instruction)
                continue
            if address not in self.steps:
                if address not in self.code:
                    raise Ended(f"code that was not disassembled, at {address:x}")
                self.steps[address] = Step(self.code[address])
            step = self.steps[address]
            self.machine.step(step, registers, process.base + step.instruction.next)
            process.single_step()
            self.count += 1

    def library_call(self, process, name, registers, caller):
        """Runs it at full speed, and does what it does to secrets; `caller` is the instruction before."""
        secret, memory = self.machine.secret, self.machine.memory
        if name not in COPIES + CLEARS:
            raise Ended(f"a call of {name}, of which this check knows nothing")
        at, second, third = registers.rdi, registers.rsi, registers.rdx
        public = whole("rdi", "rdx") if name == "memset" else whole("rdi", "rsi", "rdx" if name in COPIES else "rsi")
        if secret & public:
            self.machine.report(caller, f"a secret is a place or a length for {name}")
        if name in COPIES:
            memory.put(at, memory.marks(second, third))
        elif name == "memset":
            memory.mark(at, third, not secret.isdisjoint(whole("rsi")))
        else:
            memory.mark(at, second, False)
        process.run_to([process.word(registers.rsp)])
        self.machine.make_public(CHANGED_BY_CALLS)

    def print_leaks(self):
        for (_, text), i in self.leaks.items():
            print(f"{i.function}, at {i.address:x}: {text}: {i.text}")


def is_skipped(end):
    if end == NO_PTRACE:
        print("skipped: this machine does not let a process use ptrace")
    return end in (SKIPPED, NO_PTRACE)


def check(program, what, lists_unseen):
    code = disassemble(program)
    run = Check(program, code)
    end = run.run(what)
    if is_skipped(end):
        return SKIPPED
    run.print_leaks()
    namespace, least = KERNELS[what]
    kernel = [i for i in code if namespace in i.function and not i.is_padding()]
    unseen = [i for i in kernel if i.address not in run.steps]
    share = 100 * (1 - len(unseen) / max(1, len(kernel)))
    if lists_unseen:
        for i in unseen:
            print(f"    {i.function}, at {i.address:x}: {i.text}")
    on_secrets = 100 * run.machine.on_secrets / max(1, run.count)
    print(f"{what}: {len(run.leaks)} leaks in {run.count} steps, {on_secrets:.0f} % of them on secrets; "
          f"ended with {end}")
    print(f"{len(kernel) - len(unseen)} of {len(kernel)} instructions of {namespace[:-2]} ran: {share:.1f} %, "
          f"and {least} % must")
    return int(bool(run.leaks) or share < least or on_secrets < LEAST_ON_SECRETS or end != 0)


def self_test(program):
    """Each leak must be found, in its own function and nowhere else."""
    code = disassemble(program)
    found = (re.search(r"::((leak|fine)_\w+)\(", i.function) for i in code if i.is_first)
    names = sorted({name[1] for name in found if name})
    missed = 0
    for name in names:
        run = Check(program, code)
        end = run.run(name)
        if is_skipped(end):
            return SKIPPED
        inside = [i for i in run.leaks.values() if f"::{name}(" in i.function]
        is_right = end == 0 and len(inside) == len(run.leaks) and bool(inside) == name.startswith("leak_")
        missed += not is_right
        print(f"{'as it must be' if is_right else 'MISSED'}  {name}: {inside[0].text if inside else 'nothing found'}")
        if not is_right:
            print(f"ended with {end}")
            run.print_leaks()
    return int(missed > 0 or sum(name.startswith("leak_") for name in names) < LEAKS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", type=os.path.abspath)
    arguments.add_argument("what", nargs="?", choices=KERNELS)
    arguments.add_argument("--self-test", action="store_true")
    arguments.add_argument("--unseen", action="store_true")
    options = arguments.parse_args()
    # The two take turns, and do so faster on one CPU.
    os.sched_setaffinity(0, {libc.sched_getcpu()})
    if options.self_test:
        return self_test(options.program)
    if options.what is None:
        arguments.error("what to follow is missing")
    return check(options.program, options.what, options.unseen)


if __name__ == "__main__":
    sys.exit(main())

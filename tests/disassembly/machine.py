"""What one instruction does to the knowledge of what is secret, and what it must not do with a secret.

Memory is secret by the byte, a register as a whole: but for the lowest byte of a general one, and for what a plain move
put into it, whose bytes are known one by one, as compilers copy structures together with the padding in them. What an
instruction writes becomes secret if anything that it reads is; only what is known not to read its old value, or not to
change the flags, is told apart. So the model can raise a false alarm, and must not miss a secret. Instructions with
operands that they do not name, beyond those told apart here, are refused.
"""
import re

from banned import why_banned
from objects import Memory

NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + [f"r{n}" for n in range(8, 16)]
REGISTERS = {}  # by any of its names: the register, and how many bytes of it; 0: the second lowest
for name in NAMES[:8]:
    byte = name[1] + "l" if name[2] == "x" else name[1:] + "l"
    REGISTERS |= {name: (name, 8), "e" + name[1:]: (name, 4), name[1:]: (name, 2), byte: (name, 1)}
    if name[2] == "x":
        REGISTERS[name[1] + "h"] = (name, 0)
for name in NAMES[8:]:
    REGISTERS |= {name: (name, 8), name + "d": (name, 4), name + "w": (name, 2), name + "b": (name, 1)}
for number in range(32):
    REGISTERS |= {f"{kind}mm{number}": (f"v{number}", size) for kind, size in (("x", 16), ("y", 32), ("z", 64))}
REGISTERS |= {f"k{number}": (f"k{number}", 8) for number in range(8)}



def parts(register, size=8):
    """What of the register may be secret apart."""
    if register not in NAMES:
        return {register}
    return {register + ".byte"} if size == 1 else {register, register + ".byte"}


def whole(*registers):
    return set().union(*(parts(register) for register in registers))


NOTHING = re.compile(r"(nop\w*|endbr64|v?zeroupper|[lms]fence|ret|hlt|ud2|int3)$")
JUMPS = re.compile(r"(j\w+|loop\w*|call)$")
REFUSED = re.compile(r"(xadd|cmpxchg\w*|cpuid|xgetbv|rdtscp?|lods|scas|cmps|v?pcmp[ei]str[im]|v?maskmovdqu|xlat|enter|"
                     r"syscall|vzeroall|popf|std|cld)$")
ONLY_FLAGS = re.compile(r"(cmp|test|bt|v?ptest|vtestp[sd]|kortest[bwdq]|ktest[bwdq]|v?u?comis[sd])$")
MOVES = re.compile(r"(mov|movabs|movzx|movsxd?|v?mov(d|q|dq[au]|[au]p[sd]|nt\w+)(8|16|32|64)?|kmov[bwdq]|lddqu)$")
PLAIN_MOVES = re.compile(r"(mov|v?mov(d|q|dq[au]|[au]p[sd]|nt\w+)(8|16|32|64)?)$")
# They do not read their first operand; of the rest, those with a v or a k.
WRITES_FIRST = re.compile(r"(lea|shlx|shrx|sarx|rorx|andn|bzhi|bls\w+|[lt]zcnt|popcnt|pshuf\w+|pmov[sz]\w+|set\w+)$")
READS_FIRST = re.compile(r"v(pmadd52\w+|permt2\w+|permi2\w+|pternlog[dq]|dpbf16ps|pdp\w+|f(n?m\w+|ixupimm\w+)|"
                         r"psh[lr]dv\w+)$")
# x with itself is 0, or all ones, whatever x is.
CANCELS = re.compile(r"(xor|sub|v?p?xor[dq]?|v?xorp[sd]|v?psub[bwdq]|v?pcmpeq[bwdq]|(kxor|kxnor|kandn)[bwdq])$")
MASK_IN_VECTOR = re.compile(r"v(p?maskmov\w+)$")

# The carry flag is apart from the others: chains of additions hand secrets on in it, while a counter decides a branch.
READS_CARRY = re.compile(r"(adc|adcx|sbb|rcl|rcr|(j|set|cmov)n?(a|b|c|ae|be))$")
READS_OTHERS = re.compile(r"(adox|(j|set|cmov)(?!n?c$|n?ae$|n?b$|mp$|rcxz$|ecxz$)\w+)$")
KEEPS_FLAGS = re.compile(r"(v(?!ptest$|testp|u?comis)\w+|k(?!ortest|test)\w+|lea|not|bswap|mulx|shlx|shrx|sarx|rorx|"
                         r"movs|stos|movbe|xchg|push|pop|leave|set\w+|cmov\w+|p(?!opcnt|test)\w+|cqo|cdqe?|"
                         r"cwde?)$")
SETS_CARRY = re.compile(r"(add|adc|adcx|sub|sbb|cmp|test|and|or|xor|neg|mul|imul|bt|andn|bzhi|bls\w+|[lt]zcnt|popcnt|"
                        r"v?ptest|vtestp[sd]|kortest[bwdq]|ktest[bwdq]|v?u?comis[sd])$")
SETS_OTHERS = re.compile(r"(?!adcx|bt$)(inc|dec|" + SETS_CARRY.pattern[1:])
# They leave the flags alone if they shift by 0; rotations do with most.
SHIFTS = re.compile(r"(sh[lr]d?|sa[lr])$")
KEEPS_CARRY = re.compile(r"(inc|dec|adox)$")
KEEPS_OTHERS = re.compile(r"(adcx|bt)$")
PAGE = 4096


class Shadow:
    """Which bytes of memory are secret."""

    def __init__(self):
        self.pages = {}

    def mark(self, address, size, secret):
        while size > 0:
            page, offset = divmod(address, PAGE)
            part = min(size, PAGE - offset)
            if secret or page in self.pages:
                self.pages.setdefault(page, bytearray(PAGE))[offset:offset + part] = bytes([secret]) * part
            address, size = address + part, size - part

    def is_secret(self, address, size):
        page, offset = divmod(address, PAGE)
        if offset + size > PAGE:
            part = PAGE - offset
            return self.is_secret(address, part) or self.is_secret(address + part, size - part)
        return page in self.pages and 1 in self.pages[page][offset:offset + size]

    def marks(self, address, size):
        """Of each byte, whether it is secret."""
        page, offset = divmod(address, PAGE)
        part = min(size, PAGE - offset)
        marks = bytes(self.pages[page][offset:offset + part]) if page in self.pages else bytes(part)
        return marks if part == size else marks + self.marks(address + part, size - part)

    def put(self, address, marks):
        page, offset = divmod(address, PAGE)
        part = min(len(marks), PAGE - offset)
        if page in self.pages or any(marks):
            self.pages.setdefault(page, bytearray(PAGE))[offset:offset + part] = marks[:part]
        if part < len(marks):
            self.put(address + part, marks[part:])

    def forget(self):
        self.pages.clear()


class Step:
    """What one instruction reads and writes: worked out once, and used each time that it runs."""

    def __init__(self, instruction):
        i = self.instruction = instruction
        name = i.mnemonic
        if REFUSED.match(name):
            raise NotImplementedError(f"{i.function} has `{i.text}`, of which this check knows nothing")
        self.registers = [REGISTERS[o] if isinstance(o, str) and o in REGISTERS else None for o in i.operands]
        # Whose address must be public.
        self.memory = [o for o in i.operands if isinstance(o, Memory) and name != "lea" and not NOTHING.match(name)]
        self.banned = why_banned(i)
        self.mask = i.mask  # decides which bytes of memory are touched
        self.is_repeated = i.prefix.startswith("rep") and not NOTHING.match(name)
        self.is_call = name == "call"
        self.reads, self.loads, self.writes = set(), [], set()  # of registers and flags, of memory, of registers
        self.sets = ()      # the flags that follow what is read
        self.may_set = ()   # the flags that may keep what they were
        self.store = None
        if READS_CARRY.match(name):
            self.reads.add("carry")
        if READS_OTHERS.match(name):
            self.reads.add("flags")
        # Where to go on must be public.
        self.is_jump = bool(JUMPS.match(name))
        if self.is_jump:
            self.read(*range(len(i.operands)))
            if "cxz" in name or name.startswith("loop"):
                self.reads |= whole("rcx")
        elif not NOTHING.match(name):
            self.take_operands(name, i.operands)
            self.take_flags(name, i.operands)
        self.copied = self.copied_bytes(name, i.operands)
        self.has_effect = bool(self.memory or self.reads or self.loads or self.writes or self.store or self.is_call
                               or self.sets)

    def copied_bytes(self, name, operands):
        """How many bytes the instruction moves as they are; 0 if it does anything else."""
        sizes = [r[1] if r else o.size if isinstance(o, Memory) else 0 for r, o in zip(self.registers, operands)]
        is_copy = PLAIN_MOVES.match(name) and not self.instruction.mask and len(sizes) == 2 and min(sizes) >= 4
        return min(sizes) if is_copy else 0

    def read(self, *positions):
        for at in positions:
            operand = self.instruction.operands[at]
            if self.registers[at]:
                self.reads |= parts(*self.registers[at])
            elif isinstance(operand, Memory):
                self.loads.append(operand)

    def write(self, *positions):
        for at in positions:
            operand = self.instruction.operands[at]
            if self.registers[at]:
                register, size = self.registers[at]
                self.writes |= parts(register, size)
                # The rest of a word's register stays. That of a vector does in code without a v only, where it is zero:
                # compilers put a vzeroupper before they leave code with one.
                if register in NAMES and size in (0, 2):
                    self.reads |= whole(register)
            elif isinstance(operand, Memory):
                self.store = operand

    def take_operands(self, name, operands):
        everything = range(len(operands))
        if name == "lea":
            self.reads |= whole(*(REGISTERS[r][0] for r in (operands[1].base, operands[1].index) if r in REGISTERS))
            self.write(0)
        elif name.startswith("prefetch"):
            pass
        elif name in ("mul", "div", "idiv") or name == "imul" and len(operands) == 1:
            self.read(0)
            self.reads |= whole("rax") if "mul" in name else whole("rax", "rdx")
            self.writes |= whole("rax", "rdx")
        elif name in ("cqo", "cdq", "cwd"):
            self.reads |= whole("rax")
            self.writes |= whole("rdx")
        elif name in ("cdqe", "cwde", "cbw"):
            self.reads |= whole("rax")
            self.writes |= whole("rax")
        elif name == "mulx":
            self.reads |= whole("rdx")
            self.read(2)
            self.write(0, 1)
        elif name == "push":
            self.read(0)
            self.store = Memory(8, "", "rsp", displacement=-8)
        elif name == "pop":
            self.loads.append(Memory(8, "", "rsp"))
            self.write(0)
        elif name == "leave":
            self.loads.append(Memory(8, "", "rbp"))
            self.writes |= whole("rbp")
        elif name == "xchg":
            self.read(0, 1)
            self.write(0, 1)
        elif name in ("movs", "stos"):
            self.read(1)
            self.write(0)
        elif ONLY_FLAGS.match(name):
            self.read(*everything)
        else:
            if not self.cancels(name, operands):
                writes_only = (MOVES.match(name) and len(operands) == 2 or WRITES_FIRST.match(name)
                               or name == "imul" and len(operands) == 3
                               or name[0] in "vk" and not READS_FIRST.match(name))
                self.read(*everything[1 if writes_only else 0:])
            self.write(0)
            if MASK_IN_VECTOR.match(name):
                self.mask = self.registers[0 if self.store else 1][0]
            # What a mask leaves out keeps its old value; a comparison writes all of its mask register.
            if self.instruction.keeps and self.registers[0] and self.registers[0][0][0] != "k":
                self.read(0)

    @staticmethod
    def cancels(name, operands):
        last = operands[-2:]
        return (len(last) == 2 and isinstance(last[0], str) and last[0] == last[1] and bool(CANCELS.match(name))
                or name.startswith("vpternlog") and operands[-1] in ("0xff", "0x0"))

    def take_flags(self, name, operands):
        if KEEPS_FLAGS.match(name) or MOVES.match(name):
            return
        by_constant = SHIFTS.match(name) and not isinstance(operands[-1], Memory) and operands[-1] not in REGISTERS
        sets_carry = by_constant or SETS_CARRY.match(name)
        sets_others = by_constant or SETS_OTHERS.match(name)
        self.sets = tuple(f for f, sets in (("carry", sets_carry), ("flags", sets_others)) if sets)
        self.may_set = tuple(f for f, keeps in (("carry", KEEPS_CARRY), ("flags", KEEPS_OTHERS))
                             if f not in self.sets and not keeps.match(name))


class Machine:
    """`report(instruction, sentence)` is called for each leak."""

    def __init__(self, report):
        self.memory = Shadow()
        self.secret = set()  # of the registers, "flags" and "carry" (the carry flag)
        self.moved = {}      # of registers that are secret in part: which of their bytes, by a plain move
        self.report = report
        self.on_secrets = 0  # steps

    @staticmethod
    def address(operand, registers, behind):
        """Of the operand, from the true registers; `behind` is what rip says. A vector of addresses is banned."""
        at = operand.displacement
        if operand.segment in ("fs", "gs"):
            at += getattr(registers, operand.segment + "_base")
        if operand.base:
            at += behind if operand.base == "rip" else getattr(registers, REGISTERS[operand.base][0])
        if operand.index in REGISTERS and REGISTERS[operand.index][0] in NAMES:
            at += getattr(registers, REGISTERS[operand.index][0]) * operand.scale
        return at & (1 << 64) - 1

    def step(self, step, registers, behind):
        if not step.has_effect:
            return
        i, secret = step.instruction, self.secret
        for operand in step.memory:
            for name in (operand.base, operand.index):
                if name in REGISTERS and not secret.isdisjoint(parts(REGISTERS[name][0])):
                    self.report(i, "an address depends on a secret")
        if step.mask in secret and step.memory:
            self.report(i, "which bytes of memory are used depends on a secret")
        if step.is_repeated:
            if not secret.isdisjoint(whole("rcx")):
                self.report(i, "the length of a copy depends on a secret")
            if registers.rcx == 0:
                return
        taint = not step.reads.isdisjoint(secret) or step.mask in secret or any(
            self.memory.is_secret(self.address(o, registers, behind), o.size) for o in step.loads)
        if step.is_jump:
            if taint:
                self.report(i, "a secret decides where to go on")
            if step.is_call:
                self.memory.mark(registers.rsp - 8, 8, False)
            return
        if step.copied:
            self.copy(step, registers, behind)
            return
        for register in step.writes if self.moved else ():
            self.moved.pop(register.removesuffix(".byte"), None)
        if taint:
            self.on_secrets += 1
            if step.banned:
                self.report(i, step.banned)
            secret |= step.writes
            secret.update(step.sets, step.may_set)
        else:
            secret -= step.writes
            secret.difference_update(step.sets)
        if step.store is not None:
            # What a mask leaves out keeps its old value.
            if taint or not step.mask:
                self.memory.mark(self.address(step.store, registers, behind), step.store.size, taint)

    def copy(self, step, registers, behind):
        size, (to, source) = step.copied, step.registers
        if step.loads:
            marks = self.memory.marks(self.address(step.loads[0], registers, behind), size)
        elif source[0] in self.moved:
            marks = self.moved[source[0]][:size].ljust(size, b"\0")
        else:
            lowest, others = source[0] + ".byte" if source[0] in NAMES else source[0], source[0]
            marks = bytes([lowest in self.secret]) + bytes([others in self.secret]) * (size - 1)
        self.on_secrets += any(marks)
        if step.store is not None:
            self.memory.put(self.address(step.store, registers, behind), marks)
            return
        register = to[0]
        self.make_public(parts(register))
        if any(marks):
            self.secret |= parts(register) if marks[0] else {register}
            self.moved[register] = marks

    def make_public(self, registers):
        self.secret -= registers
        for register in registers:
            self.moved.pop(register, None)

    def forget_registers(self):
        self.secret.clear()
        self.moved.clear()

"""What objdump and nm say of object files and programs, for the checks of this folder."""
import dataclasses
import re
import subprocess

MEMORY = re.compile(r"(?:(\w+) (?:PTR|BCST) )?(?:([c-g]s):)?(?:\[([^]]+)\]|(?<=:)(0x[0-9a-f]+))")
SIZES = {"BYTE": 1, "WORD": 2, "DWORD": 4, "QWORD": 8, "XMMWORD": 16, "YMMWORD": 32, "ZMMWORD": 64}
PREFIXES = {"rep", "repz", "repnz", "lock", "notrack", "data16", "cs", "ds", "bnd", "addr32"}


def output_of(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


@dataclasses.dataclass
class Memory:
    """[base + index * scale + displacement], and how many bytes are there."""
    size: int
    segment: str
    base: str = ""
    index: str = ""
    scale: int = 1
    displacement: int = 0

    @staticmethod
    def parse(found):
        memory = Memory(SIZES.get(found[1] or "", 8), found[2] or "")
        for sign, term in re.findall(r"([+-]?)([^+-]+)", found[3] or found[4]):
            if "*" in term:
                memory.index, scale = term.split("*")
                memory.scale = int(scale)
            elif term[0].isdigit():
                memory.displacement = int(term, 16) * (-1 if sign == "-" else 1)
            else:
                memory.base = term
        return memory


@dataclasses.dataclass
class Instruction:
    address: int
    function: str   # demangled
    prefix: str     # rep and its like
    mnemonic: str
    operands: list  # registers and constants as text, or Memory
    mask: str       # the register of {k1}, or nothing
    keeps: bool     # what the mask leaves out keeps its old value
    text: str
    is_first: bool  # of its function
    next: int = 0   # the address behind it

    def is_padding(self):
        """What only fills the room up to an aligned address."""
        return self.mnemonic in ("nop", "nopw", "nopl", "int3", "ud2") or self.text.startswith("xchg   ax,ax")


def parse_operands(text):
    text = re.sub(r"\{[^}]*\}| <.*", "", text)  # masks and the like, and the name of what is called
    for part in filter(None, (part.strip() for part in re.split(r",(?![^\[]*\])", text))):
        memory = MEMORY.search(part)
        yield Memory.parse(memory) if memory else part


def parse_instruction(address, function, is_first, text):
    bare = text.split("#")[0]
    words = bare.split(None, 1)
    prefix = ""
    while words[0] in PREFIXES and len(words) > 1:
        prefix += words[0] + " "
        words = words[1].split(None, 1)
    operands = words[1] if len(words) > 1 else ""
    mask = re.search(r"\{(k[1-7])\}", operands)
    return Instruction(address, function, prefix.strip(), words[0], list(parse_operands(operands)),
                       mask[1] if mask else "", bool(mask) and "{z}" not in operands, text.strip(), is_first)


def disassemble(path):
    """All instructions of an object file or a program, in order."""
    code = []
    function, is_first = "", False
    for line in output_of("objdump", "-dC", "-w", "--no-show-raw-insn", "-M", "intel", path).splitlines():
        if found := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function, is_first = found[1], True
        elif found := re.match(r"\s*([0-9a-f]+):\t(.+)", line):
            instruction = parse_instruction(int(found[1], 16), function, is_first, found[2])
            is_first = False
            if code:
                code[-1].next = instruction.address
            code.append(instruction)
    return code


def symbols(path):
    """(kind, demangled name) of what a file defines, by nm."""
    for line in output_of("nm", "-C", "--defined-only", path).splitlines():
        if found := re.match(r"[0-9a-f ]*\s([A-Za-z]) (.+)$", line):
            yield found[1], found[2]

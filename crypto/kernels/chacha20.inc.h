// ChaCha20 (RFC 8439 section 2.3) over an abstract vector: Words holds one 32-bit word of kLanes
// blocks, so the sixteen words of the state are sixteen vectors and no lane knows of another.
//
// Included inside the namespace of one kernel, after Words and rotate<bits>(Words).

// x += y; z = rotate<bits>(z ^ x), in four columns or diagonals at a time: by `turn` words to the
// right from row to row. Four steps that do not wait for each other stand side by side, which keeps
// the pipes fuller than one quarter round after the other (5 % on a Zen 4).
template <int x, int y, int z, int bits, int turn>
[[gnu::always_inline]] inline void quarter_step(Words (&s)[16])
{
    constexpr auto at = [](int row, int i) { return 4 * row + (i + turn * row) % 4; };
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) s[at(x, i)] += s[at(y, i)];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) s[at(z, i)] ^= s[at(x, i)];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) s[at(z, i)] = rotate<bits>(s[at(z, i)]);
}

// Four quarter rounds: of the columns (turn 0) or of the diagonals (turn 1).
template <int turn>
[[gnu::always_inline]] inline void quarter_rounds(Words (&s)[16])
{
    quarter_step<0, 1, 3, 16, turn>(s);
    quarter_step<2, 3, 1, 12, turn>(s);
    quarter_step<0, 1, 3, 8, turn>(s);
    quarter_step<2, 3, 1, 7, turn>(s);
}

// x: the states of some groups of lanes, replaced by what 20 rounds make of them; the start is
// added by the caller. A state is a chain of dependent steps four wide; the second one fills the
// gaps of the first on CPUs that do more at a time. Two times sixteen words are all of AVX-512's
// registers. beside(round, n): scalar work between the vectors', at n = 0, 1, ... of each round.
template <int groups, typename Beside>
[[gnu::always_inline]] inline void twenty_rounds(Words (&x)[groups][16], Beside beside)
{
    for (uint32_t round = 0; round < 10; ++round) {
#pragma GCC unroll 2
        for (int g = 0; g < groups; ++g) {
            quarter_rounds<0>(x[g]);
            beside(round, g);
        }
#pragma GCC unroll 2
        for (int g = 0; g < groups; ++g) {
            quarter_rounds<1>(x[g]);
            beside(round, groups + g);
        }
    }
}

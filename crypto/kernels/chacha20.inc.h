// ChaCha20 (RFC 8439 section 2.3) over an abstract vector: Words holds one 32-bit word of kLanes
// blocks, so the sixteen words of the state are sixteen vectors and no lane knows of another.
//
// Included inside the namespace of one kernel, after Words and rotate<bits>(Words).

[[gnu::always_inline]] inline void quarter_round(Words& a, Words& b, Words& c, Words& d)
{
    a += b;
    d = rotate<16>(d ^ a);
    c += d;
    b = rotate<12>(b ^ c);
    a += b;
    d = rotate<8>(d ^ a);
    c += d;
    b = rotate<7>(b ^ c);
}

// x: the states of some groups of lanes, replaced by what 20 rounds make of them; the start is
// added by the caller. A state is a chain of dependent steps four wide; the second one fills the
// gaps of the first on CPUs that do more at a time. Two times sixteen words are all of AVX-512's
// registers.
template <int groups>
[[gnu::always_inline]] inline void twenty_rounds(Words (&x)[groups][16])
{
    for (int round = 0; round < 10; ++round) {
        for (int g = 0; g < groups; ++g) {
            quarter_round(x[g][0], x[g][4], x[g][8], x[g][12]);
            quarter_round(x[g][1], x[g][5], x[g][9], x[g][13]);
            quarter_round(x[g][2], x[g][6], x[g][10], x[g][14]);
            quarter_round(x[g][3], x[g][7], x[g][11], x[g][15]);
        }
        for (int g = 0; g < groups; ++g) {
            quarter_round(x[g][0], x[g][5], x[g][10], x[g][15]);
            quarter_round(x[g][1], x[g][6], x[g][11], x[g][12]);
            quarter_round(x[g][2], x[g][7], x[g][8], x[g][13]);
            quarter_round(x[g][3], x[g][4], x[g][9], x[g][14]);
        }
    }
}

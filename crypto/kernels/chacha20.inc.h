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

// x: the state, replaced by what 20 rounds make of it; the start is added by the caller.
[[gnu::always_inline]] inline void twenty_rounds(Words (&x)[16])
{
    for (int round = 0; round < 10; ++round) {
        quarter_round(x[0], x[4], x[8], x[12]);
        quarter_round(x[1], x[5], x[9], x[13]);
        quarter_round(x[2], x[6], x[10], x[14]);
        quarter_round(x[3], x[7], x[11], x[15]);
        quarter_round(x[0], x[5], x[10], x[15]);
        quarter_round(x[1], x[6], x[11], x[12]);
        quarter_round(x[2], x[7], x[8], x[13]);
        quarter_round(x[3], x[4], x[9], x[14]);
    }
}

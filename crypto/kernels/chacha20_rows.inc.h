// ChaCha20 for few blocks: a vector holds one row of four words of each of four blocks, so that no
// lane is empty from four blocks on, and one or two packets wait for the 20 rounds only. The rows
// must be turned against each other twice per double round, which lanes of words need not.
//
// Included inside the namespace of the AVX-512 kernel.

// Blocks `first` to first + 4 sets - 1 of a packet's keystream.
template <int sets>
[[gnu::always_inline]] inline void rows_of_blocks(uint8_t* to, const AeadJob& job, uint32_t first)
{
    __m512i start[4], x[sets][4], block_number[sets];
    const auto everywhere = [](const void* row) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(row)));
    };
    start[0] = everywhere(kConstants);
    start[1] = everywhere(job.key);
    start[2] = everywhere(job.key + 16);
    start[3] = _mm512_broadcast_i32x4(
        _mm_set_epi64x(static_cast<int64_t>(job.counter), static_cast<int64_t>(first)));
#pragma GCC unroll 4
    for (int s = 0; s < sets; ++s) {
        block_number[s] = _mm512_setr_epi32(4 * s, 0, 0, 0, 4 * s + 1, 0, 0, 0, 4 * s + 2, 0, 0, 0,
                                            4 * s + 3, 0, 0, 0);
        for (int row = 0; row < 4; ++row) x[s][row] = start[row];
        x[s][3] = _mm512_add_epi32(x[s][3], block_number[s]);
    }
    const auto add_rotate = [&](int a, int b, int d, auto rotated) {
#pragma GCC unroll 4
        for (int s = 0; s < sets; ++s) {
            x[s][a] = _mm512_add_epi32(x[s][a], x[s][b]);
            x[s][d] = rotated(_mm512_xor_si512(x[s][d], x[s][a]));
        }
    };
    // Row n by n words, so that what stood in a diagonal stands in a column, or back.
    const auto turn = [&](auto by_one, auto by_three) {
#pragma GCC unroll 4
        for (int s = 0; s < sets; ++s) {
            x[s][1] = by_one(x[s][1]);
            x[s][2] = _mm512_shuffle_epi32(x[s][2], _MM_PERM_BADC);
            x[s][3] = by_three(x[s][3]);
        }
    };
    const auto left = [](__m512i v) { return _mm512_shuffle_epi32(v, _MM_PERM_ADCB); };
    const auto right = [](__m512i v) { return _mm512_shuffle_epi32(v, _MM_PERM_CBAD); };
    for (int round = 0; round < 20; ++round) {
        add_rotate(0, 1, 3, [](__m512i v) { return _mm512_rol_epi32(v, 16); });
        add_rotate(2, 3, 1, [](__m512i v) { return _mm512_rol_epi32(v, 12); });
        add_rotate(0, 1, 3, [](__m512i v) { return _mm512_rol_epi32(v, 8); });
        add_rotate(2, 3, 1, [](__m512i v) { return _mm512_rol_epi32(v, 7); });
        if (round % 2 == 0)
            turn(left, right);
        else
            turn(right, left);
    }
#pragma GCC unroll 4
    for (int s = 0; s < sets; ++s) {
        for (int row = 0; row < 4; ++row) x[s][row] = _mm512_add_epi32(x[s][row], start[row]);
        x[s][3] = _mm512_add_epi32(x[s][3], block_number[s]);
        const __m512i ab = _mm512_shuffle_i32x4(x[s][0], x[s][1], 0x44);
        const __m512i cd = _mm512_shuffle_i32x4(x[s][2], x[s][3], 0x44);
        const __m512i AB = _mm512_shuffle_i32x4(x[s][0], x[s][1], 0xee);
        const __m512i CD = _mm512_shuffle_i32x4(x[s][2], x[s][3], 0xee);
        uint8_t* at = to + 256 * s;
        _mm512_store_si512(at, _mm512_shuffle_i32x4(ab, cd, 0x88));
        _mm512_store_si512(at + 64, _mm512_shuffle_i32x4(ab, cd, 0xdd));
        _mm512_store_si512(at + 128, _mm512_shuffle_i32x4(AB, CD, 0x88));
        _mm512_store_si512(at + 192, _mm512_shuffle_i32x4(AB, CD, 0xdd));
    }
}

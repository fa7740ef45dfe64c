//! The compression of SHA-256 for sixteen messages at once, one in each 32-bit lane of AVX-512's registers.
//!
//! A single SHA-256 is a chain of dependent steps that the SHA instructions take one after the other, and two chains on one
//! core do not run faster than one; sixteen lanes do 2.3 times their work (Sapphire Rapids). The function is that of FIPS
//! 180-4, section 6.2.2; its tests compare it with the `sha2` crate. `super::batch` is the one caller.
#![expect(unsafe_code, reason = "vector instructions that not every processor has")]

use super::Group;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_set4_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

/// How many messages are compressed at once.
pub(super) const LANES: usize = 16;

/// The eight words of sixteen states: word by word, lane by lane.
pub(super) type States = [[u32; LANES]; 8];

/// Proof that the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide(());

impl Wide {
    /// `None` = the processor has not.
    pub(super) fn detect() -> Option<Self> {
        let has =
            std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw");
        has.then_some(Self(()))
    }

    /// Compresses as many groups of each lane as the shortest has.
    pub(super) fn compress(self, states: &mut States, lanes: &[&[Group]; LANES]) {
        // SAFETY: `self` exists, so `detect` found both features.
        unsafe { compress(states, lanes) }
    }
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2).
#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The three-input functions, as the table of their values that `ternarylogic` takes.
const XOR: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;

/// Round `first + I`; the eight variables stay where they are and change their names instead.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn round<const I: usize>(v: &mut [__m512i; 8], w: &[__m512i; 16], first: usize) {
    let at = |variable: usize| (variable + 16 - I) % 8;
    let (a, b, c) = (v[at(0)], v[at(1)], v[at(2)]);
    let (e, f, g) = (v[at(4)], v[at(5)], v[at(6)]);
    let sum1 = xor(
        _mm512_ror_epi32::<6>(e),
        _mm512_ror_epi32::<11>(e),
        _mm512_ror_epi32::<25>(e),
    );
    let choice = _mm512_ternarylogic_epi32::<CHOOSE>(e, f, g);
    let word = _mm512_add_epi32(w[I], _mm512_set1_epi32(ROUNDS[first + I].cast_signed()));
    let one = _mm512_add_epi32(_mm512_add_epi32(v[at(7)], sum1), _mm512_add_epi32(choice, word));
    let sum0 = xor(
        _mm512_ror_epi32::<2>(a),
        _mm512_ror_epi32::<13>(a),
        _mm512_ror_epi32::<22>(a),
    );
    let majority = _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c);
    v[at(3)] = _mm512_add_epi32(v[at(3)], one);
    v[at(7)] = _mm512_add_epi32(one, _mm512_add_epi32(sum0, majority));
}

/// Word `I` of the next sixteen, in the place of the one that lies sixteen before it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn extend<const I: usize>(w: &mut [__m512i; 16]) {
    let (early, late) = (w[(I + 1) % 16], w[(I + 14) % 16]);
    let sigma0 = xor(
        _mm512_ror_epi32::<7>(early),
        _mm512_ror_epi32::<18>(early),
        _mm512_srli_epi32::<3>(early),
    );
    let sigma1 = xor(
        _mm512_ror_epi32::<17>(late),
        _mm512_ror_epi32::<19>(late),
        _mm512_srli_epi32::<10>(late),
    );
    let sum = _mm512_add_epi32(w[I], w[(I + 9) % 16]);
    w[I] = _mm512_add_epi32(sum, _mm512_add_epi32(sigma0, sigma1));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

/// Calls the function for 0 to 15.
macro_rules! sixteen {
    ($each:ident $arguments:tt) => { sixteen!(@ $each $arguments 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) };
    (@ $each:ident $arguments:tt $($i:literal)*) => { $($each::<$i> $arguments;)* };
}

#[target_feature(enable = "avx512f,avx512bw")]
fn compress(states: &mut States, lanes: &[&[Group]; LANES]) {
    let groups = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    let mut sums = [_mm512_setzero_si512(); 8];
    for (sum, words) in sums.iter_mut().zip(&*states) {
        // SAFETY: sixteen words are the 64 bytes that an unaligned load reads.
        *sum = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
    }
    for group in 0..groups {
        let mut w = words(lanes, group);
        let mut v = sums;
        sixteen!(round(&mut v, &w, 0));
        for first in [16, 32, 48] {
            sixteen!(extend(&mut w));
            sixteen!(round(&mut v, &w, first));
        }
        for (sum, variable) in sums.iter_mut().zip(v) {
            *sum = _mm512_add_epi32(*sum, variable);
        }
    }
    for (sum, words) in sums.iter().zip(states) {
        // SAFETY: sixteen words are the 64 bytes that an unaligned store writes.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *sum) };
    }
}

/// The sixteen words of this group of every lane: a transposition of sixteen by sixteen.
#[target_feature(enable = "avx512f,avx512bw")]
fn words(lanes: &[&[Group]; LANES], group: usize) -> [__m512i; 16] {
    let big_endian = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let mut rows = [_mm512_setzero_si512(); 16];
    for (row, lane) in rows.iter_mut().zip(lanes) {
        let bytes: &Group = &lane[group];
        // SAFETY: an unaligned load of the 64 bytes that were just borrowed.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        *row = _mm512_shuffle_epi8(bytes, big_endian);
    }
    // Within each quarter of a register first: `quads[4 * i + j]` holds in its quarter k the word 4k + j of four rows.
    let mut quads = rows;
    for i in 0..4 {
        let [r0, r1, r2, r3] = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
        let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        quads[4 * i] = _mm512_unpacklo_epi64(low01, low23);
        quads[4 * i + 1] = _mm512_unpackhi_epi64(low01, low23);
        quads[4 * i + 2] = _mm512_unpacklo_epi64(high01, high23);
        quads[4 * i + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    // Then whole quarters.
    let mut words = rows;
    for j in 0..4 {
        let [q0, q1, q2, q3] = [quads[j], quads[4 + j], quads[8 + j], quads[12 + j]];
        let (even01, odd01) = (
            _mm512_shuffle_i32x4::<0x88>(q0, q1),
            _mm512_shuffle_i32x4::<0xdd>(q0, q1),
        );
        let (even23, odd23) = (
            _mm512_shuffle_i32x4::<0x88>(q2, q3),
            _mm512_shuffle_i32x4::<0xdd>(q2, q3),
        );
        words[j] = _mm512_shuffle_i32x4::<0x88>(even01, even23);
        words[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd01, odd23);
        words[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even01, even23);
        words[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd01, odd23);
    }
    words
}

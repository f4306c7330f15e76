//! Random numbers that are reproducible from a seed.

/// Marsaglia's xorshift; the field is its state, which must not be 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Spreads the seed, so that consecutive seeds give unrelated numbers.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A random number from 0 to `below` - 1.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        (self.next() >> 8) % below
    }
}

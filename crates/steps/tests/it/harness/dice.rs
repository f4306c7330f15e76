//! Numbers that are the same for the same seed.

/// Marsaglia's xorshift; its state, which must not be 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Seeds that are neighbours give numbers that are none.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of 0 to `below` - 1.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        (self.next() >> 8) % below
    }
}

//! What `aws-smithy-checksums` uses of the crate `crc-fast`, over the crate `crc`.
//!
//! `crc-fast` brings tables for some twenty algorithms and picks one when it runs, so that no linker can leave out
//! the others: 640 KiB which do not compress, in each function that talks to S3, a fifth of its package. S3 needs
//! three algorithms, for documents of some kilobytes. `[patch.crates-io]` in the workspace puts this crate in its
//! place; what a later SDK needs beyond it does not compile.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Digest as State, Table};

static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
static CRC32C: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);
static CRC64: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_NVME);

/// The algorithms of S3 ("Checking object integrity", Amazon S3 User Guide).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC32
    Crc32IsoHdlc,
    /// CRC32C
    Crc32Iscsi,
    /// CRC64NVME
    Crc64Nvme,
}

/// A checksum on the way.
#[derive(Clone)]
pub struct Digest(Width);

#[derive(Clone)]
enum Width {
    Of32(State<'static, u32, Table<1>>),
    Of64(State<'static, u64, Table<1>>),
}

impl Digest {
    /// Of nothing yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => Width::Of32(CRC32.digest()),
            CrcAlgorithm::Crc32Iscsi => Width::Of32(CRC32C.digest()),
            CrcAlgorithm::Crc64Nvme => Width::Of64(CRC64.digest()),
        })
    }

    /// And of these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Width::Of32(state) => state.update(bytes),
            Width::Of64(state) => state.update(bytes),
        }
    }

    /// The checksum, in as many of the lower bits as it has.
    pub fn finalize(&self) -> u64 {
        match self.0.clone() {
            Width::Of32(state) => state.finalize().into(),
            Width::Of64(state) => state.finalize(),
        }
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({:#x})", self.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of CRC algorithms: those of "123456789".
    #[test]
    fn the_three_are_the_ones_that_s3_means() {
        for (algorithm, expected) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            let mut digest = Digest::new(algorithm);
            digest.update(b"12345");
            digest.update(b"6789");
            assert_eq!(digest.finalize(), expected, "{algorithm:?}");
        }
    }
}

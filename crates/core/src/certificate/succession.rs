//! Decides by their validity whether one certificate succeeds another.
//!
//! A replacement is what was issued later, not only what ends later: authorities give a reissue the
//! end of the original, and a move to certificates of 47 days ends earlier, too.

use jiff::{SignedDuration, Timestamp};

use crate::certificate::{Certificate, Fingerprint};

/// Authorities set the begin of the validity up to a day before the moment of issuance, so one that
/// begins less than that before another may have been issued before or after it.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);

/// What the order of two certificates depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The digest of its DER.
    pub fingerprint: Fingerprint,
    /// The begin of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl From<&Certificate> for Edition {
    fn from(certificate: &Certificate) -> Self {
        Self {
            fingerprint: certificate.fingerprint(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        }
    }
}

/// The relation of a certificate to the one that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// It is the same certificate.
    Same,
    /// It ends later, and nothing says that it was issued before.
    Renewal,
    /// It was issued later and ends no later: a reissue, or a shorter lifetime.
    Reissue,
    /// It was issued before, and ends later.
    OlderAndLonger,
    /// It ends no later, and was issued at about the same time.
    Unclear,
    /// It was issued before, and ends no later.
    Older,
}

impl Succession {
    /// The relation of `new` to `old`.
    pub fn of(old: &Edition, new: &Edition) -> Self {
        let ends_later = new.not_after > old.not_after;
        let is_older = old.not_before.duration_since(new.not_before) > BACKDATED;
        if new.fingerprint == old.fingerprint {
            Self::Same
        } else if ends_later {
            if is_older { Self::OlderAndLonger } else { Self::Renewal }
        } else if is_older {
            Self::Older
        } else if new.not_before > old.not_before {
            Self::Reissue
        } else {
            Self::Unclear
        }
    }

    /// Does it end no later than the old one? Then the old one may have been replaced because it
    /// must not be served any more.
    pub fn ends_no_later(self) -> bool {
        matches!(self, Self::Reissue | Self::Unclear | Self::Older)
    }

    /// Can only a person tell that it is meant to replace the old one?
    pub fn is_doubtful(self) -> bool {
        matches!(self, Self::Unclear | Self::Older)
    }

    /// How the validity of `new` compares with that of `old`; nothing for a renewal.
    pub fn description(self, old: &Edition, new: &Edition) -> Option<String> {
        let issued = match self {
            Self::Renewal => return None,
            Self::Same => return Some("it is the old certificate".to_owned()),
            Self::Reissue => "issued after",
            Self::OlderAndLonger | Self::Older => "issued before",
            Self::Unclear => "not clearly issued after",
        };
        let ends = if self.ends_no_later() { "no longer than" } else { "longer than" };
        Some(format!(
            "it was {issued} the old one (valid from {}, the old one from {}) and is valid until {}, {ends} the old one, until {}",
            new.not_before, old.not_before, new.not_after, old.not_after
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(name: &str, not_before: &str, not_after: &str) -> Edition {
        Edition {
            fingerprint: Fingerprint::of(name.as_bytes()),
            not_before: not_before.parse().expect("time"),
            not_after: not_after.parse().expect("time"),
        }
    }

    /// The old one is valid from March to September.
    #[test]
    fn s1_succession_by_begin_and_end() {
        let old = edition("old", "2026-03-10T00:00:00Z", "2026-09-10T00:00:00Z");
        let check = |begin: &str, end: &str, expected| {
            let new = edition("new", begin, end);
            assert_eq!(Succession::of(&old, &new), expected, "{begin} {end}");
        };
        for (begin, until_longer, until_no_longer) in [
            ("2026-06-01T00:00:00Z", Succession::Renewal, Succession::Reissue),
            ("2026-03-10T00:00:01Z", Succession::Renewal, Succession::Reissue),
            ("2026-03-10T00:00:00Z", Succession::Renewal, Succession::Unclear),
            ("2026-03-09T00:00:00Z", Succession::Renewal, Succession::Unclear),
            ("2026-03-08T23:59:59Z", Succession::OlderAndLonger, Succession::Older),
            ("2025-06-01T00:00:00Z", Succession::OlderAndLonger, Succession::Older),
        ] {
            check(begin, "2026-09-10T00:00:01Z", until_longer);
            check(begin, "2026-09-10T00:00:00Z", until_no_longer);
            check(begin, "2026-07-01T00:00:00Z", until_no_longer);
        }
        let same = Edition { not_before: "2020-01-01T00:00:00Z".parse().expect("time"), ..old };
        assert_eq!(Succession::of(&old, &same), Succession::Same);
    }

    #[test]
    fn s1_what_follows_from_a_succession() {
        for (succession, ends_no_later, doubtful, said) in [
            (Succession::Same, false, false, "it is the old certificate"),
            (Succession::Renewal, false, false, ""),
            (Succession::Reissue, true, false, "issued after the old one"),
            (Succession::OlderAndLonger, false, false, "issued before the old one"),
            (Succession::Unclear, true, true, "not clearly issued after"),
            (Succession::Older, true, true, "issued before the old one"),
        ] {
            assert_eq!(succession.ends_no_later(), ends_no_later, "{succession:?}");
            assert_eq!(succession.is_doubtful(), doubtful, "{succession:?}");
            let old = edition("old", "2026-03-10T00:00:00Z", "2026-09-10T00:00:00Z");
            let description = succession.description(&old, &old).unwrap_or_default();
            assert!(description.contains(said), "{description}");
            assert_eq!(description.contains("no longer than"), ends_no_later, "{description}");
        }
    }
}

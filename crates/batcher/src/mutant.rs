//! Faults that are put in on purpose, one at a time, for tests of the tests: each has to be found. Without
//! the feature `mutants`, which only the tests enable, there are none.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A session that did not answer in time is used again.
    ReuseTimedOutSession,
    /// The first two callers of a batch get each other's result.
    SwapResults,
    /// A batch that is cut in two loses a request.
    DropOnBisect,
}

#[cfg(feature = "mutants")]
mod chosen {
    use super::Mutant;
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Mutant> = OnceLock::new();

    impl Mutant {
        /// The one with this name.
        pub fn from_name(name: &str) -> Option<Self> {
            match name {
                "reuse-timed-out-session" => Some(Self::ReuseTimedOutSession),
                "swap-results" => Some(Self::SwapResults),
                "drop-on-bisect" => Some(Self::DropOnBisect),
                _ => None,
            }
        }

        /// Breaks this process, for as long as it lives.
        pub fn choose(self) {
            CHOSEN.get_or_init(|| self);
        }
    }

    pub(crate) fn is(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(&mutant)
    }
}

#[cfg(feature = "mutants")]
pub(crate) use chosen::is;

/// Whether this is broken.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is(_: Mutant) -> bool {
    false
}

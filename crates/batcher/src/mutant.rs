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
    use std::time::Duration;

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

    /// Ends when a session is given up without being dropped, if that is what is broken.
    pub(crate) async fn impatience(watchdog: Duration) {
        match is(Mutant::ReuseTimedOutSession) {
            true => tokio::time::sleep(watchdog / 2).await,
            false => std::future::pending().await,
        }
    }
}

#[cfg(feature = "mutants")]
pub(crate) use chosen::{impatience, is};

/// Whether this is broken.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is(_: Mutant) -> bool {
    false
}

/// Never ends: every session is waited for. Nothing is set up for it, neither a timer nor memory.
#[cfg(not(feature = "mutants"))]
pub(crate) fn impatience(_: std::time::Duration) -> std::future::Pending<()> {
    std::future::pending()
}

//! Faults that are put in on purpose, one at a time, for tests of the tests: each has to be found. Without
//! the feature `mutants`, which only the tests enable, there are none.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A batch is answered when its row arrives, before its commit.
    AckOnFirstRow,
    /// PANIC 58030 is taken for a proof that nothing was committed.
    BelievePanic,
    /// A cancelled wait for a standby is taken for a commit that was replicated.
    IgnoreWarning,
    /// A batch that is sent again has new ids.
    NewIdOnRetry,
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
                "ack-on-first-row" => Some(Self::AckOnFirstRow),
                "believe-panic" => Some(Self::BelievePanic),
                "ignore-warning" => Some(Self::IgnoreWarning),
                "new-id-on-retry" => Some(Self::NewIdOnRetry),
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

/// The id under which a transfer is sent: its own.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn sent_as(id: uuid::Uuid) -> uuid::Uuid {
    id
}

/// The id under which a transfer is sent: its own, but for the mutant that has new ones the second time.
#[cfg(feature = "mutants")]
pub(crate) fn sent_as(id: uuid::Uuid) -> uuid::Uuid {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};
    static SENT: Mutex<BTreeSet<uuid::Uuid>> = Mutex::new(BTreeSet::new());
    let is_new = || SENT.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    if !is(Mutant::NewIdOnRetry) || is_new() { id } else { uuid::Uuid::now_v7() }
}

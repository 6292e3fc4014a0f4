//! Which of several primaries is the real one: the one on the highest timeline.

use super::error::ConnectError;
use std::fmt;
use std::sync::OnceLock;
use tokio::sync::watch;

/// Where a database stands among the copies of itself. Every promotion begins a timeline above all
/// that the promoted one knew, and a cluster made later has a higher system identifier; so the higher
/// is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lineage {
    /// The cluster, from the moment at which it was made. 0 where the role may not see it.
    pub system_identifier: u64,
    /// Its timeline.
    pub timeline: u32,
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeline {} of cluster {}", self.timeline, self.system_identifier)
    }
}

/// The highest lineage that any session of a connector has seen.
pub(super) struct Highest(watch::Sender<Option<Lineage>>);

impl Highest {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn get(&self) -> Option<Lineage> {
        *self.0.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Lineage>> {
        self.0.subscribe()
    }

    /// Takes a session's lineage in, and refuses it when a higher one is known.
    pub(super) fn admit(
        &self,
        found: Lineage,
        of_session: &OnceLock<Lineage>,
    ) -> Result<(), ConnectError> {
        // Before the look at the highest: a rise after that look ends the session.
        let _ = of_session.set(found);
        self.0.send_if_modified(|highest| {
            let higher = highest.is_none_or(|highest| found > highest);
            if higher {
                *highest = Some(found);
            }
            higher
        });
        match self.get() {
            Some(expected) if expected > found => {
                Err(ConnectError::LowerTimeline { found, expected })
            }
            _ => Ok(()),
        }
    }
}

/// Resolves when a higher lineage than the session's has been seen; never for one without.
pub(super) async fn superseded(
    mut highest: watch::Receiver<Option<Lineage>>,
    of_session: &OnceLock<Lineage>,
) {
    let above = |highest: &Option<Lineage>| {
        *highest > of_session.get().copied() && of_session.get().is_some()
    };
    if highest.wait_for(above).await.is_err() {
        std::future::pending().await // nobody is left who could see one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(system_identifier: u64, timeline: u32) -> Lineage {
        Lineage { system_identifier, timeline }
    }

    #[tokio::test]
    async fn the_highest_timeline_wins_and_ends_the_others() {
        let highest = Highest::new();
        let (old, new) = (OnceLock::new(), OnceLock::new());
        highest.admit(lineage(7, 1), &old).unwrap();
        let ended = superseded(highest.subscribe(), &old);
        highest.admit(lineage(7, 2), &new).unwrap();
        ended.await;
        let refused = highest.admit(lineage(7, 1), &OnceLock::new());
        assert!(matches!(
            refused,
            Err(ConnectError::LowerTimeline { found, expected })
                if found == lineage(7, 1) && expected == lineage(7, 2)
        ));
        highest.admit(lineage(7, 2), &OnceLock::new()).unwrap();
        // A cluster that was made later, as by an upgrade, begins again at timeline 1.
        highest.admit(lineage(8, 1), &OnceLock::new()).unwrap();
        assert!(highest.admit(lineage(7, 2), &OnceLock::new()).is_err());
    }
}

use super::resource::{Applied, Item, Resource};
use crate::outcome::Outcome;
use giro_ledger::{Id, Reason, Verdict};
use serde::Serialize;

/// One item that was judged, or would have been.
#[derive(Serialize)]
#[serde(bound = "", untagged)]
pub(super) enum Answer<R: Resource> {
    /// Applied, now or before.
    Applied {
        outcome: Outcome,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
        #[serde(flatten)]
        record: R::Record,
    },
    /// Refused, now or before.
    Rejected {
        outcome: Outcome,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        replayed: bool,
        reason: Reason,
        id: Id,
    },
}

impl<R: Resource> Answer<R> {
    pub(super) fn new((item, verdict): (Item<R>, Verdict<Applied<R>>), dry_run: bool) -> Self {
        match verdict {
            Verdict::Applied { replayed, applied } => {
                let record = R::record(item, applied, replayed);
                Self::Applied { outcome: Outcome::Applied, dry_run, replayed, record }
            }
            Verdict::Rejected { replayed, reason } => {
                let id = R::id(&item);
                Self::Rejected { outcome: Outcome::Rejected, dry_run, replayed, reason, id }
            }
        }
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Applied { .. } => None,
            Self::Rejected { reason, .. } => Some(*reason),
        }
    }
}

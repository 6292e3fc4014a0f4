use super::openapi;
use super::resource::{Applied, Item, Resource};
use crate::outcome::Outcome;
use giro_ledger::{Id, Reason, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

/// One item that was judged, or would have been.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer<T> {
    Applied(AppliedItem<T>),
    Rejected(RejectedItem),
}

/// What was applied, now or before.
#[derive(Serialize, ToSchema)]
pub(super) struct AppliedItem<T> {
    #[schema(schema_with = openapi::only_applied)]
    outcome: Outcome,
    /// It was only judged; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// This id had been applied before, with the same content; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(flatten)]
    record: T,
}

/// What was refused in an array, now or before.
#[derive(Serialize, ToSchema)]
pub(super) struct RejectedItem {
    #[schema(schema_with = openapi::only_rejected)]
    outcome: Outcome,
    /// It was only judged; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// This id had been refused before, for good; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    reason: Reason,
    id: Id,
}

impl<T> AppliedItem<T> {
    /// What had been applied before.
    pub(super) fn replayed(record: T) -> Self {
        Self { outcome: Outcome::Applied, dry_run: false, replayed: true, record }
    }
}

impl<T> Answer<T> {
    pub(super) fn new<R: Resource<Record = T>>(
        (item, verdict): (Item<R>, Verdict<Applied<R>>),
        dry_run: bool,
    ) -> Self {
        match verdict {
            Verdict::Applied { replayed, applied } => {
                let record = R::record(item, applied, replayed);
                Self::Applied(AppliedItem { outcome: Outcome::Applied, dry_run, replayed, record })
            }
            Verdict::Rejected { replayed, reason } => {
                let id = R::id(&item);
                let outcome = Outcome::Rejected;
                Self::Rejected(RejectedItem { outcome, dry_run, replayed, reason, id })
            }
        }
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Applied(_) => None,
            Self::Rejected(item) => Some(item.reason),
        }
    }
}

use crate::{Id, TransferRecord};

/// What was applied, and is durable.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Applied<R> {
    /// The id had been applied before with the same content, be it by an earlier attempt of this very call.
    pub replayed: bool,
    /// As the ledger has it.
    pub record: R,
}

/// What was judged and refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id} was refused: {reason}")]
#[non_exhaustive]
pub struct Rejected {
    /// Of the transfer or account.
    pub id: Id,
    /// Why: one of the reasons in `docs/api.md`, which also says whether the same transfer may be
    /// applied under a new id later.
    pub reason: String,
    /// The id had been refused before, for good.
    pub replayed: bool,
}

/// What the ledger decided about one item.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Verdict<R> {
    /// It was applied.
    Applied(Applied<R>),
    /// It was refused.
    Rejected(Rejected),
}

impl<R> Verdict<R> {
    /// For `?` and the other ways of a result.
    ///
    /// # Errors
    ///
    /// When it was refused.
    pub fn into_result(self) -> Result<Applied<R>, Rejected> {
        match self {
            Self::Applied(applied) => Ok(applied),
            Self::Rejected(rejected) => Err(rejected),
        }
    }
}

/// What is known of a transfer's id.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // Read once, and matched at once.
pub enum TransferState {
    /// It was applied.
    Applied(TransferRecord),
    /// It was refused for good.
    Rejected(Rejected),
    /// Not decided when it was read. An attempt that ended unknown may still be applied: only sending the
    /// same id again, or [`cancel`](crate::Client::cancel), settles it.
    Undecided,
}

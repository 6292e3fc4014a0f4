use crate::{Id, Rejected, Stopped};

/// Why a call did not end with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The ledger refused it. Definite. Never of a call with many items, whose verdicts are its answer.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Nothing happened, and nothing will. Definite.
    #[error(transparent)]
    NotApplied(Box<NotApplied>),
    /// It may have been applied, or may be yet. **Not a failure**: see [`Unknown`].
    #[error(transparent)]
    Unknown(Box<Unknown>),
}

impl Error {
    /// Whether it is certain what became of the call.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// No attempt changed anything, and none will. The same id may be sent again: at once after mending the
/// request, or later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not applied, {stopped}: {detail}")]
#[non_exhaustive]
pub struct NotApplied {
    /// Of the last answer; none when there was no answer.
    pub status: Option<u16>,
    /// Why the server shed it, such as `queue_full`.
    pub reason: Option<String>,
    /// The field, parameter or header that is at fault.
    pub field: Option<String>,
    /// Where in an array the fault is, from 0.
    pub index: Option<usize>,
    /// What happened last, for a person.
    pub detail: String,
    /// How often it was sent, or tried to be sent.
    pub attempts: u32,
    /// Why it was not tried once more.
    pub stopped: Stopped,
}

/// At least one attempt was sent whose result was not learnt, and none after it settled the matter.
///
/// Keep the ids. Later, in any order: send the same value again, which answers as if it were the first
/// time; read it with [`get_transfer`](crate::Client::get_transfer); or settle it for good with
/// [`cancel`](crate::Client::cancel). A new id instead may pay twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown whether it was applied, {stopped}: {detail}")]
#[non_exhaustive]
pub struct Unknown {
    /// Of all items of the call, in their order.
    pub ids: Vec<Id>,
    /// Why the result was not learnt, for a person.
    pub detail: String,
    /// How often it was sent, or tried to be sent.
    pub attempts: u32,
    /// Why it was not tried once more.
    pub stopped: Stopped,
}

/// Why a read has no answer. Nothing was asked to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the read failed, {stopped}: {detail}")]
#[non_exhaustive]
pub struct ReadError {
    /// Of the last answer; none when there was no answer.
    pub status: Option<u16>,
    /// What happened last, for a person.
    pub detail: String,
    /// How often it was sent, or tried to be sent.
    pub attempts: u32,
    /// Why it was not tried once more.
    pub stopped: Stopped,
}

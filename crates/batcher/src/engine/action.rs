use super::{Undone, Waiting};
use tokio::time::Instant;

/// What to do. Actions are in the order they are to be begun.
#[derive(Debug)]
pub(crate) enum Action<T> {
    /// Open a session and prove it by an empty batch; report `connected` or `connect_failed`.
    Connect { lane: usize },
    /// Drop the session: every send on it ends, its result unknown.
    Disconnect { lane: usize },
    /// Send a batch behind those in flight on its lane; report `applied` or `failed`.
    Send(Sending<T>),
    /// Tell the callers.
    Answer { entries: Vec<T>, undone: Undone },
}

/// A batch that leaves.
#[derive(Debug)]
pub(crate) struct Sending<T> {
    pub(crate) lane: usize,
    pub(crate) batch: u64,
    pub(crate) members: Vec<Waiting<T>>,
    /// It must not be applied past this moment: by then nobody listens.
    pub(crate) not_after: Instant,
}

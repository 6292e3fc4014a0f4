/// What a failed send proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Rolled back: a concurrent batch has just decided one of its ids. The next send sees that.
    Overtaken,
    /// Rolled back: other sessions were in its way.
    Contended,
    /// Rolled back: somebody holds a lock that one of the requests needs.
    Locked,
    /// Rolled back: the database lacks time, memory or disk for it.
    Exhausted,
    /// Rolled back, and likely to pass on another session.
    WrongSession,
    /// Rolled back: something in one of the requests cannot be applied.
    Poisoned,
    /// Rolled back, as every other batch would be.
    Broken,
    /// It may have been applied, or may still be. The session is not to be used again.
    Unknown,
}

/// Why a request is given back instead of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// Not sent before its deadline.
    Deadline,
    /// Queued for too long.
    QueueDelay,
    /// Still queued when the batcher was given up.
    Abandoned,
    /// Sent and rolled back.
    RolledBack,
    /// Sent alone, and rolled back for what is in it.
    Poisoned,
    /// Sent, and its result was not learnt.
    Unknown,
}

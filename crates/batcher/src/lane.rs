use crate::Failure;
use std::future::Future;
use tokio::time::Instant;

/// What applies batches: opens sessions, and sends one batch on one.
pub trait Lane<R, O>: Send + Sync + 'static {
    /// An open session. Batches sent on it are applied one after another.
    type Session: Send + Sync + 'static;

    /// Opens a session and proves by an empty batch that it can commit; `None` if it cannot. Must end
    /// in bounded time.
    fn connect(&self) -> impl Future<Output = Option<Self::Session>> + Send;

    /// Sends a batch once: one outcome per request, by position. It must not be applied past
    /// `not_after`. Need not end before the session does.
    fn send(
        &self,
        session: &Self::Session,
        requests: &[R],
        not_after: Instant,
    ) -> impl Future<Output = Result<Vec<O>, Failure>> + Send;

    /// Resolves when the session has ended, for whatever reason.
    fn ended(&self, session: &Self::Session) -> impl Future<Output = ()> + Send;

    /// Ends the session at once, whatever runs on it.
    fn disconnect(&self, session: &Self::Session);
}

//! Ends a run that has failed already.

use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// The first thing that went wrong beyond repair.
#[derive(Default)]
pub(super) struct Alarm {
    first: Mutex<Option<String>>,
    notify: Notify,
}

impl Alarm {
    /// Says what went wrong.
    pub(super) fn raise(&self, what: String) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(what);
        self.notify.notify_waiters();
    }

    /// What went wrong, if anything has.
    pub(super) fn said(&self) -> Option<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something has gone wrong.
    pub(super) async fn raised(&self) -> String {
        loop {
            let raised = self.notify.notified();
            tokio::pin!(raised);
            raised.as_mut().enable();
            if let Some(what) = self.said() {
                return what;
            }
            raised.await;
        }
    }
}

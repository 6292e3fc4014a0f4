//! What a connection is doing, since when, and whether it has been for too long.

use super::ConnectionLimits;
use super::frames::Protocol;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// Requests that a connection may have taken back beyond those it waited for: streams that are opened and
/// reset at once cost their client nothing (CVE-2023-44487).
const RESETS_MAX: u32 = 256;

/// How long a client that was asked to leave may do nothing.
const LEAVING: Duration = Duration::from_millis(500);

/// One connection, as its socket and its requests see it.
pub(super) struct Activity {
    opened: Instant,
    is_http2: AtomicBool,
    /// Its client was asked to leave.
    is_closing: AtomicBool,
    /// Requests whose reply is not written.
    exchanges: AtomicUsize,
    /// The last of them ended.
    quiet: Since,
    /// Part of a header has arrived, and not its end.
    header: Since,
    /// The socket takes nothing of what is to be written.
    stalled: Since,
    replies: Mutex<Replies>,
    /// Requests taken back, less those answered after.
    resets: AtomicU32,
}

/// Replies that are not written, by number, with the time they were ready.
#[derive(Default)]
struct Replies {
    next: u64,
    ready: Vec<(u64, u64)>,
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing has been under way for too long: its client may be told, and finish.
    Idle,
    /// A header does not end.
    Header,
    /// A reply is not taken.
    Reply,
    /// Too many requests were taken back.
    Resets,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            is_http2: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            exchanges: AtomicUsize::new(0),
            quiet: Since(AtomicU64::new(0)),
            header: Since::never(),
            stalled: Since::never(),
            replies: Mutex::default(),
            resets: AtomicU32::new(0),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// Bytes have arrived, and `protocol` has seen them.
    pub(super) fn received(&self, protocol: &Protocol) {
        let partial = match protocol {
            Protocol::Undecided(_) => true,
            // A body, or the next request: hyper reads one at a time.
            Protocol::Http1 if self.exchanges.load(Ordering::Relaxed) > 0 => return,
            Protocol::Http1 => true,
            Protocol::Http2(frames) => {
                self.is_http2.store(true, Ordering::Relaxed);
                frames.is_partial()
            }
        };
        match partial {
            true => self.header.begin(self.now()),
            false => self.header.end(),
        }
    }

    /// The socket has taken something, or nothing.
    pub(super) fn wrote(&self, something: bool) {
        match something {
            true => self.stalled.end(),
            false => self.stalled.begin(self.now()),
        }
    }

    /// Its client is asked to leave.
    pub(super) fn closing(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.quiet.begin_anew(self.now());
    }

    /// What has been for longer than its limit. While others wait for a place, who does nothing has no more
    /// time than who is about to ask.
    pub(super) fn overdue(&self, limits: &ConnectionLimits, is_full: bool) -> Option<Overdue> {
        let now = self.now();
        let is_closing = self.is_closing.load(Ordering::Relaxed);
        let idle = if is_full { limits.idle.min(limits.header) } else { limits.idle };
        let idle = if is_closing { idle.min(LEAVING) } else { idle };
        let oldest = self.replies().ready.iter().map(|(_, at)| *at).min();
        let untaken = oldest.map_or(Duration::ZERO, |at| elapsed(at, now));
        if self.is_http2() && self.resets.load(Ordering::Relaxed) > RESETS_MAX {
            Some(Overdue::Resets)
        } else if self.header.elapsed(now) > limits.header {
            Some(Overdue::Header)
        } else if untaken.max(self.stalled.elapsed(now)) > limits.write {
            Some(Overdue::Reply)
        } else if self.exchanges.load(Ordering::Relaxed) == 0
            && !self.header.has_begun()
            && self.quiet.elapsed(now) > idle
        {
            Some(Overdue::Idle)
        } else {
            None
        }
    }

    /// Milliseconds since the connection was opened.
    fn now(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, from the end of its header until its reply is written or given up.
pub(super) struct Exchange {
    activity: Arc<Activity>,
    reply: Option<u64>,
    /// Its client has waited for the reply.
    is_taken: bool,
    /// Among all requests that may be under way.
    place: Option<OwnedSemaphorePermit>,
}

impl Exchange {
    pub(super) fn begin(activity: &Arc<Activity>, place: Option<OwnedSemaphorePermit>) -> Self {
        activity.exchanges.fetch_add(1, Ordering::Relaxed);
        if !activity.is_http2() {
            activity.header.end();
        }
        Self { activity: activity.clone(), reply: None, is_taken: false, place }
    }

    /// It may be served.
    pub(super) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// The reply is ready to be written.
    pub(super) fn answered(&mut self) {
        let ready = self.activity.now();
        let mut replies = self.activity.replies();
        let number = replies.next;
        replies.next += 1;
        replies.ready.push((number, ready));
        self.reply = Some(number);
    }

    /// All of the reply is on its way.
    pub(super) fn taken(&mut self) {
        self.is_taken = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Activity { resets, quiet, exchanges, .. } = &*self.activity;
        let count = |resets: u32| match self.is_taken {
            true => resets.checked_sub(1),
            false => resets.checked_add(1),
        };
        let _ = resets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        if self.reply.is_some() {
            self.activity.replies().ready.retain(|(number, _)| Some(*number) != self.reply);
        }
        quiet.begin_anew(self.activity.now());
        exchanges.fetch_sub(1, Ordering::Release);
    }
}

/// Since when something is so, in milliseconds since the connection was opened.
struct Since(AtomicU64);

impl Since {
    const NEVER: u64 = u64::MAX;

    fn never() -> Self {
        Self(AtomicU64::new(Self::NEVER))
    }

    fn begin(&self, now: u64) {
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.0.compare_exchange(Self::NEVER, now, success, failure);
    }

    fn begin_anew(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.store(Self::NEVER, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed) != Self::NEVER
    }

    fn elapsed(&self, now: u64) -> Duration {
        elapsed(self.0.load(Ordering::Relaxed), now)
    }
}

/// Nothing if it never began.
fn elapsed(since: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(since))
}

use super::Backoff;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Between attempts to open a session. The longest is short enough that a database which accepts again
/// is found within a second.
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// One lane: its session, and what is in flight on it.
#[derive(Debug)]
pub(super) struct Lane {
    session: Session,
    /// The next loss is mended at once: none was since a batch was applied.
    at_once: bool,
    reconnect: Backoff,
    /// Batches sent on this session and not answered, in the order they were sent.
    flights: VecDeque<u64>,
    /// Since when the first of them has been the first.
    head_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Down { retry_at: Option<Instant> },
    Opening,
    Up,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            session: Session::Down { retry_at: None },
            at_once: true,
            reconnect: Backoff::new(RECONNECT_FIRST, RECONNECT_MAX),
            flights: VecDeque::new(),
            head_since: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.session == Session::Up
    }

    pub(super) fn is_opening(&self) -> bool {
        self.session == Session::Opening
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The batch in flight that was sent last.
    pub(super) fn last_sent(&self) -> Option<u64> {
        self.flights.back().copied()
    }

    /// When the next attempt to open a session is due; `None` when there is one, or one under way.
    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        match self.session {
            Session::Down { retry_at } => Some(retry_at.unwrap_or(now)),
            Session::Opening | Session::Up => None,
        }
    }

    pub(super) fn opening(&mut self) {
        self.session = Session::Opening;
    }

    pub(super) fn opened(&mut self) {
        self.session = Session::Up;
    }

    /// The session is gone, or was none; what is in flight on it will be reported lost.
    fn down(&mut self, retry_at: Instant) {
        self.session = Session::Down { retry_at: Some(retry_at) };
        self.flights.clear();
        self.head_since = None;
    }

    pub(super) fn down_for_a_while(&mut self, now: Instant, random: &mut fastrand::Rng) {
        let wait = self.reconnect.next(random);
        self.down(now + wait);
    }

    /// The session is gone. It is replaced at once, but only once until a batch is applied: a database
    /// that accepts sessions and ends them is not asked for one again and again.
    pub(super) fn lost(&mut self, now: Instant, random: &mut fastrand::Rng) {
        if std::mem::take(&mut self.at_once) {
            self.down(now);
        } else {
            self.down_for_a_while(now, random);
        }
    }

    /// A session of this lane has applied a batch.
    pub(super) fn proven(&mut self) {
        self.at_once = true;
        self.reconnect.reset();
    }

    pub(super) fn sent(&mut self, batch: u64, now: Instant) {
        self.flights.push_back(batch);
        self.head_since.get_or_insert(now);
    }

    /// A batch was answered: how long the session worked on it, if it is still the same session.
    pub(super) fn answered(&mut self, batch: u64, now: Instant) -> Option<Duration> {
        let place = self.flights.iter().position(|flight| *flight == batch)?;
        self.flights.remove(place);
        let worked = self.head_since.map_or(Duration::ZERO, |since| now - since);
        self.head_since = (!self.flights.is_empty()).then_some(now);
        Some(worked)
    }

    /// How long the first batch in flight has been worked on.
    pub(super) fn head_age(&self, now: Instant) -> Option<Duration> {
        self.head_since.map(|since| now - since)
    }

    pub(super) fn head_since(&self) -> Option<Instant> {
        self.head_since
    }
}

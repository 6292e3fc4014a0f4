use std::time::Duration;
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_millis(100);
const TARGET_MIN: Duration = Duration::from_millis(5);
const TARGET_MAX: Duration = Duration::from_millis(50);

/// Sheds what waited too long while a queue stands: when even the shortest wait of an interval was
/// above the target, the queue does not absorb a burst, it only delays.
///
/// Source: K. Nichols, V. Jacobson, "Controlling Queue Delay" (2012), in the form for servers of
/// B. Maurer, "Fail at Scale" (2015): what waited twice the target is shed while overloaded.
///
/// It is for waits that admission did not foresee: what admission lets wait is not too long here.
#[derive(Debug)]
pub(super) struct CoDel {
    /// The longest wait, as predicted, with which requests are admitted.
    foreseen: Duration,
    ends: Option<Instant>,
    shortest: Duration,
    overloaded: bool,
}

impl CoDel {
    pub(super) fn new(foreseen: Duration) -> Self {
        Self { foreseen, ends: None, shortest: Duration::ZERO, overloaded: false }
    }

    /// Whether to shed a request that leaves the queue now, having waited for so long.
    pub(super) fn sheds(&mut self, now: Instant, wait: Duration, usual: Option<Duration>) -> bool {
        let target = target(usual);
        if self.ends.is_none_or(|ends| now >= ends) {
            self.overloaded = self.ends.is_some() && self.shortest > target.max(self.foreseen);
            self.shortest = wait;
            self.ends = Some(now + INTERVAL);
        } else {
            self.shortest = self.shortest.min(wait);
        }
        self.overloaded && wait > (2 * target).max(self.foreseen + usual.unwrap_or_default())
    }
}

/// Two batches: one that is under way, and one that forms behind it. Slow storage may need one batch
/// longer than the usual bound, or nothing could ever wait for it.
fn target(usual: Option<Duration>) -> Duration {
    let Some(usual) = usual else { return TARGET_MAX };
    (2 * usual).clamp(TARGET_MIN, TARGET_MAX.max(usual))
}

//! What a run must have seen: one that did not proves nothing.

use serde::{Deserialize, Serialize};

/// How much a run must have seen. The file `run.json` of a run may have others than these, under `gates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// Transfers whose caller learnt nothing, and that turned out to be applied by nobody else.
    pub unknown_applied: u64,
    /// Transfers whose caller learnt nothing, and that turned out not to be there: another attempt that began
    /// afterwards made them, or the first look of the final phase found nothing of them.
    pub unknown_absent: u64,
    /// Of all decisions, the percentage that are recorded rejections.
    pub rejected_percent: f64,
    /// Of all repetitions of an id that were answered, the percentage that were told `replayed`.
    pub replayed_percent: f64,
    /// Requests under way when a crash or a cut began: at nine of ten of them.
    pub in_flight: u64,
    /// Crashes and cuts.
    pub crash_or_cut_cycles: u64,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            unknown_applied: 10,
            unknown_absent: 10,
            rejected_percent: 10.0,
            replayed_percent: 10.0,
            in_flight: 2,
            crash_or_cut_cycles: 40,
        }
    }
}

//! The synchronous standby.

use super::Wound;
use crate::chaos::Stage;
use fastrand::Rng;

pub(super) async fn halt(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn cancel_wait(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn promote(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

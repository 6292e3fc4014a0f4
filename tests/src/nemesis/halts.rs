//! Processes that stand still and go on.

use super::Wound;
use crate::chaos::Stage;
use fastrand::Rng;

pub(super) async fn halt_backend(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn halt_postgres(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn halt_server(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

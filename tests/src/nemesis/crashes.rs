//! Processes that end.

use super::Wound;
use crate::chaos::Stage;
use fastrand::Rng;

pub(super) async fn kill_postgres(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn kill_backend(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn kill_server(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn restart_server(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

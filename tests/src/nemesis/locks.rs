//! Locks that another session holds.

use super::Wound;
use crate::chaos::Stage;
use fastrand::Rng;

pub(super) async fn lock_accounts(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn lock_table(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

//! Sessions that PostgreSQL ends or does not let in.

use super::Wound;
use crate::chaos::Stage;
use fastrand::Rng;

pub(super) async fn terminate(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

pub(super) async fn exhaust(_stage: &mut Stage, _random: &mut Rng) -> Wound {
    todo!()
}

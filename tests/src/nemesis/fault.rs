//! Which faults there are.

use crate::chaos::Stage;
use futures_util::future::BoxFuture;

type Heal = Box<dyn for<'a> FnOnce(&'a mut Stage) -> BoxFuture<'a, String> + Send>;

/// A fault that has begun.
pub struct Wound(Heal);

impl Wound {
    /// Of a fault that this ends, and whose evidence it returns.
    pub fn healed_by(
        heal: impl for<'a> FnOnce(&'a mut Stage) -> BoxFuture<'a, String> + Send + 'static,
    ) -> Self {
        Self(Box::new(heal))
    }

    /// Ends the fault, waits until its immediate damage is undone (a process that was killed is started
    /// again), and says what shows that it happened. It does not wait until traffic flows again.
    pub async fn heal(self, stage: &mut Stage) -> String {
        (self.0)(stage).await
    }
}

/// A fault, by the name that `giro-chaos` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// SIGKILL of every process of PostgreSQL; it starts again.
    KillPostgres,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Self] = &[Self::KillPostgres];

    /// Whether it is a crash or a cut: what `fsync`, resends and the order of commit are there for.
    pub fn is_crash_or_cut(self) -> bool {
        match self {
            Self::KillPostgres => true,
        }
    }

    /// Begins it.
    pub async fn inject(self, stage: &mut Stage, random: &mut fastrand::Rng) -> Wound {
        let _ = random;
        match self {
            Self::KillPostgres => {
                stage.clusters[0].kill();
                Wound::healed_by(|stage| {
                    Box::pin(async move {
                        stage.clusters[0].start_again();
                        "all processes of PostgreSQL were killed and started again".into()
                    })
                })
            }
        }
    }
}

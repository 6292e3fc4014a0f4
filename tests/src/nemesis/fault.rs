//! Which faults there are.

use super::{clock, crashes, disk, halts, limits, links, locks, sessions, snapshot, standbys};
use crate::chaos::Stage;
use crate::needs::Need;
use futures_util::future::BoxFuture;

type Heal = Box<dyn for<'a> FnOnce(&'a mut Stage) -> BoxFuture<'a, Healed> + Send>;

/// A fault that has begun.
pub struct Wound {
    heal: Heal,
}

/// What a fault has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healed {
    /// What shows that it happened.
    pub evidence: String,
    /// Whether it ended a session, a process or a database with a batch under way.
    pub hit: bool,
    /// Whether a batch hung for so long that its server gave it up, and could go on afterwards.
    pub zombie: bool,
}

impl Wound {
    /// Of a fault that this ends, and whose evidence it returns.
    pub fn healed_by(
        heal: impl for<'a> FnOnce(&'a mut Stage) -> BoxFuture<'a, String> + Send + 'static,
    ) -> Self {
        Self::judged_by(move |stage| {
            Box::pin(async move {
                let evidence = heal(stage).await;
                Healed { evidence, hit: false, zombie: false }
            })
        })
    }

    /// Of a fault of which is known only at its end what it hit.
    pub fn judged_by(
        heal: impl for<'a> FnOnce(&'a mut Stage) -> BoxFuture<'a, Healed> + Send + 'static,
    ) -> Self {
        Self { heal: Box::new(heal) }
    }

    /// Ends the fault, waits until its immediate damage is undone (a process that was killed is started
    /// again), and says what shows that it happened. It does not wait until traffic flows again.
    pub async fn heal(self, stage: &mut Stage) -> Healed {
        (self.heal)(stage).await
    }
}

/// A fault, by the name that `giro-chaos` has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// SIGKILL of every process of PostgreSQL while it applies a batch; it starts again.
    KillPostgres,
    /// SIGKILL of the backend that applies a batch; PostgreSQL resets all sessions and recovers.
    KillBackend,
    /// SIGKILL of a server with a batch under way; it starts again.
    KillServer,
    /// SIGTERM of a server with a batch under way; it drains, ends by itself and starts again.
    RestartServer,
    /// SIGSTOP of the backend that applies a batch, for longer than a server waits for it.
    HaltBackend,
    /// SIGSTOP of every process of PostgreSQL.
    HaltPostgres,
    /// SIGSTOP of a server.
    HaltServer,
    /// `pg_terminate_backend` of every session of the servers, again and again.
    TerminateSessions,
    /// Other sessions take every connection that PostgreSQL has; the servers' own are ended.
    ExhaustConnections,
    /// The network is cut before PostgreSQL gets the end of a batch's statement: it never runs.
    CutBeforeSync,
    /// The network is cut when PostgreSQL has a batch: it commits, and nobody is told.
    CutAfterSync,
    /// The network is cut between a batch's result and the word that it is committed.
    CutBeforeReady,
    /// PostgreSQL's side of a connection ends where a result was to come; the other stays open.
    HalfClose,
    /// A connection is reset (RST) while PostgreSQL has a batch.
    Reset,
    /// Every packet between a server and PostgreSQL is lost, for longer than a server waits for an answer.
    BlackHole,
    /// Every message between a server and PostgreSQL travels for some time.
    Delay,
    /// Every message between a server and PostgreSQL comes in pieces of one byte.
    Slice,
    /// A byte in a batch's result is another one.
    GarbleReply,
    /// A batch gets the result of the batch before it.
    ShiftReply,
    /// Another session holds the rows of busy accounts.
    LockAccounts,
    /// Another session holds the table of balances.
    LockTable,
    /// An old snapshot is held, so that nothing can be cleaned up.
    OldSnapshot,
    /// `VACUUM FREEZE` of every table, again and again.
    FreezeVacuum,
    /// SIGSTOP of the synchronous standby: commits wait for it.
    HaltStandby,
    /// A commit that waits for the standby is cancelled: it is not replicated, and PostgreSQL says so.
    CancelStandbyWait,
    /// The primary is killed and its standby promoted; the old primary comes back and is refused, and
    /// then follows the new one.
    PromoteStandby,
    /// Every flush of the write-ahead log takes a third of a second longer.
    SlowFsync,
    /// An fsync of the write-ahead log fails: PostgreSQL panics and recovers.
    FailFsync,
    /// The disk of the tables is full.
    FullData,
    /// The disk of the write-ahead log is full: PostgreSQL panics, and starts when there is room.
    FullWal,
    /// The clocks of PostgreSQL or of a server jump.
    ShiftClock,
    /// A server's memory is limited.
    SqueezeMemory,
    /// A server's file descriptors are limited.
    SqueezeDescriptors,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::KillPostgres,
        Self::KillBackend,
        Self::KillServer,
        Self::RestartServer,
        Self::HaltBackend,
        Self::HaltPostgres,
        Self::HaltServer,
        Self::TerminateSessions,
        Self::ExhaustConnections,
        Self::CutBeforeSync,
        Self::CutAfterSync,
        Self::CutBeforeReady,
        Self::HalfClose,
        Self::Reset,
        Self::BlackHole,
        Self::Delay,
        Self::Slice,
        Self::GarbleReply,
        Self::ShiftReply,
        Self::LockAccounts,
        Self::LockTable,
        Self::OldSnapshot,
        Self::FreezeVacuum,
        Self::HaltStandby,
        Self::CancelStandbyWait,
        Self::PromoteStandby,
        Self::SlowFsync,
        Self::FailFsync,
        Self::FullData,
        Self::FullWal,
        Self::ShiftClock,
        Self::SqueezeMemory,
        Self::SqueezeDescriptors,
    ];

    /// Whether it is a crash or a cut: what `fsync`, resends and the order of commit are there for. It
    /// counts as one only where it [hit](Healed::hit) a batch.
    pub fn is_crash_or_cut(self) -> bool {
        use Fault::*;
        matches!(
            self,
            KillPostgres
                | KillBackend
                | KillServer
                | TerminateSessions
                | CutBeforeSync
                | CutAfterSync
                | CutBeforeReady
                | HalfClose
                | Reset
                | BlackHole
                | PromoteStandby
                | FailFsync
                | FullWal
        )
    }

    /// What the machine must have for it.
    pub fn needs(self) -> &'static [Need] {
        match self {
            Self::SlowFsync | Self::FailFsync => &[Need::Strace],
            Self::FullData | Self::FullWal => &[Need::Mounts],
            Self::ShiftClock => &[Need::Faketime],
            Self::SqueezeMemory => &[Need::MemoryGroup],
            _ => &[],
        }
    }

    /// Whether it happens only to a stage with [small disks](crate::chaos::StagePlan::small_disks).
    pub fn needs_small_disks(self) -> bool {
        matches!(self, Self::FullData | Self::FullWal)
    }

    /// Whether it happens only to a stage with [clocks](crate::chaos::StagePlan::clocks).
    pub fn needs_clocks(self) -> bool {
        self == Self::ShiftClock
    }

    /// Whether it happens only to a stage with a standby.
    pub fn needs_standby(self) -> bool {
        matches!(self, Self::HaltStandby | Self::CancelStandbyWait | Self::PromoteStandby)
    }

    /// Begins it, and waits until there is evidence that it happens. A fault that does not happen is a
    /// panic: a run must not count it.
    pub async fn inject(self, stage: &mut Stage, random: &mut fastrand::Rng) -> Wound {
        match self {
            Self::KillPostgres => crashes::kill_postgres(stage, random).await,
            Self::KillBackend => crashes::kill_backend(stage, random).await,
            Self::KillServer => crashes::kill_server(stage, random).await,
            Self::RestartServer => crashes::restart_server(stage, random).await,
            Self::HaltBackend => halts::halt_backend(stage, random).await,
            Self::HaltPostgres => halts::halt_postgres(stage, random).await,
            Self::HaltServer => halts::halt_server(stage, random).await,
            Self::TerminateSessions => sessions::terminate(stage, random).await,
            Self::ExhaustConnections => sessions::exhaust(stage, random).await,
            Self::CutBeforeSync => links::cut_before_sync(stage, random).await,
            Self::CutAfterSync => links::cut_after_sync(stage, random).await,
            Self::CutBeforeReady => links::cut_before_ready(stage, random).await,
            Self::HalfClose => links::half_close(stage, random).await,
            Self::Reset => links::reset(stage, random).await,
            Self::BlackHole => links::black_hole(stage, random).await,
            Self::Delay => links::delay(stage, random).await,
            Self::Slice => links::slice(stage, random).await,
            Self::GarbleReply => links::garble_reply(stage, random).await,
            Self::ShiftReply => links::shift_reply(stage, random).await,
            Self::LockAccounts => locks::lock_accounts(stage, random).await,
            Self::LockTable => locks::lock_table(stage, random).await,
            Self::HaltStandby => standbys::halt(stage, random).await,
            Self::CancelStandbyWait => standbys::cancel_wait(stage, random).await,
            Self::PromoteStandby => standbys::promote(stage, random).await,
            Self::OldSnapshot => snapshot::hold(stage, random).await,
            Self::FreezeVacuum => snapshot::freeze(stage, random).await,
            Self::SlowFsync => disk::slow_fsync(stage, random).await,
            Self::FailFsync => disk::fail_fsync(stage, random).await,
            Self::FullData => disk::fill_data(stage, random).await,
            Self::FullWal => disk::fill_wal(stage, random).await,
            Self::ShiftClock => clock::shift(stage, random).await,
            Self::SqueezeMemory => limits::squeeze_memory(stage, random).await,
            Self::SqueezeDescriptors => limits::squeeze_descriptors(stage, random).await,
        }
    }
}

//! What a run is to be.

use super::StagePlan;
use super::workload::{Arrivals, WorkloadPlan};
use crate::nemesis::Fault;
use clap::ValueEnum;
use giro_checker::Gates;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a run is to be: `giro-chaos run --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArguments {
    /// The server [default: giro or giro-under-test beside this program]
    #[arg(long, value_name = "PATH")]
    giro: Option<PathBuf>,
    /// Sets what is not given
    #[arg(long, default_value = "ci")]
    size: Size,
    /// Servers on one database
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=16))]
    servers: Option<u8>,
    /// With a synchronous standby, and the faults that need one
    #[arg(long)]
    standby: bool,
    /// Faults by name, or all, cuts (every crash and cut) or none
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all")]
    faults: Vec<String>,
    /// How long faults happen, one at least
    #[arg(long = "for", value_name = "TIME", value_parser = some_time, conflicts_with = "cycles")]
    time: Option<Duration>,
    /// Until so many crashes and cuts have happened
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: Option<u64>,
    /// Requests a second
    #[arg(long, value_name = "COUNT", value_parser = rate)]
    rate: Option<f64>,
    /// Transfers of the largest bulk; 6 % of the requests are bulks
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(2..=1000))]
    bulk: Option<u16>,
    /// How requests come
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// Says what is asked for, and which faults happen [default: a random one]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Where everything is written to; what an older run has left there is removed [default: target/chaos/SEED]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Leave the data directory of PostgreSQL there, so that it can be checked again
    #[arg(long)]
    keep: bool,
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// Some seconds, to see that everything works: its gates are low.
    Short,
    /// 40 crashes and cuts: some minutes.
    Ci,
    /// An hour, of which `giro-chaos long` makes as many as are needed.
    Part,
}

/// When faults end.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    Seconds(f64),
    Cycles(u64),
}

/// Faults that were asked for as part of a group and cannot happen here, and why.
pub(super) type LeftOut = BTreeMap<String, String>;

/// What a run is.
#[derive(Debug, Clone)]
pub struct RunPlan {
    pub(super) stage: StagePlan,
    pub(super) load: WorkloadPlan,
    pub(super) faults: Vec<Fault>,
    pub(super) left_out: LeftOut,
    pub(super) until: Until,
    pub(super) gates: Gates,
    pub(super) size: Size,
    pub(super) seed: u64,
    /// Where everything is written to.
    pub out: PathBuf,
    pub(super) keep: bool,
}

/// Requests a second: some.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match (0.1..=100_000.0).contains(&rate) {
        true => Ok(rate),
        false => Err("it is to be from 0.1 to 100000".into()),
    }
}

/// A time that is not over at once.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match time.is_zero() {
        false => Ok(time),
        true => Err("it is to be longer than that".into()),
    }
}

impl RunArguments {
    /// The server's program.
    pub(super) fn giro(&self) -> Result<PathBuf, String> {
        let giro = self.giro.clone().map_or_else(beside, Ok)?;
        giro.canonicalize().map_err(|error| format!("{}: {error}", giro.display()))
    }

    /// With what is not given, or what is wrong with it.
    pub fn plan(self) -> Result<RunPlan, String> {
        let size = self.size;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
        let servers = usize::from(self.servers.unwrap_or(2));
        let giro = self.giro()?;
        let (until, rate, bulk_max, cold) = match size {
            Size::Short => (Until::Seconds(6.0), 200.0, 6, 50),
            Size::Ci => (Until::Cycles(40), 400.0, 6, 500),
            Size::Part => (Until::Seconds(3600.0), 800.0, 100, 10_000),
        };
        let until = match (self.time, self.cycles) {
            (Some(time), _) => Until::Seconds(time.as_secs_f64()),
            (None, Some(cycles)) => Until::Cycles(cycles),
            (None, None) => until,
        };
        let (faults, left_out) = faults(&self.faults, self.standby, &Lacks::lacks)?;
        may_be_left_out(&left_out, std::env::var("CI").as_deref() == Ok("true"))?;
        let out = self.out.unwrap_or_else(|| PathBuf::from(format!("target/chaos/{seed}")));
        let gates = gates(size, until, &faults);
        let (environment, postgres) = (Vec::new(), Vec::new());
        Ok(RunPlan {
            stage: StagePlan {
                giro,
                servers,
                standby: self.standby,
                small_disks: faults.iter().any(|fault| fault.needs_small_disks()),
                clocks: faults.iter().any(|fault| fault.needs_clocks()),
                postgres,
                environment,
                mutant: None,
            },
            load: WorkloadPlan {
                seed,
                servers,
                rate: self.rate.unwrap_or(rate),
                arrivals: self.arrivals,
                bulk_max: self.bulk.map_or(bulk_max, usize::from),
                callers: 256,
                hot: 16,
                cold,
            },
            faults,
            left_out,
            until,
            gates,
            size,
            seed,
            out,
            keep: self.keep,
        })
    }
}

/// What a run of this size must have seen.
fn gates(size: Size, until: Until, faults: &[Fault]) -> Gates {
    let gates = Gates::default();
    let cuts = faults.iter().any(|fault| fault.is_crash_or_cut());
    let crash_or_cut_cycles = match until {
        Until::Cycles(cycles) => cycles,
        // Less than one in twenty seconds is no storm.
        Until::Seconds(seconds) => (seconds / 20.0) as u64,
    };
    let crash_or_cut_cycles = if cuts { crash_or_cut_cycles } else { 0 };
    match size {
        Size::Short => Gates {
            unknown_applied: 0,
            unknown_absent: 0,
            rejected_percent: 1.0,
            replayed_percent: 1.0,
            crash_or_cut_cycles: crash_or_cut_cycles.min(1),
            ..gates
        },
        Size::Ci | Size::Part => Gates { crash_or_cut_cycles, ..gates },
    }
}

/// The faults of these names. Of a group those are left out that cannot happen here, and it is said why.
fn faults(
    names: &[String],
    standby: bool,
    lacks: &dyn Fn(Fault) -> Option<String>,
) -> Result<(Vec<Fault>, LeftOut), String> {
    let (mut faults, mut left_out) = (Vec::new(), LeftOut::new());
    let fits = |fault: Fault| match fault {
        fault if fault.needs_standby() => standby,
        fault => !(standby && fault.needs_small_disks()),
    };
    let mut group = |is_of: &dyn Fn(Fault) -> bool| {
        let all = Fault::ALL.iter().copied().filter(|fault| fits(*fault) && is_of(*fault));
        let happens = |fault: &Fault| match lacks(*fault) {
            None => true,
            Some(why) => {
                eprintln!("without {}: {why}", name(*fault));
                left_out.insert(name(*fault), why);
                false
            }
        };
        all.filter(happens).collect::<Vec<_>>()
    };
    for word in names {
        match word.as_str() {
            "none" => {}
            "all" => faults.extend(group(&|_| true)),
            "cuts" => faults.extend(group(&Fault::is_crash_or_cut)),
            word => {
                let fault = Fault::from_str(word, true).map_err(|_| {
                    format!("there is no fault {word:?}: giro-chaos faults lists them")
                })?;
                if !fits(fault) {
                    let with = if standby { "cannot be with" } else { "needs" };
                    return Err(format!("{word} {with} --standby"));
                }
                if let Some(why) = lacks(fault) {
                    return Err(format!("{word} cannot happen here: {why}"));
                }
                faults.push(fault);
            }
        }
    }
    faults.sort_unstable();
    faults.dedup();
    Ok((faults, left_out))
}

/// In CI a storm that is smaller than it should be is a mistake, as a test that is not done is.
fn may_be_left_out(left_out: &LeftOut, ci: bool) -> Result<(), String> {
    if !ci || left_out.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = left_out.iter().map(|(fault, why)| format!("{fault}: {why}")).collect();
    Err(format!("CI is true, and these faults cannot happen here: {}", all.join("; ")))
}

trait Lacks {
    /// What this machine lacks for it, if anything.
    fn lacks(self) -> Option<String>;
}

impl Lacks for Fault {
    fn lacks(self) -> Option<String> {
        crate::needs::missing(self.needs()).into_iter().next()
    }
}

/// The server that was built with this program.
fn beside() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let names = ["giro", "giro-under-test"];
    let found = names.iter().map(|name| this.with_file_name(name)).find(|path| path.exists());
    found.ok_or_else(|| "no giro beside this program: name one with --giro".into())
}

/// The name of a fault, as the command line has it.
pub(super) fn name(fault: Fault) -> String {
    let value = fault.to_possible_value().expect("every fault has a name");
    value.get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_known_by_name_and_by_group() {
        let of = |names: &[&str], standby| {
            let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
            faults(&names, standby, &|_| None).map(|(faults, _)| faults)
        };
        assert_eq!(of(&["kill-postgres"], false), Ok(vec![Fault::KillPostgres]));
        assert_eq!(of(&["none"], false), Ok(vec![]));
        assert!(of(&["kill-nobody"], false).unwrap_err().contains("kill-nobody"));
        assert!(of(&["promote-standby"], false).unwrap_err().contains("needs --standby"));
        assert!(of(&["full-wal"], true).unwrap_err().contains("cannot be with --standby"));
        let cuts = of(&["cuts"], true).unwrap();
        assert!(cuts.iter().all(|fault| fault.is_crash_or_cut()) && !cuts.is_empty());
        let (with, without) = (of(&["all", "cuts"], true).unwrap(), of(&["all"], false).unwrap());
        let both: std::collections::BTreeSet<_> = with.into_iter().chain(without).collect();
        assert_eq!(both.len(), Fault::ALL.len());
    }

    #[test]
    fn what_cannot_happen_here_is_left_out_of_groups_and_refused_by_name() {
        let lacks = |fault: Fault| (fault == Fault::FailFsync).then(|| "no strace".to_owned());
        let of = |name: &str| faults(&[name.to_owned()], false, &lacks);
        let (all, left_out) = of("all").unwrap();
        assert!(!all.contains(&Fault::FailFsync));
        assert_eq!(left_out, [("fail-fsync".to_owned(), "no strace".to_owned())].into());
        assert_eq!(may_be_left_out(&left_out, false), Ok(()));
        assert!(may_be_left_out(&left_out, true).unwrap_err().contains("no strace"));
        assert!(of("fail-fsync").unwrap_err().contains("no strace"));
    }

    #[test]
    fn a_run_must_have_seen_as_many_cycles_as_it_was_asked_for() {
        let cycles = |size, until, fault| gates(size, until, &[fault]).crash_or_cut_cycles;
        assert_eq!(cycles(Size::Ci, Until::Cycles(40), Fault::KillPostgres), 40);
        assert_eq!(cycles(Size::Part, Until::Seconds(3600.0), Fault::KillPostgres), 180);
        assert_eq!(cycles(Size::Ci, Until::Cycles(40), Fault::LockTable), 0);
        assert_eq!(gates(Size::Ci, Until::Cycles(40), &[]).unknown_absent, 10);
    }
}

//! What is measured in which order. It is a star: one condition with every number of clients, and each other
//! condition, which differs from the first in one respect, with a few.

use super::cell::{Cell, Condition, Contender, Driver};
use bytesize::ByteSize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Round trip between primary and standby, in milliseconds.
pub(super) const STANDBY_ROUND_TRIP_MS: u32 = 1;
/// What Giro's queue takes, in transfers: with more in bulks at a time, little else than refusals would be measured.
const QUEUE: u32 = 10_000;

/// What a run is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) giro: PathBuf,
    pub(super) contenders: Vec<Contender>,
    pub(super) clients: Vec<u32>,
    pub(super) few_clients: Vec<u32>,
    pub(super) delays: Vec<u32>,
    pub(super) rows: Vec<u64>,
    pub(super) standby: bool,
    pub(super) parts: Vec<f64>,
    pub(super) seconds: f64,
    pub(super) warmup: f64,
    pub(super) rounds: u32,
    pub(super) accounts: u64,
    pub(super) bulk: u32,
    pub(super) settings: Vec<(String, String)>,
    pub(super) min_free: ByteSize,
    pub(super) out: PathBuf,
    pub(super) document: PathBuf,
    pub(super) resume: bool,
    pub(super) dry_run: bool,
}

/// Cells under one condition, which share a fresh database.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) condition: Condition,
    pub(super) cells: Vec<Cell>,
}

impl Plan {
    /// All conditions, the first one first.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let (&delay_ms, delays) = self.delays.split_first().expect("a delay");
        let (&rows, more_rows) = self.rows.split_first().expect("a number of rows");
        let first = Condition { delay_ms, standby: false, rows };
        let mut all = vec![first];
        all.extend(delays.iter().map(|&delay_ms| Condition { delay_ms, ..first }));
        all.extend(self.standby.then_some(Condition { standby: true, ..first }));
        all.extend(more_rows.iter().map(|&rows| Condition { rows, ..first }));
        all
    }

    /// What a round measures, from 1. Each begins with another contender, and every second one goes from many
    /// clients to few, so that a machine that becomes slower does not favour one side.
    pub(super) fn round(&self, round: u32, open_loop: bool) -> Vec<Block> {
        let conditions = self.conditions();
        let blocks = conditions.iter().enumerate().map(|(number, &condition)| {
            let first = number == 0;
            let mut contenders = self.contenders.clone();
            let turn = (round as usize - 1) % contenders.len();
            contenders.rotate_left(turn);
            let mut clients = if first { &self.clients } else { &self.few_clients }.clone();
            if round.is_multiple_of(2) {
                clients.reverse();
            }
            let cell =
                |contender, clients| Cell { contender, clients, condition, part_of_peak: None };
            let (sessions, crowds): (Vec<_>, Vec<_>) =
                contenders.into_iter().partition(|who| who.driver() == Driver::Session);
            // On tables that are still empty, which the floor and the function are to have alike.
            let sessions = sessions.into_iter().filter(|who| first || who.under_every_condition());
            let mut cells: Vec<_> = sessions.map(|who| cell(who, 1)).collect();
            for &count in &clients {
                let fits = |who: &&Contender| count * who.transfers_per_request(self.bulk) <= QUEUE;
                cells.extend(crowds.iter().filter(fits).map(|&who| cell(who, count)));
            }
            if first && open_loop {
                let open = [Contender::Tpcb, Contender::Giro];
                for &part in &self.parts {
                    let both = crowds.iter().copied().filter(|who| open.contains(who));
                    cells.extend(both.map(|who| Cell {
                        part_of_peak: Some(part),
                        ..cell(who, who.open_loop_clients())
                    }));
                }
            }
            Block { condition, cells }
        });
        blocks.filter(|block| !block.cells.is_empty()).collect()
    }

    /// About how long a run takes.
    pub(super) fn estimate(&self, open_loop: bool) -> Duration {
        let each = |block: Block| {
            let cells = block.cells.iter().map(|cell| self.warmup + self.seconds + overhead(cell));
            let standby = if block.condition.standby { 20.0 } else { 0.0 };
            15.0 + standby + cells.sum::<f64>()
        };
        let rounds = 1..=self.rounds;
        let blocks = rounds.flat_map(|round| self.round(round, open_loop)).map(each);
        let template = 20.0 + self.accounts as f64 / 20_000.0;
        Duration::from_secs_f64((template + blocks.sum::<f64>()).round())
    }

    /// What has to be the same in all parts of a comparison.
    pub(super) fn facts(&self) -> BTreeMap<String, String> {
        let facts = [
            ("seconds", self.seconds.to_string()),
            ("warmup", self.warmup.to_string()),
            ("rounds", self.rounds.to_string()),
            ("accounts", self.accounts.to_string()),
            ("bulk", self.bulk.to_string()),
            ("standby_round_trip_ms", STANDBY_ROUND_TRIP_MS.to_string()),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What a cell takes beside its load: a checkpoint before, the balances after.
fn overhead(cell: &Cell) -> f64 {
    let rows = cell.condition.rows as f64;
    match cell.contender.driver() {
        // giro bench reads the debited accounts one by one.
        Driver::Giro => 3.0 + rows * 4e-4,
        _ => 3.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Contender::*;

    fn plan() -> Plan {
        Plan {
            giro: "giro".into(),
            contenders: vec![Tpcb, Giro, GiroBulk, GiroLargeBulk, GiroFunction, Insert],
            clients: vec![1, 8, 256],
            few_clients: vec![8],
            delays: vec![0, 10],
            rows: vec![10, 100],
            standby: true,
            parts: vec![0.5],
            seconds: 8.0,
            warmup: 2.0,
            rounds: 3,
            accounts: 1_000_000,
            bulk: 100,
            settings: Vec::new(),
            min_free: ByteSize(0),
            out: "out".into(),
            document: "document".into(),
            resume: false,
            dry_run: false,
        }
    }

    fn order(block: &Block) -> Vec<(Contender, u32)> {
        block.cells.iter().map(|cell| (cell.contender, cell.clients)).collect()
    }

    #[test]
    fn each_condition_differs_from_the_first_in_one_respect() {
        let titles: Vec<_> = plan().conditions().into_iter().map(Condition::title).collect();
        let expected = [
            "10 contended rows",
            "10 ms to the database",
            "a synchronous standby 1 ms away",
            "100 contended rows",
        ];
        assert_eq!(titles, expected);
    }

    #[test]
    fn contenders_take_turns_and_sessions_come_first() {
        let first = plan().round(1, true);
        let closed = [
            (GiroFunction, 1),
            (Insert, 1),
            (Tpcb, 1),
            (Giro, 1),
            (GiroBulk, 1),
            (GiroLargeBulk, 1),
            (Tpcb, 8),
            (Giro, 8),
            (GiroBulk, 8),
            (GiroLargeBulk, 8),
            (Tpcb, 256),
            (Giro, 256), // without bulks, which the queue would refuse
        ];
        assert_eq!(order(&first[0]), [&closed[..], &[(Tpcb, 16), (Giro, 256)]].concat());
        assert!(first[0].cells[12..].iter().all(|cell| cell.part_of_peak == Some(0.5)));
        let few = [(GiroFunction, 1), (Tpcb, 8), (Giro, 8), (GiroBulk, 8), (GiroLargeBulk, 8)];
        assert_eq!(order(&first[1]), few);

        let second = plan().round(2, false);
        let begin = [(GiroFunction, 1), (Insert, 1), (Giro, 256), (Tpcb, 256), (Giro, 8)];
        assert_eq!(order(&second[0])[..5], begin);
        assert_eq!(second[0].cells.len(), 12);
    }

    #[test]
    fn the_estimate_counts_every_round() {
        let (one, three) = (Plan { rounds: 1, ..plan() }, plan());
        assert!(three.estimate(true) > one.estimate(true) * 2);
        assert!(one.estimate(true) > one.estimate(false));
    }
}

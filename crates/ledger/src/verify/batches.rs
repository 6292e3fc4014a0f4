//! Every batch with what it decided, by seq: totals, chains, and the order itself.

use super::check::Check;
use super::report::{Finding, Findings};
use super::values::Moment;
use crate::{Id, TransferFlag};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

const BATCH: i16 = 0;
const APPLIED: i16 = 1;
const REFUSED: i16 = 2;
const EXPIRED: i16 = 3;

/// A batch comes before what bears its number.
pub(super) const SQL: &str = "
SELECT seq, kind, ledger, id, flags, created_at, batch_kind, items, applied, rejected, replayed
  FROM (
    SELECT id << 16 AS seq, 0::smallint AS kind, NULL::int AS ledger, NULL::uuid AS id,
           NULL::int AS flags, created_at, kind AS batch_kind, items, applied, rejected, replayed
      FROM giro.batch_log
    UNION ALL
    SELECT seq, 1::smallint, ledger, id, flag_bits, created_at, NULL, NULL, NULL, NULL, NULL
      FROM giro.transfers
    UNION ALL
    SELECT seq, 2::smallint, ledger, id, flag_bits, created_at, NULL, NULL, NULL, NULL, NULL
      FROM giro.rejections
    UNION ALL
    SELECT seq, 3::smallint, ledger, id, NULL, created_at, NULL, NULL, NULL, NULL, NULL
      FROM giro.expired_holds
  ) AS decided
 ORDER BY seq, kind, ledger, id";

/// A row of `giro.batch_log`, and what was found under its number.
struct Batch {
    id: i64,
    kind: String,
    created_at: Moment,
    items: i64,
    applied: i64,
    rejected: i64,
    replayed: i64,
    /// Found: transfers, refusals, expired holds.
    found: [i64; 3],
    last_refused: Option<(i32, Id)>,
}

/// Something that was decided.
#[derive(Clone, Copy)]
struct Decided {
    seq: i64,
    kind: i16,
    ledger: i32,
    id: Id,
    linked: bool,
}

impl Decided {
    fn finding(&self, what: impl Into<String>) -> Finding {
        let finding = Finding::new(what).ledger(self.ledger).transfer(self.id);
        finding.seq(self.seq).batch(self.seq >> 16)
    }
}

/// Goes through the batches.
#[derive(Default)]
pub(super) struct BatchFold {
    batch: Option<Batch>,
    last: Option<Decided>,
    /// The number that was last reported to have no batch.
    unknown: Option<i64>,
    /// Accounts that the batches say they created.
    accounts: i64,
}

impl BatchFold {
    /// The next row of the stream.
    pub(super) fn take(&mut self, row: &Row, findings: &mut Findings) -> Result<(), Error> {
        let (seq, kind): (i64, i16) = (row.try_get(0)?, row.try_get(1)?);
        let at: Moment = row.try_get(5)?;
        if kind == BATCH {
            self.end_batch(findings);
            let count = |column| row.try_get::<_, i32>(column).map(i64::from);
            self.batch = Some(Batch {
                id: seq >> 16,
                kind: row.try_get(6)?,
                created_at: at,
                items: count(7)?,
                applied: count(8)?,
                rejected: count(9)?,
                replayed: count(10)?,
                found: [0; 3],
                last_refused: None,
            });
            return Ok(());
        }
        let flags = row.try_get::<_, Option<i32>>(4)?.unwrap_or(0);
        let has = |flag: TransferFlag| flags & flag as i32 != 0;
        let decided = Decided {
            seq,
            kind,
            ledger: row.try_get(2)?,
            id: Id(row.try_get::<_, Uuid>(3)?),
            linked: kind == APPLIED && has(TransferFlag::Linked),
        };
        self.follow(&decided, findings);
        self.count(&decided, at, has(TransferFlag::Imported) && kind == APPLIED, findings);
        self.last = Some(decided);
        Ok(())
    }

    /// Compares with the decision before: uniqueness, and chains.
    fn follow(&self, decided: &Decided, findings: &mut Findings) {
        findings.looked_at(Check::ChainsAreWhole, u64::from(decided.kind == APPLIED));
        findings.looked_at(Check::DecisionsAreValid, u64::from(decided.kind != EXPIRED));
        let Some(last) = &self.last else { return };
        if last.seq == decided.seq {
            findings.add(Check::OrderIsKept, || {
                decided.finding("seq is not unique").found(format!("also {}", last.id))
            });
        }
        if last.linked && (decided.kind != APPLIED || decided.seq != last.seq + 1) {
            findings.add(Check::ChainsAreWhole, || broken_chain(last));
        }
    }

    /// Counts the decision for its batch.
    fn count(&mut self, decided: &Decided, at: Moment, imported: bool, findings: &mut Findings) {
        if decided.kind == REFUSED {
            findings.looked_at(Check::RejectionsAreNotApplied, 1);
        }
        let number = decided.seq >> 16;
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.id == number) else {
            if self.unknown != Some(number) {
                findings.add(Check::BatchesAgree, || decided.finding("its batch is not there"));
            }
            self.unknown = Some(number);
            return;
        };
        batch.found[(decided.kind - 1) as usize] += 1;
        if decided.kind == REFUSED {
            batch.last_refused = Some((decided.ledger, decided.id));
        }
        let kind = if decided.kind == EXPIRED { "expirations" } else { "transfers" };
        if batch.kind != kind {
            findings.add(Check::BatchesAgree, || {
                decided
                    .finding("it is in a batch of another kind")
                    .expected(kind)
                    .found(&batch.kind)
            });
        }
        // An import brings the time at which it took place.
        let agrees = if imported { at <= batch.created_at } else { at == batch.created_at };
        if !agrees {
            findings.add(Check::OrderIsKept, || {
                let finding = decided.finding("created_at is not the moment of its batch");
                finding.expected(batch.created_at).found(at)
            });
        }
    }

    fn end_batch(&mut self, findings: &mut Findings) {
        let Some(batch) = self.batch.take() else { return };
        findings.looked_at(Check::BatchesAgree, 1);
        let [transfers, refusals, expired] = batch.found;
        let mut disagree = |what: &str, expected: i64, found: i64| {
            findings.add(Check::BatchesAgree, || {
                Finding::new(what).batch(batch.id).expected(expected).found(found)
            });
        };
        let counted = batch.applied + batch.rejected + batch.replayed;
        let whole = match batch.kind.as_str() {
            "accounts" => counted == batch.items,
            // What resolves a whole chain of holds makes a transfer for each of them.
            "transfers" => counted >= batch.items,
            // Some holds may have been resolved since they were found due.
            _ => counted <= batch.items,
        };
        if !whole {
            disagree("applied, rejected and replayed are not all items", batch.items, counted);
        }
        match batch.kind.as_str() {
            "accounts" => self.accounts += batch.applied,
            "expirations" if batch.applied != expired => {
                disagree("holds that expired in it", batch.applied, expired);
            }
            "transfers" if batch.applied != transfers => {
                disagree("transfers applied in it", batch.applied, transfers);
            }
            _ => {}
        }
        // Not every refusal is recorded, but what is recorded was a refusal.
        if refusals > batch.rejected
            && let Some((ledger, id)) = batch.last_refused
        {
            findings.add(Check::RejectionsAreNotApplied, || {
                Finding::new("its batch refused fewer than are recorded: one of them was applied")
                    .ledger(ledger)
                    .transfer(id)
                    .batch(batch.id)
                    .expected(format!("at most {}", batch.rejected))
                    .found(refusals)
            });
        }
    }

    /// The last row was taken. Returns the number of accounts that were created.
    pub(super) fn end(mut self, findings: &mut Findings) -> i64 {
        self.end_batch(findings);
        if let Some(last) = self.last.filter(|last| last.linked) {
            findings.add(Check::ChainsAreWhole, || broken_chain(&last));
        }
        self.accounts
    }
}

fn broken_chain(linked: &Decided) -> Finding {
    linked
        .finding("it is linked to a transfer that is not there")
        .expected(format!("a transfer with seq {}", linked.seq + 1))
}

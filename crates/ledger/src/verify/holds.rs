//! Every hold with what resolved it.

use super::check::Check;
use super::report::{Finding, Findings};
use super::values::{Moment, Stored};
use crate::{Id, TransferFlag};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

const HOLD: i16 = 0;
const REFUSED_HOLD: i16 = 1;
const EXPIRATION: i16 = 3;

/// A hold comes before what resolves it.
pub(super) const SQL: &str = "
SELECT hold, ledger, kind, seq, id, flags, amount, debit_account, credit_account, code, timeout,
       created_at, expires_at
  FROM (
    SELECT CASE WHEN flag_bits & 2 <> 0 THEN id ELSE pending_id END AS hold, ledger,
           CASE WHEN flag_bits & 2 <> 0 THEN 0 ELSE 2 END::smallint AS kind, seq, id,
           flag_bits AS flags, amount, debit_account, credit_account, code, timeout, created_at,
           expires_at
      FROM giro.transfers
     WHERE flag_bits & 2 <> 0 OR pending_id IS NOT NULL
    UNION ALL
    SELECT id, ledger, 1::smallint, seq, id, flag_bits, NULL, NULL, NULL, NULL, NULL, created_at,
           NULL
      FROM giro.rejections
     WHERE flag_bits & 2 <> 0
    UNION ALL
    SELECT id, ledger, 3::smallint, seq, id, NULL, NULL, NULL, NULL, NULL, NULL, created_at, NULL
      FROM giro.expired_holds
  ) AS resolved
 ORDER BY hold, ledger, kind, seq";

/// What a hold and its resolution have in common.
struct Transfer {
    seq: i64,
    amount: Option<Stored>,
    debit_account: Option<Uuid>,
    credit_account: Option<Uuid>,
    code: Option<i32>,
    timeout: i64,
    at: Moment,
    /// The release that it waits for.
    awaits: Option<Moment>,
}

impl Transfer {
    /// When a hold's time is over.
    fn ends(&self) -> Option<Moment> {
        (self.timeout > 0).then(|| self.at.after_seconds(self.timeout))
    }
}

/// Goes through the holds.
#[derive(Default)]
pub(super) struct HoldFold {
    key: Option<(i32, Id)>,
    hold: Option<Transfer>,
    refused: bool,
    resolved_by: Option<Id>,
}

impl HoldFold {
    /// The next row of the stream.
    pub(super) fn take(&mut self, row: &Row, findings: &mut Findings) -> Result<(), Error> {
        let key = (row.try_get(1)?, Id(row.try_get::<_, Uuid>(0)?));
        if self.key != Some(key) {
            self.end(findings);
            self.key = Some(key);
        }
        let kind: i16 = row.try_get(2)?;
        let id = Id(row.try_get::<_, Uuid>(4)?);
        let transfer = Transfer {
            seq: row.try_get(3)?,
            amount: row.try_get(6)?,
            debit_account: row.try_get(7)?,
            credit_account: row.try_get(8)?,
            code: row.try_get(9)?,
            timeout: row.try_get::<_, Option<i64>>(10)?.unwrap_or(0),
            at: row.try_get(11)?,
            awaits: row.try_get(12)?,
        };
        match kind {
            HOLD => {
                findings.looked_at(Check::HoldsResolveOnce, 1);
                self.hold = Some(transfer);
            }
            REFUSED_HOLD => self.refused = true,
            _ => {
                let flags = row.try_get::<_, Option<i32>>(5)?.unwrap_or(0);
                self.resolution(kind, id, flags, &transfer, findings);
            }
        }
        Ok(())
    }

    fn resolution(
        &mut self,
        kind: i16,
        id: Id,
        flags: i32,
        resolution: &Transfer,
        findings: &mut Findings,
    ) {
        findings.looked_at(Check::ResolutionsMatchHolds, 1);
        let Some((ledger, hold_id)) = self.key else { return };
        let here = |what: &str| {
            let finding = Finding::new(what).ledger(ledger).hold(hold_id).seq(resolution.seq);
            if kind == EXPIRATION { finding } else { finding.transfer(id) }
        };
        if let Some(first) = self.resolved_by {
            findings.add(Check::HoldsResolveOnce, || {
                here("the hold is resolved twice").found(format!("also by {first}"))
            });
        }
        self.resolved_by = Some(self.resolved_by.unwrap_or(id));
        let Some(hold) = &self.hold else {
            return match self.refused {
                true => findings.add(Check::RejectionsAreNotApplied, || {
                    here("the hold that it resolves was refused")
                }),
                false => {
                    findings.add(Check::HoldsResolveOnce, || here("what it resolves is no hold"));
                }
            };
        };
        let mut differ = |what: &str, expected: String, found: String| {
            findings
                .add(Check::ResolutionsMatchHolds, || here(what).expected(expected).found(found));
        };
        if resolution.seq <= hold.seq {
            let expected = format!("a seq above {}", hold.seq);
            differ("it comes before its hold", expected, resolution.seq.to_string());
        }
        let ends = hold.ends();
        if kind == EXPIRATION {
            if ends.is_none_or(|ends| resolution.at < ends) {
                let expected = ends.map_or("no expiry".into(), |ends| format!("from {ends} on"));
                differ(
                    "the hold was released before its time",
                    expected,
                    resolution.at.to_string(),
                );
            }
            return;
        }
        if let Some(ends) = ends.filter(|ends| resolution.at >= *ends) {
            let expected = format!("before {ends}");
            differ("the hold had expired", expected, resolution.at.to_string());
        }
        let id = |id: Option<Uuid>| id.map_or("none".into(), |id| Id(id).to_string());
        for (what, ours, theirs) in [
            ("its debit account is not the hold's", resolution.debit_account, hold.debit_account),
            (
                "its credit account is not the hold's",
                resolution.credit_account,
                hold.credit_account,
            ),
        ] {
            if ours != theirs {
                differ(what, id(theirs), id(ours));
            }
        }
        let code = |code: Option<i32>| code.map_or("none".into(), |code| code.to_string());
        if resolution.code != hold.code {
            differ("its code is not the hold's", code(hold.code), code(resolution.code));
        }
        let (Some(amount), Some(held)) = (resolution.amount, hold.amount) else { return };
        let (ours, theirs) = (amount.amount(), held.amount());
        if flags & TransferFlag::VoidPending as i32 != 0 && ours != theirs {
            differ("it voids another amount than is held", held.to_string(), amount.to_string());
        } else if ours > theirs {
            differ("it posts more than is held", format!("at most {held}"), amount.to_string());
        }
    }

    /// The last row of a hold was taken: it waits for its expiry, or has none, or is resolved.
    pub(super) fn end(&mut self, findings: &mut Findings) {
        let Self { key, hold, resolved_by, .. } = std::mem::take(self);
        let (Some((ledger, id)), Some(hold)) = (key, hold) else { return };
        findings.looked_at(Check::OpenHoldsAgree, 1);
        let expected = hold.ends().filter(|_| resolved_by.is_none());
        let agrees = match (expected, hold.awaits) {
            (Some(expected), Some(awaits)) => expected.is_near(awaits),
            (expected, awaits) => expected == awaits,
        };
        if !agrees {
            let text = |moment: Option<Moment>| moment.map_or("none".into(), |at| at.to_string());
            findings.add(Check::OpenHoldsAgree, || {
                Finding::new("the release that the hold waits for is not its expiry")
                    .ledger(ledger)
                    .transfer(id)
                    .seq(hold.seq)
                    .expected(text(expected))
                    .found(text(hold.awaits))
            });
        }
    }
}

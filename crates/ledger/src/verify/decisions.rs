//! What a row alone can tell: the database looks, and sends only what is wrong.

use super::check::Check;
use super::report::{Finding, Findings};
use crate::{Id, Reason};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

/// Transfers with a value that the ledger does not accept, and refusals without a reason that is
/// recorded: which, and what is wrong first.
pub(super) const SQL: &str = "
SELECT ledger, id, seq, fault, found
  FROM (
    SELECT ledger, id, seq,
           CASE WHEN (id > zero AND id < most) IS NOT TRUE THEN 'its id is zero or 2^128-1'
                WHEN (ledger > 0 AND code BETWEEN 1 AND 65535) IS NOT TRUE
                    THEN 'its ledger or code is out of range'
                WHEN (amount BETWEEN 0 AND 340282366920938463463374607431768211455) IS NOT TRUE
                    THEN 'its amount is not from 0 to 2^128-1'
                WHEN (debit_account <> credit_account) IS NOT TRUE
                    THEN 'its accounts are not two'
                WHEN flag_bits NOT BETWEEN 0 AND 511 OR flag_bits & 12 = 12
                     OR flag_bits & 12 <> 0 AND flag_bits & 242 <> 0
                     OR flag_bits & 192 <> 0 AND flag_bits & 2 = 0
                    THEN 'its flags exclude each other'
                WHEN (flag_bits & 12 <> 0) <> (pending_id IS NOT NULL)
                    THEN 'pending_id is not that of a post or void'
                WHEN timeout < 0 OR timeout > 0 AND (flag_bits & 2 = 0 OR flag_bits & 256 <> 0)
                    THEN 'it has a timeout that only a hold may have'
           END AS fault,
           concat_ws(' ', 'amount', amount, 'code', code, 'flags', flag_bits, 'timeout', timeout)
               AS found
      FROM giro.transfers,
           (VALUES ('00000000-0000-0000-0000-000000000000'::uuid,
                    'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) AS id_range (zero, most)
    UNION ALL
    SELECT ledger, id, seq, 'no transfer is recorded as refused for this reason', reason
      FROM giro.rejections
     WHERE reason <> ALL ($1)
  ) AS decision
 WHERE fault IS NOT NULL";

/// Reasons that are recorded.
pub(super) fn reasons() -> Vec<&'static str> {
    let recorded = |reason: &&Reason| reason.is_recorded() || **reason == Reason::LinkedEventFailed;
    Reason::ALL.iter().filter(recorded).map(|reason| reason.name()).collect()
}

/// A row of the result is a finding.
pub(super) fn take(row: &Row, findings: &mut Findings) -> Result<(), Error> {
    let (ledger, id, seq) = (row.try_get(0)?, row.try_get::<_, Uuid>(1)?, row.try_get(2)?);
    let (fault, found): (&str, &str) = (row.try_get(3)?, row.try_get(4)?);
    findings.add(Check::DecisionsAreValid, || {
        Finding::new(fault).ledger(ledger).transfer(Id(id)).seq(seq).found(found)
    });
    Ok(())
}

use crate::array::Array;
use crate::call::{ArrayCall, BadReply, Header, Verdict, array, reasons};
use crate::mutant;
use crate::{Amount, AppliedTransfer, Id, Inherited, Metadata, Recorded, Scope, Transfer};
use serde_json::value::RawValue;
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

/// The call of `giro.apply_transfers`.
pub struct ApplyTransfers;

/// A batch of transfers as parallel arrays. An optional column that no transfer carries is `None`.
pub struct TransferColumns<'a> {
    /// The distinct accounts, ascending: the order in which the function locks them.
    account_ledgers: Vec<i32>,
    account_ids: Vec<Uuid>,
    ids: Vec<Uuid>,
    ledgers: Vec<i32>,
    /// Index into the accounts, from 1.
    debit_accounts: Vec<i32>,
    credit_accounts: Vec<i32>,
    amounts: Vec<Option<Amount>>,
    codes: Vec<i32>,
    flags: Vec<i32>,
    pending_ids: Option<Vec<Option<Uuid>>>,
    timeouts: Option<Vec<Option<i64>>>,
    references: Option<Vec<Option<&'a str>>>,
    metadatas: Option<Vec<Option<Json<&'a RawValue>>>>,
    timestamps: Option<Vec<Option<SystemTime>>>,
    expect_debit_versions: Option<Vec<Option<i64>>>,
    expect_credit_versions: Option<Vec<Option<i64>>>,
    chain_scopes: Option<Vec<Option<bool>>>,
    requests: Vec<i32>,
}

impl ArrayCall for ApplyTransfers {
    type Item = Transfer;
    type Applied = AppliedTransfer;
    type Columns<'a> = TransferColumns<'a>;

    const NAME: &'static str = "apply_transfers";
    const STATEMENT: &'static str = "SELECT * FROM giro.apply_transfers(
        shard => $1, token => $2, server => $3, not_after => $4,
        account_ledgers => $5, account_ids => $6,
        ids => $7, ledgers => $8, debit_accounts => $9, credit_accounts => $10,
        amounts => $11, codes => $12, flags => $13, pending_ids => $14, timeouts => $15,
        \"references\" => $16, metadatas => $17, timestamps => $18,
        expect_debit_versions => $19, expect_credit_versions => $20, chain_scopes => $21,
        requests => $22, dry_run => $23)";

    fn columns<'a>(requests: &'a [Vec<Transfer>]) -> TransferColumns<'a> {
        let transfers: Vec<&Transfer> = requests.iter().flatten().collect();
        let column = |value: fn(&Transfer) -> i32| transfers.iter().map(|t| value(t)).collect();
        let mut accounts: Vec<(i32, Id)> = transfers
            .iter()
            .flat_map(|t| [(t.ledger, t.debit_account), (t.ledger, t.credit_account)])
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        let index = |ledger: i32, id: Id| {
            // Unwrap safety: every account of the batch was put in above.
            let found = accounts.binary_search(&(ledger, id)).expect("the account is in the batch");
            i32::try_from(found + 1).expect("a batch has fewer than 2^31 accounts")
        };
        TransferColumns {
            account_ledgers: accounts.iter().map(|(ledger, _)| *ledger).collect(),
            account_ids: accounts.iter().map(|(_, id)| id.0).collect(),
            ids: transfers.iter().map(|t| mutant::sent_as(t.id.0)).collect(),
            ledgers: column(|t| t.ledger),
            debit_accounts: transfers.iter().map(|t| index(t.ledger, t.debit_account)).collect(),
            credit_accounts: transfers.iter().map(|t| index(t.ledger, t.credit_account)).collect(),
            amounts: transfers.iter().map(|t| t.amount).collect(),
            codes: column(|t| t.code),
            flags: column(|t| t.flags.bits()),
            pending_ids: optional(&transfers, |t| t.pending_id.map(|id| id.0)),
            timeouts: optional(&transfers, |t| t.timeout),
            references: optional(&transfers, |t| t.reference.as_ref().map(|r| r.as_str())),
            metadatas: optional(&transfers, |t| t.metadata.as_ref().map(Metadata::raw).map(Json)),
            timestamps: optional(&transfers, |t| t.timestamp.map(|timestamp| timestamp.0)),
            expect_debit_versions: optional(&transfers, |t| t.expect?.debit_version),
            expect_credit_versions: optional(&transfers, |t| t.expect?.credit_version),
            chain_scopes: optional(&transfers, |t| t.scope.map(|Scope::Chain| true)),
            requests: (0..).zip(requests).flat_map(|(n, r)| r.iter().map(move |_| n)).collect(),
        }
    }

    fn parameters<'a>(
        header: &'a Header,
        columns: &'a TransferColumns<'_>,
    ) -> Vec<&'a (dyn ToSql + Sync)> {
        vec![
            &header.shard,
            &header.token,
            &header.server,
            &header.not_after,
            &columns.account_ledgers,
            &columns.account_ids,
            &columns.ids,
            &columns.ledgers,
            &columns.debit_accounts,
            &columns.credit_accounts,
            &columns.amounts,
            &columns.codes,
            &columns.flags,
            &columns.pending_ids,
            &columns.timeouts,
            &columns.references,
            &columns.metadatas,
            &columns.timestamps,
            &columns.expect_debit_versions,
            &columns.expect_credit_versions,
            &columns.chain_scopes,
            &columns.requests,
            &header.dry_run,
        ]
    }

    fn verdicts(
        row: &Row,
        header: &Header,
        columns: &TransferColumns<'_>,
    ) -> Result<Vec<Verdict<AppliedTransfer>>, BadReply> {
        let len = columns.ids.len();
        let echo: i64 = row.try_get("echo").map_err(BadReply::shape)?;
        if echo != header.token || array::<Uuid>(row, "result_ids", len)? != columns.ids {
            return Err(BadReply::Echo);
        }
        let reasons = reasons(row, len)?;
        let replayed: Vec<bool> = array(row, "replayed", len)?;
        let seqs: Vec<Option<i64>> = array(row, "seqs", len)?;
        let amounts: Vec<Option<Amount>> = array(row, "result_amounts", len)?;
        let created_ats: Vec<Option<SystemTime>> = array(row, "created_ats", len)?;
        let inherited = inherited(row, len)?;
        let verdict = |i: usize| match reasons[i] {
            Some(reason) => Ok(Verdict::Rejected { replayed: replayed[i], reason }),
            None => {
                let place = seqs[i].zip(created_ats[i]).filter(|_| !header.dry_run);
                let recorded = place.map(|(seq, created_at)| Recorded { seq, created_at });
                let Some(amount) = amounts[i].filter(|_| header.dry_run || recorded.is_some())
                else {
                    return Err(BadReply::shape("applied without its record"));
                };
                let inherited = inherited.as_ref().map(|inherited| inherited[i]);
                let applied = AppliedTransfer { amount, inherited, recorded };
                Ok(Verdict::Applied { replayed: replayed[i], applied })
            }
        };
        (0..len).map(verdict).collect()
    }
}

/// What posts and voids have from their holds, by position; nothing when the batch has none.
fn inherited(row: &Row, len: usize) -> Result<Option<Vec<Inherited>>, BadReply> {
    if row.try_get::<_, Option<Array<i32>>>("result_codes").map_err(BadReply::shape)?.is_none() {
        return Ok(None);
    }
    let debits: Vec<Uuid> = array(row, "result_debits", len)?;
    let credits: Vec<Uuid> = array(row, "result_credits", len)?;
    let codes: Vec<i32> = array(row, "result_codes", len)?;
    let accounts = debits.into_iter().zip(credits).zip(codes);
    let inherited = accounts.map(|((debit, credit), code)| Inherited {
        debit_account: Id(debit),
        credit_account: Id(credit),
        code,
    });
    Ok(Some(inherited.collect()))
}

/// A column that most batches do not have: `None` when no item has a value.
pub(crate) fn optional<'a, I, T>(
    items: &[&'a I],
    value: impl Fn(&'a I) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let column: Vec<Option<T>> = items.iter().map(|item| value(item)).collect();
    column.iter().any(Option::is_some).then_some(column)
}

use crate::apply_transfers::optional;
use crate::call::{ArrayCall, BadReply, Header, Verdict, array, reasons};
use crate::{AccountFlags, Amount, Balances, CreatedAccount, Metadata, NewAccount};
use serde_json::value::RawValue;
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

/// The call of `giro.create_accounts`.
pub struct CreateAccounts;

/// A batch of accounts as parallel arrays. An optional column that no account carries is `None`.
pub struct AccountColumns<'a> {
    ids: Vec<Uuid>,
    ledgers: Vec<i32>,
    codes: Vec<i32>,
    flags: Vec<i32>,
    overdraft_limits: Vec<Amount>,
    references: Option<Vec<Option<&'a str>>>,
    metadatas: Option<Vec<Option<Json<&'a RawValue>>>>,
    timestamps: Option<Vec<Option<SystemTime>>>,
    requests: Vec<i32>,
}

impl ArrayCall for CreateAccounts {
    type Item = NewAccount;
    type Applied = CreatedAccount;
    type Columns<'a> = AccountColumns<'a>;

    const NAME: &'static str = "create_accounts";
    const STATEMENT: &'static str = "SELECT * FROM giro.create_accounts(
        shard => $1, token => $2, server => $3, not_after => $4,
        ids => $5, ledgers => $6, codes => $7, flags => $8, overdraft_limits => $9,
        \"references\" => $10, metadatas => $11, timestamps => $12, requests => $13)";

    fn columns<'a>(requests: &'a [Vec<NewAccount>]) -> AccountColumns<'a> {
        let accounts: Vec<&NewAccount> = requests.iter().flatten().collect();
        let column = |value: fn(&NewAccount) -> i32| accounts.iter().map(|a| value(a)).collect();
        AccountColumns {
            ids: accounts.iter().map(|a| a.id.0).collect(),
            ledgers: column(|a| a.ledger),
            codes: column(|a| a.code),
            flags: column(|a| a.flags.bits()),
            overdraft_limits: accounts.iter().map(|a| a.overdraft_limit).collect(),
            references: optional(&accounts, |a| a.reference.as_ref().map(|r| r.as_str())),
            metadatas: optional(&accounts, |a| a.metadata.as_ref().map(Metadata::raw).map(Json)),
            timestamps: optional(&accounts, |a| a.timestamp.map(|timestamp| timestamp.0)),
            requests: (0..).zip(requests).flat_map(|(n, r)| r.iter().map(move |_| n)).collect(),
        }
    }

    fn parameters<'a>(
        header: &'a Header,
        columns: &'a AccountColumns<'_>,
    ) -> Vec<&'a (dyn ToSql + Sync)> {
        vec![
            &header.shard,
            &header.token,
            &header.server,
            &header.not_after,
            &columns.ids,
            &columns.ledgers,
            &columns.codes,
            &columns.flags,
            &columns.overdraft_limits,
            &columns.references,
            &columns.metadatas,
            &columns.timestamps,
            &columns.requests,
        ]
    }

    fn verdicts(
        row: &Row,
        header: &Header,
        columns: &AccountColumns<'_>,
    ) -> Result<Vec<Verdict<CreatedAccount>>, BadReply> {
        let len = columns.ids.len();
        let echo: i64 = row.try_get("echo").map_err(BadReply::shape)?;
        if echo != header.token || array::<Uuid>(row, "result_ids", len)? != columns.ids {
            return Err(BadReply::Echo);
        }
        let reasons = reasons(row, len)?;
        let replayed: Vec<bool> = array(row, "replayed", len)?;
        let amounts = |column| array::<Option<Amount>>(row, column, len);
        let debits_pending = amounts("debits_pending")?;
        let debits_posted = amounts("debits_posted")?;
        let credits_pending = amounts("credits_pending")?;
        let credits_posted = amounts("credits_posted")?;
        let versions: Vec<Option<i64>> = array(row, "versions", len)?;
        let created_ats: Vec<Option<SystemTime>> = array(row, "created_ats", len)?;
        let flags: Vec<i32> = array(row, "result_flags", len)?;
        let balances = |i: usize| {
            Some(Balances {
                debits_pending: debits_pending[i]?,
                debits_posted: debits_posted[i]?,
                credits_pending: credits_pending[i]?,
                credits_posted: credits_posted[i]?,
                version: versions[i]?,
                created_at: created_ats[i]?,
            })
        };
        let verdict = |i: usize| match reasons[i] {
            Some(reason) => Ok(Verdict::Rejected { replayed: replayed[i], reason }),
            None => {
                let balances = balances(i).ok_or(BadReply::shape("created without balances"))?;
                let applied = CreatedAccount { flags: AccountFlags::from_bits(flags[i]), balances };
                Ok(Verdict::Applied { replayed: replayed[i], applied })
            }
        };
        (0..len).map(verdict).collect()
    }
}

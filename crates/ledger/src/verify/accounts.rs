//! Every account with its movements in order, as one sorted stream.

use super::entry::{Account, Entry, History, Link, Movement, Refused};
use super::totals::{Change, Side};
use super::values::{Moment, Stored};
use crate::{AccountFlag, Id, TransferFlag};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

const ACCOUNT: i16 = 0;
const DEBIT: i16 = 1;
const CREDIT: i16 = 2;
const EXPIRED_DEBIT: i16 = 3;
const EXPIRED_CREDIT: i16 = 4;
const REFUSED_DEBIT: i16 = 5;
const REFUSED_CREDIT: i16 = 6;
const HISTORY: i16 = 7;

/// First the account, then its movements by seq, each before its row of history. The account's id
/// leads the sort key, because PostgreSQL abbreviates only the first column of one.
pub(super) const SQL: &str = "
SELECT account, ledger, seq, kind, flags, id, n1, n2, n3, n4, n5, counter, created_at, changed_at,
       link
  FROM (
    SELECT id AS account, ledger, -9223372036854775808 AS seq, 0::smallint AS kind,
           flag_bits AS flags, NULL::uuid AS id, debits_pending AS n1, debits_posted AS n2,
           credits_pending AS n3, credits_posted AS n4, overdraft_limit AS n5, version AS counter,
           created_at, changed_at, last_transfer AS link
      FROM giro.accounts
    UNION ALL
    SELECT s.account, t.ledger, t.seq, s.kind, t.flag_bits, t.id, t.amount, h.amount, NULL, NULL,
           NULL, h.flag_bits, t.created_at, NULL, s.link
      FROM giro.transfers t
      LEFT JOIN giro.transfers h
        ON h.ledger = t.ledger AND h.id = t.pending_id AND h.flag_bits & 2 <> 0
     CROSS JOIN LATERAL (VALUES (t.debit_account, 1::smallint, t.debit_previous),
                                (t.credit_account, 2::smallint, t.credit_previous)
                        ) AS s (account, kind, link)
     WHERE s.account IS NOT NULL
    UNION ALL
    SELECT s.account, e.ledger, e.seq, s.kind, h.flag_bits, h.id, h.amount, NULL, NULL, NULL, NULL,
           NULL, e.created_at, NULL, NULL
      FROM giro.expired_holds e
      JOIN giro.transfers h ON h.ledger = e.ledger AND h.id = e.id
     CROSS JOIN LATERAL (VALUES (h.debit_account, 3::smallint),
                                (h.credit_account, 4::smallint)) AS s (account, kind)
     WHERE s.account IS NOT NULL
    UNION ALL
    SELECT s.account, r.ledger, r.seq, s.kind, r.flag_bits, r.id, r.amount, NULL, NULL, NULL, NULL,
           NULL, r.created_at, NULL, NULL
      FROM giro.rejections r
     CROSS JOIN LATERAL (VALUES (r.debit_account, 5::smallint),
                                (r.credit_account, 6::smallint)) AS s (account, kind)
     WHERE s.account IS NOT NULL
    UNION ALL
    SELECT account, ledger, seq, 7::smallint, 0, NULL, debits_pending, debits_posted,
           credits_pending, credits_posted, NULL, version, created_at, NULL, NULL
      FROM giro.balance_history
  ) AS entry
 ORDER BY account, ledger, seq, kind";

/// One row of the stream: of which account, at which seq, and what.
pub(super) fn entry(row: &Row) -> Result<((i32, Id), i64, Entry), Error> {
    let key = (row.try_get(1)?, Id(row.try_get::<_, Uuid>(0)?));
    let kind: i16 = row.try_get(3)?;
    let entry = match kind {
        ACCOUNT => Entry::Account(account(row)?),
        DEBIT | CREDIT => Entry::Movement(movement(row, side(kind))?),
        EXPIRED_DEBIT | EXPIRED_CREDIT => Entry::Movement(expiration(row, side(kind))?),
        REFUSED_DEBIT | REFUSED_CREDIT => Entry::Refused(refused(row, side(kind))?),
        HISTORY => Entry::History(History {
            balances: balances(row)?,
            version: row.try_get(11)?,
            at: row.try_get(12)?,
        }),
        kind => unreachable!("the query makes no kind {kind}"),
    };
    Ok((key, row.try_get(2)?, entry))
}

fn side(kind: i16) -> Side {
    if matches!(kind, DEBIT | EXPIRED_DEBIT | REFUSED_DEBIT) { Side::Debit } else { Side::Credit }
}

fn balances(row: &Row) -> Result<[Stored; 4], Error> {
    Ok([row.try_get(6)?, row.try_get(7)?, row.try_get(8)?, row.try_get(9)?])
}

fn account(row: &Row) -> Result<Account, Error> {
    let flags: i32 = row.try_get(4)?;
    let has = |flag: AccountFlag| flags & flag as i32 != 0;
    Ok(Account {
        balances: balances(row)?,
        overdraft: row.try_get(10)?,
        version: row.try_get(11)?,
        limits_debits: has(AccountFlag::DebitsMustNotExceedCredits),
        limits_credits: has(AccountFlag::CreditsMustNotExceedDebits),
        keeps_history: has(AccountFlag::History),
        closed: has(AccountFlag::Closed),
        created_at: row.try_get(12)?,
        changed_at: row.try_get(13)?,
        last_transfer: id(row, 14)?,
    })
}

/// The bits that matter here.
struct Flags(i32);

impl Flags {
    fn has(&self, flag: TransferFlag) -> bool {
        self.0 & flag as i32 != 0
    }

    fn closes(&self, side: Side) -> bool {
        self.has(match side {
            Side::Debit => TransferFlag::ClosingDebit,
            Side::Credit => TransferFlag::ClosingCredit,
        })
    }

    /// What a direct transfer or a hold does.
    fn change(&self, amount: u128) -> Change {
        match self.has(TransferFlag::Pending) {
            true => Change { hold: amount, ..Change::default() },
            false => Change { post: amount, ..Change::default() },
        }
    }
}

fn amount(row: &Row, column: usize) -> Result<Option<u128>, Error> {
    Ok(row.try_get::<_, Option<Stored>>(column)?.and_then(Stored::amount))
}

fn id(row: &Row, column: usize) -> Result<Option<Id>, Error> {
    Ok(row.try_get::<_, Option<Uuid>>(column)?.map(Id))
}

fn movement(row: &Row, side: Side) -> Result<Movement, Error> {
    let flags = Flags(row.try_get(4)?);
    let hold = Flags(row.try_get::<_, Option<i64>>(11)?.unwrap_or(0) as i32);
    let (amount, held) = (amount(row, 6)?, amount(row, 7)?);
    let (posts, voids) =
        (flags.has(TransferFlag::PostPending), flags.has(TransferFlag::VoidPending));
    let change = if posts || voids {
        // A hold that is not there is found with the holds.
        let release = held.unwrap_or(0);
        amount.map(|post| Change { hold: 0, release, post: if posts { post } else { 0 } })
    } else {
        amount.map(|amount| flags.change(amount))
    };
    Ok(Movement {
        id: Id(row.try_get(5)?),
        side,
        change,
        closes: flags.has(TransferFlag::Pending) && flags.closes(side),
        reopens: voids && hold.closes(side),
        only_releases: voids,
        at: row.try_get(12)?,
        link: Some(Link { previous: id(row, 14)? }),
    })
}

fn expiration(row: &Row, side: Side) -> Result<Movement, Error> {
    let hold = Flags(row.try_get(4)?);
    let release = |release| Change { release, ..Change::default() };
    Ok(Movement {
        id: Id(row.try_get(5)?),
        side,
        change: amount(row, 6)?.map(release),
        closes: false,
        reopens: hold.closes(side),
        only_releases: true,
        at: row.try_get::<_, Moment>(12)?,
        link: None,
    })
}

fn refused(row: &Row, side: Side) -> Result<Refused, Error> {
    let flags = Flags(row.try_get(4)?);
    let resolves = flags.has(TransferFlag::PostPending) || flags.has(TransferFlag::VoidPending);
    let amount = amount(row, 6)?.filter(|_| !resolves);
    let change = amount.map(|amount| flags.change(amount));
    Ok(Refused { id: Id(row.try_get(5)?), side, change })
}

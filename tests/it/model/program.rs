//! A plan written down: the calls that a database and a model are given.

use super::plan::{Call, Step};
use super::writer::Writer;
use giro_checker::model::{NewAccount, Transfer, account};
use std::fmt;

/// A moment, and what is called then, request by request.
pub(super) type Written = (i64, What);

pub(super) enum What {
    Create(Vec<Vec<NewAccount>>),
    Apply(Vec<Vec<Transfer>>),
    Expire(i32),
}

/// A plan, for the accounts that are there from the start.
pub(super) struct Program {
    pub(super) accounts: Vec<NewAccount>,
    pub(super) steps: Vec<Step>,
    /// Whether a batch ends where a request does.
    pub(super) cuts: Vec<bool>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (now, what) in write(&self.accounts, &self.steps, 0) {
            writeln!(f, "at {now}")?;
            match what {
                What::Create(requests) => {
                    requests.iter().try_for_each(|r| lines(f, "create", r))?
                }
                What::Apply(requests) => requests.iter().try_for_each(|r| lines(f, "apply", r))?,
                What::Expire(most) => writeln!(f, "  expire {most}")?,
            }
        }
        write!(f, "cuts {:?}", self.cuts)
    }
}

fn lines<I: fmt::Debug>(f: &mut fmt::Formatter<'_>, what: &str, items: &[I]) -> fmt::Result {
    writeln!(f, "  {what}")?;
    items.iter().try_for_each(|item| writeln!(f, "    {item:?}"))
}

/// Writes a program down that begins at a moment. Accounts of even and of odd ids are created at
/// different times.
pub(super) fn write(accounts: &[NewAccount], steps: &[Step], start: i64) -> Vec<Written> {
    let mut writer = Writer::new(start);
    let mut written = Vec::new();
    for parity in [1, 0] {
        let new = |a: &NewAccount| NewAccount { flags: a.flags & !account::LINKED, ..a.clone() };
        let half = accounts.iter().filter(|a| a.id % 2 == parity).map(new).collect();
        writer.now += 10_000_000;
        written.push((writer.now, What::Create(vec![writer.create(half)])));
    }
    for (wait, call) in steps {
        writer.now += wait;
        let what = match call {
            Call::Create(requests) => {
                What::Create(requests.iter().map(|r| writer.accounts(r)).collect())
            }
            Call::Apply(requests) => {
                What::Apply(requests.iter().map(|r| writer.transfers(r)).collect())
            }
            Call::Expire(most) => {
                for hold in writer.model.due(writer.now).into_iter().take(*most as usize) {
                    assert!(writer.model.release(writer.now, hold), "it is due");
                }
                What::Expire(*most)
            }
        };
        written.push((writer.now, what));
    }
    written
}

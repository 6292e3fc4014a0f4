//! The reads of `mixed`.

use hyper::Uri;
use rand::RngExt;
use rand::rngs::SmallRng;
use uuid::Uuid;

use crate::accounts::Accounts;

/// A connection remembers this many transfers.
const REMEMBERED: usize = 1000;
/// Transfers on a page.
const PAGE: u32 = 20;

/// The transfers that a connection knows to be applied, and may read.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    applied: Vec<Uuid>,
    next: usize,
}

impl Reads {
    /// Remembers a transfer that was applied, in place of the oldest one.
    pub(crate) fn applied(&mut self, id: Uuid) {
        if self.applied.len() < REMEMBERED {
            self.applied.push(id);
        } else {
            self.applied[self.next] = id;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    /// Half of the reads are of an account (one of the debited as often as one of the credited),
    /// three tenths of a transfer, two tenths the newest transfers of an account.
    pub(crate) fn draw(&self, accounts: &Accounts, random: &mut SmallRng) -> Uri {
        let ledger = accounts.ids.ledger;
        let path = match random.random_range(0..10) {
            0..3 if !self.applied.is_empty() => {
                let id = self.applied[random.random_range(..self.applied.len())];
                format!("/transfers/{id}?ledger={ledger}")
            }
            what => {
                let number = if random.random() {
                    random.random_range(..accounts.hot)
                } else {
                    random.random_range(accounts.hot..accounts.len())
                };
                let id = accounts.id(number);
                match what {
                    3..5 => format!("/accounts/{id}/transfers?ledger={ledger}&limit={PAGE}"),
                    _ => format!("/accounts/{id}?ledger={ledger}"),
                }
            }
        };
        path.parse().expect("made of an id and numbers")
    }
}

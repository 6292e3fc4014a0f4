//! Two accounts and a payment, and what to do about each outcome.
//!
//! ```sh
//! make dev        # in another terminal
//! cargo run -p giro-client --example pay
//! ```

use giro_client::{Account, AccountFlag, Client, Error, Id, Transfer, Verdict};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".into());
    // One client for the whole program: clones share its connections and its retry budget.
    let giro = Client::builder(&url).deadline(Duration::from_secs(2)).build()?;

    let mut buyer = Account::new(Id::new());
    buyer.flags = vec![AccountFlag::DebitsMustNotExceedCredits];
    buyer.overdraft_limit = 300;
    let seller = Account::new(Id::new());
    for verdict in giro.create_accounts(&[buyer.clone(), seller.clone()]).await? {
        verdict.into_result()?;
    }

    // The id is made here: store the payment with its order before the first attempt.
    let payment = Transfer::new(buyer.id, seller.id, 250);
    match giro.transfer(&payment).await {
        Ok(applied) => println!("paid, seq {}", applied.record.seq),
        // Definite: this id is refused for good. To try later is a new payment.
        Err(Error::Rejected(rejected)) => println!("refused: {}", rejected.reason),
        // Definite: say so, or send this very payment again later.
        Err(Error::NotApplied(error)) => println!("nothing was paid: {error}"),
        // It may have been paid, or may be yet.
        Err(Error::Unknown(_)) => settle(&giro, &payment).await?,
    }

    // The same again, as a program does that was restarted: nothing happens twice.
    println!("replayed: {}", giro.transfer(&payment).await?.replayed);
    let too_much = Transfer::new(buyer.id, seller.id, 100);
    println!("{}", giro.transfer(&too_much).await.expect_err("more than there is"));
    let balance = giro.get_account(1, seller.id).await?.ok_or("no account")?;
    println!("the seller has {}", balance.credits_posted - balance.debits_posted);
    Ok(())
}

/// For a buyer who has left. One who waits would have the same payment sent again.
async fn settle(giro: &Client, payment: &Transfer) -> Result<(), Error> {
    match giro.cancel(payment.ledger, payment.id).await? {
        Verdict::Applied(_) => println!("it had been paid after all"),
        Verdict::Rejected(_) => println!("it will never be paid"),
    }
    Ok(())
}

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
    buyer.overdraft_limit = 500;
    let seller = Account::new(Id::new());
    for verdict in giro.create_accounts(&[buyer.clone(), seller.clone()]).await? {
        verdict.into_result()?;
    }

    // The id is part of the payment. Store it with the order before the first attempt.
    let payment = Transfer::new(buyer.id, seller.id, 250);
    pay(&giro, &payment).await?;
    // Again, as after a crash: nothing happens twice.
    pay(&giro, &payment).await?;
    // More than the buyer has.
    pay(&giro, &Transfer::new(buyer.id, seller.id, 251)).await?;

    let balance = giro.get_account(1, seller.id).await?.ok_or("no account")?;
    println!("the seller has {}", balance.credits_posted - balance.debits_posted);
    Ok(())
}

/// Ends when it is certain whether it was paid.
async fn pay(giro: &Client, payment: &Transfer) -> Result<(), Error> {
    match giro.transfer(payment).await {
        Ok(applied) if applied.replayed => println!("{}: had been paid", payment.id),
        Ok(applied) => println!("{}: paid, seq {}", payment.id, applied.record.seq),
        // The id is burnt, or the request is wrong. A new decision to pay takes a new id.
        Err(Error::Rejected(rejected)) => println!("{rejected}"),
        // Definite: nothing was paid. Tell the buyer, or try this very payment again later.
        Err(Error::NotApplied(error)) => println!("{}: {error}", payment.id),
        // It may have been paid. Here the buyer has left, so it is not to be paid any more; a buyer who
        // waits would send the same payment again.
        Err(Error::Unknown(error)) => {
            println!("{}: {error}", payment.id);
            match giro.cancel(payment.ledger, payment.id).await? {
                Verdict::Applied(_) => println!("{}: had been paid after all", payment.id),
                Verdict::Rejected(rejected) => println!("{rejected}"),
            }
        }
    }
    Ok(())
}

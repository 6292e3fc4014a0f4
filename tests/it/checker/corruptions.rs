//! What no sound run leaves behind, planted one by one: in the tables, in the history, or beside it.

use super::Files;
use super::small_run::small_run;
use giro_checker::history::{Answer, Asked, Attempt, Balances, FaultSpan, Item, Told};

/// What is planted, and the predicate that finds it; of a gate, a word of its name.
struct Corruption {
    name: &'static str,
    finds: &'static str,
    /// In the tables; `id(n)` stands for the UUID of n.
    sql: &'static str,
    plant: fn(&mut Files),
}

macro_rules! corruptions {
    ($($name:literal is found by $finds:literal: $sql:literal $(, $plant:expr)?;)+) => {
        &[$(Corruption { name: $name, finds: $finds, sql: $sql, plant: corruptions!(@ $($plant)?) }),+]
    };
    (@ $plant:expr) => { $plant };
    (@) => { |_| () };
}

const CORRUPTIONS: &[Corruption] = corruptions! {
    "an acknowledged transfer is lost" is found by "C1":
        "DELETE FROM giro.decisions WHERE id = id(18)";
    "a member of an acknowledged chain is lost" is found by "C1":
        "DELETE FROM giro.decisions WHERE id = id(31)";
    "a transfer is applied twice" is found by "C2":
        "INSERT INTO giro.account_balances
         SELECT b.ledger, b.account, b.seq + 60000, b.version + 1, b.debits_pending,
                b.debits_posted + 5 * (b.account = id(1))::int, b.credits_pending,
                b.credits_posted + 5 * (b.account = id(9))::int, b.created_at
           FROM giro.account_balances b JOIN giro.decisions d USING (seq) WHERE d.id = id(18);
         UPDATE giro.account_state SET version = version + 1, credits_posted = credits_posted + 5 WHERE id = id(9)";
    "an id is decided twice" is found by "C2":
        "ALTER TABLE giro.decisions DROP CONSTRAINT decisions_pkey;
         INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id, debit_account, credit_account, amount
           FROM giro.decisions WHERE id = id(18)";
    "half of a posting is there" is found by "C2":
        "DELETE FROM giro.account_balances b USING giro.decisions d
          WHERE d.id = id(18) AND b.seq = d.seq AND b.account = id(9)";
    "the expiry behind a change is lost" is found by "C2": "DELETE FROM giro.expirations";
    "what was refused is applied" is found by "C3":
        "UPDATE giro.decisions SET reason = NULL WHERE id = id(12)";
    "what was shed is applied" is found by "C3":
        "INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id(41), debit_account, credit_account, amount
           FROM giro.decisions WHERE id = id(40)";
    "what was not even sent is applied" is found by "C3":
        "INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id(42), debit_account, credit_account, amount
           FROM giro.decisions WHERE id = id(40)";
    "a transfer that nobody asked for" is found by "C4":
        "INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id(777), debit_account, credit_account, amount
           FROM giro.decisions WHERE id = id(40)";
    "a refusal that nobody asked for" is found by "C4":
        "INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id(777), debit_account, credit_account, amount,
                NULL, NULL, 'exceeds_credits' FROM giro.decisions WHERE id = id(40)";
    "a hold is released that does not expire" is found by "C4":
        "INSERT INTO giro.expirations SELECT ledger, id, seq + 1, now() FROM giro.decisions WHERE id = id(28)";
    "an account that nobody opened" is found by "C4":
        "INSERT INTO giro.account_state
         SELECT (jsonb_populate_record(s, jsonb_build_object('id', id(77)))).*
           FROM giro.account_state s WHERE id = id(9)";
    "a limit is loosened" is found by "C5":
        "UPDATE giro.account_state SET overdraft_limit = overdraft_limit + 1 WHERE id = id(3)";
    "a limit is taken away" is found by "C5":
        "UPDATE giro.account_state SET flags = flags & ~2 WHERE id = id(2)";
    "an amount is altered" is found by "C5":
        "UPDATE giro.decisions SET amount = amount + 1 WHERE id = id(18)";
    "what was left out of a post is not the hold's" is found by "C5":
        "UPDATE giro.decisions SET amount = 3 WHERE id = id(39)";
    "a refused amount is altered" is found by "C5":
        "UPDATE giro.decisions SET amount = amount + 1 WHERE id = id(12)";
    "a limit is breached in the middle of history" is found by "C6":
        "UPDATE giro.account_balances SET credits_posted = 59 WHERE account = id(2) AND version = 2";
    "the mirrored limit is breached" is found by "C6":
        "UPDATE giro.account_balances SET credits_posted = 108 WHERE account = id(3) AND version = 2";
    "money is created" is found by "C7":
        "UPDATE giro.account_state SET credits_posted = credits_posted + 1000 WHERE id = id(4)";
    "a balance drifts" is found by "C8":
        "UPDATE giro.account_state SET debits_posted = debits_posted + 5, credits_posted = credits_posted + 5
          WHERE id = id(7)";
    "a version is skipped at the end" is found by "C8":
        "UPDATE giro.account_state SET version = version + 1 WHERE id = id(7)";
    "the order is swapped" is found by "C9":
        "UPDATE giro.decisions d SET seq = o.seq FROM giro.decisions o
          WHERE (d.id, o.id) IN ((id(10), id(11)), (id(11), id(10)))";
    "a version is skipped in history" is found by "C9":
        "UPDATE giro.account_balances SET version = version + 1 WHERE account = id(2) AND version = 2";
    "a change is not what its transfer says" is found by "C9":
        "UPDATE giro.account_balances SET debits_pending = debits_pending + 1 WHERE account = id(2) AND version = 2";
    "a batch's total is altered" is found by "C10":
        "UPDATE giro.batches SET applied = applied + 1, items = items + 1
          WHERE id = (SELECT seq >> 16 FROM giro.decisions WHERE id = id(18))";
    "a batch is lost" is found by "C10":
        "DELETE FROM giro.batches WHERE id = (SELECT seq >> 16 FROM giro.decisions WHERE id = id(18))";
    "the order of an account is not that of its callers" is found by "C11":
        "", |files| { let late = files.of(18); (late.inv, late.ret) = (0, 0) };
    "a read is in no order with the transfers around it" is found by "C11": "", |files| {
        let first = files.read(2, 0).answer.clone();
        files.read(2, 1).answer = first;
    };
    "two callers have each other's answer" is found by "C12": "", |files| {
        let answer = files.of(10).answer.clone();
        files.of(10).answer = std::mem::replace(&mut files.of(18).answer, answer);
    };
    "a replay has another seq" is found by "C12": "", |files| {
        let Answer::Told(told) = &mut files.again(10).answer else { panic!("no answer") };
        let Told::Applied(applied) = &mut told[0] else { panic!("not applied") };
        applied.seq += 1;
    };
    "an id has two answers" is found by "C12":
        "", |files| files.again(12).answer = refused("exceeds_debits", true);
    "an id has two first answers" is found by "C12": "", |files| {
        files.again(10).answer = files.of(10).answer.clone();
    };
    "an altered repetition is told applied" is found by "C12": "", |files| {
        let answer = files.again(10).answer.clone();
        let altered = |attempt: &&mut Attempt| attempt.answer == refused("exists_with_different_amount", false);
        files.history.iter_mut().find(altered).unwrap().answer = answer;
    };
    "a refusal is not the one of the rules" is found by "C12":
        "", |files| files.of(13).answer = refused("pending_id_must_be_absent", false);
    "the database refuses what nothing is wrong with" is found by "C12":
        "", |files| files.of(13).answer = refused("refused_by_database", false);
    "a hold is refused to be posted for what it is not" is found by "C12":
        "", |files| files.of(26).answer = refused("pending_transfer_already_voided", false);
    "a known id is told to be free" is found by "C12":
        "", |files| files.again(12).answer = refused("accounts_must_be_different", false);
    "a final refusal is lost" is found by "C12": "DELETE FROM giro.decisions WHERE id = id(12)";
    "a chain fails and nothing broke it" is found by "C12": "", |files| {
        let failed = Told::Rejected { reason: "linked_event_failed".into(), replayed: false };
        files.of(36).answer = Answer::Told(vec![failed; 2]);
    };
    "a rejection that the model would have applied" is found by "C13":
        "INSERT INTO giro.decisions
         SELECT seq + 1, created_at, ledger, code, flags, id(60), id(1), id(4), 1, NULL, NULL, 'exceeds_credits'
           FROM giro.decisions WHERE id = id(40);
         UPDATE giro.batches SET rejected = rejected + 1, items = items + 1
          WHERE id = (SELECT seq >> 16 FROM giro.decisions WHERE id = id(40))",
        |files| {
            let Attempt { inv, ret, .. } = *files.of(18);
            let item = Item { id: 60, debit: 1, credit: 4, amount: Some(1), ..Item::default() };
            let asked = Asked::Transfers(vec![item]);
            let answer = refused("exceeds_credits", false);
            files.history.push(Attempt { caller: 2, server: 0, inv, ret, asked, answer });
        };
    "a limit was not applied" is found by "C13":
        "UPDATE giro.account_state SET flags = flags | 2 WHERE id = id(1)",
        |files| files.accounts[0].flags |= 2;
    "an account is lost" is found by "C13": "DELETE FROM giro.account_state WHERE id = id(9)";
    "a hold is released before its time" is found by "C13":
        "UPDATE giro.decisions SET timeout = 1000000 WHERE id = id(24)";
    "a hold is posted after its time" is found by "C13":
        "UPDATE giro.decisions SET timeout = 1, created_at = created_at - interval '1 minute' WHERE id = id(20)";
    "a hold is open long after its time" is found by "C13":
        "UPDATE giro.decisions SET timeout = 1, created_at = created_at - interval '2 minutes' WHERE id = id(28)";
    "a hold that was known is not found" is found by "C13":
        "UPDATE giro.decisions SET pending_id = id(28), seq = (SELECT max(seq) + 1 FROM giro.decisions)
          WHERE id = id(27)",
        |files| {
            let Attempt { inv, ret, .. } = *files.of(59);
            let attempt = files.of(27);
            (attempt.inv, attempt.ret) = (inv, ret);
            let Asked::Transfers(items) = &mut attempt.asked else { panic!("no transfer") };
            items[0].pending_id = Some(28);
        };
    "half of a chain is refused" is found by "C13":
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(31)";
    "a read is stale" is found by "C14": "", |files| {
        let first = files.read(2, 0).answer.clone();
        files.read(2, 1).answer = first;
    };
    "a read is of the future" is found by "C14": "", |files| {
        let second = files.read(2, 1).answer.clone();
        files.read(2, 0).answer = second;
    };
    "a read shows what never was" is found by "C14":
        "", |files| files.balances(8, 0).credits_posted += 1;
    "a read shows a version that never was" is found by "C14":
        "", |files| files.balances(8, 0).version += 100;
    "an account is not found" is found by "C14":
        "", |files| files.read(8, 0).answer = Answer::Absent;
    "a doubt is not resolved" is found by "C15": "", |files| {
        let in_doubt = |attempt: &Attempt| matches!(attempt.answer, Answer::None(_));
        files.history.retain(|attempt| !attempt.is_of(59) || in_doubt(attempt));
    };
    "what is known looks absent" is found by "C15": "", |files| {
        let look = |attempt: &&mut Attempt| attempt.asked == Asked::Transfer(52);
        let look = files.history.iter_mut().find(look).unwrap();
        (look.inv, look.ret, look.answer) = (u64::MAX - 1, u64::MAX - 1, Answer::Absent);
    };
    "what was applied looks refused" is found by "C15": "", |files| {
        let look = |attempt: &&mut Attempt| attempt.asked == Asked::Transfer(52);
        files.history.iter_mut().find(look).unwrap().answer = refused("exceeds_credits", true);
    };
    "the servers count more than they told" is found by "C16": "",
        |files| *files.metric("giro_transfers_total{outcome=\"applied\",reason=\"\"}") += 100.0;
    "the servers count less than they told" is found by "C16": "",
        |files| *files.metric("giro_transfers_total{outcome=\"rejected\",reason=\"exceeds_credits\"}") -= 3.0;
    "the queue holds something at rest" is found by "C16": "",
        |files| *files.metric("giro_queue_items{batcher=\"transfers\"}") = 1.0;
    "a server was given another's reply" is found by "C16": "",
        |files| *files.metric("giro_unknown_total{cause=\"echo\",function=\"apply_transfers\"}") = 1.0;
    "more replies are another's than were swapped" is found by "C16": "", |files| {
        *files.metric("giro_unknown_total{cause=\"echo\",function=\"apply_transfers\"}") = 3.0;
        let evidence = "shift-reply happened to 2 calls of server 0".into();
        let fault = "shift-reply".into();
        let span = FaultSpan { fault, crash_or_cut: false, evidence, ..files.faults[0].clone() };
        files.faults.push(span);
    };
    "a metric has another name" is found by "C16": "", |files| {
        let values = &mut files.scrapes[0].values;
        values.retain(|name, _| !name.starts_with("giro_batches_in_flight{"));
    };
    "a server was not looked at in the end" is found by "C16":
        "", |files| files.scrapes[0].at_rest = false;
    "nobody has read an account" is found by "looked at something":
        "", |files| files.history.retain(|attempt| !matches!(attempt.asked, Asked::Account(_)));
    "nobody was in doubt about what was applied" is found by "turned out to be applied":
        "", |files| files.forget_doubts(&[50, 51, 52, 53, 58]);
    "those in doubt were not the only ones" is found by "turned out to be applied": "", |files| {
        let told = |answer: &Answer| matches!(answer, Answer::Told(told) if matches!(told[..], [Told::Applied(_)]));
        for attempt in files.history.iter_mut().filter(|attempt| told(&attempt.answer)) {
            let Asked::Transfers(items) = &attempt.asked else { continue };
            if (50..=58).contains(&items[0].id) {
                attempt.inv = 1;
            }
        }
    };
    "nobody was in doubt about what was not" is found by "turned out not to be":
        "", |files| files.forget_doubts(&[54, 55, 56, 57]);
    "those in doubt were made while they were" is found by "turned out not to be": "", |files| {
        for id in 54..=57 {
            let lost = files.of(id);
            lost.ret = u64::MAX - 1;
            let look = |attempt: &Attempt| attempt.asked == Asked::Transfer(id);
            files.history.retain(|attempt| !look(attempt));
        }
    };
    "what was in doubt could not be applied" is found by "turned out not to be": "", |files| {
        for id in 54..=57 {
            let Asked::Transfers(items) = &mut files.of(id).asked else { panic!("no transfer") };
            items[0].amount = Some(0);
        }
    };
    "nothing was replayed" is found by "replayed": "", |files| {
        let replayed = |told: &Told| match told {
            Told::Applied(applied) => applied.replayed,
            Told::Rejected { replayed, .. } => *replayed,
            _ => false,
        };
        let has = |answer: &Answer| matches!(answer, Answer::Told(told) if told.iter().any(replayed));
        files.history.retain(|attempt| !has(&attempt.answer));
    };
    "a fault has no evidence" is found by "evidence": "",
        |files| files.faults[0].evidence = " ".into();
    "a crash met nobody" is found by "under way": "", |files| files.faults[0].in_flight = 1;
    "nothing crashed" is found by "crashes and cuts": "", |files| files.faults.clear();
};

fn refused(reason: &str, replayed: bool) -> Answer {
    Answer::Told(vec![Told::Rejected { reason: reason.into(), replayed }])
}

trait Names {
    /// Whether it asks for this transfer.
    fn is_of(&self, id: u64) -> bool;
}

impl Names for Attempt {
    fn is_of(&self, id: u64) -> bool {
        match &self.asked {
            Asked::Transfers(items) => items.iter().any(|item| item.id == id),
            Asked::Transfer(of) => *of == id,
            Asked::Account(_) => false,
        }
    }
}

impl Files {
    /// The first attempt for an id.
    fn of(&mut self, id: u64) -> &mut Attempt {
        self.history.iter_mut().find(|attempt| attempt.is_of(id)).expect("it was sent")
    }

    /// The second.
    fn again(&mut self, id: u64) -> &mut Attempt {
        self.history
            .iter_mut()
            .filter(|attempt| attempt.is_of(id))
            .nth(1)
            .expect("it was sent again")
    }

    /// A read of an account.
    fn read(&mut self, account: u64, number: usize) -> &mut Attempt {
        let of = |attempt: &&mut Attempt| attempt.asked == Asked::Account(account);
        self.history.iter_mut().filter(of).nth(number).expect("it was read")
    }

    fn balances(&mut self, account: u64, number: usize) -> &mut Balances {
        match &mut self.read(account, number).answer {
            Answer::Account(balances) => balances,
            _ => panic!("it was not read"),
        }
    }

    /// Attempts for these ids that nobody was told of.
    fn forget_doubts(&mut self, ids: &[u64]) {
        let doubt = |attempt: &Attempt| matches!(attempt.answer, Answer::None(_));
        let of = |attempt: &Attempt| ids.iter().any(|id| attempt.is_of(*id));
        self.history.retain(|attempt| !(doubt(attempt) && of(attempt)));
    }

    fn metric(&mut self, name: &str) -> &mut f64 {
        self.scrapes[0].values.get_mut(name).unwrap_or_else(|| panic!("no {name}"))
    }
}

const UNLOCK: &str = "
CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
ALTER TABLE giro.decisions DISABLE TRIGGER ALL;
ALTER TABLE giro.batches DISABLE TRIGGER ALL;
ALTER TABLE giro.expirations DISABLE TRIGGER ALL;
ALTER TABLE giro.account_balances DISABLE TRIGGER ALL";

#[tokio::test]
async fn a_sound_run_passes_and_whatever_is_planted_in_it_is_found() {
    let (sound, database) = small_run().await;
    let verdict = sound.check(&database).await;
    assert!(verdict.passes(), "{verdict}");
    assert_eq!(verdict.predicates.len(), 16);
    let idle: Vec<_> = verdict.predicates.iter().filter(|found| found.looked_at == 0).collect();
    assert!(idle.is_empty(), "looked at nothing: {idle:?}");

    let mut missed = Vec::new();
    for Corruption { name, finds, sql, plant } in CORRUPTIONS {
        let mut files = sound.clone();
        plant(&mut files);
        let verdict = match *sql {
            "" => files.check(&database).await,
            sql => {
                let copy = database.copy().await;
                let session = copy.superuser().await;
                session.batch_execute(UNLOCK).await.expect("the triggers are disabled");
                let planted = session.batch_execute(sql).await;
                planted.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                files.check(&copy).await
            }
        };
        let found = match verdict.predicate(finds) {
            Some(predicate) => predicate.violations > 0 && !predicate.examples.is_empty(),
            None => {
                let gate = verdict.gates.iter().find(|gate| gate.name.contains(finds));
                !gate.expect("a gate").passes()
            }
        };
        if !found || verdict.passes() {
            missed.push(format!("{name}, not found by {finds}:\n{verdict}"));
        }
    }
    assert!(missed.is_empty(), "missed {}: {}", missed.len(), missed.join("\n"));
}

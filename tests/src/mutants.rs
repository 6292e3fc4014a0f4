//! Faults that are put in on purpose, so that the tests show that they would be found. `tests/it/mutants.rs`
//! finds each.

use crate::TestDatabase;
use crate::database::connect;

/// A server, or its database, with one fault.
#[derive(Debug)]
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    /// What it does wrong.
    pub breaks: &'static str,
    /// The smallest that reveals it.
    pub revealed_by: &'static str,
    /// What a storm of some seconds finds, if it suffices, any of these: a predicate that does not hold, or
    /// what is in the sentence that breaks the storm off.
    pub by_the_storm: &'static [&'static str],
    switch: Switch,
}

/// How it is switched on.
#[derive(Debug)]
enum Switch {
    /// In the server, by `GIRO_MUTANT`.
    Server,
    /// In the database.
    Database {
        /// What stands once in `giro.apply_transfers`, and what stands there instead.
        texts: &'static [(&'static str, &'static str)],
        /// What else has to go.
        statement: &'static str,
    },
}

impl Mutant {
    /// What the environment of a server must say.
    pub fn environment(&self) -> Option<(&'static str, &'static str)> {
        match self.switch {
            Switch::Server => Some(("GIRO_MUTANT", self.name)),
            Switch::Database { .. } => None,
        }
    }

    /// Breaks a database, if it is there that something breaks.
    pub async fn enter(&self, database: &TestDatabase) {
        let Switch::Database { texts, statement } = self.switch else { return };
        let owner = connect(&database.owner_url).await;
        let definition = "SELECT pg_get_functiondef('giro.apply_transfers'::regproc)";
        let row = owner.query_one(definition, &[]).await.expect(definition);
        let mut function: String = row.get(0);
        for (text, instead) in texts {
            assert_eq!(function.matches(text).count(), 1, "{}: {text}", self.name);
            function = function.replace(text, instead);
        }
        owner.batch_execute(&function).await.expect("the function is replaced");
        owner.batch_execute(statement).await.expect(statement);
    }

    /// The one with this name.
    pub fn named(name: &str) -> &'static Self {
        let found = Self::ALL.iter().find(|mutant| mutant.name == name);
        found.unwrap_or_else(|| panic!("there is no mutant {name}"))
    }

    /// All of them.
    pub const ALL: &[Self] = &[
        Self {
            name: "ack-on-first-row",
            breaks: "A batch is answered when its row arrives, which is before its commit.",
            revealed_by: "A commit that fails: a deferred constraint trigger raises an error.",
            by_the_storm: &[],
            switch: Switch::Server,
        },
        Self {
            name: "believe-panic",
            breaks: "PANIC 58030 is taken for a proof that nothing was committed.",
            revealed_by: "An fdatasync of the write-ahead log fails (strace), and PostgreSQL recovers.",
            by_the_storm: &[],
            switch: Switch::Server,
        },
        Self {
            name: "ignore-warning",
            breaks: "A cancelled wait for the standby is taken for a commit that was replicated.",
            revealed_by: "The standby is halted, a wait cancelled, the primary killed and the standby promoted.",
            by_the_storm: &[],
            switch: Switch::Server,
        },
        Self {
            name: "reuse-timed-out-session",
            breaks: "A session that did not answer in time is used again.",
            revealed_by: "A halted backend: what comes after waits behind it.",
            by_the_storm: &[],
            switch: Switch::Server,
        },
        Self {
            name: "swap-results",
            breaks: "Two callers of one batch get each other's result.",
            revealed_by: "A batch of one transfer that is applied and one that is refused.",
            // Whose results are swapped is chance: of a bulk and a single transfer, or of two of a kind.
            by_the_storm: &["items, not", "C1"],
            switch: Switch::Server,
        },
        Self {
            name: "no-id-check-on-resend",
            breaks: "A batch that is sent again is judged again, and no unique index stands behind.",
            revealed_by: "A session that is cut behind Sync: it has committed, and nobody was told.",
            by_the_storm: &["C2"],
            switch: Switch::Database {
                texts: &[(
                    "WHERE k.ledger = u.ledger AND k.id = u.id OFFSET 0) AS k ON true) THEN",
                    "WHERE false OFFSET 0) AS k ON true) THEN",
                )],
                statement: "ALTER TABLE giro.decisions DROP CONSTRAINT decisions_pkey",
            },
        },
        Self {
            name: "rejection-not-recorded",
            breaks: "A refusal is answered and forgotten.",
            revealed_by: "A transfer that is refused, then money for it, then the same id again.",
            by_the_storm: &["C3"],
            switch: Switch::Database {
                texts: &[(
                    "WHERE u.recorded
         ORDER BY",
                    "WHERE u.recorded AND u.reason IS NULL
         ORDER BY",
                )],
                statement: "",
            },
        },
        Self {
            name: "limit-off-by-one",
            breaks: "An account may go past its limit by one.",
            revealed_by: "A debit of one more than there is.",
            by_the_storm: &["C6"],
            switch: Switch::Database {
                texts: &[(
                    "> credits_posted[d] + overdrafts[d] THEN 'exceeds_credits'",
                    "> credits_posted[d] + overdrafts[d] + 1 THEN 'exceeds_credits'",
                )],
                statement: "",
            },
        },
        Self {
            name: "unsorted-locks",
            breaks: "Accounts are locked in the order in which transfers name them.",
            revealed_by: "Two servers with batches that need two accounts the other way round.",
            by_the_storm: &[],
            switch: Switch::Database {
                texts: &[(
                    "    ELSE
        WITH taken AS (",
                    "    ELSE
        FOR i IN 1 .. n LOOP
            PERFORM FROM giro.account_state s
              WHERE s.ledger = ledgers[i] AND s.id = account_ids[debit_accounts[i]]
                FOR NO KEY UPDATE;
            PERFORM FROM giro.account_state s
              WHERE s.ledger = ledgers[i] AND s.id = account_ids[credit_accounts[i]]
                FOR NO KEY UPDATE;
        END LOOP;
        WITH taken AS (",
                )],
                statement: "",
            },
        },
        Self {
            name: "drop-on-bisect",
            breaks: "A batch that is cut in two loses a request.",
            revealed_by: "One transfer in a batch of four that PostgreSQL refuses.",
            by_the_storm: &[],
            switch: Switch::Server,
        },
        Self {
            name: "new-id-on-retry",
            breaks: "A batch that is sent again has new ids.",
            revealed_by: "A session that is cut behind Sync: it has committed, and nobody was told.",
            by_the_storm: &["C5"],
            switch: Switch::Server,
        },
        Self {
            name: "duplicates-write-nothing",
            breaks: "A batch of nothing but repeats locks and writes nothing, so its commit waits for no standby.",
            revealed_by: "The standby is halted, a wait cancelled, the primary killed and the standby promoted.",
            by_the_storm: &[],
            switch: Switch::Database {
                texts: &[(
                    "    -- Lock the accounts in ascending order",
                    "    dry_run := dry_run OR n > 0 AND (
        SELECT bool_and(EXISTS (SELECT FROM giro.decisions k
                                 WHERE k.ledger = u.ledger AND k.id = u.id))
          FROM unnest(ledgers, ids) AS u (ledger, id));
    -- Lock the accounts in ascending order",
                )],
                statement: "",
            },
        },
        Self {
            name: "fence-before-locks",
            breaks: "A call looks at its fence before it waits for its locks, and not after.",
            revealed_by: "A lock that is held until the fence of the call behind it has passed.",
            by_the_storm: &[],
            switch: Switch::Database {
                texts: &[
                    ("IF taken_at > not_after THEN", "IF false THEN"),
                    (
                        "have been waited for as well.
    IF clock_timestamp() > not_after THEN",
                        "have been waited for as well.
    IF false THEN",
                    ),
                    (
                        "    -- Lock the accounts in ascending order",
                        "    IF clock_timestamp() > not_after THEN
        RAISE EXCEPTION 'the batch comes only after %', not_after USING ERRCODE = 'GR001';
    END IF;
    -- Lock the accounts in ascending order",
                    ),
                ],
                statement: "",
            },
        },
    ];
}

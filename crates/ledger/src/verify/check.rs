use serde::{Serialize, Serializer};

/// What is checked: name, and what holds in a sound ledger.
macro_rules! checks {
    ($($variant:ident $name:literal $of:literal $meaning:literal;)+) => {
        /// A property that every sound ledger has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Check {
            $(#[doc = $meaning] $variant,)+
        }

        impl Check {
            /// Every check, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, which does not change from version to version.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it looks at.
            pub fn of(self) -> &'static str {
                match self { $(Self::$variant => $of),+ }
            }

            /// What holds when it finds nothing, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

checks! {
    DebitsEqualCredits "debits_equal_credits" "ledgers" "In every ledger debits equal credits, pending and posted.";
    AccountsExist "accounts_exist" "accounts" "Every account that was created, or that a transfer names, is there once.";
    BalancesAreFolds "balances_are_folds" "accounts" "Every balance is the fold of the account's transfers and expired holds.";
    VersionsAreGapless "versions_are_gapless" "accounts" "An account's version counts its transfers and expired holds.";
    OrderIsKept "order_is_kept" "movements" "seq is unique, time never runs back along an account, and both agree with the batch.";
    LimitsHold "limits_hold" "movements" "No account was ever past its limit, or past 2^128-1.";
    ClosedAccountsRest "closed_accounts_rest" "movements" "An account is closed exactly while a closing hold on it is open, and then only released.";
    HistoryAgrees "history_agrees" "history rows" "The balance history has the balances after each transfer, and nothing else.";
    HoldsResolveOnce "holds_resolve_once" "holds" "What is posted, voided or expired is a hold, and no hold is so twice.";
    ResolutionsMatchHolds "resolutions_match_holds" "resolutions" "A resolution comes after its hold and in time, with its accounts and code, for no more than it holds.";
    OpenHoldsAgree "open_holds_agree" "holds" "A hold waits for its expiry exactly while it has one and is open.";
    DecisionsAreValid "decisions_are_valid" "decisions" "Every transfer, refusal and account has values that the ledger accepts.";
    ChainsAreWhole "chains_are_whole" "transfers" "A linked transfer is followed by the next one of its chain.";
    ListsAreWhole "lists_are_whole" "transfers" "Every transfer names the one before it on each of its accounts, and every account its last.";
    RejectionsAreNotApplied "rejections_are_not_applied" "rejections" "A refused transfer has moved nothing.";
    BatchesAgree "batches_agree" "batches" "The totals of every batch are those of what it has decided.";
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

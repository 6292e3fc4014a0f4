use serde::{Serialize, Serializer};

/// Why a transfer or an account was refused, in order of precedence: name, and what it means.
macro_rules! reasons {
    ($($variant:ident $name:literal $meaning:literal;)+) => {
        /// Why a transfer or an account was judged and refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)+
        }

        impl Reason {
            /// Every reason, in order of precedence.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as SQL and JSON carry it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One sentence for a person.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }

            /// The reason of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

reasons! {
    IdMustNotBeZero "id_must_not_be_zero" "The id is zero.";
    IdMustNotBeMax "id_must_not_be_max" "The id is 2^128-1.";
    ExistsWithDifferentFlags "exists_with_different_flags" "The id is taken, with other flags.";
    ExistsWithDifferentPendingId "exists_with_different_pending_id" "The id is taken, with another pending_id.";
    ExistsWithDifferentTimeout "exists_with_different_timeout" "The id is taken, with another timeout.";
    ExistsWithDifferentDebitAccount "exists_with_different_debit_account" "The id is taken, with another debit account.";
    ExistsWithDifferentCreditAccount "exists_with_different_credit_account" "The id is taken, with another credit account.";
    ExistsWithDifferentAmount "exists_with_different_amount" "The id is taken, with another amount.";
    ExistsWithDifferentReference "exists_with_different_reference" "The id is taken, with another reference.";
    ExistsWithDifferentMetadata "exists_with_different_metadata" "The id is taken, with other metadata.";
    ExistsWithDifferentOverdraftLimit "exists_with_different_overdraft_limit" "The id is taken, with another overdraft limit.";
    ExistsWithDifferentCode "exists_with_different_code" "The id is taken, with another code.";
    NotSupported "not_supported" "This version of Giro does not know how to apply these flags.";
    FlagsAreMutuallyExclusive "flags_are_mutually_exclusive" "Two of the flags exclude each other.";
    DebitAccountMustNotBeZero "debit_account_must_not_be_zero" "The debit account's id is zero.";
    DebitAccountMustNotBeMax "debit_account_must_not_be_max" "The debit account's id is 2^128-1.";
    CreditAccountMustNotBeZero "credit_account_must_not_be_zero" "The credit account's id is zero.";
    CreditAccountMustNotBeMax "credit_account_must_not_be_max" "The credit account's id is 2^128-1.";
    AccountsMustBeDifferent "accounts_must_be_different" "Debit and credit account are the same.";
    PendingIdMustBeAbsent "pending_id_must_be_absent" "Only posting or voiding a hold takes a pending_id.";
    TimeoutReservedForPendingTransfer "timeout_reserved_for_pending_transfer" "Only a hold takes a timeout.";
    LedgerMustNotBeZero "ledger_must_not_be_zero" "The ledger is zero.";
    CodeMustNotBeZero "code_must_not_be_zero" "The code is zero.";
    DebitAccountNotFound "debit_account_not_found" "The ledger has no such debit account.";
    CreditAccountNotFound "credit_account_not_found" "The ledger has no such credit account.";
    AccountsMustHaveTheSameLedger "accounts_must_have_the_same_ledger" "The accounts belong to different ledgers.";
    TransferMustHaveTheSameLedgerAsAccounts "transfer_must_have_the_same_ledger_as_accounts" "The accounts belong to another ledger.";
    OverflowsDebitsPosted "overflows_debits_posted" "The debit account's posted debits would exceed 2^128-1.";
    OverflowsCreditsPosted "overflows_credits_posted" "The credit account's posted credits would exceed 2^128-1.";
    OverflowsDebits "overflows_debits" "The debit account's debits would exceed 2^128-1.";
    OverflowsCredits "overflows_credits" "The credit account's credits would exceed 2^128-1.";
    ExceedsCredits "exceeds_credits" "The debit account would go past its limit.";
    ExceedsDebits "exceeds_debits" "The credit account would go past its limit.";
}

impl Reason {
    /// Whether a refusal for this reason depends on state and is therefore recorded: the id is burnt,
    /// and the same answer is given forever. Any other refusal leaves the id free.
    pub fn is_recorded(self) -> bool {
        matches!(
            self,
            Self::DebitAccountNotFound
                | Self::CreditAccountNotFound
                | Self::ExceedsCredits
                | Self::ExceedsDebits
        )
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

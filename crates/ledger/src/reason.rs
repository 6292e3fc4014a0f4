use serde::{Serialize, Serializer};

/// Why a transfer or an account was refused, in order of precedence: name, marks and what it means.
/// `burns`: the refusal depends on state and is recorded for good. `retry`: worth another try. The
/// functions give all of them but the last, which the server gives when a call fails by one item alone.
macro_rules! reasons {
    ($($variant:ident $name:literal $($mark:ident)* $meaning:literal;)+) => {
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

            fn marks(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$(stringify!($mark)),*]),+ }
            }

            /// The reason of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

reasons! {
    LinkedEventFailed "linked_event_failed" retry "Another member of the chain was refused, so none of it was applied.";
    LinkedEventChainOpen "linked_event_chain_open" "The request's last item is still linked: the chain has no end.";
    ImportedEventExpected "imported_event_expected" "The request's first item is imported, so all must be.";
    ImportedEventNotExpected "imported_event_not_expected" "The request's first item is not imported, so none may be.";
    TimestampMustBeAbsent "timestamp_must_be_absent" "Only an import carries a timestamp.";
    ImportedEventTimestampMustNotAdvance "imported_event_timestamp_must_not_advance" "The timestamp is not in the past.";
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
    Exists "exists" "The id, or one derived from it, was decided before, but not the whole chain.";
    FlagsAreMutuallyExclusive "flags_are_mutually_exclusive" "Two of the flags exclude each other.";
    DebitAccountMustNotBeZero "debit_account_must_not_be_zero" "The debit account's id is zero.";
    DebitAccountMustNotBeMax "debit_account_must_not_be_max" "The debit account's id is 2^128-1.";
    CreditAccountMustNotBeZero "credit_account_must_not_be_zero" "The credit account's id is zero.";
    CreditAccountMustNotBeMax "credit_account_must_not_be_max" "The credit account's id is 2^128-1.";
    AccountsMustBeDifferent "accounts_must_be_different" "Debit and credit account are the same.";
    PendingIdMustBeAbsent "pending_id_must_be_absent" "Only posting or voiding a hold takes a pending_id.";
    PendingIdMustNotBeZero "pending_id_must_not_be_zero" "The pending_id is zero.";
    PendingIdMustNotBeMax "pending_id_must_not_be_max" "The pending_id is 2^128-1.";
    PendingIdMustBeDifferent "pending_id_must_be_different" "The pending_id is the transfer's own id.";
    TimeoutReservedForPendingTransfer "timeout_reserved_for_pending_transfer" "Only a hold takes a timeout.";
    ClosingTransferMustBePending "closing_transfer_must_be_pending" "Only a hold can close an account.";
    LedgerMustNotBeZero "ledger_must_not_be_zero" "The ledger is zero.";
    CodeMustNotBeZero "code_must_not_be_zero" "The code is zero.";
    Cancelled "cancelled" burns "The id was settled by a cancel before any transfer was decided under it.";
    DebitAccountNotFound "debit_account_not_found" burns retry "The ledger has no such debit account.";
    CreditAccountNotFound "credit_account_not_found" burns retry "The ledger has no such credit account.";
    AccountsMustHaveTheSameLedger "accounts_must_have_the_same_ledger" "The accounts belong to different ledgers.";
    TransferMustHaveTheSameLedgerAsAccounts "transfer_must_have_the_same_ledger_as_accounts" "The accounts belong to another ledger.";
    PendingTransferNotFound "pending_transfer_not_found" burns retry "The ledger has no such hold, or no chain that begins with it.";
    PendingTransferNotPending "pending_transfer_not_pending" "The transfer that pending_id names is not a hold.";
    PendingTransferHasDifferentDebitAccount "pending_transfer_has_different_debit_account" "The hold has another debit account.";
    PendingTransferHasDifferentCreditAccount "pending_transfer_has_different_credit_account" "The hold has another credit account.";
    PendingTransferHasDifferentLedger "pending_transfer_has_different_ledger" "The hold's accounts belong to another ledger.";
    PendingTransferHasDifferentCode "pending_transfer_has_different_code" "The hold has another code.";
    ExceedsPendingTransferAmount "exceeds_pending_transfer_amount" "The amount is more than the hold's.";
    PendingTransferHasDifferentAmount "pending_transfer_has_different_amount" "A void takes exactly the hold's amount, or none.";
    PendingTransferAlreadyPosted "pending_transfer_already_posted" "The hold has been posted.";
    PendingTransferAlreadyVoided "pending_transfer_already_voided" "The hold has been voided.";
    PendingTransferExpired "pending_transfer_expired" "The hold's time is over.";
    ImportedEventTimestampMustNotRegress "imported_event_timestamp_must_not_regress" "The timestamp is not later than the last import's, or than the account's last transfer.";
    ImportedEventTimestampMustPostdateDebitAccount "imported_event_timestamp_must_postdate_debit_account" "The debit account is not older than the timestamp.";
    ImportedEventTimestampMustPostdateCreditAccount "imported_event_timestamp_must_postdate_credit_account" "The credit account is not older than the timestamp.";
    ImportedEventTimeoutMustBeZero "imported_event_timeout_must_be_zero" "An imported hold takes no timeout.";
    DebitAccountAlreadyClosed "debit_account_already_closed" burns retry "The debit account is closed.";
    CreditAccountAlreadyClosed "credit_account_already_closed" burns retry "The credit account is closed.";
    OverflowsDebitsPending "overflows_debits_pending" "The debit account's pending debits would exceed 2^128-1.";
    OverflowsCreditsPending "overflows_credits_pending" "The credit account's pending credits would exceed 2^128-1.";
    OverflowsDebitsPosted "overflows_debits_posted" "The debit account's posted debits would exceed 2^128-1.";
    OverflowsCreditsPosted "overflows_credits_posted" "The credit account's posted credits would exceed 2^128-1.";
    OverflowsDebits "overflows_debits" "The debit account's debits would exceed 2^128-1.";
    OverflowsCredits "overflows_credits" "The credit account's credits would exceed 2^128-1.";
    OverflowsTimeout "overflows_timeout" "The hold would expire after the last moment that PostgreSQL knows.";
    VersionMismatch "version_mismatch" burns retry "An account is no longer at the version that was expected.";
    ExceedsCredits "exceeds_credits" burns retry "The debit account would go past its limit.";
    ExceedsDebits "exceeds_debits" burns retry "The credit account would go past its limit.";
    RefusedByDatabase "refused_by_database" "PostgreSQL raised an error for this transfer alone; the server's log names it.";
}

impl Reason {
    /// The name in words, to head a message.
    pub fn title(self) -> String {
        let mut title = self.name().replace('_', " ");
        title[..1].make_ascii_uppercase();
        title
    }

    /// Whether a refusal for this reason depends on state and is therefore recorded: the id is burnt,
    /// and the same answer is given forever. Any other refusal leaves the id free, except that the
    /// members of a chain which such a refusal broke are recorded as `linked_event_failed`.
    pub fn is_recorded(self) -> bool {
        self.marks().contains(&"burns")
    }

    /// Whether the same transfer may be applied under a new id, once the state has changed.
    pub fn is_worth_retrying(self) -> bool {
        self.marks().contains(&"retry")
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

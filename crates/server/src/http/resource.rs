use giro_ledger::{
    AccountInput, AccountRecord, ApplyTransfers, ArrayCall, CreateAccounts, FieldError, Id,
    NewAccount, Transfer, TransferInput, TransferRecord,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can be posted, one or many at a time: how JSON becomes an item of an array function, and its
/// verdict JSON again.
pub(crate) trait Resource: Send + Sync + 'static {
    /// The array function that judges it.
    type Call: ArrayCall;
    /// As it comes in.
    type Input: DeserializeOwned + Send;
    /// As it is returned once applied.
    type Record: Serialize;
    /// For metrics and messages.
    const PLURAL: &'static str;

    /// A valid item.
    fn parse(input: Self::Input) -> Result<Item<Self>, FieldError>;
    /// The id, to be set from `Idempotency-Key`.
    fn input_id(input: &mut Self::Input) -> &mut Option<Id>;
    /// The item's id.
    fn id(item: &Item<Self>) -> Id;
    /// Whether the next item of the request is of the same chain.
    fn is_linked(item: &Item<Self>) -> bool;
    /// Bytes it takes in a batch.
    fn bytes(item: &Item<Self>) -> usize;
    /// What came in, with what the ledger added, now or before.
    fn record(item: Item<Self>, applied: Applied<Self>, replayed: bool) -> Self::Record;
}

/// One item of a resource.
pub(crate) type Item<R> = <<R as Resource>::Call as ArrayCall>::Item;
/// What the ledger adds to it.
pub(crate) type Applied<R> = <<R as Resource>::Call as ArrayCall>::Applied;

/// `POST /transfer`, `POST /transfers`
pub(crate) struct Transfers;

impl Resource for Transfers {
    type Call = ApplyTransfers;
    type Input = TransferInput;
    type Record = TransferRecord;
    const PLURAL: &'static str = "transfers";

    fn parse(input: TransferInput) -> Result<Transfer, FieldError> {
        Transfer::new(input)
    }

    fn input_id(input: &mut TransferInput) -> &mut Option<Id> {
        &mut input.id
    }

    fn id(item: &Transfer) -> Id {
        item.id()
    }

    fn is_linked(item: &Transfer) -> bool {
        item.is_linked()
    }

    fn bytes(item: &Transfer) -> usize {
        item.bytes()
    }

    fn record(
        item: Transfer,
        applied: giro_ledger::AppliedTransfer,
        replayed: bool,
    ) -> TransferRecord {
        TransferRecord::new(item, applied, replayed)
    }
}

/// `POST /account`, `POST /accounts`
pub(crate) struct Accounts;

impl Resource for Accounts {
    type Call = CreateAccounts;
    type Input = AccountInput;
    type Record = AccountRecord;
    const PLURAL: &'static str = "accounts";

    fn parse(input: AccountInput) -> Result<NewAccount, FieldError> {
        NewAccount::new(input)
    }

    fn input_id(input: &mut AccountInput) -> &mut Option<Id> {
        &mut input.id
    }

    fn id(item: &NewAccount) -> Id {
        item.id()
    }

    fn is_linked(item: &NewAccount) -> bool {
        item.is_linked()
    }

    fn bytes(item: &NewAccount) -> usize {
        item.bytes()
    }

    fn record(item: NewAccount, applied: giro_ledger::CreatedAccount, _: bool) -> AccountRecord {
        AccountRecord::new(item, applied)
    }
}

use crate::http::problem;
use crate::outcome::{Outcome, ShedReason};
use giro_ledger::Reason;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// The types that the paths name, and what these are made of.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// A reference to a type.
    pub(super) fn of<T: ToSchema>(&mut self) -> Ref {
        self.named::<T>(&T::name())
    }

    /// A reference to a type whose own name is too general.
    pub(super) fn named<T: ToSchema>(&mut self, name: &str) -> Ref {
        self.add(name.to_owned(), T::schema());
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        for (name, schema) in parts {
            self.add(name, schema);
        }
        Ref::from_schema_name(name)
    }

    fn add(&mut self, name: String, schema: RefOr<Schema>) {
        self.0.entry(name).or_insert(schema);
    }

    pub(super) fn finish(mut self) -> BTreeMap<String, RefOr<Schema>> {
        self.of::<problem::Body>();
        self.of::<Reason>();
        self.of::<ShedReason>();
        self.0
    }
}

/// A problem with one outcome.
pub(super) fn problem(outcome: Outcome) -> RefOr<Schema> {
    also(ObjectBuilder::new().property("outcome", only(outcome)).required("outcome"))
}

/// A problem with one outcome and a reason of one type.
pub(super) fn problem_with<R: ToSchema>(outcome: Outcome) -> RefOr<Schema> {
    also(with_reason::<R>(outcome).required("reason"))
}

/// A problem with one outcome and perhaps a reason of one type.
pub(super) fn problem_perhaps_with<R: ToSchema>(outcome: Outcome) -> RefOr<Schema> {
    also(with_reason::<R>(outcome))
}

fn with_reason<R: ToSchema>(outcome: Outcome) -> ObjectBuilder {
    let reason = Ref::from_schema_name(R::name());
    ObjectBuilder::new()
        .property("outcome", only(outcome))
        .required("outcome")
        .property("reason", reason)
}

fn also(more: ObjectBuilder) -> RefOr<Schema> {
    Schema::from(AllOfBuilder::new().item(any_problem()).item(more)).into()
}

/// A problem with or without an outcome.
pub(super) fn any_problem() -> Ref {
    Ref::from_schema_name(<problem::Body as ToSchema>::name())
}

pub(in crate::http) fn only_applied() -> RefOr<Schema> {
    only(Outcome::Applied)
}

pub(in crate::http) fn only_rejected() -> RefOr<Schema> {
    only(Outcome::Rejected)
}

fn only(outcome: Outcome) -> RefOr<Schema> {
    let one = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([outcome.label()]));
    Schema::from(one).into()
}

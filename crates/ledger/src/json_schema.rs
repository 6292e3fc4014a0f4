//! What the values look like in JSON, for the OpenAPI document. Where they are read (`…Input`) they may
//! be written in several ways, where they are returned in one.

use crate::{AccountFlags, Amount, Id, Metadata, Reason, Reference, Timestamp, TransferFlags};
use serde_json::{Value, json};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type,
};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};
use utoipa::{Number, PartialSchema, ToSchema};

/// Stands for [`Id`] where it is read.
pub(crate) struct IdInput;
/// Stands for [`Amount`] where it is read.
pub(crate) struct AmountInput;
/// Stands for an account's version where it is read.
pub(crate) struct VersionInput;
/// Stands for [`Timestamp`] where it is read.
pub(crate) struct TimestampInput;
/// Stands for a hold's time-out.
pub(crate) struct Seconds;
/// Stands for a 64-bit integer where it is returned.
pub(crate) struct Counter;

macro_rules! schemas {
    ($($type:ident: $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                Schema::from($schema).into()
            }
        }

        impl ToSchema for $type {}
    )+};
}

schemas! {
    Id: text("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
        .format(Some(SchemaFormat::Custom("uuid".into())))
        .examples(["00000000-0000-0000-0000-000000000001"]);
    IdInput: AnyOfBuilder::new()
        .description(Some(
            "An id: a UUID, or the same 128 bits as a whole number (a JSON integer or a decimal string)",
        ))
        .item(text(&id_pattern()))
        .item(integer(BEYOND_128_BITS))
        .examples(["0192f0c1-2345-7000-8000-000000000001"]);
    Amount: text("^(0|[1-9][0-9]{0,38})$")
        .description(Some("A whole number from 0 to 2^128-1"))
        .examples(["60"]);
    AmountInput: AnyOfBuilder::new()
        .description(Some("A whole number from 0 to 2^128-1, as a JSON integer or a decimal string"))
        .item(text("^[0-9]{1,39}$"))
        .item(integer(BEYOND_128_BITS))
        .examples(["60"]);
    Counter: text("^(0|[1-9][0-9]{0,18})$")
        .description(Some("A whole number from 0 to 2^63-1"))
        .examples(["131073"]);
    VersionInput: AnyOfBuilder::new()
        .description(Some("A whole number from 0 to 2^63-1, as a JSON integer or a decimal string"))
        .item(text("^[0-9]{1,19}$"))
        .item(integer(Number::UInt(1 << 63)))
        .examples(["1"]);
    Seconds: integer(Number::UInt(1 << 63));
    Timestamp: moment("[.][0-9]{6}").description(Some("A moment in UTC"));
    TimestampInput: timestamp();
    Reference: text("^[^\\x00]*$")
        .max_length(Some(Reference::CHARS_MAX))
        .description(Some("The caller's own text, without U+0000"));
    Metadata: ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .description(Some(format!(
            "The caller's own object: at most {} bytes of JSON, no U+0000 in any text, no number with \
             an exponent beyond 99",
            Metadata::BYTES_MAX
        )))
        .examples([json!({"order": 1})]);
    TransferFlags: ArrayBuilder::new()
        .items(names("A set of:", TransferFlags::MEANINGS.iter().copied()));
    AccountFlags: ArrayBuilder::new()
        .items(names("A set of:", AccountFlags::MEANINGS.iter().copied()));
    Reason: reasons();
}

/// 2^128, the first number that is too large; a double holds it exactly.
const BEYOND_128_BITS: Number =
    Number::Float(340_282_366_920_938_463_463_374_607_431_768_211_456.0);

/// An id as text: in a path, a parameter, a header or a JSON string.
pub fn id_pattern() -> String {
    let hex = "[0-9A-Fa-f]";
    format!("^({hex}{{8}}-{hex}{{4}}-{hex}{{4}}-{hex}{{4}}-{hex}{{12}}|[0-9]{{1,39}})$")
}

/// A moment as text: in a parameter or a JSON string.
pub fn timestamp() -> ObjectBuilder {
    moment("([.][0-9]{1,9})?").description(Some(
        "A moment in UTC, from 1970 on; digits beyond the microsecond are dropped",
    ))
}

/// A string that is one of several names, each with its meaning: in the description for people, as
/// `x-enum-descriptions` for generators.
pub fn names<'a>(
    description: &str,
    meanings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> ObjectBuilder {
    let (names, meanings): (Vec<&str>, Vec<&str>) = meanings.into_iter().unzip();
    let line = |(name, meaning)| format!("\n- `{name}`: {meaning}");
    let list: String = names.iter().zip(&meanings).map(line).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("{description}\n{list}")))
        .enum_values(Some(names))
        .extensions(Some(ExtensionsBuilder::new().add("x-enum-descriptions", meanings).build()))
}

fn reasons() -> ObjectBuilder {
    let row = |reason: &Reason| {
        let mark = |has, mark| if has { mark } else { "" };
        let recorded = mark(reason.is_recorded(), "**F**");
        let retry = mark(reason.is_worth_retrying(), "**R**");
        format!("| `{}` | {} | {recorded} | {retry} |\n", reason.name(), reason.meaning())
    };
    let rows: String = Reason::ALL.iter().map(row).collect();
    let marks = |reason: &Reason| {
        json!({
            "name": reason.name(),
            "title": reason.title(),
            "meaning": reason.meaning(),
            "recorded": reason.is_recorded(),
            "worth_retrying": reason.is_worth_retrying(),
        })
    };
    // One extension only: utoipa writes several in any order.
    let marks: Vec<Value> = Reason::ALL.iter().map(marks).collect();
    let extensions = ExtensionsBuilder::new().add("x-reasons", marks).build();
    ObjectBuilder::new().schema_type(Type::String)
        .description(Some(format!(
            "Why a transfer or an account was refused, in order of precedence. **F** (`recorded` in `x-reasons`): \
             final, the id is burnt; the others leave the id free. **R** (`worth_retrying`): the same \
             transfer may be applied under a new id, once the state has changed.\n\n\
             | reason | means | | |\n| --- | --- | --- | --- |\n{rows}"
        )))
        .enum_values(Some(Reason::ALL.iter().map(|reason| reason.name())))
        .extensions(Some(extensions))
}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn integer(beyond: Number) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(Number::UInt(0)))
        .exclusive_maximum(Some(beyond))
}

/// RFC 3339 in UTC; `fraction` is the pattern of what follows the seconds.
fn moment(fraction: &str) -> ObjectBuilder {
    let time = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}";
    text(&format!("^{time}{fraction}Z$")).format(Some(SchemaFormat::Custom("date-time".into())))
}

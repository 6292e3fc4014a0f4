//! Foreign text: names, and what sessions call themselves. Whoever may connect chooses it, and whoever reads
//! a report pastes from it: it is quoted where it is SQL, never stands in a comment of SQL, and moves no
//! cursor where it is shown.

use std::fmt::{Display, Formatter, Result, Write};

/// Words that are no name unless they are quoted, with those that only name functions and types.
const RESERVED: &str = "
 all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
 column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
 current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
 from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
 localtime localtimestamp natural none not notnull null offset on only or order outer overlaps placing primary public
 references returning right select session_user similar some symmetric system_user table tablesample then to trailing
 true union unique user using variadic verbose when where window with";

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !RESERVED.split_whitespace().any(|word| word == name) {
        return name.to_owned();
    }
    let doubled = name.replace('"', "\"\"");
    if !name.contains(is_hidden) {
        return format!("\"{doubled}\"");
    }
    let mut text = String::from("U&\"");
    for c in doubled.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            hidden if is_hidden(hidden) => text += &format!("\\{:04X}", hidden as u32),
            other => text.push(other),
        }
    }
    text + "\""
}

/// A table or index as SQL has it.
pub(super) fn quoted_in(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// A text as SQL has it, whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    if text.chars().all(|c| c != '\'' && c != '\\' && !is_hidden(c)) {
        return format!("'{text}'");
    }
    let mut escaped = String::from("E'");
    for c in text.chars() {
        match c {
            '\'' => escaped.push_str("''"),
            '\\' => escaped.push_str("\\\\"),
            hidden if is_hidden(hidden) => escaped += &format!("\\u{:04X}", hidden as u32),
            other => escaped.push(other),
        }
    }
    escaped + "'"
}

/// What locks everybody out, though for a moment: while it waits for its lock, all batches wait behind it, so it
/// gives up soon. What is pasted after it may wait again: an index that is made CONCURRENTLY has to.
pub(super) fn briefly(statements: &str) -> String {
    format!("SET lock_timeout = '1s';\n{statements}\nRESET lock_timeout;")
}

/// What a reader does not see as it is: controls of a terminal, ends of lines, and what turns the direction of
/// writing. All have four hexadecimal digits.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text as a terminal may have it, in one line.
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.to_string().chars() {
            f.write_char(if is_hidden(c) { '\u{fffd}' } else { c })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_where_it_must_be() {
        for (name, expected) in [
            ("giro_app", "giro_app"),
            ("user", "\"user\""),
            ("Alice", "\"Alice\""),
            ("1st", "\"1st\""),
            ("", "\"\""),
            ("a\"; DROP TABLE b; --", "\"a\"\"; DROP TABLE b; --\""),
            ("a\\b\n\"c", "U&\"a\\\\b\\000A\"\"c\""),
        ] {
            assert_eq!(quoted(name), expected);
        }
        assert_eq!(quoted_in("giro", "Order"), "giro.\"Order\"");
    }

    #[test]
    fn a_text_stays_within_its_quotes() {
        for (text, expected) in [
            ("plain -- text", "'plain -- text'"),
            ("nobody's", "E'nobody''s'"),
            ("a\\'\n", "E'a\\\\''\\u000A'"),
            ("\u{9b}2J\u{202e}", "E'\\u009B2J\\u202E'"),
        ] {
            assert_eq!(literal(text), expected);
        }
    }

    #[test]
    fn what_is_shown_moves_no_cursor() {
        assert_eq!(Shown("a\u{1b}[2J\n\u{9b}\u{7f}é└").to_string(), "a�[2J���é└");
    }
}

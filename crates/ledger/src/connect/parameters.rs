//! A connection string taken apart, as libpq does it: a URL, or `key=value` pairs. What the names
//! and values mean is said elsewhere.

use super::error::UrlError;
use percent_encoding::percent_decode_str;

/// Names and values in the order in which they were written; of two with one name the later counts.
pub(super) type Parameters = Vec<(String, String)>;

/// Takes a connection string apart. Several hosts are one `host` with commas, and so are ports.
pub(super) fn parse(text: &str) -> Result<Parameters, UrlError> {
    let text = text.trim();
    let url = ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => parse_url(rest),
        None if has_scheme(text) => Err(UrlError::Malformed("its scheme is not postgresql")),
        None => parse_pairs(text),
    }
}

/// Whether it is a URL of something else: the value of a pair may have `://` in it as well.
fn has_scheme(text: &str) -> bool {
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(of_scheme))
}

fn parse_url(rest: &str) -> Result<Parameters, UrlError> {
    let mut found = Parameters::new();
    // As libpq: credentials end at the first @, unless a / comes before it.
    let rest = match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => {
            let (user, password) = split_first(&rest[..at], ':');
            push(&mut found, "user", user)?;
            if let Some(password) = password {
                push(&mut found, "password", password)?;
            }
            &rest[at + 1..]
        }
        _ => rest,
    };
    let (place, query) = split_first(rest, '?');
    let (hosts, database) = split_first(place, '/');
    if hosts.contains('@') || database.is_some_and(|name| name.contains(['@', '/'])) {
        return Err(UrlError::Ambiguous);
    }
    hosts_and_ports(hosts, &mut found)?;
    if let Some(database) = database {
        push(&mut found, "dbname", database)?;
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match split_first(pair, '=') {
            // As JDBC writes it.
            ("ssl", Some("true")) => push(&mut found, "sslmode", "require")?,
            (name, Some(value)) => push(&mut found, &decode(name)?, value)?,
            _ => return Err(UrlError::Malformed("a parameter has no value")),
        }
    }
    Ok(found)
}

fn hosts_and_ports(text: &str, found: &mut Parameters) -> Result<(), UrlError> {
    if text.is_empty() {
        return Ok(());
    }
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for entry in text.split(',') {
        let (host, port) = match entry.strip_prefix('[') {
            Some(address) => {
                let (address, rest) = split_first(address, ']');
                match rest {
                    Some("") => (address, None),
                    Some(port) if port.starts_with(':') => (address, Some(&port[1..])),
                    _ => return Err(UrlError::Malformed("an IPv6 address is not closed by ]")),
                }
            }
            None => split_first(entry, ':'),
        };
        hosts.push(decode(host)?);
        ports.push(decode(port.unwrap_or_default())?);
    }
    found.push(("host".into(), hosts.join(",")));
    found.push(("port".into(), ports.join(",")));
    Ok(())
}

fn parse_pairs(text: &str) -> Result<Parameters, UrlError> {
    let mut found = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(UrlError::Malformed("a word has no ="))?;
        if name.trim_end().contains(char::is_whitespace) {
            return Err(UrlError::Malformed("a word has no ="));
        }
        let (value, after) = pair_value(after.trim_start())?;
        found.push((name.trim_end().to_owned(), value));
        rest = after.trim_start();
    }
    Ok(found)
}

/// A value up to the next blank, or within quotes; a backslash stands before a quote or a backslash.
fn pair_value(text: &str) -> Result<(String, &str), UrlError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            blank if blank.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted { Err(UrlError::Malformed("a quote is not closed")) } else { Ok((value, "")) }
}

fn split_first(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn push(found: &mut Parameters, name: &str, encoded: &str) -> Result<(), UrlError> {
    found.push((name.to_owned(), decode(encoded)?));
    Ok(())
}

fn decode(text: &str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| UrlError::Malformed("what it percent-encodes is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        let found = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        found.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn urls_are_taken_apart_as_by_libpq() {
        for (url, expected) in [
            ("postgresql://", &[][..]),
            ("postgres://db", &["host=db", "port="]),
            (
                "postgresql://u:p%40s%2Fs@db:6432/ledger?sslmode=verify-full&options=-c%20a%3Db",
                &[
                    "user=u",
                    "password=p@s/s",
                    "host=db",
                    "port=6432",
                    "dbname=ledger",
                    "sslmode=verify-full",
                    "options=-c a=b",
                ],
            ),
            (
                "postgresql://u:p?q@a:1,b,[::1]:3/d",
                &["user=u", "password=p?q", "host=a,b,::1", "port=1,,3", "dbname=d"],
            ),
            (
                "postgresql://u@%2Frun%2Fpg:5433/d",
                &["user=u", "host=/run/pg", "port=5433", "dbname=d"],
            ),
            ("postgresql:///d?host=a,b&ssl=true", &["dbname=d", "host=a,b", "sslmode=require"]),
            ("postgresql://db?service=x", &["host=db", "port=", "service=x"]),
        ] {
            assert_eq!(parsed(url), expected, "{url}");
        }
    }

    #[test]
    fn pairs_are_taken_apart_as_by_libpq() {
        for (pairs, expected) in [
            ("", &[][..]),
            ("host=a,b  port = 1,2 dbname=d", &["host=a,b", "port=1,2", "dbname=d"]),
            (r"password='it\'s a \\ b' user=u", &[r"password=it's a \ b", "user=u"]),
            (r"password=a\ b user=''", &["password=a b", "user="]),
            ("password=a://b", &["password=a://b"]),
        ] {
            assert_eq!(parsed(pairs), expected, "{pairs}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        for text in [
            "mysql://giro:hunter2@db/giro",
            "postgresql://giro:p@hunter2@db/giro",
            "postgresql://giro:p@ss/hunter2@db/giro",
            "postgresql://giro:hunter2/x@db/giro",
            "postgresql://giro:hunter2@[::1/giro",
            "postgresql://giro:hunter2@db/giro?password",
            "postgresql://giro:hunter2%FF@db/giro",
            "password=my hunter2",
            "password='hunter2",
            "hunter2",
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }
}

use super::*;
use crate::config::Span;
use std::time::Duration;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/giro.toml");

fn with(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
    load(&Overrides {
        file: None,
        environment: environment.iter().map(owned).collect(),
        flags: flags.iter().map(owned).collect(),
    })
}

fn refused(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    with(environment, flags).unwrap_err().to_string()
}

#[test]
fn the_sample_lists_every_key_with_its_default() {
    let text = std::fs::read_to_string(SAMPLE).unwrap();
    let sample: toml::Table = text.parse().unwrap();
    let mut listed: Vec<String> = sample
        .iter()
        .flat_map(|(section, keys)| {
            let keys = keys.as_table().unwrap().keys();
            keys.map(move |key| format!("{section}.{key}"))
        })
        .collect();
    for (key, shown) in
        [("database.url", "# url = "), ("server.client_header", "# client_header = ")]
    {
        assert!(text.contains(shown), "{key} has no default and is shown");
        listed.push(key.into());
    }
    listed.sort();
    let mut known = known_keys();
    known.sort();
    assert_eq!(listed, known);
    let overrides = Overrides { file: Some(SAMPLE.into()), ..Overrides::default() };
    assert_eq!(load(&overrides).unwrap(), Config::default());
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), "[batch]\nmax_items = 10\nin_flight = 1\nmax_wait = \"3ms\"")
        .unwrap();
    let overrides = Overrides {
        file: Some(file.path().into()),
        environment: [("GIRO__BATCH__MAX_ITEMS", "20"), ("GIRO__BATCH__IN_FLIGHT", "3")]
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .into(),
        flags: vec![("batch.in_flight".into(), "4".into())],
    };
    let batch = load(&overrides).unwrap().batch;
    assert_eq!((batch.max_items, batch.in_flight), (20, 4));
    assert_eq!(batch.max_wait, Span(Duration::from_millis(3)));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let message = refused(&[("GIRO__BATCH__MAX_ITEM", "20")], &[]);
    assert!(message.contains("`batch.max_item`"), "{message}");
    assert!(message.contains("did you mean `batch.max_items`?"), "{message}");
    assert!(message.contains("environment"), "{message}");
    let message = refused(&[], &[("zzz.qqq", "1")]);
    assert!(message.contains("`zzz.qqq`") && !message.contains("did you mean"), "{message}");
}

#[test]
fn a_wrong_value_names_its_key() {
    for (key, value) in [
        ("batch.max_items", "many"),
        ("batch.max_items", "-1"),
        ("batch.max_wait", "5"),
        ("batch.max_bytes", "much"),
        ("server.listen", "localhost"),
        ("log.format", "xml"),
    ] {
        let message = refused(&[], &[(key, value)]);
        assert!(message.contains(key), "{key} = {value}: {message}");
    }
    let missing = Overrides { file: Some("no/such/file.toml".into()), ..Overrides::default() };
    assert!(load(&missing).unwrap_err().to_string().contains("no/such/file.toml"));
}

#[test]
fn limits_that_contradict_each_other_are_refused_with_both_numbers() {
    for (key, value, expected) in [
        ("queue.max_items", "999", ["999", "1000"]),
        ("queue.max_bytes", "1024", ["1024", "1048576"]),
        ("queue.max_wait", "0s", ["queue.max_wait (0s)", "1ms"]),
        ("batch.max_bytes", "4 KiB", ["4.0 KiB", "4.7 KiB"]),
        ("batch.max_items", "70000", ["70000", "65535"]),
        ("batch.max_items", "0", ["batch.max_items", "0"]),
        ("batch.in_flight", "0", ["batch.in_flight", "0"]),
        ("database.lanes", "65", ["database.lanes (65)", "64"]),
        ("server.idle_timeout", "2h", ["server.idle_timeout (2h)", "1h"]),
        ("database.lanes", "0", ["database.lanes", "0"]),
        ("server.request_timeout", "31s", ["31s", "30s"]),
        ("server.drain_timeout", "2900ms", ["a second (3s)", "server.drain_timeout (2s 900ms)"]),
        ("server.max_request_timeout", "1900ms", ["statement_timeout (2s)", "timeout (1s 900ms)"]),
        ("queue.max_wait", "31s", ["queue.max_wait (31s)", "max_request_timeout (30s)"]),
        ("queue.target_wait", "2s", ["queue.target_wait (2s)", "queue.max_wait (1s)"]),
        ("database.lock_timeout", "3s", ["3s", "2s"]),
        ("admin.listen", "127.0.0.1:8080", ["server.listen", "127.0.0.1:8080"]),
        ("server.max_bulk_body_bytes", "1 KiB", ["1.0 KiB", "64.0 KiB"]),
        ("server.write_timeout", "0s", ["server.write_timeout (0s)", "1ms"]),
        ("server.client_header", "x y", ["server.client_header", "x y"]),
        ("log.filter", "info,giro=loud", ["log.filter", "loud"]),
    ] {
        let message = refused(&[], &[(key, value)]);
        for part in expected {
            assert!(message.contains(part), "{key} = {value}: {message}");
        }
    }
}

#[test]
fn limits_may_be_as_near_to_each_other_as_they_can() {
    for (key, value) in [
        ("server.drain_timeout", "3s"),
        ("server.max_request_timeout", "2s"),
        ("server.request_timeout", "1ms"),
        ("queue.max_wait", "30s"),
        ("queue.target_wait", "1s"),
        ("database.lock_timeout", "2s"),
        ("database.connect_timeout", "1m"),
    ] {
        if let Err(error) = with(&[], &[(key, value)]) {
            panic!("{key} = {value}: {error}");
        }
    }
}

#[test]
fn a_secret_is_read_from_a_file_and_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "postgresql://giro:hunter2@db.example/giro\n").unwrap();
    let path = file.path().to_str().unwrap();
    let config = with(&[("DATABASE_URL_FILE", path)], &[]).unwrap();
    let url = config.database.url.clone().unwrap();
    assert_eq!(url.reveal(), "postgresql://giro:hunter2@db.example/giro");
    for shown in [format!("{config:?}"), toml::to_string(&config).unwrap(), url.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("db.example"), "{shown}");
    }
    let both = refused(&[("DATABASE_URL", "x"), ("DATABASE_URL_FILE", path)], &[]);
    assert!(both.contains("DATABASE_URL and DATABASE_URL_FILE"), "{both}");
    let gone = refused(&[("DATABASE_URL_FILE", "no/such/file")], &[]);
    assert!(gone.contains("no/such/file"), "{gone}");
    for url in [
        "postgresql://giro:p@hunter2@db/giro",
        "postgresql://giro:p@ss/hunter2@db/giro",
        "mysql://giro:hunter2@db/giro",
        "postgresql://giro:hunter2@db/giro?sslmode=hunter2",
    ] {
        let message = refused(&[("DATABASE_URL", url)], &[]);
        assert!(message.contains("database.url") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn settings_are_printed_as_they_are_and_can_be_loaded_again() {
    let set = |size: &str| {
        let flags = [("queue.max_bytes", size), ("server.max_bulk_body_bytes", "1 MiB")];
        with(&[], &flags).unwrap_or_else(|error| panic!("{size}: {error}"))
    };
    for (size, shown) in
        [("64MB", "62500 KiB"), ("67108864", "64 MiB"), ("1048577", "1048577 B"), ("2GiB", "2 GiB")]
    {
        let settings = set(size);
        let printed = toml::to_string(&settings).unwrap();
        assert!(printed.contains(&format!("max_bytes = \"{shown}\"")), "{size}: {printed}");
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), printed).unwrap();
        let overrides = Overrides { file: Some(file.path().into()), ..Overrides::default() };
        assert_eq!(load(&overrides).unwrap(), settings, "{size}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_not_shown_where_it_may_hold_a_password() {
    for line in [
        "url = \"postgresql://giro:hunter2@db/giro",
        "url = postgresql://giro:hunter2@db/giro",
        "url = 'user=giro password=hunter2",
    ] {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), format!("[database]\n{line}\nlanes = 1\n")).unwrap();
        let overrides = Overrides { file: Some(file.path().into()), ..Overrides::default() };
        let said = load(&overrides).unwrap_err().to_string();
        assert!(!said.contains("hunter2") && said.contains("line 2"), "{said}");
    }
}

use super::*;
use std::fs;

fn target(url: &str) -> Target {
    Target::with(url, &Places::default()).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refusal(url: &str) -> String {
    let refused = Target::with(url, &Places::default());
    refused.err().unwrap_or_else(|| panic!("{url} is taken")).to_string()
}

fn hosts(url: &str) -> Vec<String> {
    target(url).hosts.iter().map(Host::to_string).collect()
}

#[test]
fn hosts_and_ports_pair_up() {
    for (url, expected) in [
        ("postgresql://u@db/d", &["db:5432"][..]),
        ("postgresql://u@a,b:1,[::1]:2/d", &["a:5432", "b:1", "[::1]:2"]),
        ("host=a,b port=6432 user=u", &["a:6432", "b:6432"]),
        ("host=a,b port=1, user=u", &["a:1", "b:5432"]),
        ("postgresql://u@%2Frun%2Fpg/d", &["%2Frun%2Fpg:5432"]),
        ("hostaddr=192.0.2.1,192.0.2.2 user=u", &["192.0.2.1:5432", "192.0.2.2:5432"]),
    ] {
        assert_eq!(hosts(url), expected, "{url}");
    }
    let named = &target("host=db hostaddr=192.0.2.1 user=u").hosts[0];
    let place = Place::Tcp { name: "db".into(), address: "192.0.2.1".parse().ok() };
    assert_eq!(named.place, place, "the certificate is held against the name");
    let socket = &target("user=u").hosts[0];
    assert!(matches!(&socket.place, Place::Unix(_)), "no host is a socket");
    assert!(refusal("host=a,b,c port=1,2 user=u").contains("number of ports"));
    assert!(refusal("host=a,b hostaddr=192.0.2.1 user=u").contains("number of hosts"));
}

#[test]
fn parameters_mean_what_libpq_means() {
    let given = target(
        "postgresql://u:p@db/d?sslmode=verify-full&sslrootcert=/ca.crt&target_session_attrs=primary\
         &connect_timeout=3&channel_binding=require&application_name=x&keepalives_count=4\
         &load_balance_hosts=random&options=-c%20a%3Db&gssencmode=prefer&tcp_user_timeout=7000",
    );
    assert_eq!(given.tls.mode, Some(SslMode::VerifyFull));
    assert_eq!(given.tls.root.as_deref(), Some(Path::new("/ca.crt")));
    assert_eq!(given.attrs, SessionAttrs::Writable);
    assert_eq!(given.per_address, Some(Duration::from_secs(3)));
    assert_eq!(given.channel_binding, Some(ChannelBinding::Require));
    assert_eq!(given.config.get_options(), Some("-c a=b"));
    assert_eq!(given.config.get_tcp_user_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(given.config.get_keepalives_retries(), Some(4));
    assert!(given.shuffle);
    assert_eq!((given.user.as_str(), given.database.as_str()), ("u", "d"));
    assert_eq!(target("postgresql://u@db").database, "u", "the database is the user's");
    assert_eq!(target("postgresql://u@db?target_session_attrs=read-write").attrs, given.attrs);
    assert_eq!(target("postgresql://u@db?connect_timeout=0").per_address, None);
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for (url, expected) in [
        ("postgresql://u@db/d?sslmodus=require", "unknown parameter `sslmodus`"),
        ("postgresql://u@db/d?sslcrl=x", "`sslcrl`, which is not supported"),
        ("postgresql://u@db/d?sslmode=full", "`sslmode`"),
        ("postgresql://u@db/d?target_session_attrs=leader", "`target_session_attrs`"),
        ("postgresql://u@db/d?gssencmode=require", "`gssencmode`"),
        ("postgresql://u@db:x/d", "`port`"),
        ("postgresql://u@db:70000/d", "`port`"),
        ("postgresql://u@db/d?connect_timeout=soon", "`connect_timeout`"),
        ("postgresql://u@db/d?service=none", "service"),
    ] {
        let message = refusal(url);
        assert!(message.contains(expected), "{url}: {message}");
    }
}

#[test]
fn no_message_says_a_secret() {
    for url in [
        "postgresql://u:hunter2@db/d?unknown=hunter2",
        "postgresql://u:hunter2@db/d?sslmode=hunter2",
        "postgresql://u@db/d?password=a&hunter2=b",
        "password=my hunter2=x",
        "user=u password=x port=hunter2",
        "postgresql://u:hunter2:x@db:hunter2/d",
    ] {
        let message = refusal(url);
        assert!(!message.contains("hunter2"), "{url}: {message}");
    }
    let shown = "postgresql://u:***@a:1,b:5432/d";
    assert_eq!(mask_url("postgresql://u:hunter2@a:1,b/d?sslmode=require"), shown);
    assert_eq!(mask_url("user=u password=hunter2 host=a,b port=1,5432 dbname=d"), shown);
    assert_eq!(mask_url("postgresql://u@a/d?passfile=/no/such"), "(not a PostgreSQL URL)");
}

#[test]
fn a_service_lies_beneath_what_is_said_and_a_password_file_beneath_both() {
    let home = tempfile::tempdir().unwrap();
    let services = "[giro]\nhost=a,b\nport=1\nuser=app\nsslmode=require\n";
    fs::write(home.path().join(".pg_service.conf"), services).unwrap();
    let passfile = home.path().join(".pgpass");
    fs::write(&passfile, "b:1:giro:app:from-file\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&passfile, private).unwrap();
    let places = Places { home: Some(home.path().into()), ..Places::default() };
    let given = Target::with("postgresql:///giro?service=giro&sslmode=disable", &places).unwrap();
    assert_eq!(given.masked(), "postgresql://app@a:1,b:1/giro");
    assert_eq!(given.tls.mode, Some(SslMode::Disable));
    let Password::File(file) = &given.password else { panic!("no password file") };
    let of = |host: &Host| file.password(&host.names(), host.port, "giro", "app").unwrap();
    assert_eq!(of(&given.hosts[0]), None);
    assert_eq!(of(&given.hosts[1]).as_deref(), Some("from-file"));
    let own = Target::with("postgresql://app:own@a/giro?service=giro", &places).unwrap();
    assert!(matches!(own.password, Password::Given(password) if password == "own"));
}

//! Starts a real PostgreSQL. Run as root or not; run by root, the server has another user.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use giro_embedded::{Binaries, Cluster, Options, StartError};
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;

/// A directory that the server's user may enter.
fn scratch() -> Result<TempDir, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

fn options(data_dir: impl Into<PathBuf>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options::new(data_dir, Binaries::find(None)?);
    options.settings.push(("shared_buffers".into(), "16MB".into()));
    Ok(options)
}

/// Runs SQL with psql and returns what it prints, without decoration.
fn psql(url: &str, sql: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(Binaries::find(None)?.dir().join("psql"))
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .env("LC_ALL", "C")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn sql(cluster: &Cluster, sql: &str) -> Result<String, Box<dyn Error>> {
    psql(&cluster.url("postgres", "postgres"), sql)
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn starts_and_stops_and_keeps_the_data() -> Outcome {
    let dir = scratch()?;
    let data_dir = dir.path().join("new/the \"data\" @ 5%:1");
    let options = options(&data_dir)?;

    let cluster = Cluster::start(options.clone())?;
    assert_eq!(cluster.data_dir(), fs::canonicalize(&data_dir)?);
    assert_eq!(cluster.socket_dir().parent(), Some(cluster.data_dir()));
    assert!(cluster.version().major >= 15);
    assert!(cluster.settings().contains(&("fsync".into(), "on".into())));
    sql(&cluster, "create table t (x int); insert into t values (7)")?;
    let (pid, password) = (cluster.pid(), cluster.password().to_owned());
    assert!(is_alive(pid));
    cluster.stop()?;
    assert!(!is_alive(pid));

    let cluster = Cluster::start(options)?;
    assert_eq!(sql(&cluster, "select x from t")?, "7");
    assert_eq!(cluster.password(), password);
    let log = fs::read_to_string(cluster.log_path())?;
    assert!(!log.contains("not properly shut down"), "{log}");
    Ok(())
}

#[test]
fn the_server_is_durable_private_and_unprivileged() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut options = options(dir.path())?;
    options.settings.push(("max_connections".into(), "20".into()));
    let cluster = Cluster::start(options)?;

    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", "127.0.0.1"),
        ("max_connections", "20"),
        ("shared_buffers", "16MB"),
        ("TimeZone", "UTC"),
    ] {
        let setting = format!("select current_setting('{name}')");
        assert_eq!(sql(&cluster, &setting)?, value, "{name}");
    }
    let collation = "select datcollate from pg_database where datname = current_database()";
    assert_eq!(sql(&cluster, collation)?, "C");

    let mode = |path: &Path| fs::metadata(path).map(|found| found.mode() & 0o777);
    assert_eq!(mode(cluster.socket_dir())?, 0o700);
    assert_eq!(mode(&cluster.data_dir().join("password"))?, 0o600);
    assert_eq!(mode(cluster.log_path())?, 0o600);

    // Own process group; and for root, another user without root's groups.
    let pid = cluster.pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let group = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(2));
    assert_eq!(group, Some(pid.to_string().as_str()));
    if fs::metadata("/proc/self")?.uid() == 0 {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        assert_eq!(field("Groups:").map(str::trim), Some(""));
        assert!(field("Uid:").is_some_and(|uids| uids.split_whitespace().all(|uid| uid != "0")));
        assert!(field("Gid:").is_some_and(|gids| gids.split_whitespace().all(|gid| gid != "0")));
    }
    Ok(())
}

#[test]
fn tcp_needs_the_password() -> Outcome {
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(options(dir.path())?)?;
    let url = |password: &str| cluster.tcp_url("postgres", password, "postgres");
    assert_eq!(psql(&url(cluster.password()), "select 1")?, "1");
    let error = psql(&url("wrong"), "select 1").unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    Ok(())
}

#[test]
fn recovers_after_a_kill() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut options = options(dir.path())?;
    let mut cluster = Cluster::start(options.clone())?;
    sql(&cluster, "create table t (x int); insert into t values (7)")?;

    // A backend that is busy does not notice the death of its postmaster.
    let url = cluster.url("postgres", "postgres");
    let busy = thread::spawn(move || psql(&url, "do 'begin loop end loop; end'").is_err());
    let backend = "select pid from pg_stat_activity where query like 'do %'";
    let mut backends = String::new();
    wait_until("the backend is busy", || {
        backends = sql(&cluster, backend).unwrap_or_default();
        !backends.is_empty()
    });
    let backend: u32 = backends.parse()?;
    cluster.kill()?;
    assert!(!is_alive(cluster.pid()));
    wait_until("the backend is gone", || !is_alive(backend));
    assert!(busy.join().is_ok_and(|failed| failed));

    options.port = Some(cluster.port());
    drop(cluster);
    let cluster = Cluster::start(options.clone())?;
    assert_eq!(Some(cluster.port()), options.port);
    assert_eq!(sql(&cluster, "select x from t")?, "7");
    let log = fs::read_to_string(cluster.log_path())?;
    assert!(log.contains("not properly shut down"), "{log}");
    cluster.stop()?;
    Ok(())
}

#[test]
fn a_second_start_is_refused_while_one_runs() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = options(dir.path())?;
    let cluster = Cluster::start(options.clone())?;
    let error = Cluster::start(options.clone()).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, StartError::AlreadyRunning { pid: Some(pid), .. } if pid == own));
    assert!(error.to_string().contains(&format!("process {own}")), "{error}");
    assert_eq!(sql(&cluster, "select 1")?, "1");
    cluster.stop()?;
    Cluster::start(options)?.stop()?;
    Ok(())
}

#[test]
fn the_server_outlives_the_thread_that_started_it() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = options(dir.path())?;
    let started = thread::spawn(move || Cluster::start(options)).join();
    let cluster = started.map_err(|_| "the thread panicked")??;
    assert_eq!(sql(&cluster, "select 1")?, "1");
    cluster.stop()?;
    Ok(())
}

#[test]
fn a_half_finished_initdb_is_thrown_away() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = options(dir.path())?;
    let unfinished = dir.path().join("pg.new-0123");
    fs::create_dir(&unfinished)?;
    fs::write(unfinished.join("PG_VERSION"), "15\n")?;
    fs::write(dir.path().join("password"), "")?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;

    let cluster = Cluster::start(options)?;
    assert!(!unfinished.exists());
    let url = cluster.tcp_url("postgres", cluster.password(), "postgres");
    assert_eq!(psql(&url, "select 1")?, "1");
    Ok(())
}

#[test]
fn stale_files_of_a_crashed_run_do_not_matter() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut options = options(dir.path())?;
    let cluster = Cluster::start(options.clone())?;
    options.port = Some(cluster.port());
    cluster.stop()?;

    // An unrelated process of the server's own user has got the process id.
    let owner = fs::metadata(dir.path().join("pg"))?;
    let mut unrelated = Command::new("sleep");
    unrelated.arg("600").uid(owner.uid()).gid(owner.gid());
    let mut unrelated = unrelated.spawn()?;
    let stale = format!("{}\n{}\n0\n", unrelated.id(), dir.path().join("pg").display());
    let socket_lock = format!("socket/.s.PGSQL.{}.lock", options.port.unwrap_or_default());
    for (name, content) in [("pg/postmaster.pid", &stale), (socket_lock.as_str(), &stale)] {
        fs::write(dir.path().join(name), content)?;
    }
    let started =
        Cluster::start(options.clone()).and_then(|it| {
            drop(it);
            fs::write(dir.path().join("pg/postmaster.pid"), "").map_err(|source| {
                StartError::Io { action: "write", path: "postmaster.pid".into(), source }
            })?;
            Cluster::start(options)
        });
    let untouched = unrelated.try_wait()?.is_none();
    unrelated.kill()?;
    unrelated.wait()?;
    assert!(untouched);
    assert_eq!(sql(&started?, "select 1")?, "1");
    Ok(())
}

#[test]
fn a_server_left_running_is_stopped_first() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = options(dir.path())?;
    Cluster::start(options.clone())?.stop()?;

    let pgdata = fs::canonicalize(dir.path())?.join("pg");
    let owner = fs::metadata(&pgdata)?;
    let mut left = Command::new(options.binaries.dir().join("postgres"))
        .args(["-c", "listen_addresses=", "-c", "unix_socket_directories=../socket", "-D"])
        .arg(&pgdata)
        .current_dir(&pgdata)
        .stderr(Stdio::null())
        .uid(owner.uid())
        .gid(owner.gid())
        .spawn()?;
    wait_until("the server is ready", || {
        assert!(left.try_wait().is_ok_and(|exited| exited.is_none()), "it ended");
        fs::read_to_string(pgdata.join("postmaster.pid")).is_ok_and(|it| it.contains("ready"))
    });

    let cluster = Cluster::start(options)?;
    assert!(left.wait()?.success(), "not stopped in order");
    assert_eq!(sql(&cluster, "select 1")?, "1");
    Ok(())
}

/// Not a test of its own: the program that the next test kills.
#[test]
fn helper_that_holds_a_cluster() -> Outcome {
    let Some(data_dir) = env::var_os("GIRO_EMBEDDED_TEST_HELPER") else {
        return Ok(());
    };
    let cluster = Cluster::start(options(data_dir)?)?;
    println!("\nrunning as {}", cluster.pid());
    std::io::stdout().flush()?;
    // Ends with its input if the test that started it fails.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

#[test]
fn the_server_goes_down_with_its_parent() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut helper = Command::new(env::current_exe()?)
        .args(["--exact", "helper_that_holds_a_cluster", "--nocapture"])
        .env("GIRO_EMBEDDED_TEST_HELPER", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = BufReader::new(helper.stdout.take().ok_or("no stdout")?);
    let pid = stdout
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("running as ")?.parse::<u32>().ok());
    helper.kill()?;
    helper.wait()?;
    let pid = pid.ok_or("the helper did not start a server")?;

    wait_until("the server is down", || !is_alive(pid));
    let cluster = Cluster::start(options(dir.path())?)?;
    let log = fs::read_to_string(cluster.log_path())?;
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
    Ok(())
}

#[test]
fn the_socket_is_elsewhere_if_its_path_would_not_do() -> Outcome {
    let dir = scratch()?;
    for name in [&"deep".repeat(20), "com,ma"] {
        let cluster = Cluster::start(options(dir.path().join(name).join("data"))?)?;
        let socket_dir = cluster.socket_dir().to_owned();
        assert!(!socket_dir.starts_with(cluster.data_dir()) && socket_dir.starts_with("/tmp"));
        assert_eq!(fs::metadata(&socket_dir)?.mode() & 0o777, 0o700);
        assert_eq!(sql(&cluster, "select 1")?, "1");
        cluster.stop()?;
        assert!(!socket_dir.exists());
    }
    Ok(())
}

#[test]
fn a_bad_setting_shows_the_log() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut options = options(dir.path())?;
    options.settings.push(("max_connections".into(), "many".into()));
    let error = Cluster::start(options.clone()).unwrap_err();
    assert!(matches!(error, StartError::Exited { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(&dir.path().join("postgres.log").display().to_string()), "{error}");
    assert!(error.contains("invalid value for parameter \"max_connections\""), "{error}");

    options.settings = vec![("Port".into(), "1".into())];
    let error = Cluster::start(options).unwrap_err();
    assert!(matches!(error, StartError::ReservedSetting(name) if name == "Port"));
    Ok(())
}

#[test]
fn a_slow_start_is_given_up_and_leaves_nothing() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut options = options(dir.path())?;
    options.start_timeout = Duration::ZERO;
    let error = Cluster::start(options.clone()).unwrap_err();
    assert!(matches!(error, StartError::TimedOut { .. }), "{error}");
    assert!(!dir.path().join("pg/postmaster.pid").exists());
    options.start_timeout = Duration::from_secs(60);
    Cluster::start(options)?.stop()?;
    Ok(())
}

#[test]
fn other_data_is_refused() -> Outcome {
    let dir = tempfile::tempdir()?;
    let options = options(dir.path())?;
    Cluster::start(options.clone())?.stop()?;
    fs::write(dir.path().join("pg/PG_VERSION"), "9.6\n")?;
    let error = Cluster::start(options).unwrap_err();
    assert!(matches!(&error, StartError::VersionMismatch { found, .. } if found == "9.6"));
    assert!(error.to_string().contains("GIRO_POSTGRES_BIN"), "{error}");
    Ok(())
}

#[test]
fn root_is_told_which_directory_the_server_cannot_enter() -> Outcome {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(());
    }
    let dir = scratch()?;
    let private = fs::canonicalize(dir.path())?.join("private");
    fs::DirBuilder::new().mode(0o700).create(&private)?;
    let error = Cluster::start(options(private.join("data"))?).unwrap_err();
    assert!(matches!(&error, StartError::NotTraversable { dir, .. } if *dir == private));
    assert!(error.to_string().contains(&private.display().to_string()), "{error}");

    let owned = dir.path().join("owned");
    fs::create_dir_all(owned.join("pg"))?;
    let error = Cluster::start(options(owned)?).unwrap_err();
    assert!(matches!(error, StartError::OwnedByRoot { .. }), "{error}");
    Ok(())
}

#[test]
fn missing_binaries_are_listed() {
    let error = Binaries::find(Some(Path::new("/nowhere"))).unwrap_err();
    assert_eq!(error.looked_at.len(), 1);
    let error = error.to_string();
    assert!(error.contains("`/nowhere`"), "{error}");
    assert!(error.contains("apt-get install postgresql"), "{error}");
}

#[test]
fn a_standby_follows_and_takes_over() -> Outcome {
    let (first, second) = (scratch()?, scratch()?);
    let mut primary_options = options(first.path().join("data"))?;
    primary_options.settings.push(("synchronous_standby_names".into(), "second".into()));
    let mut primary = Cluster::start(primary_options)?;
    let standby_options = options(second.path().join("data"))?.standby_of(&primary, "second");
    let standby = Cluster::start(standby_options.clone())?;
    sql(&primary, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")?;
    assert_eq!(sql(&standby, "SELECT pg_is_in_recovery()")?, "t");

    primary.kill()?;
    standby.promote()?;
    assert_eq!(sql(&standby, "SELECT id FROM kept")?, "1", "what was acknowledged is there");
    sql(&standby, "INSERT INTO kept VALUES (2)")?;
    assert!(standby.promote().unwrap_err().to_string().contains("pg_ctl failed"));
    standby.stop()?;

    // It stays what it has become.
    let again = Cluster::start(standby_options)?;
    assert_eq!(sql(&again, "SELECT count(*) FROM kept")?, "2");
    Ok(again.stop()?)
}

#[test]
fn a_frozen_server_answers_when_it_goes_on() -> Outcome {
    let dir = scratch()?;
    let cluster = Cluster::start(options(dir.path().join("data"))?)?;
    cluster.freeze()?;
    let url = cluster.url("postgres", "postgres");
    let waiting = thread::spawn(move || psql(&url, "SELECT 1").map_err(|error| error.to_string()));
    thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished(), "a frozen server has answered");
    cluster.thaw()?;
    assert_eq!(waiting.join().unwrap()?, "1");
    cluster.freeze()?;
    Ok(cluster.stop()?)
}

#[test]
fn the_log_lies_elsewhere_and_the_environment_reaches_the_server() -> Outcome {
    let (dir, wal) = (scratch()?, scratch()?);
    let mut options = options(dir.path().join("data"))?;
    options.wal_dir = Some(wal.path().to_owned());
    options.environment.push(("GIRO_EMBEDDED_TEST".into(), "yes".into()));
    let mut cluster = Cluster::start(options)?;
    assert!(fs::read_dir(wal.path())?.count() > 0, "there is no WAL");
    let environment = fs::read(format!("/proc/{}/environ", cluster.pid()))?;
    assert!(environment.split(|byte| *byte == 0).any(|it| it == b"GIRO_EMBEDDED_TEST=yes"));
    assert!(!cluster.has_exited());
    cluster.kill()?;
    assert!(cluster.has_exited());
    Ok(())
}

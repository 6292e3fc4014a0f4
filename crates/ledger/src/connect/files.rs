//! The files beside a URL that libpq's users keep: passwords by host, and services by name.

use super::error::UrlError;
use super::parameters::Parameters;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the environment says about where these files are. Nothing else is taken from `PG…`
/// variables: a URL says by itself where money goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) home: Option<PathBuf>,
    /// `PGPASSFILE`.
    pub(super) passfile: Option<PathBuf>,
    /// `PGSERVICEFILE`.
    pub(super) servicefile: Option<PathBuf>,
    /// Directories of a `pg_service.conf` for everybody.
    pub(super) system: Vec<PathBuf>,
}

impl Places {
    pub(super) fn of_environment() -> Self {
        let path =
            |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let system = match path("PGSYSCONFDIR") {
            Some(directory) => vec![directory],
            None => {
                ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc"].map(Into::into).into()
            }
        };
        Self {
            home: path("HOME"),
            passfile: path("PGPASSFILE"),
            servicefile: path("PGSERVICEFILE"),
            system,
        }
    }

    pub(super) fn in_home(&self, file: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(file))
    }
}

/// The parameters of a service, from the first file that has it.
pub(super) fn service(
    name: &str,
    named_file: Option<&str>,
    places: &Places,
) -> Result<Parameters, UrlError> {
    let own = named_file.map(PathBuf::from).or_else(|| places.servicefile.clone());
    let own = own.or_else(|| places.in_home(".pg_service.conf"));
    let system = places.system.iter().map(|directory| directory.join("pg_service.conf"));
    let files: Vec<PathBuf> = own.into_iter().chain(system).collect();
    for file in &files {
        if let Ok(text) = std::fs::read_to_string(file)
            && let Some(found) = section(&text, name)
        {
            let wrong =
                |why: &str| UrlError::File { name: "service", path: file.clone(), why: why.into() };
            let found = found.ok_or_else(|| wrong("a line of the service has no ="))?;
            if found.iter().any(|(name, _)| name == "service") {
                return Err(wrong("a service cannot name another one"));
            }
            return Ok(found);
        }
    }
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    Err(UrlError::Service(files.join(", ")))
}

/// The lines of one `[section]`: nothing without it, `Some(None)` where one is malformed.
fn section(text: &str, name: &str) -> Option<Option<Parameters>> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let header = |line: &str| Some(line.strip_prefix('[')?.strip_suffix(']')?.to_owned());
    let mut lines = lines.skip_while(|line| header(line).as_deref() != Some(name));
    lines.next()?;
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    Some(lines.take_while(|line| header(line).is_none()).map(pair).collect())
}

/// A file with a line `host:port:database:user:password` for each. It is read at every connect, so
/// that a password can be changed while the server runs.
#[derive(Debug, Clone)]
pub(super) struct Passfile(PathBuf);

impl Passfile {
    /// The file that was named, which has to be usable, or the usual one, if it is.
    pub(super) fn find(named: Option<&str>, places: &Places) -> Result<Option<Self>, UrlError> {
        if let Some(path) = named.map(PathBuf::from).or_else(|| places.passfile.clone()) {
            let file = Self(path);
            file.read()?;
            return Ok(Some(file));
        }
        let Some(path) = places.in_home(".pgpass").filter(|path| path.exists()) else {
            return Ok(None);
        };
        let file = Self(path);
        match file.read() {
            Ok(_) => Ok(Some(file)),
            Err(why) => {
                tracing::warn!("a password file is passed over: the URL {why}");
                Ok(None)
            }
        }
    }

    /// The password of the first line that fits. For a Unix socket, the host is its directory, or
    /// `localhost` for one of the usual directories.
    pub(super) fn password(
        &self,
        hosts: &[&str],
        port: u16,
        database: &str,
        user: &str,
    ) -> Result<Option<String>, UrlError> {
        let port = port.to_string();
        let fits = |line: &str| {
            let mut fields = fields(line).into_iter();
            let mut next = |wanted: &[&str]| {
                let field = fields.next()?;
                (field == "*" || wanted.contains(&field.as_str())).then_some(())
            };
            next(hosts)?;
            next(&[&port])?;
            next(&[database])?;
            next(&[user])?;
            fields.next()
        };
        Ok(self.read()?.lines().filter(|line| !line.starts_with('#')).find_map(fits))
    }

    fn read(&self) -> Result<String, UrlError> {
        read_private("passfile", &self.0)
    }
}

/// Fields between colons; a backslash stands before a colon or a backslash.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(characters.next())),
            other => fields.last_mut().into_iter().for_each(|field| field.push(other)),
        }
    }
    fields
}

/// The text of a file that only we may read; root's may also be read by its group, as libpq allows.
pub(super) fn read_private(name: &'static str, path: &Path) -> Result<String, UrlError> {
    let wrong = |why: String| UrlError::File { name, path: path.to_owned(), why };
    let found = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    let others = if found.uid() == 0 { 0o037 } else { 0o077 };
    if found.mode() & others != 0 {
        return Err(wrong("others may read or write it: chmod 600".into()));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn private(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = private(
            "# of the ledger\n\
             db:5432:giro:app:first\n\
             db:*:*:app:with\\:colon\\\\\n\
             localhost:5432:giro:app:socket\n\
             *:*:*:*:rest:of:it\n",
        );
        let passfile = Passfile::find(file.path().to_str(), &Places::default()).unwrap().unwrap();
        let of = |hosts: &[&str], port, database, user| {
            passfile.password(hosts, port, database, user).unwrap().unwrap()
        };
        assert_eq!(of(&["db"], 5432, "giro", "app"), "first");
        assert_eq!(of(&["db"], 5433, "giro", "app"), "with:colon\\");
        assert_eq!(of(&["/tmp", "localhost"], 5432, "giro", "app"), "socket");
        assert_eq!(of(&["other"], 1, "x", "y"), "rest:of:it");
    }

    #[test]
    fn a_password_file_that_others_read_is_refused_by_name_and_passed_over_by_default() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".pgpass");
        fs::write(&path, "*:*:*:*:hunter2\n").unwrap();
        let places = Places { home: Some(home.path().into()), ..Places::default() };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Passfile::find(None, &places).unwrap().is_none());
        let refused = Passfile::find(path.to_str(), &places).unwrap_err().to_string();
        assert!(refused.contains("chmod 600") && !refused.contains("hunter2"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Passfile::find(None, &places).unwrap().is_some());
        let gone = Passfile::find(Some("/no/such/file"), &places).unwrap_err().to_string();
        assert!(gone.contains("/no/such/file"), "{gone}");
    }

    #[test]
    fn a_service_is_a_section_of_the_first_file_that_has_it() {
        let own =
            private("[other]\nhost=x\n\n[giro]\n# where\nhost = a,b\nport=1\n[next]\nport=2\n");
        let system = tempfile::tempdir().unwrap();
        fs::write(system.path().join("pg_service.conf"), "[giro]\nhost=c\n[only]\nhost=d\n")
            .unwrap();
        let places = Places {
            servicefile: Some(own.path().into()),
            system: vec![system.path().into()],
            ..Places::default()
        };
        let pairs = |pairs: &[(&str, &str)]| -> Parameters {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        assert_eq!(
            service("giro", None, &places).unwrap(),
            pairs(&[("host", "a,b"), ("port", "1")])
        );
        assert_eq!(service("only", None, &places).unwrap(), pairs(&[("host", "d")]));
        let none = service("none", None, &places).unwrap_err().to_string();
        assert!(none.contains(own.path().to_str().unwrap()), "{none}");
        let nested = private("[giro]\nservice=other\n");
        let refused = service("giro", nested.path().to_str(), &places).unwrap_err();
        assert!(refused.to_string().contains("another"), "{refused}");
    }
}

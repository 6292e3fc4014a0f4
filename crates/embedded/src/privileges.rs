//! Whom the server runs as when root starts it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::StartError;

/// An unprivileged user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// The user to run the server as; `None` is the user that we are already.
    pub(crate) fn for_server(data_dir: &Path, pgdata: &Path) -> Result<Option<User>, StartError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = |path: &Path| fs::metadata(path).ok().map(|it| (it.uid(), it.gid()));
        match (owner(pgdata), owner(data_dir)) {
            (Some((0, _)), _) => Err(StartError::OwnedByRoot { data_dir: data_dir.to_owned() }),
            (Some((uid, gid)), _) | (None, Some((uid @ 1.., gid))) => {
                let name = name_of(&passwd, uid).unwrap_or_else(|| uid.to_string());
                Ok(Some(User { name, uid, gid }))
            }
            (None, _) => named(&passwd, "postgres")
                .or_else(|| named(&passwd, "nobody"))
                .map(Some)
                .ok_or(StartError::NoUser),
        }
    }

    /// Checks that the user may enter every directory down to `target`, an absolute path.
    pub(crate) fn check_can_enter(&self, target: &Path) -> Result<(), StartError> {
        for dir in target.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let found = fs::metadata(dir).map_err(StartError::io("look at", dir))?;
            if !self.may_enter(found.uid(), found.gid(), found.mode()) {
                let (dir, target) = (dir.to_owned(), target.to_owned());
                return Err(StartError::NotTraversable { user: self.name.clone(), dir, target });
            }
        }
        Ok(())
    }

    /// Gives an open file to this user.
    pub(crate) fn own(&self, file: &File) -> io::Result<()> {
        fchown(file, Some(self.uid), Some(self.gid))
    }

    fn may_enter(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bit = match (owner == self.uid, group == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        mode & bit != 0
    }
}

/// Gives a directory to the server's user.
pub(crate) fn give(dir: &Path, user: Option<&User>) -> Result<(), StartError> {
    let Some(user) = user else { return Ok(()) };
    lchown(dir, Some(user.uid), Some(user.gid)).map_err(StartError::io("change the owner of", dir))
}

/// Has a command run as the server's user, with no group but that user's own: for root, `uid`
/// also drops the supplementary groups.
pub(crate) fn run_as(command: &mut Command, user: Option<&User>) {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}

fn named(passwd: &str, name: &str) -> Option<User> {
    accounts(passwd).find(|user| user.name == name)
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    accounts(passwd).find(|user| user.uid == uid).map(|user| user.name)
}

fn accounts(passwd: &str) -> impl Iterator<Item = User> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { name, uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad\npostgres:x:101:104::/:/bin/sh\n";
        let postgres = User { name: "postgres".to_owned(), uid: 101, gid: 104 };
        assert_eq!(named(passwd, "postgres"), Some(postgres));
        assert_eq!(named(passwd, "nobody"), None);
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let user = User { name: "u".to_owned(), uid: 5, gid: 6 };
        assert!(user.may_enter(5, 0, 0o100));
        assert!(!user.may_enter(5, 6, 0o011));
        assert!(user.may_enter(0, 6, 0o010));
        assert!(!user.may_enter(0, 6, 0o001));
        assert!(user.may_enter(0, 0, 0o001));
        assert!(!user.may_enter(0, 0, 0o700));
    }
}

//! Every connection is a file descriptor, and the usual soft limit is 1024.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is not a connection of a caller: sessions, listeners, operators, files.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one, and refuses a number of connections that does not fit it; `option` is
/// where it was asked for.
pub(crate) fn make_room(option: &str, connections: usize) -> Result<(), String> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Refused only where the platform has a lower bound of its own; the check below still counts.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = connections as u64 + OTHERS;
    if needed > room {
        return Err(format!(
            "{option} ({connections}) and {OTHERS} other descriptors are more than the \
             process may open ({room}): lower the one or raise the other (ulimit -n)"
        ));
    }
    Ok(())
}

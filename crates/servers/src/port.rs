//! A free port that stays the same from start to start, as long as nobody else takes it.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    path::Path,
    sync::{LazyLock, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use crate::Notify;

/// Below the range that outgoing connections take their ports from (32768 and up on Linux): a client that keeps
/// connecting to a stopped server of its own host could otherwise be given that server's port and occupy it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
const ATTEMPTS: u16 = 200;

/// What this process has chosen: between the choice and the server that listens, a port looks free to the next choice.
static CHOSEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// Whether a server could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Any free port that this process has not chosen before.
pub fn choose() -> Result<u16> {
    let start = u16::from_str_radix(&crate::token::random()?[..4], 16).context("reading a random number")?;
    let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    for attempt in 0..ATTEMPTS {
        let port = FIRST + start.wrapping_add(attempt.wrapping_mul(7)) % COUNT;
        if is_free(port) && chosen.insert(port) {
            return Ok(port);
        }
    }
    bail!("found no free port between {FIRST} and {} in {ATTEMPTS} attempts", FIRST + COUNT);
}

/// The port in this file; another one, with a word about it, when that is taken.
pub fn keep(path: &Path, server: &str, notify: &Notify) -> Result<u16> {
    let kept = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u16>().ok());
    if let Some(port) = kept {
        if is_free(port) {
            return Ok(port);
        }
        notify(&format!("port {port}, which {server} had last time, is taken by another program; choosing another"));
    }
    let port = choose()?;
    fs::write(path, port.to_string()).with_context(|| format!("writing {}", path.display()))?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_chosen_twice() {
        let ports: HashSet<u16> = (0..500).map(|_| choose().expect("there are free ports")).collect();
        assert_eq!(ports.len(), 500);
    }
}

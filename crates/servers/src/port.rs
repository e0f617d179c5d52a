//! A free port that stays the same from start to start, as long as nobody else takes it.

use std::{fs, net::TcpListener, path::Path};

use anyhow::{Context, Result, bail};

use crate::Notify;

/// Below the range that outgoing connections take their ports from (32768 and up on Linux): a client that keeps
/// connecting to a stopped server of its own host could otherwise be given that server's port and occupy it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
const ATTEMPTS: u16 = 200;

/// Whether a server could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Any free port.
pub fn choose() -> Result<u16> {
    let start = u16::from_str_radix(&crate::token::random()?[..4], 16).context("reading a random number")?;
    for attempt in 0..ATTEMPTS {
        let port = FIRST + start.wrapping_add(attempt.wrapping_mul(7)) % COUNT;
        if is_free(port) {
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

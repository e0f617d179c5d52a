//! A nats-server with JetStream in a folder, on loopback, with a password.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    Notify,
    leftover::Identity,
    process::{Launch, Signal},
    token,
    wheels::Wheels,
};

/// A server that is set up but not started.
pub struct Nats {
    pub url: String,
    pub launch: Launch,
}

/// Reading its store back after a crash takes seconds per gigabyte.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// A server on loopback greets within microseconds; a hung one must not hold the start up.
const GREETING_WITHIN: Duration = Duration::from_millis(200);

/// Where the streams lie: deleting it is losing all of JetStream.
pub fn store(state: &Path) -> PathBuf {
    state.join("nats")
}

/// Writes the server's configuration into `state`, with its store below, and stops a server that an earlier run left running there.
pub async fn prepare(wheels: &Wheels, state: &Path, notify: &Notify) -> Result<Nats> {
    let state = fs::canonicalize(state).with_context(|| format!("looking into {}", state.display()))?;
    let password = token::keep(&state.join("nats.password"))?;
    let config = state.join("nats.conf");
    let identity = Identity {
        name: "NATS".to_owned(),
        pid_file: state.join("nats.pid"),
        mark: config.display().to_string(),
        stop_signal: Signal::TERM,
        stop_within: STOP_WITHIN,
    };
    identity.stop_leftover(notify).await?;
    let port = crate::port::keep(&state.join("nats.port"), "NATS", notify)?;
    token::write_private(&config, &configuration(port, &store(&state), &password))?;
    Ok(Nats {
        url: format!("nats://makegood:{password}@127.0.0.1:{port}"),
        launch: Launch {
            identity,
            program: wheels.nats_server.clone(),
            args: vec!["-c".into(), config.into()],
            env: vec![("GOMAXPROCS".to_owned(), threads().to_string())],
            run_as: None,
            log: state.join("nats.log"),
            ready_within: READY_WITHIN,
            is_ready: Box::new(move |_pid| greets(port)),
        },
    })
}

/// Threads that run Go code at once: half of the cores. It shares the machine with all else, and each message that one of its threads hands to another
/// wakes a core: with one thread on two cores a saga of four steps took 6.2 ms instead of 6.6 (docs/performance.md).
fn threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

fn configuration(port: u16, store: &Path, password: &str) -> String {
    format!(
        "listen: \"127.0.0.1:{port}\"\n\
         server_name: \"makegood\"\n\
         # Batches of commands travel in one message.\n\
         max_payload: 4MB\n\
         # The bounds of the streams, and what others add. Left out it would be three quarters of what is free on the disk, and\n\
         # where that is less than the streams' bounds none of them could be made.\n\
         jetstream {{ store_dir: {store:?}, max_file_store: 6GB }}\n\
         authorization {{ user: \"makegood\", password: \"{password}\" }}\n",
        store = store.display().to_string(),
    )
}

/// It listens to clients only once JetStream has read its store back.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let greeting = TcpStream::connect_timeout(&address, GREETING_WITHIN).and_then(|mut stream| {
        stream.set_read_timeout(Some(GREETING_WITHIN))?;
        let mut start = [0_u8; 5];
        stream.read_exact(&mut start).map(|()| start)
    });
    greeting.is_ok_and(|start| &start == b"INFO ")
}

//! A PostgreSQL server in a folder: made once, then run on loopback with a password.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{DirBuilderExt, chown},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{
    Notify,
    leftover::Identity,
    pid_file,
    process::{Launch, Signal},
    token,
    wheels::Wheels,
};

/// What the data must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: for whoever keeps the data.
    PowerLoss,
    /// The death of every process, but not of the machine: for tests, which commit thousands of times.
    ProcessDeath,
}

/// A server that is set up but not started.
pub struct Postgres {
    pub url: String,
    pub launch: Launch,
}

/// Recovery after a crash replays up to `max_wal_size`.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A fast shutdown writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// The system's limit for a socket's path is 107 bytes, of which PostgreSQL takes up to 15 for the file's name.
const MAX_SOCKET_FOLDER: usize = 90;

/// Sets the server up in `<postgres_home>/postgres`, unless that was done before, and stops one that an earlier run left
/// running there. `state` keeps its password, port and log.
pub async fn prepare(wheels: &Wheels, state: &Path, durability: Durability, notify: &Notify) -> Result<Postgres> {
    let folder = wheels.postgres_home.join("postgres");
    let data = folder.join("data");
    let password = token::keep(&state.join("postgres.password"))?;
    let identity = Identity {
        name: "PostgreSQL".to_owned(),
        pid_file: state.join("postgres.pid"),
        mark: data.display().to_string(),
        // Fast shutdown: open transactions are rolled back, committed ones are safe.
        stop_signal: Signal::INT,
        stop_within: STOP_WITHIN,
    };
    if !data.exists() {
        create_cluster(wheels, &folder, &password, durability).await?;
    }
    identity.stop_leftover(notify).await?;
    remove_stale_postmaster_pid(&data, &identity.mark, notify)?;
    let port = crate::port::keep(&state.join("postgres.port"), "PostgreSQL", notify)?;
    let ready_file = data.join("postmaster.pid");
    let socket_folder = socket_folder(&folder);
    Ok(Postgres {
        url: url(&password, port, socket_folder),
        launch: Launch {
            identity,
            program: wheels.postgres_bin.join("postgres"),
            args: arguments(&data, port, socket_folder, durability),
            env: Vec::new(),
            run_as: wheels.postgres_user.clone(),
            log: state.join("postgres.log"),
            ready_within: READY_WITHIN,
            is_ready: Box::new(move |pid| says_ready(&ready_file, pid)),
        },
    })
}

/// Where the server's socket goes: its own folder, which nobody else may enter. None when the path is too long, or has
/// characters that mean something in a setting or a URL.
fn socket_folder(folder: &Path) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    folder.to_str().filter(|text| text.len() <= MAX_SOCKET_FOLDER && text.bytes().all(is_plain))
}

/// Through the socket where there is one: a round trip costs a third less there. The port stands in it too, for whoever
/// knows no `host` parameter.
fn url(password: &str, port: u16, socket_folder: Option<&str>) -> String {
    let tcp = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
    match socket_folder {
        Some(folder) => format!("{tcp}?host={}", folder.replace('/', "%2F")),
        None => tcp,
    }
}

/// As flags and not in a file, so that a cluster made by an earlier build runs with this build's settings.
fn arguments(data: &Path, port: u16, socket_folder: Option<&str>, durability: Durability) -> Vec<OsString> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", socket_folder.unwrap_or_default()),
        "max_connections=200".to_owned(),
        // Many small commits: checkpoints seldom, so that few pages are logged in full. (This build has no lz4 for those.)
        "max_wal_size=4GB".to_owned(),
        "checkpoint_timeout=15min".to_owned(),
        // Plans that were made while a table was empty are kept until its statistics come: within seconds, not minutes.
        "autovacuum_naptime=10s".to_owned(),
        "jit=off".to_owned(),
    ];
    if cfg!(target_os = "linux") {
        // After a crash, one call syncs everything, where one for each of thousands of files takes seconds.
        settings.push("recovery_init_sync_method=syncfs".to_owned());
    }
    settings.extend(match durability {
        Durability::PowerLoss => ["shared_buffers=512MB", "fsync=on"].map(str::to_owned),
        Durability::ProcessDeath => ["shared_buffers=128MB", "fsync=off"].map(str::to_owned),
    });
    let mut args = vec![OsString::from("-D"), data.as_os_str().to_owned()];
    args.extend(settings.into_iter().flat_map(|setting| [OsString::from("-c"), OsString::from(setting)]));
    args
}

/// The last line of postmaster.pid is the server's own word for its state; the first one says which server's:
/// one that was killed leaves its word behind.
fn says_ready(postmaster_pid: &Path, pid: u32) -> bool {
    fs::read_to_string(postmaster_pid).is_ok_and(|text| {
        let mut lines = text.lines();
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    })
}

/// PostgreSQL takes any living process with the number in its own pid file for a server, and refuses to start.
fn remove_stale_postmaster_pid(data: &Path, mark: &str, notify: &Notify) -> Result<()> {
    let path = data.join("postmaster.pid");
    match pid_file::holder(&path, mark) {
        pid_file::Holder::Nobody => Ok(()),
        pid_file::Holder::Stale => {
            notify("PostgreSQL was not shut down last time; it recovers what was committed");
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
        }
        pid_file::Holder::Running(pid) => {
            bail!(
                "a PostgreSQL that was not started by makegood uses {} (process {pid}): stop it first",
                data.display()
            )
        }
    }
}

async fn create_cluster(wheels: &Wheels, folder: &Path, password: &str, durability: Durability) -> Result<()> {
    let user = wheels.postgres_user.as_ref();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| user.map_or(Ok(()), |user| chown(folder, Some(user.uid), Some(user.gid))))
        .with_context(|| format!("creating {}", folder.display()))?;
    let password_file = folder.join("password");
    token::write_private(&password_file, password)?;
    if let Some(user) = user {
        chown(&password_file, Some(user.uid), Some(user.gid))?;
    }
    // Made beside its place and moved there when whole, so that an interrupted start leaves no half of it.
    let fresh = folder.join("data.new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("removing an interrupted initdb's folder");
        }
        Ok(()) | Err(_) => {}
    }
    initdb(wheels, &fresh, &password_file, durability).await?;
    fs::remove_file(&password_file).context("removing the password file")?;
    fs::rename(&fresh, folder.join("data")).context("putting the new cluster in its place")
}

async fn initdb(wheels: &Wheels, data: &Path, password_file: &Path, durability: Durability) -> Result<()> {
    let mut command = Command::new(wheels.postgres_bin.join("initdb"));
    command.kill_on_drop(true);
    command.arg("-D").arg(data).arg(format!("--pwfile={}", password_file.display()));
    command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]);
    // Sorting by code point, the same on every machine.
    command.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    if durability == Durability::ProcessDeath {
        command.arg("--no-sync");
    }
    if let Some(user) = &wheels.postgres_user {
        command.uid(user.uid).gid(user.gid).current_dir("/");
    }
    let output = command.output().await.context("running initdb")?;
    if !output.status.success() {
        bail!(
            "initdb ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

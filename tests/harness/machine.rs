//! What a system needs of the machine: a turn of its own, a folder, the binary.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

/// One system at a time: two cores carry one, and a test of crashes must not be another one's crash.
/// Across processes too, since some test runners give each test its own.
pub(crate) fn take_turn() -> Result<File> {
    let path = std::env::temp_dir().join("makegood-system-tests.lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    file.lock().with_context(|| format!("waiting for {}", path.display()))?;
    Ok(file)
}

/// A folder that is removed with the system, unless the test failed: then its logs are worth reading.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("makegood-it-{}", uuid::Uuid::now_v7().simple()));
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the logs of the failed system are in {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("removing {}: {error}", self.path.display());
        }
    }
}

/// The binary of this very build: beside the folder that holds the test's own.
pub(crate) fn binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("MAKEGOOD_BIN") {
        return Ok(given.into());
    }
    let binary = build_folder()?.join("makegood");
    ensure!(
        binary.exists(),
        "{} is missing: build it first (make test does), or name it in MAKEGOOD_BIN",
        binary.display()
    );
    Ok(binary)
}

/// Where this very build puts what it makes.
pub(crate) fn build_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding the test's own file")?;
    let folder = own.parent().and_then(Path::parent).context("the test's file lies in no target folder")?;
    Ok(folder.to_owned())
}

/// Where PostgreSQL and NATS are installed.
pub(crate) fn servers() -> Result<PathBuf> {
    match std::env::var_os("MAKEGOOD_SERVERS") {
        Some(given) => Ok(given.into()),
        None => bail!("MAKEGOOD_SERVERS must name the folder that scripts/install-servers filled (make test sets it)"),
    }
}

/// Runs the binary to its end and returns what it wrote to standard output.
pub(crate) async fn run(binary: &Path, args: &[&str], env: &[(String, String)]) -> Result<String> {
    let mut command = tokio::process::Command::new(binary);
    command.args(args).envs(env.iter().cloned()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("running makegood {}", args.join(" ")))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "makegood {} ended with {}:\n{stdout}{}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

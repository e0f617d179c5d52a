//! One development server per home: two would write one set of data.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};

/// Held until it is dropped, and by the operating system's word: a process that was killed holds nothing.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

/// Takes the home, or says who has it.
pub(crate) fn take(home: &Path, url: &str) -> Result<HomeLock> {
    let path = home.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).with_context(|| format!("reading {}", path.display()))?;
            bail!(
                "{} is in use: another `makegood up` runs there ({}). Stop that one with Ctrl-C, or give this one a home \
                 and a port of its own: make up MAKEGOOD_HOME=.makegood-2 MAKEGOOD_PORT=8081",
                home.display(),
                holder.trim()
            );
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("locking {}", path.display())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "process {}, {url}", std::process::id()))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(HomeLock { _file: file })
}

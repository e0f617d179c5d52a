//! Whose process a pid file speaks of: numbers are given out again, so a number alone proves nothing.

use std::{fs, path::Path, process::Command};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// What a pid file turned out to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// There is no such file.
    Nobody,
    /// That process is gone, or its number belongs to another program by now.
    Stale,
    /// That process still runs, and it is ours.
    Running(u32),
}

/// Reads the file's first line; `mark` is text that only our process has on its command line.
pub fn holder(path: &Path, mark: &str) -> Holder {
    let Ok(text) = fs::read_to_string(path) else {
        return Holder::Nobody;
    };
    match text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) {
        Some(pid) if command_line(pid).contains(mark) => Holder::Running(pid),
        Some(_) | None => Holder::Stale,
    }
}

/// Empty for a process that has ended, also while nobody has waited for it.
fn command_line(pid: u32) -> String {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return String::from_utf8_lossy(&bytes).replace('\0', " ");
    }
    let listed = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Whether a process of this number is there, zombies aside where /proc tells.
pub fn is_alive(pid: u32) -> bool {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the command's name, which stands in parentheses and may hold anything.
        return status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'));
    }
    to_pid(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Sends a signal; a process that is gone has had its effect.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = to_pid(pid)
        && let Err(error) = kill_process(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        eprintln!("makegood: signal {signal:?} to process {pid:?}: {error}");
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_another_program_has_by_now_is_stale() {
        let file = std::env::temp_dir().join(format!("makegood-pid-{}", std::process::id()));
        fs::write(&file, format!("{}\n", std::process::id())).expect("writes");
        let own_name = std::env::args().next().expect("has a name");
        assert_eq!(holder(&file, &own_name), Holder::Running(std::process::id()));
        assert_eq!(holder(&file, "some other program"), Holder::Stale);
        fs::write(&file, "no number").expect("writes");
        assert_eq!(holder(&file, ""), Holder::Stale);
        fs::remove_file(&file).expect("removes");
        assert_eq!(holder(&file, ""), Holder::Nobody);
    }
}

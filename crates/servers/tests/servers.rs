//! The two servers for real: they start, come back after SIGKILL with what was committed, and leave no process behind.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use makegood_servers::{
    Notify, nats, pid_file, postgres, postgres::Durability, process::Process, wheels, wheels::Wheels,
};

/// A folder that is removed when the test ends, and what was said.
struct Bench {
    home: PathBuf,
    wheels: Wheels,
    said: Arc<Mutex<Vec<String>>>,
    notify: Notify,
}

impl Bench {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("makegood-servers-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("creates the home");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        let notify: Notify = Arc::new(move |line: &str| heard.lock().expect("locks").push(line.to_owned()));
        let installed = std::env::var("MAKEGOOD_SERVERS")
            .expect("MAKEGOOD_SERVERS names the installed servers (make test sets it)");
        let wheels = wheels::find(Path::new(&installed), &home, &notify).expect("finds the servers");
        Self { home, wheels, said, notify }
    }

    async fn postgres(&self) -> Process {
        let server = postgres::prepare(&self.wheels, &self.home, Durability::ProcessDeath, &self.notify)
            .await
            .expect("prepares");
        Process::start(server.launch, self.notify.clone()).await.expect("starts")
    }

    async fn nats(&self) -> Process {
        let server = nats::prepare(&self.wheels, &self.home, &self.notify).await.expect("prepares");
        Process::start(server.launch, self.notify.clone()).await.expect("starts")
    }

    fn heard(&self, text: &str) -> bool {
        self.said.lock().expect("locks").iter().any(|line| line.contains(text))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.home);
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

#[tokio::test]
async fn killed_servers_come_back_and_stopped_ones_are_gone() {
    let bench = Bench::new("killed");
    for mut server in [bench.postgres().await, bench.nats().await] {
        let first = server.pid().expect("runs");
        pid_file::signal(first, makegood_servers::process::Signal::KILL);
        server.exited().await.expect("ends");
        server.restart().await.expect("runs again");
        let second = server.pid().expect("runs");
        assert_ne!(first, second);
        server.stop().await.expect("stops");
        assert!(!pid_file::is_alive(second), "{} is left behind", server.name());
    }
    assert!(!bench.home.join("postgres.pid").exists() && !bench.home.join("nats.pid").exists());
}

#[tokio::test]
async fn a_server_that_outlived_its_starter_is_stopped_by_the_next_start() {
    let bench = Bench::new("leftover");
    for (first, is_postgres) in [(bench.postgres().await, true), (bench.nats().await, false)] {
        let pid = first.pid().expect("runs");
        // As if we had been killed: nobody stops it.
        std::mem::forget(first);
        let mut second = if is_postgres { bench.postgres().await } else { bench.nats().await };
        assert!(bench.heard(&format!("still runs as process {pid}")));
        assert!(!pid_file::is_alive(pid));
        second.stop().await.expect("stops");
    }
}

#[tokio::test]
async fn a_pid_file_that_names_another_program_is_no_hindrance() {
    let bench = Bench::new("stale");
    let mut first = bench.postgres().await;
    first.stop().await.expect("stops");
    let own = std::process::id().to_string();
    std::fs::write(bench.home.join("postgres.pid"), &own).expect("writes");
    std::fs::write(bench.wheels.postgres_home.join("postgres/data/postmaster.pid"), &own).expect("writes");
    let mut second = bench.postgres().await;
    assert!(bench.heard("names a process that is gone"));
    second.stop().await.expect("stops");
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_given_up() {
    let bench = Bench::new("port");
    let mut first = bench.nats().await;
    first.stop().await.expect("stops");
    let kept = std::fs::read_to_string(bench.home.join("nats.port")).expect("reads");
    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{kept}")).expect("binds");
    let mut second = bench.nats().await;
    assert!(bench.heard("is taken by another program"));
    assert_ne!(kept, std::fs::read_to_string(bench.home.join("nats.port")).expect("reads"));
    second.stop().await.expect("stops");
}

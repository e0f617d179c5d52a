//! A PostgreSQL, a NATS, an orchestrator and a participant of the run's own, each a process; gone when it ends.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use makegood_chassis::{
    config::Config,
    database::{self, Purpose},
};
use makegood_servers::{
    http_ready,
    leftover::Identity,
    nats, port,
    postgres::{self, Durability},
    process::{Launch, Process, Signal},
    token, wheels,
};
use serde::Serialize;
use sqlx::{ConnectOptions as _, Connection as _, PgPool, postgres::PgConnectOptions};

use super::{Args, participant};
use crate::{
    keys,
    progress::{notify, step},
    roles::Role,
};

/// The benchmark's saga.
pub(super) const DEFINITION: &str = "bench";

/// More than a run of ten seconds writes.
const AGED_MEGABYTES: usize = 1_500;

/// Places among the processes: both servers come before them.
const ORCHESTRATOR: usize = 2;
const PARTICIPANT: usize = 3;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longer than a role drains for.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Everything that runs, in the order in which it began.
pub(super) struct System {
    processes: Vec<Process>,
    folder: PathBuf,
    /// Of the server itself, for what only its owner may do.
    server: PgConnectOptions,
    pub(super) nats_url: String,
    pub(super) orchestrator_db: PgPool,
    pub(super) participant_db: PgPool,
}

/// Resident memory of the two roles.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) orchestrator_mb: f64,
    pub(super) participant_mb: f64,
}

impl System {
    pub(super) async fn start(args: &Args) -> Result<Self> {
        let folder = folder(&args.home)?;
        let notify = notify();
        let wheels = wheels::find(&args.servers, &folder, &notify)?;
        let prepared = postgres::prepare(&wheels, &folder, Durability::PowerLoss, &notify);
        let database = step("setting up PostgreSQL", prepared).await?;
        let bus = nats::prepare(&wheels, &folder, &notify).await?;
        let (database_server, bus_server) = step("starting PostgreSQL and NATS", async {
            tokio::try_join!(
                Process::start(database.launch, notify.clone()),
                Process::start(bus.launch, notify.clone())
            )
        })
        .await?;
        let server: PgConnectOptions = database.url.parse().context("the server's own URL")?;
        step("recycling PostgreSQL's log", age_wal(&server)).await?;
        let config = config(&folder, database.url, bus.url)?;
        database::migrate(&config, Role::Orchestrator.name(), &makegood_orchestrator::MIGRATOR).await?;
        database::migrate(&config, participant::SERVICE, &participant::MIGRATOR).await?;
        let definitions = folder.join("definitions");
        fs::create_dir(&definitions).context("creating the folder of definitions")?;
        fs::write(definitions.join("bench.v1.yaml"), definition(args)).context("writing the definition")?;

        let mut processes = vec![database_server, bus_server];
        let launches = [orchestrator(&folder, &config, &definitions)?, participant(&folder, &config)?];
        for launch in launches {
            let name = format!("starting {}", launch.identity.name);
            processes.push(step(&name, Process::start(launch, notify.clone())).await?);
        }
        let open =
            async |service| database::connect(&database::service_url(&config, service)?, service, Purpose::Admin).await;
        Ok(Self {
            processes,
            folder,
            server,
            orchestrator_db: open(Role::Orchestrator.name()).await?,
            participant_db: open(participant::SERVICE).await?,
            nats_url: config.nats_url,
        })
    }

    /// Writes everything to disk that is not there yet, so that the run does not pay for what was before it.
    pub(super) async fn checkpoint(&self) -> Result<()> {
        let mut admin = self.server.connect().await.context("connecting to PostgreSQL")?;
        sqlx::query("checkpoint").execute(&mut admin).await.context("writing a checkpoint")?;
        admin.close().await.context("closing the connection")
    }

    /// SIGKILL: whatever it was doing is cut off.
    pub(super) async fn kill_orchestrator(&mut self) -> Result<()> {
        self.processes[ORCHESTRATOR].kill().await.context("killing the orchestrator")
    }

    /// Starts it again, and waits until it is ready.
    pub(super) async fn restart_orchestrator(&mut self) -> Result<()> {
        self.processes[ORCHESTRATOR].restart().await.context("starting the orchestrator again")
    }

    /// Stops all, last first, and removes their data.
    pub(super) async fn stop(&mut self) -> Result<()> {
        for process in self.processes.iter_mut().rev() {
            process.stop().await?;
        }
        fs::remove_dir_all(&self.folder).with_context(|| format!("removing {}", self.folder.display()))
    }

    pub(super) fn memory(&self) -> Memory {
        let of = |place: usize| self.processes.get(place).and_then(Process::pid).map_or(0.0, resident_mb);
        Memory { orchestrator_mb: of(ORCHESTRATOR), participant_mb: of(PARTICIPANT) }
    }
}

/// A new server makes each file of its write-ahead log when it needs it, and every commit waits meanwhile; one that has run
/// for a while uses old ones again. This makes the run's server like that: files are filled and given back.
async fn age_wal(server: &PgConnectOptions) -> Result<()> {
    let mut admin = server.connect().await.context("connecting to PostgreSQL")?;
    sqlx::query("alter system set min_wal_size = '2GB'").execute(&mut admin).await?;
    sqlx::query("select pg_reload_conf()").execute(&mut admin).await?;
    for _ in 0..AGED_MEGABYTES {
        sqlx::query("select pg_logical_emit_message(false, 'bench', repeat('x', 1024 * 1024))")
            .execute(&mut admin)
            .await?;
    }
    sqlx::query("checkpoint").execute(&mut admin).await.context("giving the log's files back")?;
    admin.close().await.context("closing the connection")
}

/// A fresh folder in the home, which lies on the disk that is to be measured.
fn folder(home: &Path) -> Result<PathBuf> {
    let folder = home.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    fs::canonicalize(&folder).with_context(|| format!("looking into {}", folder.display()))
}

fn config(folder: &Path, database_url: String, nats_url: String) -> Result<Config> {
    let secret = token::keep(&folder.join("secret"))?;
    let api_keys = folder.join("api_keys.json");
    keys::test_keys(folder, &api_keys, &secret)?;
    Ok(Config { database_url, nats_url, secret, api_keys })
}

fn definition(args: &Args) -> String {
    let step = |number: u16| {
        let command = if args.refuse_step == Some(number) { "refuse_effect" } else { "make_effect" };
        let service = participant::SERVICE;
        format!("  - step: step_{number}\n    command: {service}.{command}\n    compensate: {service}.undo_effect\n")
    };
    let steps: String = (1..=args.steps).map(step).collect();
    format!("saga: {DEFINITION}\nversion: 1\nsteps:\n{steps}")
}

fn orchestrator(folder: &Path, config: &Config, definitions: &Path) -> Result<Launch> {
    let ops_port = port::choose()?;
    let args = ["serve", Role::Orchestrator.name(), "--definitions"];
    let mut launch = launch(folder, config, Role::Orchestrator.name(), &args)?;
    launch.args.push(definitions.into());
    launch.env.push(("MAKEGOOD_PORT".to_owned(), port::choose()?.to_string()));
    launch.env.push(("MAKEGOOD_OPS_PORT".to_owned(), ops_port.to_string()));
    launch.identity.mark = definitions.display().to_string();
    launch.is_ready = Box::new(move |_pid| http_ready::answers_ok(ops_port, "/readyz"));
    Ok(launch)
}

fn participant(folder: &Path, config: &Config) -> Result<Launch> {
    let mut launch = launch(folder, config, participant::SERVICE, &["bench", "participant", "--api-keys"])?;
    launch.args.push(config.api_keys.clone().into());
    launch.identity.mark = config.api_keys.display().to_string();
    Ok(launch)
}

fn launch(folder: &Path, config: &Config, name: &str, args: &[&str]) -> Result<Launch> {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(Launch {
        identity: Identity {
            name: format!("the {name}"),
            pid_file: folder.join(format!("{name}.pid")),
            mark: String::new(),
            stop_signal: Signal::TERM,
            stop_within: STOP_WITHIN,
        },
        program: std::env::current_exe().context("finding our own program")?,
        args: args.iter().map(Into::into).collect(),
        env: vec![
            variable("DATABASE_URL", &config.database_url),
            variable("NATS_URL", &config.nats_url),
            variable("MAKEGOOD_SECRET", &config.secret),
            variable("MAKEGOOD_API_KEYS", &config.api_keys.display().to_string()),
            variable("NO_COLOR", "1"),
        ],
        run_as: None,
        log: folder.join(format!("{name}.log")),
        ready_within: READY_WITHIN,
        // The load's first sagas wait for a participant that comes later.
        is_ready: Box::new(|_pid| true),
    })
}

/// 0 where the system does not tell it as Linux does.
fn resident_mb(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: f64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default();
    kilobytes / 1_000.0
}

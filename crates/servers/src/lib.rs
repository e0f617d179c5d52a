//! PostgreSQL and NATS as child processes of a development server or of a test.
//!
//! [`wheels`] finds the programs that `scripts/install-servers` unpacked, [`postgres`] and [`nats`] set a server up
//! in a folder and describe how it is run, and [`process`] runs it: started until it is ready, started again when
//! it dies, stopped in order. What a start leaves behind for the next one is in [`leftover`], [`pid_file`], [`port`] and [`token`];
//! [`http_ready`] asks a role's health page; [`unprivileged`] is for root, whom PostgreSQL refuses.
//!
//! Nothing here knows Makegood's roles or tables: production has servers of its own.

pub mod nats;
pub mod postgres;
pub mod process;
pub mod wheels;

pub mod http_ready;
pub mod leftover;
pub mod pid_file;
pub mod port;
pub mod token;
pub mod unprivileged;

/// Says one sentence to whoever started the servers.
pub type Notify = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

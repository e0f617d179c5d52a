//! The harness of the system tests: a whole Makegood of real processes, which a test may kill, pause and rob.
//!
//! [`System`] starts a PostgreSQL and a NATS of its own and each role as a process of its own, with the very binary that
//! ships. [`Api`] is the client that tests place orders with, [`JetStream`] somebody who has got into the bus. [`until`]
//! waits for what must come true, and nothing sleeps blindly. [`System::finish`] asks every promise (`makegood verify`)
//! before it stops all of it.

mod api;
mod books;
mod cli;
mod collector;
mod example;
mod jetstream;
mod layout;
mod machine;
mod phone_order;
mod system;
mod waiting;

pub use api::{Answer, Api, As, Placed};
pub use books::Stock;
pub use cli::Ran;
pub use collector::Collector;
pub use example::{Example, GIFTWRAP, LOYALTY, example_definitions};
pub use jetstream::{JetStream, STREAMS, Said};
pub use system::{IMPATIENT, System};
pub use waiting::until;

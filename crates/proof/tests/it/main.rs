//! What is proven about sagas; docs/proof.md has the list, and the commands for longer runs.

mod any_definition;
mod definitions;
mod every_way;
mod seeds;

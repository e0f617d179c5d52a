//! Every role's own settings on one command line, each role's under a heading of its own.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub order: makegood_order::Config,
    pub cart: makegood_cart::Config,
    pub catalog: makegood_catalog::Config,
    pub inventory: makegood_inventory::Config,
    pub payment: makegood_payment::Config,
    pub fulfillment: makegood_fulfillment::Config,
    pub orchestrator: makegood_orchestrator::Config,
    pub sandbox: makegood_sandbox::Config,
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self {
            order: FromArgMatches::from_arg_matches(matches)?,
            cart: FromArgMatches::from_arg_matches(matches)?,
            catalog: FromArgMatches::from_arg_matches(matches)?,
            inventory: FromArgMatches::from_arg_matches(matches)?,
            payment: FromArgMatches::from_arg_matches(matches)?,
            fulfillment: FromArgMatches::from_arg_matches(matches)?,
            orchestrator: FromArgMatches::from_arg_matches(matches)?,
            sandbox: FromArgMatches::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        let command = with_args_of::<makegood_order::Config>(command, "Order");
        let command = with_args_of::<makegood_cart::Config>(command, "Cart");
        let command = with_args_of::<makegood_catalog::Config>(command, "Catalog");
        let command = with_args_of::<makegood_inventory::Config>(command, "Inventory");
        let command = with_args_of::<makegood_payment::Config>(command, "Payment");
        let command = with_args_of::<makegood_fulfillment::Config>(command, "Fulfillment");
        let command = with_args_of::<makegood_orchestrator::Config>(command, "Orchestrator");
        with_args_of::<makegood_sandbox::Config>(command, "Sandbox")
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The arguments one by one: clap's own flattening would also add a group named after the type, and all of them are `Config`.
fn with_args_of<C: Args>(command: Command, heading: &'static str) -> Command {
    let own = C::augment_args(Command::new(heading));
    own.get_arguments().cloned().fold(command, |command, arg| command.arg(arg.help_heading(heading)))
}

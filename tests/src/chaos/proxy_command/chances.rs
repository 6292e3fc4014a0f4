use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use giro_proxy::Fault;

/// How likely each fault is at each call: one option per fault, by its name.
pub(super) struct Chances(pub(super) Vec<(Fault, f64)>);

impl Args for Chances {
    fn augment_args(command: Command) -> Command {
        let option = |fault: &Fault| {
            Arg::new(fault.name())
                .long(fault.name())
                .value_name("CHANCE")
                .value_parser(chance)
                .help_heading("Faults, each with its chance at a call (such as 1% or 0.01)")
                .help(fault.meaning())
        };
        command.args(Fault::ALL.iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Chances {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |fault: &Fault| Some((*fault, *matches.get_one::<f64>(fault.name())?));
        Ok(Self(Fault::ALL.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), Error> {
        Err(Error::new(ErrorKind::InvalidSubcommand)) // nobody updates
    }
}

/// `1%` or `0.01`.
fn chance(text: &str) -> Result<f64, String> {
    let (number, of) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let chance = number.trim().parse::<f64>().ok().map(|number| number / of);
    let chance = chance.filter(|chance| (0.0..=1.0).contains(chance));
    chance.ok_or_else(|| "a chance is from 0% to 100%, or from 0 to 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_is_a_part_of_one() {
        for (text, expected) in [("1%", 0.01), ("0.5", 0.5), ("100 %", 1.0), ("0", 0.0)] {
            assert_eq!(chance(text), Ok(expected), "{text}");
        }
        for text in ["", "%", "101%", "-1%", "2", "NaN", "inf", "1‰"] {
            assert!(chance(text).is_err(), "{text}");
        }
    }
}

//! The environment, and what is wrong in it.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fmt};

/// Reads variables. A value that makes no sense is one complaint and the default.
pub(crate) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    complaints: RefCell<Vec<String>>,
}

/// A kind of telemetry; variables of OTLP can be set for one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Spans.
    Traces,
    /// What instruments measured.
    Metrics,
    /// Log records.
    Logs,
}

impl Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        })
    }
}

/// The process's own variables. What is no Unicode is an unknown value, and not one that is missing.
pub(crate) fn process(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl<'a> Environment<'a> {
    pub(crate) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, complaints: RefCell::default() }
    }

    /// The value, without white space around it. The specification counts an empty one as unset.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.variable)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The variable that decides an option of OTLP: the signal's own, else the one for all.
    pub(crate) fn otlp(&self, signal: Signal, option: &str) -> Option<(String, String)> {
        self.all_otlp(signal, option).next()
    }

    fn all_otlp(&self, signal: Signal, option: &str) -> impl Iterator<Item = (String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{option}", signal.to_string().to_uppercase());
        let general = format!("OTEL_EXPORTER_OTLP_{option}");
        [own, general].into_iter().filter_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// The first of these values for which `parse` answers: by the specification, one that cannot be
    /// used is as one that is not set.
    pub(crate) fn parse_otlp<T>(
        &self,
        signal: Signal,
        option: &str,
        default: impl Display,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let mut ignored = Vec::new();
        let mut found = None;
        for (name, value) in self.all_otlp(signal, option) {
            if let Some(parsed) = parse(&value) {
                found = Some((parsed, value));
                break;
            }
            ignored.push((name, value));
        }
        let taken = found.as_ref().map_or_else(|| default.to_string(), |(_, value)| value.clone());
        for (name, value) in ignored {
            self.complain(&name, &value, "is unknown or out of range", &taken);
        }
        found.map(|(parsed, _)| parsed)
    }

    /// Notes a value that cannot be used, in the words that the user will read.
    pub(crate) fn complain(&self, name: &str, value: &str, problem: &str, taken: impl Display) {
        self.say(format!("{name}={value:?} {problem}; {taken} is used"));
    }

    /// Notes anything else, for instance about a value that nobody should read.
    pub(crate) fn say(&self, complaint: String) {
        let mut complaints = self.complaints.borrow_mut();
        // A variable for all signals is read once for each of them.
        if !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }

    /// What has been noted. Each complaint is handed out once.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.take()
    }

    /// A value for which `parse` answers, else the default.
    pub(crate) fn parse<T: Display>(
        &self,
        name: &str,
        problem: &str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(value) = self.get(name) else { return default };
        parse(&value).unwrap_or_else(|| {
            self.complain(name, &value, problem, &default);
            default
        })
    }

    /// A number of at least `least`.
    pub(crate) fn number<T: FromStr + PartialOrd + Display + Copy>(
        &self,
        name: &str,
        least: T,
        default: T,
    ) -> T {
        let problem = format!("is no number of at least {least}");
        self.parse(name, &problem, default, |value| value.parse().ok().filter(|it| *it >= least))
    }

    /// How long something takes at most. By the specification, 0 is no limit.
    pub(crate) fn timeout(&self, name: &str, default: u64) -> Option<Duration> {
        limit(self.number(name, 0, default))
    }

    /// By the specification, only the word `true` says yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parse(name, "is neither true nor false", false, parse_flag)
    }
}

/// A timeout in milliseconds, of which 0 is none.
pub(crate) fn limit(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

fn parse_flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(pairs: &[(&str, &str)], check: impl FnOnce(&Environment<'_>) -> T) -> T {
        let variable = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        check(&Environment::new(&variable))
    }

    #[test]
    fn an_empty_value_is_no_value() {
        with(&[("A", ""), ("B", "  "), ("C", " 7 ")], |environment| {
            assert_eq!(environment.number("A", 1, 3), 3);
            assert_eq!(environment.number("B", 1, 3), 3);
            assert_eq!(environment.number("C", 1, 3), 7);
            assert_eq!(environment.complaints(), Vec::<String>::new());
        });
    }

    #[test]
    fn a_bad_value_is_one_complaint_and_the_default() {
        with(&[("A", "0"), ("B", "yes")], |environment| {
            assert_eq!(environment.number("A", 1, 3), 3);
            assert!(!environment.flag("B"));
            assert_eq!(
                environment.complaints(),
                [
                    r#"A="0" is no number of at least 1; 3 is used"#,
                    r#"B="yes" is neither true nor false; false is used"#,
                ]
            );
            assert_eq!(environment.complaints(), Vec::<String>::new());
        });
    }

    #[test]
    fn the_variable_of_a_signal_wins_unless_it_is_empty() {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", ""),
        ];
        with(&pairs, |environment| {
            let timeout = |signal| environment.otlp(signal, "TIMEOUT").map(|(_, value)| value);
            assert_eq!(timeout(Signal::Traces).as_deref(), Some("1"));
            assert_eq!(timeout(Signal::Metrics).as_deref(), Some("1"));
            assert_eq!(timeout(Signal::Logs).as_deref(), Some("2"));
        });
    }

    #[test]
    fn a_bad_value_of_a_signal_counts_as_unset() {
        let read = |pairs: &[(&str, &str)]| {
            with(pairs, |environment| {
                let parse = |value: &str| value.parse::<u8>().ok();
                let found = environment.parse_otlp(Signal::Traces, "TIMEOUT", "none", parse);
                (found, environment.complaints())
            })
        };
        let (own, general) = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
        let complaint = |name: &str, value: &str, used: &str| {
            format!("{name}={value:?} is unknown or out of range; {used} is used")
        };
        assert_eq!(read(&[]), (None, vec![]));
        assert_eq!(read(&[(own, "1"), (general, "x")]), (Some(1), vec![]));
        assert_eq!(read(&[(own, "x"), (general, "2")]), (Some(2), vec![complaint(own, "x", "2")]));
        assert_eq!(
            read(&[(own, "x"), (general, "-1")]),
            (None, vec![complaint(own, "x", "none"), complaint(general, "-1", "none")])
        );
    }
}

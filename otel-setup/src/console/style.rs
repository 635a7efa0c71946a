//! How the console looks, and what the environment says of it.

use std::env;
use std::io::{self, IsTerminal};

/// Below, nothing would be left of names.
const NARROWEST: usize = 40;
/// Above, the eye no longer finds from a name to its bar.
const WIDEST: usize = 400;
/// Where no terminal says how wide it is: a file, a log of CI.
const UNKNOWN: usize = 100;

/// How telemetry is drawn: how wide, with colors or without, with attributes or without, with
/// box-drawing characters or in ASCII.
///
/// [`Style::detect`] asks the terminal and the environment; [`Style::plain`] asks nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub(crate) width: usize,
    pub(crate) color: bool,
    pub(crate) attributes: bool,
    pub(crate) unicode: bool,
}

impl Style {
    /// `width` columns, in black and white, without attributes, with box-drawing characters. Widths
    /// from 40 to 400 are drawn; others become the nearest of these.
    pub fn plain(width: usize) -> Self {
        let width = width.clamp(NARROWEST, WIDEST);
        Self { width, color: false, attributes: false, unicode: true }
    }

    /// What fits standard output and the environment of this process:
    ///
    /// - width: `COLUMNS`, else the terminal's, else 100;
    /// - colors: never with `NO_COLOR`; always with `CLICOLOR_FORCE` (but `0`); else on a terminal that
    ///   is not `TERM=dumb`, unless `CLICOLOR=0`. An empty variable counts as unset;
    /// - attributes: with `OTEL_CONSOLE_ATTRIBUTES=1` or `true`;
    /// - ASCII: where `LC_ALL`, `LC_CTYPE` or `LANG`, the first that is set, names no UTF-8.
    pub fn detect() -> Self {
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self::from_environment(variable, io::stdout().is_terminal(), columns)
    }

    fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
        is_terminal: bool,
        columns: impl FnOnce() -> Option<usize>,
    ) -> Self {
        let is = |name: &str, wanted: &str| variable(name).is_some_and(|value| value == wanted);
        let given = variable("COLUMNS").and_then(|value| value.trim().parse().ok());
        let width = given.or_else(|| if is_terminal { columns() } else { None });
        let forced = variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let wanted = is_terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(&variable);
        let is_utf8 = |locale: String| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        };
        Self::plain(width.unwrap_or(UNKNOWN))
            .color(variable("NO_COLOR").is_none() && (forced || wanted))
            .attributes(
                variable("OTEL_CONSOLE_ATTRIBUTES")
                    .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true")),
            )
            // Containers have no locale, and the terminals that look into them have UTF-8.
            .unicode(locale.is_none_or(is_utf8))
    }

    /// Whether errors are red, services have colors and less important text is dim.
    pub fn color(self, color: bool) -> Self {
        Self { color, ..self }
    }

    /// Whether attributes and events are shown below their span.
    pub fn attributes(self, attributes: bool) -> Self {
        Self { attributes, ..self }
    }

    /// Whether lines are drawn with box-drawing characters, or all is ASCII and other letters are
    /// escaped.
    pub fn unicode(self, unicode: bool) -> Self {
        Self { unicode, ..self }
    }

    /// One symbol or the other.
    pub(crate) fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// Text in a color; `code` is the number of an SGR command.
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() && !code.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

pub(crate) const DIM: &str = "2";
pub(crate) const BOLD: &str = "1";
pub(crate) const RED: &str = "31";

#[cfg(test)]
mod tests {
    use super::*;

    fn style(variables: &[(&str, &str)], terminal: Option<usize>) -> Style {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Style::from_environment(variable, terminal.is_some(), || terminal)
    }

    #[test]
    fn the_terminal_or_columns_give_the_width() {
        assert_eq!(style(&[], None), Style::plain(100));
        assert_eq!(style(&[], Some(132)), Style::plain(132).color(true));
        assert_eq!(style(&[("COLUMNS", "72")], Some(132)).width, 72);
        assert_eq!(style(&[("COLUMNS", "72")], None).width, 72);
        assert_eq!(style(&[("COLUMNS", "wide")], None).width, 100);
        assert_eq!(style(&[("COLUMNS", "0")], None).width, 40);
        assert_eq!(style(&[("COLUMNS", "99999")], None).width, 400);
    }

    #[test]
    fn colors_are_for_terminals_unless_somebody_says_otherwise() {
        for (variables, on_terminal, in_file) in [
            (&[][..], true, false),
            (&[("NO_COLOR", "1")], false, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("CLICOLOR_FORCE", "0")], true, false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
            (&[("CLICOLOR", "0")], false, false),
            (&[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "dumb")], false, false),
            (&[("TERM", "xterm")], true, false),
        ] {
            assert_eq!(style(variables, Some(80)).color, on_terminal, "{variables:?}");
            assert_eq!(style(variables, None).color, in_file, "{variables:?}");
        }
    }

    #[test]
    fn attributes_and_letters_come_from_the_environment() {
        let attributes = |value| style(&[("OTEL_CONSOLE_ATTRIBUTES", value)], None).attributes;
        assert_eq!(
            ["1", "true", "TRUE", "0", "no"].map(attributes),
            [true, true, true, false, false]
        );
        let unicode = |variables: &[(&str, &str)]| style(variables, None).unicode;
        assert!(
            unicode(&[]) && unicode(&[("LANG", "de_DE.UTF-8")]) && unicode(&[("LANG", "C.utf8")])
        );
        assert!(
            !unicode(&[("LANG", "C")]) && !unicode(&[("LC_ALL", "POSIX"), ("LANG", "C.UTF-8")])
        );
    }
}

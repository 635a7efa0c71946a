//! Rust source, line by line, without its comments: enough of a lexer for the rules of `tidy`.

/// One line, seen in two ways.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without comments.
    pub(crate) code: String,
    /// Without comments and without what string literals say.
    pub(crate) bare: String,
}

impl Line {
    pub(crate) fn is_blank(&self) -> bool {
        self.code.trim().is_empty()
    }
}

#[derive(Clone, Copy)]
enum Inside {
    Code,
    /// Block comments nest.
    Comment(usize),
    Text,
    /// With this many `#`.
    RawText(usize),
}

pub(crate) fn lines(source: &str) -> Vec<Line> {
    let mut inside = Inside::Code;
    source.lines().map(|line| one_line(line, &mut inside)).collect()
}

fn one_line(source: &str, inside: &mut Inside) -> Line {
    let mut line = Line::default();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        let (mut in_code, mut in_bare) = (true, true);
        match *inside {
            Inside::Code => {
                if rest.starts_with("//") {
                    break;
                } else if rest.starts_with("/*") {
                    (*inside, length, in_code, in_bare) = (Inside::Comment(1), 2, false, false);
                } else if let Some(quote) = character(rest) {
                    (length, in_bare) = (quote, false);
                } else if let Some((start, hashes)) = raw_text(rest, &line.code) {
                    (*inside, length) = (Inside::RawText(hashes), start);
                } else if first == '"' {
                    *inside = Inside::Text;
                }
            }
            Inside::Comment(depth) => {
                (in_code, in_bare) = (false, false);
                if rest.starts_with("*/") {
                    length = 2;
                    *inside = if depth == 1 { Inside::Code } else { Inside::Comment(depth - 1) };
                } else if rest.starts_with("/*") {
                    (*inside, length) = (Inside::Comment(depth + 1), 2);
                }
            }
            Inside::Text => {
                in_bare = first == '"';
                if first == '\\' {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                } else if first == '"' {
                    *inside = Inside::Code;
                }
            }
            Inside::RawText(hashes) => {
                let end = format!("\"{}", "#".repeat(hashes));
                in_bare = rest.starts_with(&end);
                if in_bare {
                    (*inside, length) = (Inside::Code, end.len());
                }
            }
        }
        let (part, after) = rest.split_at(length);
        if in_code {
            line.code.push_str(part);
        }
        if in_bare {
            line.bare.push_str(part);
        }
        rest = after;
    }
    line
}

/// The length of a character literal that could be taken for the start of something else.
fn character(rest: &str) -> Option<usize> {
    ["'\"'", "'\\\"'", "'\\''", "'\\\\'"]
        .iter()
        .find(|it| rest.starts_with(**it))
        .map(|it| it.len())
}

/// The length of `r##"` and its number of `#`, where no name ends in that `r`.
fn raw_text(rest: &str, before: &str) -> Option<(usize, usize)> {
    let named = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    let hashes = rest.strip_prefix('r')?;
    let text = hashes.trim_start_matches('#');
    let count = hashes.len() - text.len();
    let is_byte =
        before.ends_with('b') && !before.trim_end_matches('b').ends_with(char::is_alphanumeric);
    (text.starts_with('"') && (!named || is_byte)).then_some((count + 2, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(source: &str) -> (String, String) {
        let lines = lines(source);
        let join = |part: fn(&Line) -> &str| {
            lines.iter().map(|line| part(line).trim_end()).collect::<Vec<_>>().join("\n")
        };
        (join(|line| &line.code), join(|line| &line.bare))
    }

    #[test]
    fn comments_are_left_out_and_literals_told_apart() {
        for (source, code, bare) in [
            ("a // b", "a", "a"),
            ("a /* b /* c */ d */ e", "a  e", "a  e"),
            ("a /* b\nc */ d", "a\n d", "a\n d"),
            (r#"f("x // y") // z"#, r#"f("x // y")"#, r#"f("")"#),
            (r#"f("\"//") + 1"#, r#"f("\"//") + 1"#, r#"f("") + 1"#),
            (r##"f(r#"a"b"#, 1)"##, r##"f(r#"a"b"#, 1)"##, "f(r#\"\"#, 1)"),
            ("f('\"') // z", "f('\"')", "f()"),
            ("br\"a//b\"", "br\"a//b\"", "br\"\""),
            ("\"a\nb\" c // d", "\"a\nb\" c", "\"\n\" c"),
            ("/// doc", "", ""),
        ] {
            assert_eq!(seen(source), (code.into(), bare.into()), "{source}");
        }
    }
}

//! Text that strangers may have sent, made fit for a line of a terminal; times for humans.

use std::time::{SystemTime, UNIX_EPOCH};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr as _};

/// Marks stacked on one letter: languages need two, more climbs over the lines above.
const MARKS: usize = 2;

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// As much of a text as fits into `columns`, with `…` where something is missing.
///
/// To a terminal, control characters are commands; marks that change the direction of text, and those
/// that have no width, let one name pass for another. They are shown escaped. No more is read than
/// is shown, however long the text is.
pub(crate) fn clip(text: &str, columns: usize, unicode: bool) -> String {
    // Nearly all texts.
    if text.len() <= columns && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let ellipsis = if unicode { "…" } else { ".." };
    let room = columns.saturating_sub(width(ellipsis));
    // Where to cut if the text turns out to be too long.
    let (mut cut, mut used, mut marks) = (0, 0, 0);
    let mut shown = String::new();
    for letter in text.chars() {
        marks = if letter.width() == Some(0) { marks + 1 } else { 0 };
        // After a space a mark would stand on what we drew.
        let stacked =
            marks > MARKS || (marks > 0 && shown.chars().last().is_none_or(|it| it == ' '));
        let start = shown.len();
        push(&mut shown, letter, stacked, unicode);
        used += shown[start..].chars().filter_map(UnicodeWidthChar::width).sum::<usize>();
        if used <= room {
            cut = shown.len();
        }
        if used > columns {
            shown.truncate(cut);
            if columns >= width(ellipsis) {
                shown.push_str(ellipsis);
            }
            break;
        }
    }
    shown
}

fn push(shown: &mut String, letter: char, stacked: bool, unicode: bool) {
    match letter {
        ' '..='~' => shown.push(letter),
        // They choose between two looks of a letter, of different widths.
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {}
        _ if !unicode || stacked || letter.width().is_none() => {
            shown.extend(letter.escape_default());
        }
        // In the middle of a text only what cannot be printed is escaped.
        _ => {
            let mut buffer = [b'a'; 5];
            let length = letter.encode_utf8(&mut buffer[1..]).len();
            let text = std::str::from_utf8(&buffer[..=length]).unwrap_or("a");
            shown.extend(text.escape_debug().skip(1));
        }
    }
}

/// Pads to `columns`; what is longer stays.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{:1$}", "", columns.saturating_sub(width(text)))
}

/// Pads to `columns` from the left.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{:1$}{text}", "", columns.saturating_sub(width(text)))
}

/// Nanoseconds since 1970, also before it.
pub(crate) fn nanoseconds(time: SystemTime) -> i128 {
    let whole = |duration: std::time::Duration| i128::try_from(duration.as_nanos());
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since).unwrap_or(i128::MAX),
        Err(before) => whole(before.duration()).map_or(i128::MIN, |before| -before),
    }
}

/// Three digits and a unit: `1.25 ms`; from a minute on two units: `2m 05s`.
pub(crate) fn duration(nanoseconds: i128, unicode: bool) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match (seconds, nanoseconds) {
        // Broken clocks: eight columns are all there are.
        (864_000_000_000.., _) => "ages".to_owned(),
        (86_400_000.., _) => format!("{}d", seconds / 86_400),
        (86_400.., _) => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
        (3600.., _) => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        (60.., _) => format!("{}m {:02}s", seconds / 60, seconds % 60),
        (_, 0) => "0".to_owned(),
        // Rounding to three digits may make the next unit of it.
        (_, 999_500_000..) => digits(nanoseconds, 1_000_000_000) + " s",
        (_, 999_500..) => digits(nanoseconds, 1_000_000) + " ms",
        (_, 1000..) => digits(nanoseconds, 1000) + if unicode { " µs" } else { " us" },
        _ => format!("{nanoseconds} ns"),
    }
}

fn digits(nanoseconds: i128, unit: i128) -> String {
    // Hundredths, as a whole number: no digit of ours is a float's.
    let value = |scale: i128| (nanoseconds * scale + unit / 2) / unit;
    match (value(1), value(10), value(100)) {
        (100.., ..) => value(1).to_string(),
        (_, 100.., _) => format!("{}.{}", value(10) / 10, value(10) % 10),
        _ => format!("{}.{:02}", value(100) / 100, value(100) % 100),
    }
}

/// The time of day in UTC: `15:04:05.123Z`.
pub(crate) fn clock(time: SystemTime) -> String {
    let milliseconds = nanoseconds(time).div_euclid(1_000_000).rem_euclid(86_400_000);
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}.{rest:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_a_terminal_are_shown_escaped() {
        for (hostile, shown) in [
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("a\u{200b}b\u{feff}\u{ad}", "a\\u{200b}b\\u{feff}\\u{ad}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{2028}\u{e0041}\0", "\\u{2028}\\u{e0041}\\u{0}"),
            ("e\u{301}e\u{301}\u{301}\u{301}", "e\u{301}e\u{301}\u{301}\\u{301}"),
            (" \u{301}", " \\u{301}"),
            ("\u{301}", "\\u{301}"),
            ("it's \"so\" \\", "it's \"so\" \\"),
            ("❤\u{fe0f} größe 注文", "❤ größe 注文"),
        ] {
            assert_eq!(clip(hostile, 80, true), shown, "{hostile:?}");
        }
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_letters() {
        assert_eq!(clip("orders", 6, true), "orders");
        assert_eq!(clip("orders", 5, true), "orde…");
        assert_eq!(clip("注文注文", 8, true), "注文注文");
        assert_eq!(clip("注文注文", 7, true), "注文注…");
        assert_eq!(clip("注文注文", 6, true), "注文…");
        assert_eq!(clip("größe", 80, false), "gr\\u{f6}\\u{df}e");
        assert_eq!(clip("orders", 5, false), "ord..");
        assert_eq!(clip("orders", 0, true), "");
        assert_eq!(clip("orders", 1, false), "");
        assert_eq!(clip("", 0, true), "");
    }

    #[test]
    fn durations_have_three_digits() {
        for (nanoseconds, shown) in [
            (0, "0"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (9_999_000, "10.0 ms"),
            (123_456_789, "123 ms"),
            (999_499_999, "999 ms"),
            (999_500_000, "1.00 s"),
            (59_990_000_000, "60.0 s"),
            (125_000_000_000, "2m 05s"),
            (3_725_000_000_000, "1h 02m"),
            (90_000_000_000_000, "1d 1h"),
            (86_399_999_999_999_999, "999d 23h"),
            (253_402_300_799_000_000_000, "2932896d"),
            (i128::MAX, "ages"),
        ] {
            assert_eq!(duration(nanoseconds, true), shown);
        }
        assert_eq!(duration(1500, false), "1.50 us");
    }

    #[test]
    fn the_clock_shows_any_time() {
        use std::time::Duration;
        assert_eq!(
            clock(UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_723_004)),
            "01:02:03.004Z"
        );
        assert_eq!(clock(UNIX_EPOCH - Duration::from_millis(1)), "23:59:59.999Z");
    }
}

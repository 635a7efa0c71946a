//! Versions, pinned where Docker reads them too.

/// Lines of `NAME=value`.
const PINS: &str = include_str!("../../../.env");

/// The value of this name; a name that is not there does not compile.
pub(crate) const fn version(name: &str) -> &'static str {
    let (text, name) = (PINS.as_bytes(), name.as_bytes());
    let mut start = 0;
    loop {
        let mut equal = 0;
        while equal < name.len() && text[start + equal] == name[equal] {
            equal += 1;
        }
        let mut end = start;
        while text[end] != b'\n' {
            end += 1;
        }
        if equal == name.len() && text[start + equal] == b'=' {
            let (line, _) = text.split_at(end);
            let (_, value) = line.split_at(start + equal + 1);
            return match str::from_utf8(value) {
                Ok(value) => value,
                Err(_) => "",
            };
        }
        start = end + 1;
    }
}

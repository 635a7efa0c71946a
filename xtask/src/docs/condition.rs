//! When an attribute is wanted, as the conventions' words for it and as ours.

use anyhow::{Context as _, Result};

macro_rules! conditions {
    ($($variant:ident $name:literal $words:literal [$($fragment:literal),*];)*) => {
        /// When an attribute is wanted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Condition { $($variant),* }

        impl Condition {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// As the data file has it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// As it is read by people.
            pub(crate) fn words(self) -> &'static str {
                match self { $(Self::$variant => $words),* }
            }

            /// Pieces of the conventions' own words, in lower case.
            fn fragments(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($fragment),*]),* }
            }
        }
    };
}

// The first one that has a fragment in the conventions' words is it.
conditions! {
    OtherPort "other_port" "a port that is not the system's default"
        ["port other than the default", "non-default port"];
    FailedWithCode "failed_with_code" "failed, with a code"
        ["failed and status code", "failed and error code"];
    Failed "failed" "failed" ["if and only if the operation failed", "operation has failed"];
    WarnedOrFailed "warned_or_failed" "ended with an error or a warning"
        ["warning or an error"];
    OneOperation "one_operation" "the call is one named operation"
        ["single operation name", "multiple operation names"];
    OneCollection "one_collection" "the call names one collection"
        ["single collection", "multiple collection names"];
    Procedure "procedure" "a stored procedure or script is called"
        ["specific stored procedure", "specific lua script"];
    SearchText "search_text" "a search whose text can be shown" ["search-type queries"];
    Text "text" "the text can be shown" ["unless there is sanitization"];
    Summary "summary" "there is a statement" ["generating a query summary"];
    Path "path" "the path has parameters" ["path parameters"];
    Response "response" "there was a response" ["response was received"];
    OneDestination "one_destination" "one destination for all messages"
        ["applies to all messages"];
    OneMessage "one_message" "about one message" ["on a single message"];
    Batch "batch" "a call for several messages" ["on a batch of messages"];
    True "true" "it is so" ["value is `true`"];
    NotEmpty "not_empty" "not empty" ["if not empty"];
    FewDestinations "few_destinations" "destinations are few"
        ["known to have low cardinality"];
    Peer "peer" "with the peer's address" ["`network.peer.address` is set"];
    Applicable "applicable" "where there is such a thing" ["applicable"];
    Known "known" "known" ["available", "captured reliably"];
}

impl Condition {
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|known| known.name() == name);
        found.copied().with_context(|| format!("`{name}` is no condition"))
    }

    /// What the conventions' words mean.
    pub(crate) fn meant(words: &str) -> Result<Self> {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let is_meant = |known: &&Self| known.fragments().iter().any(|it| words.contains(it));
        Self::ALL.iter().find(is_meant).copied().with_context(|| {
            format!("a condition that is not known, give it a name in condition.rs: {words}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conventions_words_are_understood() {
        for (words, condition) in [
            ("If and only if the operation failed.", Condition::Failed),
            ("If and only if the messaging operation has failed.", Condition::Failed),
            ("If the operation failed and status code is available.", Condition::FailedWithCode),
            (
                "If using a port other than the default port for this DBMS and if\n \
                 `server.address` is set.",
                Condition::OtherPort,
            ),
            ("if and only if `network.peer.address` is set.", Condition::Peer),
            ("If applicable.", Condition::Applicable),
            ("If available.", Condition::Known),
        ] {
            assert_eq!(Condition::meant(words).unwrap(), condition, "{words}");
        }
        assert!(Condition::meant("On Sundays.").is_err());
    }

    #[test]
    fn names_are_told_apart() {
        for condition in Condition::ALL {
            assert_eq!(Condition::named(condition.name()).unwrap(), *condition);
        }
    }
}

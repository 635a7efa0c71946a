//! Beside the pages: where in a statement the walk is.

use super::keyword::Keyword;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    None,
    Select,
    Insert,
    /// The tables of an `UPDATE`, before its `SET`.
    Update,
    /// What a `DELETE` names before the list of its tables, if there is one.
    Delete,
    /// `MERGE`, and what follows in the two above.
    Modify,
    /// Names of expressions, or of settings (`SET STATEMENT`), that a statement follows.
    With,
    /// A `SELECT` or the like has to follow.
    Union,
    /// A statement may follow after `AS`.
    Declare,
    /// A statement follows after the condition.
    If,
    Execute,
    Explain,
    Create,
    /// May name several objects.
    Drop,
    /// Nothing more is named.
    Alone,
}

impl Verb {
    /// Whether it may have a list of tables, with joins.
    pub(super) fn lists_tables(self) -> bool {
        matches!(self, Verb::Select | Verb::Update)
    }
}

/// What is expected next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing that matters. (The first, so that empty frames are zeros.)
    Other,
    /// A statement.
    Begin,
    /// After `(`: a subquery or anything else.
    Parenthesis,
    /// After `(` where a table is expected: that, or a subquery.
    Inner,
    /// The same, but what is quoted may be a literal.
    MaybeInner,
    /// A name and nothing else.
    Name,
    /// A name, but what is quoted may be a literal.
    MaybeName,
    /// `TABLE` or a name.
    TableOrName,
    /// After the `.` of a name.
    Part,
    AfterName,
    /// After `AS` in a `FROM` clause.
    Alias,
    AfterAlias,
    /// Within the condition of a join.
    Condition,
    /// The columns of an `INSERT`.
    Columns,
    /// What stands before the `FROM` of a `DELETE`.
    Before,
    /// The left side of an assignment in `SET`.
    Assignment,
    /// The kind of object a `CREATE` creates.
    Object,
    /// `TRANSACTION`.
    Transaction,
    /// The same or `BATCH`, or the first statement of a block.
    Block,
    /// The name of a common table expression, its `AS`, its body, and `,` or the statement.
    Expression,
    ExpressionAs,
    ExpressionBody,
    AfterExpression,
}

/// What a pair of parentheses, or the text, is about.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with a name of its own")]
pub(super) struct Frame {
    pub(super) verb: Verb,
    pub(super) place: Place,
    /// Commas separate the tables of a `FROM` or a `DROP`, or the assignments of a `SET`.
    pub(super) listing: bool,
    pub(super) from_seen: bool,
    /// What is quoted in the list of tables may be a literal: it is not known for sure that this is
    /// one.
    pub(super) doubtful: bool,
    /// The tables of the list are no targets; one of them may be what the target is an alias of.
    pub(super) sources: bool,
    /// Opened by a bracket or brace instead of a parenthesis.
    pub(super) bracket: bool,
    /// The common table expression whose body may follow, counted from 1.
    pub(super) expression: u8,
}

impl Frame {
    pub(super) const fn new(place: Place) -> Self {
        Frame {
            verb: Verb::None,
            place,
            listing: false,
            from_seen: false,
            doubtful: false,
            sources: false,
            bracket: false,
            expression: 0,
        }
    }

    /// A list of tables begins, as behind `FROM`.
    pub(super) fn list_tables(&mut self, place: Place) {
        self.verb = Verb::Select;
        self.place = place;
        self.listing = true;
        self.from_seen = true;
    }
}

/// The last token but comments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    Other,
    Word(Keyword),
    Symbol(u8),
}

/// How much of what follows is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    No,
    /// Literals up to the end of the statement, also where literals stay: they hold a password, or a
    /// statement that may hold one. So may what follows a password, as there are more ways to write
    /// that than are known here.
    Literals,
    /// The next token, but for what may stand between a word like `PASSWORD` and a secret.
    Awaited,
    /// What follows the next `=`: before it stands the account of a `SET PASSWORD FOR`.
    Account,
    /// The literals that follow at once: they go on with the one before.
    Told,
    /// Every token up to the end of the statement: where the secret ends cannot be told.
    Everything,
}

/// Where in a `SET` that changes settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    No,
    /// Before `TO` or `=`.
    Name,
    Value,
    /// After `SET ROLE` and the like, whose values follow at once.
    Words,
}

/// After which words of this statement a secret follows. In most statements no word is one of them,
/// so that a column may be called `password`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sensitive {
    No,
    /// After `PASSWORD` or `IDENTIFIED … BY`.
    Account,
    /// After `IDENTIFIED … BY`; `PASSWORD` may be a table or a column.
    Grant,
    /// What a `SET` sets, as a function of PostgreSQL can.
    Routine,
    /// After `KEY`.
    Attach,
    /// Anything after the name of the pragma, if that is a key's.
    Pragma,
    PragmaKey,
}

//! The words that steer the walk through a text, by what they do to it.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Keyword {
    /// Any other word, and what is no word.
    #[default]
    None,
    Select,
    /// `INSERT`, `REPLACE`.
    Insert,
    Merge,
    Update,
    Delete,
    With,
    Recursive,
    Values,
    Table,
    Explain,
    /// `CREATE`, `ALTER`.
    Create,
    /// `DROP`, `RENAME`, `REFRESH`.
    Drop,
    /// `TRUNCATE`, `LOCK`: as `DROP`, and the kind of object may be missing.
    Truncate,
    /// `CALL`, `USE`, `DESCRIBE`, `COPY`: a name follows.
    Call,
    Execute,
    Pragma,
    /// `BEGIN`: a transaction, or the body of a procedure.
    Begin,
    /// `COMMIT`, `ROLLBACK`, `END`, `START`.
    Transaction,
    /// The word itself, after one of the two above.
    TransactionWord,
    Set,
    Grant,
    Attach,
    /// Statements named by their first word alone.
    Alone,

    From,
    Into,
    /// `JOIN`, `APPLY`.
    Join,
    /// Words of a `FROM` clause between its names, none of them an alias.
    Joining,
    On,
    As,
    /// Ends a `FROM` clause.
    Clause,
    /// The same, and a kind of object.
    Procedure,
    /// `UNION`, `EXCEPT`, `INTERSECT`.
    Union,
    In,
    Is,
    Not,
    Or,
    Distinct,
    Boolean,

    /// May stand between a verb and its name, in every statement.
    Only,
    /// The same, but not in a `SELECT`.
    Filler,
    Materialized,
    /// What a `CREATE` creates, where only a name follows.
    Object,
    /// The same for `USER` and other things that have passwords.
    Account,
    /// What has no name: `SYSTEM`, `DEFAULT`.
    Nameless,
    Password,
    Identified,
    By,
    Key,
}

/// As long as `STRAIGHT_JOIN`.
const LONGEST: usize = 13;

impl Keyword {
    #[rustfmt::skip]
    pub(crate) fn of(word: &[u8]) -> Self {
        if word.len() < 2 || word.len() > LONGEST {
            return Keyword::None;
        }
        let mut buffer = [0_u8; LONGEST];
        for (upper, byte) in buffer.iter_mut().zip(word) {
            // Upper case for letters and `_`; what else becomes of a byte is none of them.
            *upper = byte & 0xdf;
        }
        match buffer.get(..word.len()).unwrap_or_default() {
            b"SELECT" => Keyword::Select,
            b"INSERT" | b"REPLACE" => Keyword::Insert,
            b"MERGE" => Keyword::Merge,
            b"UPDATE" => Keyword::Update,
            b"DELETE" => Keyword::Delete,
            b"WITH" => Keyword::With,
            b"RECURSIVE" => Keyword::Recursive,
            b"VALUES" => Keyword::Values,
            b"TABLE" | b"TABLES" => Keyword::Table,
            b"EXPLAIN" => Keyword::Explain,
            b"CREATE" | b"ALTER" => Keyword::Create,
            b"DROP" | b"RENAME" | b"REFRESH" => Keyword::Drop,
            b"TRUNCATE" | b"LOCK" => Keyword::Truncate,
            b"CALL" | b"USE" | b"DESCRIBE" | b"DESC" | b"COPY" => Keyword::Call,
            b"EXEC" | b"EXECUTE" => Keyword::Execute,
            b"PRAGMA" => Keyword::Pragma,
            b"BEGIN" => Keyword::Begin,
            b"COMMIT" | b"ROLLBACK" | b"END" | b"START" => Keyword::Transaction,
            b"TRANSACTION" => Keyword::TransactionWord,
            b"SET" => Keyword::Set,
            b"GRANT" => Keyword::Grant,
            b"ATTACH" => Keyword::Attach,
            b"REVOKE" | b"SHOW" | b"SAVEPOINT" | b"RELEASE" | b"RESET" | b"DISCARD" | b"LISTEN"
            | b"UNLISTEN" | b"NOTIFY" | b"DECLARE" | b"CLOSE" | b"PREPARE" | b"DEALLOCATE" | b"LOAD"
            | b"VACUUM" | b"ANALYZE" | b"CHECKPOINT" | b"CLUSTER" | b"REINDEX" | b"COMMENT" | b"KILL"
            | b"FLUSH" | b"OPTIMIZE" | b"UNLOCK" | b"DETACH" | b"ABORT" => Keyword::Alone,

            b"FROM" => Keyword::From,
            b"INTO" => Keyword::Into,
            b"JOIN" | b"STRAIGHT_JOIN" | b"APPLY" => Keyword::Join,
            b"LEFT" | b"RIGHT" | b"INNER" | b"OUTER" | b"FULL" | b"CROSS" | b"NATURAL" | b"SEMI"
            | b"ANTI" | b"TABLESAMPLE" | b"FORCE" | b"INDEXED" | b"PARTITION" => Keyword::Joining,
            b"ON" | b"USING" => Keyword::On,
            b"AS" => Keyword::As,
            b"WHERE" | b"GROUP" | b"HAVING" | b"ORDER" | b"LIMIT" | b"OFFSET" | b"FETCH" | b"FOR"
            | b"WINDOW" | b"QUALIFY" | b"RETURNING" | b"DO" | b"CONFLICT" | b"DUPLICATE"
            | b"CONNECT" => Keyword::Clause,
            b"PROCEDURE" => Keyword::Procedure,
            b"UNION" | b"EXCEPT" | b"INTERSECT" => Keyword::Union,
            b"IN" => Keyword::In,
            b"IS" => Keyword::Is,
            b"NOT" => Keyword::Not,
            b"OR" => Keyword::Or,
            b"DISTINCT" => Keyword::Distinct,
            b"TRUE" | b"FALSE" => Keyword::Boolean,

            b"ONLY" | b"LATERAL" => Keyword::Only,
            b"IF" | b"EXISTS" | b"CONCURRENTLY" | b"IGNORE" | b"LOW_PRIORITY" | b"HIGH_PRIORITY"
            | b"DELAYED" | b"QUICK" => Keyword::Filler,
            b"MATERIALIZED" => Keyword::Materialized,
            b"VIEW" | b"INDEX" | b"TRIGGER" | b"SEQUENCE" | b"SCHEMA" | b"TYPE" | b"DOMAIN"
            | b"FUNCTION" | b"AGGREGATE" | b"EXTENSION" | b"POLICY" | b"RULE" | b"TABLESPACE"
            | b"COLLATION" | b"EVENT" | b"PUBLICATION" | b"STATISTICS" | b"KEYSPACE"
                => Keyword::Object,
            b"USER" | b"ROLE" | b"DATABASE" | b"SERVER" | b"SUBSCRIPTION" => Keyword::Account,
            b"SYSTEM" | b"DEFAULT" => Keyword::Nameless,
            b"PASSWORD" => Keyword::Password,
            b"IDENTIFIED" => Keyword::Identified,
            b"BY" => Keyword::By,
            b"KEY" => Keyword::Key,
            _ => Keyword::None,
        }
    }
}

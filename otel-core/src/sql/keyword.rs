//! Beside the pages: the words that steer the walk through a text, by what they do to it.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Keyword {
    /// Any other word, and what is no word.
    #[default]
    None,
    Select,
    /// `INSERT`, `REPLACE`, `UPSERT`.
    Insert,
    Merge,
    Update,
    Delete,
    With,
    Recursive,
    Values,
    Table,
    /// `EXPLAIN`, `ANALYZE`: a statement or a table follows.
    Explain,
    /// `CREATE`, `ALTER`.
    Create,
    /// `DROP`, `RENAME`, `REFRESH`, `CHECK`: the kind of object and names of it follow.
    Drop,
    /// `TRUNCATE`, `LOCK`: as `DROP`, and the kind of object may be missing.
    Truncate,
    /// `DECLARE`, `PREPARE`: a statement of its own may follow.
    Declare,
    /// `CALL`, `USE`, `DESCRIBE`, `COPY`, `HANDLER`: a name follows.
    Call,
    Execute,
    Pragma,
    /// `BEGIN`: a transaction, or the body of a procedure.
    Begin,
    /// `COMMIT`, `ROLLBACK`, `START`.
    Transaction,
    /// The same, or the end of a block or of a part of it.
    End,
    /// The word itself, after one of the three above.
    TransactionWord,
    Batch,
    Set,
    Grant,
    Attach,
    /// Statements named by their first word alone.
    Alone,
    /// The same, where a password may follow.
    Server,

    From,
    Into,
    Join,
    /// The same, and the end of a batch.
    Apply,
    /// Words of a `FROM` clause between its names, none of them an alias.
    Joining,
    On,
    As,
    /// Ends a `FROM` clause.
    Clause,
    /// The same, and a statement.
    Fetch,
    /// The same, of which what is in quotes is a statement again.
    Do,
    For,
    Of,
    To,
    Rows,
    Top,
    All,
    History,
    If,
    Else,
    Connection,
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
    /// A number to Cassandra.
    Number,

    /// May stand between a verb and its name, in every statement.
    Only,
    /// The same, but not in a `SELECT`.
    Filler,
    /// The first of two words for a kind of object.
    Materialized,
    /// What a `CREATE` creates, where only a name follows.
    Object,
    /// The same for `FUNCTION`, of which settings can be set.
    Routine,
    /// The same for `USER` and other things that have passwords.
    Account,
    /// What has no name: `SYSTEM`, `DEFAULT`, `CAST`.
    Nameless,
    /// What is set without a `=`: `SET TIME ZONE local`.
    Zone,
    Password,
    Identified,
    By,
    Key,
}

/// Every keyword in upper case.
#[rustfmt::skip]
const WORDS: &[(Keyword, &str)] = &[
    (Keyword::Select, "SELECT"),
    (Keyword::Insert, "INSERT REPLACE UPSERT"),
    (Keyword::Merge, "MERGE"),
    (Keyword::Update, "UPDATE"),
    (Keyword::Delete, "DELETE"),
    (Keyword::With, "WITH"),
    (Keyword::Recursive, "RECURSIVE"),
    (Keyword::Values, "VALUES"),
    (Keyword::Table, "TABLE TABLES COLUMNFAMILY"),
    (Keyword::Explain, "EXPLAIN ANALYZE"),
    (Keyword::Create, "CREATE ALTER"),
    (Keyword::Drop, "DROP RENAME REFRESH PRUNE CHECK REPAIR OPTIMIZE"),
    (Keyword::Truncate, "TRUNCATE LOCK"),
    (Keyword::Call, "CALL USE DESCRIBE DESC COPY HANDLER"),
    (Keyword::Execute, "EXEC EXECUTE"),
    (Keyword::Pragma, "PRAGMA"),
    (Keyword::Begin, "BEGIN"),
    (Keyword::Transaction, "COMMIT ROLLBACK START"),
    (Keyword::End, "END"),
    (Keyword::TransactionWord, "TRANSACTION"),
    (Keyword::Set, "SET"),
    (Keyword::Grant, "GRANT"),
    (Keyword::Attach, "ATTACH"),
    (Keyword::Alone, "REVOKE SHOW SAVEPOINT RELEASE RESET DISCARD LISTEN UNLISTEN NOTIFY CLOSE DEALLOCATE LOAD VACUUM CHECKPOINT CLUSTER REINDEX COMMENT KILL FLUSH UNLOCK DETACH ABORT LIST XA"),
    (Keyword::Server, "PURGE CHANGE STOP INSTALL UNINSTALL IMPORT REASSIGN SECURITY BINLOG CLONE BACKUP RESTORE"),
    (Keyword::Declare, "DECLARE PREPARE"),
    (Keyword::Batch, "BATCH"),
    (Keyword::From, "FROM"),
    (Keyword::Into, "INTO"),
    (Keyword::Join, "JOIN STRAIGHT_JOIN"),
    (Keyword::Joining, "LEFT RIGHT INNER OUTER FULL CROSS NATURAL SEMI ANTI TABLESAMPLE REPEATABLE FORCE INDEXED PARTITION"),
    (Keyword::Apply, "APPLY"),
    (Keyword::On, "ON USING"),
    (Keyword::As, "AS"),
    (Keyword::Clause, "WHERE GROUP HAVING ORDER LIMIT OFFSET WINDOW QUALIFY RETURNING CONFLICT DUPLICATE CONNECT"),
    (Keyword::Fetch, "FETCH"),
    (Keyword::Do, "DO"),
    (Keyword::For, "FOR"),
    (Keyword::Of, "OF"),
    (Keyword::To, "TO"),
    (Keyword::Rows, "ROWS"),
    (Keyword::Top, "TOP"),
    (Keyword::All, "ALL"),
    (Keyword::History, "HISTORY"),
    (Keyword::If, "IF"),
    (Keyword::Else, "ELSE"),
    (Keyword::Connection, "CONNECTION"),
    (Keyword::Procedure, "PROCEDURE"),
    (Keyword::Union, "UNION EXCEPT INTERSECT"),
    (Keyword::In, "IN"),
    (Keyword::Is, "IS"),
    (Keyword::Not, "NOT"),
    (Keyword::Or, "OR"),
    (Keyword::Distinct, "DISTINCT"),
    (Keyword::Boolean, "TRUE FALSE"),
    (Keyword::Number, "NAN INFINITY"),
    (Keyword::Only, "ONLY LATERAL"),
    (Keyword::Filler, "EXISTS CONCURRENTLY IGNORE LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK OVERWRITE"),
    (Keyword::Materialized, "MATERIALIZED OPERATOR ACCESS REFERENCE"),
    (Keyword::Object, "VIEW INDEX TRIGGER SEQUENCE SCHEMA TYPE DOMAIN AGGREGATE EXTENSION POLICY RULE TABLESPACE COLLATION EVENT PUBLICATION STATISTICS KEYSPACE SYNONYM CLASS FAMILY METHOD CONVERSION"),
    (Keyword::Routine, "FUNCTION ROUTINE"),
    (Keyword::Account, "USER ROLE DATABASE SERVER SUBSCRIPTION LOGIN"),
    (Keyword::Nameless, "SYSTEM DEFAULT CAST TRANSFORM"),
    (Keyword::Zone, "ZONE AUTHORIZATION"),
    (Keyword::Password, "PASSWORD SECRET MASTER_PASSWORD SOURCE_PASSWORD SSLPASSWORD PASSWD"),
    (Keyword::Identified, "IDENTIFIED"),
    (Keyword::By, "BY"),
    (Keyword::Key, "KEY"),
];

/// As many bytes as are looked at.
const LONGEST: usize = 16;
const SLOTS: usize = 1024;

/// An open hash table over all keywords, made by the compiler: to look a word up takes a few
/// instructions, and it is done for each word of a text.
struct Table {
    /// One more than a place in `words`; 0 where there is none.
    slots: [u8; SLOTS],
    words: [(u128, Keyword); u8::MAX as usize],
}

static TABLE: Table = Table::new();

/// What is left of the bytes of a word: those within its length, letters in upper case.
static MASKS: [u128; LONGEST + 1] = {
    let mut masks = [0; LONGEST + 1];
    let mut length = 1;
    while length <= LONGEST {
        masks[length] = masks[length - 1] << 8 | 0xdf;
        length += 1;
    }
    masks
};

impl Table {
    const fn new() -> Self {
        let words = [(0, Keyword::None); u8::MAX as usize];
        let mut table = Table { slots: [0; SLOTS], words };
        let (mut group, mut count) = (0, 0);
        while group < WORDS.len() {
            let (keyword, words) = WORDS[group];
            let words = words.as_bytes();
            let (mut index, mut key, mut shift) = (0, 0, 0);
            while index <= words.len() {
                if index == words.len() || words[index] == b' ' {
                    assert!(shift / 8 <= LONGEST);
                    let mut slot = Self::slot(key);
                    while table.slots[slot] != 0 {
                        slot = (slot + 1) % SLOTS;
                    }
                    table.words[count as usize] = (key, keyword);
                    count += 1;
                    table.slots[slot] = count;
                    (key, shift) = (0, 0);
                } else {
                    key |= (words[index] as u128) << shift;
                    shift += 8;
                }
                index += 1;
            }
            group += 1;
        }
        table
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of a number, and a few bits")]
    const fn slot(key: u128) -> usize {
        let folded = key as u64 ^ (key >> 64) as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
    }
}

impl Keyword {
    /// Whether it may be the first word of a statement where it is not known to be one.
    pub(super) fn begins_block(self) -> bool {
        matches!(
            self,
            Keyword::Select
                | Keyword::Insert
                | Keyword::Update
                | Keyword::Delete
                | Keyword::Merge
                | Keyword::Execute
                | Keyword::Apply
                | Keyword::If
        )
    }

    /// The keyword that stands at `start` and is over at `end`.
    #[inline]
    pub(crate) fn at(text: &[u8], start: usize, end: usize) -> Self {
        let Some(mask) = MASKS.get(end - start) else { return Keyword::None };
        let key = mask & sixteen(text, start);
        let mut slot = Table::slot(key);
        loop {
            let place = usize::from(TABLE.slots[slot]).wrapping_sub(1);
            match TABLE.words.get(place) {
                None => return Keyword::None,
                Some((known, keyword)) if *known == key => return *keyword,
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

/// Sixteen bytes from `start`, the first of them lowest; zeros beyond the end.
#[inline]
fn sixteen(text: &[u8], start: usize) -> u128 {
    let rest = text.get(start..).unwrap_or_default();
    if let Some(bytes) = rest.first_chunk() {
        return u128::from_le_bytes(*bytes);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    u128::from_le_bytes(bytes)
}

//! The table behind the message that all engines answer, for comparison and for whoever wants just a durable map.

use super::{Table, TableReader};
use quintet_core::{Budget, Commit, Deadline, Keyed, KeyedReply, MessageHandler, Result, Seq};

/// A [`MessageHandler`] for [`Keyed`] over a [`Table`]. Keys have 1 to 511 bytes.
pub struct KeyedHandler {
    table: Table,
    reader: TableReader,
}

impl KeyedHandler {
    /// A handler that owns `table`.
    #[must_use]
    pub fn new(table: Table) -> Self {
        let reader = table.reader();
        Self { table, reader }
    }

    /// The table, while it is owned.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// The table, for example to close it.
    #[must_use]
    pub fn into_table(self) -> Table {
        self.table
    }
}

impl MessageHandler<Keyed> for KeyedHandler {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        super::table::check_key(message.key())?;
        match message {
            Keyed::Get { key } => Ok(KeyedReply::Value(
                self.reader.get(&key)?.map(|value| value.to_vec()),
            )),
            Keyed::Put { key, value } => {
                self.table.put(&key, &value)?;
                Ok(KeyedReply::Stored)
            }
            Keyed::Add { key, delta } => {
                let sum = Keyed::add_to(self.table.get(&key)?.as_deref(), delta)?;
                self.table.put(&key, &sum.to_le_bytes())?;
                Ok(KeyedReply::Sum(sum))
            }
            Keyed::Delete { key } => {
                let found = self.table.get(&key)?.is_some();
                if found {
                    self.table.delete(&key)?;
                }
                Ok(KeyedReply::Deleted(found))
            }
        }
    }

    fn commit(&mut self) -> Result<Commit> {
        self.table.commit()
    }

    fn durable(&mut self) -> Result<Seq> {
        self.table.durable()
    }

    fn maintain(&mut self, _budget: Budget) -> Option<Deadline> {
        self.table.maintain()
    }
}

impl From<KeyedHandler> for Table {
    fn from(handler: KeyedHandler) -> Self {
        handler.into_table()
    }
}

//! The table.

use super::element::Element;
use super::error::ServicesError;

/// The table of the calling thread's network namespace.
pub struct Table {
    port: u32,
}

/// What is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// There is no table.
    Absent,
    /// The table is of another version, or parts of it are missing or changed.
    Different,
    /// The table with these elements.
    Intact(Vec<Element>),
}

impl Table {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// Reads the table.
    pub fn read(&mut self) -> Result<Present, ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// Removes the table, if there is one, and makes it with these elements, in one transaction. Connections are not cut.
    pub fn replace(&mut self, _elements: &[Element]) -> Result<(), ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// Takes elements away and adds others, all or nothing.
    pub fn change(&mut self, _removed: &[Element], _added: &[Element]) -> Result<(), ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// Removes the table. Returns false if there was none.
    pub fn remove(&mut self) -> Result<bool, ServicesError> {
        Err(ServicesError::NoNfTables)
    }

    /// The number of the socket, by which [`super::Notices`] tells own changes from those of others.
    pub fn port_id(&self) -> u32 {
        self.port
    }
}

//! Chooses the next address: first the unused ones of a range in order, then the one that was released longest ago.

use records::attachment::Holder;
use std::net::IpAddr;

use ipnet::IpNet;
use rusqlite::{Connection, OptionalExtension};
use thiserror::Error;

use super::ranges::{Range, RangeSet};
use super::schema::Stored;

/// After this many releases the oldest released address goes before the unused ones: the end of an IPv6 range is never
/// reached, and the list of released addresses would grow for ever.
const RELEASED_MAX: i64 = 1 << 17;

/// An address that was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocated {
    /// With the prefix length of its subnet.
    pub address: IpNet,
    /// The gateway of its range.
    pub gateway: IpAddr,
}

/// Why there is no address.
#[derive(Debug, Error)]
pub enum AllocateError {
    /// All addresses are in use.
    #[error("no IP addresses available in range set: {0}")]
    Exhausted(String),
    /// The attachment has addresses already.
    #[error("{holder} holds {address} already: expected a DEL before another ADD")]
    Held {
        /// The attachment.
        holder: Holder,
        /// Its first address.
        address: IpAddr,
    },
    /// Another attachment holds a requested address.
    #[error("address {address} is in use by {holder}")]
    InUse {
        /// The requested address.
        address: IpAddr,
        /// The attachment that has it.
        holder: Holder,
    },
    /// A requested address is in no range, or is a gateway.
    #[error("requested address {address} is not available: {reason}")]
    Unavailable {
        /// The requested address.
        address: IpAddr,
        /// Why.
        reason: &'static str,
    },
    /// The book cannot be read or written.
    #[error("cannot use the address book: {0}")]
    Book(#[from] rusqlite::Error),
}

/// Takes one address of each set for `holder`, in the caller's transaction.
pub(super) fn take(
    db: &Connection,
    holder: &Holder,
    sets: &[RangeSet],
    requested: &[IpAddr],
) -> Result<Vec<Allocated>, AllocateError> {
    if let Some(address) = held(db, holder)?.first().copied() {
        return Err(AllocateError::Held { holder: holder.clone(), address });
    }
    let mut requested = requested.to_vec();
    let mut taken = Vec::with_capacity(sets.len());
    for (position, set) in sets.iter().enumerate() {
        let wish = requested.iter().position(|ip| set.allows(*ip));
        let (index, address) = match wish {
            Some(at) => fixed(db, set, requested.remove(at))?,
            None => dynamic(db, set)?,
        };
        let range = &set.ranges[index];
        enter(db, holder, address, position)?;
        taken.push(Allocated { address: range.with_prefix(address), gateway: range.gateway });
    }
    match requested.first() {
        Some(address) => {
            Err(AllocateError::Unavailable { address: *address, reason: why_not(*address, sets) })
        }
        None => Ok(taken),
    }
}

fn why_not(address: IpAddr, sets: &[RangeSet]) -> &'static str {
    if sets.iter().any(|set| set.has_gateway(address)) {
        "it is a gateway"
    } else if sets.iter().any(|set| set.allows(address)) {
        "another one of the same ranges is requested, too"
    } else {
        "it is in none of the configured ranges"
    }
}

/// The addresses of an attachment, in their order.
pub(super) fn held(db: &Connection, holder: &Holder) -> rusqlite::Result<Vec<IpAddr>> {
    let mut select =
        db.prepare("SELECT address FROM lease WHERE container=? AND ifname=? ORDER BY position")?;
    let found = select.query_map((&holder.container, &holder.ifname), |row| row.get::<_, Stored>(0))?;
    found.map(|stored| stored.map(|Stored(address)| address)).collect()
}

/// Enters a lease that was given before, by another plugin or before the book was lost.
pub(super) fn enter_held(
    db: &Connection,
    holder: &Holder,
    address: IpAddr,
    position: usize,
) -> Result<(), AllocateError> {
    refuse_in_use(db, address)?;
    Ok(enter(db, holder, address, position)?)
}

/// Enters a lease. Fails if the address has a holder, since it is the table's key.
pub(super) fn enter(
    db: &Connection,
    holder: &Holder,
    address: IpAddr,
    position: usize,
) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM released WHERE address=?")?.execute([Stored(address)])?;
    db.prepare_cached("INSERT INTO lease VALUES(?,?,?,?)")?.execute((
        Stored(address),
        &holder.container,
        &holder.ifname,
        i64::try_from(position).unwrap_or(i64::MAX),
    ))?;
    Ok(())
}

/// Releases all addresses of an attachment; they will be the last ones to be given out again.
pub(super) fn release(db: &Connection, holder: &Holder) -> rusqlite::Result<Vec<IpAddr>> {
    let addresses = held(db, holder)?;
    if addresses.is_empty() {
        return Ok(addresses);
    }
    db.execute("DELETE FROM lease WHERE container=? AND ifname=?", (&holder.container, &holder.ifname))?;
    // A range that was removed from the configuration may return, so the address is noted in every range that has it.
    let mut tell = db.prepare(
        "INSERT INTO released(range, address) SELECT id, ?1 FROM range WHERE first<=?1 AND last>=?1 AND gateway<>?1",
    )?;
    for address in &addresses {
        tell.execute([Stored(*address)])?;
    }
    Ok(addresses)
}

/// Releases all addresses of an attachment without noting them, for a full disk: their ranges are searched from the
/// start again.
pub(super) fn release_in_place(db: &Connection, holder: &Holder) -> rusqlite::Result<Vec<IpAddr>> {
    let addresses = held(db, holder)?;
    db.execute("DELETE FROM lease WHERE container=? AND ifname=?", (&holder.container, &holder.ifname))?;
    let mut rewind = db.prepare("UPDATE range SET next=first WHERE first<=?1 AND last>=?1")?;
    for address in &addresses {
        rewind.execute([Stored(*address)])?;
    }
    Ok(addresses)
}

/// Whether a set has an address left. Changes the database: the caller has to roll back.
pub(super) fn has_free(db: &Connection, set: &RangeSet) -> Result<bool, AllocateError> {
    match dynamic(db, set) {
        Ok(_) => Ok(true),
        Err(AllocateError::Exhausted(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn refuse_in_use(db: &Connection, address: IpAddr) -> Result<(), AllocateError> {
    let mut select = db.prepare_cached("SELECT container, ifname FROM lease WHERE address=?")?;
    let holder: Option<(String, String)> =
        select.query_row([Stored(address)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match holder {
        Some((container, ifname)) => {
            Err(AllocateError::InUse { address, holder: Holder { container, ifname } })
        }
        None => Ok(()),
    }
}

/// A requested address, with the index of its range.
fn fixed(db: &Connection, set: &RangeSet, address: IpAddr) -> Result<(usize, IpAddr), AllocateError> {
    refuse_in_use(db, address)?;
    let index = set.ranges.iter().position(|range| range.contains(address)).unwrap_or_default();
    Ok((index, address))
}

/// The next free address, with the index of its range. Unused addresses of any range come first.
fn dynamic(db: &Connection, set: &RangeSet) -> Result<(usize, IpAddr), AllocateError> {
    let mut oldest: Option<(i64, usize, IpAddr)> = None;
    for (index, range) in set.ranges.iter().enumerate() {
        let (id, next) = progress(db, range)?;
        if let Some((address, since)) = oldest_released(db, id)? {
            if since >= RELEASED_MAX {
                return Ok((index, address));
            }
            oldest = oldest.max(Some((since, index, address)));
        }
        let unused = next.map(|next| first_unused(db, set, range, next)).transpose()?.flatten();
        let after = unused.and_then(|address| range.next(address));
        // An unchanged row is not written.
        if next.is_some() && next != after {
            db.prepare_cached("UPDATE range SET next=? WHERE id=?")?.execute((after.map(Stored), id))?;
        }
        if let Some(address) = unused {
            return Ok((index, address));
        }
    }
    match oldest {
        Some((_, index, address)) => Ok((index, address)),
        None => Err(AllocateError::Exhausted(set.to_string())),
    }
}

/// The row of a range, made if missing, and the next address that was never given out.
fn progress(db: &Connection, range: &Range) -> rusqlite::Result<(i64, Option<IpAddr>)> {
    let key = (Stored(range.first), Stored(range.last), Stored(range.gateway));
    let row = db
        .prepare_cached("SELECT id, next FROM range WHERE first=? AND last=? AND gateway=?")?
        .query_row(key, |row| Ok((row.get(0)?, row.get::<_, Option<Stored>>(1)?)))
        .optional()?;
    if let Some((id, next)) = row {
        return Ok((id, next.map(|Stored(address)| address)));
    }
    db.execute(
        "INSERT INTO range(first, last, gateway, next) VALUES(?,?,?,?)",
        (key.0, key.1, key.2, Stored(range.first)),
    )?;
    Ok((db.last_insert_rowid(), Some(range.first)))
}

/// The first address from `next` on that has no holder.
fn first_unused(
    db: &Connection,
    set: &RangeSet,
    range: &Range,
    next: IpAddr,
) -> rusqlite::Result<Option<IpAddr>> {
    let mut candidate = Some(next);
    let mut used =
        db.prepare_cached("SELECT address FROM lease WHERE address>=? AND address<=? ORDER BY address")?;
    let mut used = used.query((Stored(next), Stored(range.last)))?;
    let mut used_next = || -> rusqlite::Result<Option<IpAddr>> {
        used.next()?.map(|row| row.get::<_, Stored>(0).map(|Stored(address)| address)).transpose()
    };
    let mut in_use = used_next()?;
    while let Some(address) = candidate {
        if in_use == Some(address) {
            in_use = used_next()?;
        } else if !set.has_gateway(address) {
            return Ok(Some(address));
        }
        candidate = range.next(address);
    }
    Ok(None)
}

/// The address of the range that was released longest ago, and the number of releases since, in all ranges.
fn oldest_released(db: &Connection, id: i64) -> rusqlite::Result<Option<(IpAddr, i64)>> {
    let mut select = db.prepare_cached(
        "SELECT address, (SELECT max(seq) FROM released)-seq FROM released WHERE range=? ORDER BY seq LIMIT 1",
    )?;
    select.query_row([id], |row| Ok((row.get::<_, Stored>(0)?.0, row.get(1)?))).optional()
}

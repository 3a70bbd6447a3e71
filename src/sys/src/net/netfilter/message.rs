//! Netlink messages and attributes as bytes. An attribute has a length, a type and a value, padded to four bytes; a
//! value may consist of attributes.

use std::io;

/// The flag of an attribute whose value consists of attributes.
const NESTED: u16 = 0x8000;
/// The bits of an attribute's type without the flags.
const KIND: u16 = 0x3fff;
/// Length of an attribute's header.
const HEADER: usize = 4;
/// Length of `nlmsghdr`, and of `nlmsghdr` with `nfgenmsg`.
pub(in crate::net) const NLMSG_HEADER: usize = 16;
pub(in crate::net) const NFT_HEADER: usize = 20;

const TOO_LONG: &str = "an attribute is too long, expected less than 64 KiB";

/// Initial capacity in bytes.
const ROOM: usize = 128;

/// Encoded attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::net) struct Attributes {
    bytes: Vec<u8>,
    /// Whether an attribute had more bytes than its length can tell. Then there is no message with them.
    is_too_long: bool,
}

impl Attributes {
    /// No attributes, with room for those of most expressions: growing would take longer than encoding.
    pub(in crate::net) fn new() -> Self {
        Self { bytes: Vec::with_capacity(ROOM), is_too_long: false }
    }

    /// Adds an attribute whose value is bytes.
    pub(in crate::net) fn bytes(self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, &[value])
    }

    /// Adds a text with a NUL at its end.
    pub(in crate::net) fn text(self, kind: u16, value: &str) -> Self {
        self.push(kind, &[value.as_bytes(), b"\0"])
    }

    /// Adds a number in network byte order, as nf_tables expects it.
    pub(in crate::net) fn number(self, kind: u16, value: u32) -> Self {
        self.push(kind, &[&value.to_be_bytes()])
    }

    /// Adds an attribute that consists of attributes.
    pub(in crate::net) fn nested(self, kind: u16, value: &Self) -> Self {
        let mut all = self.push(kind | NESTED, &[&value.bytes]);
        all.is_too_long |= value.is_too_long;
        all
    }

    pub(in crate::net) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes they take.
    pub(in crate::net) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(mut self, kind: u16, parts: &[&[u8]]) -> Self {
        let length = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        let Ok(length) = u16::try_from(length) else {
            self.is_too_long = true;
            return self;
        };
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        parts.iter().for_each(|part| self.bytes.extend(*part));
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }
}

/// An attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Attribute<'a> {
    pub(in crate::net) kind: u16,
    nested: bool,
    pub(in crate::net) value: &'a [u8],
}

/// The attributes in `bytes`, up to the first incomplete one.
pub(in crate::net) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)?;
        let value = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Attribute { kind: kind & KIND, nested: kind & NESTED != 0, value })
    })
}

/// The value of the first attribute of this type.
pub(in crate::net) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
}

/// The value of a nested attribute: `path` has the types from the outside in.
pub(in crate::net) fn find_in<'a>(bytes: &'a [u8], path: &[u16]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| find(bytes, *kind))
}

/// A text's value, without its NUL.
pub(in crate::net) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned()
}

/// Whether `found` contains all attributes of `wanted`. The kernel adds attributes to those that an object was made
/// with, in its own order and without the flag of nested ones.
pub(in crate::net) fn covers(found: &[u8], wanted: &[u8]) -> bool {
    attributes(wanted).enumerate().all(|(index, attribute)| {
        // The members of a list have to be in the same order.
        let same = |other: &Attribute<'_>| other.kind == attribute.kind;
        let place = attributes(wanted).take(index).filter(same).count();
        let other = attributes(found).filter(same).nth(place);
        other.is_some_and(|other| match attribute.nested {
            true => covers(other.value, attribute.value),
            false => other.value == attribute.value,
        })
    })
}

/// A message of nfnetlink: `nlmsghdr`, `nfgenmsg`, attributes. Fails if an attribute or the message is too long.
pub(in crate::net) fn message(
    kind: u16,
    flags: u16,
    sequence: u32,
    about: About,
    attributes: &Attributes,
) -> io::Result<Vec<u8>> {
    let length = NFT_HEADER + attributes.bytes.len();
    let told = u32::try_from(length).ok().filter(|_| !attributes.is_too_long);
    let told = told.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, TOO_LONG))?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(told.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // The sender, which the kernel fills in.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.push(about.family);
    bytes.push(0);
    bytes.extend(about.resource.to_be_bytes());
    bytes.extend(&attributes.bytes);
    Ok(bytes)
}

/// What `nfgenmsg` holds.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct About {
    pub(in crate::net) family: u8,
    pub(in crate::net) resource: u16,
}

/// A message of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Reply<'a> {
    pub(in crate::net) kind: u16,
    pub(in crate::net) flags: u16,
    pub(in crate::net) sequence: u32,
    /// The socket that caused it.
    pub(in crate::net) sender: u32,
    /// The bytes after `nlmsghdr`.
    pub(in crate::net) payload: &'a [u8],
}

/// The messages in a datagram, up to the first incomplete one.
pub(in crate::net) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let reply = Reply {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            sender: u32_at(bytes, 12)?,
            payload: bytes.get(NLMSG_HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(reply)
    })
}

impl<'a> Reply<'a> {
    /// The errno of an error message, 0 being an acknowledgement.
    pub(in crate::net) fn errno(&self) -> Option<i32> {
        u32_at(self.payload, 0).map(|code| code.cast_signed().saturating_neg())
    }

    /// The attributes after `nfgenmsg`.
    pub(in crate::net) fn attributes(&self) -> &'a [u8] {
        self.payload.get(NFT_HEADER - NLMSG_HEADER..).unwrap_or_default()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let inner = Attributes::new().number(2, 0x0102_0304).bytes(3, &[9]);
        let all = Attributes::new().text(1, "abc").nested(4, &inner);
        let ne = |value: u16| value.to_ne_bytes();
        let expected: Vec<u8> = [
            &ne(8)[..],
            &ne(1),
            b"abc\0",
            &ne(20),
            &ne(0x8004),
            &ne(8),
            &ne(2),
            &[1, 2, 3, 4],
            &ne(5),
            &ne(3),
            &[9, 0, 0, 0],
        ]
        .concat();
        assert_eq!(all.as_bytes(), expected);
        assert_eq!(text(find(all.as_bytes(), 1).unwrap()), "abc");
        assert_eq!(find_in(all.as_bytes(), &[4, 3]), Some(&[9][..]));
        assert_eq!(find_in(all.as_bytes(), &[4, 5]), None);
    }

    #[test]
    fn what_is_too_long_makes_no_message() {
        let sent = |attributes: &Attributes| message(1, 0, 1, About { family: 1, resource: 0 }, attributes);
        let longest = Attributes::new().bytes(1, &vec![7; usize::from(u16::MAX) - HEADER]);
        assert_eq!(find(&sent(&longest).unwrap()[NFT_HEADER..], 1).map(<[u8]>::len), Some(65531));
        let longer = Attributes::new().bytes(1, &vec![7; 65532]).number(2, 1);
        // The same inside of another one, and for a list whose members are short.
        for attributes in
            [&longer, &Attributes::new().nested(3, &longer), &Attributes::new().nested(3, &longest)]
        {
            let error = sent(attributes).unwrap_err().to_string();
            assert_eq!(error, "an attribute is too long, expected less than 64 KiB");
        }
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let all = Attributes::new().number(1, 7).number(2, 8);
        for end in 0..all.as_bytes().len() {
            assert_eq!(attributes(&all.as_bytes()[..end]).count(), end / 8, "{end}");
        }
        // A length below the header's own would never end.
        assert_eq!(attributes(&[0; 16]).count(), 0);
        assert_eq!(replies(&[0; 64]).count(), 0);
    }

    #[test]
    fn what_the_kernel_adds_is_no_difference_and_what_it_lacks_is() {
        let list = |values: &[u32]| values.iter().fold(Attributes::new(), |all, value| all.number(1, *value));
        let wanted = Attributes::new().text(1, "x").nested(2, &list(&[1, 2]));
        let wanted = wanted.as_bytes();
        // Without the flag, in another order, and with one more.
        let reply =
            |values: &[u32]| Attributes::new().bytes(2, list(values).as_bytes()).number(7, 0).text(1, "x");
        assert!(covers(reply(&[1, 2]).as_bytes(), wanted));
        assert!(!covers(reply(&[2, 1]).as_bytes(), wanted));
        assert!(!covers(reply(&[1]).as_bytes(), wanted));
        assert!(!covers(Attributes::new().text(1, "x").as_bytes(), wanted));
    }

    #[test]
    fn a_message_is_read_back_with_its_sequence_number() {
        let about = About { family: 1, resource: 10 };
        let sent = message(0xa01, 5, 77, about, &Attributes::new().text(1, "podhosts")).unwrap();
        let two = [sent.clone(), sent.clone()].concat();
        let read: Vec<_> = replies(&two).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[1].kind, read[1].flags, read[1].sequence), (0xa01, 5, 77));
        assert_eq!(read[1].payload[..4], [1, 0, 0, 10]);
        assert_eq!(text(find(read[1].attributes(), 1).unwrap()), "podhosts");
        assert_eq!(replies(&two[..two.len() - 1]).count(), 1);
    }

    #[test]
    fn errno_is_what_the_kernel_negated() {
        let reply = |code: i32| {
            Reply { kind: 2, flags: 0, sequence: 1, sender: 0, payload: &code.to_ne_bytes() }.errno()
        };
        assert_eq!(reply(0), Some(0));
        assert_eq!(reply(-17), Some(17));
    }
}

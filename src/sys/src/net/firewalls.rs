//! What other programs have in the packet filter, as far as it concerns packets to pods.

use std::io;

use super::netfilter::message::{Attributes, attributes, find, find_in, text};
use super::netfilter::operations::{GET_CHAIN, GET_RULE, GET_TABLE};
use super::netfilter::socket::Netfilter;

/// Families of tables through which packets are forwarded: `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`.
const FAMILIES: [(u8, &str); 3] = [(1, "inet"), (2, "ip"), (10, "ip6")];
/// Attributes of linux/netfilter/nf_tables.h.
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const HOOK_NUMBER: u16 = 1;
const CHAIN_POLICY: u16 = 5;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_IMMEDIATE_DATA`, `NFTA_DATA_VERDICT`, `NFTA_VERDICT_CODE`.
const VERDICT: [u16; 3] = [2, 2, 1];
/// `NF_INET_FORWARD` and `NF_DROP` of linux/netfilter.h.
const FORWARD: u32 = 2;
const DROP: u32 = 0;

/// A chain of nf_tables; iptables-nft has its own there, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Family and name of its table, such as `ip filter`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// It gets forwarded packets, and drops or rejects those that no rule of it accepts.
    pub refuses_forwarding: bool,
}

/// Names the tables of this thread's network namespace with their families, such as `inet firewalld`. A kernel without
/// nf_tables has none.
///
/// # Errors
/// The kernel's answer.
pub fn tables() -> io::Result<Vec<String>> {
    let Some(mut netfilter) = open()? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (number, family) in FAMILIES {
        let found = list(&mut netfilter, number, GET_TABLE, &Attributes::new())?;
        let names = found.iter().filter_map(|table| find(table, TABLE_NAME));
        all.extend(names.map(|name| format!("{family} {}", text(name))));
    }
    Ok(all)
}

/// All chains of this thread's network namespace.
///
/// # Errors
/// The kernel's answer.
pub fn chains() -> io::Result<Vec<Chain>> {
    let Some(mut netfilter) = open()? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (number, family) in FAMILIES {
        for chain in list(&mut netfilter, number, GET_CHAIN, &Attributes::new())? {
            let (Some(table), Some(name)) = (find(&chain, CHAIN_TABLE), find(&chain, CHAIN_NAME)) else {
                continue;
            };
            let (table, name) = (text(table), text(name));
            let refuses_forwarding = word(find_in(&chain, &[CHAIN_HOOK, HOOK_NUMBER])) == Some(FORWARD)
                && (word(find(&chain, CHAIN_POLICY)) == Some(DROP)
                    || ends_with_refusal(&mut netfilter, number, &table, &name)?);
            all.push(Chain { table: format!("{family} {table}"), name, refuses_forwarding });
        }
    }
    Ok(all)
}

/// Whether the last rule of a chain drops or rejects every packet that gets there.
fn ends_with_refusal(netfilter: &mut Netfilter, family: u8, table: &str, chain: &str) -> io::Result<bool> {
    let about = Attributes::new().text(RULE_TABLE, table).text(RULE_CHAIN, chain);
    let rules = list(netfilter, family, GET_RULE, &about)?;
    Ok(rules.last().is_some_and(|rule| refuses_all(find(rule, RULE_EXPRESSIONS).unwrap_or_default())))
}

/// Whether a rule with these expressions has no condition and refuses.
fn refuses_all(expressions: &[u8]) -> bool {
    let mut all = attributes(expressions).map(|one| one.value).filter(|one| kind(one) != "counter");
    let first = all.next();
    let refuses = first.is_some_and(|one| match kind(one).as_str() {
        "reject" => true,
        "immediate" => {
            let data = find(one, EXPRESSION_DATA).unwrap_or_default();
            word(find_in(data, &VERDICT)) == Some(DROP)
        }
        _ => false,
    });
    refuses && all.next().is_none()
}

fn kind(expression: &[u8]) -> String {
    text(find(expression, EXPRESSION_NAME).unwrap_or_default())
}

fn word(value: Option<&[u8]>) -> Option<u32> {
    Some(u32::from_be_bytes(value?.try_into().ok()?))
}

fn open() -> io::Result<Option<Netfilter>> {
    match Netfilter::new() {
        Ok(netfilter) => Ok(Some(netfilter)),
        Err(cause) if is_absent(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

fn list(
    netfilter: &mut Netfilter,
    family: u8,
    operation: u16,
    about: &Attributes,
) -> io::Result<Vec<Vec<u8>>> {
    match netfilter.list(family, operation, about) {
        Ok(found) => Ok(found.unwrap_or_default()),
        Err(cause) if is_absent(&cause) => Ok(Vec::new()),
        Err(cause) => Err(cause),
    }
}

/// Whether the kernel has no nf_tables, or not this family.
fn is_absent(cause: &io::Error) -> bool {
    let errno = [libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT, libc::EOPNOTSUPP, libc::EINVAL];
    cause.raw_os_error().is_some_and(|cause| errno.contains(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(kind: &str, data: &Attributes) -> Attributes {
        Attributes::new().text(EXPRESSION_NAME, kind).nested(EXPRESSION_DATA, data)
    }

    fn verdict(code: u32) -> Attributes {
        let code = Attributes::new().number(VERDICT[2], code);
        let data = Attributes::new().nested(VERDICT[0], &Attributes::new().nested(VERDICT[1], &code));
        expression("immediate", &data)
    }

    fn refuses(all: &[Attributes]) -> bool {
        let list = all.iter().fold(Attributes::new(), |list, one| list.nested(1, one));
        refuses_all(list.as_bytes())
    }

    #[test]
    fn only_a_rule_without_a_condition_refuses_everything() {
        let other = |kind| expression(kind, &Attributes::new());
        assert!(refuses(&[other("reject")]));
        assert!(refuses(&[other("counter"), verdict(DROP)]));
        assert!(!refuses(&[verdict(1)]));
        assert!(!refuses(&[other("ct"), other("cmp"), other("reject")]));
        assert!(!refuses(&[other("counter")]) && !refuses(&[]));
    }
}

//! Brings the elements into the kernel.

mod apply;
mod flows;
mod pause;
mod waiting;

use std::sync::Arc;
use std::time::Instant;

use sys::net::services::{Element, Present, ServicesError, Table};

use crate::change::Part;
use crate::objects::ObjectName;
use crate::proxy::Proxy;
use apply::{Applied, apply, is_refusal};
use flows::Flows;
use pause::Pause;
use waiting::Waiting;

/// Keeps the table in the kernel as the objects of a [`Proxy`] want it.
///
/// A change is one transaction. If the kernel refuses it, the Services whose elements it does not take are tried again
/// apart from the others, with pauses that grow.
pub struct Programmer {
    proxy: Proxy,
    table: Table,
    /// Whether the table is as this programmer left it.
    is_known: bool,
    /// Until the table is read or made again, after that failed.
    pause: Pause,
    waiting: Waiting,
    flows: Flows,
}

/// What [`Programmer::program`] did.
#[derive(Debug, Default)]
pub struct Done {
    /// Whether the table was read, and compared with what is wanted: the first time, and when it cannot be trusted.
    pub compared: bool,
    /// Whether the table was made anew.
    pub replaced: bool,
    /// How many elements were removed.
    pub removed: usize,
    /// How many elements were added.
    pub added: usize,
    /// How many flows to endpoints that are gone were forgotten.
    pub forgotten_flows: usize,
    /// The Services whose change the kernel refused.
    pub refused: Vec<Refusal>,
    /// Why nothing could be changed.
    pub error: Option<ServicesError>,
    /// When to call again, though nothing has changed: what failed is then tried again.
    pub retry: Option<Instant>,
}

/// A change that the kernel refused.
#[derive(Debug)]
pub struct Refusal {
    /// The Service; none if it is of elements that belong to no single Service.
    pub service: Option<Arc<ObjectName>>,
    /// Why.
    pub error: ServicesError,
}

impl Programmer {
    /// A programmer that has not looked at the table yet.
    pub fn new(proxy: Proxy, table: Table) -> Self {
        let (pause, waiting) = (Pause::default(), Waiting::default());
        Self { proxy, table, is_known: false, pause, waiting, flows: Flows::default() }
    }

    /// The objects.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The objects, to change them. [`Programmer::program`] then brings the change into the kernel.
    pub fn proxy_mut(&mut self) -> &mut Proxy {
        &mut self.proxy
    }

    /// The number of the table's socket, for [`sys::net::services::Notices`].
    pub fn port_id(&self) -> u32 {
        self.table.port_id()
    }

    /// Somebody else may have changed the table: the next call of [`Programmer::program`] reads it.
    pub fn distrust(&mut self) {
        self.is_known = false;
    }

    /// Brings what has changed into the kernel, and tries again what failed before and is due.
    pub fn program(&mut self, now: Instant) -> Done {
        let mut done = Done::default();
        if self.is_known {
            self.follow(now, &mut done);
        }
        if !self.is_known && self.pause.is_due(now) {
            self.compare(now, &mut done);
        }
        if self.is_known {
            done.forgotten_flows = self.flows.check(&self.proxy, now);
        }
        let pause = self.pause.until.filter(|_| !self.is_known);
        done.retry = [pause, self.waiting.next(), self.flows.next()].into_iter().flatten().min();
        done
    }

    /// Removes the table.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn remove(&mut self) -> Result<bool, ServicesError> {
        self.is_known = false;
        self.table.remove()
    }

    /// Makes the change since the last call.
    fn follow(&mut self, now: Instant, done: &mut Done) {
        let change = self.proxy.take_change();
        self.flows.add(change.flows);
        let parts: Vec<_> = change.parts.into_iter().filter_map(|part| self.waiting.extend(part)).collect();
        if !parts.is_empty() {
            let (removed, added) = elements(&parts);
            match self.table.change(&removed, &added) {
                Ok(()) => {
                    done.removed += removed.len();
                    done.added += added.len();
                }
                // Perhaps the table is not as it was left. If it is, the comparison finds the Service that is refused.
                Err(error) if is_refusal(&error) => self.is_known = false,
                Err(error) => self.fail(error, now, done),
            }
        }
        if self.is_known {
            let due = self.waiting.due(now);
            self.apply(due, now, done);
        }
    }

    /// Reads the table and makes it as it is wanted.
    fn compare(&mut self, now: Instant, done: &mut Done) {
        let present = match self.table.read() {
            Ok(present) => present,
            Err(error) => return self.fail(error, now, done),
        };
        done.compared = true;
        self.is_known = true;
        let elements = match present {
            Present::Intact(elements) => Some(elements),
            Present::Absent | Present::Different => None,
        };
        let has_table = elements.is_some();
        let change = self.proxy.take_difference(elements.unwrap_or_default());
        self.flows.add(change.flows);
        let parts = self.waiting.renew(change.parts, now);
        let parts = if has_table { parts } else { self.replace(parts, now, done) };
        self.apply(parts, now, done);
        if self.is_known {
            self.pause = Pause::default();
        }
    }

    /// Makes the table anew. Gives back the parts that are not in it yet.
    fn replace(&mut self, parts: Vec<Part>, now: Instant, done: &mut Done) -> Vec<Part> {
        let (_, added) = elements(&parts);
        match self.table.replace(&added) {
            Ok(()) => {
                done.replaced = true;
                done.added += added.len();
                self.settle(parts);
                return Vec::new();
            }
            Err(error) if is_refusal(&error) => {}
            Err(error) => {
                self.fail(error, now, done);
                return Vec::new();
            }
        }
        match self.table.replace(&[]) {
            Ok(()) => {
                done.replaced = true;
                parts
            }
            Err(error) => {
                self.fail(error, now, done);
                Vec::new()
            }
        }
    }

    fn apply(&mut self, parts: Vec<Part>, now: Instant, done: &mut Done) {
        let mut change = |removed: &[Element], added: &[Element]| {
            self.table.change(removed, added)?;
            done.removed += removed.len();
            done.added += added.len();
            Ok(())
        };
        let Applied { parts, refused, left, error, .. } = apply(parts, &mut change);
        self.settle(parts);
        for (part, error) in refused {
            let service = part.service.clone();
            if self.waiting.refuse(part, now, &error.to_string()) {
                match &service {
                    Some(service) => {
                        tracing::error!(%service, %error, "a Service cannot be led to its endpoints")
                    }
                    None => tracing::error!(%error, "the packet filter refuses a change"),
                }
            }
            done.refused.push(Refusal { service, error });
        }
        if let Some(error) = error {
            self.fail(error, now, done);
        } else if !left.is_empty() {
            self.is_known = false;
            self.pause.fail(now, "");
        }
    }

    /// After these parts came into the kernel.
    fn settle(&mut self, parts: Vec<Part>) {
        for part in parts {
            if self.waiting.forget(&part.service) {
                self.flows.add(part.flows());
            }
        }
    }

    /// Nothing can be changed: the table is to be read again, after a pause.
    fn fail(&mut self, error: ServicesError, now: Instant, done: &mut Done) {
        self.is_known = false;
        if self.pause.fail(now, &error.to_string()) {
            tracing::error!(%error, "the packet filter is not as Services need it");
        }
        done.error = Some(error);
    }
}

fn elements(parts: &[Part]) -> (Vec<Element>, Vec<Element>) {
    let removed = parts.iter().flat_map(|part| &part.removed).copied();
    let added = parts.iter().flat_map(|part| &part.added).copied();
    (removed.collect(), added.collect())
}

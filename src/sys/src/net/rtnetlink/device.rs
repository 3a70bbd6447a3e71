//! Questions about an interface by ioctl, which cost a fraction of rtnetlink's, which always describes all of it.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::AsRawFd;

use super::error::NetworkError;
use super::netlink::RouteSocket;

/// `ETHTOOL_GLINK` of linux/ethtool.h.
const GET_LINK: u32 = 0xa;

/// The part of an interface that address and route messages need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its index.
    pub index: u32,
    /// In bytes.
    pub mtu: u32,
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

impl RouteSocket {
    /// The interface of that name, if it exists.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn device(&self, name: &str) -> Result<Option<Device>, NetworkError> {
        let ask = || -> io::Result<Device> {
            let mut request = named(name)?;
            self.ioctl(libc::SIOCGIFINDEX, &mut request)?;
            // SAFETY: SIOCGIFINDEX has written this member of the union, and any bytes are an integer.
            let index = unsafe { request.ifr_ifru.ifru_ifindex };
            self.ioctl(libc::SIOCGIFMTU, &mut request)?;
            // SAFETY: likewise for SIOCGIFMTU.
            let mtu = unsafe { request.ifr_ifru.ifru_mtu };
            let number = |value: c_int| u32::try_from(value).map_err(io::Error::other);
            Ok(Device { index: number(index)?, mtu: number(mtu)? })
        };
        match ask() {
            Ok(device) => Ok(Some(device)),
            Err(cause) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(cause) => Err(refused("find", name, cause)),
        }
    }

    /// Makes the kernel look at the carrier of an interface now. Otherwise it does so later, and until then drops
    /// packets that the interface should send.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn look_at_carrier(&self, name: &str) -> Result<(), NetworkError> {
        let mut value = EthtoolValue { command: GET_LINK, data: 0 };
        let mut ask = || -> io::Result<()> {
            let mut request = named(name)?;
            request.ifr_ifru.ifru_data = (&raw mut value).cast();
            self.ioctl(libc::SIOCETHTOOL, &mut request)
        };
        ask().map_err(|cause| refused("look at the carrier of", name, cause))
    }

    fn ioctl(&self, command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: each command that is used here takes an `ifreq`, of which it reads the name and writes a number or,
        // for SIOCETHTOOL, what `ifru_data` points to, which lives longer than the call.
        #[allow(clippy::useless_conversion, reason = "the type of a command differs between C libraries")]
        let result = unsafe {
            libc::ioctl(self.socket().as_raw_fd(), command.try_into().unwrap_or_default(), &raw mut *request)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A request about the interface of that name.
fn named(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an `ifreq` consists of integers and of pointers that are not followed, all of which may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    let room = request.ifr_name.len() - 1;
    if name.len() > room || name.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([byte]);
    }
    Ok(request)
}

fn refused(verb: &'static str, name: &str, cause: io::Error) -> NetworkError {
    NetworkError::Refused { verb, what: name.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lo_is_there_and_others_are_not() {
        let here = RouteSocket::here().unwrap();
        let lo = here.device("lo").unwrap().unwrap();
        assert!(lo.index >= 1 && lo.mtu >= 1500, "{lo:?}");
        here.look_at_carrier("lo").unwrap();
        for name in ["", "no-such-device", "a-name-that-is-too-long-for-the-kernel"] {
            assert_eq!(here.device(name).unwrap(), None, "{name}");
            assert!(here.look_at_carrier(name).unwrap_err().is_absent());
        }
    }
}

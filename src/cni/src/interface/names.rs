//! Names and MAC addresses, derived from the network and the holder, so that DEL finds an interface without any file.

use std::net::IpAddr;

use records::attachment::Holder;
use sys::fnv;
use sys::net::rtnetlink::Mac;

/// The name of the node's end of a pod's veth pair: 15 bytes, the longest possible.
pub(crate) fn host_interface(network: &str, holder: &Holder) -> String {
    format!("veth{:011x}", fnv::hash_texts(&[network, &holder.container, &holder.ifname]) >> 20)
}

/// The MAC address of the pod's end, derived from its first address: a neighbour that has cached the address of a pod
/// that is gone reaches the pod that has it now.
pub(crate) fn pod_mac(network: &str, addresses: &[IpAddr]) -> Mac {
    match addresses.first() {
        Some(IpAddr::V4(v4)) => {
            let [a, b, c, d] = v4.octets();
            Mac([0x0a, 0x58, a, b, c, d])
        }
        first => {
            let text = first.map(ToString::to_string).unwrap_or_default();
            let [.., a, b, c, d] = fnv::hash_texts(&["mac", network, &text]).to_be_bytes();
            Mac([0x0a, 0x59, a, b, c, d])
        }
    }
}

/// The MAC address of the node's end of a veth pair.
pub(crate) fn host_mac(network: &str, holder: &Holder) -> Mac {
    let [.., a, b, c, d, e] =
        fnv::hash_texts(&["mac", network, &holder.container, &holder.ifname]).to_be_bytes();
    Mac([0x0e, a, b, c, d, e])
}

/// The MAC address of a bridge, which does not change with its ports.
pub(crate) fn bridge_mac(name: &str) -> Mac {
    let [.., a, b, c, d, e] = fnv::hash_texts(&["bridge", name]).to_be_bytes();
    Mac([0x06, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_are() {
        let holder = Holder { container: "c1".into(), ifname: "eth0".into() };
        // A version with other names would not find the interfaces of an earlier one.
        assert_eq!(host_interface("net", &holder), "veth45cfdc87100");
        assert_eq!(host_mac("net", &holder).to_string(), "0e:4b:ce:b2:47:2a");
        assert_eq!(pod_mac("net", &["10.244.1.4".parse().unwrap()]).to_string(), "0a:58:0a:f4:01:04");
        let v6 = |ip: &str| pod_mac("net", &[ip.parse().unwrap()]);
        assert_ne!(v6("2001:db8::2"), v6("2001:db8::3"));
        assert_ne!(host_interface("net", &holder), host_interface("ne", &holder));
        assert_eq!(bridge_mac("cni0").0[0], 0x06);
    }
}

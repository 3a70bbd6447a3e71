//! FNV-1a, whose values are the same in every version of this program, unlike those of the standard library's hashes.

use std::hash::Hasher;

use ::fnv::FnvHasher;

/// The 64-bit hash of `bytes`.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// The hash of several texts, each followed by a NUL.
pub fn hash_texts(parts: &[&str]) -> u64 {
    let mut hasher = FnvHasher::default();
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the function's own test vectors.
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(hash_texts(&["a", "bc"]), hash(b"a\0bc\0"));
    }
}

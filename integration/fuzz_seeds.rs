//! The targets of `make fuzz` with their seeds, and with a fixed number of changes to each: cheap, and the same every time.

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;

use fastrand::Rng;

/// Changed copies of each seed.
const CHANGED: usize = 60;

/// A copy with a few bytes changed, taken out, or put in twice, or with a part of another seed in it.
fn changed(random: &mut Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut copy = seed.to_vec();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=copy.len());
        let end = (at + random.usize(..16)).min(copy.len());
        match random.u8(..5) {
            0 if at < copy.len() => copy[at] = random.u8(..),
            1 if at < copy.len() => copy[at] ^= 1 << random.u8(..8),
            2 => drop(copy.drain(at..end)),
            3 => copy.splice(at..at, copy[at..end].to_vec()).for_each(drop),
            _ => {
                let from = random.usize(..=other.len());
                let to = (from + random.usize(..32)).min(other.len());
                copy.splice(at..end, other[from..to].iter().copied()).for_each(drop);
            }
        }
    }
    copy
}

#[test]
fn every_target_takes_its_seeds_and_what_is_like_them() {
    let dir = crate::harness::repository().join("fuzz/seeds");
    let mut random = Rng::with_seed(1);
    for target in targets::ALL {
        let mut files: Vec<_> =
            fs::read_dir(dir.join(target.name)).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(!seeds.is_empty(), "{}", target.name);
        for (seed, file) in seeds.iter().zip(&files) {
            let inputs = (0..CHANGED).map(|_| {
                let other = &seeds[random.usize(..seeds.len())];
                changed(&mut random, seed, other)
            });
            for input in std::iter::once(seed.clone()).chain(inputs) {
                let tried = std::panic::catch_unwind(|| (target.run)(&input));
                assert!(
                    tried.is_ok(),
                    "{} of {}: {:?}",
                    target.name,
                    file.display(),
                    String::from_utf8_lossy(&input)
                );
            }
        }
    }
}

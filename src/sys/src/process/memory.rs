//! The allocator: for a server that runs for long, what was needed once is given back; a process that lives for a few
//! milliseconds gets memory once and gives back nothing.

/// The memory that a short process gets at once, in bytes: more than a call needs. Untouched pages cost nothing.
#[cfg(target_env = "gnu")]
const AT_ONCE: libc::c_int = 1 << 20;

/// Has the allocator get memory once, and keep it to the end. To be called before there are threads.
pub fn keep_all() {
    #[cfg(target_env = "gnu")]
    {
        set(libc::M_TOP_PAD, AT_ONCE);
        set(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Has the allocator keep less for later. To be called before there are threads.
pub fn keep_little() {
    #[cfg(target_env = "gnu")]
    {
        // One arena for each thread would keep what the largest request needed, each of them.
        set(libc::M_ARENA_MAX, 1);
        // Fixed, so that it does not grow as memory is freed: large pieces go back to the kernel at once.
        set(libc::M_MMAP_THRESHOLD, 128 << 10);
        set(libc::M_TRIM_THRESHOLD, 512 << 10);
    }
}

/// Gives memory that is not in use back to the kernel.
pub fn give_back() {
    // SAFETY: it works on the allocator's own structures, under its locks.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_env = "gnu")]
fn set(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: it takes numbers, and refuses those that it does not know.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(parameter, value);
    }
}

//! The network between nodes, as `sys` makes it: what the kernel has afterwards.

mod masquerade;

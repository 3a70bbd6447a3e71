//! The Service proxy: from Services, EndpointSlices and this node to the elements of the packet filter that lead
//! connections to endpoints.
//!
//! It knows no API server: a program gives it the objects and takes the elements.
